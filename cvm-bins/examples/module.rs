//! A module of one's own in twenty lines, run by any of the three drivers.
//!
//!     cargo run -p cvm-bins --example module -- smol /tmp/cvm.socket 127.0.0.1:7911
//!
//! It ends when it gets SIGTERM.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use cvm_core::answer::{Answer, Answerer};
use cvm_core::module::{Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Policy, StandardFacts};

/// Lets everybody in whose password is the name backwards.
struct Backwards;

impl Module for Backwards {
    type Account = Vec<u8>;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Vec<u8>>, Temporary> {
        Ok(Lookup::Known(request.account().unwrap_or_default().to_vec()))
    }

    fn authenticate(&self, name: &Vec<u8>, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let backwards: Vec<u8> = name.iter().rev().copied().collect();
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(&backwards))))
    }

    fn results(&self, name: &Vec<u8>, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let (userid, groupid) = (65534, 65534);
        facts.standard(&StandardFacts { username: name, userid, groupid, directory: b"/", ..Default::default() });
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let [driver, path, address] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("usage: mio|smol|blocking PATH ADDRESS:PORT");
    let (listener, socket) = (UnixListener::bind(path)?, UdpSocket::bind(address)?);
    let answer: Arc<dyn Answer> = Arc::new(Answerer::new(Backwards, Policy::Authenticate, ()));
    // Each of the two becomes readable when something is to be done; nobody asks for files to be read again here.
    let ((stop, tell_stop), (reload, _kept)) = (UnixStream::pair()?, UnixStream::pair()?);
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, tell_stop)?;
    let (stop, reload) = (stop.as_fd(), reload.as_fd());
    println!("Starting.");
    match driver.as_str() {
        "mio" => {
            listener.set_nonblocking(true)?;
            let sockets = cvm_io_mio::Sockets { locals: vec![listener], udps: vec![vec![socket]] };
            let signals = cvm_io_mio::Signals { stop, reload };
            cvm_io_mio::serve(sockets, &answer, cvm_io_mio::Options::default(), signals, |_| {})
        }
        "smol" => {
            let sockets = cvm_io_smol::Sockets { locals: vec![listener], udps: vec![socket] };
            let signals = cvm_io_smol::Signals { stop, reload };
            let options = cvm_io_smol::Options::default();
            cvm_io_smol::block_on(cvm_io_smol::serve(sockets, &answer, options, signals, |_| {}))
        }
        "blocking" => {
            use cvm_io_blocking::server::{Options, Signals, Sockets, serve};
            let sockets = Sockets { locals: vec![listener], udps: vec![socket] };
            serve(sockets, &answer, Options::default(), Signals { stop, reload })
        }
        _ => Err(io::Error::other("expected mio, smol or blocking")),
    }
}
