//! Facts: the numbered strings of a response.

/// The number of a fact (the manual's `facts` page).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactType(u8);

impl FactType {
    /// The login name; required on success.
    pub const USERNAME: Self = Self(1);
    /// The numeric user ID; required on success.
    pub const USERID: Self = Self(2);
    /// The numeric group ID; required on success.
    pub const GROUPID: Self = Self(3);
    /// The user's real name.
    pub const REALNAME: Self = Self(4);
    /// The home directory; required on success.
    pub const DIRECTORY: Self = Self(5);
    /// The login shell.
    pub const SHELL: Self = Self(6);
    /// The name of the login group.
    pub const GROUPNAME: Self = Self(7);
    /// A supplementary group ID; the one fact that may come several times.
    pub const SUPP_GROUPID: Self = Self(8);
    /// The name of the system user behind a virtual one.
    pub const SYS_USERNAME: Self = Self(9);
    /// The directory of the system user behind a virtual one.
    pub const SYS_DIRECTORY: Self = Self(10);
    /// The office, from the GECOS field.
    pub const OFFICE: Self = Self(11);
    /// The work telephone number, from the GECOS field.
    pub const WORK_PHONE: Self = Self(12);
    /// The home telephone number, from the GECOS field.
    pub const HOME_PHONE: Self = Self(13);
    /// The domain of a virtual user.
    pub const DOMAIN: Self = Self(14);
    /// The mailbox, relative to the home directory unless it begins with `/`.
    pub const MAILBOX: Self = Self(15);
    /// With code 100: zero says that the account is the module's own, anything else that it is not.
    pub const OUT_OF_SCOPE: Self = Self(16);

    /// The facts that no success may lack.
    pub const REQUIRED: [Self; 4] = [Self::USERNAME, Self::USERID, Self::GROUPID, Self::DIRECTORY];

    /// Makes a fact type; zero is none, as it ends the list on the wire.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// Returns the number on the wire, 1 to 255.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Tells whether the fact's value is an unsigned decimal number.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::USERID | Self::GROUPID | Self::SUPP_GROUPID | Self::OUT_OF_SCOPE)
    }
}

/// Reads the value of an integer fact: one or more ASCII digits, at most 2^64-1.
#[must_use]
pub fn parse_integer(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether an account that is refused is the module's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The account is the module's own and the answer is no: a chain ends here.
    In,
    /// The account is not the module's own: a chain goes on.
    Out,
}

/// The facts that most modules know of an account, in the order in which they are sent.
///
/// An empty string is sent as an empty fact, `None` not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardFacts<'a> {
    /// Fact 1.
    pub username: &'a [u8],
    /// Fact 2.
    pub userid: u64,
    /// Fact 3.
    pub groupid: u64,
    /// Fact 4.
    pub realname: Option<&'a [u8]>,
    /// Fact 5.
    pub directory: &'a [u8],
    /// Fact 6.
    pub shell: Option<&'a [u8]>,
    /// Fact 7.
    pub groupname: Option<&'a [u8]>,
    /// Fact 9.
    pub sys_username: Option<&'a [u8]>,
    /// Fact 10.
    pub sys_directory: Option<&'a [u8]>,
    /// Fact 14.
    pub domain: Option<&'a [u8]>,
    /// Fact 15.
    pub mailbox: Option<&'a [u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_digits_within_64_bits() {
        assert_eq!(parse_integer(b"0"), Some(0));
        assert_eq!(parse_integer(b"0017"), Some(17));
        assert_eq!(parse_integer(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "18446744073709551616", "-1", "+1", " 1", "1 ", "10x", "\u{0661}"] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn type_0_is_none_as_it_ends_the_list() {
        assert_eq!(FactType::new(0), None);
        assert_eq!(FactType::new(255).map(FactType::number), Some(255));
    }

    #[test]
    fn numbers_are_the_ids_and_the_scope() {
        let integers = (1..=255).filter_map(FactType::new).filter(|kind| kind.is_integer());
        assert_eq!(integers.map(FactType::number).collect::<Vec<_>>(), [2, 3, 8, 16]);
    }
}
