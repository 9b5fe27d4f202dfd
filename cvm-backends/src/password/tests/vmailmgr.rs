//! The forms of vmailmgr, and the form that its passwords are converted to.

use super::*;

fn read(stored: &[u8]) -> Result<Stored<'_>, Unusable> {
    Comparison::Vmailmgr.read(stored)
}

fn matches(stored: &[u8], password: &[u8]) -> bool {
    read(stored).is_ok_and(|stored| stored.matches(SecretRef::new(password)).unwrap())
}

const MD5: &[u8] = b"35ebe2294ecd0e0f08eab7690d2a6ee69";

#[test]
fn its_own_forms_are_those_of_its_tables_only() {
    for stored in [b"$0$secret", MD5, b"35EBE2294ECD0E0F08EAB7690D2A6EE69"] {
        assert!(matches(stored, b"secret"), "{}", stored.escape_ascii());
        for wrong in [&b"Secret"[..], b"secre", b"secrets", b"secret\0", b"", stored] {
            assert!(!matches(stored, wrong), "{}: {}", stored.escape_ascii(), wrong.escape_ascii());
        }
        for other in [Comparison::Crypt, Comparison::Auto] {
            assert_eq!(other.read(stored).err(), Some(Unusable::Unknown));
        }
    }
}

#[test]
fn plain_text_answers_challenges_and_hashes_do_not() {
    assert_eq!(read(b"$0$secret").unwrap().plain_text(), Some(&b"secret"[..]));
    assert_eq!(read(b"$0$$0$").unwrap().plain_text(), Some(&b"$0$"[..]));
    assert_eq!(read(MD5).unwrap().plain_text(), None);
    assert_eq!(read(b"$1$saltsalt$9xy1btjgzLYfb7hivXtC//").unwrap().plain_text(), None);
}

#[test]
fn what_is_none_of_them_matches_nothing() {
    for stored in [&b"$0$"[..], b"", b"*", b"!$0$secret", b"x"] {
        assert_eq!(read(stored).err(), Some(Unusable::Locked), "{}", stored.escape_ascii());
    }
    let (short, long) = (&MD5[..MD5.len() - 1], [MD5, b"0"].concat());
    for stored in
        [&b"secret"[..], b"$0", b"ab", b"3", b"3secret", b"3ebe2294ecd0e0f08eab7690d2a6ee6\xc3\xa9", short, &long]
    {
        assert_eq!(read(stored).err(), Some(Unusable::Unknown), "{}", stored.escape_ascii());
    }
}

#[test]
fn the_usual_forms_are_read_as_everywhere() {
    for (password, stored) in CHEAP {
        assert!(matches(stored.as_bytes(), password), "{stored}");
    }
}

#[test]
fn a_password_is_hashed_anew_each_time_at_a_cost_that_counts() {
    let long = [b'k'; 255];
    for password in [&b"secret"[..], &long, b"p\xc3\xa4ss:w\xff"] {
        let [one, other] = [(); 2].map(|()| yescrypt(SecretRef::new(password)).unwrap());
        assert_ne!(one, other);
        for stored in [one, other] {
            assert!(stored.starts_with(b"$y$") && matches(&stored, password) && !matches(&stored, b"other"));
            assert!(!read(&stored).unwrap().is_cheap());
        }
    }
}

#[test]
fn a_password_that_libcrypt_would_cut_or_not_take_is_not_hashed() {
    for password in [&b"sec\0ret"[..], b"\0", &[b'k'; 512]] {
        assert_eq!(yescrypt(SecretRef::new(password)).err(), Some(CryptError::Refused));
    }
}
