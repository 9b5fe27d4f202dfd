//! Asking CVM modules about a user.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials};
use cvm_core::wire::{Reply, VALUE_MAX};
use cvm_core::{CredentialType, Secret, SecretRef};
use cvm_io_blocking::client::{Client, Failure, fill_with_random};

use crate::arguments::Arguments;
use crate::libpam::{Handle, Item};

/// The bytes of the tag that tells an answer over UDP from a forged one.
const TAG_LENGTH: usize = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// What the user gave cannot be sent to any module: it is too long.
    #[error("the name, the password or the host is longer than 255 bytes, or all is longer than a packet")]
    TooLong,
    /// The module cannot be asked.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The tag cannot be drawn.
    #[error("random generator: {0}")]
    Random(io::Error),
    /// The secret of lookup mode cannot be read.
    #[error("{path}: {source}")]
    Secret {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// A user as modules know him.
#[must_use]
pub fn account<'a>(user: &'a [u8], arguments: &'a Arguments) -> Account<'a> {
    Account::split(user, &arguments.domain, &arguments.split)
}

/// Asks whether a password is the user's. The secret of lookup mode is never sent: a module in that mode judges none.
///
/// # Errors
///
/// [`Unanswered`].
pub fn ask_about_password(
    handle: &Handle,
    arguments: &Arguments,
    account: Account<'_>,
    password: SecretRef<'_>,
) -> Result<Reply, Unanswered> {
    ask(handle, arguments, Credentials::of_password(account, password))
}

/// Asks a module in lookup mode whether there is such a user.
///
/// # Errors
///
/// [`Unanswered`].
pub fn look_up(handle: &Handle, arguments: &Arguments, account: Account<'_>) -> Result<Reply, Unanswered> {
    let secret = arguments.secret_file.as_deref().map(secret).transpose()?;
    let credentials = Credentials::of_password(account, SecretRef::new(b""));
    ask(handle, arguments, credentials.with_lookup_secret(secret.as_ref().map(Secret::as_ref)))
}

fn ask(handle: &Handle, arguments: &Arguments, credentials: Credentials) -> Result<Reply, Unanswered> {
    let mut tag = [0; TAG_LENGTH];
    let tag = if arguments.modules.needs_tag() { &mut tag[..] } else { &mut [] };
    fill_with_random(tag).map_err(Unanswered::Random)?;
    let credentials = with_item(credentials, handle, arguments.service, Item::Service);
    let credentials = with_item(credentials, handle, arguments.rhost, Item::Rhost);
    let request = ClientRequest::v2(&credentials, tag).map_err(|_| Unanswered::TooLong)?;
    Ok(Client::new(arguments.timeout).bounding_udp().ask(&arguments.modules, &request)?)
}

/// Adds what PAM knows, if it is wanted and known.
fn with_item(credentials: Credentials, handle: &Handle, kind: Option<CredentialType>, item: Item) -> Credentials {
    match kind.and_then(|kind| Some((kind, handle.item(item)?))) {
        Some((kind, value)) if !value.as_ref().is_empty() => credentials.with(kind, value.as_ref().expose()),
        _ => credentials,
    }
}

fn secret(path: &Path) -> Result<Secret, Unanswered> {
    let failed = |source| Unanswered::Secret { path: path.display().to_string(), source };
    first_line(path).map_err(failed)
}

/// Reads the first line of a file. One that is too long to be sent is nobody's fault who logs in.
fn first_line(path: &Path) -> io::Result<Secret> {
    // Room for one byte more, and that it ends there: memory that grew would leave copies.
    let mut text = Vec::with_capacity(VALUE_MAX + 2);
    let read = File::open(path)?.take(VALUE_MAX as u64 + 1).read_to_end(&mut text);
    let text = Secret::from_vec(text);
    read?;
    let line = text.as_ref().expose().split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.len() > VALUE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "expected a line of up to 255 bytes"));
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_the_first_line_if_that_can_be_sent() {
        let path = std::env::temp_dir().join(format!("pam_cvm.secret.{}", std::process::id()));
        let long = "x".repeat(VALUE_MAX);
        for (text, expected) in [
            ("sesame\nand a comment\n".to_owned(), Some("sesame")),
            (String::new(), Some("")),
            (format!("{long}\nmore"), Some(long.as_str())),
            (long.clone(), Some(&long)),
            (format!("{long}x\n"), None),
        ] {
            fs::write(&path, &text).unwrap();
            let line = first_line(&path).ok();
            assert_eq!(line.as_ref().map(|line| line.as_ref().expose()), expected.map(str::as_bytes), "{text}");
        }
        fs::remove_file(&path).unwrap();
        let told = secret(&path).unwrap_err().to_string();
        assert!(told.starts_with(path.to_str().unwrap()) && told.contains("No such file"), "{told}");
    }
}
