//! Lines of accounts in groups, each of a few whose names have hashes near to each other: one read of a group finds a
//! name, or that it is missing.

use std::collections::{HashSet, TryReserveError};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::Range;

use memchr::{memchr, memchr_iter};
use zeroize::Zeroizing;

use super::entry::write_lowercase;
use crate::sys;

/// How many lines a group has on average: few to read, and so many that the ends of the groups of a million accounts
/// stay in the processor's cache.
const LINES: usize = 4;

/// More lines are in a group only if they repeat names: no three files in a billion have another one.
const LINES_MAX: u8 = 24;

/// Copies of the lines of accounts, each with a newline at its end, group by group; within a group they are in the
/// order of the file. The ends of the groups cost a byte for each line.
pub(super) struct Groups {
    lines: Zeroizing<Vec<u8>>,
    /// Where each group ends, and the next begins.
    ends: Zeroizing<Vec<u32>>,
    keys: RandomState,
}

/// Where the line is that is to be read for a name, and whether it is that name's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: u32,
    pub(super) is_found: bool,
}

impl Groups {
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
    /// behind the group: a group that has a name is by one line longer than one that has not, on average.
    pub(super) fn find(&self, name: &[u8]) -> Place {
        let range = self.range(group_of(name, self.ends.len(), &self.keys));
        let group = self.lines.get(range.clone()).unwrap_or_default();
        // A line has no other colon before that of its name.
        let is_possible = memchr(b':', name).is_none();
        // Far memory comes together if it is asked for at once.
        std::hint::black_box(group.iter().step_by(64).fold(0, |all, byte| all ^ byte));
        let (mut found, mut start) = (None, 0);
        // All lines are looked at, wherever the name is.
        for end in memchr_iter(b'\n', group) {
            if is_named(&group[start..end], name) && found.is_none() {
                found = Some(start);
            }
            start = end + 1;
        }
        let found = found.filter(|_| is_possible);
        let behind = if range.end < self.lines.len() { range.end } else { 0 };
        let position = found.map_or(behind, |found| range.start + found);
        Place { position: u32::try_from(position).unwrap_or(u32::MAX), is_found: found.is_some() }
    }

    /// Returns the lines from this position on.
    pub(super) fn rest(&self, position: u32) -> Option<&[u8]> {
        self.lines.get(position as usize..)
    }

    fn range(&self, group: usize) -> Range<usize> {
        let end = |group: usize| self.ends.get(group).map_or(0, |end| *end as usize);
        group.checked_sub(1).map_or(0, end)..end(group)
    }
}

/// Returns the group of a name, of so many.
#[expect(clippy::cast_possible_truncation, reason = "it is less than the count")]
fn group_of(name: &[u8], count: usize, keys: &RandomState) -> usize {
    let mut hasher = keys.build_hasher();
    write_lowercase(&mut hasher, name);
    ((u128::from(hasher.finish()) * count as u128) >> u64::BITS) as usize
}

fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len()).is_some_and(|(start, rest)| rest.starts_with(b":") && start.eq_ignore_ascii_case(name))
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

/// Which group each line goes to.
struct Plan<'f> {
    file: &'f [u8],
    keys: RandomState,
    /// The group of each line of the file.
    groups: Vec<u32>,
    /// How many bytes and lines there are in each group; of lines only whether there are too many.
    sizes: Zeroizing<Vec<u32>>,
    counts: Vec<u8>,
}

/// The group of what is no account, or is none that can be found.
const NO_GROUP: u32 = u32::MAX;

impl<'f> Plan<'f> {
    fn with_room_for(file: &'f [u8]) -> Result<Self, TryReserveError> {
        let lines = memchr_iter(b'\n', file).count() + 1;
        let count = lines.div_ceil(LINES);
        let (mut groups, mut sizes, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        groups.try_reserve_exact(lines)?;
        sizes.try_reserve_exact(count)?;
        counts.try_reserve_exact(count)?;
        sys::prefer_huge_pages(sizes.spare_capacity_mut());
        sizes.resize(count, 0);
        counts.resize(count, 0);
        Ok(Self { file, keys: RandomState::new(), groups, sizes: Zeroizing::new(sizes), counts })
    }

    fn assign(&mut self, mut name_of: impl FnMut(usize, &'f [u8]) -> Option<&'f [u8]>) {
        for (start, line) in lines(self.file) {
            let Some(name) = name_of(start, line) else {
                self.groups.push(NO_GROUP);
                continue;
            };
            let group = group_of(name, self.sizes.len(), &self.keys);
            self.groups.push(u32::try_from(group).unwrap_or(NO_GROUP));
            self.sizes[group] += size(line);
            self.counts[group] = self.counts[group].saturating_add(1);
        }
    }

    /// Leaves lines out whose name an earlier one has, where there are so many that looking for the first would take
    /// long.
    fn leave_out_repeated(&mut self) -> Result<(), TryReserveError> {
        if self.counts.iter().all(|count| *count <= LINES_MAX) {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for ((_, line), group) in lines(self.file).zip(&mut self.groups) {
            let index = *group as usize;
            if self.counts.get(index).is_none_or(|count| *count <= LINES_MAX) {
                continue;
            }
            seen.try_reserve(1)?;
            if !seen.insert(Name::of(line)) {
                self.sizes[index] -= size(line);
                *group = NO_GROUP;
            }
        }
        Ok(())
    }

    /// Copies each line to its place.
    fn carry_out(self) -> Result<Groups, TryReserveError> {
        let Self { file, keys, groups, sizes: mut ends, .. } = self;
        let mut total = 0;
        // Each end is where the group begins until its lines are there.
        for end in ends.iter_mut() {
            total += std::mem::replace(end, total);
        }
        let mut copy = Zeroizing::new(Vec::new());
        copy.try_reserve_exact(total as usize)?;
        sys::prefer_huge_pages(copy.spare_capacity_mut());
        // The newlines stay.
        copy.resize(total as usize, b'\n');
        for ((_, line), group) in lines(file).zip(groups) {
            if let Some(end) = ends.get_mut(group as usize) {
                let start = *end as usize;
                copy[start..start + line.len()].copy_from_slice(line);
                *end += size(line);
            }
        }
        Ok(Groups { lines: copy, ends, keys })
    }
}

/// Returns what a line takes with its newline.
fn size(line: &[u8]) -> u32 {
    u32::try_from(line.len() + 1).unwrap_or(u32::MAX)
}

/// A name, whatever the case of its letters.
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

impl Eq for Name<'_> {}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        write_lowercase(state, self.0);
    }
}
