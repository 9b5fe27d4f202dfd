//! Settings that are missing or wrong: named, with exit status 6; in command mode the answer says so too.

use std::path::Path;

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, Hex, PASSWORD};
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;
use cvm_tests::server::Server;
use cvm_tests::station::{self, Station, TABLE};

const FILE: (&str, &str) = ("CVM_PWFILE_PATH", "/dev/null");

fn pwfile(arguments: &[&str], settings: Settings<'_>, input: &[u8]) -> Finished {
    run(&mut command(&Make::Ours.program("cvm-pwfile"), arguments, settings), input)
}

/// Settings of a module, the variable that is to blame, and what it should be.
const WRONG: [(Settings<'static>, &str); 4] = [
    (&[], "CVM_PWFILE_PATH"),
    (&[("CVM_PWFILE_PATH", "")], "CVM_PWFILE_PATH"),
    (&[FILE, ("CVM_PWFILE_PWCMP", "zzz")], "CVM_PWFILE_PWCMP"),
    (&[FILE, ("CVM_PWFILE_PWCMP", "Crypt")], "CVM_PWFILE_PWCMP"),
];

/// Those of a server only.
const WRONG_FOR_SERVERS: [(Settings<'static>, &str); 19] = [
    (&[FILE, ("CVM_IO_TIMEOUT", "x")], "CVM_IO_TIMEOUT"),
    (&[FILE, ("CVM_IO_TIMEOUT", "-1")], "CVM_IO_TIMEOUT"),
    (&[FILE, ("CVM_IO_TIMEOUT", "4294967296")], "CVM_IO_TIMEOUT"),
    (&[FILE, ("CVM_LOCAL_TIMEOUT", "1s")], "CVM_LOCAL_TIMEOUT"),
    (&[FILE, ("CVM_SOCKET_MODE", "8")], "CVM_SOCKET_MODE"),
    (&[FILE, ("CVM_SOCKET_MODE", "u+rw")], "CVM_SOCKET_MODE"),
    (&[FILE, ("CVM_SOCKET_MODE", "1000")], "CVM_SOCKET_MODE"),
    (&[FILE, ("CVM_SOCKET_OWNER", "no such user")], "CVM_SOCKET_OWNER"),
    (&[FILE, ("CVM_SOCKET_OWNER", "-1")], "CVM_SOCKET_OWNER"),
    (&[FILE, ("CVM_SOCKET_OWNER", "4294967295")], "CVM_SOCKET_OWNER"),
    (&[FILE, ("CVM_SOCKET_GROUP", "no such group")], "CVM_SOCKET_GROUP"),
    (&[FILE, ("CVM_SOCKET_GROUP", "1.5")], "CVM_SOCKET_GROUP"),
    (&[FILE, ("CVM_RUNTIME", "Mio")], "CVM_RUNTIME"),
    (&[FILE, ("CVM_THREADS", "many")], "CVM_THREADS"),
    (&[FILE, ("CVM_CPU_WORKERS", "-1")], "CVM_CPU_WORKERS"),
    (&[FILE, ("CVM_QUEUE", "1000001")], "CVM_QUEUE"),
    (&[FILE, ("CVM_MAX_CONNECTIONS", "4k")], "CVM_MAX_CONNECTIONS"),
    (&[FILE, ("CVM_RECEIVE_BUFFER", "1073741824")], "CVM_RECEIVE_BUFFER"),
    (&[FILE, ("CVM_LOG", "off")], "CVM_LOG"),
];

#[test]
fn a_server_names_the_variable_and_ends_with_6_before_it_makes_a_socket() {
    let folder = Folder::new();
    let socket = folder.path("socket");
    for (settings, variable) in WRONG.into_iter().chain(WRONG_FOR_SERVERS) {
        let finished = pwfile(&[&format!("cvm-local:{socket}")], settings, b"");
        finished.assert_complaint(6, &["cvm-pwfile: ", variable, "expected"]);
        assert_eq!(finished.stdout, b"", "{settings:?}");
        assert!(!Path::new(&socket).exists(), "{settings:?}");
    }
}

#[test]
fn the_message_shows_the_wrong_value_and_stays_one_line() {
    let settings = [FILE, ("CVM_PWFILE_PWCMP", "a\nb")];
    pwfile(&["cvm-local:/nowhere/socket"], &settings, b"").assert_complaint(6, &["CVM_PWFILE_PWCMP", r"a\nb"]);
}

#[test]
fn a_command_answers_6_in_the_shape_of_the_request_and_ends_with_6() {
    let requests = [
        (packet::v2(2, b"TAG", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]), packet::v2(6, b"TAG", &[])),
        (packet::v2(2, b"", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]), packet::v2(6, b"", &[])),
        (packet::v1(b"alice", b"", &[b"secret"]), b"\x06\0".to_vec()),
    ];
    for (settings, variable) in WRONG {
        for (request, answer) in &requests {
            let finished = pwfile(&[], settings, request);
            finished.assert_complaint(6, &["cvm-pwfile: ", variable]);
            assert_eq!(Hex(&finished.stdout).to_string(), Hex(answer).to_string(), "{settings:?}");
        }
    }
}

#[test]
fn the_exit_status_of_a_command_is_its_code_even_if_settings_and_request_are_both_wrong() {
    for request in [b"".as_slice(), b"\x02\x03TAG", b"\x01alice", b"\x03\0\0"] {
        let finished = pwfile(&[], &[], request);
        let code = finished.stdout.first().copied().map(i32::from);
        assert_eq!(Some(finished.end), code.map(End::Exit), "{}: {finished:?}", request.escape_ascii());
    }
}

#[test]
fn the_clients_of_both_makes_understand_a_command_without_settings() {
    // It reads its input first, so that no client is left with a broken pipe.
    let program = Make::Ours.program("cvm-pwfile");
    for make in Make::ALL {
        for client in [crate::clients::Client::V1, crate::clients::Client::V2] {
            let finished = client.ask(make, &program, &["alice", "ex.com", "secret"], &[]);
            assert_eq!(finished.end, End::Exit(6), "{make}: {finished:?}");
        }
    }
}

#[test]
fn a_missing_password_file_is_no_reason_to_stop() {
    let station = Station::start(Make::Ours, TABLE, &[("CVM_PWFILE_PATH", "/nonexistent/passwd")]);
    let request = packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]);
    for mode in Mode::ALL {
        for _ in 0..3 {
            assert_eq!(station.contact(mode).ask(&request), Ok(packet::v2(4, b"T", &[])), "{mode}");
        }
    }
    assert_eq!(station.server().requests(), ["? alice"; 6]);
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert!(errors.lines().count() == 1 && errors.contains("/nonexistent/passwd"), "{errors}");
}

#[test]
fn a_command_that_finds_no_password_file_names_it() {
    let request = packet::v1(b"alice", b"", &[b"secret"]);
    let finished = pwfile(&[], &[("CVM_PWFILE_PATH", "/nonexistent/passwd")], &request);
    finished.assert_complaint(4, &["cvm-pwfile: ", "/nonexistent/passwd"]);
    assert_eq!(finished.stdout, b"\x04\0");
}

#[test]
fn a_folder_is_no_password_file() {
    let finished = pwfile(&[], &[("CVM_PWFILE_PATH", "/usr")], &packet::v1(b"alice", b"", &[b"secret"]));
    finished.assert_complaint(4, &["cvm-pwfile: ", "/usr"]);
}

#[test]
fn malformed_lines_are_told_once_and_the_others_count() {
    let table =
        "broken\n:x:1:1:::\nalice:a:1:x:::\nalice:b::1:::\nalice:c:4294967295:1:::\n# alice:d:1:1:::\n\nbob:x:1:2:::";
    let station = Station::start(Make::Ours, &format!("{table}\n{TABLE}"), &[]);
    let request = packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]);
    assert_eq!(station.contact(Mode::Udp).ask(&request), Ok(station::alice_with(b"T")));
    let comment = packet::v2(2, b"T", &[(ACCOUNT, b"# alice"), (PASSWORD, b"d")]);
    assert_eq!(station.contact(Mode::Udp).ask(&comment), Ok(packet::v2(100, b"T", &[])));
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert!(errors.lines().count() == 1 && errors.contains(&station.folder().path("passwd")), "{errors}");
    assert!(errors.contains('5') && errors.contains("line 1"), "{errors}");
}

#[test]
fn empty_settings_are_as_good_as_none() {
    let folder = Folder::new();
    let path = folder.write("passwd", TABLE);
    let names = [
        "CVM_PWFILE_PWCMP",
        "CVM_IO_TIMEOUT",
        "CVM_LOCAL_TIMEOUT",
        "CVM_SOCKET_MODE",
        "CVM_SOCKET_OWNER",
        "CVM_SOCKET_GROUP",
    ];
    let settings: Vec<_> = names.iter().map(|name| (*name, "")).chain([("CVM_PWFILE_PATH", path.as_str())]).collect();
    let endpoint = format!("cvm-local:{}", folder.path("socket"));
    assert_eq!(Server::start(Make::Ours, &[&endpoint], &settings).stop(), End::Exit(0));
}
