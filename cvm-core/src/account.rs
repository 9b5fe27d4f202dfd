//! Account splitting: `user@domain` in one string becomes an account and a domain.

/// An account name and its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The name without its domain.
    pub name: &'a [u8],
    /// The domain; `None` sends no credential, `Some` an empty one too.
    pub domain: Option<&'a [u8]>,
}

impl<'a> Account<'a> {
    /// Takes the name as it is; an empty domain is none.
    #[must_use]
    pub fn whole(name: &'a [u8], domain: &'a [u8]) -> Self {
        Self { name, domain: Some(domain).filter(|domain| !domain.is_empty()) }
    }

    /// Cuts the name at the last byte that is one of `split_chars`; what follows replaces the domain.
    ///
    /// Nothing is cut where there is no such byte, or where `split_chars` is empty.
    ///
    /// ```
    /// use cvm_core::account::Account;
    ///
    /// let account = Account::split(b"alice@example.net", b"default.example", b"@");
    /// assert_eq!(account.name, b"alice");
    /// assert_eq!(account.domain, Some(&b"example.net"[..]));
    /// ```
    #[must_use]
    pub fn split(name: &'a [u8], domain: &'a [u8], split_chars: &[u8]) -> Self {
        let cut = name.iter().rposition(|byte| split_chars.contains(byte));
        let Some((head, tail)) = cut.and_then(|cut| name.split_at_checked(cut)) else {
            return Self::whole(name, domain);
        };
        Self { name: head, domain: Some(tail.get(1..).unwrap_or_default()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(name: &'a str, domain: &'a str, chars: &str) -> (&'a str, Option<&'a str>) {
        let account = Account::split(name.as_bytes(), domain.as_bytes(), chars.as_bytes());
        let text = |bytes| core::str::from_utf8(bytes).unwrap();
        (text(account.name), account.domain.map(text))
    }

    #[test]
    fn the_last_split_character_cuts_and_replaces_the_domain() {
        assert_eq!(split("alice@a@b", "d", "@"), ("alice@a", Some("b")));
        assert_eq!(split("alice%a@b%c", "d", "@%"), ("alice%a@b", Some("c")));
        assert_eq!(split("@b", "d", "@"), ("", Some("b")));
        assert_eq!(split("alice@", "d", "@"), ("alice", Some("")));
    }

    #[test]
    fn without_a_cut_the_given_domain_stays() {
        assert_eq!(split("alice", "d", "@"), ("alice", Some("d")));
        assert_eq!(split("alice", "", "@"), ("alice", None));
        assert_eq!(split("alice@b", "d", ""), ("alice@b", Some("d")));
    }
}
