//! Base64 by hand, apart from the code that is tested.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes with padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| char::from(ALPHABET[bits >> (18 - 6 * at) & 63]);
        [0, 1, 2, 3].map(|at| if at <= group.len() { digit(at) } else { '=' })
    };
    bytes.as_ref().chunks(3).flat_map(group).collect()
}

/// Decodes text, padded or not.
///
/// # Panics
///
/// If it is not Base64 of text.
#[must_use]
pub fn decode(text: &str) -> String {
    let value = |digit| ALPHABET.iter().position(|known| *known == digit).expect("a digit of Base64");
    let bits: String = text.trim_end_matches('=').bytes().map(|digit| format!("{:06b}", value(digit))).collect();
    let bytes = bits.as_bytes().chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | (bit & 1)));
    String::from_utf8(bytes.collect()).expect("text")
}
