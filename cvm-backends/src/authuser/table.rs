//! The lines of one version of the file, sorted by their keys.

use std::cmp::{Ordering, Reverse};
use std::collections::TryReserveError;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use zeroize::Zeroizing;

use super::name::{Name, is_special};
use super::token::Token;

/// How many lines behind its place are tried before a decoy is the first line that can be one.
const DECOY_LINES: usize = 16;

/// A line that counts, by the positions of its first byte, its colon and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    start: u32,
    colon: u32,
    end: u32,
}

/// One version of the file.
pub(super) struct Table {
    bytes: Zeroizing<Vec<u8>>,
    /// Sorted by key, without regard to case; of several lines with one key only the last of the file.
    lines: Vec<Line>,
    /// Chooses decoys: secret, as whoever knows a name's decoy can tell whether it is one; the same for all processes.
    decoys: DefaultHasher,
    /// The decoy where none is near the chosen place.
    first_usable: Option<Line>,
    passed_over: Option<PassedOver>,
}

/// What the file says of a name. Where nobody can log in there is a line to be judged in the place of one that can be,
/// if the file has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This line tells the password.
    Line(Line),
    /// There is no such name, or it is disabled, or it has an empty password.
    Nobody {
        /// What is judged instead.
        decoy: Option<Line>,
    },
    /// What stands for the password means nothing.
    Meaningless {
        /// What is judged instead.
        decoy: Option<Line>,
    },
}

/// Lines that say nothing, though they are no comments: how many, and the number of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PassedOver {
    pub(super) count: usize,
    pub(super) first: usize,
}

impl Table {
    /// Reads a file of less than 4 GiB; fails if there is no memory for it.
    pub(super) fn parse(bytes: Zeroizing<Vec<u8>>) -> Result<Self, TryReserveError> {
        let mut lines = Vec::new();
        lines.try_reserve_exact(memchr::memchr_iter(b'\n', &bytes).count() + 1)?;
        let mut decoys = DefaultHasher::new();
        decoys.write(&bytes);
        let mut table = Self { bytes, lines, decoys, first_usable: None, passed_over: None };
        table.read_lines();
        table.sort();
        table.first_usable = table.lines.iter().find(|line| table.is_usable(**line)).copied();
        Ok(table)
    }

    /// Finds what the file says of a name. Every key is looked for, whatever the others give, so that all names take
    /// the same time.
    pub(super) fn find(&self, name: &Name) -> Found {
        let keys = name.keys();
        let disabled = keys.disabling().map(|key| self.line(key));
        let system_disabled = self.line(keys.disabling_system()).is_some();
        let told = keys.telling().map(|key| self.line(key)).into_iter().flatten().next();
        let chosen = self.decoy(name);
        let told = told.map(|line| (line, self.token(line)));
        // The system's user is the same whatever domain is put behind his name.
        let is_disabled_user = system_disabled && matches!(told, Some((_, Token::System { .. })));
        let is_nobody = disabled.iter().any(Option::is_some) || is_disabled_user || !name.is_possible();
        match told {
            Some((line, token)) if token.is_usable() && is_nobody => Found::Nobody { decoy: Some(line) },
            Some((line, token)) if token.is_usable() => Found::Line(line),
            Some((_, Token::Meaningless)) if !is_nobody => Found::Meaningless { decoy: chosen },
            _ => Found::Nobody { decoy: chosen },
        }
    }

    /// Returns the name that a line is about; `None` if it is about many.
    pub(super) fn user(&self, line: Line) -> Option<&[u8]> {
        Some(self.key(line)).filter(|key| !is_special(key))
    }

    pub(super) fn token(&self, line: Line) -> Token<'_> {
        Token::read(self.part(line.colon + 1, line.end))
    }

    pub(super) const fn passed_over(&self) -> Option<PassedOver> {
        self.passed_over
    }

    /// Chooses a line that is judged in the place of one that a name does not have.
    fn decoy(&self, name: &Name) -> Option<Line> {
        let mut hasher = self.decoys.clone();
        hasher.write(&name.as_bytes().to_ascii_lowercase());
        let count = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
        let chosen = usize::try_from(hasher.finish().checked_rem(count)?).ok()?;
        let mut near = self.lines.iter().skip(chosen).take(DECOY_LINES);
        near.find(|line| self.is_usable(**line)).copied().or(self.first_usable)
    }

    /// Tells whether somebody can log in by a line.
    fn is_usable(&self, line: Line) -> bool {
        !self.key(line).starts_with(b"!") && self.token(line).is_usable()
    }

    fn line(&self, key: &[u8]) -> Option<Line> {
        let found = self.lines.binary_search_by(|line| compare(self.key(*line), key)).ok()?;
        self.lines.get(found).copied()
    }

    fn key(&self, line: Line) -> &[u8] {
        self.part(line.start, line.colon)
    }

    fn part(&self, start: u32, end: u32) -> &[u8] {
        let position = |position| usize::try_from(position).unwrap_or(usize::MAX);
        self.bytes.get(position(start)..position(end)).unwrap_or_default()
    }

    fn read_lines(&mut self) {
        let mut start = 0;
        for (index, whole) in self.bytes.split(|&byte| byte == b'\n').enumerate() {
            match Text::of(whole) {
                Text::Nothing => {}
                Text::Line { colon, end } if colon > 0 => self.lines.extend(Line::at(start, colon, end)),
                Text::Line { .. } | Text::NoColon => {
                    self.passed_over.get_or_insert(PassedOver { count: 0, first: index + 1 }).count += 1;
                }
            }
            start += whole.len() + 1;
        }
    }

    /// Sorts the lines and leaves out those that a later one with the same key takes the place of.
    fn sort(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_unstable_by(|one, other| {
            let by_key = compare(self.key(*one), self.key(*other));
            by_key.then_with(|| Reverse(one.start).cmp(&Reverse(other.start)))
        });
        lines.dedup_by(|later, first| self.key(*later).eq_ignore_ascii_case(self.key(*first)));
        self.lines = lines;
    }
}

impl Line {
    fn at(start: usize, colon: usize, end: usize) -> Option<Self> {
        let position = |position: usize| u32::try_from(start + position).ok();
        Some(Self { start: position(0)?, colon: position(colon)?, end: position(end)? })
    }
}

/// What a line is.
enum Text {
    /// Empty, or a comment.
    Nothing,
    /// Something else than it should be.
    NoColon,
    /// A key and what it stands for, by the positions of the colon and of the end.
    Line { colon: usize, end: usize },
}

impl Text {
    /// Blanks, tabs and carriage returns at the end of a line do not count.
    fn of(line: &[u8]) -> Self {
        let end = line.iter().rposition(|&byte| !matches!(byte, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
        match line.get(..end).unwrap_or_default() {
            [] | [b'#', ..] => Self::Nothing,
            line => memchr::memchr(b':', line).map_or(Self::NoColon, |colon| Self::Line { colon, end }),
        }
    }
}

fn compare(one: &[u8], other: &[u8]) -> Ordering {
    one.iter().map(u8::to_ascii_lowercase).cmp(other.iter().map(u8::to_ascii_lowercase))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

#[cfg(test)]
mod tests;
