//! Framing: the bytes of a stream up to one packet.
//!
//! A stream carries one packet, which ends where the input ends. It is complete at 512 bytes too, whether or not the
//! peer shuts its side down; one byte more makes it malformed, so a driver looks for that byte without waiting for it.

use core::fmt;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::wire::PACKET_MAX;

/// The bytes that a stream may deliver: a packet, and one byte that tells that it is too long.
const CAPACITY: usize = PACKET_MAX + 1;

/// Collects one packet from a stream, until a deadline.
///
/// ```
/// use cvm_core::framing::{Framing, Progress};
///
/// let mut framing = Framing::new(None);
/// framing.space()[..3].copy_from_slice(b"\x01a\0");
/// assert_eq!(framing.handle_input(3), Progress::More);
/// assert_eq!(framing.handle_input(0), Progress::Complete);
/// assert_eq!(framing.packet(), b"\x01a\0");
/// ```
pub struct Framing {
    bytes: Zeroizing<[u8; CAPACITY]>,
    len: usize,
    ended: bool,
    deadline: Option<Instant>,
}

/// What a [`Framing`] needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// More input, for which the driver waits until the deadline.
    More,
    /// One more byte if it is there already; if not, report the end of input.
    OneMoreIfThere,
    /// Nothing: the packet is whole, or too long.
    Complete,
}

impl Framing {
    /// Starts with no input; `deadline` bounds the whole of it.
    #[must_use]
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { bytes: Zeroizing::new([0; CAPACITY]), len: 0, ended: false, deadline }
    }

    /// Returns the time at which the driver gives the stream up.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns where the driver reads into; it is empty only when the packet is complete.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    /// Takes note that `count` bytes were read into [`Self::space`]; zero is the end of input.
    pub fn handle_input(&mut self, count: usize) -> Progress {
        self.ended |= count == 0;
        self.len = self.len.saturating_add(count).min(CAPACITY);
        self.progress()
    }

    /// Tells what is needed next.
    pub const fn progress(&self) -> Progress {
        if self.ended || self.len == CAPACITY {
            Progress::Complete
        } else if self.len == PACKET_MAX {
            Progress::OneMoreIfThere
        } else {
            Progress::More
        }
    }

    /// Returns what came: a packet of up to 512 bytes, or 513 bytes of one that is too long.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framing({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(framing: &mut Framing, mut bytes: usize) -> Progress {
        let mut progress = framing.progress();
        while bytes > 0 {
            let count = framing.space().len().min(bytes);
            assert!(count > 0, "{bytes} bytes find no space");
            progress = framing.handle_input(count);
            bytes -= count;
        }
        progress
    }

    #[test]
    fn a_packet_ends_with_the_input() {
        let mut framing = Framing::new(None);
        assert_eq!(feed(&mut framing, 511), Progress::More);
        assert_eq!(framing.handle_input(0), Progress::Complete);
        assert_eq!(framing.packet().len(), 511);
    }

    #[test]
    fn at_512_bytes_one_more_is_looked_for() {
        let mut framing = Framing::new(None);
        assert_eq!(feed(&mut framing, 512), Progress::OneMoreIfThere);
        assert_eq!(framing.space().len(), 1);
        assert_eq!(framing.handle_input(0), Progress::Complete);
        assert_eq!(framing.packet().len(), 512);
    }

    #[test]
    fn a_513th_byte_completes_and_shows_in_the_length() {
        let mut framing = Framing::new(None);
        assert_eq!(feed(&mut framing, 513), Progress::Complete);
        assert!(framing.space().is_empty());
        assert_eq!(framing.packet().len(), 513);
    }

    #[test]
    fn no_input_is_an_empty_packet() {
        let mut framing = Framing::new(None);
        assert_eq!(framing.handle_input(0), Progress::Complete);
        assert!(framing.packet().is_empty());
    }

    #[test]
    fn a_count_beyond_the_space_cannot_overflow() {
        let mut framing = Framing::new(None);
        assert_eq!(framing.handle_input(usize::MAX), Progress::Complete);
        assert_eq!(framing.packet().len(), 513);
    }

    #[test]
    fn an_end_of_input_without_the_513th_byte_keeps_the_packet() {
        let mut framing = Framing::new(None);
        framing.space()[..512].fill(7);
        assert_eq!(feed(&mut framing, 512), Progress::OneMoreIfThere);
        assert_eq!(framing.progress(), Progress::OneMoreIfThere, "asking changes nothing");
        assert_eq!(framing.handle_input(0), Progress::Complete);
        assert_eq!(framing.packet(), [7; 512]);
    }

    #[test]
    fn nothing_that_came_is_printed() {
        let mut framing = Framing::new(None);
        framing.space()[..7].copy_from_slice(b"hunter2");
        let _ = framing.handle_input(7);
        assert_eq!(format!("{framing:?}"), "Framing(7 bytes)");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source")]
    fn input_does_not_move_the_deadline() {
        for deadline in [None, Some(Instant::now())] {
            let mut framing = Framing::new(deadline);
            assert_eq!(feed(&mut framing, 1), Progress::More);
            assert_eq!(framing.deadline(), deadline);
        }
    }
}
