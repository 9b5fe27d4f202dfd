//! Hashed passwords, made by the programs that make them in life: `openssl passwd` and crypt(3), through perl.

use std::process::Command;

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{self, End};
use cvm_tests::programs::{Make, tool};
use cvm_tests::station::Station;

const CRYPT: cvm_tests::Settings<'static> = &[("CVM_PWFILE_PWCMP", "crypt")];

/// Passwords that are easily taken for another: by a cut, by a conversion, by a comparison that is too lax.
const PASSWORDS: [&str; 4] = ["secret", "s", "with space:\"$\\", "grün-ポスト"];

fn output(command: &mut Command, input: &str) -> String {
    let finished = process::run(command, input.as_bytes());
    assert_eq!(finished.end, End::Exit(0), "{command:?}: {finished:?}");
    finished.output().trim_end().to_owned()
}

fn openssl(form: &str, password: &str) -> String {
    output(Command::new(tool("openssl", "openssl")).args(["passwd", form, "-stdin"]), password)
}

/// Hashes with the system's crypt(3) and these settings.
fn crypt(settings: &str, password: &str) -> String {
    let script = r#"local $/; my $hash = crypt(<STDIN>, $ARGV[0]); print $hash // "*0""#;
    let hash = output(Command::new(tool("perl", "perl")).args(["-e", script, settings]), password);
    assert!(!hash.starts_with('*'), "the system's crypt(3) cannot make {settings}: tests need libcrypt1 of Debian");
    hash
}

/// Every form, for one password.
fn hashes(password: &str) -> Vec<String> {
    let mut hashes: Vec<_> = ["-1", "-5", "-6"].map(|form| openssl(form, password)).into();
    let settings = [
        "ab",
        "$1$12345678$",
        "$2a$04$abcdefghijklmnopqrstuu",
        "$2b$05$abcdefghijklmnopqrstuu",
        "$2y$04$abcdefghijklmnopqrstuu",
        "$5$salt$",
        "$5$rounds=1000$salt$",
        "$6$0123456789abcdef$",
        "$6$rounds=1234$salt$",
    ];
    hashes.extend(settings.map(|settings| crypt(settings, password)));
    hashes
}

/// Makes a table of an account per hash, and returns it with the names of the accounts.
fn table(hashes: &[String]) -> (String, Vec<String>) {
    let names: Vec<_> = (0..hashes.len()).map(|index| format!("user{index}")).collect();
    let lines = names.iter().zip(hashes).map(|(name, hash)| format!("{name}:{hash}:1:2::/:\n"));
    (lines.collect(), names)
}

fn login(account: &str, password: &[u8]) -> Vec<u8> {
    packet::v2(2, b"", &[(ACCOUNT, account.as_bytes()), (PASSWORD, password)])
}

/// Asks about an account and returns the code.
fn code(station: &Station, mode: Mode, account: &str, password: &[u8]) -> Result<u8, String> {
    let answer = station.contact(mode).ask(&login(account, password))?;
    answer.first().copied().ok_or_else(|| "no answer".to_owned())
}

fn check_form_by_form(password: &str) {
    let hashes = hashes(password);
    let (table, names) = table(&hashes);
    let station = Station::start(Make::Ours, &table, CRYPT);
    let mut findings = Findings::new();
    let (longer, other_case) = (format!("x{password}"), password.to_uppercase());
    for (name, hash) in names.iter().zip(&hashes) {
        for mode in [Mode::Command, Mode::Local] {
            findings.equal(format_args!("{hash}, {mode}"), code(&station, mode, name, password.as_bytes()), Ok(0));
        }
        for wrong in [longer.as_bytes(), b"wrong", hash.as_bytes(), &[password.as_bytes(), b"\0"].concat()] {
            let about = format_args!("{hash} {}", wrong.escape_ascii()).to_string();
            findings.equal(about, code(&station, Mode::Udp, name, wrong), Ok(100));
        }
        if other_case != password {
            findings.equal(
                format_args!("{hash} {other_case}"),
                code(&station, Mode::Udp, name, other_case.as_bytes()),
                Ok(100),
            );
        }
        findings.equal(format_args!("{hash}, no password"), code(&station, Mode::Udp, name, b""), Ok(7));
    }
    findings.equal("an unknown account", code(&station, Mode::Udp, "mallory", password.as_bytes()), Ok(100));
    findings.equal("standard error", station.server().errors(), Vec::new());
    findings.assert_none();
}

#[test]
fn every_classic_form_accepts_its_password_and_no_other() {
    PASSWORDS.into_iter().for_each(check_form_by_form);
}

#[test]
fn a_long_password_counts_to_its_last_byte_where_the_form_takes_it() {
    let long = "x".repeat(100);
    let hashes = [openssl("-1", &long), openssl("-5", &long), openssl("-6", &long)];
    let (table, names) = table(&hashes);
    let station = Station::start(Make::Ours, &table, CRYPT);
    for (name, hash) in names.iter().zip(&hashes) {
        assert_eq!(code(&station, Mode::Local, name, long.as_bytes()), Ok(0), "{hash}");
        assert_eq!(code(&station, Mode::Local, name, &long.as_bytes()[..99]), Ok(100), "{hash}");
    }
}

#[test]
fn locked_entries_are_refused_in_silence() {
    let hash = openssl("-6", "secret");
    let stored = ["", "x", "*", "!", "!!", "!*", "*LK*"].map(str::to_owned);
    let stored: Vec<_> = stored.into_iter().chain([format!("!{hash}"), format!("*{hash}")]).collect();
    let (table, names) = table(&stored);
    let station = Station::start(Make::Ours, &table, CRYPT);
    for (name, stored) in names.iter().zip(&stored) {
        for password in [b"secret".as_slice(), b"x", b"*", stored.as_bytes()] {
            let expected = if password.is_empty() { 7 } else { 100 };
            assert_eq!(code(&station, Mode::Udp, name, password), Ok(expected), "{stored:?}");
        }
    }
    assert_eq!(station.server().errors(), b"");
}

#[test]
fn an_unknown_form_is_refused_and_said_once() {
    let stored = ["secret", "$9$salt$whatever", "{UNKNOWN}x", "$6$short"].map(str::to_owned);
    let (table, names) = table(&stored);
    let station = Station::start(Make::Ours, &table, CRYPT);
    for (name, stored) in names.iter().zip(&stored) {
        assert_eq!(code(&station, Mode::Udp, name, b"secret"), Ok(100), "{stored}");
        assert_eq!(code(&station, Mode::Local, name, stored.as_bytes()), Ok(100), "{stored}");
    }
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert!(errors.lines().count() == 1 && errors.contains("unknown form"), "{errors}");
}

#[test]
fn a_form_that_would_take_for_ever_is_a_mistake_of_the_settings() {
    let hash = openssl("-6", "secret").replacen("$6$", "$6$rounds=999999999$", 1);
    let bcrypt = crypt("$2b$04$abcdefghijklmnopqrstuu", "secret").replacen("$04$", "$31$", 1);
    let (table, names) = table(&[hash, bcrypt]);
    let station = Station::start(Make::Ours, &table, CRYPT);
    for name in &names {
        assert_eq!(code(&station, Mode::Udp, name, b"secret"), Ok(6), "{name}");
    }
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn a_table_of_hashes_is_no_table_of_passwords() {
    let hash = openssl("-6", "secret");
    let (table, names) = table(std::slice::from_ref(&hash));
    let plain = Station::start(Make::Ours, &table, &[("CVM_PWFILE_PWCMP", "plain")]);
    assert_eq!(code(&plain, Mode::Udp, &names[0], b"secret"), Ok(100));
    assert_eq!(code(&plain, Mode::Udp, &names[0], hash.as_bytes()), Ok(0));
}
