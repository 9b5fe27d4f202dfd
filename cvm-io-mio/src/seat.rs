//! The seat at a loop: whoever has the loop can leave it for a job that is hardly worth the way to a worker and back. If
//! that takes longer than expected, somebody who watches goes on with the loop.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;

/// How often it is looked whether a thread is still at the same job as before.
const TICK: Duration = Duration::from_millis(1);

/// How long it may be at a job at most before it loses the loop.
pub(crate) const PATIENCE: Duration = TICK.saturating_mul(2);

/// After so many ticks without a job, whoever watches sleeps until there is one.
const QUIET_TICKS: u32 = 20;

/// Where a loop is while whoever has it does a job.
pub(crate) struct Seat<L> {
    state: Mutex<State<L>>,
    wakes: Condvar,
}

struct State<L> {
    /// The loop, and whose it is.
    left: Option<(L, Pid)>,
    /// How often it was left so far.
    times: u64,
    watch: Watch,
    is_closed: bool,
}

/// Whether somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Nobody does, and somebody should be hired for it.
    Wanted,
    /// Nobody does until the thread that has lost the loop has done its job.
    Lost,
    /// Nobody ever will: there are no threads to be had.
    Never,
    /// Somebody has been hired, who looks at each tick as soon as he is there.
    Ticks,
    /// Somebody wants to be woken when the loop is left.
    Sleeps,
}

impl<L> Seat<L> {
    pub(crate) const fn new() -> Self {
        let state = State { left: None, times: 0, watch: Watch::Wanted, is_closed: false };
        Self { state: Mutex::new(state), wakes: Condvar::new() }
    }

    /// Tells whether somebody should be hired to watch, who counts from now on.
    pub(crate) fn hires(&self) -> bool {
        let mut state = self.state();
        let is_wanted = state.watch == Watch::Wanted;
        if is_wanted {
            state.watch = Watch::Ticks;
        }
        is_wanted
    }

    /// Learns that nobody can be hired; it is not tried again.
    pub(crate) fn stays_unwatched(&self) {
        self.state().watch = Watch::Never;
    }

    /// Tells whether somebody would go on with a loop that is left.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.state().watch, Watch::Ticks | Watch::Sleeps)
    }

    /// Leaves the loop while this thread does a job.
    pub(crate) fn leave(&self, it: L, thread: Pid) {
        let mut state = self.state();
        state.left = Some((it, thread));
        state.times += 1;
        if state.watch == Watch::Sleeps {
            state.watch = Watch::Ticks;
            drop(state);
            self.wakes.notify_one();
        }
    }

    /// Takes the loop again after the job; `None` if somebody else has it.
    pub(crate) fn come_back(&self) -> Option<L> {
        let mut state = self.state();
        let left = state.left.take();
        if left.is_none() {
            state.watch = Watch::Wanted;
        }
        left.map(|(left, _)| left)
    }

    /// Waits for a loop that is left for too long, and tells the thread that has lost it; `None` if there is no loop any
    /// more.
    pub(crate) fn watch(&self, tell: impl FnOnce(Pid)) -> Option<L> {
        let mut state = self.state();
        let (mut seen, mut quiet) = (state.times, 0);
        while !state.is_closed {
            if quiet == QUIET_TICKS {
                state.watch = Watch::Sleeps;
                let sleeps = |state: &mut State<L>| state.watch == Watch::Sleeps && !state.is_closed;
                state = self.wakes.wait_while(state, sleeps).unwrap_or_else(PoisonError::into_inner);
                (seen, quiet) = (state.times, 0);
            }
            let (woken, tick) = self.wakes.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if !tick.timed_out() {
                continue;
            }
            let is_same = state.times == seen;
            if is_same && let Some((left, thread)) = state.left.take() {
                state.watch = Watch::Lost;
                // It is there: without this lock it does not get beyond its job.
                tell(thread);
                return Some(left);
            }
            (seen, quiet) = (state.times, if is_same { quiet + 1 } else { 0 });
        }
        None
    }

    /// Tells whoever watches that there is no loop any more.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.wakes.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rustix::thread::gettid;

    use super::*;

    fn wait_until(seat: &Seat<u32>, watch: Watch) {
        while seat.state().watch != watch {
            thread::yield_now();
        }
    }

    /// Runs with somebody who watches, and says what he got.
    fn watched(run: impl FnOnce(&Seat<u32>, &mpsc::Receiver<Option<(u32, Pid)>>)) {
        let seat = Seat::new();
        assert!(!seat.is_watched());
        assert!(seat.hires());
        assert!(!seat.hires());
        thread::scope(|scope| {
            let (say, said) = mpsc::channel();
            let watching = &seat;
            scope.spawn(move || {
                let mut loser = None;
                let left = watching.watch(|thread| loser = Some(thread));
                say.send(left.zip(loser))
            });
            run(&seat, &said);
            seat.close();
        });
    }

    #[test]
    fn who_comes_back_soon_has_the_loop_again() {
        watched(|seat, said| {
            for turn in 0..1000 {
                seat.leave(turn, gettid());
                // Whoever has to wait for the processor may lose it.
                match seat.come_back() {
                    Some(left) => assert_eq!(left, turn),
                    None => return assert_eq!(said.recv(), Ok(Some((turn, gettid())))),
                }
            }
            assert!(seat.is_watched());
        });
    }

    #[test]
    fn who_stays_away_loses_it_to_one_who_looks_or_sleeps() {
        for watch in [Watch::Ticks, Watch::Sleeps] {
            watched(|seat, said| {
                wait_until(seat, watch);
                seat.leave(7, gettid());
                assert_eq!(said.recv(), Ok(Some((7, gettid()))));
                assert!(!seat.is_watched() && !seat.hires());
                assert_eq!(seat.come_back(), None);
                assert!(seat.hires());
            });
        }
    }

    #[test]
    fn nobody_watches_a_loop_that_has_ended() {
        for watch in [Watch::Ticks, Watch::Sleeps] {
            watched(|seat, said| {
                wait_until(seat, watch);
                seat.close();
                assert_eq!(said.recv(), Ok(None));
            });
        }
    }

    #[test]
    fn where_nobody_can_be_hired_nobody_is_wanted() {
        let seat = Seat::<u32>::new();
        assert!(seat.hires());
        seat.stays_unwatched();
        assert!(!seat.hires() && !seat.is_watched());
    }
}
