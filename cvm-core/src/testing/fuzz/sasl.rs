//! A SASL session under whatever lines, beside a model of SPEC section 7 with a Base64 of its own.

use arbitrary::{Result, Unstructured};

use crate::account::Account;
use crate::sasl::{self, LINE_MAX, Line, Mechanism, Outcome, Step};
use crate::testing::value::string;

const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";

/// Lets a client say anything: the session ends after two lines at most and as the model says, in however many pieces
/// the lines come.
pub fn sasl(data: &[u8]) {
    let _ = Client::arbitrary(&mut Unstructured::new(data)).map(|client| client.check());
}

/// What a client says to a mechanism, and in pieces of which sizes.
struct Client {
    mechanism: Mechanism,
    initial: Option<Vec<u8>>,
    lines: Vec<Vec<u8>>,
    sizes: Vec<u8>,
}

/// What came of a session, and which challenges it sent.
#[derive(Debug, PartialEq)]
struct Seen {
    challenges: Vec<Vec<u8>>,
    end: End,
}

#[derive(Debug, PartialEq)]
enum End {
    /// The credentials to send.
    Login(Vec<(u8, Vec<u8>)>),
    Failed(Outcome, Option<Vec<u8>>),
}

impl Client {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let mechanism = Mechanism::ALL[usize::from(u.arbitrary::<u8>()? % 3)];
        let sizes = string(u)?;
        let initial = if u.arbitrary::<u8>()? == 0 { None } else { Some(said(u)?) };
        let mut lines = Vec::new();
        while !u.is_empty() && lines.len() < 4 {
            lines.push(said(u)?);
        }
        Ok(Self { mechanism, initial, lines, sizes })
    }

    fn check(&self) {
        let expected = self.model();
        assert!(expected.challenges.len() <= 2, "no session waits for ever");
        assert_eq!(self.play(&[]), expected, "in one piece");
        assert_eq!(self.play(&self.sizes), expected, "in pieces");
    }

    fn play(&self, sizes: &[u8]) -> Seen {
        let mut stream =
            Stream { bytes: self.lines.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect(), sizes };
        let mut challenges = Vec::new();
        let mut step = sasl::start(self.mechanism, self.initial.as_deref(), CHALLENGE.to_vec());
        loop {
            step = match step {
                Step::Challenge(pending) => {
                    challenges.push(decode(pending.challenge().as_bytes()).expect("a challenge is Base64"));
                    match stream.next() {
                        Some(line) => pending.handle_line(line.text()),
                        None => pending.handle_end(),
                    }
                }
                Step::Check(login) => {
                    let credentials = login.credentials(Account::whole(login.user(), b""));
                    let items = credentials.iter().map(|item| (item.kind.number(), item.value.expose().to_vec()));
                    return Seen { challenges, end: End::Login(items.collect()) };
                }
                Step::Ended(ended) => return Seen { challenges, end: End::Failed(ended.outcome, ended.user) },
            };
        }
    }

    /// What must come of it, written straight from SPEC section 7.
    fn model(&self) -> Seen {
        let mut challenges = Vec::new();
        let end = self.model_end(&mut challenges).unwrap_or_else(|(outcome, user)| End::Failed(outcome, user));
        Seen { challenges, end }
    }

    fn model_end(&self, challenges: &mut Vec<Vec<u8>>) -> Expected<End> {
        let mut lines = self.lines.iter();
        let mut ask = |challenge: &[u8]| {
            challenges.push(challenge.to_vec());
            response(lines.next())
        };
        let initial =
            self.initial.as_ref().map(|text| if text == b"=" { Err(Outcome::ResponseRequired) } else { decoded(text) });
        match self.mechanism {
            Mechanism::Plain => plain(&initial.unwrap_or_else(|| ask(b"")).map_err(|outcome| (outcome, None))?),
            Mechanism::Login => {
                let user = initial.unwrap_or_else(|| ask(b"Username:")).and_then(without_nul);
                let user = user.map_err(|outcome| (outcome, None))?;
                let password =
                    ask(b"Password:").and_then(without_nul).map_err(|outcome| (outcome, Some(user.clone())))?;
                Ok(End::Login(vec![(1, user), (3, password)]))
            }
            Mechanism::CramMd5 if initial.is_some() => Err((Outcome::InitialResponse, None)),
            Mechanism::CramMd5 => cram_md5(&ask(CHALLENGE).map_err(|outcome| (outcome, None))?),
        }
    }
}

type Expected<T> = core::result::Result<T, (Outcome, Option<Vec<u8>>)>;

/// Something that a client says, as it is or in Base64; in a line it ends where a line ends.
fn said(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let encoded = u.arbitrary::<u8>()? % 2 == 1;
    let mut bytes = string(u)?;
    // Long ones beyond the longest line, too.
    while bytes.len() > 200 && bytes.len() < LINE_MAX {
        bytes.extend_from_within(..);
    }
    bytes.retain(|&byte| encoded || byte != b'\n');
    Ok(if encoded { encode(&bytes) } else { bytes })
}

/// The lines of a client, in pieces of the given sizes, then as long as they are.
struct Stream<'s> {
    bytes: Vec<u8>,
    sizes: &'s [u8],
}

impl Stream<'_> {
    fn next(&mut self) -> Option<Line> {
        let mut line = Line::new();
        while !line.is_complete() && !self.bytes.is_empty() {
            let (size, sizes) =
                self.sizes.split_first().map_or((usize::MAX, self.sizes), |(size, rest)| ((*size).into(), rest));
            self.sizes = sizes;
            let taken = line.handle_input(&self.bytes[..size.min(self.bytes.len())]);
            self.bytes.drain(..taken);
        }
        line.is_complete().then_some(line)
    }
}

fn response(line: Option<&Vec<u8>>) -> core::result::Result<Vec<u8>, Outcome> {
    let line = line.ok_or(Outcome::EndOfInput)?;
    if line == b"*" { Err(Outcome::Cancelled) } else { decoded(line) }
}

fn decoded(text: &[u8]) -> core::result::Result<Vec<u8>, Outcome> {
    match text.len() {
        0 => Err(Outcome::ResponseRequired),
        1..=LINE_MAX => decode(text).ok_or(Outcome::BadResponse),
        _ => Err(Outcome::BadResponse),
    }
}

fn without_nul(bytes: Vec<u8>) -> core::result::Result<Vec<u8>, Outcome> {
    if bytes.contains(&0) { Err(Outcome::BadResponse) } else { Ok(bytes) }
}

fn plain(response: &[u8]) -> Expected<End> {
    let fields: Vec<_> = response.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    match <[Vec<u8>; 3]>::try_from(fields) {
        Err(_) => Err((Outcome::BadResponse, None)),
        Ok([_, user, _]) if user.is_empty() => Err((Outcome::Failed, None)),
        Ok([_, user, password]) if password.is_empty() => Err((Outcome::Failed, Some(user))),
        Ok([_, user, password]) => Ok(End::Login(vec![(1, user), (3, password)])),
    }
}

fn cram_md5(response: &[u8]) -> Expected<End> {
    let (user, digest) = user_and_digest(response).ok_or((Outcome::BadResponse, None))?;
    if user.is_empty() {
        return Err((Outcome::Failed, None));
    }
    Ok(End::Login(vec![(1, user), (5, CHALLENGE.to_vec()), (6, digest), (7, b"CRAM-MD5".to_vec())]))
}

fn user_and_digest(response: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (user, digits) = response.split_at_checked(response.len().checked_sub(33)?)?;
    let digits = core::str::from_utf8(digits.strip_prefix(b" ")?).ok()?;
    let is_right = !user.contains(&0) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let digest = u128::from_str_radix(digits, 16).ok().filter(|_| is_right)?;
    Some((user.to_vec(), digest.to_be_bytes().to_vec()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> Vec<u8> {
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or_default()));
        let digit = |at: usize| ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
        [0, 1, 2, 3].map(|at| if at <= group.len() { digit(at) } else { b'=' })
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// Decodes what is the one spelling of its bytes.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().take_while(|&&digit| digit != b'=');
    let values = digits.map(|digit| ALPHABET.iter().position(|known| known == digit)).collect::<Option<Vec<_>>>()?;
    let group = |group: &[usize]| {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | group.get(at).copied().unwrap_or_default());
        let bytes = [16, 8, 0].map(|shift| u8::try_from(bits >> shift & 255).expect("eight bits"));
        bytes.into_iter().take(group.len() - 1)
    };
    let bytes: Vec<u8> = values.chunks(4).flat_map(group).collect();
    (encode(&bytes) == text).then_some(bytes)
}
