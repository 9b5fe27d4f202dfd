//! Requests to the module, and what each may wait for.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cvm_core::CredentialType;
use cvm_core::wire::Request;

use super::*;

pub(super) fn notices() -> Notices {
    Notices::new(|text| panic!("nothing to say: {text}"))
}

pub(crate) fn host_options(root: &Path, rules: Rules) -> HostOptions {
    let missing_user = b"alias".to_vec();
    HostOptions { root: root.to_owned(), rules, assume_local: false, missing_domain: None, missing_user }
}

fn options(root: &Path, rules: Rules) -> Options {
    Options { host: host_options(root, rules), permissions: Permissions::Unchecked, lookaside: Vec::new() }
}

/// A host with the domains `local.example` and `virt.example`, whose users belong to `bob`.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        // On a local file system, whatever the folder for temporary files is on.
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let host = Self(folder);
        for name in ["control", "users", "home/bob"] {
            fs::create_dir_all(host.path(name)).expect("a folder");
        }
        host.write("control/locals", "local.example\n");
        host.write("control/virtualdomains", "virt.example:bob-v\n");
        for (name, text) in [("home/bob/.qmail-v-default", "|deliver x\n"), ("home/bob/.qmail-a", "./Maildir/\n")] {
            host.write(name, text);
        }
        host.assign(&[("!bob\0", "", ""), ("!bob-", "-", ""), ("", "", "")]);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Makes a table: every key is one of `bob`; the empty one holds the wildcards.
    fn assign(&self, entries: &[(&str, &str, &str)]) {
        let records = entries.iter().map(|(key, dash, extension)| {
            let home = self.path("home/bob");
            let data = format!("bob\x001234\x002345\0{}\0{dash}\0{extension}", home.display());
            (key.as_bytes().to_vec(), if key.is_empty() { b"-".to_vec() } else { data.into_bytes() })
        });
        let new = self.path("users/new");
        crate::cdb::made(&new, &records.collect::<Vec<_>>());
        fs::rename(new, self.path("users/cdb")).expect("renamed");
    }
}

const JOINED: Result<u8, Cost> = Ok(0);
const REFUSED: Result<u8, Cost> = Ok(100);
const OUTSIDE: Result<u8, Cost> = Ok(101);
const FAILED: Result<u8, Cost> = Ok(4);

/// What a look-up says: a code, 101 for out of scope.
fn code(found: Result<Lookup<Account>, Temporary>) -> u8 {
    match found {
        Ok(Lookup::Known(_)) => 0,
        Ok(Lookup::Unknown { scope, .. }) => {
            if scope == Some(Scope::Out) {
                101
            } else {
                100
            }
        }
        Err(temporary) => temporary.code().byte(),
    }
}

/// Asks as somebody who can wait, and as somebody who cannot; the latter did before, so that folders are looked at.
fn ask(module: &Qmail, user: &str, domain: &str) -> (u8, Result<u8, Cost>) {
    let packet = [b"\x01", user.as_bytes(), b"\0", domain.as_bytes(), b"\0x\0\0"].concat();
    let request = Request::decode(&packet, CredentialType::SECRET).expect("a request");
    module.refresh();
    let _ = module.lookup_cost(&request);
    let found = code(module.lookup(&request));
    let inline = module.lookup_inline(&request).map(code);
    assert_eq!(module.lookup_cost(&request), inline.err().unwrap_or(Cost::Inline));
    (found, inline)
}

#[test]
fn what_needs_no_name_service_is_answered_at_once() {
    let host = Host::new();
    let original = Qmail::open(options(host.0.path(), Rules::Original), notices());
    assert_eq!(ask(&original, "bob", "local.example"), (0, JOINED));
    assert_eq!(ask(&original, "bob", "else.example"), (101, OUTSIDE));
    // The original asks for a system's user of that name first.
    assert_eq!(ask(&original, "bob-a", "local.example"), (0, Err(Cost::Wait)));
    assert_eq!(ask(&original, "bob-b", "local.example"), (100, Err(Cost::Wait)));
    let qmail = Qmail::open(options(host.0.path(), Rules::Qmail), notices());
    assert_eq!(ask(&qmail, "bob-a", "local.example"), (0, JOINED));
    assert_eq!(ask(&qmail, "bob-b", "local.example"), (100, REFUSED));
    assert_eq!(ask(&qmail, "joe", "virt.example"), (0, JOINED));
}

#[test]
fn permissions_are_checked_by_who_can_wait() {
    let host = Host::new();
    let is_root = fs::metadata(host.0.path()).expect("a folder").uid() == 0;
    for (mode, permissions, expected) in [
        (0o755, Permissions::DeniedIsTemporary, 0),
        (0o700, Permissions::DeniedIsTemporary, 4),
        (0o700, Permissions::DeniedIsMissing, 100),
        (0o700, Permissions::Unchecked, 0),
    ] {
        fs::set_permissions(host.path("home/bob"), fs::Permissions::from_mode(mode)).expect("a mode");
        for rules in [Rules::Original, Rules::Qmail] {
            let options = Options { permissions, ..options(host.0.path(), rules) };
            let (found, inline) = ask(&Qmail::open(options, Notices::new(|_| ())), "bob-a", "local.example");
            let is_checked = permissions != Permissions::Unchecked;
            // Only root may look with the rights of others.
            assert_eq!(found, if is_checked && !is_root { 4 } else { expected }, "{permissions:?} {rules:?}");
            assert_eq!(inline.is_err(), is_checked || rules == Rules::Original);
        }
    }
}

#[test]
fn files_that_the_user_cannot_open_are_closed_to_qmail() {
    let host = Host::new();
    let is_root = fs::metadata(host.0.path()).expect("a folder").uid() == 0;
    fs::set_permissions(host.path("home/bob/.qmail-a"), fs::Permissions::from_mode(0o600)).expect("a mode");
    for (rules, expected) in [(Rules::Original, 0), (Rules::Qmail, 4)] {
        let permissions = Permissions::DeniedIsTemporary;
        let module = Qmail::open(Options { permissions, ..options(host.0.path(), rules) }, Notices::new(|_| ()));
        assert_eq!(ask(&module, "bob-a", "local.example").0, if is_root { expected } else { 4 });
    }
}

#[test]
fn programs_are_looked_for_with_the_rights_of_the_user() {
    let host = Host::new();
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for (mode, permissions, expected) in [
        (0o644, Permissions::DeniedIsTemporary, 101),
        (0o600, Permissions::Unchecked, 101),
        (0o600, Permissions::DeniedIsTemporary, 4),
        (0o600, Permissions::DeniedIsMissing, 100),
    ] {
        fs::set_permissions(host.path("home/bob/.qmail-v-default"), fs::Permissions::from_mode(mode)).expect("a mode");
        for rules in [Rules::Original, Rules::Qmail] {
            let lookaside = vec![b"deliver".to_vec()];
            let module = Qmail::open(Options { permissions, lookaside, ..options(host.0.path(), rules) }, notices());
            assert_eq!(ask(&module, "joe", "virt.example").0, expected, "{mode:o} {permissions:?} {rules:?}");
        }
    }
}

#[test]
fn the_highest_number_is_no_user() {
    let host = Host::new();
    for ids in ["4294967295\x002345", "1234\x004294967295"] {
        let data = format!("bob\0{ids}\0{}\0\0", host.path("home/bob").display());
        let new = host.path("users/new");
        crate::cdb::made(&new, &[(b"!bob\0".to_vec(), data.into_bytes()), (Vec::new(), Vec::new())]);
        fs::rename(new, host.path("users/cdb")).expect("renamed");
        let module = Qmail::open(options(host.0.path(), Rules::Qmail), notices());
        assert_eq!(ask(&module, "bob", "local.example").0, 4, "{ids}");
    }
}

#[test]
fn other_modules_answer_for_the_addresses_of_their_programs() {
    let host = Host::new();
    let module = Qmail::open(
        Options { lookaside: vec![b"deliver".to_vec()], ..options(host.0.path(), Rules::Original) },
        notices(),
    );
    assert_eq!(ask(&module, "joe", "virt.example").0, 101);
    assert_eq!(ask(&module, "bob-a", "local.example").0, 0);
    assert_eq!(ask(&module, "bob", "local.example"), (0, JOINED));
    host.write("home/bob/.qmail", "./Maildir/\n|deliver\n");
    assert_eq!(ask(&module, "bob", "local.example"), (101, OUTSIDE));
}

#[test]
fn changed_files_are_seen_by_the_next_request() {
    let host = Host::new();
    let module = Qmail::open(options(host.0.path(), Rules::Qmail), notices());
    assert_eq!(ask(&module, "bob", "new.example"), (101, OUTSIDE));
    host.write("control/locals", "local.example\nnew.example\n");
    assert_eq!(ask(&module, "bob", "new.example"), (0, JOINED));
    assert_eq!(ask(&module, "new", "local.example"), ask(&module, "other", "local.example"));
    host.assign(&[("!new\0", "", ""), ("", "", "")]);
    assert_eq!(ask(&module, "new", "local.example"), (0, JOINED));
    fs::rename(host.path("users/cdb"), host.path("users/assign.cdb")).expect("renamed");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ask(&module, "new", "local.example"), (0, JOINED));
}

#[test]
fn what_cannot_be_read_is_code_4() {
    let host = Host::new();
    host.write("users/cdb", "no table");
    let module = Qmail::open(options(host.0.path(), Rules::Original), notices());
    assert_eq!(ask(&module, "bob", "local.example"), (4, FAILED));
    assert_eq!(ask(&module, "bob", "else.example"), (101, OUTSIDE));
    fs::create_dir(host.path("control/envnoathost")).expect("a folder");
    let module = Qmail::open(options(host.0.path(), Rules::Original), Notices::new(|_| ()));
    assert_eq!(ask(&module, "bob", ""), (4, FAILED));
}

#[test]
fn root_is_no_user_for_qmail() {
    let host = Host::new();
    let data = format!("root\x000\x000\0{}\0\0", host.path("home/bob").display());
    let new = host.path("users/new");
    crate::cdb::made(&new, &[(b"!toor\0".to_vec(), data.into_bytes()), (Vec::new(), Vec::new())]);
    fs::rename(new, host.path("users/cdb")).expect("renamed");
    for (rules, expected) in [(Rules::Original, (0, JOINED)), (Rules::Qmail, (100, REFUSED))] {
        let module = Qmail::open(options(host.0.path(), rules), notices());
        assert_eq!(ask(&module, "toor", "local.example"), expected);
    }
}
