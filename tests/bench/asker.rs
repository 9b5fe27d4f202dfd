//! Asking over UDP, one request at a time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::accounts::check;
use crate::measure::{go_on, seconds};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that is connected to one server.
pub(crate) struct Asker {
    socket: UdpSocket,
    answer: [u8; 1024],
}

impl Asker {
    pub(crate) fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.connect(server).expect("a local socket can be connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        Self { socket, answer: [0; 1024] }
    }

    /// Sends a request and returns its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.socket.send(request).expect("a request can be sent");
        let length = loop {
            match self.socket.recv(&mut self.answer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => go_on(),
                received => break received.expect("the server answers"),
            }
        };
        &self.answer[..length]
    }

    /// Asks, checks the code and the tag, and returns the seconds that it took.
    pub(crate) fn timed(&mut self, request: &[u8], code: u8) -> f64 {
        let mut length = 0;
        let seconds = seconds(|| length = self.ask(request).len());
        check(&self.answer[..length], code);
        seconds
    }
}
