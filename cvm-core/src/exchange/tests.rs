//! What the protocol decides of a request, and in which order (SPEC section 5).

use super::*;

const KNOWN: Result<Lookup<&str>, Temporary> = Ok(Lookup::Known("real"));
const SCOPES: [Option<Scope>; 3] = [None, Some(Scope::In), Some(Scope::Out)];

fn lookup(secret: &[u8]) -> Policy {
    Policy::Lookup { secret: Secret::new(secret) }
}

/// Lets a policy judge a request of these credentials: code 0 if it may be looked up.
fn begin(policy: &Policy, accepts: Accepts, credentials: &[u8]) -> u8 {
    let packet = [b"\x02\0".as_slice(), credentials, b"\0"].concat();
    begin_packet(policy, accepts, &packet)
}

fn begin_packet(policy: &Policy, accepts: Accepts, packet: &[u8]) -> u8 {
    Exchange::begin(policy, accepts, packet).map_or_else(|refusal| refusal.answered().code.byte(), |_| 0)
}

fn written(refusal: &Refusal<'_>) -> Vec<u8> {
    let mut out = Packet::new();
    assert_eq!(refusal.write(&mut out), refusal.answered().code);
    out.to_vec()
}

fn authenticating() -> Exchange<'static> {
    Exchange::begin(&Policy::Authenticate, Accepts::Password, b"\x02\x01T\x01\x01a\x03\x01p\0").unwrap()
}

fn looking_up() -> Exchange<'static> {
    Exchange::begin(&lookup(b""), Accepts::Password, b"\x02\x01T\x01\x01a\0").unwrap()
}

fn claim(found: Lookup<&'static str>) -> Authentication<'static, &'static str> {
    match authenticating().looked_up(Ok(found)) {
        Ok(AfterLookup::Authenticate(claim)) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_malformed_request_is_code_2_whatever_else_it_lacks() {
    for policy in [Policy::Authenticate, lookup(b"sesame"), lookup(b"")] {
        for packet in [b"".as_slice(), b"\x03", b"\x01a\0", b"\x02\0\0\0", b"\x02\0\x01\x01a\x04\x06sesame"] {
            assert_eq!(begin_packet(&policy, Accepts::Anything, packet), 2, "{}", packet.escape_ascii());
        }
    }
}

#[test]
fn a_malformed_request_is_answered_in_its_shape_and_names_nobody() {
    let refused = |packet| {
        let refusal = Exchange::begin(&Policy::Authenticate, Accepts::Password, packet).unwrap_err();
        assert_eq!(refusal.answered(), Answered { code: Code::BAD_CLIENT_DATA, account: None, domain: None });
        written(&refusal)
    };
    assert_eq!(refused(b"\x02\x03TAG\x01\x01a"), b"\x02\x03TAG\0");
    assert_eq!(refused(b"\x02\x03TA"), b"\x02\0\0");
    assert_eq!(refused(b"\x01a\0"), b"\x02\0");
    assert_eq!(refused(b"\x07"), b"\x02\0");
    assert_eq!(refused(b""), b"\x02\0");
}

#[test]
fn a_missing_or_empty_account_is_code_7() {
    for policy in [Policy::Authenticate, lookup(b"s"), lookup(b"")] {
        for accepts in [Accepts::Password, Accepts::PasswordOrResponse, Accepts::Anything] {
            assert_eq!(begin(&policy, accepts, b"\x03\x01p\x04\x01s"), 7);
            assert_eq!(begin(&policy, accepts, b"\x01\0\x03\x01p\x04\x01s"), 7);
            assert_eq!(begin(&policy, accepts, b"\x01\x01a\x03\x01p\x04\x01s"), 0);
        }
    }
}

#[test]
fn a_missing_or_empty_password_is_code_7() {
    for accepts in [Accepts::Password, Accepts::PasswordOrResponse] {
        assert_eq!(begin(&Policy::Authenticate, accepts, b"\x01\x01a"), 7);
        assert_eq!(begin(&Policy::Authenticate, accepts, b"\x01\x01a\x03\0"), 7);
        assert_eq!(begin(&Policy::Authenticate, accepts, b"\x01\x01a\x03\x01p"), 0);
        assert_eq!(begin_packet(&Policy::Authenticate, accepts, b"\x01a\0d\0\0"), 7);
        assert_eq!(begin_packet(&Policy::Authenticate, accepts, b"\x01a\0d\0\0\0"), 7);
        assert_eq!(begin_packet(&Policy::Authenticate, accepts, b"\x01a\0d\0p\0\0"), 0);
    }
}

#[test]
fn the_secret_is_no_password_and_the_password_no_secret() {
    assert_eq!(begin(&Policy::Authenticate, Accepts::Password, b"\x01\x01a\x04\x01p"), 7);
    assert_eq!(begin(&lookup(b"p"), Accepts::Password, b"\x01\x01a\x03\x01p"), 7);
}

#[test]
fn a_challenge_response_is_code_7_where_only_passwords_can_be_judged() {
    let response = b"\x01\x01a\x05\x01c\x06\x01r\x07\x04APOP";
    assert_eq!(begin(&Policy::Authenticate, Accepts::Password, response), 7);
    assert_eq!(begin(&Policy::Authenticate, Accepts::Password, &[response.as_slice(), b"\x03\x01p"].concat()), 7);
    assert_eq!(begin_packet(&Policy::Authenticate, Accepts::Password, b"\x01a\0\0c\0r\0\0"), 7);
}

#[test]
fn a_complete_challenge_response_is_enough_where_it_can_be_judged() {
    let accepts = Accepts::PasswordOrResponse;
    assert_eq!(begin(&Policy::Authenticate, accepts, b"\x01\x01a\x05\x01c\x06\x01r\x07\x08cram-md5"), 0);
    assert_eq!(begin_packet(&Policy::Authenticate, accepts, b"\x01a\0\0c\0r\0\0"), 0);
}

#[test]
fn an_incomplete_challenge_response_or_an_unknown_type_is_code_7() {
    for credentials in [
        b"\x01\x01a\x05\x01c".as_slice(),
        b"\x01\x01a\x06\x01r",
        b"\x01\x01a\x05\x01c\x06\x01r",
        b"\x01\x01a\x05\x01c\x06\x01r\x07\x04SCRA",
        b"\x01\x01a\x05\0\x06\x01r\x07\x04APOP",
        b"\x01\x01a\x05\x01c\x06\0\x07\x04APOP",
    ] {
        let code = begin(&Policy::Authenticate, Accepts::PasswordOrResponse, credentials);
        assert_eq!(code, 7, "{}", credentials.escape_ascii());
    }
    assert_eq!(begin_packet(&Policy::Authenticate, Accepts::PasswordOrResponse, b"\x01a\0\0c\0\0\0"), 7);
}

#[test]
fn a_module_that_takes_anything_gets_accounts_without_credentials() {
    assert_eq!(begin(&Policy::Authenticate, Accepts::Anything, b"\x01\x01a"), 0);
    assert_eq!(begin_packet(&Policy::Authenticate, Accepts::Anything, b"\x01a\0\0\0"), 0);
}

#[test]
fn lookup_mode_demands_the_secret() {
    let policy = lookup(b"sesame");
    for accepts in [Accepts::Password, Accepts::Anything] {
        assert_eq!(begin(&policy, accepts, b"\x01\x01a\x04\x06sesame"), 0);
        for wrong in [b"".as_slice(), b"\x04\0", b"\x04\x05sesam", b"\x04\x07sesame\0", b"\x04\x06Sesame"] {
            assert_eq!(begin(&policy, accepts, &[b"\x01\x01a", wrong].concat()), 7, "{}", wrong.escape_ascii());
        }
    }
}

#[test]
fn the_one_credential_of_v1_is_the_secret_in_lookup_mode() {
    let policy = lookup(b"sesame");
    assert_eq!(begin_packet(&policy, Accepts::Password, b"\x01a\0\0sesame\0\0"), 0);
    assert_eq!(begin_packet(&policy, Accepts::Password, b"\x01a\0\0wrong\0\0"), 7);
    assert_eq!(begin_packet(&policy, Accepts::Password, b"\x01a\0\0\0"), 7);
    assert_eq!(begin_packet(&policy, Accepts::Password, b"\x01a\0\0sesame\0sesame\0\0"), 7);
}

#[test]
fn an_empty_secret_ignores_what_is_sent() {
    for packet in [
        b"\x02\0\x01\x01a\0".as_slice(),
        b"\x02\0\x01\x01a\x04\x03any\0",
        b"\x02\0\x01\x01a\x03\x01p\0",
        b"\x01a\0\0\0",
        b"\x01a\0\0any\0\0",
        b"\x01a\0\0c\0r\0\0",
    ] {
        assert_eq!(begin_packet(&lookup(b""), Accepts::Password, packet), 0, "{}", packet.escape_ascii());
    }
}

#[test]
fn what_lacks_a_credential_is_refused_by_name() {
    let packet = b"\x02\x01T\x01\x01a\x02\x01d\0";
    let refusal = Exchange::begin(&Policy::Authenticate, Accepts::Password, packet).unwrap_err();
    let expected = Answered { code: Code::NO_CREDENTIAL, account: Some(b"a"), domain: Some(b"d") };
    assert_eq!(refusal.answered(), expected);
    assert_eq!(written(&refusal), b"\x07\x01T\0");
}

#[test]
fn a_known_account_is_authenticated() {
    let claim = claim(Lookup::Known("real"));
    assert_eq!(*claim.account(), "real");
    assert_eq!(claim.request().account(), Some(&b"a"[..]));
    assert_eq!(*claim.judged(Ok(Verdict::Accepted)).unwrap().account(), "real");
}

#[test]
fn a_wrong_password_is_code_100_with_the_scope_of_the_module() {
    for scope in SCOPES {
        let refusal = claim(Lookup::Known("real")).judged(Ok(Verdict::Rejected { scope })).unwrap_err();
        let fact = match scope {
            None => b"".as_slice(),
            Some(Scope::In) => b"\x10\x010",
            Some(Scope::Out) => b"\x10\x011",
        };
        assert_eq!(written(&refusal), [b"d\x01T", fact, b"\0"].concat());
    }
}

#[test]
fn an_unknown_account_without_a_decoy_is_code_100_at_once() {
    for scope in SCOPES {
        let unknown = Ok(Lookup::<&str>::Unknown { scope, decoy: None });
        let refusal = authenticating().looked_up(unknown).unwrap_err();
        assert_eq!(refusal.answered().code, Code::REJECTED);
        assert_eq!(refusal.scope, scope);
    }
}

#[test]
fn an_unknown_account_is_authenticated_against_its_decoy() {
    let claim = claim(Lookup::Unknown { scope: None, decoy: Some("decoy") });
    assert_eq!(*claim.account(), "decoy");
}

#[test]
fn the_verdict_on_a_decoy_is_thrown_away_with_its_scope() {
    for verdict in [Verdict::Accepted, Verdict::Rejected { scope: Some(Scope::In) }] {
        for scope in SCOPES {
            let claim = claim(Lookup::Unknown { scope, decoy: Some("decoy") });
            let refusal = claim.judged(Ok(verdict)).unwrap_err();
            assert_eq!((refusal.answered().code, refusal.scope), (Code::REJECTED, scope), "{verdict:?}");
        }
    }
}

#[test]
fn an_outage_is_the_same_for_a_decoy_as_for_an_account() {
    for found in [Lookup::Known("real"), Lookup::Unknown { scope: Some(Scope::In), decoy: Some("decoy") }] {
        assert_eq!(written(&claim(found).judged(Err(Temporary::IO)).unwrap_err()), b"\x04\x01T\0");
    }
}

#[test]
fn answers_taken_for_requests_end_in_a_refusal() {
    let policies = [Policy::Authenticate, Policy::Lookup { secret: Secret::new(b"") }];
    let mut packets: Vec<Vec<u8>> =
        (0..=255).flat_map(|first| [vec![first], vec![first, 0], vec![first, 0, 0]]).collect();
    packets.extend([b"\0\0\x01\x01a\x02\x011\x03\x011\x05\x01/\0".to_vec(), b"\x01a\0\0p\0\0".to_vec(), Vec::new()]);
    for (policy, start) in policies.iter().flat_map(|policy| packets.iter().map(move |packet| (policy, packet))) {
        let mut packet = start.clone();
        let mut steps = 0;
        while !wire::is_refusal(&packet) {
            let mut out = Packet::new();
            match Exchange::begin(policy, Accepts::Anything, &packet) {
                Ok(exchange) => {
                    let unknown = Lookup::Unknown { scope: None, decoy: None::<()> };
                    exchange.looked_up(Ok(unknown)).unwrap_err().write(&mut out);
                }
                Err(refusal) => drop(refusal.write(&mut out)),
            }
            packet = out.to_vec();
            steps += 1;
            assert!(steps < 5, "{start:02x?}");
        }
    }
}

#[test]
fn lookup_mode_does_not_authenticate() {
    let Ok(AfterLookup::Granted(granted)) = looking_up().looked_up(KNOWN) else { panic!("not granted") };
    assert_eq!(*granted.account(), "real");
    assert_eq!(granted.request().account(), Some(&b"a"[..]));
}

#[test]
fn lookup_mode_has_no_use_for_a_decoy() {
    let unknown = Lookup::Unknown { scope: Some(Scope::Out), decoy: Some("decoy") };
    let refusal = looking_up().looked_up(Ok(unknown)).unwrap_err();
    assert_eq!(written(&refusal), b"d\x01T\x10\x011\0");
}

#[test]
fn temporary_trouble_is_its_own_code_at_every_step() {
    for number in (1..=255).filter(|&number| number != 100) {
        let temporary = Temporary::new(Code::new(number)).unwrap();
        let code = |refusal: Refusal<'_>| refusal.answered().code.byte();
        let lookup = authenticating().looked_up(Err::<Lookup<&str>, _>(temporary)).unwrap_err();
        assert_eq!(code(lookup), number);
        assert_eq!(code(claim(Lookup::Known("real")).judged(Err(temporary)).unwrap_err()), number);
        let mut out = Packet::new();
        let granted = claim(Lookup::Known("real")).judged(Ok(Verdict::Accepted)).unwrap();
        assert_eq!(granted.results(&mut out, |_, _| Err(temporary)).byte(), number);
        assert_eq!(*out, [number, 1, b'T', 0]);
    }
}

#[test]
fn facts_written_before_the_trouble_are_not_sent() {
    let granted = claim(Lookup::Known("real")).judged(Ok(Verdict::Accepted)).unwrap();
    let mut out = Packet::new();
    let code = granted.results(&mut out, |_, facts| {
        facts.standard(&crate::StandardFacts::default());
        Err(Temporary::IO)
    });
    assert_eq!((code, &*out), (Code::IO, &b"\x04\x01T\0"[..]));
}

#[test]
fn a_success_without_its_facts_is_code_3() {
    let granted = claim(Lookup::Known("real")).judged(Ok(Verdict::Accepted)).unwrap();
    let mut out = Packet::new();
    assert_eq!(granted.results(&mut out, |_, _| Ok(())), Code::BAD_MODULE_DATA);
    assert_eq!(*out, *b"\x03\x01T\0");
}

#[test]
fn a_refusal_from_outside_has_the_shape_of_its_packet() {
    let refused = |packet| {
        let refusal = Refusal::of_packet(packet, Temporary::IO);
        (written(&refusal), refusal.answered().account.map(<[u8]>::to_vec))
    };
    assert_eq!(refused(b"\x02\x01T\x01\x01a\0"), (b"\x04\x01T\0".to_vec(), Some(b"a".to_vec())));
    assert_eq!(refused(b"\x01a\0\0\0"), (b"\x04\0".to_vec(), Some(b"a".to_vec())));
    assert_eq!(refused(b"\x02\x01T\x01\x01a"), (b"\x02\x01T\0".to_vec(), None));
}
