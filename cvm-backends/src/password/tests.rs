//! Known answers, and what must never match.

mod bounds;
mod properties;
mod schemes;
mod surroundings;
mod vectors;
mod vmailmgr;

use super::*;
use cvm_core::SecretRef;
use vectors::{CHEAP, VECTORS};

fn verify(stored: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<bool, Unusable> {
    match Comparison::Auto.read(stored.as_ref()) {
        Ok(stored) => Ok(stored.matches(SecretRef::new(password.as_ref())).unwrap()),
        Err(Unusable::TooCostly) => Err(Unusable::TooCostly),
        Err(Unusable::Locked | Unusable::Unknown) => Ok(false),
    }
}

fn standing(stored: impl AsRef<[u8]>) -> Result<(), Unusable> {
    Comparison::Auto.read(stored.as_ref()).map(|_| ())
}

/// `bytes` with the one at `index` replaced.
fn with_byte(bytes: &[u8], index: usize, byte: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[index] = byte;
    changed
}

#[test]
fn what_other_programs_made_matches_their_password() {
    for (password, stored) in VECTORS.iter().chain(schemes::VECTORS) {
        assert_eq!(standing(stored), Ok(()), "{stored}");
        assert_eq!(verify(stored, password), Ok(true), "{stored}");
    }
}

#[test]
fn a_password_with_one_byte_changed_added_or_missing_does_not_match() {
    for (password, stored) in CHEAP {
        for index in 0..password.len() {
            let changed = with_byte(password, index, password[index] ^ 1);
            assert_eq!(verify(stored, changed), Ok(false), "{stored}, byte {index}");
        }
        assert_eq!(verify(stored, [password, b"x".as_slice()].concat()), Ok(false), "{stored}, one more");
        assert_eq!(verify(stored, &password[1..]), Ok(false), "{stored}, the first missing");
        assert_eq!(verify(stored, &password[..password.len() - 1]), Ok(false), "{stored}, the last missing");
    }
}

/// Tells whether the byte at `index` may be replaced by `other` without a change of what is stored: `$2a$`, `$2b$` and
/// `$2y$` are names of one function, and letters of schemes and hexadecimal digits have two cases.
fn is_equivalent(stored: &str, index: usize, other: u8) -> bool {
    let bytes = stored.as_bytes();
    let is_variant = index == 2 && stored.starts_with("$2") && b"aby".contains(&other);
    let scheme = stored.find('}').filter(|_| stored.starts_with('{'));
    let is_digit = stored.starts_with("{PBKDF2}") && stored.rfind('$').is_some_and(|last| index > last);
    let has_cases = is_digit || scheme.is_some_and(|end| index < end);
    is_variant || (has_cases && bytes[index].eq_ignore_ascii_case(&other))
}

#[test]
fn a_stored_string_with_one_character_changed_does_not_match() {
    for (password, stored) in CHEAP {
        for (index, byte) in stored.bytes().enumerate() {
            for other in [b'.', b'$', byte ^ 1, byte ^ 0x20, byte ^ 0x80] {
                let changed = with_byte(stored.as_bytes(), index, other);
                if other != byte && Comparison::Crypt.read(&changed).is_ok_and(|stored| stored.is_cheap()) {
                    let expected = is_equivalent(stored, index, other);
                    assert_eq!(verify(&changed, password), Ok(expected), "{}", changed.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn a_stored_string_cut_or_longer_is_none() {
    for (password, stored) in CHEAP {
        for length in 0..stored.len() {
            assert_eq!(verify(&stored[..length], password), Ok(false), "{stored}, cut at {length}");
        }
        for tail in ["a", "$", " ", "\r", "\0", ":"] {
            let longer = format!("{stored}{tail}");
            assert_eq!(verify(&longer, password), Ok(false), "{longer:?}");
            // The digest of Argon2 may have any length.
            let is_form = tail == "a" && stored.contains("argon2");
            assert_eq!(standing(&longer).is_ok(), is_form, "{longer:?}");
        }
    }
}

/// The last character of a bcrypt salt has 4 bits that do not count, that of the digest 2. libcrypt writes them as
/// zero and compares the whole string, so one with other bits there matches no password; so it is here.
#[test]
fn the_bits_of_bcrypt_that_do_not_count_must_be_zero() {
    let (password, stored) = CHEAP.iter().find(|(_, stored)| stored.starts_with("$2b$")).unwrap();
    let alphabet = (b'.'..=b'z').filter(|byte| matches!(byte, b'.' | b'/') || byte.is_ascii_alphanumeric());
    for (index, byte) in alphabet.flat_map(|byte| [(28, byte), (59, byte)]) {
        let changed = with_byte(stored.as_bytes(), index, byte);
        assert_eq!(verify(&changed, password), Ok(changed == stored.as_bytes()), "{}", changed.escape_ascii());
    }
}

#[test]
fn des_counts_the_lower_seven_bits_of_eight_characters() {
    let stored = "zZYQyo/kK5WTQ";
    for same in ["12345678", "123456789", "12345678\u{fc}"] {
        assert_eq!(verify(stored, same), Ok(true), "{same}");
    }
    assert_eq!(verify(stored, b"1234567\xb8"), Ok(true));
    assert_eq!(verify(stored, "1234567"), Ok(false));
    // The byte 128 has no lower bits: to libcrypt too it is the padding.
    assert_eq!(verify("./17m29LFAflg", b"secret\x80"), Ok(true));
}

#[test]
fn bcrypt_counts_72_bytes() {
    for (password, stored) in VECTORS.iter().filter(|(password, _)| password.len() >= 72) {
        if stored.starts_with("$2") {
            assert_eq!(verify(stored, &password[..72]), Ok(true), "{stored}");
            assert_eq!(verify(stored, [&password[..72], b"other"].concat()), Ok(true), "{stored}");
            assert_eq!(verify(stored, &password[..71]), Ok(false), "{stored}");
        }
    }
}

#[test]
fn a_password_with_a_nul_does_not_match_for_what_is_before_it() {
    for (password, stored) in CHEAP {
        for tail in ["\0", "\0x", "\0\0\0\0\0\0\0\0"] {
            assert_eq!(verify(stored, [password, tail.as_bytes()].concat()), Ok(false), "{stored}");
        }
        assert_eq!(verify(stored, [b"\0".as_slice(), password].concat()), Ok(false), "{stored}");
    }
}

#[test]
fn an_empty_password_never_matches() {
    let of_empty =
        "$6$rounds=1000$abcd$2yt1GyxelqZREONggCckkaFjAfO.fq7xpFvFzkhIB1/Pt1XNZL.Ohdudqvxo7dLBda9tCdTv8ij4g4wwbV78X/";
    assert_eq!(standing(of_empty), Ok(()));
    assert_eq!(verify(of_empty, ""), Ok(false));
    assert_eq!(verify("", ""), Ok(false));
    assert_eq!(Comparison::Plain.read(b"").err(), Some(Unusable::Locked));
}

#[test]
fn locked_forms_match_nothing_and_are_no_reason_for_a_notice() {
    let locked = ["", "x", "*", "!", "!!", "*LK*", "!*", "*0", "!abxxB7HlIeckU", "*$1$$Ij31LCAysPM23KuPlm1wA/"];
    for stored in locked {
        assert_eq!(standing(stored), Err(Unusable::Locked), "{stored}");
        for password in ["", "a", "x", "*", "!", stored] {
            assert_eq!(verify(stored, password), Ok(false), "{stored}, {password}");
        }
    }
}

#[test]
fn unknown_forms_match_nothing_not_even_themselves() {
    for stored in [
        "xx",
        "X",
        "secret",
        "ab",
        "$",
        "$$",
        "$1",
        "$1$",
        "$1$$",
        "$2x$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2b$4$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2b$004$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2b$+4$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2b$03$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$2b$32$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm",
        "$3$$8846f7eaee8fb117ad06bdd830b7586c",
        "$9$unknown$form",
        "abxxB7HlIeck:",
        "abxxB7HlIeckÜ",
    ] {
        assert_eq!(standing(stored), Err(Unusable::Unknown), "{stored}");
        for password in ["a", "secret", stored] {
            assert_eq!(verify(stored, password), Ok(false), "{stored}, {password}");
        }
    }
}

#[test]
fn salts_longer_than_their_form_has_are_unknown() {
    for stored in [
        "$1$ninechars$9xy1btjgzLYfb7hivXtC//",
        "$5$seventeen.chars.x$QG6CCM7eJAxpUPcBpn0Z2K29NHtaI6Mk1fCpPrpjdj3",
        "$5$rounds=1000$seventeen.chars.x$QG6CCM7eJAxpUPcBpn0Z2K29NHtaI6Mk1fCpPrpjdj3",
    ] {
        assert_eq!(standing(stored), Err(Unusable::Unknown), "{stored}");
        assert_eq!(verify(stored, "a"), Ok(false), "{stored}");
    }
}

fn sha256(rounds: &str) -> String {
    format!("$5${rounds}salt$QG6CCM7eJAxpUPcBpn0Z2K29NHtaI6Mk1fCpPrpjdj3")
}

/// libcrypt refuses the same ones; glibc's own crypt took fewer than 1000 for 1000.
#[test]
fn rounds_are_a_number_from_1000_on_as_crypt_writes_it() {
    for rounds in
        ["rounds=999$", "rounds=05000$", "rounds=0$", "rounds=$", "rounds=+5000$", "rounds= 5000$", "rounds=5e3$"]
    {
        assert_eq!(standing(sha256(rounds)), Err(Unusable::Unknown), "{rounds}");
        assert_eq!(verify(sha256(rounds), "a"), Ok(false), "{rounds}");
    }
    // Beyond 32 bits it is no number that any program writes.
    assert_eq!(standing(sha256("rounds=4294967296$")), Err(Unusable::Unknown));
    for rounds in ["", "rounds=1000$", "rounds=1000000$"] {
        assert_eq!(standing(sha256(rounds)), Ok(()), "{rounds}");
    }
}

#[test]
fn plain_text_is_compared_whole_and_as_it_is() {
    let plain = |stored: &[u8], password: &[u8]| {
        Comparison::Plain.read(stored).unwrap().matches(SecretRef::new(password)).unwrap()
    };
    assert!(plain(b"secret", b"secret"));
    assert!(plain(b"*", b"*"), "plain text knows no locked forms");
    for wrong in ["Secret", "secre", "secret ", "secret\0", "", "x"] {
        assert!(!plain(b"secret", wrong.as_bytes()), "{wrong}");
    }
    assert!(Comparison::Plain.read(b"!").is_ok());
}

#[test]
fn settings_name_a_comparison() {
    assert_eq!(Comparison::from_setting(b""), Some(Comparison::Plain));
    assert_eq!(Comparison::from_setting(b"plain"), Some(Comparison::Plain));
    assert_eq!(Comparison::from_setting(b"crypt"), Some(Comparison::Crypt));
    assert_eq!(Comparison::from_setting(b"auto"), Some(Comparison::Auto));
    for bad in ["Crypt", "plain ", "md5", "crypt\0"] {
        assert_eq!(Comparison::from_setting(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn only_plain_text_serves_challenges_and_only_hashes_cost() {
    let plain_text = |comparison: Comparison, stored| comparison.read(stored).unwrap().plain_text();
    assert_eq!(plain_text(Comparison::Plain, b"pw"), Some(b"pw".as_slice()));
    assert_eq!(plain_text(Comparison::Auto, b"{cleartext}pw"), Some(b"pw".as_slice()));
    assert_eq!(plain_text(Comparison::Auto, b"./17m29LFAflg"), None);
    assert_eq!(plain_text(Comparison::Crypt, b"{PLAIN}pw"), None);
    let kind = |comparison: Comparison| (comparison.accepts(), comparison.cost());
    assert_eq!(kind(Comparison::Plain), (Accepts::PasswordOrResponse, Cost::Inline));
    assert_eq!(kind(Comparison::Crypt), (Accepts::Password, Cost::Cpu));
    assert_eq!(kind(Comparison::Auto), (Accepts::PasswordOrResponse, Cost::Cpu));
}
