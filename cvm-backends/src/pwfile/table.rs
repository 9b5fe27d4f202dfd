//! The accounts of one version of a file: its bytes, and an index over them.

use std::collections::TryReserveError;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::hint::black_box;

use memchr::memchr;
use zeroize::Zeroizing;

use super::entry::{DECOY_LINES, DecoyKey, Entry, LINE_MAX, Layout, write_lowercase};
use crate::password::Comparison;
use crate::sys;

/// A line of a table, by the position of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(u32);

/// What there is for a name.
pub(super) struct Found {
    pub(super) account: Option<(Line, Layout)>,
    pub(super) decoy: Option<(Line, Layout)>,
}

/// One version of the file. The index costs 8 bytes for each of 1.3 to 2.7 slots per line.
pub(super) struct Table {
    bytes: Zeroizing<Vec<u8>>,
    index: Index,
    comparison: Comparison,
    /// How decoys are chosen, and where they come from if none is near.
    first_usable: Option<(DecoyKey, Line)>,
    malformed: Option<(usize, usize)>,
}

impl Table {
    /// Indexes the lines of a file of less than 4 GiB; fails if there is no memory for the index.
    pub(super) fn parse(bytes: Zeroizing<Vec<u8>>, comparison: Comparison) -> Result<Self, TryReserveError> {
        let lines = memchr::memchr_iter(b'\n', &bytes).count() + 1;
        let index = Index::for_lines(lines)?;
        let mut table = Self { bytes, index, comparison, first_usable: None, malformed: None };
        let (mut start, mut number) = (0, 0);
        while let Some((line, next)) = table.line_at(start) {
            number += 1;
            table.add(line, number);
            start = next;
        }
        Ok(table)
    }

    /// Finds the first account of this name, whatever the case of its letters, and the one that stands in for it if
    /// there is none, or none that can be authenticated against. Either way one line is read that the index leads to.
    pub(super) fn find(&self, name: &[u8]) -> Found {
        let (line, is_found) = match self.slot(name, self.index.hash(name)) {
            Slot::Taken(line) => (Some(line), true),
            Slot::Free(free) => (self.index.taken_behind(free), false),
            Slot::Nowhere => (None, false),
        };
        let read = black_box(line.and_then(|line| self.account(line)));
        let usable = || read.filter(|account| self.is_usable(*account));
        match self.comparison {
            // It takes as long to compare a password with one plain text as with another.
            Comparison::Plain if let Some(usable) = usable() => {
                Found { account: read.filter(|_| is_found), decoy: Some(usable) }
            }
            _ => Found { account: read.filter(|_| is_found), decoy: self.decoy(name) },
        }
    }

    fn slot(&self, name: &[u8], hash: u64) -> Slot {
        // Only accounts are in the index.
        let is_named = |line: Line| {
            let rest = self.rest(line).and_then(|rest| rest.split_at_checked(name.len()));
            rest.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
        };
        self.index.slot(hash, is_named)
    }

    /// Reads the account on a line.
    fn account(&self, line: Line) -> Option<(Line, Layout)> {
        let rest = self.rest(line)?;
        let rest = rest.get(..=LINE_MAX).unwrap_or(rest);
        let layout = Layout::parse(rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?)?;
        Some((line, layout))
    }

    /// Returns what is on a line that was read.
    pub(super) fn entry(&self, (line, layout): (Line, Layout)) -> Option<Entry<'_>> {
        layout.entry(self.rest(line)?.get(..layout.len())?)
    }

    /// Returns the file from this line on.
    fn rest(&self, line: Line) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(line.0).ok()?..)
    }

    /// Returns how many lines are malformed, and the number of the first.
    pub(super) const fn malformed(&self) -> Option<(usize, usize)> {
        self.malformed
    }

    /// Chooses the account that a name without one is authenticated against; `None` if no account can be.
    fn decoy(&self, name: &[u8]) -> Option<(Line, Layout)> {
        let (key, first) = self.first_usable.as_ref()?;
        let position = key.position(name, u64::try_from(self.bytes.len()).ok()?);
        self.usable_after(usize::try_from(position).ok()?).or_else(|| self.account(*first))
    }

    /// Finds an account that can be authenticated against a few lines behind a position.
    fn usable_after(&self, position: usize) -> Option<(Line, Layout)> {
        let (_, mut start) = self.line_at(position)?;
        for _ in 0..DECOY_LINES {
            let (line, next) = self.line_at(start)?;
            let usable = self.account(line).filter(|account| self.is_usable(*account));
            if usable.is_some() {
                return usable;
            }
            start = next;
        }
        None
    }

    fn is_usable(&self, account: (Line, Layout)) -> bool {
        self.entry(account).is_some_and(|entry| entry.is_usable(self.comparison))
    }

    /// Returns the line that begins at a position, and where the next one does; `None` at the end.
    fn line_at(&self, start: usize) -> Option<(Line, usize)> {
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        Some((Line(u32::try_from(start).ok()?), start + length + 1))
    }

    fn add(&mut self, line: Line, number: usize) {
        let first = usize::try_from(line.0).ok().and_then(|start| self.bytes.get(start));
        if matches!(first, Some(b'\n' | b'#')) {
            return;
        }
        let Some(entry) = self.account(line).and_then(|account| self.entry(account)) else {
            let (count, _) = self.malformed.get_or_insert((0, number));
            *count += 1;
            return;
        };
        let hash = self.index.hash(entry.name);
        let slot = self.slot(entry.name, hash);
        if self.first_usable.is_none() && entry.is_usable(self.comparison) {
            self.first_usable = Some((DecoyKey::new(entry.password), line));
        }
        if let Slot::Free(free) = slot {
            self.index.fill(free, hash, line);
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// An open-addressing hash table from names to lines. A slot holds the upper half of the name's hash beside the line,
/// so that a wrong line is hardly ever looked at.
struct Index {
    slots: Box<[u64]>,
    keys: RandomState,
}

/// Where a name is in the index.
enum Slot {
    /// It has this line.
    Taken(Line),
    /// It has none; this slot is free for it.
    Free(usize),
    /// It has none, and no slot is free.
    Nowhere,
}

/// A slot without a line: no line begins at this position.
const EMPTY: u32 = u32::MAX;

impl Index {
    /// Makes room for so many lines, with a quarter of the slots left empty at least.
    fn for_lines(lines: usize) -> Result<Self, TryReserveError> {
        let count = (lines + lines / 3 + 1).next_power_of_two();
        let mut slots = Vec::new();
        slots.try_reserve_exact(count)?;
        sys::prefer_huge_pages(slots.spare_capacity_mut());
        slots.resize(count, u64::from(EMPTY));
        Ok(Self { slots: slots.into_boxed_slice(), keys: RandomState::new() })
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.keys.build_hasher();
        write_lowercase(&mut hasher, name);
        hasher.finish()
    }

    fn slot(&self, hash: u64, is_named: impl Fn(Line) -> bool) -> Slot {
        for index in self.probe(hash) {
            let slot = self.slots[index];
            if line(slot) == EMPTY {
                return Slot::Free(index);
            }
            if slot >> 32 == hash >> 32 && is_named(Line(line(slot))) {
                return Slot::Taken(Line(line(slot)));
            }
        }
        Slot::Nowhere
    }

    /// Returns the line of the first slot behind a free one that has one.
    fn taken_behind(&self, free: usize) -> Option<Line> {
        let (before, behind) = self.slots.split_at_checked(free)?;
        let mut lines = behind.iter().chain(before).map(|slot| line(*slot));
        lines.find(|line| *line != EMPTY).map(Line)
    }

    fn fill(&mut self, free: usize, hash: u64, new: Line) {
        self.slots[free] = (hash >> 32) << 32 | u64::from(new.0);
    }

    /// The slots to look at, in order: each once.
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits of the hash choose the slot")]
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        let first = hash as usize;
        (0..=mask).map(move |step| first.wrapping_add(step) & mask)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the line is the lower half of a slot")]
const fn line(slot: u64) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests;
