//! Measuring candidates in turn, on chosen cores, until somebody stops it.

use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::statistics::median;

/// What a benchmark unwinds with after a signal.
pub(crate) struct Stopped;

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes note of SIGINT and SIGTERM, for [`go_on`] to find: every wait is bounded, so it soon does.
pub(crate) fn stop_on_signals() {
    let stop = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(stop)).expect("signals can be handled");
    }
}

/// Unwinds if a signal has come. Every long loop calls it.
pub(crate) fn go_on() {
    if STOP.get().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        panic::resume_unwind(Box::new(Stopped));
    }
}

/// Runs something and returns the seconds that it took.
pub(crate) fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Something to measure: each call is one measurement.
pub(crate) type Candidate<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// What was measured: for each candidate one value of each round.
pub(crate) struct Samples(Vec<Vec<f64>>);

impl Samples {
    /// Measures each candidate once a round. A round before the first one warms up.
    pub(crate) fn in_turn(rounds: usize, candidates: &mut [Candidate<'_>]) -> Self {
        let mut samples = vec![Vec::with_capacity(rounds); candidates.len()];
        for round in 0..=rounds {
            for (candidate, samples) in candidates.iter_mut().zip(&mut samples) {
                go_on();
                let sample = candidate();
                if round > 0 {
                    samples.push(sample);
                }
            }
        }
        Self(samples)
    }

    /// The median of a candidate.
    pub(crate) fn median(&self, candidate: usize) -> f64 {
        median(&self.0[candidate])
    }

    /// How many times the value of another one a candidate has: the median over the rounds.
    pub(crate) fn ratio(&self, candidate: usize, to: usize) -> f64 {
        let ratios: Vec<f64> = self.0[candidate].iter().zip(&self.0[to]).map(|(value, limit)| value / limit).collect();
        median(&ratios)
    }
}

/// Which of the cores that this process may use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// The first: for servers and for what is measured alone.
    First,
    /// The last: for the load.
    Last,
}

/// This thread, and the processes it starts, on one core; on those it had before when dropped.
pub(crate) struct Pinned(CpuSet);

impl Pinned {
    pub(crate) fn to(core: Core) -> Self {
        let before = sched_getaffinity(None).expect("the cores of a thread can be asked for");
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| before.is_set(cpu));
        let chosen = match core {
            Core::First => usable.next(),
            Core::Last => usable.next_back(),
        };
        let mut set = CpuSet::new();
        set.set(chosen.expect("a thread has a core"));
        sched_setaffinity(None, &set).expect("a thread can be bound to one of its cores");
        Self(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Nothing depends on it but figures.
        let _ = sched_setaffinity(None, &self.0);
    }
}
