//! Becoming a user, and running a program as that user.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use cvm_core::client::{variable_names, variables};
use cvm_core::wire::Facts;
use cvm_core::{FactType, parse_integer};
use nix::unistd::{Gid, Uid, User, geteuid, getresgid, getresuid, setgid, setgroups, setuid};
use rustix::process::chdir;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::program::Stopped;

/// Becomes the user that the facts tell of and runs a program in place of this one; returns only if that fails.
///
/// The process may then be half changed: the caller must end.
pub(crate) fn run(facts: &Facts, program: &OsStr, arguments: &[OsString]) -> Stopped {
    match Identity::of_facts(facts) {
        Ok(identity) => identity.run(program, arguments),
        Err(stopped) => stopped,
    }
}

/// Runs a program in place of this one, with these variables beside those that are set, but for the secret of lookup
/// mode, which is no user's to know; returns only if that fails.
pub(crate) fn exec(program: &OsStr, arguments: &[OsString], variables: Vec<Variable>) -> Stopped {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("CVM_LOOKUP_SECRET");
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Stopped::Io(format!("cannot run {}: {}", program.display(), command.exec()))
}

/// A variable with its value; one without any is not set, whatever the caller had there.
pub(crate) type Variable = (&'static str, Option<OsString>);

/// Who to become, and what the program that runs then is told of it.
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    directory: OsString,
    variables: Vec<Variable>,
}

impl Identity {
    /// Takes what the facts tell. Everything that can be wrong with them is found here, before the first change.
    fn of_facts(facts: &Facts) -> Result<Self, Stopped> {
        let variables = printable(facts)?;
        let (uid, gid) = (Uid::from_raw(id(facts, FactType::USERID)?), Gid::from_raw(id(facts, FactType::GROUPID)?));
        let groups = groups(facts, gid)?;
        let directory = OsStr::from_bytes(facts.get(FactType::DIRECTORY).unwrap_or_default()).to_owned();
        Ok(Self { uid, gid, groups, directory, variables })
    }

    /// Takes a user of the system as djb's checkpassword does: with the primary group alone, and three variables.
    pub(crate) fn of_user(user: &User) -> Self {
        let (home, shell) = (user.dir.as_os_str().to_owned(), user.shell.as_os_str().to_owned());
        let variables = vec![("USER", user.name.clone().into()), ("HOME", home.clone()), ("SHELL", shell)];
        let variables = variables.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Self { uid: user.uid, gid: user.gid, groups: vec![user.gid], directory: home, variables }
    }

    /// Becomes this user and runs a program in place of this one; returns only if that fails.
    ///
    /// The process may then be half changed: the caller must end.
    pub(crate) fn run(self, program: &OsStr, arguments: &[OsString]) -> Stopped {
        match self.take_on() {
            Ok(()) => exec(program, arguments, self.variables),
            Err(stopped) => stopped,
        }
    }

    /// Tells whether this process is the user already, and nobody else in any respect.
    fn is_ours(&self) -> bool {
        let is_user = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.uid; 3]);
        let is_group = getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.gid; 3]);
        is_user && is_group
    }

    /// Changes groups, group, user, capabilities and directory.
    fn take_on(&self) -> Result<(), Stopped> {
        // Whoever is the user already may not, and need not.
        if geteuid().is_root() || !self.is_ours() {
            setgroups(&self.groups).map_err(failed("set the groups"))?;
        }
        setgid(self.gid).map_err(failed(format_args!("become group {}", self.gid)))?;
        setuid(self.uid).map_err(failed(format_args!("become user {}", self.uid)))?;
        if !self.uid.is_root() {
            give_up_capabilities()?;
        }
        chdir(&self.directory).map_err(failed(format_args!("change to {}", self.directory.display())))
    }
}

/// Gives up what a user can have beside his ids: if it was not root who became him, the kernel takes nothing.
fn give_up_capabilities() -> Result<(), Stopped> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // The ambient ones go with the permitted ones.
    set_capabilities(None, sets).map_err(failed("give up the capabilities"))
}

/// Names what was tried when the system refused.
pub(crate) fn failed<E: Into<io::Error>>(what: impl Display) -> impl FnOnce(E) -> Stopped {
    move |error| Stopped::Io(format!("cannot {what}: {}", error.into()))
}

/// The variables that the facts set, of which none can hold a NUL, and before them those that they could set.
fn printable(facts: &Facts) -> Result<Vec<Variable>, Stopped> {
    let of = |(name, value): (&'static str, Vec<u8>)| match value.contains(&0) {
        true => Err(Stopped::Io(format!("the module tells a fact for ${name} that holds a NUL byte"))),
        false => Ok((name, Some(OsString::from_vec(value)))),
    };
    let stale = variable_names().map(|name| Ok((name, None)));
    stale.chain(variables(facts).into_iter().map(of)).collect()
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
