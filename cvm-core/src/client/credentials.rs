//! The credentials that a client sends.

use core::fmt;

use crate::account::Account;
use crate::credential::{Credential, CredentialType};
use crate::secret::{Secret, SecretRef};

/// The credentials of a version 2 request, in the order in which they are sent.
#[derive(Default)]
pub struct Credentials(Vec<(CredentialType, Secret)>);

impl Credentials {
    /// Starts with none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes what a password login sends: the account, its domain if it has one, the password unless it is empty.
    #[must_use]
    pub fn of_password(account: Account<'_>, password: SecretRef<'_>) -> Self {
        let mut credentials = Self::new().with(CredentialType::ACCOUNT, account.name);
        if let Some(domain) = account.domain {
            credentials = credentials.with(CredentialType::DOMAIN, domain);
        }
        if password.is_empty() {
            return credentials;
        }
        credentials.with(CredentialType::PASSWORD, password.expose())
    }

    /// Adds one credential behind the others.
    #[must_use]
    pub fn with(mut self, kind: CredentialType, value: &[u8]) -> Self {
        self.0.push((kind, Secret::new(value)));
        self
    }

    /// Adds the secret of lookup mode, unless the caller has given one.
    #[must_use]
    pub fn with_lookup_secret(self, secret: Option<SecretRef<'_>>) -> Self {
        match secret {
            Some(secret) if !self.contains(CredentialType::SECRET) => {
                self.with(CredentialType::SECRET, secret.expose())
            }
            _ => self,
        }
    }

    /// Returns the credentials in order.
    pub fn iter(&self) -> impl Iterator<Item = Credential<'_>> {
        self.0.iter().map(|(kind, value)| Credential { kind: *kind, value: value.as_ref() })
    }

    fn contains(&self, kind: CredentialType) -> bool {
        self.0.iter().any(|(given, _)| *given == kind)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(credentials: &Credentials) -> Vec<(u8, Vec<u8>)> {
        credentials.iter().map(|item| (item.kind.number(), item.value.expose().to_vec())).collect()
    }

    fn password(name: &[u8], domain: Option<&[u8]>, password: &[u8]) -> Vec<(u8, Vec<u8>)> {
        owned(&Credentials::of_password(Account { name, domain }, SecretRef::new(password)))
    }

    #[test]
    fn a_password_login_sends_account_domain_and_password() {
        let expected = [(1, b"a".to_vec()), (2, b"d".to_vec()), (3, b"p".to_vec())];
        assert_eq!(password(b"a", Some(b"d"), b"p"), expected);
    }

    #[test]
    fn no_domain_and_an_empty_password_are_not_sent() {
        assert_eq!(password(b"a", None, b""), [(1, b"a".to_vec())]);
        assert_eq!(password(b"", None, b"p"), [(1, Vec::new()), (3, b"p".to_vec())]);
    }

    #[test]
    fn an_account_split_at_its_last_character_sends_an_empty_domain() {
        let account = Account::split(b"alice@", b"default", b"@");
        let sent = owned(&Credentials::of_password(account, SecretRef::new(b"p")));
        assert_eq!(sent, [(1, b"alice".to_vec()), (2, Vec::new()), (3, b"p".to_vec())]);
    }

    #[test]
    fn the_lookup_secret_is_added_where_none_was_given() {
        let secret = Some(SecretRef::new(b"sesame"));
        let added = Credentials::new().with(CredentialType::ACCOUNT, b"a").with_lookup_secret(secret);
        assert_eq!(owned(&added), [(1, b"a".to_vec()), (4, b"sesame".to_vec())]);
        let kept = Credentials::new().with(CredentialType::SECRET, b"own").with_lookup_secret(secret);
        assert_eq!(owned(&kept), [(4, b"own".to_vec())]);
        assert_eq!(owned(&Credentials::new().with_lookup_secret(None)), []);
    }

    #[test]
    fn printing_credentials_tells_their_types_only() {
        let credentials = Credentials::new().with(CredentialType::PASSWORD, b"hunter2");
        assert_eq!(format!("{credentials:?}"), "[Credential(3, ..)]");
    }
}
