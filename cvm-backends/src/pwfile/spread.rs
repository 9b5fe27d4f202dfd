//! Lines of accounts, spread over memory by the hashes of their names: the place of a line is reckoned. A look-up reads
//! only there, and no index before, which would be as far away among a million accounts.

mod plan;

use std::collections::TryReserveError;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::hint::black_box;

use memchr::memchr;
use zeroize::Zeroizing;

use super::entry::write_lowercase;
use crate::sys;
use plan::Plan;

/// How much memory there is for what takes so much: with more, lines would be nearer to their places.
const ROOM: (usize, usize) = (5, 4);

/// How much is read at once behind a place, and the unit in which memory is: most often the line is in it.
const NEAR: usize = 512;
const CACHE_LINE: usize = 64;

/// How many slots may be empty in a row before a line from elsewhere is taken for the next one.
const GAP_MAX: usize = 16;

/// Copies of the lines of accounts. Their memory is divided into slots, and the hash of a name tells its slot: about
/// one has the same. The lines of a slot are in the order of the file. They begin where the slot does, or behind those
/// of earlier slots that reach beyond it. Before a line is the tag of its slot, behind it a newline; what is free is
/// full of newlines.
///
/// All this takes 1.31 times as much as the lines if those are 80 bytes long on average.
pub(super) struct Spread {
    bytes: Zeroizing<Vec<u8>>,
    slots: Slots,
    /// The line for a name without one where none is near.
    spare: usize,
}

/// The line that is to be read for a name, and whether it is that name's.
pub(super) struct Place<'s> {
    pub(super) position: usize,
    pub(super) line: &'s [u8],
    pub(super) is_found: bool,
}

impl Spread {
    /// Copies the accounts of a file of less than 4 GiB; fails if there is no memory for them. `name_of` is asked once
    /// for each line, in order, with the position of its first byte: for the name, if it is an account.
    pub(super) fn of<'f>(
        file: &'f [u8],
        name_of: impl FnMut(usize, &'f [u8]) -> Option<&'f [u8]>,
    ) -> Result<Self, TryReserveError> {
        let mut plan = Plan::with_room_for(file)?;
        plan.assign(name_of);
        plan.leave_out_repeated()?;
        plan.carry_out()
    }

    /// Finds the first line of this name, whatever the case of its letters. For a name without one it is the line
    /// behind where it would be, so that as much is read for it.
    pub(super) fn find(&self, name: &[u8]) -> Place<'_> {
        let slot = self.slots.of(name);
        let (found, behind) = self.walk(slot, name);
        if let Some((position, line)) = found {
            return Place { position, line, is_found: true };
        }
        let position = self.next_line(behind).unwrap_or(self.spare);
        Place { position, line: until_newline(self.rest(position)), is_found: false }
    }

    /// Returns how much memory the lines take.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Has the memory fetched that [`Self::find`] will read first.
    pub(super) fn fetch(&self, name: &[u8]) {
        let near = self.rest(self.slots.before(self.slots.of(name)));
        sys::fetch(near.get(..NEAR).unwrap_or(near));
    }

    /// Returns what there is from this position on.
    pub(super) fn rest(&self, position: usize) -> &[u8] {
        self.bytes.get(position..).unwrap_or_default()
    }

    /// Finds the first line of this name in its slot, and where the lines of the slot end. All of them are looked at,
    /// wherever the name is.
    fn walk(&self, slot: usize, name: &[u8]) -> (Option<(usize, &[u8])>, usize) {
        let (tag, before) = (tag(slot), self.slots.before(slot));
        let near = self.rest(before);
        // Memory that is far away comes in one go if it is asked for at once.
        black_box(near.iter().take(NEAR).step_by(CACHE_LINE).fold(0, |all, byte| all ^ byte));
        // A line has no other colon before that of its name.
        let is_possible = memchr(b':', name).is_none();
        let (mut found, mut start) = (None, until_newline(near).len() + 1);
        while let Some((of_line, rest)) = near.get(start..).and_then(|rest| rest.split_first_chunk())
            && *of_line >= tag
        {
            let line = until_newline(rest);
            if *of_line == tag && is_named(line, name) && is_possible && found.is_none() {
                found = Some((before + start + TAG, line));
            }
            start += TAG + line.len() + 1;
        }
        (found, before + start)
    }

    /// Returns the line that begins here, or behind a gap.
    fn next_line(&self, here: usize) -> Option<usize> {
        let slots = self.slots.behind(here).take(GAP_MAX);
        let is_line = |start: &usize| self.bytes.get(*start).is_some_and(|byte| *byte != b'\n');
        std::iter::once(here).chain(slots).find(is_line).map(|start| start + TAG)
    }
}

fn until_newline(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())]
}

/// Tells whether an account has this name, which has no colon.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len())
        .is_some_and(|(start, rest)| rest.starts_with(b":") && start.eq_ignore_ascii_case(name))
}

/// Pieces of memory.
struct Slots {
    count: usize,
    size: usize,
    keys: RandomState,
}

/// So many slots have tags of their own.
const SLOTS_MAX: usize = 1 << (7 * TAG);

impl Slots {
    /// Returns the slot of a name.
    #[expect(clippy::cast_possible_truncation, reason = "it is less than the count")]
    fn of(&self, name: &[u8]) -> usize {
        let mut hasher = self.keys.build_hasher();
        write_lowercase(&mut hasher, name);
        ((u128::from(hasher.finish()) * self.count as u128) >> u64::BITS) as usize
    }

    /// Returns the position before a slot, where a newline is, unless lines of earlier slots reach beyond it.
    const fn before(&self, slot: usize) -> usize {
        slot * self.size
    }

    /// Returns where the slots behind a position begin.
    fn behind(&self, position: usize) -> impl Iterator<Item = usize> + use<'_> {
        (position.div_ceil(self.size)..self.count).map(|slot| self.before(slot) + 1)
    }
}

/// The length of a tag.
const TAG: usize = 4;

/// Returns what stands before the lines of a slot: less than before those of earlier slots, more than newlines, and of
/// other bytes than newlines.
#[expect(clippy::cast_possible_truncation, reason = "seven bits of it are wanted")]
fn tag(slot: usize) -> [u8; TAG] {
    [3, 2, 1, 0].map(|index| !(slot >> (7 * index)) as u8 | 0x80)
}

#[cfg(test)]
mod tests;
