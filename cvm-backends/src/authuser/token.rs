//! What a line of the file says of a password.

use std::fmt;

use cvm_core::{SecretRef, hex};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize;

use super::claim::Claim;
use super::helper::Helper;

/// What follows the first colon of a line.
#[derive(Clone, Copy)]
pub(super) enum Token<'t> {
    /// The password itself; an empty one is nobody's.
    Clear(&'t [u8]),
    /// A digest of the password.
    Digest(Digest),
    /// The password is that of the system's user of this name.
    System {
        /// The program that comes next runs as that user.
        becomes: bool,
    },
    /// Another program judges.
    Helper(Helper),
    /// One byte that means nothing, or a sign with something invisible around it.
    Meaningless,
}

/// A digest of a password, without a salt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Md5([u8; 16]),
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl<'t> Token<'t> {
    pub(super) fn read(value: &'t [u8]) -> Self {
        match value {
            b"?" => Self::System { becomes: false },
            b"!" => Self::System { becomes: true },
            b"+" => Self::Helper(Helper::Checkvpw),
            b"&" => Self::Helper(Helper::Vchkpw),
            b"=" => Self::Helper(Helper::Doveadm),
            [_, ..] if value.trim_ascii().len() < 2 => Self::Meaningless,
            _ => Digest::read(value).map_or(Self::Clear(value), Self::Digest),
        }
    }

    /// Tells whether somebody can log in by this.
    pub(super) fn is_usable(&self) -> bool {
        match self {
            Self::Clear(text) => !text.is_empty(),
            Self::Meaningless => false,
            Self::Digest(_) | Self::System { .. } | Self::Helper(_) => true,
        }
    }
}

impl Digest {
    /// Reads `%` and as many hexadecimal digits as a digest has.
    fn read(value: &[u8]) -> Option<Self> {
        let digits = value.strip_prefix(b"%")?;
        match digits.len() {
            32 => hex::decode(digits).map(Self::Md5),
            40 => hex::decode(digits).map(Self::Sha1),
            64 => hex::decode(digits).map(Self::Sha256),
            _ => None,
        }
    }

    pub(super) fn is_of(&self, password: SecretRef<'_>) -> bool {
        match self {
            Self::Md5(digest) => is_equal(&mut Md5::digest(password.expose()), digest),
            Self::Sha1(digest) => is_equal(&mut Sha1::digest(password.expose()), digest),
            Self::Sha256(digest) => is_equal(&mut Sha256::digest(password.expose()), digest),
        }
    }
}

/// Compares a digest that was just computed, and wipes it.
fn is_equal(computed: &mut [u8], stored: &[u8]) -> bool {
    let is_equal = SecretRef::new(computed).equals(stored);
    computed.zeroize();
    is_equal
}

/// Tells whether a claim is right for a password in plain text: the password itself, or a response computed from it.
pub(super) fn is_right(text: &[u8], claim: &Claim<'_>) -> bool {
    let same = claim.password().is_some_and(|password| password.equals(text));
    let responds = claim.response().is_some_and(|response| response.is_right(text));
    !text.is_empty() && (same | responds)
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear",
            Self::Digest(_) => "Digest",
            Self::System { .. } => "System",
            Self::Helper(_) => "Helper",
            Self::Meaningless => "Meaningless",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "%5ebe2294ecd0e0f08eab7690d2a6ee69";
    const SHA1: &str = "%e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
    const SHA256: &str = "%2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn is_of(token: &str, password: &str) -> bool {
        match Token::read(token.as_bytes()) {
            Token::Digest(digest) => digest.is_of(SecretRef::new(password.as_bytes())),
            other => panic!("{token}: {other:?}"),
        }
    }

    #[test]
    fn digests_of_three_lengths_are_those_of_the_password_and_of_nothing_else() {
        for token in [MD5, SHA1, SHA256] {
            for token in [token.to_owned(), token.to_ascii_uppercase()] {
                assert!(is_of(&token, "secret"));
                for wrong in ["Secret", "secret\0", "", &token, &token[1..]] {
                    assert!(!is_of(&token, wrong), "{token} {wrong}");
                }
            }
        }
    }

    #[test]
    fn any_other_percent_sign_is_a_part_of_the_password() {
        for literal in ["%%", "%5e", "%secret", &MD5[..32], &MD5.replace('5', "g"), &format!("{MD5}0"), &MD5[1..]] {
            assert!(matches!(Token::read(literal.as_bytes()), Token::Clear(text) if text == literal.as_bytes()));
        }
    }

    #[test]
    fn one_byte_is_a_sign_and_most_mean_nothing() {
        assert!(matches!(Token::read(b"?"), Token::System { becomes: false }));
        assert!(matches!(Token::read(b"!"), Token::System { becomes: true }));
        assert!(matches!(Token::read(b"+"), Token::Helper(Helper::Checkvpw)));
        assert!(matches!(Token::read(b"&"), Token::Helper(Helper::Vchkpw)));
        assert!(matches!(Token::read(b"="), Token::Helper(Helper::Doveadm)));
        for byte in (0..=255).filter(|byte| !b"?!+&=".contains(byte)) {
            assert!(matches!(Token::read(&[byte]), Token::Meaningless), "{byte}");
        }
        for sign in [&b"?\r"[..], b" ?", b"\t!", b"+ ", b" x", b"\x0c ", b" & "] {
            assert!(matches!(Token::read(sign), Token::Meaningless), "{sign:?}");
        }
        for literal in [&b"??"[..], b"!x", b"=secret", b" ??"] {
            assert!(matches!(Token::read(literal), Token::Clear(_)));
        }
        assert!(!Token::read(b"").is_usable());
    }

    #[test]
    fn nothing_stored_is_printed() {
        assert_eq!(format!("{:?} {:?}", Token::read(b"hunter2"), Token::read(MD5.as_bytes())), "Clear Digest");
    }
}
