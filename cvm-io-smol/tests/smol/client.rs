//! The client: contact modes, chains, time-outs.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::{Code, FactType, SecretRef};
use cvm_io_smol::{Cause, Client, Failure, block_on};

use crate::support::{HANGING, bound_to, options, start};

const TIMEOUT: Duration = Duration::from_millis(300);

/// Answers with a yes for `tim`, in a request's version 2 without a tag.
const YES: &str = r"cat >/dev/null; printf '\0\0\001\003tim\002\0011\003\0012\005\001/\0'";

fn request(tag: &[u8], account: &[u8]) -> ClientRequest {
    ClientRequest::v2(&Credentials::of_password(Account::whole(account, b""), SecretRef::new(b"secret")), tag).unwrap()
}

fn ask(list: &str, tag: &[u8], account: &[u8]) -> Result<Code, Failure> {
    ask_within(HANGING, list, tag, account)
}

fn ask_within(timeout: Duration, list: &str, tag: &[u8], account: &[u8]) -> Result<Code, Failure> {
    let modules = ModuleList::parse(list.as_bytes()).unwrap();
    block_on(Client::new(timeout).ask(&modules, &request(tag, account))).map(|reply| reply.code)
}

fn script(folder: &Path, name: &str, lines: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    // Another thread may start something at this moment, which holds the file open for writing until it executes.
    thread::sleep(Duration::from_millis(20));
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_socket_is_asked() {
    let server = start(options());
    let local = format!("cvm-local:{}", server.path().display());
    assert_eq!(ask(&local, b"", b"alice").unwrap(), Code::SUCCESS);
    assert_eq!(ask(&local, b"", b"nobody").unwrap(), Code::REJECTED);
    assert_eq!(ask(&local, b"", b"panic").unwrap(), Code::GENERAL);
}

#[test]
fn a_port_is_asked() {
    let server = start(options());
    let udp = format!("cvm-udp:localhost:{}", server.port());
    assert_eq!(ask(&udp, b"12345678", b"alice").unwrap(), Code::SUCCESS);
    assert_eq!(ask(&udp, b"12345678", b"nobody").unwrap(), Code::REJECTED);
    let server = bound_to("[::1]:0", options());
    assert_eq!(ask(&format!("cvm-udp:[::1]:{}", server.port()), b"T", b"alice").unwrap(), Code::SUCCESS);
}

#[test]
fn a_program_is_asked_and_its_status_is_the_code() {
    let folder = tempfile::tempdir().unwrap();
    let yes = script(folder.path(), "yes", YES);
    let modules = ModuleList::parse(yes.as_bytes()).unwrap();
    let reply = block_on(Client::default().ask(&modules, &request(b"", b"tim"))).unwrap();
    assert_eq!((reply.code, reply.facts.get(FactType::USERNAME)), (Code::SUCCESS, Some(&b"tim"[..])));
    let no = script(folder.path(), "no", r"printf '\0\0\0'; exit 100");
    assert_eq!(ask(&no, b"", b"tim").unwrap(), Code::REJECTED);
}

#[test]
fn a_chain_ends_where_the_protocol_says() {
    let server = start(options());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let local = format!("cvm-local:{}", server.path().display());
    let no = script(folder, "no", r"cat >/dev/null; printf '\144\0\0'; exit 100");
    let mine = script(folder, "mine", r"cat >/dev/null; printf '\144\0\020\0010\0'; exit 100");
    let broken = script(folder, "broken", "exit 1");
    assert_eq!(ask(&format!("{no},{local}"), b"", b"alice").unwrap(), Code::SUCCESS);
    assert_eq!(ask(&format!("{mine},{local}"), b"", b"alice").unwrap(), Code::REJECTED);
    assert_eq!(ask(&format!("{local},{no}"), b"", b"nobody").unwrap(), Code::REJECTED);
    let failure = ask(&format!("{no},{broken},{local}"), b"", b"alice").unwrap_err();
    assert!(matches!(failure.cause, Cause::Silent), "{failure}");
    assert_eq!(failure.to_string(), format!("cvm-command:{broken}: no answer"));
}

#[test]
fn who_is_not_there_or_talks_garbage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let killed = script(folder.path(), "killed", "kill -9 $$");
    let garbage = script(folder.path(), "garbage", "cat >/dev/null; echo hello");
    let cases = [
        (path("nothing"), Code::IO),
        (format!("cvm-local:{}", path("nothing")), Code::IO),
        (killed, Code::IO),
        (garbage, Code::BAD_MODULE_DATA),
        (format!("cvm-local:/{}", "x".repeat(200)), Code::IO),
    ];
    for (module, code) in cases {
        assert_eq!(ask(&module, b"", b"alice").unwrap_err().code(), code, "{module}");
    }
    // Nobody serves the port: refused addresses are not waited for.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let failure = ask(&format!("cvm-udp:127.0.0.1:{port}"), b"1", b"alice").unwrap_err();
    assert_eq!((failure.code(), failure.to_string()), (Code::IO, format!("cvm-udp:127.0.0.1:{port}: no answer")));
}

#[test]
fn nobody_is_waited_for_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent");
    let _listener = UnixListener::bind(&path).unwrap();
    let sleeper = script(folder.path(), "sleeper", "exec sleep 60");
    let closed = script(folder.path(), "closed", "exec sleep 60 >&-");
    for module in [format!("cvm-local:{}", path.display()), sleeper, closed] {
        let start = Instant::now();
        let failure = ask_within(TIMEOUT, &module, b"", b"alice").unwrap_err();
        assert!(matches!(failure.cause, Cause::Silent), "{failure}");
        assert!((TIMEOUT..TIMEOUT * 10).contains(&start.elapsed()), "{module}");
    }
}

#[test]
fn a_full_listen_queue_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let failure = ask_within(TIMEOUT, &format!("cvm-local:{}", path.display()), b"", b"alice").unwrap_err();
    assert!(matches!(failure.cause, Cause::Silent), "{failure}");
}

#[test]
fn what_was_lost_is_sent_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut bytes = [0; 512];
        let (first, from) = socket.recv_from(&mut bytes).unwrap();
        let stale = socket.send_to(b"\0\x01X\x01\x03tim\x02\x011\x03\x011\x05\x01/\0", from);
        let (second, from) = socket.recv_from(&mut bytes).unwrap();
        stale.unwrap();
        assert_eq!(first, second);
        socket.send_to(b"d\x01T\0", from).unwrap();
    });
    let start = Instant::now();
    assert_eq!(ask(&format!("cvm-udp:127.0.0.1:{port}"), b"T", b"alice").unwrap(), Code::REJECTED);
    assert!(start.elapsed() >= Duration::from_secs(2));
    server.join().unwrap();
}
