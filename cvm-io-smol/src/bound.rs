//! Bounds: how many blocking steps run at a time, and how many requests may wait for their turn.

use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::future;
use smol::lock::{Mutex, Semaphore, SemaphoreGuardArc};

use crate::within;

/// A bound on blocking steps, and on the requests that need one.
#[derive(Debug)]
pub(crate) struct Bound {
    /// For each request that is in hand, from its admission until it is answered.
    room: Arc<Semaphore>,
    /// For each step that runs.
    places: Arc<Semaphore>,
    /// Whoever has it is the next to get a place: nobody overtakes those that wait.
    turn: Mutex<()>,
    /// How long it makes sense to wait.
    patience: Duration,
    /// Closed when nobody shall wait any more.
    open: (Sender<()>, Receiver<()>),
}

/// A request that may wait for its turn.
#[derive(Debug)]
pub(crate) struct Ticket(#[expect(dead_code, reason = "it matters when it is dropped")] SemaphoreGuardArc);

/// The right to take a blocking step. It goes along with the step, which ends it even where nobody waits for it.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it matters when it is dropped")] SemaphoreGuardArc);

/// Why a request gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// Nobody shall wait any more.
    Closed,
    /// Its client has given up.
    Expired,
}

impl Bound {
    /// Allows so many steps at a time, at least one, and so many requests that wait, for so long.
    pub(crate) fn new(places: usize, queue: usize, patience: Duration) -> Self {
        let places = places.max(1);
        Self {
            room: Arc::new(Semaphore::new(places.saturating_add(queue))),
            places: Arc::new(Semaphore::new(places)),
            turn: Mutex::new(()),
            patience,
            open: bounded(1),
        }
    }

    /// Admits a request; `None` if as many are in hand as may be.
    pub(crate) fn admit(&self) -> Option<Ticket> {
        self.room.try_acquire_arc().map(Ticket)
    }

    /// Waits for a place, for whoever was admitted.
    pub(crate) async fn enter(&self) -> Result<Place, Hopeless> {
        let place = async {
            let _turn = self.turn.lock().await;
            Ok(Place(self.places.acquire_arc().await))
        };
        let closed = async {
            let _ = self.open.1.recv().await;
            Err(Hopeless::Closed)
        };
        within(self.patience, future::or(place, closed)).await.unwrap_or(Err(Hopeless::Expired))
    }

    /// Sends away whoever waits, now and later.
    pub(crate) fn close(&self) {
        self.open.0.close();
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;

    use super::*;

    const FOR_EVER: Duration = Duration::MAX;

    #[test]
    fn those_that_run_and_those_that_wait_are_bounded() {
        let bound = Bound::new(2, 1, FOR_EVER);
        let mut tickets: Vec<_> = (0..3).map(|_| bound.admit().unwrap()).collect();
        assert!(bound.admit().is_none());
        tickets.pop();
        assert!(bound.admit().is_some());
    }

    #[test]
    fn whoever_comes_back_at_once_does_not_overtake_those_that_wait() {
        let bound = Bound::new(1, 1, FOR_EVER);
        let greedy = async {
            for _ in 0..10 {
                let place = bound.enter().await;
                future::yield_now().await;
                drop(place);
            }
            false
        };
        let patient = async { bound.enter().await.is_ok() };
        assert!(block_on(future::or(greedy, patient)));
    }

    #[test]
    fn nobody_waits_for_longer_than_makes_sense_or_after_the_end() {
        let bound = Bound::new(1, 1, Duration::from_millis(10));
        let place = block_on(bound.enter()).unwrap();
        assert_eq!(block_on(bound.enter()).unwrap_err(), Hopeless::Expired);
        drop(place);
        let place = block_on(bound.enter()).unwrap();
        bound.close();
        assert_eq!(block_on(bound.enter()).unwrap_err(), Hopeless::Closed);
        drop(place);
    }
}
