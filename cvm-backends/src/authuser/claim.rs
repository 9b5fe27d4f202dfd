//! What somebody offers to prove who he is.

use cvm_core::challenge::ChallengeResponse;
use cvm_core::checkpassword::{MalformedRecord, RECORD_MAX, Record};
use cvm_core::wire::Request;
use cvm_core::{CredentialType, Secret, SecretRef, hex};

use super::name::Name;

/// A password, the response to a challenge, or bytes that may be either.
#[derive(Debug)]
pub struct Claim<'r> {
    password: Option<SecretRef<'r>>,
    response: Option<ChallengeResponse<'r>>,
    /// What stands behind the name in a record for another program, if that can hold it.
    tail: Option<Secret>,
}

impl<'r> Claim<'r> {
    /// Takes a name and what it comes with from what descriptor 3 holds.
    ///
    /// Nothing there tells whether it is a password or a response, so that it may be either.
    ///
    /// # Errors
    ///
    /// [`MalformedRecord`].
    pub fn of_record(bytes: &'r [u8]) -> Result<(Name, Self), MalformedRecord> {
        let record = Record::parse(bytes)?;
        // The NUL behind the name is there, or this would be no record.
        let tail = bytes.get(record.account.len() + 1..).unwrap_or_default();
        let claim = Self {
            password: filled(record.password),
            response: ChallengeResponse::of_record(&record),
            tail: Some(Secret::new(tail)),
        };
        Ok((Name::new(record.account), claim))
    }

    /// Takes the credentials of a request: its password, or else its response to a challenge.
    pub(super) fn of_request(request: &Request<'r>) -> Self {
        if let Some(password) = request.password().and_then(filled) {
            return Self::of_password(password);
        }
        let value = |kind| request.value(kind).unwrap_or_default();
        let digits = match value(CredentialType::RESPONSE) {
            raw if raw.len() == 16 => Secret::from_vec(hex::encode(raw)),
            digits => Secret::new(digits),
        };
        let tail = tail(digits.as_ref(), value(CredentialType::CHALLENGE));
        Self { password: None, response: ChallengeResponse::of(request), tail }
    }

    /// Takes a password that is not empty.
    pub(super) fn of_password(password: SecretRef<'r>) -> Self {
        Self { password: Some(password), response: None, tail: tail(password, b"") }
    }

    pub(super) const fn password(&self) -> Option<SecretRef<'r>> {
        self.password
    }

    pub(super) const fn response(&self) -> Option<&ChallengeResponse<'r>> {
        self.response.as_ref()
    }

    /// Tells whether there is nothing in it: an empty password proves nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.password.is_none() && self.response.is_none()
    }

    /// Writes the record that another program reads from its descriptor 3; `None` if no record can hold it.
    pub(super) fn record(&self, name: &Name) -> Option<Secret> {
        let tail = self.tail.as_ref()?.as_ref();
        let record = Secret::from_vec([name.as_bytes(), b"\0", tail.expose()].concat());
        (record.as_ref().expose().len() <= RECORD_MAX).then_some(record)
    }
}

fn filled(password: SecretRef<'_>) -> Option<SecretRef<'_>> {
    Some(password).filter(|password| !password.is_empty())
}

/// Writes what stands behind the name in a record; a NUL would end a credential too early, so none can be in it.
fn tail(word: SecretRef<'_>, challenge: &[u8]) -> Option<Secret> {
    let tail = Secret::from_vec([word.expose(), b"\0", challenge, b"\0"].concat());
    let ends = memchr::memchr_iter(0, tail.as_ref().expose()).count();
    (ends == 2).then_some(tail)
}
