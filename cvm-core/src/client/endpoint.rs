//! Endpoints: where a module answers, as a client and a server write it.

use core::fmt;
use core::net::Ipv6Addr;

use crate::code::Code;

/// Where a module answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A program that answers one request on standard input: a path, or a name that is searched in `$PATH`.
    Command(Vec<u8>),
    /// A UNIX stream socket at this path.
    Local(Vec<u8>),
    /// A UDP socket.
    Udp {
        /// A host name or an address; IPv6 addresses are without their brackets.
        host: String,
        /// The port, 1 to 65535.
        port: u16,
    },
}

/// A module name that is none. Its message names the element and says what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("module {name:?}: {kind}")]
pub struct ModuleError {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("an element of the list is empty")]
    Empty,
    #[error("the prefix is none of cvm-command:, cvm-local:, cvm-udp:")]
    Prefix,
    #[error("a path is missing")]
    Path,
    #[error("a path cannot hold a NUL byte")]
    Nul,
    #[error("expected cvm-udp:HOST:PORT with a port from 1 to 65535 and an IPv6 address in brackets")]
    Udp,
}

impl ModuleError {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::GENERAL
    }
}

impl Endpoint {
    /// Reads one module name: `cvm-command:PATH`, `cvm-local:PATH`, `cvm-udp:HOST:PORT`, or a bare path or name.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] for an empty name, another `cvm-…:` prefix, or one with nothing usable behind it.
    ///
    /// ```
    /// use cvm_core::client::Endpoint;
    ///
    /// let endpoint = Endpoint::parse(b"cvm-udp:[::1]:791").unwrap();
    /// assert_eq!(endpoint, Endpoint::Udp { host: "::1".into(), port: 791 });
    /// ```
    pub fn parse(name: &[u8]) -> Result<Self, ModuleError> {
        Self::read(name).map_err(|kind| ModuleError { name: String::from_utf8_lossy(name).into_owned(), kind })
    }

    fn read(name: &[u8]) -> Result<Self, Kind> {
        if name.is_empty() {
            return Err(Kind::Empty);
        }
        let Some((prefix, rest)) = prefix(name) else {
            return path(name).map(Self::Command);
        };
        match prefix {
            b"cvm-command" => path(rest).map(Self::Command),
            b"cvm-local" => path(rest).map(Self::Local),
            b"cvm-udp" => udp(rest).ok_or(Kind::Udp),
            _ => Err(Kind::Prefix),
        }
    }
}

/// Splits off what looks like a contact mode: `cvm-` and more up to a colon, before any slash.
fn prefix(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = name.iter().position(|byte| matches!(byte, b':' | b'/'))?;
    let (prefix, rest) = name.split_at_checked(end)?;
    let rest = rest.strip_prefix(b":")?;
    prefix.starts_with(b"cvm-").then_some((prefix, rest))
}

fn path(path: &[u8]) -> Result<Vec<u8>, Kind> {
    if path.is_empty() {
        Err(Kind::Path)
    } else if path.contains(&0) {
        Err(Kind::Nul)
    } else {
        Ok(path.to_vec())
    }
}

fn udp(address: &[u8]) -> Option<Endpoint> {
    let (host, port) = core::str::from_utf8(address).ok()?.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').filter(|host| is_ipv6(host))?,
        None => Some(host).filter(|host| !host.contains([':', '[', ']']))?,
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|&port| digits && port > 0)?;
    let usable = !host.is_empty() && !host.contains('\0');
    usable.then(|| Endpoint::Udp { host: host.to_owned(), port })
}

/// An address, perhaps with the zone of a link-local one behind a percent sign.
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(path) => write!(f, "cvm-command:{}", String::from_utf8_lossy(path)),
            Self::Local(path) => write!(f, "cvm-local:{}", String::from_utf8_lossy(path)),
            Self::Udp { host, port } if host.contains(':') => write!(f, "cvm-udp:[{host}]:{port}"),
            Self::Udp { host, port } => write!(f, "cvm-udp:{host}:{port}"),
        }
    }
}

/// A list of modules to ask in turn, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleList(Vec<Endpoint>);

impl ModuleList {
    /// Reads module names separated by commas.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] for the first element that is no module name; an empty one is none.
    pub fn parse(list: &[u8]) -> Result<Self, ModuleError> {
        let endpoints = list.split(|&byte| byte == b',').map(|name| {
            Endpoint::parse(name).map_err(|error| match error.kind {
                // An empty name says nothing; the list tells where it is.
                Kind::Empty => ModuleError { name: String::from_utf8_lossy(list).into_owned(), kind: Kind::Empty },
                _ => error,
            })
        });
        endpoints.collect::<Result<_, _>>().map(Self)
    }

    /// Makes a list of one.
    #[must_use]
    pub fn single(endpoint: Endpoint) -> Self {
        Self(vec![endpoint])
    }

    /// Returns the modules in the order in which they are asked.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.0
    }

    /// Tells whether a request to this list needs a random tag: one of the modules answers over UDP.
    #[must_use]
    pub fn needs_tag(&self) -> bool {
        self.0.iter().any(|endpoint| matches!(endpoint, Endpoint::Udp { .. }))
    }
}

impl fmt::Display for ModuleList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(host: &str, port: u16) -> Endpoint {
        Endpoint::Udp { host: host.to_owned(), port }
    }

    #[test]
    fn names_of_every_contact_mode() {
        let command = |path: &str| Endpoint::Command(path.into());
        for (name, endpoint) in [
            ("cvm-command:/bin/cvm-unix", command("/bin/cvm-unix")),
            ("cvm-command:cvm-unix", command("cvm-unix")),
            ("/bin/cvm-unix", command("/bin/cvm-unix")),
            ("cvm-unix", command("cvm-unix")),
            ("./cvm-foo:bar/x", Endpoint::Command("./cvm-foo:bar/x".into())),
            ("cvm-local:/tmp/s:ocket", Endpoint::Local("/tmp/s:ocket".into())),
            ("cvm-udp:localhost:791", udp("localhost", 791)),
            ("cvm-udp:0:65535", udp("0", 65535)),
            ("cvm-udp:[::]:1", udp("::", 1)),
            ("cvm-udp:[fe80::1%eth0]:1", udp("fe80::1%eth0", 1)),
        ] {
            assert_eq!(Endpoint::parse(name.as_bytes()), Ok(endpoint), "{name}");
        }
    }

    #[test]
    fn what_is_no_module_name_is_named() {
        for name in [
            "",
            "cvm-foo:/x",
            "cvm-local:",
            "cvm-command:",
            "cvm-udp:",
            "cvm-udp:host",
            "cvm-udp:host:",
            "cvm-udp::791",
            "cvm-udp:host:0",
            "cvm-udp:host:65536",
            "cvm-udp:host:+1",
            "cvm-udp:host:x",
            "cvm-udp:::1:791",
            "cvm-udp:[::1:791",
            "cvm-udp:[]:791",
            "cvm-udp:[localhost]:791",
            "cvm-udp:[[::1]]:791",
            "cvm-udp:[[a]:791",
            "cvm-udp:a]:791",
            "cvm-udp:[%eth0]:791",
            "cvm-udp:a\0b:791",
            "cvm-local:/a\0b",
        ] {
            let error = Endpoint::parse(name.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn lists_are_separated_by_commas_and_have_no_empty_element() {
        let list = ModuleList::parse(b"cvm-unix,cvm-udp:a:1").unwrap();
        assert_eq!(list.endpoints(), [Endpoint::Command("cvm-unix".into()), udp("a", 1)]);
        assert!(list.needs_tag());
        assert!(!ModuleList::parse(b"cvm-unix,cvm-local:/udp").unwrap().needs_tag());
        for bad in ["", ",x", "x,", "x,,y"] {
            let error = ModuleList::parse(bad.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(&format!("{bad:?}: an element of the list is empty")), "{error}");
        }
    }

    #[test]
    fn endpoints_print_as_they_are_written() {
        for name in ["cvm-command:/x", "cvm-local:/y", "cvm-udp:h:1", "cvm-udp:[::1]:1"] {
            assert_eq!(Endpoint::parse(name.as_bytes()).unwrap().to_string(), name);
        }
        let list = "cvm-command:/x,cvm-udp:h:1";
        assert_eq!(ModuleList::parse(list.as_bytes()).unwrap().to_string(), list);
    }
}
