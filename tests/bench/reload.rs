//! A file of 1 000 000 accounts is replaced while its server is asked steadily.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::folder::Folder;

use crate::accounts::{self, REJECTED, VALID, is_answer};
use crate::measure::{Core, Pinned, go_on};
use crate::output::{Grid, milliseconds, print, ratio};
use crate::processes::Served;
use crate::random::Random;
use crate::statistics::percentile;

/// A request leaves at each of these, whether or not the ones before are answered: more than may wait for the new version
/// while it is read.
const EVERY: Duration = Duration::from_micros(500);

/// When the file is replaced, when the last request leaves, and how long its answer may take.
const REPLACED_AT: Duration = Duration::from_secs(2);
const LAST_AT: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(3);

/// What was asked, when, and what the answer must be.
struct Asked {
    at: Duration,
    /// The account whose password is another in the new version.
    changes: bool,
    /// The new version was in its place before the request left.
    is_new: bool,
    answer: Option<(Duration, bool, u8)>,
}

/// Prints latencies before, during and after the change, wrong answers, and memory.
pub(crate) fn run(folder: &Folder, path: &str, accounts: usize) {
    let mut server = Served::start(&[("CVM_PWFILE_PATH", path)]);
    let next = folder.write("passwd-next", accounts::table(accounts, new_password));
    let before = server.resident();
    let (asked, begun) = ask_through(server.address(), accounts, || {
        std::fs::rename(&next, path).expect("the table can be replaced");
    });
    report(&asked, begun);
    #[expect(clippy::cast_precision_loss, reason = "files are smaller")]
    let file = std::fs::metadata(path).expect("the table is there").len() as f64;
    let [before, peak, after] = [before, server.peak(), server.resident()].map(|bytes| ratio(bytes / file));
    print(format_args!("memory to the file's size: {before} before, {peak} at its peak, {after} after\n"));
}

/// The passwords of the new version: one account, the first, has another.
fn new_password(number: usize) -> String {
    if number == 0 { "another".to_owned() } else { accounts::password(number) }
}

/// Asks on schedule, and runs `replace` meanwhile; returns what was asked and when `replace` began.
fn ask_through(server: SocketAddr, accounts: usize, replace: impl FnOnce() + Send) -> (Vec<Asked>, Duration) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(server).expect("a local socket can be connected");
    let (start, replaced) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            thread::sleep(REPLACED_AT);
            let begun = start.elapsed();
            replace();
            replaced.store(true, Ordering::Release);
            begun
        });
        let _pinned = Pinned::to(Core::Last);
        let asked = ask(&socket, start, accounts, &replaced);
        (asked, replacing.join().expect("the table can be replaced"))
    })
}

fn ask(socket: &UdpSocket, start: Instant, accounts: usize, replaced: &AtomicBool) -> Vec<Asked> {
    let (mut random, mut asked, mut open) = (Random::seeded(3), Vec::new(), HashMap::new());
    let mut due = Duration::ZERO;
    while due < LAST_AT || (!open.is_empty() && start.elapsed() < LAST_AT + PATIENCE) {
        go_on();
        let now = start.elapsed();
        if now >= due && due < LAST_AT {
            let changes = asked.len() % 2 == 1;
            let number = if changes { 0 } else { 1 + random.below(accounts - 1) };
            let tag = (asked.len() as u64).to_be_bytes();
            let request = accounts::login_tagged(&tag, &accounts::known(number), &accounts::password(number));
            let is_new = replaced.load(Ordering::Acquire);
            open.insert(tag, asked.len());
            // The schedule counts, so that a stalled sender does not hide a stalled server.
            asked.push(Asked { at: due, changes, is_new, answer: None });
            socket.send(&request).expect("a request can be sent");
            due += EVERY;
            continue;
        }
        receive(socket, due.saturating_sub(now), |answer| {
            let tag = answer.get(2..10).and_then(|tag| <[u8; 8]>::try_from(tag).ok()).unwrap_or_default();
            let asked: &mut Asked = &mut asked[open.remove(&tag).expect("each request is answered once")];
            let code = answer.first().copied().unwrap_or_default();
            asked.answer = Some((start.elapsed() - asked.at, is_answer(answer, code, &tag), code));
        });
    }
    asked
}

/// Waits for an answer, though not for longer than `limit`.
fn receive(socket: &UdpSocket, limit: Duration, take: impl FnOnce(&[u8])) {
    let limit = limit.clamp(Duration::from_micros(50), Duration::from_millis(50));
    socket.set_read_timeout(Some(limit)).expect("a time-out can be set");
    let mut answer = [0; 1024];
    match socket.recv(&mut answer) {
        Ok(length) => take(&answer[..length]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
        Err(error) => panic!("the server does not answer: {error}"),
    }
}

impl Asked {
    /// Tells whether the answer is that of no version: a password that changes is right in the old one, and wrong in the
    /// new one, which nobody has seen before the change begins, and everybody once one has.
    fn is_wrong(&self, begun: Duration, seen: Duration) -> bool {
        self.answer.is_some_and(|(_, is_whole, code)| {
            let is_right = match code {
                VALID => !self.changes || self.at < seen,
                REJECTED => self.changes && self.answered_at() >= begun,
                _ => false,
            };
            !is_whole || !is_right
        })
    }

    /// Tells whether the old version answered what was asked when the new one was in its place.
    fn is_old(&self) -> bool {
        self.changes && self.is_new && self.answer.is_some_and(|(.., code)| code == VALID)
    }
}

/// When a request was sent, seen from the change of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    During,
    After,
}

impl Asked {
    /// When the answer was there; for ever after, if there was none.
    fn answered_at(&self) -> Duration {
        self.answer.map_or(Duration::MAX, |(latency, ..)| self.at.saturating_add(latency))
    }

    fn phase(&self, begun: Duration, seen: Duration) -> Phase {
        match self.answered_at() {
            answered if answered < begun => Phase::Before,
            _ if self.at < seen => Phase::During,
            _ => Phase::After,
        }
    }
}

fn report(asked: &[Asked], begun: Duration) {
    let of_new_version = |asked: &&Asked| asked.answer.is_some_and(|(.., code)| code == REJECTED);
    let seen = asked.iter().filter(of_new_version).map(Asked::answered_at).min();
    let seen = seen.expect("the new version is served in the end");
    let mut grid = Grid::new(&["a file replaced", "requests", "median", "p99", "worst", "lost", "wrong", "old"]);
    for (title, phase) in [("before", Phase::Before), ("until it is seen", Phase::During), ("after", Phase::After)] {
        let asked: Vec<&Asked> = asked.iter().filter(|asked| asked.phase(begun, seen) == phase).collect();
        let answered: Vec<f64> = asked.iter().filter_map(|asked| Some(asked.answer?.0.as_secs_f64())).collect();
        let times = [0.5, 0.99, 1.0].map(|share| milliseconds(percentile(&answered, share)));
        let wrong = asked.iter().filter(|asked| asked.is_wrong(begun, seen)).count();
        let old = asked.iter().filter(|asked| asked.is_old()).count();
        let counts = [asked.len() - answered.len(), wrong, old];
        let cells = [asked.len().to_string()].into_iter().chain(times).chain(counts.map(|count| count.to_string()));
        grid.row(title, cells);
    }
    grid.print();
    print(format_args!(
        "the new version is seen {} after the rename begins",
        milliseconds((seen - begun).as_secs_f64())
    ));
    assert!(asked.iter().all(|asked| !asked.is_wrong(begun, seen)), "an answer is wrong");
}
