//! Requests as a client builds them (SPEC section 2).

use super::*;
use crate::credential::{Credential, CredentialType};
use crate::secret::SecretRef;

fn v1(account: &[u8], domain: &[u8], credentials: &[&[u8]]) -> Result<Vec<u8>, RequestError> {
    let credentials: Vec<_> = credentials.iter().map(|value| SecretRef::new(value)).collect();
    let mut out = Packet::new();
    out.extend(b"left over").unwrap();
    let encoded = encode_v1_request(account, domain, &credentials, &mut out);
    assert!(encoded.is_ok() || out.is_empty(), "an error leaves nothing to send");
    encoded.map(|()| out.to_vec())
}

fn v2(tag: &[u8], credentials: &[(u8, &[u8])]) -> Result<Vec<u8>, RequestError> {
    let credentials = credentials.iter().map(|&(number, value)| Credential {
        kind: CredentialType::new(number).unwrap(),
        value: SecretRef::new(value),
    });
    let mut out = Packet::new();
    out.extend(b"left over").unwrap();
    let encoded = encode_v2_request(tag, credentials, &mut out);
    assert!(encoded.is_ok() || out.is_empty(), "an error leaves nothing to send");
    encoded.map(|()| out.to_vec())
}

#[test]
fn v1_ends_every_string_and_the_list_with_nul() {
    assert_eq!(v1(b"a", b"", &[]).unwrap(), b"\x01a\0\0\0");
    assert_eq!(v1(b"a", b"d", &[b""]).unwrap(), b"\x01a\0d\0\0\0");
    assert_eq!(v1(b"a", b"d", &[b"p"]).unwrap(), b"\x01a\0d\0p\0\0");
    assert_eq!(v1(b"", b"", &[b"c", b"r", b"x"]).unwrap(), b"\x01\0\0c\0r\0x\0\0");
}

#[test]
fn v1_cannot_send_nul() {
    assert_eq!(v1(b"a\0b", b"d", &[b"p"]), Err(RequestError::Nul));
    assert_eq!(v1(b"a", b"\0", &[b"p"]), Err(RequestError::Nul));
    assert_eq!(v1(b"a", b"d", &[b"p", b"q\0"]), Err(RequestError::Nul));
}

#[test]
fn v1_fills_512_bytes_and_no_more() {
    assert_eq!(v1(&[b'a'; 508], b"", &[]).unwrap().len(), 512);
    assert_eq!(v1(&[b'a'; 509], b"", &[]), Err(RequestError::TooLong));
    assert_eq!(v1(&[b'a'; 507], b"", &[b""]).unwrap().len(), 512);
    assert_eq!(v1(&[b'a'; 508], b"", &[b""]), Err(RequestError::TooLong));
}

#[test]
fn v2_puts_a_length_before_the_tag_and_every_value() {
    assert_eq!(v2(b"", &[]).unwrap(), b"\x02\0\0");
    assert_eq!(v2(b"TAG", &[(3, b"p\0"), (1, b"")]).unwrap(), b"\x02\x03TAG\x03\x02p\0\x01\0\0");
}

#[test]
fn v2_carries_tags_and_values_of_255_bytes_and_no_longer_ones() {
    let long = [0; 256];
    assert_eq!(v2(&long[1..], &[]).unwrap().len(), 258);
    assert_eq!(v2(&long, &[]), Err(RequestError::TagTooLong));
    assert_eq!(v2(b"", &[(3, &long[1..])]).unwrap().len(), 260);
    assert_eq!(v2(b"", &[(3, &long)]), Err(RequestError::ValueTooLong(3)));
}

#[test]
fn v2_fills_512_bytes_and_no_more() {
    let (long, rest) = ([b'x'; 255], [b'y'; 251]);
    assert_eq!(v2(b"", &[(1, &long), (3, &rest[1..])]).unwrap().len(), 512);
    assert_eq!(v2(b"", &[(1, &long), (3, &rest)]), Err(RequestError::TooLong));
    assert_eq!(v2(b"T", &[(1, &long), (3, &rest[1..])]), Err(RequestError::TooLong));
}

#[test]
fn v2_sends_only_local_credentials_twice() {
    for number in [1, 7, 8, 127] {
        assert_eq!(v2(b"", &[(number, b"a"), (200, b""), (number, b"b")]), Err(RequestError::Repeated(number)));
    }
    for number in [128, 255] {
        assert_eq!(v2(b"", &[(number, b"a"), (number, b"a")]).unwrap().len(), 9);
    }
}
