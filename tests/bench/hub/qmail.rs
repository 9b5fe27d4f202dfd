//! `qmail`: cvm-qmail as a busy server of a host with many users and virtual domains, beside the echo and the original.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN};
use cvm_tests::server::free_port;

use super::{HEADER, Loaded, REQUESTS, ROUNDS, WINDOW, echo};
use crate::Options;
use crate::accounts::{TAG, VALID};
use crate::measure::{Candidate, Core, Pinned, Samples};
use crate::output::{Grid, print, ratio};
use crate::processes::{Served, ours};
use crate::random::Random;

const USERS: usize = 100_000;
const DOMAINS: usize = 1000;

/// Whose decisions are taken.
const STRICT: &[(&str, &str)] = &[("CVM_QMAIL_STRICT", "1")];

/// Prints the table.
pub(crate) fn run(_: Options) {
    let folder = host();
    let mut random = Random::seeded(7);
    let users: Vec<_> = (0..REQUESTS).map(|_| user(random.below(USERS))).collect();
    let virtuals: Vec<_> = (0..REQUESTS).map(|_| virtual_user(random.below(DOMAINS), random.below(50))).collect();
    let mut all = vec![Loaded::new("echo".to_owned(), echo(), users.clone(), None)];
    for (title, requests, rules) in [
        ("users", &users, &[][..]),
        ("users, strict", &users, STRICT),
        ("virtual domains", &virtuals, &[]),
        ("virtual domains, strict", &virtuals, STRICT),
    ] {
        let programs = [Some(("ours", ours("cvm-qmail"))), original().filter(|_| rules.is_empty())];
        for (whose, program) in programs.into_iter().flatten() {
            let server = served(&program, &folder, rules);
            all.push(Loaded::new(format!("{whose}, {title}"), server, requests.clone(), Some(VALID)));
        }
    }
    let _pinned = Pinned::to(Core::Last);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for loaded in &mut all {
        candidates.push(Box::new(move || {
            let window = if loaded.title.starts_with("original") { 32 } else { WINDOW };
            loaded.round(window)
        }));
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    print(format_args!("UDP, recipients, {USERS} users in the table, {DOMAINS} virtual domains, log in a file"));
    let mut grid = Grid::new(&HEADER);
    for (index, loaded) in all.iter_mut().enumerate() {
        loaded.row(&mut grid, samples.ratio(index, 0));
    }
    grid.print();
    let mut grid = Grid::new(&["answers to those of the original", "ours"]);
    for (title, ours, original) in [("users", 1, 2), ("virtual domains", 4, 5)] {
        if all.get(original).is_some_and(|loaded| loaded.title.starts_with("original")) {
            grid.row(title, [ratio(samples.ratio(ours, original))]);
        }
    }
    grid.print();
}

fn original() -> Option<(&'static str, String)> {
    let path = "/usr/bin/cvm-qmail";
    Path::new(path).is_file().then(|| ("original", path.to_owned()))
}

fn served(program: &str, folder: &Folder, rules: &[(&str, &str)]) -> Served {
    let port = free_port();
    let root = folder.path("");
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", ""), ("CVM_THREADS", "1")];
    Served::start_program(program, &[&format!("cvm-udp:127.0.0.1:{port}")], port, &[&settings, rules].concat())
}

fn user(number: usize) -> Vec<u8> {
    question(&format!("user{number}"), "local.example")
}

fn virtual_user(domain: usize, number: usize) -> Vec<u8> {
    question(&format!("name{number}"), &format!("virtual{domain}.example"))
}

fn question(user: &str, domain: &str) -> Vec<u8> {
    packet::v2(2, TAG, &[(ACCOUNT, user.as_bytes()), (DOMAIN, domain.as_bytes())])
}

/// Makes control files, the table, and a home for each virtual domain, where its users have a default.
fn host() -> Folder {
    let folder = Folder::new();
    for name in ["control", "users"] {
        std::fs::create_dir(folder.path(name)).expect("a folder");
    }
    folder.write("control/me", "host.example\n");
    folder.write("control/locals", "local.example\n");
    let mut domains = String::new();
    let mut records = b"+0,1:->-\n".to_vec();
    for number in 0..USERS {
        // Homes are shared: most users need none for an answer.
        let home = folder.path(&format!("home{}", number % DOMAINS));
        let mut assign = |key: &str, dash: &str| {
            let data = format!("user{number}\x001234\x002345\0{home}\0{dash}\0");
            records.extend_from_slice(format!("+{},{}:{key}->{data}\n", key.len(), data.len()).as_bytes());
        };
        assign(&format!("!user{number}\0"), "");
        if number < DOMAINS {
            assign(&format!("!user{number}-"), "-");
            domains += &format!("virtual{number}.example:user{number}\n");
            std::fs::create_dir(&home).expect("a folder");
            folder.write(&format!("home{number}/.qmail-default"), "|deliver\n");
        }
    }
    folder.write("control/virtualdomains", domains);
    records.push(b'\n');
    let mut maker = Command::new("cdb").arg("-c").arg(folder.path("users/cdb")).stdin(Stdio::piped()).spawn();
    let maker = maker.as_mut().expect("tinycdb is installed");
    maker.stdin.take().expect("a pipe").write_all(&records).expect("it reads");
    assert!(maker.wait().expect("it ends").success());
    folder
}
