//! Readers: the search for a key, in a file or in what is kept of it.

use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;

use zeroize::Zeroizing;

use super::{Cdb, HEADER, SLOT, damaged, hash, pair_at, too_short};
use crate::sys;

/// How many slots are read at a time: few at first, as tables are at most half full.
pub(super) const FIRST_SLOTS: u32 = 8;
const MORE_SLOTS: u32 = 512;

/// How many slots one search looks at, far beyond what half-full tables of a 4 GB file need.
const SLOTS_MAX: u32 = 16 * 1024;

/// How many records of one search may have the hash of the key and another key.
const COLLISIONS_MAX: u32 = 64;

/// The largest record that is read: far more than a mailbox or an assignment has, and little enough for an event loop.
const RECORD_MAX: usize = 64 * 1024;

/// How many bytes of a record are read at once; most have fewer.
pub(super) const RECORD_GUESS: usize = 256;

/// How many of them are fetched before they are read, as most records have no more.
const RECORD_FETCHED: usize = 128;

/// As much as lies in the caches of a processor anyway.
const FAR: usize = 1024 * 1024;

/// Reads a table: all of it in the file, or all of it in memory.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'t> {
    table: &'t Cdb,
    kept: Option<&'t [u8]>,
}

/// Some bytes of a table.
#[derive(Debug)]
pub(crate) enum Bytes<'t> {
    /// They are in memory.
    Kept(&'t [u8]),
    /// They were read.
    Read(Zeroizing<Vec<u8>>),
}

/// The beginning of a record, as much as is read at once.
pub(super) struct Start<'t> {
    position: u64,
    pub(super) key_length: usize,
    /// That of key and value.
    pub(super) length: usize,
    /// What is there of them.
    pub(super) bytes: Bytes<'t>,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(table: &'t Cdb, kept: Option<&'t [u8]>) -> Self {
        Self { table, kept }
    }

    /// Makes sure that what was found until now is of one version.
    ///
    /// # Errors
    ///
    /// Those of [`Cdb::find`].
    pub(crate) fn check(self) -> io::Result<()> {
        if self.kept.is_some() { Ok(()) } else { self.table.check_file() }
    }

    /// Does what [`Cdb::find`] does, without asking whether the file was written to.
    pub(crate) fn search(self, key: &[u8]) -> io::Result<Option<Bytes<'t>>> {
        let hash = hash(key);
        let (position, length) = self.table.table(hash)?;
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
            let space = few.get_mut(..size).or_else(|| many.get_mut(..size)).ok_or_else(damaged)?;
            let slots = self.view(u64::from(position) + u64::from(slot) * SLOT as u64, space)?;
            for pair in slots.chunks_exact(SLOT) {
                let (found, record) = pair_at(pair, 0).ok_or_else(damaged)?;
                if record == 0 {
                    return Ok(None);
                }
                if found != hash {
                    continue;
                }
                if let Some(value) = self.value(record, key)? {
                    return Ok(Some(value));
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

    /// Returns the value under the empty key, which is read once.
    ///
    /// # Errors
    ///
    /// Those of [`Cdb::find`].
    pub(crate) fn find_empty(self) -> io::Result<Option<&'t [u8]>> {
        let found = match self.table.of_empty_key.get() {
            Some(found) => found,
            None => {
                let found = self.table.find(b"")?;
                self.table.of_empty_key.get_or_init(|| found)
            }
        };
        Ok(found.as_ref().map(|found| found.as_slice()))
    }

    /// Tells whether reading here and there means waiting for memory that is far away.
    pub(crate) fn is_far(self) -> bool {
        self.kept.is_some_and(|kept| kept.len() >= FAR)
    }

    /// Has the memory fetched in which a search for a key of this hash begins.
    pub(crate) fn fetch_slots(self, hash: u32) {
        sys::fetch(self.first_slots(hash));
    }

    /// Has the memory fetched to which that leads, once it is there itself.
    pub(crate) fn fetch_record(self, hash: u32) {
        let pairs = self.first_slots(hash).chunks_exact(SLOT).filter_map(|slot| pair_at(slot, 0));
        let found = pairs.take_while(|(_, record)| *record != 0).find(|(found, _)| *found == hash);
        let rest = found.and_then(|(_, record)| self.kept?.get(usize::try_from(record).ok()?..)).unwrap_or_default();
        sys::fetch(rest.get(..RECORD_FETCHED).unwrap_or(rest));
    }

    /// Does both for a key.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn fetch(self, key: &[u8]) {
        self.fetch_slots(hash(key));
        self.fetch_record(hash(key));
    }

    fn first_slots(self, hash: u32) -> &'t [u8] {
        let slots = || {
            let (position, length) = self.table.table(hash).ok()?;
            let slot = (hash >> 8).checked_rem(length)?;
            let count = FIRST_SLOTS.min(length - slot);
            let start = (position as usize).checked_add(slot as usize * SLOT)?;
            self.kept?.get(start..)?.get(..count as usize * SLOT)
        };
        slots().unwrap_or_default()
    }

    /// Returns the value of the record at this position if it has this key. Of others no more than the beginning is
    /// read, however large they are.
    fn value(self, position: u32, key: &[u8]) -> io::Result<Option<Bytes<'t>>> {
        let start = self.start_at(position)?;
        if !start.may_have(key) {
            return Ok(None);
        }
        if start.length > RECORD_MAX {
            return Err(damaged());
        }
        let record = self.whole(start)?;
        Ok(if record.starts_with(key) { Some(record.without_first(key.len())) } else { None })
    }

    /// Reads the beginning of the record at this position, which is whole.
    pub(super) fn start_at(self, position: u32) -> io::Result<Start<'t>> {
        let position = u64::from(position);
        let available =
            self.table.stamp.size.checked_sub(position).filter(|_| position >= HEADER as u64).ok_or_else(damaged)?;
        if let Some(kept) = self.kept {
            let rest = usize::try_from(position).ok().and_then(|position| kept.get(position..)).ok_or_else(damaged)?;
            return Start::new(position, Bytes::Kept(rest), available);
        }
        let guess = usize::try_from(available).unwrap_or(usize::MAX).min(RECORD_GUESS);
        let mut bytes = Zeroizing::new(vec![0; guess]);
        self.read(&mut bytes, position)?;
        Start::new(position, Bytes::Read(bytes), available)
    }

    /// Returns a record of which the beginning was read, key and value in one.
    pub(super) fn whole(self, start: Start<'t>) -> io::Result<Bytes<'t>> {
        if start.bytes.len() == start.length {
            return Ok(start.bytes);
        }
        let mut record = Zeroizing::new(vec![0; start.length]);
        self.read(&mut record, start.position + SLOT as u64)?;
        Ok(Bytes::Read(record))
    }

    /// Returns what is at this position, as much as there is space for, which is used if it has to be read.
    pub(super) fn view<'s>(self, position: u64, space: &'s mut [u8]) -> io::Result<&'s [u8]>
    where
        't: 's,
    {
        let Some(kept) = self.kept else {
            self.read(space, position)?;
            return Ok(space);
        };
        let rest = usize::try_from(position).ok().and_then(|position| kept.get(position..));
        rest.and_then(|rest| rest.get(..space.len())).ok_or_else(damaged)
    }

    /// Reads from the file.
    fn read(self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        self.table.file.read_exact_at(bytes, position).map_err(too_short)
    }
}

impl<'t> Start<'t> {
    /// Reads the lengths of a record of which so much is available, and cuts off what does not belong to it.
    fn new(position: u64, bytes: Bytes<'t>, available: u64) -> io::Result<Self> {
        let (key_length, data_length) = pair_at(&bytes, 0).ok_or_else(damaged)?;
        let length = u64::from(key_length) + u64::from(data_length);
        if SLOT as u64 + length > available {
            return Err(damaged());
        }
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let bytes = bytes.without_first(SLOT).up_to(length);
        Ok(Self { position, key_length: key_length as usize, length, bytes })
    }

    /// Tells whether the key is this one, as far as it was read.
    fn may_have(&self, key: &[u8]) -> bool {
        self.key_length == key.len() && self.bytes.iter().zip(key).all(|(found, wanted)| found == wanted)
    }
}

impl Bytes<'_> {
    pub(crate) fn into_owned(self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Kept(bytes) => Zeroizing::new(bytes.to_vec()),
            Self::Read(bytes) => bytes,
        }
    }

    fn without_first(self, count: usize) -> Self {
        match self {
            Self::Kept(bytes) => Self::Kept(bytes.get(count..).unwrap_or_default()),
            Self::Read(mut bytes) => {
                let count = count.min(bytes.len());
                bytes.drain(..count);
                Self::Read(bytes)
            }
        }
    }

    fn up_to(self, count: usize) -> Self {
        match self {
            Self::Kept(bytes) => Self::Kept(bytes.get(..count).unwrap_or(bytes)),
            Self::Read(mut bytes) => {
                bytes.truncate(count);
                Self::Read(bytes)
            }
        }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}
