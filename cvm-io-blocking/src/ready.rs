//! Waiting for descriptors until a deadline.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;

/// What stands for a time-out beyond the range of the clock, which is one that never comes.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Tells when a time-out that begins now is over.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + FOR_EVER)
}

/// Waits until one of `fds` is ready; `false` when the deadline has passed before.
///
/// Interrupted waits go on. Without a deadline the wait has no end.
pub(crate) fn wait(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // A time beyond what the kernel can count is no deadline.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(fds, timeout.as_ref()) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
