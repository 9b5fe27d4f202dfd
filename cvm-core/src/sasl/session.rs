//! One login: the client's lines in; challenges, the credentials to check, or a failure out.

use core::fmt;
use core::time::Duration;

use super::login::Proof;
use super::{LINE_MAX, Login, Mechanism, Outcome, base64};
use crate::hex;
use crate::secret::Secret;

/// The host in a challenge where there is none that can stand there.
const UNKNOWN_HOST: &[u8] = b"unknown";

/// The longest host name in a challenge: with everything else it fits in the 255 bytes of a credential.
const HOST_MAX: usize = 190;

/// What a session wants done next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Send the challenge, wait for the client's line.
    Challenge(Pending),
    /// Ask the modules about this login, and take their code to [`Outcome::of`].
    Check(Login),
    /// Nothing more: it has failed.
    Ended(Ended),
}

/// A session that failed before anybody could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// The user name, if the client has told it.
    pub user: Option<Vec<u8>>,
}

/// A session that waits for a line of its client. Whatever comes takes it on: no session waits twice for the same.
#[must_use]
pub struct Pending(State);

enum State {
    Plain,
    LoginUser,
    LoginPassword { user: Vec<u8> },
    CramMd5 { text: Vec<u8> },
}

/// Starts a session. `challenge_text` is what CRAM-MD5 sends, new for each session: see [`challenge_text`].
///
/// An initial response of `=` is an empty one (RFC 4954).
pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, challenge_text: Vec<u8>) -> Step {
    let pending = Pending(match mechanism {
        Mechanism::Plain => State::Plain,
        Mechanism::Login => State::LoginUser,
        Mechanism::CramMd5 => State::CramMd5 { text: challenge_text },
    });
    match initial {
        None => Step::Challenge(pending),
        Some(_) if mechanism == Mechanism::CramMd5 => pending.end(Outcome::InitialResponse),
        Some(b"=") => pending.handle_text(b""),
        Some(text) => pending.handle_text(text),
    }
}

/// Makes the text of a CRAM-MD5 challenge: digits, time and host, in the form of a message ID.
///
/// It must not come twice in the life of a password, so `random` is drawn for each. A host that cannot stand there is
/// `unknown`.
#[must_use]
pub fn challenge_text(process: u32, random: u64, since_epoch: Duration, host: &[u8]) -> Vec<u8> {
    let usable = !host.is_empty() && host.len() <= HOST_MAX && host.iter().all(|byte| is_of_a_host(*byte));
    let (seconds, microseconds) = (since_epoch.as_secs(), since_epoch.subsec_micros());
    let mut text = format!("<{process}{random}.{seconds}.{microseconds:06}@").into_bytes();
    text.extend_from_slice(if usable { host } else { UNKNOWN_HOST });
    text.push(b'>');
    text
}

const fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'@')
}

impl Pending {
    /// Returns the challenge as it is sent, in Base64; it may be empty.
    #[must_use]
    pub fn challenge(&self) -> String {
        base64::encode(match &self.0 {
            State::Plain => b"",
            State::LoginUser => b"Username:",
            State::LoginPassword { .. } => b"Password:",
            State::CramMd5 { text } => text,
        })
    }

    /// Takes the client's line, without its end.
    pub fn handle_line(self, line: &[u8]) -> Step {
        if line == b"*" { self.end(Outcome::Cancelled) } else { self.handle_text(line) }
    }

    /// Takes note that no line will come any more.
    pub fn handle_end(self) -> Step {
        self.end(Outcome::EndOfInput)
    }

    fn handle_text(self, text: &[u8]) -> Step {
        if text.is_empty() {
            return self.end(Outcome::ResponseRequired);
        }
        match Some(text).filter(|text| text.len() <= LINE_MAX).and_then(base64::decode) {
            Some(response) => self.handle_response(&response),
            None => self.end(Outcome::BadResponse),
        }
    }

    fn handle_response(self, response: &Secret) -> Step {
        let response = response.as_ref().expose();
        match self.0 {
            State::Plain => plain(response),
            State::LoginUser => login_user(response),
            State::LoginPassword { user } => login_password(user, response),
            State::CramMd5 { text } => cram_md5(text, response),
        }
    }

    fn end(self, outcome: Outcome) -> Step {
        match self.0 {
            State::LoginPassword { user } => ended(outcome, Some(user)),
            State::Plain | State::LoginUser | State::CramMd5 { .. } => ended(outcome, None),
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Plain => "Pending(PLAIN)",
            State::LoginUser => "Pending(LOGIN, user name)",
            State::LoginPassword { .. } => "Pending(LOGIN, password)",
            State::CramMd5 { .. } => "Pending(CRAM-MD5)",
        })
    }
}

/// An identity to act as, which is passed over; the user name; the password.
fn plain(response: &[u8]) -> Step {
    let mut fields = response.split(|&byte| byte == 0);
    let (Some(_), Some(user), Some(password), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return ended(Outcome::BadResponse, None);
    };
    check(user.to_vec(), Proof::Password(Secret::new(password)))
}

fn login_user(user: &[u8]) -> Step {
    if user.contains(&0) {
        return ended(Outcome::BadResponse, None);
    }
    Step::Challenge(Pending(State::LoginPassword { user: user.to_vec() }))
}

fn login_password(user: Vec<u8>, password: &[u8]) -> Step {
    if password.contains(&0) {
        return ended(Outcome::BadResponse, Some(user));
    }
    check(user, Proof::Password(Secret::new(password)))
}

/// The user name, which may hold blanks, a blank, and the digest.
fn cram_md5(text: Vec<u8>, response: &[u8]) -> Step {
    let mut words = response.rsplitn(2, |&byte| byte == b' ');
    let digest = words.next().and_then(hex::decode::<16>);
    match (words.next(), digest) {
        (Some(user), Some(digest)) if !user.contains(&0) => {
            check(user.to_vec(), Proof::CramMd5 { text, digest: Secret::new(&digest) })
        }
        _ => ended(Outcome::BadResponse, None),
    }
}

/// Nobody without a name or a password gets in anywhere, so nobody needs to be asked.
fn check(user: Vec<u8>, proof: Proof) -> Step {
    if user.is_empty() {
        return ended(Outcome::Failed, None);
    }
    match proof {
        Proof::Password(password) if password.as_ref().is_empty() => ended(Outcome::Failed, Some(user)),
        proof => Step::Check(Login::new(user, proof)),
    }
}

const fn ended(outcome: Outcome, user: Option<Vec<u8>>) -> Step {
    Step::Ended(Ended { outcome, user })
}

#[cfg(test)]
mod tests;
