//! `login`: cvm-checkpassword that execs a module and then a program, beside the original's pair.

use cvm_tests::folder::Folder;
use cvm_tests::programs::Make;

use crate::Options;
use crate::command::{EMPTY, compiled};
use crate::measure::{Candidate, Core, Pinned, Samples};
use crate::once::Program;
use crate::output::{Grid, microseconds, not_available, print, ratio};
use crate::processes;
use crate::statistics::median;

/// Rounds, and how many logins are one measurement.
const ROUNDS: usize = 60;
const LOGINS: usize = 10;

/// What every caller of checkpassword does, and nothing else: opens descriptor 3 and runs a program.
const CALLER: &str = "#include <fcntl.h>\n#include <unistd.h>\nint main(int count, char **words) {\n\
    (void)count; int record = open(words[1], O_RDONLY); if (record != 3) { dup2(record, 3); close(record); }\n\
    execv(words[2], words + 2); return 111; }\n";

/// Prints what one login costs.
pub(crate) fn run(_: Options) {
    let folder = Folder::new();
    let source = folder.write("caller.c", CALLER);
    let caller = compiled(&folder, "caller", "cc", &["-O2", "-static", &source]);
    let source = folder.write("empty.c", EMPTY);
    let program = compiled(&folder, "program", "cc", &["-O2", "-static", &source]);
    let record = folder.write("record", "alice\0secret\0");
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let table = folder.write("passwd", format!("alice:secret:{uid}:{gid}:Alice:/:/bin/sh\n"));
    let pairs = pairs();
    let logins = pairs.iter().map(|(_, pair)| [&[record.as_str()], &words(pair)[..], &[&program]].concat());
    let _pinned = Pinned::to(Core::First);
    let mut candidates: Vec<_> = logins.map(|words| candidate(&caller, &words, &table)).collect();
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    report(&pairs, &samples);
}

/// Checkpassword and module: none, where the caller runs the program itself.
type Pair = Option<[String; 2]>;

/// Where the original's pair is in the list.
const ORIGINAL: usize = 1;

fn pairs() -> Vec<(&'static str, Pair)> {
    const NAMES: [&str; 2] = ["cvm-checkpassword", "cvm-pwfile"];
    let found = NAMES.map(processes::ours_static);
    let in_static = if let [Some(checkpassword), Some(module)] = found { Some([checkpassword, module]) } else { None };
    let mut pairs = vec![
        ("no password is checked", None),
        ("the original's pair", Some(NAMES.map(|name| Make::Original.program(name)))),
        ("our pair", Some(NAMES.map(processes::ours))),
    ];
    pairs.extend(in_static.map(|pair| ("our pair, static", Some(pair))));
    pairs
}

fn words(pair: &Pair) -> Vec<&str> {
    pair.iter().flatten().map(String::as_str).collect()
}

/// The median of so many logins.
fn candidate<'a>(caller: &str, words: &[&str], table: &str) -> Candidate<'a> {
    let mut login = Program::with_arguments(caller, words, &[("CVM_PWFILE_PATH", table)]);
    Box::new(move || {
        let check = |output: &[u8], status| assert_eq!((output, status), (&b""[..], Some(0)), "nobody is let in");
        let times: Vec<f64> = (0..LOGINS).map(|_| login.run(b"", check)).collect();
        median(&times)
    })
}

fn report(pairs: &[(&'static str, Pair)], samples: &Samples) {
    let mut grid = Grid::new(&["descriptor 3 to exec", "one login", "to the original's"]);
    for (index, (title, pair)) in pairs.iter().enumerate() {
        let to_original = if pair.is_some() { ratio(samples.ratio(index, ORIGINAL)) } else { not_available() };
        grid.row(*title, [microseconds(samples.median(index)), to_original]);
    }
    grid.print();
    print("Each line includes a static C program that opens descriptor 3, and another one that is run in the end.");
}
