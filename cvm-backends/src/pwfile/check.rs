//! What must hold for any line and any file: the body of a fuzz target.

use zeroize::Zeroizing;

use super::entry::{Entry, LINE_MAX};
use super::table::Table;
use crate::password::Comparison;

/// Fails unless an account is what is written in its line, and the table finds what a scan finds.
pub(crate) fn check(name: &[u8], file: &[u8]) {
    let accounts = file.split(|&byte| byte == b'\n').filter_map(|line| {
        let entry = Entry::parse(line)?;
        is_as_written(&entry, line);
        Some(entry)
    });
    let accounts: Vec<Entry<'_>> = accounts.collect();
    let table = Table::parse(Zeroizing::new(file.to_vec()), Comparison::Plain).expect("it is small");
    let names = accounts.iter().map(|account| account.name).chain([name]);
    for name in names {
        let found = table.find(name).account.and_then(|account| table.entry(account));
        let scanned = accounts.iter().find(|account| account.name.eq_ignore_ascii_case(name));
        let facts = |entry: &Entry<'_>| format!("{:?} {}", entry.facts(), entry.password.escape_ascii());
        assert_eq!(found.as_ref().map(facts), scanned.map(facts), "{}", name.escape_ascii());
    }
}

fn is_as_written(entry: &Entry<'_>, line: &[u8]) {
    let fields: Vec<&[u8]> = line.splitn(7, |&byte| byte == b':').collect();
    let texts = [entry.name, entry.password, entry.gecos, entry.directory, entry.shell];
    assert_eq!(texts, [0, 1, 4, 5, 6].map(|index| fields[index]));
    for (id, digits) in [(entry.uid, fields[2]), (entry.gid, fields[3])] {
        assert_eq!(format!("{id:0width$}", width = digits.len()).as_bytes(), digits);
        assert_ne!(id, u32::MAX);
    }
    assert!(line.len() <= LINE_MAX && !line.contains(&0) && !entry.name.is_empty() && !line.starts_with(b"#"));
    assert!(entry.gecos.starts_with(entry.realname()) && !entry.realname().contains(&b','));
}
