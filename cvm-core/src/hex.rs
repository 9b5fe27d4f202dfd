//! Hexadecimal digits, which responses and stored digests are written in.

/// Reads exactly `N` bytes from digits of either case.
#[must_use]
pub fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    (pairs.len() == N && rest.is_empty()).then_some(())?;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)?.wrapping_shl(4) | digit(*low)?;
    }
    Some(bytes)
}

/// Writes two digits for each byte, letters in lower case.
#[must_use]
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| value.wrapping_add(if value < 10 { b'0' } else { b'a' - 10 });
    bytes.iter().flat_map(|byte| [byte.wrapping_shr(4), byte & 15].map(digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(decode(b"00fFa7"), Some([0, 255, 167]));
        assert_eq!(encode(&[0, 255, 167]), b"00ffa7");
        for wrong in [&b"00fFa"[..], b"00fFa7b", b"00fFa700", b"00fFag", b""] {
            assert_eq!(decode::<3>(wrong), None);
        }
    }
}
