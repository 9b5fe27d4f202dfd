//! Stored passwords: their forms, and how a password is compared with one (SPEC section 9).
//!
//! | form | stored as | computed by | beside `crypt_r` | bound |
//! | --- | --- | --- | --- | --- |
//! | DES | 2 characters of salt, 11 of digest | `pwhash` | 1.4 – 1.9 | none needed |
//! | BSDi | `_`, 4 characters of rounds, 4 of salt, 11 of digest | libcrypt | 1.0 | 5 000 000 rounds |
//! | MD5 | `$1$`, up to 8 of salt, `$`, 22 of digest | libcrypt | 1.0 (`pwhash` 0.8 – 1.04) | none needed |
//! | bcrypt | `$2a$`, `$2b$` or `$2y$`, the cost, `$`, 22 of salt, 31 of digest | libcrypt | 1.0 (`pwhash` 0.90, `bcrypt` 0.86) | cost 14 |
//! | SHA-256 | `$5$`, perhaps `rounds=N$`, up to 16 of salt, `$`, 43 of digest | `pwhash` | 3.2 – 4 | 1 000 000 rounds |
//! | SHA-512 | `$6$`, perhaps `rounds=N$`, up to 16 of salt, `$`, 86 of digest | `pwhash` | 1.0 – 1.1 | 1 000 000 rounds |
//! | SunMD5 | `$md5$` or `$md5,rounds=N$`, salt, `$` or `$$`, 22 of digest | libcrypt | 1.0 | 500 000 rounds beside the 4096 |
//! | PBKDF1-SHA1 | `$sha1$`, rounds, `$`, salt, `$`, 28 of digest | libcrypt | 1.0 | 750 000 rounds |
//! | scrypt | `$7$`, log2 N, r, p, salt, `$`, 43 of digest | libcrypt | 1.0 | N·r·p of 2^21, which is 256 MiB where p is 1 |
//! | yescrypt | `$y$`, log2 N and r as in `j9T`, `$`, salt, `$`, 43 of digest | libcrypt | 1.0 (`yescrypt` 0.6) | N·r of 2^21, which is 256 MiB |
//! | Argon2 | `$argon2i$` or `$argon2id$`, perhaps `v=N$`, `m=N,t=N,p=N$`, salt, `$`, digest | `argon2` | – (libargon2: 1.4 – 1.8) | m of 256 MiB, m·t of 768 MiB |
//! | salted SHA | `{SSHA}`, `{SSHA256}` or `{SSHA512}`, digest and salt in base 64 | `sha1`, `sha2` | – | none needed |
//! | PBKDF2 | `{PBKDF2}$1$`, salt, `$`, rounds, `$`, 40 hexadecimal digits (HMAC-SHA1) | `pbkdf2` | – | 3 000 000 rounds |
//! | MD5 of vmailmgr | `3`, 32 hexadecimal digits; in its tables only | `md-5` | – | none needed |
//! | plain text of vmailmgr | `$0$` and the password; in its tables only | – | – | none needed |
//! | plain text | `{PLAIN}` or `{CLEARTEXT}` and the password | – | – | none needed |
//!
//! "Beside `crypt_r`" is how many times as fast as libcrypt's on the machine of the measurements (x86-64 with SHA and
//! AVX2 instructions). Each bound is about a second there at most; the rounds of SHA-crypt take longer for longer
//! passwords, so many rounds are not done for a very long one. Small N are charged as if they were 1024. A salt of SHA-crypt that `pwhash` cannot compute
//! goes to libcrypt too.
//!
//! `{CRYPT}` may stand before any form that begins with `$` or `_`, and before DES; `{MD5-CRYPT}`, `{BLF-CRYPT}`,
//! `{SHA256-CRYPT}`, `{SHA512-CRYPT}`, `{ARGON2I}` and `{ARGON2ID}` before the form that they name, and OpenLDAP's
//! `{ARGON2}` before both. Names of schemes are taken in either case.
//!
//! A string that is not exactly one of these is never handed to a hash function, so none can make it panic or work
//! without bound. Two strings stand for the same stored password in few cases only: the case of a scheme's name and of
//! the digits of `{PBKDF2}`, and the letter of bcrypt, except that libcrypt computes `$2a$` in another way for some
//! passwords with bytes 255. Two passwords are the same to a few forms: DES counts 8 bytes and BSDi all, but 7 bits of
//! each; bcrypt counts 72 bytes; to HMAC, in `$sha1$` and `{PBKDF2}`, one of more than 64 bytes is its SHA-1 digest. A
//! password with a NUL matches Argon2, salted SHA, vmailmgr's MD5 and plain text only.

mod argon2;
mod crypt;
mod form;
mod parallel;
mod salted;
mod scrypt;
#[cfg(test)]
mod tests;

use cvm_core::SecretRef;
use cvm_core::module::{Accepts, Cost};
use zeroize::Zeroizing;

use crate::sys::CryptError;
use form::Form;

pub use parallel::hash_at_most;

/// How the passwords of a table are stored: the value of a `…_PWCMP` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// In plain text.
    #[default]
    Plain,
    /// Hashed: each by its form.
    Crypt,
    /// Each by its form, as with [`Self::Crypt`], and those in plain text answer challenges too.
    Auto,
    /// Each by its form, as with [`Self::Auto`], and two forms of vmailmgr's own.
    Vmailmgr,
}

/// A stored password that some password may match.
#[derive(Clone, Copy)]
pub struct Stored<'s> {
    form: Form<'s>,
    answers_challenges: bool,
}

/// Why no password can be compared with a stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is empty or locked on purpose: no password matches.
    #[error("a stored password is locked")]
    Locked,
    /// It has a form that is not known: no password matches, and the administrator should hear of it.
    #[error("a stored password has an unknown form")]
    Unknown,
    /// It demands more work than is sensible: the table is at fault.
    #[error("a stored password would take longer to verify than a second")]
    TooCostly,
}

/// Why a password could not be compared with a stored one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The form needs more memory than there is.
    #[error("there is not enough memory to verify a stored password")]
    OutOfMemory,
    /// The form is one that the system's libcrypt computes, and there is none.
    #[error("a stored password needs libcrypt (libxcrypt), which cannot be loaded")]
    NoLibrary,
    /// The form takes too long for a password of this length: the table is at fault.
    #[error("a stored password would take longer to verify than a second or two for a long password")]
    TooCostly,
}

impl Comparison {
    /// Finds a comparison by the value of its setting; an empty one is plain text.
    #[must_use]
    pub fn from_setting(value: &[u8]) -> Option<Self> {
        match value {
            b"" | b"plain" => Some(Self::Plain),
            b"crypt" => Some(Self::Crypt),
            b"auto" => Some(Self::Auto),
            _ => None,
        }
    }

    /// Recognises a stored password. This computes nothing and allocates nothing.
    ///
    /// # Errors
    ///
    /// [`Unusable`] if no password matches, or none may be tried.
    pub fn read(self, stored: &[u8]) -> Result<Stored<'_>, Unusable> {
        let form = match self {
            Self::Plain if stored.is_empty() => return Err(Unusable::Locked),
            Self::Plain => Form::Plain(stored),
            Self::Crypt | Self::Auto => Form::read(stored)?,
            Self::Vmailmgr => Form::of_vmailmgr(stored)?,
        };
        Ok(Stored { form, answers_challenges: self != Self::Crypt })
    }

    /// Says which credentials a table of this kind can judge.
    #[must_use]
    pub const fn accepts(self) -> Accepts {
        match self {
            Self::Plain | Self::Auto | Self::Vmailmgr => Accepts::PasswordOrResponse,
            Self::Crypt => Accepts::Password,
        }
    }

    /// Says what a comparison with the costliest stored password of such a table costs.
    #[must_use]
    pub const fn cost(self) -> Cost {
        match self {
            Self::Plain => Cost::Inline,
            Self::Crypt | Self::Auto | Self::Vmailmgr => Cost::Cpu,
        }
    }
}

impl<'s> Stored<'s> {
    /// Compares a password with this one. An empty password never matches.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] if that cannot be told now.
    pub fn matches(&self, password: SecretRef<'_>) -> Result<bool, VerifyError> {
        if password.is_empty() {
            return Ok(false);
        }
        let _place = (self.cost() == Cost::Cpu).then(parallel::take_place);
        self.form.matches(password)
    }

    /// Returns the plain-text password, which challenge-response needs, where the form has it.
    #[must_use]
    pub const fn plain_text(&self) -> Option<&'s [u8]> {
        match self.form {
            Form::Plain(text) if self.answers_challenges => Some(text),
            _ => None,
        }
    }

    /// Says what a comparison with this one costs.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        match self.form {
            Form::Plain(_) => Cost::Inline,
            _ => Cost::Cpu,
        }
    }

    /// Tells whether a comparison takes some milliseconds at most, and not much memory.
    #[must_use]
    pub fn is_cheap(&self) -> bool {
        self.form.load().is_light()
    }
}

/// Hashes a password for storing it: yescrypt, at the usual cost of libcrypt. It takes its place among those who verify
/// one.
///
/// # Errors
///
/// [`CryptError`] if libcrypt cannot, or the password has a NUL.
pub(crate) fn yescrypt(password: SecretRef<'_>) -> Result<Zeroizing<Vec<u8>>, CryptError> {
    let _place = parallel::take_place();
    crypt::yescrypt(password)
}

impl std::fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored")
    }
}
