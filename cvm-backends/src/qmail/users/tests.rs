use proptest::prelude::*;

use super::*;
use crate::cdb::made;

/// A table in a folder. No user of a system has a name like those that are looked up in it.
struct Table(tempfile::TempDir);

impl Table {
    /// Entries are a key, a name, dash and extension; the empty key's name holds the wildcards.
    fn of(entries: &[(&str, &str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let records = entries.iter().map(|(key, name, dash, extension)| {
            let data = format!("{name}\x001234\x002345\0/home/{name}\0{dash}\0{extension}");
            (key.as_bytes().to_vec(), if key.is_empty() { name.as_bytes().to_vec() } else { data.into_bytes() })
        });
        made(&folder.path().join("cdb"), &records.collect::<Vec<_>>());
        Self(folder)
    }

    fn find(&self, rules: Rules, local: &str) -> Option<String> {
        let places = Places::new();
        let search = Search { rules, patience: Patience::Blocking, places: &places };
        let table = Cdb::open(&self.0.path().join("cdb"), Links::Followed).expect("a table");
        let found = match rules {
            Rules::Original => as_the_original(Some(table.reader()), local.as_bytes(), &search),
            Rules::Qmail => in_table_of_qmail(table.reader(), local.as_bytes()).map_err(Halt::from),
        };
        // The system may have a user for what is left.
        let found = found.expect("a whole table").filter(|found| found.name() != ALIAS)?;
        let parts = [found.name(), b" ", found.dash(), b" ", found.extension(), found.rest()].concat();
        Some(parts.escape_ascii().to_string())
    }

    #[track_caller]
    fn expect(&self, local: &str, original: Option<&str>, qmail: Option<&str>) {
        assert_eq!(self.find(Rules::Original, local).as_deref(), original, "{local} for the original");
        assert_eq!(self.find(Rules::Qmail, local).as_deref(), qmail, "{local} for qmail");
    }
}

#[test]
fn whole_names_and_cuts_at_dashes_are_the_same_for_both() {
    let table = Table::of(&[
        ("!zzbob\0", "one", "", ""),
        ("!zzbob-", "two", "-", ""),
        ("!zzbob-x-", "three", "-", "pre-"),
        ("!zzbob\0", "again", "", ""),
        ("", "-", "", ""),
    ]);
    table.expect("zzBob", Some("one  "), Some("one  "));
    table.expect("ZZbob-A.b", Some("two - A.b"), Some("two - A.b"));
    table.expect("zzbob-X-Y-z", Some("three - pre-Y-z"), Some("three - pre-Y-z"));
    table.expect("zzbob-", Some("two - "), Some("two - "));
}

#[test]
fn the_key_of_a_lone_dash_is_one_for_qmail_only() {
    let table = Table::of(&[("!-", "dash", "-", ""), ("!", "all", "-", ""), ("", "-", "", "")]);
    // The original takes a dash in front for the end of an empty name.
    table.expect("-Foo", Some("all - Foo"), Some("dash - Foo"));
    table.expect("-", Some("all - "), Some("dash - "));
    table.expect("--x", Some("all - -x"), Some("dash - -x"));
    let table = Table::of(&[("!-", "dash", "-", ""), ("", "-", "", "")]);
    table.expect("-Foo", None, Some("dash - Foo"));
}

#[test]
fn the_lone_key_takes_the_rest() {
    let table = Table::of(&[("!", "all", "-", ""), ("", "", "", "")]);
    table.expect("zzNobody-x", Some("all - zzNobody-x"), Some("all - zzNobody-x"));
    table.expect("-zzNobody", Some("all - zzNobody"), Some("all - -zzNobody"));
}

#[test]
fn only_qmail_knows_other_wildcards_and_heeds_their_set() {
    let table = Table::of(&[("!zzal", "al", "-", "pre"), ("!zzbob-", "bob", "-", ""), ("", "l.", "", "")]);
    table.expect("zzAlice", None, Some("al - preice"));
    table.expect("zzal", None, Some("al - pre"));
    // Its dash is not in the set.
    table.expect("zzbob-x", Some("bob - x"), None);
}

#[test]
fn a_table_without_the_set_of_wildcards_is_none_of_qmail() {
    let table = Table::of(&[("!zzbob\0", "bob", "", "")]);
    let cdb = Cdb::open(&table.0.path().join("cdb"), Links::Followed).expect("a table");
    assert!(in_table_of_qmail(cdb.reader(), b"zzbob").is_err());
    assert_eq!(table.find(Rules::Original, "zzbob").as_deref(), Some("bob  "));
}

#[test]
fn what_is_anticipated_is_the_search_for_the_whole_local_part() {
    for (hash, key) in [(hash_of_whole(b"Joe-X"), &b"!joe-x\0"[..]), (hash_of_whole(b""), b"!\0")] {
        assert_eq!(hash, hash_of(key.iter().copied()));
    }
}

#[test]
fn a_value_has_six_fields_and_numbers() {
    let read = |data: &[u8]| Assigned::read(data, b"rest");
    assert!(
        read(b"joe\x001\x002\0/home/joe\0-\0pre").is_some_and(|joe| (joe.extension(), joe.rest()) == (b"pre", b"rest"))
    );
    for bad in [&b""[..], b"joe\x001\x002\0/home/joe\0-", b"joe\0x\x002\0/\0-\0", b"joe\x001\x004294967296\0/\0-\0"] {
        assert_eq!(read(bad), None, "{}", bad.escape_ascii());
    }
}

#[test]
fn who_cannot_wait_does_not_ask_for_users_of_the_system() {
    let places = Places::new();
    let search = |rules, patience| Search { rules, patience, places: &places };
    for rules in [Rules::Original, Rules::Qmail] {
        let find = |patience| match rules {
            Rules::Original => as_the_original(None, b"root", &search(rules, patience)),
            Rules::Qmail => as_qmail(None, b"zzjoe", &search(rules, patience)),
        };
        assert_eq!(find(Patience::Immediate), Err(Halt::Waits));
    }
}

#[test]
fn beside_a_table_the_original_asks_for_users_of_the_system_as_they_come() {
    let table = Table::of(&[("", "-", "", "")]);
    let cdb = Cdb::open(&table.0.path().join("cdb"), Links::Followed).expect("a table");
    let places = Places::new();
    let search = Search { rules: Rules::Original, patience: Patience::Blocking, places: &places };
    for (table, local, expected) in [
        (None, "root", Some("")),
        (None, "Root", Some("")),
        (None, "ROOT-x-Y", Some("x-Y")),
        (Some(cdb.reader()), "root", Some("")),
        (Some(cdb.reader()), "root-x-Y", Some("x-Y")),
        (Some(cdb.reader()), "Root", None),
    ] {
        let found = as_the_original(table, local.as_bytes(), &search).expect("a name service");
        let rest = found.filter(|found| found.uid == 0).map(|root| root.rest().escape_ascii().to_string());
        assert_eq!(rest.as_deref(), expected, "{local}, {}", table.is_some());
    }
}

#[test]
fn qmail_takes_no_users_of_the_system_who_are_root_or_do_not_own_their_home() {
    let user = |uid, home: &str| Assigned::of(Fields { name: b"joe", uid, home: home.as_bytes(), ..Fields::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().to_str().expect("UTF-8");
    let owner = std::fs::metadata(home).expect("a folder").uid();
    assert_eq!(user(owner, home).has_own_home().expect("readable"), owner != 0);
    assert!(!user(owner + 1, home).has_own_home().expect("readable"));
    assert!(!user(owner, "/nonexistent/home").has_own_home().expect("readable"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_table_gives_an_answer_or_an_error(
        changes in proptest::collection::vec((0usize..4096, any::<u8>()), 1..20),
        cut in proptest::option::of(0usize..4096),
    ) {
        let table = Table::of(&[("!zzbob\0", "bob", "", ""), ("!zzbob-", "bob", "-", "x"), ("!", "all", "-", ""), ("", "-", "", "")]);
        let path = table.0.path().join("cdb");
        let mut bytes = std::fs::read(&path).expect("readable");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        std::fs::write(&path, bytes).expect("written");
        let places = Places::new();
        for rules in [Rules::Original, Rules::Qmail] {
            let users = Users { folder: table.0.path().to_owned(), tables: [WatchedCdb::open_keeping(path.clone(), Links::Followed), WatchedCdb::open("/nonexistent".into(), Links::Followed)] };
            let search = Search { rules, patience: Patience::Blocking, places: &places };
            for local in ["zzbob", "zzbob-x", "zzother"] {
                let found = users.find(local.as_bytes(), &search);
                prop_assert!(!matches!(found, Err(Halt::Waits)));
            }
        }
    }
}
