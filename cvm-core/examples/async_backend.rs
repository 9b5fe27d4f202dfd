//! An asynchronous backend: it cannot be a `Module`, whose steps are ordinary calls, so it drives an `Exchange` by hand.
//!
//!     printf 'alice:secret:1000:1000::/home/alice:\n' >/tmp/accounts
//!     cargo run -p cvm-core --example async_backend -- /tmp/accounts 127.0.0.1:7911
//!
//! Accounts are in a file of passwd(5) lines, read with tokio for each request; a database behind an asynchronous
//! client would take its place. No step can be left out: each consumes the one before, and what refuses a request on
//! the way is a `Refusal`, to be written like any answer.

#![expect(clippy::disallowed_methods, reason = "an example has the input and output that the core has not")]

use std::io;
use std::path::Path;
use std::sync::Arc;

use cvm_core::exchange::{AfterLookup, Exchange, Refusal};
use cvm_core::module::{Accepts, Lookup, Temporary, Verdict};
use cvm_core::observe::{Answered, Observer};
use cvm_core::wire::{Packet, Request, is_refusal};
use cvm_core::{Policy, StandardFacts};
use tokio::fs;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use zeroize::{Zeroize, Zeroizing};

/// Prints a line for each answer.
struct Log;

impl Observer for Log {
    fn answered(&self, answered: &Answered<'_>) {
        println!("{} {}", answered.code, answered.account.unwrap_or_default().escape_ascii());
    }
}

/// A line of the file.
struct Account {
    name: String,
    password: String,
    userid: u64,
    groupid: u64,
    directory: String,
}

impl Account {
    fn parse(line: &str) -> Option<Self> {
        let [name, password, userid, groupid, _, directory, _] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
        let (userid, groupid) = (userid.parse().ok()?, groupid.parse().ok()?);
        Some(Self { name: name.into(), password: password.into(), userid, groupid, directory: directory.into() })
    }

    fn facts(&self) -> StandardFacts<'_> {
        StandardFacts {
            username: self.name.as_bytes(),
            userid: self.userid,
            groupid: self.groupid,
            directory: self.directory.as_bytes(),
            ..Default::default()
        }
    }
}

/// Step one, which waits: finds the account.
async fn lookup(file: &Path, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
    let text = fs::read_to_string(file).await.map_err(|_| Temporary::IO)?;
    let mut accounts = text.lines().filter_map(Account::parse);
    let found = accounts.find(|account| Some(account.name.as_bytes()) == request.account());
    Ok(found.map_or(Lookup::Unknown { scope: None, decoy: None }, Lookup::Known))
}

/// Step two: judges the password. It could wait as well.
async fn authenticate(account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
    let right = request.password().is_some_and(|password| password.equals(account.password.as_bytes()));
    Ok(Verdict::from_match(right && !account.password.is_empty()))
}

/// Takes a packet through all steps, or returns what stopped it.
async fn exchange<'p>(
    policy: &Policy,
    file: &Path,
    packet: &'p [u8],
    out: &mut Packet,
) -> Result<Answered<'p>, Refusal<'p>> {
    let exchange = Exchange::begin(policy, Accepts::Password, packet)?;
    let found = lookup(file, exchange.request()).await;
    let granted = match exchange.looked_up(found)? {
        AfterLookup::Granted(granted) => granted,
        AfterLookup::Authenticate(claim) => {
            let verdict = authenticate(claim.account(), claim.request()).await;
            claim.judged(verdict)?
        }
    };
    let code = granted.results(out, |account, facts| {
        facts.standard(&account.facts());
        Ok(())
    });
    Ok(Answered::new(code, Some(granted.request())))
}

async fn answer(policy: &Policy, file: &Path, packet: &[u8]) -> Packet {
    let mut out = Packet::new();
    match exchange(policy, file, packet, &mut out).await {
        Ok(answered) => Log.answered(&answered),
        Err(refusal) => {
            Log.answered(&refusal.answered());
            refusal.write(&mut out);
        }
    }
    out
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let [file, address] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("usage: FILE ADDRESS:PORT");
    let (file, socket) = (Arc::<Path>::from(Path::new(&file)), Arc::new(UdpSocket::bind(address).await?));
    // While so many are in hand, others wait in the socket's buffer.
    let places = Arc::new(Semaphore::new(100));
    println!("Starting.");
    let mut datagram = [0; 513];
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        let (length, from) = socket.recv_from(&mut datagram).await?;
        // Passwords are wiped wherever they were.
        let packet = Zeroizing::new(datagram[..length].to_vec());
        datagram.zeroize();
        let (file, socket) = (Arc::clone(&file), Arc::clone(&socket));
        tokio::spawn(async move {
            // Not answered, so that no two servers answer each other for ever.
            if !is_refusal(&packet) {
                // An answer that cannot be sent is one that got lost: the client asks again.
                let _ = socket.send_to(&answer(&Policy::Authenticate, &file, &packet).await, from).await;
            }
            drop(place);
        });
    }
}
