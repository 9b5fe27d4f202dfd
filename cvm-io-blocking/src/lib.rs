//! Blocking drivers for [`cvm_core`]: they move bytes and time, and decide nothing.
//!
//! - [`command`]: one request on standard input, its response on standard output.
//! - [`server`]: UNIX and UDP sockets, each with a bounded crew of threads.
//! - [`client`]: asks modules over all three contact modes.
//! - [`child`]: waits for a program, but not for ever.
//!
//! Nothing here reads the environment, installs a signal handler or binds a socket: the caller hands over ready-made
//! sockets, what answers, and a descriptor that becomes readable when it is time to stop.

pub mod child;
pub mod client;
pub mod command;
pub mod server;

mod crew;
mod local;
mod ready;
mod udp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cvm_core::Code;
use cvm_core::answer::{Answer, Outcome, Patience};
use cvm_core::module::Temporary;
use cvm_core::wire::Packet;

/// Answers one packet as a round of its own; a module that panics is code 1.
fn answer_round(answer: &dyn Answer, packet: &[u8], out: &mut Packet) -> Code {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        answer.refresh();
        answer.answer(packet, out, Patience::Blocking)
    }));
    let code = match outcome {
        Ok(Outcome::Answered(code)) => code,
        // Whoever has all patience is not put off.
        Ok(Outcome::Deferred(_)) | Err(_) => answer.refuse(packet, out, Temporary::GENERAL),
    };
    answer.end_round();
    code
}
