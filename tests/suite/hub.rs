//! The busy hub: bounds, changes under load, and what a server says about itself.

use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::contact::{Contact, Mode};
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{LIMIT, command, eventually, run};
use cvm_tests::programs::Make;
use cvm_tests::server::{Server, free_port};
use cvm_tests::station::{Station, TABLE, alice_with};
use rustix::process::Signal;

/// This driver, whatever the other tests are run with.
const MIO: (&str, &str) = ("CVM_RUNTIME", "mio");

/// The drivers in whose loops nothing waits.
const LOOPS: [(&str, &str); 2] = [MIO, ("CVM_RUNTIME", "smol")];

fn login() -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")])
}

fn start(runtime: (&str, &str), settings: Settings<'_>) -> Station {
    Station::start(Make::Ours, TABLE, &[&[runtime], settings].concat())
}

fn assert_serves(station: &Station) {
    for mode in [Mode::Local, Mode::Udp] {
        assert_eq!(station.contact(mode).ask(&login()), Ok(alice_with(b"T")), "{mode}");
    }
}

/// Tells which driver serves by what it has opened: smol's reactor an epoll instance and a timer, mio only the first,
/// the blocking driver neither.
fn driver_of(server: &Server) -> &'static str {
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("a process of ours").flatten();
    let kinds: Vec<_> = files.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    let has = |kind: &str| kinds.iter().any(|file| file.to_string_lossy().contains(kind));
    match (has("eventpoll"), has("timerfd")) {
        (false, _) => "blocking",
        (true, false) => "mio",
        (true, true) => "smol",
    }
}

#[test]
fn all_drivers_serve_whether_named_by_argument_or_setting() {
    let folder = Folder::new();
    let passwd = folder.write("passwd", TABLE);
    let cases: [(&[&str], &str, &str); 7] = [
        (&["--runtime", "mio"], "blocking", "mio"),
        (&["--runtime=blocking"], "mio", "blocking"),
        (&["--runtime", "blocking"], "", "blocking"),
        (&["--runtime", "smol"], "mio", "smol"),
        (&[], "mio", "mio"),
        (&[], "smol", "smol"),
        (&[], "blocking", "blocking"),
    ];
    for (arguments, setting, expected) in cases {
        let endpoint = format!("cvm-udp:127.0.0.1:{}", free_port());
        let arguments = [arguments, &[&endpoint]].concat();
        let settings = [("CVM_PWFILE_PATH", passwd.as_str()), ("CVM_RUNTIME", setting)];
        let server = Server::start(Make::Ours, &arguments, &settings);
        let address = endpoint.strip_prefix("cvm-udp:").and_then(|address| address.parse().ok()).expect("an address");
        assert_eq!(Contact::Udp(address).ask(&login()), Ok(alice_with(b"T")));
        assert_eq!(server.requests(), ["+ alice"]);
        assert_eq!(driver_of(&server), expected, "{arguments:?} {setting}");
    }
    let unknown = run(&mut command(&Make::Ours.program("cvm-pwfile"), &["--runtime", "tokio", &passwd], &[]), b"");
    unknown.assert_complaint(1, &["usage:", "--runtime mio|smol|blocking"]);
}

#[test]
fn without_a_log_only_start_and_stop_are_told() {
    for runtime in LOOPS {
        let mut station = start(runtime, &[("CVM_LOG", "none")]);
        assert_serves(&station);
        station.server_mut().stop();
        assert_eq!(station.server().log(), b"Starting.\nStopping.\n");
    }
}

/// Sockets that our own loops share are nobody else's.
#[test]
fn a_port_that_is_served_is_refused_with_several_loops_too() {
    let folder = Folder::new();
    let passwd = folder.write("passwd", TABLE);
    let endpoint = format!("cvm-udp:127.0.0.1:{}", free_port());
    let settings = [("CVM_PWFILE_PATH", passwd.as_str()), MIO, ("CVM_THREADS", "3")];
    let _server = Server::start(Make::Ours, &[&endpoint], &settings);
    let second = run(&mut command(&Make::Ours.program("cvm-pwfile"), &[&endpoint], &settings), b"");
    second.assert_complaint(4, &[&endpoint, "in use"]);
}

#[test]
fn thousands_of_connections_leave_no_descriptor_behind() {
    for runtime in LOOPS {
        let station = start(runtime, &[]);
        assert_serves(&station);
        let before = station.server().descriptors();
        for length in 0..login().len() {
            let streams: Vec<_> = (0..100).map(|_| station.connect()).collect();
            for mut stream in &streams {
                // Some are cut off, some leave without a word.
                let _ = std::io::Write::write_all(&mut stream, &login()[..length]);
            }
        }
        assert!(eventually(LIMIT, || station.server().descriptors() <= before), "{before} before");
        assert_serves(&station);
    }
}

#[test]
fn a_server_that_runs_out_of_descriptors_goes_on_when_there_are_some_again() {
    for runtime in LOOPS {
        let station = start(runtime, &[("CVM_IO_TIMEOUT", "60000"), ("CVM_THREADS", "1")]);
        assert_serves(&station);
        // Unlike a limit from the start, which the server fits its connections into.
        let few = station.server().limit_descriptors(20);
        let silent: Vec<_> = (0..60).map(|_| station.connect()).collect();
        assert!(eventually(LIMIT, || station.server().descriptors() >= few));
        let ask = |mode| station.contact(mode).ask(&login());
        assert_eq!(ask(Mode::Udp), Ok(alice_with(b"T")));
        // A table that cannot be opened now is no table that is gone.
        station.server().signal(Signal::HUP);
        station.folder().write("passwd", TABLE);
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(ask(Mode::Udp), Ok(alice_with(b"T")));
        drop(silent);
        assert_eq!(ask(Mode::Local), Ok(alice_with(b"T")));
        assert_eq!(ask(Mode::Udp), Ok(alice_with(b"T")));
    }
}

#[test]
fn a_server_with_few_descriptors_makes_room_for_its_files_and_for_whoever_comes() {
    let folder = Folder::new();
    let passwd = folder.write("passwd", TABLE);
    let (path, port) = (folder.path("socket"), free_port());
    let script = folder.script("few", &format!("ulimit -n 40; exec {} \"$@\"", Make::Ours.program("cvm-pwfile")));
    let endpoints = [format!("cvm-local:{path}"), format!("cvm-udp:127.0.0.1:{port}")];
    let settings = [("CVM_PWFILE_PATH", passwd.as_str()), MIO, ("CVM_IO_TIMEOUT", "60000"), ("CVM_THREADS", "1")];
    let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
    let server = Server::start_program(&script, &endpoints, &settings);
    let _silent: Vec<_> = (0..60).map(|_| UnixStream::connect(&path).expect("a connection")).collect();
    assert_eq!(Contact::Local(path).ask(&login()), Ok(alice_with(b"T")));
    assert!(server.descriptors() < 40);
    folder.write("passwd", TABLE.replace("secret", "another"));
    let udp = Contact::Udp(([127, 0, 0, 1], port).into());
    assert_ne!(udp.ask(&login()), Ok(alice_with(b"T")), "the new table was read");
}

/// A table whose accounts all tell its version, in two fields.
fn version(number: u32) -> String {
    (0..2000).map(|account| format!("user{account}:secret:{number}:7:{number}:/home:/bin/sh\n")).collect()
}

/// Reads the version out of an answer; a mixture of two fails.
fn version_of(answer: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(answer);
    let mut numbers = text.split(|character: char| !character.is_ascii_digit()).filter(|digits| digits.len() == 5);
    let (first, second) = (numbers.next()?, numbers.next()?);
    assert_eq!(first, second, "one version");
    first.parse().ok()
}

#[test]
fn a_table_that_is_replaced_under_load_answers_from_one_whole_version_and_the_new_one_at_once() {
    for runtime in LOOPS {
        let station = Station::start(Make::Ours, &version(10_000), &[runtime]);
        let (path, next) = (station.folder().path("passwd"), station.folder().path("next"));
        let (in_place, is_over) = (AtomicU32::new(10_000), AtomicBool::new(false));
        let ask = |mode: Mode| {
            let contact = station.contact(mode);
            let mut asked = 0;
            while !is_over.load(Ordering::SeqCst) || asked < 100 {
                let least = in_place.load(Ordering::SeqCst);
                let name = format!("user{}", asked % 2000);
                let request = packet::v2(2, b"T", &[(ACCOUNT, name.as_bytes()), (PASSWORD, b"secret")]);
                let answer = contact.ask(&request).expect("an answer");
                let version = version_of(&answer).expect("every version has the account");
                assert!(version >= least, "version {version} although {least} was in place");
                asked += 1;
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| ask(Mode::Udp));
            scope.spawn(|| ask(Mode::Local));
            for number in 10_001..10_040 {
                std::fs::write(&next, version(number)).expect("a table can be written");
                std::fs::rename(&next, &path).expect("a table can be replaced");
                in_place.store(number, Ordering::SeqCst);
                if number % 4 == 0 {
                    station.server().signal(Signal::HUP);
                }
                thread::sleep(Duration::from_millis(20));
            }
            is_over.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn a_table_that_is_truncated_deleted_and_made_again_never_says_a_wrong_yes() {
    for runtime in LOOPS {
        let station = Station::start(Make::Ours, &version(10_000), &[runtime]);
        let path = station.folder().path("passwd");
        let ask = |password: &[u8]| {
            let request = packet::v2(2, b"T", &[(ACCOUNT, b"user7"), (PASSWORD, password)]);
            let answer = station.contact(Mode::Udp).ask(&request).expect("an answer");
            answer.first().copied()
        };
        for round in 0..3 {
            std::fs::write(&path, "user7:sec").expect("a table can be cut");
            assert_ne!(ask(b"sec"), Some(0), "what is cut off is no password");
            std::fs::remove_file(&path).expect("a table can be removed");
            assert_ne!(ask(b"wrong"), Some(0));
            std::fs::write(&path, version(10_001 + round)).expect("a table can be written");
            assert!(eventually(LIMIT, || ask(b"secret") == Some(0)), "the table is back");
        }
    }
}

#[test]
fn a_full_queue_is_code_4_and_told_on_standard_error() {
    for runtime in LOOPS {
        // A cost at which the clients below are faster by far.
        let table = format!("alice:$6$saltsalt${}:1:1:::\n", "a".repeat(86));
        let settings = [runtime, ("CVM_PWFILE_PWCMP", "crypt"), ("CVM_QUEUE", "1"), ("CVM_CPU_WORKERS", "1")];
        let mut station = Station::start(Make::Ours, &table, &settings);
        let Contact::Udp(address) = station.contact(Mode::Udp) else { unreachable!("UDP has an address") };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(address).expect("a local socket can be connected");
        socket.set_read_timeout(Some(LIMIT)).expect("a time-out can be set");
        for number in 0..50_u8 {
            let request = packet::v2(2, &[number], &[(ACCOUNT, b"alice"), (PASSWORD, b"wrong")]);
            socket.send(&request).expect("a request can be sent");
        }
        let mut codes: Vec<u8> = Vec::new();
        for _ in 0..50 {
            let mut answer = [0; 512];
            socket.recv(&mut answer).expect("every request is answered");
            codes.push(answer[0]);
        }
        let refused = codes.iter().filter(|&&code| code == 4).count();
        assert!(refused > 0 && codes.iter().all(|code| [4, 100].contains(code)), "{codes:?}");
        station.server_mut().stop();
        let errors = String::from_utf8_lossy(&station.server().errors()).into_owned();
        assert!(errors.contains(&format!("{refused} requests refused")), "{errors}");
    }
}
