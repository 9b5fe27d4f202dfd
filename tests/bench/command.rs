//! `command`: one login in command mode, beside the original and programs that do nothing.

use std::process::Command;

use cvm_tests::folder::Folder;
use cvm_tests::programs::Make;

use crate::Options;
use crate::accounts::{self, VALID};
use crate::measure::{Candidate, Core, Pinned, Samples};
use crate::once::Program;
use crate::output::{Grid, microseconds, not_available, print, ratio};
use crate::processes;
use crate::statistics::median;

/// Sizes of tables, rounds, and how many logins are one measurement.
const SIZES: &[(usize, usize, usize)] = &[(10, 60, 15), (1_000_000, 9, 1)];

/// From here on a login has more than one thread.
const LARGE: usize = 1_000_000;

/// Does nothing.
pub(crate) const EMPTY: &str = "int main(void) { return 0; }\n";

/// Reads the whole table and does nothing with it.
const READS: &str = "#include <fcntl.h>\n#include <stdlib.h>\n#include <unistd.h>\nstatic char buffer[131072];\n\
    int main(void) { int table = open(getenv(\"CVM_PWFILE_PATH\"), O_RDONLY);\n\
    while (read(table, buffer, sizeof buffer) > 0) {} return 0; }\n";

/// Where the programs that are compared with are in the list of candidates.
const ORIGINAL: usize = 0;
const EMPTY_STATIC: usize = 1;

/// A program to measure; one that does nothing neither answers nor succeeds, it just ends.
struct Contender {
    title: &'static str,
    path: String,
    answers: bool,
}

/// Prints what one login costs.
pub(crate) fn run(_: Options) {
    let folder = Folder::new();
    let contenders = contenders(&folder);
    for &(accounts, rounds, logins) in SIZES {
        let table = folder.write("passwd", accounts::table(accounts, accounts::password));
        // A large file is shared between the cores; how much that saves shows beside a program that only reads it.
        let _pinned = (accounts < LARGE).then(|| Pinned::to(Core::First));
        let samples = {
            let mut candidates: Vec<_> =
                contenders.iter().map(|contender| candidate(contender, &table, accounts, logins)).collect();
            Samples::in_turn(rounds, &mut candidates)
        };
        report(&format!("{accounts} accounts"), &contenders, &samples);
    }
    if contenders.iter().all(|contender| contender.title != STATIC) {
        print("The static build is missing: cargo build --release --target x86_64-unknown-linux-musl");
    }
}

const STATIC: &str = "ours, static";

fn contenders(folder: &Folder) -> Vec<Contender> {
    let c = folder.write("empty.c", EMPTY);
    let reads = folder.write("reads.c", READS);
    let rust = folder.write("empty.rs", "fn main() {}\n");
    let empty = |title, name: &str, compiler: &str, arguments: &[&str]| Contender {
        title,
        path: compiled(folder, name, compiler, arguments),
        answers: false,
    };
    let answering = |title, path| Contender { title, path, answers: true };
    let mut contenders = vec![
        answering("the original", Make::Original.program("cvm-pwfile")),
        empty("empty C, static", "empty-static", "cc", &["-O2", "-static", &c]),
        empty("empty C, dynamic", "empty-dynamic", "cc", &["-O2", &c]),
        empty("C that reads the table, static", "reads", "cc", &["-O2", "-static", &reads]),
        empty("empty Rust, dynamic", "empty-rust", "rustc", &["-Copt-level=3", &rust]),
        answering("ours", processes::ours("cvm-pwfile")),
    ];
    contenders.extend(processes::ours_static("cvm-pwfile").map(|path| answering(STATIC, path)));
    contenders
}

/// Compiles a program, and returns its path.
pub(crate) fn compiled(folder: &Folder, name: &str, compiler: &str, arguments: &[&str]) -> String {
    let path = folder.path(name);
    let status = Command::new(compiler).args(arguments).args(["-o", &path]).status();
    assert!(status.is_ok_and(|status| status.success()), "{compiler} cannot compile {name}");
    path
}

/// The median of so many logins.
fn candidate<'a>(contender: &'a Contender, table: &str, accounts: usize, logins: usize) -> Candidate<'a> {
    let mut program = Program::new(&contender.path, &[("CVM_PWFILE_PATH", table)]);
    // The last account, so that the original has to read the whole table.
    let last = accounts - 1;
    let request = accounts::login(&accounts::known(last), &accounts::password(last));
    Box::new(move || {
        let check = |output: &[u8], status| {
            assert_eq!(status, Some(0), "{}", contender.title);
            if contender.answers {
                accounts::check(output, VALID);
            }
        };
        let times: Vec<f64> = (0..logins).map(|_| program.run(&request, check)).collect();
        median(&times)
    })
}

fn report(title: &str, contenders: &[Contender], samples: &Samples) {
    let mut grid = Grid::new(&[title, "one login", "to the original", "to empty static C"]);
    for (index, contender) in contenders.iter().enumerate() {
        let to_original = if contender.answers { ratio(samples.ratio(index, ORIGINAL)) } else { not_available() };
        let cells = [microseconds(samples.median(index)), to_original, ratio(samples.ratio(index, EMPTY_STATIC))];
        grid.row(contender.title, cells);
    }
    grid.print();
}
