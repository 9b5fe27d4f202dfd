//! `cvm-authuser`: `users/authuser` over every contact mode, with the system's users and other programs behind it.

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::packet::{self, ACCOUNT, CHALLENGE, DOMAIN, Items, PASSWORD, RESPONSE, RESPONSE_TYPE};
use cvm_tests::process::{self, End};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

use crate::qmail_authuser::root;
use crate::unix::User;

/// A server of a file.
fn serve(folder: &Folder, more: Settings<'_>) -> Station {
    let (root, path) = (folder.path(""), format!("{}:/usr/bin:/bin", folder.path("")));
    let settings = [&[("QMAIL_ROOT", root.as_str()), ("PATH", path.as_str())], more].concat();
    Station::start_module(Make::Ours, "cvm-authuser", &settings)
}

fn code(station: &Station, mode: Mode, items: Items<'_>) -> u8 {
    station.contact(mode).ask(&packet::v2(2, b"T", items)).expect("an answer")[0]
}

fn login(station: &Station, name: &str, password: &str) -> u8 {
    let (account, domain) = name.split_once('@').unwrap_or((name, ""));
    let items = [(ACCOUNT, account.as_bytes()), (DOMAIN, domain.as_bytes()), (PASSWORD, password.as_bytes())];
    let [first, others @ ..] = Mode::ALL.map(|mode| code(station, mode, &items));
    assert!(others.iter().all(|other| *other == first), "{name}: {first} and {others:?}");
    first
}

#[test]
fn a_login_tells_who_it_is_over_every_contact_mode() {
    let folder = root("Joe@x.org:secret\n");
    let settings = [("CVM_AUTHUSER_UID", "1234"), ("CVM_AUTHUSER_GID", "2345"), ("CVM_AUTHUSER_HOME", "/virtual")];
    for (settings, ids) in
        [(&settings[..], [&b"1234"[..], b"2345", b"/virtual"]), (&[], [&b"65534"[..], b"65534", b"/"])]
    {
        let station = serve(&folder, settings);
        let facts = [(1, &b"Joe"[..]), (2, ids[0]), (3, ids[1]), (5, ids[2]), (14, b"x.org")];
        let request = packet::v2(2, b"T", &[(ACCOUNT, b"joe"), (DOMAIN, b"X.org"), (PASSWORD, b"secret")]);
        for mode in Mode::ALL {
            assert_eq!(station.contact(mode).ask(&request), Ok(packet::v2(0, b"T", &facts)), "{mode}");
        }
    }
}

#[test]
fn challenges_of_the_rfcs_are_answered_by_passwords_in_plain_text() {
    let file = "tim:tanstaaftanstaaf\nmrose:tanstaaf\nmd5:%5ebe2294ecd0e0f08eab7690d2a6ee69\n";
    let station = serve(&root(file), &[]);
    let cram = packet::unhex("b913a602c7eda7a495b4e6e7334d3890");
    let of = |account: &str, challenge: &str, response: &[u8], name: &str| {
        let items = [
            (ACCOUNT, account.as_bytes()),
            (CHALLENGE, challenge.as_bytes()),
            (RESPONSE, response),
            (RESPONSE_TYPE, name.as_bytes()),
        ];
        code(&station, Mode::Udp, &items)
    };
    let challenge = "<1896.697170952@postoffice.reston.mci.net>";
    assert_eq!(of("tim", challenge, &cram, "CRAM-MD5"), 0);
    assert_eq!(of("tim", challenge, &cram, "APOP"), 100);
    assert_eq!(of("mrose", challenge, &cram, "CRAM-MD5"), 100);
    assert_eq!(of("md5", challenge, &cram, "CRAM-MD5"), 100);
    assert_eq!(of("nobody", challenge, &cram, "CRAM-MD5"), 100);
    let apop = b"c4c9334bac560ecc979e58001b3e22fb";
    assert_eq!(of("mrose", "<1896.697170952@dbc.mtview.ca.us>", apop, "APOP"), 0);
}

/// Only root can read shadow.
#[test]
fn users_of_the_system_are_told_as_by_cvm_unix_and_nobody_becomes_them() {
    let (user, locked) = (User::new(&[]), User::new(&[&["usermod", "-L"]]));
    let folder = root("*:?\n@be.org:!\n");
    let station = serve(&folder, &[]);
    let unix = process::command(&Make::Ours.program("cvm-unix"), &[], &[]);
    let mut unix = unix;
    let request = packet::v2(2, b"T", &[(ACCOUNT, user.name.as_bytes()), (PASSWORD, b"secret")]);
    let told = process::run(&mut unix, &request).stdout;
    for mode in Mode::ALL {
        assert_eq!(station.contact(mode).ask(&request), Ok(told.clone()), "{mode}");
    }
    assert_eq!(login(&station, &format!("{}@be.org", user.name), "secret"), 0);
    assert_eq!(login(&station, &user.name, "wrong"), 100);
    assert_eq!(login(&station, &locked.name, "secret"), 100);
    assert_eq!(login(&station, "nobody-at-all", "secret"), 100);
}

#[test]
fn other_programs_are_asked_and_their_exit_statuses_are_codes() {
    let folder = root("@x.org:+\n@y.org:&\n@z.org:=\n");
    // Each is the password's to say.
    let judge = "password=$(tr '\\0' '\\n' <&3 | sed -n 2p); exit $password";
    folder.script("checkvpw", judge);
    folder.script("vchkpw", judge);
    folder.script("doveadm", "read password; [ $4/$6 = /the/socket/service=x ] && exit $password");
    let station = serve(&folder, &[("CVM_AUTHUSER_SOCKET", "/the/socket"), ("CVM_AUTHUSER_SERVICE", "service=x")]);
    for name in ["joe@x.org", "joe@y.org", "joe@z.org"] {
        for (status, expected) in [("0", 0), ("1", 100), ("3", 100), ("20", 100), ("2", 6), ("111", 4), ("77", 4)] {
            assert_eq!(login(&station, name, status), expected, "{name} {status}");
        }
    }
}

#[test]
fn about_the_unknown_and_the_disabled_other_programs_hear_no_password() {
    let folder = root("joe@x.org:+\n@y.org:&\n!bob@y.org:\n");
    let seen = quoted(&folder.path("seen"));
    for name in ["checkvpw", "vchkpw"] {
        folder.script(name, &format!("cat <&3 >{seen}; exit 0"));
    }
    let station = serve(&folder, &[]);
    for name in ["bob@y.org", "ann@x.org"] {
        assert_eq!(login(&station, name, "secret"), 100, "a decoy's verdict is nobody's");
        let seen = String::from_utf8(folder.read("seen")).expect("text");
        assert!(seen.starts_with(&format!("{name}\0")) && !seen.contains("secret"), "{seen:?}");
    }
    assert_eq!(login(&station, "joe@x.org", "secret"), 0);
    assert!(folder.read("seen").starts_with(b"joe@x.org\0secret\0"));
}

#[test]
fn a_program_that_hangs_is_code_4_and_holds_nobody_else_up() {
    let folder = root("slow:+\njoe:secret\n");
    folder.script("checkvpw", "exec sleep 30");
    let station = serve(&folder, &[("CVM_CLIENT_TIMEOUT", "500")]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| code(&station, Mode::Local, &[(ACCOUNT, b"slow"), (PASSWORD, b"x")]));
        for _ in 0..20 {
            assert_eq!(code(&station, Mode::Local, &[(ACCOUNT, b"joe"), (PASSWORD, b"secret")]), 0);
        }
        assert_eq!(slow.join().expect("an answer"), 4);
    });
}

#[test]
fn settings_that_are_wrong_are_code_6() {
    for (name, value) in [
        ("CVM_AUTHUSER_UID", "0"),
        ("CVM_AUTHUSER_UID", "root"),
        ("CVM_AUTHUSER_UID", "4294967295"),
        ("CVM_AUTHUSER_GID", "-1"),
        ("CVM_AUTHUSER_HOME", "virtual"),
        ("CVM_CLIENT_TIMEOUT", "soon"),
    ] {
        let program = Make::Ours.program("cvm-authuser");
        let mut server = process::command(&program, &["cvm-local:/nowhere/socket"], &[(name, value)]);
        process::run(&mut server, b"").assert_complaint(6, &[name, value, "expected"]);
    }
}

#[test]
fn the_path_is_set_by_itself_or_by_the_folder_of_qmail() {
    let folder = root("joe:secret\n");
    let other = folder.write("other", "joe:other\n");
    let request = packet::v2(2, b"T", &[(ACCOUNT, b"joe"), (PASSWORD, b"other")]);
    let path = folder.path("");
    for (settings, expected) in [
        (&[("QMAIL_ROOT", path.as_str())][..], 100),
        (&[("QMAIL_ROOT", path.as_str()), ("CVM_AUTHUSER_PATH", other.as_str())], 0),
        (&[("QMAIL_ROOT", "/nonexistent")], 4),
    ] {
        let mut asked = process::command(&Make::Ours.program("cvm-authuser"), &[], settings);
        assert_eq!(process::run(&mut asked, &request).end, End::Exit(expected), "{settings:?}");
    }
}
