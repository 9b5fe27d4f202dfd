//! Decoys: the records that stand in for names that a table does not have.

use std::io;

use super::{Cdb, HEADER, SLOT, damaged, pair_at};
use crate::pwfile::DecoyKey;

/// How many records are tried for a name.
const RECORDS_MAX: usize = 32;

/// How many slots of a hash table are looked at for them.
const SLOTS: u32 = 64;

/// The largest record that is tried: more than one with a password has.
pub(super) const RECORD_MAX: usize = 16 * 1024;

/// Where the first record is.
#[expect(clippy::cast_possible_truncation, reason = "the header is small")]
pub(super) const FIRST: u32 = HEADER as u32;

impl Cdb {
    /// Chooses a record that `take` takes, given key and value: in one version of a table always the same for a name.
    ///
    /// # Errors
    ///
    /// Those of [`search`](Self::search).
    pub(crate) fn decoy<T>(
        &self,
        name: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let Some((start, step)) = self.way(name)? else {
            return Ok(None);
        };
        let mut left = RECORDS_MAX;
        for table in 0..256_u32 {
            let hash = start.wrapping_add(table.wrapping_mul(step));
            for position in self.positions(hash)?.into_iter().take(left) {
                if let Some(taken) = self.try_record(position, &mut take)? {
                    return Ok(Some(taken));
                }
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Chooses the hash from which on records are tried, and the odd step that leads through all hash tables, by a key
    /// that is secret, but the same for all processes: the first record, as much of it as is read at once.
    fn way(&self, name: &[u8]) -> io::Result<Option<(u32, u32)>> {
        if self.stamp.size == HEADER as u64 {
            return Ok(None);
        }
        let first = self.reader().start_at(FIRST)?;
        let [a, b, c, d, step, ..] = DecoyKey::new(&first.bytes).position(name, u64::MAX).to_le_bytes();
        Ok(Some((u32::from_le_bytes([a, b, c, d]), u32::from(step) | 1)))
    }

    fn try_record<T>(&self, position: u32, take: &mut impl FnMut(&[u8], &[u8]) -> Option<T>) -> io::Result<Option<T>> {
        let reader = self.reader();
        let start = reader.start_at(position)?;
        if start.length > RECORD_MAX {
            return Ok(None);
        }
        let key_length = start.key_length;
        let record = reader.whole(start)?;
        let (key, value) = record.split_at_checked(key_length).ok_or_else(damaged)?;
        Ok(take(key, value))
    }

    /// Returns where the records of some slots are, from the one on that a hash leads to.
    fn positions(&self, hash: u32) -> io::Result<Vec<u32>> {
        let (position, length) = self.table(hash)?;
        let Some(slot) = (hash >> 8).checked_rem(length) else {
            return Ok(Vec::new());
        };
        let count = SLOTS.min(length);
        let to_the_end = count.min(length - slot);
        let mut positions = Vec::new();
        for (slot, count) in [(slot, to_the_end), (0, count - to_the_end)] {
            let mut buffer = [0; SLOT * SLOTS as usize];
            let slots = buffer.get_mut(..count as usize * SLOT).ok_or_else(damaged)?;
            let slots = self.reader().view(u64::from(position) + u64::from(slot) * SLOT as u64, slots)?;
            let pairs = slots.chunks_exact(SLOT).filter_map(|slot| pair_at(slot, 0));
            positions.extend(pairs.map(|(_, record)| record).filter(|&record| record != 0));
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::{made, of_bytes};
    use super::*;
    use crate::stamp::Links;

    type Records = Vec<(Vec<u8>, Vec<u8>)>;

    fn table(records: &Records) -> Cdb {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        made(&path, records);
        Cdb::open(&path, Links::Followed).expect("a table")
    }

    fn records(count: usize) -> Records {
        (0..count).map(|number| (format!("user{number}").into_bytes(), format!("data{number}").into_bytes())).collect()
    }

    fn decoy(table: &Cdb, name: &str, fits: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let take = |key: &[u8], value: &[u8]| {
            assert_eq!(value.strip_prefix(b"data"), key.strip_prefix(b"user"));
            fits(key).then(|| key.to_vec())
        };
        table.decoy(name.as_bytes(), take).expect("a whole table")
    }

    #[test]
    fn a_name_has_one_decoy_and_names_have_many() {
        for count in [1, 2, 5, 300, 2000] {
            let (one, other) = (table(&records(count)), table(&records(count)));
            let mut chosen = HashMap::new();
            for number in 0..500 {
                let name = format!("nobody{number}");
                let found = decoy(&one, &name, |_| true).expect("a decoy");
                assert_eq!(decoy(&other, &name, |_| true).as_ref(), Some(&found));
                // In small letters and in capitals names are the same.
                assert_eq!(decoy(&one, &name.to_ascii_uppercase(), |_| true).as_ref(), Some(&found));
                *chosen.entry(found).or_insert(0) += 1;
            }
            assert!(chosen.len() >= count.min(100), "{} of {count}", chosen.len());
            assert!(chosen.values().all(|&times| times < 900 / count.min(20)), "{chosen:?}");
        }
    }

    #[test]
    fn the_decoy_is_one_that_fits() {
        let table = table(&records(40));
        for number in 0..200 {
            let name = format!("nobody{number}");
            let found = decoy(&table, &name, |key| key.ends_with(b"7")).expect("one of four");
            assert!(found.ends_with(b"7"));
            assert_eq!(decoy(&table, &name, |_| false), None);
        }
    }

    #[test]
    fn a_few_records_are_tried_and_no_more() {
        let table = table(&records(1000));
        let mut tried = 0;
        let none: Option<()> = table
            .decoy(b"nobody", |_, _| {
                tried += 1;
                None
            })
            .expect("a whole table");
        assert_eq!((none, tried), (None, RECORDS_MAX));
    }

    proptest! {
        #[test]
        fn a_damaged_table_has_one_or_is_an_error(
            at in any::<prop::sample::Index>(),
            damage in prop::collection::vec(any::<u8>(), 1..16),
            end in any::<prop::sample::Index>(),
            name: Vec<u8>,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("t.cdb");
            made(&path, &records(20));
            let mut bytes = std::fs::read(&path).expect("made");
            let at = at.index(bytes.len());
            bytes.iter_mut().skip(at).zip(&damage).for_each(|(byte, damage)| *byte = *damage);
            bytes.truncate(end.index(3 * bytes.len()));
            let found = of_bytes(&bytes).and_then(|table| table.decoy(&name, |key, value| Some([key, value].concat())));
            if let Ok(Some(found)) = found {
                prop_assert!(found.is_empty() || bytes.windows(found.len()).any(|part| part == found.as_slice()));
            }
        }
    }

    #[test]
    fn an_empty_table_has_none() {
        assert_eq!(decoy(&table(&Vec::new()), "nobody", |_| true), None);
    }
}
