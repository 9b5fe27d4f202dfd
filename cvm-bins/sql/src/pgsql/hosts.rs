//! Lists of hosts, as libpq has them.

use std::net::IpAddr;
use std::path::PathBuf;

/// A server, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A folder with a UNIX socket.
    Folder(PathBuf),
    /// A name, or an address, and the address to use in the place of what the name has.
    Name { name: String, address: Option<IpAddr> },
}

/// Where Debian, and most others, have the socket.
pub(super) const DEFAULT_FOLDER: &str = "/var/run/postgresql";

const DEFAULT_PORT: u16 = 5432;

/// Which of the variables is wrong, and what it should be.
pub(super) type Wrong = (&'static str, &'static str);

/// Joins the values of `$PGHOST`, `$PGHOSTADDR` and `$PGPORT`.
pub(super) fn servers(hosts: &str, addresses: &str, ports: &str) -> Result<Vec<Server>, Wrong> {
    let (hosts, addresses, ports) = (list(hosts), list(addresses), list(ports));
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(("PGHOSTADDR", "as many addresses as $PGHOST has hosts"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(("PGPORT", "one port, or as many as there are hosts"));
    }
    let item = |list: &[&str], index: usize| list.get(index).copied().unwrap_or_default().to_owned();
    let server = |index| {
        let port = if ports.len() == 1 { item(&ports, 0) } else { item(&ports, index) };
        Ok(Server { host: host(&item(&hosts, index), &item(&addresses, index))?, port: read_port(&port)? })
    };
    (0..count).map(server).collect()
}

/// An empty string is no list; an empty part of a list is the default.
fn list(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

fn host(name: &str, address: &str) -> Result<Host, Wrong> {
    if address.is_empty() && (name.is_empty() || name.starts_with('/')) {
        return Ok(Host::Folder(if name.is_empty() { DEFAULT_FOLDER.into() } else { name.into() }));
    }
    if name.starts_with('@') {
        return Err(("PGHOST", "names, addresses or paths"));
    }
    let parsed = || address.parse::<IpAddr>().map_err(|_| ("PGHOSTADDR", "addresses"));
    let address = if address.is_empty() { None } else { Some(parsed()?) };
    let name = match address {
        Some(address) if name.is_empty() => address.to_string(),
        _ => name.to_owned(),
    };
    Ok(Host::Name { name, address })
}

fn read_port(port: &str) -> Result<u16, Wrong> {
    if port.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    port.parse().ok().filter(|&port| port > 0).ok_or(("PGPORT", "ports from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, port: u16) -> Server {
        Server { host: Host::Name { name: name.into(), address: None }, port }
    }

    fn folder(path: &str, port: u16) -> Server {
        Server { host: Host::Folder(path.into()), port }
    }

    #[test]
    fn hosts_addresses_and_ports_belong_together() {
        assert_eq!(servers("", "", ""), Ok(vec![folder(DEFAULT_FOLDER, 5432)]));
        assert_eq!(servers("a,b", "", "7"), Ok(vec![name("a", 7), name("b", 7)]));
        assert_eq!(
            servers("a,/run,", "", "7,,8"),
            Ok(vec![name("a", 7), folder("/run", 5432), folder(DEFAULT_FOLDER, 8)])
        );
        let address = Server { host: Host::Name { name: "a".into(), address: "::1".parse().ok() }, port: 5432 };
        assert_eq!(servers("a", "::1", ""), Ok(vec![address]));
        let alone = Server { host: Host::Name { name: "::1".into(), address: "::1".parse().ok() }, port: 5432 };
        assert_eq!(servers("", "::1", ""), Ok(vec![alone]));
        for (hosts, addresses, ports, wrong) in [
            ("a,b", "::1", "", "PGHOSTADDR"),
            ("a", "x", "", "PGHOSTADDR"),
            ("a,b,c", "", "1,2", "PGPORT"),
            ("a", "", "0", "PGPORT"),
            ("@a", "", "", "PGHOST"),
        ] {
            assert_eq!(servers(hosts, addresses, ports).map_err(|(name, _)| name), Err(wrong));
        }
    }
}
