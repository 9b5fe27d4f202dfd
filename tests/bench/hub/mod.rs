//! `hub`: cvm-pwfile as a busy server, beside raw loops and the original. The server has one core, the load another.

pub(crate) mod limits;
pub(crate) mod load;
mod local;
mod mmsg;
pub(crate) mod qmail;

use std::path::Path;
use std::time::Duration;

use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT};
use cvm_tests::server::free_port;

use crate::Options;
use crate::accounts::{self, NO_CREDENTIAL, REJECTED, TAG, VALID};
use crate::crypt::Crypt;
use crate::measure::{Candidate, Core, Pinned, Samples, go_on, seconds};
use crate::output::{Grid, microseconds, milliseconds, print, ratio};
use crate::processes::{Served, ours};
use crate::random::Random;
use load::{Outcome, Questions};

const SIZES: [usize; 3] = [10, 10_000, 1_000_000];

/// How many different requests are in turn.
const REQUESTS: usize = 20_000;

/// The requests under way at a time, so that neither side waits for the other.
const WINDOW: usize = 256;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(800);

/// Forms with settings that make libcrypt write them, of a common cost.
const FORMS: [(&str, &str); 5] = [
    ("$1$", "$1$saltsalt$"),
    ("$5$", "$5$saltsaltsaltsalt$"),
    ("$6$", "$6$saltsaltsaltsalt$"),
    ("$2b$ cost 8", "$2b$08$abcdefghijklmnopqrstuu"),
    ("$y$", "$y$j75$saltsaltsalt$"),
];

/// Prints the tables.
pub(crate) fn run(_: Options) {
    plain();
    hashed();
    beside_hashes();
    local::run();
}

/// The original's program, where it is installed.
fn original() -> Option<&'static str> {
    let path = "/usr/bin/cvm-pwfile";
    Path::new(path).is_file().then_some(path)
}

/// A raw loop: this program again.
fn limit(name: &str, address: &str, port: u16) -> Served {
    let this = std::env::current_exe().expect("the path of this program is known");
    let this = this.to_str().expect("the path of this program is UTF-8");
    Served::start_program(this, &["--limit", name, address], port, &[])
}

fn echo() -> Served {
    let port = free_port();
    limit("udp", &port.to_string(), port)
}

fn served(program: &str, path: &str, comparison: &str) -> Served {
    let port = free_port();
    let settings = [("CVM_PWFILE_PATH", path), ("CVM_PWFILE_PWCMP", comparison)];
    let one_core = [("CVM_THREADS", "1"), ("CVM_CPU_WORKERS", "1")];
    let endpoint = format!("cvm-udp:127.0.0.1:{port}");
    Served::start_program(program, &[&endpoint], port, &[settings, one_core].concat())
}

/// A server under load, and what came of each round.
struct Loaded {
    title: String,
    server: Served,
    requests: Vec<Vec<u8>>,
    code: Option<u8>,
    outcomes: Vec<Outcome>,
    busy: f64,
}

impl Loaded {
    fn new(title: String, server: Served, requests: Vec<Vec<u8>>, code: Option<u8>) -> Self {
        Self { title, server, requests, code, outcomes: Vec::new(), busy: 0.0 }
    }

    fn questions(&self) -> Questions<'_> {
        Questions { server: self.server.address(), requests: &self.requests, code: self.code, may_refuse: false }
    }

    fn round(&mut self, window: usize) -> f64 {
        let before = self.server.busy();
        let outcome = self.questions().with_window(window, ROUND);
        self.busy += self.server.busy() - before;
        let rate = outcome.rate;
        self.outcomes.push(outcome);
        rate
    }

    fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        let values: Vec<f64> = self.outcomes.iter().map(of).collect();
        crate::statistics::median(&values)
    }

    fn row(&mut self, grid: &mut Grid, to_limit: f64) {
        let answers: usize = self.outcomes.iter().map(|outcome| outcome.latencies.len()).sum();
        let lost: usize = self.outcomes.iter().map(|outcome| outcome.lost).sum();
        let latencies = [0.5, 0.99, 0.999].map(|share| microseconds(self.median(|outcome| outcome.latency(share))));
        let cells = [format!("{:.0}", self.median(|outcome| outcome.rate)), ratio(to_limit)];
        let rest = [
            microseconds(self.busy / answers.max(1) as f64),
            lost.to_string(),
            format!("{:.1} MB", self.server.resident() / 1e6),
        ];
        grid.row(&self.title, cells.into_iter().chain(latencies).chain(rest));
    }
}

const HEADER: [&str; 9] =
    ["", "answers/s", "to the limit", "p50", "p99", "p999", "processor time each", "lost", "memory"];

/// Plain-text passwords: the echo first, then the original and ours with each table.
fn plain() {
    let folder = Folder::new();
    let mut random = Random::seeded(4);
    let mut all = vec![Loaded::new("echo".to_owned(), echo(), accounts::hits(&mut random, REQUESTS, 10), None)];
    for size in SIZES {
        go_on();
        let path = folder.write(&format!("passwd-{size}"), accounts::table(size, accounts::password));
        let mut add = |whose: &str, program: &str| {
            let requests = accounts::hits(&mut random, REQUESTS, size);
            let server = served(program, &path, "plain");
            all.push(Loaded::new(format!("{whose}, {size} accounts"), server, requests, Some(VALID)));
        };
        // The original reads the file for each request: a million accounts are not to be waited for.
        if let Some(program) = original().filter(|_| size <= 10_000) {
            add("original", program);
        }
        add("ours", &ours("cvm-pwfile"));
    }
    let _pinned = Pinned::to(Core::Last);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for loaded in &mut all {
        candidates.push(Box::new(move || {
            // The original has a small buffer and is slow: more under way would only be lost.
            let window = if loaded.title.starts_with("original") { 32 } else { WINDOW };
            loaded.round(window)
        }));
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    print(format_args!("UDP, plain-text passwords, {WINDOW} requests under way, log in a file"));
    let mut grid = Grid::new(&HEADER);
    for (index, loaded) in all.iter_mut().enumerate() {
        loaded.row(&mut grid, samples.ratio(index, 0));
    }
    grid.print();
    overload(&mut all);
}

/// Twice as many requests as the server can answer: what still comes back?
fn overload(all: &mut [Loaded]) {
    let mut grid = Grid::new(&["overload", "offered/s", "answers/s", "to the rate with a window"]);
    for loaded in all.iter_mut().filter(|loaded| loaded.title == "echo" || loaded.title == "ours, 10 accounts") {
        go_on();
        let capacity = loaded.median(|outcome| outcome.rate);
        let outcome = loaded.questions().at_rate(2.0 * capacity, 2 * ROUND);
        let offered = (outcome.lost as f64 / (2 * ROUND).as_secs_f64()) + outcome.rate;
        let cells = [format!("{offered:.0}"), format!("{:.0}", outcome.rate), ratio(outcome.rate / capacity)];
        grid.row(&loaded.title, cells);
    }
    grid.print();
}

fn stored(setting: &str, password: &str) -> String {
    let stored = Crypt::new().store(password, setting).and_then(|stored| stored.into_string().ok());
    stored.expect("libcrypt knows the form")
}

/// Hashed passwords, beside `crypt_r` on the same core.
fn hashed() {
    let mut grid = Grid::new(&["UDP, hashed passwords", "answers/s", "to crypt_r", "of the original, to crypt_r"]);
    for (form, setting) in FORMS {
        go_on();
        let folder = Folder::new();
        let path = folder.write("passwd", accounts::table(10, |number| stored(setting, &accounts::password(number))));
        let requests = accounts::hits(&mut Random::seeded(5), 1000, 10);
        let mut loaded: Vec<_> = [Some(ours("cvm-pwfile")), original().map(str::to_owned)]
            .into_iter()
            .flatten()
            .map(|program| {
                let server = served(&program, &path, "crypt");
                Loaded::new(form.to_owned(), server, requests.clone(), Some(VALID))
            })
            .collect();
        let password = std::ffi::CString::new(accounts::password(1)).expect("text without NUL");
        let hashed = std::ffi::CString::new(stored(setting, &accounts::password(1))).expect("text without NUL");
        let mut candidates: Vec<Candidate<'_>> = vec![Box::new(|| {
            let _pinned = Pinned::to(Core::First);
            let mut crypt = Crypt::new();
            let mut count = 0.0;
            let time = seconds(|| {
                let start = std::time::Instant::now();
                while start.elapsed() < ROUND {
                    assert!(crypt.hash(&password, &hashed).is_some());
                    count += 1.0;
                }
            });
            count / time
        })];
        for loaded in &mut loaded {
            candidates.push(Box::new(move || {
                let _pinned = Pinned::to(Core::Last);
                loaded.round(16)
            }));
        }
        let samples = Samples::in_turn(ROUNDS, &mut candidates);
        let others = if original().is_some() { ratio(samples.ratio(2, 0)) } else { crate::output::not_available() };
        grid.row(form, [format!("{:.0}", samples.median(1)), ratio(samples.ratio(1, 0)), others]);
    }
    grid.print();
}

/// Cheap requests beside as many hashes as one core can compute.
fn beside_hashes() {
    let mut grid = Grid::new(&["a request beside hashes, one core", "p50", "p99", "p999", "p99 alone", "hashes/s"]);
    let cheap: Vec<Vec<u8>> =
        (0..100).map(|number| packet::v2(2, TAG, &[(ACCOUNT, accounts::known(number % 10).as_bytes())])).collect();
    for (form, setting) in FORMS.into_iter().filter(|(form, _)| ["$6$", "$2b$ cost 8"].contains(form)) {
        let folder = Folder::new();
        let path = folder.write("passwd", accounts::table(10, |number| stored(setting, &accounts::password(number))));
        let programs = [Some(("ours", ours("cvm-pwfile"))), original().map(|path| ("original", path.to_owned()))];
        for (whose, program) in programs.into_iter().flatten() {
            go_on();
            let server = served(&program, &path, "crypt");
            let _pinned = Pinned::to(Core::Last);
            // The original looks at the account first and finds no password: that is code 7 as well.
            let probe =
                Questions { server: server.address(), requests: &cheap, code: Some(NO_CREDENTIAL), may_refuse: false };
            let alone = probe.one_at_a_time(Duration::from_millis(1), 1000);
            let heavy = accounts::misses(&mut Random::seeded(6), 1000, 10);
            let hashes =
                Questions { server: server.address(), requests: &heavy, code: Some(REJECTED), may_refuse: false };
            let hits = accounts::hits(&mut Random::seeded(6), 1000, 10);
            // Unknown names cost the original nothing.
            let load = Questions { requests: &hits, code: Some(VALID), ..hashes };
            let (beside, rate) = std::thread::scope(|scope| {
                // Asleep, as it shares a core with the requests that are timed.
                let load = scope.spawn(|| load.with_window_asleep(16, Duration::from_secs(4)).rate);
                std::thread::sleep(Duration::from_millis(300));
                let count = if whose == "ours" { 2000 } else { 20 };
                let beside = probe.one_at_a_time(Duration::from_millis(1), count);
                (beside, load.join().expect("the load ends"))
            });
            let shares = [0.5, 0.99, 0.999].map(|share| milliseconds(beside.latency(share)));
            let rest = [milliseconds(alone.latency(0.99)), format!("{rate:.0}")];
            grid.row(format_args!("{whose}, {form}"), shares.into_iter().chain(rest));
        }
    }
    grid.print();
}
