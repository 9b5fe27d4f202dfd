//! `cvm-pam` on real accounts and services of this system, made for the test and removed again.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Hex, PASSWORD};
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::{Make, compiled, pam_cvm};
use cvm_tests::station::Station;

use crate::qmail_authuser_helpers::Dovecot;
use crate::unix::User;

pub(crate) const REJECTED: &[u8] = b"\x64\x01T\0";
const FAILED: &[u8] = b"\x04\x01T\0";

/// A service of PAM, for as long as this value lives.
pub(crate) struct Service {
    name: String,
}

impl Service {
    fn new(lines: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cvmt{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let service = Self { name };
        fs::write(service.path(), lines.join("\n") + "\n").expect("a file in /etc/pam.d, which takes root");
        service
    }

    /// The accounts of the system.
    pub(crate) fn unix() -> Self {
        Self::new(&["auth required pam_unix.so", "account required pam_unix.so"])
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> String {
        format!("/etc/pam.d/{}", self.name)
    }

    fn station(&self, more: Settings<'_>) -> Station {
        let settings = [&[("SERVICE", self.name.as_str())], more].concat();
        Station::start_module(Make::Ours, "cvm-pam", &settings)
    }

    fn run(&self, packet: &[u8]) -> Finished {
        run(&mut command(&Make::Ours.program("cvm-pam"), &[], &[("SERVICE", &self.name)]), packet)
    }

    fn ask(&self, packet: &[u8]) -> Vec<u8> {
        let finished = self.run(packet);
        assert_eq!(finished.end, End::Exit(finished.stdout[0].into()), "{finished:?}");
        finished.stdout
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        fs::remove_file(self.path()).expect("it is ours");
    }
}

pub(crate) fn login(name: &str, password: &[u8]) -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, name.as_bytes()), (DOMAIN, b"ex.com"), (PASSWORD, password)])
}

fn cvm_unix(packet: &[u8], settings: Settings<'_>) -> Vec<u8> {
    run(&mut command(&Make::Ours.program("cvm-unix"), &[], settings), packet).stdout
}

/// Writes the module that asks, and returns the line of a service with it.
fn asking_module(folder: &Folder, arguments: &str) -> [String; 2] {
    static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| compiled("pam_asks.c", &["-shared", "-fPIC", "-lpam"]));
    let module = folder.write("pam_asks.so", &*MODULE);
    ["auth", "account"].map(|group| format!("{group} required {module} {arguments}"))
}

fn asking(folder: &Folder, arguments: &str) -> Service {
    let lines = asking_module(folder, arguments);
    Service::new(&lines.each_ref().map(String::as_str))
}

#[test]
fn a_login_tells_the_facts_of_cvm_unix_over_each_contact_mode() {
    let (user, service) = (User::new(&[]), Service::unix());
    let station = service.station(&[]);
    let right = cvm_unix(&login(&user.name, b"secret"), &[]);
    assert_eq!(right[0], 0);
    for mode in Mode::ALL {
        let contact = station.contact(mode);
        let ask =
            |name: &str, password: &[u8]| Hex(&contact.ask(&login(name, password)).expect("an answer")).to_string();
        assert_eq!(ask(&user.name, b"secret"), Hex(&right).to_string(), "{mode}");
        for (name, password) in [
            (user.name.as_str(), b"wrong".as_slice()),
            (&user.name, b"secret\0"),
            (&user.name, b"sec\0ret"),
            (&user.name, &[b'x'; 255]),
            ("no-such-user", b"secret"),
            ("root\0", b"secret"),
            ("r\u{f6}t", b"secret"),
        ] {
            assert_eq!(ask(name, password), Hex(REJECTED).to_string(), "{mode} {name:?}");
        }
    }
}

#[test]
fn a_look_up_asks_the_name_service_only() {
    let (user, service) = (User::new(&[&["usermod", "-L"]]), Service::new(&["auth required pam_deny.so"]));
    let open = &[("CVM_LOOKUP_SECRET", "")];
    let station = service.station(open);
    for name in [&user.name, "root", "no-such-user"] {
        let packet = packet::v2(2, b"T", &[(ACCOUNT, name.as_bytes())]);
        let answer = station.contact(Mode::Local).ask(&packet).expect("an answer");
        assert_eq!(Hex(&answer).to_string(), Hex(&cvm_unix(&packet, open)).to_string(), "{name}");
    }
}

/// What the account group says counts, too: also that a password must be changed first, which nobody can do here.
#[test]
fn accounts_that_may_not_log_in_are_refused() {
    let service = Service::unix();
    let changes: [&[&str]; 4] =
        [&["usermod", "-L"], &["passwd", "-q", "-d"], &["chage", "-E", "1"], &["chage", "-d", "0"]];
    for changes in changes {
        let user = User::new(&[changes]);
        for password in [b"secret".as_slice(), b"!", b"x"] {
            assert_eq!(service.ask(&login(&user.name, password)), REJECTED, "{changes:?}");
        }
    }
    let user = User::new(&[]);
    let lenient = Service::new(&["auth required pam_unix.so", "account required pam_permit.so"]);
    assert_eq!(lenient.ask(&login(&user.name, b"secret"))[0], 0);
    let strict = Service::new(&["auth required pam_unix.so", "account required pam_deny.so"]);
    assert_eq!(strict.ask(&login(&user.name, b"secret")), REJECTED);
}

#[test]
fn the_service_must_be_named() {
    for (settings, expected) in
        [(&[][..], "not set"), (&[("SERVICE", "")], "not set"), (&[("SERVICE", "../x")], "../x")]
    {
        let program = Make::Ours.program("cvm-pam");
        let finished = run(&mut command(&program, &[], settings), &login("root", b"x"));
        finished.assert_complaint(6, &["cvm-pam: ", "SERVICE", expected, "/etc/pam.d"]);
        assert_eq!(finished.stdout, b"\x06\x01T\0");
        let folder = Folder::new();
        let endpoint = format!("cvm-local:{}", folder.path("socket"));
        run(&mut command(&program, &[&endpoint], settings), b"").assert_complaint(6, &["SERVICE", expected]);
    }
}

#[test]
fn an_outage_of_pam_is_no_wrong_password_and_is_told() {
    let broken = [
        "auth required /nowhere/pam_missing.so".to_owned(),
        format!("auth required {} cvm=cvm-local:/nowhere", pam_cvm()),
        format!("auth required {} nonsense", pam_cvm()),
    ];
    for line in broken {
        let service = Service::new(&[&line, "account required pam_permit.so"]);
        let finished = service.run(&login("root", b"x"));
        assert_eq!(Hex(&finished.stdout).to_string(), Hex(FAILED).to_string(), "{line}");
        finished.assert_complaint(4, &["cvm-pam: ", &service.name, "PAM status"]);
    }
}

#[test]
fn nothing_but_the_prompt_for_a_password_is_answered() {
    let folder = Folder::new();
    let ask = |arguments: &str| asking(&folder, arguments).ask(&login("root", b"secret"))[0];
    assert_eq!(ask(""), 0);
    // A question whose answer is shown asks for something else, and so does one after the login.
    assert_eq!(ask("visible"), 4);
    assert_eq!(ask("account"), 4);
}

#[test]
fn facts_are_those_of_the_user_that_pam_makes_of_somebody() {
    let folder = Folder::new();
    let service = asking(&folder, "user=daemon");
    let answer = service.ask(&login("root", b"secret"));
    let of_daemon = packet::v2(2, b"T", &[(ACCOUNT, b"daemon")]);
    assert_eq!(Hex(&answer).to_string(), Hex(&cvm_unix(&of_daemon, &[("CVM_LOOKUP_SECRET", "")])).to_string());
    assert_eq!(asking(&folder, "user=no-such-user").ask(&login("root", b"secret")), REJECTED);
    // Whom the name service does not know has no facts, whatever PAM says.
    assert_eq!(asking(&folder, "").ask(&login("no-such-user", b"secret")), REJECTED);
}

#[test]
fn every_status_is_a_no_or_a_failure() {
    let folder = Folder::new();
    for (status, code) in [(7, 100), (10, 100), (11, 100), (6, 100), (9, 4), (4, 4), (3, 4), (8, 4), (25, 100)] {
        let answer = asking(&folder, &format!("status={status}")).ask(&login("root", b"secret"));
        assert_eq!(answer[0], code, "{status}");
    }
}

#[test]
fn a_wrong_password_is_answered_without_the_delay_of_modules() {
    let (user, service) =
        (User::new(&[]), Service::new(&["auth required pam_unix.so", "account required pam_unix.so"]));
    let station = service.station(&[]);
    let start = Instant::now();
    for name in [&user.name, "no-such-user"] {
        assert_eq!(station.contact(Mode::Local).ask(&login(name, b"wrong")).expect("an answer"), REJECTED);
    }
    // One failure would take two seconds, more or less.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn slow_modules_hold_up_neither_the_loop_nor_each_other() {
    let folder = Folder::new();
    let station = asking(&folder, "sleep=1000");
    let station = station.station(&[]);
    let contact = station.contact(Mode::Udp);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(contact.ask(&login("root", b"secret")).expect("an answer")[0], 0));
        }
        // What can be told without PAM is told at once.
        let malformed = contact.ask(b"\x02\x01T\x01").expect("an answer");
        assert_eq!(malformed, b"\x02\x01T\0");
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Dovecot asks PAM, where our module asks cvm-pam, which asks PAM for the accounts of the system.
#[test]
fn both_ways_in_one_line_behind_a_real_service() {
    let (user, system) = (User::new(&[]), Service::unix());
    let (station, lookup) = (system.station(&[]), system.station(&[("CVM_LOOKUP_SECRET", "")]));
    let front = Service::new(&[
        &format!("auth required {} cvm={}", pam_cvm(), station.module(Mode::Local)),
        &format!("account required {} cvm={}", pam_cvm(), lookup.module(Mode::Udp)),
    ]);
    let dovecot = Dovecot::with_passdb(Folder::new(), &format!("driver = pam\n  args = {}", front.name));
    for (name, password, status, said) in [
        (user.name.as_str(), "secret", 0, "auth succeeded"),
        (&user.name, "wrong", 77, "auth failed"),
        ("no-such-user", "secret", 77, "auth failed"),
    ] {
        let (end, text) = dovecot.login(name, password);
        assert!(end == End::Exit(status) && text.contains(said), "{name} {password}: {end:?} {text}");
    }
    drop(station);
    let (end, text) = dovecot.login(&user.name, "secret");
    assert!(end != End::Exit(0), "{end:?} {text}");
    // Dovecot tells its clients no more than that; its log has what PAM said.
    let unavailable = "Authentication service cannot retrieve authentication info";
    assert!(dovecot.log().contains(unavailable), "an outage is no wrong password: {}", dovecot.log());
}
