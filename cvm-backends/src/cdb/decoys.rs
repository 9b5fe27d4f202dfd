//! Decoys: which record of a table stands in for a key that is not there.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::{Cdb, HEADER, RECORD_GUESS, SLOT, damaged, pair_at};

/// How many records are tried for a key, before it is the one that stands in for every key without one.
const TRIES: u64 = 8;

/// How many slots of a hash table are looked at for one that is not empty.
const SLOTS: u32 = 32;

/// How many records are tried for the one that stands in for every key without one.
const RECORDS: usize = 4096;

/// How the decoys of a version of a table are chosen.
///
/// A key always has the same one, in every process that reads this version. What they are chosen by is secret, but the
/// same for all: the first record.
#[derive(Debug)]
pub(super) struct Decoys {
    hasher: DefaultHasher,
    /// How many slots all hash tables have.
    slots: u64,
    /// The first usable value of the table.
    spare: OnceLock<Option<Zeroizing<Vec<u8>>>>,
}

impl Decoys {
    fn of(table: &Cdb) -> io::Result<Self> {
        let mut start = Zeroizing::new([0; RECORD_GUESS]);
        let length = table.stamp.size.saturating_sub(HEADER as u64);
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(RECORD_GUESS);
        let start = start.get_mut(..length).ok_or_else(damaged)?;
        table.read(start, HEADER as u64)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(start);
        let slots =
            (0..256).try_fold(0, |sum: u64, number| Ok::<_, io::Error>(sum + u64::from(table.table(number)?.1)));
        Ok(Self { hasher, slots: slots?, spare: OnceLock::new() })
    }

    /// Chooses a slot for a key, counted over all hash tables.
    fn slot(&self, key: &[u8], attempt: u64) -> u64 {
        let mut hasher = self.hasher.clone();
        hasher.write(key);
        hasher.write_u64(attempt);
        hasher.finish().checked_rem(self.slots).unwrap_or(0)
    }
}

impl Cdb {
    /// Returns the value that stands in for a key without one; `None` if no value of the table is usable.
    ///
    /// # Errors
    ///
    /// Those of reading; `InvalidData` if the file is damaged where it was looked at.
    pub(crate) fn decoy(
        &self,
        key: &[u8],
        is_usable: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let decoys = match self.decoys.get() {
            Some(decoys) => decoys,
            None => {
                let decoys = Decoys::of(self)?;
                self.decoys.get_or_init(|| decoys)
            }
        };
        for attempt in 0..TRIES {
            let Some(record) = self.record_near(decoys.slot(key, attempt))? else {
                continue;
            };
            let value = self.value_at(record)?;
            if is_usable(&value) {
                return Ok(Some(value));
            }
        }
        let spare = match decoys.spare.get() {
            Some(spare) => spare,
            None => {
                let spare = self.first(is_usable)?;
                decoys.spare.get_or_init(|| spare)
            }
        };
        Ok(spare.clone())
    }

    /// Reads a record and forgets it, so that a search without a hit takes as long as one with a hit.
    pub(crate) fn read_in_vain(&self) {
        let _ = self.value_at(HEADER as u32);
    }

    /// Returns the position of a record from a slot that is counted over all hash tables, or one soon behind it.
    fn record_near(&self, slot: u64) -> io::Result<Option<u32>> {
        let mut slot = slot;
        for number in 0..256 {
            let (position, length) = self.table(number)?;
            if slot >= u64::from(length) {
                slot -= u64::from(length);
                continue;
            }
            let mut buffer = [0; SLOT * SLOTS as usize];
            let count = usize::try_from(u64::from(length) - slot).unwrap_or(usize::MAX).min(SLOTS as usize);
            let slots = buffer.get_mut(..count * SLOT).ok_or_else(damaged)?;
            self.read(slots, u64::from(position) + slot * SLOT as u64)?;
            let mut records = slots.chunks_exact(SLOT).filter_map(|slot| Some(pair_at(slot, 0)?.1));
            return Ok(records.find(|&record| record != 0));
        }
        Ok(None)
    }

    /// Returns the first usable value in the order of the file.
    fn first(&self, is_usable: impl Fn(&[u8]) -> bool) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let end = self.end_of_records()?;
        let mut position = HEADER as u64;
        for _ in 0..RECORDS {
            let Some(here) = u32::try_from(position).ok().filter(|&here| here < end) else {
                break;
            };
            let record = self.record_of(here, |_| true)?.ok_or_else(damaged)?;
            position += record.len() as u64;
            let value = value_of(&record)?;
            if is_usable(value) {
                return Ok(Some(Zeroizing::new(value.to_vec())));
            }
        }
        Ok(None)
    }

    /// Returns where the first hash table begins, which is where the records end.
    fn end_of_records(&self) -> io::Result<u32> {
        let mut end = u32::MAX;
        for number in 0..256 {
            let (position, length) = self.table(number)?;
            if length > 0 {
                end = end.min(position);
            }
        }
        Ok(if end == u32::MAX { 0 } else { end })
    }

    fn value_at(&self, position: u32) -> io::Result<Zeroizing<Vec<u8>>> {
        let record = self.record_of(position, |_| true)?.ok_or_else(damaged)?;
        Ok(Zeroizing::new(value_of(&record)?.to_vec()))
    }
}

/// Returns the value of a record that begins with its lengths.
fn value_of(record: &[u8]) -> io::Result<&[u8]> {
    let (key_length, _) = pair_at(record, 0).ok_or_else(damaged)?;
    record.get(SLOT + key_length as usize..).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cdb::{made, opened};

    fn table(values: &[&str]) -> Cdb {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        let records = values.iter().enumerate().map(|(number, value)| (format!("k{number}").into(), (*value).into()));
        made(&path, &records.collect::<Vec<_>>());
        Cdb::open(&path).expect("it opens")
    }

    fn decoy(table: &Cdb, key: usize) -> Option<String> {
        let decoy = table.decoy(format!("x{key}").as_bytes(), |value| value.starts_with(b"+")).expect("a whole table");
        decoy.map(|value| value.escape_ascii().to_string())
    }

    #[test]
    fn a_key_has_one_decoy_and_all_usable_values_are_some() {
        let values: Vec<_> =
            (0..40).map(|number| format!("{}{number}", if number % 4 == 0 { "-" } else { "+" })).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let (one, other) = (table(&values), table(&values));
        let mut seen = HashSet::new();
        for key in 0..1000 {
            let found = decoy(&one, key).expect("most are usable");
            assert_eq!(decoy(&one, key).as_ref(), Some(&found));
            assert_eq!(decoy(&other, key).as_ref(), Some(&found), "of another process");
            assert!(found.starts_with('+'), "{found}");
            seen.insert(found);
        }
        assert!(seen.len() > 20, "{seen:?}");
        let changed = table(&[&["+other first record"][..], &values[1..]].concat());
        assert!((0..1000).any(|key| decoy(&one, key) != decoy(&changed, key)));
    }

    #[test]
    fn one_usable_value_stands_in_for_every_key() {
        let mut values = vec!["-"; 500];
        values[321] = "+the one";
        let table = table(&values);
        for key in 0..200 {
            assert_eq!(decoy(&table, key).as_deref(), Some("+the one"));
        }
    }

    #[test]
    fn where_no_value_is_usable_there_is_none() {
        for values in [&[][..], &["-", "-"]] {
            assert_eq!(decoy(&table(values), 1), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_table_gives_a_decoy_or_an_error(
            changes in proptest::collection::vec((0usize..2200, any::<u8>()), 0..12),
            cut in proptest::option::of(0usize..2200),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("t.cdb");
            made(&path, &[(b"one".to_vec(), b"+1".to_vec()), (b"two".to_vec(), b"-2".to_vec())]);
            let mut bytes = std::fs::read(&path).expect("readable");
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(cut.unwrap_or(usize::MAX));
            if let Ok(table) = opened(&bytes) {
                for key in [&b"one"[..], b"x", b""] {
                    let found = table.decoy(key, |value| value.starts_with(b"+"));
                    prop_assert!(found.is_err() || found.is_ok_and(|value| value.is_none_or(|value| value.starts_with(b"+"))));
                }
            }
        }
    }
}
