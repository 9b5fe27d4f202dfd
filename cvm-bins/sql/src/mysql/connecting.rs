//! Connecting within a time: the driver waits for a full listen queue of a UNIX socket and for the name service without
//! bound, so that it does this in a thread that can be left behind. And within a limit of memory: the driver ends the
//! process if it cannot have its buffers.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use mysql::{Conn, DriverError, Error, Opts};
use nix::sys::resource::{Resource, getrlimit};

use super::parameters::Parameters;

/// How many threads may be left behind until the server takes what they wait with.
const MOST: usize = 32;

/// Enough for TLS in a debug build.
const STACK_SIZE: usize = 512 * 1024;

/// The memory that the driver reserves for a connection: two buffers of 4 MiB, and what else there is.
const RESERVED: u64 = 9_000_000;

/// What the process takes beside.
const BESIDE: u64 = 20_000_000;

/// The connections there are, and the threads that connect.
pub(super) struct Connecting {
    connections: Places,
    threads: Places,
}

/// A connection, counted as long as it is there.
pub(super) struct Connection {
    conn: Conn,
    _place: Place,
}

/// Why there is no connection.
pub(super) enum Failure {
    Late,
    Driver(Error),
    NoThread,
    NoMemory,
}

impl Connecting {
    /// As many connections as there is memory for.
    pub(super) fn new() -> Self {
        let limit = getrlimit(Resource::RLIMIT_AS).map_or(u64::MAX, |(soft, _)| soft);
        let most = (limit.saturating_sub(BESIDE) / RESERVED).max(1);
        Self { connections: Places::new(usize::try_from(most).unwrap_or(usize::MAX)), threads: Places::new(MOST) }
    }

    /// Connects, within this time.
    pub(super) fn connect(&self, parameters: &Parameters, timeout: Duration) -> Result<Connection, Failure> {
        let connection = self.connections.take().ok_or(Failure::NoMemory)?;
        let thread = self.threads.take().ok_or(Failure::Late)?;
        let ways = parameters.ways(timeout);
        let (done, result) = sync_channel(1);
        let run = move || hand_over(&done, ways, connection, thread);
        thread::Builder::new().stack_size(STACK_SIZE).spawn(run).map_err(|_| Failure::NoThread)?;
        match result.recv_timeout(timeout) {
            Ok(connected) => connected.map_err(Failure::Driver),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Failure::Late),
        }
    }
}

impl Deref for Connection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// Connects; nobody may be left to take the connection, which is closed then.
fn hand_over(done: &SyncSender<Result<Connection, Error>>, ways: Vec<Opts>, place: Place, thread: Place) {
    let connected = first(ways).map(|conn| Connection { conn, _place: place });
    drop(thread);
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

/// So many of something, and no more.
struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Places {
    fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    fn take(&self) -> Option<Place> {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(Arc::clone(&self.taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
