//! Private databases of the real kinds, in a folder of their own, ended with the value that stands for them.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::folder::Folder;
use crate::process::{self, End, LIMIT, Running, command, eventually, run_within};
use crate::programs::tool;
use crate::server::free_port;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite: a file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB, which speaks as MySQL does.
    Mysql,
}

/// The time that it may take to make a database.
const MAKING: Duration = Duration::from_secs(120);

/// So that many of them run at a time: asynchronous requests are few in a system, and logs are large.
const SMALL: [&str; 2] = ["--innodb-use-native-aio=0", "--innodb-log-file-size=8M"];

/// The user of servers that refuse to be root's.
const NOBODY: u32 = 65534;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Mysql];

    /// Those with a server.
    pub const SERVERS: [Self; 2] = [Self::Postgres, Self::Mysql];

    /// Returns the name of the module.
    #[must_use]
    pub const fn module(self) -> &'static str {
        match self {
            Self::Sqlite => "cvm-sqlite",
            Self::Postgres => "cvm-pgsql",
            Self::Mysql => "cvm-mysql",
        }
    }

    /// Returns the name of one of the module's own settings.
    #[must_use]
    pub fn setting(self, name: &str) -> String {
        let prefix = match self {
            Self::Sqlite => "CVM_SQLITE",
            Self::Postgres => "CVM_PGSQL",
            Self::Mysql => "CVM_MYSQL",
        };
        format!("{prefix}_{name}")
    }
}

/// A database named `cvm`.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    folder: Folder,
    port: u16,
    running: Option<Running>,
    options: Vec<String>,
}

impl Database {
    /// Makes an empty database, and starts its server with these options.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn start(kind: Kind, options: &[&str]) -> Self {
        static POSTGRES: LazyLock<File> = LazyLock::new(|| Database::pack(Kind::Postgres));
        static MYSQL: LazyLock<File> = LazyLock::new(|| Database::pack(Kind::Mysql));
        let mut database = Self::folder_for(kind, options);
        match kind {
            Kind::Sqlite => drop(database.sql("PRAGMA user_version=1;")),
            Kind::Postgres => database.unpack(&POSTGRES),
            Kind::Mysql => database.unpack(&MYSQL),
        }
        database.resume();
        database
    }

    /// Makes an empty database, which takes seconds, and returns an archive of its files, which is nowhere else.
    fn pack(kind: Kind) -> File {
        let mut database = Self::folder_for(kind, &[]);
        let data = database.path("data");
        match kind {
            Kind::Sqlite => {}
            Kind::Postgres => {
                database.make(
                    "initdb",
                    &["-D", &data, "-A", "trust", "-U", "cvm", "--no-sync", "-E", "UTF8", "--locale=C"],
                );
                database.resume();
                database.client("postgres", "create database cvm");
            }
            Kind::Mysql => {
                // In a shared folder, a server that starts deletes the tables of others.
                let folders = [format!("--datadir={data}"), format!("--tmpdir={data}")];
                let options = ["--auth-root-authentication-method=normal", "--skip-test-db"];
                let arguments = [&["--no-defaults", &folders[0], &folders[1]], &options[..], &SMALL].concat();
                database.make("mariadb-install-db", &arguments);
                database.resume();
                let user = "create user cvm@'%' identified by 'sesame'; grant all on cvm.* to cvm@'%';";
                database.client("mysql", &format!("create database cvm; {user}"));
            }
        }
        // In order, and at once though it may have clients.
        database.end(if kind == Kind::Postgres { Signal::INT } else { Signal::TERM });
        let archive = tempfile::tempfile().expect("a temporary file");
        let copy = archive.try_clone().expect("a descriptor can be duplicated");
        tar(&["-C", &data, "-cSf", "-", "."], Stdio::null(), copy.into());
        archive
    }

    fn unpack(&self, archive: &File) {
        // Opened anew, it is read from its beginning.
        let archive = File::open(format!("/proc/self/fd/{}", archive.as_raw_fd())).expect("an open file");
        tar(&["-C", &self.path("data"), "-xpf", "-"], archive.into(), Stdio::null());
    }

    /// Makes a standby of a PostgreSQL database, and starts it.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn standby_of(primary: &Self) -> Self {
        let mut standby = Self::folder_for(Kind::Postgres, &[]);
        let (data, port) = (standby.path("data"), primary.port.to_string());
        standby.make(
            "pg_basebackup",
            &[
                "-D",
                &data,
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "cvm",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        );
        standby.resume();
        standby
    }

    fn folder_for(kind: Kind, options: &[&str]) -> Self {
        let folder = Folder::new();
        fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("our own folder");
        fs::create_dir(folder.path("data")).expect("a folder");
        for name in ["", "data"].into_iter().filter(|_| geteuid().is_root()) {
            std::os::unix::fs::chown(folder.path(name), Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        }
        fs::set_permissions(folder.path("data"), PermissionsExt::from_mode(0o700)).expect("our own folder");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { kind, folder, port: free_port(), running: None, options }
    }

    /// Runs a tool that makes something in the folder.
    fn make(&self, name: &str, arguments: &[&str]) {
        let finished = run_within(MAKING, &mut self.as_nobody(&self.tool(name), arguments), b"");
        assert_eq!(finished.end, End::Exit(0), "{name}: {finished:?}");
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn resume(&mut self) {
        let (data, port) = (self.path("data"), self.port.to_string());
        let mut arguments: Vec<String> = match self.kind {
            Kind::Sqlite => return,
            Kind::Postgres => [
                "-D",
                &data,
                "-k",
                &self.path(""),
                "-p",
                &port,
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=8MB",
            ]
            .map(str::to_owned)
            .into(),
            Kind::Mysql => vec![
                "--no-defaults".into(),
                format!("--datadir={data}"),
                format!("--tmpdir={data}"),
                format!("--socket={}", self.path("socket")),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".into(),
                format!("--pid-file={}", self.path("pid")),
                SMALL[0].into(),
                SMALL[1].into(),
                "--innodb-buffer-pool-size=8M".into(),
                "--innodb-flush-log-at-trx-commit=0".into(),
                "--skip-name-resolve".into(),
            ],
        };
        arguments.extend(self.options.iter().cloned());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let program = if self.kind == Kind::Postgres { "postgres" } else { "mariadbd" };
        let log = || File::options().create(true).append(true).open(self.path("log")).map(Stdio::from).expect("a log");
        let mut server = self.as_nobody(&self.tool(program), &arguments);
        server.stdin(Stdio::null()).stdout(log()).stderr(log());
        let running = Running::start(&mut server);
        // Clients that ask before there is a socket would hold the server up.
        let answers = eventually(MAKING, || running.has_ended() || self.has_socket() && self.answers());
        let log = String::from_utf8_lossy(&self.folder.read("log")).into_owned();
        assert!(answers && !running.has_ended(), "{program} does not answer: {log}");
        self.running = Some(running);
    }

    fn has_socket(&self) -> bool {
        let name = if self.kind == Kind::Postgres { format!(".s.PGSQL.{}", self.port) } else { "socket".to_owned() };
        Path::new(&self.path(&name)).exists()
    }

    fn answers(&self) -> bool {
        let name = if self.kind == Kind::Postgres { "postgres" } else { "mysql" };
        process::run(&mut self.client_command(name), b"select 1;").end == End::Exit(0)
    }

    /// Ends the server: by SIGTERM or SIGINT in order, by SIGKILL at once, with its processes.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn end(&mut self, signal: Signal) {
        let processes = self.processes();
        if let Some(mut running) = self.running.take() {
            running.signal(signal);
            // They would go on for as long as it takes them to notice.
            for process in processes.into_iter().filter(|_| signal == Signal::KILL) {
                let _ = kill_process(process, signal);
            }
            assert_ne!(running.wait(LIMIT), End::TimeOut);
            // What is left of it would keep its successor from starting.
            let _ = fs::remove_file(self.path("data/postmaster.pid"));
        }
    }

    /// Returns the server's processes, the first one last; none if it does not run.
    ///
    /// # Panics
    ///
    /// If they cannot be found out.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        let Some(first) = self.running.as_ref().map(Running::id) else { return Vec::new() };
        let children = |task: PathBuf| fs::read_to_string(task.join("children")).unwrap_or_default();
        let tasks = fs::read_dir(format!("/proc/{first}/task")).into_iter().flatten().flatten();
        let children: String = tasks.map(|task| children(task.path()) + " ").collect();
        let all = children.split_whitespace().map(str::to_owned).chain([first.to_string()]);
        all.map(|id| id.parse().ok().and_then(Pid::from_raw).expect("the number of a process")).collect()
    }

    /// Sends the server a signal that it survives.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        self.running.as_ref().expect("it runs").signal(signal);
    }

    /// Has statements executed, and returns what they yield, columns apart by `|` or a tabulator.
    ///
    /// # Panics
    ///
    /// If one fails.
    pub fn sql(&self, statements: &str) -> String {
        self.client("cvm", statements)
    }

    /// Has statements executed, if the server lets us in.
    pub fn attempt(&self, statements: &str) {
        let _ = process::run(&mut self.client_command("cvm"), statements.as_bytes());
    }

    fn client(&self, name: &str, statements: &str) -> String {
        let finished = process::run(&mut self.client_command(name), statements.as_bytes());
        assert_eq!(finished.end, End::Exit(0), "{statements}: {finished:?}");
        finished.output().trim_end().to_owned()
    }

    fn client_command(&self, name: &str) -> Command {
        let port = self.port.to_string();
        let (file, folder, socket) = (self.path("file"), self.path(""), self.path("socket"));
        match self.kind {
            // Whoever reads is waited for.
            Kind::Sqlite => command(&self.tool("sqlite3"), &["-bail", "-cmd", ".timeout 10000", &file], &[]),
            Kind::Postgres => {
                let options =
                    ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", &folder, "-p", &port, "-U", "cvm", name];
                command(&self.tool("psql"), &options, &[])
            }
            Kind::Mysql => command(
                &self.tool("mariadb"),
                &["--no-defaults", "--default-character-set=utf8mb4", "-N", "-B", "-u", "root", "-S", &socket, name],
                &[],
            ),
        }
    }

    /// Returns the settings of a module that asks this database, by its socket.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let settings = match self.kind {
            Kind::Sqlite => vec![("CVM_SQLITE_DB", self.path("file"))],
            Kind::Postgres => vec![
                ("PGHOST", self.path("")),
                ("PGPORT", self.port.to_string()),
                ("PGUSER", "cvm".into()),
                ("PGDATABASE", "cvm".into()),
            ],
            Kind::Mysql => vec![
                ("CVM_MYSQL_SOCKET", self.path("socket")),
                ("CVM_MYSQL_USER", "cvm".into()),
                ("CVM_MYSQL_PASS", "sesame".into()),
                ("CVM_MYSQL_DB", "cvm".into()),
            ],
        };
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns which database this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the TCP port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns a path in the folder; the file of SQLite is `file`.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.path(name)
    }

    /// Ends the server in order, and starts it with other options.
    pub fn resume_with(&mut self, options: &[&str]) {
        self.end(Signal::TERM);
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.resume();
    }

    /// Makes an authority and a certificate for this name, which may be an address, in the files `ca.crt`, `server.crt`
    /// and `server.key`.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn certify(&self, name: &str) {
        let openssl = tool("openssl", "openssl");
        let lines = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt && \
                     openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr && \
                     printf 'subjectAltName=%s' \"$1\" >extensions && \
                     openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions \
                     -out server.crt && chmod 600 server.key";
        assert!(openssl.is_file());
        let lines = format!("cd '{}' && {lines}", self.path(""));
        let mut command = self.as_nobody("/bin/sh", &["-c", &lines, "sh", name]);
        let finished = run_within(MAKING, &mut command, b"");
        assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    }

    /// Tells a server to read its configuration again, after lines were added to it.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn configure(&self, file: &str, lines: &str) {
        let path = self.path(&format!("data/{file}"));
        fs::write(&path, lines).expect("our own file");
        self.signal(Signal::HUP);
    }

    /// These servers refuse to be root's.
    fn as_nobody(&self, program: &str, arguments: &[&str]) -> Command {
        let home = self.path("");
        let settings = [("HOME", home.as_str())];
        if !geteuid().is_root() {
            return command(program, arguments, &settings);
        }
        let setpriv = tool("setpriv", "util-linux");
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", program];
        command(setpriv.to_str().expect("UTF-8"), &[&nobody[..], arguments].concat(), &settings)
    }

    fn tool(&self, name: &str) -> String {
        let path = match self.kind {
            Kind::Sqlite => tool(name, "sqlite3"),
            Kind::Mysql => tool(name, "mariadb-server"),
            Kind::Postgres => postgres_tool(name),
        };
        path.into_os_string().into_string().expect("UTF-8")
    }
}

fn tar(arguments: &[&str], input: Stdio, output: Stdio) {
    let tar = tool("tar", "tar");
    let mut command = command(tar.to_str().expect("UTF-8"), arguments, &[]);
    let end = Running::start(command.stdin(input).stdout(output)).wait(MAKING);
    assert_eq!(end, End::Exit(0), "tar {arguments:?}");
}

/// Debian keeps the programs of each version of PostgreSQL apart.
fn postgres_tool(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.is_file());
    found.max().unwrap_or_else(|| panic!("{name} is missing: apt-get install postgresql"))
}
