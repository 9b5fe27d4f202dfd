//! The sockets of servers: mode and owner, what is in the way, and which address answers.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use cvm_tests::Settings;
use cvm_tests::contact::{Contact, receive_from};
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{End, Finished, LIMIT, command, run};
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::{Server, free_port};
use cvm_tests::station::{TABLE, alice_with};
use rustix::process::{Signal, geteuid};

use crate::clients::{ALICE, Client};

fn login() -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")])
}

/// A folder with a table and room for a socket.
struct Place {
    folder: Folder,
    passwd: String,
    socket: String,
}

impl Place {
    fn new() -> Self {
        let folder = Folder::new();
        Self { passwd: folder.write("passwd", TABLE), socket: folder.path("socket"), folder }
    }

    fn endpoint(&self) -> String {
        format!("cvm-local:{}", self.socket)
    }

    fn serve(&self, endpoints: &[&str], settings: Settings<'_>) -> Server {
        Server::start(Make::Ours, endpoints, &[&[("CVM_PWFILE_PATH", self.passwd.as_str())], settings].concat())
    }

    fn serve_local(&self, settings: Settings<'_>) -> Server {
        self.serve(&[&self.endpoint()], settings)
    }

    /// Runs a server that is expected not to start.
    fn refuse(&self, endpoints: &[&str]) -> Finished {
        let settings = [("CVM_PWFILE_PATH", self.passwd.as_str())];
        run(&mut command(&Make::Ours.program("cvm-pwfile"), endpoints, &settings), b"")
    }

    fn assert_serves(&self) {
        assert_eq!(Contact::Local(self.socket.clone()).ask(&login()), Ok(alice_with(b"T")));
    }
}

#[test]
fn the_mode_of_a_socket_is_777_or_what_is_set() {
    for (settings, mode) in [
        (&[] as Settings<'_>, 0o777),
        (&[("CVM_SOCKET_MODE", "")], 0o777),
        (&[("CVM_SOCKET_MODE", "0600")], 0o600),
        (&[("CVM_SOCKET_MODE", "660")], 0o660),
        (&[("CVM_SOCKET_MODE", "0")], 0),
    ] {
        let place = Place::new();
        let _server = place.serve_local(settings);
        let metadata = fs::metadata(&place.socket).expect("the socket is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{settings:?}");
    }
}

/// Asks the system for the number of a user or group.
fn id(option: &str, name: &str) -> u32 {
    let finished = run(std::process::Command::new(tool("id", "coreutils")).args([option, name]), b"");
    finished.output().trim().parse().unwrap_or_else(|_| panic!("id {option} {name}: {finished:?}"))
}

#[test]
fn the_owner_of_a_socket_is_set_by_number_or_name_where_root_serves() {
    let own = geteuid().as_raw();
    if !geteuid().is_root() {
        // Others than root can only keep what is theirs, and are told so.
        let place = Place::new();
        drop(place.serve_local(&[("CVM_SOCKET_OWNER", &own.to_string())]));
        let settings = [("CVM_PWFILE_PATH", place.passwd.as_str()), ("CVM_SOCKET_OWNER", "0")];
        let endpoint = place.endpoint();
        let finished = run(&mut command(&Make::Ours.program("cvm-pwfile"), &[&endpoint], &settings), b"");
        return finished.assert_complaint(4, &[&endpoint, "owner"]);
    }
    let daemon = (id("-u", "daemon"), id("-g", "daemon"));
    let mail = id("-g", "mail");
    let cases: [(Settings<'_>, (u32, u32)); 6] = [
        (&[], (0, 0)),
        (&[("CVM_SOCKET_OWNER", "12345")], (12345, 0)),
        (&[("CVM_SOCKET_GROUP", "23456")], (0, 23456)),
        (&[("CVM_SOCKET_OWNER", "daemon")], daemon),
        (&[("CVM_SOCKET_OWNER", "daemon"), ("CVM_SOCKET_GROUP", "mail")], (daemon.0, mail)),
        (&[("CVM_SOCKET_OWNER", "12345"), ("CVM_SOCKET_GROUP", "mail")], (12345, mail)),
    ];
    for (settings, owner) in cases {
        let place = Place::new();
        let _server = place.serve_local(settings);
        let metadata = fs::metadata(&place.socket).expect("the socket is there");
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{settings:?}");
    }
}

#[test]
fn a_live_socket_is_left_to_the_one_who_serves_it() {
    let place = Place::new();
    let endpoint = place.endpoint();
    let mut server = place.serve_local(&[]);
    place.refuse(&[&endpoint]).assert_complaint(4, &["cvm-pwfile: ", &endpoint]);
    place.assert_serves();
    assert_eq!(server.stop(), End::Exit(0));
    assert!(!Path::new(&place.socket).exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new();
    drop(UnixListener::bind(&place.socket).expect("a socket"));
    assert!(Path::new(&place.socket).exists());
    let mut server = place.serve_local(&[]);
    place.assert_serves();
    // Killed, it leaves its socket behind; the next one does not mind.
    server.signal(Signal::KILL);
    assert_eq!(server.wait(), End::Signal(9));
    assert!(Path::new(&place.socket).exists());
    let _server = place.serve_local(&[]);
    place.assert_serves();
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let place = Place::new();
    let endpoint = place.endpoint();
    place.folder.write("socket", "precious");
    place.refuse(&[&endpoint]).assert_complaint(4, &["cvm-pwfile: ", &endpoint]);
    assert_eq!(place.folder.read("socket"), b"precious");
    fs::remove_file(&place.socket).expect("the file can be removed");
    fs::create_dir(&place.socket).expect("a folder");
    place.refuse(&[&endpoint]).assert_complaint(4, &[&endpoint]);
    fs::remove_dir(&place.socket).expect("the folder can be removed");
    std::os::unix::fs::symlink(&place.passwd, &place.socket).expect("a symbolic link");
    place.refuse(&[&endpoint]).assert_complaint(4, &[&endpoint]);
    assert_eq!(place.folder.read("passwd"), TABLE.as_bytes());
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let place = Place::new();
    let long = place.folder.path(&"x".repeat(120));
    for path in ["/nonexistent/socket".to_owned(), long] {
        place.refuse(&[&format!("cvm-local:{path}")]).assert_complaint(4, &["cvm-pwfile: ", &path]);
    }
}

#[test]
fn a_busy_port_is_refused_and_nothing_is_left_behind() {
    let place = Place::new();
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).expect("a socket");
    let busy = format!("cvm-udp:{}", taken.local_addr().expect("an address"));
    let finished = place.refuse(&[&place.endpoint(), &busy]);
    finished.assert_complaint(4, &["cvm-pwfile: ", &busy]);
    assert_eq!(finished.stdout, b"", "nothing has started");
    assert!(!Path::new(&place.socket).exists());
    drop(taken);
    let _server = place.serve(&[&busy], &[]);
    place.refuse(&[&busy]).assert_complaint(4, &["cvm-pwfile: ", &busy]);
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let place = Place::new();
    for host in ["192.0.2.1", "no-such-host.invalid"] {
        let endpoint = format!("cvm-udp:{host}:{}", free_port());
        place.refuse(&[&endpoint]).assert_complaint(4, &["cvm-pwfile: ", &endpoint]);
    }
}

#[test]
fn one_process_serves_several_endpoints() {
    let place = Place::new();
    let second = place.folder.path("second");
    let (one, two) = (free_port(), free_port());
    let endpoints = [
        place.endpoint(),
        format!("cvm-local:{second}"),
        format!("cvm-udp:127.0.0.1:{one}"),
        format!("cvm-udp:localhost:{two}"),
    ];
    let mut server = place.serve(&endpoints.each_ref().map(String::as_str), &[]);
    for endpoint in &endpoints {
        for make in Make::ALL {
            let finished = Client::V2.ask(make, endpoint, &["alice", "ex.com", "secret"], &[]);
            assert_eq!(finished, Finished::new(0, ALICE, ""), "{make}: {endpoint}");
        }
    }
    assert_eq!(server.requests(), ["+ alice@ex.com"; 8]);
    assert_eq!(server.stop(), End::Exit(0));
    assert!(!Path::new(&place.socket).exists() && !Path::new(&second).exists());
}

#[test]
fn ipv6_addresses_are_written_in_brackets() {
    let place = Place::new();
    let port = free_port();
    let endpoint = format!("cvm-udp:[::1]:{port}");
    let _server = place.serve(&[&endpoint], &[]);
    let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    assert_eq!(Contact::Udp(address).ask(&login()), Ok(alice_with(b"T")));
    let finished = Client::V2.ask(Make::Ours, &endpoint, &["alice", "ex.com", "secret"], &[]);
    assert_eq!(finished, Finished::new(0, ALICE, ""));
}

#[test]
fn every_ipv6_address_does_not_take_ipv4_along() {
    let place = Place::new();
    let port = free_port();
    let (v6, v4) = (format!("cvm-udp:[::]:{port}"), format!("cvm-udp:0:{port}"));
    let _server = place.serve(&[&v6], &[]);
    let _other = place.serve(&[&v4], &[]);
    for host in [SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)), (Ipv4Addr::LOCALHOST, port).into()] {
        assert_eq!(Contact::Udp(host).ask(&login()), Ok(alice_with(b"T")), "{host}");
    }
}

#[test]
fn replies_leave_from_the_address_that_was_asked() {
    let place = Place::new();
    let port = free_port();
    let _server = place.serve(&[&format!("cvm-udp:0:{port}")], &[]);
    for asked in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 1, 2, 3)] {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket.send_to(&login(), (asked, port)).expect("a request can be sent");
        let answer = receive_from(&socket, LIMIT).expect("an answer");
        assert_eq!(answer, (alice_with(b"T"), SocketAddr::from((asked, port))));
    }
}
