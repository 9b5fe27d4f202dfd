//! Connecting within a time: the driver waits for a full listen queue of a UNIX socket and for the name service without
//! bound, so that it does this in a thread that can be left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use mysql::{Conn, DriverError, Error, Opts};

use super::parameters::Parameters;

/// How many threads may be left behind until the server takes what they wait with.
const MOST: usize = 32;

/// Enough for TLS in a debug build.
const STACK_SIZE: usize = 512 * 1024;

/// Threads that connect.
#[derive(Default)]
pub(super) struct Connecting(Arc<AtomicUsize>);

/// Why there is no connection.
pub(super) enum Failure {
    Late,
    Driver(Error),
    NoThread,
}

impl Connecting {
    /// Connects, within this time.
    pub(super) fn connect(&self, parameters: &Parameters, timeout: Duration) -> Result<Conn, Failure> {
        let place = Place::take(&self.0).ok_or(Failure::Late)?;
        let ways = parameters.ways(timeout);
        let (done, result) = sync_channel(1);
        let run = move || hand_over(&done, ways, place);
        thread::Builder::new().stack_size(STACK_SIZE).spawn(run).map_err(|_| Failure::NoThread)?;
        match result.recv_timeout(timeout) {
            Ok(connected) => connected.map_err(Failure::Driver),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Failure::Late),
        }
    }
}

/// Connects; nobody may be left to take the connection, which is closed then.
fn hand_over(done: &SyncSender<Result<Conn, Error>>, ways: Vec<Opts>, place: Place) {
    let connected = first(ways);
    drop(place);
    let _ = done.try_send(connected);
}

/// Tries the next way only if the server has no TLS.
fn first(ways: Vec<Opts>) -> Result<Conn, Error> {
    let mut connected = Err(Error::DriverError(DriverError::SetupError));
    for way in ways {
        connected = Conn::new(way);
        if !matches!(connected, Err(Error::DriverError(DriverError::TlsNotSupported))) {
            break;
        }
    }
    connected
}

/// One of the threads, counted until it has connected.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |count: usize| (count < MOST).then_some(count + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
