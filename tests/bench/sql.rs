//! `sql`: the modules that ask databases, beside the original's, and cvm-sqlite beside cvm-pwfile.

use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use cvm_tests::database::{Database, Kind};
use cvm_tests::folder::Folder;
use cvm_tests::server::free_port;
use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::Options;
use crate::accounts::{self, VALID};
use crate::asker::Asker;
use crate::hub::load::{Outcome, Questions};
use crate::measure::{Candidate, Core, Pinned, Samples, go_on};
use crate::output::{Grid, microseconds, not_available, print, ratio};
use crate::processes::{Served, ours};
use crate::random::Random;

const ACCOUNTS: usize = 10_000;
const MANY: usize = 1_000_000;
const REQUESTS: usize = 300;
const ROUNDS: usize = 11;
const WINDOW: usize = 16;

const COLUMNS: &str = "username varchar(100), domain varchar(100), password varchar(100), userid integer, groupid integer, \
                       directory varchar(100), realname varchar(100), shell varchar(100), groupname varchar(100), \
                       sys_username varchar(100), sys_directory varchar(100), mailbox varchar(100), \
                       primary key (username, domain)";

const QUERY: &str = "SELECT password, username, userid, groupid, directory, realname, shell, groupname, domain, sys_username, \
                     sys_directory, mailbox FROM accounts WHERE username=$account AND domain=$domain";

/// What is measured.
#[derive(Clone, Copy)]
enum Way {
    /// One request at a time. Server, database and load have one core: where each of them is woken otherwise is luck,
    /// which makes the same program twice as fast or slow.
    OneAtATime,
    /// Several under way, on all cores.
    Several,
}

/// A load that sleeps leaves its core to the database.
type Load = fn(&Questions<'_>, usize, Duration) -> Outcome;

/// Starts a server for a sample, or returns the one that runs.
type Start<'a> = Box<dyn Fn(Way) -> Rc<Served> + 'a>;

/// Prints the tables.
pub(crate) fn run(_: Options) {
    for kind in Kind::SERVERS {
        servers(kind, "", "");
        // As over a network, or with a query that is no look-up by the primary key.
        let wait = if kind == Kind::Postgres { " AND pg_sleep(0.002) IS NOT NULL" } else { " AND sleep(0.002)=0" };
        servers(kind, ", which wait 2 ms", wait);
    }
    print("To reach: the original takes at least as long one at a time, and 3 times as long with 16 in flight.\n");
    files();
}

fn servers(kind: Kind, title: &str, wait: &str) {
    let database = filled(kind, ACCOUNTS);
    let original = Path::new("/usr/bin").join(kind.module());
    let original = original.is_file().then(|| original.to_str().expect("UTF-8").to_owned());
    let programs = [Some(("ours", ours(kind.module()))), original.map(|program| ("the original", program))];
    let database = &database;
    let servers = programs.into_iter().flatten().map(|(whose, program)| {
        let start: Start<'_> = Box::new(move |way| {
            place(database, way);
            Rc::new(served(&program, database, wait, way))
        });
        (whose, start)
    });
    compare(
        &format!("{}, {ACCOUNTS} accounts{title}", kind.module()),
        servers.collect(),
        ACCOUNTS,
        |asked, window, time| asked.with_window_asleep(window, time),
    );
}

fn files() {
    let folder = Folder::new();
    let table = folder.write("passwd", accounts::table(MANY, accounts::password));
    let database = filled(Kind::Sqlite, MANY);
    let pwfile = Rc::new(Served::start(&[("CVM_PWFILE_PATH", &table)]));
    let sqlite = Rc::new(served(&ours("cvm-sqlite"), &database, "", Way::OneAtATime));
    let servers: Vec<(_, Start<'_>)> = vec![
        ("cvm-pwfile", Box::new(move |_| Rc::clone(&pwfile))),
        ("cvm-sqlite", Box::new(move |_| Rc::clone(&sqlite))),
    ];
    compare(&format!("{MANY} accounts in a file"), servers, MANY, |asked, window, time| {
        asked.with_window(window, time)
    });
    print("To reach: cvm-sqlite takes at most 3 times as long as cvm-pwfile.\n");
}

/// Binds the threads of a database, and those it will have, to one core or all.
fn place(database: &Database, way: Way) {
    let _pinned = matches!(way, Way::OneAtATime).then(|| Pinned::to(Core::Last));
    let cores = sched_getaffinity(None).expect("our own cores");
    for process in database.processes() {
        for task in
            std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).into_iter().flatten().flatten()
        {
            let task = task.file_name().to_str().and_then(|task| Pid::from_raw(task.parse().ok()?));
            // One that has ended needs none.
            let _ = task.map(|task| sched_setaffinity(Some(task), &cores));
        }
    }
}

fn served(program: &str, database: &Database, more: &str, way: Way) -> Served {
    let port = free_port();
    let query = (database.kind().setting("QUERY"), [QUERY, more].concat());
    let settings: Vec<_> = database.settings().into_iter().chain([query]).collect();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let core = matches!(way, Way::OneAtATime).then_some(Core::First);
    Served::start_on(core, program, &[&format!("cvm-udp:127.0.0.1:{port}")], port, &settings)
}

fn filled(kind: Kind, count: usize) -> Database {
    let database = Database::start(kind, &[]);
    // As the manual page has it.
    let more = if kind == Kind::Sqlite { "without rowid" } else { "" };
    database.sql(&format!("create table accounts ({COLUMNS}) {more};"));
    let numbers: Vec<usize> = (0..count).collect();
    let mut statements = String::from("begin;");
    for numbers in numbers.chunks(1000) {
        go_on();
        statements += "insert into accounts (username,domain,password,userid,groupid,directory,realname,shell) values ";
        for (index, &number) in numbers.iter().enumerate() {
            let (comma, name, password) =
                (if index == 0 { "" } else { "," }, accounts::known(number), accounts::password(number));
            write!(
                statements,
                "{comma}('{name}','example.net','{password}',1000,1000,'/home/{name}','User Number {number}','/bin/sh')"
            )
            .expect("room in memory");
        }
        statements += ";\n";
    }
    database.sql(&(statements + "commit;"));
    if kind == Kind::Postgres {
        database.sql("vacuum analyze accounts;");
    }
    database
}

/// Measures the seconds that a request takes, and prints how many times the first server's the others take.
fn compare(title: &str, servers: Vec<(&str, Start<'_>)>, count: usize, load: Load) {
    let requests = accounts::hits(&mut Random::seeded(11), 20_000, count);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (_, start) in &servers {
        let mut turns = requests.chunks(REQUESTS).cycle();
        candidates.push(Box::new(move || {
            let _pinned = Pinned::to(Core::Last);
            let server = start(Way::OneAtATime);
            let mut asker = Asker::of(server.address());
            let mut ask = || {
                let requests = turns.next().expect("they begin again");
                requests.iter().map(|request| asker.timed(request, VALID)).sum::<f64>() / requests.len() as f64
            };
            // Connections are made, and a server gets accustomed.
            ask();
            ask()
        }));
        let requests = &requests;
        candidates.push(Box::new(move || {
            let server = start(Way::Several);
            let _pinned = Pinned::to(Core::Last);
            let questions = Questions { server: server.address(), requests, code: Some(VALID), may_refuse: false };
            load(&questions, WINDOW, Duration::from_millis(100));
            1.0 / load(&questions, WINDOW, Duration::from_millis(500)).rate
        }));
    }
    let samples = Samples::in_turn(ROUNDS, &mut candidates);
    drop(candidates);
    let mut grid = Grid::new(&[title, "one at a time", "to the first", "16 in flight", "to the first"]);
    for (index, (whose, _)) in servers.iter().enumerate() {
        let cells = [0, 1].map(|way| {
            let to_first = if index == 0 { not_available() } else { ratio(samples.ratio(2 * index + way, way)) };
            [microseconds(samples.median(2 * index + way)), to_first]
        });
        grid.row(whose, cells.concat());
    }
    grid.print();
}
