//! Asking a program: request on its standard input, response from its standard output, code from its exit status.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cvm_core::Code;
use cvm_core::client::ClientRequest;
use cvm_core::wire::Reply;

use super::{Cause, read_response};
use crate::child::Running;

pub(super) fn ask(
    program: &[u8],
    hidden: Option<&str>,
    request: &ClientRequest,
    deadline: Instant,
) -> Result<Reply, Cause> {
    let mut running = Running::new(start(program, hidden)?);
    if let Some(mut input) = running.0.stdin.take() {
        // It fits into an empty pipe. A module may answer without reading, so a broken pipe is no failure.
        let _ = input.write_all(request.bytes());
    }
    let output = running.0.stdout.take().ok_or(Cause::Silent)?;
    let response = read_response(&output, deadline);
    drop(output);
    let status = running.wait(deadline)?.code().ok_or(Cause::Killed)?;
    let code = Code::new(u8::try_from(status).unwrap_or(Code::GENERAL.byte()));
    Ok(request.check_command(&response?, code)?)
}

fn start(program: &[u8], hidden: Option<&str>) -> io::Result<Child> {
    let mut command = Command::new(OsStr::from_bytes(program));
    if let Some(variable) = hidden {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}
