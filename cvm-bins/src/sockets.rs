//! The sockets of a server: bound, owned and ready to be served, or an error that names them.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use cvm_core::client::Endpoint;
use nix::unistd::{Group, User};
use rustix::fs::{Gid, Mode, Uid, chmod, chown};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt,
};
use rustix::process::umask;

use crate::environment::{self, SettingError};
use crate::program::Stopped;

/// The connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 1024;

/// What UDP sockets hold for a server that is busy, in bytes; the system may allow less.
const RECEIVE_BUFFER: usize = 8 << 20;
const SEND_BUFFER: usize = 2 << 20;

/// Mode and owner of the UNIX sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership {
    mode: Mode,
    owner: Option<Uid>,
    group: Option<Gid>,
}

impl Ownership {
    /// Reads `$CVM_SOCKET_MODE`, `$CVM_SOCKET_OWNER` and `$CVM_SOCKET_GROUP`.
    pub(crate) fn from_environment() -> Result<Self, SettingError> {
        let mode = environment::parsed("CVM_SOCKET_MODE", "an octal mode up to 777", mode)?;
        let owner = environment::parsed("CVM_SOCKET_OWNER", "a user ID or the name of a user", owner)?;
        let group = environment::parsed("CVM_SOCKET_GROUP", "a group ID or the name of a group", group)?;
        let (owner, primary) = owner.unzip();
        let mode = mode.unwrap_or_else(|| Mode::from_raw_mode(0o777));
        Ok(Self { mode, owner, group: group.or_else(|| primary.flatten()) })
    }
}

fn mode(value: &[u8]) -> Option<Mode> {
    let octal = value.iter().all(|byte| (b'0'..=b'7').contains(byte));
    let mode = u32::from_str_radix(str::from_utf8(value).ok().filter(|_| octal)?, 8).ok()?;
    (mode <= 0o777).then(|| Mode::from_raw_mode(mode))
}

/// A name sets the user's primary group too.
fn owner(value: &[u8]) -> Option<(Uid, Option<Gid>)> {
    if let Some(uid) = environment::decimal::<u32>(value).filter(|&uid| uid != u32::MAX) {
        return Some((Uid::from_raw(uid), None));
    }
    let user = User::from_name(str::from_utf8(value).ok()?).ok()??;
    Some((Uid::from_raw(user.uid.as_raw()), Some(Gid::from_raw(user.gid.as_raw()))))
}

fn group(value: &[u8]) -> Option<Gid> {
    if let Some(gid) = environment::decimal::<u32>(value).filter(|&gid| gid != u32::MAX) {
        return Some(Gid::from_raw(gid));
    }
    let group = Group::from_name(str::from_utf8(value).ok()?).ok()??;
    Some(Gid::from_raw(group.gid.as_raw()))
}

/// Socket files that are ours: removed when dropped, unless somebody else's have taken their place.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<(PathBuf, (u64, u64))>);

impl Files {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        self.0.push((path.to_owned(), identity(path)?));
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for (path, ours) in &self.0 {
            if identity(path).is_ok_and(|found| found == *ours) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// How the UDP sockets are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpOptions {
    /// How many sockets share each address.
    siblings: usize,
    receive_buffer: usize,
    send_buffer: usize,
}

impl UdpOptions {
    /// Reads `$CVM_RECEIVE_BUFFER` and `$CVM_SEND_BUFFER`.
    pub(crate) fn from_environment(siblings: usize) -> Result<Self, SettingError> {
        let size = |name, default| {
            let given = environment::parsed(name, "a number of bytes up to 1073741823", |value| {
                environment::decimal::<usize>(value).filter(|size| *size < 1 << 30)
            });
            given.map(|given| given.filter(|size| *size > 0).unwrap_or(default))
        };
        let receive_buffer = size("CVM_RECEIVE_BUFFER", RECEIVE_BUFFER)?;
        let send_buffer = size("CVM_SEND_BUFFER", SEND_BUFFER)?;
        Ok(Self { siblings, receive_buffer, send_buffer })
    }
}

/// Sockets that are bound and ready to be served.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) locals: Vec<UnixListener>,
    /// By address.
    pub(crate) udps: Vec<Vec<UdpSocket>>,
}

/// Binds sockets for each endpoint; all or none.
pub(crate) fn open(endpoints: &[Endpoint], ownership: Ownership, udp: UdpOptions) -> Result<(Sockets, Files), Stopped> {
    let (mut sockets, mut files) = (Sockets::default(), Files::default());
    for (index, endpoint) in endpoints.iter().enumerate() {
        let opened = match endpoint {
            _ if endpoints[..index].contains(endpoint) => Err(Refused::Twice),
            Endpoint::Command(_) => Err(Refused::Command),
            Endpoint::Local(path) => {
                let path = Path::new(OsStr::from_bytes(path));
                open_local(path, ownership, &mut files).map(|listener| sockets.locals.push(listener))
            }
            Endpoint::Udp { host, port } => open_udp(host, *port, udp).map(|mut udps| sockets.udps.append(&mut udps)),
        };
        opened.map_err(|refused| Stopped::Io(format!("{endpoint}: {refused}")))?;
    }
    Ok((sockets, files))
}

/// Why a socket is not to be had.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("a command serves no socket")]
    Command,
    #[error("the endpoint is given twice")]
    Twice,
    #[error("another process serves this socket")]
    Served,
    #[error("the path exists and is no socket")]
    NotASocket,
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
}

/// Names what was tried when the system refused.
fn cannot<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Refused {
    move |error| Refused::System(what, error.into())
}

fn open_local(path: &Path, ownership: Ownership, files: &mut Files) -> Result<UnixListener, Refused> {
    let address = SocketAddrUnix::new(path).map_err(cannot("use a path of this length"))?;
    clear_the_way(path, &address)?;
    let socket = stream_socket().map_err(cannot("make a socket"))?;
    // Nobody may connect before mode and owner are right.
    let mask = umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    let bound = bind(&socket, &address);
    umask(mask);
    bound.map_err(cannot("bind the socket"))?;
    files.add(path).map_err(cannot("find the socket"))?;
    chown(path, ownership.owner, ownership.group).map_err(cannot("change the owner"))?;
    chmod(path, ownership.mode).map_err(cannot("change the mode"))?;
    listen(&socket, BACKLOG).map_err(cannot("listen"))?;
    Ok(socket.into())
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Removes a socket on which nobody listens any more; leaves everything else as it is.
fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<(), Refused> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("look at the path")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Refused::NotASocket),
        Ok(metadata) => (metadata.dev(), metadata.ino()),
    };
    // A socket of another type cannot connect, and so does not disturb a server; the error tells whether one is there.
    let probe = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(cannot("make a socket"))?;
    match connect(&probe, address) {
        // Somebody else may have replaced the stale socket meanwhile.
        Err(Errno::CONNREFUSED) if identity(path).is_ok_and(|now| now != found) => Err(Refused::Served),
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path).map_err(cannot("remove a stale socket")),
        Ok(()) | Err(Errno::PROTOTYPE) => Err(Refused::Served),
        Err(error) => Err(cannot("tell whether the socket is served")(error)),
    }
}

/// Binds every address of the host that this machine has, and at least one.
fn open_udp(host: &str, port: u16, options: UdpOptions) -> Result<Vec<Vec<UdpSocket>>, Refused> {
    let mut sockets = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses(host, port).map_err(cannot("find the host"))? {
        match bind_udps(address, options) {
            Ok(siblings) => sockets.push(siblings),
            Err(error @ (Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) => last = error.into(),
            Err(error) => return Err(cannot("bind the socket")(error)),
        }
    }
    if sockets.is_empty() { Err(cannot("bind the socket")(last)) } else { Ok(sockets) }
}

/// Finds the addresses of a host; `0` is every IPv4 address of this machine.
fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host == "0" {
        return Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    // A host may be listed twice with one address.
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Binds the sockets that share an address, which nobody else serves.
fn bind_udps(address: SocketAddr, options: UdpOptions) -> Result<Vec<UdpSocket>, Errno> {
    // The first one is bound alone, so that a port that somebody serves is refused even if he would share it.
    let first = udp_socket(address, options)?;
    bind(&first, &address)?;
    let mut siblings = vec![first];
    if options.siblings > 1 {
        sockopt::set_socket_reuseport(&siblings[0], true)?;
    }
    while siblings.len() < options.siblings {
        let next = udp_socket(address, options)?;
        sockopt::set_socket_reuseport(&next, true)?;
        bind(&next, &address)?;
        siblings.push(next);
    }
    Ok(siblings.into_iter().map(UdpSocket::from).collect())
}

fn udp_socket(address: SocketAddr, options: UdpOptions) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        // `[::]` leaves IPv4 to whoever wants it.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // Only root may have more than the system's limit; smaller buffers are no reason not to serve.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, options.receive_buffer)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, options.receive_buffer));
    let _ = sockopt::set_socket_send_buffer_size(&socket, options.send_buffer);
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_bounded() {
        assert_eq!(mode(b"0700"), Some(Mode::RWXU));
        assert_eq!(mode(b"777"), Some(Mode::RWXU | Mode::RWXG | Mode::RWXO));
        for bad in ["8", "1000", "+7", "rwx", "-1"] {
            assert_eq!(mode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn owners_are_numbers_or_names_and_names_bring_their_group() {
        assert_eq!(owner(b"12"), Some((Uid::from_raw(12), None)));
        assert_eq!(owner(b"root"), Some((Uid::ROOT, Some(Gid::ROOT))));
        assert_eq!(group(b"root"), Some(Gid::ROOT));
        assert_eq!(owner(b"no such user"), None);
        assert_eq!(owner(b"4294967295"), None);
        assert_eq!(group(b"no such group"), None);
    }

    #[test]
    fn zero_is_every_ipv4_address() {
        assert_eq!(addresses("0", 7).unwrap(), [SocketAddr::from(([0, 0, 0, 0], 7))]);
        assert_eq!(addresses("::", 7).unwrap(), ["[::]:7".parse().unwrap()]);
    }
}
