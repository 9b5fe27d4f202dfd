//! Passwords and secrets: never printed, wiped when dropped, compared in one place.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password or secret that is owned: wiped when dropped, without `Debug` output and without `Clone`.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes a copy of `bytes`; wiping the original is the caller's part.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Takes `bytes` over without copying them.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Lends the secret.
    #[must_use]
    pub fn as_ref(&self) -> SecretRef<'_> {
        SecretRef(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A password or secret that is borrowed, mostly from a packet.
#[derive(Clone, Copy)]
pub struct SecretRef<'a>(&'a [u8]);

impl<'a> SecretRef<'a> {
    /// Marks `bytes` as secret.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes themselves, for hashing or sending: the one way out.
    #[must_use]
    pub const fn expose(self) -> &'a [u8] {
        self.0
    }

    /// Tells whether there are no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Compares in a time that depends on neither content: the one comparison for everything secret.
    ///
    /// The time depends on the length of `self`, which the peer chose, and not on that of `expected`.
    #[must_use]
    pub fn equals(self, expected: &[u8]) -> bool {
        let mut same = self.0.len().ct_eq(&expected.len());
        let mut expected = expected.iter();
        for byte in self.0 {
            let other = expected.next().copied().unwrap_or_default();
            same &= byte.ct_eq(&other);
        }
        same.into()
    }
}

impl fmt::Debug for SecretRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_exact() {
        for (a, b) in [("", "a"), ("a", ""), ("secret", "secre"), ("secre", "secret"), ("a\0", "a"), ("a", "a\0")] {
            assert!(!SecretRef::new(a.as_bytes()).equals(b.as_bytes()), "{a:?} {b:?}");
            assert!(SecretRef::new(a.as_bytes()).equals(a.as_bytes()));
        }
    }

    #[test]
    fn nothing_is_printed() {
        let secret = Secret::new(b"hunter2");
        assert_eq!(format!("{secret:?} {:?}", secret.as_ref()), "[secret] [secret]");
    }
}
