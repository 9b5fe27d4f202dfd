//! What drivers that take datagrams one by one know of UDP sockets: `cvm-io-blocking` and `cvm-io-smol`.
//!
//! - A server receives a [`Datagram`] and answers it by its [`WayBack`], from the address that was asked.
//! - A client has [`Peers`]: the addresses that it asks, as a [`UdpExchange`](cvm_core::client::UdpExchange) says.
//!
//! Nothing here waits: how to is what the drivers differ in.

mod datagram;
mod peers;

pub use datagram::{Datagram, WayBack, tell_destination};
pub use peers::Peers;
