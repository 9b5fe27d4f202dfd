//! What waits for a moment only, the thread of the loop does itself, until it takes longer.

use std::time::Duration;

use cvm_io_mio::Options;

use crate::support::{HANGING, Server, eventually, failure, is_quiet, login, options, receive, send, start, success};

fn wait(server: &Server) {
    assert_eq!(server.ask(&login(b"W", b"wait")), success(b"W"));
}

/// Tells whether the thread that has the loop waits itself.
fn loop_waits(server: &Server) -> bool {
    assert!(server.is_serving());
    let has_loop = server.seen.thread();
    wait(server);
    server.seen.thread() == has_loop
}

/// Starts a server whose loop waits itself.
fn accustomed(options: Options) -> Server {
    let server = start(options);
    server.seen.open_gate();
    assert!(eventually(HANGING, || loop_waits(&server)));
    server
}

#[test]
fn a_wait_that_is_longer_than_the_others_delays_nobody_else() {
    let server = accustomed(Options { wait_workers: 2, ..options() });
    for _ in 0..3 {
        server.seen.close_gate();
        let (slow, begun) = (server.udp(), server.seen.begun());
        slow.send(&login(b"S", b"wait")).unwrap();
        assert!(server.seen.has_begun(begun + 1));
        let has_lost = server.seen.thread();
        for number in 0..100 {
            assert_eq!(server.ask(&login(&[number], b"alice")), success(&[number]));
        }
        assert_ne!(server.seen.thread(), has_lost);
        let other = server.udp();
        other.send(&login(b"O", b"wait")).unwrap();
        assert!(server.seen.has_begun(begun + 102), "a worker has it");
        assert!(server.is_serving());
        server.seen.open_gate();
        assert_eq!((receive(&slow), receive(&other)), (success(b"S"), success(b"O")));
        assert!(eventually(HANGING, || loop_waits(&server)));
    }
}

#[test]
fn loops_that_wait_count_as_workers() {
    for threads in [1, 2] {
        let server = accustomed(Options { threads, ..options() });
        server.seen.close_gate();
        let (socket, begun) = (server.udp(), server.seen.begun());
        socket.send(&login(b"1", b"wait")).unwrap();
        assert!(server.seen.has_begun(begun + 1));
        // Both loops get some.
        let others: Vec<_> = (0..20).map(|_| server.udp()).collect();
        others.iter().for_each(|other| send(other, &login(b"2", b"wait")));
        assert!(others.iter().all(is_quiet));
        assert_eq!(server.seen.begun(), begun + 21, "there may be one at a time, beside those for which nothing waits");
        server.seen.open_gate();
        assert_eq!(receive(&socket), success(b"1"));
        assert!(others.iter().all(|other| receive(other) == success(b"2")));
    }
}

#[test]
fn workers_do_what_always_takes_longer() {
    let server = accustomed(options());
    let slow = || assert_eq!(server.ask(&login(b"S", b"waitslow")), success(b"S"));
    // After each but the last of three losses a worker has the next one.
    (0..6).for_each(|_| slow());
    assert!(server.is_serving());
    let has_loop = server.seen.thread();
    slow();
    assert_ne!(server.seen.thread(), has_loop);
}

#[test]
fn a_loop_survives_a_panic_of_what_it_waits_for() {
    let server = accustomed(options());
    for _ in 0..3 {
        assert_eq!(server.ask(&login(b"P", b"waitpanic")), failure(1, b"P"));
        assert!(eventually(HANGING, || loop_waits(&server)));
    }
}

#[test]
fn nobody_waits_at_the_end_for_a_thread_that_has_lost_its_loop() {
    let mut server = accustomed(Options { io_timeout: Duration::from_millis(300), ..options() });
    server.seen.close_gate();
    let begun = server.seen.begun();
    server.udp().send(&login(b"S", b"wait")).unwrap();
    assert!(server.seen.has_begun(begun + 1));
    assert!(server.is_serving());
    server.stop();
}

#[test]
fn what_is_waited_for_at_the_end_is_answered() {
    let mut server = accustomed(options());
    server.seen.close_gate();
    let (socket, begun) = (server.udp(), server.seen.begun());
    socket.send(&login(b"S", b"wait")).unwrap();
    assert!(server.seen.has_begun(begun + 1));
    server.tell_to_stop();
    assert!(eventually(HANGING, || std::os::unix::net::UnixStream::connect(server.path()).is_err()));
    server.seen.open_gate();
    assert_eq!(receive(&socket), success(b"S"));
    server.wait();
}
