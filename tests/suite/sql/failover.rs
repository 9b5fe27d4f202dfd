//! A primary and a streaming standby of PostgreSQL: what becomes of those who ask when the primary is killed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::database::{Database, Kind};
use cvm_tests::process::{LIMIT, eventually};
use rustix::process::Signal;

use super::{Asked, database};

/// What was answered, when, to questions with one right answer.
#[derive(Default)]
struct Counted {
    right: u32,
    wrong: u32,
    temporary: Vec<Instant>,
}

fn cluster() -> (Database, Database) {
    let primary = database(Kind::Postgres, "integer");
    let standby = Database::standby_of(&primary);
    assert!(eventually(LIMIT, || standby.sql("select count(*) from accounts") == "10"));
    (primary, standby)
}

fn hosts(primary: &Database, standby: &Database) -> String {
    format!("{},{}", primary.port(), standby.port())
}

#[test]
fn look_ups_go_on_at_the_standby_when_the_primary_is_killed_under_load() {
    let (mut primary, standby) = cluster();
    let ports = hosts(&primary, &standby);
    let asked = Asked::start(&primary, &[("PGHOST", "127.0.0.1,127.0.0.1"), ("PGPORT", &ports), ("TIMEOUT", "2000")]);
    let (counted, is_over) = (Mutex::new(Counted::default()), AtomicBool::new(false));
    let load = || {
        while !is_over.load(Ordering::Relaxed) {
            for (account, password, right) in
                [("alice", "secret", 0), ("alice", "wrong", 100), ("mallory", "secret", 100)]
            {
                let code = asked.code(account, password);
                let mut counted = counted.lock().expect("nobody has panicked");
                match code {
                    code if code == right => counted.right += 1,
                    4 => counted.temporary.push(Instant::now()),
                    _ => counted.wrong += 1,
                }
            }
        }
    };
    let killed = thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(load);
        }
        thread::sleep(Duration::from_secs(1));
        let killed = Instant::now();
        primary.end(Signal::KILL);
        thread::sleep(Duration::from_secs(3));
        is_over.store(true, Ordering::Relaxed);
        killed
    });
    let counted = counted.into_inner().expect("nobody has panicked");
    println!("{} right, {} wrong, {} temporary", counted.right, counted.wrong, counted.temporary.len());
    assert_eq!(counted.wrong, 0);
    assert!(counted.right > 200, "{}", counted.right);
    let late = counted.temporary.iter().filter(|at| at.duration_since(killed) > Duration::from_secs(2)).count();
    assert_eq!((late, counted.temporary.iter().filter(|at| **at < killed).count()), (0, 0));
    assert!(counted.temporary.len() <= 48, "{}", counted.temporary.len());
    assert_eq!(asked.code("alice", "secret"), 0, "{}", asked.errors());
}

#[test]
fn statements_that_write_wait_for_the_standby_to_be_promoted() {
    let (mut primary, standby) = cluster();
    let ports = hosts(&standby, &primary);
    let count = "update accounts set seen=seen+1 where username=$account";
    let settings = [
        ("PGHOST", "127.0.0.1,127.0.0.1"),
        ("PGPORT", ports.as_str()),
        ("POSTQ", count),
        ("PGTARGETSESSIONATTRS", "read-write"),
    ];
    let asked = Asked::start(&primary, &settings);
    assert_eq!(asked.code("alice", "secret"), 0, "{}", asked.errors());
    assert!(eventually(LIMIT, || standby.sql("select seen from accounts where username='alice'") == "1"));
    primary.end(Signal::KILL);
    assert_eq!(asked.code("alice", "secret"), 4);
    standby.sql("select pg_promote()");
    assert!(eventually(LIMIT, || asked.code("alice", "secret") == 0), "{}", asked.errors());
    assert_eq!(standby.sql("select seen from accounts where username='alice'"), "2");
}

#[test]
fn the_attributes_of_sessions_choose_the_server() {
    let (primary, standby) = cluster();
    let ports = hosts(&primary, &standby);
    // The server tells who it is.
    let query = "select password,username,userid,groupid,directory,case when pg_is_in_recovery() then 'standby' else 'primary' end \
                 from accounts where username=$account";
    for (target, served) in [
        ("any", "primary"),
        ("read-write", "primary"),
        ("primary", "primary"),
        ("read-only", "standby"),
        ("standby", "standby"),
        ("prefer-standby", "standby"),
    ] {
        let settings = [
            ("PGHOST", "127.0.0.1,127.0.0.1"),
            ("PGPORT", ports.as_str()),
            ("QUERY", query),
            ("PGTARGETSESSIONATTRS", target),
        ];
        let answer = Asked::start(&primary, &settings).ask(b"alice", b"", b"secret").expect("an answer");
        assert!(answer.windows(served.len()).any(|part| part == served.as_bytes()), "{target}");
    }
}
