//! The core in a bare loop around epoll (through the `polling` crate), in about a hundred lines: no threads, no
//! runtime.
//!
//!     cargo run -p cvm-core --example epoll_server -- /tmp/cvm.socket 127.0.0.1:7911

#![expect(clippy::disallowed_methods, reason = "an example has the input and output that the core has not")]
#![expect(clippy::disallowed_types, reason = "an example has the input and output that the core has not")]
#![expect(unsafe_code, reason = "whoever adds a descriptor to epoll promises to remove it before it is closed")]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Answerer, Patience, answer_packet};
use cvm_core::framing::{Framing, Progress};
use cvm_core::module::{Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Packet, Request, is_refusal};
use cvm_core::{Policy, StandardFacts};
use polling::{Event, Events, PollMode, Poller};

const LISTENER: usize = 0;
const SOCKET: usize = 1;

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The most connections; beyond it the oldest one goes.
const CONNECTIONS_MAX: usize = 500;

/// One account.
struct OneAccount;

impl Module for OneAccount {
    type Account = ();

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<()>, Temporary> {
        let known = request.account() == Some(b"alice");
        Ok(if known { Lookup::Known(()) } else { Lookup::Unknown { scope: None, decoy: Some(()) } })
    }

    fn authenticate(&self, (): &(), request: &Request<'_>) -> Result<Verdict, Temporary> {
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&StandardFacts { username: b"alice", directory: b"/home/alice", ..Default::default() });
        Ok(())
    }
}

struct EventLoop {
    poller: Poller,
    listener: UnixListener,
    socket: UdpSocket,
    /// Each connection by its key, with what it has sent. The first is the oldest.
    connections: BTreeMap<usize, (UnixStream, Framing)>,
    next_key: usize,
    server: Answerer<OneAccount>,
}

impl EventLoop {
    fn new(listener: UnixListener, socket: UdpSocket) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        socket.set_nonblocking(true)?;
        let poller = Poller::new()?;
        // SAFETY: both live as long as the poller does.
        unsafe { poller.add_with_mode(&listener, Event::readable(LISTENER), PollMode::Level)? };
        unsafe { poller.add_with_mode(&socket, Event::readable(SOCKET), PollMode::Level)? };
        let server = Answerer::new(OneAccount, Policy::Authenticate, ());
        Ok(Self { poller, listener, socket, connections: BTreeMap::new(), next_key: SOCKET + 1, server })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::new();
        loop {
            let timeout = self.next_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
            events.clear();
            self.poller.wait(&mut events, timeout)?;
            self.server.refresh();
            for event in events.iter() {
                match event.key {
                    LISTENER => self.accept()?,
                    SOCKET => self.answer_datagram(),
                    key => self.receive(key)?,
                }
            }
            while self.next_deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.close_oldest()?;
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.connections.first_key_value().and_then(|(_, (_, framing))| framing.deadline())
    }

    fn answer(&self, packet: &[u8]) -> Packet {
        let mut out = Packet::new();
        // This module is cheap; one that is not would be asked with `Patience::Immediate`, and given to a thread.
        let _ = answer_packet(&self.server, packet, &mut out, Patience::Blocking);
        self.server.end_round();
        out
    }

    fn answer_datagram(&self) {
        let mut datagram = [0; 513];
        let Ok((length, from)) = self.socket.recv_from(&mut datagram) else { return };
        if !is_refusal(&datagram[..length]) {
            // One that gets lost is asked for again.
            let _ = self.socket.send_to(&self.answer(&datagram[..length]), from);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        if self.connections.len() == CONNECTIONS_MAX {
            self.close_oldest()?;
        }
        let Ok((stream, _)) = self.listener.accept() else { return Ok(()) };
        stream.set_nonblocking(true)?;
        let key = self.next_key;
        self.next_key += 1;
        // SAFETY: `close` removes it before it is dropped.
        unsafe { self.poller.add_with_mode(&stream, Event::readable(key), PollMode::Level)? };
        self.connections.insert(key, (stream, Framing::new(Some(Instant::now() + TIMEOUT))));
        Ok(())
    }

    fn receive(&mut self, key: usize) -> io::Result<()> {
        let Some((stream, framing)) = self.connections.get_mut(&key) else { return Ok(()) };
        while framing.progress() != Progress::Complete {
            let count = match stream.read(framing.space()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && framing.progress() == Progress::More => {
                    return Ok(());
                }
                // No byte beyond the greatest length, or the end of a connection that broke.
                read => read.unwrap_or(0),
            };
            let _ = framing.handle_input(count);
        }
        let (mut stream, framing) = self.close(key)?;
        // An empty buffer takes a packet whole. A peer that has gone gets none.
        let _ = stream.write(&self.answer(framing.packet()));
        Ok(())
    }

    fn close_oldest(&mut self) -> io::Result<()> {
        self.connections.first_key_value().map(|(&key, _)| key).map_or(Ok(()), |key| self.close(key).map(drop))
    }

    fn close(&mut self, key: usize) -> io::Result<(UnixStream, Framing)> {
        let connection = self.connections.remove(&key).ok_or(ErrorKind::NotFound)?;
        self.poller.delete(&connection.0)?;
        Ok(connection)
    }
}

fn main() -> io::Result<()> {
    let [path, address] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("usage: PATH ADDRESS:PORT");
    let event_loop = EventLoop::new(UnixListener::bind(path)?, UdpSocket::bind(address)?)?;
    println!("Starting.");
    event_loop.run()
}
