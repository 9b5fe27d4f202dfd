//! Salted digests as in LDAP, PBKDF2 as Dovecot writes it, and the digest without salt that vmailmgr wrote.

use base64ct::{Base64, Encoding};
use cvm_core::{SecretRef, hex};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::form::{Load, number};

/// The longest salt.
const SALT_MAX: usize = 64;

/// The longest digest and salt.
const BYTES_MAX: usize = 64 + SALT_MAX;

/// A digest of password and salt, followed by the salt, in base 64.
#[derive(Clone, Copy)]
pub(super) struct Salted<'s> {
    digest: Digest,
    encoded: &'s [u8],
}

/// The digest of a [`Salted`] password.
#[derive(Clone, Copy)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl<'s> Salted<'s> {
    pub(super) fn read(digest: Digest, encoded: &'s [u8]) -> Option<Self> {
        let salted = Self { digest, encoded };
        salted.decode(&mut [0; BYTES_MAX]).map(|_| salted)
    }

    /// Returns digest and salt.
    fn decode<'b>(&self, buffer: &'b mut [u8; BYTES_MAX]) -> Option<(&'b [u8], &'b [u8])> {
        let bytes = Base64::decode(self.encoded, buffer).ok()?;
        let (digest, salt) = bytes.split_at_checked(self.digest.length())?;
        (1..=SALT_MAX).contains(&salt.len()).then_some((digest, salt))
    }

    pub(super) fn matches(&self, password: SecretRef<'_>) -> bool {
        let mut buffer = [0; BYTES_MAX];
        let Some((expected, salt)) = self.decode(&mut buffer) else {
            return false;
        };
        match self.digest {
            Digest::Sha1 => is_digest::<Sha1>(password, salt, expected),
            Digest::Sha256 => is_digest::<Sha256>(password, salt, expected),
            Digest::Sha512 => is_digest::<Sha512>(password, salt, expected),
        }
    }
}

fn is_digest<D: sha2::Digest>(password: SecretRef<'_>, salt: &[u8], expected: &[u8]) -> bool {
    let computed = D::new().chain_update(password.expose()).chain_update(salt).finalize();
    SecretRef::new(&computed).equals(expected)
}

/// What Dovecot writes: `$1$`, salt, `$`, rounds, `$`, the digest of HMAC-SHA1 in hexadecimal.
#[derive(Clone, Copy)]
pub(super) struct Pbkdf2<'s> {
    salt: &'s str,
    rounds: u32,
    digest: [u8; 20],
}

impl<'s> Pbkdf2<'s> {
    pub(super) fn read(stored: &'s [u8]) -> Option<Self> {
        let (salt, rest) = str::from_utf8(stored).ok()?.strip_prefix("$1$")?.split_once('$')?;
        let (rounds, digest) = rest.split_once('$')?;
        let rounds = number(rounds).filter(|&rounds| rounds > 0)?;
        let is_salt = (1..=SALT_MAX).contains(&salt.len());
        Some(Self { salt, rounds, digest: hex::decode(digest.as_bytes())? }).filter(|_| is_salt)
    }

    pub(super) fn load(&self) -> Load {
        Load { work: self.rounds.into(), bound: 3_000_000 }
    }

    pub(super) fn matches(&self, password: SecretRef<'_>) -> bool {
        // HMAC cannot tell a short key from the same with NULs behind it.
        if password.expose().contains(&0) {
            return false;
        }
        let mut computed = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password.expose(), self.salt.as_bytes(), self.rounds, &mut computed);
        SecretRef::new(&computed).equals(&self.digest)
    }
}

/// An MD5 digest of the password alone, as vmailmgr once wrote it: `3` and 32 hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct BareMd5([u8; 16]);

impl BareMd5 {
    pub(super) fn read(stored: &[u8]) -> Option<Self> {
        hex::decode(stored.strip_prefix(b"3")?).map(Self)
    }

    pub(super) fn matches(&self, password: SecretRef<'_>) -> bool {
        SecretRef::new(&Md5::digest(password.expose())).equals(&self.0)
    }
}
