//! Crews: the threads that serve one socket, as many as are needed and no more than allowed.
//!
//! One idle worker at a time has the turn: it alone waits for the next job, takes it, passes the turn on and works.
//! While all workers are busy nobody takes jobs, so the rest waits in the kernel's queue.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::ready;

/// Enough for a hash computed by a debug build and for the name service; small, because servers run under memory
/// limits.
const STACK_SIZE: usize = 512 * 1024;

/// How long to wait before trying again when taking a job fails, mostly for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// Where jobs come from, and what is done with one.
pub(crate) trait Source: Send + Sync + 'static {
    type Job;

    /// Becomes readable when there may be a job.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Takes a job if there is one, without waiting.
    fn take(&self) -> io::Result<Option<Self::Job>>;

    /// Does the job; may take its time.
    fn work(&self, job: Self::Job);
}

pub(crate) struct Crew<S> {
    source: S,
    stop: OwnedFd,
    /// The most threads that this crew may have, at least one.
    bound: usize,
    turn: Mutex<()>,
    tally: Arc<Tally>,
}

/// Who is there; outlives the crew, so that the last worker lets go of the socket before it says that it has left.
#[derive(Default)]
struct Tally {
    counts: Mutex<Counts>,
    left: Condvar,
}

#[derive(Default)]
struct Counts {
    workers: usize,
    busy: usize,
}

impl<S: Source> Crew<S> {
    /// Starts with one worker; `stop` becomes readable when no more jobs are to be taken.
    pub(crate) fn start(source: S, stop: OwnedFd, bound: usize) -> io::Result<Arc<Self>> {
        let crew = Arc::new(Self { source, stop, bound: bound.max(1), turn: Mutex::default(), tally: Arc::default() });
        crew.hire()?;
        Ok(crew)
    }

    /// Waits until all workers have left, or the deadline has passed.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        drop(self.tally.left.wait_timeout_while(self.counts(), left, |counts| counts.workers > 0));
    }

    fn hire(self: &Arc<Self>) -> io::Result<()> {
        let crew = Arc::clone(self);
        self.counts().workers += 1;
        let started = thread::Builder::new().stack_size(STACK_SIZE).spawn(move || crew.serve());
        if let Err(error) = started {
            self.counts().workers -= 1;
            return Err(error);
        }
        Ok(())
    }

    fn serve(self: Arc<Self>) {
        while let Some(job) = self.next() {
            self.begin();
            // What panics beyond the module costs one job, not a worker.
            let _ = catch_unwind(AssertUnwindSafe(|| self.source.work(job)));
            self.counts().busy -= 1;
        }
        let tally = Arc::clone(&self.tally);
        drop(self);
        tally.counts().workers -= 1;
        tally.left.notify_all();
    }

    /// Waits for the turn and for a job; `None` when it is time to stop.
    fn next(&self) -> Option<S::Job> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.source.descriptor(), PollFlags::IN),
            ];
            let ready = ready::wait(&mut fds, None);
            if !fds[0].revents().is_empty() {
                return None;
            }
            match ready.and_then(|_| self.source.take()) {
                Ok(Some(job)) => return Some(job),
                Ok(None) => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Takes note of a job, and hires somebody for the next one if all are busy.
    fn begin(self: &Arc<Self>) {
        let alone = {
            let mut counts = self.counts();
            counts.busy += 1;
            counts.busy == counts.workers && counts.workers < self.bound
        };
        if alone {
            // Without a thread to be had, those that there are go on.
            let _ = self.hire();
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.tally.counts()
    }
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
