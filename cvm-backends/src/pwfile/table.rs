//! The accounts of one version of a file, and what stands in for those that it does not have.

use std::collections::TryReserveError;
use std::fmt;
use std::hint::black_box;
use std::iter::successors;

use memchr::memchr;
use zeroize::Zeroizing;

use super::entry::{DECOY_LINES, DecoyKey, Entry, LINE_MAX, Layout};
use super::spread::{Place, Spread};
use crate::password::Comparison;

/// So much memory is near enough to be read without notice.
const FAR: usize = 4 * 1024 * 1024;

/// A line of a table, by the position of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Among the accounts.
    Account(usize),
    /// In what is kept of the file.
    InFile(usize),
}

/// What there is for a name.
pub(super) struct Found {
    pub(super) account: Option<(Line, Layout)>,
    pub(super) decoy: Option<(Line, Layout)>,
}

/// One version of the file. Memory: that of [`Spread`], and where passwords are hashed the file.
pub(super) struct Table {
    accounts: Spread,
    comparison: Comparison,
    /// `None` if nobody can authenticate.
    decoys: Option<Decoys>,
    malformed: Option<(usize, usize)>,
}

/// How decoys are chosen: by positions in the file, as whoever scans it does.
struct Decoys {
    key: DecoyKey,
    /// Of plain text only the first usable line.
    file: Zeroizing<Vec<u8>>,
    /// Where the first usable line begins.
    first: usize,
}

impl Table {
    /// Reads the lines of a file of less than 4 GiB; fails if there is no memory for them.
    pub(super) fn parse(file: Zeroizing<Vec<u8>>, comparison: Comparison) -> Result<Self, TryReserveError> {
        let mut survey = Survey { comparison, lines: 0, malformed: None, first_usable: None };
        let accounts = Spread::of(&file, |start, line| survey.name(start, line))?;
        let Survey { malformed, first_usable, .. } = survey;
        let decoys = first_usable.map(|(key, first)| Decoys::new(key, first, file, comparison));
        Ok(Self { accounts, comparison, decoys, malformed })
    }

    /// Finds the first account of this name, whatever the case of its letters, and the one that stands in for it if
    /// there is none, or none that can be authenticated against. Either way one place is read, and one line there.
    pub(super) fn find(&self, name: &[u8]) -> Found {
        let Place { position, line, is_found } = self.accounts.find(name);
        let read = black_box(Layout::parse(line).map(|layout| (Line::Account(position), layout)));
        let usable = || read.filter(|account| self.is_usable(*account));
        let account = read.filter(|_| is_found);
        match self.comparison {
            // It takes as long to compare a password with one plain text as with another.
            Comparison::Plain if let Some(usable) = usable() => Found { account, decoy: Some(usable) },
            _ => Found { account, decoy: self.decoy(name) },
        }
    }

    /// Tells whether it is worth the time to fetch what is read for names.
    pub(super) fn is_far(&self) -> bool {
        self.accounts.size() > FAR
    }

    /// Has the memory fetched that [`Self::find`] will read, and does not wait for it.
    pub(super) fn fetch(&self, name: &[u8]) {
        self.accounts.fetch(name);
    }

    /// Returns what is on a line that was read.
    pub(super) fn entry(&self, (line, layout): (Line, Layout)) -> Option<Entry<'_>> {
        let rest = match line {
            Line::Account(position) => self.accounts.rest(position),
            Line::InFile(position) => self.decoys.as_ref()?.file.get(position..)?,
        };
        layout.entry(rest.get(..layout.len())?)
    }

    /// Returns how many lines are malformed, and the number of the first.
    pub(super) const fn malformed(&self) -> Option<(usize, usize)> {
        self.malformed
    }

    /// Chooses the account that a name without one is authenticated against; `None` if no account can be.
    fn decoy(&self, name: &[u8]) -> Option<(Line, Layout)> {
        let Decoys { key, file, first } = self.decoys.as_ref()?;
        let position = usize::try_from(key.position(name, u64::try_from(file.len()).ok()?)).ok()?;
        let line_behind = |position: usize| Some(position + memchr(b'\n', file.get(position..)?)? + 1);
        let lines = successors(line_behind(position), |start| line_behind(*start)).take(DECOY_LINES);
        let usable = |start| account_in(file, start).filter(|account| self.is_usable(*account));
        lines.filter_map(usable).next().or_else(|| account_in(file, *first))
    }

    fn is_usable(&self, account: (Line, Layout)) -> bool {
        self.entry(account).is_some_and(|entry| entry.is_usable(self.comparison))
    }
}

impl Decoys {
    /// Keeps what decoys come from: where any will do, the file is not needed.
    fn new(key: DecoyKey, first: usize, file: Zeroizing<Vec<u8>>, comparison: Comparison) -> Self {
        if comparison != Comparison::Plain {
            return Self { key, file, first };
        }
        let line = file.get(first..).and_then(|rest| rest.split(|&byte| byte == b'\n').next());
        Self { key, file: Zeroizing::new(line.unwrap_or_default().to_vec()), first: 0 }
    }
}

/// Reads the account on a line of what is kept of the file.
fn account_in(file: &[u8], start: usize) -> Option<(Line, Layout)> {
    let rest = file.get(start..)?;
    let rest = rest.get(..=LINE_MAX).unwrap_or(rest);
    let layout = Layout::parse(rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?)?;
    Some((Line::InFile(start), layout))
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
    first_usable: Option<(DecoyKey, usize)>,
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
            self.first_usable = Some((DecoyKey::new(entry.password), start));
        }
        Some(entry.name)
    }
}

#[cfg(test)]
mod tests;
