//! `cvm-vmailmgr`.

use std::path::Path;

use cvm_tests::process;
use cvm_tests::programs::tool;

/// What vmailmgr writes into a table.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) flags: &'a [u8],
    pub(crate) password: &'a str,
    pub(crate) directory: &'a str,
    pub(crate) forwards: &'a [&'a str],
    pub(crate) personal: &'a str,
    pub(crate) numbers: [&'a str; 6],
}

impl Record<'_> {
    pub(crate) fn version_1(&self) -> Vec<u8> {
        let strings = [self.password, self.directory].into_iter().chain(self.forwards.iter().copied());
        let strings = strings.chain(["", self.personal]).chain(self.numbers);
        let mut bytes = b"\x01".to_vec();
        strings.for_each(|string| bytes.extend_from_slice(format!("{string}\0").as_bytes()));
        bytes
    }

    pub(crate) fn version_2(&self) -> Vec<u8> {
        let rest = self.version_1();
        [b"\x02", self.flags, b"\0", &rest[1..]].concat()
    }
}

/// Makes a table of these records, in the place of one that is there.
pub(crate) fn write_table(path: &Path, records: &[(String, Vec<u8>)]) {
    let mut input = Vec::new();
    for (key, value) in records {
        input.extend_from_slice(format!("+{},{}:{key}->", key.len(), value.len()).as_bytes());
        input.extend_from_slice(&[value, &b"\n"[..]].concat());
    }
    input.push(b'\n');
    let new = path.with_extension("new");
    let (maker, new) = (tool("cdb", "tinycdb"), new.to_str().expect("UTF-8"));
    process::run(&mut process::command(maker.to_str().expect("UTF-8"), &["-c", new], &[]), &input);
    std::fs::rename(new, path).expect("the table was made");
}
