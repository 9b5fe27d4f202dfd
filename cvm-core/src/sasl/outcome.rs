//! How a session ends, and what the client is told then.

use crate::code::Code;

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client is who it says it is.
    Accepted,
    /// It is not.
    Failed,
    /// The mechanism is unknown or not configured.
    NoMechanism,
    /// Nothing could be decided.
    Temporary,
    /// The response is empty, which none may be.
    ResponseRequired,
    /// The client must wait for the challenge.
    InitialResponse,
    /// The response is not Base64, too long, or not what the mechanism prescribes.
    BadResponse,
    /// The client gave up.
    Cancelled,
    /// The client went away.
    EndOfInput,
}

impl Outcome {
    /// Makes what comes of the modules' answer to a login.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        if code.is_success() {
            Self::Accepted
        } else if code.is_rejected() {
            Self::Failed
        } else {
            Self::Temporary
        }
    }

    /// Returns the number that the original's library has for it (its header `cvm/sasl.h`).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Failed | Self::Cancelled => 1,
            Self::NoMechanism => 2,
            Self::Temporary => 3,
            Self::ResponseRequired => 5,
            Self::InitialResponse => 6,
            Self::BadResponse => 7,
            Self::EndOfInput => 8,
        }
    }

    /// Returns code and text of the SMTP reply (RFC 4954, section 6).
    ///
    /// ```
    /// use cvm_core::sasl::Outcome;
    ///
    /// assert_eq!(Outcome::Temporary.smtp_reply(), (454, "Internal error."));
    /// ```
    #[must_use]
    pub const fn smtp_reply(self) -> (u16, &'static str) {
        match self {
            Self::Accepted => (235, "Authentication succeeded."),
            Self::Failed => (535, "Authentication failed."),
            Self::NoMechanism => (504, "Unrecognized authentication mechanism."),
            Self::Temporary => (454, "Internal error."),
            Self::ResponseRequired => (535, "Response was required but not given."),
            Self::InitialResponse => (535, "Initial response not allowed."),
            Self::BadResponse => (501, "Could not decode the response."),
            Self::Cancelled => (501, "Authentication failed."),
            Self::EndOfInput => (535, "End of file reached."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_0_lets_anybody_in() {
        for code in (0..=255).map(Code::new) {
            let outcome = Outcome::of(code);
            assert_eq!(outcome == Outcome::Accepted, code == Code::SUCCESS);
            assert_eq!(outcome == Outcome::Failed, code == Code::REJECTED);
            assert_eq!(outcome == Outcome::Temporary, code.is_temporary());
        }
    }

    #[test]
    fn only_what_is_accepted_is_told_as_a_success_and_only_what_is_undecided_as_temporary() {
        for outcome in [
            Outcome::Accepted,
            Outcome::Failed,
            Outcome::NoMechanism,
            Outcome::Temporary,
            Outcome::ResponseRequired,
            Outcome::InitialResponse,
            Outcome::BadResponse,
            Outcome::Cancelled,
            Outcome::EndOfInput,
        ] {
            let (code, text) = outcome.smtp_reply();
            assert_eq!(code / 100 == 2, outcome == Outcome::Accepted);
            assert_eq!(outcome.number() == 0, outcome == Outcome::Accepted);
            assert_eq!(code / 100 == 4, outcome == Outcome::Temporary);
            assert!(text.ends_with('.') && outcome.number() != 4, "4 is a session that goes on");
        }
    }
}
