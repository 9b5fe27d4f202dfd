//! Credentials: the numbered strings of a request.

use core::fmt;

use crate::secret::SecretRef;

/// The number of a credential (the manual's `credentials` page).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialType(u8);

impl CredentialType {
    /// The account name.
    pub const ACCOUNT: Self = Self(1);
    /// The domain of the account.
    pub const DOMAIN: Self = Self(2);
    /// A plain-text password.
    pub const PASSWORD: Self = Self(3);
    /// The shared secret of lookup mode.
    pub const SECRET: Self = Self(4);
    /// The challenge of a challenge-response mechanism.
    pub const CHALLENGE: Self = Self(5);
    /// The response to the challenge.
    pub const RESPONSE: Self = Self(6);
    /// The name of the challenge-response mechanism.
    pub const RESPONSE_TYPE: Self = Self(7);

    /// Makes a credential type; zero is none, as it ends the list on the wire.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// Returns the number on the wire, 1 to 255.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Tells whether the manual defines this type (1 to 7).
    #[must_use]
    pub const fn is_standard(self) -> bool {
        self.0 <= Self::RESPONSE_TYPE.0
    }

    /// Tells whether a request may carry the type more than once: the ones for local use, 128 to 255.
    #[must_use]
    pub const fn may_repeat(self) -> bool {
        self.0 >= 128
    }
}

/// One credential of a request. Its value may be secret, so it is never printed.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// Which credential it is.
    pub kind: CredentialType,
    /// Its bytes, at most 255 in version 2.
    pub value: SecretRef<'a>,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").field(&self.kind.number()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_0_is_none_as_it_ends_the_list() {
        assert_eq!(CredentialType::new(0), None);
        assert!((1..=255).all(|number| CredentialType::new(number).is_some_and(|kind| kind.number() == number)));
    }

    #[test]
    fn types_1_to_7_are_standard_and_from_128_on_they_may_repeat() {
        for kind in (1..=255).filter_map(CredentialType::new) {
            assert_eq!(kind.is_standard(), kind.number() < 8);
            assert_eq!(kind.may_repeat(), kind.number() > 127);
        }
    }

    #[test]
    fn printing_a_credential_tells_its_type_only() {
        let credential = Credential { kind: CredentialType::PASSWORD, value: SecretRef::new(b"hunter2") };
        assert_eq!(format!("{credential:?}"), "Credential(3, ..)");
    }
}
