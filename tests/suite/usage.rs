//! What every program has: help, version, usage errors, the name that it was called by.

use std::os::unix::fs::symlink;

use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;

/// A program, and what its help must mention.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("cvm-unix", &["cvm-local:PATH", "shadow", "CVM_LOOKUP_SECRET", "CVM_IO_TIMEOUT", "CVM_SOCKET_MODE"]),
    (
        "cvm-pwfile",
        &[
            "cvm-local:PATH",
            "cvm-udp:HOST:PORT",
            "CVM_PWFILE_PATH",
            "CVM_PWFILE_PWCMP",
            "CVM_LOOKUP_SECRET",
            "CVM_IO_TIMEOUT",
            "CVM_SOCKET_MODE",
            "CVM_SOCKET_OWNER",
            "CVM_SOCKET_GROUP",
        ],
    ),
    (
        "cvm-testclient",
        &[
            "MODULE",
            "ACCOUNT DOMAIN [PASSWORD]",
            "CVM_ACCOUNT_SPLIT_CHARS",
            "CVM_LOOKUP_SECRET",
            "CVM_RANDOM_BYTES",
            "CVM_CLIENT_TIMEOUT",
        ],
    ),
    (
        "cvm-benchclient",
        &[
            "COUNT MODULE[,MODULE...] ACCOUNT DOMAIN [PASSWORD]",
            "--concurrency N",
            "--duration TIME",
            "--rate N",
            "--credentials FILE",
            "--json",
            "--plot FILE.svg",
            "CVM_LOOKUP_SECRET",
            "CVM_RANDOM_BYTES",
            "CVM_CLIENT_TIMEOUT",
        ],
    ),
    (
        "cvm-v1benchclient",
        &["COUNT MODULE ACCOUNT DOMAIN CREDENTIAL", "--rate N", "--credentials FILE", "CVM_CLIENT_TIMEOUT"],
    ),
    ("cvm-v1testclient", &["MODULE ACCOUNT DOMAIN [CREDENTIAL]...", "CVM_CLIENT_TIMEOUT"]),
    (
        "cvm-sasltest",
        &[
            "MECHANISM[ INITIAL-RESPONSE]",
            "CVM_SASL_PLAIN",
            "CVM_SASL_LOGIN",
            "CVM_SASL_CRAM_MD5",
            "PROTO",
            "CVM_ACCOUNT_SPLIT_CHARS",
            "CVM_RANDOM_BYTES",
            "CVM_CLIENT_TIMEOUT",
        ],
    ),
    (
        "cvm-vchkpw",
        &[
            "cvm-local:PATH",
            "cvm-udp:HOST:PORT",
            "QMAIL_ROOT",
            "VPOPMAIL_ROOT",
            "VPOPMAIL_DOMAIN",
            "SERVICE",
            "CVM_LOOKUP_SECRET",
        ],
    ),
    (
        "cvm-authuser",
        &[
            "cvm-local:PATH",
            "shadow",
            "CVM_AUTHUSER_PATH",
            "QMAIL_ROOT",
            "CVM_AUTHUSER_LOCALS",
            "CVM_AUTHUSER_UID",
            "CVM_AUTHUSER_GID",
            "CVM_AUTHUSER_HOME",
            "CVM_AUTHUSER_SOCKET",
            "CVM_AUTHUSER_SERVICE",
            "CVM_CLIENT_TIMEOUT",
            "CVM_LOOKUP_SECRET",
        ],
    ),
    (
        "cvm-qmail-authuser",
        &["PROGRAM MAILDIRNAME", "-s SOCKET [-x SERVICE=METHOD]", "QMAIL_ROOT", "CVM_CLIENT_TIMEOUT"],
    ),
    ("cvm-pam", &["cvm-local:PATH", "cvm-udp:HOST:PORT", "SERVICE", "CVM_LOOKUP_SECRET", "CVM_IO_TIMEOUT"]),
    ("cvm-quickstart", &[]),
    (
        "cvm-sqlite",
        &[
            "cvm-local:PATH",
            "CVM_SQLITE_DB",
            "CVM_SQLITE_QUERY",
            "CVM_SQLITE_PWCMP",
            "CVM_SQLITE_POSTQ",
            "CVM_IO_TIMEOUT",
        ],
    ),
    (
        "cvm-pgsql",
        &[
            "cvm-udp:HOST:PORT",
            "CVM_PGSQL_QUERY",
            "CVM_PGSQL_PWCMP",
            "CVM_PGSQL_POSTQ",
            "CVM_PGSQL_TIMEOUT",
            "PGHOST",
            "PGSSLMODE",
            "PGTARGETSESSIONATTRS",
            "CVM_LOOKUP_SECRET",
        ],
    ),
    (
        "cvm-mysql",
        &[
            "cvm-udp:HOST:PORT",
            "CVM_MYSQL_QUERY",
            "CVM_MYSQL_PWCMP",
            "CVM_MYSQL_POSTQ",
            "CVM_MYSQL_HOST",
            "CVM_MYSQL_USER",
            "CVM_MYSQL_PASS",
            "CVM_MYSQL_DB",
            "CVM_MYSQL_PORT",
            "CVM_MYSQL_SOCKET",
            "CVM_MYSQL_DEFAULT_FILE",
            "CVM_MYSQL_DEFAULT_GROUP",
        ],
    ),
    (
        "cvm-vmailmgr",
        &[
            "cvm-local:PATH",
            "cvm-udp:HOST:PORT",
            "VMAILMGR_PWFILE",
            "VMAILMGR_DEFAULT",
            "VMAILMGR_LOCK_DISABLED",
            "VMAILMGR_CHECK_EXPIRY",
            "VMAILMGR_CHECK_MAILBOX",
            "VMAILMGR_AUTOCONVERT",
            "QMAIL_ROOT",
            "CVM_QMAIL_STRICT",
            "CVM_LOOKUP_SECRET",
            "CVM_IO_TIMEOUT",
        ],
    ),
];

fn called(name: &str, arguments: &[&str]) -> Finished {
    run(&mut command(&Make::Ours.program(name), arguments, &[]), b"")
}

#[test]
fn help_shows_the_arguments_and_every_setting() {
    let mut findings = Findings::new();
    for (name, mentioned) in PROGRAMS {
        for option in ["--help", "-h"] {
            let finished = called(name, &[option]);
            let help = finished.output();
            findings.equal(name, (finished.end, finished.stderr), (End::Exit(0), Vec::new()));
            findings.equal(
                name,
                help.lines().next().map(|line| line.starts_with(&format!("usage: {name}"))),
                Some(true),
            );
            for word in mentioned.iter().filter(|word| !help.contains(*word)) {
                findings.add(format_args!("{name} {option} does not mention {word}"));
            }
        }
    }
    findings.assert_none();
}

#[test]
fn version_is_the_name_and_a_number() {
    for (name, _) in PROGRAMS {
        for option in ["--version", "-V"] {
            let finished = called(name, &[option]);
            let version = finished.output();
            let number = version.strip_prefix(&format!("{name} ")).and_then(|rest| rest.strip_suffix('\n'));
            let number = number.unwrap_or_else(|| panic!("{finished:?}"));
            assert!(
                number.split('.').count() == 3 && number.starts_with(|first: char| first.is_ascii_digit()),
                "{number}"
            );
            assert_eq!((finished.end, finished.stderr), (End::Exit(0), Vec::new()));
        }
    }
}

#[test]
fn wrong_arguments_are_a_usage_error_of_one_line() {
    let cases: [(&str, &[&str]); 11] = [
        ("cvm-testclient", &[]),
        ("cvm-testclient", &["cvm-pwfile"]),
        ("cvm-testclient", &["cvm-pwfile", "alice"]),
        ("cvm-testclient", &["cvm-pwfile", "alice", "ex.com", "secret", "more"]),
        ("cvm-v1testclient", &[]),
        ("cvm-v1testclient", &["cvm-pwfile", "alice"]),
        ("cvm-sasltest", &[]),
        ("cvm-sasltest", &["PLAIN", "AGFsaWNlAHNlY3JldA=="]),
        ("cvm-pwfile", &["cvm-command:/bin/true"]),
        ("cvm-pwfile", &["-local"]),
        ("cvm-quickstart", &["more"]),
    ];
    for (name, arguments) in cases {
        let finished = called(name, arguments);
        finished.assert_complaint(1, &[name, "usage"]);
        assert_eq!(finished.stdout, b"", "{name} {arguments:?}");
    }
}

#[test]
fn an_endpoint_that_is_none_is_named() {
    for endpoint in ["", "cvm-foo:x", "cvm-local:", "cvm-udp:127.0.0.1", "cvm-udp:127.0.0.1:0", "cvm-udp:::1:791"] {
        // Settings are all right, and so is the first endpoint.
        let folder = Folder::new();
        let local = format!("cvm-local:{}", folder.path("socket"));
        let settings = [("CVM_PWFILE_PATH", "/dev/null")];
        let mut command = command(&Make::Ours.program("cvm-pwfile"), &[&local, endpoint], &settings);
        run(&mut command, b"").assert_complaint(1, &["cvm-pwfile: ", endpoint]);
        assert!(!std::path::Path::new(&folder.path("socket")).exists(), "{endpoint}");
    }
}

#[test]
fn messages_begin_with_the_name_that_the_program_was_called_by() {
    let folder = Folder::new();
    for (name, _) in PROGRAMS {
        let alias = folder.path("another-name");
        symlink(Make::Ours.program(name), &alias).expect("a symbolic link");
        let finished = run(&mut command(&alias, &["--version"], &[]), b"");
        assert!(finished.output().starts_with("another-name "), "{finished:?}");
        let finished = run(&mut command(&alias, &["a", "b", "c", "d", "e"], &[]), b"");
        assert!(finished.stderr.starts_with(b"another-name: "), "{finished:?}");
        std::fs::remove_file(alias).expect("the link can be removed");
    }
}
