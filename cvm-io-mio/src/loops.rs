//! The running loops, and the threads that they are on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use crate::event_loop::{Common, EventLoop, Share};
use crate::pool::{Pool, STACK_SIZE, give_way, go_home};
use crate::seat::{PATIENCE, Seat};

/// The running loops.
pub(crate) struct Loops {
    count: usize,
    results: Receiver<io::Result<()>>,
    /// Dropped to tell the loops to end.
    stop: OwnedFd,
    /// Readable when a loop has ended.
    ended: OwnedFd,
}

impl Loops {
    /// Starts all loops or none.
    pub(crate) fn start(shares: Vec<Share>, common: &Common) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (ended, end) = io::pipe()?;
        let (tell, results) = mpsc::channel();
        let loops: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let event_loop = EventLoop::new(share, common.clone(), stopped.try_clone()?.into())?;
                let told = Told { tell: tell.clone(), end: end.try_clone()?, result: None };
                Ok(Box::new(Running { event_loop, told, seat: Arc::new(Seat::new()) }))
            })
            .collect::<io::Result<_>>()?;
        let mut started = Self { count: 0, results, stop: stop.into(), ended: ended.into() };
        for running in loops {
            let (seat, pool) = (Arc::clone(&running.seat), Arc::clone(&common.pools.wait));
            // One that does not start says so, too.
            started.count += 1;
            if let Err(error) = spawn(move || run(running, &seat, &pool)) {
                let _ = started.end();
                return Err(error);
            }
        }
        Ok(started)
    }

    /// Becomes readable when a loop has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Tells the loops to end and waits until they have. A thread that is at a job is not waited for.
    pub(crate) fn end(self) -> io::Result<()> {
        drop(self.stop);
        self.results.iter().take(self.count).fold(Ok(()), Result::and)
    }
}

/// A loop, which goes from thread to thread.
struct Running {
    event_loop: EventLoop,
    told: Told,
    seat: Arc<Seat<Box<Self>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.seat.close();
    }
}

/// Tells that a loop has ended, however it does, so that nobody waits for a loop that is not there.
struct Told {
    tell: Sender<io::Result<()>>,
    end: io::PipeWriter,
    result: Option<io::Result<()>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err(io::Error::other("a loop ended with a panic")));
        // These fail only if nobody listens: who has got the result may listen no more.
        let _ = rustix::io::write(&self.end, &[0]);
        let _ = self.tell.send(result);
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_SIZE).spawn(run).map(drop)
}

/// Has a second thread watch, if there is one to be had: without it, workers have all jobs.
fn hire(seat: &Arc<Seat<Box<Running>>>, pool: &Arc<Pool>) {
    let (its_seat, its_pool) = (Arc::clone(seat), Arc::clone(pool));
    let watch = move || {
        if let Some(mut running) = its_seat.watch(give_way) {
            running.event_loop.go_without(PATIENCE);
            run(running, &its_seat, &its_pool);
        }
    };
    if spawn(watch).is_err() {
        seat.stays_unwatched();
    }
}

/// Runs a loop until it ends or somebody else has it.
fn run(mut running: Box<Running>, seat: &Arc<Seat<Box<Running>>>, pool: &Arc<Pool>) {
    let this = rustix::thread::gettid();
    while !running.event_loop.is_over() {
        let mut jobs = match running.event_loop.go_on(seat.is_watched()) {
            Ok(jobs) => jobs,
            Err(error) => {
                running.told.result = Some(Err(error));
                return;
            }
        };
        if running.event_loop.wants_to_work() && seat.hires() {
            hire(seat, pool);
        }
        if jobs.is_empty() {
            continue;
        }
        let start = Instant::now();
        seat.leave(running, this);
        pool.run(&mut jobs);
        pool.dismiss_loop();
        let Some(back) = seat.come_back() else { return go_home(&mut jobs) };
        running = back;
        running.event_loop.take_back(jobs, start.elapsed());
    }
    running.told.result = Some(Ok(()));
}
