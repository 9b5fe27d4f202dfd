//! Pools of threads for what must not run in a loop: bounded in threads and in what waits for them.

mod gain;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use cvm_core::answer::{Answer, Asked, answer_packets};
use cvm_core::client::CLIENT_PATIENCE;
use cvm_core::driver::{Held, Tally};
use cvm_core::module::Temporary;
use cvm_core::wire::Packet;
use mio::Waker;
use rustix::process::Pid;
use zeroize::Zeroize;

use crate::batch::{DATAGRAM_MAX, WayBack};
use crate::connection::ConnectionId;
use gain::Gain;

/// The stack of a thread: enough for a hash computed by a debug build and for the name service; small, because servers
/// run under memory limits.
pub(crate) const STACK_SIZE: usize = 512 * 1024;

/// The lowest priority: a loop beside busy workers on one core wakes up at once. Those that wait may hash as well.
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

/// Requests of one turn.
pub(crate) type Jobs = Vec<Box<Job>>;

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

    fn asked(&mut self) -> Asked<'_> {
        Asked { packet: self.bytes.get(..self.len).unwrap_or_default(), out: &mut self.answer, code: None }
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
        home.post([self]);
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
    /// `None`: there is no loop any more.
    done: Mutex<Option<VecDeque<Box<Job>>>>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { done: Mutex::new(Some(VecDeque::new())), waker })
    }

    /// Leaves jobs; the first ones wake the loop, for the others too.
    fn post(&self, jobs: impl IntoIterator<Item = Box<Job>>) {
        let mut mailbox = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(done) = &mut *mailbox else { return jobs.into_iter().for_each(drop) };
        let was_empty = done.is_empty();
        done.extend(jobs);
        if was_empty {
            drop(mailbox);
            // It fails only if the loop is gone.
            let _ = self.waker.wake();
        }
    }

    /// Takes everything that was left.
    pub(crate) fn empty(&self, into: &mut VecDeque<Box<Job>>) {
        if let Some(done) = &mut *self.done.lock().unwrap_or_else(PoisonError::into_inner) {
            into.append(done);
        }
    }

    /// Throws away, and wipes, what is left and will be.
    pub(crate) fn close(&self) {
        let left = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(left);
    }
}

/// What a pool is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// The most threads, at least one.
    pub(crate) workers: usize,
    /// The most jobs that wait for a thread.
    pub(crate) room: usize,
    /// The most jobs that a worker takes at a time, if those gain from it.
    pub(crate) together: usize,
}

/// A bounded queue and the threads that work on it, which start when there is work for them.
pub(crate) struct Pool {
    answer: Arc<dyn Answer>,
    tally: Arc<Tally>,
    options: Work,
    queue: Mutex<Queue>,
    work: Condvar,
}

struct Queue {
    jobs: VecDeque<Box<Job>>,
    gain: Gain,
    workers: usize,
    /// Workers that sleep.
    idle: usize,
    /// Workers that were woken and do not know it yet.
    called: usize,
    /// Loops that do jobs themselves, each in the place of a worker.
    loops: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(answer: Arc<dyn Answer>, tally: Arc<Tally>, options: Work) -> Arc<Self> {
        let options = Work { workers: options.workers.max(1), ..options };
        let queue = Queue {
            jobs: VecDeque::new(),
            gain: Gain::new(options.together),
            workers: 0,
            idle: 0,
            called: 0,
            loops: 0,
            closed: false,
        };
        Arc::new(Self { answer, tally, options, queue: Mutex::new(queue), work: Condvar::new() })
    }

    /// Takes as many jobs as there is room for from the front of `jobs`.
    pub(crate) fn take(self: &Arc<Self>, jobs: &mut VecDeque<Box<Job>>) {
        if jobs.is_empty() {
            return;
        }
        let mut queue = self.queue();
        // What an idle worker is about to take does not wait.
        let at_hand = queue.idle + queue.called + (self.options.workers - queue.workers);
        let at_hand = at_hand.saturating_sub(queue.loops);
        let free = (self.options.room + at_hand).saturating_sub(queue.jobs.len());
        let taken = if queue.closed { 0 } else { free.min(jobs.len()) };
        queue.jobs.extend(jobs.drain(..taken));
        self.staff(queue);
    }

    /// Has workers come for the jobs that wait.
    fn staff(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        let needed = queue.jobs.len().div_ceil(queue.share());
        let more = needed.saturating_sub(queue.called).min(self.options.workers.saturating_sub(queue.busy()));
        // Waking somebody is a system call.
        let woken = more.min(queue.idle);
        queue.idle -= woken;
        queue.called += woken;
        let hired = (more - woken).min(self.options.workers - queue.workers);
        queue.workers += hired;
        drop(queue);
        (0..woken).for_each(|_| self.work.notify_one());
        (0..hired).for_each(|_| self.hire());
    }

    /// Tells whether nobody is at work.
    pub(crate) fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.busy() == 0 && queue.jobs.is_empty()
    }

    /// Lets a loop do jobs itself in the place of a worker, unless as many as there may be are at work.
    pub(crate) fn admit_loop(&self) -> bool {
        let mut queue = self.queue();
        let is_free = queue.busy() < self.options.workers;
        queue.loops += usize::from(is_free);
        is_free
    }

    /// Learns that the jobs of a loop are done.
    pub(crate) fn dismiss_loop(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.loops -= 1;
        if !queue.jobs.is_empty() {
            self.staff(queue);
        }
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
        give_way(rustix::thread::gettid());
        let mut jobs = Vec::new();
        while self.next(&mut jobs) {
            self.drop_expired(&mut jobs);
            self.run(&mut jobs);
            go_home(&mut jobs);
        }
        self.queue().workers -= 1;
    }

    /// Sends those home that nobody waits for any more, without an answer.
    fn drop_expired(&self, jobs: &mut Jobs) {
        for job in jobs.extract_if(.., |job| job.has_expired() || job.is_unwanted()) {
            if job.has_expired() {
                self.tally.expired.add(1);
            }
            job.go_home();
        }
    }

    /// Answers jobs.
    pub(crate) fn run(&self, jobs: &mut [Box<Job>]) {
        if jobs.is_empty() {
            return;
        }
        let start = Instant::now();
        let mut asked: Vec<_> = jobs.iter_mut().map(|job| job.asked()).collect();
        answer_packets(&*self.answer, &mut asked);
        let count = asked.len();
        if self.options.together > 1 {
            self.queue().gain.learn(count, start.elapsed());
        }
    }

    /// Waits for jobs; `false` if there will be none.
    fn next(&self, jobs: &mut Jobs) -> bool {
        let mut queue = self.queue();
        loop {
            let share = queue.share();
            if !queue.jobs.is_empty() {
                jobs.extend(queue.jobs.drain(..share));
                return true;
            }
            if queue.closed {
                return false;
            }
            queue.idle += 1;
            while queue.called == 0 && !queue.closed {
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            match queue.called {
                0 => queue.idle -= 1,
                _ => queue.called -= 1,
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Counts those that are at work, or about to be.
    const fn busy(&self) -> usize {
        self.workers - self.idle + self.loops
    }

    /// Returns how many jobs a worker takes, which is not all of them: while one waits for answers, another reads.
    fn share(&self) -> usize {
        self.gain.count().min(self.jobs.len().div_ceil(2)).max(1)
    }
}

/// Gives a thread the lowest priority.
pub(crate) fn give_way(thread: Pid) {
    // At normal priority answers are as right, only others wait longer.
    let _ = rustix::process::setpriority_process(Some(thread), NICE);
}

/// Returns jobs to their loops, each of which is woken once.
pub(crate) fn go_home(jobs: &mut Jobs) {
    while let Some(job) = jobs.last() {
        let home = Arc::clone(&job.home);
        home.post(jobs.extract_if(.., |job| Arc::ptr_eq(&job.home, &home)));
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
