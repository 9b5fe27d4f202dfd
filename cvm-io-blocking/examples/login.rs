//! A client in somebody's blocking program: asks CVM modules whether it knows you.
//!
//!     echo secret | cargo run -p cvm-io-blocking --example login -- cvm-udp:localhost:7911 alice
//!
//! The exit status is 0 for a yes, 1 for a no and 111 if nothing could be told: as the protocol says, only a code 100
//! is a no, so that an outage locks nobody out for good.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::{FactType, Secret};
use cvm_io_blocking::client::{Client, fill_with_random};

fn main() -> ExitCode {
    match login() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("login: {error}");
            ExitCode::from(111)
        }
    }
}

fn login() -> Result<ExitCode, Box<dyn Error>> {
    let [modules, name] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: MODULES NAME")?;
    // Modules are asked in turn until one knows; `alice@example.com` is an account and its domain.
    let modules = ModuleList::parse(modules.as_bytes())?;
    let account = Account::split(name.as_bytes(), b"", b"@");
    let password = read_password()?;
    // Over UDP, random bytes tell the answer from everybody else's.
    let mut tag = vec![0; if modules.needs_tag() { 8 } else { 0 }];
    fill_with_random(&mut tag)?;
    let request = ClientRequest::v2(&Credentials::of_password(account, password.as_ref()), &tag)?;
    let reply = Client::new(Duration::from_secs(10)).ask(&modules, &request)?;
    if reply.code.is_success() {
        let fact = |kind| String::from_utf8_lossy(reply.facts.get(kind).unwrap_or_default()).into_owned();
        println!("Hello {}, your home is {}.", fact(FactType::USERNAME), fact(FactType::DIRECTORY));
        Ok(ExitCode::SUCCESS)
    } else if reply.code.is_rejected() {
        println!("Go away.");
        Ok(ExitCode::from(1))
    } else {
        Err(format!("try again later: {}", reply.code).into())
    }
}

/// Reads a line into what is wiped when it is dropped.
fn read_password() -> io::Result<Secret> {
    let mut line = zeroize::Zeroizing::new(String::with_capacity(512));
    io::stdin().read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches('\n').as_bytes()))
}
