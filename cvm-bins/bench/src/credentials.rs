//! Whom to ask about: the arguments, or the lines of a file in turn.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cvm_bins::program::Stopped;
use cvm_core::wire::RequestError;
use cvm_core::{Secret, SecretRef};
use zeroize::Zeroizing;

/// An account and what it is asked with.
pub(crate) struct Login {
    pub(crate) account: Vec<u8>,
    pub(crate) domain: Vec<u8>,
    /// The password, or none; version 1 has more than one.
    pub(crate) credentials: Vec<Secret>,
}

/// How the end of a line is read, which the versions of the protocol do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One password, or none: the rest of the line, TABs and all.
    Password,
    /// Credentials, one at least.
    Credentials,
}

impl Form {
    const fn expected(self) -> &'static str {
        match self {
            Self::Password => "account, domain and password, separated by TAB",
            Self::Credentials => "account, domain and one or more credentials, separated by TAB",
        }
    }
}

impl Login {
    /// Takes the arguments as they are.
    pub(crate) fn of_arguments(account: &OsString, domain: &OsString, credentials: &[OsString]) -> Self {
        let secrets = credentials.iter().map(|credential| Secret::new(credential.as_bytes()));
        Self {
            account: account.as_bytes().to_vec(),
            domain: domain.as_bytes().to_vec(),
            credentials: secrets.collect(),
        }
    }

    fn parse(line: &[u8], form: Form) -> Option<Self> {
        let mut fields = line.splitn(3, |&byte| byte == b'\t');
        let (account, domain, rest) = (fields.next()?, fields.next()?, fields.next());
        let credentials: Vec<_> = match (form, rest) {
            (Form::Password, rest) => rest.into_iter().map(Secret::new).collect(),
            (Form::Credentials, rest) => rest?.split(|&byte| byte == b'\t').map(Secret::new).collect(),
        };
        let is_named = !account.is_empty();
        is_named.then(|| Self { account: account.to_vec(), domain: domain.to_vec(), credentials })
    }

    /// Returns the password, an empty one if there is none.
    pub(crate) fn password(&self) -> SecretRef<'_> {
        self.credentials.first().map_or(SecretRef::new(b""), Secret::as_ref)
    }
}

/// Reads a file of lines, each of which `check` must accept. Empty lines and those that begin with `#` are passed over.
pub(crate) fn read<T>(
    path: &Path,
    form: Form,
    check: impl Fn(Login) -> Result<T, RequestError>,
) -> Result<Vec<T>, Stopped> {
    let text = fs::read(path).map_err(|error| mistake(path, &error))?;
    let text = Zeroizing::new(text);
    let lines = (1_u64..).zip(text.split(|&byte| byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
    let parse = |(number, line): (u64, &[u8])| {
        let place = Path::new(path).display();
        let login = Login::parse(line, form)
            .ok_or_else(|| Stopped::Argument(format!("{place}:{number}: expected {}", form.expected())))?;
        check(login).map_err(|error| Stopped::Argument(format!("{place}:{number}: {error}")))
    };
    let logins: Vec<T> = lines.map(parse).collect::<Result<_, _>>()?;
    if logins.is_empty() {
        Err(mistake(path, &format_args!("has no line with {}", form.expected())))
    } else {
        Ok(logins)
    }
}

fn mistake(path: &Path, what: &dyn std::fmt::Display) -> Stopped {
    Stopped::Argument(format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str, form: Form) -> Option<Vec<Vec<u8>>> {
        let login = Login::parse(line.as_bytes(), form)?;
        let secrets = login.credentials.iter().map(|secret| secret.as_ref().expose().to_vec()).collect();
        Some([vec![login.account, login.domain], secrets].concat())
    }

    fn expected(fields: &[&str]) -> Option<Vec<Vec<u8>>> {
        Some(fields.iter().map(|field| field.as_bytes().to_vec()).collect())
    }

    #[test]
    fn a_password_is_the_rest_of_the_line() {
        assert_eq!(fields("joe\tex.com\tpass\tword ", Form::Password), expected(&["joe", "ex.com", "pass\tword "]));
        assert_eq!(fields("joe\t\t", Form::Password), expected(&["joe", "", ""]));
        assert_eq!(fields("joe\tex.com", Form::Password), expected(&["joe", "ex.com"]));
        assert_eq!(fields("joe", Form::Password), None);
        assert_eq!(fields("\tex.com\tsecret", Form::Password), None);
    }

    #[test]
    fn credentials_are_separated_too() {
        assert_eq!(fields("joe\tex.com\ta\tb", Form::Credentials), expected(&["joe", "ex.com", "a", "b"]));
        assert_eq!(fields("joe\tex.com", Form::Credentials), None);
    }
}
