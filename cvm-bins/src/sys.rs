//! What needs unsafe code: descriptors that the caller has opened for us, and what becomes of a signal.

#![expect(unsafe_code, reason = "the only place that takes descriptors by their number and sets signal handlers")]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};

use nix::sys::signal::{SigHandler, Signal, signal};

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

/// Makes writing to a closed pipe an error of that write.
pub(crate) fn ignore_broken_pipes() -> io::Result<()> {
    // SAFETY: ignoring a signal runs no code in its handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(())
}
