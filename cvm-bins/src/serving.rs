//! Running a module: in command mode without arguments, as a server with endpoints.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use cvm_backends::Notices;
use cvm_core::answer::{Answer, Answerer};
use cvm_core::client::Endpoint;
use cvm_core::module::{Module, Temporary};
use cvm_core::observe::Observer;
use cvm_core::{Code, Policy};
use cvm_io_blocking::{command, server};

use crate::access_log::AccessLog;
use crate::environment::{self, SettingError};
use crate::program::{Program, Stopped, complain};
use crate::sockets::{self, Ownership};
use crate::stop;

/// What a module takes as arguments.
pub const ARGUMENTS: &str = "[cvm-local:PATH | cvm-udp:HOST:PORT]...";

/// The settings that every module has.
pub const SETTINGS: &[(&str, &str)] = &[
    ("CVM_LOOKUP_SECRET", "give facts without a password to whoever knows this secret (empty: to everybody)"),
    (
        "CVM_IO_TIMEOUT",
        "milliseconds that a connection may take for its input, and for its output (0: the default, 1000)",
    ),
    ("CVM_LOCAL_TIMEOUT", "the older name of CVM_IO_TIMEOUT"),
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
    let notices = Notices::new(|text| complain(&text));
    if arguments.is_empty() {
        return answer_one(|| once(notices).map(|module| answerer(module, ())));
    }
    let endpoints = endpoints(program, arguments)?;
    let options = options()?;
    let ownership = Ownership::from_environment()?;
    let log = AccessLog::new(io::stdout().as_fd()).map_err(|error| Stopped::Io(format!("standard output: {error}")))?;
    let answer = answerer(serve(notices)?, log.clone());
    serve_endpoints(&endpoints, ownership, &answer, options, &log)
}

/// Reads the request before anything else: some clients hang if a module ends without reading.
fn answer_one(answer: impl FnOnce() -> Result<Arc<dyn Answer>, SettingError>) -> Result<Code, Stopped> {
    let failed = |stream| move |error: io::Error| Stopped::Io(format!("standard {stream}: {error}"));
    let request = command::read_request(io::stdin().lock()).map_err(failed("input"))?;
    let output = io::stdout().lock();
    let code = match answer() {
        Ok(answer) => command::respond(&*answer, &request, output),
        Err(error) => {
            complain(&error);
            command::refuse(Temporary::CONFIG, &request, output)
        }
    };
    code.map_err(failed("output"))
}

fn serve_endpoints(
    endpoints: &[Endpoint],
    ownership: Ownership,
    answer: &Arc<dyn Answer>,
    options: server::Options,
    log: &AccessLog,
) -> Result<Code, Stopped> {
    let failed = |what| move |error: io::Error| Stopped::Io(format!("cannot {what}: {error}"));
    // Before the sockets, so that no signal leaves one behind.
    let stop = stop::on_signals().map_err(failed("listen for signals"))?;
    let (sockets, files) = sockets::open(endpoints, ownership)?;
    log.say("Starting.");
    server::serve(sockets, answer, options, stop.as_fd()).map_err(failed("start serving"))?;
    drop(files);
    log.say("Stopping.");
    log.finish();
    Ok(Code::SUCCESS)
}

fn endpoints(program: &Program, arguments: &[OsString]) -> Result<Vec<Endpoint>, Stopped> {
    let mut endpoints = Vec::new();
    for argument in arguments {
        match Endpoint::parse(argument.as_bytes())? {
            Endpoint::Command(_) => return Err(program.usage()),
            endpoint => endpoints.push(endpoint),
        }
    }
    Ok(endpoints)
}

fn answerer(module: impl Module + 'static, observer: impl Observer + 'static) -> Arc<dyn Answer> {
    let policy = match environment::secret("CVM_LOOKUP_SECRET") {
        Some(secret) => Policy::Lookup { secret },
        None => Policy::Authenticate,
    };
    Arc::new(Answerer::new(module, policy, observer))
}

fn options() -> Result<server::Options, SettingError> {
    let expected = "milliseconds from 0 (the default, 1000) to 4294967295";
    let older = || environment::parsed("CVM_LOCAL_TIMEOUT", expected, environment::milliseconds);
    let given = match environment::parsed("CVM_IO_TIMEOUT", expected, environment::milliseconds)? {
        None => older()?,
        given => given,
    };
    let default = server::Options::default();
    let io_timeout = given.filter(|given| *given > Duration::ZERO).unwrap_or(default.io_timeout);
    Ok(server::Options { io_timeout, ..default })
}
