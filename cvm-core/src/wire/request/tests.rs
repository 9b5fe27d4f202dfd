//! Requests as a server reads them (SPEC section 2).

use super::*;

const V1: Envelope<'static> = Envelope::V1;

fn tag(tag: &[u8]) -> Envelope<'_> {
    Envelope::V2 { tag }
}

fn decode(packet: &[u8]) -> Result<Request<'_>, Malformed<'_>> {
    Request::decode(packet, CredentialType::PASSWORD)
}

#[track_caller]
fn refused(packet: &[u8], envelope: Envelope<'_>, kind: MalformedKind) {
    assert_eq!(decode(packet).unwrap_err(), Malformed { envelope, kind });
}

fn credentials(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let request = decode(packet).unwrap();
    request.credentials().map(|item| (item.kind.number(), item.value.expose().to_vec())).collect()
}

fn owned(credentials: &[(u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
    credentials.iter().map(|&(number, value)| (number, value.to_vec())).collect()
}

/// A version 2 packet of this many bytes.
fn v2_of_length(length: usize) -> Vec<u8> {
    let second = length - 2 - 2 - 255 - 2 - 1;
    let second_length = u8::try_from(second).unwrap();
    [b"\x02\0\x01\xff".as_slice(), &[b'a'; 255], &[3, second_length], &vec![b'p'; second], b"\0"].concat()
}

#[test]
fn an_empty_packet_is_malformed_and_answered_in_v1_shape() {
    refused(b"", V1, MalformedKind::Empty);
}

#[test]
fn an_unknown_version_is_answered_in_v1_shape() {
    for version in (0..=255).filter(|version| ![1, 2].contains(version)) {
        refused(&[version, 3, b'T', b'A', b'G', 0], V1, MalformedKind::Version);
    }
}

#[test]
fn an_unknown_version_stays_one_beyond_512_bytes() {
    refused(&[3; 513], V1, MalformedKind::Version);
}

#[test]
fn v1_has_an_account_and_a_domain_and_perhaps_no_credential() {
    let request = decode(b"\x01a\0d\0\0").unwrap();
    assert_eq!((request.account(), request.domain()), (Some(&b"a"[..]), Some(&b"d"[..])));
    assert_eq!(request.envelope(), V1);
    assert_eq!(credentials(b"\x01a\0\0\0"), owned(&[(1, b"a"), (2, b"")]));
    assert_eq!(credentials(b"\x01\0\0\0"), owned(&[(1, b""), (2, b"")]));
}

#[test]
fn v1_tells_an_empty_credential_from_none() {
    assert_eq!(credentials(b"\x01a\0\0\0\0"), owned(&[(1, b"a"), (2, b""), (3, b"")]));
    assert!(decode(b"\x01a\0\0\0").unwrap().password().is_none());
    assert!(decode(b"\x01a\0\0\0\0").unwrap().password().unwrap().is_empty());
}

#[test]
fn the_one_credential_of_v1_is_a_password() {
    let request = decode(b"\x01a\0d\0pass\0\0").unwrap();
    assert!(request.password().unwrap().equals(b"pass"));
    assert!(request.secret().is_none());
}

#[test]
fn the_one_credential_of_v1_is_the_secret_in_lookup_mode() {
    let request = Request::decode(b"\x01a\0d\0sesame\0\0", CredentialType::SECRET).unwrap();
    assert!(request.secret().unwrap().equals(b"sesame"));
    assert!(request.password().is_none());
}

#[test]
fn two_credentials_of_v1_are_challenge_and_response_in_both_modes() {
    let expected = owned(&[(1, b"a"), (2, b""), (5, b"c"), (6, b"r")]);
    assert_eq!(credentials(b"\x01a\0\0c\0r\0\0"), expected);
    let request = Request::decode(b"\x01a\0\0c\0r\0\0", CredentialType::SECRET).unwrap();
    assert!(request.secret().is_none());
    assert_eq!(request.value(CredentialType::RESPONSE), Some(&b"r"[..]));
}

#[test]
fn two_credentials_of_v1_may_be_empty() {
    assert_eq!(credentials(b"\x01a\0\0\0\0\0"), owned(&[(1, b"a"), (2, b""), (5, b""), (6, b"")]));
    assert_eq!(credentials(b"\x01a\0\0c\0\0\0"), owned(&[(1, b"a"), (2, b""), (5, b"c"), (6, b"")]));
}

#[test]
fn three_credentials_of_v1_are_malformed() {
    refused(b"\x01a\0d\0x\0y\0z\0\0", V1, MalformedKind::TooMany);
    refused(b"\x01a\0d\0\0\0\0\0", V1, MalformedKind::TooMany);
}

#[test]
fn v1_without_its_final_nul_is_malformed() {
    let whole = b"\x01a\0d\0pass\0\0";
    for end in 1..whole.len() {
        refused(&whole[..end], V1, MalformedKind::Truncated);
    }
}

#[test]
fn v1_with_bytes_behind_its_final_nul_is_malformed() {
    refused(b"\x01a\0d\0pass\0\0x", V1, MalformedKind::Truncated);
    refused(b"\x01a\0d\0\0x", V1, MalformedKind::Truncated);
    refused(b"\x01a\0d\0p\0q\0\0x\0", V1, MalformedKind::TooMany);
}

#[test]
fn v1_may_have_512_bytes_and_no_more() {
    for (length, fits) in [(511, true), (512, true), (513, false)] {
        let packet = [b"\x01".as_slice(), &vec![b'a'; length - 4], b"\0\0\0"].concat();
        assert_eq!(packet.len(), length);
        match decode(&packet) {
            Ok(request) => assert!(fits && request.account().unwrap().len() == length - 4),
            Err(error) => assert!(!fits && error == Malformed { envelope: V1, kind: MalformedKind::TooLong }),
        }
    }
}

#[test]
fn v2_may_be_without_any_credential() {
    let request = decode(b"\x02\x00\x00").unwrap();
    assert_eq!((request.account(), request.domain()), (None, None));
    assert_eq!(request.credentials().count(), 0);
    assert_eq!(request.envelope(), tag(b""));
}

#[test]
fn v2_credentials_may_come_in_any_order_and_be_empty() {
    let packet = b"\x02\x01T\x03\x06secret\x02\x00\x01\x05alice\x00";
    assert_eq!(credentials(packet), owned(&[(1, b"alice"), (2, b""), (3, b"secret")]));
    assert_eq!(decode(packet).unwrap().domain(), Some(&b""[..]));
}

#[test]
fn v2_values_may_contain_nul() {
    let request = decode(b"\x02\x00\x01\x03a\0b\x03\x02\0\0\x00").unwrap();
    assert_eq!(request.account(), Some(&b"a\0b"[..]));
    assert!(request.password().unwrap().equals(b"\0\0"));
}

#[test]
fn v2_values_may_have_255_bytes() {
    let packet = [b"\x02\0\x01\xff".as_slice(), &[0xfe; 255], b"\0"].concat();
    assert_eq!(decode(&packet).unwrap().account(), Some([0xfe; 255].as_slice()));
}

#[test]
fn v2_has_a_place_for_each_of_the_seven_standard_credentials() {
    let items: Vec<u8> = (1..=7).flat_map(|number| [number, 1, b'0' + number]).collect();
    let packet = [b"\x02\0".as_slice(), &items, b"\0"].concat();
    let request = decode(&packet).unwrap();
    for number in 1..=7 {
        assert_eq!(request.value(CredentialType::new(number).unwrap()), Some([b'0' + number].as_slice()));
    }
    assert!(request.password().unwrap().equals(b"3"));
    assert!(request.secret().unwrap().equals(b"4"));
}

#[test]
fn tags_have_0_to_255_bytes_whatever_they_are() {
    for length in 0..=255_u8 {
        let bytes: Vec<u8> = (0..length).collect();
        let packet = [&[2, length], bytes.as_slice(), b"\0"].concat();
        assert_eq!(decode(&packet).unwrap().envelope(), tag(&bytes));
    }
}

#[test]
fn a_tag_that_is_not_whole_is_answered_with_an_empty_one() {
    refused(b"\x02", tag(b""), MalformedKind::Truncated);
    refused(b"\x02\x01", tag(b""), MalformedKind::Truncated);
    refused(b"\x02\x03TA", tag(b""), MalformedKind::Truncated);
    refused(&[2; 200], tag(&[2, 2]), MalformedKind::Repeated);
    refused(&[&[2, 255], [b'T'; 254].as_slice()].concat(), tag(b""), MalformedKind::Truncated);
}

#[test]
fn a_whole_tag_is_repeated_whatever_is_wrong_behind_it() {
    refused(b"\x02\x03TAG", tag(b"TAG"), MalformedKind::Truncated);
    refused(b"\x02\x03TAG\x01", tag(b"TAG"), MalformedKind::Truncated);
    refused(b"\x02\x03TAG\x01\x02a", tag(b"TAG"), MalformedKind::Truncated);
    refused(b"\x02\x03TAG\x01\x01a", tag(b"TAG"), MalformedKind::Truncated);
    refused(b"\x02\x03TAG\x00\x00", tag(b"TAG"), MalformedKind::TrailingBytes);
    refused(b"\x02\x03TAG\x01\x01a\x01\x01a\x00", tag(b"TAG"), MalformedKind::Repeated);
    refused(&[b"\x02\x03TAG".as_slice(), &[0; 508]].concat(), tag(b"TAG"), MalformedKind::TooLong);
}

#[test]
fn an_item_that_runs_past_the_end_is_malformed() {
    refused(b"\x02\x00\x01\xffalice\x00", tag(b""), MalformedKind::Truncated);
    // The last NUL belongs to the value, so the final one is missing.
    refused(b"\x02\x00\x01\x06alice\x00", tag(b""), MalformedKind::Truncated);
}

#[test]
fn bytes_behind_the_final_nul_are_malformed() {
    refused(b"\x02\x00\x01\x01a\x00x", tag(b""), MalformedKind::TrailingBytes);
    refused(b"\x02\x00\x00\x01\x01a\x00", tag(b""), MalformedKind::TrailingBytes);
}

#[test]
fn v2_may_have_512_bytes_and_no_more() {
    assert!(decode(&v2_of_length(511)).is_ok());
    assert!(decode(&v2_of_length(512)).unwrap().password().unwrap().equals(&[b'p'; 250]));
    refused(&v2_of_length(513), tag(b""), MalformedKind::TooLong);
}

#[test]
fn a_credential_below_128_must_not_come_twice() {
    for number in 1..128 {
        for second in [b'a', b'b'] {
            let packet = [2, 0, number, 1, b'a', 200, 0, number, 1, second, 0];
            refused(&packet, tag(b""), MalformedKind::Repeated);
        }
    }
}

#[test]
fn an_empty_credential_counts_as_given() {
    refused(b"\x02\x00\x01\x00\x01\x01a\x00", tag(b""), MalformedKind::Repeated);
}

#[test]
fn a_credential_from_128_on_may_come_twice() {
    for number in 128..=255 {
        let packet = [2, 0, number, 1, b'b', number, 1, b'a', 0];
        assert_eq!(credentials(&packet), owned(&[(number, b"b"), (number, b"a")]));
    }
}

#[test]
fn other_credentials_come_behind_the_standard_ones_as_they_were_sent() {
    let packet = b"\x02\x00\xc8\x01x\x03\x01p\x08\x01y\x01\x01a\x7f\x01z\x00";
    let expected = owned(&[(1, b"a"), (3, b"p"), (200, b"x"), (8, b"y"), (127, b"z")]);
    assert_eq!(credentials(packet), expected);
}

#[test]
fn other_credentials_are_no_standard_values() {
    let request = decode(b"\x02\x00\xc8\x01x\x00").unwrap();
    assert_eq!(request.value(CredentialType::new(200).unwrap()), None);
}

#[test]
fn printing_a_request_tells_names_and_no_secrets() {
    let request = decode(b"\x02\x00\x01\x05alice\x03\x07hunter2\x04\x06sesame\x00").unwrap();
    let printed = format!("{request:?} {:?}", request.credentials().collect::<Vec<_>>());
    assert!(printed.contains("alice"));
    assert!(!printed.contains("hunter2") && !printed.contains("sesame"), "{printed}");
}

#[test]
fn a_refusal_is_a_code_from_3_on_perhaps_a_tag_and_nothing_else() {
    for packet in [b"\x03\0".as_slice(), b"\xff\0", b"\x03\0\0", b"\x64\x02TT\0"] {
        assert!(is_refusal(packet), "{}", packet.escape_ascii());
    }
    for packet in [
        b"".as_slice(),
        b"\x03",
        b"\0\0",
        b"\x01\0",
        b"\x02\0",
        b"\x02\x01T\0",
        b"\x03\x01T",
        b"\x03\x02T\0",
        b"\x03\x01T\0\0",
        b"\x03\0\0\0",
        b"\x03\0\x01\x01a\0",
    ] {
        assert!(!is_refusal(packet), "{}", packet.escape_ascii());
    }
}
