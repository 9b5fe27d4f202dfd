//! Servers as services of daemontools, by the run scripts that are installed: supervised, logged, limited.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use cvm_tests::contact::Mode;
use cvm_tests::prefix::Prefix;
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;
use cvm_tests::server::free_port;
use cvm_tests::service::{Service, mail_user};
use cvm_tests::station::{Station, TABLE};
use rustix::process::geteuid;

/// Asks with a client of either make.
fn ask(make: Make, module: &str, account: &str, password: &str) -> Finished {
    let program = make.program("cvm-testclient");
    run(&mut command(&program, &[module, account, "example.net", password], &[]), b"")
}

fn status(module: &str, password: &str) -> End {
    ask(Make::Ours, module, "alice", password).end
}

/// A service, and the module that it is for clients.
fn pwfile(prefix: &Prefix) -> (Service, String) {
    let folder = prefix.folder();
    let (table, socket) = (folder.write("passwd", TABLE), folder.path("run/socket"));
    let user = mail_user();
    let settings =
        [("RUN_AS", user.as_str()), ("SOCKET", &socket), ("CVM_PWFILE_PATH", &table), ("CVM_PWFILE_PWCMP", "plain")];
    (Service::start(prefix, "cvm-pwfile", &settings), format!("cvm-local:{socket}"))
}

fn serves(service: &Service, module: &str) {
    assert!(service.waits_for(|_| status(module, "secret") == End::Exit(0)), "{} {:?}", service.state(), service.log());
}

/// Each step of a service's life, as the administrator of a qmail host takes it.
#[test]
fn a_service_lives_under_supervise_and_multilog() {
    let prefix = Prefix::new();
    let (service, module) = pwfile(&prefix);
    let socket = prefix.folder().path("run/socket");
    serves(&service, &module);
    assert_eq!(ask(Make::Original, &module, "alice", "secret").end, End::Exit(0));
    assert_eq!(ask(Make::Original, &module, "alice", "wrong").end, End::Exit(100));
    assert_eq!(ask(Make::Original, &module, "mallory", "secret").end, End::Exit(100));
    let logged = ["+ alice@example.net", "- alice@example.net", "- mallory@example.net"];
    assert!(service.waits_for(|service| service.log().ends_with(&logged.map(str::to_owned))), "{:?}", service.log());
    assert_eq!(service.log().first().map(String::as_str), Some("Starting."));

    let before = service.pid();
    service.control("-h");
    serves(&service, &module);
    assert_eq!(service.pid(), before, "SIGHUP ends no server");
    service.control("-t");
    assert!(service.waits_for(|service| service.pid().is_some_and(|pid| Some(pid) != before)), "{}", service.state());
    serves(&service, &module);
    let about_itself = |line: &String| matches!(line.as_str(), "Starting." | "Stopping.");
    let told = |service: &Service| service.log().into_iter().filter(about_itself).collect::<Vec<_>>();
    // What it says comes by way of multilog.
    service.waits_for(|service| told(service).len() >= 3);
    assert_eq!(told(&service), ["Starting.", "Stopping.", "Starting."]);

    service.control("-d");
    assert!(service.waits_for(|service| service.state().contains(": down ")), "{}", service.state());
    assert!(!Path::new(&socket).exists(), "a server that has ended leaves no socket behind");
    assert_eq!(status(&module, "secret"), End::Exit(4));
    service.control("-u");
    serves(&service, &module);
    let log = service.log().concat();
    assert!(!log.contains("secret") && !log.contains("wrong") && !log.contains("panic"), "{log}");
}

#[test]
fn a_service_that_is_killed_comes_back() {
    let prefix = Prefix::new();
    let (service, module) = pwfile(&prefix);
    serves(&service, &module);
    let before = service.pid();
    service.control("-k");
    assert!(service.waits_for(|service| service.pid().is_some_and(|pid| Some(pid) != before)), "{}", service.state());
    serves(&service, &module);
}

/// What softlimit and setuidgid have made of the process.
fn assert_confined(service: &Service, uid: u32) {
    let pid = service.pid().expect("it is up");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space")).expect("a limit");
    assert!(limit.trim_start().starts_with("64000000 "), "{limits}");
    assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("a process").uid(), uid);
}

fn mail_uid() -> u32 {
    if geteuid().is_root() { 65534 } else { geteuid().as_raw() }
}

#[test]
fn servers_run_within_the_limit_of_their_run_scripts() {
    let prefix = Prefix::new();
    let (service, module) = pwfile(&prefix);
    serves(&service, &module);
    assert_confined(&service, mail_uid());
    for _ in 0..200 {
        assert_eq!(status(&module, "secret"), End::Exit(0));
    }
    assert!(service.log().iter().all(|line| matches!(line.as_str(), "Starting." | "+ alice@example.net")));
}

#[test]
fn the_accounts_of_the_system_are_served() {
    let prefix = Prefix::new();
    let socket = prefix.folder().path("run/socket");
    let user = if geteuid().is_root() { "root".into() } else { mail_user() };
    let service = Service::start(&prefix, "cvm-unix", &[("RUN_AS", &user), ("SOCKET", &socket)]);
    // The socket is there before it listens.
    assert!(service.waits_for(|_| UnixStream::connect(&socket).is_ok()), "{:?}", service.log());
    assert_confined(&service, geteuid().as_raw());
    let refused = ask(Make::Ours, &format!("cvm-local:{socket}"), "no-such-user", "secret");
    assert_eq!(refused.end, End::Exit(if geteuid().is_root() { 100 } else { 4 }), "{refused:?} {:?}", service.log());
}

/// As a user who may bind ports that are root's, and nothing else.
#[test]
fn a_hub_passes_requests_on_from_a_port_of_root() {
    let prefix = Prefix::new();
    let station = Station::start(Make::Ours, TABLE, &[]);
    let port = if geteuid().is_root() { privileged_port() } else { free_port() };
    let (user, module) = (mail_user(), format!("cvm-udp:127.0.0.1:{port}"));
    let modules = [station.module(Mode::Udp), station.module(Mode::Udp)];
    let settings =
        [("RUN_AS", user.as_str()), ("ENDPOINTS", &module), ("CVM_CHAIN0", &modules[0]), ("CVM_CHAIN1", &modules[1])];
    let service = Service::start(&prefix, "cvm-hub", &settings);
    serves(&service, &module);
    assert_eq!(status(&module, "wrong"), End::Exit(100));
    assert_confined(&service, mail_uid());
    if geteuid().is_root() {
        let pid = service.pid().expect("it is up");
        let told = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        // CAP_NET_BIND_SERVICE is bit 10.
        for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(told.contains(&format!("{set}:\t0000000000000400\n")), "{told}");
        }
        assert!(told.contains("NoNewPrivs:\t1\n"), "{told}");
    }
}

fn privileged_port() -> u16 {
    let is_free = |port: &u16| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    (700..1000).find(is_free).expect("a port is free")
}
