//! What servers in event loops have in common: what is in hand already, and what an administrator wants counted.

use core::hash::{BuildHasher, Hash};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// The datagrams that are being worked on.
///
/// Clients send theirs again after 2 seconds, when the first one may still be in hand: it is worked on and answered
/// once. A hash of 64 bits stands for source and bytes; `S` makes it, with a key that nobody else knows, so that nobody
/// finds two that look the same: the standard library's `RandomState`.
///
/// ```
/// use cvm_core::driver::InHand;
/// use std::hash::RandomState;
///
/// let mut in_hand = InHand::new(RandomState::new());
/// let first = in_hand.begin("10.0.0.1:1024", b"request").unwrap();
/// assert_eq!(in_hand.begin("10.0.0.1:1024", b"request"), None);
/// in_hand.end(first);
/// assert!(in_hand.is_empty());
/// ```
#[derive(Debug)]
pub struct InHand<S>(HashSet<u64, S>);

/// A datagram that is in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it is in hand until `InHand::end`"]
pub struct Held(u64);

impl<S: BuildHasher> InHand<S> {
    /// Has nothing in hand.
    #[must_use]
    pub const fn new(hasher: S) -> Self {
        Self(HashSet::with_hasher(hasher))
    }

    /// Takes a datagram in hand; `None` if it is there already.
    pub fn begin(&mut self, from: impl Hash, packet: &[u8]) -> Option<Held> {
        let hash = self.0.hasher().hash_one((from, packet));
        self.0.insert(hash).then_some(Held(hash))
    }

    /// Lets go of a datagram: from now on its like is another request.
    pub fn end(&mut self, held: Held) {
        self.0.remove(&held.0);
    }

    /// Tells whether nothing is in hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What happened to requests that got no answer, or not the one that the module would have given; since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub dropped: u64,
    /// Requests that were answered with code 4 because the queue was full, or the server about to end.
    pub refused: u64,
    /// Datagrams that were sent again while the first one was in hand.
    pub resent: u64,
    /// Requests that waited longer than their client does.
    pub expired: u64,
    /// Connections that were closed to make room for others.
    pub evicted: u64,
}

/// The same, counted where it happens: in loops and in threads.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "as in `Counts`")]
pub struct Tally {
    pub refused: Counter,
    pub resent: Counter,
    pub expired: Counter,
    pub evicted: Counter,
}

impl Tally {
    /// Returns the counts, with what the kernel has dropped.
    #[must_use]
    pub fn counts(&self, dropped: u64) -> Counts {
        Counts {
            dropped,
            refused: self.refused.get(),
            resent: self.resent.get(),
            expired: self.expired.get(),
            evicted: self.evicted.get(),
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasherDefault;
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn a_datagram_is_in_hand_until_it_is_let_go_of() {
        let mut in_hand = InHand::new(BuildHasherDefault::<DefaultHasher>::default());
        let held = in_hand.begin(1, b"one").unwrap();
        assert_eq!((in_hand.begin(1, b"one"), in_hand.is_empty()), (None, false));
        in_hand.end(held);
        assert!(in_hand.is_empty());
        assert_eq!(in_hand.begin(1, b"one"), Some(held));
    }

    #[test]
    fn another_source_or_other_bytes_are_another_datagram() {
        let mut in_hand = InHand::new(BuildHasherDefault::<DefaultHasher>::default());
        let all = [(1, &b"one"[..]), (2, b"one"), (1, b"one more"), (1, b"")];
        let held = all.map(|(from, packet)| in_hand.begin(from, packet).unwrap());
        in_hand.end(held[0]);
        assert_eq!(all.map(|(from, packet)| in_hand.begin(from, packet).is_some()), [true, false, false, false]);
    }

    #[test]
    fn each_thing_is_counted_by_itself() {
        let tally = Tally::default();
        tally.refused.add(1);
        tally.resent.add(2);
        tally.expired.add(3);
        tally.evicted.add(4);
        tally.evicted.add(1);
        assert_eq!(tally.counts(6), Counts { dropped: 6, refused: 1, resent: 2, expired: 3, evicted: 5 });
    }
}
