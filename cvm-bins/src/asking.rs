//! The settings of a client, and asking with them.

use std::time::Duration;

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::wire::Reply;
use cvm_core::{Secret, SecretRef};
use cvm_io_blocking::client::{self, Client, Failure};

use crate::environment::{self, SettingError};
use crate::program::{Stopped, complain};
use crate::stop;

/// One setting, and what it means.
type Setting = (&'static str, &'static str);

/// Where the domain of an account without one comes from.
pub const PROTO: Setting = ("PROTO", "the UCSPI protocol; the domain is $PROTOLOCALHOST, as in TCPLOCALHOST");

/// How an account is split.
pub const SPLIT_CHARS: Setting =
    ("CVM_ACCOUNT_SPLIT_CHARS", "characters at the last of which the domain is split off the account (@)");

/// How long a tag is.
pub const RANDOM_BYTES: Setting =
    ("CVM_RANDOM_BYTES", "length of the random tag, 0 to 255, if a module of the list is asked over UDP (8)");

/// How long to wait.
pub const CLIENT_TIMEOUT: Setting =
    ("CVM_CLIENT_TIMEOUT", "milliseconds that a command or a UNIX socket may take to answer (0: the default, 30000)");

/// What to send to a module in lookup mode.
pub const LOOKUP_SECRET: Setting = ("CVM_LOOKUP_SECRET", "the secret to send to a module in lookup mode");

/// The settings that every client has.
pub const SETTINGS: &[Setting] = &[CLIENT_TIMEOUT];

/// The settings of clients that speak version 2.
pub const V2_SETTINGS: &[Setting] = &[SPLIT_CHARS, LOOKUP_SECRET, RANDOM_BYTES];

/// Asks with this request and the time-out of the settings.
pub fn ask(modules: &ModuleList, request: &ClientRequest) -> Result<Reply, Stopped> {
    let reply = ask_as(client().map_err(Stopped::ClientSetting)?, modules, request)?;
    Ok(reply.unwrap_or_else(|failure| Reply::failure(failure.code())))
}

fn ask_as(client: Client, modules: &ModuleList, request: &ClientRequest) -> Result<Result<Reply, Failure>, Stopped> {
    stop::collect_children().map_err(|error| Stopped::Io(format!("signals: {error}")))?;
    Ok(client.ask(modules, request))
}

/// Returns a client with the time-out of the settings.
pub fn client() -> Result<Client, SettingError> {
    Ok(timeout()?.map_or_else(Client::default, Client::new))
}

/// Returns the time-out of the settings; `None` is the default.
pub fn timeout() -> Result<Option<Duration>, SettingError> {
    let timeout = environment::parsed(
        "CVM_CLIENT_TIMEOUT",
        "milliseconds from 0 (the default, 30000) to 4294967295",
        environment::milliseconds,
    )?;
    Ok(timeout.filter(|timeout| *timeout > Duration::ZERO))
}

/// Asks with version 2 whether a password is right, and splits the account.
pub fn ask_for_password(
    modules: &ModuleList,
    account: &[u8],
    domain: &[u8],
    password: SecretRef<'_>,
) -> Result<Reply, Stopped> {
    let split_chars = split_chars();
    let account = Account::split(account, domain, &split_chars);
    ask_with(modules, Credentials::of_password(account, password))
}

/// Asks with version 2 and any credentials, to which the secret of lookup mode is added.
pub fn ask_with(modules: &ModuleList, credentials: Credentials) -> Result<Reply, Stopped> {
    let secret = environment::secret("CVM_LOOKUP_SECRET");
    let credentials = credentials.with_lookup_secret(secret.as_ref().map(Secret::as_ref));
    ask(modules, &v2_request(modules, &credentials)?)
}

/// Asks about a login, which is never a look-up: the secret of lookup mode is neither sent nor shown to commands, as a
/// module in that mode says yes to any password. Why a module cannot be asked is told.
pub fn ask_about_login(modules: &ModuleList, request: &ClientRequest) -> Result<Reply, Stopped> {
    let client = client().map_err(Stopped::ClientSetting)?.hiding("CVM_LOOKUP_SECRET");
    let told = |failure: Failure| {
        complain(&failure);
        Reply::failure(failure.code())
    };
    Ok(ask_as(client, modules, request)?.unwrap_or_else(told))
}

/// Makes a request of version 2, with a tag if that is needed.
pub fn v2_request(modules: &ModuleList, credentials: &Credentials) -> Result<ClientRequest, Stopped> {
    let tag = if modules.needs_tag() { random_tag()? } else { Vec::new() };
    Ok(ClientRequest::v2(credentials, &tag)?)
}

/// Returns the characters at the last of which the domain is split off an account.
#[must_use]
pub fn split_chars() -> Vec<u8> {
    environment::bytes("CVM_ACCOUNT_SPLIT_CHARS").unwrap_or_else(|| b"@".to_vec())
}

/// Returns the name of this host as a UCSPI server gives it: `$PROTO` names the protocol, `${PROTO}LOCALHOST` the
/// host. Empty where there is none.
#[must_use]
pub fn ucspi_domain() -> Vec<u8> {
    let host = environment::bytes("PROTO").and_then(|mut name| {
        name.extend_from_slice(b"LOCALHOST");
        environment::bytes(str::from_utf8(&name).ok()?)
    });
    host.unwrap_or_default()
}

/// Returns the length of the random tag of the settings.
pub fn tag_length() -> Result<u8, SettingError> {
    let name = "CVM_RANDOM_BYTES";
    match environment::bytes(name) {
        None => Ok(8),
        Some(value) => environment::decimal::<u8>(&value)
            .ok_or_else(|| SettingError::wrong(name, &value, "a number from 0 to 255")),
    }
}

/// Draws the tag from the system's generator.
fn random_tag() -> Result<Vec<u8>, Stopped> {
    let length = tag_length().map_err(Stopped::ClientSetting)?;
    let mut tag = vec![0; length.into()];
    fill_with_random(&mut tag)?;
    Ok(tag)
}

/// Fills `bytes` from the system's generator.
pub fn fill_with_random(bytes: &mut [u8]) -> Result<(), Stopped> {
    client::fill_with_random(bytes).map_err(|error| Stopped::Io(format!("random generator: {error}")))
}
