//! One request, one pass over the file: what command mode does instead of building an index.

use std::collections::TryReserveError;
use std::fs::File;
use std::io::{self, Read};
use std::thread;
use std::time::Instant;

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use memchr::memchr;
use zeroize::Zeroizing;

use super::Options;
use super::entry::{DECOY_LINES, DecoyKey, Entry};
use super::needle::Needle;
use crate::Notices;
use crate::judge::Judge;
use crate::notices::Once;
use crate::stamp::{self, GRACE, Stamp, TICK};

/// How much is read at a time: small enough to stay in the processor's cache.
const CHUNK: usize = 128 * 1024;

/// The module as a program runs it that answers one request: it reads the file to its end, whether or where the
/// account is in it.
#[derive(Debug)]
pub struct PwScan {
    options: Options,
    judge: Judge,
    notices: Notices,
    unreadable: Once,
}

/// A copy of a line, which holds a stored password.
pub(crate) type OwnedLine = Zeroizing<Vec<u8>>;

/// A copy of an account's line, and of the one that stands in for it if nothing matches its password.
#[derive(Debug)]
pub struct ScannedAccount {
    line: OwnedLine,
    decoy: Option<OwnedLine>,
}

impl PwScan {
    /// Makes the module; the file is read for each request.
    #[must_use]
    pub fn new(options: Options, notices: Notices) -> Self {
        let judge = Judge::new(options.comparison, notices.clone());
        Self { options, judge, notices, unreadable: Once::default() }
    }
}

/// Reads a file until it is whole, for a little longer than it may be in the writing: finds the line of an account, and
/// one that stands in for it, whose entry is usable.
pub(crate) fn scan(
    open: impl Fn() -> io::Result<(File, Stamp)>,
    name: &[u8],
    is_usable: impl Fn(&Entry<'_>) -> bool,
) -> io::Result<(Option<OwnedLine>, Option<OwnedLine>)> {
    let give_up = Instant::now() + GRACE + TICK;
    let mut before = None;
    loop {
        let (mut file, stamp) = open()?;
        let mut scan = Scan::new(name, &is_usable, stamp.size);
        scan.read(&mut file, CHUNK)?;
        // What changed within the clock's tick may have changed once more: a second pass tells.
        let is_settled = before == Some(stamp) || stamp.is_older_than(TICK);
        if is_settled && scan.is_whole(stamp, &file)? {
            return Ok(scan.into_lines());
        }
        if Instant::now() >= give_up {
            return Err(io::Error::other("the file is being written"));
        }
        before = Some(stamp);
        thread::sleep(TICK);
    }
}

impl Module for PwScan {
    type Account = ScannedAccount;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<ScannedAccount>, Temporary> {
        let Options { path, comparison } = &self.options;
        let is_usable = |entry: &Entry<'_>| entry.is_usable(*comparison);
        let found = scan(|| stamp::open(path), request.account().unwrap_or_default(), is_usable);
        let (found, decoy) = found.map_err(|error| {
            self.unreadable.give(&self.notices, format_args!("{}: {error}", path.display()));
            Temporary::IO
        })?;
        // An entry without a password is no account, as in the index.
        Ok(match found.filter(|line| Entry::parse(line).is_some_and(|entry| !entry.password.is_empty())) {
            Some(line) => Lookup::Known(ScannedAccount { line, decoy }),
            None => Lookup::Unknown { scope: None, decoy: decoy.map(|line| ScannedAccount { line, decoy: None }) },
        })
    }

    fn authenticate(&self, account: &ScannedAccount, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let decoy = || account.decoy.as_deref().and_then(|line| Entry::parse(line)).map(|entry| entry.password);
        self.judge.matches(account.entry()?.password, decoy, request).map(Verdict::from_match)
    }

    fn results(&self, account: &ScannedAccount, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&account.entry()?.facts());
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        self.judge.comparison().accepts()
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }

    fn authenticate_cost(&self, _: &ScannedAccount) -> Cost {
        self.judge.comparison().cost()
    }
}

impl ScannedAccount {
    fn entry(&self) -> Result<Entry<'_>, Temporary> {
        Entry::parse(&self.line).ok_or(Temporary::BAD_MODULE_DATA)
    }
}

/// What a pass over the file looks for.
pub(super) struct Scan<'n, U> {
    name: &'n [u8],
    is_usable: U,
    size: u64,
    /// The bytes that were read, and whether the last of them is a newline.
    read: u64,
    ends_in_newline: bool,
    found: Option<OwnedLine>,
    first_usable: Option<OwnedLine>,
    decoy: Option<OwnedLine>,
    /// The position from which on lines are looked at for the key, then for the decoy, then not at all.
    look_from: u64,
    /// How many lines may still be tried for the decoy.
    tries: usize,
}

impl<'n, U: Fn(&Entry<'_>) -> bool> Scan<'n, U> {
    pub(super) fn new(name: &'n [u8], is_usable: U, size: u64) -> Self {
        Self {
            name,
            is_usable,
            size,
            read: 0,
            ends_in_newline: false,
            found: None,
            first_usable: None,
            decoy: None,
            look_from: 0,
            tries: DECOY_LINES,
        }
    }

    /// Reads the file in chunks; a line that a chunk cuts is completed by the next one.
    pub(super) fn read(&mut self, mut input: impl Read, chunk: usize) -> io::Result<()> {
        let capacity = usize::try_from(self.size.saturating_add(1)).unwrap_or(chunk).min(chunk);
        let mut buffer = Zeroizing::new(vec![0; capacity]);
        let mut kept = 0;
        loop {
            if kept == buffer.len() {
                buffer = grown(&buffer)?;
            }
            let count = input.read(&mut buffer[kept..])?;
            let filled = kept + count;
            if count == 0 {
                self.last_line(&buffer[..kept], self.read - as_u64(kept));
                return Ok(());
            }
            let start = self.read - as_u64(kept);
            self.read += as_u64(count);
            self.ends_in_newline = buffer[filled - 1] == b'\n';
            let taken = self.lines(&buffer[..filled], start);
            buffer.copy_within(taken..filled, 0);
            kept = filled - taken;
        }
    }

    /// Returns the account's line, and the one that stands in for it.
    pub(super) fn into_lines(self) -> (Option<OwnedLine>, Option<OwnedLine>) {
        (self.found, self.decoy.or(self.first_usable))
    }

    /// Looks at the whole lines of a chunk that begins at this position, and returns their length.
    fn lines(&mut self, chunk: &[u8], position: u64) -> usize {
        let length = memchr::memrchr(b'\n', chunk).map_or(0, |end| end + 1);
        let lines = &chunk[..length];
        self.look_for_decoys(lines, position);
        let needle = Needle::new(self.name);
        needle.search(lines, |start| self.look_for_account(first_line(&lines[start..])));
        length
    }

    /// Looks at the last line, which no newline ends.
    fn last_line(&mut self, line: &[u8], position: u64) {
        if position >= self.look_from {
            self.look_for_decoy(line, position);
        }
        self.look_for_account(line);
    }

    /// Goes through the lines from the position on from which they are looked at, which moves meanwhile.
    fn look_for_decoys(&mut self, lines: &[u8], position: u64) {
        let mut start = 0;
        while start < lines.len() {
            let skipped = self.look_from.saturating_sub(position + as_u64(start));
            if skipped == 0 {
                self.look_for_decoy(first_line(&lines[start..]), position + as_u64(start));
            }
            // The next line to look at begins behind the first newline from here on.
            let from = usize::try_from(skipped.saturating_sub(1)).unwrap_or(usize::MAX).saturating_add(start);
            let Some(end) = lines.get(from..).and_then(|rest| memchr(b'\n', rest)) else {
                return;
            };
            start = from + end + 1;
        }
    }

    fn look_for_account(&mut self, line: &[u8]) {
        let is_named = |entry: Entry<'_>| entry.name.eq_ignore_ascii_case(self.name);
        if self.found.is_none() && Entry::parse(line).is_some_and(is_named) {
            self.found = Some(Zeroizing::new(line.to_vec()));
        }
    }

    /// Finds the first usable entry, whose password is the key, then the decoy, a few lines behind its position.
    fn look_for_decoy(&mut self, line: &[u8], position: u64) {
        let usable = Entry::parse(line).filter(&self.is_usable);
        if self.first_usable.is_none() {
            let Some(entry) = usable else {
                return;
            };
            let behind = DecoyKey::new(entry.password).position(self.name, self.size);
            self.first_usable = Some(Zeroizing::new(line.to_vec()));
            self.look_from = behind.saturating_add(1);
            if position < self.look_from {
                return;
            }
        }
        self.tries -= 1;
        if usable.is_some() {
            self.decoy = Some(Zeroizing::new(line.to_vec()));
        }
        if usable.is_some() || self.tries == 0 {
            self.look_from = u64::MAX;
        }
    }

    /// Tells whether the pass saw one version of the file, and all of it.
    fn is_whole(&self, stamp: Stamp, file: &File) -> io::Result<bool> {
        let is_unchanged = Stamp::of(&file.metadata()?) == stamp && self.read == stamp.size;
        Ok(is_unchanged && (self.ends_in_newline || stamp.is_older_than(GRACE)))
    }
}

/// Returns what comes before the first newline.
fn first_line(lines: &[u8]) -> &[u8] {
    &lines[..memchr(b'\n', lines).unwrap_or(lines.len())]
}

/// Makes room for a line that is longer than the buffer, if there is memory.
fn grown(buffer: &[u8]) -> Result<OwnedLine, TryReserveError> {
    let mut longer = Zeroizing::new(Vec::new());
    longer.try_reserve_exact(buffer.len() * 2)?;
    longer.extend_from_slice(buffer);
    longer.resize(buffer.len() * 2, 0);
    Ok(longer)
}

const fn as_u64(length: usize) -> u64 {
    length as u64
}
