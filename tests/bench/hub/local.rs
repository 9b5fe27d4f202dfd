//! The UNIX socket: one connection after the other, alone and beside silent ones.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use cvm_tests::folder::Folder;

use super::{ROUND, ROUNDS, limit, original};
use crate::accounts::{self, TAG, VALID, is_answer};
use crate::measure::{Candidate, Core, Pinned, Samples, go_on};
use crate::output::{Grid, microseconds, ratio};
use crate::processes::{Served, ours};
use crate::statistics::percentile;

const SILENT: usize = 1000;

/// Prints the table.
pub(super) fn run() {
    let folder = Folder::new();
    let passwd = folder.write("passwd", accounts::table(10, accounts::password));
    let path = |name: &str| folder.path(name);
    let start = |program: &str, name: &str| {
        // As long as the benchmark, so that silent connections stay.
        let settings = [("CVM_PWFILE_PATH", passwd.as_str()), ("CVM_THREADS", "1"), ("CVM_IO_TIMEOUT", "600000")];
        Served::start_program(program, &[&format!("cvm-local:{}", path(name))], 0, &settings)
    };
    let _raw = limit("local", &path("raw"), 0);
    let _ours = start(&ours("cvm-pwfile"), "ours");
    let _silenced = start(&ours("cvm-pwfile"), "silenced");
    let _original = original().map(|program| start(program, "original"));
    let _silent: Vec<_> = (0..SILENT).map(|_| connect(&path("silenced"))).collect();
    let _pinned = Pinned::to(Core::Last);
    let mut kinds = vec![("raw loop", "raw"), ("ours", "ours"), ("ours beside 1000 silent connections", "silenced")];
    kinds.extend(original().map(|_| ("original", "original")));
    let mut latencies = vec![Vec::new(); kinds.len()];
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for ((_, name), latencies) in kinds.iter().zip(&mut latencies) {
        let path = path(name);
        candidates.push(Box::new(move || ask(&path, *name != "raw", latencies)));
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    let mut grid = Grid::new(&["local socket, one at a time", "answers/s", "to the raw loop", "p50", "p99"]);
    for (index, ((title, _), latencies)) in kinds.iter().zip(&latencies).enumerate() {
        let rate = [format!("{:.0}", samples.median(index)), ratio(samples.ratio(index, 0))];
        let shares = [0.5, 0.99].map(|share| microseconds(percentile(latencies, share)));
        grid.row(title, rate.into_iter().chain(shares));
    }
    grid.print();
}

fn connect(path: &str) -> UnixStream {
    // More may wait to be accepted than fit in the queue.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{path}: {error}"),
        }
    }
}

/// Asks for a round, and returns the answers a second.
fn ask(path: &str, is_module: bool, latencies: &mut Vec<f64>) -> f64 {
    let request = accounts::login(&accounts::known(1), &accounts::password(1));
    let (start, mut count) = (Instant::now(), 0.0);
    let mut answer = Vec::new();
    while start.elapsed() < ROUND {
        go_on();
        let asked = Instant::now();
        let mut stream = connect(path);
        stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write)).expect("a request can be sent");
        answer.clear();
        stream.read_to_end(&mut answer).expect("an answer can be read");
        latencies.push(asked.elapsed().as_secs_f64());
        assert!(if is_module { is_answer(&answer, VALID, TAG) } else { answer == request }, "a wrong answer");
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}
