//! Signals: SIGTERM and SIGINT ask to stop, SIGHUP to read files again, SIGCHLD does nothing.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// Descriptors that become readable when a signal has come.
pub(crate) struct Signals {
    /// The process is asked to end; stays readable.
    pub(crate) stop: UnixStream,
    /// Files are to be read again.
    pub(crate) reload: UnixStream,
}

impl Signals {
    /// Listens for signals from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let (stop, tell_stop) = UnixStream::pair()?;
        pipe::register(SIGTERM, tell_stop.try_clone()?)?;
        pipe::register(SIGINT, tell_stop)?;
        let (reload, tell_reload) = UnixStream::pair()?;
        pipe::register(SIGHUP, tell_reload)?;
        Ok(Self { stop, reload })
    }
}

/// Makes sure that the exit statuses of children can be had: a parent that ignores SIGCHLD hands that down.
pub fn collect_children() -> io::Result<()> {
    // Once: a handler stays, and each makes the next one slower to add.
    static FAILURE: OnceLock<Option<io::Error>> = OnceLock::new();
    let register = || flag::register(SIGCHLD, Arc::new(AtomicBool::new(false))).err();
    match FAILURE.get_or_init(register) {
        Some(error) => Err(error.kind().into()),
        None => Ok(()),
    }
}
