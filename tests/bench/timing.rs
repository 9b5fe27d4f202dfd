//! `timing`: whether the time of a refusal tells which accounts exist, or how much of a secret is right.

use std::ffi::CString;

use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, SECRET};

use crate::Options;
use crate::accounts::{self, NO_CREDENTIAL, REJECTED, TAG, login};
use crate::asker::Asker;
use crate::crypt::Crypt;
use crate::measure::{Core, Pinned, go_on};
use crate::output::{Grid, microseconds, print};
use crate::processes::Served;
use crate::random::Random;
use crate::statistics::{Spread, percentile};

/// Below it two kinds of requests count as taking the same time.
const LIMIT: f64 = 4.5;

/// Of each kind: how many requests without a hash, and how many seconds with one.
const REQUESTS: usize = 100_000;
const SECONDS_OF_HASHES: f64 = 30.0;

/// The names of each kind; tables have as many accounts of each kind.
const NAMES: usize = 1000;

/// One kind of request, in many variants.
struct Kind {
    title: &'static str,
    requests: Vec<Vec<u8>>,
}

/// Prints mean, deviation and t for each pair.
pub(crate) fn run(options: Options) {
    let mut grid = Grid::new(&["", "requests", "mean", "sd", "mean", "sd", "difference", "t", ""]);
    plain(&mut grid, options);
    hashed(&mut grid, options, "$6$", |salt| format!("$6$rounds=1000$salt{salt}$"));
    hashed(&mut grid, options, "$5$", |salt| format!("$5$rounds=1000$salt{salt}$"));
    secrets(&mut grid, options);
    grid.print();
    print("Requests of each kind, without the slowest 5 %. Two sets of the same kind show what noise does.");
}

/// Wrong passwords for these names.
fn refused(title: &'static str, name: impl Fn(usize) -> String) -> Kind {
    Kind { title, requests: (0..NAMES).map(|number| login(&name(number), "not-the-password")).collect() }
}

/// The names of accounts that exist: the even ones. Locked ones lie between them.
fn open(number: usize) -> String {
    accounts::known(2 * number)
}

fn locked(number: usize) -> String {
    accounts::known(2 * number + 1)
}

fn plain(grid: &mut Grid, options: Options) {
    let folder = Folder::new();
    let path = folder.write("passwd", accounts::table(2 * NAMES, accounts::password));
    let server = Served::start(&[("CVM_PWFILE_PATH", &path)]);
    let kinds = [refused("known", open), refused("unknown", accounts::unknown), refused("known", open)];
    let count = options.requests.unwrap_or(REQUESTS);
    compare(grid, "plain text", &server, REJECTED, &kinds, count);
}

fn hashed(grid: &mut Grid, options: Options, form: &str, setting: impl Fn(usize) -> String) {
    let folder = Folder::new();
    let mut crypt = Crypt::new();
    let mut store = |number: usize| {
        go_on();
        let stored = crypt.store(&accounts::password(number), &setting(number));
        let stored = stored.and_then(|stored: CString| stored.into_string().ok()).expect("libcrypt knows the form");
        if number % 2 == 1 { format!("!{stored}") } else { stored }
    };
    let path = folder.write("passwd", accounts::table(2 * NAMES, &mut store));
    let server = Served::start(&[("CVM_PWFILE_PATH", &path), ("CVM_PWFILE_PWCMP", "crypt")]);
    let kinds = [
        refused("known", open),
        refused("unknown", accounts::unknown),
        refused("known", open),
        refused("locked", locked),
    ];
    let count = options.requests.unwrap_or_else(|| fitting(&server, &kinds));
    compare(grid, form, &server, REJECTED, &kinds, count);
}

/// How many requests of each kind fit into the time for hashes.
fn fitting(server: &Served, kinds: &[Kind]) -> usize {
    let mut asker = Asker::of(server.address());
    let total: f64 = kinds[0].requests.iter().take(50).map(|request| asker.timed(request, REJECTED)).sum();
    let fitting = SECONDS_OF_HASHES / (total / 50.0) / kinds.len() as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bounded positive number")]
    let fitting = fitting.clamp(100.0, REQUESTS as f64) as usize;
    fitting
}

fn secrets(grid: &mut Grid, options: Options) {
    const RIGHT: &str = "a secret of thirty-two letters..";
    let folder = Folder::new();
    let path = folder.write("passwd", accounts::table(2 * NAMES, accounts::password));
    let server = Served::start(&[("CVM_PWFILE_PATH", &path), ("CVM_LOOKUP_SECRET", RIGHT)]);
    let first = RIGHT.replacen('a', "b", 1);
    let last = format!("{}!", &RIGHT[..RIGHT.len() - 1]);
    let kinds = [
        guess("first byte wrong", &first),
        guess("last byte wrong", &last),
        guess("first byte wrong", &first),
        guess("a byte short", &RIGHT[..RIGHT.len() - 1]),
    ];
    compare(grid, "secret", &server, NO_CREDENTIAL, &kinds, options.requests.unwrap_or(REQUESTS));
}

/// Requests of the same length, whatever the length of the secret.
fn guess(title: &'static str, secret: &str) -> Kind {
    const LENGTH: usize = 100;
    let request =
        |number| packet::padded(TAG, &[(ACCOUNT, open(number).as_bytes()), (SECRET, secret.as_bytes())], LENGTH);
    Kind { title, requests: (0..NAMES).map(request).collect() }
}

/// Asks all kinds in random order and compares each with the first.
fn compare(grid: &mut Grid, table: &str, server: &Served, code: u8, kinds: &[Kind], count: usize) {
    let times = ask(server, code, kinds, count);
    let all: Vec<f64> = times.iter().flatten().copied().collect();
    let bound = percentile(&all, 0.95);
    let spreads: Vec<(usize, Spread)> = times.iter().map(|times| trimmed(times, bound)).collect();
    let (first_count, first) = spreads[0];
    for (kind, (count, spread)) in kinds.iter().zip(&spreads).skip(1) {
        let t = first.t(spread);
        let verdict = if t.abs() < LIMIT { "below 4.5" } else { "NOT below 4.5" };
        let spreads = [first, *spread].map(|spread| [spread.mean, spread.deviation].map(microseconds));
        let difference = format!("{:+.0} ns", (spread.mean - first.mean) * 1e9);
        let cells = [format!("{first_count}/{count}")].into_iter().chain(spreads.into_iter().flatten());
        let title = format!("{table}: {} / {}", kinds[0].title, kind.title);
        grid.row(title, cells.chain([difference, format!("{t:.2}"), verdict.to_owned()]));
    }
}

fn trimmed(times: &[f64], bound: f64) -> (usize, Spread) {
    let kept: Vec<f64> = times.iter().copied().filter(|&time| time <= bound).collect();
    (kept.len(), Spread::of(&kept))
}

fn ask(server: &Served, code: u8, kinds: &[Kind], count: usize) -> Vec<Vec<f64>> {
    let _pinned = Pinned::to(Core::Last);
    let mut random = Random::seeded(4);
    let mut asker = Asker::of(server.address());
    let mut order: Vec<usize> = (0..kinds.len() * count).map(|index| index % kinds.len()).collect();
    random.shuffle(&mut order);
    let mut times = vec![Vec::with_capacity(count); kinds.len()];
    for kind in order {
        go_on();
        let request: &Vec<u8> = random.choose(&kinds[kind].requests);
        times[kind].push(asker.timed(request, code));
    }
    times
}
