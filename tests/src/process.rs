//! Processes that are always ended: in time, or else by force, together with what they started.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::Settings;

/// How long anything that should happen at once may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Read while a process starts, written while a file is made that will be executed.
static STARTING: RwLock<()> = RwLock::new(());

pub(crate) fn nothing_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

fn something_starts() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Prepares a program with these settings, and none of the caller's.
#[must_use]
pub fn command(program: &str, arguments: &[&str], settings: Settings<'_>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // What serves in place of the default, so that all tests can be run with each.
    command.envs(std::env::var_os("CVM_TEST_RUNTIME").map(|runtime| ("CVM_RUNTIME", runtime)));
    command.env("LC_ALL", "C").envs(settings.iter().copied());
    command
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// Not in time: it was killed.
    TimeOut,
}

/// A process, which is killed when dropped, as is everything in its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    end: Option<End>,
}

impl Running {
    /// Starts a process, in a group of its own.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let _starting = something_starts();
        let child = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, end: None }
    }

    /// Returns the process, to talk to it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// If the process is not there any more.
    pub fn signal(&self, signal: Signal) {
        assert_eq!(self.end, None, "the process has ended");
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    /// Tells whether the process has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // Left as a zombie, its number and that of its group stay taken until both are done with.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.end.is_some() || !matches!(waitid(WaitId::Pid(self.pid()), options), Ok(None))
    }

    /// Waits for the end.
    pub fn wait(&mut self, limit: Duration) -> End {
        let ended = eventually(limit, || self.has_ended());
        let end = self.collect();
        if ended { end } else { End::TimeOut }
    }

    fn collect(&mut self) -> End {
        if let Some(end) = self.end {
            return end;
        }
        // What it has started may be gone already.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let status = self.child.wait().expect("a child can be waited for");
        let end = status.code().map_or_else(|| End::Signal(status.signal().unwrap_or_default()), End::Exit);
        *self.end.insert(end)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.collect();
    }
}

/// Waits until something is so, or for as long as that may take; tells whether it is.
pub fn eventually(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a process left behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Puts together what is expected.
    #[must_use]
    pub fn new(status: i32, stdout: &str, stderr: &str) -> Self {
        Self { end: End::Exit(status), stdout: stdout.into(), stderr: stderr.into() }
    }

    /// Returns standard output as text.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Demands that a program has failed with this status and exactly one line on standard error, which names all
    /// of `names`.
    ///
    /// # Panics
    ///
    /// If it has not.
    pub fn assert_complaint(&self, status: i32, names: &[&str]) {
        let message = String::from_utf8_lossy(&self.stderr);
        assert_eq!(self.end, End::Exit(status), "{self:?}");
        assert!(message.ends_with('\n') && message.lines().count() == 1, "one line expected: {self:?}");
        for name in names {
            assert!(message.contains(name), "a message with {name:?} expected: {self:?}");
        }
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout.escape_ascii(), self.stderr.escape_ascii());
        write!(f, "{:?}, stdout \"{stdout}\", stderr \"{stderr}\"", self.end)
    }
}

/// Runs a process with this input until its end.
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    run_within(LIMIT, command, input)
}

/// Runs a process with this input until its end, or until the time is over.
///
/// # Panics
///
/// If the system refuses.
pub fn run_within(limit: Duration, command: &mut Command, input: &[u8]) -> Finished {
    let [stdin, mut stdout, mut stderr] = [(); 3].map(|()| tempfile::tempfile().expect("a temporary file"));
    (&stdin).write_all(input).and_then(|()| (&stdin).rewind()).expect("input can be stored");
    let stdio = |file: &File| Stdio::from(file.try_clone().expect("a descriptor can be duplicated"));
    command.stdin(stdin).stdout(stdio(&stdout)).stderr(stdio(&stderr));
    let end = Running::start(command).wait(limit);
    Finished { end, stdout: contents(&mut stdout), stderr: contents(&mut stderr) }
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).expect("output can be read back");
    bytes
}
