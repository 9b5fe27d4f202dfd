//! What a run has shown, as text and as JSON.

use std::fmt::{self, Write as _};
use std::time::Duration;

use cvm_core::Code;
use hdrhistogram::{Counter, Histogram};

use crate::tally::Tally;
use crate::timeline::{Interval, count};

/// The percentiles that are told, by name.
pub(crate) const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];

/// The figures of a run.
pub(crate) struct Summary {
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    /// Requests without an answer when the run was interrupted.
    pub(crate) unfinished: u64,
    /// Requests that were due but never made, as too many were under way.
    pub(crate) unsent: u64,
}

impl Summary {
    /// Returns the code that a run amounts to: that of the first failure, if there was one.
    pub(crate) fn code(&self) -> Code {
        self.tally.first_failure.unwrap_or(Code::SUCCESS)
    }

    pub(crate) fn intervals(&self) -> impl Iterator<Item = Interval<'_>> {
        self.tally.timeline.intervals(self.elapsed)
    }

    fn throughput(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { count(self.tally.answers()) / seconds } else { 0.0 }
    }

    /// Returns one object, on one line.
    pub(crate) fn json(&self) -> String {
        let intervals: Vec<String> = self.intervals().map(|interval| json_of(&interval)).collect();
        let codes: Vec<String> = self.tally.codes.iter().map(|(code, count)| format!("\"{code}\":{count}")).collect();
        format!(
            "{{\"requests\":{},\"unfinished\":{},\"unsent\":{},\"seconds\":{:.6},\"throughput\":{:.3},\
             \"codes\":{{{}}},\"latency_ms\":{},\"intervals\":[{}]}}",
            self.tally.answers(),
            self.unfinished,
            self.unsent,
            self.elapsed.as_secs_f64(),
            self.throughput(),
            codes.join(","),
            json_of_latencies(&self.tally.latencies),
            intervals.join(",")
        )
    }
}

fn json_of(interval: &Interval<'_>) -> String {
    format!(
        "{{\"start\":{:.3},\"seconds\":{:.6},\"requests\":{},\"latency_ms\":{}}}",
        interval.start.as_secs_f64(),
        interval.length.as_secs_f64(),
        interval.latencies.len(),
        json_of_latencies(interval.latencies)
    )
}

/// Where there was no answer there is no latency.
fn json_of_latencies<T: Counter>(latencies: &Histogram<T>) -> String {
    if latencies.is_empty() {
        return "null".to_owned();
    }
    let mut object = format!("{{\"min\":{:.3},\"mean\":{:.3}", milliseconds(latencies.min()), mean(latencies));
    for (name, quantile) in QUANTILES {
        let _ = write!(object, ",\"{name}\":{:.3}", milliseconds(latencies.value_at_quantile(quantile)));
    }
    let _ = write!(object, ",\"max\":{:.3}}}", milliseconds(latencies.max()));
    object
}

fn mean<T: Counter>(latencies: &Histogram<T>) -> f64 {
    latencies.mean() / 1e6
}

pub(crate) const fn milliseconds(nanoseconds: u64) -> f64 {
    count(nanoseconds) / 1e6
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (answers, seconds) = (self.tally.answers(), self.elapsed.as_secs_f64());
        writeln!(f, "requests    {answers} in {seconds:.3} s: {:.1} per second", self.throughput())?;
        if self.unfinished > 0 {
            writeln!(f, "unfinished  {}", self.unfinished)?;
        }
        if self.unsent > 0 {
            writeln!(f, "unsent      {} that were due, as too many were under way", self.unsent)?;
        }
        if answers > 0 {
            let latencies = &self.tally.latencies;
            write!(f, "latency    ")?;
            for (name, quantile) in QUANTILES {
                write!(f, " {name} {:.3} ms,", milliseconds(latencies.value_at_quantile(quantile)))?;
            }
            writeln!(f, " max {:.3} ms", milliseconds(latencies.max()))?;
        }
        for (&code, count) in &self.tally.codes {
            writeln!(f, "code {code:<6} {count} ({})", Code::new(code).text())?;
        }
        Ok(())
    }
}
