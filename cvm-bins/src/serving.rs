//! Running a module: in command mode without arguments, as a server with endpoints.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use cvm_backends::Notices;
use cvm_backends::password::hash_at_most;
use cvm_core::answer::{Answer, Answerer};
use cvm_core::client::Endpoint;
use cvm_core::module::{Module, Temporary};
use cvm_core::observe::Observer;
use cvm_core::{Code, Policy};
use cvm_io_blocking::command;
use rustix::stdio::{stdin, stdout};

use crate::access_log::AccessLog;
use crate::environment::{self, SettingError};
use crate::memory;
use crate::program::{Program, Stopped, complain, named};
use crate::runtime::{self, Runtime};
use crate::sockets::{self, Ownership};
use crate::stop::Signals;

/// What a module takes as arguments.
pub const ARGUMENTS: &str = "[--runtime mio|smol|blocking] [cvm-local:PATH | cvm-udp:HOST:PORT]...";

/// The settings that every module has.
pub const SETTINGS: &[(&str, &str)] = &[
    ("CVM_LOOKUP_SECRET", "give facts without a password to whoever knows this secret (empty: to everybody)"),
    (
        "CVM_IO_TIMEOUT",
        "milliseconds that a connection may take for its input, and for its output (0: the default, 1000)",
    ),
    ("CVM_LOCAL_TIMEOUT", "the older name of CVM_IO_TIMEOUT"),
    ("CVM_RUNTIME", "what serves the sockets: mio (the default), smol, or blocking, a thread for each request"),
    ("CVM_THREADS", "mio: event loops, each with a thread of its own (the number of cores)"),
    ("CVM_CPU_WORKERS", "passwords that are hashed at a time (the number of cores)"),
    ("CVM_WAIT_WORKERS", "mio and smol: threads that wait for databases, name services and other modules (16)"),
    (
        "CVM_QUEUE",
        "mio and smol: requests that may wait for either kind of threads, more are answered with code 4 (1024)",
    ),
    (
        "CVM_MAX_CONNECTIONS",
        "mio and smol: connections at a time, beyond it the oldest idle one is closed, or others wait (4096)",
    ),
    ("CVM_RECEIVE_BUFFER", "bytes that a UDP socket holds for us; only root may exceed the system's limit (8388608)"),
    ("CVM_SEND_BUFFER", "bytes that a UDP socket holds for its peers, up to the system's limit (2097152)"),
    ("CVM_LOG", "none: no line for each answer on standard output"),
    ("CVM_SOCKET_MODE", "octal mode of UNIX sockets (777)"),
    ("CVM_SOCKET_OWNER", "owner of UNIX sockets: a number, or a name, which sets its primary group too"),
    ("CVM_SOCKET_GROUP", "group of UNIX sockets: a number or a name"),
];

/// Runs a module: `serve` reads its settings and makes what answers as a server, `once` what answers one request.
pub fn run<M: Module + 'static, O: Module + 'static>(
    program: &Program,
    arguments: &[OsString],
    serve: impl FnOnce(Notices) -> Result<M, SettingError>,
    once: impl FnOnce(Notices) -> Result<O, SettingError>,
) -> Result<Code, Stopped> {
    let (runtime, endpoints) = Runtime::cut_off(arguments).ok_or_else(|| program.usage())?;
    if endpoints.is_empty() {
        let notices = Notices::new(|text| complain(&text));
        return answer_one(|| once(notices).map(|module| answerer(module, ())));
    }
    memory::share_heap_if_limited();
    let endpoints = parse_endpoints(program, endpoints)?;
    let runtime = runtime::Settings::from_environment(runtime)?;
    let ownership = Ownership::from_environment()?;
    let logs = Logs::open(has_access_log()?)?;
    hash_at_most(runtime.cpu_workers());
    let answer = answerer(serve(logs.notices())?, logs.answers.clone());
    serve_endpoints(&endpoints, ownership, &answer, runtime, &logs)
}

/// What a server writes: neither blocks it.
struct Logs {
    answers: AccessLog,
    /// What else the administrator should read, on standard error.
    trouble: AccessLog,
}

impl Logs {
    fn open(has_answers: bool) -> Result<Self, Stopped> {
        let failed = |stream| move |error: io::Error| Stopped::Io(format!("standard {stream}: {error}"));
        let answers = AccessLog::new(io::stdout().as_fd(), has_answers).map_err(failed("output"))?;
        let trouble = AccessLog::new(io::stderr().as_fd(), false).map_err(failed("error"))?;
        let panics = trouble.clone();
        std::panic::set_hook(Box::new(move |panic| {
            panics.say(&named(panic.to_string().replace('\n', " ")));
        }));
        Ok(Self { answers, trouble })
    }

    fn notices(&self) -> Notices {
        let trouble = self.trouble.clone();
        Notices::new(move |text| trouble.say(&named(text)))
    }

    fn finish(&self) {
        self.trouble.finish();
        self.answers.finish();
    }
}

/// Reads the request before anything else: some clients hang if a module ends without reading.
fn answer_one(answer: impl FnOnce() -> Result<Arc<dyn Answer>, SettingError>) -> Result<Code, Stopped> {
    let failed = |stream| move |error: io::Error| Stopped::Io(format!("standard {stream}: {error}"));
    let request = command::read_request(Unbuffered(stdin())).map_err(failed("input"))?;
    let output = Unbuffered(stdout());
    let code = match answer() {
        Ok(answer) => command::respond(&*answer, &request, output),
        Err(error) => {
            complain(&error);
            command::refuse(Temporary::CONFIG, &request, output)
        }
    };
    code.map_err(failed("output"))
}

/// A standard descriptor without the buffer of the standard library, which costs more than one packet does.
struct Unbuffered(BorrowedFd<'static>);

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, buffer)?)
    }
}

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn serve_endpoints(
    endpoints: &[Endpoint],
    ownership: Ownership,
    answer: &Arc<dyn Answer>,
    runtime: runtime::Settings,
    logs: &Logs,
) -> Result<Code, Stopped> {
    let failed = |what| move |error: io::Error| Stopped::Io(format!("cannot {what}: {error}"));
    // Before the sockets, so that no signal leaves one behind.
    let signals = Signals::listen().map_err(failed("listen for signals"))?;
    let (sockets, files) = sockets::open(endpoints, ownership, runtime.udp())?;
    logs.answers.say("Starting.");
    runtime.serve(sockets, answer, &signals, &logs.notices()).map_err(failed("serve"))?;
    drop(files);
    logs.answers.say("Stopping.");
    logs.finish();
    Ok(Code::SUCCESS)
}

fn parse_endpoints(program: &Program, arguments: &[OsString]) -> Result<Vec<Endpoint>, Stopped> {
    let mut endpoints = Vec::new();
    for argument in arguments {
        match Endpoint::parse(argument.as_bytes())? {
            Endpoint::Command(_) => return Err(program.usage()),
            endpoint => endpoints.push(endpoint),
        }
    }
    Ok(endpoints)
}

fn has_access_log() -> Result<bool, SettingError> {
    let none = environment::parsed("CVM_LOG", "none, or nothing", |value| (value == b"none").then_some(()))?;
    Ok(none.is_none())
}

fn answerer(module: impl Module + 'static, observer: impl Observer + 'static) -> Arc<dyn Answer> {
    let policy = match environment::secret("CVM_LOOKUP_SECRET") {
        Some(secret) => Policy::Lookup { secret },
        None => Policy::Authenticate,
    };
    Arc::new(Answerer::new(module, policy, observer))
}
