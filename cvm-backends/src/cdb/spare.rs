//! The spare: what stands in for keys for which no decoy is found, where few records are fit to be one.

use std::io;

use zeroize::Zeroizing;

use super::{Cdb, DATA_MAX, FIRST_SLOTS, HEADER, RECORD_GUESS, SLOT, damaged, hash};

/// How many records are tried, and how far into the file. Beyond that a table has none to speak of.
const RECORDS_MAX: usize = 1024;
const BYTES_MAX: u32 = 1024 * 1024;

/// Where the first record is.
#[expect(clippy::cast_possible_truncation, reason = "the header is small")]
const FIRST: u32 = HEADER as u32;

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
                let spare = self.first(&fits)?;
                self.spare.get_or_init(|| spare)
            }
        };
        Ok(spare.clone())
    }

    /// Reads what a search with a hit would have read more than one for this key, and forgets it, so that both take as
    /// long: a record, and a slot where the hash table of the key has none.
    pub(crate) fn read_in_vain(&self, key: &[u8]) {
        let (hash, mut forgotten) = (hash(key), Zeroizing::new([0; RECORD_GUESS]));
        let last = self.stamp.size.saturating_sub((HEADER + RECORD_GUESS) as u64);
        let position = HEADER as u64 + u64::from(hash) % last.max(1);
        let _ = self.read(forgotten.as_mut_slice(), position);
        if self.table(hash).is_ok_and(|(_, slots)| slots == 0) {
            let _ = self.read(&mut [0; SLOT * FIRST_SLOTS as usize], position);
        }
    }

    /// Returns the first value that fits, in the order of the file.
    fn first(&self, fits: impl Fn(&[u8]) -> bool) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let (end, mut position) = (self.end_of_records()?.min(BYTES_MAX), FIRST);
        for _ in 0..RECORDS_MAX {
            if position >= end {
                break;
            }
            let (length, record) = self.record_at(position, |length| length <= DATA_MAX)?.ok_or_else(damaged)?;
            let value = record.get(length..).ok_or_else(damaged)?;
            if fits(value) {
                return Ok(Some(Zeroizing::new(value.to_vec())));
            }
            let size = u32::try_from(SLOT + record.len()).ok();
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
    use proptest::prelude::*;

    use super::*;
    use crate::cdb::{made, of_bytes};

    fn table(values: &[&str]) -> Cdb {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        let records = values.iter().enumerate().map(|(number, value)| (format!("k{number}").into(), (*value).into()));
        made(&path, &records.collect::<Vec<_>>());
        Cdb::open(&path).expect("it opens")
    }

    fn decoy(table: &Cdb, key: usize) -> Option<Vec<u8>> {
        let found = table.decoy_or_spare(format!("x{key}").as_bytes(), |value| value.starts_with(b"+"));
        found.expect("a whole table").map(|value| value.to_vec())
    }

    #[test]
    fn one_value_that_fits_stands_in_for_every_key() {
        let mut values = vec!["-"; 1100];
        values[1000] = "+the one";
        let table = table(&values);
        for key in 0..200 {
            assert_eq!(decoy(&table, key).as_deref(), Some(&b"+the one"[..]));
        }
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
