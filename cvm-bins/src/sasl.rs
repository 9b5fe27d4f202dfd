//! SASL over a stream of lines: a client's lines in, challenges out, the modules asked in between.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use cvm_core::FactType;
use cvm_core::account::Account;
use cvm_core::client::ModuleList;
use cvm_core::sasl::{self, Attempt, Line, Login, Mechanism, Modules, Outcome, Step};
use cvm_core::wire::Reply;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::asking;
use crate::environment::{self, SettingError};
use crate::program::Stopped;

/// The settings of whoever lets clients log in.
pub const SETTINGS: &[(&str, &str)] = &[
    ("CVM_SASL_PLAIN", "modules for PLAIN, and for LOGIN unless it has its own"),
    ("CVM_SASL_LOGIN", "modules for LOGIN"),
    ("CVM_SASL_CRAM_MD5", "modules for CRAM-MD5, which have to know passwords in plain text"),
    asking::PROTO,
    asking::SPLIT_CHARS,
    asking::RANDOM_BYTES,
];

/// Returns the modules of the settings.
pub fn modules() -> Result<Modules, SettingError> {
    let list = |name| environment::parsed(name, "modules, separated by commas", |value| ModuleList::parse(value).ok());
    Ok(Modules::new(list("CVM_SASL_PLAIN")?, list("CVM_SASL_LOGIN")?, list("CVM_SASL_CRAM_MD5")?))
}

/// How a login ended. Prints as the line that tells of it.
#[derive(Debug)]
pub struct Ended {
    /// The mechanism as the client wrote it.
    mechanism: Vec<u8>,
    /// What the client is told.
    pub outcome: Outcome,
    names: Names,
}

/// Who logged in by the module's facts, or who tried to.
#[derive(Debug, Default)]
struct Names {
    username: Option<Vec<u8>>,
    sys_username: Option<Vec<u8>>,
    domain: Option<Vec<u8>>,
}

/// Lets a client log in that has said `argument` behind AUTH: the name of a mechanism, perhaps an initial response.
pub fn authenticate(
    modules: &Modules,
    argument: &[u8],
    client: &mut Dialogue<impl AsFd, impl Write>,
) -> Result<Ended, Stopped> {
    let Attempt { mechanism: name, initial } = Attempt::parse(argument);
    let configured = Mechanism::from_name(name).and_then(|mechanism| Some((mechanism, modules.of(mechanism)?)));
    let (outcome, names) = match configured {
        None => (Outcome::NoMechanism, Names::default()),
        Some((mechanism, modules)) => run(sasl::start(mechanism, initial, challenge_text()?), modules, client)?,
    };
    Ok(Ended { mechanism: name.to_vec(), outcome, names })
}

fn challenge_text() -> Result<Vec<u8>, Stopped> {
    let mut random = [0; 8];
    asking::fill_with_random(&mut random)?;
    // A clock before the epoch tells nothing; the random digits are what counts.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(sasl::challenge_text(std::process::id(), u64::from_ne_bytes(random), now, &asking::ucspi_domain()))
}

fn run(
    mut step: Step,
    modules: &ModuleList,
    client: &mut Dialogue<impl AsFd, impl Write>,
) -> Result<(Outcome, Names), Stopped> {
    loop {
        step = match step {
            Step::Ended(ended) => return Ok((ended.outcome, Names::of_client(ended.user.as_deref()))),
            Step::Check(login) => return check(&login, modules),
            Step::Challenge(pending) => match client.ask(&pending.challenge())? {
                Some(line) => pending.handle_line(line.text()),
                None => pending.handle_end(),
            },
        }
    }
}

fn check(login: &Login, modules: &ModuleList) -> Result<(Outcome, Names), Stopped> {
    let (domain, split_chars) = (asking::ucspi_domain(), asking::split_chars());
    let credentials = login.credentials(Account::split(login.user(), &domain, &split_chars));
    let request = asking::v2_request(modules, &credentials);
    let reply = match request.and_then(|request| asking::ask_about_login(modules, &request)) {
        // The client's name or password is longer than anybody can be asked about.
        Err(Stopped::Request(error)) => Reply::failure(error.code()),
        reply => reply?,
    };
    let accepted = reply.code.is_success();
    let names = if accepted { Names::of_facts(&reply) } else { Names::of_client(Some(login.user())) };
    Ok((Outcome::of(reply.code), names))
}

impl Names {
    fn of_facts(reply: &Reply) -> Self {
        let fact = |kind| reply.facts.get(kind).map(<[u8]>::to_vec);
        Self {
            username: fact(FactType::USERNAME),
            sys_username: fact(FactType::SYS_USERNAME),
            domain: fact(FactType::DOMAIN),
        }
    }

    fn of_client(user: Option<&[u8]>) -> Self {
        let (domain, split_chars) = (asking::ucspi_domain(), asking::split_chars());
        let Some(account) = user.map(|user| Account::split(user, &domain, &split_chars)) else {
            return Self::default();
        };
        let domain = account.domain.filter(|domain| !domain.is_empty());
        Self { username: Some(account.name.to_vec()), sys_username: None, domain: domain.map(<[u8]>::to_vec) }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SASL AUTH {}", printable(&self.mechanism))?;
        match self.outcome {
            Outcome::Accepted => self.names.fmt(f),
            Outcome::NoMechanism => f.write_str(" failed: no such mechanism"),
            Outcome::BadResponse => f.write_str(" failed: bad response"),
            Outcome::Cancelled => f.write_str(" failed: aborted"),
            _ if self.names.username.is_none() => f.write_str(" failed, no username"),
            _ => write!(f, " failed{}", self.names),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [("username", &self.username), ("sys_username", &self.sys_username), ("domain", &self.domain)];
        let mut names = names.iter().filter_map(|(title, name)| Some((title, name.as_deref()?)));
        names.try_for_each(|(title, name)| write!(f, " {title}={}", printable(name)))
    }
}

/// Shows a name that may hold anything without letting it forge a line.
fn printable(name: &[u8]) -> String {
    name.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' }).collect()
}

/// A client that answers challenges, line by line.
pub struct Dialogue<R, W> {
    input: Lines<R>,
    output: W,
    prefix: &'static str,
}

impl<R: AsFd, W: Write> Dialogue<R, W> {
    /// Takes both directions, and what the protocol puts before a challenge: `334 ` in SMTP, `+ ` in POP3 and IMAP.
    pub fn new(input: R, output: W, prefix: &'static str) -> Self {
        Self { input: Lines::new(input), output, prefix }
    }

    /// Sends a challenge and waits for the line that answers it; `None` if the client goes away.
    fn ask(&mut self, challenge: &str) -> Result<Option<Line>, Stopped> {
        let challenge = format!("{}{challenge}\r\n", self.prefix);
        let sent = self.output.write_all(challenge.as_bytes()).and_then(|()| self.output.flush());
        sent.map_err(|error| Stopped::Io(format!("cannot send a challenge: {error}")))?;
        self.input.next().map_err(|error| Stopped::Io(format!("cannot read a response: {error}")))
    }
}

/// The lines of a stream, which hold passwords: a buffer of the standard library would not be wiped.
struct Lines<R> {
    input: R,
    buffer: Zeroizing<[u8; 512]>,
    /// Where in the buffer the bytes are that no line has taken.
    start: usize,
    end: usize,
}

impl<R: AsFd> Lines<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Zeroizing::new([0; 512]), start: 0, end: 0 }
    }

    /// Returns the next line; one that has no end was not meant to be sent.
    fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line::new();
        while !line.is_complete() {
            if self.start == self.end && !self.fill()? {
                return Ok(None);
            }
            self.start += line.handle_input(&self.buffer[self.start..self.end]);
        }
        Ok(Some(line))
    }

    /// Reads what there is; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            match rustix::io::read(&self.input, &mut self.buffer[..]) {
                Err(Errno::INTR) => {}
                read => {
                    (self.start, self.end) = (0, read?);
                    return Ok(self.end > 0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that holds these bytes.
    fn lines(bytes: &[u8]) -> Lines<io::PipeReader> {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(bytes).unwrap();
        Lines::new(reader)
    }

    fn next(lines: &mut Lines<io::PipeReader>) -> Option<Vec<u8>> {
        lines.next().unwrap().map(|line| line.text().to_vec())
    }

    #[test]
    fn lines_come_one_by_one_whatever_the_buffer_holds() {
        let long = "a".repeat(700);
        let mut lines = lines(format!("one\n{long}\r\n\nunfinished").as_bytes());
        assert_eq!(next(&mut lines), Some(b"one".to_vec()));
        assert_eq!(next(&mut lines), Some(long.into_bytes()));
        assert_eq!(next(&mut lines), Some(Vec::new()));
        assert_eq!(next(&mut lines), None);
    }

    fn line(outcome: Outcome, names: [Option<&str>; 3]) -> String {
        let [username, sys_username, domain] = names.map(|name| name.map(|name| name.as_bytes().to_vec()));
        Ended { mechanism: b"PLAIN".to_vec(), outcome, names: Names { username, sys_username, domain } }.to_string()
    }

    #[test]
    fn the_line_that_tells_of_a_login() {
        let nobody = [None; 3];
        let alice = [Some("alice"), None, Some("example.net")];
        for (outcome, names, expected) in [
            (Outcome::Accepted, [Some("a"), None, None], "SASL AUTH PLAIN username=a"),
            (
                Outcome::Accepted,
                [Some("a"), Some("s"), Some("d")],
                "SASL AUTH PLAIN username=a sys_username=s domain=d",
            ),
            (Outcome::Failed, alice, "SASL AUTH PLAIN failed username=alice domain=example.net"),
            (Outcome::Temporary, alice, "SASL AUTH PLAIN failed username=alice domain=example.net"),
            (Outcome::EndOfInput, nobody, "SASL AUTH PLAIN failed, no username"),
            (Outcome::ResponseRequired, nobody, "SASL AUTH PLAIN failed, no username"),
            (Outcome::InitialResponse, nobody, "SASL AUTH PLAIN failed, no username"),
            (Outcome::NoMechanism, nobody, "SASL AUTH PLAIN failed: no such mechanism"),
            (Outcome::BadResponse, alice, "SASL AUTH PLAIN failed: bad response"),
            (Outcome::Cancelled, alice, "SASL AUTH PLAIN failed: aborted"),
        ] {
            assert_eq!(line(outcome, names), expected);
        }
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let forged = line(Outcome::Failed, [Some("a\r\nSASL AUTH PLAIN username=root\u{e4}\0"), None, None]);
        assert_eq!(forged, "SASL AUTH PLAIN failed username=a??SASL AUTH PLAIN username=root???");
    }
}
