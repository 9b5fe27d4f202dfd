//! Strategies, values and fuzz bodies for tests of this crate and of whoever builds on it.
//!
//! - [`value`]: requests and responses as plain values, with an encoding of their own to compare the codec with;
//! - [`strategy`]: what makes such values for `proptest`;
//! - [`puppet`]: a module that does as it is told, and an observer that remembers;
//! - [`fuzz`]: the bodies of the fuzz targets, each a function of bytes that panics if something does not hold.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "here a panic is how a test fails"
)]

pub mod fuzz;
pub mod puppet;
pub mod strategy;
pub mod value;
