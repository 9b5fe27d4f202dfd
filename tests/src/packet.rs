//! Packets by hand, apart from the code that is tested.

use std::fmt;

/// The types of credentials.
pub const ACCOUNT: u8 = 1;
/// See [`ACCOUNT`].
pub const DOMAIN: u8 = 2;
/// See [`ACCOUNT`].
pub const PASSWORD: u8 = 3;
/// See [`ACCOUNT`].
pub const SECRET: u8 = 4;
/// See [`ACCOUNT`].
pub const CHALLENGE: u8 = 5;
/// See [`ACCOUNT`].
pub const RESPONSE: u8 = 6;
/// See [`ACCOUNT`].
pub const RESPONSE_TYPE: u8 = 7;

/// A credential or a fact.
pub type Item<'a> = (u8, &'a [u8]);

/// Credentials or facts.
pub type Items<'a> = &'a [Item<'a>];

/// Builds a version 1 request.
#[must_use]
pub fn v1(account: &[u8], domain: &[u8], credentials: &[&[u8]]) -> Vec<u8> {
    let strings = [account, domain].into_iter().chain(credentials.iter().copied());
    let mut packet = vec![1];
    strings.for_each(|string| packet.extend([string, b"\0"].concat()));
    packet.push(0);
    packet
}

/// Builds a version 2 packet: a request, if the first byte is 2, or a response with that code.
///
/// # Panics
///
/// If something is longer than 255 bytes.
#[must_use]
pub fn v2(first: u8, tag: &[u8], items: Items<'_>) -> Vec<u8> {
    let mut packet = [&[first], counted(tag).as_slice()].concat();
    for (kind, value) in items {
        packet.push(*kind);
        packet.extend(counted(value));
    }
    packet.push(0);
    packet
}

fn counted(string: &[u8]) -> Vec<u8> {
    let length = u8::try_from(string.len()).expect("at most 255 bytes");
    [&[length], string].concat()
}

/// Builds a version 1 response.
#[must_use]
pub fn v1_response(code: u8, facts: Items<'_>) -> Vec<u8> {
    let mut packet = vec![code];
    facts.iter().for_each(|(kind, value)| packet.extend([&[*kind], *value, b"\0"].concat()));
    packet.push(0);
    packet
}

/// Builds a version 2 request of exactly this many bytes, with items that modules pass over.
///
/// # Panics
///
/// If the items alone are longer, or a byte is left that no item can fill.
#[must_use]
pub fn padded(tag: &[u8], items: Items<'_>, length: usize) -> Vec<u8> {
    const PASSED_OVER: u8 = 200;
    let mut packet = v2(2, tag, items);
    packet.pop();
    while packet.len() + 1 < length {
        let left = length - packet.len() - 3;
        // Not so much that a single byte is left.
        let value = if left == 256 { 254 } else { left.min(255) };
        packet.push(PASSED_OVER);
        packet.extend(counted(&vec![b'x'; value]));
    }
    packet.push(0);
    assert_eq!(packet.len(), length);
    packet
}

/// Prints bytes in hexadecimal.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads hexadecimal digits; spaces between them are passed over.
///
/// # Panics
///
/// If there is anything else.
#[must_use]
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16);
    digits.chunks(2).map(|pair| byte(pair).unwrap_or_else(|_| panic!("{text:?} is not hexadecimal"))).collect()
}
