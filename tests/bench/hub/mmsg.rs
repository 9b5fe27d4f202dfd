//! Datagrams in batches, as the limits and the load move them.

#![expect(unsafe_code, reason = "recvmmsg and sendmmsg, which the libraries here do not offer")]

use std::mem::zeroed;
use std::os::fd::RawFd;

use libc::{MSG_DONTWAIT, MSG_WAITFORONE, iovec, mmsghdr, sockaddr_in};

/// The datagrams of one system call.
pub(crate) const BATCH: usize = 64;

const SIZE: usize = 1024;

const MESSAGES: u32 = 64;

const ADDRESS_SIZE: u32 = 16;

/// Room for datagrams and their addresses.
pub(crate) struct Batch {
    bytes: Box<[[u8; SIZE]; BATCH]>,
    addresses: Box<[sockaddr_in; BATCH]>,
    lens: [usize; BATCH],
    count: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: addresses are plain numbers.
        let addresses = Box::new([unsafe { zeroed::<sockaddr_in>() }; BATCH]);
        Self { bytes: Box::new([[0; SIZE]; BATCH]), addresses, lens: [0; BATCH], count: 0 }
    }

    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter().zip(self.lens).take(self.count).map(|(bytes, len)| &bytes[..len])
    }

    /// Receives what there is; waits for the first one, if asked, as long as the socket's time-out says.
    pub(crate) fn receive(&mut self, socket: RawFd, wait: bool) {
        let mut parts = self.bytes.each_mut().map(|bytes| iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: SIZE });
        // SAFETY: headers are plain numbers and pointers, which may be null.
        let mut messages = [unsafe { zeroed::<mmsghdr>() }; BATCH];
        for ((message, part), address) in messages.iter_mut().zip(&mut parts).zip(self.addresses.iter_mut()) {
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_name = (&raw mut *address).cast();
            message.msg_hdr.msg_namelen = ADDRESS_SIZE;
        }
        let flags = if wait { MSG_WAITFORONE } else { MSG_DONTWAIT };
        // SAFETY: all messages point to places in this batch and in this function, with their lengths.
        let count = unsafe { libc::recvmmsg(socket, messages.as_mut_ptr(), MESSAGES, flags, std::ptr::null_mut()) };
        self.count = usize::try_from(count).unwrap_or(0);
        self.lens = messages.map(|message| message.msg_len as usize);
    }

    /// Sends everything back to where it came from.
    pub(crate) fn send_back(&mut self, socket: RawFd) {
        let mut parts: Vec<iovec> = Vec::with_capacity(BATCH);
        for (bytes, len) in self.bytes.iter_mut().zip(self.lens).take(self.count) {
            parts.push(iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len });
        }
        send(socket, &mut parts, Some(&mut self.addresses[..]));
    }
}

/// Sends these datagrams over a connected socket, and returns how many it took.
pub(crate) fn send_all<'a>(socket: RawFd, datagrams: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut parts: Vec<iovec> = datagrams
        .take(BATCH)
        .map(|bytes| iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    send(socket, &mut parts, None)
}

fn send(socket: RawFd, parts: &mut [iovec], mut addresses: Option<&mut [sockaddr_in]>) -> usize {
    // SAFETY: headers are plain numbers and pointers, which may be null.
    let mut messages = [unsafe { zeroed::<mmsghdr>() }; BATCH];
    for (index, (message, part)) in messages.iter_mut().zip(parts.iter_mut()).enumerate() {
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
        if let Some(address) = addresses.as_deref_mut().and_then(|addresses| addresses.get_mut(index)) {
            message.msg_hdr.msg_name = (&raw mut *address).cast();
            message.msg_hdr.msg_namelen = ADDRESS_SIZE;
        }
    }
    let count = u32::try_from(parts.len()).expect("a batch is small");
    // SAFETY: as many messages as there are parts point to them and to addresses, which outlive the call.
    let sent = unsafe { libc::sendmmsg(socket, messages.as_mut_ptr(), count, 0) };
    usize::try_from(sent).unwrap_or(0)
}
