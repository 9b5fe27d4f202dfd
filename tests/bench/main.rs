//! Benchmarks: ratios between programs and limits that are measured in one run, in turn.
//!
//! Build the programs first: `cargo build --release && cargo run --release -p cvm-tests --bin bench -- NAME…`.

mod accounts;
mod asker;
mod command;
mod crypt;
mod hash;
mod hub;
mod login;
mod lookup;
mod measure;
mod once;
mod output;
mod processes;
mod random;
mod reads;
mod reload;
mod soak;
mod sql;
mod statistics;
mod timing;

use std::panic;
use std::process::ExitCode;

use output::print;

/// What the arguments ask for, beside names.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    /// How many requests of each kind `timing` makes.
    requests: Option<usize>,
    /// How long `soak` lasts.
    minutes: Option<f64>,
}

/// A benchmark by its name.
struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn(Options),
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "hash", about: "verification of each stored form, beside libcrypt's crypt_r", run: hash::run },
    Benchmark {
        name: "hub",
        about: "cvm-pwfile as a busy server beside raw loops and the original: UDP, hashes, both at once, local, overload",
        run: hub::run,
    },
    Benchmark {
        name: "lookup",
        about: "cvm-pwfile with 10 to 1 000 000 accounts: requests, loading, memory, and a file replaced meanwhile",
        run: lookup::run,
    },
    Benchmark {
        name: "qmail",
        about: "cvm-qmail with 100 000 users and 1000 virtual domains as a busy server, beside a raw loop and the original",
        run: hub::qmail::run,
    },
    Benchmark {
        name: "command",
        about: "one login in command mode, beside the original and programs that do nothing",
        run: command::run,
    },
    Benchmark {
        name: "login",
        about: "one login by cvm-checkpassword and a module in command mode, beside the original's pair",
        run: login::run,
    },
    Benchmark {
        name: "soak",
        about: "minutes of mixed load on one server: wrong answers, descriptors and memory over time",
        run: soak::run,
    },
    Benchmark {
        name: "sql",
        about: "cvm-pgsql and cvm-mysql beside the original, and cvm-sqlite beside cvm-pwfile, over UDP",
        run: sql::run,
    },
    Benchmark {
        name: "timing",
        about: "whether the time of a refusal tells accounts or secrets: Welch's t between kinds of requests",
        run: timing::run,
    },
];

const USAGE: &str = "usage: bench [--requests N] [--minutes M] NAME...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [limit, name, address] = arguments.as_slice()
        && limit == "--limit"
    {
        hub::limits::run(name, address);
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| matches!(argument.as_str(), "--help" | "-h")) {
        print(USAGE);
        print("\nMeasures programs and their limits in turn and prints ratios. N is how many requests of each kind");
        print("`timing` makes, M how long `soak` lasts. Without names the benchmarks are listed:\n");
    }
    match parse(&arguments) {
        Err(mistake) => {
            eprintln!("bench: {mistake}");
            ExitCode::from(1)
        }
        Ok((_, chosen)) if chosen.is_empty() => {
            BENCHMARKS.iter().for_each(|benchmark| print(format_args!("{:8} {}", benchmark.name, benchmark.about)));
            ExitCode::SUCCESS
        }
        Ok((options, chosen)) => run(options, &chosen),
    }
}

fn parse(arguments: &[String]) -> Result<(Options, Vec<&'static Benchmark>), String> {
    let (mut options, mut chosen) = (Options::default(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok((options, Vec::new())),
            "--requests" => {
                let number = arguments.next().and_then(|number| number.parse().ok()).filter(|&number| number > 0);
                options.requests = Some(number.ok_or("--requests expects a number above 0")?);
            }
            "--minutes" => {
                let minutes =
                    arguments.next().and_then(|minutes| minutes.parse().ok()).filter(|&minutes| minutes > 0.0);
                options.minutes = Some(minutes.ok_or("--minutes expects a number above 0")?);
            }
            name => {
                let known = BENCHMARKS.iter().find(|benchmark| benchmark.name == name);
                let names = || BENCHMARKS.iter().map(|benchmark| benchmark.name).collect::<Vec<_>>().join(", ");
                chosen.push(known.ok_or_else(|| format!("unknown benchmark {name:?}, expected {}", names()))?);
            }
        }
    }
    Ok((options, chosen))
}

/// Runs benchmarks; a signal unwinds them, so that processes and folders go with them.
fn run(options: Options, chosen: &[&Benchmark]) -> ExitCode {
    measure::stop_on_signals();
    for benchmark in chosen {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        print(format_args!("== {} (load average {load})", benchmark.name));
        if let Err(panic) = panic::catch_unwind(|| (benchmark.run)(options)) {
            return ExitCode::from(if panic.is::<measure::Stopped>() { 130 } else { 1 });
        }
    }
    ExitCode::SUCCESS
}
