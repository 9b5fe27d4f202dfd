//! A module, servers that serve it, and what asks them by hand.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cvm_core::account::Account;
use cvm_core::answer::{Answer, Answerer};
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::module::{Lookup, Module, Temporary, Verdict};
use cvm_core::observe::{Answered, Observer};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Code, Policy, SecretRef, StandardFacts};
use cvm_io_blocking::server::{Options, Signals, Sockets, serve};
use tempfile::TempDir;

/// What a server gives a connection, and a client a module.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

/// How long the account `slow` takes.
pub(crate) const SLOW: Duration = Duration::from_millis(100);

/// Nothing here takes as long: what would hang fails instead.
const HANGING: Duration = Duration::from_secs(5);

/// A success for `alice`, without code, tag length and tag.
pub(crate) const FACTS: &[u8] = b"\x01\x05alice\x02\x041000\x03\x03100\x05\x01/\0";

/// Knows some accounts by their behaviour; the password of each is `secret`.
#[derive(Default)]
struct Accounts {
    /// How many authentications have begun.
    begun: Arc<AtomicUsize>,
}

impl Module for Accounts {
    type Account = Vec<u8>;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Vec<u8>>, Temporary> {
        match request.account().unwrap_or_default() {
            b"panic" => panic!("as asked"),
            b"broken" => Err(Temporary::IO),
            name @ (b"alice" | b"slow" | b"stuck") => Ok(Lookup::Known(name.to_vec())),
            _ => Ok(Lookup::Unknown { scope: None, decoy: None }),
        }
    }

    fn authenticate(&self, name: &Vec<u8>, request: &Request<'_>) -> Result<Verdict, Temporary> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match name.as_slice() {
            b"slow" => thread::sleep(SLOW),
            b"stuck" => thread::sleep(TIMEOUT * 5),
            _ => {}
        }
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, name: &Vec<u8>, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let (userid, groupid) = (1000, 100);
        facts.standard(&StandardFacts { username: name, userid, groupid, directory: b"/", ..Default::default() });
        Ok(())
    }
}

pub(crate) fn answer() -> Arc<dyn Answer> {
    answer_of(Accounts::default(), Log::default())
}

fn answer_of(accounts: Accounts, log: Log) -> Arc<dyn Answer> {
    Arc::new(Answerer::new(accounts, Policy::Authenticate, log))
}

/// Codes of the answers, written down at the end of each round.
#[derive(Clone, Default)]
struct Log {
    round: Arc<Mutex<Vec<Code>>>,
    written: Arc<Mutex<Vec<Code>>>,
}

impl Observer for Log {
    fn answered(&self, answered: &Answered<'_>) {
        self.round.lock().unwrap().push(answered.code);
    }

    fn end_round(&self) {
        self.written.lock().unwrap().append(&mut self.round.lock().unwrap());
    }
}

/// A server in a thread of its own, stopped when dropped.
pub(crate) struct Server {
    stop: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
    path: PathBuf,
    udp: Option<SocketAddr>,
    begun: Arc<AtomicUsize>,
    log: Log,
    _directory: TempDir,
}

impl Server {
    /// Serves a UNIX socket.
    pub(crate) fn local() -> Self {
        Self::start(None, Options { io_timeout: TIMEOUT, ..Options::default() })
    }

    /// Serves a UNIX socket without hurry.
    pub(crate) fn local_for_ever() -> Self {
        Self::start(None, Options { io_timeout: Duration::MAX, ..Options::default() })
    }

    /// Serves a UNIX socket with so many threads.
    pub(crate) fn local_with_threads(threads: usize) -> Self {
        Self::start(None, Options { io_timeout: TIMEOUT, threads })
    }

    /// Serves a UNIX socket and a UDP socket bound to this address.
    pub(crate) fn udp(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        Self::start(Some(socket), Options { io_timeout: TIMEOUT, threads: 2 })
    }

    fn start(udp: Option<UdpSocket>, options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = udp.as_ref().map(|socket| socket.local_addr().unwrap());
        let listener = UnixListener::bind(&path).unwrap();
        let sockets = Sockets { locals: vec![listener], udps: udp.into_iter().collect() };
        let (stop, stopped) = UnixStream::pair().unwrap();
        let accounts = Accounts::default();
        let (begun, log) = (Arc::clone(&accounts.begun), Log::default());
        let answer = answer_of(accounts, log.clone());
        let thread = thread::spawn(move || {
            // Nobody asks for files to be read again; a pipe without its writer would look as if somebody did.
            let (reload, _kept) = UnixStream::pair()?;
            serve(sockets, &answer, options, Signals { stop: stopped.as_fd(), reload: reload.as_fd() })
        });
        Self { stop, thread: Some(thread), path, udp: address, begun, log, _directory: directory }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn port(&self) -> u16 {
        self.udp.unwrap().port()
    }

    /// Connects by hand.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(HANGING)).unwrap();
        stream
    }

    /// Sends a request over a connection of its own and returns what comes back.
    pub(crate) fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream)
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.ask(&v2(b"", b"alice", b"secret")) == success(b"")
    }

    /// What the observer has written down by now.
    pub(crate) fn logged(&self) -> Vec<Code> {
        self.log.written.lock().unwrap().clone()
    }

    /// Waits until the first authentication has begun.
    pub(crate) fn wait_until_busy(&self) {
        while self.begun.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.write_all(b"x").unwrap();
    }

    /// Waits until the server has returned, and tells how long that took.
    pub(crate) fn wait(&mut self) -> Duration {
        let start = Instant::now();
        self.thread.take().unwrap().join().unwrap().unwrap();
        start.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.tell_to_stop();
        }
    }
}

/// Reads to the end, or to the error of a peer that went away with input unread.
pub(crate) fn read_all(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    bytes
}

/// A version 2 request with a password.
pub(crate) fn v2(tag: &[u8], account: &[u8], password: &[u8]) -> Vec<u8> {
    let mut packet = vec![2];
    item(&mut packet, tag);
    for (kind, value) in [(1, account), (3, password)] {
        packet.push(kind);
        item(&mut packet, value);
    }
    packet.push(0);
    packet
}

fn item(packet: &mut Vec<u8>, value: &[u8]) {
    packet.push(u8::try_from(value.len()).unwrap());
    packet.extend(value);
}

/// What `alice` gets.
pub(crate) fn success(tag: &[u8]) -> Vec<u8> {
    let mut packet = vec![0];
    item(&mut packet, tag);
    packet.extend(FACTS);
    packet
}

/// A valid request of more than 258 and up to 512 bytes, filled up with a credential for local use.
pub(crate) fn request_of(length: usize) -> Vec<u8> {
    let mut packet = v2(&[b'T'; 255], b"alice", b"secret");
    packet.pop();
    let filler = vec![b'f'; length - packet.len() - 3];
    packet.push(200);
    item(&mut packet, &filler);
    packet.push(0);
    assert_eq!(packet.len(), length);
    packet
}

/// What the client library sends for `alice`.
pub(crate) fn request(tag: &[u8]) -> ClientRequest {
    let account = Account::whole(b"alice", b"");
    ClientRequest::v2(&Credentials::of_password(account, SecretRef::new(b"secret")), tag).unwrap()
}

pub(crate) fn modules(list: impl AsRef<str>) -> ModuleList {
    ModuleList::parse(list.as_ref().as_bytes()).unwrap()
}

/// Runs `call` and tells how long it took.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = call();
    (result, start.elapsed())
}
