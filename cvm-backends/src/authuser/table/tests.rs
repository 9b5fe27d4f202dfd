//! What a file says of a name, read slowly beside the sorted table.

use proptest::prelude::*;

use super::*;

fn table(file: impl AsRef<[u8]>) -> Table {
    Table::parse(Zeroizing::new(file.as_ref().to_vec())).unwrap()
}

/// The value that a file has for a name.
fn told(file: &str, name: &str) -> Option<String> {
    let table = table(file);
    match table.find(&Name::new(name.as_bytes())) {
        Found::Line(line) => Some(value(&table, line)),
        Found::Meaningless { .. } => Some("meaningless".to_owned()),
        Found::Nobody { .. } => None,
    }
}

fn value(table: &Table, line: Line) -> String {
    String::from_utf8_lossy(table.part(line.colon + 1, line.end)).into_owned()
}

#[track_caller]
fn assert_told(file: &str, expected: &[(&str, Option<&str>)]) {
    for (name, value) in expected {
        assert_eq!(told(file, name).as_deref(), *value, "{name} in {file:?}");
    }
}

#[test]
fn the_more_special_line_counts_wherever_it_is() {
    let file = "*:all\n@:at\n@x.org:domain\nJoe@X.org:joe\njoe:local\n";
    for file in [file.to_owned(), file.lines().rev().map(|line| format!("{line}\n")).collect()] {
        assert_told(
            &file,
            &[
                ("joe@x.org", Some("joe")),
                ("JOE@x.ORG", Some("joe")),
                ("ann@X.org", Some("domain")),
                ("joe@y.org", Some("at")),
                ("joe", Some("local")),
                ("ann", Some("at")),
                ("a@joe@x.org", Some("domain")),
            ],
        );
    }
    assert_told("*:all\n", &[("ann@x.org", Some("all")), ("ann", Some("all")), ("", None)]);
    assert_told("", &[("ann", None), ("*", None)]);
}

#[test]
fn the_disabled_are_nobody_whatever_else_there_is() {
    let file = "joe@x.org:joe\n!JOE@x.org:\n@x.org:domain\n!@y.org:\nann@y.org:ann\n*:all\n!bob:\nbob:pw\n";
    assert_told(
        file,
        &[
            ("joe@x.org", None),
            ("ann@x.org", Some("domain")),
            ("ann@y.org", None),
            ("bob", None),
            ("BOB", None),
            ("bob@z.org", Some("all")),
        ],
    );
    // Without a colon it is no line.
    assert_told("!joe\njoe:pw\n", &[("joe", Some("pw"))]);
}

#[test]
fn a_disabled_user_of_the_system_is_nobody_with_any_domain() {
    let file = "*:!\n!ROOT:\nroot@v.org:virtual\n@q.org:?\n@d.org:+\n";
    let none = ["root", "root@", "Root@x.org", "ROOT@q.org"].map(|name| (name, None));
    assert_told(file, &none);
    assert_told(file, &[("root@v.org", Some("virtual")), ("root@d.org", Some("+"))]);
    assert_told(file, &[("joe@x.org", Some("!")), ("root@x.org@y.org", Some("!")), ("joe@q.org", Some("?"))]);
}

#[test]
fn a_disabled_line_with_its_password_left_in_lets_nobody_in_under_its_own_name() {
    assert_told("!joe:secret\n", &[("!joe", None), ("joe", None)]);
    assert_told("@x.org:secret\n@:at\n*:all\n", &[("@x.org", Some("at")), ("*", Some("at")), ("@", Some("at"))]);
}

#[test]
fn the_last_of_equal_keys_counts_even_if_it_is_empty() {
    assert_told("joe:one\nann:x1\nJOE:two\n", &[("joe", Some("two"))]);
    assert_told("joe:one\njoe:\n*:all\n", &[("joe", None)]);
    assert_told("joe:?\njoe:x\n*:all\n", &[("joe", Some("meaningless"))]);
    assert_told("joe:x\n!joe:\n", &[("joe", None)]);
}

#[test]
fn lines_lose_the_blanks_at_their_end_and_nothing_else() {
    let file = " joe:aa\nann: b c \t \nbob :d:e:\n#eve:ff\ncr:gg\r\n\n \t \nlast:hh";
    assert_told(
        file,
        &[
            (" joe", Some("aa")),
            ("joe", None),
            ("ann", Some(" b c")),
            ("bob ", Some("d:e:")),
            ("#eve", None),
            ("cr", Some("gg")),
            ("last", Some("hh")),
        ],
    );
}

#[test]
fn a_sign_stays_one_whatever_ends_the_line_and_is_none_behind_a_blank() {
    assert_told("a:?\r\nb:! \r\nc:%secret\t\r\n\r\n", &[("a", Some("?")), ("b", Some("!")), ("c", Some("%secret"))]);
    let meaningless = ["a", "b", "c", "d"].map(|name| (name, Some("meaningless")));
    assert_told("a: ?\nb:\t!\nc: x\r\nd:\x0c\n", &meaningless);
}

#[test]
fn lines_without_a_colon_or_a_key_are_counted() {
    assert_eq!(table("joe:a\n\n#x\n!ann\n:b\n").passed_over(), Some(PassedOver { count: 2, first: 4 }));
    assert_eq!(table("joe:a\n# b\n").passed_over(), None);
}

#[test]
fn a_name_has_one_decoy_by_which_somebody_can_log_in() {
    let lines: String =
        (0..40).map(|number| format!("!no{number}:\nempty{number}:\nuser{number}:pw{number}\n")).collect();
    let file = table(&lines);
    let again = table(&lines);
    let mut chosen = Vec::new();
    for number in 0..200 {
        let name = Name::new(format!("nobody{number}").as_bytes());
        let decoy = file.decoy(&name).unwrap();
        assert_eq!(again.decoy(&name), Some(decoy));
        assert!(value(&file, decoy).starts_with("pw"));
        chosen.push(decoy.start);
    }
    chosen.sort_unstable();
    chosen.dedup();
    assert!(chosen.len() > 10, "{chosen:?}");
    assert_eq!(table("!joe:\nann:\nbob:x\n").decoy(&Name::new(b"eve")), None);
}

#[test]
fn the_disabled_are_judged_by_what_would_be_theirs() {
    let table = table("joe:?\n!joe:\nann:clear\nbob:%5ebe2294ecd0e0f08eab7690d2a6ee69\n");
    match table.find(&Name::new(b"joe")) {
        Found::Nobody { decoy: Some(line) } => assert_eq!(value(&table, line), "?"),
        other => panic!("{other:?}"),
    }
}

/// The same by going through the lines, as the rules say it.
fn slowly<'f>(file: &'f str, name: &str) -> Option<&'f str> {
    let value = |key: &str| {
        let lines = file.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\r'])).rev();
        let mut lines = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    };
    let domain = name.rfind('@').filter(|at| *at > 0).map(|at| &name[at..]);
    let is_disabled = value(&format!("!{name}")).or_else(|| value(&format!("!{}", domain?))).is_some();
    let is_special = name == "*" || name.starts_with('@') || name.starts_with('!');
    let own = if is_special { None } else { value(name) };
    let told = own.or_else(|| value(domain?)).or_else(|| value("@")).or_else(|| value("*"));
    let local = name.rfind('@').filter(|at| *at > 0).map_or(name, |at| &name[..at]);
    let is_system = told.is_some_and(|told| told == "?" || told == "!");
    let is_disabled = is_disabled || is_system && value(&format!("!{local}")).is_some();
    told.filter(|_| !is_disabled && !name.is_empty()).filter(|value| !value.is_empty())
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "!?[abAB]{1,2}(@[xX])?: ?[a-z?!+]{0,3}\r?",
        3 => "!?@[xyX]?:[a-z]{0,2}",
        1 => "\\*:[a-z]{0,3}",
        2 => "[#!@:*abx \t]{0,6}",
    ]
}

proptest! {
    #[test]
    fn the_table_says_what_a_slow_reading_says(
        lines in prop::collection::vec(line(), 0..30),
        ends: bool,
        name in "[!@*#]?[abAB]{0,2}(@[xXy])?",
    ) {
        let file = lines.join("\n") + if ends { "\n" } else { "" };
        let expected = slowly(&file, &name).map(|value| match value {
            "?" | "!" | "+" | "&" | "=" => value,
            _ if value.trim().len() < 2 => "meaningless",
            _ => value,
        });
        let found = told(&file, &name);
        prop_assert_eq!(found.as_deref(), expected, "{:?} in {:?}", name, file);
    }

    #[test]
    fn no_bytes_are_too_strange(file: Vec<u8>, name: Vec<u8>) {
        let table = table(&file);
        if let Found::Line(line) = table.find(&Name::new(&name)) {
            prop_assert!(table.is_usable(line) && !name.is_empty() && !name.contains(&0));
        }
    }
}
