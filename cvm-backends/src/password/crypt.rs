//! The classic forms of crypt(3), computed by the crate `pwhash`.
//!
//! | form | stored as | bound |
//! | --- | --- | --- |
//! | DES | 2 characters of salt, 11 of digest | none needed |
//! | MD5 | `$1$`, up to 8 of salt, `$`, 22 of digest | none needed |
//! | bcrypt | `$2a$`, `$2b$` or `$2y$`, the cost, `$`, 22 of salt, 31 of digest | cost 14 |
//! | SHA-256 | `$5$`, perhaps `rounds=N$`, up to 16 of salt, `$`, 43 of digest | 1 000 000 rounds |
//! | SHA-512 | `$6$`, perhaps `rounds=N$`, up to 16 of salt, `$`, 86 of digest | 1 000 000 rounds |
//!
//! A string that is not exactly one of these is never handed to a hash function, so none can make it panic or work
//! without bound.

use super::{Standing, TooCostly};

/// The highest cost of bcrypt, as the logarithm of the rounds.
const BCRYPT_COST_MAX: u32 = 14;

/// The rounds of SHA-crypt: fewer than the minimum are not what crypt(3) writes.
const SHA_ROUNDS_MIN: u32 = 1000;
const SHA_ROUNDS_MAX: u32 = 1_000_000;

/// A form of a stored password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Des,
    Md5,
    Bcrypt { cost: u32 },
    Sha256 { rounds: Option<u32> },
    Sha512 { rounds: Option<u32> },
}

pub(super) fn standing(stored: &[u8]) -> Standing {
    if stored == b"x" || stored.is_empty() || stored.starts_with(b"!") || stored.starts_with(b"*") {
        return Standing::Locked;
    }
    match Form::of(stored) {
        Some((form, _)) if form.is_too_costly() => Standing::TooCostly,
        Some(_) => Standing::Usable,
        None => Standing::Unknown,
    }
}

pub(super) fn verify(stored: &[u8], password: &[u8]) -> Result<bool, TooCostly> {
    let Some((form, text)) = Form::of(stored) else {
        return Ok(false);
    };
    if form.is_too_costly() {
        return Err(TooCostly);
    }
    // A C string ends at its NUL: what crypt(3) would compare is another password.
    if password.contains(&0) {
        return Ok(false);
    }
    Ok(match form {
        Form::Des => pwhash::unix_crypt::verify(password, text),
        Form::Md5 => pwhash::md5_crypt::verify(password, text),
        Form::Bcrypt { .. } => pwhash::bcrypt::verify(password, text),
        Form::Sha256 { .. } => pwhash::sha256_crypt::verify(password, text),
        Form::Sha512 { .. } => pwhash::sha512_crypt::verify(password, text),
    })
}

impl Form {
    /// Recognises a stored password, and returns it as the text that it then is.
    fn of(stored: &[u8]) -> Option<(Self, &str)> {
        let text = str::from_utf8(stored).ok()?;
        Some((Self::of_text(text)?, text))
    }

    fn of_text(text: &str) -> Option<Self> {
        let Some(tagged) = text.strip_prefix('$') else {
            return is_hash64(text, 13..=13).then_some(Self::Des);
        };
        let (tag, rest) = tagged.split_once('$')?;
        match tag {
            "1" => salted(rest, 0..=8, 22).then_some(Self::Md5),
            "2a" | "2b" | "2y" => bcrypt(rest),
            "5" => sha(rest, 43).map(|rounds| Self::Sha256 { rounds }),
            "6" => sha(rest, 86).map(|rounds| Self::Sha512 { rounds }),
            _ => None,
        }
    }

    const fn is_too_costly(self) -> bool {
        match self {
            Self::Des | Self::Md5 => false,
            Self::Bcrypt { cost } => cost > BCRYPT_COST_MAX,
            Self::Sha256 { rounds } | Self::Sha512 { rounds } => match rounds {
                Some(rounds) => rounds > SHA_ROUNDS_MAX,
                None => false,
            },
        }
    }
}

fn bcrypt(rest: &str) -> Option<Form> {
    let (cost, digest) = rest.split_once('$')?;
    let cost = number(cost).filter(|_| cost.len() == 2).filter(|cost| (4..=31).contains(cost))?;
    is_hash64(digest, 53..=53).then_some(Form::Bcrypt { cost })
}

/// Recognises the rounds, if any are given, of a SHA-crypt string whose digest has this length.
fn sha(rest: &str, digest: usize) -> Option<Option<u32>> {
    let Some(given) = rest.strip_prefix("rounds=") else {
        return salted(rest, 0..=16, digest).then_some(None);
    };
    let (rounds, rest) = given.split_once('$')?;
    let rounds = number(rounds).filter(|&number| number >= SHA_ROUNDS_MIN && !rounds.starts_with('0'))?;
    salted(rest, 0..=16, digest).then_some(Some(rounds))
}

fn salted(rest: &str, salt: std::ops::RangeInclusive<usize>, digest: usize) -> bool {
    rest.split_once('$').is_some_and(|(given, hash)| is_hash64(given, salt) && is_hash64(hash, digest..=digest))
}

/// Tells whether `text` consists of the 64 characters of crypt(3), so many of them.
fn is_hash64(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

/// Reads digits and nothing else.
fn number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
