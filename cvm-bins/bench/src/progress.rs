//! The bar on the terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::Plan;
use crate::tally::Tally;
use crate::timeline::count;

/// Shows how far a run is, if standard error is a terminal.
pub(crate) struct Progress {
    plan: Plan,
    bar: Option<ProgressBar>,
}

/// The length of the bar.
const WHOLE: u64 = 1000;

impl Progress {
    pub(crate) fn new(plan: Plan) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3}% {msg}");
            ProgressBar::new(WHOLE).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { plan, bar }
    }

    pub(crate) fn show(&self, tally: &Tally, elapsed: Duration) {
        let Some(bar) = &self.bar else {
            return;
        };
        let answers = tally.answers();
        let rate = count(answers) / elapsed.as_secs_f64().max(0.001);
        bar.set_message(format!("{answers} requests, {rate:.0} per second, {} failed", tally.failures()));
        bar.set_position(self.part(answers, elapsed));
    }

    /// Returns how much is done, by time or by number, whichever is nearer to its end.
    fn part(&self, answers: u64, elapsed: Duration) -> u64 {
        let by_number = self.plan.count.map(|all| u128::from(answers) * u128::from(WHOLE) / u128::from(all.max(1)));
        let by_time = self.plan.duration.map(|all| elapsed.as_nanos() * u128::from(WHOLE) / all.as_nanos().max(1));
        let part = by_number.max(by_time).unwrap_or(0);
        u64::try_from(part).unwrap_or(WHOLE).min(WHOLE)
    }

    /// Takes the bar off the terminal.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
