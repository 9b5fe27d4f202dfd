//! Asking programs (SPEC section 7).

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cvm_core::{Code, FactType};

use cvm_core::wire::Reply;
use cvm_io_blocking::client::{Client, Failure};
use tempfile::TempDir;

use crate::support::{TIMEOUT, modules, request, timed};

/// Shell for a success.
const SUCCESS: &str = r"printf '\000\000\001\005alice\002\0041000\003\003100\005\001/\000'";

/// A shell script as a module.
struct Script {
    path: PathBuf,
    directory: TempDir,
}

impl Script {
    /// Another process writes the file: one that is open for writing, if only in a child of another test, cannot run.
    fn new(lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module");
        let mut writer = Command::new("sh");
        writer.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(&path);
        let mut writer = writer.stdin(Stdio::piped()).spawn().unwrap();
        let text = format!("#!/bin/sh\ncd '{}'\n{lines}\n", directory.path().display());
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        Self { path, directory }
    }

    fn ask(&self) -> Result<Reply, Failure> {
        ask(&self.path)
    }

    fn code(&self) -> Code {
        self.ask().map_or_else(|failure| failure.code(), |reply| reply.code)
    }

    fn wrote(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).unwrap()
    }
}

fn ask(path: &Path) -> Result<Reply, Failure> {
    Client::new(TIMEOUT).ask(&modules(path.display().to_string()), &request(b""))
}

#[test]
fn a_module_reads_the_request_and_its_response_counts() {
    let script = Script::new(&format!("cat >request\n{SUCCESS}"));
    let reply = script.ask().unwrap();
    assert_eq!(reply.code, Code::SUCCESS);
    assert_eq!(reply.facts.get(FactType::USERNAME), Some(b"alice".as_slice()));
    assert_eq!(script.wrote("request"), request(b"").bytes());
}

/// Cargo gives its tests a variable with their folder.
#[test]
fn a_variable_that_is_hidden_is_not_in_the_environment_of_the_command() {
    let script = Script::new(&format!("cat >request; echo \"${{CARGO_MANIFEST_DIR-unset}}\" >variable; {SUCCESS}"));
    assert_eq!(script.code(), Code::SUCCESS);
    assert_eq!(script.wrote("variable"), format!("{}\n", env!("CARGO_MANIFEST_DIR")).into_bytes());
    let list = modules(script.path.display().to_string());
    let reply = Client::new(TIMEOUT).hiding("CARGO_MANIFEST_DIR").ask(&list, &request(b"")).unwrap();
    assert_eq!((reply.code, script.wrote("variable")), (Code::SUCCESS, b"unset\n".to_vec()));
}

#[test]
fn the_exit_status_is_the_code() {
    assert_eq!(Script::new(r"cat >request; printf '\000\000\000'; exit 100").code(), Code::REJECTED);
    assert_eq!(Script::new(&format!("cat >request; {SUCCESS}; exit 1")).code(), Code::GENERAL);
    assert_eq!(Script::new(r"cat >request; printf '\144\000\000'; exit 99").code(), Code::new(99));
    let no_facts = Script::new(r"cat >request; printf '\144\000\000'; exit 0");
    assert_eq!(no_facts.code(), Code::BAD_MODULE_DATA, "a success needs its facts");
}

#[test]
fn a_module_may_answer_without_reading_its_input() {
    let script = Script::new(SUCCESS);
    for _ in 0..20 {
        assert_eq!(script.code(), Code::SUCCESS);
    }
}

#[test]
fn a_module_that_is_killed_is_code_4() {
    let script = Script::new(&format!("cat >request; {SUCCESS}; kill -9 $$"));
    assert!(matches!(script.ask(), Err(Failure::Killed(_))));
    assert_eq!(script.code(), Code::IO);
}

#[test]
fn a_module_without_output_is_code_4_whatever_its_status() {
    for status in [0, 1, 100] {
        let script = Script::new(&format!("cat >request; exit {status}"));
        assert!(matches!(script.ask(), Err(Failure::Silent(_))), "{status}");
        assert_eq!(script.code(), Code::IO);
    }
}

#[test]
fn a_response_that_is_none_is_code_3() {
    for response in [r"\000", r"\000\000", r"\000\000\001\005ali", r"\000\001T\000", r"\000\000\000\000", "hello"] {
        let script = Script::new(&format!("cat >request; printf '{response}'"));
        assert_eq!(script.code(), Code::BAD_MODULE_DATA, "{response}");
    }
    assert_eq!(Script::new("cat >request; head -c 600 /dev/zero").code(), Code::BAD_MODULE_DATA);
}

#[test]
fn output_without_end_is_not_read_for_ever() {
    let (code, elapsed) = timed(|| Script::new("cat >request; exec cat /dev/zero").code());
    assert!(code.is_temporary(), "{code}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn a_module_that_does_not_end_is_code_4_and_ended() {
    for lines in [
        "exec sleep 60",
        "exec >&-; exec sleep 60",
        &format!("{SUCCESS}; exec sleep 60"),
        &format!("{SUCCESS}; exec >&-; exec sleep 60"),
        "trap '' TERM HUP INT; while :; do sleep 0.02; done",
    ] {
        let script = Script::new(&format!("echo $$ >pid; {lines}"));
        let (result, elapsed) = timed(|| script.ask());
        assert!(matches!(result, Err(Failure::Silent(_))), "{lines}: {result:?}");
        assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT * 4, "{lines}: {elapsed:?}");
        let pid = String::from_utf8(script.wrote("pid")).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{lines}: the child is there");
    }
}

#[test]
fn a_response_whose_end_does_not_come_is_code_4() {
    // A child of the module's holds its standard output open.
    let script = Script::new(&format!("sleep 1 & {SUCCESS}"));
    let (code, elapsed) = timed(|| script.code());
    assert_eq!(code, Code::IO);
    assert!(elapsed < TIMEOUT * 3, "{elapsed:?}");
}

#[test]
fn a_program_that_cannot_be_started_is_code_4() {
    let script = Script::new(SUCCESS);
    let missing = script.directory.path().join("missing");
    assert!(matches!(ask(&missing), Err(Failure::Io { .. })));
    assert!(matches!(ask(script.directory.path()), Err(Failure::Io { .. })));
    fs::set_permissions(&script.path, PermissionsExt::from_mode(0o644)).unwrap();
    let failure = script.ask().unwrap_err();
    assert_eq!(failure.code(), Code::IO);
    assert!(failure.to_string().contains("module: "), "{failure}");
}

#[test]
fn a_bare_name_is_searched_in_the_path() {
    let result = Client::new(TIMEOUT).ask(&modules("true"), &request(b""));
    assert!(matches!(result, Err(Failure::Silent(_))), "started, and said nothing");
}
