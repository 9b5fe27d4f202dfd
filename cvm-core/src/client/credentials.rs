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
