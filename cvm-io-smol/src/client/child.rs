//! Children: programs that are ended when nobody waits for them any more.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use smol::{Async, Timer};

/// How often to look for the end of a child where the kernel cannot tell.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A child that is ended, and collected, when dropped; one that has become somebody whose processes are not ours to
/// end is left alone.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Waits for the end of the child.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        // Readable when the child ends; there is none on an old kernel.
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty()).ok();
        let pidfd = pidfd.and_then(|fd| Async::new_nonblocking(fd).ok());
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            match &pidfd {
                Some(fd) => fd.readable().await?,
                None => drop(Timer::after(LOOK_AGAIN).await),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All of this does nothing for a child that was waited for. One that cannot be ended may run for ever.
        let ends = self.0.kill().is_ok();
        if ends && let Ok(None) = self.0.try_wait() {
            let pid = Pid::from_child(&self.0);
            // It ends soon, but where the kernel does not let it, that is not to be waited for in a loop.
            smol::unblock(move || retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))).detach();
        }
    }
}
