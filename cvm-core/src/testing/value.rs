//! Requests and responses as plain values.
//!
//! Their `packet` functions are written straight from SPEC section 2 and share nothing with the codec.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::credential::CredentialType;
use crate::fact::FactType;
use crate::wire::{PACKET_MAX, VALUE_MAX};
use crate::{Code, Credential, SecretRef};

/// A version 1 request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V1Request {
    /// The account, without NUL.
    pub account: Vec<u8>,
    /// The domain, without NUL.
    pub domain: Vec<u8>,
    /// None, one or two strings without NUL.
    pub credentials: Vec<Vec<u8>>,
}

impl V1Request {
    /// Cuts from the strings what a packet cannot hold: NULs, a third credential, what goes beyond 512 bytes.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        self.credentials.truncate(2);
        let mut room = PACKET_MAX - 4 - self.credentials.len();
        for string in [&mut self.account, &mut self.domain].into_iter().chain(&mut self.credentials) {
            string.retain(|&byte| byte != 0);
            string.truncate(room);
            room -= string.len();
        }
        self
    }

    /// Lays the request out: every string ends with NUL, and so does the list.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = vec![1];
        for string in [&self.account, &self.domain].into_iter().chain(&self.credentials) {
            packet.extend(string);
            packet.push(0);
        }
        packet.push(0);
        packet
    }

    /// Lends the credentials as the codec takes them.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretRef<'_>> {
        self.credentials.iter().map(|value| SecretRef::new(value)).collect()
    }
}

impl<'a> Arbitrary<'a> for V1Request {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (account, domain) = (string(u)?, string(u)?);
        let credentials = (0..u.int_in_range(0..=2)?).map(|_| string(u)).collect::<Result<_>>()?;
        Ok(Self { account, domain, credentials }.fitted())
    }
}

/// A version 2 request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2Request {
    /// Up to 255 random bytes.
    pub tag: Vec<u8>,
    /// Types and values, in order.
    pub credentials: Vec<(CredentialType, Vec<u8>)>,
}

impl V2Request {
    /// Drops what a packet cannot hold: repeated credentials, and what goes beyond 255 and 512 bytes.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        self.tag.truncate(VALUE_MAX);
        let mut room = PACKET_MAX - 3 - self.tag.len();
        let mut seen = Vec::new();
        self.credentials.retain_mut(|(kind, value)| {
            value.truncate(VALUE_MAX);
            let fits = value.len() + 2 <= room && (kind.number() >= 128 || !seen.contains(kind));
            if fits {
                room -= value.len() + 2;
                seen.push(*kind);
            }
            fits
        });
        self
    }

    /// Adds credentials for local use until the packet has 512 bytes, or 511 where one byte is left.
    #[must_use]
    pub fn filled(mut self) -> Self {
        loop {
            let room = PACKET_MAX - self.packet().len();
            if room < 2 {
                return self;
            }
            let filler = CredentialType::new(200).expect("200 is a type");
            self.credentials.push((filler, vec![b'x'; (room - 2).min(VALUE_MAX)]));
        }
    }

    /// Lays the request out: the tag and every value behind its length, a NUL at the end.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = vec![2, length(&self.tag)];
        packet.extend(&self.tag);
        for (kind, value) in &self.credentials {
            packet.extend([kind.number(), length(value)]);
            packet.extend(value);
        }
        packet.push(0);
        packet
    }

    /// Lends the credentials as the codec takes them.
    pub fn secrets(&self) -> impl Iterator<Item = Credential<'_>> {
        self.credentials.iter().map(|(kind, value)| Credential { kind: *kind, value: SecretRef::new(value) })
    }
}

impl<'a> Arbitrary<'a> for V2Request {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let tag = string(u)?;
        let typed = items(u)?.into_iter().filter_map(|(number, value)| Some((CredentialType::new(number)?, value)));
        Ok(Self { tag, credentials: typed.collect() }.fitted())
    }
}

/// A response: a code and facts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The result.
    pub code: Code,
    /// Types and values.
    pub facts: Vec<(FactType, Vec<u8>)>,
}

impl Response {
    /// Lays the response out for a version 1 request.
    #[must_use]
    pub fn v1_packet(&self) -> Vec<u8> {
        let mut packet = vec![self.code.byte()];
        for (kind, value) in &self.facts {
            packet.push(kind.number());
            packet.extend(value);
            packet.push(0);
        }
        packet.push(0);
        packet
    }

    /// Lays the response out for a version 2 request with this tag.
    #[must_use]
    pub fn v2_packet(&self, tag: &[u8]) -> Vec<u8> {
        let mut packet = vec![self.code.byte(), length(tag)];
        packet.extend(tag);
        for (kind, value) in &self.facts {
            packet.extend([kind.number(), length(value)]);
            packet.extend(value);
        }
        packet.push(0);
        packet
    }

    /// Tells whether version 1 can carry every fact.
    #[must_use]
    pub fn fits_v1(&self) -> bool {
        let whole = self.facts.iter().all(|(_, value)| !value.contains(&0));
        whole && self.belongs() && self.v1_packet().len() <= PACKET_MAX
    }

    /// Tells whether version 2 can carry every fact behind this tag.
    #[must_use]
    pub fn fits_v2(&self, tag: &[u8]) -> bool {
        let short = self.facts.iter().all(|(_, value)| value.len() <= VALUE_MAX);
        short && self.belongs() && self.v2_packet(tag).len() <= PACKET_MAX
    }

    /// Tells whether a success may hold these facts: all but the scope.
    fn belongs(&self) -> bool {
        self.facts.iter().all(|(kind, _)| *kind != FactType::OUT_OF_SCOPE)
    }
}

/// Facts of a success: some, with numbers where they belong, and all required ones behind them.
impl<'a> Arbitrary<'a> for Response {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let more = items(u)?.into_iter().filter_map(|(number, value)| Some((FactType::new(number)?, value)));
        let required = FactType::REQUIRED.map(|kind| (kind, Vec::new()));
        let facts =
            more.chain(required).map(|(kind, value)| (kind, if kind.is_integer() { number(&value) } else { value }));
        Ok(Self { code: Code::SUCCESS, facts: facts.collect() })
    }
}

/// Takes a string behind its length, which reaches beyond what version 2 can carry.
pub(super) fn string(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = match usize::from(u.arbitrary::<u8>()?) {
        long @ 240.. => long + 15,
        short => short,
    };
    Ok(u.bytes(length.min(u.len()))?.to_vec())
}

/// Takes up to seven types with values.
fn items(u: &mut Unstructured<'_>) -> Result<Vec<(u8, Vec<u8>)>> {
    (0..u.int_in_range(0..=7)?).map(|_| Ok((u.arbitrary()?, string(u)?))).collect()
}

/// Makes a number of any bytes.
fn number(bytes: &[u8]) -> Vec<u8> {
    let number = bytes.iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    number.to_string().into_bytes()
}

/// The length byte of a string; of one that is too long to be sent, 255.
fn length(value: &[u8]) -> u8 {
    u8::try_from(value.len()).unwrap_or(u8::MAX)
}
