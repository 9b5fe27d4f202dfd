//! Settings: the environment, read once into plain values. A mistake names the variable and what was expected.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

use cvm_core::Secret;

/// A setting that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It must be set and is not, or is empty.
    #[error("${name} is not set, expected {expected}")]
    Missing {
        /// The variable, without its dollar sign.
        name: &'static str,
        /// What it should hold, as a noun.
        expected: &'static str,
    },
    /// It holds something else.
    #[error("${name} is {value:?}, expected {expected}")]
    Wrong {
        /// The variable, without its dollar sign.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold, as a noun.
        expected: &'static str,
    },
    /// There is a mistake in it, or it does not fit the others.
    #[error("${name}: {mistake}")]
    Mistake {
        /// The variable, without its dollar sign.
        name: &'static str,
        /// What is wrong, and where.
        mistake: String,
    },
}

impl SettingError {
    /// Returns the error of a value that is not what was expected; bytes that are no UTF-8 are replaced.
    pub fn wrong(name: &'static str, value: &[u8], expected: &'static str) -> Self {
        Self::Wrong { name, value: String::from_utf8_lossy(value).into_owned(), expected }
    }

    /// Returns the error of a value with a mistake in it, which is told in one line.
    pub fn mistake(name: &'static str, mistake: impl std::fmt::Display) -> Self {
        Self::Mistake { name, mistake: mistake.to_string().replace(['\n', '\r'], " ") }
    }
}

/// Returns the bytes of a variable; an empty one is set.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(OsString::into_vec)
}

/// Returns the bytes of a variable that is not empty.
pub fn filled(name: &str) -> Option<Vec<u8>> {
    bytes(name).filter(|value| !value.is_empty())
}

/// Returns a path that must be set.
pub fn path(name: &'static str, expected: &'static str) -> Result<PathBuf, SettingError> {
    let value = filled(name).ok_or(SettingError::Missing { name, expected })?;
    Ok(OsString::from_vec(value).into())
}

/// Returns a secret, perhaps an empty one.
pub fn secret(name: &str) -> Option<Secret> {
    bytes(name).map(Secret::from_vec)
}

/// Returns the value of a variable that is not empty, as the system takes it.
pub fn value(name: &str) -> Option<OsString> {
    filled(name).map(OsString::from_vec)
}

/// Returns the words of a variable, which are separated by blanks.
pub fn words(name: &str) -> Vec<Vec<u8>> {
    let value = bytes(name).unwrap_or_default();
    value.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Returns the folder of qmail's files.
pub fn qmail_root() -> PathBuf {
    value("QMAIL_ROOT").unwrap_or_else(|| "/var/qmail".into()).into()
}

/// Reads a variable that is not empty.
pub fn parsed<T>(
    name: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, SettingError> {
    let read = |value: Vec<u8>| parse(&value).ok_or_else(|| SettingError::wrong(name, &value, expected));
    filled(name).map(read).transpose()
}

/// Reads decimal digits, and nothing but digits.
pub fn decimal<T: FromStr>(value: &[u8]) -> Option<T> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Reads a time in milliseconds of up to 32 bits.
pub fn milliseconds(value: &[u8]) -> Option<std::time::Duration> {
    decimal::<u32>(value).map(|milliseconds| std::time::Duration::from_millis(milliseconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(decimal::<u8>(b"255"), Some(255));
        assert_eq!(milliseconds(b"1500"), Some(std::time::Duration::from_millis(1500)));
        for bad in ["", "256", "+1", "-1", " 1", "1s", "0x1"] {
            assert_eq!(decimal::<u8>(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(milliseconds(b"4294967296"), None);
    }

    #[test]
    fn mistakes_name_variable_value_and_expectation() {
        let error = SettingError::wrong("CVM_X", b"a\nb", "a number");
        assert_eq!(error.to_string(), r#"$CVM_X is "a\nb", expected a number"#);
        let error = SettingError::Missing { name: "CVM_X", expected: "a path" };
        assert_eq!(error.to_string(), "$CVM_X is not set, expected a path");
    }
}
