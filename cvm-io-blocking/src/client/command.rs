//! Asking a program: request on its standard input, response from its standard output, code from its exit status.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cvm_core::Code;
use cvm_core::client::ClientRequest;
use cvm_core::wire::Reply;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Cause, read_response};
use crate::ready;

/// How often to look for the end of a child where the kernel cannot tell.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) fn ask(
    program: &[u8],
    hidden: Option<&str>,
    request: &ClientRequest,
    deadline: Instant,
) -> Result<Reply, Cause> {
    let mut running = Running(start(program, hidden)?);
    if let Some(mut input) = running.0.stdin.take() {
        // It fits into an empty pipe. A module may answer without reading, so a broken pipe is no failure.
        let _ = input.write_all(request.bytes());
    }
    let output = running.0.stdout.take().ok_or(Cause::Silent)?;
    let response = read_response(&output, deadline);
    drop(output);
    let status = running.wait(deadline)?.code().ok_or(Cause::Killed)?;
    let code = Code::new(u8::try_from(status).unwrap_or(Code::GENERAL.byte()));
    Ok(request.check_command(&response?, code)?)
}

fn start(program: &[u8], hidden: Option<&str>) -> io::Result<Child> {
    let mut command = Command::new(OsStr::from_bytes(program));
    if let Some(variable) = hidden {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

/// A child that is ended, and collected, when nobody waits for it any more.
struct Running(Child);

impl Running {
    fn wait(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
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
        // Both do nothing for a child that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
