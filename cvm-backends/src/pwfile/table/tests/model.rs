//! The table against a scan of the file from its start to its end.

use proptest::prelude::*;

use super::*;
use crate::pwfile::pass::{Pass, ReadAt};

/// What the file says, read slowly.
fn scan<'f>(file: &'f [u8], name: &[u8]) -> Option<(&'f [u8], u32)> {
    file.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")).find_map(|line| {
        let fields: Vec<_> = line.split(|&byte| byte == b':').collect();
        let uid = number(fields.get(2)?)?;
        number(fields.get(3)?)?;
        let is_account = fields.len() >= 7 && !fields[0].is_empty() && !line.contains(&0);
        (is_account && fields[0].eq_ignore_ascii_case(name)).then_some((fields[0], uid))
    })
}

fn number(field: &[u8]) -> Option<u32> {
    let is_number = (1..=10).contains(&field.len()) && field.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(field).ok().filter(|_| is_number)?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

/// A file in memory.
struct Bytes<'b>(&'b [u8]);

impl ReadAt for Bytes<'_> {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(position).ok().and_then(|position| self.0.get(position..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// The whole line of an account.
fn text_of(table: &Table, (line, layout): (Line, Layout)) -> String {
    let bytes = match line {
        Line::Account(position) => table.accounts.rest(position),
        Line::InFile(position) => &table.decoys.as_ref().unwrap().file[position..],
    };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap();
    assert_eq!(line.len(), layout.len());
    String::from_utf8(line.to_vec()).unwrap()
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[abAB]{1,2}:[a-z]{0,3}:[0-9]{1,3}:[0-9]{1,3}:[a,:]{0,3}:/[a-z]{0,3}:[a-z:]{0,3}",
        1 => "#?[abAB]{0,2}:[x:]{0,3}:[0-9]{0,11}:429496729[3-6]:::",
        1 => "[abAB:#0-9,\\x00 ]{0,24}",
    ]
}

proptest! {
    #[test]
    fn the_table_finds_what_a_scan_finds(
        lines in prop::collection::vec(line(), 0..60),
        has_newline: bool,
        more in prop::collection::vec("[abAB#]{0,3}", 0..8),
    ) {
        let file = lines.join("\n") + if has_newline { "\n" } else { "" };
        let table = table(&file);
        let names = lines.iter().map(|line| line.split(':').next().unwrap_or_default());
        for name in names.chain(more.iter().map(String::as_str)) {
            for name in [name.to_owned(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                let found = found(&table, &name).map(|entry| (entry.name, entry.uid));
                prop_assert_eq!(found, scan(file.as_bytes(), name.as_bytes()), "{:?} in {:?}", name, file);
            }
        }
    }

    #[test]
    fn a_pass_over_the_file_finds_what_the_table_finds_and_chooses_the_same_decoy(
        lines in prop::collection::vec(line(), 0..60),
        name in "[abAB]{1,2}",
        chunk in 1..80_usize,
        parts in 1..5_u64,
        comparison in prop_oneof![Just(Comparison::Plain), Just(Comparison::Crypt), Just(Comparison::Auto)],
    ) {
        let hash = "./17m29LFAflg";
        let file = lines.join("\n").replace(":x:", &format!(":{hash}:"));
        let table = of_kind(&file, comparison);
        let is_usable = |entry: &Entry<'_>| entry.is_usable(comparison);
        let pass = Pass { name: name.as_bytes(), is_usable: &is_usable, size: file.len() as u64 };
        let found = pass.over(&Bytes(file.as_bytes()), parts, chunk).unwrap();
        prop_assert_eq!((found.size, found.ends_in_newline), (file.len() as u64, file.ends_with('\n')));
        let text = |line: Option<Zeroizing<Vec<u8>>>| line.map(|line| String::from_utf8(line.to_vec()).unwrap());
        let told = |line: Option<(Line, Layout)>| line.map(|line| text_of(&table, line));
        let Found { account, decoy } = table.find(name.as_bytes());
        prop_assert_eq!(text(found.account), told(account));
        if comparison == Comparison::Plain {
            prop_assert_eq!(found.decoy.is_some(), decoy.is_some_and(|decoy| table.is_usable(decoy)));
        } else {
            prop_assert_eq!(text(found.decoy), told(decoy));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(file: Vec<u8>, name: Vec<u8>) {
        let table = table(&file);
        let Found { account, decoy } = table.find(&name);
        let found = account.map(|line| table.entry(line).unwrap()).map(|entry| (entry.name, entry.uid));
        prop_assert_eq!(found, scan(&file, &name));
        prop_assert!(decoy.is_none_or(|decoy| table.is_usable(decoy)));
    }
}
