//! Records of a table of virtual users: version 2, version 1, and the text from before there were versions.
//!
//! | form | bytes |
//! | --- | --- |
//! | version 2 | `02`, flags as pairs of number and value, `00`, then as version 1 |
//! | version 1 | `01`, then strings that end with NUL: password, directory, forwards up to an empty one, personal text, hard and soft quota, size, count, creation and expiry time |
//! | text | `:`, password, `:`, directory or forwards |

use zeroize::Zeroizing;

/// The numbers of flags.
const MAILBOX_ENABLED: u8 = 8;
const HAS_MAILBOX: u8 = 10;

/// The quotas, the sizes and the times: the last of them is that of expiry.
const NUMBERS: usize = 6;

/// What a record says, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'v> {
    pub(super) password: &'v [u8],
    /// Relative to the home, or empty.
    pub(super) directory: &'v [u8],
    /// The account is not locked: for want of a flag it is in version 2, as the original decides.
    pub(super) is_enabled: bool,
    pub(super) has_mailbox: bool,
    /// When the account expires, in seconds since 1970.
    pub(super) expires: Option<u64>,
}

/// A record cut at its password.
struct Cut<'v> {
    before: &'v [u8],
    password: &'v [u8],
    /// Begins with what ends the password.
    rest: &'v [u8],
}

/// The flags of version 2, as far as they are there.
#[derive(Default)]
struct Flags {
    is_enabled: bool,
    has_mailbox: Option<bool>,
}

impl<'v> Record<'v> {
    /// Reads a value of the table; `None` if it is no whole record.
    pub(super) fn read(value: &'v [u8]) -> Option<Self> {
        let Cut { before, password, rest } = Cut::of(value)?;
        let (_, rest) = rest.split_first()?;
        match before.split_first()? {
            (2, flags) => Self::versioned(password, rest, &Flags::read(flags)?),
            (1, _) => Self::versioned(password, rest, &Flags { is_enabled: true, has_mailbox: None }),
            _ => Some(Self::text(password, rest)),
        }
    }

    fn versioned(password: &'v [u8], rest: &'v [u8], flags: &Flags) -> Option<Self> {
        let (directory, mut rest) = string(rest)?;
        loop {
            let (forward, after) = string(rest)?;
            rest = after;
            if forward.is_empty() {
                break;
            }
        }
        let (_personal, mut rest) = string(rest)?;
        let mut expires = None;
        for _ in 0..NUMBERS {
            let (text, after) = string(rest)?;
            (expires, rest) = (number(text)?, after);
        }
        let has_mailbox = flags.has_mailbox.unwrap_or(!directory.is_empty());
        let record = Self { password, directory, is_enabled: flags.is_enabled, has_mailbox, expires };
        rest.is_empty().then_some(record)
    }

    /// The original takes what follows for a C string.
    fn text(password: &'v [u8], rest: &'v [u8]) -> Self {
        let destination = rest.split(|&byte| byte == 0).next().unwrap_or_default();
        let has_mailbox = matches!(destination.first(), Some(b'.' | b'/'));
        let directory = if has_mailbox { destination } else { b"" };
        Self { password, directory, is_enabled: true, has_mailbox, expires: None }
    }
}

impl<'v> Cut<'v> {
    fn of(value: &'v [u8]) -> Option<Self> {
        let start = match value.first()? {
            2 => 1 + flags_length(value.get(1..)?)?,
            1 | b':' => 1,
            _ => return None,
        };
        let (before, rest) = value.split_at_checked(start)?;
        let end = if before == b":" { b':' } else { 0 };
        let (password, rest) = rest.split_at_checked(memchr::memchr2(end, 0, rest)?)?;
        (rest.first() == Some(&end)).then_some(Self { before, password, rest })
    }
}

/// Returns how long the flags are, with the zero behind them.
fn flags_length(flags: &[u8]) -> Option<usize> {
    let pairs = flags.chunks(2).position(|pair| pair.first() == Some(&0))?;
    Some(pairs * 2 + 1)
}

impl Flags {
    fn read(flags: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        for pair in flags.chunks_exact(2) {
            match *pair {
                [MAILBOX_ENABLED, value] => read.is_enabled = value != 0,
                [HAS_MAILBOX, value] => read.has_mailbox = Some(value != 0),
                _ => return None,
            }
        }
        Some(read)
    }
}

/// Cuts off a string that ends with NUL.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (string, rest) = bytes.split_at_checked(memchr::memchr(0, bytes)?)?;
    Some((string, rest.get(1..)?))
}

/// Reads a decimal number; an empty one is zero, and a dash means that there is no bound.
fn number(text: &[u8]) -> Option<Option<u64>> {
    match text {
        b"-" => Some(None),
        _ if text.iter().all(u8::is_ascii_digit) => {
            let digit = |number: u64, byte: &u8| number.saturating_mul(10).saturating_add((byte - b'0').into());
            Some(Some(text.iter().fold(0, digit)))
        }
        _ => None,
    }
}

/// Returns a record with another password, and everything else as it was; `None` if it is no record, or has no place
/// for such a password.
pub(super) fn with_password(value: &[u8], password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let Cut { before, rest, .. } = Cut::of(value)?;
    let end = *rest.first()?;
    let fits = !password.contains(&end) && !password.contains(&0);
    fits.then(|| Zeroizing::new([before, password, rest].concat()))
}

#[cfg(any(test, feature = "testing"))]
pub(crate) fn check(value: &[u8], password: &[u8]) {
    let Some(record) = Record::read(value) else {
        return;
    };
    let ends = if value.starts_with(b":") { &b"\0:"[..] } else { b"\0" };
    let fits = !password.iter().any(|byte| ends.contains(byte));
    let changed = with_password(value, password);
    assert_eq!(changed.is_some(), fits, "a password has a place if nothing in it ends it");
    let Some(changed) = changed else {
        return;
    };
    let expected = Record { password, ..record };
    assert!(Record::read(&changed) == Some(expected), "nothing but the password changes");
    assert!(with_password(&changed, record.password).is_some_and(|back| *back == value), "and it can be undone");
}

#[cfg(test)]
mod tests;
