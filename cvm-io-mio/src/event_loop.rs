//! One loop: its sockets, and what a turn does in which order.

use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cvm_core::answer::Answer;
use cvm_core::driver::Tally;
use cvm_core::module::Cost;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::connection::ConnectionId;
use crate::connections::{self, Connections};
use crate::datagrams::Datagrams;
use crate::pool::{Job, Jobs, Mailbox, Origin, Pools};
use crate::quick::Quick;

/// The events that one turn takes; others come with the next.
const EVENTS: usize = 256;

/// How long to wait before trying again when a socket fails, mostly for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest time-out that the clock can count: more is for ever.
const PATIENCE_MAX: Duration = Duration::from_secs(u32::MAX as u64);

/// How long a loop that ends goes on receiving at most, if more arrives all the time.
const LAST_RECEIVING: Duration = Duration::from_millis(100);

const WAKER: Token = Token(0);
const STOP: Token = Token(1);
const FIRST_LISTENER: usize = 1 << 16;
const FIRST_DATAGRAMS: usize = 1 << 17;

/// What one loop serves.
#[derive(Default)]
pub(crate) struct Share {
    pub(crate) locals: Vec<UnixListener>,
    pub(crate) udps: Vec<UdpSocket>,
}

/// What all loops have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) answer: Arc<dyn Answer>,
    pub(crate) pools: Pools,
    pub(crate) tally: Arc<Tally>,
    pub(crate) connection_options: connections::Options,
}

pub(crate) struct EventLoop {
    common: Common,
    poll: Poll,
    events: Events,
    datagrams: Vec<Datagrams>,
    connections: Connections,
    mailbox: Arc<Mailbox>,
    /// What the workers have answered.
    done: VecDeque<Box<Job>>,
    /// What they have not got yet.
    for_cpu: VecDeque<Box<Job>>,
    for_wait: VecDeque<Box<Job>>,
    quick: Quick,
    /// What this thread is to do after this turn, if it may.
    own: Jobs,
    may_work: bool,
    /// It would do what the last turn brought, if it might.
    wants_to_work: bool,
    /// When to try sockets again that failed.
    retry_at: Option<Instant>,
    ending: Option<Ending>,
    stop: OwnedFd,
}

/// The end of a loop, in three steps, each of which is done when its time has come, if not before: what has arrived is
/// received, what waits for a worker is refused, the loop ends.
#[derive(Clone, Copy)]
struct Ending {
    /// `None`: done.
    receive_until: Option<Instant>,
    refuse_at: Option<Instant>,
    end_at: Instant,
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl EventLoop {
    /// Sets up a loop that ends when `stop` becomes readable.
    pub(crate) fn new(share: Share, common: Common, stop: OwnedFd) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mailbox = Mailbox::new(Waker::new(poll.registry(), WAKER)?);
        let datagrams: Vec<_> = share.udps.into_iter().map(Datagrams::new).collect::<io::Result<_>>()?;
        let connections = Connections::new(share.locals, common.connection_options);
        let quick = Quick::new(common.answer.at_once().max(1));
        let event_loop = Self {
            common,
            poll,
            events: Events::with_capacity(EVENTS),
            datagrams,
            connections,
            mailbox,
            done: VecDeque::new(),
            for_cpu: VecDeque::new(),
            for_wait: VecDeque::new(),
            quick,
            own: Jobs::new(),
            may_work: false,
            wants_to_work: false,
            retry_at: None,
            ending: None,
            stop,
        };
        event_loop.register()?;
        Ok(event_loop)
    }

    fn register(&self) -> io::Result<()> {
        let add = |fd: i32, token: usize, interest: Interest| {
            self.poll.registry().register(&mut SourceFd(&fd), Token(token), interest)
        };
        add(self.stop.as_raw_fd(), STOP.0, Interest::READABLE)?;
        for (index, listener) in self.connections.listeners().enumerate() {
            add(listener.as_raw_fd(), FIRST_LISTENER + index, Interest::READABLE)?;
        }
        for (index, socket) in self.datagrams.iter().enumerate() {
            add(socket.descriptor().as_raw_fd(), FIRST_DATAGRAMS + index, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Waits for something to do and does it. Then there may be jobs that this thread should do itself, if it may.
    pub(crate) fn go_on(&mut self, may_work: bool) -> io::Result<Jobs> {
        self.may_work = may_work;
        self.wait()?;
        self.turn();
        Ok(std::mem::take(&mut self.own))
    }

    /// Tells whether there were such jobs, whether it might do them or not.
    pub(crate) const fn wants_to_work(&self) -> bool {
        self.wants_to_work
    }

    /// Takes jobs that this thread has done in this time.
    pub(crate) fn take_back(&mut self, jobs: Jobs, time: Duration) {
        self.quick.learn(jobs.len(), time, Instant::now());
        self.done.extend(jobs);
    }

    /// Learns that another thread is still at such a job after this time.
    pub(crate) fn go_without(&mut self, time: Duration) {
        self.quick.learn_loss(time, Instant::now());
    }

    /// Tells whether it was time to stop, and what was in hand is finished or takes too long.
    pub(crate) fn is_over(&self) -> bool {
        let is_idle = |ending: &Ending| ending.receive_until.is_none() && self.is_idle();
        self.ending.is_some_and(|ending| Instant::now() >= ending.end_at || is_idle(&ending))
    }

    /// Tells whether nothing is in hand.
    fn is_idle(&self) -> bool {
        self.connections.is_empty() && self.done.is_empty() && self.datagrams.iter().all(Datagrams::is_done)
    }

    /// Waits for events, unless there is work without.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = if self.has_work() { Some(Duration::ZERO) } else { self.time_left() };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    fn has_work(&self) -> bool {
        self.done.iter().any(|job| self.has_room(job))
            || self.connections.has_work()
            || self.datagrams.iter().any(Datagrams::has_work)
    }

    /// Returns the time until the next deadline.
    fn time_left(&self) -> Option<Duration> {
        let ending = self.ending.map(|ending| [ending.receive_until, ending.refuse_at, Some(ending.end_at)]);
        let deadlines = [self.connections.next_deadline(), self.retry_at];
        let next = deadlines.into_iter().chain(ending.into_iter().flatten()).flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// One round: receive, look at files, answer, log, send.
    fn turn(&mut self) {
        let now = Instant::now();
        self.handle_events(now);
        self.connections.expire(now);
        self.retry(now);
        self.receive(now);
        self.answer(now);
        self.hand_over(now);
        self.take_results();
        self.common.answer.end_round();
        self.send_datagrams();
        self.connections.send(self.poll.registry(), now);
    }

    /// Sends answers, and asks for events when a socket takes no more: only then, as every datagram that leaves would
    /// be one.
    fn send_datagrams(&mut self) {
        for (index, socket) in self.datagrams.iter_mut().enumerate() {
            socket.send();
            let (fd, token) = (socket.descriptor().as_raw_fd(), Token(FIRST_DATAGRAMS + index));
            socket.change_interest(|interest| self.poll.registry().reregister(&mut SourceFd(&fd), token, interest));
        }
    }

    fn handle_events(&mut self, now: Instant) {
        let mut stop = false;
        for event in &self.events {
            let token = event.token();
            match token.0 {
                _ if token == WAKER => self.mailbox.empty(&mut self.done),
                _ if token == STOP => stop = true,
                _ if let Some(id) = ConnectionId::of(token) => {
                    self.connections.handle(event, id, self.poll.registry());
                }
                token if token >= FIRST_DATAGRAMS => {
                    if let Some(socket) = self.datagrams.get_mut(token - FIRST_DATAGRAMS) {
                        socket.wake(event.is_readable() || event.is_error(), event.is_writable());
                    }
                }
                token => self.connections.wake_listener(token - FIRST_LISTENER),
            }
        }
        if stop {
            self.begin_to_end(now);
        }
    }

    fn begin_to_end(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let timeout = self.common.connection_options.io_timeout.min(PATIENCE_MAX);
        let receive_until = Some(now + timeout.min(LAST_RECEIVING));
        self.ending = Some(Ending { receive_until, refuse_at: Some(now + timeout), end_at: now + timeout * 2 });
    }

    /// Tries again what failed a while ago.
    fn retry(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|retry_at| retry_at <= now) {
            self.retry_at = None;
            self.connections.wake_listeners();
            self.datagrams.iter_mut().for_each(|socket| socket.is_readable = true);
        }
    }

    fn receive(&mut self, now: Instant) {
        match self.ending {
            None => self.receive_more(now),
            Some(Ending { receive_until: Some(until), .. }) if now < until => {
                self.receive_more(now);
                if !self.may_have_more() {
                    self.receive_no_more();
                }
            }
            Some(_) => self.receive_no_more(),
        }
    }

    /// Tells whether something may have arrived that was not received.
    fn may_have_more(&self) -> bool {
        self.connections.may_have_more() || self.datagrams.iter().any(|socket| socket.is_readable)
    }

    fn receive_no_more(&mut self) {
        self.connections.close_listeners();
        self.datagrams.iter_mut().for_each(|socket| socket.is_readable = false);
        if let Some(ending) = &mut self.ending {
            ending.receive_until = None;
        }
    }

    fn receive_more(&mut self, now: Instant) {
        let Self { connections, datagrams, poll, common, .. } = self;
        let mut failed = connections.accept(poll.registry(), now, &common.tally).is_err();
        for socket in datagrams {
            failed |= socket.receive().is_err();
        }
        if failed {
            self.retry_at = now.checked_add(PAUSE);
        }
    }

    fn answer(&mut self, now: Instant) {
        if !self.connections.has_complete() && !self.datagrams.iter().any(Datagrams::has_received) {
            return;
        }
        let Self { common, poll, mailbox, for_cpu, for_wait, .. } = self;
        // A module that panics here goes on with what it has.
        let _ = catch_unwind(AssertUnwindSafe(|| common.answer.refresh()));
        let mut defer = |cost, packet: &[u8], origin| {
            let queue = if cost == Cost::Cpu { &mut *for_cpu } else { &mut *for_wait };
            queue.push_back(Job::new(packet, origin, now, mailbox));
        };
        for (index, socket) in self.datagrams.iter_mut().enumerate() {
            let resent = socket.answer(&*common.answer, |deferred| {
                defer(deferred.cost, deferred.packet, deferred.origin(index));
            });
            common.tally.resent.add(resent);
        }
        self.connections.answer(&*common.answer, poll.registry(), |deferred| {
            defer(deferred.cost, deferred.packet, Origin::Connection(deferred.id, deferred.is_gone));
        });
    }

    /// Gives the pools what they have room for, and refuses the rest at once.
    fn hand_over(&mut self, now: Instant) {
        let Self { common, for_cpu, for_wait, done, own, quick, .. } = self;
        common.pools.cpu.take(for_cpu);
        let wait = &common.pools.wait;
        self.wants_to_work =
            !for_wait.is_empty() && common.answer.waits_in_place() && quick.suits(for_wait.len(), wait.is_idle(), now);
        if self.wants_to_work && self.may_work && wait.admit_loop() {
            own.extend(for_wait.drain(..));
        }
        common.pools.wait.take(for_wait);
        common.tally.refused.add(for_cpu.len() + for_wait.len());
        for mut job in for_cpu.drain(..).chain(for_wait.drain(..)) {
            job.refuse(&*common.answer);
            done.push_back(job);
        }
        if let Some(ending) = &mut self.ending
            && ending.refuse_at.is_some_and(|refuse_at| refuse_at <= now)
        {
            ending.refuse_at = None;
            common.pools.close();
        }
    }

    /// Takes what the workers have answered, as far as there is room to send it.
    fn take_results(&mut self) {
        for _ in 0..self.done.len() {
            let Some(job) = self.done.pop_front() else { return };
            match job.origin {
                Origin::Connection(id, _) => self.connections.take_result(&job.answer, id),
                Origin::Datagram { .. } if !self.has_room(&job) => self.done.push_back(job),
                Origin::Datagram { socket, way_back, in_hand } => {
                    if let Some(socket) = self.datagrams.get_mut(socket) {
                        socket.take_result(&job.answer, way_back, in_hand);
                    }
                }
            }
        }
    }

    fn has_room(&self, job: &Job) -> bool {
        match job.origin {
            Origin::Connection(..) => true,
            Origin::Datagram { socket, .. } => self.datagrams.get(socket).is_some_and(Datagrams::has_room),
        }
    }
}
