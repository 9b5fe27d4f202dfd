//! A module, a server that serves it, and what asks it by hand.

use std::io::{self, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Answerer};
use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::observe::{Answered, Observer};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Code, Policy, StandardFacts};
use cvm_io_smol::{Options, Signals, Sockets, block_on, serve};
use tempfile::TempDir;

/// Nothing here takes as long: what would hang fails instead.
pub(crate) const HANGING: Duration = Duration::from_secs(20);

/// A success for `alice`, without code, tag length and tag.
const FACTS: &[u8] = b"\x01\x05alice\x02\x041000\x03\x03100\x05\x01/\0";

/// What tests see of a module.
#[derive(Default)]
pub(crate) struct Seen {
    /// What threads wait for.
    pub(crate) gate: AtomicBool,
    /// How many authentications have begun.
    pub(crate) begun: AtomicUsize,
    pub(crate) reloads: AtomicUsize,
    pub(crate) logged: Mutex<Vec<Code>>,
}

impl Seen {
    pub(crate) fn open_gate(&self) {
        self.gate.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_begun(&self, count: usize) -> bool {
        eventually(|| self.begun.load(Ordering::SeqCst) == count)
    }
}

/// Knows accounts by their behaviour; the password of each is `secret`.
///
/// `hash…` and `wait…` do not answer before the gate is open, and cost what they are called.
struct Accounts(Arc<Seen>);

impl Module for Accounts {
    type Account = Vec<u8>;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Vec<u8>>, Temporary> {
        match request.account().unwrap_or_default() {
            b"panic" => panic!("as asked"),
            name if name == b"alice" || name.starts_with(b"hash") || name.starts_with(b"wait") => {
                Ok(Lookup::Known(name.to_vec()))
            }
            _ => Ok(Lookup::Unknown { scope: None, decoy: None }),
        }
    }

    fn authenticate(&self, name: &Vec<u8>, request: &Request<'_>) -> Result<Verdict, Temporary> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        if name != b"alice" {
            assert!(eventually(|| self.0.gate.load(Ordering::SeqCst)));
        }
        assert_ne!(name, b"hashpanic", "as asked");
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, _: &Vec<u8>, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let (userid, groupid) = (1000, 100);
        facts.standard(&StandardFacts { username: b"alice", userid, groupid, directory: b"/", ..Default::default() });
        Ok(())
    }

    fn authenticate_cost(&self, name: &Vec<u8>) -> Cost {
        match name.get(..4) {
            Some(b"hash") => Cost::Cpu,
            Some(b"wait") => Cost::Wait,
            _ => Cost::Inline,
        }
    }

    fn reload(&self) {
        self.0.reloads.fetch_add(1, Ordering::SeqCst);
    }
}

struct Log(Arc<Seen>);

impl Observer for Log {
    fn answered(&self, answered: &Answered<'_>) {
        self.0.logged.lock().unwrap().push(answered.code);
    }
}

pub(crate) fn answer(seen: &Arc<Seen>) -> Arc<dyn Answer> {
    Arc::new(Answerer::new(Accounts(Arc::clone(seen)), Policy::Authenticate, Log(Arc::clone(seen))))
}

/// One thread of each kind, and time-outs that no test reaches.
pub(crate) fn options() -> Options {
    Options { io_timeout: HANGING * 2, cpu_workers: 1, wait_workers: 1, ..Options::default() }
}

/// A server in a thread of its own, stopped when dropped.
pub(crate) struct Server {
    stop: Option<UnixStream>,
    reload: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
    path: PathBuf,
    port: u16,
    pub(crate) seen: Arc<Seen>,
    directory: TempDir,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        Self::bound_to("127.0.0.1:0", options)
    }

    /// Serves a UNIX socket and an address.
    pub(crate) fn bound_to(address: &str, options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let udp = UdpSocket::bind(address).unwrap();
        let port = udp.local_addr().unwrap().port();
        let sockets = Sockets { locals: vec![UnixListener::bind(&path).unwrap()], udps: vec![udp] };
        let seen = Arc::new(Seen::default());
        let answer = answer(&seen);
        let ((stop, stopped), (reload, reloaded)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let thread = thread::spawn(move || {
            let signals = Signals { stop: stopped.as_fd(), reload: reloaded.as_fd() };
            block_on(serve(sockets, &answer, options, signals))
        });
        Self { stop: Some(stop), reload, thread: Some(thread), path, port, seen, directory }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Connects to the UNIX socket.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(HANGING)).unwrap();
        stream
    }

    /// Sends a request over a connection of its own and returns what comes back.
    pub(crate) fn ask(&self, request: &[u8]) -> Vec<u8> {
        read_all(&mut self.send(request))
    }

    /// Sends a request over a connection of its own.
    pub(crate) fn send(&self, request: &[u8]) -> UnixStream {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    }

    /// A UDP socket that talks to the server at this address of it.
    pub(crate) fn udp_at(&self, ip: &str) -> UdpSocket {
        let socket = UdpSocket::bind(if ip.contains(':') { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
        socket.connect((ip, self.port)).unwrap();
        socket.set_read_timeout(Some(HANGING)).unwrap();
        socket
    }

    pub(crate) fn udp(&self) -> UdpSocket {
        self.udp_at("127.0.0.1")
    }

    pub(crate) fn logged(&self) -> Vec<Code> {
        self.seen.logged.lock().unwrap().clone()
    }

    pub(crate) fn tell_to_reload(&mut self) {
        self.reload.write_all(b"!").unwrap();
    }

    pub(crate) fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) {
        let thread = self.thread.take().unwrap();
        assert!(eventually(|| thread.is_finished()), "the server ends");
        thread.join().unwrap().unwrap();
    }

    pub(crate) fn stop(&mut self) {
        self.tell_to_stop();
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.open_gate();
        self.stop = None;
        if let Some(thread) = self.thread.take().filter(|_| !thread::panicking()) {
            thread.join().unwrap().unwrap();
        }
    }
}

/// Waits for something that takes a while on a busy machine.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > HANGING {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A request in version 2.
pub(crate) fn v2(tag: &[u8], account: &[u8], password: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    [&[2, len(tag)], tag, &[1, len(account)], account, &[3, len(password)], password, &[0]].concat()
}

/// The right password of an account.
pub(crate) fn login(tag: &[u8], account: &[u8]) -> Vec<u8> {
    v2(tag, account, b"secret")
}

/// An answer without facts.
pub(crate) fn failure(code: u8, tag: &[u8]) -> Vec<u8> {
    [&[code, u8::try_from(tag.len()).unwrap()], tag, &[0]].concat()
}

pub(crate) fn success(tag: &[u8]) -> Vec<u8> {
    [&[0, u8::try_from(tag.len()).unwrap()], tag, FACTS].concat()
}

pub(crate) fn read_all(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // What the server did not read of a request that is too long.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    bytes
}

/// Waits for one datagram.
pub(crate) fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).unwrap();
    bytes[..length].to_vec()
}
