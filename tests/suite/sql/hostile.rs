//! Hostile names are only ever names.

use std::collections::BTreeSet;

use cvm_tests::database::{Database, Kind};
use cvm_tests::packet::Hex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Asked, table};

/// Names that are there, and that look like anything but names.
const NAMES: [&str; 16] = [
    "alice",
    "o'brien",
    "a\\",
    "\\'",
    "\"",
    "`",
    "a;b",
    "-- ",
    "/*",
    "%",
    "_",
    "$account",
    "' or '1'='1",
    "é",
    "\u{1f600}",
    "?",
];

/// Parts of which others are made.
const PARTS: [&[u8]; 28] = [
    b"'",
    b"\"",
    b"`",
    b"\\",
    b"\\'",
    b";",
    b"--",
    b"-- ",
    b"#",
    b"/*",
    b"*/",
    b"%",
    b"_",
    b"?",
    b"$1",
    b"$account",
    b"\0",
    b"\x1a",
    b"\n",
    b" or 1=1",
    b"' or '1'='1",
    b"\xbf'",
    b"\xbf\\'",
    b"\xc0\xa7",
    b"\xff",
    b"\xef\xbc\x87",
    b"alice",
    b"'; drop table accounts; --",
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(PARTS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(NAMES.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    let long = prop::sample::select(PARTS.to_vec()).prop_map(|part| part.iter().copied().cycle().take(255).collect());
    let known = prop::sample::select(NAMES.to_vec()).prop_map(|name| name.as_bytes().to_vec());
    let made =
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()).prop_filter("short", |it| it.len() < 200);
    prop_oneof![6 => made, 1 => long, 1 => known]
}

fn hex_literal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Sqlite => format!("cast(x'{}' as text)", Hex(text.as_bytes())),
        Kind::Postgres => format!("convert_from('\\x{}','UTF8')", Hex(text.as_bytes())),
        Kind::Mysql => format!("convert(x'{}' using utf8mb4)", Hex(text.as_bytes())),
    }
}

fn with_names(kind: Kind) -> Database {
    let database = Database::start(kind, &[]);
    let collation =
        if kind == Kind::Mysql { "alter database cvm character set utf8mb4 collate utf8mb4_nopad_bin;" } else { "" };
    let insert = |name: &&str| {
        format!(
            "insert into accounts (username,domain,password,userid,groupid,directory) values ({},'ex.com','secret',1,1,'/');",
            hex_literal(kind, name)
        )
    };
    database.sql(&[collation, &table("integer")].concat());
    database.sql(&NAMES.iter().map(insert).collect::<String>());
    database
}

fn names_are_names(kind: Kind) {
    let database = with_names(kind);
    let asked = Asked::start(&database, &[]);
    let post = Asked::start(&database, &[("POSTQ", "update accounts set seen=seen+1 where username=$account")]);
    let known: BTreeSet<&[u8]> = NAMES.iter().map(|name| name.as_bytes()).collect();
    let mut runner = TestRunner::new(Config::with_cases(1500));
    let result = runner.run(&(name(), prop::bool::weighted(0.2)), |(name, in_domain)| {
        let (account, domain) = if in_domain { (&b"alice"[..], &name[..]) } else { (&name[..], &b"ex.com"[..]) };
        let answer = asked.ask(account, domain, b"secret").expect("an answer");
        let is_right = !in_domain && known.contains(account);
        prop_assert_eq!(answer[0], if is_right { 0 } else { 100 }, "{}", Hex(&name));
        prop_assert_eq!(asked.ask(account, domain, b"wrong").expect("an answer")[0], 100);
        if is_right {
            let fact = [&[1, u8::try_from(name.len()).expect("short")], &name[..]].concat();
            prop_assert!(answer.windows(fact.len()).any(|part| part == fact), "the name is the account's");
            prop_assert_eq!(post.ask(account, domain, b"secret").expect("an answer")[0], 0);
        }
        Ok(())
    });
    assert_eq!(result, Ok(()));
    let (rows, errors) = (database.sql("select count(*) from accounts;"), asked.errors());
    assert_eq!((rows, errors.as_str()), (NAMES.len().to_string(), ""));
}

#[test]
fn hostile_names_are_only_names_to_sqlite() {
    names_are_names(Kind::Sqlite);
}

#[test]
fn hostile_names_are_only_names_to_postgresql() {
    names_are_names(Kind::Postgres);
}

#[test]
fn hostile_names_are_only_names_to_mariadb() {
    names_are_names(Kind::Mysql);
}
