//! Stored passwords: their forms, and how a password is compared with one (SPEC section 9).

mod crypt;
#[cfg(test)]
mod tests;

use cvm_core::SecretRef;
use cvm_core::module::{Accepts, Cost};

/// How the passwords of a table are stored: the value of a `…_PWCMP` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// In plain text.
    #[default]
    Plain,
    /// Hashed, in one of the forms of crypt(3).
    Crypt,
}

/// What a stored password is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some password may match it.
    Usable,
    /// It is empty or locked on purpose: no password matches.
    Locked,
    /// It has a form that is not known: no password matches, and the administrator should hear of it.
    Unknown,
    /// It demands more work than is sensible: see [`TooCostly`].
    TooCostly,
}

/// A stored password demands more work than is sensible: the table is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored password would take longer to verify than a second")]
pub struct TooCostly;

impl Comparison {
    /// Finds a comparison by the value of its setting; an empty one is plain text.
    #[must_use]
    pub fn from_setting(value: &[u8]) -> Option<Self> {
        match value {
            b"" | b"plain" => Some(Self::Plain),
            b"crypt" => Some(Self::Crypt),
            _ => None,
        }
    }

    /// Tells what a stored password is good for.
    #[must_use]
    pub fn standing(self, stored: &[u8]) -> Standing {
        match self {
            Self::Plain if stored.is_empty() => Standing::Locked,
            Self::Plain => Standing::Usable,
            Self::Crypt => crypt::standing(stored),
        }
    }

    /// Compares a password with a stored one. An empty password never matches.
    ///
    /// # Errors
    ///
    /// [`TooCostly`] if the stored form asks for an excessive number of rounds; nothing was computed.
    pub fn verify(self, stored: &[u8], password: SecretRef<'_>) -> Result<bool, TooCostly> {
        if password.is_empty() {
            return Ok(false);
        }
        match self {
            Self::Plain => Ok(password.equals(stored)),
            Self::Crypt => crypt::verify(stored, password.expose()),
        }
    }

    /// Returns the plain-text password, which challenge-response needs, where the form has it.
    #[must_use]
    pub const fn plain_text(self, stored: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Plain => Some(stored),
            Self::Crypt => None,
        }
    }

    /// Says which credentials a table of this kind can judge.
    #[must_use]
    pub const fn accepts(self) -> Accepts {
        match self {
            Self::Plain => Accepts::PasswordOrResponse,
            Self::Crypt => Accepts::Password,
        }
    }

    /// Says what a comparison costs.
    #[must_use]
    pub const fn cost(self) -> Cost {
        match self {
            Self::Plain => Cost::Inline,
            Self::Crypt => Cost::Cpu,
        }
    }
}
