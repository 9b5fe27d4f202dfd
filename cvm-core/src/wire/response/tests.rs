//! Responses as a server writes them and a client reads them (SPEC sections 2 to 4 and 7).

use super::*;

const V1: Envelope<'static> = Envelope::V1;
const V2: Envelope<'static> = Envelope::V2 { tag: b"TAG" };
const FULL: StandardFacts<'static> = StandardFacts {
    username: b"u",
    userid: 0,
    groupid: u64::MAX,
    realname: Some(b"Real"),
    directory: b"/d",
    shell: Some(b""),
    groupname: Some(b"g"),
    sys_username: Some(b"s"),
    sys_directory: Some(b"/s"),
    domain: Some(b"e"),
    mailbox: Some(b"m"),
};

/// The required facts, of one byte each.
fn required(facts: &mut FactWriter<'_>) {
    facts.standard(&StandardFacts { username: b"u", directory: b"d", ..StandardFacts::default() });
}

fn write(envelope: Envelope<'_>, write: impl FnOnce(&mut FactWriter<'_>)) -> Vec<u8> {
    let mut out = Packet::new();
    let written = success(envelope, &mut out, |facts| {
        write(facts);
        Ok::<_, ()>(())
    });
    assert_eq!(written.unwrap().byte(), out[0], "the code that is told is the one that is sent");
    out.to_vec()
}

fn refuse(envelope: Envelope<'_>, code: Code, scope: Option<Scope>) -> Vec<u8> {
    let mut out = Packet::new();
    out.extend(b"left over").unwrap();
    refusal(envelope, code, scope, &mut out);
    out.to_vec()
}

fn read(envelope: Envelope<'_>, packet: &[u8]) -> Result<Reply, ReplyError> {
    decode_reply(envelope, &Bytes::copy_from_slice(packet), None)
}

fn malformed(kind: MalformedKind) -> Result<Reply, ReplyError> {
    Err(ReplyError::Malformed(kind))
}

#[test]
fn standard_facts_have_the_order_of_the_original_in_v1() {
    let expected =
        b"\0\x01u\0\x020\0\x0318446744073709551615\0\x04Real\0\x05/d\0\x06\0\x07g\0\x09s\0\x0a/s\0\x0ee\0\x0fm\0\0";
    assert_eq!(write(V1, |facts| facts.standard(&FULL)), expected);
}

#[test]
fn standard_facts_have_the_order_of_the_original_in_v2() {
    let expected =
        b"\0\x03TAG\x01\x01u\x02\x010\x03\x1418446744073709551615\x04\x04Real\x05\x02/d\x06\0\x07\x01g\x09\x01s\
        \x0a\x02/s\x0e\x01e\x0f\x01m\0";
    assert_eq!(write(V2, |facts| facts.standard(&FULL)), expected);
}

#[test]
fn absent_facts_are_not_sent_and_empty_ones_are() {
    let facts = StandardFacts { realname: Some(b""), ..StandardFacts::default() };
    assert_eq!(write(V1, |writer| writer.standard(&facts)), b"\0\x01\0\x020\0\x030\0\x04\0\x05\0\0");
    assert_eq!(write(V2, |writer| writer.standard(&facts)), b"\0\x03TAG\x01\0\x02\x010\x03\x010\x04\0\x05\0\0");
}

#[test]
fn facts_of_a_module_go_before_the_standard_ones() {
    let packet = write(V1, |facts| {
        facts.integer(FactType::SUPP_GROUPID, 10);
        facts.integer(FactType::SUPP_GROUPID, 9);
        required(facts);
    });
    assert_eq!(packet, b"\0\x0810\0\x089\0\x01u\0\x020\0\x030\0\x05d\0\0");
}

#[test]
fn integers_are_decimal_without_leading_zeros() {
    for number in [0, 7, 10, 65534, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut digits = [0; 20];
        assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
    }
}

#[test]
fn a_success_that_lacks_a_required_fact_becomes_code_3() {
    for missing in FactType::REQUIRED {
        let some = |facts: &mut FactWriter<'_>| {
            let kinds = FactType::REQUIRED.into_iter().filter(|&kind| kind != missing);
            kinds.for_each(|kind| facts.string(kind, b"1"));
        };
        assert_eq!(write(V1, some), b"\x03\0");
        assert_eq!(write(V2, some), b"\x03\x03TAG\0");
    }
}

#[test]
fn a_response_may_have_512_bytes_and_one_more_is_code_3() {
    // What code, required facts, final NUL and the frame of the fact itself leave for its value.
    let v1_room = 512 - (1 + 3 * 4 + 1) - 2;
    for (length, fits) in [(v1_room, true), (v1_room + 1, false)] {
        let packet = write(V1, |facts| {
            facts.string(FactType::OFFICE, &vec![b'x'; length]);
            required(facts);
            assert_eq!(facts.is_complete(), fits, "the module is told in time");
        });
        assert_eq!(packet.len(), if fits { 512 } else { 2 }, "{length}");
    }
    let v2_room = 512 - (2 + 3 * 4 + 1) - 2 - 2 - 255;
    for (length, fits) in [(v2_room, true), (v2_room + 1, false)] {
        let packet = write(Envelope::V2 { tag: b"" }, |facts| {
            facts.string(FactType::OFFICE, &[b'x'; 255]);
            facts.string(FactType::REALNAME, &vec![b'x'; length]);
            required(facts);
            assert_eq!(facts.is_complete(), fits, "the module is told in time");
        });
        assert_eq!(packet.len(), if fits { 512 } else { 3 }, "{length}");
    }
}

#[test]
fn what_overflows_stays_code_3_even_if_later_facts_would_fit() {
    let packet = write(V1, |facts| {
        facts.string(FactType::OFFICE, &[b'x'; 600]);
        required(facts);
    });
    assert_eq!(packet, b"\x03\0");
}

#[test]
fn what_overflows_leaves_nothing_of_the_facts_before_it() {
    for envelope in [V1, V2] {
        let packet = write(envelope, |facts| {
            required(facts);
            facts.string(FactType::OFFICE, &[b'x'; 600]);
        });
        assert_eq!(packet, refuse(envelope, Code::BAD_MODULE_DATA, None));
    }
}

#[test]
fn a_response_without_room_for_its_final_nul_becomes_code_3() {
    let packet = write(V1, |facts| {
        required(facts);
        facts.string(FactType::OFFICE, &[b'x'; 512 - 13 - 2]);
    });
    assert_eq!(packet, b"\x03\0");
}

#[test]
fn a_v2_fact_has_at_most_255_bytes() {
    let long = |length| {
        move |facts: &mut FactWriter<'_>| {
            facts.string(FactType::MAILBOX, &vec![b'x'; length]);
            required(facts);
        }
    };
    assert_eq!(write(V2, long(256)), b"\x03\x03TAG\0");
    assert_eq!(read(V2, &write(V2, long(255))).unwrap().facts.get(FactType::MAILBOX), Some([b'x'; 255].as_slice()));
    assert_eq!(read(V1, &write(V1, long(400))).unwrap().facts.get(FactType::MAILBOX), Some([b'x'; 400].as_slice()));
}

#[test]
fn a_fact_with_nul_is_code_3_in_v1_and_sent_in_v2() {
    let nul = |facts: &mut FactWriter<'_>| {
        facts.string(FactType::REALNAME, b"a\0b");
        required(facts);
    };
    assert_eq!(write(V1, nul), b"\x03\0");
    assert_eq!(read(V2, &write(V2, nul)).unwrap().facts.get(FactType::REALNAME), Some(&b"a\0b"[..]));
}

#[test]
fn a_refusal_has_the_shape_of_its_request_and_repeats_the_tag() {
    assert_eq!(refuse(V1, Code::BAD_CLIENT_DATA, None), b"\x02\0");
    assert_eq!(refuse(V2, Code::IO, None), b"\x04\x03TAG\0");
    assert_eq!(refuse(Envelope::V2 { tag: b"" }, Code::REJECTED, None), b"d\0\0");
}

#[test]
fn a_refusal_names_the_scope_in_fact_16() {
    assert_eq!(refuse(V1, Code::REJECTED, Some(Scope::In)), b"d\x100\0\0");
    assert_eq!(refuse(V1, Code::REJECTED, Some(Scope::Out)), b"d\x101\0\0");
    assert_eq!(refuse(V2, Code::REJECTED, Some(Scope::In)), b"d\x03TAG\x10\x010\0");
    assert_eq!(refuse(V2, Code::REJECTED, Some(Scope::Out)), b"d\x03TAG\x10\x011\0");
}

#[test]
fn a_refusal_fits_behind_the_longest_tag() {
    let tag = [7; 255];
    let packet = refuse(Envelope::V2 { tag: &tag }, Code::REJECTED, Some(Scope::Out));
    assert_eq!(packet, [b"d\xff".as_slice(), &tag, b"\x10\x011\0"].concat());
}

#[test]
fn the_tag_takes_its_part_of_the_512_bytes() {
    let tag = [7; 255];
    let packet = write(Envelope::V2 { tag: &tag }, |facts| {
        facts.string(FactType::OFFICE, &[b'x'; 255]);
        required(facts);
    });
    assert_eq!(packet, [b"\x03\xff".as_slice(), &tag, b"\0"].concat());
}

#[test]
fn an_error_while_writing_is_handed_on() {
    let mut out = Packet::new();
    assert_eq!(success(V1, &mut out, |_| Err("away")), Err("away"));
}

#[test]
fn facts_are_read_in_the_order_in_which_they_came() {
    let reply = read(V1, b"\0\x0810\0\x01u\0\x021\0\x032\0\x05d\0\x089\0\0").unwrap();
    assert_eq!(reply.code, Code::SUCCESS);
    let kinds: Vec<_> = reply.facts.iter().map(|fact| fact.kind.number()).collect();
    assert_eq!(kinds, [8, 1, 2, 3, 5, 8]);
    assert_eq!(reply.facts.all(FactType::SUPP_GROUPID).collect::<Vec<_>>(), [b"10".as_slice(), b"9"]);
    assert_eq!(reply.facts.integer(FactType::USERID), Some(1));
    assert_eq!(reply.facts.get(FactType::SHELL), None);
    assert_eq!(reply.facts.integer(FactType::USERNAME), None);
}

#[test]
fn a_response_with_another_tag_is_none() {
    for packet in
        [b"\x04\x03TAH\0".as_slice(), b"\x04\x02TA\0", b"\x04\x04TAGX\0", b"\x04\x00\0", b"\0\x03TAH is malformed"]
    {
        assert_eq!(read(V2, packet), Err(ReplyError::OtherTag), "{}", packet.escape_ascii());
    }
}

#[test]
fn a_response_whose_tag_is_not_whole_has_another_tag() {
    for packet in [b"".as_slice(), b"\x04", b"\x04\x03", b"\x04\x03TA"] {
        assert_eq!(read(V2, packet), Err(ReplyError::OtherTag), "{}", packet.escape_ascii());
    }
    assert_eq!(read(Envelope::V2 { tag: b"" }, b"\x04"), Err(ReplyError::OtherTag));
}

#[test]
fn a_response_without_its_final_nul_is_malformed() {
    assert_eq!(read(V2, b"\x04\x03TAG"), malformed(MalformedKind::Truncated));
    assert_eq!(read(V1, b"\x04"), malformed(MalformedKind::Truncated));
    assert_eq!(read(V1, b"d\x100\0"), malformed(MalformedKind::Truncated));
    assert_eq!(read(V1, b"d\x100"), malformed(MalformedKind::Truncated));
    assert_eq!(read(V2, b"d\x03TAG\x10\x010"), malformed(MalformedKind::Truncated));
}

#[test]
fn an_empty_v1_response_is_malformed() {
    assert_eq!(read(V1, b""), malformed(MalformedKind::Empty));
}

#[test]
fn a_fact_that_runs_past_the_end_is_malformed() {
    assert_eq!(read(V2, b"d\x03TAG\x10\x020\0"), malformed(MalformedKind::Truncated));
    assert_eq!(read(V2, b"d\x03TAG\x10"), malformed(MalformedKind::Truncated));
}

#[test]
fn a_response_with_bytes_behind_its_final_nul_is_malformed() {
    assert_eq!(read(V1, b"\x04\0\0"), malformed(MalformedKind::TrailingBytes));
    assert_eq!(read(V2, b"\x04\x03TAG\0x"), malformed(MalformedKind::TrailingBytes));
}

#[test]
fn a_response_beyond_512_bytes_is_malformed() {
    let packet = |length: usize| [b"d\x0b".as_slice(), &vec![b'x'; length - 4], b"\0\0"].concat();
    assert!(read(V1, &packet(512)).is_ok());
    assert_eq!(read(V1, &packet(513)), malformed(MalformedKind::TooLong));
}

#[test]
fn a_success_must_have_every_required_fact() {
    let items: [&[u8]; 4] = [b"\x01\x01u", b"\x02\x010", b"\x03\x010", b"\x05\x01d"];
    for missing in 0..4 {
        let some = items.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, item)| *item);
        let packet = [b"\0\x03TAG".as_slice(), &some.collect::<Vec<_>>().concat(), b"\0"].concat();
        assert_eq!(read(V2, &packet), Err(ReplyError::Facts));
        let failure = [b"\x08".as_slice(), &packet[1..]].concat();
        assert!(read(V2, &failure).is_ok(), "a failure needs no facts");
    }
    assert!(read(V2, &[b"\0\x03TAG".as_slice(), &items.concat(), b"\0"].concat()).is_ok());
}

#[test]
fn every_integer_must_be_one_within_64_bits() {
    for kind in [FactType::USERID, FactType::GROUPID, FactType::SUPP_GROUPID, FactType::OUT_OF_SCOPE] {
        for (value, good) in
            [("0", true), ("18446744073709551615", true), ("18446744073709551616", false), ("", false), ("-1", false)]
        {
            let packet = [&[100, kind.number()], value.as_bytes(), b"\0\0"].concat();
            let expected = if good { Ok(()) } else { Err(ReplyError::Facts) };
            assert_eq!(read(V1, &packet).map(|_| ()), expected, "{kind:?} {value:?}");
        }
    }
}

#[test]
fn every_one_of_several_integers_is_checked() {
    assert_eq!(read(V1, b"\0\x01u\0\x021\0\x032\0\x05d\0\x089\0\x08x\0\0"), Err(ReplyError::Facts));
}

#[test]
fn unknown_facts_are_kept() {
    let reply = read(V1, b"d\xc8local\0\0").unwrap();
    assert_eq!(reply.facts.get(FactType::new(200).unwrap()), Some(&b"local"[..]));
}

#[test]
fn the_exit_status_of_a_command_wins_over_the_first_byte() {
    let command = |packet: &[u8], status| decode_reply(V2, &Bytes::copy_from_slice(packet), Some(Code::new(status)));
    assert_eq!(command(b"\x04\x03TAG\0", 100).unwrap().code, Code::REJECTED);
    // A failure that calls itself a success is none, and a success that calls itself a failure needs its facts.
    assert_eq!(command(b"\0\x03TAG\0", 6).unwrap().code, Code::CONFIG);
    assert_eq!(command(b"d\x03TAG\0", 0), Err(ReplyError::Facts));
    assert_eq!(command(b"d\x03TAX\0", 0), Err(ReplyError::OtherTag));
    assert_eq!(command(b"\0\x03TAG", 0), malformed(MalformedKind::Truncated));
}

#[test]
fn the_scope_counts_with_code_100_only() {
    let scope = |code: u8, value: &[u8]| read(V1, &[&[code, 16], value, b"\0\0"].concat()).unwrap().scope();
    assert_eq!(scope(100, b"0"), Some(Scope::In));
    assert_eq!(scope(100, b"00"), Some(Scope::In));
    assert_eq!(scope(100, b"1"), Some(Scope::Out));
    assert_eq!(scope(100, b"42"), Some(Scope::Out));
    assert_eq!(scope(4, b"0"), None);
    assert_eq!(Reply::failure(Code::REJECTED).scope(), None);
}

#[test]
fn the_value_of_a_fact_may_be_followed_by_a_type_that_looks_like_text() {
    let reply = read(V1, b"d\x0bten\0\x64hundred\0\0").unwrap();
    assert_eq!(reply.facts.get(FactType::new(100).unwrap()), Some(&b"hundred"[..]));
}

#[test]
fn a_number_that_is_none_and_a_scope_on_success_are_code_3() {
    for (kind, value) in
        [(FactType::USERID, b"10x".as_slice()), (FactType::SUPP_GROUPID, b""), (FactType::OUT_OF_SCOPE, b"1")]
    {
        let mut packet = Packet::new();
        let written = success(Envelope::V1, &mut packet, |facts| {
            facts.string(kind, value);
            facts.standard(&StandardFacts::default());
            Ok::<_, MalformedKind>(())
        });
        assert_eq!((written, &*packet), (Ok(Code::BAD_MODULE_DATA), b"\x03\0".as_slice()), "{kind:?}");
    }
}
