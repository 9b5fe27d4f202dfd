//! Asking a program: request on its standard input, response from its standard output, code from its exit status.

use std::ffi::OsStr;
use std::io::{self, PipeReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;

use cvm_core::Code;
use cvm_core::client::ClientRequest;
use cvm_core::framing::Framing;
use cvm_core::wire::Reply;
use smol::Async;
use smol::lock::Semaphore;
use zeroize::Zeroizing;

use super::child::Running;
use super::{Cause, response, unblock};
use crate::local::receive;

pub(super) async fn ask(program: &[u8], request: &ClientRequest, starting: &Arc<Semaphore>) -> Result<Reply, Cause> {
    let (program, input) = (program.to_vec(), Zeroizing::new(request.bytes().to_vec()));
    let (mut running, output) = unblock(starting, move || start(&program, &input)).await?;
    let output = Async::new(PipeReader::from(OwnedFd::from(output)))?;
    let mut framing = Framing::new(None);
    let received = receive(&output, &mut framing).await;
    drop(output);
    let status = running.wait().await?.code().ok_or(Cause::Killed)?;
    received?;
    let code = Code::new(u8::try_from(status).unwrap_or(Code::GENERAL.byte()));
    Ok(request.check_command(&response(&framing)?, code)?)
}

fn start(program: &[u8], input: &[u8]) -> io::Result<(Running, ChildStdout)> {
    let mut command = Command::new(OsStr::from_bytes(program));
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    if let Some(mut pipe) = running.0.stdin.take() {
        // It fits into an empty pipe. A module may answer without reading, so a broken pipe is no failure.
        let _ = pipe.write_all(input);
    }
    let output = running.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((running, output))
}
