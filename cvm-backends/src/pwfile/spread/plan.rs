//! How lines come to their places.

use std::collections::{HashSet, TryReserveError};
use std::hash::{Hash, Hasher, RandomState};

use memchr::{memchr, memchr_iter};
use zeroize::Zeroizing;

use super::{ROOM, SLOTS_MAX, Slots, Spread, TAG, tag};
use crate::pwfile::entry::write_lowercase;
use crate::sys;

/// Slots with more than so many lines of average length have lines left out whose names are repeated; without those few
/// have as many.
const LINES_MAX: usize = 12;

/// Which slot each line of a file goes to.
pub(super) struct Plan<'f> {
    file: &'f [u8],
    slots: Slots,
    of_lines: Vec<u32>,
    /// How much the lines of each slot take.
    sizes: Vec<u32>,
}

/// The slot of what is no account, or is none that can be found.
const NO_SLOT: u32 = u32::MAX;

impl<'f> Plan<'f> {
    pub(super) fn with_room_for(file: &'f [u8]) -> Result<Self, TryReserveError> {
        let lines = memchr_iter(b'\n', file).count() + 1;
        let count = lines.min(SLOTS_MAX);
        let (mut of_lines, mut sizes) = (Vec::new(), Vec::new());
        of_lines.try_reserve_exact(lines)?;
        sizes.try_reserve_exact(count)?;
        sys::prefer_huge_pages(sizes.spare_capacity_mut());
        sizes.resize(count, 0);
        Ok(Self { file, slots: Slots { count, size: 1, keys: RandomState::new() }, of_lines, sizes })
    }

    pub(super) fn assign(&mut self, mut name_of: impl FnMut(usize, &'f [u8]) -> Option<&'f [u8]>) {
        let slot = |name| u32::try_from(self.slots.of(name)).unwrap_or(NO_SLOT);
        let slots = lines(self.file).map(|(start, line)| name_of(start, line).map_or(NO_SLOT, slot));
        self.of_lines.extend(slots);
        self.measure();
    }

    /// Adds up what slots take: apart from parsing, as it has to wait for memory that is here and there.
    fn measure(&mut self) {
        self.sizes.fill(0);
        for ((_, line), slot) in lines(self.file).zip(&self.of_lines) {
            if let Some(sum) = self.sizes.get_mut(*slot as usize) {
                *sum = sum.saturating_add(size(line));
            }
        }
    }

    /// Leaves out lines whose name an earlier one has, where there are so many that looking for the first would take
    /// long.
    pub(super) fn leave_out_repeated(&mut self) -> Result<(), TryReserveError> {
        let accounts = self.of_lines.iter().filter(|slot| **slot != NO_SLOT).count();
        let crowded = self.total().div_ceil(accounts.max(1)) * LINES_MAX;
        let is_crowded = |size: &u32| *size as usize > crowded;
        if !self.sizes.iter().any(is_crowded) {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for ((_, line), slot) in lines(self.file).zip(&mut self.of_lines) {
            if self.sizes.get(*slot as usize).is_some_and(is_crowded) {
                seen.try_reserve(1)?;
                if !seen.insert(Name::of(line)) {
                    *slot = NO_SLOT;
                }
            }
        }
        self.measure();
        Ok(())
    }

    /// Copies each line to its place.
    pub(super) fn carry_out(mut self) -> Result<Spread, TryReserveError> {
        let end = self.divide();
        let Self { file, slots, of_lines, sizes: mut used, .. } = self;
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

    fn total(&self) -> usize {
        self.sizes.iter().map(|size| *size as usize).sum()
    }

    /// Divides memory into slots. Instead of their sizes there is then how much of each the lines of earlier ones take;
    /// returns where the last line ends.
    fn divide(&mut self) -> usize {
        self.slots.size = (self.total() * ROOM.0).div_ceil(self.slots.count * ROOM.1).max(1);
        let mut end = 1;
        for (slot, size) in self.sizes.iter_mut().enumerate() {
            let slot_start = self.slots.before(slot) + 1;
            let start = slot_start.max(end);
            end = start + *size as usize;
            *size = u32::try_from(start - slot_start).unwrap_or(u32::MAX);
        }
        end
    }
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
