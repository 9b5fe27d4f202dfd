//! The accounts of one version of a file, and what stands in for those that it does not have.

use std::collections::TryReserveError;
use std::fmt;
use std::hint::black_box;

use memchr::memchr;
use zeroize::Zeroizing;

use super::entry::{DECOY_LINES, DecoyKey, Entry, LINE_MAX, Layout};
use super::groups::{Groups, Place};
use crate::password::Comparison;

/// A line of a table, by the position of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Among those in groups.
    Grouped(u32),
    /// In the file.
    InFile(u32),
}

/// What there is for a name.
pub(super) struct Found {
    pub(super) account: Option<(Line, Layout)>,
    pub(super) decoy: Option<(Line, Layout)>,
}

/// One version of the file: its accounts in groups, and where decoys come from it, the file itself.
pub(super) struct Table {
    accounts: Groups,
    comparison: Comparison,
    /// `None` if nobody can authenticate.
    decoys: Option<Decoys>,
    malformed: Option<(usize, usize)>,
}

/// How decoys are chosen, and where they come from if none is near.
enum Decoys {
    /// Any will do: it takes as long to compare a password with one plain text as with another.
    Any { first: Line },
    /// By positions in the file, as whoever scans it chooses them.
    InFile { key: DecoyKey, first: Line, file: Zeroizing<Vec<u8>> },
}

impl Table {
    /// Reads the lines of a file of less than 4 GiB; fails if there is no memory to put them in order.
    pub(super) fn parse(file: Zeroizing<Vec<u8>>, comparison: Comparison) -> Result<Self, TryReserveError> {
        let mut survey = Survey { comparison, lines: 0, malformed: None, first_usable: None };
        let accounts = Groups::of(&file, |start, line| survey.name(start, line))?;
        let Survey { malformed, first_usable, .. } = survey;
        let mut table = Self { accounts, comparison, decoys: None, malformed };
        table.decoys = match (comparison, first_usable) {
            (_, None) => None,
            (Comparison::Plain, Some(_)) => table.first_usable().map(|first| Decoys::Any { first }),
            (_, Some((key, first))) => Some(Decoys::InFile { key, first, file }),
        };
        Ok(table)
    }

    /// Finds the first account of this name, whatever the case of its letters, and the one that stands in for it if
    /// there is none, or none that can be authenticated against. Either way one group is read and one line of it.
    pub(super) fn find(&self, name: &[u8]) -> Found {
        let Place { position, is_found } = self.accounts.find(name);
        let read = black_box(self.account(Line::Grouped(position)));
        let account = read.filter(|_| is_found);
        let decoy = match self.decoys {
            Some(Decoys::Any { .. }) => read.filter(|read| self.is_usable(*read)),
            _ => None,
        };
        Found { account, decoy: decoy.or_else(|| self.decoy(name, position)) }
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

    /// Returns what there is from this line on.
    fn rest(&self, line: Line) -> Option<&[u8]> {
        match (line, &self.decoys) {
            (Line::Grouped(position), _) => self.accounts.rest(position),
            (Line::InFile(position), Some(Decoys::InFile { file, .. })) => file.get(position as usize..),
            (Line::InFile(_), _) => None,
        }
    }

    /// Returns how many lines are malformed, and the number of the first.
    pub(super) const fn malformed(&self) -> Option<(usize, usize)> {
        self.malformed
    }

    /// Chooses the account that a name without one is authenticated against, if any will do near this position in the
    /// groups; `None` if no account can be.
    fn decoy(&self, name: &[u8], position: u32) -> Option<(Line, Layout)> {
        let (near, first) = match self.decoys.as_ref()? {
            Decoys::Any { first } => (Some(Line::Grouped(position)), first),
            Decoys::InFile { key, first, file } => {
                let position = key.position(name, u64::try_from(file.len()).ok()?);
                (self.line_behind(Line::InFile(u32::try_from(position).ok()?)), first)
            }
        };
        near.and_then(|near| self.usable_near(near, DECOY_LINES)).or_else(|| self.account(*first))
    }

    /// Finds an account that can be authenticated against on a line or one of those behind it.
    fn usable_near(&self, line: Line, tries: usize) -> Option<(Line, Layout)> {
        let lines = std::iter::successors(Some(line), |line| self.line_behind(*line)).take(tries);
        lines.filter_map(|line| self.account(line)).find(|account| self.is_usable(*account))
    }

    fn first_usable(&self) -> Option<Line> {
        self.usable_near(Line::Grouped(0), usize::MAX).map(|(line, _)| line)
    }

    fn is_usable(&self, account: (Line, Layout)) -> bool {
        self.entry(account).is_some_and(|entry| entry.is_usable(self.comparison))
    }

    /// Returns the line that begins behind the next newline.
    fn line_behind(&self, line: Line) -> Option<Line> {
        let length = u32::try_from(memchr(b'\n', self.rest(line)?)?).ok()? + 1;
        Some(match line {
            Line::Grouped(position) => Line::Grouped(position.checked_add(length)?),
            Line::InFile(position) => Line::InFile(position.checked_add(length)?),
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// What is found out about a file line by line.
struct Survey {
    comparison: Comparison,
    lines: usize,
    malformed: Option<(usize, usize)>,
    first_usable: Option<(DecoyKey, Line)>,
}

impl Survey {
    /// Returns the name of the account on the next line, if it is one.
    fn name<'f>(&mut self, start: usize, line: &'f [u8]) -> Option<&'f [u8]> {
        self.lines += 1;
        if matches!(line.first(), None | Some(b'#')) {
            return None;
        }
        let Some(entry) = Entry::parse(line) else {
            let (count, _) = self.malformed.get_or_insert((0, self.lines));
            *count += 1;
            return None;
        };
        if self.first_usable.is_none() && entry.is_usable(self.comparison) {
            let line = Line::InFile(u32::try_from(start).ok()?);
            self.first_usable = Some((DecoyKey::new(entry.password), line));
        }
        Some(entry.name)
    }
}

#[cfg(test)]
mod tests;
