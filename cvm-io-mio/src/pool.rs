//! Pools of threads for what must not run in a loop: bounded in threads and in what waits for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::client::CLIENT_PATIENCE;
use cvm_core::driver::{Held, Tally};
use cvm_core::module::Temporary;
use cvm_core::wire::Packet;
use mio::Waker;
use zeroize::Zeroize;

use crate::batch::{DATAGRAM_MAX, WayBack};
use crate::connection::ConnectionId;

/// The stack of a thread: enough for a hash computed by a debug build and for the name service; small, because servers
/// run under memory limits.
pub(crate) const STACK_SIZE: usize = 512 * 1024;

/// The lowest priority: a loop beside busy workers on one core wakes up at once.
const NICE: i32 = 19;

/// A request that a loop passes on, and its answer on the way back.
pub(crate) struct Job {
    bytes: [u8; DATAGRAM_MAX],
    len: usize,
    pub(crate) origin: Origin,
    since: Instant,
    home: Arc<Mailbox>,
    pub(crate) answer: Packet,
}

/// Whom an answer is for.
pub(crate) enum Origin {
    /// The peer of one of the loop's UDP sockets; `in_hand` tells the datagram from others.
    Datagram { socket: usize, way_back: WayBack, in_hand: Held },
    /// A connection, and whether its peer has gone.
    Connection(ConnectionId, Arc<AtomicBool>),
}

impl Job {
    pub(crate) fn new(packet: &[u8], origin: Origin, since: Instant, home: &Arc<Mailbox>) -> Box<Self> {
        let home = Arc::clone(home);
        let mut job = Box::new(Self { bytes: [0; DATAGRAM_MAX], len: 0, origin, since, home, answer: Packet::new() });
        if let Some(place) = job.bytes.get_mut(..packet.len()) {
            place.copy_from_slice(packet);
            job.len = packet.len();
        }
        job
    }

    /// Answers with code 4: there is no room, or no time left.
    pub(crate) fn refuse(&mut self, answer: &dyn Answer) {
        let packet = self.bytes.get(..self.len).unwrap_or_default();
        answer.refuse(packet, &mut self.answer, Temporary::IO);
    }

    fn run(&mut self, answer: &dyn Answer) {
        let packet = self.bytes.get(..self.len).unwrap_or_default();
        // With all patience, it is answered.
        let _ = answer_packet(answer, packet, &mut self.answer, Patience::Blocking);
    }

    /// Tells whether the client has given up.
    fn has_expired(&self) -> bool {
        self.since.elapsed() > CLIENT_PATIENCE
    }

    /// Tells whether nobody is left to hear the answer.
    fn is_unwanted(&self) -> bool {
        matches!(&self.origin, Origin::Connection(_, is_gone) if is_gone.load(Ordering::Relaxed))
    }

    fn go_home(self: Box<Self>) {
        let home = Arc::clone(&self.home);
        home.post(self);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(used) = self.bytes.get_mut(..self.len) {
            used.zeroize();
        }
    }
}

/// Where the workers leave what is answered, for one loop.
pub(crate) struct Mailbox {
    done: Mutex<VecDeque<Box<Job>>>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { done: Mutex::default(), waker })
    }

    /// Leaves a job; the first one wakes the loop, for the others too.
    fn post(&self, job: Box<Job>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push_back(job);
        if done.len() == 1 {
            drop(done);
            // It fails only if the loop is gone.
            let _ = self.waker.wake();
        }
    }

    /// Takes everything that was left.
    pub(crate) fn empty(&self, into: &mut VecDeque<Box<Job>>) {
        into.append(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A bounded queue and the threads that work on it, which start when there is work for them.
pub(crate) struct Pool {
    answer: Arc<dyn Answer>,
    tally: Arc<Tally>,
    /// The most threads, at least one.
    workers: usize,
    /// The most jobs that wait for a thread.
    room: usize,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<Job>>,
    workers: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(answer: Arc<dyn Answer>, tally: Arc<Tally>, workers: usize, room: usize) -> Arc<Self> {
        let (queue, work) = (Mutex::default(), Condvar::new());
        Arc::new(Self { answer, tally, workers: workers.max(1), room, queue, work })
    }

    /// Takes as many jobs as there is room for from the front of `jobs`.
    pub(crate) fn take(self: &Arc<Self>, jobs: &mut VecDeque<Box<Job>>) {
        if jobs.is_empty() {
            return;
        }
        let mut queue = self.queue();
        // What an idle worker is about to take does not wait.
        let free = (self.room + queue.idle + (self.workers - queue.workers)).saturating_sub(queue.jobs.len());
        let taken = if queue.closed { 0 } else { free.min(jobs.len()) };
        queue.jobs.extend(jobs.drain(..taken));
        let wanted = queue.jobs.len().saturating_sub(queue.idle).min(self.workers - queue.workers);
        queue.workers += wanted;
        // Waking somebody is a system call, even if nobody sleeps.
        let woken = taken.min(queue.idle);
        drop(queue);
        (0..woken).for_each(|_| self.work.notify_one());
        (0..wanted).for_each(|_| self.hire());
    }

    /// Takes no more jobs, and refuses those that nobody works on.
    fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        let stranded = std::mem::take(&mut queue.jobs);
        drop(queue);
        self.work.notify_all();
        stranded.into_iter().for_each(|job| self.send_back(job));
    }

    fn hire(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        if thread::Builder::new().stack_size(STACK_SIZE).spawn(move || pool.work()).is_err() {
            self.make_do();
        }
    }

    /// Without a thread to be had, those that there are go on; if there is none, nobody waits for one.
    fn make_do(&self) {
        let mut queue = self.queue();
        queue.workers -= 1;
        let stranded = if queue.workers == 0 { std::mem::take(&mut queue.jobs) } else { VecDeque::new() };
        drop(queue);
        stranded.into_iter().for_each(|job| self.send_back(job));
    }

    /// Answers a job with code 4 and returns it to its loop.
    fn send_back(&self, mut job: Box<Job>) {
        self.tally.refused.add(1);
        job.refuse(&*self.answer);
        job.go_home();
    }

    fn work(&self) {
        // At normal priority answers are as right, only others wait longer.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        while let Some(mut job) = self.next() {
            if job.has_expired() {
                self.tally.expired.add(1);
            } else if !job.is_unwanted() {
                job.run(&*self.answer);
            }
            job.go_home();
        }
        self.queue().workers -= 1;
    }

    fn next(&self) -> Option<Box<Job>> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pools that all loops share.
#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) cpu: Arc<Pool>,
    pub(crate) wait: Arc<Pool>,
}

impl Pools {
    /// Takes no more jobs, and refuses those that nobody works on.
    pub(crate) fn close(&self) {
        self.cpu.close();
        self.wait.close();
    }
}
