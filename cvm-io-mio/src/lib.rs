//! The busy hub's server: drives [`cvm_core`] with edge-triggered epoll, through mio.
//!
//! [`serve`] runs one loop a thread. In a loop hardly anything waits: datagrams come and go in batches, a connection is
//! a slot and a deadline, and what is not [`Cost::Inline`](cvm_core::module::Cost::Inline) goes to one of two bounded
//! pools of niced threads, one for hashes and one for what waits for others. What a full pool has no room for is refused
//! with code 4 at once. A module may let the loop
//! [wait in place](cvm_core::module::Module::waits_in_place) for what has mostly come in a moment, as the way to a worker
//! and back takes as long; should it take longer this time, another thread goes on with the loop.
//!
//! Each turn of a loop is one round: it receives, lets the module look at its files, answers, writes the log, sends.
//!
//! Nothing here reads the environment, installs a signal handler or binds a socket: the caller hands over ready-made
//! sockets, what answers, and descriptors that become readable when it is time to stop or to read files again.

mod batch;
mod connection;
mod connections;
mod datagrams;
mod event_loop;
mod loops;
mod pool;
mod quick;
mod seat;
mod server;
mod sys;

pub use cvm_core::driver::Counts;
pub use server::{Options, Signals, Sockets, serve};
