//! Lists of modules: who is asked, and whose answer counts (SPEC section 7).

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials};
use cvm_core::{Code, Scope, SecretRef};
use cvm_io_blocking::client::{Client, Failure};
use tempfile::TempDir;

use crate::support::{FACTS, TIMEOUT, modules, request, udp};

const REJECTED: &[u8] = b"d\0\0";
const IN_SCOPE: &[u8] = b"d\0\x10\x010\0";
const OUT_OF_SCOPE: &[u8] = b"d\0\x10\x011\0";
const BROKEN: &[u8] = b"\x04\0\0";

/// UNIX sockets that give answers which are known before.
struct Modules {
    paths: Vec<PathBuf>,
    asked: Vec<Arc<AtomicUsize>>,
    _directory: TempDir,
}

impl Modules {
    fn new(responses: &[&[u8]]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (mut paths, mut asked) = (Vec::new(), Vec::new());
        for (number, response) in responses.iter().enumerate() {
            let path = directory.path().join(number.to_string());
            asked.push(serve(UnixListener::bind(&path).unwrap(), response.to_vec()));
            paths.push(path);
        }
        Self { paths, asked, _directory: directory }
    }

    fn list(&self) -> String {
        let names: Vec<_> = self.paths.iter().map(|path| format!("cvm-local:{}", path.display())).collect();
        names.join(",")
    }

    /// The code and scope that the list amounts to, and how often each was asked.
    fn ask(&self) -> (Code, Option<Scope>, Vec<usize>) {
        let reply = Client::new(TIMEOUT).ask(&modules(self.list()), &request(b"")).unwrap();
        let asked = self.asked.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        (reply.code, reply.scope(), asked)
    }
}

fn serve(listener: UnixListener, response: Vec<u8>) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read_to_end(&mut Vec::new());
            let _ = stream.write_all(&response);
        }
    });
    asked
}

fn success() -> Vec<u8> {
    [b"\0\0", FACTS].concat()
}

#[test]
fn a_rejection_that_is_not_in_scope_goes_on_to_the_next() {
    let success = success();
    let modules = Modules::new(&[REJECTED, OUT_OF_SCOPE, &success, BROKEN]);
    assert_eq!(modules.ask(), (Code::SUCCESS, None, vec![1, 1, 1, 0]));
}

#[test]
fn a_rejection_in_scope_ends_the_chain() {
    let success = success();
    let modules = Modules::new(&[OUT_OF_SCOPE, IN_SCOPE, &success]);
    assert_eq!(modules.ask(), (Code::REJECTED, Some(Scope::In), vec![1, 1, 0]));
}

#[test]
fn a_temporary_failure_ends_the_chain() {
    let success = success();
    assert_eq!(Modules::new(&[BROKEN, &success]).ask(), (Code::IO, None, vec![1, 0]));
}

#[test]
fn after_the_last_rejection_that_one_stands() {
    assert_eq!(Modules::new(&[OUT_OF_SCOPE, REJECTED]).ask(), (Code::REJECTED, None, vec![1, 1]));
    assert_eq!(Modules::new(&[REJECTED, OUT_OF_SCOPE]).ask(), (Code::REJECTED, Some(Scope::Out), vec![1, 1]));
}

#[test]
fn a_module_that_cannot_be_asked_ends_the_chain_and_is_named() {
    let success = success();
    let reachable = Modules::new(&[&success]);
    let list = format!("/no/such/module,{}", reachable.list());
    let failure = Client::new(TIMEOUT).ask(&modules(list), &request(b"")).unwrap_err();
    assert!(matches!(failure, Failure::Io { .. }));
    assert_eq!(failure.code(), Code::IO);
    assert!(failure.to_string().starts_with("cvm-command:/no/such/module: "), "{failure}");
}

#[test]
fn modules_of_different_kinds_get_the_same_tagged_request() {
    let server = udp("127.0.0.1:0");
    let list = format!("cvm-local:{},cvm-udp:127.0.0.1:{}", server.path().display(), server.port());
    let ask = |account: &str, tag: &[u8]| {
        let account = Account::whole(account.as_bytes(), b"");
        let credentials = Credentials::of_password(account, SecretRef::new(b"secret"));
        let request = ClientRequest::v2(&credentials, tag).unwrap();
        Client::new(TIMEOUT).ask(&modules(&list), &request).unwrap().code
    };
    assert_eq!(ask("alice", b"12345678"), Code::SUCCESS);
    assert_eq!(ask("nobody", &[0xff; 255]), Code::REJECTED);
    assert_eq!(ask("broken", b""), Code::IO);
}
