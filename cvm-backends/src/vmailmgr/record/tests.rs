use proptest::prelude::*;

use super::*;

/// A record of version 1 without its first byte.
fn body(directory: &str, forwards: &[&str], personal: &str, numbers: &[&str]) -> Vec<u8> {
    let forwards: String = forwards.iter().map(|forward| format!("{forward}\0")).collect();
    let numbers: String = numbers.iter().map(|number| format!("{number}\0")).collect();
    format!("$0$secret\0{directory}\0{forwards}\0{personal}\0{numbers}").into_bytes()
}

const USUAL: [&str; NUMBERS] = ["-", "-", "-", "-", "0", "-"];

fn usual() -> Vec<u8> {
    body("./users/joe", &[], "", &USUAL)
}

fn version_2(flags: &[u8], body: &[u8]) -> Vec<u8> {
    [b"\x02", flags, b"\0", body].concat()
}

/// What matters, as a text.
fn read(value: &[u8]) -> Option<String> {
    let Record { password, directory, is_enabled, has_mailbox, expires } = Record::read(value)?;
    let (password, directory) = (password.escape_ascii(), directory.escape_ascii());
    let flag = |is_set, text| if is_set { text } else { "" };
    let expires = expires.map(|expires| format!(" until {expires}")).unwrap_or_default();
    Some(format!("{password} {directory}{}{}{expires}", flag(is_enabled, " enabled"), flag(has_mailbox, " mailbox")))
}

#[test]
fn the_record_that_vmailmgr_writes_is_read() {
    let bytes = b"\x02\x0a\x01\x08\x01\x00$0$secret\0./users/joe\0\0\0-\0-\0-\0-\x000\0-\0";
    assert_eq!(bytes.len(), 42);
    assert_eq!(read(bytes).as_deref(), Some("$0$secret ./users/joe enabled mailbox"));
}

#[test]
fn flags_may_be_missing_and_the_last_of_a_kind_counts() {
    for (flags, expected) in [
        (&b""[..], " mailbox"),
        (b"\x08\x01", " enabled mailbox"),
        (b"\x08\xff\x0a\x00", " enabled"),
        (b"\x08\x01\x08\x00\x0a\x00\x0a\x30", " mailbox"),
    ] {
        let found = read(&version_2(flags, &usual()));
        assert_eq!(found, Some(format!("$0$secret ./users/joe{expected}")), "{}", flags.escape_ascii());
    }
    for flags in [&b"\x05\x01"[..], b"\x08\x01\x09\x01", b"\x0a", b"8\x01"] {
        assert_eq!(read(&version_2(flags, &usual())), None, "{}", flags.escape_ascii());
    }
}

#[test]
fn without_a_flag_who_has_a_directory_has_a_mailbox() {
    let without = body("", &["joe@example.net", "&jim"], "Joe: x", &USUAL);
    for version in [&b"\x01"[..], b"\x02\x08\x01\0"] {
        assert_eq!(read(&[version, &without].concat()).as_deref(), Some("$0$secret  enabled"));
        assert_eq!(read(&[version, &usual()].concat()).as_deref(), Some("$0$secret ./users/joe enabled mailbox"));
    }
}

#[test]
fn times_are_digits_or_a_dash() {
    let at = |index: usize, text| {
        let mut numbers = USUAL;
        numbers[index] = text;
        read(&[b"\x01", &body("", &[], "", &numbers)[..]].concat())
    };
    let until = |number: u64| Some(format!("$0$secret  enabled until {number}"));
    for (text, expected) in
        [("5", until(5)), ("", until(0)), ("010", until(10)), ("99999999999999999999", until(u64::MAX))]
    {
        assert_eq!(at(5, text), expected, "{text}");
        assert_eq!(at(0, text).as_deref(), Some("$0$secret  enabled"), "{text}");
    }
    for index in 0..NUMBERS {
        for text in ["-5", "--", "- ", "+5", " 5", "5 ", "5x", "0x10"] {
            assert_eq!(at(index, text), None, "{text} in field {index}");
        }
    }
}

#[test]
fn text_has_a_directory_or_forwards() {
    for (text, expected) in [
        (":$0$secret:./users/joe", Some("$0$secret ./users/joe enabled mailbox")),
        (":$0$secret:/a:b,c", Some("$0$secret /a:b,c enabled mailbox")),
        (":$0$secret:./users/joe\0more\0", Some("$0$secret ./users/joe enabled mailbox")),
        (":$0$secret:joe@example.net,jim", Some("$0$secret  enabled")),
        (":$0$secret:&./joe", Some("$0$secret  enabled")),
        ("::", Some("  enabled")),
        (":$0$secret", None),
        (":", None),
        (":$0$sec\0ret:./joe", None),
        ("$0$secret:./joe", None),
    ] {
        assert_eq!(read(text.as_bytes()).as_deref(), expected, "{text:?}");
    }
}

#[test]
fn a_record_is_whole_and_nothing_follows() {
    for whole in [
        version_2(b"\x0a\x01\x08\x01", &body("./joe", &["a", "b"], "Joe", &USUAL)),
        [b"\x01", &body("./joe", &["a", "b"], "Joe", &USUAL)[..]].concat(),
    ] {
        assert!(read(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        for more in [&b"\0"[..], b"x", b"x\0", b"-\0"] {
            assert_eq!(read(&[&whole, more].concat()), None);
        }
        assert_eq!(read(&[b"\x03", &whole[1..]].concat()), None);
    }
}

#[test]
fn only_the_password_is_exchanged() {
    let new = |value: &[u8], password: &str| {
        with_password(value, password.as_bytes()).map(|value| value.escape_ascii().to_string())
    };
    assert_eq!(new(b":old:./joe:\0x", "$0$new").as_deref(), Some(r":$0$new:./joe:\x00x"));
    assert_eq!(new(b":old:./joe", "a:b"), None);
    let record = version_2(b"\x0a\x00", &body("./joe", &["a"], "", &USUAL));
    let expected = r"\x02\n\x00\x00a:b\x00./joe\x00a\x00\x00\x00-\x00-\x00-\x00-\x000\x00-\x00";
    assert_eq!(new(&record, "a:b").as_deref(), Some(expected));
    assert_eq!(new(&record, "a\0b"), None);
    assert_eq!(new(b"\x03old\0", "new"), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_a_record_or_none(
        first in prop_oneof![Just(1u8), Just(2), Just(b':'), any::<u8>()],
        rest in proptest::collection::vec(
            prop_oneof![Just(0u8), Just(8), Just(10), Just(b':'), Just(b'-'), any::<u8>()], 0..80),
        password in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        check(&[&[first], &rest[..]].concat(), &password);
    }

    #[test]
    fn a_record_with_a_changed_byte_is_another_one_or_none(
        at in 0usize..60, byte: u8, version in 0usize..3, password in "[a-z:]{0,9}",
    ) {
        let body = body("./users/joe", &["joe@x"], "Joe", &USUAL);
        let mut value = match version {
            0 => b":$0$secret:./users/joe".to_vec(),
            1 => [b"\x01", &body[..]].concat(),
            _ => version_2(b"\x0a\x01\x08\x01", &body),
        };
        prop_assert!(Record::read(&value).is_some());
        if let Some(place) = value.get_mut(at) {
            *place = byte;
        }
        check(&value, password.as_bytes());
    }
}
