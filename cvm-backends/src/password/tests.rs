//! Known answers, and what must never match.

mod properties;
mod vectors;

use super::*;
use cvm_core::SecretRef;
use vectors::{CHEAP, VECTORS};

fn verify(stored: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<bool, TooCostly> {
    Comparison::Crypt.verify(stored.as_ref(), SecretRef::new(password.as_ref()))
}

fn standing(stored: &str) -> Standing {
    Comparison::Crypt.standing(stored.as_bytes())
}

/// `bytes` with the one at `index` replaced.
fn with_byte(bytes: &[u8], index: usize, byte: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[index] = byte;
    changed
}

#[test]
fn what_other_programs_made_matches_their_password() {
    for (password, stored) in VECTORS {
        assert_eq!(standing(stored), Standing::Usable, "{stored}");
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

#[test]
fn a_stored_string_with_one_character_changed_does_not_match() {
    for (password, stored) in CHEAP {
        for (index, byte) in stored.bytes().enumerate() {
            for other in [b'.', b'z', b'$', byte ^ 1, byte ^ 0x80] {
                // `$2a$`, `$2b$` and `$2y$` are three names of one function.
                let is_variant = index == 2 && stored.starts_with("$2") && b"aby".contains(&other);
                if other != byte && !is_variant {
                    let changed = with_byte(stored.as_bytes(), index, other);
                    assert_eq!(verify(&changed, password), Ok(false), "{}", changed.escape_ascii());
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
            assert_eq!(standing(&longer), Standing::Unknown, "{longer:?}");
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

/// libcrypt changes one bit for `$2a$` where a password of bytes 255 would be taken for another one by programs with
/// the sign extension bug. No UTF-8 text has such bytes; here such a string matches no password.
#[test]
fn what_libcrypt_alone_computes_for_2a_and_bytes_255_is_refused() {
    for (password, stored) in vectors::SAFETY_OF_2A {
        assert_eq!(verify(stored, password), Ok(false), "{stored}");
    }
}

#[test]
fn a_password_with_a_nul_never_matches() {
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
    assert_eq!(standing(of_empty), Standing::Usable);
    assert_eq!(verify(of_empty, ""), Ok(false));
    assert_eq!(verify("", ""), Ok(false));
    assert_eq!(Comparison::Plain.verify(b"", SecretRef::new(b"")), Ok(false));
}

#[test]
fn locked_forms_match_nothing_and_are_no_reason_for_a_notice() {
    let locked = ["", "x", "*", "!", "!!", "*LK*", "!*", "*0", "!abxxB7HlIeckU", "*$1$$Ij31LCAysPM23KuPlm1wA/"];
    for stored in locked {
        assert_eq!(standing(stored), Standing::Locked, "{stored}");
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
        "{PLAIN}secret",
    ] {
        assert_eq!(standing(stored), Standing::Unknown, "{stored}");
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
        assert_eq!(standing(stored), Standing::Unknown, "{stored}");
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
        assert_eq!(standing(&sha256(rounds)), Standing::Unknown, "{rounds}");
        assert_eq!(verify(sha256(rounds), "a"), Ok(false), "{rounds}");
    }
    // Beyond 32 bits it is no number that any program writes.
    assert_eq!(standing(&sha256("rounds=4294967296$")), Standing::Unknown);
    for rounds in ["", "rounds=1000$", "rounds=1000000$"] {
        assert_eq!(standing(&sha256(rounds)), Standing::Usable, "{rounds}");
    }
}

#[test]
fn what_costs_more_than_a_second_is_the_tables_fault_and_is_not_computed() {
    let bcrypt = |cost: u8| format!("$2b${cost:02}$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm");
    let sha512 = VECTORS.iter().find(|(_, stored)| stored.starts_with("$6$rounds=1000$")).unwrap().1;
    let costly = (15..=31).map(bcrypt).chain([
        sha256("rounds=1000001$"),
        sha256("rounds=4294967295$"),
        sha512.replace("rounds=1000$", "rounds=999999999$"),
    ]);
    let start = std::time::Instant::now();
    for stored in costly {
        assert_eq!(standing(&stored), Standing::TooCostly, "{stored}");
        assert_eq!(verify(&stored, "a"), Err(TooCostly), "{stored}");
        assert_eq!(verify(&stored, "a\0"), Err(TooCostly), "{stored}");
    }
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    assert_eq!(standing(&bcrypt(14)), Standing::Usable);
}

#[test]
fn plain_text_is_compared_whole_and_as_it_is() {
    let plain = |stored: &[u8], password: &[u8]| Comparison::Plain.verify(stored, SecretRef::new(password)).unwrap();
    assert!(plain(b"secret", b"secret"));
    assert!(plain(b"*", b"*"), "plain text knows no locked forms");
    for wrong in ["Secret", "secre", "secret ", "secret\0", "", "x"] {
        assert!(!plain(b"secret", wrong.as_bytes()), "{wrong}");
    }
    assert_eq!(Comparison::Plain.standing(b""), Standing::Locked);
    assert_eq!(Comparison::Plain.standing(b"!"), Standing::Usable);
}

#[test]
fn settings_name_a_comparison() {
    assert_eq!(Comparison::from_setting(b""), Some(Comparison::Plain));
    assert_eq!(Comparison::from_setting(b"plain"), Some(Comparison::Plain));
    assert_eq!(Comparison::from_setting(b"crypt"), Some(Comparison::Crypt));
    for bad in ["Crypt", "plain ", "md5", "crypt\0"] {
        assert_eq!(Comparison::from_setting(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn only_plain_text_serves_challenges_and_only_hashes_cost() {
    assert_eq!(Comparison::Plain.plain_text(b"pw"), Some(b"pw".as_slice()));
    assert_eq!(Comparison::Crypt.plain_text(b"pw"), None);
    assert_eq!((Comparison::Plain.accepts(), Comparison::Plain.cost()), (Accepts::PasswordOrResponse, Cost::Inline));
    assert_eq!((Comparison::Crypt.accepts(), Comparison::Crypt.cost()), (Accepts::Password, Cost::Cpu));
}
