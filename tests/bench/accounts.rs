//! Tables of any size, requests about them, and the check of each answer.

use std::fmt::Write;

use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Hex, PASSWORD};

use crate::random::Random;

/// The codes of answers.
pub(crate) const VALID: u8 = 0;
/// See [`VALID`].
pub(crate) const NO_CREDENTIAL: u8 = 7;
/// See [`VALID`].
pub(crate) const REJECTED: u8 = 100;

/// The tag of every request that needs none of its own.
pub(crate) const TAG: &[u8; 8] = b"BENCHTAG";

/// The name of an account that is in tables of more accounts than `number`.
pub(crate) fn known(number: usize) -> String {
    format!("user{:07}", 2 * number)
}

/// A name that no table has, as long as those that are there and sorted between them.
pub(crate) fn unknown(number: usize) -> String {
    format!("user{:07}", 2 * number + 1)
}

/// The password of an account.
pub(crate) fn password(number: usize) -> String {
    format!("secret{number:07}")
}

/// Writes a password file; `stored` tells the stored password of each account.
pub(crate) fn table(count: usize, mut stored: impl FnMut(usize) -> String) -> String {
    let mut lines = String::with_capacity(count * 84);
    for number in 0..count {
        let (name, stored) = (known(number), stored(number));
        writeln!(lines, "{name}:{stored}:1000:1000:User Number {number}:/home/{name}:/bin/sh").expect("room in memory");
    }
    lines
}

/// A request to log in, with a tag.
pub(crate) fn login_tagged(tag: &[u8], account: &str, password: &str) -> Vec<u8> {
    let items: packet::Items<'_> =
        &[(ACCOUNT, account.as_bytes()), (DOMAIN, b"example.net"), (PASSWORD, password.as_bytes())];
    packet::v2(2, tag, items)
}

/// A request to log in.
pub(crate) fn login(account: &str, password: &str) -> Vec<u8> {
    login_tagged(TAG, account, password)
}

/// Right passwords of accounts of a table of so many, in random order.
pub(crate) fn hits(random: &mut Random, requests: usize, accounts: usize) -> Vec<Vec<u8>> {
    let number = |_| random.below(accounts);
    (0..requests).map(number).map(|number| login(&known(number), &password(number))).collect()
}

/// Names that a table of so many does not have, in random order.
pub(crate) fn misses(random: &mut Random, requests: usize, accounts: usize) -> Vec<Vec<u8>> {
    let number = |_| random.below(accounts);
    (0..requests).map(number).map(|number| login(&unknown(number), &password(number))).collect()
}

/// Tells whether an answer has this code and this tag.
pub(crate) fn is_answer(answer: &[u8], code: u8, tag: &[u8]) -> bool {
    let rest = answer.strip_prefix(&[code]).and_then(|rest| rest.split_first());
    rest.is_some_and(|(&length, rest)| usize::from(length) == tag.len() && rest.starts_with(tag))
}

/// Demands that an answer has this code and the tag of the requests.
pub(crate) fn check(answer: &[u8], code: u8) {
    assert!(is_answer(answer, code, TAG), "code {code} expected, not {}", Hex(answer));
}
