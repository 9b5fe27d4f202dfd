//! Makes the requests: threads that take turns, at once or each at its time.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cvm_bins::program::Stopped;
use cvm_core::Code;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::summary::Summary;
use crate::tally::Tally;

/// Asks for the turn of this number.
pub(crate) type Ask = Box<dyn Fn(u64) -> Result<Code, Stopped> + Send + Sync>;

/// How many requests may be under way at a given rate unless an option says it.
const AT_A_TIME: usize = 1000;

/// How long a run that was interrupted waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What ends a run, and how dense its requests are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) count: Option<u64>,
    pub(crate) duration: Option<Duration>,
    /// Requests per second, whether answers come or not; else the next one follows each answer.
    pub(crate) rate: Option<NonZero<u32>>,
    pub(crate) concurrency: Option<usize>,
}

impl Plan {
    /// Returns when the request of this number is due.
    fn due(&self, number: u64) -> Option<Duration> {
        let rate = u64::from(self.rate?.get());
        let fraction = Duration::from_nanos(number % rate * 1_000_000_000 / rate);
        Some(Duration::from_secs(number / rate) + fraction)
    }

    /// Returns how many requests are due before this time.
    fn due_before(&self, time: Duration) -> u64 {
        let time = self.duration.map_or(time, |duration| duration.min(time));
        let rate = self.rate.map_or(0, |rate| u128::from(rate.get()));
        let due = u64::try_from((time.as_nanos() * rate).div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        self.count.map_or(due, |count| count.min(due))
    }

    fn most_workers(&self) -> usize {
        let otherwise = if self.rate.is_some() { AT_A_TIME } else { 1 };
        self.concurrency.unwrap_or(otherwise)
    }
}

/// One request to make.
#[derive(Clone, Copy)]
struct Turn {
    number: u64,
    /// From when its latency counts: when it is due, or now.
    due: Instant,
}

/// A run, which its workers share.
struct Load {
    plan: Plan,
    ask: Ask,
    begin: Instant,
    stop: Arc<AtomicBool>,
    state: Mutex<State>,
    /// A worker has ended, or an answer after the stop.
    changed: Condvar,
}

struct State {
    workers: usize,
    most_workers: usize,
    /// Workers that wait for the time of their turn.
    waiting: usize,
    next: u64,
    begun: u64,
    ended: u64,
    is_time_over: bool,
    stopped_at: Option<Instant>,
    tally: Tally,
    failure: Option<Stopped>,
}

/// Makes the requests of a plan and tells `watch` now and then how far it is.
pub(crate) fn run(plan: Plan, ask: Ask, mut watch: impl FnMut(&Tally, Duration)) -> Result<Summary, Stopped> {
    let load = Load::new(plan, ask)?;
    let first_workers = if plan.rate.is_some() { 1 } else { plan.most_workers() };
    let mut state = load.state();
    for _ in 0..first_workers {
        load.add_worker(&mut state)?;
    }
    while state.workers > 0 {
        if load.is_stopped(&mut state) && state.patience_is_over() {
            break;
        }
        watch(&state.tally, load.begin.elapsed());
        let waited = load.changed.wait_timeout(state, Duration::from_millis(100));
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
    load.sum_up(&mut state)
}

impl State {
    fn patience_is_over(&self) -> bool {
        self.begun == self.ended || self.stopped_at.is_some_and(|stopped_at| stopped_at.elapsed() >= PATIENCE)
    }
}

impl Load {
    fn new(plan: Plan, ask: Ask) -> Result<Arc<Self>, Stopped> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&stop)).map_err(|error| Stopped::Io(format!("signals: {error}")))?;
        }
        let state = State {
            workers: 0,
            most_workers: plan.most_workers(),
            waiting: 0,
            next: 0,
            begun: 0,
            ended: 0,
            is_time_over: false,
            stopped_at: None,
            tally: Tally::new(),
            failure: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Ok(Arc::new(Self { plan, ask, begin: Instant::now(), stop, state, changed }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the run is to end, and notes when that was first seen.
    fn is_stopped(&self, state: &mut State) -> bool {
        let is_stopped = self.stop.load(Ordering::Relaxed);
        if is_stopped {
            state.stopped_at.get_or_insert_with(Instant::now);
        }
        is_stopped
    }

    fn add_worker(self: &Arc<Self>, state: &mut State) -> Result<(), Stopped> {
        let load = Arc::clone(self);
        let worker = thread::Builder::new().stack_size(512 * 1024).spawn(move || load.work());
        worker.map_err(|error| Stopped::Io(format!("a thread for requests: {error}")))?;
        state.workers += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        while let Some(turn) = self.take_turn() {
            thread::sleep(turn.due.saturating_duration_since(Instant::now()));
            if !self.begin() {
                break;
            }
            let answer = (self.ask)(turn.number);
            self.end(turn, answer);
        }
        self.state().workers -= 1;
        self.changed.notify_one();
    }

    fn take_turn(&self) -> Option<Turn> {
        let mut state = self.state();
        let number = state.next;
        let now = Instant::now();
        let due = self.plan.due(number).map_or(now, |due| self.begin + due);
        let end = self.plan.duration.map(|duration| self.begin + duration);
        if end.is_some_and(|end| now.max(due) >= end) {
            state.is_time_over = true;
            return None;
        }
        if self.is_stopped(&mut state) || self.plan.count.is_some_and(|count| number >= count) {
            return None;
        }
        state.next += 1;
        state.waiting += 1;
        Some(Turn { number, due })
    }

    /// Begins a request unless the run has been stopped. At a given rate somebody else must wait for the next one.
    fn begin(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        state.waiting -= 1;
        if self.is_stopped(&mut state) {
            return false;
        }
        state.begun += 1;
        let is_needed = self.plan.rate.is_some() && state.waiting == 0 && state.workers < state.most_workers;
        if is_needed && self.add_worker(&mut state).is_err() {
            // The system gives no more: that is the most.
            state.most_workers = state.workers;
        }
        true
    }

    fn end(&self, turn: Turn, answer: Result<Code, Stopped>) {
        let now = Instant::now();
        let (at, latency) = (now - self.begin, now.saturating_duration_since(turn.due));
        let mut state = self.state();
        state.ended += 1;
        let is_stopped = self.is_stopped(&mut state);
        match answer {
            // Commands get the terminal's signal, too: that they die of it is no answer.
            Ok(code) if is_stopped && code.is_temporary() => {}
            Ok(code) => state.tally.record(at, latency, code),
            Err(failure) => {
                state.failure.get_or_insert(failure);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        if self.is_stopped(&mut state) {
            self.changed.notify_one();
        }
    }

    fn sum_up(&self, state: &mut State) -> Result<Summary, Stopped> {
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let mut elapsed = self.begin.elapsed();
        if let Some(duration) = self.plan.duration.filter(|_| state.is_time_over) {
            elapsed = elapsed.max(duration);
        }
        let offered = state.stopped_at.map_or(elapsed, |stopped_at| stopped_at - self.begin);
        // Whoever is still waiting for an answer counts no more.
        let tally = std::mem::replace(&mut state.tally, Tally::new());
        Ok(Summary {
            elapsed,
            unfinished: state.begun - tally.answers(),
            unsent: self.plan.due_before(offered).saturating_sub(state.next),
            tally,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { count: None, duration: None, rate: NonZero::new(3), concurrency: None };

    #[test]
    fn requests_are_due_at_even_distances() {
        let due: Vec<_> = (0..4).map(|number| PLAN.due(number).expect("a rate")).collect();
        assert_eq!(due, [0, 333_333_333, 666_666_666, 1_000_000_000].map(Duration::from_nanos));
        assert_eq!(PLAN.due(3_000_000_000_000), Some(Duration::from_secs(1_000_000_000_000)));
    }

    #[test]
    fn what_is_due_is_bounded_by_time_and_count() {
        let second = Duration::from_secs(1);
        assert_eq!([Duration::ZERO, second / 10, second, second * 2].map(|time| PLAN.due_before(time)), [0, 1, 3, 6]);
        assert_eq!(Plan { duration: Some(second), ..PLAN }.due_before(second * 9), 3);
        assert_eq!(Plan { count: Some(4), ..PLAN }.due_before(second * 9), 4);
        assert_eq!(Plan { rate: None, ..PLAN }.due_before(second), 0);
    }
}
