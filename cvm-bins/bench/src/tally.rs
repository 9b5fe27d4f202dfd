//! What is counted while requests are made.

use std::collections::BTreeMap;
use std::time::Duration;

use cvm_core::Code;
use hdrhistogram::{Counter, Histogram};

use crate::timeline::Timeline;

/// What becomes of the answers.
pub(crate) struct Tally {
    pub(crate) latencies: Histogram<u64>,
    pub(crate) codes: BTreeMap<u8, u64>,
    pub(crate) first_failure: Option<Code>,
    pub(crate) timeline: Timeline,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { latencies: new_histogram(3), codes: BTreeMap::new(), first_failure: None, timeline: Timeline::new() }
    }

    /// Counts an answer that came at this time after the start.
    pub(crate) fn record(&mut self, at: Duration, latency: Duration, code: Code) {
        self.latencies.saturating_record(nanoseconds(latency));
        self.timeline.record(at, latency);
        *self.codes.entry(code.byte()).or_default() += 1;
        if !code.is_success() {
            self.first_failure.get_or_insert(code);
        }
    }

    pub(crate) fn answers(&self) -> u64 {
        self.latencies.len()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.answers() - self.codes.get(&Code::SUCCESS.byte()).copied().unwrap_or(0)
    }
}

/// A histogram of nanoseconds from a microsecond to an hour.
pub(crate) fn new_histogram<T: Counter>(digits: u8) -> Histogram<T> {
    let hour = nanoseconds(Duration::from_secs(3600));
    Histogram::new_with_bounds(1000, hour, digits).expect("the bounds are in order, and so are the digits")
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
