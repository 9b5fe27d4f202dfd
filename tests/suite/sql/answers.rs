//! What the module makes of rows, columns and statements.

use cvm_tests::database::{Database, Kind};
use cvm_tests::findings::Findings;
use cvm_tests::packet::{self, ACCOUNT, CHALLENGE, DOMAIN, Items, PASSWORD, RESPONSE, RESPONSE_TYPE};
use cvm_tests::process::{command, run};
use cvm_tests::programs::Make;

use super::{Asked, COLUMNS, CRYPT, database};

const ALICE: Items<'static> = &[
    (1, b"alice"),
    (2, b"1001"),
    (3, b"1002"),
    (4, b"Alice Rig"),
    (5, b"/home/alice"),
    (6, b"/bin/sh"),
    (7, b"users"),
    (9, b"sysal"),
    (10, b"/sys/al"),
    (14, b"ex.com"),
    (15, b"./Maildir/"),
];

fn rows_and_columns(kind: Kind, ids: &str) {
    let database = database(kind, ids);
    let asked = Asked::start(&database, &[]);
    let mut findings = Findings::new();
    let mut expect = |account: &str, domain: &str, password: &str, code: u8, facts: Items<'_>| {
        let answer = asked.ask(account.as_bytes(), domain.as_bytes(), password.as_bytes());
        findings.answer(
            format_args!("{kind:?} {ids} {account} {domain} {password}"),
            answer,
            &packet::v2(code, b"T", facts),
        );
    };
    expect("alice", "ex.com", "secret", 0, ALICE);
    expect(
        "bob",
        "ex.com",
        "secret",
        0,
        &[(1, b"bob"), (2, b"1003"), (3, b"1004"), (5, b"/home/bob"), (14, b"ex.com")],
    );
    let empties: Items<'_> = &[(1, b"empties"), (2, b"1"), (3, b"1"), (4, b""), (5, b""), (6, b""), (14, b"ex.com")];
    expect("empties", "ex.com", "secret", 0, empties);
    expect("nodomain", "", "secret", 0, &[(1, b"nodomain"), (2, b"14"), (3, b"1"), (5, b"/nd"), (14, b"")]);
    for (account, domain, password) in [
        ("alice", "ex.com", "wrong"),
        ("alice", "other.com", "secret"),
        ("mallory", "ex.com", "secret"),
        ("dup", "ex.com", "secret"),
        ("nullpw", "ex.com", "x"),
        ("emptypw", "ex.com", "x"),
        ("nulluid", "ex.com", "wrong"),
    ] {
        expect(account, domain, password, 100, &[]);
    }
    for account in ["nulluid", "nulldir"] {
        expect(account, "ex.com", "secret", 4, &[]);
    }
    expect("alice", "ex.com", "", 7, &[]);
    findings.assert_none();
}

#[test]
fn rows_and_columns_of_sqlite() {
    for ids in ["text", "integer", ""] {
        rows_and_columns(Kind::Sqlite, ids);
    }
}

#[test]
fn rows_and_columns_of_postgresql() {
    for ids in ["text", "integer", "bigint", "numeric", "oid"] {
        rows_and_columns(Kind::Postgres, ids);
    }
}

#[test]
fn rows_and_columns_of_mariadb() {
    for ids in ["varchar(20)", "integer", "bigint unsigned", "decimal(20)"] {
        rows_and_columns(Kind::Mysql, ids);
    }
}

/// A number column is compared with names: those that are no numbers are nobody's, and no outage.
fn names_against_a_number_column(kind: Kind) {
    let database = database(kind, "integer");
    database
        .sql("insert into accounts (username,password,userid,groupid,directory) values ('root','secret',0,0,'/root');");
    names_are_compared_as_numbers(kind, &database);
    // A database that finds the row by an index may compare otherwise.
    database.sql("create index ids on accounts (userid);");
    names_are_compared_as_numbers(kind, &database);
}

fn names_are_compared_as_numbers(kind: Kind, database: &Database) {
    let query = format!("select {COLUMNS} from accounts where userid=$account");
    let asked = Asked::start(database, &[("QUERY", &query)]);
    assert_eq!(asked.code("1001", "secret"), 0, "{}", asked.errors());
    for name in
        ["alice", "", "1001x", "0x", "x", "1001'", "99999999999999999999", "-", "1e", "é", "1001\u{a0}", "\u{661}"]
    {
        let code = if name.is_empty() { 7 } else { 100 };
        assert_eq!(asked.code(name, "secret"), code, "{kind:?} {name:?}: {}", asked.errors());
    }
    assert_eq!((asked.code("1001", "secret"), asked.errors()), (0, String::new()));
}

#[test]
fn names_are_no_numbers_to_sqlite() {
    names_against_a_number_column(Kind::Sqlite);
}

#[test]
fn names_are_no_numbers_to_postgresql() {
    names_against_a_number_column(Kind::Postgres);
}

#[test]
fn names_are_no_numbers_to_mariadb() {
    names_against_a_number_column(Kind::Mysql);
}

#[test]
fn columns_may_be_more_or_fewer_but_five_must_be_there() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        for (columns, code) in [
            ("password,username,userid,groupid", 3),
            ("password,username,userid,groupid,directory", 0),
            (&format!("{COLUMNS},seen,seen") as &str, 0),
            ("password,username,userid,groupid,nonsense", 4),
        ] {
            let query = format!("select {columns} from accounts where username=$account");
            let asked = Asked::start(&database, &[("QUERY", &query)]);
            assert_eq!(asked.code("bob", "secret"), code, "{kind:?} {columns}: {}", asked.errors());
            let unknown = if code == 0 { 100 } else { code };
            assert_eq!(asked.code("mallory", "secret"), unknown, "{kind:?} {columns}");
            assert_eq!(asked.errors().lines().count(), usize::from(code != 0), "{}", asked.errors());
        }
    }
}

#[test]
fn stored_passwords_are_compared_as_the_setting_says() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        database.sql(&format!("update accounts set password='{CRYPT}' where username='bob'; update accounts set password='{{PLAIN}}secret' where username='empties';"));
        for (pwcmp, alice, bob, empties) in [("plain", 0, 100, 100), ("crypt", 100, 0, 0), ("auto", 100, 0, 0)] {
            let asked = Asked::start(&database, &[("PWCMP", pwcmp)]);
            let codes = ["alice", "bob", "empties"].map(|account| asked.code(account, "secret"));
            assert_eq!(codes, [alice, bob, empties], "{kind:?} {pwcmp}");
            assert_eq!(asked.code("bob", CRYPT), if pwcmp == "plain" { 0 } else { 100 }, "{kind:?} {pwcmp}");
        }
    }
}

#[test]
fn plain_text_answers_challenges() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        let asked = Asked::start(&database, &[]);
        // The MD5 of the challenge and the password.
        let response = run(&mut command("/usr/bin/md5sum", &[], &[]), b"<1@x>secret").output();
        let items: Items<'_> = &[
            (ACCOUNT, b"bob"),
            (DOMAIN, b"ex.com"),
            (CHALLENGE, b"<1@x>"),
            (RESPONSE, &response.as_bytes()[..32]),
            (RESPONSE_TYPE, b"APOP"),
        ];
        assert_eq!(asked.contact.ask(&packet::v2(2, b"T", items)).expect("an answer")[0], 0, "{kind:?}");
    }
}

#[test]
fn what_follows_a_success_is_executed_once_and_may_not_fail() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        let seen = || database.sql("select seen from accounts where username='alice';");
        let count = "update accounts set seen=seen+1, realname=$X where username=$account and domain=$domain";
        let asked = Asked::start(&database, &[("POSTQ", count), ("X", "it's \\ $account")]);
        assert_eq!((asked.code("alice", "wrong"), seen()), (100, "0".into()), "{kind:?}");
        assert_eq!((asked.code("alice", "secret"), seen()), (0, "1".into()), "{kind:?} {}", asked.errors());
        assert_eq!(database.sql("select count(*) from accounts where realname like 'it''s %$account';"), "1");
        let asked = Asked::start(&database, &[("POSTQ", count), ("X", "x"), ("CVM_LOOKUP_SECRET", "")]);
        assert_eq!((asked.code("alice", "wrong"), seen()), (0, "2".into()), "{kind:?}");
        let asked = Asked::start(&database, &[("POSTQ", "update nothing set seen=1 where username=$account")]);
        assert_eq!((asked.code("alice", "secret"), asked.code("alice", "wrong")), (4, 100), "{kind:?}");
        assert_eq!(asked.errors().lines().count(), 1, "{}", asked.errors());
    }
}

#[test]
fn a_command_asks_too_and_variables_are_values() {
    for kind in Kind::ALL {
        let database = database(kind, "integer");
        let query = "select password,username,userid,groupid,directory,$X,'a$$b' from accounts where username=$account and domain=${domain}";
        let settings =
            [database.settings(), vec![(kind.setting("QUERY"), query.into()), ("X".into(), "it's".into())]].concat();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = packet::v2(2, b"", &[(ACCOUNT, b"bob"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret")]);
        let finished = run(&mut command(&Make::Ours.program(kind.module()), &[], &settings), &request);
        let facts: Items<'_> = &[(1, b"bob"), (2, b"1003"), (3, b"1004"), (4, b"it's"), (5, b"/home/bob"), (6, b"a$b")];
        assert_eq!(finished.stdout, packet::v2(0, b"", facts), "{kind:?} {finished:?}");
    }
}

#[test]
fn a_variable_that_nothing_can_be_compared_with_is_told() {
    for kind in Kind::SERVERS {
        let database = database(kind, "integer");
        let query = format!("select {COLUMNS} from accounts where username=$account and groupid=$GROUP");
        let with = |group| Asked::start(&database, &[("QUERY", &query), ("GROUP", group)]);
        let (right, wrong) = (with("1002"), with("mail"));
        assert_eq!(["alice", "alice"].map(|name| right.code(name, "secret")), [0, 0], "{}", right.errors());
        assert_eq!(["alice", "bob"].map(|name| wrong.code(name, "secret")), [100, 100], "{}", wrong.errors());
        assert_eq!(right.errors(), "");
        assert_eq!(wrong.errors().matches("cannot compare a value").count(), 1, "{kind:?} {}", wrong.errors());
    }
}

#[test]
fn mistakes_stop_the_program_at_start() {
    for kind in Kind::ALL {
        let (query, post, timeout) = (kind.setting("QUERY"), kind.setting("POSTQ"), kind.setting("TIMEOUT"));
        let mut cases = vec![
            (query.as_str(), "select '$account'", "character 9"),
            (&query, "select $NOSUCHVARIABLE", "character 8"),
            (&query, "select ${account", "character 8"),
            (&post, "x; y", "character 4"),
            (&timeout, "0", "expected milliseconds"),
        ];
        match kind {
            Kind::Sqlite => cases.push(("CVM_SQLITE_DB", "", "expected the path")),
            Kind::Postgres => cases.extend([
                ("PGSERVICE", "x", "not supported"),
                ("PGSSLMODE", "x", "expected disable"),
                ("PGPORT", "0", "expected ports"),
                ("PGTARGETSESSIONATTRS", "x", "expected any"),
            ]),
            Kind::Mysql => cases.extend([
                ("CVM_MYSQL_DB", "", "expected the name"),
                ("CVM_MYSQL_DEFAULT_FILE", "/nonexistent", "/nonexistent"),
                ("CVM_MYSQL_SSL_MODE", "x", "expected disable"),
            ]),
        }
        for (name, value, what) in cases {
            let known = [("CVM_SQLITE_DB", "/dev/null"), ("CVM_MYSQL_DB", "cvm"), (name, value)];
            let mut command = command(&Make::Ours.program(kind.module()), &["cvm-local:/nonexistent/s"], &known);
            run(&mut command, b"").assert_complaint(6, &[kind.module(), name, what]);
        }
    }
}

#[test]
fn postgresql_has_more_types_of_text() {
    let database = database(Kind::Postgres, "integer");
    database.sql(
        "create domain home as varchar(100); create type login as enum ('/bin/sh','/bin/false');
         create table more (password bytea, username name, userid smallint, groupid double precision, directory home, realname char(6), shell login);
         insert into more values ('secret','alice',7,8,'/h','Alice','/bin/sh');",
    );
    let asked = Asked::start(&database, &[("QUERY", "select * from more where username=$account and shell=$domain")]);
    let facts: Items<'_> = &[(1, b"alice"), (2, b"7"), (3, b"8"), (4, b"Alice "), (5, b"/h"), (6, b"/bin/sh")];
    assert_eq!(asked.ask(b"alice", b"/bin/sh", b"secret"), Ok(packet::v2(0, b"T", facts)), "{}", asked.errors());
    assert_eq!(asked.ask(b"alice", b"no such shell", b"secret"), Ok(packet::v2(100, b"T", &[])));
    let asked = Asked::start(&database, &[("QUERY", "select now(),* from more where username=$account")]);
    assert_eq!(asked.code("alice", "secret"), 4);
    assert!(asked.errors().contains("the column now is of type timestamptz"), "{}", asked.errors());
}
