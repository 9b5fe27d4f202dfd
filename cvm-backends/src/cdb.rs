//! CDB: constant databases, whose files come from users and are believed in nothing.
//!
//! Every position is checked against the file's size, a search looks at a bounded number of slots, and the file is
//! read with `pread`: whoever truncates it ends one look-up with an error, where a mapped file would end the process.
//! The crates `cdb` and `cdb2` map or buffer the file, hence this reader.

mod decoy;
pub(crate) mod edit;
mod kept;
mod spare;
mod watched;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use kept::Kept;
use zeroize::Zeroizing;

use crate::stamp::{Links, Stamp};

pub(crate) use watched::WatchedCdb;

/// The 256 hash tables' positions and lengths, at the beginning of the file.
const HEADER: usize = 2048;

/// A hash table's slot: a hash and a record's position.
const SLOT: usize = 8;

/// How many slots are read at a time: few at first, as tables are at most half full.
const FIRST_SLOTS: u32 = 8;
const MORE_SLOTS: u32 = 512;

/// How many slots one search looks at, far beyond what half-full tables of a 4 GB file need.
const SLOTS_MAX: u32 = 16 * 1024;

/// How many records of one search may have the hash of the key and another key.
const COLLISIONS_MAX: u32 = 64;

/// The largest record that is read: far more than a mailbox or an assignment has, and little enough for an event loop.
const RECORD_MAX: usize = 64 * 1024;

/// How many bytes of a record are read at once; most have fewer.
const RECORD_GUESS: usize = 256;

/// An open table. May be searched by many threads at once.
#[derive(Debug)]
pub(crate) struct Cdb {
    file: File,
    stamp: Stamp,
    header: Box<[u8; HEADER]>,
    /// What was read of it, if that is kept: then nothing else is looked at, so that all is of one version.
    kept: Option<Kept>,
    /// The value under the empty key, once it was asked for.
    of_empty_key: OnceLock<Option<Zeroizing<Vec<u8>>>>,
    /// What stands in for a key for which no decoy was found, once it was needed, or why there is nothing.
    spare: OnceLock<Result<Option<Zeroizing<Vec<u8>>>, io::ErrorKind>>,
}

/// The beginning of a record, as much as is read at once.
struct Start {
    position: u64,
    key_length: usize,
    /// That of key and value.
    length: usize,
    /// What is there of them.
    bytes: Zeroizing<Vec<u8>>,
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
        Ok(Self { file, stamp, header, kept: None, of_empty_key: OnceLock::new(), spare: OnceLock::new() })
    }

    /// Keeps what is read from now on, unless the file is too large for that.
    pub(crate) fn keeping(self) -> Self {
        Self { kept: Kept::of_size(self.stamp.size), ..self }
    }

    /// Makes sure that the table belongs to one of these, root, or ourselves.
    pub(crate) fn check_owner(&self, owners: &[u32]) -> io::Result<()> {
        self.stamp.check_owner(owners)
    }

    /// Returns the value that was stored first under this key.
    ///
    /// # Errors
    ///
    /// Those of reading; `InvalidData` if the file is damaged on the way to the key, or was written to since it was
    /// opened: what was read may be of two versions.
    pub(crate) fn find(&self, key: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let found = self.search(key)?;
        self.check()?;
        Ok(found)
    }

    /// Returns the value under the empty key, which is read once.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub(crate) fn find_empty(&self) -> io::Result<Option<&[u8]>> {
        let found = match self.of_empty_key.get() {
            Some(found) => found,
            None => {
                let found = self.find(b"")?;
                self.of_empty_key.get_or_init(|| found)
            }
        };
        Ok(found.as_ref().map(|found| found.as_slice()))
    }

    /// Makes sure that what [`search`](Self::search) found, perhaps several times, is of one version.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.kept.is_some() { Ok(()) } else { self.check_file() }
    }

    fn check_file(&self) -> io::Result<()> {
        let now = Stamp::of(&self.file.metadata()?);
        if now.has_content_of(&self.stamp) { Ok(()) } else { Err(damaged()) }
    }

    /// Does what [`find`](Self::find) does, without asking whether the file was written to.
    pub(crate) fn search(&self, key: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let hash = hash(key);
        let (position, length) = self.table(hash)?;
        let mut slot = if length == 0 { return Ok(None) } else { (hash >> 8) % length };
        let (mut looked_at, mut collisions, mut chunk) = (0, 0, FIRST_SLOTS);
        // Hardly any search needs more.
        let (mut few, mut many) = ([0; SLOT * FIRST_SLOTS as usize], Vec::new());
        while looked_at < length {
            if looked_at >= SLOTS_MAX {
                return Err(damaged());
            }
            let count = chunk.min(length - slot).min(length - looked_at);
            let size = count as usize * SLOT;
            if size > few.len() {
                many.resize(size, 0);
            }
            let slots = few.get_mut(..size).or_else(|| many.get_mut(..size)).ok_or_else(damaged)?;
            self.read(slots, u64::from(position) + u64::from(slot) * SLOT as u64)?;
            for pair in slots.chunks_exact(SLOT) {
                let (found, record) = pair_at(pair, 0).ok_or_else(damaged)?;
                if record == 0 {
                    return Ok(None);
                }
                if found != hash {
                    continue;
                }
                if let Some(data) = self.record(record, key)? {
                    return Ok(Some(data));
                }
                collisions += 1;
                if collisions > COLLISIONS_MAX {
                    return Err(damaged());
                }
            }
            (looked_at, slot, chunk) = (looked_at + count, (slot + count) % length, MORE_SLOTS);
        }
        Ok(None)
    }

    /// Returns position and length in slots of the hash table for this hash.
    fn table(&self, hash: u32) -> io::Result<(u32, u32)> {
        let (position, length) = pair_at(self.header.as_slice(), (hash & 255) as usize * SLOT).ok_or_else(damaged)?;
        let end = u64::from(position) + u64::from(length) * SLOT as u64;
        let is_inside = length == 0 || (position as usize >= HEADER && end <= self.stamp.size);
        if is_inside { Ok((position, length)) } else { Err(damaged()) }
    }

    /// Returns the value of the record at this position if it has this key. Of others no more than the beginning is
    /// read, however large they are.
    fn record(&self, position: u32, key: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let start = self.start_at(position)?;
        if !start.may_have(key) {
            return Ok(None);
        }
        if start.length > RECORD_MAX {
            return Err(damaged());
        }
        let key_length = start.key_length;
        let mut record = self.whole(start)?;
        if record.get(..key_length) != Some(key) {
            return Ok(None);
        }
        record.drain(..key_length);
        Ok(Some(record))
    }

    /// Reads the beginning of the record at this position, which is whole: from a file with one call, from memory no more
    /// than belongs to it.
    fn start_at(&self, position: u32) -> io::Result<Start> {
        let position = u64::from(position);
        let available =
            self.stamp.size.checked_sub(position).filter(|_| position >= HEADER as u64).ok_or_else(damaged)?;
        if self.kept.is_some() {
            let mut lengths = [0; SLOT];
            self.read(&mut lengths, position)?;
            let mut start = Start::new(position, &lengths, available)?;
            start.bytes = Zeroizing::new(vec![0; start.length.min(RECORD_GUESS - SLOT)]);
            self.read(&mut start.bytes, position + SLOT as u64)?;
            return Ok(start);
        }
        let guess = usize::try_from(available).unwrap_or(usize::MAX).min(RECORD_GUESS);
        let mut bytes = Zeroizing::new(vec![0; guess]);
        self.read(&mut bytes, position)?;
        let mut start = Start::new(position, &bytes, available)?;
        bytes.drain(..SLOT);
        bytes.truncate(start.length);
        start.bytes = bytes;
        Ok(start)
    }

    /// Returns a record of which the beginning was read, key and value in one.
    fn whole(&self, start: Start) -> io::Result<Zeroizing<Vec<u8>>> {
        if start.bytes.len() == start.length {
            return Ok(start.bytes);
        }
        let mut record = Zeroizing::new(vec![0; start.length]);
        self.read(&mut record, start.position + SLOT as u64)?;
        Ok(record)
    }

    fn read(&self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        match &self.kept {
            None => self.file.read_exact_at(bytes, position),
            Some(kept) => kept.read(bytes, position, |bytes, position| self.load(bytes, position)),
        }
        .map_err(too_short)
    }

    /// Reads as much as there is of the version that was opened.
    fn load(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let available = self.stamp.size.saturating_sub(position);
        let length = usize::try_from(available).unwrap_or(usize::MAX).min(bytes.len());
        self.file.read_exact_at(bytes.get_mut(..length).unwrap_or_default(), position)?;
        self.check_file()?;
        Ok(length)
    }
}

impl Start {
    /// Reads the lengths of a record of which so much is available, and nothing else.
    fn new(position: u64, lengths: &[u8], available: u64) -> io::Result<Self> {
        let (key_length, data_length) = pair_at(lengths, 0).ok_or_else(damaged)?;
        let length = u64::from(key_length) + u64::from(data_length);
        if SLOT as u64 + length > available {
            return Err(damaged());
        }
        let length = usize::try_from(length).map_err(|_| damaged())?;
        Ok(Self { position, key_length: key_length as usize, length, bytes: Zeroizing::default() })
    }

    /// Tells whether the key is this one, as far as it was read.
    fn may_have(&self, key: &[u8]) -> bool {
        self.key_length == key.len() && self.bytes.iter().zip(key).all(|(found, wanted)| found == wanted)
    }
}

fn too_short(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { damaged() } else { error }
}

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, &byte| (hash << 5).wrapping_add(hash) ^ u32::from(byte))
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
