//! The system calls that no library offers as needed here: `recvmmsg` and `sendmmsg` with control messages of their
//! own, and how many datagrams a socket has dropped. The calls are made directly, as musl's `sendmmsg` sends one by one.

#![expect(unsafe_code, reason = "the only place with system calls of this crate's own")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{MSG_DONTWAIT, SYS_recvmmsg, SYS_sendmmsg, iovec, mmsghdr, sockaddr_in6};

/// The datagrams that one system call moves at most.
pub(crate) const BATCH: usize = 64;

/// The address of a peer, of either family, as the kernel writes and reads it.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    storage: sockaddr_in6,
    len: u32,
}

/// Room for one control message with `in_pktinfo` or `in6_pktinfo`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Control {
    pub(crate) bytes: [u8; Self::MAX],
    pub(crate) len: usize,
}

impl Control {
    /// The size of a header and an `in6_pktinfo`, rounded up.
    pub(crate) const MAX: usize = 40;

    pub(crate) const EMPTY: Self = Self { bytes: [0; Self::MAX], len: 0 };
}

impl Address {
    pub(crate) const EMPTY: Self = Self {
        storage: sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
        len: 0,
    };

    /// Returns the bytes that the kernel wrote.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = (self.len as usize).min(size_of::<sockaddr_in6>());
        // SAFETY: the structure has no padding, is initialised to its end, and `len` does not exceed its size.
        unsafe { std::slice::from_raw_parts((&raw const self.storage).cast(), len) }
    }
}

/// A datagram to receive into.
pub(crate) struct Incoming<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) len: &'a mut usize,
    pub(crate) from: &'a mut Address,
    pub(crate) control: &'a mut Control,
}

/// A datagram to send.
pub(crate) struct Outgoing<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) to: &'a Address,
    pub(crate) control: &'a Control,
}

const NO_PART: iovec = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

// SAFETY: headers are plain numbers and pointers, which may be null; C libraries differ in their padding.
const NO_MESSAGE: mmsghdr = unsafe { std::mem::zeroed() };

/// Receives up to [`BATCH`] datagrams without waiting, and returns how many; what is longer than its place is cut.
pub(crate) fn receive<'a>(
    socket: BorrowedFd<'_>,
    slots: impl Iterator<Item = Incoming<'a>>,
    with_control: bool,
) -> io::Result<usize> {
    let mut parts = [NO_PART; BATCH];
    let mut messages = [NO_MESSAGE; BATCH];
    let mut places: [Option<Incoming<'a>>; BATCH] = [const { None }; BATCH];
    let mut count = 0;
    for (((part, message), place), slot) in parts.iter_mut().zip(&mut messages).zip(&mut places).zip(slots) {
        let slot = place.insert(slot);
        *part = iovec { iov_base: slot.bytes.as_mut_ptr().cast(), iov_len: slot.bytes.len() };
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_name = (&raw mut slot.from.storage).cast();
        message.msg_hdr.msg_namelen = socklen_of::<sockaddr_in6>();
        if with_control {
            message.msg_hdr.msg_control = slot.control.bytes.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = Control::MAX as _;
        }
        count += 1;
    }
    // SAFETY: the first `count` messages point to parts, addresses and control buffers that are borrowed until the
    // end of this function, with their lengths.
    let received = unsafe {
        let no_time_out = std::ptr::null_mut::<libc::timespec>();
        libc::syscall(SYS_recvmmsg, socket.as_raw_fd(), messages.as_mut_ptr(), count, MSG_DONTWAIT, no_time_out)
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for (message, place) in messages.iter().zip(&mut places).take(received) {
        if let Some(slot) = place {
            *slot.len = (message.msg_len as usize).min(slot.bytes.len());
            slot.from.len = message.msg_hdr.msg_namelen;
            let filled: usize = message.msg_hdr.msg_controllen as _;
            slot.control.len = filled.min(Control::MAX);
        }
    }
    Ok(received)
}

/// Sends up to [`BATCH`] datagrams without waiting, and returns how many; an error is that of the first one.
pub(crate) fn send<'a>(socket: BorrowedFd<'_>, datagrams: impl Iterator<Item = Outgoing<'a>>) -> io::Result<usize> {
    let mut parts = [NO_PART; BATCH];
    let mut messages = [NO_MESSAGE; BATCH];
    let mut count = 0;
    for ((part, message), datagram) in parts.iter_mut().zip(&mut messages).zip(datagrams) {
        *part = iovec { iov_base: datagram.bytes.as_ptr().cast_mut().cast(), iov_len: datagram.bytes.len() };
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_name = (&raw const datagram.to.storage).cast_mut().cast();
        message.msg_hdr.msg_namelen = datagram.to.len;
        if datagram.control.len > 0 {
            message.msg_hdr.msg_control = datagram.control.bytes.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_controllen = datagram.control.len as _;
        }
        count += 1;
    }
    // SAFETY: the first `count` messages point to bytes, addresses and control messages that outlive `'a`, with their
    // lengths; the kernel only reads them.
    let sent = unsafe { libc::syscall(SYS_sendmmsg, socket.as_raw_fd(), messages.as_mut_ptr(), count, MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Returns how many datagrams the kernel has dropped at this socket: `SO_MEMINFO`, socket(7) has it not.
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> u32 {
    /// `SK_MEMINFO_VARS` and `SK_MEMINFO_DROPS` of linux/sock_diag.h.
    const VARIABLES: usize = 9;
    const DROPS: usize = 8;
    let mut values = [0_u32; VARIABLES];
    let mut len = socklen_of::<[u32; VARIABLES]>();
    // SAFETY: the kernel writes at most `len` bytes, which is the size of `values`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    // An older kernel does not know; then nothing is told.
    if result == 0 { values[DROPS] } else { 0 }
}

/// Asks the kernel to tell to which address each datagram was sent.
pub(crate) fn tell_destination(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    let (level, option) = match is_ipv4 {
        true => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        false => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads an integer of the size that it is told.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), socklen_of::<libc::c_int>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Returns the size of a type as system calls take it.
const fn socklen_of<T>() -> libc::socklen_t {
    #[expect(clippy::cast_possible_truncation, reason = "the types are small")]
    let size = size_of::<T>() as libc::socklen_t;
    size
}
