//! `soak`: minutes of mixed load on one server: good, bad, malformed, silent, reloads, signals. Counts what went wrong.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::server::free_port;

use crate::Options;
use crate::accounts::{self, REJECTED, TAG, VALID, is_answer};
use crate::asker::Asker;
use crate::crypt::Crypt;
use crate::measure::go_on;
use crate::output::{Grid, print};
use crate::processes::{Served, ours};
use crate::random::Random;

const MINUTES: f64 = 10.0;

const ACCOUNTS: usize = 1000;

/// What each kind of client counts.
#[derive(Default)]
struct Tally {
    asked: AtomicUsize,
    wrong: AtomicUsize,
}

impl Tally {
    fn count(&self, right: bool) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
    }
}

/// Prints what was asked, what went wrong, descriptors and memory over time.
pub(crate) fn run(options: Options) {
    let folder = Folder::new();
    let table = table();
    let passwd = folder.write("passwd", &table);
    let (path, port) = (folder.path("socket"), free_port());
    let endpoints = [format!("cvm-local:{path}"), format!("cvm-udp:127.0.0.1:{port}")];
    let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
    let settings = [("CVM_PWFILE_PATH", passwd.as_str()), ("CVM_PWFILE_PWCMP", "auto")];
    let mut server = Served::start_program(&ours("cvm-pwfile"), &endpoints, port, &settings);
    let (over, kinds) = (AtomicBool::new(false), <[Tally; 4]>::default());
    let time = Duration::from_secs_f64(60.0 * options.minutes.unwrap_or(MINUTES));
    print(format_args!("{:.1} minutes of mixed load", time.as_secs_f64() / 60.0));
    let (address, id) = (server.address(), server.id());
    thread::scope(|scope| {
        scope.spawn(|| while_not(&over, datagrams(address, &kinds[0], 1)));
        scope.spawn(|| while_not(&over, datagrams(address, &kinds[0], 2)));
        scope.spawn(|| while_not(&over, connections(&path, &kinds[1])));
        scope.spawn(|| while_not(&over, malformed(address, &kinds[2])));
        scope.spawn(|| while_not(&over, silent(&path, &kinds[3])));
        scope.spawn(|| while_not(&over, reloads(&folder, &table, id)));
        watch(&mut server, time);
        over.store(true, Ordering::SeqCst);
    });
    let mut grid = Grid::new(&["", "asked", "wrong answers, or none"]);
    for (title, tally) in ["UDP", "local", "malformed", "silent"].iter().zip(&kinds) {
        grid.row(title, [&tally.asked, &tally.wrong].map(|count| count.load(Ordering::Relaxed).to_string()));
    }
    grid.print();
}

/// Every tenth account has a hashed password.
fn table() -> String {
    let mut crypt = Crypt::new();
    accounts::table(ACCOUNTS, |number| {
        let password = accounts::password(number);
        let mut hashed =
            || crypt.store(&password, "$6$rounds=1000$saltsalt$").and_then(|stored| stored.into_string().ok());
        if number % 10 == 0 { hashed().expect("libcrypt knows the form") } else { format!("{{PLAIN}}{password}") }
    })
}

fn while_not(over: &AtomicBool, mut ask: impl FnMut()) {
    while !over.load(Ordering::SeqCst) {
        ask();
    }
}

/// A request and the code that its answer must have.
fn any(random: &mut Random) -> (Vec<u8>, u8) {
    let number = random.below(ACCOUNTS);
    match random.below(4) {
        0 => (accounts::login(&accounts::known(number), "not-the-password"), REJECTED),
        1 => (accounts::login(&accounts::unknown(number), "whatever"), REJECTED),
        _ => (accounts::login(&accounts::known(number), &accounts::password(number)), VALID),
    }
}

fn datagrams(address: std::net::SocketAddr, tally: &Tally, seed: u64) -> impl FnMut() {
    let (mut random, mut asker) = (Random::seeded(seed), Asker::of(address));
    move || {
        let (request, code) = any(&mut random);
        tally.count(is_answer(asker.ask(&request), code, TAG));
    }
}

/// Sends a request and returns the answer; an error if the server hung up.
fn ask(path: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(|_| answer)
}

fn connections(path: &str, tally: &Tally) -> impl FnMut() {
    let mut random = Random::seeded(3);
    move || {
        let (request, code) = any(&mut random);
        tally.count(ask(path, &request).is_ok_and(|answer| is_answer(&answer, code, TAG)));
    }
}

/// Packets that are cut somewhere, or have one byte changed: never a yes for a wrong password.
fn malformed(address: std::net::SocketAddr, tally: &Tally) -> impl FnMut() {
    let (mut random, mut asker) = (Random::seeded(4), Asker::of(address));
    let whole = packet::v2(2, TAG, &[(ACCOUNT, accounts::known(1).as_bytes()), (PASSWORD, b"not-the-password")]);
    move || {
        let mut request = whole.clone();
        let at = random.below(request.len());
        if random.below(2) == 0 {
            request.truncate(at);
        } else {
            // A first byte that makes a refusal of it would get no answer.
            request[at.max(1)] ^= 1 << random.below(8);
        }
        tally.count(asker.ask(&request).first() != Some(&VALID));
        thread::sleep(Duration::from_micros(200));
    }
}

/// Connections that say nothing, or half of something, and are left open until the server gives up.
fn silent(path: &str, tally: &Tally) -> impl FnMut() {
    let mut random = Random::seeded(5);
    let mut open = Vec::new();
    move || {
        for _ in 0..50 {
            let mut stream = UnixStream::connect(path).expect("a connection");
            let length = random.below(30);
            stream.write_all(&accounts::login(&accounts::known(1), "x")[..length]).expect("bytes can be sent");
            open.push(stream);
        }
        if open.len() > 500 {
            open.drain(..250);
        }
        tally.count(true);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Replaces the table each second, and asks for it to be read.
fn reloads(folder: &Folder, table: &str, server: u32) -> impl FnMut() {
    let (next, path) = (folder.path("next"), folder.path("passwd"));
    let server = i32::try_from(server).ok().and_then(rustix::process::Pid::from_raw).expect("a running process");
    move || {
        std::fs::write(&next, table).and_then(|()| std::fs::rename(&next, &path)).expect("the table can be replaced");
        thread::sleep(Duration::from_millis(500));
        rustix::process::kill_process(server, rustix::process::Signal::HUP).expect("a child can be signalled");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Prints descriptors and memory ten times, the last ones when the silent connections are gone.
fn watch(server: &mut Served, time: Duration) {
    let mut grid = Grid::new(&["after", "descriptors", "memory"]);
    for tenth in 1..=10_u32 {
        let until = Instant::now() + time / 10;
        while Instant::now() < until {
            go_on();
            thread::sleep(Duration::from_millis(100));
        }
        let memory = format!("{:.2} MB", server.resident() / 1e6);
        let seconds = time.as_secs_f64() / 10.0 * f64::from(tenth);
        grid.row(format_args!("{seconds:.0} s"), [server.descriptors().to_string(), memory]);
    }
    grid.print();
}
