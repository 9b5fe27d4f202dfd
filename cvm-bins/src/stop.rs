//! Signals: SIGTERM and SIGINT make a descriptor readable, SIGHUP and SIGCHLD do nothing.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// Returns a descriptor that becomes readable, and stays so, when the process is asked to end.
///
/// Files are looked at before each request anyway, so SIGHUP has nothing to do; left alone it would end the process.
pub(crate) fn on_signals() -> io::Result<UnixStream> {
    let (stop, tell) = UnixStream::pair()?;
    pipe::register(SIGTERM, tell.try_clone()?)?;
    pipe::register(SIGINT, tell)?;
    flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    Ok(stop)
}

/// Makes sure that the exit statuses of children can be had: a parent that ignores SIGCHLD hands that down.
pub(crate) fn collect_children() -> io::Result<()> {
    flag::register(SIGCHLD, Arc::new(AtomicBool::new(false))).map(drop)
}
