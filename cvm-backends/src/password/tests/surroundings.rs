//! What a verification needs beside the two strings: memory, and libcrypt. Each test runs itself again in a process of
//! its own, where they are missing.

use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

/// Tells a test that it runs in a process of its own.
const ALONE: &str = "CVM_TESTS_ALONE";

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs a test of this module in a process of its own.
fn run_alone(test: &str, prepare: impl FnOnce(&mut Command)) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("password::tests::surroundings::{test}"), "--nocapture"]).env(ALONE, "1");
    prepare(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn matches(stored: &str) -> Result<bool, VerifyError> {
    Comparison::Crypt.read(stored.as_bytes()).unwrap().matches(SecretRef::new(b"secret"))
}

const YESCRYPT_16_MIB: &str = "$y$j9T$RDjiH84JOJX/VgGFwBPb9.$XNH1P.3z9Ypc9sisRxMBxgsB6KKx/nC5mkAdplLTH2B";
const SCRYPT_32_MIB: &str = "$7$BU..../....Ip.LPV1uUo33WvZg4dB0b0$hrKlXjVeRNql7tvJnV6qNxHIgLf1VNuUgc3FmRvG5E6";
/// The heap of a thread has 64 MiB of addresses that are not used yet, which is not enough for this.
const ARGON2_64_MIB: &str =
    "$argon2id$v=19$m=65536,t=3,p=1$gEX1GBwqDb19aRJ+1TJLcg$tq8ZgIdU4VgIZK7zZS9bQyXqrNpmJ0uwafI7EaCAFUU";
const MD5: &str = "$1$saltsalt$9xy1btjgzLYfb7hivXtC//";
const SHA512: &str = "$6$rounds=1000$jWb5YUXj7SCbT7K9$ViDM7TJZYwXu/2T/Hv6638JTopiM9EY0ECHYT0Nn4xEDv11q4VuPhJbdO0y6h6QuLPSmk.zM/oPZPtefMNOlQ/";

#[test]
fn want_of_memory_is_no_refusal() {
    if !is_alone() {
        return run_alone("want_of_memory_is_no_refusal", |_| ());
    }
    assert_eq!(matches(MD5), Ok(true), "libcrypt is loaded while there is memory");
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    let limit = Some(pages * 4096 + 8 * 1024 * 1024);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).unwrap();
    for stored in [YESCRYPT_16_MIB, SCRYPT_32_MIB, ARGON2_64_MIB] {
        assert_eq!(matches(stored), Err(VerifyError::OutOfMemory), "{stored}");
    }
    for stored in [MD5, SHA512] {
        assert_eq!(matches(stored), Ok(true), "{stored}");
    }
}

#[test]
fn without_libcrypt_only_its_own_forms_cannot_be_told() {
    if !is_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libcrypt.so.1", "libcrypt.so.2"] {
            std::fs::write(folder.path().join(name), "no library").unwrap();
        }
        return run_alone("without_libcrypt_only_its_own_forms_cannot_be_told", |command| {
            command.env("LD_LIBRARY_PATH", folder.path());
        });
    }
    for stored in [MD5, YESCRYPT_16_MIB] {
        assert_eq!(matches(stored), Err(VerifyError::NoLibrary), "{stored}");
    }
    for stored in [SHA512, ARGON2_64_MIB, "./17m29LFAflg"] {
        assert_eq!(matches(stored), Ok(true), "{stored}");
    }
}
