//! `cvm-qmail-authuser` and the programs that judge in its place: stand-ins of checkvpw and vchkpw, and a real Dovecot.

use std::fs;

use cvm_tests::findings::Findings;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::process::{End, Finished, LIMIT, Running, command, eventually, run};
use cvm_tests::programs::tool;

use crate::qmail_authuser::{ours, root};

/// Writes down how it was called and ends as it is told.
fn stand_in(folder: &Folder, name: &str, end: &str) {
    let seen = quoted(&folder.path("seen"));
    let lines = format!(
        "cat <&3 >{seen}.record 2>/dev/null; cat >{seen}.input; printf '%s\\n' \"$0\" \"$@\" >{seen}.arguments\n\
         output=$(readlink /proc/$$/fd/1); echo \"$output\" >{seen}.output; echo \"$FOO\" >{seen}.foo; {end}"
    );
    folder.script(name, &lines);
}

fn ask(folder: &Folder, record: &[u8], arguments: &[&str]) -> Finished {
    let path = format!("{}:/usr/bin:/bin", folder.path(""));
    ours(folder, record, arguments, &[("PATH", &path), ("FOO", "kept")])
}

fn seen(folder: &Folder, what: &str) -> String {
    String::from_utf8(folder.read(&format!("seen.{what}"))).expect("text")
}

#[test]
fn checkvpw_and_vchkpw_are_asked_with_the_record_on_a_descriptor_of_their_own() {
    for (token, name, arguments) in [("+", "checkvpw", "true\nMaildir\n"), ("&", "vchkpw", "")] {
        let folder = root(&format!("@x.org:{token}\n"));
        stand_in(&folder, name, "exit 0");
        for record in ["Joe@x.org\0Secret\0\0", "Joe@x.org\0Secret\0<t>\0", "Joe@x.org\0Secret\0<t>\0more\0"] {
            let finished = ask(&folder, record.as_bytes(), &["sh", "-c", "id -u; echo in"]);
            assert_eq!((finished.end, finished.output().as_str()), (End::Exit(0), "0\nin\n"), "{finished:?}");
            assert_eq!(seen(&folder, "record"), record, "{name}");
            assert!(seen(&folder, "arguments").ends_with(&format!("/{name}\n{arguments}")));
            assert_eq!((seen(&folder, "input").as_str(), seen(&folder, "output").as_str()), ("", "/dev/null\n"));
            assert_eq!(seen(&folder, "foo"), "kept\n");
        }
        ask(&folder, b"Joe@X.ORG\0Secret\0\0", &["true"]);
        assert_eq!(seen(&folder, "record"), "Joe@x.org\0Secret\0\0", "the domain is in lower case");
    }
}

#[test]
fn checkvpw_gets_the_third_field_that_it_wants_and_vchkpw_what_came() {
    for (token, name, record) in [("+", "checkvpw", "joe\0secret\0\0"), ("&", "vchkpw", "joe\0secret\0")] {
        let folder = root(&format!("*:{token}\n"));
        stand_in(&folder, name, "exit 0");
        assert_eq!(ask(&folder, b"joe\0secret\0", &["true"]).end, End::Exit(0));
        assert_eq!(seen(&folder, "record"), record);
    }
}

/// It may be a server, which talks to the client and takes its time.
#[test]
fn checkvpw_runs_the_program_that_is_named_over_the_connection() {
    let folder = root("*:+\n");
    folder.script("checkvpw", "echo \"$0\" \"$@\"; sleep 1; exec \"$@\"");
    let path = format!("{}:/usr/bin:/bin", folder.path(""));
    let settings = [("PATH", path.as_str()), ("CVM_CLIENT_TIMEOUT", "100")];
    let finished = ours(&folder, b"joe\0secret\0", &["/bin/echo", "MBOX", "echo", "in"], &settings);
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    assert!(finished.output().ends_with("/checkvpw /bin/echo MBOX\nMBOX\nin\n"), "{finished:?}");
}

/// Even his right password must have no effects there.
#[test]
fn checkvpw_serves_nobody_who_is_disabled() {
    let folder = root("@x.org:+\n!joe@x.org:\n");
    stand_in(&folder, "checkvpw", "exec \"$@\"");
    let finished = ask(&folder, b"joe@x.org\0secret\0", &["/bin/echo", "Maildir", "echo", "in"]);
    assert_eq!((finished.end, finished.output().as_str()), (End::Exit(1), ""), "{finished:?}");
    assert!(seen(&folder, "arguments").ends_with("/checkvpw\ntrue\nMaildir\n"));
    let record = seen(&folder, "record");
    assert!(record.starts_with("joe@x.org\0") && !record.contains("secret"), "{record:?}");
}

#[test]
fn every_exit_status_of_checkvpw_becomes_1_2_or_111() {
    assert_statuses("+", "checkvpw");
}

#[test]
fn every_exit_status_of_vchkpw_becomes_1_2_or_111() {
    assert_statuses("&", "vchkpw");
}

#[track_caller]
fn assert_statuses(token: &str, name: &str) {
    let mut findings = Findings::new();
    let folder = root(&format!("*:{token}\n"));
    let mut ends_with = |end: String, expected: i32| {
        folder.script(name, &end);
        findings.equal(end, ask(&folder, b"joe\0pw\0", &["true"]).end, End::Exit(expected));
    };
    for status in 0..=255 {
        let expected = match status {
            0 => 0,
            1 | 3 | 12 | 13 | 15 | 20 => 1,
            2 => 2,
            _ => 111,
        };
        ends_with(format!("exit {status}"), expected);
    }
    for signal in ["KILL", "SEGV", "TERM"] {
        ends_with(format!("kill -{signal} $$"), 111);
    }
    findings.assert_none();
}

#[test]
fn a_program_that_is_missing_or_slow_is_trouble_and_an_empty_password_is_not_asked_about() {
    for (token, name) in [("+", "checkvpw"), ("&", "vchkpw")] {
        let folder = root(&format!("*:{token}\n"));
        ask(&folder, b"joe\0pw\0", &["true"]).assert_complaint(111, &[name]);
        stand_in(&folder, name, "exec sleep 30");
        let path = format!("{}:/usr/bin:/bin", folder.path(""));
        let settings = [("PATH", path.as_str()), ("CVM_CLIENT_TIMEOUT", "300")];
        ours(&folder, b"joe\0pw\0", &["true"], &settings).assert_complaint(111, &[name]);
        fs::remove_file(folder.path("seen.record")).expect("it has been asked");
        assert_eq!(ask(&folder, b"joe\0\0", &["true"]).end, End::Exit(1));
        assert_eq!(seen(&folder, "record"), "");
    }
}

#[test]
fn doveadm_reads_the_password_where_nobody_sees_it() {
    let folder = root("*:=\n");
    stand_in(&folder, "doveadm", "exit 0");
    let service = ["-s", "/the/socket", "-x", "service=smtp", "echo", "in"];
    let finished = ask(&folder, b"Joe@X.org\0secret\0<t>\0", &service);
    assert_eq!((finished.end, finished.output().as_str()), (End::Exit(0), "in\n"), "{finished:?}");
    assert!(
        seen(&folder, "arguments").ends_with("/doveadm\nauth\ntest\n-a\n/the/socket\n-x\nservice=smtp\nJoe@x.org\n")
    );
    assert_eq!((seen(&folder, "input").as_str(), seen(&folder, "record").as_str()), ("secret\n", ""));
    ask(&folder, b"-a\0secret\0", &["-s", "/the/socket", "true"]);
    assert!(seen(&folder, "arguments").ends_with("/doveadm\nauth\ntest\n-a\n/the/socket\n--\n-a\n"));
    // Only what comes before the line end would be judged.
    for password in ["secret\nmore", "secret\rmore", "secret\n"] {
        assert_eq!(ask(&folder, format!("joe\0{password}\0").as_bytes(), &service).end, End::Exit(1), "{password:?}");
    }
    ask(&folder, b"joe\0secret\0", &["true"]).assert_complaint(2, &["socket"]);
    folder.script("doveadm", "exit 77");
    ask(&folder, b"joe\0secret\0", &service).assert_complaint(111, &["doveadm"]);
}

/// A Dovecot with a few users, which serves nobody but doveadm.
pub(crate) struct Dovecot {
    folder: Folder,
    _running: Running,
}

impl Dovecot {
    fn start() -> Self {
        let folder = root("*:=\n");
        let passwords = folder.write("passwords", "joe@x.org:{PLAIN}se cret\n-a@x.org:{PLAIN}dash\n");
        Self::with_passdb(folder, &format!("driver = passwd-file\n  args = username_format=%u {passwords}"))
    }

    /// Starts one that has passwords judged so.
    pub(crate) fn with_passdb(folder: Folder, passdb: &str) -> Self {
        let path = |name: &str| folder.path(name);
        // Without what makes those wait who fail.
        let configuration = format!(
            "base_dir = {}\nstate_dir = {}\nlog_path = {}\nauth_verbose = yes\nprotocols =\nssl = no\nauth_failure_delay = 0\n\
             default_internal_user = root\ndefault_login_user = nobody\n\
             passdb {{\n  {passdb}\n}}\n\
             userdb {{\n  driver = static\n  args = uid=1 gid=1 home=/\n}}\n\
             service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
             service auth {{\n  user = root\n  unix_listener tester {{\n    mode = 0600\n  }}\n}}\n",
            path("base"),
            path("state"),
            path("log")
        );
        fs::create_dir(folder.path("base")).expect("a folder");
        let configuration = folder.write("dovecot.conf", configuration);
        let program = tool("dovecot", "dovecot-core");
        let mut dovecot = command(program.to_str().expect("UTF-8"), &["-F", "-c", &configuration], &[]);
        let dovecot = Self { _running: Running::start(&mut dovecot), folder };
        let is_up = || fs::metadata(dovecot.socket()).is_ok();
        assert!(eventually(LIMIT, is_up), "{}", String::from_utf8_lossy(&dovecot.folder.read("log")));
        dovecot
    }

    fn socket(&self) -> String {
        self.folder.path("base/tester")
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.folder.read("log")).into_owned()
    }

    /// Returns what doveadm says of a login.
    pub(crate) fn login(&self, user: &str, password: &str) -> (End, String) {
        let doveadm = tool("doveadm", "dovecot-core");
        let (configuration, socket) = (self.folder.path("dovecot.conf"), self.socket());
        let arguments = ["-c", &configuration, "auth", "test", "-a", &socket, "-x", "service=imap", user, password];
        let finished = run(&mut command(doveadm.to_str().expect("UTF-8"), &arguments, &[]), b"");
        (finished.end, finished.output() + &String::from_utf8_lossy(&finished.stderr))
    }

    fn status(&self, record: &str, socket: &str) -> End {
        let arguments = ["-s", socket, "-x", "service=smtp", "true"];
        ours(&self.folder, record.as_bytes(), &arguments, &[]).end
    }
}

#[test]
fn a_real_dovecot_is_asked() {
    let dovecot = Dovecot::start();
    for (record, status) in [
        ("joe@x.org\0se cret\0", 0),
        ("joe@X.ORG\0se cret\0<t>\0", 0),
        ("-a@x.org\0dash\0", 0),
        ("joe@x.org\0wrong\0", 1),
        ("joe@x.org\0se cret\nmore\0", 1),
        ("joe@x.org\0\0", 1),
        ("ann@x.org\0se cret\0", 1),
    ] {
        assert_eq!(dovecot.status(record, &dovecot.socket()), End::Exit(status), "{record:?}");
    }
    assert_eq!(dovecot.status("joe@x.org\0se cret\0", "/no/such/socket"), End::Exit(111));
}
