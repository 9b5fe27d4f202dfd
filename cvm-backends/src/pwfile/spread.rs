//! Lines of accounts, spread over memory by the hashes of their names: the place of a line is reckoned. A look-up reads
//! only there, and no index before, which would be as far away among a million accounts.

use std::collections::{HashSet, TryReserveError};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::hint::black_box;

use memchr::{memchr, memchr_iter};
use zeroize::Zeroizing;

use super::entry::write_lowercase;
use crate::sys;

/// How much there is for a line, in relation to what it takes: with more, lines would be nearer to their places.
const ROOM: (usize, usize) = (5, 4);

/// More lines are in a slot only if they repeat names: of a thousand files of a million names one has another such slot.
const LINES_MAX: u8 = 12;

/// What is read of a slot at once: most of the time its lines are there.
const NEAR: usize = 384;
const CACHE_LINE: usize = 64;

/// How many slots may be empty in a row before another line is taken for the next one.
const GAP_MAX: usize = 16;

/// Copies of the lines of accounts. Each slot has the lines of the names whose hashes say so: about one, in the order
/// of the file. They are where the slot begins, or behind those of earlier slots that reach beyond it. The tag of its
/// slot is before a line and a newline behind it; what is free is full of newlines.
pub(super) struct Spread {
    bytes: Zeroizing<Vec<u8>>,
    slots: Slots,
    /// A line for those who find none.
    spare: usize,
}

/// Where the line is that is to be read for a name, and whether it is that name's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: usize,
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
    pub(super) fn find(&self, name: &[u8]) -> Place {
        let slot = self.slots.of(name);
        let (tag, before) = (tag(slot), self.slots.before(slot));
        let near = self.bytes.get(before..).unwrap_or_default();
        // Far memory comes in one go if it is asked for at once.
        black_box(near.iter().take(NEAR).step_by(CACHE_LINE).fold(0, |all, byte| all ^ byte));
        // A line has no other colon before that of its name.
        let is_possible = memchr(b':', name).is_none();
        let (mut found, mut start) = (None, 0);
        while let Some(length) = memchr(b'\n', &near[start..]) {
            start += length + 1;
            let Some((of_line, line)) = near[start..].split_first_chunk().filter(|(of_line, _)| **of_line >= tag) else {
                break;
            };
            // All lines of the slot are looked at, wherever the name is.
            if *of_line == tag && is_named(line, name) && found.is_none() {
                found = Some(start + TAG);
            }
        }
        let found = found.filter(|_| is_possible).map(|found| before + found);
        let position = found.or_else(|| self.next_line(before + start)).unwrap_or(self.spare);
        Place { position, is_found: found.is_some() }
    }

    /// Returns the lines from this position on.
    pub(super) fn rest(&self, position: usize) -> Option<&[u8]> {
        self.bytes.get(position..)
    }

    /// Returns the line that begins here, or behind a gap.
    fn next_line(&self, here: usize) -> Option<usize> {
        let slots = self.slots.behind(here).take(GAP_MAX);
        let is_line = |start: &usize| self.bytes.get(*start).is_some_and(|byte| *byte != b'\n');
        std::iter::once(here).chain(slots).find(is_line).map(|start| start + TAG)
    }
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

impl Slots {
    /// Returns the slot of a name.
    #[expect(clippy::cast_possible_truncation, reason = "it is less than the count")]
    fn of(&self, name: &[u8]) -> usize {
        let mut hasher = self.keys.build_hasher();
        write_lowercase(&mut hasher, name);
        ((u128::from(hasher.finish()) * self.count as u128) >> u64::BITS) as usize
    }

    /// Returns the position before a slot: a newline, unless lines of earlier slots reach beyond it.
    const fn before(&self, slot: usize) -> usize {
        slot * self.size
    }

    /// Returns where the slots behind a position begin.
    fn behind(&self, position: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, size) = (position.div_ceil(self.size), self.size);
        (first..self.count).map(move |slot| slot * size + 1)
    }
}

/// The length of a tag.
const TAG: usize = 4;

/// So many slots have tags that begin with another byte each.
const SLOTS_MAX: usize = 1 << (7 * TAG);

/// What stands before the lines of a slot: less than before those of earlier slots, more than a newline in each byte.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are left")]
fn tag(slot: usize) -> [u8; TAG] {
    [3, 2, 1, 0].map(|index| !((slot >> (7 * index)) as u8 & 0x7f))
}

/// The lines of a file, each with the position of its first byte.
fn lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    memchr_iter(b'\n', file).chain([file.len()]).map(move |end| {
        let line = (start, &file[start..end]);
        start = end + 1;
        line
    })
}

/// Which slot each line goes to.
struct Plan<'f> {
    file: &'f [u8],
    slots: Slots,
    /// The slot of each line of the file.
    of_lines: Vec<u32>,
    /// How many bytes and lines each slot has; of lines only whether there are too many.
    sizes: Vec<u32>,
    counts: Vec<u8>,
}

/// The slot of what is no account, or is none that can be found.
const NO_SLOT: u32 = u32::MAX;

impl<'f> Plan<'f> {
    fn with_room_for(file: &'f [u8]) -> Result<Self, TryReserveError> {
        let lines = memchr_iter(b'\n', file).count() + 1;
        let count = lines.min(SLOTS_MAX);
        let (mut of_lines, mut sizes, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        of_lines.try_reserve_exact(lines)?;
        sizes.try_reserve_exact(count)?;
        counts.try_reserve_exact(count)?;
        sys::prefer_huge_pages(sizes.spare_capacity_mut());
        sizes.resize(count, 0);
        counts.resize(count, 0);
        Ok(Self { file, slots: Slots { count, size: 1, keys: RandomState::new() }, of_lines, sizes, counts })
    }

    fn assign(&mut self, mut name_of: impl FnMut(usize, &'f [u8]) -> Option<&'f [u8]>) {
        for (start, line) in lines(self.file) {
            let Some(name) = name_of(start, line) else {
                self.of_lines.push(NO_SLOT);
                continue;
            };
            let slot = self.slots.of(name);
            self.of_lines.push(u32::try_from(slot).unwrap_or(NO_SLOT));
            self.sizes[slot] = self.sizes[slot].saturating_add(size(line));
            self.counts[slot] = self.counts[slot].saturating_add(1);
        }
    }

    /// Leaves lines out whose name an earlier one has, where there are so many that looking for the first would take
    /// long.
    fn leave_out_repeated(&mut self) -> Result<(), TryReserveError> {
        let is_crowded = |count: &u8| *count > LINES_MAX;
        if !self.counts.iter().any(is_crowded) {
            return Ok(());
        }
        for (size, _) in self.sizes.iter_mut().zip(&self.counts).filter(|(_, count)| is_crowded(count)) {
            *size = 0;
        }
        let mut seen = HashSet::new();
        for ((_, line), slot) in lines(self.file).zip(&mut self.of_lines) {
            let index = *slot as usize;
            if !self.counts.get(index).is_some_and(is_crowded) {
                continue;
            }
            seen.try_reserve(1)?;
            if seen.insert(Name::of(line)) {
                self.sizes[index] += size(line);
            } else {
                *slot = NO_SLOT;
            }
        }
        Ok(())
    }

    /// Copies each line to its place.
    fn carry_out(self) -> Result<Spread, TryReserveError> {
        let Self { file, mut slots, of_lines, sizes, .. } = self;
        let total: usize = sizes.iter().map(|size| *size as usize).sum();
        slots.size = (total * ROOM.0).div_ceil(slots.count * ROOM.1).max(1);
        let mut used = sizes;
        let mut end = 1;
        // How much of each slot those before it take.
        for (slot, used) in used.iter_mut().enumerate() {
            let start = slots.before(slot) + 1;
            let size = *used as usize;
            *used = u32::try_from(end.max(start) - start).unwrap_or(u32::MAX);
            end = end.max(start) + size;
        }
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.try_reserve_exact(end)?;
        sys::prefer_huge_pages(bytes.spare_capacity_mut());
        bytes.resize(end, b'\n');
        let mut spare = 0;
        for ((_, line), slot) in lines(file).zip(of_lines) {
            let slot = slot as usize;
            let Some(used) = used.get_mut(slot) else { continue };
            let start = slots.before(slot) + 1 + *used as usize;
            spare = start + TAG;
            bytes[start..spare].copy_from_slice(&tag(slot));
            bytes[spare..spare + line.len()].copy_from_slice(line);
            *used += size(line);
        }
        Ok(Spread { bytes, slots, spare })
    }
}

/// Returns what a line takes with its tag and newline.
fn size(line: &[u8]) -> u32 {
    u32::try_from(TAG + line.len() + 1).unwrap_or(u32::MAX)
}

/// A name, whatever the case of its letters.
#[derive(Eq)]
struct Name<'f>(&'f [u8]);

impl<'f> Name<'f> {
    fn of(line: &'f [u8]) -> Self {
        Self(&line[..memchr(b':', line).unwrap_or(line.len())])
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        write_lowercase(state, self.0);
    }
}
