//! Lines at their places, against a list of them.

use proptest::prelude::*;

use super::*;
use crate::pwfile::entry::LINE_MAX;

/// Whatever has a colon behind a name is an account here.
fn name_of(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr(b':', line).filter(|colon| *colon > 0 && !line.starts_with(b"#"))?;
    line.get(..colon)
}

fn spread(file: impl AsRef<[u8]>) -> Spread {
    Spread::of(file.as_ref(), |_, line| name_of(line)).unwrap()
}

fn found<'s>(spread: &'s Spread, name: &str) -> Option<&'s str> {
    let place = spread.find(name.as_bytes());
    place.is_found.then(|| str::from_utf8(place.line).unwrap())
}

/// The first line of a name.
fn first<'l>(lines: &'l [String], name: &str) -> Option<&'l str> {
    let mut lines = lines.iter().map(String::as_str);
    lines.find(|line| name_of(line.as_bytes()).is_some_and(|of_line| of_line.eq_ignore_ascii_case(name.as_bytes())))
}

fn users(count: usize) -> Vec<String> {
    let user = |number| format!("user{number}:secret:1000:1000:User Number {number}:/home/user{number}:/bin/sh");
    (0..count).map(user).collect()
}

#[test]
fn what_has_no_accounts_has_no_lines() {
    for file in ["", "\n", "\n\n\n", "#\n", "# a:\n", ":\n"] {
        let spread = spread(file);
        for name in ["", "a", "#", "# a", "\n"] {
            spread.fetch(name.as_bytes());
            let place = spread.find(name.as_bytes());
            assert!(!place.is_found && place.line.is_empty(), "{name:?} in {file:?}");
        }
    }
}

#[test]
fn each_line_is_told_once_in_order_with_its_position() {
    let file = b"al:1\n\nbo:2\n#\nclara:3";
    let mut told = Vec::new();
    Spread::of(file, |start, line| {
        told.push((start, line));
        name_of(line)
    })
    .unwrap();
    assert_eq!(told, [(0, b"al:1".as_slice()), (5, b""), (6, b"bo:2"), (11, b"#"), (13, b"clara:3")]);
}

#[test]
fn tags_fall_and_have_no_newlines() {
    let slots = (0..70_000).chain([1 << 21, (1 << 21) + 1, SLOTS_MAX - 2, SLOTS_MAX - 1]);
    let tags: Vec<_> = slots.map(tag).collect();
    assert!(tags.iter().flatten().all(|&byte| byte > b'\n'));
    assert!(tags.is_sorted_by(|one, next| one > next), "each is less than the one before");
}

#[test]
fn a_slot_is_read_to_its_end_wherever_the_name_is() {
    let lines = users(5000);
    let spread = spread(lines.join("\n"));
    for line in &lines {
        let name = name_of(line.as_bytes()).unwrap();
        let slot = spread.slots.of(name);
        let (hit, end) = spread.walk(slot, name);
        let (miss, same_end) = spread.walk(slot, b"nobody");
        assert!(hit.is_some() && miss.is_none());
        assert_eq!(end, same_end);
    }
}

#[test]
fn a_name_without_a_line_has_the_one_behind_its_slot() {
    let lines = users(5000);
    let spread = spread(lines.join("\n"));
    let mut read = std::collections::BTreeSet::new();
    for number in 0..5000 {
        let place = spread.find(format!("nobody{number}").as_bytes());
        assert!(!place.is_found && lines.iter().any(|line| line.as_bytes() == place.line));
        read.insert(place.position);
    }
    assert!(read.len() > 1000, "{} of 5000 lines are read for 5000 names", read.len());
}

#[test]
fn most_lines_are_near_their_places() {
    let lines = users(100_000);
    let spread = spread(lines.join("\n"));
    let is_near = |line: &&String| {
        let place = spread.find(name_of(line.as_bytes()).unwrap());
        let before = spread.slots.before(spread.slots.of(name_of(line.as_bytes()).unwrap()));
        place.position + place.line.len() <= before + NEAR
    };
    let near = lines.iter().filter(is_near).count();
    assert!(near > 92_000, "{near} of 100000");
}

#[test]
fn memory_is_that_of_lines_and_a_quarter() {
    let lines = users(100_000);
    let total: usize = lines.iter().map(|line| TAG + line.len() + 1).sum();
    let size = spread(lines.join("\n")).bytes.len();
    assert!((total * 5 / 4..total * 51 / 40).contains(&size), "{size} for {total}");
}

#[test]
fn repeated_lines_take_no_memory() {
    // All the ways to write ten letters.
    let case = |number: usize, index: usize, letter: char| {
        if number >> index & 1 == 0 { letter } else { letter.to_ascii_uppercase() }
    };
    let name = |number| "abcdefghij".chars().enumerate().map(move |(index, letter)| case(number, index, letter));
    let lines: Vec<_> = (0..100_000).map(|number| format!("{}:{number}", name(number).collect::<String>())).collect();
    let spread = spread(lines.join("\n"));
    assert_eq!(found(&spread, "ABCDEfghij"), Some("abcdefghij:0"));
    let used = spread.bytes.iter().filter(|&&byte| byte != b'\n').count();
    assert_eq!(used, TAG + "abcdefghij:0".len());
    assert!(spread.bytes.len() < 100_100, "{}: a slot may have a byte", spread.bytes.len());
}

#[test]
fn the_longest_lines_and_the_shortest_are_found_beside_each_other() {
    let line = |number: usize| match number % 50 {
        0 => format!("long{number}:{}", "x".repeat(LINE_MAX - 20)),
        _ => format!("{number}:"),
    };
    let lines: Vec<_> = (0..5000).map(line).collect();
    let spread = spread(lines.join("\n"));
    for line in &lines {
        let name = line.split(':').next().unwrap();
        assert_eq!(found(&spread, name), Some(line.as_str()));
        assert_eq!(found(&spread, &format!("{name}x")), None);
    }
}

#[test]
fn a_few_accounts_among_many_comments_are_found() {
    let comments = "# none\n".repeat(50_000);
    let spread = spread(format!("{comments}al:1\n{comments}bo:2\n{comments}"));
    assert_eq!((found(&spread, "al"), found(&spread, "bo")), (Some("al:1"), Some("bo:2")));
    for number in 0..100 {
        let place = spread.find(format!("nobody{number}").as_bytes());
        assert!(!place.is_found && !place.line.is_empty());
    }
}

/// A line of any length, of one of few names or of many, or of none.
fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![3 => "[a-c]", 3 => "[A-Ca-c]{2}", 4 => "[a-zA-Z0-9]{1,20}", 1 => "#?[:a-c ]{0,3}"];
    let rest = prop_oneof![4 => "[a-z:]{0,4}", 4 => "[a-z:]{60,100}", 1 => "[a-z]{400,700}"];
    (name, rest).prop_map(|(name, rest)| format!("{name}:{rest}"))
}

proptest! {
    #[test]
    fn the_first_line_of_a_name_is_found_and_no_other(
        lines in prop::collection::vec(line(), 0..300),
        repeated in 0..60_usize,
        names in prop::collection::vec("[a-cA-C]{0,3}:?", 0..20),
    ) {
        // One name more often than others, all over the file.
        let often = |(index, line): (usize, String)| if index % 4 < repeated / 20 { format!("Al:{index}") } else { line };
        let lines: Vec<_> = lines.into_iter().enumerate().map(often).collect();
        let spread = spread(lines.join("\n"));
        let of_lines = lines.iter().map(|line| line.split(':').next().unwrap().to_ascii_uppercase());
        for name in of_lines.chain(names) {
            prop_assert_eq!(found(&spread, &name), first(&lines, &name), "{}", name);
            let place = spread.find(name.as_bytes());
            prop_assert_eq!(place.line, until_newline(spread.rest(place.position)));
            let is_account = lines.iter().any(|line| line.as_bytes() == place.line && name_of(place.line).is_some());
            prop_assert!(is_account || place.line.is_empty());
        }
    }
}
