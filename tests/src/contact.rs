//! Raw packets over each contact mode.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::packet::Hex;
use crate::process::{self, End, LIMIT};

/// How a module is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a program.
    Command,
    /// Over a UNIX stream socket.
    Local,
    /// Over UDP.
    Udp,
}

impl Mode {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Command, Self::Local, Self::Udp];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "command",
            Self::Local => "local",
            Self::Udp => "UDP",
        })
    }
}

/// Where a module is.
#[derive(Clone, Debug)]
pub enum Contact {
    /// A program that takes no arguments.
    Command(String),
    /// The path of a socket.
    Local(String),
    /// An address.
    Udp(SocketAddr),
}

/// The answer, or what happened instead.
pub type Answer = Result<Vec<u8>, String>;

impl Contact {
    /// Sends a packet and waits for the answer. The status of a command must be the code of its answer.
    ///
    /// # Errors
    ///
    /// What happened instead of an answer.
    pub fn ask(&self, packet: &[u8]) -> Answer {
        match self {
            Self::Command(program) => ask_command(program, packet),
            Self::Local(path) => ask_local(path, packet).map_err(|error| error.to_string()),
            Self::Udp(address) => ask_udp(*address, packet).map_err(|error| error.to_string()),
        }
    }
}

fn ask_command(program: &str, packet: &[u8]) -> Answer {
    let finished = process::run(&mut process::command(program, &[], &[]), packet);
    let code = finished.stdout.first().copied().map(i32::from);
    match finished.end {
        End::Exit(status) if code == Some(status) => Ok(finished.stdout),
        End::Exit(status) => Err(format!("{} and status {status}", Hex(&finished.stdout))),
        end => Err(format!("{end:?}")),
    }
}

fn ask_local(path: &str, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(LIMIT))?;
    // A server may have its answer before it has read everything.
    let _ = stream.write_all(packet);
    let _ = stream.shutdown(Shutdown::Write);
    read_answer(&mut stream)
}

/// Reads a stream to its end.
///
/// # Errors
///
/// What reading fails with; a connection that is reset, because the server did not read everything, has just ended.
pub fn read_answer(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(answer),
    }
}

/// Waits for a datagram, and tells whose it is.
///
/// # Errors
///
/// What receiving fails with.
pub fn receive_from(socket: &UdpSocket, limit: Duration) -> std::io::Result<(Vec<u8>, SocketAddr)> {
    let mut datagram = [0; 2048];
    socket.set_read_timeout(Some(limit))?;
    loop {
        match socket.recv_from(&mut datagram) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => return received.map(|(length, from)| (datagram[..length].to_vec(), from)),
        }
    }
}

fn ask_udp(address: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(address)?;
    socket.send(packet)?;
    Ok(receive_from(&socket, LIMIT)?.0)
}
