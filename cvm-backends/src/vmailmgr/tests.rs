//! Requests to the module: verdicts, what each may wait for, and what stands in for users that do not exist.

use std::fs;

use cvm_core::CredentialType;

use super::*;
use crate::cdb::made;
use crate::qmail::{Rules, host_options};
use crate::stamp::Links;
use crate::testing::Said;

/// A host whose domain `virt.example` belongs to `bob`.
struct Host(tempfile::TempDir);

const TAIL: &[u8] = b"\0./users/joe\0\0\0-\0-\0-\0-\x000\0";

impl Host {
    fn new() -> Self {
        // On a local file system, whatever the folder for temporary files is on.
        let host = Self(tempfile::tempdir_in("/dev/shm").expect("a folder"));
        for name in ["control", "users", "bob"] {
            fs::create_dir(host.0.path().join(name)).expect("a folder");
        }
        fs::write(host.0.path().join("control/locals"), "local.example\n").expect("written");
        fs::write(host.0.path().join("control/virtualdomains"), "virt.example:bob\n").expect("written");
        let home = host.0.path().join("bob");
        let data = format!("bob\x001234\x002345\0{}\0-\0", home.display());
        made(&host.0.path().join("users/cdb"), &[(Vec::new(), b"-".to_vec()), (b"!bob-".to_vec(), data.into_bytes())]);
        host
    }

    fn table(&self) -> PathBuf {
        self.0.path().join("bob/passwd.cdb")
    }

    fn write(&self, records: &[(&str, Vec<u8>)]) {
        let new = self.table().with_extension("new");
        let records: Vec<_> = records.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.clone())).collect();
        made(&new, &records);
        fs::rename(new, self.table()).expect("renamed");
    }

    fn options(&self) -> Options {
        Options {
            host: host_options(self.0.path(), Rules::Qmail),
            table: "passwd.cdb".into(),
            catch_all: None,
            refused: Refused::default(),
            conversion: None,
        }
    }
}

/// A record of a user who never expires.
fn record(flags: &[u8], password: &str) -> Vec<u8> {
    expiring(flags, password, "-")
}

fn expiring(flags: &[u8], password: &str, time: &str) -> Vec<u8> {
    [b"\x02", flags, b"\0", password.as_bytes(), TAIL, time.as_bytes(), b"\0"].concat()
}

const ENABLED: &[u8] = b"\x0a\x01\x08\x01";
const MD5: &str = "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1";

/// Asks as a server does: a verdict or a code, and what the steps cost; 101 is out of scope.
fn ask(module: &Vmailmgr, name: &str, password: &str) -> (u8, Cost) {
    let packet = [b"\x01", name.as_bytes(), b"\0virt.example\0", password.as_bytes(), b"\0\0"].concat();
    let request = Request::decode(&packet, CredentialType::PASSWORD).expect("a request");
    module.refresh();
    let judge = |account: &Account| {
        let cost = module.authenticate_cost(account);
        match module.authenticate(account, &request) {
            Ok(Verdict::Accepted) => (0, cost),
            Ok(Verdict::Rejected { scope }) => (if scope == Some(Scope::In) { 100 } else { 101 }, cost),
            Err(temporary) => (temporary.code().byte(), cost),
        }
    };
    match module.lookup(&request) {
        Ok(Lookup::Known(account)) => judge(&account),
        Ok(Lookup::Unknown { scope, decoy }) => {
            let code = if scope == Some(Scope::In) { 100 } else { 101 };
            (code, decoy.map_or(Cost::Inline, |decoy| judge(&decoy).1))
        }
        Err(temporary) => (temporary.code().byte(), Cost::Inline),
    }
}

fn code(module: &Vmailmgr, name: &str, password: &str) -> u8 {
    ask(module, name, password).0
}

fn notices() -> Notices {
    Notices::new(|text| panic!("nothing to say: {text}"))
}

#[test]
fn who_is_refused_is_refused_with_the_right_password_too() {
    let host = Host::new();
    host.write(&[
        ("fine", record(ENABLED, "$0$secret")),
        ("disabled", record(b"\x08\x00\x0a\x01", "$0$secret")),
        ("plain", record(b"\x08\x01\x0a\x00", "$0$secret")),
        ("past", expiring(ENABLED, "$0$secret", "86400")),
        ("future", expiring(ENABLED, "$0$secret", "99999999999")),
    ]);
    let all = Refused { disabled: true, expired: true, without_mailbox: true };
    let none = Refused::default();
    for (refused, wrong) in [
        (none, &[][..]),
        (Refused { disabled: true, ..none }, &["disabled"]),
        (Refused { expired: true, ..none }, &["past"]),
        (Refused { without_mailbox: true, ..none }, &["plain"]),
        (all, &["disabled", "plain", "past"]),
    ] {
        let module = Vmailmgr::open(Options { refused, ..host.options() }, notices());
        for name in ["fine", "disabled", "plain", "past", "future"] {
            let expected = if wrong.contains(&name) { 100 } else { 0 };
            assert_eq!(code(&module, name, "secret"), expected, "{name} {refused:?}");
            assert_eq!(code(&module, name, "wrong"), 100, "{name} {refused:?}");
        }
        // A look-up finds them all: mail is still delivered to them.
        let module = Vmailmgr::open(Options { refused, catch_all: Some(b"+".to_vec()), ..host.options() }, notices());
        let request = Request::decode(b"\x01disabled\0virt.example\0x\0\0", CredentialType::SECRET).expect("a request");
        assert!(matches!(module.lookup(&request), Ok(Lookup::Known(_))));
    }
}

#[test]
fn clear_text_is_judged_in_the_loop_and_hashes_are_not() {
    let host = Host::new();
    host.write(&[("clear", record(ENABLED, "$0$secret"))]);
    let module = Vmailmgr::open(host.options(), notices());
    assert_eq!(ask(&module, "clear", "secret"), (0, Cost::Inline));
    assert_eq!(ask(&module, "nobody", "secret"), (100, Cost::Inline));
    host.write(&[("hash", record(ENABLED, MD5)), ("locked", record(ENABLED, "*"))]);
    assert_eq!(ask(&module, "hash", "secret"), (0, Cost::Cpu));
    assert_eq!(ask(&module, "hash", "wrong"), (100, Cost::Cpu));
    for name in ["locked", "nobody", "somebody"] {
        assert_eq!(ask(&module, name, "secret"), (100, Cost::Cpu), "{name}");
    }
}

#[test]
fn what_would_be_converted_is_judged_by_those_who_can_wait() {
    let host = Host::new();
    let records = [("clear", record(ENABLED, "$0$secret")), ("hash", record(ENABLED, MD5))];
    for (conversion, clear, hash) in
        [(Conversion::ClearText, Cost::Inline, Cost::Wait), (Conversion::Yescrypt, Cost::Wait, Cost::Wait)]
    {
        for (record, expected) in records.iter().zip([clear, hash]) {
            host.write(std::slice::from_ref(record));
            let module = Vmailmgr::open(Options { conversion: Some(conversion), ..host.options() }, notices());
            assert_eq!(ask(&module, record.0, "wrong"), (100, expected));
            assert_eq!(ask(&module, "nobody", "wrong"), (100, expected));
        }
    }
}

#[test]
fn a_decoy_is_never_converted_though_its_password_is_given() {
    let host = Host::new();
    for conversion in [Conversion::ClearText, Conversion::Yescrypt] {
        host.write(&[("joe", record(ENABLED, MD5))]);
        let before = fs::read(host.table()).expect("readable");
        let module = Vmailmgr::open(Options { conversion: Some(conversion), ..host.options() }, notices());
        assert_eq!(code(&module, "nobody", "secret"), 100);
        assert_eq!(fs::read(host.table()).expect("readable"), before);
        assert_eq!(code(&module, "joe", "secret"), 0);
        assert_ne!(fs::read(host.table()).expect("readable"), before);
    }
}

#[test]
fn passwords_are_converted_down_to_clear_text_and_up_to_yescrypt() {
    let host = Host::new();
    let stored = |module: &Vmailmgr, before: &str| {
        host.write(&[("joe", record(ENABLED, before)), ("jim", record(ENABLED, MD5))]);
        assert_eq!(code(module, "joe", "wrong"), 100);
        assert_eq!(code(module, "joe", "secret"), 0, "{before}");
        // The other one is as he was, and both can log in.
        assert_eq!((code(module, "joe", "secret"), code(module, "joe", "wrong")), (0, 100), "{before}");
        let table = Cdb::open(&host.table(), Links::Refused).expect("a table");
        assert_eq!(table.find(b"jim").expect("whole").map(|value| value.to_vec()), Some(record(ENABLED, MD5)));
        let value = table.find(b"joe").expect("whole").expect("there");
        Record::read(&value).expect("a record").password.escape_ascii().to_string()
    };
    let open = |conversion| Vmailmgr::open(Options { conversion: Some(conversion), ..host.options() }, notices());
    let (down, up) = (open(Conversion::ClearText), open(Conversion::Yescrypt));
    let strong = "$y$j9T$RDjiH84JOJX/VgGFwBPb9.$XNH1P.3z9Ypc9sisRxMBxgsB6KKx/nC5mkAdplLTH2B";
    for weak in [MD5, "abNANd1rDfiNc", "35ebe2294ecd0e0f08eab7690d2a6ee69", "$0$secret"] {
        assert_eq!(stored(&down, weak), "$0$secret");
        let converted = stored(&up, weak);
        assert!(converted.starts_with("$y$j9T$"), "{weak} became {converted}");
    }
    assert_eq!(stored(&down, strong), "$0$secret");
    assert_eq!(stored(&up, strong), strong);
}

#[test]
fn a_password_that_changed_meanwhile_stays() {
    let host = Host::new();
    let module = Vmailmgr::open(Options { conversion: Some(Conversion::Yescrypt), ..host.options() }, notices());
    host.write(&[("joe", record(ENABLED, MD5))]);
    let request = Request::decode(b"\x01joe\0virt.example\0secret\0\0", CredentialType::PASSWORD).expect("a request");
    let Ok(Lookup::Known(account)) = module.lookup(&request) else {
        panic!("he is there");
    };
    host.write(&[("joe", record(ENABLED, "$0$new"))]);
    let before = fs::read(host.table()).expect("readable");
    assert_eq!(module.authenticate(&account, &request), Ok(Verdict::Accepted));
    assert_eq!(fs::read(host.table()).expect("readable"), before);
}

#[test]
fn a_table_that_cannot_be_replaced_is_told_once_and_lets_everybody_in() {
    let host = Host::new();
    host.write(&[("joe", record(ENABLED, MD5))]);
    let table = fs::File::options().write(true).open(host.table()).expect("it opens");
    table.set_len(20 << 20).expect("a sparse file, which is too large");
    let (notices, said) = Said::new();
    let module = Vmailmgr::open(Options { conversion: Some(Conversion::ClearText), ..host.options() }, notices);
    for _ in 0..3 {
        assert_eq!(code(&module, "joe", "secret"), 0);
    }
    let said = said.take();
    assert!(said.len() == 1 && said[0].contains("passwd.cdb") && !said[0].contains("secret"), "{said:?}");
}

#[test]
fn challenges_are_answered_from_clear_text_and_convert_nothing() {
    use cvm_core::challenge::Mechanism;
    let host = Host::new();
    host.write(&[("joe", record(ENABLED, "$0$secret")), ("jim", record(ENABLED, MD5))]);
    let before = fs::read(host.table()).expect("readable");
    let (notices, said) = Said::new();
    let module = Vmailmgr::open(Options { conversion: Some(Conversion::Yescrypt), ..host.options() }, notices);
    for (name, expected) in [("joe", Ok(Verdict::Accepted)), ("jim", Ok(Verdict::Rejected { scope: Some(Scope::In) }))]
    {
        let response = Mechanism::CramMd5.response(b"<1@x>", b"secret");
        let packet = [
            b"\x02\0\x01\x03",
            name.as_bytes(),
            b"\x02\x0cvirt.example\x05\x05<1@x>\x06\x10",
            &response,
            b"\x07\x08CRAM-MD5\0",
        ];
        let packet = packet.concat();
        let request = Request::decode(&packet, CredentialType::PASSWORD).expect("a request");
        let Ok(Lookup::Known(account)) = module.lookup(&request) else {
            panic!("{name} is there");
        };
        assert_eq!(module.authenticate(&account, &request), expected, "{name}");
    }
    assert_eq!(fs::read(host.table()).expect("readable"), before);
    assert_eq!(said.take().len(), 1, "the hash cannot answer, and that is told");
}

#[test]
fn a_damaged_table_or_record_is_told_once_and_is_code_4() {
    let host = Host::new();
    let (notices, said) = Said::new();
    let module = Vmailmgr::open(host.options(), notices);
    assert_eq!(code(&module, "joe", "secret"), 101, "a missing table is no virtual domain");
    host.write(&[("joe", record(ENABLED, "$0$secret")), ("bad", b"\x03".to_vec())]);
    assert_eq!((code(&module, "joe", "secret"), code(&module, "bad", "secret")), (0, 4));
    fs::write(host.table(), "no table").expect("written");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(code(&module, "joe", "secret"), 4);
    let said = said.take();
    assert!(said.len() == 1 && said[0].contains("passwd.cdb"), "{said:?}");
}

#[test]
fn a_table_that_somebody_else_has_put_into_a_home_is_code_4() {
    let host = Host::new();
    host.write(&[("joe", record(ENABLED, "$0$secret"))]);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for (uid, expected) in [(1234, 0), (0, 0), (4321, 4), (0, 0), (4321, 4)] {
        std::os::unix::fs::chown(host.table(), Some(uid), Some(2345)).expect("root may");
        let (notices, said) = Said::new();
        let module = Vmailmgr::open(host.options(), notices);
        for _ in 0..2 {
            assert_eq!(code(&module, "joe", "secret"), expected, "{uid}");
        }
        assert_eq!(said.take().len(), usize::from(expected == 4));
        // One table for all owners is where nobody but the administrator writes.
        let module = Vmailmgr::open(Options { table: host.table(), ..host.options() }, Said::new().0);
        assert_eq!(code(&module, "joe", "secret"), 0);
    }
}

#[test]
fn a_table_that_changes_hands_is_not_believed_any_longer() {
    let host = Host::new();
    host.write(&[("joe", record(ENABLED, "$0$secret"))]);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let module = Vmailmgr::open(host.options(), Said::new().0);
    assert_eq!(code(&module, "joe", "secret"), 0);
    std::os::unix::fs::chown(host.table(), Some(4321), Some(2345)).expect("root may");
    assert_eq!(code(&module, "joe", "secret"), 4);
}

#[test]
fn users_are_found_in_the_loop_where_no_name_service_is_asked() {
    let host = Host::new();
    host.write(&[("joe", record(ENABLED, "$0$secret"))]);
    let request = Request::decode(b"\x01joe\0virt.example\0secret\0\0", CredentialType::PASSWORD).expect("a request");
    for (rules, expected) in [(Rules::Qmail, Cost::Inline), (Rules::Original, Cost::Wait)] {
        let options = Options { host: host_options(host.0.path(), rules), ..host.options() };
        let module = Vmailmgr::open(options, notices());
        module.refresh();
        // Those who cannot wait want to know whether folders are local, those who can look.
        let _ = module.lookup_cost(&request);
        assert!(matches!(module.lookup(&request), Ok(Lookup::Known(_))));
        let _ = module.lookup_cost(&request);
        assert!(matches!(module.lookup(&request), Ok(Lookup::Known(_))));
        assert_eq!(module.lookup_cost(&request), expected, "{rules:?}");
    }
}
