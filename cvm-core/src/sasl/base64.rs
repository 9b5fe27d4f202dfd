//! Base64 as RFC 4648 has it: padded, without other bytes, and in the one spelling that each value has.

use base64ct::{Base64, Encoding};

use crate::secret::Secret;

/// Decodes what a client sent, which may be a password.
pub(super) fn decode(text: &[u8]) -> Option<Secret> {
    let mut buffer = vec![0; text.len()];
    let length = Base64::decode(text, &mut buffer).map(<[u8]>::len);
    // What was decoded before an error is wiped as well.
    let buffer = Secret::from_vec(buffer);
    buffer.as_ref().expose().get(..length.ok()?).map(Secret::new)
}

/// Encodes what is sent to a client.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut buffer = vec![0; Base64::encoded_len(bytes)];
    // The buffer has the length that is needed, so the error of the interface cannot occur.
    Base64::encode(bytes, &mut buffer).map(str::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        decode(text.as_bytes()).map(|secret| secret.as_ref().expose().to_vec())
    }

    /// RFC 4648, section 10.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];

    #[test]
    fn vectors_of_the_rfc() {
        for (plain, text) in VECTORS {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decoded(text).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn every_byte_comes_through() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encode(&all)), Some(all));
    }

    #[test]
    fn each_value_has_one_spelling() {
        for text in
            ["Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "==", "====", "A===", "Zg==Zg==", "Zg==\n", " Zg==", "Zm-_"]
        {
            assert_eq!(decoded(text), None, "{text:?}");
        }
    }
}
