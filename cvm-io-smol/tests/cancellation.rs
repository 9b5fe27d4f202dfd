//! Giving up at any point leaves no descriptor, no child and no half of an answer behind.
//!
//! One test in a process of its own, as it counts what the process has.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Answerer};
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Code, Policy, StandardFacts};
use cvm_io_smol::{Client, Options, Signals, Sockets, block_on, serve};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Knows everybody; those whose names begin with `h` take their time.
struct Anybody;

impl Module for Anybody {
    type Account = bool;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<bool>, Temporary> {
        Ok(Lookup::Known(request.account().is_some_and(|name| name.starts_with(b"h"))))
    }

    fn authenticate(&self, slow: &bool, _: &Request<'_>) -> Result<Verdict, Temporary> {
        if *slow {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Verdict::Accepted)
    }

    fn results(&self, _: &bool, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&StandardFacts { username: b"you", directory: b"/", ..Default::default() });
        Ok(())
    }

    fn authenticate_cost(&self, slow: &bool) -> Cost {
        if *slow { Cost::Cpu } else { Cost::Inline }
    }
}

/// Polls a future so many times at most and drops it; tells what it has come to.
fn poll_times<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let (mut future, mut left) = (pin!(future), times);
    block_on(poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    }))
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Tells whether there is no child, not even one that has ended and was not collected.
fn has_no_child() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// What a thread has begun it ends, so a while is allowed.
fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(1));
    }
    is_so()
}

#[test]
fn giving_up_at_any_point_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let modules = [command(folder.path()), command_that_hangs(folder.path()), local(folder.path()), udp()];
    // What is made once and kept: the reactor, the pool of threads.
    poll_times(asked(&modules[0]), usize::MAX);
    let before = descriptors();
    for module in &modules {
        let most = (0..).find(|&times| {
            let code = poll_times(asked(module), times);
            assert!(eventually(|| descriptors() == before), "{module} after {times}: {} of {before}", descriptors());
            assert!(eventually(has_no_child), "{module} after {times}");
            assert!(
                code.is_none_or(|code| code == Code::SUCCESS || code == Code::IO),
                "{module} after {times}: {code:?}"
            );
            code.is_some()
        });
        assert!(most > Some(1), "{module} has something to wait for");
    }
    let answers: Vec<_> = (0..60).map(|times| given_up_server(&folder.path().join("served"), times, before)).collect();
    assert!(answers.iter().any(|[quick, _]| *quick) && answers.iter().any(|[_, slow]| *slow), "{answers:?}");
    assert!(answers.iter().any(|[_, slow]| !slow), "{answers:?}");
}

/// Runs a server for so many polls; tells which of two clients got an answer: all of it, or nothing.
fn given_up_server(path: &Path, times: usize, before: usize) -> [bool; 2] {
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ask = |account: &[u8]| {
        let packet = [b"\x02\x01T\x01\x01", account, b"\x03\x01p\0"].concat();
        asker.send_to(&packet, udp.local_addr().unwrap()).unwrap();
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(&packet).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    let mut streams = [ask(b"q"), ask(b"h")];
    let ((stop, stopped), (reload, reloaded)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let answer: Arc<dyn Answer> = Arc::new(Answerer::new(Anybody, Policy::Authenticate, ()));
    let sockets = Sockets { locals: vec![listener], udps: vec![udp] };
    let signals = Signals { stop: stopped.as_fd(), reload: reloaded.as_fd() };
    // Wakes it again and again: in the end nothing else would.
    let nudges = poll_fn(|context| {
        thread::sleep(Duration::from_millis(1));
        context.waker().wake_by_ref();
        Poll::Pending
    });
    let serving = serve(sockets, &answer, Options::default(), signals, |_| {});
    drop((poll_times(race(serving, nudges), times), stop, stopped, reload, reloaded, asker));
    let answers = streams.each_mut().map(|stream| {
        let mut bytes = Vec::new();
        // A connection that nobody has accepted is reset.
        let _ = stream.read_to_end(&mut bytes);
        assert!([&b""[..], b"\0\x01T\x01\x03you\x02\x010\x03\x010\x05\x01/\0"].contains(&&bytes[..]), "{bytes:?}");
        !bytes.is_empty()
    });
    drop(streams);
    assert!(eventually(|| descriptors() == before), "a server after {times}: {} of {before}", descriptors());
    answers
}

async fn race<T>(one: impl Future<Output = T>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await;
}

async fn asked(module: &str) -> Code {
    let modules = ModuleList::parse(module.as_bytes()).unwrap();
    let request = ClientRequest::v2(&Credentials::new(), b"").unwrap();
    let reply = Client::new(Duration::from_millis(100)).ask(&modules, &request).await;
    reply.map_or_else(|failure| failure.code(), |reply| reply.code)
}

fn script(path: &Path, lines: &str) -> String {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Whoever asks has to wait.
const A_WHILE: Duration = Duration::from_millis(2);

const YES: &[u8] = b"\0\0\x01\x03tim\x02\x011\x03\x012\x05\x01/\0";

fn command(folder: &Path) -> String {
    script(&folder.join("yes"), r"cat >/dev/null; printf '\0\0\001\003tim\002\0011\003\0012\005\001/\0'")
}

fn command_that_hangs(folder: &Path) -> String {
    script(&folder.join("hangs"), "exec sleep 60")
}

fn local(folder: &Path) -> String {
    let path = folder.join("yes.socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let read = stream.read_to_end(&mut Vec::new());
            thread::sleep(A_WHILE);
            let _ = read.and_then(|_| stream.write_all(YES));
        }
    });
    format!("cvm-local:{}", path.display())
}

fn udp() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 512]) {
            thread::sleep(A_WHILE);
            let _ = socket.send_to(YES, from);
        }
    });
    format!("cvm-udp:127.0.0.1:{port}")
}
