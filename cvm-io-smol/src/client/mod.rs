//! The client: asks the modules of a list in turn, over all three contact modes.

mod child;
mod command;
mod local;
mod udp;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cvm_core::Code;
use cvm_core::client::{CLIENT_PATIENCE, ClientRequest, Endpoint, ModuleList, UdpFailure, ends_chain};
use cvm_core::framing::Framing;
use cvm_core::wire::{Reply, ReplyError};
use smol::lock::Semaphore;

use crate::within;

/// The programs that are started at a time, and the names that are looked up.
const BLOCKING_MAX: usize = 16;

/// Asks modules. Clones share a bound on each thing that blocks.
#[derive(Clone, Debug)]
pub struct Client {
    timeout: Duration,
    starting: Arc<Semaphore>,
    /// Apart from the programs, as it takes long when a name server is away.
    resolving: Arc<Semaphore>,
}

impl Default for Client {
    /// Waits 30 seconds for a module.
    fn default() -> Self {
        Self::new(CLIENT_PATIENCE)
    }
}

/// Why a module's answer could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {cause}")]
pub struct Failure {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// What went wrong.
    #[source]
    pub cause: Cause,
}

/// What can go wrong on the way to a module and back.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The module cannot be reached or started, or the connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The module gave no answer, or none in time.
    #[error("no answer")]
    Silent,
    /// The command was ended by a signal.
    #[error("ended by a signal")]
    Killed,
    /// The answer cannot be used.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

impl From<UdpFailure> for Cause {
    fn from(failure: UdpFailure) -> Self {
        match failure {
            UdpFailure::Silent => Self::Silent,
            UdpFailure::Reply(error) => Self::Reply(error),
        }
    }
}

impl Failure {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        match &self.cause {
            Cause::Io(_) | Cause::Silent | Cause::Killed => Code::IO,
            Cause::Reply(error) => error.code(),
        }
    }
}

impl Client {
    /// Makes a client that waits this long for a local module, for a command and for a name server; UDP has a schedule
    /// of its own, 30 seconds in all.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let bound = || Arc::new(Semaphore::new(BLOCKING_MAX));
        Self { timeout, starting: bound(), resolving: bound() }
    }

    /// Asks the modules in turn and returns the reply that ends the chain.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the module at which the chain ended without a usable reply: a temporary failure.
    pub async fn ask(&self, modules: &ModuleList, request: &ClientRequest) -> Result<Reply, Failure> {
        let mut last = Reply::failure(Code::GENERAL);
        for endpoint in modules.endpoints() {
            let asked = self.ask_one(endpoint, request).await;
            last = asked.map_err(|cause| Failure { endpoint: endpoint.clone(), cause })?;
            if ends_chain(&last) {
                break;
            }
        }
        Ok(last)
    }

    async fn ask_one(&self, endpoint: &Endpoint, request: &ClientRequest) -> Result<Reply, Cause> {
        match endpoint {
            Endpoint::Command(path) => self.in_time(command::ask(path, request, &self.starting)).await,
            Endpoint::Local(path) => self.in_time(local::ask(path, request)).await,
            Endpoint::Udp { host, port } => {
                let addresses = self.in_time(udp::resolve(host, *port, &self.resolving)).await?;
                udp::ask(addresses, request).await
            }
        }
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        within(self.timeout, asking).await.unwrap_or(Err(Cause::Silent))
    }
}

/// Runs what blocks in a thread, within a bound. It runs to its end even if nobody waits any more; what it returns is
/// then dropped.
async fn unblock<T: Send + 'static>(bound: &Arc<Semaphore>, step: impl FnOnce() -> T + Send + 'static) -> T {
    let place = bound.acquire_arc().await;
    let step = move || {
        let result = step();
        drop(place);
        result
    };
    smol::unblock(step).await
}

/// Takes what was received as a response, if it is anything.
fn response(framing: &Framing) -> Result<Bytes, Cause> {
    if framing.packet().is_empty() { Err(Cause::Silent) } else { Ok(Bytes::copy_from_slice(framing.packet())) }
}
