//! The parameters of connections: variables, and what the option files say where there is none.

use std::path::PathBuf;
use std::time::Duration;

use cvm_bins::environment::{self, SettingError};
use mysql::{ClientIdentity, Opts, OptsBuilder, SslOpts};
use nix::unistd::{User, geteuid};
use zeroize::Zeroizing;

use super::options::{self, Options};

/// How to connect.
pub(super) struct Parameters {
    server: Server,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    database: String,
    tls: Option<SslOpts>,
    /// Go without if the server has none.
    may_lack_tls: bool,
}

enum Server {
    Socket(String),
    Tcp { host: String, port: u16 },
}

/// `$CVM_MYSQL_SSL_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

/// Where Debian, and most others, have the socket.
const DEFAULT_SOCKET: &str = "/run/mysqld/mysqld.sock";

const DEFAULT_PORT: u16 = 3306;

impl Parameters {
    pub(super) fn from_environment() -> Result<Self, SettingError> {
        let options = read_options()?;
        let text = |name, option| Ok(text(name)?.or_else(|| filled(&options, option)));
        let host = text("CVM_MYSQL_HOST", "host")?.unwrap_or_else(|| "localhost".into());
        let (mode, tls) = tls(&options)?;
        let own_name = || User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
        Ok(Self {
            server: match &*host {
                "localhost" => {
                    Server::Socket(text("CVM_MYSQL_SOCKET", "socket")?.unwrap_or_else(|| DEFAULT_SOCKET.into()))
                }
                _ => Server::Tcp { port: port(text("CVM_MYSQL_PORT", "port")?)?, host },
            },
            user: text("CVM_MYSQL_USER", "user")?.or_else(own_name),
            password: password()?.or_else(|| options.get("password").cloned().filter(|it| !it.is_empty())),
            database: text("CVM_MYSQL_DB", "database")?
                .ok_or(SettingError::Missing { name: "CVM_MYSQL_DB", expected: "the name of a database" })?,
            tls,
            may_lack_tls: mode == Mode::Prefer,
        })
    }

    /// Returns the driver's parameters for a connection, and others for a server that has no TLS, if that may be.
    pub(super) fn ways(&self, timeout: Duration) -> Vec<Opts> {
        let without = self.may_lack_tls.then(|| self.opts(timeout, None));
        [self.opts(timeout, self.tls.clone())].into_iter().chain(without).collect()
    }

    fn opts(&self, timeout: Duration, tls: Option<SslOpts>) -> Opts {
        let builder = OptsBuilder::new()
            .user(self.user.as_ref())
            .pass(self.password.as_deref())
            .db_name(Some(&self.database))
            // It would take the socket of another server on this machine.
            .prefer_socket(false)
            .tcp_connect_timeout(Some(timeout))
            .init(vec![session(timeout)])
            .read_timeout(Some(timeout))
            .write_timeout(Some(timeout));
        let builder = match &self.server {
            Server::Socket(path) => builder.socket(Some(path)),
            Server::Tcp { host, port } => builder.ip_or_hostname(Some(host)).tcp_port(*port).ssl_opts(tls),
        };
        builder.into()
    }
}

/// Sets up a session: without transactions that last, which would show accounts as they were and lose what is written
/// after a success, and with all warnings. Each database also ends a statement that nobody waits for any more, in what
/// the other takes for a comment.
fn session(timeout: Duration) -> String {
    let (seconds, milliseconds) = (timeout.as_secs_f64(), timeout.as_millis());
    format!(
        "SET SESSION autocommit=1, SESSION max_error_count=65535 \
         /*M!100101 , SESSION max_statement_time={seconds:.3} */ /*!50708 , SESSION max_execution_time={milliseconds} */"
    )
}

fn read_options() -> Result<Options, SettingError> {
    let mut options = Options::new();
    let (file, group) = (environment::value("CVM_MYSQL_DEFAULT_FILE"), text("CVM_MYSQL_DEFAULT_GROUP")?);
    let groups = ["client", "client-server", "client-mariadb", group.as_deref().unwrap_or_default()];
    let mut read = |name, path: PathBuf, is_needed| {
        let read = options::read(&path, &groups, is_needed, &mut options);
        read.map_err(|mistake| SettingError::mistake(name, mistake))
    };
    if let Some(file) = file {
        read("CVM_MYSQL_DEFAULT_FILE", file.into(), true)?;
    } else if group.is_some() {
        let home = environment::value("HOME").map(|home| PathBuf::from(home).join(".my.cnf"));
        for path in ["/etc/my.cnf", "/etc/mysql/my.cnf"].map(PathBuf::from).into_iter().chain(home) {
            read("CVM_MYSQL_DEFAULT_GROUP", path, false)?;
        }
    }
    Ok(options)
}

fn text(name: &'static str) -> Result<Option<String>, SettingError> {
    environment::parsed(name, "UTF-8 text", |value| String::from_utf8(value.to_vec()).ok())
}

/// A mistake in it does not show it.
fn password() -> Result<Option<Zeroizing<String>>, SettingError> {
    let text = |value| String::from_utf8(value).map(Zeroizing::new);
    let password = environment::filled("CVM_MYSQL_PASS").map(text).transpose();
    password.map_err(|_| SettingError::mistake("CVM_MYSQL_PASS", "expected UTF-8 text"))
}

fn port(port: Option<String>) -> Result<u16, SettingError> {
    let Some(port) = port else {
        return Ok(DEFAULT_PORT);
    };
    let number = environment::decimal(port.as_bytes()).filter(|&port| port > 0);
    number.ok_or_else(|| SettingError::wrong("CVM_MYSQL_PORT", port.as_bytes(), "a port from 1 to 65535"))
}

fn tls(options: &Options) -> Result<(Mode, Option<SslOpts>), SettingError> {
    let ca = environment::value("CVM_MYSQL_SSL_CA").map(PathBuf::from).or_else(|| path(options, "ssl-ca"));
    let expected = "disable, prefer, require or verify-full";
    let mode = environment::parsed("CVM_MYSQL_SSL_MODE", expected, Mode::from_setting)?;
    let mode = mode.unwrap_or_else(|| Mode::from_options(options, ca.is_some()));
    if mode == Mode::Disable {
        return Ok((mode, None));
    }
    let identity = match (path(options, "ssl-cert"), path(options, "ssl-key")) {
        (Some(certificate), Some(key)) => Some(ClientIdentity::new(certificate, key)),
        _ => None,
    };
    let checks = SslOpts::default().with_client_identity(identity);
    let tls = match mode {
        Mode::Disable | Mode::Prefer | Mode::Require => {
            checks.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        // The driver trusts the authorities that browsers trust as well, so that the name has to be checked too.
        Mode::VerifyFull => checks.with_root_cert_path(ca),
    };
    Ok((mode, Some(tls)))
}

fn path(options: &Options, name: &str) -> Option<PathBuf> {
    filled(options, name).map(PathBuf::from)
}

fn filled(options: &Options, name: &str) -> Option<String> {
    options.get(name).filter(|value| !value.is_empty()).map(|value| value.to_string())
}

impl Mode {
    fn from_setting(value: &[u8]) -> Option<Self> {
        Some(match value {
            b"disable" => Self::Disable,
            b"prefer" => Self::Prefer,
            b"require" => Self::Require,
            b"verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// By the options of both databases.
    fn from_options(options: &Options, has_ca: bool) -> Self {
        let is_on = |name: &str| {
            options.get(name).is_some_and(|value| !matches!(&*value.to_ascii_lowercase(), "0" | "off" | "false"))
        };
        let mode = options.get("ssl-mode").map(|mode| mode.to_ascii_lowercase().replace('_', "-"));
        match mode.as_deref() {
            Some("disabled") => Self::Disable,
            Some("preferred") => Self::Prefer,
            Some("verify-ca" | "verify-identity") => Self::VerifyFull,
            Some(_) => Self::Require,
            None if has_ca || is_on("ssl-verify-server-cert") => Self::VerifyFull,
            None if is_on("ssl") => Self::Require,
            None => Self::Disable,
        }
    }
}
