//! Strategies, values and fuzz bodies for tests of this crate and of whoever builds on it.
