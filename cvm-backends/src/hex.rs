//! Hexadecimal digits.

/// Reads exactly `N` bytes from digits of either case.
pub(crate) fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    (pairs.len() == N && rest.is_empty()).then_some(())?;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Writes two digits for each byte, letters in lower case.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
