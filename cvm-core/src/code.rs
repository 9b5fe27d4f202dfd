//! Result codes: the first byte of a response and the exit status of a program.

use core::fmt;

/// A result code of the CVM protocol (the manual's `errors` page).
///
/// Zero is success, 100 is the one permanent failure, and every other value is temporary: nothing was decided.
///
/// ```
/// use cvm_core::Code;
///
/// assert!(Code::IO.is_temporary());
/// assert_eq!(Code::REJECTED.text(), "Credentials rejected");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(u8);

impl Code {
    /// The credentials are valid.
    pub const SUCCESS: Self = Self(0);
    /// Something failed that has no code of its own.
    pub const GENERAL: Self = Self(1);
    /// The request cannot be read.
    pub const BAD_CLIENT_DATA: Self = Self(2);
    /// The response cannot be read, or could not be written.
    pub const BAD_MODULE_DATA: Self = Self(3);
    /// Input or output failed: a file, a database, a connection.
    pub const IO: Self = Self(4);
    /// A fact that was asked for is absent.
    pub const NO_FACT: Self = Self(5);
    /// The module's settings are missing or wrong.
    pub const CONFIG: Self = Self(6);
    /// The request lacks a credential that the module needs.
    pub const NO_CREDENTIAL: Self = Self(7);
    /// The credentials are wrong here: the permanent failure.
    pub const REJECTED: Self = Self(100);

    /// Makes a code from the byte on the wire; every byte is one.
    #[must_use]
    pub const fn new(byte: u8) -> Self {
        Self(byte)
    }

    /// Returns the byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Tells whether the credentials are valid.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == Self::SUCCESS.0
    }

    /// Tells whether the credentials are wrong (code 100).
    #[must_use]
    pub const fn is_rejected(self) -> bool {
        self.0 == Self::REJECTED.0
    }

    /// Tells whether nothing was decided.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        !self.is_success() && !self.is_rejected()
    }

    /// Returns the sentence that clients print for the code.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.0 {
            0 => "No error",
            1 => "General error",
            2 => "Invalid data from client",
            3 => "Invalid data from module",
            4 => "Input/Output error",
            5 => "Fact missing in data from client",
            6 => "Configuration error",
            7 => "Credential missing in data from module",
            100 => "Credentials rejected",
            8..=99 => "Unknown error",
            101..=255 => "Unknown error code",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error #{} ({})", self.0, self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_is_success_and_only_100_is_permanent() {
        for byte in 0..=255 {
            let code = Code::new(byte);
            assert_eq!(code.is_success(), byte == 0);
            assert_eq!(code.is_rejected(), byte == 100);
            assert_eq!(code.is_temporary(), byte != 0 && byte != 100);
            assert_eq!(code.byte(), byte);
        }
    }

    #[test]
    fn texts_of_the_unnamed_codes() {
        assert_eq!(Code::new(8).text(), "Unknown error");
        assert_eq!(Code::new(99).text(), "Unknown error");
        assert_eq!(Code::new(101).text(), "Unknown error code");
        assert_eq!(Code::IO.to_string(), "error #4 (Input/Output error)");
    }
}
