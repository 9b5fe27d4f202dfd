//! What needs unsafe code: descriptors that the caller has opened for us, the environment as a whole, and what becomes
//! of a signal.

#![expect(unsafe_code, reason = "the only place that takes descriptors by their number and sets signal handlers")]

use std::ffi::{OsString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

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

/// Ends the process at once.
pub(crate) fn exit(status: u8) -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(c_int::from(status)) }
}

/// Takes back what whoever started the process has made of its timers and signals; a closed pipe stays an error.
pub(crate) fn forget_timers_and_signals() -> io::Result<()> {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let timer = libc::itimerval { it_interval: never, it_value: never };
    for kind in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: it reads a structure of ours, and writes nothing.
        unsafe { libc::setitimer(kind, &raw const timer, std::ptr::null_mut()) };
    }
    let unchanged = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGPIPE];
    for which in Signal::iterator().filter(|which| !unchanged.contains(which)) {
        // SAFETY: the default runs no code of ours.
        unsafe { signal(which, SigHandler::SigDfl) }?;
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Tells whether the kernel says that this program has rights that whoever started it has not.
pub(crate) fn is_secure_execution() -> bool {
    // SAFETY: it reads a number that the kernel has left for the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Closes every descriptor from this number on: call it before anything is opened.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: as nothing was opened since the start, nobody here owns any of them.
    match unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, 0) } {
        0 => Ok(()),
        _ => close_listed_from(first),
    }
}

/// The same for kernels before 5.9.
fn close_listed_from(first: RawFd) -> io::Result<()> {
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<RawFd>().ok();
    let open: Vec<_> = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| number(entry.ok()?)).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= first) {
        // SAFETY: as in the caller; the one that the folder was read by is closed already, which is an error of no
        // importance.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// Replaces the environment: call it before there are threads.
pub(crate) fn replace_environment(variables: &[(String, OsString)]) {
    // SAFETY: nobody else reads the environment meanwhile. What is not of the form `NAME=value` goes too.
    unsafe {
        libc::clearenv();
        for (name, value) in variables {
            std::env::set_var(name, value);
        }
    }
}
