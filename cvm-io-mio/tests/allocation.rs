//! The datagram path allocates nothing: a program of its own, because it counts for all threads.

#![expect(unsafe_code, reason = "an allocator is counted by being one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cvm_core::answer::{Answer, Answerer};
use cvm_core::module::{Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Policy, StandardFacts};
use cvm_io_mio::{Options, Signals, Sockets, serve};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Lets everybody in.
struct Open;

impl Module for Open {
    type Account = ();

    fn lookup(&self, _: &Request<'_>) -> Result<Lookup<()>, Temporary> {
        Ok(Lookup::Known(()))
    }

    fn authenticate(&self, (): &(), request: &Request<'_>) -> Result<Verdict, Temporary> {
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&StandardFacts { username: b"a", directory: b"/", ..StandardFacts::default() });
        Ok(())
    }
}

#[test]
fn a_datagram_allocates_nothing() {
    // Bound to every address, so that control messages are part of it.
    let server = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let answer: Arc<dyn Answer> = Arc::new(Answerer::new(Open, Policy::Authenticate, ()));
    let ((stop, stopped), (_reload, reloaded)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let thread = thread::spawn(move || {
        let signals = Signals { stop: stopped.as_fd(), reload: reloaded.as_fd() };
        let options = Options { threads: 1, ..Options::default() };
        serve(Sockets { locals: Vec::new(), udps: vec![vec![server]] }, &answer, options, signals, |_| {})
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = [0; 512];
    let mut ask = |request: &[u8], code| {
        // Several at a time, so that there are batches.
        (0..8).for_each(|_| assert_eq!(client.send(request).unwrap(), request.len()));
        for _ in 0..8 {
            client.recv(&mut answer).unwrap();
            assert_eq!(answer[0], code);
        }
    };
    let mut ask_all = |rounds| {
        for _ in 0..rounds {
            ask(b"\x02\x01T\x01\x01a\x03\x06secret\0", 0);
            ask(b"\x02\x01T\x01\x01a\x03\x05wrong\0", 100);
            ask(b"\x05", 2);
        }
    };
    ask_all(20);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    ask_all(200);
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0);
    drop(stop);
    thread.join().unwrap().unwrap();
}
