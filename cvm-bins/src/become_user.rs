//! Becoming the user of an account, and running a program as that user.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use cvm_core::client::variables;
use cvm_core::wire::Facts;
use cvm_core::{FactType, parse_integer};
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use rustix::process::chdir;

use crate::program::Stopped;

/// Becomes the user that the facts tell of and runs a program in place of this one; returns only if that fails.
///
/// The process may then be half changed: the caller must end.
pub(crate) fn run(facts: &Facts, program: &OsStr, arguments: &[OsString]) -> Stopped {
    match become_user(facts) {
        Ok(variables) => {
            let error = Command::new(program).args(arguments).envs(variables).exec();
            Stopped::Io(format!("cannot run {}: {error}", program.display()))
        }
        Err(stopped) => stopped,
    }
}

/// Changes groups, group, user and directory, and returns the variables to set.
fn become_user(facts: &Facts) -> Result<Vec<(&'static str, OsString)>, Stopped> {
    // Everything that can be wrong with the facts is found before the first change.
    let variables = printable(facts)?;
    let (uid, gid) = (Uid::from_raw(id(facts, FactType::USERID)?), Gid::from_raw(id(facts, FactType::GROUPID)?));
    let groups = groups(facts, gid)?;
    let directory = facts.get(FactType::DIRECTORY).unwrap_or_default();
    // Only root can; whoever is the user already needs not.
    if geteuid().is_root() {
        setgroups(&groups).map_err(failed("set the groups"))?;
    }
    setgid(gid).map_err(failed(format_args!("become group {gid}")))?;
    setuid(uid).map_err(failed(format_args!("become user {uid}")))?;
    let directory = OsStr::from_bytes(directory);
    chdir(directory).map_err(failed(format_args!("change to {}", directory.display())))?;
    Ok(variables)
}

/// Names what was tried when the system refused.
fn failed<E: Into<io::Error>>(what: impl Display) -> impl FnOnce(E) -> Stopped {
    move |error| Stopped::Io(format!("cannot {what}: {}", error.into()))
}

/// The variables that the facts set; none can hold a NUL.
fn printable(facts: &Facts) -> Result<Vec<(&'static str, OsString)>, Stopped> {
    let of = |(name, value): (&'static str, Vec<u8>)| match value.contains(&0) {
        true => Err(Stopped::Io(format!("the module tells a fact for ${name} that holds a NUL byte"))),
        false => Ok((name, OsString::from_vec(value))),
    };
    variables(facts).into_iter().map(of).collect()
}

/// The supplementary groups, or the primary one alone where the facts name none.
fn groups(facts: &Facts, gid: Gid) -> Result<Vec<Gid>, Stopped> {
    let all = facts.all(FactType::SUPP_GROUPID).map(|value| number(FactType::SUPP_GROUPID, Some(value)));
    let all: Vec<_> = all.map(|group| group.map(Gid::from_raw)).collect::<Result<_, _>>()?;
    Ok(if all.is_empty() { vec![gid] } else { all })
}

fn id(facts: &Facts, kind: FactType) -> Result<u32, Stopped> {
    number(kind, facts.get(kind))
}

/// Reads a number that the system takes as an ID; the highest one means "none" to it.
fn number(kind: FactType, value: Option<&[u8]>) -> Result<u32, Stopped> {
    let number = value.and_then(parse_integer).and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| *number != u32::MAX);
    number.ok_or_else(|| Stopped::Io(format!("the module tells an ID (fact {}) that is none", kind.number())))
}
