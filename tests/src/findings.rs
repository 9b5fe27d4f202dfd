//! Findings of tests that go through tables: all are told, not the first alone.

use std::fmt::{Debug, Display};

use crate::contact::Answer;
use crate::packet::Hex;

/// What was found wrong so far.
#[derive(Debug, Default)]
#[must_use = "findings must be asserted to be none"]
pub struct Findings(Vec<String>);

impl Findings {
    /// Starts with none.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes note of a difference.
    pub fn equal<T: PartialEq + Debug>(&mut self, about: impl Display, found: T, expected: T) {
        if found != expected {
            self.add(format_args!("{about}\n      found {found:?}\n   expected {expected:?}"));
        }
    }

    /// Takes note of an answer that is not the expected one.
    pub fn answer(&mut self, about: impl Display, found: Answer, expected: &[u8]) {
        if found.as_deref() != Ok(expected) {
            let found = found.map_or_else(|error| error, |found| Hex(&found).to_string());
            self.add(format_args!("{about}\n      found {found}\n   expected {}", Hex(expected)));
        }
    }

    /// Takes note of something.
    pub fn add(&mut self, what: impl Display) {
        self.0.push(what.to_string());
    }

    /// Demands that nothing was found.
    ///
    /// # Panics
    ///
    /// If something was.
    pub fn assert_none(self) {
        assert!(self.0.is_empty(), "{} findings:\n - {}", self.0.len(), self.0.join("\n - "));
    }
}
