//! The forms of crypt(3), computed by the crate `pwhash` or by the system's libcrypt, whichever is faster.

use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;

use cvm_core::SecretRef;
use zeroize::Zeroizing;

use super::VerifyError;
use super::form::{Load, number};
use super::scrypt;
use crate::sys::{self, CryptError};

/// What libxcrypt takes as a phrase, with its NUL.
const PHRASE_MAX: usize = 512;

/// A string of crypt(3).
#[derive(Clone, Copy)]
pub(super) struct Crypt<'s> {
    text: &'s str,
    method: Method,
}

/// A method of crypt(3), with what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Des,
    Bsdi { rounds: u32 },
    Md5,
    Bcrypt { cost: u32 },
    Sha256 { rounds: u32 },
    Sha512 { rounds: u32 },
    SunMd5 { rounds: u32 },
    Sha1 { rounds: u32 },
    Scrypt { blocks: u64 },
    Yescrypt { blocks: u64 },
}

impl Method {
    /// Recognises a string of crypt(3).
    fn of(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('_') {
            return bsdi(rest);
        }
        let Some(tagged) = text.strip_prefix('$') else {
            return is_hash64(text, 13..=13).then_some(Self::Des);
        };
        let (tag, rest) = tagged.split_once('$')?;
        match tag {
            "1" => salted(rest, 0..=8, 22).then_some(Self::Md5),
            "2a" | "2b" | "2y" => bcrypt(rest),
            "5" => sha(rest, 43).map(|rounds| Self::Sha256 { rounds }),
            "6" => sha(rest, 86).map(|rounds| Self::Sha512 { rounds }),
            "7" => scrypt::scrypt(rest).map(|blocks| Self::Scrypt { blocks }),
            "y" => scrypt::yescrypt(rest).map(|blocks| Self::Yescrypt { blocks }),
            "sha1" => sha1(rest),
            "md5" => sun_md5(rest, 0),
            _ => sun_md5(rest, number(tag.strip_prefix("md5,rounds=")?).filter(|&rounds| rounds > 0)?),
        }
    }

    pub(super) fn load(self) -> Load {
        let (work, bound) = match self {
            Self::Des | Self::Md5 => return Load::NONE,
            Self::Bsdi { rounds } => (rounds.into(), 5_000_000),
            Self::Bcrypt { cost } => (1 << cost, 1 << 14),
            Self::Sha256 { rounds } | Self::Sha512 { rounds } => (rounds.into(), 1_000_000),
            Self::SunMd5 { rounds } => (rounds.into(), 500_000),
            Self::Sha1 { rounds } => (rounds.into(), 750_000),
            Self::Scrypt { blocks } | Self::Yescrypt { blocks } => (blocks, scrypt::BLOCKS_MAX),
        };
        Load { work, bound }
    }
}

impl Method {
    /// Tells whether the length of a password, which the peer chooses, makes the work excessive: each round of
    /// SHA-crypt hashes the password too, and takes twice as long for one of some 75 bytes.
    fn takes_too_long_for(self, password: usize) -> bool {
        let (Self::Sha256 { rounds } | Self::Sha512 { rounds }) = self else {
            return false;
        };
        u64::from(rounds).saturating_mul(75 + password as u64) > 75 * 2_500_000
    }
}

impl<'s> Crypt<'s> {
    pub(super) fn read(stored: &'s [u8]) -> Option<Self> {
        let text = str::from_utf8(stored).ok()?;
        Some(Self { text, method: Method::of(text)? })
    }

    pub(super) const fn method(&self) -> Method {
        self.method
    }

    pub(super) fn matches(&self, password: SecretRef<'_>) -> Result<bool, VerifyError> {
        let phrase = password.expose();
        // A C string ends at its NUL: what crypt(3) would compare is another password.
        if phrase.contains(&0) {
            return Ok(false);
        }
        if self.method.takes_too_long_for(phrase.len()) {
            return Err(VerifyError::TooCostly);
        }
        match self.computed_by_pwhash(phrase) {
            Some(hash) => Ok(SecretRef::new(hash.as_bytes()).equals(self.text.as_bytes())),
            None => self.matches_by_libcrypt(phrase),
        }
    }

    /// Returns the string of this phrase, if the form is one that `pwhash` computes faster than libcrypt.
    #[expect(deprecated, reason = "old forms are verified here, not given to new passwords")]
    fn computed_by_pwhash(&self, phrase: &[u8]) -> Option<String> {
        match self.method {
            Method::Des => pwhash::unix_crypt::hash_with(self.text, phrase).ok(),
            Method::Sha256 { .. } if self.has_common_salt() => pwhash::sha256_crypt::hash_with(self.text, phrase).ok(),
            Method::Sha512 { .. } if self.has_common_salt() => pwhash::sha512_crypt::hash_with(self.text, phrase).ok(),
            _ => None,
        }
    }

    /// Tells whether the salt consists of the characters that `crypt_gensalt` writes: the others are libcrypt's.
    fn has_common_salt(&self) -> bool {
        let mut fields = self.text.rsplit('$');
        fields.nth(1).is_some_and(|salt| is_hash64(salt, 0..=16))
    }

    fn matches_by_libcrypt(&self, phrase: &[u8]) -> Result<bool, VerifyError> {
        let (Some(phrase), Ok(setting)) = (Phrase::new(phrase), CString::new(self.text)) else {
            return Ok(false);
        };
        let Some(phrase) = phrase.as_c_str() else {
            return Ok(false);
        };
        match sys::crypt(phrase, &setting) {
            Ok(hash) => Ok(SecretRef::new(&hash).equals(self.text.as_bytes())),
            Err(CryptError::NoLibrary) => Err(VerifyError::NoLibrary),
            Err(CryptError::OutOfMemory) => Err(VerifyError::OutOfMemory),
            // libcrypt hides that there was no memory, but nothing else can be wrong with what was recognised here.
            Err(CryptError::Refused) if self.needs_memory() => Err(VerifyError::OutOfMemory),
            Err(CryptError::Refused | CryptError::UnknownMethod) => Ok(false),
        }
    }

    const fn needs_memory(&self) -> bool {
        matches!(self.method, Method::Scrypt { .. } | Method::Yescrypt { .. })
    }
}

/// A phrase with its NUL, wiped in the end.
struct Phrase(Zeroizing<[u8; PHRASE_MAX]>);

impl Phrase {
    fn new(phrase: &[u8]) -> Option<Self> {
        let mut buffer = Zeroizing::new([0; PHRASE_MAX]);
        buffer[..PHRASE_MAX - 1].get_mut(..phrase.len())?.copy_from_slice(phrase);
        Some(Self(buffer))
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&*self.0).ok()
    }
}

/// Hashes a password for storing it, with salt of its own: yescrypt, at the usual cost of libcrypt.
pub(super) fn yescrypt(password: SecretRef<'_>) -> Result<Zeroizing<Vec<u8>>, CryptError> {
    let whole = Some(password.expose()).filter(|phrase| !phrase.contains(&0));
    let phrase = whole.and_then(Phrase::new).ok_or(CryptError::Refused)?;
    let phrase = phrase.as_c_str().ok_or(CryptError::Refused)?;
    sys::crypt(phrase, &sys::setting(c"$y$")?)
}

fn bsdi(rest: &str) -> Option<Method> {
    is_hash64(rest, 19..=19).then_some(())?;
    let rounds = scrypt::little_endian(rest.get(..4)?)?;
    (rounds > 0).then_some(Method::Bsdi { rounds })
}

fn bcrypt(rest: &str) -> Option<Method> {
    let (cost, digest) = rest.split_once('$')?;
    let value = cost.strip_prefix('0').unwrap_or(cost);
    let cost = number(value).filter(|cost| (4..=31).contains(cost)).filter(|_| cost.len() == 2)?;
    is_hash64(digest, 53..=53).then_some(Method::Bcrypt { cost })
}

/// Recognises the rounds of a SHA-crypt string whose digest has this length. Fewer than 1000 are not what crypt(3)
/// writes.
fn sha(rest: &str, digest: usize) -> Option<u32> {
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(given) => {
            let (rounds, rest) = given.split_once('$')?;
            (number(rounds).filter(|&rounds| rounds >= 1000)?, rest)
        }
        None => (5000, rest),
    };
    salted(rest, 0..=16, digest).then_some(rounds)
}

fn sha1(rest: &str) -> Option<Method> {
    let (rounds, rest) = rest.split_once('$')?;
    let rounds = number(rounds).filter(|&rounds| rounds > 0)?;
    let (salt, digest) = rest.split_once('$')?;
    (is_hash64(salt, 1..=64) && is_hash64(digest, 28..=28)).then_some(Method::Sha1 { rounds })
}

/// Recognises what follows `$md5$`. A second `$` behind the salt is part of what was hashed.
fn sun_md5(rest: &str, rounds: u32) -> Option<Method> {
    let (salt, digest) = rest.split_once('$')?;
    let digest = digest.strip_prefix('$').unwrap_or(digest);
    (is_hash64(salt, 0..=64) && is_hash64(digest, 22..=22)).then_some(Method::SunMd5 { rounds })
}

fn salted(rest: &str, salt: RangeInclusive<usize>, digest: usize) -> bool {
    rest.split_once('$').is_some_and(|(given, hash)| is_salt(given, salt) && is_hash64(hash, digest..=digest))
}

/// Tells whether libcrypt takes this for a salt, so many characters long.
fn is_salt(text: &str, length: RangeInclusive<usize>) -> bool {
    let is_good = |byte: u8| byte.is_ascii_graphic() && !b"!*:;\\".contains(&byte);
    length.contains(&text.len()) && text.bytes().all(is_good)
}

/// Tells whether `text` consists of the 64 characters of crypt(3), so many of them.
pub(super) fn is_hash64(text: &str, length: RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}
