//! `cvm-qmail` as a server of homes whose dot-qmail files come and go.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cvm_tests::contact::{Contact, Mode, receive_from};
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN};
use cvm_tests::process::LIMIT;
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

use crate::qmail_settings::{host, question, told};

/// How many of the others' requests are under way at a time.
const OTHERS: u8 = 32;

/// For as long a home has to be as it is before its names are remembered, and longer.
const A_WHILE: Duration = Duration::from_millis(120);

/// A server with strict decisions.
fn started(folder: &Folder) -> Station {
    let root = folder.path("");
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", ""), ("CVM_QMAIL_STRICT", "1")];
    Station::start_module(Make::Ours, "cvm-qmail", &settings)
}

/// Runs something while others ask for addresses of the same home, many at a time.
fn while_others_ask(station: &Station, run: impl FnOnce()) {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                ask_at_once(station);
            }
        });
        let _end = End(&has_ended);
        run();
    });
}

fn ask_at_once(station: &Station) {
    let Contact::Udp(address) = station.contact(Mode::Udp) else { panic!("a UDP server") };
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(address).expect("an address");
    for number in 0..OTHERS {
        let user = [&b"bob-new"[..], b"bob-x.y"][usize::from(number % 2)];
        let request = packet::v2(2, &[number], &[(ACCOUNT, user), (DOMAIN, b"local.example")]);
        socket.send(&request).expect("sent");
    }
    for _ in 0..OTHERS {
        let (answer, _) = receive_from(&socket, LIMIT).expect("an answer");
        assert!(matches!(answer.first(), Some(0 | 4 | 100)), "{answer:?}");
    }
}

/// Makes changes of a home in quick succession, each of which the next request must be told of.
fn change(folder: &Folder, is_there: impl Fn(&str) -> bool) {
    let path = |name: &str| folder.path(&format!("bob/.qmail-{name}"));
    assert!(!is_there("bob-new") && !is_there("bob-new.x"));
    folder.write("bob/.qmail-new", "");
    assert!(is_there("bob-new") && !is_there("bob-new.x"));
    fs::rename(path("new"), path("new:x")).expect("renamed");
    assert!(is_there("bob-new.x") && !is_there("bob-new"));
    fs::remove_file(path("new:x")).expect("removed");
    assert!(!is_there("bob-new.x"));
    symlink(".qmail-a-joe", path("new")).expect("a link");
    assert!(is_there("bob-new"));
    fs::remove_file(path("new")).expect("removed");
    assert!(!is_there("bob-new"));
    // Another home in place of this one, and back.
    fs::rename(folder.path("bob"), folder.path("away")).expect("renamed");
    fs::create_dir(folder.path("bob")).expect("a folder");
    folder.write("bob/.qmail-new", "");
    assert!(is_there("bob-new") && !is_there("bob-x.y"));
    fs::remove_dir_all(folder.path("bob")).expect("removed");
    fs::rename(folder.path("away"), folder.path("bob")).expect("renamed");
    assert!(!is_there("bob-new") && is_there("bob-x.y"));
}

#[test]
fn files_that_come_and_go_are_seen_by_the_next_request() {
    let folder = host();
    let station = started(&folder);
    let modes = [Mode::Udp, Mode::Local].map(|mode| station.contact(mode));
    for contact in modes.iter().cycle().take(6) {
        let is_there =
            |user: &str| match told(&contact.ask(&question(user, "local.example")).expect("an answer")).as_str() {
                "local.example" => true,
                "no" => false,
                other => panic!("{user}: {other}"),
            };
        // The server is given the time to remember what is there.
        for _ in 0..3 {
            assert!(is_there("bob-x.y") && !is_there("bob-new"));
            thread::sleep(A_WHILE);
        }
        for _ in 0..5 {
            change(&folder, is_there);
        }
    }
}

#[test]
fn changes_are_seen_by_the_next_request_while_others_ask() {
    let folder = host();
    let station = started(&folder);
    let ask = |user| told(&station.contact(Mode::Udp).ask(&question(user, "local.example")).expect("an answer"));
    while_others_ask(&station, || {
        for round in 0..300 {
            folder.write("bob/.qmail-new", "");
            assert_eq!(ask("bob-new"), "local.example", "{round}");
            fs::remove_file(folder.path("bob/.qmail-new")).expect("removed");
            assert_eq!(ask("bob-new"), "no", "{round}");
            fs::set_permissions(folder.path("bob/.qmail-x:y"), Permissions::from_mode(0o666)).expect("a mode");
            assert_eq!(ask("bob-x.y"), "4", "{round}");
            fs::set_permissions(folder.path("bob/.qmail-x:y"), Permissions::from_mode(0o644)).expect("a mode");
            assert_eq!(ask("bob-x.y"), "local.example", "{round}");
            if round % 50 == 0 {
                thread::sleep(A_WHILE);
            }
        }
    });
}
