//! Names that somebody logs in with, and the keys of the lines that they may be on.

/// A name, split at its last `@` unless that is its first byte; what follows it is the domain, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    bytes: Vec<u8>,
    /// The length of the local part.
    local: usize,
}

impl Name {
    /// Takes a name as somebody typed it.
    #[must_use]
    pub fn new(authuser: &[u8]) -> Self {
        let mut bytes = authuser.to_vec();
        let at = memchr::memrchr(b'@', &bytes).filter(|&at| at > 0);
        let local = at.unwrap_or(bytes.len());
        if let Some(domain) = bytes.get_mut(local..) {
            domain.make_ascii_lowercase();
        }
        Self { bytes, local }
    }

    /// Joins an account and the domain that it was split from.
    #[must_use]
    pub fn joined(account: &[u8], domain: &[u8]) -> Self {
        Self::new(&[account, b"@", domain].concat())
    }

    /// Returns the whole name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns what comes before the domain, as it was typed.
    #[must_use]
    pub fn local(&self) -> &[u8] {
        self.bytes.get(..self.local).unwrap_or_default()
    }

    /// Returns the domain, if there is one.
    #[must_use]
    pub fn domain(&self) -> Option<&[u8]> {
        self.bytes.get(self.local + 1..).filter(|_| self.local < self.bytes.len())
    }

    /// Tells whether this may be somebody's name: it is not empty and without a NUL, which no line and no other program
    /// can have in a name.
    pub(super) fn is_possible(&self) -> bool {
        !self.bytes.is_empty() && memchr::memchr(0, &self.bytes).is_none()
    }

    /// Returns the keys of the lines that say something of this name.
    pub(super) fn keys(&self) -> Keys {
        let domain = self.bytes.get(self.local..).filter(|domain| !domain.is_empty());
        let disabled = |token: &[u8]| [b"!", token].concat().to_ascii_lowercase();
        Keys {
            user: disabled(&self.bytes),
            domain: domain.map(disabled).unwrap_or_default(),
            local: disabled(self.local()),
        }
    }
}

/// The keys of a name, in lower case, each with the `!` in front that disables it.
pub(super) struct Keys {
    user: Vec<u8>,
    /// `!@domain`; empty without a domain.
    domain: Vec<u8>,
    /// `!` and the local part.
    local: Vec<u8>,
}

impl Keys {
    /// The keys that disable the name; an empty one is no line's.
    pub(super) fn disabling(&self) -> [&[u8]; 2] {
        [&self.user, &self.domain]
    }

    /// The key that disables the system's user of this name, whatever domain comes behind it.
    pub(super) fn disabling_system(&self) -> &[u8] {
        &self.local
    }

    /// The keys of the lines that tell its password, of which the first that is there counts; an empty one is no line's.
    pub(super) fn telling(&self) -> [&[u8]; 4] {
        let user = self.user.get(1..).filter(|name| !is_special(name)).unwrap_or_default();
        [user, self.domain.get(1..).unwrap_or_default(), b"@", b"*"]
    }
}

/// Tells whether a key is that of many users, or disables some, so that nobody is called by it.
pub(super) fn is_special(key: &[u8]) -> bool {
    key == b"*" || key.starts_with(b"@") || key.starts_with(b"!")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_last_at_sign() {
        for (name, local, domain) in [
            ("Joe@X.Org", "Joe", Some("x.org")),
            ("A@B@C.Example", "A@B", Some("c.example")),
            ("Joe", "Joe", None),
            ("@X.Org", "@X.Org", None),
            ("Joe@", "Joe", Some("")),
            ("", "", None),
        ] {
            let split = Name::new(name.as_bytes());
            assert_eq!((split.local(), split.domain()), (local.as_bytes(), domain.map(str::as_bytes)), "{name}");
        }
        assert_eq!(Name::joined(b"Joe", b"X.org").as_bytes(), b"Joe@x.org");
    }

    #[test]
    fn the_keys_of_a_name_are_in_lower_case_and_in_the_order_in_which_they_count() {
        let keys = Name::new(b"Joe@X.org").keys();
        assert_eq!(keys.disabling(), [&b"!joe@x.org"[..], b"!@x.org"]);
        assert_eq!(keys.disabling_system(), b"!joe");
        assert_eq!(keys.telling(), [&b"joe@x.org"[..], b"@x.org", b"@", b"*"]);
        let keys = Name::new(b"Joe").keys();
        assert_eq!(keys.disabling(), [&b"!joe"[..], b""]);
        assert_eq!(Name::new(b"Joe@").keys().disabling_system(), b"!joe");
        assert_eq!(keys.telling(), [&b"joe"[..], b"", b"@", b"*"]);
    }

    #[test]
    fn nobody_is_called_as_the_lines_of_many_are() {
        for special in ["*", "@", "@x.org", "!joe", "!joe@x.org"] {
            assert_eq!(Name::new(special.as_bytes()).keys().telling()[0], b"", "{special}");
        }
        assert!(!Name::new(b"").is_possible() && !Name::new(b"a\0b").is_possible());
    }
}
