//! Databases that go away, are late, or are replaced: temporary failures meanwhile, and the first request after it is
//! answered.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::database::{Database, Kind};
use cvm_tests::process::{LIMIT, eventually};
use rustix::process::Signal;

use super::{Asked, ROWS, database, table};

/// The signals that end a server in order, and at once with all of its processes.
fn signals(kind: Kind) -> [Signal; 2] {
    match kind {
        Kind::Postgres => [Signal::INT, Signal::QUIT],
        Kind::Sqlite | Kind::Mysql => [Signal::TERM, Signal::KILL],
    }
}

#[test]
fn a_server_that_was_down_is_asked_again_by_the_first_request() {
    for kind in Kind::SERVERS {
        let mut database = database(kind, "integer");
        let asked = Asked::start(&database, &[]);
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
        for signal in signals(kind) {
            database.end(signal);
            for _ in 0..3 {
                assert_eq!(asked.code("alice", "secret"), 4, "{kind:?}");
                assert_eq!(asked.code("alice", "wrong"), 4, "{kind:?}");
            }
            database.resume();
            assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
            assert_eq!(asked.code("alice", "wrong"), 100, "{kind:?}");
            // Nobody asks meanwhile, and the connections are lost without notice.
            database.end(signal);
            database.resume();
            assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
        }
        let errors = asked.errors();
        assert_eq!(errors.lines().count(), 4, "{errors}");
        assert_eq!(errors.lines().filter(|line| line.ends_with("the database answers again")).count(), 2, "{errors}");
    }
}

#[test]
fn a_server_that_is_down_at_start_is_no_reason_to_stop() {
    for kind in Kind::SERVERS {
        let mut database = database(kind, "integer");
        database.end(signals(kind)[0]);
        let asked = Asked::start(&database, &[("POSTQ", "update accounts set seen=seen+1 where username=$account")]);
        assert_eq!(asked.code("alice", "secret"), 4, "{kind:?}");
        database.resume();
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
        assert_eq!(database.sql("select seen from accounts where username='alice';"), "1", "{kind:?}");
    }
}

/// Keeps everybody out of the table for three seconds.
const fn lock(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "begin exclusive;\nselect 'locked';\n.shell sleep 3\ncommit;\n",
        Kind::Postgres => "begin; lock table accounts in access exclusive mode; select pg_sleep(3); commit;",
        Kind::Mysql => "lock tables accounts write; select sleep(3); unlock tables;",
    }
}

#[test]
fn a_database_that_is_late_is_a_temporary_failure() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        let asked = Asked::start(&database, &[("TIMEOUT", "300")]);
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
        thread::scope(|scope| {
            let locked = scope.spawn(|| database.sql(lock(kind)));
            let start = Instant::now();
            let mut late = 0;
            while !locked.is_finished() {
                let asked_at = Instant::now();
                match asked.code("alice", "secret") {
                    0 => thread::sleep(Duration::from_millis(10)),
                    4 => late += 1,
                    other => panic!("{kind:?}: {other}"),
                }
                assert!(asked_at.elapsed() < Duration::from_millis(2500), "{kind:?}");
                assert!(start.elapsed() < LIMIT, "{kind:?}");
            }
            assert!(late > 2, "{kind:?}: {late}");
        });
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?} {}", asked.errors());
    }
}

#[test]
fn a_server_out_of_connections_is_a_temporary_failure() {
    for (kind, options, connections, sleep) in [
        (
            Kind::Postgres,
            &["-c", "max_connections=5", "-c", "superuser_reserved_connections=0", "-c", "max_wal_senders=0"][..],
            5,
            "select pg_sleep(2)",
        ),
        (Kind::Mysql, &["--max-connections=10"], 10, "select sleep(2)"),
    ] {
        let database = Database::start(kind, options);
        database.sql(&[&table("integer"), ROWS].concat());
        let asked = Asked::start(&database, &[]);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // Others may be let in first, for a moment.
            for _ in 0..connections + 2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        database.attempt(sleep);
                    }
                });
            }
            let is_full = eventually(LIMIT, || asked_anew(&database) == 4);
            is_over.store(true, Ordering::Relaxed);
            assert!(is_full, "{kind:?}");
        });
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?} {}", asked.errors());
    }
}

/// Asks with a connection that has yet to be made.
fn asked_anew(database: &Database) -> u8 {
    Asked::start(database, &[]).code("alice", "secret")
}

#[test]
fn a_file_of_sqlite_may_be_replaced_deleted_and_broken() {
    let (first, second) = (database(Kind::Sqlite, "integer"), database(Kind::Sqlite, "integer"));
    second.sql("update accounts set password='other';");
    let asked = Asked::start(&first, &[]);
    let codes = || [asked.code("alice", "secret"), asked.code("alice", "other")];
    assert_eq!(codes(), [0, 100]);
    fs::rename(first.path("file"), first.path("away")).expect("our own file");
    assert_eq!(codes(), [4, 4]);
    fs::rename(second.path("file"), first.path("file")).expect("our own file");
    assert_eq!(codes(), [100, 0]);
    fs::write(first.path("new"), "no database at all, ".repeat(1000)).expect("our own file");
    fs::rename(first.path("new"), first.path("file")).expect("our own file");
    assert_eq!(codes(), [4, 4]);
    fs::rename(first.path("away"), first.path("file")).expect("our own file");
    assert_eq!(codes(), [0, 100]);
    first.sql("update accounts set password='other';");
    assert_eq!(codes(), [100, 0]);
}

#[test]
fn a_table_may_change_its_types_under_use() {
    for (kind, change) in [
        (Kind::Postgres, "alter table accounts alter column userid type bigint;"),
        (Kind::Mysql, "alter table accounts modify userid varchar(20);"),
        (Kind::Sqlite, "alter table accounts add column more integer;"),
    ] {
        let database = database(kind, "integer");
        let asked = Asked::start(&database, &[]);
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?}");
        database.sql(change);
        assert_eq!(asked.code("alice", "secret"), 0, "{kind:?} {}", asked.errors());
        assert_eq!(asked.ask(b"alice", b"ex.com", b"secret"), asked.ask(b"alice", b"ex.com", b"secret"));
    }
}
