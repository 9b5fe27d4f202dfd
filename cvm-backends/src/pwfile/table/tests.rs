//! Lines, accounts by their names, and decoys (SPEC section 8, cvm-pwfile).

mod model;

use super::super::entry::id;
use super::*;
use crate::password::Unusable;

fn table(content: impl AsRef<[u8]>) -> Table {
    of_kind(content, Comparison::Plain)
}

fn of_kind(content: impl AsRef<[u8]>, comparison: Comparison) -> Table {
    Table::parse(Zeroizing::new(content.as_ref().to_vec()), comparison).unwrap()
}

fn found<'t>(table: &'t Table, name: &str) -> Option<Entry<'t>> {
    table.find(name.as_bytes()).account.map(|line| table.entry(line).unwrap())
}

fn uid(table: &Table, name: &str) -> Option<u32> {
    found(table, name).map(|entry| entry.uid)
}

#[test]
fn a_line_has_seven_fields() {
    let table = table("al:pw:1:2:Al,Office,Phone:/home/al:/bin/sh\n");
    let entry = found(&table, "al").unwrap();
    assert_eq!((entry.name, entry.password), (b"al".as_slice(), b"pw".as_slice()));
    assert_eq!((entry.uid, entry.gid), (1, 2));
    assert_eq!((entry.gecos, entry.realname()), (b"Al,Office,Phone".as_slice(), b"Al".as_slice()));
    assert_eq!((entry.directory, entry.shell), (b"/home/al".as_slice(), b"/bin/sh".as_slice()));
}

#[test]
fn more_colons_belong_to_the_shell() {
    let table = table("al:pw:1:2:g:d:/bin/sh:x::\n");
    assert_eq!(found(&table, "al").unwrap().shell, b"/bin/sh:x::");
}

#[test]
fn fields_may_be_empty_and_of_any_bytes_but_nul() {
    let table = table(b"\xff \\\t:\r:1:2:,a::\n");
    let entry = table.entry(table.find(b"\xff \\\t").account.unwrap()).unwrap();
    assert_eq!((entry.password, entry.realname()), (b"\r".as_slice(), b"".as_slice()));
    assert_eq!((entry.directory, entry.shell), (b"".as_slice(), b"".as_slice()));
}

#[test]
fn names_match_whatever_their_case_and_the_first_line_counts() {
    let table = table("Al:first:1:1:::\naL:second:2:2:::\nbo:x:3:3:::\nAL:third:4:4:::\n");
    for name in ["al", "AL", "Al", "aL"] {
        let entry = found(&table, name).unwrap();
        assert_eq!((entry.name, entry.password), (b"Al".as_slice(), b"first".as_slice()), "{name}");
    }
    assert_eq!(uid(&table, "BO"), Some(3));
    for other in ["", "a", "all", "al ", "al\0", "al:", "al:first", "\n", "al\n"] {
        assert_eq!(uid(&table, other), None, "{other:?}");
    }
}

#[test]
fn only_ascii_letters_have_a_case() {
    let table = table("\u{e4}[@:pw:1:1:::\n");
    assert_eq!(uid(&table, "\u{e4}[@"), Some(1));
    for other in ["\u{c4}[@", "\u{e4}{@", "\u{e4}[`"] {
        assert_eq!(uid(&table, other), None, "{other}");
    }
}

#[test]
fn long_names_match_whatever_their_case_to_the_last_letter() {
    for length in [63, 64, 65, 128, 255, 400] {
        let name = "aB".repeat(length)[..length].to_owned();
        let table = table(format!("{name}:pw:7:7:::\n"));
        assert_eq!(uid(&table, &name.to_uppercase()), Some(7), "{length}");
        assert_eq!(uid(&table, &name[1..]), None, "{length}");
        assert_eq!(uid(&table, &format!("{}x", &name[..length - 1])), None, "{length}");
    }
}

#[test]
fn an_id_is_1_to_10_digits_up_to_4294967294() {
    for (text, number) in [("0", 0), ("7", 7), ("0000000007", 7), ("4294967294", u32::MAX - 1)] {
        assert_eq!(id(text.as_bytes()), Some(number), "{text}");
    }
    let bad = ["", "4294967295", "4294967296", "9999999999", "00000000007", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.0"];
    for text in bad {
        assert_eq!(id(text.as_bytes()), None, "{text:?}");
        for line in [format!("al:pw:{text}:1:::\n"), format!("al:pw:1:{text}:::\n")] {
            assert_eq!(table(&line).malformed(), Some((1, 1)), "{line:?}");
            assert_eq!(uid(&table(&line), "al"), None, "{line:?}");
        }
    }
}

#[test]
fn lines_that_are_no_accounts_are_counted_and_hide_nobody() {
    let table = table(concat!(
        "# al:comment:1:1:::\n",
        "\n",
        "al:too:1:1:few\n",
        "al:uid:x:1:::\n",
        ":noname:1:1:::\n",
        "al\n",
        "al:n\0l:1:1:::\n",
        " \n",
        "\r\n",
        "#al:pw:1:1:::\n",
        "al:right:9:9:::\n",
    ));
    assert_eq!(table.malformed(), Some((7, 3)), "comments and blank lines are none");
    assert_eq!(found(&table, "al").unwrap().password, b"right");
    assert_eq!(uid(&table, "#al"), None);
    assert_eq!(uid(&table, ""), None);
}

#[test]
fn a_file_of_accounts_has_no_malformed_lines() {
    for content in ["", "\n", "\n\n", "#", "# x\n", "al:pw:1:1:::", "al:pw:1:1:::\n", "al:pw:1:1:::\n\n"] {
        assert_eq!(table(content).malformed(), None, "{content:?}");
    }
}

#[test]
fn a_last_line_without_its_newline_counts() {
    let table = table("al:pw:1:1:::\nbo:pw:2:2:::/bin/sh");
    assert_eq!(uid(&table, "al"), Some(1));
    assert_eq!(found(&table, "bo").unwrap().shell, b"/bin/sh");
    assert_eq!(self::table("al:pw:1:1::").malformed(), Some((1, 1)));
}

#[test]
fn a_hundred_thousand_accounts_are_found() {
    let mut content = String::new();
    for number in 0..100_000 {
        content.push_str(&format!("User{number}:pw:{number}:1:::\n"));
    }
    let table = table(content);
    for number in 0..100_000 {
        assert_eq!(uid(&table, &format!("uSER{number}")), Some(number));
        assert_eq!(uid(&table, &format!("other{number}")), None);
    }
}

#[test]
fn many_lines_of_one_name_take_no_longer_than_others() {
    let mut content = "al:pw:7:7:::\n".repeat(200_000);
    for number in 0..100_000 {
        content.push_str(&format!("user{number}:pw:{number}:1:::\naL:again:8:8:::\n"));
    }
    let table = table(content);
    for number in 0..100_000 {
        assert_eq!((uid(&table, &format!("user{number}")), uid(&table, "AL")), (Some(number), Some(7)));
    }
}

const HASH: &str = "$1$saltsalt$9xy1btjgzLYfb7hivXtC//";

fn decoy(table: &Table, name: &str) -> Option<String> {
    let entry = table.entry(table.decoy(name.as_bytes())?).unwrap();
    Some(String::from_utf8(entry.name.to_vec()).unwrap())
}

#[test]
fn a_table_without_usable_entries_has_no_decoy() {
    for content in ["", "\n", "# c\n", "al::1:1:::\n", "malformed\n"] {
        for comparison in [Comparison::Plain, Comparison::Crypt] {
            assert_eq!(decoy(&of_kind(content, comparison), "nobody"), None, "{content:?}");
        }
    }
    let locked = format!("a::1:1:::\nb:x:1:1:::\nc:!{HASH}:1:1:::\nd:*:1:1:::\ne:secret:1:1:::\n#f:{HASH}:1:1:::\n");
    assert_eq!(decoy(&of_kind(locked, Comparison::Crypt), "nobody"), None);
}

#[test]
fn only_usable_entries_become_decoys() {
    let unusable = ["", "x", "*", "!", "strange", "$6$rounds=99999999$salt$", "$2b$31$"];
    let costly = HASH.replace("$1$saltsalt$", "$5$rounds=2000000$saltsalt$").replace("//", "//0123456789012345678ab");
    assert_eq!(Comparison::Crypt.read(costly.as_bytes()).err(), Some(Unusable::TooCostly));
    let mut content = String::new();
    for number in 0..40 {
        for password in unusable {
            content.push_str(&format!("locked{number}:{password}:1:1:::\n"));
        }
        content.push_str(&format!("costly:{costly}:1:1:::\n#comment:{HASH}:1:1:::\nmalformed:{HASH}:1:::\n"));
        content.push_str(&format!("usable{number}:{HASH}:1:1:::\n"));
    }
    let table = of_kind(content, Comparison::Crypt);
    for name in 0..500 {
        let decoy = decoy(&table, &format!("nobody{name}")).unwrap();
        assert!(decoy.starts_with("usable"), "{decoy}");
    }
}

#[test]
fn a_name_has_the_same_decoy_in_every_process() {
    let mut content = String::new();
    for number in 0..200 {
        content.push_str(&format!("user{number}:{HASH}:1:1:::\n"));
    }
    let (one, other) = (of_kind(&content, Comparison::Crypt), of_kind(&content, Comparison::Crypt));
    let mut chosen = std::collections::BTreeSet::new();
    for number in 0..200 {
        let name = format!("Nobody{number}");
        assert_eq!(decoy(&one, &name), decoy(&other, &name));
        assert_eq!(decoy(&one, &name), decoy(&one, &name.to_uppercase()));
        chosen.insert(decoy(&one, &name).unwrap());
    }
    assert!(chosen.len() > 50, "{} of 200 entries are decoys of 200 names", chosen.len());
}

#[test]
fn a_few_usable_entries_among_many_locked_ones_are_found() {
    let locked = "a::1:1:::\n".repeat(1000);
    for comparison in [Comparison::Plain, Comparison::Crypt] {
        let table = of_kind(format!("{locked}usable:{HASH}:1:1:::\n{locked}"), comparison);
        for name in 0..100 {
            assert_eq!(decoy(&table, &format!("{name}")).as_deref(), Some("usable"));
        }
    }
}

#[test]
fn in_a_plain_table_something_stands_in_for_every_name() {
    let mut content = String::new();
    for number in 0..1000 {
        let password = if number % 2 == 0 { "" } else { "pw" };
        content.push_str(&format!("user{number}:{password}:1:1:::\n"));
    }
    let table = table(content);
    for number in 0..2000 {
        let Found { account, decoy } = table.find(format!("user{number}").as_bytes());
        assert_eq!(account.is_some(), number < 1000);
        assert!(decoy.is_some_and(|decoy| !table.entry(decoy).unwrap().password.is_empty()), "{number}");
    }
}

#[test]
fn of_a_file_of_plain_text_nothing_is_kept_but_accounts_and_a_line() {
    let content = format!("# {}\nal:pw:1:1:::\nbo:pw:2:2:::\n", "c".repeat(100_000));
    let kept = |comparison| of_kind(&content, comparison).decoys.map(|decoys| decoys.file.len());
    assert_eq!(kept(Comparison::Plain), Some("al:pw:1:1:::".len()));
    assert_eq!(kept(Comparison::Crypt), None, "none of the passwords is usable");
    let content = content.replace("pw", HASH);
    assert_eq!(of_kind(&content, Comparison::Crypt).decoys.map(|decoys| decoys.file.len()), Some(content.len()));
}
