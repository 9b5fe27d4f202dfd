//! One request, one pass over the file: what command mode does instead of keeping the accounts.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Instant;

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};

use super::Options;
use super::entry::Entry;
use super::pass::{CHUNK, Found, IsUsable, OwnedLine, Pass};
use crate::Notices;
use crate::judge::Judge;
use crate::notices::Once;
use crate::stamp::{self, GRACE, Stamp, TICK};

/// The smallest part of a file that is worth a thread.
const PART_MIN: u64 = 8 * 1024 * 1024;

/// The module as a program runs it that answers one request: it reads the file to its end, whether or where the
/// account is in it.
#[derive(Debug)]
pub struct PwScan {
    options: Options,
    judge: Judge,
    notices: Notices,
    unreadable: Once,
}

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
    is_usable: &IsUsable<'_>,
) -> io::Result<(Option<OwnedLine>, Option<OwnedLine>)> {
    let give_up = Instant::now() + GRACE + TICK;
    let mut before = None;
    loop {
        let (file, stamp) = open()?;
        let found = Pass { name, is_usable, size: stamp.size }.over(&file, parts(stamp.size), CHUNK)?;
        // What changed within the clock's tick may have changed once more: a second pass tells.
        let is_settled = before == Some(stamp) || stamp.is_older_than(TICK);
        if is_settled && is_whole(&found, stamp, &file)? {
            return Ok((found.account, found.decoy));
        }
        if Instant::now() >= give_up {
            return Err(io::Error::other("the file is being written"));
        }
        before = Some(stamp);
        thread::sleep(TICK);
    }
}

/// Returns how many threads share a file of this size: more than one only for what takes some milliseconds.
fn parts(size: u64) -> u64 {
    match size / PART_MIN {
        0 | 1 => 1,
        parts => parts.min(thread::available_parallelism().map_or(1, |cores| cores.get() as u64)),
    }
}

/// Tells whether the pass saw one version of the file, and all of it.
fn is_whole(found: &Found, stamp: Stamp, file: &File) -> io::Result<bool> {
    let is_unchanged = Stamp::of(&file.metadata()?) == stamp && found.size == stamp.size;
    Ok(is_unchanged && (found.ends_in_newline || stamp.is_older_than(GRACE)))
}

impl Module for PwScan {
    type Account = ScannedAccount;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<ScannedAccount>, Temporary> {
        let Options { path, comparison } = &self.options;
        let is_usable = |entry: &Entry<'_>| entry.is_usable(*comparison);
        let found = scan(|| stamp::open(path), request.account().unwrap_or_default(), &is_usable);
        let (account, decoy) = found.map_err(|error| {
            self.unreadable.give(&self.notices, format_args!("{}: {error}", path.display()));
            Temporary::IO
        })?;
        // An entry without a password is no account, as for a server.
        Ok(match account.filter(|line| Entry::parse(line).is_some_and(|entry| !entry.password.is_empty())) {
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
