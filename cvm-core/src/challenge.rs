//! Challenge-response mechanisms: CRAM-MD5 (RFC 2195) and APOP (RFC 1939), computed from the plain-text password.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::checkpassword::Record;
use crate::credential::CredentialType;
use crate::hex;
use crate::secret::SecretRef;
use crate::wire::{Envelope, Request};

/// A mechanism that turns a challenge and a password into a response of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// HMAC-MD5 keyed with the password over the challenge (RFC 2195 section 2).
    CramMd5,
    /// MD5 of the challenge followed by the password (RFC 1939 section 7).
    Apop,
}

impl Mechanism {
    /// Finds a mechanism by its name, whatever the case of its letters.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"CRAM-MD5") {
            Some(Self::CramMd5)
        } else if name.eq_ignore_ascii_case(b"APOP") {
            Some(Self::Apop)
        } else {
            None
        }
    }

    /// Computes the response to a challenge.
    ///
    /// ```
    /// use cvm_core::challenge::Mechanism;
    ///
    /// let digest = Mechanism::Apop.response(b"<1896.697170952@dbc.mtview.ca.us>", b"tanstaaf");
    /// assert_eq!(digest[..4], [0xc4, 0xc9, 0x33, 0x4b]);
    /// ```
    #[must_use]
    pub fn response(self, challenge: &[u8], password: &[u8]) -> [u8; 16] {
        match self {
            Self::CramMd5 => hmac_md5(password, challenge),
            Self::Apop => Md5::new().chain_update(challenge).chain_update(password).finalize().into(),
        }
    }
}

/// HMAC takes keys of every length, so the error of the interface cannot occur; if it did, nothing would match.
fn hmac_md5(key: &[u8], text: &[u8]) -> [u8; 16] {
    Hmac::<Md5>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().into())
        .unwrap_or_default()
}

/// A challenge and what the client says to it: all that a request needs to prove itself without a password.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeResponse<'p> {
    challenge: &'p [u8],
    response: SecretRef<'p>,
    /// `None`: version 1 and records of checkpassword do not say, so either is right.
    mechanism: Option<Mechanism>,
}

impl<'p> ChallengeResponse<'p> {
    /// Takes the challenge-response of a request: `None` if it is not complete or its mechanism is unknown.
    #[must_use]
    pub fn of(request: &Request<'p>) -> Option<Self> {
        let challenge = request.value(CredentialType::CHALLENGE)?;
        let response = request.value(CredentialType::RESPONSE)?;
        if challenge.is_empty() || response.is_empty() {
            return None;
        }
        let mechanism = match (request.value(CredentialType::RESPONSE_TYPE), request.envelope()) {
            (Some(name), _) => Some(Mechanism::from_name(name)?),
            (None, Envelope::V1) => None,
            (None, Envelope::V2 { .. }) => return None,
        };
        Some(Self { challenge, response: SecretRef::new(response), mechanism })
    }

    /// Takes the response that a record of checkpassword may hold: `None` if it has no challenge, or what it has beside
    /// it is no digest in hexadecimal. Nothing there tells the mechanism, so either is right.
    #[must_use]
    pub fn of_record(record: &Record<'p>) -> Option<Self> {
        let (challenge, response) = record.apop()?;
        Some(Self { challenge, response, mechanism: None })
    }

    /// Tells whether the response is the right one for this password.
    ///
    /// The response is 16 raw bytes, or 32 hexadecimal digits of either case; anything else is wrong, but for the raw
    /// bytes that clients with the original's SASL library send.
    #[must_use]
    pub fn is_right(&self, password: &[u8]) -> bool {
        let both = [Mechanism::CramMd5, Mechanism::Apop];
        let mechanisms = self.mechanism.as_ref().map_or(both.as_slice(), core::slice::from_ref);
        let given = digest(self.response.expose()).map(Zeroizing::new);
        mechanisms.iter().fold(false, |right, mechanism| {
            let expected = Zeroizing::new(mechanism.response(self.challenge, password));
            let shifted = Zeroizing::new(shifted(*expected));
            let is = |digest: &[u8; 16]| given.as_ref().is_some_and(|given| SecretRef::new(&**given).equals(digest));
            right | is(&expected) | (is(&shifted) & self.may_be_shifted())
        })
    }

    fn may_be_shifted(&self) -> bool {
        self.mechanism == Some(Mechanism::CramMd5) && self.response.expose().len() == 16
    }
}

/// Does to a digest what the original's SASL library, and mailfront with it, does to that of CRAM-MD5: it reads the
/// digits from the blank before them on, which it takes for the digit f, so that the last one is lost.
///
/// 124 bits are right in such a response, and no front end with that library could log anybody in without it.
const fn shifted(digest: [u8; 16]) -> [u8; 16] {
    let lost_one = u128::from_be_bytes(digest).wrapping_shr(4);
    (lost_one | 0xf_u128.wrapping_shl(124)).to_be_bytes()
}

fn digest(response: &[u8]) -> Option<[u8; 16]> {
    response.try_into().ok().or_else(|| hex::decode(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: [u8; 16]) -> String {
        String::from_utf8(hex::encode(&digest)).unwrap()
    }

    #[test]
    fn vectors_of_the_rfcs() {
        let cram = Mechanism::CramMd5.response(b"<1896.697170952@postoffice.reston.mci.net>", b"tanstaaftanstaaf");
        assert_eq!(hex(cram), "b913a602c7eda7a495b4e6e7334d3890");
        let apop = Mechanism::Apop.response(b"<1896.697170952@dbc.mtview.ca.us>", b"tanstaaf");
        assert_eq!(hex(apop), "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        let long = [b'k'; 100];
        let short: [u8; 16] = Md5::digest(long).into();
        assert_eq!(Mechanism::CramMd5.response(b"c", &long), Mechanism::CramMd5.response(b"c", &short));
    }

    #[test]
    fn names_are_matched_whatever_their_case() {
        assert_eq!(Mechanism::from_name(b"cram-MD5"), Some(Mechanism::CramMd5));
        assert_eq!(Mechanism::from_name(b"aPOP"), Some(Mechanism::Apop));
        assert_eq!(Mechanism::from_name(b"SCRAM-SHA-1"), None);
        assert_eq!(Mechanism::from_name(b""), None);
    }

    fn check(mechanism: Option<Mechanism>, response: &[u8]) -> bool {
        let response = SecretRef::new(response);
        ChallengeResponse { challenge: b"<1@x>", response, mechanism }.is_right(b"secret")
    }

    #[test]
    fn responses_are_raw_or_hexadecimal_and_of_the_stated_mechanism() {
        for mechanism in [Mechanism::CramMd5, Mechanism::Apop] {
            let raw = mechanism.response(b"<1@x>", b"secret");
            let other = if mechanism == Mechanism::Apop { Mechanism::CramMd5 } else { Mechanism::Apop };
            for form in [raw.to_vec(), hex(raw).into_bytes(), hex(raw).to_uppercase().into_bytes()] {
                assert!(check(Some(mechanism), &form));
                assert!(check(None, &form));
                assert!(!check(Some(other), &form));
            }
        }
    }

    /// What mailfront 2.12 with libcvm 0.97 sent for a digest of 0c2a819478db94419d517b90d0ba0456.
    #[test]
    fn a_digest_is_shifted_as_the_original_does() {
        let digest = hex::decode(b"0c2a819478db94419d517b90d0ba0456").unwrap();
        assert_eq!(hex(shifted(digest)), "f0c2a819478db94419d517b90d0ba045");
    }

    #[test]
    fn a_shifted_response_is_right_where_the_original_sends_one() {
        let raw = Mechanism::CramMd5.response(b"<1@x>", b"secret");
        assert!(check(Some(Mechanism::CramMd5), &shifted(raw)));
        assert!(!check(Some(Mechanism::CramMd5), hex(shifted(raw)).as_bytes()));
        assert!(!check(None, &shifted(raw)));
        let apop = Mechanism::Apop.response(b"<1@x>", b"secret");
        assert!(!check(Some(Mechanism::Apop), &shifted(apop)));
        for bit in 0..128 {
            let mut changed = shifted(raw);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(Some(Mechanism::CramMd5), &changed), "{bit}");
        }
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_wrong() {
        let raw = Mechanism::Apop.response(b"<1@x>", b"secret");
        let text = hex(raw);
        for bit in 0..128 {
            let mut changed = raw;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(None, &changed));
        }
        for length in (0..32).filter(|length| *length != 16) {
            assert!(!check(None, &text.as_bytes()[..length]), "{length}");
        }
        assert!(!check(None, format!("{text}0").as_bytes()));
        assert!(!check(None, format!("{}g", &text[..31]).as_bytes()));
    }

    fn claim(packet: &[u8]) -> Option<ChallengeResponse<'_>> {
        let request = Request::decode(packet, CredentialType::PASSWORD).unwrap();
        ChallengeResponse::of(&request)
    }

    #[test]
    fn v1_accepts_the_response_of_either_mechanism() {
        for mechanism in [Mechanism::CramMd5, Mechanism::Apop] {
            let response = hex(mechanism.response(b"<1@x>", b"secret"));
            let packet = format!("\x01a\0\0<1@x>\0{response}\0\0");
            let claim = claim(packet.as_bytes()).unwrap();
            assert!(claim.is_right(b"secret"));
            assert!(!claim.is_right(b"Secret"));
        }
    }

    #[test]
    fn v2_names_its_mechanism_and_only_that_one_is_right() {
        let response = hex(Mechanism::Apop.response(b"c", b"secret"));
        let apop = format!("\x02\0\x05\x01c\x06\x20{response}\x07\x04apop\0");
        assert!(claim(apop.as_bytes()).unwrap().is_right(b"secret"));
        let cram = format!("\x02\0\x05\x01c\x06\x20{response}\x07\x08CRAM-MD5\0");
        assert!(!claim(cram.as_bytes()).unwrap().is_right(b"secret"));
    }

    #[test]
    fn a_record_holds_the_response_of_either_mechanism_to_a_challenge_that_is_not_empty() {
        let is_right = |bytes: &[u8]| {
            let record = Record::parse(bytes).unwrap();
            ChallengeResponse::of_record(&record).map(|response| response.is_right(b"secret"))
        };
        for mechanism in [Mechanism::CramMd5, Mechanism::Apop] {
            let response = hex(mechanism.response(b"<1@x>", b"secret"));
            for end in ["", "\0", "\0more\0"] {
                assert_eq!(is_right(format!("a\0{response}\0<1@x>{end}").as_bytes()), Some(true));
            }
            assert_eq!(is_right(format!("a\0{response}\0<2@x>\0").as_bytes()), Some(false));
            let to_nothing = hex(mechanism.response(b"", b"secret"));
            assert_eq!(is_right(format!("a\0{to_nothing}\0\0").as_bytes()), None);
            assert_eq!(is_right(format!("a\0{to_nothing}\0").as_bytes()), None);
        }
        // Raw bytes may hold a NUL, so that no record has them.
        assert_eq!(is_right(b"a\x000123456789abcdef\0<1@x>\0"), None);
    }

    #[test]
    fn an_unknown_or_missing_mechanism_is_no_challenge_response_in_v2() {
        assert!(claim(b"\x02\0\x05\x01c\x06\x01r\x07\x01x\0").is_none());
        assert!(claim(b"\x02\0\x05\x01c\x06\x01r\x07\0\0").is_none());
        assert!(claim(b"\x02\0\x05\x01c\x06\x01r\0").is_none());
    }

    #[test]
    fn a_challenge_or_response_that_is_missing_or_empty_makes_it_incomplete() {
        for packet in [
            b"\x02\0\x06\x01r\x07\x04APOP\0".as_slice(),
            b"\x02\0\x05\x01c\x07\x04APOP\0",
            b"\x02\0\x05\0\x06\x01r\x07\x04APOP\0",
            b"\x02\0\x05\x01c\x06\0\x07\x04APOP\0",
            b"\x01a\0\0\0r\0\0",
            b"\x01a\0\0c\0\0\0",
            b"\x01a\0\0p\0\0",
            b"\x01a\0\0\0",
        ] {
            assert!(claim(packet).is_none(), "{}", packet.escape_ascii());
        }
    }
}
