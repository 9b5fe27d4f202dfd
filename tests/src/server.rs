//! Servers, started and ready.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::folder::Folder;
use crate::process::{self, End, LIMIT, Running, eventually};
use crate::{Settings, programs::Make};

/// A running module.
#[derive(Debug)]
pub struct Server {
    running: Running,
    folder: Folder,
}

impl Server {
    /// Starts a `cvm-pwfile` and waits until it serves all of its endpoints.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start(make: Make, endpoints: &[&str], settings: Settings<'_>) -> Self {
        Self::start_module(make, "cvm-pwfile", endpoints, settings)
    }

    /// Starts a module of another name.
    ///
    /// # Panics
    ///
    /// If it does not serve.
    #[must_use]
    pub fn start_module(make: Make, module: &str, endpoints: &[&str], settings: Settings<'_>) -> Self {
        Self::start_program(&make.program(module), endpoints, settings)
    }

    /// Starts any program that serves its arguments.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start_program(program: &str, endpoints: &[&str], settings: Settings<'_>) -> Self {
        assert_runtime_is_said(program, settings);
        let folder = Folder::new();
        let file = |name| std::fs::File::create(folder.path(name)).map(Stdio::from).expect("a file for the log");
        let mut command = process::command(program, endpoints, settings);
        command.stdin(Stdio::null()).stdout(file("log")).stderr(file("errors"));
        let server = Self { running: Running::start(&mut command), folder };
        let started = eventually(LIMIT, || server.serves(endpoints) || server.has_ended());
        let errors = String::from_utf8_lossy(&server.errors()).into_owned();
        assert!(started && !server.has_ended(), "{program}: no server at {endpoints:?}: {errors}");
        server
    }

    fn serves(&self, endpoints: &[&str]) -> bool {
        let mut paths = endpoints.iter().filter_map(|endpoint| endpoint.strip_prefix("cvm-local:"));
        self.log().starts_with(b"Starting.\n") && paths.all(|path| Path::new(path).exists())
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Returns how many descriptors the server has open.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.id())).expect("a running process").count()
    }

    /// Leaves the server so many descriptors beside those that it has open; returns how many it may have.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn limit_descriptors(&self, more: usize) -> usize {
        let all = self.descriptors() + more;
        let limit = Rlimit { current: Some(all as u64), maximum: Some(all as u64) };
        let id = i32::try_from(self.id()).expect("the number of a process");
        prlimit(Pid::from_raw(id), Resource::Nofile, limit).expect("a child's limits can be lowered");
        all
    }

    /// Tells whether the server has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.running.has_ended()
    }

    /// Returns what is on standard output so far.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.folder.read("log")
    }

    /// Returns the lines of the log so far, without those about start and stop.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = String::from_utf8_lossy(&self.log()).into_owned();
        let about_requests = |line: &&str| !matches!(*line, "Starting." | "Stopping.");
        log.strip_suffix('\n').unwrap_or(&log).split('\n').filter(about_requests).map(str::to_owned).collect()
    }

    /// Returns what is on standard error so far.
    #[must_use]
    pub fn errors(&self) -> Vec<u8> {
        self.folder.read("errors")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> End {
        self.running.wait(LIMIT)
    }

    /// Stops the server with SIGTERM.
    pub fn stop(&mut self) -> End {
        self.signal(Signal::TERM);
        self.wait()
    }
}

/// Demands of the tests that are not run with each of the runtimes, which the file `once` names, that they say
/// themselves with which our servers are to be run.
fn assert_runtime_is_said(program: &str, settings: Settings<'_>) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let is_run_once = include_str!("../once").lines().any(|part| test.contains(part));
    let is_said = program.starts_with("/usr/") || settings.iter().any(|(name, _)| *name == "CVM_RUNTIME");
    assert!(!is_run_once || is_said, "{test} depends on the runtime: set $CVM_RUNTIME, or take it out of tests/once");
}

/// Finds a UDP port that nobody has, on IPv4 and IPv6, and that no other test gets.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    // Below the ports that the system gives to clients.
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).expect("a small number");
    let ports = std::iter::repeat_with(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (start + next) % COUNT
    });
    ports.take(COUNT.into()).find(|&port| is_free(port)).expect("a UDP port is free")
}

fn is_free(port: u16) -> bool {
    let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port));
    let taken = v6.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    drop(v6);
    !taken && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
