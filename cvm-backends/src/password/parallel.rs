//! How many passwords are hashed at a time, whoever asks: beyond the number of cores more only take more memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Those of the process, which has its cores and its memory only once.
static PLACES: Places = Places::new();

/// Places for those who hash.
struct Places {
    taken: Mutex<Taken>,
    left: Condvar,
}

struct Taken {
    count: usize,
    max: usize,
    /// Those who wait for a place.
    waiting: usize,
}

/// A place that is taken.
pub(super) struct Place(&'static Places);

/// Hashes so many passwords at a time at most, one at least; the others wait. Before it is called there is no limit.
pub fn hash_at_most(count: usize) {
    PLACES.taken().max = count.max(1);
    PLACES.left.notify_all();
}

/// Waits for a place.
pub(super) fn take_place() -> Place {
    let mut taken = PLACES.taken();
    while taken.count >= taken.max {
        taken.waiting += 1;
        taken = PLACES.left.wait(taken).unwrap_or_else(PoisonError::into_inner);
        taken.waiting -= 1;
    }
    taken.count += 1;
    Place(&PLACES)
}

impl Places {
    const fn new() -> Self {
        Self { taken: Mutex::new(Taken { count: 0, max: usize::MAX, waiting: 0 }), left: Condvar::new() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken();
        taken.count -= 1;
        // Waking somebody is a system call, even if nobody sleeps.
        if taken.waiting > 0 {
            self.0.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use cvm_core::SecretRef;

    use super::*;

    #[test]
    fn no_more_hash_at_a_time_than_may() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        hash_at_most(3);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let _place = take_place();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        hashing_for_storing_takes_a_place_too();
        hash_at_most(usize::MAX);
        // Other tests of this process may have had a place meanwhile.
        assert!((1..=3).contains(&most.into_inner()));
    }

    fn hashing_for_storing_takes_a_place_too() {
        hash_at_most(1);
        let place = take_place();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                crate::password::yescrypt(SecretRef::new(b"secret")).expect("libcrypt is there");
                is_done.store(true, Ordering::SeqCst);
            });
            thread::sleep(Duration::from_millis(200));
            assert!(!is_done.load(Ordering::SeqCst));
            drop(place);
        });
        assert!(is_done.into_inner());
    }
}
