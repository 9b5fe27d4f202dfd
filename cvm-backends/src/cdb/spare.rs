//! The spare: what stands in for keys for which no decoy is found, where few records are fit to be one.

use std::io;

use zeroize::Zeroizing;

use super::decoy::{FIRST, RECORD_MAX};
use super::reader::{FIRST_SLOTS, RECORD_GUESS};
use super::{Cdb, HEADER, SLOT, damaged, hash};

/// How many records are tried, and how much of them is read. Beyond that a table has none to speak of.
const RECORDS_MAX: usize = 4096;
const BYTES_MAX: usize = 256 * 1024;

impl Cdb {
    /// Returns the value of a record that fits, as [`decoy`](Self::decoy) chooses it; if it finds none among the few
    /// that it tries, the first of the table, which is sought once. All calls have to want the same.
    ///
    /// # Errors
    ///
    /// Those of [`search`](Self::search).
    pub(crate) fn decoy_or_spare(
        &self,
        name: &[u8],
        fits: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let take = |_: &[u8], value: &[u8]| fits(value).then(|| Zeroizing::new(value.to_vec()));
        if let Some(decoy) = self.decoy(name, take)? {
            return Ok(Some(decoy));
        }
        let spare = match self.spare.get() {
            Some(spare) => spare,
            None => {
                // A table that is damaged stays so: it is not searched again for each name.
                let spare = self.first(&fits).map_err(|error| error.kind());
                self.spare.get_or_init(|| spare)
            }
        };
        spare.clone().map_err(io::Error::from)
    }

    /// Reads what a search with a hit would have read more than one for this key, and forgets it, so that both take as
    /// long: a record, and a slot where the hash table of the key has none.
    pub(crate) fn read_in_vain(&self, key: &[u8]) {
        let (reader, hash) = (self.reader(), hash(key));
        let mut forgotten = Zeroizing::new([0; RECORD_GUESS]);
        let last = self.stamp.size.saturating_sub((HEADER + RECORD_GUESS) as u64);
        let position = HEADER as u64 + u64::from(hash) % last.max(1);
        let _ = reader.view(position, forgotten.as_mut_slice());
        if self.table(hash).is_ok_and(|(_, slots)| slots == 0) {
            let _ = reader.view(position, &mut [0; SLOT * FIRST_SLOTS as usize]);
        }
    }

    /// Returns the first value that fits, in the order of the file.
    fn first(&self, fits: impl Fn(&[u8]) -> bool) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let (reader, end) = (self.reader(), self.end_of_records()?);
        let (mut position, mut left) = (FIRST, BYTES_MAX);
        for _ in 0..RECORDS_MAX {
            if position >= end {
                break;
            }
            let start = reader.start_at(position)?;
            let (key_length, length) = (start.key_length, start.length);
            if length <= RECORD_MAX {
                let Some(rest) = left.checked_sub(length) else {
                    break;
                };
                left = rest;
                let record = reader.whole(start)?;
                let value = record.get(key_length..).ok_or_else(damaged)?;
                if fits(value) {
                    return Ok(Some(Zeroizing::new(value.to_vec())));
                }
            }
            let size = u32::try_from(SLOT + length).ok();
            position = size.and_then(|size| position.checked_add(size)).ok_or_else(damaged)?;
        }
        Ok(None)
    }

    /// Returns where the first hash table begins, which is where the records end.
    fn end_of_records(&self) -> io::Result<u32> {
        let mut end = None;
        for number in 0..256 {
            let (position, length) = self.table(number)?;
            if length > 0 {
                end = Some(end.unwrap_or(position).min(position));
            }
        }
        Ok(end.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::cdb::{made, of_bytes};
    use crate::stamp::Links;

    fn table(values: &[&str]) -> Cdb {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        let records = values.iter().enumerate().map(|(number, value)| (format!("k{number}").into(), (*value).into()));
        made(&path, &records.collect::<Vec<_>>());
        Cdb::open(&path, Links::Followed).expect("it opens")
    }

    fn decoy(table: &Cdb, key: usize) -> Option<Vec<u8>> {
        let found = table.decoy_or_spare(format!("x{key}").as_bytes(), |value| value.starts_with(b"+"));
        found.expect("a whole table").map(|value| value.to_vec())
    }

    #[test]
    fn one_value_that_fits_stands_in_for_every_key() {
        let mut values = vec!["-"; 2000];
        values[1234] = "+the one";
        let table = table(&values);
        for key in 0..200 {
            assert_eq!(decoy(&table, key).as_deref(), Some(&b"+the one"[..]));
        }
    }

    #[test]
    fn damage_on_the_way_to_the_spare_is_found_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        made(&path, &(0..50).map(|number| (format!("k{number}").into(), b"-".to_vec())).collect::<Vec<_>>());
        let mut bytes = std::fs::read(&path).expect("readable");
        let table = of_bytes(&bytes).expect("a table");
        let end = table.end_of_records().expect("whole") as usize;
        // The last record, to which no slot leads that is tried before, is longer than the file.
        let last = end - SLOT - "k49-".len();
        bytes[last..last + 4].fill(0xff);
        for slot in bytes[end..].chunks_exact_mut(SLOT) {
            if slot[4..] == u32::try_from(last).expect("small").to_le_bytes() {
                slot[4..].copy_from_slice(&FIRST.to_le_bytes());
            }
        }
        let table = of_bytes(&bytes).expect("a table");
        for tries in 1..3 {
            let asked = Cell::new(0);
            let fits = |_: &[u8]| {
                asked.set(asked.get() + 1);
                false
            };
            assert_eq!(table.decoy_or_spare(b"x", fits).expect_err("damaged").kind(), io::ErrorKind::InvalidData);
            assert_eq!(asked.get() > 49, tries == 1, "{} records", asked.get());
        }
    }

    /// A sparse table of nearly 4 GiB: records of a size, one behind the other, to the first of which all slots lead.
    fn sparse(path: &Path, key_length: u32, value_length: u32) {
        let size = SLOT as u64 + u64::from(key_length) + u64::from(value_length);
        let end = (u64::from(u32::MAX) - 64 * 1024).min(HEADER as u64 + 5000 * size);
        let end = HEADER as u64 + (end - HEADER as u64) / size * size;
        let slots = 64_u32;
        let file = File::create(path).expect("a file");
        let header = [u32::try_from(end).expect("less than 4 GiB").to_le_bytes(), slots.to_le_bytes()].concat();
        file.write_all_at(&header.repeat(256), 0).expect("written");
        for position in (HEADER as u64..end).step_by(usize::try_from(size).expect("small")) {
            let lengths = [key_length.to_le_bytes(), value_length.to_le_bytes()].concat();
            file.write_all_at(&lengths, position).expect("written");
        }
        let slot = [hash(&[b'x'; 200]).to_le_bytes(), FIRST.to_le_bytes()].concat();
        file.write_all_at(&slot.repeat(slots as usize), end).expect("written");
    }

    #[test]
    fn a_table_of_gigabytes_is_searched_in_no_time() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("t.cdb");
        for (key_length, value_length) in [(1 << 20, 1 << 20), (200, 1 << 20), (200, 16_000), (16_000, 200), (0, 0)] {
            sparse(&path, key_length, value_length);
            let table = Cdb::open(&path, Links::Followed).expect("it opens");
            let start = Instant::now();
            for _ in 0..10 {
                // All slots have the hash of this key, and lead to a record with another one.
                assert!(table.reader().search(&[b'x'; 200]).expect("no damage").is_none());
                assert!(table.decoy_or_spare(b"x", |_| false).expect("no damage").is_none());
            }
            assert!(start.elapsed() < Duration::from_secs(1), "{key_length} {value_length} {:?}", start.elapsed());
        }
    }

    #[test]
    fn the_spare_is_found_behind_a_record_that_is_too_large_for_one() {
        let table = table(&["-", &format!("+{}", "x".repeat(RECORD_MAX)), "-", "+small"]);
        for key in 0..50 {
            assert_eq!(decoy(&table, key).as_deref(), Some(&b"+small"[..]));
        }
        assert!(table.find(b"k1").expect("a whole table").is_some_and(|value| value.len() > RECORD_MAX));
    }

    #[test]
    fn of_many_the_spare_is_not_needed() {
        let table = table(&["+one", "+two", "-", "+three"]);
        let found: std::collections::HashSet<_> = (0..200).map(|key| decoy(&table, key).expect("most fit")).collect();
        assert_eq!(found.len(), 3);
        assert!(table.spare.get().is_none());
    }

    #[test]
    fn where_no_value_fits_there_is_none() {
        for values in [&[][..], &["-", "-"]] {
            assert_eq!(decoy(&table(values), 1), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_table_has_one_that_fits_or_none_or_is_an_error(
            changes in proptest::collection::vec((0usize..2200, any::<u8>()), 0..12),
            cut in proptest::option::of(2000usize..2200),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("t.cdb");
            made(&path, &[(b"one".to_vec(), b"-1".to_vec()), (b"two".to_vec(), b"-2".to_vec())]);
            let mut bytes = std::fs::read(&path).expect("readable");
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(cut.unwrap_or(usize::MAX));
            if let Ok(table) = of_bytes(&bytes) {
                let found = table.decoy_or_spare(b"x", |value| value.starts_with(b"+"));
                prop_assert!(found.is_err() || found.is_ok_and(|value| value.is_none_or(|value| value.starts_with(b"+"))));
                table.read_in_vain(b"x");
            }
        }
    }
}
