//! What a session has found out: who wants to log in, and the proof.

use core::fmt;

use crate::account::Account;
use crate::client::Credentials;
use crate::credential::CredentialType;
use crate::secret::{Secret, SecretRef};

/// A login that the modules are to be asked about.
#[derive(Debug)]
#[must_use]
pub struct Login {
    user: Vec<u8>,
    proof: Proof,
}

pub(super) enum Proof {
    Password(Secret),
    CramMd5 { text: Vec<u8>, digest: Secret },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[proof]")
    }
}

impl Login {
    pub(super) const fn new(user: Vec<u8>, proof: Proof) -> Self {
        Self { user, proof }
    }

    /// Returns the user name, perhaps with a domain, never empty.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// Returns the credentials to send for this account, which was made from the [`user`](Self::user).
    #[must_use]
    pub fn credentials(&self, account: Account<'_>) -> Credentials {
        match &self.proof {
            Proof::Password(password) => Credentials::of_password(account, password.as_ref()),
            Proof::CramMd5 { text, digest } => Credentials::of_password(account, SecretRef::new(b""))
                .with(CredentialType::CHALLENGE, text)
                .with(CredentialType::RESPONSE, digest.as_ref().expose())
                .with(CredentialType::RESPONSE_TYPE, b"CRAM-MD5"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_printed_without_its_proof() {
        let cram_md5 = Proof::CramMd5 { text: b"<1@x>".to_vec(), digest: Secret::new(b"hunter2") };
        for proof in [Proof::Password(Secret::new(b"hunter2")), cram_md5] {
            let printed = format!("{:?}", Login::new(b"alice".to_vec(), proof));
            assert!(printed.ends_with("proof: [proof] }"), "{printed}");
        }
    }
}
