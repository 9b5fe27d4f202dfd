//! One request on standard input, its response on standard output (SPEC section 6).

use std::io::{self, ErrorKind, Read};

use cvm_core::Code;
use cvm_core::module::Temporary;
use cvm_io_blocking::command::{read_request, refuse, respond};

use crate::support::{answer, request_of, success, v2};

fn run(input: impl Read) -> (Code, Vec<u8>) {
    let mut output = Vec::new();
    let request = read_request(input).unwrap();
    let code = respond(&*answer(), &request, &mut output).unwrap();
    (code, output)
}

/// Gives one byte at a time, and an interruption before each.
struct Interrupted<'i>(&'i [u8], bool);

impl Read for Interrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn a_request_is_read_to_its_end_and_answered() {
    let request = v2(b"TAG", b"alice", b"secret");
    assert_eq!(run(request.as_slice()), (Code::SUCCESS, success(b"TAG")));
    assert_eq!(run(Interrupted(&request, false)), (Code::SUCCESS, success(b"TAG")));
    assert_eq!(run(v2(b"", b"alice", b"wrong").as_slice()), (Code::REJECTED, b"d\0\0".to_vec()));
}

#[test]
fn what_is_no_request_is_code_2() {
    assert_eq!(run(io::empty()), (Code::BAD_CLIENT_DATA, b"\x02\0".to_vec()));
    let long = [request_of(512).as_slice(), b"\0"].concat();
    assert_eq!(run(long.as_slice()).0, Code::BAD_CLIENT_DATA);
    assert_eq!(run(request_of(512).as_slice()).0, Code::SUCCESS);
    assert_eq!(run(io::repeat(2)).0, Code::BAD_CLIENT_DATA, "input without an end is not read for ever");
}

#[test]
fn a_module_that_panics_is_code_1() {
    assert_eq!(run(v2(b"T", b"panic", b"secret").as_slice()), (Code::GENERAL, b"\x01\x01T\0".to_vec()));
}

#[test]
fn missing_settings_are_answered_in_the_shape_of_the_request() {
    for (request, response) in [
        (v2(b"T", b"alice", b"secret"), b"\x06\x01T\0".as_slice()),
        (b"\x01alice\0\0secret\0\0".to_vec(), b"\x06\0"),
        (b"malformed".to_vec(), b"\x02\0"),
    ] {
        let mut output = Vec::new();
        let code = refuse(Temporary::CONFIG, &read_request(request.as_slice()).unwrap(), &mut output).unwrap();
        assert_eq!((code.byte(), output.as_slice()), (response[0], response));
    }
}

#[test]
fn an_input_or_output_that_fails_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }
    assert!(read_request(Broken).is_err());
    let request = read_request(v2(b"", b"alice", b"secret").as_slice()).unwrap();
    assert!(respond(&*answer(), &request, [0; 3].as_mut_slice()).is_err());
}
