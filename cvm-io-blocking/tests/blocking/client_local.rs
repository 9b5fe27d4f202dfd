//! Asking over UNIX sockets (SPEC section 7).

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cvm_core::Code;
use cvm_core::wire::Reply;
use cvm_io_blocking::client::{Client, Failure};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use tempfile::TempDir;

use crate::support::{TIMEOUT, local, modules, request, success, timed};

fn ask(path: &Path) -> Result<Reply, Failure> {
    Client::new(TIMEOUT).ask(&modules(format!("cvm-local:{}", path.display())), &request(b"TAG"))
}

fn code(path: &Path) -> Code {
    ask(path).map_or_else(|failure| failure.code(), |reply| reply.code)
}

/// A socket whose first connection is treated as `treat` says.
fn treated(treat: impl FnOnce(UnixStream) + Send + 'static) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || treat(listener.accept().unwrap().0));
    (directory, path)
}

/// A socket that reads the request to its end and sends this.
fn answering(response: impl Into<Vec<u8>>) -> (TempDir, PathBuf) {
    let response = response.into();
    treated(move |mut stream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert_eq!(received, request(b"TAG").bytes());
        stream.write_all(&response).unwrap();
    })
}

#[test]
fn a_server_answers_a_client() {
    let server = local();
    for _ in 0..50 {
        assert_eq!(code(&server.path()), Code::SUCCESS);
    }
}

#[test]
fn a_time_out_beyond_all_clocks_never_comes() {
    let server = local();
    let list = format!("cvm-local:{},/no/such/module", server.path().display());
    let reply = Client::new(Duration::MAX).ask(&modules(list), &request(b"")).unwrap();
    assert_eq!(reply.code, Code::SUCCESS);
}

#[test]
fn an_answer_may_come_in_pieces() {
    let (_directory, path) = treated(|mut stream| {
        for byte in success(b"TAG") {
            stream.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
    });
    assert_eq!(code(&path), Code::SUCCESS);
}

#[test]
fn an_answer_that_is_none_is_code_3() {
    let long = [success(b"TAG"), vec![0; 500]].concat();
    for response in [b"d\x03XXX\0".to_vec(), b"d\0".to_vec(), b"d\x03TAG".to_vec(), b"\0\x03TAG\0".to_vec(), long] {
        let (_directory, path) = answering(response.clone());
        assert!(matches!(ask(&path), Err(Failure::Reply { .. })), "{}", response.escape_ascii());
    }
}

#[test]
fn an_answer_counts_even_if_the_request_was_not_read() {
    for _ in 0..20 {
        let (_directory, path) = treated(|mut stream| {
            // The request is there when the connection is closed.
            thread::sleep(Duration::from_millis(10));
            stream.write_all(b"\x04\x03TAG\0").unwrap();
        });
        let reply = ask(&path).unwrap();
        assert_eq!(reply.code, Code::IO);
    }
}

#[test]
fn a_connection_closed_without_an_answer_is_code_4() {
    let (_directory, path) = answering(b"");
    assert!(matches!(ask(&path), Err(Failure::Silent(_))));
    let (_directory, path) = treated(drop);
    assert_eq!(code(&path), Code::IO);
}

#[test]
fn a_silent_server_is_code_4_after_the_time_out() {
    let (_directory, path) = treated(|mut stream| {
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|count| count > 0) {}
        stream.write_all(b"\0").unwrap();
        thread::sleep(TIMEOUT * 3);
    });
    let (result, elapsed) = timed(|| ask(&path));
    assert!(matches!(result, Err(Failure::Silent(_))), "{result:?}");
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT * 3, "{elapsed:?}");
}

#[test]
fn a_full_listen_queue_is_code_4_after_the_time_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = SocketAddrUnix::new(&path).unwrap();
    let socket = |flags| socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let listener = socket(SocketFlags::CLOEXEC);
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        if connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let (result, elapsed) = timed(|| ask(&path));
    assert!(matches!(result, Err(Failure::Silent(_))), "{result:?}");
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT * 3, "{elapsed:?}");
}

#[test]
fn a_socket_that_nobody_serves_is_code_4_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    let long = directory.path().join("x".repeat(200));
    for path in [stale, directory.path().join("missing"), directory.path().to_owned(), long] {
        let (result, elapsed) = timed(|| ask(&path));
        let failure = result.unwrap_err();
        assert!(matches!(failure, Failure::Io { .. }), "{failure:?}");
        assert_eq!(failure.code(), Code::IO);
        assert!(failure.to_string().starts_with("cvm-local:/"), "{failure}");
        assert!(elapsed < TIMEOUT, "{elapsed:?}");
    }
}
