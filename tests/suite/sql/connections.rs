//! Ways to connect: TLS, passwords, files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use cvm_tests::database::{Database, Kind};
use cvm_tests::folder::Folder;
use cvm_tests::process::{LIMIT, command, eventually, run};
use cvm_tests::programs::Make;
use rustix::process::Signal;

use super::{Asked, ROWS, database, table};

fn code(database: &Database, settings: &[(&str, &str)]) -> u8 {
    Asked::start(database, settings).code("alice", "secret")
}

#[test]
fn postgresql_is_asked_over_tls_as_the_mode_says() {
    let database = database(Kind::Postgres, "integer");
    database.sql("create role mail login password 'se:same'; grant select on accounts to mail;");
    database.certify("DNS:localhost");
    database.configure("pg_hba.conf", "local all cvm trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
    let [key, certificate, ca] = ["server.key", "server.crt", "ca.crt"].map(|name| database.path(name));
    database
        .configure("postgresql.auto.conf", &format!("ssl=on\nssl_key_file='{key}'\nssl_cert_file='{certificate}'\n"));
    let other = Database::start(Kind::Sqlite, &[]);
    other.certify("DNS:localhost");
    let other_ca = other.path("ca.crt");
    let with = |more: &[(&str, &str)]| {
        let settings = [&[("PGHOST", "127.0.0.1"), ("PGUSER", "mail"), ("PGPASSWORD", "se:same")], more].concat();
        code(&database, &settings)
    };
    let by_name = [("PGHOST", "localhost"), ("PGHOSTADDR", "127.0.0.1")];
    assert_eq!(with(&[]), 0);
    assert_eq!(with(&[("PGSSLMODE", "disable")]), 4);
    assert_eq!(with(&[("PGSSLMODE", "require")]), 0);
    assert_eq!(with(&[("PGSSLMODE", "require"), ("PGCHANNELBINDING", "require")]), 0);
    assert_eq!(with(&[("PGSSLMODE", "require"), ("PGSSLROOTCERT", &other_ca)]), 4);
    assert_eq!(with(&[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", &ca)]), 0);
    assert_eq!(with(&[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", &other_ca)]), 4);
    assert_eq!(with(&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &ca)]), 4);
    assert_eq!(with(&[&by_name[..], &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &ca)]].concat()), 0);
    assert_eq!(with(&[&by_name[..], &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &other_ca)]].concat()), 4);
    assert_eq!(with(&[("PGPASSWORD", "wrong")]), 4);
}

#[test]
fn passwords_of_postgresql_may_be_in_a_file_that_nobody_else_reads() {
    let database = database(Kind::Postgres, "integer");
    database.sql("create role mail login password 'se:same'; grant select on accounts to mail;");
    database.configure("pg_hba.conf", "local all cvm trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    let folder = Folder::new();
    let lines = format!("other:*:*:*:x\n127.0.0.1:{}:cvm:mail:se\\:same\n", database.port());
    let file = folder.write(".pgpass", lines);
    let settings = [("PGHOST", "127.0.0.1"), ("PGUSER", "mail"), ("PGPASSFILE", file.as_str())];
    let home = folder.path("");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("our own file");
    assert_eq!(code(&database, &settings), 0);
    assert_eq!(code(&database, &[settings[0], settings[1], ("HOME", &home)]), 0);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("our own file");
    let asked = Asked::start(&database, &settings);
    assert_eq!(asked.code("alice", "secret"), 4);
    assert!(asked.errors().contains(".pgpass: passed over"), "{}", asked.errors());
}

#[test]
fn mariadb_is_asked_over_tls_as_the_mode_says() {
    let mut database = Database::start(Kind::Mysql, &[]);
    database.sql(&[&table("integer"), ROWS].concat());
    database.certify("IP:127.0.0.1");
    let [key, certificate, ca] = ["server.key", "server.crt", "ca.crt"].map(|name| database.path(name));
    database.resume_with(&[
        &format!("--ssl-key={key}"),
        &format!("--ssl-cert={certificate}"),
        &format!("--ssl-ca={ca}"),
    ]);
    database.sql("alter user cvm@'%' require ssl;");
    let other = Database::start(Kind::Sqlite, &[]);
    other.certify("IP:127.0.0.1");
    let (other_ca, port) = (other.path("ca.crt"), database.port().to_string());
    let tcp = [("CVM_MYSQL_HOST", "127.0.0.1"), ("CVM_MYSQL_PORT", port.as_str())];
    let ask = |database: &Database, more: &[(&str, &str)]| code(database, &[&tcp, more].concat());
    let with = |more: &[(&str, &str)]| ask(&database, more);
    assert_eq!(with(&[]), 4);
    assert_eq!(with(&[("CVM_MYSQL_SSL_MODE", "require")]), 0);
    assert_eq!(with(&[("CVM_MYSQL_SSL_MODE", "prefer")]), 0);
    assert_eq!(with(&[("CVM_MYSQL_SSL_MODE", "verify-full"), ("CVM_MYSQL_SSL_CA", &ca)]), 0);
    assert_eq!(with(&[("CVM_MYSQL_SSL_MODE", "verify-full"), ("CVM_MYSQL_SSL_CA", &other_ca)]), 4);
    assert_eq!(with(&[("CVM_MYSQL_SSL_MODE", "verify-full")]), 4);
    assert_eq!(with(&[("CVM_MYSQL_SSL_CA", &ca), ("CVM_MYSQL_PASS", "wrong")]), 4);
    let folder = Folder::new();
    let options = format!("[client]\nhost=127.0.0.1\nport={port}\n[mail]\nssl-ca='{ca}'\n");
    let file = folder.write("my.cnf", options);
    assert_eq!(with(&[("CVM_MYSQL_DEFAULT_FILE", &file), ("CVM_MYSQL_DEFAULT_GROUP", "mail")]), 0);
    assert_eq!(with(&[("CVM_MYSQL_DEFAULT_FILE", &file)]), 4);
    let preferred = folder.write("preferred.cnf", "[client]\nssl-mode=PREFERRED\n");
    assert_eq!(with(&[("CVM_MYSQL_DEFAULT_FILE", &preferred)]), 0);
    database.sql("alter user cvm@'%' require none;");
    database.resume_with(&["--skip-ssl"]);
    assert_eq!(ask(&database, &[("CVM_MYSQL_DEFAULT_FILE", &preferred)]), 0, "the server has no TLS");
    assert_eq!(ask(&database, &[("CVM_MYSQL_SSL_MODE", "require")]), 4);
}

/// Of a server that has stopped nobody hears anything, and when its queue is full one waits even for a place in it.
#[test]
fn a_full_queue_of_mariadb_is_a_temporary_failure() {
    let database = Database::start(Kind::Mysql, &["--back-log=1"]);
    database.sql(&[&table("integer"), ROWS].concat());
    let asked = Asked::start(&database, &[("TIMEOUT", "300")]);
    database.signal(Signal::STOP);
    // More than may be left waiting.
    for _ in 0..40 {
        let start = Instant::now();
        assert_eq!(asked.code("alice", "secret"), 4, "{}", asked.errors());
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    database.signal(Signal::CONT);
    assert!(eventually(LIMIT, || asked.code("alice", "secret") == 0), "{}", asked.errors());
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let database = Database::start(Kind::Sqlite, &[]);
    database.certify("DNS:localhost");
    let [key, certificate] = ["server.key", "server.crt"].map(|name| database.path(name));
    let settings = [("PGSSLCERT", certificate.as_str()), ("PGSSLKEY", key.as_str()), ("PGUSER", "cvm")];
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("our own file");
    let mut command = command(&Make::Ours.program("cvm-pgsql"), &["cvm-local:/nonexistent/s"], &settings);
    run(&mut command, b"").assert_complaint(6, &["cvm-pgsql", "PGSSLKEY", "nobody else may read"]);
}
