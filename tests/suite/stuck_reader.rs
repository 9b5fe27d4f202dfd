//! Whoever reads what a server writes may be stuck: the server is not.

use std::io::{PipeReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;

use cvm_tests::contact::Contact;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{End, LIMIT, Running, command, eventually};
use cvm_tests::programs::Make;
use cvm_tests::server::free_port;
use cvm_tests::station::TABLE;
use rustix::process::Signal;

/// So many lines of the log fill a pipe twice over.
const MORE_THAN_A_PIPE: usize = 20_000;

/// A server whose standard output and standard error are one pipe that nobody reads.
struct Stuck {
    server: Running,
    pipe: PipeReader,
    address: SocketAddr,
    folder: Folder,
}

impl Stuck {
    fn start() -> Self {
        let folder = Folder::new();
        let passwd = folder.write("passwd", TABLE);
        let (pipe, output) = std::io::pipe().expect("a pipe");
        let address = format!("127.0.0.1:{}", free_port());
        let settings = [("CVM_PWFILE_PATH", passwd.as_str()), ("CVM_RUNTIME", "mio")];
        let mut command = command(&Make::Ours.program("cvm-pwfile"), &[&format!("cvm-udp:{address}")], &settings);
        let errors = output.try_clone().expect("a descriptor");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let server = Running::start(&mut command);
        let address = address.parse().expect("an address");
        Self { server, pipe, address, folder }
    }

    fn says(&self, account: &[u8]) -> Option<u8> {
        let request = packet::v2(2, b"T", &[(ACCOUNT, account), (PASSWORD, b"secret")]);
        Contact::Udp(self.address).ask(&request).ok()?.first().copied()
    }
}

#[test]
fn of_log_and_trouble_in_one_pipe_neither_stops_answers_nor_the_end() {
    let mut stuck = Stuck::start();
    assert!(eventually(LIMIT, || stuck.says(b"alice") == Some(0)));
    for _ in 0..MORE_THAN_A_PIPE {
        assert_eq!(stuck.says(b"alice"), Some(0));
    }
    // Each version has something to complain about, in the loop that sees it.
    for count in 1..=50 {
        stuck.folder.write("passwd", format!("{TABLE}{}", "malformed\n".repeat(count)));
        assert_eq!(stuck.says(b"alice"), Some(0));
    }
    std::fs::remove_file(stuck.folder.path("passwd")).expect("the file is there");
    assert!(eventually(LIMIT, || stuck.says(b"alice") == Some(4)), "that it is missing is told, too");
    stuck.server.signal(Signal::TERM);
    assert_eq!(stuck.server.wait(LIMIT), End::Exit(0));
    let mut written = Vec::new();
    stuck.pipe.read_to_end(&mut written).expect("a pipe can be read");
    let written = String::from_utf8_lossy(&written).into_owned();
    assert!(written.starts_with("Starting.\n+ alice\n") && written.ends_with('\n'), "whole lines");
}
