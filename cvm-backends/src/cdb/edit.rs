//! Exchanging a value: a table is made anew from all records of another one.

use std::io;

use zeroize::Zeroizing;

use super::{HEADER, SLOT, damaged, hash, pair_at};

/// How far from its own slot a record may be: in the half-full tables of honest makers it is a few dozen at most.
const DISTANCE_MAX: usize = 1000;

/// A record of a table: its hash, its position in the bytes, and what it holds.
struct Record<'t> {
    hash: u32,
    position: usize,
    key: &'t [u8],
    value: &'t [u8],
}

/// Returns a table with the same records in the same order, the first of which with this key has another value; `None`
/// if that record does not have the value that it is expected to have.
///
/// # Errors
///
/// `InvalidData` if the bytes are no whole table, or one whose slots lead to other records than those that are in it, or
/// whose records have the same hash by the thousand; otherwise if there is no memory.
pub(crate) fn with_value(
    table: &[u8],
    key: &[u8],
    expected: &[u8],
    value: &[u8],
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut records = records(table)?;
    check_slots(table, &records)?;
    let Some(record) = records.iter_mut().find(|record| record.key == key).filter(|record| record.value == expected)
    else {
        return Ok(None);
    };
    record.value = value;
    made(&records).map(Some)
}

/// Reads the records, which end where the first hash table begins.
fn records(table: &[u8]) -> io::Result<Vec<Record<'_>>> {
    let tables = (0..256).filter_map(|number| pair_at(table.get(..HEADER)?, number * SLOT));
    let end = tables.filter(|(_, length)| *length > 0).map(|(position, _)| position).min();
    let end = end.map_or(HEADER, |position| position as usize);
    let bytes = table.get(..end).filter(|bytes| bytes.len() >= HEADER).ok_or_else(damaged)?;
    let (mut records, mut position) = (Vec::new(), HEADER);
    while position < bytes.len() {
        let (key_length, value_length) = pair_at(bytes, position).ok_or_else(damaged)?;
        let rest = bytes.get(position + SLOT..).ok_or_else(damaged)?;
        let (key, rest) = rest.split_at_checked(key_length as usize).ok_or_else(damaged)?;
        let value = rest.get(..value_length as usize).ok_or_else(damaged)?;
        records.try_reserve(1)?;
        records.push(Record { hash: hash(key), position, key, value });
        position += SLOT + key.len() + value.len();
    }
    Ok(records)
}

/// Makes sure that each record has one slot with its hash, among those for such hashes, and nothing else has one. Whether
/// a search comes to that slot is not looked at: in the table that is made it does.
fn check_slots(table: &[u8], records: &[Record<'_>]) -> io::Result<()> {
    let mut found = Vec::new();
    found.try_reserve_exact(records.len())?;
    // No slot is in two hash tables, so that there are no more of them than the file has room for.
    let mut left = table.len() / SLOT;
    for number in 0..256 {
        let (position, length) = pair_at(table, number * SLOT).ok_or_else(damaged)?;
        left = left.checked_sub(length as usize).ok_or_else(damaged)?;
        let slots = table.get(position as usize..).filter(|_| length > 0).unwrap_or_default();
        let slots = (length as usize).checked_mul(SLOT).and_then(|size| slots.get(..size)).ok_or_else(damaged)?;
        let pairs = slots.chunks_exact(SLOT).filter_map(|slot| pair_at(slot, 0)).filter(|(_, record)| *record != 0);
        for (hash, record) in pairs {
            if (hash & 255) as usize != number || found.len() == records.len() {
                return Err(damaged());
            }
            found.push((record as usize, hash));
        }
    }
    found.sort_unstable();
    let expected = records.iter().map(|record| (record.position, record.hash));
    if expected.eq(found) { Ok(()) } else { Err(damaged()) }
}

/// Makes a table of these records, as every maker of such tables does.
fn made(records: &[Record<'_>]) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = |record: &Record<'_>| SLOT + record.key.len() + record.value.len();
    let end = records.iter().fold(HEADER, |end, record| end.saturating_add(size(record)));
    let whole = end.saturating_add(records.len().saturating_mul(2 * SLOT));
    let mut table = Zeroizing::new(Vec::new());
    // It holds passwords, and must not be moved while it grows.
    table.try_reserve_exact(whole)?;
    table.resize(HEADER, 0);
    let mut chains = vec![Vec::new(); 256];
    for record in records {
        let chain = chains.get_mut((record.hash & 255) as usize).ok_or_else(damaged)?;
        chain.try_reserve(1)?;
        chain.push((record.hash, number(table.len())?));
        for length in [record.key.len(), record.value.len()] {
            table.extend_from_slice(&number(length)?.to_le_bytes());
        }
        table.extend_from_slice(record.key);
        table.extend_from_slice(record.value);
    }
    for (index, chain) in chains.iter().enumerate() {
        let (position, slots) = (number(table.len())?, slots(chain)?);
        let pair = [position.to_le_bytes(), number(slots.len())?.to_le_bytes()].concat();
        table.get_mut(index * SLOT..(index + 1) * SLOT).ok_or_else(damaged)?.copy_from_slice(&pair);
        for (hash, record) in slots {
            table.extend_from_slice(&hash.to_le_bytes());
            table.extend_from_slice(&record.to_le_bytes());
        }
    }
    Ok(table)
}

/// Puts the records of one hash table into twice as many slots: each into the first free one from its own on.
fn slots(chain: &[(u32, u32)]) -> io::Result<Vec<(u32, u32)>> {
    let mut slots = Vec::new();
    slots.try_reserve_exact(chain.len() * 2)?;
    slots.resize(chain.len() * 2, (0, 0));
    for &(hash, record) in chain {
        let start = (hash >> 8) as usize % slots.len();
        let (before, after) = slots.split_at_mut(start);
        let free = after.iter_mut().chain(before).take(DISTANCE_MAX).find(|slot| slot.1 == 0);
        *free.ok_or_else(damaged)? = (hash, record);
    }
    Ok(slots)
}

/// Positions and lengths have 32 bits.
fn number(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(any(test, feature = "testing"))]
pub(crate) fn check(table: &[u8], key: &[u8], value: &[u8]) {
    let found = || super::of_bytes(table).and_then(|table| table.find(key));
    let Ok(Some(before)) = found() else {
        return;
    };
    let Ok(Some(changed)) = with_value(table, key, &before, value) else {
        return;
    };
    let after = super::of_bytes(&changed).and_then(|table| table.find(key)).expect("a whole table");
    assert!(after.is_some_and(|after| *after == value), "the new value is found");
    let back = with_value(&changed, key, value, &before).expect("a whole table").expect("its value");
    let again = with_value(&back, key, &before, value).expect("a whole table").expect("its value");
    assert!(again == changed, "nothing but the value changes");
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::cdb::made as made_by_tinycdb;

    type Records = Vec<(Vec<u8>, Vec<u8>)>;

    fn bytes(records: &Records) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        made_by_tinycdb(&path, records);
        std::fs::read(path).expect("readable")
    }

    fn records() -> impl Strategy<Value = Records> {
        let text = |most| proptest::collection::vec(any::<u8>(), 0..most);
        proptest::collection::vec((text(4), text(60)), 0..60)
    }

    #[test]
    fn only_what_is_expected_is_exchanged() {
        let record = |key: &str, value: &str| (key.into(), value.into());
        let table = bytes(&vec![record("one", "1"), record("two", "2"), record("one", "again")]);
        let change = |key: &str, from: &str, to: &str| {
            let changed = with_value(&table, key.as_bytes(), from.as_bytes(), to.as_bytes()).expect("a whole table");
            changed.map(|table| table.to_vec())
        };
        let expected = bytes(&vec![record("one", "new"), record("two", "2"), record("one", "again")]);
        assert_eq!(change("one", "1", "new"), Some(expected));
        for (key, from) in [("one", "again"), ("one", ""), ("three", ""), ("", "")] {
            assert_eq!(change(key, from, "new"), None, "{key} {from}");
        }
    }

    #[test]
    fn a_record_that_no_slot_leads_to_or_a_slot_without_one_is_a_damaged_table() {
        let whole = bytes(&vec![(b"one".to_vec(), b"1".to_vec()), (b"two".to_vec(), b"2".to_vec())]);
        let change = |table: &[u8]| with_value(table, b"one", b"1", b"new").map(|changed| changed.is_some());
        assert!(matches!(change(&whole), Ok(true)));
        let slots = whole.len() - 4 * SLOT;
        let is_empty = |at: usize| whole[at - (at - slots) % SLOT..][4..SLOT].iter().all(|&byte| byte == 0);
        // The hash in an empty slot means nothing.
        for at in (slots..whole.len()).filter(|at| !is_empty(*at) || (at - slots) % SLOT >= 4) {
            let mut table = whole.clone();
            table[at] ^= 0x40;
            assert_eq!(change(&table).expect_err("damaged").kind(), io::ErrorKind::InvalidData, "byte {at}");
        }
        for length in 0..whole.len() {
            assert!(change(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    /// A table of so many records with empty keys, which all have the same hash.
    fn of_one_hash(count: u32) -> Vec<u8> {
        let mut table = vec![0; HEADER];
        table.resize(HEADER + count as usize * SLOT, 0);
        let pair = [u32::try_from(table.len()).expect("small"), 2 * count].map(u32::to_le_bytes).concat();
        let at = (hash(b"") & 255) as usize * SLOT;
        table[at..at + SLOT].copy_from_slice(&pair);
        let first = u32::try_from(HEADER).expect("small");
        for number in 0..count {
            let slot = [hash(b""), first + number * 8].map(u32::to_le_bytes).concat();
            table.extend_from_slice(&slot);
        }
        table.resize(table.len() + count as usize * SLOT, 0);
        table
    }

    #[test]
    fn a_table_whose_hashes_are_all_the_same_is_given_up() {
        assert!(with_value(&of_one_hash(900), b"", b"", b"new").expect("a table").is_some());
        let start = Instant::now();
        let changed = with_value(&of_one_hash(500_000), b"", b"", b"new");
        assert_eq!(changed.expect_err("given up").kind(), io::ErrorKind::InvalidData);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[test]
    fn a_table_whose_hash_tables_are_in_one_place_is_damaged() {
        let slots = 1_900_000_u32;
        let table = [2048_u32.to_le_bytes(), slots.to_le_bytes()].concat().repeat(256);
        let table = [table, vec![0; slots as usize * SLOT]].concat();
        let start = Instant::now();
        assert_eq!(with_value(&table, b"", b"", b"new").expect_err("damaged").kind(), io::ErrorKind::InvalidData);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_table_made_anew_is_byte_for_byte_that_of_tinycdb(
            mut records in records(), which: proptest::sample::Index, value in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let table = bytes(&records);
            if records.is_empty() {
                prop_assert!(with_value(&table, b"x", b"", b"").expect("a whole table").is_none());
                return Ok(());
            }
            let key = records[which.index(records.len())].0.clone();
            let record = records.iter_mut().find(|record| record.0 == key).expect("it is there");
            let before = std::mem::replace(&mut record.1, value.clone());
            let changed = with_value(&table, &key, &before, &value).expect("a whole table");
            prop_assert_eq!(changed.map(|table| table.to_vec()), Some(bytes(&records)));
        }

        #[test]
        fn a_damaged_table_is_exchanged_whole_or_not_at_all(
            changes in proptest::collection::vec((0usize..2200, any::<u8>()), 0..6), cut in 2000usize..2300,
        ) {
            let mut table = bytes(&vec![(b"one".to_vec(), b"1".to_vec()), (b"two".to_vec(), b"2".to_vec())]);
            for (at, byte) in changes {
                if let Some(place) = table.get_mut(at) {
                    *place = byte;
                }
            }
            table.truncate(cut);
            for key in [&b"one"[..], b"two", b"three"] {
                check(&table, key, b"new");
            }
        }
    }
}
