//! CDB: constant databases, whose files come from users and are believed in nothing.
//!
//! Every position is checked against the file's size, a search looks at a bounded number of slots, and the file is
//! read with `pread`: whoever truncates it ends one look-up with an error, where a mapped file would end the process.
//! The crates `cdb` and `cdb2` map or buffer the file, hence this reader. A table without secrets that is asked often
//! may be kept in memory: what is read of a file block by block lies in small pages, where looking for it takes longer.

mod decoy;
pub(crate) mod edit;
mod reader;
mod spare;
mod watched;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::stamp::{Links, Stamp};
use crate::sys;

pub(crate) use reader::{Bytes, Reader};
pub(crate) use watched::WatchedCdb;

/// The 256 hash tables' positions and lengths, at the beginning of the file.
const HEADER: usize = 2048;

/// A hash table's slot: a hash and a record's position.
const SLOT: usize = 8;

/// The largest file that is kept: while it is exchanged there are two, in a process that may have 64 MB.
const KEPT_MAX: u64 = 16 * 1024 * 1024;

/// An open table. May be searched by many threads at once.
#[derive(Debug)]
pub(crate) struct Cdb {
    file: File,
    stamp: Stamp,
    header: Box<[u8; HEADER]>,
    /// All of it, once it is kept in memory. It is not wiped: a table that is kept holds no passwords.
    kept: OnceLock<Vec<u8>>,
    /// The value under the empty key, once it was asked for.
    of_empty_key: OnceLock<Option<Zeroizing<Vec<u8>>>>,
    /// What stands in for a key for which no decoy was found, once it was needed, or why there is nothing.
    spare: OnceLock<Result<Option<Zeroizing<Vec<u8>>>, io::ErrorKind>>,
}

/// What a step of a search makes of a file that is no table.
fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a whole CDB table")
}

impl Cdb {
    /// Opens a table and reads where its hash tables are.
    ///
    /// # Errors
    ///
    /// Those of opening and reading; `InvalidData` if it is no table, or not yet a whole one.
    pub(crate) fn open(path: &Path, links: Links) -> io::Result<Self> {
        let (file, stamp) = links.open(path)?;
        let table = Self::new(file, stamp)?;
        (0..256).try_for_each(|number| table.table(number).map(drop))?;
        Ok(table)
    }

    fn new(file: File, stamp: Stamp) -> io::Result<Self> {
        let mut header = Box::new([0; HEADER]);
        file.read_exact_at(header.as_mut_slice(), 0).map_err(too_short)?;
        Ok(Self { file, stamp, header, kept: OnceLock::new(), of_empty_key: OnceLock::new(), spare: OnceLock::new() })
    }

    /// Makes sure that the table belongs to one of these, root, or ourselves.
    pub(crate) fn check_owner(&self, owners: &[u32]) -> io::Result<()> {
        self.stamp.check_owner(owners)
    }

    /// Tells whether the table is small enough to be kept in memory, and is not.
    fn can_be_kept(&self) -> bool {
        self.stamp.size <= KEPT_MAX && self.kept.get().is_none()
    }

    /// Reads the whole table into memory, where all who begin to read it from now on find it.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find); `OutOfMemory`.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let size = usize::try_from(self.stamp.size).map_err(|_| damaged())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        sys::prefer_huge_pages(bytes.spare_capacity_mut());
        bytes.resize(size, 0);
        self.file.read_exact_at(&mut bytes, 0).map_err(too_short)?;
        self.check_file()?;
        // Who was faster has read the same.
        let _ = self.kept.set(bytes);
        Ok(())
    }

    /// Begins to read: what is read by one reader is of one version.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(self, self.kept.get().map(Vec::as_slice))
    }

    /// Returns the value that was stored first under this key.
    ///
    /// # Errors
    ///
    /// Those of reading; `InvalidData` if the file is damaged on the way to the key, or was written to since it was
    /// opened: what was read may be of two versions.
    pub(crate) fn find(&self, key: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let reader = self.reader();
        let found = reader.search(key)?.map(Bytes::into_owned);
        reader.check()?;
        Ok(found)
    }

    fn check_file(&self) -> io::Result<()> {
        let now = Stamp::of(&self.file.metadata()?);
        if now.has_content_of(&self.stamp) { Ok(()) } else { Err(damaged()) }
    }

    /// Returns position and length in slots of the hash table for this hash.
    fn table(&self, hash: u32) -> io::Result<(u32, u32)> {
        let (position, length) = pair_at(self.header.as_slice(), (hash & 255) as usize * SLOT).ok_or_else(damaged)?;
        let end = u64::from(position) + u64::from(length) * SLOT as u64;
        let is_inside = length == 0 || (position as usize >= HEADER && end <= self.stamp.size);
        if is_inside { Ok((position, length)) } else { Err(damaged()) }
    }
}

fn too_short(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { damaged() } else { error }
}

fn hash(key: &[u8]) -> u32 {
    hash_of(key.iter().copied())
}

/// Returns the hash of a key of these bytes.
pub(crate) fn hash_of(key: impl Iterator<Item = u8>) -> u32 {
    key.fold(5381, |hash: u32, byte| (hash << 5).wrapping_add(hash) ^ u32::from(byte))
}

/// Reads two numbers of 32 bits, little end first.
fn pair_at(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    let (first, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let second = rest.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*first), u32::from_le_bytes(*second)))
}

/// Opens a table of these bytes.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn of_bytes(bytes: &[u8]) -> io::Result<Cdb> {
    use std::io::Write;
    // A file without a name, as the reader takes files only.
    let fd = rustix::fs::memfd_create("cdb", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let stamp = Stamp::of(&file.metadata()?);
    Cdb::new(file, stamp)
}

#[cfg(test)]
pub(crate) use tests::made;

#[cfg(test)]
mod tests;
