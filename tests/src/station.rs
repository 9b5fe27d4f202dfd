//! A module that answers over each contact mode, mostly `cvm-pwfile` for a password file.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;

use crate::Settings;
use crate::contact::{Contact, Mode};
use crate::folder::{Folder, quoted};
use crate::packet::{self, Items};
use crate::process::LIMIT;
use crate::programs::Make;
use crate::server::{Server, free_port};

/// The accounts that most tests use.
pub const TABLE: &str = "\
alice:secret:1001:1002:Alice Rig,Room 1,555-1:/home/alice:/bin/sh
bare:pw:7:8:::
empty::1003:1003:No Password:/home/empty:/bin/sh
Carol:pass word:4294967294:0:Carol,:/home/carol:
";

/// The facts of the first account.
pub const ALICE: Items<'static> =
    &[(1, b"alice"), (2, b"1001"), (3, b"1002"), (4, b"Alice Rig"), (5, b"/home/alice"), (6, b"/bin/sh")];

/// Returns the answer that the first account gets for its password.
#[must_use]
pub fn alice_with(tag: &[u8]) -> Vec<u8> {
    packet::v2(0, tag, ALICE)
}

/// One module, one set of settings, all three contact modes.
#[derive(Debug)]
pub struct Station {
    make: Make,
    program: String,
    folder: Folder,
    settings: Vec<(String, String)>,
    port: u16,
    servers: Vec<Server>,
}

impl Station {
    /// Writes the table and starts the servers.
    #[must_use]
    pub fn start(make: Make, table: &str, settings: Settings<'_>) -> Self {
        let folder = Folder::new();
        let path = folder.write("passwd", table);
        let settings = [&[("CVM_PWFILE_PATH", path.as_str())], settings].concat();
        Self::in_folder(folder, make, "cvm-pwfile", &settings)
    }

    /// Starts servers of a module that needs no table.
    #[must_use]
    pub fn start_module(make: Make, program: &str, settings: Settings<'_>) -> Self {
        Self::in_folder(Folder::new(), make, program, settings)
    }

    fn in_folder(folder: Folder, make: Make, program: &str, settings: Settings<'_>) -> Self {
        // A command gets its settings from whoever runs it: here only those of the station.
        let given: String = settings.iter().map(|(name, value)| quoted(&format!("{name}={value}")) + " ").collect();
        let path = quoted(&make.program(program));
        folder.script("module", &format!("exec env -i PATH=\"$PATH\" LC_ALL=C {given}{path}"));
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let program = program.to_owned();
        let mut station = Self { make, program, folder, settings, port: 0, servers: Vec::new() };
        station.restart();
        station
    }

    /// Replaces the servers by fresh ones.
    pub fn restart(&mut self) {
        self.servers.clear();
        self.port = free_port();
        let (local, udp) = (self.module(Mode::Local), self.module(Mode::Udp));
        let endpoints = [local.as_str(), udp.as_str()];
        // The original serves one endpoint.
        let endpoints_of_each = if self.make == Make::Ours { 2 } else { 1 };
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let start = |endpoints| Server::start_module(self.make, &self.program, endpoints, &settings);
        self.servers = endpoints.chunks(endpoints_of_each).map(start).collect();
    }

    /// Returns whose programs answer.
    #[must_use]
    pub const fn make(&self) -> Make {
        self.make
    }

    /// Returns the name by which clients call the module.
    #[must_use]
    pub fn module(&self, mode: Mode) -> String {
        match mode {
            Mode::Command => format!("cvm-command:{}", self.folder.path("module")),
            Mode::Local => format!("cvm-local:{}", self.folder.path("socket")),
            Mode::Udp => format!("cvm-udp:127.0.0.1:{}", self.port),
        }
    }

    /// Returns the way to ask raw packets.
    #[must_use]
    pub fn contact(&self, mode: Mode) -> Contact {
        match mode {
            Mode::Command => Contact::Command(self.folder.path("module")),
            Mode::Local => Contact::Local(self.folder.path("socket")),
            Mode::Udp => Contact::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))),
        }
    }

    /// Returns the folder, in which the table is called `passwd`.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Returns the server; of the original's two, that of the UNIX socket.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.servers[0]
    }

    /// Returns the server that answers over a socket of this kind.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn server_of(&self, mode: Mode) -> &Server {
        let server = if mode == Mode::Udp { self.servers.last() } else { self.servers.first() };
        server.expect("a station has servers")
    }

    /// Returns the server, to stop it.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.servers[0]
    }

    /// Connects to the UNIX socket.
    ///
    /// # Panics
    ///
    /// If nobody serves it.
    #[must_use]
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path("socket")).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a time-out can be set");
        stream
    }
}
