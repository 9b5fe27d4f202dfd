//! What a verification may cost at most.

use std::time::{Duration, Instant};

use super::*;

/// A string of each form with the most that it may cost, and one with a little more.
const BOUNDS: &[(&str, &str)] = &[
    // 5 000 000 rounds, and one more.
    ("_.h2Habcd{11}", "_/h2Habcd{11}"),
    ("$2b$14${53}", "$2b$15${53}"),
    ("$2a$14${53}", "$2a$31${53}"),
    ("$5$rounds=1000000$salt${43}", "$5$rounds=1000001$salt${43}"),
    ("$5$rounds=1000000$sa-lt${43}", "$5$rounds=4294967295$sa-lt${43}"),
    ("$6$rounds=1000000$salt${86}", "$6$rounds=1000001$salt${86}"),
    ("{SHA512-CRYPT}$6$rounds=1000000$salt${86}", "{CRYPT}$6$rounds=1000001$salt${86}"),
    ("$md5,rounds=500000$salt$${22}", "$md5,rounds=500001$salt$${22}"),
    ("$sha1$750000$salt${28}", "$sha1$750001$salt${28}"),
    // N, r and p: 2^16, 32 and 1; twice each in turn.
    ("$7$EU..../....salt${43}", "$7$FU..../....salt${43}"),
    ("$7$EU..../....salt${43}", "$7$E./.../....salt${43}"),
    ("$7$EU..../....salt${43}", "$7$EU....0....salt${43}"),
    ("$7$E6..../....salt${43}", "$7$zzzzzzzzzzzsalt${43}"),
    // N and r: 2^16 and 32; 2^17, 33, and all that can be written.
    ("$y$jDT$abcd${43}", "$y$jET$abcd${43}"),
    ("$y$jDT$abcd${43}", "$y$jDU$abcd${43}"),
    ("$y$jDT$abcd${43}", "$y$jzzzzzzzzzzzz$abcd${43}"),
    ("$argon2id$v=19$m=262144,t=3,p=1$c29tZXNhbHQ${43}", "$argon2id$v=19$m=262144,t=4,p=1$c29tZXNhbHQ${43}"),
    ("$argon2id$v=19$m=262144,t=1,p=4$c29tZXNhbHQ${43}", "$argon2id$v=19$m=262145,t=1,p=4$c29tZXNhbHQ${43}"),
    ("$argon2i$m=8,t=98304,p=1$c29tZXNhbHQ${43}", "$argon2i$m=8,t=98305,p=1$c29tZXNhbHQ${43}"),
    ("$argon2i$m=8,t=1,p=1$c29tZXNhbHQ${43}", "$argon2i$m=4294967295,t=4294967295,p=1$c29tZXNhbHQ${43}"),
    (
        "{PBKDF2}$1$salt$3000000$00112233445566778899aabbccddeeff00112233",
        "{PBKDF2}$1$salt$3000001$00112233445566778899aabbccddeeff00112233",
    ),
];

/// Puts a digest in the place of its length.
fn with_digest(pattern: &str) -> String {
    [11, 22, 28, 43, 53, 86].into_iter().fold(pattern.to_owned(), |pattern, length| {
        let digest = format!("{}A", "a".repeat(length - 1));
        pattern.replace(&format!("{{{length}}}"), &digest)
    })
}

#[test]
fn what_costs_more_than_a_second_is_the_tables_fault_and_is_not_computed() {
    let start = Instant::now();
    for (most, too_much) in BOUNDS {
        let (most, too_much) = (with_digest(most), with_digest(too_much));
        assert_eq!(standing(&most), Ok(()), "{most}");
        assert_eq!(standing(&too_much), Err(Unusable::TooCostly), "{too_much}");
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn what_costs_the_most_is_no_light_matter_and_what_costs_nothing_is() {
    for (most, _) in BOUNDS.iter().filter(|(most, _)| !most.contains("t=1,p=1")) {
        let most = with_digest(most);
        assert!(!Comparison::Crypt.read(most.as_bytes()).unwrap().is_cheap(), "{most}");
    }
    for (_, stored) in CHEAP {
        assert!(Comparison::Crypt.read(stored.as_bytes()).unwrap().is_cheap(), "{stored}");
    }
}

#[test]
fn a_long_password_does_not_multiply_the_work() {
    for stored in ["$6$rounds=1000000$salt${86}", "$5$rounds=1000000$sa-lt${43}"].map(with_digest) {
        let stored = Comparison::Crypt.read(stored.as_bytes()).unwrap();
        let start = Instant::now();
        assert_eq!(stored.matches(SecretRef::new(&[b'x'; 480])), Err(VerifyError::TooCostly));
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    }
    let usual = with_digest("$6$salt${86}");
    assert_eq!(Comparison::Crypt.read(usual.as_bytes()).unwrap().matches(SecretRef::new(&[b'x'; 480])), Ok(false));
}

#[test]
fn scrypt_of_small_n_is_charged_for_what_it_mixes() {
    // N is 4; r, then p, is 2^19.
    for parameters in ["0...0./....", "0/.......0."] {
        let stored = with_digest(&format!("$7${parameters}salt${{43}}"));
        assert_eq!(standing(&stored), Err(Unusable::TooCostly), "{stored}");
    }
}
