//! Domains: where vpopmail keeps the accounts of each, by the table that qmail finds their mail with.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cvm_core::answer::Patience;

use super::login::Login;
use super::{Files, Options};
use crate::Notices;
use crate::halt::Halt;
use crate::qmail::{Assigned, Control, Rules, Search, Users};

/// A domain of vpopmail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// Its own name, whatever other names it has; empty for the users without a domain.
    pub(super) name: Vec<u8>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) folder: PathBuf,
}

/// All domains.
pub(super) struct Domains {
    qmail_root: PathBuf,
    root: PathBuf,
    /// The domain of requests without one: what the setting says, or what the file does.
    fixed: Option<Vec<u8>>,
    default: Control<Vec<u8>>,
    users: Users,
}

impl Domains {
    pub(super) fn open(options: &Options, notices: &Notices) -> Self {
        let default = options.root.join("etc/defaultdomain");
        Self {
            qmail_root: options.qmail_root.clone(),
            root: options.root.clone(),
            fixed: options.default_domain.as_ref().map(|domain| domain.to_ascii_lowercase()),
            default: Control::open(default, notices.clone(), first_line),
            users: Users::open(&options.qmail_root),
        }
    }

    /// Finds the domain of a login, which gets one if it has none; users without any have a folder of their own.
    pub(super) fn find(&self, login: &mut Login, files: &Files, patience: Patience) -> Result<Option<Domain>, Halt> {
        if login.domain.is_empty() {
            login.domain = self.default(patience)?;
        }
        if login.domain.is_empty() {
            return self.none(files, patience);
        }
        if !login.has_domain() {
            return Ok(None);
        }
        let search = Search { rules: Rules::Original, patience, places: &files.places };
        let found = self.users.find_beginning(&[&login.domain[..], b"-"].concat(), &search);
        if found == Err(Halt::Failed) {
            let text = format_args!("there is no table of assignments that can be read");
            files.unreadable.give(&files.notices, &self.qmail_root.join("users"), text);
        }
        Ok(found?.as_ref().map(Domain::of))
    }

    fn default(&self, patience: Patience) -> Result<Vec<u8>, Halt> {
        if let Some(domain) = &self.fixed {
            return Ok(domain.clone());
        }
        self.default.catch_up(patience)?;
        Ok(self.default.with(|domain| domain.cloned())?.unwrap_or_default())
    }

    /// Returns what stands for a domain where there is none: its users are those of the folder's owner.
    fn none(&self, files: &Files, patience: Patience) -> Result<Option<Domain>, Halt> {
        files.places.allow(&self.root, patience)?;
        let folder = self.root.join("users");
        match owner_of_users(&folder) {
            Ok((uid, gid)) => Ok(Some(Domain { name: Vec::new(), uid, gid, folder })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => files.readable(&folder, Err(error)),
        }
    }

    pub(super) fn refresh(&self) {
        self.default.refresh();
        self.users.refresh();
    }

    pub(super) fn reload(&self) {
        self.refresh();
        self.default.reload();
    }
}

impl Domain {
    fn of(assigned: &Assigned) -> Self {
        let (name, folder) = (assigned.name().to_vec(), assigned.home().to_owned());
        Self { name, uid: assigned.uid, gid: assigned.gid, folder }
    }
}

/// Returns the owner of a folder with accounts. Nobody becomes root because of who made a folder.
fn owner_of_users(folder: &Path) -> io::Result<(u32, u32)> {
    std::fs::metadata(folder.join("vpasswd"))?;
    let owner = std::fs::metadata(folder)?;
    if owner.uid() == 0 {
        return Err(io::Error::other("users without a domain have a folder that belongs to root"));
    }
    Ok((owner.uid(), owner.gid()))
}

fn first_line(text: &[u8]) -> Vec<u8> {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.trim_ascii().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_first_line() {
        for (text, expected) in [("A.Example\nb.example\n", "a.example"), (" a.example \r\n", "a.example"), ("", "")] {
            assert_eq!(first_line(text.as_bytes()), expected.as_bytes(), "{text:?}");
        }
    }
}
