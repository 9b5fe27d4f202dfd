//! The examples of embedding, run as they are and asked by real clients, ours and the original's.

use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

use cvm_tests::contact::{Contact, Mode};
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{End, LIMIT, command, eventually, run};
use cvm_tests::programs::{Make, example};
use cvm_tests::server::{Server, free_port};
use cvm_tests::station::{Station, TABLE};

/// An example that serves a socket and a port.
struct Example {
    server: Server,
    path: String,
    address: String,
    _folder: Folder,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let (path, address) = (folder.path("socket"), format!("127.0.0.1:{}", free_port()));
        let arguments = [arguments, &[&path, &address]].concat();
        let server = Server::start_program(&example(name), &arguments, &[]);
        Self { server, path, address, _folder: folder }
    }

    fn modules(&self) -> [String; 2] {
        [format!("cvm-local:{}", self.path), format!("cvm-udp:{}", self.address)]
    }

    fn contacts(&self) -> [Contact; 2] {
        [Contact::Local(self.path.clone()), Contact::Udp(self.address.parse().expect("an address"))]
    }

    /// Demands that the clients of both makes get these statuses for `account` with each of the passwords.
    fn assert_logins(&self, account: &str, cases: &[(&str, i32)]) {
        for module in self.modules() {
            assert_clients(&module, account, cases);
        }
    }
}

fn assert_clients(module: &str, account: &str, cases: &[(&str, i32)]) {
    for make in Make::ALL {
        for (password, status) in cases {
            let arguments = [module, account, "", password];
            let finished = run(&mut command(&make.program("cvm-testclient"), &arguments, &[]), b"");
            assert_eq!(finished.end, End::Exit(*status), "{make} {module} {account} {password}: {finished:?}");
            let greets = finished.output().contains(&format!("user name:        {account}\n"));
            assert_eq!(greets, *status == 0, "{finished:?}");
        }
    }
}

#[test]
fn the_core_serves_in_tokio_and_in_a_bare_loop() {
    for name in ["tokio_server", "epoll_server"] {
        let example = Example::start(name, &[]);
        example.assert_logins("alice", &[("secret", 0), ("wrong", 100)]);
        example.assert_logins("mallory", &[("secret", 100)]);
        for contact in example.contacts() {
            assert_eq!(contact.ask(b"\x03"), Ok(b"\x02\0".to_vec()), "{name} {contact:?}");
            let request = packet::padded(b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"wrong")], 512);
            assert_eq!(contact.ask(&request), Ok(packet::v2(100, b"T", &[])), "{name} {contact:?}");
            let longer = packet::padded(b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")], 513);
            assert_eq!(contact.ask(&longer), Ok(packet::v2(2, b"T", &[])), "{name} {contact:?}");
        }
        let silent = UnixStream::connect(&example.path).expect("a connection");
        assert_clients(&example.modules()[0], "alice", &[("secret", 0)]);
        drop(silent);
        assert!(!example.server.has_ended());
    }
}

#[test]
fn a_lack_of_descriptors_ends_no_example() {
    for name in ["tokio_server", "epoll_server"] {
        let example = Example::start(name, &[]);
        let few = example.server.limit_descriptors(10);
        let silent: Vec<_> = (0..30).map(|_| UnixStream::connect(&example.path).expect("a connection")).collect();
        assert!(eventually(LIMIT, || example.server.descriptors() >= few), "{name}");
        example.assert_logins("alice", &[("secret", 0), ("wrong", 100)]);
        drop(silent);
    }
}

#[test]
fn more_hashes_than_allowed_are_code_4_in_tokio() {
    let example = Example::start("tokio_server", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(&example.address).expect("an address");
    for number in 0..50 {
        socket.send(&packet::v2(2, &[number], &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")])).expect("it is sent");
    }
    let codes = (0..50).map(|_| {
        let mut answer = [0; 512];
        socket.recv(&mut answer).map(|_| answer[0]).expect("each is answered")
    });
    let codes: Vec<u8> = codes.collect();
    assert!(codes.contains(&0) && codes.contains(&4) && codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
}

#[test]
fn one_module_is_run_by_all_three_drivers() {
    for driver in ["mio", "smol", "blocking"] {
        let mut example = Example::start("module", &[driver]);
        example.assert_logins("drawer", &[("reward", 0), ("drawer", 100)]);
        assert_eq!(example.server.stop(), End::Exit(0), "{driver}");
    }
}

#[test]
fn an_asynchronous_backend_drives_an_exchange() {
    let folder = Folder::new();
    let accounts = folder.write("accounts", "alice:secret:1000:1000::/home/alice:\nempty::1:1::/:\n");
    let address = format!("127.0.0.1:{}", free_port());
    let server = Server::start_program(&example("async_backend"), &[&accounts, &address], &[]);
    let module = format!("cvm-udp:{address}");
    assert_clients(&module, "alice", &[("secret", 0), ("wrong", 100)]);
    assert_clients(&module, "mallory", &[("secret", 100)]);
    assert_clients(&module, "empty", &[("x", 100), ("", 7)]);
    std::fs::remove_file(accounts).expect("it was there");
    assert_clients(&module, "alice", &[("secret", 4)]);
    let (yes, no) = ("error #0 (No error) alice", "error #100 (Credentials rejected) alice");
    assert_eq!(server.requests()[..4], [yes, no, yes, no], "each client once with either password");
}

#[test]
fn a_client_is_embedded_in_a_blocking_program() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let login = |modules: &str, name: &str, password: &str| {
        run(&mut command(&example("login"), &[modules, name], &[]), format!("{password}\n").as_bytes())
    };
    for mode in Mode::ALL {
        let module = station.module(mode);
        let hello = login(&module, "alice", "secret");
        assert_eq!((hello.end, hello.output()), (End::Exit(0), "Hello alice, your home is /home/alice.\n".to_owned()));
        let away = login(&module, "alice@example.com", "wrong");
        assert_eq!((away.end, away.output()), (End::Exit(1), "Go away.\n".to_owned()), "{mode}");
        login(&module, "alice", "").assert_complaint(111, &["try again later"]);
    }
    login(&format!("cvm-local:{}/none", station.folder().path("")), "alice", "x")
        .assert_complaint(111, &["cvm-local:"]);
    login("cvm-x:y", "alice", "x").assert_complaint(111, &["cvm-x:y"]);
}
