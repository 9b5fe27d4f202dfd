//! The forms of stored passwords: which one a string has, and what may stand before it.

use cvm_core::SecretRef;

use super::argon2::Argon2;
use super::crypt::{Crypt, Method};
use super::salted::{BareMd5, Digest, Pbkdf2, Salted};
use super::{Unusable, VerifyError};

/// A stored password, recognised.
#[derive(Clone, Copy)]
pub(super) enum Form<'s> {
    /// Plain text.
    Plain(&'s [u8]),
    /// A form of crypt(3).
    Crypt(Crypt<'s>),
    /// Argon2, in the notation that its own program writes.
    Argon2(Argon2<'s>),
    /// A salted digest, as in LDAP.
    Salted(Salted<'s>),
    /// PBKDF2, as Dovecot writes it.
    Pbkdf2(Pbkdf2<'s>),
    /// MD5 without salt, in the tables of vmailmgr only.
    BareMd5(BareMd5),
}

/// The work of a comparison, in a unit of the form, and how much of it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) work: u64,
    pub(super) bound: u64,
}

impl Load {
    /// Work that needs no bound.
    pub(super) const NONE: Self = Self { work: 0, bound: 1 };

    const fn is_too_heavy(self) -> bool {
        self.work > self.bound
    }

    /// Tells whether this is a small part of what is allowed.
    pub(super) const fn is_light(self) -> bool {
        self.work <= self.bound / 128
    }
}

impl<'s> Form<'s> {
    /// Recognises a stored password.
    pub(super) fn read(stored: &'s [u8]) -> Result<Self, Unusable> {
        if is_locked(stored) {
            return Err(Unusable::Locked);
        }
        let form = match scheme(stored) {
            Some((scheme, rest)) => Self::of_scheme(scheme, rest)?,
            None => Self::bare(stored),
        };
        let form = form.ok_or(Unusable::Unknown)?;
        if form.load().is_too_heavy() { Err(Unusable::TooCostly) } else { Ok(form) }
    }

    /// Recognises a stored password of vmailmgr, which has forms of its own beside the others.
    pub(super) fn of_vmailmgr(stored: &'s [u8]) -> Result<Self, Unusable> {
        match stored.strip_prefix(b"$0$") {
            Some(b"") => Err(Unusable::Locked),
            Some(text) => Ok(Self::Plain(text)),
            None => BareMd5::read(stored).map_or_else(|| Self::read(stored), |md5| Ok(Self::BareMd5(md5))),
        }
    }

    /// Recognises what a scheme's name stands before; `None` if it is unknown or does not fit its name.
    fn of_scheme(scheme: &[u8], rest: &'s [u8]) -> Result<Option<Self>, Unusable> {
        let mut buffer = [0; 16];
        let Some(name) = buffer.get_mut(..scheme.len()) else {
            return Ok(None);
        };
        name.copy_from_slice(scheme);
        name.make_ascii_uppercase();
        let of_method = |fits: fn(Method) -> bool| Self::crypt(rest, fits);
        Ok(match &*name {
            b"PLAIN" | b"CLEARTEXT" if rest.is_empty() => return Err(Unusable::Locked),
            b"PLAIN" | b"CLEARTEXT" => Some(Self::Plain(rest)),
            b"CRYPT" if is_locked(rest) => return Err(Unusable::Locked),
            b"CRYPT" => Self::bare(rest),
            b"MD5-CRYPT" => of_method(|method| method == Method::Md5),
            b"BLF-CRYPT" => of_method(|method| matches!(method, Method::Bcrypt { .. })),
            b"SHA256-CRYPT" => of_method(|method| matches!(method, Method::Sha256 { .. })),
            b"SHA512-CRYPT" => of_method(|method| matches!(method, Method::Sha512 { .. })),
            b"SSHA" => Salted::read(Digest::Sha1, rest).map(Self::Salted),
            b"SSHA256" => Salted::read(Digest::Sha256, rest).map(Self::Salted),
            b"SSHA512" => Salted::read(Digest::Sha512, rest).map(Self::Salted),
            b"ARGON2" => Argon2::read(rest).map(Self::Argon2),
            b"ARGON2I" if rest.starts_with(b"$argon2i$") => Argon2::read(rest).map(Self::Argon2),
            b"ARGON2ID" if rest.starts_with(b"$argon2id$") => Argon2::read(rest).map(Self::Argon2),
            b"PBKDF2" => Pbkdf2::read(rest).map(Self::Pbkdf2),
            _ => None,
        })
    }

    /// Recognises a form without a scheme's name.
    fn bare(stored: &'s [u8]) -> Option<Self> {
        Argon2::read(stored).map(Self::Argon2).or_else(|| Self::crypt(stored, |_| true))
    }

    fn crypt(stored: &'s [u8], fits: fn(Method) -> bool) -> Option<Self> {
        Crypt::read(stored).filter(|crypt| fits(crypt.method())).map(Self::Crypt)
    }

    /// Compares a password with it.
    pub(super) fn matches(&self, password: SecretRef<'_>) -> Result<bool, VerifyError> {
        match self {
            Self::Plain(text) => Ok(password.equals(text)),
            Self::Crypt(crypt) => crypt.matches(password),
            Self::Argon2(argon2) => argon2.matches(password),
            Self::Salted(salted) => Ok(salted.matches(password)),
            Self::Pbkdf2(pbkdf2) => Ok(pbkdf2.matches(password)),
            Self::BareMd5(md5) => Ok(md5.matches(password)),
        }
    }

    pub(super) fn load(&self) -> Load {
        match self {
            Self::Plain(_) | Self::Salted(_) | Self::BareMd5(_) => Load::NONE,
            Self::Crypt(crypt) => crypt.method().load(),
            Self::Argon2(argon2) => argon2.load(),
            Self::Pbkdf2(pbkdf2) => pbkdf2.load(),
        }
    }
}

fn is_locked(stored: &[u8]) -> bool {
    stored == b"x" || stored.is_empty() || stored.starts_with(b"!") || stored.starts_with(b"*")
}

/// Splits `{SCHEME}` off.
fn scheme(stored: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = stored.strip_prefix(b"{")?;
    let end = rest.iter().take(17).position(|&byte| byte == b'}')?;
    let (scheme, rest) = rest.split_at_checked(end)?;
    Some((scheme, rest.get(1..)?))
}

/// Reads a decimal number as programs write it: digits without a leading zero.
pub(super) fn number(digits: &str) -> Option<u32> {
    let is_plain = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
