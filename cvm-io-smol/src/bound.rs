//! Bounds: how many blocking steps run at a time, and how many may wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::future;
use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::within;

/// How long a client waits in all: 2, 4, 8 and 16 seconds over UDP, and as long over a UNIX socket.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);

/// A bound on blocking steps.
#[derive(Debug)]
pub(crate) struct Bound {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    /// Closed when nobody shall wait any more.
    open: (Sender<()>, Receiver<()>),
}

/// The right to take a blocking step. It goes along with the step, which ends it even where nobody waits for it.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it matters when it is dropped")] SemaphoreGuardArc);

/// Leaves the queue, however the wait ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bound {
    /// Allows so many steps at a time, at least one, and so many that wait.
    pub(crate) fn new(places: usize, queue: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.max(1)));
        Self { places, waiting: AtomicUsize::new(0), queue, open: bounded(1) }
    }

    /// Waits for a place; `None` if the queue is full, nobody shall wait any more, or no client waits as long.
    pub(crate) async fn enter(&self) -> Option<Place> {
        if let Some(place) = self.places.try_acquire_arc() {
            return Some(Place(place));
        }
        let _waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            return None;
        }
        let place = async { Some(Place(self.places.acquire_arc().await)) };
        let closed = async {
            let _ = self.open.1.recv().await;
            None
        };
        within(CLIENT_PATIENCE, future::or(place, closed)).await.flatten()
    }

    /// Sends away whoever waits, now and later.
    pub(crate) fn close(&self) {
        self.open.0.close();
    }
}
