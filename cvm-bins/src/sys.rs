//! Descriptors that the caller has opened for us.

#![expect(unsafe_code, reason = "the only place that takes descriptors by their number")]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};

/// Takes over a descriptor that the process was started with: call it once, before anything else is opened.
///
/// # Errors
///
/// `EBADF` if the caller has not opened it.
pub(crate) fn inherited(number: RawFd) -> io::Result<File> {
    // SAFETY: it is only asked whether it is open, and nothing closes descriptors meanwhile.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    // SAFETY: it is open, and as nothing was opened since the start, nobody else here owns it.
    Ok(unsafe { File::from_raw_fd(number) })
}
