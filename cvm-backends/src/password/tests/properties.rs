//! Whatever is stored, a verification ends soon and says yes to the right password only.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::Comparison;
use super::vectors::CHEAP;
use super::{standing, verify};

/// What one verification of a cheap form, or of none, may take on a busy machine.
const SOON: Duration = Duration::from_millis(1500);

/// Bytes that look like a stored password, more or less; what is expensive is left out.
fn near_miss() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![
        Just(""),
        Just("$1$"),
        Just("$2b$04$"),
        Just("$2y$99$"),
        Just("$5$"),
        Just("$6$rounds=1000$"),
        Just("$5$rounds=4294967295$"),
        Just("$y$j9T$"),
        Just("$y$j/.$"),
        Just("$7$2/..../...."),
        Just("$sha1$4$"),
        Just("$md5,rounds=1$"),
        Just("_/..."),
        Just("$argon2id$v=19$m=8,t=1,p=1$"),
        Just("$argon2i$m=4294967295,t=4294967295,p=4294967295$"),
        Just("{SSHA}"),
        Just("{ssha512}"),
        Just("{PBKDF2}$1$"),
        Just("{CRYPT}"),
    ];
    let rest = "[./0-9A-Za-z+=,$]{0,90}";
    (tag, rest).prop_map(|(tag, rest)| format!("{tag}{rest}").into_bytes())
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (prop::sample::select(CHEAP), prop::collection::vec(edit, 1..4)).prop_map(|((_, stored), edits)| {
        let mut bytes = stored.as_bytes().to_vec();
        for (index, byte, kind) in edits {
            let index = index.index(bytes.len().max(1));
            match kind {
                0 if index < bytes.len() => bytes[index] = byte,
                1 if index < bytes.len() => drop(bytes.remove(index)),
                _ => bytes.insert(index.min(bytes.len()), byte),
            }
        }
        bytes
    })
}

fn ends_soon_without_a_yes(stored: &[u8], password: &[u8]) -> Result<(), TestCaseError> {
    // What is costly is left to the tests of the bounds.
    let is_costly = Comparison::Crypt.read(stored).is_ok_and(|stored| !stored.is_cheap());
    prop_assume!(!is_costly);
    let start = Instant::now();
    let verdict = verify(stored, password);
    prop_assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    prop_assert_ne!(verdict, Ok(true), "{}", stored.escape_ascii());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_match(stored: Vec<u8>, password in prop::collection::vec(any::<u8>(), 0..300)) {
        ends_soon_without_a_yes(&stored, &password)?;
    }

    #[test]
    fn what_looks_like_a_hash_never_matches(stored in near_miss(), password in prop::collection::vec(1..=255_u8, 0..300)) {
        ends_soon_without_a_yes(&stored, &password)?;
    }

    #[test]
    fn a_mutated_hash_matches_no_wrong_password(stored in mutated(), password in "[b-r]{1,20}") {
        ends_soon_without_a_yes(&stored, password.as_bytes())?;
    }

    #[test]
    fn a_hash_matches_no_wrong_password(
        (right, stored) in prop::sample::select(CHEAP),
        password in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        prop_assume!(password != right);
        prop_assert_eq!(standing(stored), Ok(()));
        ends_soon_without_a_yes(stored.as_bytes(), &password)?;
    }
}
