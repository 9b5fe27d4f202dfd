//! A module, a server that a driver serves it with inside a test, and what asks it by hand: for the drivers' own tests.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Answerer};
use cvm_core::driver::Counts;
use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::observe::{Answered, Observer};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Code, Policy, StandardFacts};

use crate::folder::Folder;
use crate::packet::{self, ACCOUNT, PASSWORD};
use crate::process::eventually;

/// Nothing here takes as long: what would hang fails instead.
pub const HANGING: Duration = Duration::from_secs(20);

/// How long the account `slow` takes.
pub const SLOW: Duration = Duration::from_millis(100);

/// A success for `alice`, without code, tag length and tag.
pub const FACTS: &[u8] = b"\x01\x05alice\x02\x041000\x03\x03100\x05\x01/\0";

/// What tests see of a module.
#[derive(Debug, Default)]
pub struct Seen {
    gate: AtomicBool,
    begun: AtomicUsize,
    thread: Mutex<Option<ThreadId>>,
    reloads: AtomicUsize,
    counts: Mutex<Counts>,
    anticipated: Mutex<Vec<Vec<u8>>>,
    round: Mutex<Vec<Code>>,
    logged: Mutex<Vec<Code>>,
}

impl Seen {
    /// Lets those pass that wait.
    pub fn open_gate(&self) {
        self.gate.store(true, Ordering::SeqCst);
    }

    /// Lets nobody pass any more.
    pub fn close_gate(&self) {
        self.gate.store(false, Ordering::SeqCst);
    }

    fn pass_gate(&self) {
        assert!(eventually(HANGING, || self.gate.load(Ordering::SeqCst)));
    }

    /// Waits until so many authentications have begun; `false` if they do not.
    #[must_use]
    pub fn has_begun(&self, count: usize) -> bool {
        eventually(HANGING, || self.begun() == count)
    }

    /// Tells how many authentications have begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Returns the thread of the authentication that began last.
    #[must_use]
    pub fn thread(&self) -> Option<ThreadId> {
        *self.thread.lock().unwrap()
    }

    /// Tells how often files were to be read again.
    #[must_use]
    pub fn reloads(&self) -> usize {
        self.reloads.load(Ordering::SeqCst)
    }

    /// Returns the codes of the answers, as written down at the end of each round.
    #[must_use]
    pub fn logged(&self) -> Vec<Code> {
        self.logged.lock().unwrap().clone()
    }

    /// Returns the accounts that were heard of before they were looked up.
    #[must_use]
    pub fn anticipated(&self) -> Vec<Vec<u8>> {
        self.anticipated.lock().unwrap().clone()
    }

    /// Returns what was reported last.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
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
            b"broken" => Err(Temporary::IO),
            name @ (b"alice" | b"slow") => Ok(Lookup::Known(name.to_vec())),
            name if name.starts_with(b"hash") || name.starts_with(b"wait") => Ok(Lookup::Known(name.to_vec())),
            _ => Ok(Lookup::Unknown { scope: None, decoy: None }),
        }
    }

    fn anticipate(&self, requests: &mut dyn Iterator<Item = Request<'_>>) {
        let names = requests.map(|request| request.account().unwrap_or_default().to_vec());
        self.0.anticipated.lock().unwrap().extend(names);
    }

    fn authenticate(&self, name: &Vec<u8>, request: &Request<'_>) -> Result<Verdict, Temporary> {
        *self.0.thread.lock().unwrap() = Some(thread::current().id());
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        match name.as_slice() {
            b"alice" => {}
            b"slow" | b"waitslow" => thread::sleep(SLOW),
            _ => self.0.pass_gate(),
        }
        assert!(name != b"hashpanic" && name != b"waitpanic", "as asked");
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, _: &Vec<u8>, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let (userid, groupid) = (1000, 100);
        facts.standard(&StandardFacts { username: b"alice", userid, groupid, directory: b"/", ..Default::default() });
        Ok(())
    }

    fn waits_in_place(&self) -> bool {
        true
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
        self.0.round.lock().unwrap().push(answered.code);
    }

    fn end_round(&self) {
        self.0.logged.lock().unwrap().append(&mut self.0.round.lock().unwrap());
    }
}

/// Returns what answers for accounts that are called as they behave, seen by nobody.
#[must_use]
pub fn answer() -> Arc<dyn Answer> {
    answer_seen(&Arc::default())
}

fn answer_seen(seen: &Arc<Seen>) -> Arc<dyn Answer> {
    Arc::new(Answerer::new(Accounts(Arc::clone(seen)), Policy::Authenticate, Log(Arc::clone(seen))))
}

/// What a driver is given to serve, beside UDP sockets.
#[derive(Debug)]
pub struct Given {
    /// A UNIX socket.
    pub listener: UnixListener,
    /// Readable when it is time to stop.
    pub stop: UnixStream,
    /// Readable when files are to be read again.
    pub reload: UnixStream,
    seen: Arc<Seen>,
}

impl Given {
    /// Returns what answers.
    #[must_use]
    pub fn answer(&self) -> Arc<dyn Answer> {
        answer_seen(&self.seen)
    }

    /// Returns what takes reports.
    pub fn reports(&self) -> impl Fn(Counts) + use<> {
        let seen = Arc::clone(&self.seen);
        move |counts| *seen.counts.lock().unwrap() = counts
    }
}

/// A server in a thread of its own, stopped when dropped.
#[derive(Debug)]
pub struct Server {
    stop: Option<UnixStream>,
    reload: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
    port: u16,
    /// What is seen of the module.
    pub seen: Arc<Seen>,
    folder: Folder,
}

impl Server {
    /// Starts what serves a UNIX socket, and a port if there is one.
    pub fn start(port: u16, serve: impl FnOnce(Given) -> io::Result<()> + Send + 'static) -> Self {
        let (folder, seen) = (Folder::new(), Arc::new(Seen::default()));
        let listener = UnixListener::bind(folder.path("socket")).unwrap();
        let ((stop, stopped), (reload, reloaded)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let given = Given { listener, stop: stopped, reload: reloaded, seen: Arc::clone(&seen) };
        let thread = thread::spawn(move || serve(given));
        Self { stop: Some(stop), reload, thread: Some(thread), port, seen, folder }
    }

    /// Returns the path of the UNIX socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path("socket").into()
    }

    /// Returns the UDP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Connects to the UNIX socket.
    #[must_use]
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(HANGING)).unwrap();
        stream
    }

    /// Sends a request over a connection of its own and returns what comes back.
    #[must_use]
    pub fn ask(&self, request: &[u8]) -> Vec<u8> {
        read_all(&mut self.send(request))
    }

    /// Sends a request over a connection of its own.
    #[must_use]
    pub fn send(&self, request: &[u8]) -> UnixStream {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    }

    /// Tells whether it lets `alice` in.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.ask(&login(b"", b"alice")) == success(b"")
    }

    /// Makes a UDP socket that talks to the server at this address of it, and to nobody else.
    #[must_use]
    pub fn udp_at(&self, ip: &str) -> UdpSocket {
        let ip: IpAddr = ip.parse().unwrap();
        let socket = UdpSocket::bind(if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
        socket.connect((ip, self.port)).unwrap();
        socket.set_read_timeout(Some(HANGING)).unwrap();
        socket
    }

    /// Makes a UDP socket that talks to the server.
    #[must_use]
    pub fn udp(&self) -> UdpSocket {
        self.udp_at("127.0.0.1")
    }

    /// Asks for files to be read again.
    pub fn tell_to_reload(&mut self) {
        self.reload.write_all(b"!").unwrap();
    }

    /// Asks it to stop.
    pub fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    /// Waits for the end, and tells how long that took.
    pub fn wait(&mut self) -> Duration {
        let (start, thread) = (Instant::now(), self.thread.take().unwrap());
        assert!(eventually(HANGING, || thread.is_finished()), "the server ends");
        let elapsed = start.elapsed();
        thread.join().unwrap().unwrap();
        elapsed
    }

    /// Demands that a datagram that is sent again while it is in hand is worked on once, and counted.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn works_once_on_what_is_sent_again(mut self) {
        let (socket, other) = (self.udp(), self.udp());
        let request = login(b"T", b"hash");
        (0..3).for_each(|_| send(&socket, &request));
        // The same bytes from somebody else are another request.
        send(&other, &request);
        assert!(self.seen.has_begun(1));
        assert!(is_quiet(&socket), "all have been received");
        self.seen.open_gate();
        assert_eq!((receive(&socket), receive(&other)), (success(b"T"), success(b"T")));
        assert!(is_quiet(&socket));
        // Once it is answered, it is a new one.
        send(&socket, &request);
        assert_eq!(receive(&socket), success(b"T"));
        assert_eq!(self.seen.begun(), self.seen.logged().len());
        assert_eq!(self.stop().resent, 2);
    }

    /// Stops it, and returns the last report.
    pub fn stop(&mut self) -> Counts {
        self.tell_to_stop();
        self.wait();
        self.seen.counts()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.open_gate();
        self.tell_to_stop();
        if self.thread.is_some() && !thread::panicking() {
            self.wait();
        }
    }
}

/// Builds a request in version 2.
#[must_use]
pub fn v2(tag: &[u8], account: &[u8], password: &[u8]) -> Vec<u8> {
    packet::v2(2, tag, &[(ACCOUNT, account), (PASSWORD, password)])
}

/// Builds a request with the right password of an account.
#[must_use]
pub fn login(tag: &[u8], account: &[u8]) -> Vec<u8> {
    v2(tag, account, b"secret")
}

/// Builds an answer without facts.
#[must_use]
pub fn failure(code: u8, tag: &[u8]) -> Vec<u8> {
    packet::v2(code, tag, &[])
}

/// Builds the answer that accounts get.
#[must_use]
pub fn success(tag: &[u8]) -> Vec<u8> {
    let mut packet = failure(0, tag);
    packet.pop();
    [packet.as_slice(), FACTS].concat()
}

/// Reads to the end, or to the error of a peer that went away with input unread.
pub fn read_all(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    bytes
}

/// Sends one datagram.
pub fn send(socket: &UdpSocket, request: &[u8]) {
    assert_eq!(socket.send(request).unwrap(), request.len());
}

/// Checks that the module hears of datagrams that come together before the first of them is looked up.
///
/// # Panics
///
/// If it does not.
pub fn check_hears_of_a_batch(server: &Server) {
    let socket = server.udp();
    socket.send(&login(b"1", b"slow")).unwrap();
    assert!(server.seen.has_begun(1));
    // Meanwhile come three more, one of which is none.
    for request in [&login(b"2", b"alice")[..], b"\x03 no version", &login(b"3", b"nobody")] {
        socket.send(request).unwrap();
    }
    for _ in 0..4 {
        let _ = receive(&socket);
    }
    assert_eq!(server.seen.anticipated(), [b"alice".to_vec(), b"nobody".to_vec()]);
}

/// Waits for one datagram.
#[must_use]
pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// Tells whether nothing more comes, although what was sent later is answered.
#[must_use]
pub fn is_quiet(socket: &UdpSocket) -> bool {
    send(socket, &login(b"LAST", b"alice"));
    receive(socket) == success(b"LAST")
}

/// Runs `call` and tells how long it took.
pub fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = call();
    (result, start.elapsed())
}
