//! Challenge-response against plain-text passwords: CRAM-MD5 and APOP, with the examples of their RFCs.

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::packet::{self, ACCOUNT, CHALLENGE, Items, PASSWORD, RESPONSE, RESPONSE_TYPE, unhex};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

/// RFC 2195, section 2.
const CRAM: Example = Example {
    account: b"tim",
    challenge: b"<1896.697170952@postoffice.reston.mci.net>",
    response: "b913a602c7eda7a495b4e6e7334d3890",
};

/// RFC 1939, section 7.
const APOP: Example = Example {
    account: b"mrose",
    challenge: b"<1896.697170952@dbc.mtview.ca.us>",
    response: "c4c9334bac560ecc979e58001b3e22fb",
};

const TABLE: &str = "\
tim:tanstaaftanstaaf:1:2:Tim:/home/tim:/bin/sh
mrose:tanstaaf:1:2:Mrose:/home/mrose:/bin/sh
empty::1:2:Empty:/home/empty:/bin/sh
";

const TIM: Items<'static> = &[(1, b"tim"), (2, b"1"), (3, b"2"), (4, b"Tim"), (5, b"/home/tim"), (6, b"/bin/sh")];
const MROSE: Items<'static> =
    &[(1, b"mrose"), (2, b"1"), (3, b"2"), (4, b"Mrose"), (5, b"/home/mrose"), (6, b"/bin/sh")];

struct Example {
    account: &'static [u8],
    challenge: &'static [u8],
    /// In hexadecimal.
    response: &'static str,
}

impl Example {
    fn request(&self, response: &[u8], mechanism: &[u8]) -> Vec<u8> {
        let items: Items<'_> =
            &[(ACCOUNT, self.account), (CHALLENGE, self.challenge), (RESPONSE, response), (RESPONSE_TYPE, mechanism)];
        packet::v2(2, b"T", items)
    }

    /// The three forms of the right response.
    fn forms(&self) -> [Vec<u8>; 3] {
        [unhex(self.response), self.response.into(), self.response.to_uppercase().into()]
    }
}

fn refused(code: u8) -> Vec<u8> {
    packet::v2(code, b"T", &[])
}

/// What is right.
fn right() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cases = Vec::new();
    for (example, names, facts) in [(CRAM, ["CRAM-MD5", "cram-md5"], TIM), (APOP, ["APOP", "aPoP"], MROSE)] {
        let [raw, lower, upper] = example.forms();
        for response in [&raw, &lower, &upper] {
            let requests = names.map(|name| example.request(response, name.as_bytes()));
            cases.extend(requests.map(|request| (request, packet::v2(0, b"T", facts))));
        }
        for response in [&lower, &upper] {
            let request = packet::v1(example.account, b"", &[example.challenge, response]);
            cases.push((request, packet::v1_response(0, facts)));
        }
    }
    cases
}

/// What is complete and wrong: a permanent failure.
fn wrong() -> Vec<(Vec<u8>, Vec<u8>)> {
    let [raw, lower, _] = CRAM.forms();
    let mut flipped = raw.clone();
    flipped[15] ^= 1;
    let others: [&[u8]; 5] =
        [&flipped, &raw[..15], &lower[..31], &[lower.as_slice(), b"0"].concat(), b"tanstaaftanstaaf"];
    let mut cases: Vec<_> = others.iter().map(|response| (CRAM.request(response, b"CRAM-MD5"), refused(100))).collect();
    // The response of another mechanism, of another challenge, of another account.
    cases.push((CRAM.request(&raw, b"APOP"), refused(100)));
    cases.push((Example { challenge: b"<1@x>", ..CRAM }.request(&raw, b"CRAM-MD5"), refused(100)));
    for account in [b"mrose".as_slice(), b"mallory", b"empty"] {
        cases.push((Example { account, ..CRAM }.request(&raw, b"CRAM-MD5"), refused(100)));
        cases.push((packet::v1(account, b"", &[CRAM.challenge, &lower]), b"\x64\0".into()));
    }
    cases.push((packet::v1(b"tim", b"", &[CRAM.challenge, &flipped[..3]]), b"\x64\0".into()));
    cases
}

/// What is no challenge-response at all: code 7, whoever is asked about.
fn incomplete() -> Vec<(Vec<u8>, Vec<u8>)> {
    let raw = unhex(CRAM.response);
    let mechanism = (RESPONSE_TYPE, b"CRAM-MD5".as_slice());
    let mut cases = Vec::new();
    for account in [b"tim".as_slice(), b"mallory"] {
        let (known, challenge, response) =
            ((ACCOUNT, account), (CHALLENGE, CRAM.challenge), (RESPONSE, raw.as_slice()));
        let requests: [Items<'_>; 8] = [
            &[known, challenge, response, (RESPONSE_TYPE, b"SCRAM-SHA-1")],
            &[known, challenge, response, (RESPONSE_TYPE, b"")],
            &[known, challenge, response],
            &[known, challenge, mechanism],
            &[known, response, mechanism],
            &[known, challenge, (RESPONSE, b""), mechanism],
            &[known, (CHALLENGE, b""), response, mechanism],
            &[known, mechanism],
        ];
        cases.extend(requests.map(|items| (packet::v2(2, b"T", items), refused(7))));
        for credentials in [[CRAM.challenge, b""], [b"", CRAM.response.as_bytes()], [b"", b""]] {
            cases.push((packet::v1(account, b"", &credentials), b"\x07\0".into()));
        }
    }
    cases
}

fn check(table: &str, settings: cvm_tests::Settings<'_>, cases: &[(Vec<u8>, Vec<u8>)]) {
    let station = Station::start(Make::Ours, table, settings);
    let mut findings = Findings::new();
    for mode in Mode::ALL {
        for (request, answer) in cases {
            findings.answer(
                format_args!("{mode}: {}", request.escape_ascii()),
                station.contact(mode).ask(request),
                answer,
            );
        }
    }
    findings.assert_none();
}

#[test]
fn right_responses_are_accepted_raw_and_in_hexadecimal() {
    check(TABLE, &[], &right());
}

/// The original's SASL library, and mailfront with it, reads the 32 digits from the blank before them on.
#[test]
fn cram_md5_from_the_original_library_is_accepted() {
    let shifted = unhex(&format!("f{}", &CRAM.response[..31]));
    let mut flipped = shifted.clone();
    flipped[15] ^= 1;
    check(
        TABLE,
        &[],
        &[
            (CRAM.request(&shifted, b"CRAM-MD5"), packet::v2(0, b"T", TIM)),
            (CRAM.request(&flipped, b"CRAM-MD5"), refused(100)),
            (CRAM.request(&shifted, b"APOP"), refused(100)),
        ],
    );
}

#[test]
fn wrong_responses_are_refused() {
    check(TABLE, &[], &wrong());
}

#[test]
fn incomplete_ones_are_code_7_whether_the_account_exists_or_not() {
    check(TABLE, &[], &incomplete());
}

#[test]
fn a_password_counts_where_a_challenge_response_comes_along() {
    let beside = |password: &'static [u8], response: &[u8]| {
        let items: Items<'_> = &[
            (ACCOUNT, b"tim"),
            (PASSWORD, password),
            (CHALLENGE, CRAM.challenge),
            (RESPONSE, response),
            (RESPONSE_TYPE, b"CRAM-MD5"),
        ];
        packet::v2(2, b"T", items)
    };
    let good = packet::v2(0, b"T", TIM);
    check(
        TABLE,
        &[],
        &[(beside(b"tanstaaftanstaaf", &[0; 16]), good), (beside(b"wrong", &unhex(CRAM.response)), refused(100))],
    );
}

#[test]
fn a_hashed_table_cannot_answer_a_challenge() {
    // A table of hashes, of which one is mistaken for a password by nobody.
    let table = format!("{TABLE}hashed:$1$abc$BXBqpb9BZcZhXLgbee.0s/:1:2::/:\n");
    let requests = right().into_iter().chain(wrong()).map(|(request, _)| {
        let code_7 = if request[0] == 1 { b"\x07\0".into() } else { refused(7) };
        (request, code_7)
    });
    check(&table, &[("CVM_PWFILE_PWCMP", "crypt")], &requests.collect::<Vec<_>>());
}

#[test]
fn look_ups_take_no_responses() {
    let settings = &[("CVM_LOOKUP_SECRET", "sesame")];
    let requests = right().into_iter().map(|(request, _)| {
        let code_7 = if request[0] == 1 { b"\x07\0".into() } else { refused(7) };
        (request, code_7)
    });
    check(TABLE, settings, &requests.collect::<Vec<_>>());
}
