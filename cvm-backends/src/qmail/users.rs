//! From a local part to a user: the table of assignments, and the users of the system.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{io, iter};

use cvm_core::answer::Patience;
use nix::errno::Errno;
use nix::unistd::User;

use super::Rules;
use super::places::Places;
use crate::cdb::{Cdb, Reader, WatchedCdb, hash_of};
use crate::halt::Halt;
use crate::stamp::Links;

/// Names of the system's users are shorter than this for qmail-getpw.
const NAME_MAX: usize = 32;

/// How many searches of a round are anticipated: those of a batch of datagrams.
const ANTICIPATED_MAX: usize = 64;

/// Who gets what nobody else does.
const ALIAS: &[u8] = b"alias";

/// The tables of assignments.
pub(crate) struct Users {
    folder: PathBuf,
    /// `users/cdb` and, where that is missing, `users/assign.cdb`, as s/qmail calls it.
    tables: [WatchedCdb; 2],
}

/// Whom a local part is assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The other fields, one behind the other, and where all but the last one end.
    text: Vec<u8>,
    ends: [usize; 4],
}

/// The fields of one to whom a local part is assigned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) name: &'a [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: &'a [u8],
    pub(super) dash: &'a [u8],
    /// What the table says.
    pub(super) extension: &'a [u8],
    /// What the local part has beyond that.
    pub(super) rest: &'a [u8],
}

impl Users {
    pub(crate) fn open(root: &Path) -> Self {
        let folder = root.join("users");
        let tables = ["cdb", "assign.cdb"].map(|name| WatchedCdb::open_keeping(folder.join(name), Links::Followed));
        Self { folder, tables }
    }

    /// Looks at the first table, and beyond it where it is missing.
    pub(crate) fn refresh(&self) {
        for table in &self.tables {
            table.refresh();
            if !matches!(table.get(), Ok(None)) {
                return;
            }
        }
    }

    /// Finds whom a local part is assigned to.
    pub(super) fn find(&self, local: &[u8], search: &Search<'_>) -> Result<Option<Assigned>, Halt> {
        let table = self.table(search)?;
        let table = table.as_deref().map(Cdb::reader);
        let found = match search.rules {
            Rules::Original => as_the_original(table, local, search),
            Rules::Qmail => as_qmail(table, local, search),
        }?;
        table.map(Reader::check).transpose()?;
        Ok(found)
    }

    /// Finds whom all local parts that begin so are assigned to, by the table alone: without one that is an error.
    pub(crate) fn find_beginning(&self, beginning: &[u8], search: &Search<'_>) -> Result<Option<Assigned>, Halt> {
        let table = self.table(search)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let table = table.reader();
        let found = in_table(Some(table), &[b"!", beginning].concat(), b"")?;
        table.check()?;
        Ok(found)
    }

    /// Hears of what is searched for in a round before the first search, and has what they will read fetched for all of
    /// them at once. Of each it takes the [`hash_of_whole`].
    pub(super) fn anticipate(&self, hashes: impl Iterator<Item = u32>) {
        let Some(table) = self.tables.iter().find_map(|table| table.get().ok().flatten()) else {
            return;
        };
        let table = table.reader();
        if !table.is_far() {
            return;
        }
        let mut fetched = [0; ANTICIPATED_MAX];
        let mut count = 0;
        for (place, hash) in fetched.iter_mut().zip(hashes) {
            table.fetch_slots(hash);
            *place = hash;
            count += 1;
        }
        fetched.iter().take(count).for_each(|&hash| table.fetch_record(hash));
    }

    fn table(&self, search: &Search<'_>) -> Result<Option<Arc<Cdb>>, Halt> {
        for table in &self.tables {
            if let Some(table) = table.get()? {
                search.places.allow(&self.folder, search.patience)?;
                return Ok(Some(table));
            }
        }
        Ok(None)
    }
}

/// How to search.
pub(crate) struct Search<'a> {
    pub(crate) rules: Rules,
    pub(crate) patience: Patience,
    pub(crate) places: &'a Places,
}

/// Tries the local part whole, then cut at each dash from the right, each in the table before the system's users; at
/// last, and for what begins with a dash in place of the cut there, the table's catch-all, or the user `alias`.
fn as_the_original(table: Option<Reader<'_>>, local: &[u8], search: &Search<'_>) -> Result<Option<Assigned>, Halt> {
    let name = local.to_ascii_lowercase();
    // Beside a table the system's users are asked for as their names come.
    let asked = if table.is_some() { local } else { &name };
    if let Some(found) = in_table(table, &[b"!", &name[..], b"\0"].concat(), b"")? {
        return Ok(Some(found));
    }
    if let Some(found) = in_system(asked, b"", b"", search)? {
        return Ok(Some(found));
    }
    for at in (1..local.len()).rev().filter(|&at| local.get(at) == Some(&b'-')) {
        let rest = local.get(at + 1..).unwrap_or_default();
        if let Some(found) = in_table(table, &[b"!", name.split_at(at).0, b"-"].concat(), rest)? {
            return Ok(Some(found));
        }
        if let Some(found) = in_system(asked.split_at(at).0, b"-", rest, search)? {
            return Ok(Some(found));
        }
    }
    let rest = local.strip_prefix(b"-").unwrap_or(local);
    match in_table(table, b"!", rest)? {
        None => in_system(ALIAS, b"-", rest, search),
        found => Ok(found),
    }
}

/// Tries every key of the table as qmail-lspawn does, then the system's users as qmail-getpw does.
fn as_qmail(table: Option<Reader<'_>>, local: &[u8], search: &Search<'_>) -> Result<Option<Assigned>, Halt> {
    if let Some(table) = table
        && let Some(found) = in_table_of_qmail(table, local)?
    {
        return Ok(Some(found));
    }
    let cuts = (0..local.len()).rev().filter(|&at| local.get(at) == Some(&b'-'));
    let candidates = cuts.filter_map(|at| Some((local.get(..at)?, &b"-"[..], local.get(at + 1..)?)));
    for (user, dash, rest) in iter::once((local, &b""[..], &b""[..])).chain(candidates) {
        if user.len() >= NAME_MAX {
            continue;
        }
        if let Some(found) = in_system(&user.to_ascii_lowercase(), dash, rest, search)?
            && found.has_own_home()?
        {
            return Ok(Some(found));
        }
    }
    let alias = in_system(ALIAS, b"-", local, search)?;
    // qmail would try again later, too.
    Ok(Some(alias.ok_or_else(|| io::Error::other("there is no user alias"))?))
}

/// Tries the local part whole, then each of its beginnings whose last byte is that of a wildcard.
fn in_table_of_qmail(table: Reader<'_>, local: &[u8]) -> io::Result<Option<Assigned>> {
    let wildcards = table.find_empty()?.ok_or_else(not_ours)?;
    let mut key = [b"!", local, b"\0"].concat();
    key.make_ascii_lowercase();
    while let Some(last) = key.last() {
        let is_whole = key.len() == local.len() + 2;
        if is_whole || key.len() == 1 || wildcards.contains(last) {
            let rest = local.get(key.len() - 1..).unwrap_or_default();
            if let Some(found) = in_table(Some(table), &key, rest)? {
                return Ok(Some(found));
            }
        }
        key.pop();
    }
    Ok(None)
}

fn in_table(table: Option<Reader<'_>>, key: &[u8], rest: &[u8]) -> io::Result<Option<Assigned>> {
    let found = table.map(|table| table.search(key)).transpose()?.flatten();
    found.map(|data| Assigned::read(&data, rest).ok_or_else(not_ours)).transpose()
}

/// Returns the hash of the key under which a local part is sought first, as a whole.
pub(super) fn hash_of_whole(local: &[u8]) -> u32 {
    let local = local.iter().map(u8::to_ascii_lowercase);
    hash_of(iter::once(b'!').chain(local).chain(iter::once(0)))
}

/// A table without what qmail-newu writes.
fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a table of assignments")
}

fn in_system(name: &[u8], dash: &[u8], rest: &[u8], search: &Search<'_>) -> Result<Option<Assigned>, Halt> {
    let name = str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains('\0'));
    let Some(name) = name else {
        return Ok(None);
    };
    if search.patience == Patience::Immediate {
        return Err(Halt::Waits);
    }
    let user = match User::from_name(name) {
        Err(Errno::ENOENT | Errno::ESRCH) => None,
        found => found.map_err(io::Error::from)?,
    };
    Ok(user.map(|user| {
        Assigned::of(Fields {
            name: user.name.as_bytes(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.as_os_str().as_bytes(),
            dash,
            extension: b"",
            rest,
        })
    }))
}

impl Assigned {
    pub(super) fn of(fields: Fields<'_>) -> Self {
        let Fields { name, uid, gid, home, dash, extension, rest } = fields;
        let mut end = 0;
        let ends = [name, home, dash, extension].map(|field| {
            end += field.len();
            end
        });
        Self { uid, gid, text: [name, home, dash, extension, rest].concat(), ends }
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.field(0, self.ends[0])
    }

    pub(crate) fn home(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.field(self.ends[0], self.ends[1])))
    }

    pub(crate) fn dash(&self) -> &[u8] {
        self.field(self.ends[1], self.ends[2])
    }

    /// Returns what the table says.
    pub(crate) fn extension(&self) -> &[u8] {
        self.field(self.ends[2], self.ends[3])
    }

    /// Returns what the local part has beyond that.
    pub(crate) fn rest(&self) -> &[u8] {
        self.field(self.ends[3], self.text.len())
    }

    fn field(&self, start: usize, end: usize) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Reads a value of the table: six strings, NUL between them.
    fn read(data: &[u8], rest: &[u8]) -> Option<Self> {
        let mut fields = data.split(|&byte| byte == 0);
        let mut next = || fields.next();
        let (name, uid, gid, home, dash, extension) = (next()?, next()?, next()?, next()?, next()?, next()?);
        // The highest number tells the system's calls to leave an id as it is, which would be that of root.
        let number = |field: &[u8]| u32::try_from(cvm_core::parse_integer(field)?).ok().filter(|&id| id != u32::MAX);
        Some(Self::of(Fields { name, uid: number(uid)?, gid: number(gid)?, home, dash, extension, rest }))
    }

    /// Tells whether qmail-getpw takes this user of the system: not root, and the owner of the home.
    fn has_own_home(&self) -> io::Result<bool> {
        match std::fs::metadata(self.home()) {
            Ok(home) => Ok(self.uid != 0 && home.uid() == self.uid),
            Err(error) if super::dotfile::is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
