//! Asynchronous drivers for [`cvm_core`], on smol: they move bytes and time, and decide nothing.
//!
//! - [`serve`]: UNIX and UDP sockets. What is not [`Cost::Inline`](cvm_core::module::Cost::Inline) runs in smol's pool
//!   of threads, within a bound for hashes and another for what waits for others.
//! - [`Client`]: asks modules over all three contact modes.
//!
//! Both are plain futures that can be sent: run them with [`block_on`], or spawn them on an executor of yours. Whoever
//! drops one at any point closes its sockets and ends the programs that it has started; only a step that a thread has
//! begun cannot be taken back: it runs to its end, within its bound, and its answer goes nowhere.
//!
//! Nothing here reads the environment, installs a signal handler or binds a socket: the caller hands over ready-made
//! sockets, what answers, and descriptors that become readable when it is time to stop or to read files again.

mod bound;
mod client;
mod datagrams;
mod local;
mod server;
mod work;

pub use client::{Cause, Client, Failure};
pub use cvm_core::driver::Counts;
pub use server::{Options, Signals, Sockets, serve};
pub use smol::block_on;

use std::time::Duration;

use smol::{Timer, future};

/// Waits for a future, but not for ever; `None` if it takes too long.
async fn within<T>(timeout: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(timeout).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}
