//! What serves the sockets: a driver and its settings.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use cvm_backends::Notices;
use cvm_core::answer::Answer;
use cvm_io_blocking::server as blocking;
use cvm_io_mio::Counts;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::environment::{self, SettingError};
use crate::sockets::{Sockets, UdpOptions};
use crate::stop::Signals;

/// The descriptors that a server needs beside those of its connections: its own, those of its module's files, and
/// some for each of its threads.
const OWN_DESCRIPTORS: u64 = 64 + 128;
const THREAD_DESCRIPTORS: u64 = 12;

/// A share of the descriptors that connections get in any case.
const LEAST_SHARE: u64 = 4;

/// The largest number of threads, connections or requests that can be asked for.
const NUMBER_MAX: usize = 1_000_000;

/// A driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Mio,
    Smol,
    Blocking,
}

impl Runtime {
    /// Cuts `--runtime NAME` off the arguments; `None` if there is no such driver.
    pub(crate) fn cut_off(arguments: &[OsString]) -> Option<(Option<Self>, &[OsString])> {
        let (first, rest) = match arguments.split_first() {
            Some((first, rest)) if first.as_bytes().starts_with(b"--runtime") => (first.as_bytes(), rest),
            _ => return Some((None, arguments)),
        };
        let (name, rest) = match first.strip_prefix(b"--runtime=") {
            Some(name) => (name, rest),
            None if first == b"--runtime" => rest.split_first().map(|(name, rest)| (name.as_bytes(), rest))?,
            None => return None,
        };
        Some((Some(Self::named(name)?), rest))
    }

    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"mio" => Some(Self::Mio),
            b"smol" => Some(Self::Smol),
            b"blocking" => Some(Self::Blocking),
            _ => None,
        }
    }
}

/// A driver, and what it allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    runtime: Runtime,
    mio: cvm_io_mio::Options,
    udp: UdpOptions,
}

impl Settings {
    /// Reads the settings; an argument wins over `$CVM_RUNTIME`.
    pub(crate) fn from_environment(chosen: Option<Runtime>) -> Result<Self, SettingError> {
        let set = environment::parsed("CVM_RUNTIME", "mio, smol or blocking", Runtime::named)?;
        let runtime = chosen.or(set).unwrap_or(Runtime::Mio);
        let mio = mio_options()?;
        let siblings = if runtime == Runtime::Mio { mio.threads } else { 1 };
        Ok(Self { runtime, mio, udp: UdpOptions::from_environment(siblings)? })
    }

    pub(crate) const fn udp(&self) -> UdpOptions {
        self.udp
    }

    /// Returns how many passwords may be hashed at a time.
    pub(crate) const fn cpu_workers(&self) -> usize {
        self.mio.cpu_workers
    }

    /// Serves until a signal says to stop.
    pub(crate) fn serve(
        mut self,
        sockets: Sockets,
        answer: &Arc<dyn Answer>,
        signals: &Signals,
        notices: &Notices,
    ) -> io::Result<()> {
        let (stop, reload) = (signals.stop.as_fd(), signals.reload.as_fd());
        let report = |counts| notices.give(format_args!("{}", told(counts)));
        match self.runtime {
            Runtime::Mio => {
                self.fit_connections();
                let sockets = cvm_io_mio::Sockets { locals: sockets.locals, udps: sockets.udps };
                let signals = cvm_io_mio::Signals { stop, reload };
                cvm_io_mio::serve(sockets, answer, self.mio, signals, report)
            }
            Runtime::Smol => {
                self.fit_connections();
                let udps = sockets.udps.into_iter().flatten().collect();
                let sockets = cvm_io_smol::Sockets { locals: sockets.locals, udps };
                let signals = cvm_io_smol::Signals { stop, reload };
                let options = smol_options(self.mio);
                cvm_io_smol::block_on(cvm_io_smol::serve(sockets, answer, options, signals, report))
            }
            Runtime::Blocking => {
                let udps = sockets.udps.into_iter().flatten().collect();
                let sockets = blocking::Sockets { locals: sockets.locals, udps };
                let options = blocking::Options { io_timeout: self.mio.io_timeout, ..blocking::Options::default() };
                blocking::serve(sockets, answer, options, blocking::Signals { stop, reload })
            }
        }
    }
}

impl Settings {
    /// Raises the limit of descriptors to fit the connections, or lowers their number to fit the limit: those beyond it
    /// would keep the server from opening its files.
    fn fit_connections(&mut self) {
        let mio = &mut self.mio;
        let threads = (mio.threads + mio.wait_workers) as u64;
        let (wanted, others) = (mio.max_connections as u64, OWN_DESCRIPTORS + threads * THREAD_DESCRIPTORS);
        let limit = allow_descriptors(wanted.saturating_add(others));
        mio.max_connections = usize::try_from(that_fit(wanted, others, limit)).unwrap_or(usize::MAX);
    }
}

const fn smol_options(options: cvm_io_mio::Options) -> cvm_io_smol::Options {
    let cvm_io_mio::Options { io_timeout, threads: _, cpu_workers, wait_workers, queue, max_connections } = options;
    cvm_io_smol::Options { io_timeout, cpu_workers, wait_workers, queue, max_connections }
}

fn mio_options() -> Result<cvm_io_mio::Options, SettingError> {
    let default = cvm_io_mio::Options::default();
    Ok(cvm_io_mio::Options {
        io_timeout: io_timeout()?.unwrap_or(default.io_timeout),
        threads: number("CVM_THREADS", default.threads)?,
        cpu_workers: number("CVM_CPU_WORKERS", default.cpu_workers)?,
        wait_workers: number("CVM_WAIT_WORKERS", default.wait_workers)?,
        queue: number("CVM_QUEUE", default.queue)?,
        max_connections: number("CVM_MAX_CONNECTIONS", default.max_connections)?,
    })
}

/// Reads a number; 0 is the default.
fn number(name: &'static str, default: usize) -> Result<usize, SettingError> {
    let parse = |value: &[u8]| environment::decimal::<usize>(value).filter(|number| *number <= NUMBER_MAX);
    let given = environment::parsed(name, "a number from 0 (the default) to 1000000", parse)?;
    Ok(given.filter(|given| *given > 0).unwrap_or(default))
}

fn io_timeout() -> Result<Option<Duration>, SettingError> {
    let expected = "milliseconds from 0 (the default, 1000) to 4294967295";
    let read = |name| environment::parsed(name, expected, environment::milliseconds);
    let given = match read("CVM_IO_TIMEOUT")? {
        None => read("CVM_LOCAL_TIMEOUT")?,
        given => given,
    };
    Ok(given.filter(|given| *given > Duration::ZERO))
}

/// Raises the limit of descriptors as far as is wanted and the system lets us; returns what it is then.
fn allow_descriptors(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns how many connections fit into a limit of descriptors beside so many others: a few in any case.
fn that_fit(wanted: u64, others: u64, limit: u64) -> u64 {
    limit.saturating_sub(others).max(limit / LEAST_SHARE).max(1).min(wanted)
}

/// Says in one line what has happened since the start.
fn told(counts: Counts) -> String {
    let Counts { dropped, refused, resent, expired, evicted } = counts;
    let kinds = [
        (dropped, "datagrams dropped by the kernel"),
        (refused, "requests refused because the queue was full"),
        (resent, "datagrams passed over that were sent again"),
        (expired, "requests dropped that waited too long"),
        (evicted, "connections closed to make room"),
    ];
    let kinds: Vec<_> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("since the start: {}", kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_off(arguments: &[&str]) -> Option<(Option<Runtime>, Vec<String>)> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let (runtime, rest) = Runtime::cut_off(&arguments)?;
        Some((runtime, rest.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()))
    }

    #[test]
    fn a_runtime_stands_before_the_endpoints() {
        let rest = vec!["cvm-local:/x".to_owned()];
        assert_eq!(cut_off(&["cvm-local:/x"]), Some((None, rest.clone())));
        assert_eq!(cut_off(&["--runtime", "mio", "cvm-local:/x"]), Some((Some(Runtime::Mio), rest.clone())));
        assert_eq!(cut_off(&["--runtime=smol", "cvm-local:/x"]), Some((Some(Runtime::Smol), rest.clone())));
        assert_eq!(cut_off(&["--runtime=blocking", "cvm-local:/x"]), Some((Some(Runtime::Blocking), rest)));
        assert_eq!(cut_off(&[]), Some((None, Vec::new())));
    }

    #[test]
    fn an_unknown_runtime_is_a_mistake() {
        for wrong in [&["--runtime"][..], &["--runtime", "tokio"], &["--runtime="], &["--runtimes", "mio"]] {
            assert_eq!(cut_off(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn connections_leave_descriptors_for_the_server_itself() {
        assert_eq!(that_fit(4096, 280, 65536), 4096);
        assert_eq!(that_fit(4096, 280, 1024), 744);
        assert_eq!(that_fit(4096, 280, 128), 32);
        assert_eq!(that_fit(4096, 280, 2), 1);
        assert_eq!(that_fit(10, 280, 1024), 10);
    }

    #[test]
    fn counts_are_told_in_one_line() {
        let counts = Counts { dropped: 3, evicted: 1, ..Counts::default() };
        assert_eq!(
            told(counts),
            "since the start: 3 datagrams dropped by the kernel, 1 connections closed to make room"
        );
    }
}
