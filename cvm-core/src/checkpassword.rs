//! The record that checkpassword and its kin read from descriptor 3
//! (<https://cr.yp.to/checkpwd/interface.html>).

use crate::secret::SecretRef;

/// The longest record, in bytes.
pub const RECORD_MAX: usize = 512;

/// What the caller of checkpassword has learnt from its client.
#[derive(Clone, Copy, Debug)]
pub struct Record<'r> {
    /// The login name, perhaps with a domain.
    pub account: &'r [u8],
    /// The password; with a timestamp perhaps the response to it: nothing tells.
    pub password: SecretRef<'r>,
    /// What a response answers to; `None` where there is none or an empty one.
    pub timestamp: Option<&'r [u8]>,
}

/// The record is longer than 512 bytes, or account or password does not end in NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("descriptor 3 holds no account and password, each with a NUL behind it, in up to 512 bytes")]
pub struct MalformedRecord;

impl<'r> Record<'r> {
    /// Reads a record: account NUL password NUL, and perhaps timestamp NUL. What follows is passed over.
    ///
    /// # Errors
    ///
    /// [`MalformedRecord`].
    ///
    /// ```
    /// use cvm_core::checkpassword::Record;
    ///
    /// let record = Record::parse(b"alice\0secret\0<1.2@host>\0").unwrap();
    /// assert_eq!(record.account, b"alice");
    /// assert_eq!(record.timestamp, Some(&b"<1.2@host>"[..]));
    /// assert!(Record::parse(b"alice\0secret").is_err());
    /// ```
    pub fn parse(bytes: &'r [u8]) -> Result<Self, MalformedRecord> {
        if bytes.len() > RECORD_MAX {
            return Err(MalformedRecord);
        }
        let mut fields = bytes.split(|&byte| byte == 0);
        let (account, password) = (fields.next(), fields.next());
        // The last field of a split is what no NUL follows.
        let (Some(account), Some(password), Some(timestamp)) = (account, password, fields.next()) else {
            return Err(MalformedRecord);
        };
        let timestamp = Some(timestamp).filter(|timestamp| !timestamp.is_empty());
        Ok(Self { account, password: SecretRef::new(password), timestamp })
    }

    /// Returns timestamp and digest if the password may be the response to an APOP challenge: 32 hexadecimal digits.
    #[must_use]
    pub fn apop(&self) -> Option<(&'r [u8], SecretRef<'r>)> {
        let digits = self.password.expose();
        let is_digest = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
        self.timestamp.filter(|_| is_digest).map(|timestamp| (timestamp, self.password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'r> = (&'r [u8], &'r [u8], Option<&'r [u8]>);

    fn parse(bytes: &[u8]) -> Option<Fields<'_>> {
        let record = Record::parse(bytes).ok()?;
        Some((record.account, record.password.expose(), record.timestamp))
    }

    #[test]
    fn two_fields_are_enough_and_more_than_three_are_passed_over() {
        assert_eq!(parse(b"a\0p\0"), Some((&b"a"[..], &b"p"[..], None)));
        assert_eq!(parse(b"a\0p\0\0"), Some((&b"a"[..], &b"p"[..], None)));
        assert_eq!(parse(b"a\0p\0t"), Some((&b"a"[..], &b"p"[..], Some(&b"t"[..]))));
        assert_eq!(parse(b"a\0p\0t\0more\0\0"), Some((&b"a"[..], &b"p"[..], Some(&b"t"[..]))));
        assert_eq!(parse(b"\0\0"), Some((&b""[..], &b""[..], None)));
    }

    #[test]
    fn a_field_without_its_nul_or_a_byte_too_many_is_malformed() {
        for malformed in [&b""[..], b"a", b"a\0", b"a\0p"] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
        let mut longest = vec![b'x'; RECORD_MAX];
        (longest[1], longest[3]) = (0, 0);
        assert!(parse(&longest).is_some());
        longest.push(0);
        assert_eq!(parse(&longest), None);
    }

    #[test]
    fn only_32_digits_and_a_timestamp_may_be_apop() {
        let is_apop = |bytes: &[u8]| Record::parse(bytes).is_ok_and(|record| record.apop().is_some());
        assert!(is_apop(b"a\x000123456789abcdefABCDEF0123456789\0<t>\0"));
        assert!(!is_apop(b"a\x000123456789abcdefABCDEF0123456789\0"));
        assert!(!is_apop(b"a\x000123456789abcdefABCDEF012345678g\0<t>\0"));
        assert!(!is_apop(b"a\x000123456789abcdefABCDEF012345678\0<t>\0"));
    }

    #[test]
    fn printing_a_record_shows_no_password() {
        assert!(!format!("{:?}", Record::parse(b"a\0hunter2\0")).contains("hunter2"));
    }
}
