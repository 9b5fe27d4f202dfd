//! Children: programs that are waited for, but not for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::ready;

/// How often to look for the end of a child where the kernel cannot tell.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A child that is ended, and collected, when nobody waits for it any more; one that has become somebody whose
/// processes are not ours to end is left alone.
#[derive(Debug)]
pub struct Running(pub(crate) Child);

impl Running {
    /// Takes a child over.
    #[must_use]
    pub const fn new(child: Child) -> Self {
        Self(child)
    }

    /// Waits for the end of the child, for this long at most.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`], or what the system says.
    pub fn wait_for(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        self.wait(ready::deadline(timeout))
    }

    pub(crate) fn wait(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
        let pidfd = self.pidfd();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut fds = Vec::from_iter(pidfd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let next_look = if fds.is_empty() { deadline.min(Instant::now() + LOOK_AGAIN) } else { deadline };
            ready::wait(&mut fds, Some(next_look))?;
        }
    }

    /// A descriptor that becomes readable when the child ends; `None` on a kernel that has none.
    fn pidfd(&self) -> Option<OwnedFd> {
        let pid = Pid::from_child(&self.0);
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All of this does nothing for a child that was waited for.
        let _ = match self.0.kill() {
            Ok(()) => self.0.wait().map(Some),
            // It may run for ever.
            Err(_) => self.0.try_wait(),
        };
    }
}
