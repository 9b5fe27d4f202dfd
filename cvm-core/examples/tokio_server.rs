//! The core in tokio: a UNIX socket and a UDP socket, served side by side.
//!
//!     cargo run -p cvm-core --example tokio_server -- /tmp/cvm.socket 127.0.0.1:7911
//!
//! Packets are answered in the loop if that is cheap. What the module calls costly goes to tokio's threads, with a
//! bound: whoever finds all of them busy gets code 4 at once. Nothing else is without bounds either: who connects when
//! there are many waits in the listen queue.

#![expect(clippy::disallowed_methods, reason = "an example has the input and output that the core has not")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cvm_core::answer::{Answer, Answerer, Patience, answer_packet};
use cvm_core::framing::{Framing, Progress};
use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Packet, Request, is_refusal};
use cvm_core::{Policy, StandardFacts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UdpSocket, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use zeroize::{Zeroize, Zeroizing};

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait before trying a socket again that failed, mostly for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// One account, whose password is costly to check.
struct OneAccount;

impl Module for OneAccount {
    type Account = ();

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<()>, Temporary> {
        Ok(match request.account() {
            Some(b"alice") => Lookup::Known(()),
            // The decoy makes an unknown account take as long as a known one.
            _ => Lookup::Unknown { scope: None, decoy: Some(()) },
        })
    }

    fn authenticate(&self, (): &(), request: &Request<'_>) -> Result<Verdict, Temporary> {
        std::thread::sleep(Duration::from_millis(10)); // In place of a slow hash.
        Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
    }

    fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let (userid, groupid) = (1000, 1000);
        facts.standard(&StandardFacts {
            username: b"alice",
            userid,
            groupid,
            directory: b"/home/alice",
            ..Default::default()
        });
        Ok(())
    }

    fn authenticate_cost(&self, (): &()) -> Cost {
        Cost::Cpu
    }
}

/// What answers, how many threads may hash at a time, and how many connections there may be.
struct Server {
    answer: Arc<dyn Answer>,
    hashing: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Answers one packet.
    async fn answer(&self, packet: &[u8]) -> Packet {
        let mut out = Packet::new();
        self.answer.refresh();
        let answered = answer_packet(&*self.answer, packet, &mut out, Patience::Immediate);
        // Before anything is waited for: a round is over on the thread that it began on.
        self.answer.end_round();
        if answered.is_err() {
            out = self.answer_in_a_thread(packet).await;
        }
        out
    }

    async fn answer_in_a_thread(&self, packet: &[u8]) -> Packet {
        let mut out = Packet::new();
        let Ok(place) = Arc::clone(&self.hashing).try_acquire_owned() else {
            self.answer.refuse(packet, &mut out, Temporary::IO);
            return out;
        };
        // Passwords are wiped wherever they were.
        let (answer, copy) = (Arc::clone(&self.answer), Zeroizing::new(packet.to_vec()));
        let answered = spawn_blocking(move || {
            let _place = place;
            // With all patience, it is answered: with code 1 if the module panics.
            let _ = answer_packet(&*answer, &copy, &mut out, Patience::Blocking);
            answer.end_round();
            out
        });
        answered.await.expect("panics stay in the thread")
    }
}

/// One request per connection: read to the end, answer, close.
async fn serve_connection(server: Arc<Server>, mut stream: UnixStream) -> io::Result<()> {
    let mut framing = Framing::new(None);
    while framing.progress() != Progress::Complete {
        let count = match framing.progress() {
            // A packet of the greatest length ends here, unless one byte more is there already.
            Progress::OneMoreIfThere => stream.try_read(framing.space()).unwrap_or(0),
            _ => stream.read(framing.space()).await?,
        };
        let _ = framing.handle_input(count);
    }
    stream.write_all(&server.answer(framing.packet()).await).await
}

async fn serve_local(server: Arc<Server>, listener: UnixListener) -> io::Result<()> {
    loop {
        let place = Arc::clone(&server.connections).acquire_owned().await.expect("nobody closes it");
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let serving = serve_connection(Arc::clone(&server), stream);
        tokio::spawn(async move {
            // A silent client is given up.
            let _ = timeout(TIMEOUT, serving).await;
            drop(place);
        });
    }
}

async fn serve_udp(server: Arc<Server>, socket: UdpSocket) -> io::Result<()> {
    let socket = Arc::new(socket);
    // One byte more than a packet has, to tell one that is too long.
    let mut datagram = [0; 513];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else {
            sleep(PAUSE).await;
            continue;
        };
        let packet = Zeroizing::new(datagram[..length].to_vec());
        datagram.zeroize();
        // Not answered, so that no two servers answer each other for ever.
        if is_refusal(&packet) {
            continue;
        }
        let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
        // An answer that cannot be sent at once is one that got lost: the client asks again.
        tokio::spawn(async move { socket.try_send_to(&server.answer(&packet).await, from) });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let [path, address] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("usage: PATH ADDRESS:PORT");
    let (listener, socket) = (UnixListener::bind(path)?, UdpSocket::bind(address).await?);
    let answer = Arc::new(Answerer::new(OneAccount, Policy::Authenticate, ()));
    let (hashing, connections) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(500)));
    let server = Arc::new(Server { answer, hashing, connections });
    println!("Starting.");
    tokio::try_join!(serve_local(Arc::clone(&server), listener), serve_udp(server, socket))?;
    Ok(())
}
