//! Responses: written by a server, read by a client.

use bytes::Bytes;

use super::reader::Reader;
use super::request::{Envelope, MalformedKind};
use super::{Full, PACKET_MAX, Packet, VALUE_MAX, v1, v2};
use crate::code::Code;
use crate::fact::{FactType, Scope, StandardFacts, parse_integer};

/// Writes the facts of a success into the response.
///
/// A fact that does not fit makes the whole response code 3 without facts, so no method here can fail.
#[derive(Debug)]
pub struct FactWriter<'a> {
    out: &'a mut Packet,
    version_1: bool,
    fits: bool,
    /// A bit for each of the types below 64 that was written.
    written: u64,
}

impl FactWriter<'_> {
    /// Writes the standard facts in their order, all required ones among them.
    ///
    /// Facts of the module's own (supplementary groups) go before them.
    pub fn standard(&mut self, facts: &StandardFacts<'_>) {
        self.string(FactType::USERNAME, facts.username);
        self.integer(FactType::USERID, facts.userid);
        self.integer(FactType::GROUPID, facts.groupid);
        self.optional(FactType::REALNAME, facts.realname);
        self.string(FactType::DIRECTORY, facts.directory);
        self.optional(FactType::SHELL, facts.shell);
        self.optional(FactType::GROUPNAME, facts.groupname);
        self.optional(FactType::SYS_USERNAME, facts.sys_username);
        self.optional(FactType::SYS_DIRECTORY, facts.sys_directory);
        self.optional(FactType::DOMAIN, facts.domain);
        self.optional(FactType::MAILBOX, facts.mailbox);
    }

    /// Writes one fact as it is, an empty one too.
    ///
    /// A number must be one, and the scope belongs to a refusal: anything else makes the response code 3.
    pub fn string(&mut self, kind: FactType, value: &[u8]) {
        let belongs = kind != FactType::OUT_OF_SCOPE && (!kind.is_integer() || parse_integer(value).is_some());
        self.fits = self.fits && belongs && self.put(kind, value).is_ok();
    }

    /// Writes one number.
    pub fn integer(&mut self, kind: FactType, value: u64) {
        let mut digits = [0; 20];
        self.string(kind, decimal(value, &mut digits));
    }

    /// Tells whether what was written makes a response: for a module that does something once that is certain.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let complete = FactType::REQUIRED.iter().all(|&kind| self.written & bit(kind) != 0);
        self.fits && complete && self.out.len() < PACKET_MAX
    }

    fn optional(&mut self, kind: FactType, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.string(kind, value);
        }
    }

    fn put(&mut self, kind: FactType, value: &[u8]) -> Result<(), Full> {
        if self.version_1 {
            if value.contains(&0) {
                return Err(Full);
            }
            self.out.extend(&[kind.number()])?;
            self.out.extend(value)?;
            self.out.extend(&[0])?;
        } else {
            let length = u8::try_from(value.len()).map_err(|_| Full)?;
            self.out.extend(&[kind.number(), length])?;
            self.out.extend(value)?;
        }
        self.written |= bit(kind);
        Ok(())
    }

    fn finish(self) -> bool {
        self.is_complete() && self.out.extend(&[0]).is_ok()
    }
}

fn bit(kind: FactType) -> u64 {
    1_u64.checked_shl(u32::from(kind.number())).unwrap_or(0)
}

/// Writes a success whose facts `write` gives, or code 3 if they do not make a response.
///
/// An error of `write` leaves `out` for the caller to fill with a refusal.
pub(crate) fn success<E>(
    envelope: Envelope<'_>,
    out: &mut Packet,
    write: impl FnOnce(&mut FactWriter<'_>) -> Result<(), E>,
) -> Result<Code, E> {
    begin(envelope, Code::SUCCESS, out);
    let mut facts = FactWriter { out, version_1: envelope == Envelope::V1, fits: true, written: 0 };
    write(&mut facts)?;
    if facts.finish() {
        return Ok(Code::SUCCESS);
    }
    refusal(envelope, Code::BAD_MODULE_DATA, None, out);
    Ok(Code::BAD_MODULE_DATA)
}

/// Writes a response without facts, except for the scope of a code 100.
pub(crate) fn refusal(envelope: Envelope<'_>, code: Code, scope: Option<Scope>, out: &mut Packet) {
    begin(envelope, code, out);
    let mut facts = FactWriter { out, version_1: envelope == Envelope::V1, fits: true, written: 0 };
    let value: Option<&[u8]> = scope.map(|scope| match scope {
        Scope::In => b"0".as_slice(),
        Scope::Out => b"1",
    });
    let scope_fits = value.is_none_or(|value| facts.put(FactType::OUT_OF_SCOPE, value).is_ok());
    let fits = scope_fits && out.extend(&[0]).is_ok();
    debug_assert!(fits, "a tag of 255 bytes leaves room for a refusal");
}

fn begin(envelope: Envelope<'_>, code: Code, out: &mut Packet) {
    out.clear();
    let written = match envelope {
        Envelope::V1 => out.extend(&[code.byte()]),
        Envelope::V2 { tag } => {
            let length = u8::try_from(tag.len()).unwrap_or(u8::MAX);
            let tag = tag.get(..usize::from(length)).unwrap_or_default();
            out.extend(&[code.byte(), length]).and_then(|()| out.extend(tag))
        }
    };
    debug_assert!(written.is_ok(), "code and tag always fit into an empty packet");
}

/// Writes `value` in decimal into the end of `digits`, which is long enough for every number.
fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        start = index;
        if value == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// One fact of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Which fact it is.
    pub kind: FactType,
    /// Its bytes, a part of the packet.
    pub value: Bytes,
}

/// The facts of a response in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<Fact>);

impl Facts {
    pub(super) fn push(&mut self, fact: Fact) {
        self.0.push(fact);
    }

    /// Returns the first fact of this type.
    #[must_use]
    pub fn get(&self, kind: FactType) -> Option<&[u8]> {
        self.all(kind).next()
    }

    /// Returns the first fact of this type as a number.
    #[must_use]
    pub fn integer(&self, kind: FactType) -> Option<u64> {
        self.get(kind).and_then(parse_integer)
    }

    /// Returns all facts of this type.
    pub fn all(&self, kind: FactType) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |fact| fact.kind == kind).map(|fact| fact.value.as_ref())
    }

    /// Returns all facts.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter()
    }

    /// Every integer is one, and a success has what it must have.
    fn are_complete(&self, code: Code) -> bool {
        let integers = self.0.iter().filter(|fact| fact.kind.is_integer());
        integers.into_iter().all(|fact| parse_integer(&fact.value).is_some())
            && (!code.is_success() || FactType::REQUIRED.iter().all(|&kind| self.get(kind).is_some()))
    }
}

/// A response that a client has accepted as the answer to its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The result.
    pub code: Code,
    /// The facts, complete on a success.
    pub facts: Facts,
}

impl Reply {
    /// Makes the reply that stands for a failure on the way.
    #[must_use]
    pub fn failure(code: Code) -> Self {
        Self { code, facts: Facts::default() }
    }

    /// Returns the scope that a code 100 came with.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let number = self.facts.integer(FactType::OUT_OF_SCOPE).filter(|_| self.code.is_rejected())?;
        Some(if number == 0 { Scope::In } else { Scope::Out })
    }
}

/// Why a packet is not a usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The tag is another one: not an answer to this request.
    #[error("the response has another tag")]
    OtherTag,
    /// The packet is not what the protocol says.
    #[error("the response is malformed: {0}")]
    Malformed(MalformedKind),
    /// A success lacks a required fact, or an integer is none.
    #[error("the response lacks a fact, or has a number that is none")]
    Facts,
}

impl ReplyError {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::BAD_MODULE_DATA
    }
}

impl From<MalformedKind> for ReplyError {
    fn from(kind: MalformedKind) -> Self {
        Self::Malformed(kind)
    }
}

/// Reads a response to a request with this envelope.
///
/// `status` is the exit status of a command, which is the code whatever the first byte says.
pub(crate) fn decode_reply(expected: Envelope<'_>, packet: &Bytes, status: Option<Code>) -> Result<Reply, ReplyError> {
    let mut reader = Reader::new(packet);
    let first = reader.byte();
    // What is too short to hold the tag does not have the right one.
    if let Envelope::V2 { .. } = expected
        && v2::envelope(&mut reader) != Ok(expected)
    {
        return Err(ReplyError::OtherTag);
    }
    let code = status.unwrap_or(Code::new(first.map_err(|_| MalformedKind::Empty)?));
    if packet.len() > PACKET_MAX {
        return Err(MalformedKind::TooLong.into());
    }
    let facts = match expected {
        Envelope::V1 => v1::parse_facts(reader, packet)?,
        Envelope::V2 { .. } => v2::parse_facts(reader, packet)?,
    };
    if facts.are_complete(code) { Ok(Reply { code, facts }) } else { Err(ReplyError::Facts) }
}

const _: () = assert!(2 + VALUE_MAX + 3 < PACKET_MAX, "a refusal fits behind every tag");

#[cfg(test)]
mod tests;
