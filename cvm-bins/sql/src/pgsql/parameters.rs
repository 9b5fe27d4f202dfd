//! The parameters of connections: libpq's variables.

use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use cvm_backends::Notices;
use cvm_bins::environment::{self, SettingError};
use nix::unistd::{User, geteuid};
use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};
use zeroize::Zeroizing;

use super::hosts::{self, Host, Server};
use super::password;
use super::tls::{self, Files, Mode};

/// What connections have in common, and where they may lead.
pub(super) struct Parameters {
    pub(super) servers: Vec<Server>,
    pub(super) target: Target,
    /// Begin anywhere in the list.
    pub(super) is_random: bool,
    /// For each server.
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tls: ClientConfig,
    mode: Mode,
    database: String,
    user: String,
    application: String,
    options: Option<String>,
    channel_binding: ChannelBinding,
    password: Option<Zeroizing<Vec<u8>>>,
    password_file: Option<PathBuf>,
    notices: Notices,
    told: Once,
}

/// `$PGTARGETSESSIONATTRS`: which servers of the list will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What libpq has and we have not, and that changes whom we trust or where we go.
const UNSUPPORTED: [&str; 6] =
    ["PGSERVICE", "PGREQUIREAUTH", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLNEGOTIATION", "PGSSLMINPROTOCOLVERSION"];

impl Parameters {
    pub(super) fn from_environment(notices: Notices) -> Result<Self, SettingError> {
        refuse_unsupported()?;
        let [hosts, addresses, ports] =
            [text("PGHOST")?, text("PGHOSTADDR")?, text("PGPORT")?].map(Option::unwrap_or_default);
        let servers = hosts::servers(&hosts, &addresses, &ports).map_err(wrong)?;
        let user = text("PGUSER")?
            .or_else(own_name)
            .ok_or(SettingError::Missing { name: "PGUSER", expected: "a user of the database" })?;
        let mode = mode()?;
        let home = environment::value("HOME").map(PathBuf::from);
        let in_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let there = |path: PathBuf| path.exists().then_some(path);
        let file = |name, default| path(name).or_else(|| in_home(default).and_then(there));
        let files = Files {
            roots: file("PGSSLROOTCERT", ".postgresql/root.crt"),
            certificate: file("PGSSLCERT", ".postgresql/postgresql.crt"),
            key: file("PGSSLKEY", ".postgresql/postgresql.key"),
        };
        Ok(Self {
            servers,
            target: environment::parsed(
                "PGTARGETSESSIONATTRS",
                "any, read-write, read-only, primary, standby or prefer-standby",
                Target::from_setting,
            )?
            .unwrap_or(Target::Any),
            is_random: environment::parsed("PGLOADBALANCEHOSTS", "disable or random", load_balance)?.unwrap_or(false),
            connect_timeout: environment::parsed("PGCONNECT_TIMEOUT", "seconds", environment::decimal::<u32>)?
                .filter(|&seconds| seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            tls: tls::client(mode, &files).map_err(|(name, mistake)| SettingError::mistake(name, mistake))?,
            mode,
            database: text("PGDATABASE")?.unwrap_or_else(|| user.clone()),
            user,
            application: text("PGAPPNAME")?.unwrap_or_else(|| "cvm-pgsql".into()),
            options: text("PGOPTIONS")?,
            channel_binding: environment::parsed("PGCHANNELBINDING", "disable, prefer or require", channel_binding)?
                .unwrap_or(ChannelBinding::Prefer),
            password: environment::filled("PGPASSWORD").map(Zeroizing::new),
            password_file: path("PGPASSFILE").or_else(|| in_home(".pgpass")),
            notices,
            told: Once::new(),
        })
    }

    /// Returns the driver's parameters for a server.
    pub(super) fn config(&self, server: &Server) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name(&self.application).port(server.port);
        config.channel_binding(self.channel_binding);
        match &server.host {
            // Sockets of the system need no secrecy, and have none with libpq either.
            Host::Folder(folder) => {
                config.host_path(folder).ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Disable)
            }
            Host::Name { name, address } => {
                if let Some(address) = *address {
                    config.hostaddr(address);
                }
                config.host(name).ssl_mode(self.ssl_mode())
            }
        };
        if let Some(options) = &self.options {
            config.options(options);
        }
        if let Some(password) = self.password(server) {
            config.password(&*password);
        }
        config
    }

    const fn ssl_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    fn password(&self, server: &Server) -> Option<Zeroizing<Vec<u8>>> {
        if self.password.is_some() {
            return self.password.clone();
        }
        let found = password::find(self.password_file.as_deref()?, server, &self.database, &self.user);
        found.unwrap_or_else(|trouble| {
            self.told.call_once(|| self.notices.give(format_args!("{trouble}")));
            None
        })
    }
}

impl Target {
    fn from_setting(value: &[u8]) -> Option<Self> {
        Some(match value {
            b"any" => Self::Any,
            b"read-write" => Self::ReadWrite,
            b"read-only" => Self::ReadOnly,
            b"primary" => Self::Primary,
            b"standby" => Self::Standby,
            b"prefer-standby" => Self::PreferStandby,
            _ => return None,
        })
    }

    /// What to look for, one after the other.
    pub(super) const fn rounds(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    pub(super) const fn fits(self, is_standby: bool, is_read_only: bool) -> bool {
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => !is_read_only,
            Self::ReadOnly => is_read_only,
            Self::Primary => !is_standby,
            Self::Standby => is_standby,
        }
    }
}

/// The authorities of the system vouch for the whole world, so that they are of use only with the name of the server.
fn mode() -> Result<Mode, SettingError> {
    let expected = "disable, prefer, require, verify-ca or verify-full";
    let mode = environment::parsed("PGSSLMODE", expected, Mode::from_setting)?;
    if environment::filled("PGSSLROOTCERT").as_deref() != Some(b"system") {
        return Ok(mode.unwrap_or(Mode::Prefer));
    }
    match mode.unwrap_or(Mode::VerifyFull) {
        Mode::VerifyFull => Ok(Mode::VerifyFull),
        _ => Err(SettingError::mistake("PGSSLMODE", "expected verify-full, as $PGSSLROOTCERT is system")),
    }
}

fn refuse_unsupported() -> Result<(), SettingError> {
    match UNSUPPORTED.into_iter().find(|name| environment::filled(name).is_some()) {
        Some(name) => Err(SettingError::mistake(name, "is not supported, expected it not to be set")),
        None => Ok(()),
    }
}

fn text(name: &'static str) -> Result<Option<String>, SettingError> {
    environment::parsed(name, "UTF-8 text", |value| String::from_utf8(value.to_vec()).ok())
}

fn path(name: &str) -> Option<PathBuf> {
    environment::value(name).map(PathBuf::from)
}

fn wrong((name, expected): hosts::Wrong) -> SettingError {
    SettingError::wrong(name, &environment::bytes(name).unwrap_or_default(), expected)
}

fn own_name() -> Option<String> {
    User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
}

fn load_balance(value: &[u8]) -> Option<bool> {
    match value {
        b"disable" => Some(false),
        b"random" => Some(true),
        _ => None,
    }
}

fn channel_binding(value: &[u8]) -> Option<ChannelBinding> {
    Some(match value {
        b"disable" => ChannelBinding::Disable,
        b"prefer" => ChannelBinding::Prefer,
        b"require" => ChannelBinding::Require,
        _ => return None,
    })
}
