//! `lookup`: cvm-pwfile with tables of growing size.

use std::path::PathBuf;

use cvm_backends::Notices;
use cvm_backends::password::Comparison;
use cvm_backends::pwfile::{Options as FileOptions, PwFile};
use cvm_core::Policy;
use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
use cvm_core::wire::Packet;
use cvm_tests::folder::Folder;

use crate::Options;
use crate::accounts::{self, REJECTED, VALID};
use crate::asker::Asker;
use crate::measure::{Candidate, Core, Pinned, Samples, go_on, seconds};
use crate::output::{Grid, microseconds, milliseconds, nanoseconds, print, ratio};
use crate::processes::Served;
use crate::random::Random;
use crate::reads::Reads;
use crate::reload;

const SIZES: [usize; 3] = [10, 10_000, 1_000_000];

/// How many different requests are in turn, so that they do not stay in the processor's caches.
const REQUESTS: usize = 20_000;

const ROUNDS: usize = 15;

/// Prints requests, loading, memory and what a reload does.
pub(crate) fn run(_: Options) {
    let folder = Folder::new();
    let paths = SIZES.map(|size| {
        go_on();
        folder.write(&format!("passwd-{size}"), accounts::table(size, accounts::password))
    });
    answering(&paths);
    loading(&paths);
    serving(&paths);
    reload::run(&folder, &paths[2], SIZES[2]);
}

/// The module in this process.
fn open(path: &str) -> Box<dyn Answer> {
    let notices = Notices::new(|text| panic!("{text}"));
    let options = FileOptions { path: PathBuf::from(path), comparison: Comparison::Plain };
    Box::new(Answerer::new(PwFile::open(options, notices), Policy::Authenticate, ()))
}

/// Answers every request once, and returns the seconds of each.
fn answer_all(answer: &dyn Answer, requests: &[Vec<u8>], code: u8, refresh: bool) -> f64 {
    let mut out = Packet::new();
    let total = seconds(|| {
        for request in requests {
            if refresh {
                answer.refresh();
            }
            let outcome = answer.answer(request, &mut out, Patience::Blocking);
            assert!(matches!(outcome, Outcome::Answered(given) if given.byte() == code), "{outcome:?}");
            accounts::check(&out, code);
        }
    });
    total / requests.len() as f64
}

fn answering(paths: &[String; 3]) {
    let _pinned = Pinned::to(Core::First);
    let mut random = Random::seeded(1);
    let modules = paths.each_ref().map(|path| open(path));
    let hits = SIZES.map(|size| accounts::hits(&mut random, REQUESTS, size));
    let misses = SIZES.map(|size| accounts::misses(&mut random, REQUESTS, size));
    let reads = SIZES.map(|size| Reads::of(&mut random, REQUESTS, size));
    let kinds =
        [("hit", &hits, VALID, false), ("miss", &misses, REJECTED, false), ("hit, stat before", &hits, VALID, true)];
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (_, requests, code, refresh) in kinds {
        for (module, requests) in modules.iter().zip(requests) {
            candidates.push(Box::new(move || answer_all(module.as_ref(), requests, code, refresh)));
        }
    }
    for reads in &reads {
        candidates.push(Box::new(|| reads.all()));
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    let names = [kinds[0].0, kinds[1].0, kinds[2].0, "two reads of as much memory"];
    by_size("a request in process", &names, &samples, nanoseconds);
}

/// Prints candidates that are sorted by kind and then by size.
fn by_size(title: &str, kinds: &[&str], samples: &Samples, unit: fn(f64) -> String) {
    let mut grid = Grid::new(&[title, "10", "10 000", "1 000 000", "10 000 to 10", "1 000 000 to 10"]);
    for (index, kind) in kinds.iter().enumerate() {
        let [few, many, most] = [0, 1, 2].map(|size| index * SIZES.len() + size);
        let medians = [few, many, most].map(|candidate| unit(samples.median(candidate)));
        let ratios = [many, most].map(|candidate| ratio(samples.ratio(candidate, few)));
        grid.row(kind, medians.into_iter().chain(ratios));
    }
    grid.print();
}

/// Loading the index, beside reading the file and finding its line ends.
fn loading(paths: &[String; 3]) {
    let _pinned = Pinned::to(Core::First);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for path in paths {
        candidates.push(Box::new(move || {
            let mut module = None;
            let seconds = seconds(|| module = Some(open(path)));
            // Wiping it is not part of loading.
            drop(module);
            seconds
        }));
        candidates.push(Box::new(move || seconds(|| assert!(read(path) > 0, "{path} has lines"))));
    }
    let samples = Samples::in_turn(7, &mut candidates);
    let mut grid = Grid::new(&["loading", "open", "read and count lines", "open to read"]);
    for (index, size) in SIZES.iter().enumerate() {
        let (open, read) = (2 * index, 2 * index + 1);
        let times = [open, read].map(|candidate| milliseconds(samples.median(candidate)));
        grid.row(format_args!("{size} accounts"), times.into_iter().chain([ratio(samples.ratio(open, read))]));
    }
    grid.print();
}

fn read(path: &str) -> usize {
    std::fs::read(path).expect("the table can be read").iter().filter(|&&byte| byte == b'\n').count()
}

/// The program over UDP, a request at a time, and its memory.
fn serving(paths: &[String; 3]) {
    let mut servers = paths.each_ref().map(|path| Served::start(&[("CVM_PWFILE_PATH", path)]));
    let mut random = Random::seeded(2);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    let _pinned = Pinned::to(Core::Last);
    for kind in [VALID, REJECTED] {
        for (server, size) in servers.iter().zip(SIZES) {
            let make = if kind == VALID { accounts::hits } else { accounts::misses };
            let requests = make(&mut random, 3000, size);
            let mut asker = Asker::of(server.address());
            candidates.push(Box::new(move || {
                let total: f64 = requests.iter().map(|request| asker.timed(request, kind)).sum();
                total / requests.len() as f64
            }));
        }
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    by_size("a request over UDP, one at a time", &["hit", "miss"], &samples, microseconds);
    memory(paths, &mut servers);
}

fn memory(paths: &[String; 3], servers: &mut [Served; 3]) {
    let mut grid =
        Grid::new(&["memory of the server", "the file", "resident", "peak", "resident to file", "peak to file"]);
    for ((path, server), size) in paths.iter().zip(servers).zip(SIZES) {
        #[expect(clippy::cast_precision_loss, reason = "files are smaller")]
        let file = std::fs::metadata(path).expect("the table is there").len() as f64;
        let (resident, peak) = (server.resident(), server.peak());
        let bytes = [file, resident, peak].map(|bytes| format!("{:.1} MB", bytes / 1e6));
        grid.row(
            format_args!("{size} accounts"),
            bytes.into_iter().chain([resident, peak].map(|bytes| ratio(bytes / file))),
        );
    }
    grid.print();
    print("To reach: requests within 10 % of 10 accounts, memory under 2.5 of the file with 1 000 000.\n");
}
