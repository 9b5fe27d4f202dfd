//! The programs: where they are, servers, and the memory that they take.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::folder::Folder;
use cvm_tests::process::{self, Running, eventually};
use cvm_tests::server::free_port;

use crate::measure::{Core, Pinned};

/// How long a server may take to read its table.
const START: Duration = Duration::from_secs(60);

/// Returns one of our programs: from the folder that this one is in, or from `$CVM_TEST_BIN`.
pub(crate) fn ours(name: &str) -> String {
    let folder = std::env::var_os("CVM_TEST_BIN").map_or_else(|| built().join("release"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: build it with `cargo build --release`", path.display());
    text(path)
}

/// Returns one of our programs, linked statically, if it was built.
pub(crate) fn ours_static(name: &str) -> Option<String> {
    let path = built().join("x86_64-unknown-linux-musl/release").join(name);
    path.is_file().then(|| text(path))
}

/// The `target` folder of cargo.
fn built() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program is known");
    this.ancestors().nth(2).expect("cargo puts programs two folders deep").to_owned()
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("the path of the programs is UTF-8")
}

/// A `cvm-pwfile` over UDP on the first core, with its log in a file; it ends when dropped.
pub(crate) struct Served {
    running: Running,
    address: SocketAddr,
    _folder: Folder,
}

impl Served {
    pub(crate) fn start(settings: Settings<'_>) -> Self {
        let port = free_port();
        Self::start_program(&ours("cvm-pwfile"), &[&format!("cvm-udp:127.0.0.1:{port}")], port, settings)
    }

    /// Starts any program that says `Starting.` when it serves.
    pub(crate) fn start_program(program: &str, arguments: &[&str], port: u16, settings: Settings<'_>) -> Self {
        Self::start_on(Some(Core::First), program, arguments, port, settings)
    }

    /// Starts a program on a core, or on all that we have.
    pub(crate) fn start_on(
        core: Option<Core>,
        program: &str,
        arguments: &[&str],
        port: u16,
        settings: Settings<'_>,
    ) -> Self {
        let folder = Folder::new();
        let file = |name| File::create(folder.path(name)).map(Stdio::from).expect("a file for the log");
        let mut command = process::command(program, arguments, settings);
        command.stdin(Stdio::null()).stdout(file("log")).stderr(file("errors"));
        let running = {
            let _pinned = core.map(Pinned::to);
            Running::start(&mut command)
        };
        let has_started = || folder.read("log").starts_with(b"Starting.\n");
        let started = eventually(START, || has_started() || running.has_ended()) && !running.has_ended();
        let errors = || String::from_utf8_lossy(&folder.read("errors")).into_owned();
        assert!(started, "{program} {arguments:?} does not serve: {}", errors());
        Self { running, address: (Ipv4Addr::LOCALHOST, port).into(), _folder: folder }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a running process").count()
    }

    /// The bytes of memory that it has now.
    pub(crate) fn resident(&mut self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it has had.
    pub(crate) fn peak(&mut self) -> f64 {
        self.memory("VmHWM:")
    }

    /// The seconds of processor time that its threads have had.
    pub(crate) fn busy(&mut self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        let tasks = tasks.expect("the threads of a child can be listed").filter_map(Result::ok);
        // Nanoseconds on a processor are the first number; a thread may just have ended.
        let times = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
        times.filter_map(|times| times.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e9
    }

    fn memory(&mut self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the state of a child can be read");
        let number = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse().ok());
        let kibibytes: f64 = number.expect("a process has memory");
        kibibytes * 1024.0
    }
}
