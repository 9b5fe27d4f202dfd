//! The benchmark clients of CVM. They have a package of their own so that no other program is built with what draws
//! and counts here.

pub mod benchclient;

mod credentials;
mod load;
mod options;
mod plot;
mod progress;
mod summary;
mod tally;
mod timeline;
