//! Command mode: one request on standard input, its response on standard output.

use std::io::{self, ErrorKind, Read, Write};

use cvm_core::Code;
use cvm_core::answer::Answer;
use cvm_core::framing::{Framing, Progress};
use cvm_core::module::Temporary;
use cvm_core::wire::Packet;

/// Reads a request to the end of input, or to the byte that makes it too long.
///
/// Read it before anything else can fail: some clients hang if a module ends without reading.
///
/// # Errors
///
/// What reading fails with.
pub fn read_request(mut input: impl Read) -> io::Result<Framing> {
    let mut framing = Framing::new(None);
    while framing.progress() != Progress::Complete {
        let count = match input.read(framing.space()) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let _ = framing.handle_input(count);
    }
    Ok(framing)
}

/// Answers a request and returns its code, which is the exit status of the program.
///
/// # Errors
///
/// What writing fails with.
pub fn respond(answer: &dyn Answer, request: &Framing, output: impl Write) -> io::Result<Code> {
    let mut out = Packet::new();
    let code = crate::answer_round(answer, request.packet(), &mut out);
    write(&out, output)?;
    Ok(code)
}

/// Answers a request that cannot even be tried, for lack of settings say, and returns the code.
///
/// # Errors
///
/// What writing fails with.
pub fn refuse(temporary: Temporary, request: &Framing, output: impl Write) -> io::Result<Code> {
    let mut out = Packet::new();
    let code = cvm_core::exchange::Refusal::of_packet(request.packet(), temporary).write(&mut out);
    write(&out, output)?;
    Ok(code)
}

fn write(packet: &Packet, mut output: impl Write) -> io::Result<()> {
    output.write_all(packet)?;
    output.flush()
}
