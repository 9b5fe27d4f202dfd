//! Whom a request names, in vpopmail's way to write an account and its domain.

/// The longest name and the longest domain that vpopmail has.
const USER_MAX: usize = 64;
const DOMAIN_MAX: usize = 96;

/// What separates an account from its domain. The first separator that is there at all cuts, where it stands first.
const SEPARATORS: [u8; 3] = [b'@', b'%', b'/'];

/// An account and its domain, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    /// Empty where the request names none.
    pub(super) domain: Vec<u8>,
}

impl Login {
    /// Takes the domain of the request, or else the one that is a part of the account.
    pub(super) fn of(account: &[u8], domain: &[u8]) -> Self {
        let (user, domain) = if domain.is_empty() { split(account) } else { (account, domain) };
        Self { user: user.to_ascii_lowercase(), domain: domain.to_ascii_lowercase() }
    }

    /// Tells whether vpopmail has users of such a name. With `#` a line of its file is a comment.
    pub(super) fn has_user(&self) -> bool {
        let is_of_length = (1..=USER_MAX).contains(&self.user.len());
        is_of_length && !self.user.starts_with(b"#") && self.user.iter().all(|&byte| is_of_user(byte))
    }

    /// Tells whether vpopmail has domains of such a name.
    pub(super) fn has_domain(&self) -> bool {
        is_domain(&self.domain)
    }
}

/// Tells whether this can be the name of a domain: letters, digits, dashes and dots.
#[must_use]
pub fn is_domain(name: &[u8]) -> bool {
    let is_of_domain = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (1..=DOMAIN_MAX).contains(&name.len()) && name.iter().all(is_of_domain)
}

fn is_of_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&'*+-./=?^_`{|}~".contains(&byte)
}

fn split(account: &[u8]) -> (&[u8], &[u8]) {
    let cut = SEPARATORS.iter().find_map(|separator| account.iter().position(|byte| byte == separator));
    let Some((user, rest)) = cut.and_then(|cut| account.split_at_checked(cut)) else {
        return (account, b"");
    };
    (user, rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(account: &str, domain: &str) -> (String, String) {
        let Login { user, domain } = Login::of(account.as_bytes(), domain.as_bytes());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(user), text(domain))
    }

    #[test]
    fn an_account_is_cut_at_the_first_of_the_first_separator() {
        for (account, user, domain) in [
            ("Joe@A.Example", "joe", "a.example"),
            ("joe%a.example", "joe", "a.example"),
            ("joe/a.example", "joe", "a.example"),
            ("joe%x@a.example", "joe%x", "a.example"),
            ("joe/x%a.example", "joe/x", "a.example"),
            ("joe/x@a.example", "joe/x", "a.example"),
            ("joe@a@b", "joe", "a@b"),
            ("joe%a%b", "joe", "a%b"),
            ("joe@", "joe", ""),
            ("@a.example", "", "a.example"),
            ("JOE", "joe", ""),
            ("", "", ""),
        ] {
            assert_eq!(login(account, ""), (user.to_owned(), domain.to_owned()), "{account}");
        }
    }

    #[test]
    fn the_domain_of_the_request_is_the_one() {
        assert_eq!(login("Joe", "A.Example"), ("joe".to_owned(), "a.example".to_owned()));
        assert_eq!(login("joe/x", "a.example"), ("joe/x".to_owned(), "a.example".to_owned()));
        let login = Login::of(b"joe@b.example", b"a.example");
        assert_eq!(login.domain, b"a.example");
        assert!(!login.has_user());
    }

    #[test]
    fn names_have_the_bytes_and_lengths_of_vpopmail() {
        let is_user = |user: &str| Login { user: user.into(), domain: Vec::new() }.has_user();
        for byte in 0..128_u8 {
            let text = char::from(byte).to_string();
            let expected = byte.is_ascii_graphic() && !"\"%(),:;<>@[\\]".contains(&text);
            assert_eq!(is_user(&format!("x{text}")), expected, "{text:?}");
            assert_eq!(is_domain(text.as_bytes()), byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        }
        assert!(is_user("joe#x") && !is_user("#joe"));
        assert!(!is_user("") && is_user(&"x".repeat(64)) && !is_user(&"x".repeat(65)) && !is_user("jos\u{e9}"));
        assert!(!is_domain(b"") && is_domain(&[b'x'; 96]) && !is_domain(&[b'x'; 97]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_and_put_together_again(account: Vec<u8>, domain: Vec<u8>) {
            let login = Login::of(&account, &domain);
            let whole = [&login.user, &login.domain].map(Vec::len);
            let separator = usize::from(domain.is_empty() && account.iter().any(|byte| SEPARATORS.contains(byte)));
            prop_assert_eq!(whole.iter().sum::<usize>() + separator, account.len() + domain.len());
            prop_assert!(!login.has_user() || !login.user.iter().any(|byte| b":\n\0@%".contains(byte)));
            prop_assert!(!login.has_domain() || !login.domain.contains(&b'/'));
        }
    }
}
