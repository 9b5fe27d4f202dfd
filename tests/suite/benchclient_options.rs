//! What the options of the benchmark clients add: requests at a time, for a time, at a rate; figures, a plot, a bar.

use std::process::Stdio;
use std::time::{Duration, Instant};

use cvm_tests::contact::Mode;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::packet;
use cvm_tests::process::{End, Finished, LIMIT, Running, command, eventually, run};
use cvm_tests::programs::{Make, tool};
use cvm_tests::station::{ALICE, Station, TABLE};
use rustix::process::Signal;

const CLIENTS: [&str; 2] = ["cvm-benchclient", "cvm-v1benchclient"];

fn bench(arguments: &[&str]) -> Finished {
    ask("cvm-benchclient", arguments)
}

fn ask(client: &str, arguments: &[&str]) -> Finished {
    run(&mut command(&Make::Ours.program(client), arguments, &[]), b"")
}

/// Makes a module that does something and then says yes.
fn module(folder: &Folder, lines: &str) -> String {
    let answer = folder.write("answer", packet::v2(0, b"", ALICE));
    folder.script("module", &format!("cat >/dev/null\n{lines}\ncat {}", quoted(&answer)))
}

/// Makes a line `path.to.value value` of each value of a JSON object.
const FLATTEN: &str = r#"
import json, sys
def walk(path, value):
    if isinstance(value, dict):
        for key in value: walk(path + [key], value[key])
    elif isinstance(value, list):
        for key, item in enumerate(value): walk(path + [str(key)], item)
    else: print(".".join(path), json.dumps(value))
walk([], json.load(sys.stdin))
"#;

/// Prints how many lines a picture has, and its texts.
const PICTURE: &str = r#"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.stdin).getroot()
named = lambda name: root.iter("{http://www.w3.org/2000/svg}" + name)
print(len(list(named("polyline"))))
for text in named("text"): print("".join(text.itertext()).strip())
"#;

fn python(script: &str, input: &[u8]) -> String {
    let python = tool("python3", "python3");
    let finished = run(&mut command(python.to_str().expect("UTF-8"), &["-c", script], &[]), input);
    assert_eq!(finished.end, End::Exit(0), "{finished:?} of {}", input.escape_ascii());
    finished.output()
}

/// The figures of a run.
struct Figures(Vec<(String, String)>);

impl Figures {
    fn of(finished: &Finished) -> Self {
        assert_eq!(finished.stderr, b"", "{finished:?}");
        assert_eq!(finished.output().lines().count(), 1, "{finished:?}");
        let lines = python(FLATTEN, &finished.stdout);
        let pair = |line: &str| line.split_once(' ').map(|(path, value)| (path.to_owned(), value.to_owned()));
        Self(lines.lines().map(|line| pair(line).expect("a path and a value")).collect())
    }

    fn number(&self, path: &str) -> f64 {
        let (_, value) = self.0.iter().find(|(name, _)| name == path).unwrap_or_else(|| panic!("no {path}"));
        value.parse().unwrap_or_else(|_| panic!("{path} is {value}"))
    }

    /// Returns the sum of all that is named so.
    fn sum(&self, start: &str, end: &str) -> f64 {
        let named = self.0.iter().filter(|(name, _)| name.starts_with(start) && name.ends_with(end));
        named.map(|(name, _)| self.number(name)).sum()
    }

    /// Demands that nothing was lost on the way to the figures.
    fn assert_consistent(&self) {
        let requests = self.number("requests");
        assert_eq!((self.sum("codes.", ""), self.sum("intervals.", ".requests")), (requests, requests));
        let product = self.number("throughput") * self.number("seconds");
        assert!((product - requests).abs() <= 0.01 + requests * 0.001, "{product} requests, expected {requests}");
        let rising = ["min", "p50", "p90", "p99", "p999", "max"];
        let latencies = rising.map(|name| self.number(&format!("latency_ms.{name}")));
        assert!(latencies.is_sorted() && latencies[0] > 0.0, "{latencies:?}");
        assert!((latencies[0]..=latencies[5]).contains(&self.number("latency_ms.mean")), "{latencies:?}");
        let covered = self.sum("intervals.", ".seconds");
        assert!(covered <= self.number("seconds") + 0.001, "{covered}");
    }
}

#[test]
fn requests_are_under_way_at_a_time() {
    let folder = Folder::new();
    // Each says yes only when there are four at once.
    let here = quoted(&folder.path("here"));
    let lines = format!("mkdir -p {here}; : >{here}/$$; until [ $(ls {here} | wc -l) -ge 4 ]; do sleep 0.02; done");
    let finished = bench(&["--concurrency", "4", "--json", "4", &module(&folder, &lines), "alice", "ex.com", "secret"]);
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    let figures = Figures::of(&finished);
    figures.assert_consistent();
    assert_eq!((figures.number("requests"), figures.number("codes.0")), (4.0, 4.0));
}

#[test]
fn codes_are_counted_and_the_first_failure_is_the_exit_status() {
    for client in CLIENTS {
        let station = Station::start(Make::Ours, TABLE, &[]);
        let credentials = "# comment\n\nalice\tex.com\tsecret\nalice\tex.com\twrong\nbare\t\tpw\n";
        let file = station.folder().write("credentials", credentials);
        let finished = ask(client, &["--credentials", &file, "--json", "300", &station.module(Mode::Local)]);
        assert_eq!(finished.end, End::Exit(100), "{finished:?}");
        let figures = Figures::of(&finished);
        figures.assert_consistent();
        assert_eq!(["requests", "codes.0", "codes.100"].map(|name| figures.number(name)), [300.0, 200.0, 100.0]);
        let expected = ["+ alice@ex.com", "- alice@ex.com", "+ bare"].repeat(100);
        assert_eq!(station.server().requests(), expected, "{client}");
        let right = ask(client, &["--concurrency=3", "30", &station.module(Mode::Udp), "bare", "", "pw"]);
        assert_eq!((right.end, right.stderr.is_empty()), (End::Exit(0), true), "{right:?}");
        let text = right.output();
        for word in
            ["requests    30 in ", "per second", "p50 ", "p90 ", "p99 ", "p999 ", "max ", "code 0      30 (No error)"]
        {
            assert!(text.contains(word), "{word:?} expected in {text}");
        }
    }
}

#[test]
fn a_duration_ends_the_run_unless_the_number_does() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    for count in [&[] as &[_], &["1000000000"]] {
        let begin = Instant::now();
        let rest = [count, &[&module, "alice", "ex.com", "secret"]].concat();
        let finished = bench(&[&["--json", "--duration", "400ms"], rest.as_slice()].concat());
        assert!(begin.elapsed() >= Duration::from_millis(400), "{finished:?}");
        let figures = Figures::of(&finished);
        figures.assert_consistent();
        assert!((0.4..5.0).contains(&figures.number("seconds")), "{finished:?}");
        assert!(figures.number("requests") > 10.0, "{finished:?}");
    }
    let finished = bench(&["--json", "--duration", "1h", "7", &module, "alice", "ex.com", "secret"]);
    assert_eq!(Figures::of(&finished).number("requests"), 7.0);
}

#[test]
fn a_rate_is_kept_whatever_the_module_takes() {
    let folder = Folder::new();
    let module = module(&folder, "sleep 0.4");
    let arguments = ["--json", "--rate", "20", "--duration=2s", &module, "alice", "ex.com", "secret"];
    let figures = Figures::of(&bench(&arguments));
    figures.assert_consistent();
    // One after the other, it would be five.
    let requests = figures.number("requests");
    assert!((32.0..=40.0).contains(&requests), "{requests}");
    assert_eq!(requests + figures.number("unsent"), 40.0);
    assert!(figures.number("latency_ms.min") >= 400.0);
}

#[test]
fn at_a_rate_latency_counts_from_when_a_request_is_due() {
    let folder = Folder::new();
    let module = module(&folder, "sleep 0.2");
    let figures = Figures::of(&bench(&["--json", "--rate=100", "--concurrency", "1", "6", &module, "a", "", "x"]));
    figures.assert_consistent();
    // The last of six is due after 50 ms, and ends after 1200 ms at the earliest.
    assert!(figures.number("latency_ms.max") >= 1140.0);
    assert_eq!((figures.number("requests"), figures.number("unsent")), (6.0, 0.0));
    let arguments = ["--json", "--rate=100", "--concurrency=1", "--duration=1s", &module, "a", "", "x"];
    let figures = Figures::of(&bench(&arguments));
    assert!(figures.number("requests") <= 6.0);
    assert_eq!(figures.number("requests") + figures.number("unsent"), 100.0);
}

#[test]
fn an_interrupted_run_ends_with_its_summary() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new();
        // The third request and those after it get no answer.
        let count = quoted(&folder.path("count"));
        let module = module(&folder, &format!("echo >>{count}; [ $(wc -l <{count}) -lt 3 ] || exec sleep 60"));
        let mut command =
            command(&Make::Ours.program("cvm-benchclient"), &["--json", "1000", &module, "alice", "", "x"], &[]);
        let output = std::fs::File::create(folder.path("output")).expect("a file");
        command.stdin(Stdio::null()).stdout(output);
        let mut running = Running::start(&mut command);
        assert!(eventually(LIMIT, || folder.read("count").len() == 3), "no third request");
        let begin = Instant::now();
        running.signal(signal);
        assert_eq!(running.wait(LIMIT), End::Exit(0), "{signal:?}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        let figures = Figures::of(&Finished { end: End::Exit(0), stdout: folder.read("output"), stderr: Vec::new() });
        figures.assert_consistent();
        assert_eq!((figures.number("requests"), figures.number("unfinished")), (2.0, 1.0));
    }
}

#[test]
fn a_plot_is_a_picture_with_all_its_lines() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let (module, path) = (station.module(Mode::Local), station.folder().path("plot.svg"));
    for (limit, lines) in [(&["--duration", "500ms"] as &[_], 5), (&["1"], 0)] {
        let (options, count) = if lines > 0 { (limit, &[] as &[_]) } else { (&[] as &[_], limit) };
        let arguments = [&["--plot", &path], options, count, &[&module, "alice", "ex.com", "secret"]].concat();
        let finished = bench(&arguments);
        assert_eq!(finished.end, End::Exit(0), "{finished:?}");
        let picture = python(PICTURE, &station.folder().read("plot.svg"));
        let found: usize = picture.lines().next().and_then(|line| line.parse().ok()).expect("a number of lines");
        assert!(found >= lines, "{found} lines: {picture}");
        for text in ["Latency (ms)", "p50", "p90", "p99", "p999", "Throughput (requests per second)", "seconds"] {
            assert!(picture.lines().any(|line| line == text), "{text} expected: {picture}");
        }
    }
    let asked = station.server().requests().len();
    let nowhere = station.folder().path("missing/plot.svg");
    let finished = bench(&["--plot", &nowhere, "9", &module, "alice", "ex.com", "secret"]);
    finished.assert_complaint(1, &["--plot", &nowhere]);
    assert_eq!(station.server().requests().len(), asked, "asked in vain");
}

#[test]
fn mistakes_in_a_file_of_credentials_are_named() {
    let folder = Folder::new();
    let long = format!("alice\tex.com\t{}\n", "hunter2".repeat(80));
    for (client, text, place) in [
        ("cvm-benchclient", "alice\tex.com\tsecret\n# more\nalice ex.com hunter2\n", ":3: expected account"),
        ("cvm-benchclient", "\tex.com\thunter2\n", ":1: expected account"),
        ("cvm-benchclient", &format!("\n{long}"), ":2: "),
        ("cvm-v1benchclient", &long, ":1: "),
        ("cvm-v1benchclient", "alice\tex.com\n", ":1: expected account"),
        ("cvm-benchclient", "# hunter2\n", ": has no line"),
    ] {
        let file = folder.write("credentials", text);
        let finished = ask(client, &["--credentials", &file, "5", "cvm-local:/nowhere"]);
        finished.assert_complaint(1, &[client, &format!("{file}{place}")]);
        assert!(!String::from_utf8_lossy(&finished.stderr).contains("hunter2"), "{finished:?}");
        assert_eq!(finished.stdout, b"", "{finished:?}");
    }
    let missing = folder.path("missing");
    bench(&["--credentials", &missing, "5", "cvm-local:/nowhere"]).assert_complaint(1, &[&missing]);
    // The arguments that it takes the place of.
    let file = folder.write("credentials", "alice\tex.com\tsecret\n");
    bench(&["--credentials", &file, "5", "cvm-local:/nowhere", "alice", "", "x"]).assert_complaint(1, &["usage:"]);
}

#[test]
fn wrong_options_are_one_line() {
    for client in CLIENTS {
        for (options, named) in [
            (&["--concurrency", "0"] as &[_], "--concurrency is \"0\""),
            (&["--concurrency=many"], "--concurrency is \"many\""),
            (&["--duration", "5 minutes"], "--duration is \"5 minutes\""),
            (&["--duration=0"], "--duration is \"0\""),
            (&["--rate", "-1"], "--rate is \"-1\""),
            (&["--rate", "0.5"], "--rate is \"0.5\""),
            (&["--json=no"], "--json=no"),
            (&["--fast"], "\"--fast\" is no option"),
        ] {
            let arguments = [options, &["5", "cvm-local:/nowhere", "alice", "", "secret"]].concat();
            let finished = ask(client, &arguments);
            finished.assert_complaint(1, &[client, named]);
            assert_eq!(finished.stdout, b"", "{finished:?}");
        }
        ask(client, &["--rate"]).assert_complaint(1, &["\"--rate\" lacks its value"]);
        ask(client, &["--json"]).assert_complaint(1, &["usage:"]);
        ask(client, &["--json", "x", "cvm-local:/nowhere", "alice", "", "secret"]).assert_complaint(1, &["COUNT"]);
    }
}

#[test]
fn a_terminal_shows_progress_if_there_are_options() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let script = tool("script", "bsdutils");
    let on_a_terminal = |arguments: &str| {
        let client = quoted(&Make::Ours.program("cvm-benchclient"));
        let line = format!("{client} {arguments} {} alice ex.com secret", station.module(Mode::Local));
        let script = script.to_str().expect("UTF-8");
        let typescript = ["-qec", &line, "/dev/null"];
        let finished = run(&mut command(script, &typescript, &[("TERM", "xterm"), ("SHELL", "/bin/sh")]), b"");
        assert_eq!(finished.end, End::Exit(0), "{finished:?}");
        finished.output()
    };
    let shown = on_a_terminal("--duration 700ms");
    assert!(shown.contains("% ") && shown.contains(", 0 failed"), "{shown:?}");
    assert!(shown.contains("code 0"), "{shown:?}");
    assert_eq!(on_a_terminal("50"), "");
}
