//! The scenarios: what is asked, under which policy, of which accounts, and what comes of it.

use cvm_tests::Settings;
use cvm_tests::station::TABLE;

/// What a server is started with.
pub(super) struct Setup {
    pub(super) name: &'static str,
    /// The settings beside the path of the accounts.
    pub(super) policy: Settings<'static>,
    pub(super) accounts: &'static str,
}

/// One request and what comes of it, from everybody who serves.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) setup: &'static Setup,
    pub(super) request: &'static [u8],
    pub(super) response: &'static [u8],
    /// The line of the log, where there is one.
    pub(super) line: &'static str,
    pub(super) original: Original,
}

/// What comes of it from the original, which differs on purpose or by mistake.
#[derive(Clone, Copy)]
pub(super) enum Original {
    Same,
    /// Another response, or another line.
    Differs(&'static [u8], &'static str),
    /// The same response, and a line with what is left in its memory of other requests.
    LogsLeftovers,
    /// It is not asked: it crashes, or its answer depends on earlier requests.
    NotAsked,
}

static PLAIN: Setup = Setup { name: "plain", policy: &[], accounts: TABLE };

static CRYPT: Setup = Setup {
    name: "crypt",
    policy: &[("CVM_PWFILE_PWCMP", "crypt")],
    accounts: "alice:$1$ab$dslkcXxVH.x8LwW1W/oAB/:1001:1002:Alice Rig:/home/alice:/bin/sh\nlocked:!:1:1::/:\n",
};

static LOOKUP: Setup = Setup { name: "lookup", policy: &[("CVM_LOOKUP_SECRET", "sesame")], accounts: TABLE };

static OPEN: Setup = Setup { name: "open", policy: &[("CVM_LOOKUP_SECRET", "")], accounts: TABLE };

/// A file that is not there.
static GONE: Setup = Setup { name: "gone", policy: &[("CVM_PWFILE_PATH", "/nowhere/passwd")], accounts: TABLE };

/// The right password in so many bytes, filled up with two items of local use.
const fn filled<const LENGTH: usize>() -> [u8; LENGTH] {
    let begin = b"\x02\x01T\x01\x05alice\x03\x06secret\xc8\xff";
    let (mut packet, mut at, second) = ([b'x'; LENGTH], 0, begin.len() + 255);
    while at < begin.len() {
        packet[at] = begin[at];
        at += 1;
    }
    packet[second] = 0xc8;
    #[expect(clippy::cast_possible_truncation, reason = "it is less than a packet has")]
    let rest = (LENGTH - second - 3) as u8;
    packet[second + 1] = rest;
    packet[LENGTH - 1] = 0;
    packet
}

static LONGEST: [u8; 512] = filled();
static TOO_LONG: [u8; 513] = filled();

const ALICE: &[u8] =
    b"\0\x01T\x01\x05alice\x02\x041001\x03\x041002\x04\x09Alice Rig\x05\x0b/home/alice\x06\x07/bin/sh\0";

const fn scenario(
    setup: &'static Setup,
    name: &'static str,
    request: &'static [u8],
    response: &'static [u8],
    line: &'static str,
) -> Scenario {
    Scenario { name, setup, request, response, line, original: Original::Same }
}

impl Scenario {
    const fn but_original(self, original: Original) -> Self {
        Self { original, ..self }
    }
}

use Original::{Differs, LogsLeftovers, NotAsked};

pub(super) static SCENARIOS: &[Scenario] = &[
    scenario(&PLAIN, "the right password", b"\x02\x01T\x01\x05alice\x03\x06secret\0", ALICE, "+ alice"),
    scenario(
        &PLAIN,
        "in version 1",
        b"\x01alice\0\0secret\0\0",
        b"\0\x01alice\0\x021001\0\x031002\0\x04Alice Rig\0\x05/home/alice\0\x06/bin/sh\0\0",
        "+ alice",
    ),
    scenario(&PLAIN, "with a domain", b"\x02\x01T\x01\x05alice\x02\x06ex.com\x03\x06secret\0", ALICE, "+ alice@ex.com"),
    scenario(&PLAIN, "with an empty domain", b"\x02\x01T\x01\x05alice\x02\0\x03\x06secret\0", ALICE, "+ alice"),
    scenario(&PLAIN, "a name in capitals", b"\x02\x01T\x01\x05ALICE\x03\x06secret\0", ALICE, "+ ALICE"),
    scenario(&PLAIN, "with an item of local use", b"\x02\x01T\x01\x05alice\xc8\x01x\x03\x06secret\0", ALICE, "+ alice"),
    scenario(
        &PLAIN,
        "without a tag",
        b"\x02\0\x01\x04bare\x03\x02pw\0",
        b"\0\0\x01\x04bare\x02\x017\x03\x018\x04\0\x05\0\x06\0\0",
        "+ bare",
    ),
    scenario(&PLAIN, "the longest request", &LONGEST, ALICE, "+ alice"),
    scenario(&PLAIN, "a byte more", &TOO_LONG, b"\x02\x01T\0", "? ").but_original(LogsLeftovers),
    scenario(&PLAIN, "a wrong password", b"\x02\x01T\x01\x05alice\x03\x05wrong\0", b"\x64\x01T\0", "- alice"),
    scenario(&PLAIN, "a wrong password in version 1", b"\x01alice\0ex.com\0wrong\0\0", b"\x64\0", "- alice@ex.com"),
    scenario(&PLAIN, "nobody", b"\x02\x01T\x01\x07mallory\x03\x06secret\0", b"\x64\x01T\0", "- mallory"),
    scenario(&PLAIN, "an account without a password", b"\x02\x01T\x01\x05empty\x03\x01x\0", b"\x64\x01T\0", "- empty"),
    scenario(&PLAIN, "no password", b"\x02\x01T\x01\x05alice\0", b"\x07\x01T\0", "? alice"),
    scenario(&PLAIN, "an empty password", b"\x02\x01T\x01\x05alice\x03\0\0", b"\x07\x01T\0", "? alice"),
    scenario(&PLAIN, "no account", b"\x02\x01T\x03\x06secret\0", b"\x07\x01T\0", "? ").but_original(NotAsked),
    scenario(&PLAIN, "nobody without a password", b"\x02\x01T\x01\x07mallory\0", b"\x07\x01T\0", "? mallory")
        .but_original(Differs(b"\x64\x01T\0", "- mallory")),
    scenario(&PLAIN, "an unknown version", b"\x03\x01T\x01", b"\x02\0", "? "),
    scenario(&PLAIN, "an item that runs past the end", b"\x02\x01T\x01\x09alice\0", b"\x02\x01T\0", "? ")
        .but_original(LogsLeftovers),
    scenario(&PLAIN, "nothing behind the version", b"\x02", b"\x02\0\0", "? ").but_original(NotAsked),
    scenario(&PLAIN, "bytes behind the end", b"\x02\x01T\x01\x05alice\x03\x06secret\0x", b"\x02\x01T\0", "? ")
        .but_original(Differs(ALICE, "+ alice")),
    scenario(&PLAIN, "a password twice", b"\x02\x01T\x01\x05alice\x03\x01x\x03\x06secret\0", b"\x02\x01T\0", "? ")
        .but_original(Differs(ALICE, "+ alice")),
    scenario(
        &PLAIN,
        "a name that would forge a line",
        b"\x02\x01T\x01\x03a\n+\x03\x01x\0",
        b"\x64\x01T\0",
        r"- a\x0a+",
    )
    .but_original(Differs(b"\x64\x01T\0", "- a")),
    scenario(
        &PLAIN,
        "a challenge and its response",
        b"\x02\x01T\x01\x05alice\x05\x05<1@x>\x06\x2037257aa37904a2ac86c6572e6528a18c\x07\x04APOP\0",
        ALICE,
        "+ alice",
    )
    .but_original(Differs(b"\x07\x01T\0", "? alice")),
    scenario(&CRYPT, "the right password", b"\x02\x01T\x01\x05alice\x03\x06secret\0", ALICE, "+ alice"),
    scenario(
        &CRYPT,
        "a wrong password",
        b"\x02\x01T\x01\x05alice\x02\x01d\x03\x05wrong\0",
        b"\x64\x01T\0",
        "- alice@d",
    ),
    scenario(&CRYPT, "nobody", b"\x02\x01T\x01\x07mallory\x03\x06secret\0", b"\x64\x01T\0", "- mallory"),
    scenario(&CRYPT, "a locked account", b"\x02\x01T\x01\x06locked\x03\x01!\0", b"\x64\x01T\0", "- locked"),
    scenario(&GONE, "the right password", b"\x02\x01T\x01\x05alice\x03\x06secret\0", b"\x04\x01T\0", "? alice"),
    scenario(&GONE, "in version 1", b"\x01alice\0d\0secret\0\0", b"\x04\0", "? alice@d"),
    scenario(&GONE, "no request", b"\x03", b"\x02\0", "? ").but_original(LogsLeftovers),
    scenario(&LOOKUP, "the right secret", b"\x02\x01T\x01\x05alice\x04\x06sesame\0", ALICE, "+ alice"),
    scenario(&LOOKUP, "the right secret in version 1", b"\x01mallory\0\0sesame\0\0", b"\x64\0", "- mallory"),
    scenario(&LOOKUP, "a wrong secret", b"\x02\x01T\x01\x05alice\x04\x05wrong\0", b"\x07\x01T\0", "? alice"),
    scenario(
        &LOOKUP,
        "a password in place of the secret",
        b"\x02\x01T\x01\x05alice\x03\x06sesame\0",
        b"\x07\x01T\0",
        "? alice",
    ),
    scenario(&LOOKUP, "nobody", b"\x02\x01T\x01\x07mallory\x04\x06sesame\0", b"\x64\x01T\0", "- mallory"),
    scenario(&OPEN, "no secret", b"\x02\x01T\x01\x05alice\0", ALICE, "+ alice"),
    scenario(&OPEN, "a secret that nobody asked for", b"\x02\x01T\x01\x05alice\x04\x01x\0", ALICE, "+ alice"),
    scenario(&OPEN, "nobody", b"\x02\x01T\x01\x07mallory\x02\x01d\0", b"\x64\x01T\0", "- mallory@d"),
];
