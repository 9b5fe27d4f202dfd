use super::*;
use crate::account::Account;

const TEXT: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";

/// A session in short: what it ended with, and whom it knows.
#[derive(Debug, PartialEq)]
enum Seen {
    Waits(String),
    Check(String, Vec<(u8, Vec<u8>)>),
    Ended(Outcome, Option<String>),
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn seen(step: Step) -> Seen {
    match step {
        Step::Challenge(pending) => Seen::Waits(pending.challenge()),
        Step::Ended(ended) => Seen::Ended(ended.outcome, ended.user.as_deref().map(text)),
        Step::Check(login) => {
            let credentials = login.credentials(Account::whole(login.user(), b""));
            let items = credentials.iter().map(|item| (item.kind.number(), item.value.expose().to_vec()));
            Seen::Check(text(login.user()), items.collect())
        }
    }
}

/// Begins with an initial response, then sends the lines, and sees what comes of it.
fn play(mechanism: Mechanism, initial: Option<&str>, lines: &[&str]) -> Seen {
    let mut step = start(mechanism, initial.map(str::as_bytes), TEXT.to_vec());
    for line in lines {
        let Step::Challenge(pending) = step else { panic!("nobody waits for {line:?}") };
        step = pending.handle_line(line.as_bytes());
    }
    seen(step)
}

fn encoded(plain: &str) -> String {
    base64::encode(plain.as_bytes())
}

fn password(user: &str, password: &str) -> Seen {
    Seen::Check(user.to_owned(), vec![(1, user.into()), (3, password.into())])
}

fn ended(outcome: Outcome) -> Seen {
    Seen::Ended(outcome, None)
}

fn ended_for(outcome: Outcome, user: &str) -> Seen {
    Seen::Ended(outcome, Some(user.to_owned()))
}

#[test]
fn the_examples_of_rfc_4616() {
    let tim = encoded("\0tim\0tanstaaftanstaaf");
    assert_eq!(play(Mechanism::Plain, Some(&tim), &[]), password("tim", "tanstaaftanstaaf"));
    // Kurt asks to act as Ursel, which nobody lets him.
    let kurt = encoded("Ursel\0Kurt\0xipj3plmq");
    assert_eq!(play(Mechanism::Plain, None, &[&kurt]), password("Kurt", "xipj3plmq"));
}

#[test]
fn the_example_of_rfc_2195() {
    let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
    assert_eq!(play(Mechanism::CramMd5, None, &[]), Seen::Waits(challenge.to_owned()));
    let response = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
    let digest = hex::decode::<16>(b"b913a602c7eda7a495b4e6e7334d3890").unwrap().to_vec();
    let items = vec![(1, b"tim".to_vec()), (5, TEXT.to_vec()), (6, digest), (7, b"CRAM-MD5".to_vec())];
    assert_eq!(play(Mechanism::CramMd5, None, &[response]), Seen::Check("tim".to_owned(), items));
}

#[test]
fn login_asks_for_a_name_and_then_for_a_password() {
    assert_eq!(play(Mechanism::Login, None, &[]), Seen::Waits("VXNlcm5hbWU6".to_owned()));
    let asks_for_password = Seen::Waits("UGFzc3dvcmQ6".to_owned());
    assert_eq!(play(Mechanism::Login, None, &["YWxpY2U="]), asks_for_password);
    assert_eq!(play(Mechanism::Login, Some("YWxpY2U="), &[]), asks_for_password);
    assert_eq!(play(Mechanism::Login, None, &["YWxpY2U=", "c2VjcmV0"]), password("alice", "secret"));
    assert_eq!(play(Mechanism::Login, Some("YWxpY2U="), &["c2VjcmV0"]), password("alice", "secret"));
}

#[test]
fn plain_without_an_initial_response_has_an_empty_challenge() {
    assert_eq!(play(Mechanism::Plain, None, &[]), Seen::Waits(String::new()));
}

#[test]
fn cram_md5_lets_nobody_begin() {
    for initial in ["", "=", "*", "YWxpY2U="] {
        assert_eq!(play(Mechanism::CramMd5, Some(initial), &[]), ended(Outcome::InitialResponse), "{initial:?}");
    }
}

#[test]
fn an_asterisk_cancels_wherever_a_line_is_waited_for() {
    for mechanism in Mechanism::ALL {
        assert_eq!(play(mechanism, None, &["*"]), ended(Outcome::Cancelled));
        assert_eq!(play(mechanism, None, &["**"]), ended(Outcome::BadResponse));
        assert_eq!(play(mechanism, None, &["* "]), ended(Outcome::BadResponse));
    }
    assert_eq!(play(Mechanism::Login, None, &["YWxpY2U=", "*"]), ended_for(Outcome::Cancelled, "alice"));
    assert_eq!(play(Mechanism::Plain, Some("*"), &[]), ended(Outcome::BadResponse));
}

#[test]
fn a_client_that_goes_away_ends_the_session() {
    for mechanism in Mechanism::ALL {
        let Step::Challenge(pending) = start(mechanism, None, TEXT.to_vec()) else { panic!("{mechanism:?} waits") };
        assert_eq!(seen(pending.handle_end()), ended(Outcome::EndOfInput));
    }
    let Step::Challenge(pending) = start(Mechanism::Login, Some(b"YWxpY2U="), Vec::new()) else { panic!("it waits") };
    assert_eq!(seen(pending.handle_end()), ended_for(Outcome::EndOfInput, "alice"));
}

#[test]
fn an_empty_response_is_none() {
    for mechanism in Mechanism::ALL {
        assert_eq!(play(mechanism, None, &[""]), ended(Outcome::ResponseRequired));
        // Only an initial response is written so.
        assert_eq!(play(mechanism, None, &["="]), ended(Outcome::BadResponse));
    }
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        assert_eq!(play(mechanism, Some("="), &[]), ended(Outcome::ResponseRequired));
    }
    assert_eq!(play(Mechanism::Login, None, &["YWxpY2U=", ""]), ended_for(Outcome::ResponseRequired, "alice"));
}

#[test]
fn what_is_not_base64_or_too_long_is_a_bad_response() {
    let longest = encoded(&"a".repeat(LINE_MAX / 4 * 3));
    assert_eq!(longest.len(), LINE_MAX);
    let longer = encoded(&"a".repeat(LINE_MAX / 4 * 3 + 1));
    for line in ["YWxpY2U", "YWxpY2V=", "YWxpY2U=\r", " YWxpY2U=", "YWxp Y2U=", "alice", &longer] {
        for mechanism in Mechanism::ALL {
            assert_eq!(play(mechanism, None, &[line]), ended(Outcome::BadResponse), "{line:?}");
        }
        assert_eq!(play(Mechanism::Login, Some("YWxpY2U="), &[line]), ended_for(Outcome::BadResponse, "alice"));
    }
    assert!(matches!(play(Mechanism::Login, None, &[&longest]), Seen::Waits(_)));
}

#[test]
fn plain_is_three_fields_without_nul() {
    for message in ["alice", "\0alice", "alice\0secret", "\0alice\0secret\0", "\0alice\0sec\0ret", "\0\0\0\0"] {
        assert_eq!(play(Mechanism::Plain, Some(&encoded(message)), &[]), ended(Outcome::BadResponse), "{message:?}");
    }
}

#[test]
fn nul_belongs_to_no_name_and_no_password() {
    let (user, password) = (encoded("alice\0x"), encoded("secret\0x"));
    assert_eq!(play(Mechanism::Login, None, &[&user]), ended(Outcome::BadResponse));
    assert_eq!(play(Mechanism::Login, Some("YWxpY2U="), &[&password]), ended_for(Outcome::BadResponse, "alice"));
    let response = encoded(&format!("alice\0x {}", "0".repeat(32)));
    assert_eq!(play(Mechanism::CramMd5, None, &[&response]), ended(Outcome::BadResponse));
}

#[test]
fn nobody_is_asked_about_an_empty_name_or_password() {
    assert_eq!(play(Mechanism::Plain, Some(&encoded("\0\0secret")), &[]), ended(Outcome::Failed));
    assert_eq!(play(Mechanism::Plain, Some(&encoded("\0alice\0")), &[]), ended_for(Outcome::Failed, "alice"));
    assert_eq!(play(Mechanism::Plain, Some(&encoded("\0\0")), &[]), ended(Outcome::Failed));
    let response = encoded(&format!(" {}", "0".repeat(32)));
    assert_eq!(play(Mechanism::CramMd5, None, &[&response]), ended(Outcome::Failed));
}

#[test]
fn a_cram_md5_response_is_a_name_that_may_hold_blanks_and_32_digits() {
    for user in ["alice", "al ice", " ", "al  ice "] {
        let response = encoded(&format!("{user} 00112233445566778899AAbbccddeeff"));
        let seen = play(Mechanism::CramMd5, None, &[&response]);
        assert!(matches!(&seen, Seen::Check(name, items) if name == user && items[2].1.len() == 16), "{seen:?}");
    }
    let digits = "0".repeat(32);
    for response in [
        digits.clone(),
        "alice".to_owned(),
        format!("alice {}", &digits[1..]),
        format!("alice {digits}0"),
        format!("alice {digits} "),
        format!("alice {}g", &digits[1..]),
        // As many bytes as a digest has; it is a module that takes them so, not a client.
        format!("alice {}", &digits[16..]),
    ] {
        assert_eq!(play(Mechanism::CramMd5, None, &[&encoded(&response)]), ended(Outcome::BadResponse), "{response}");
    }
}

#[test]
fn a_challenge_is_made_of_process_random_digits_time_and_host() {
    let time = Duration::new(1_700_000_000, 452_676_999);
    let made = |host: &str| String::from_utf8(challenge_text(42, 987, time, host.as_bytes())).unwrap();
    assert_eq!(made("mail.example.net"), "<42987.1700000000.452676@mail.example.net>");
    assert_eq!(challenge_text(1, 2, Duration::new(3, 4_000), b"h"), b"<12.3.000004@h>");
    for host in ["", "two words", "a>b", "a@b", "a\r\nb", "\u{e4}", &"h".repeat(191)] {
        assert_eq!(made(host), "<42987.1700000000.452676@unknown>", "{host:?}");
    }
}

#[test]
fn the_longest_challenge_fits_in_a_credential() {
    let text = challenge_text(u32::MAX, u64::MAX, Duration::MAX, &[b'h'; HOST_MAX]);
    assert!(text.ends_with(b"h>") && text.len() <= 255, "{}", text.len());
}

#[test]
fn printing_a_session_shows_no_secrets() {
    let Step::Challenge(pending) = start(Mechanism::Login, Some(b"YWxpY2U="), Vec::new()) else { panic!("it waits") };
    assert_eq!(format!("{pending:?}"), "Pending(LOGIN, password)");
    let printed = format!("{:?}", pending.handle_line(b"aHVudGVyMg=="));
    assert!(!printed.contains("hunter2") && !printed.contains("104, 117"), "{printed}");
}
