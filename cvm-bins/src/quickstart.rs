//! `cvm-quickstart`: one login from end to end, with a real server, a real client and a temporary password file.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use cvm_core::Code;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Program, Stopped, called_as};
use crate::{asking, pwfile, testclient};

const PROGRAM: Program = Program {
    arguments: "",
    about: "Shows one login from end to end: makes a password file with one account and a random password in a\n\
            temporary folder, serves it over UDP and a UNIX socket, and asks over all three contact modes.",
    settings: &[],
    more_settings: &[],
};

const ACCOUNT: &str = "alice";
const DOMAIN: &str = "example.net";

/// Runs the program and returns its exit status; called as `cvm-pwfile` or `cvm-testclient`, it is that program.
///
/// So the demonstration runs the real programs even where only this one was built.
#[must_use]
pub fn main() -> u8 {
    match called_as().as_str() {
        "cvm-pwfile" => pwfile::main(),
        "cvm-testclient" => testclient::main(),
        _ => PROGRAM.run(|arguments| {
            if !arguments.is_empty() {
                return Err(PROGRAM.usage());
            }
            demonstrate().map_err(|error| Stopped::Io(error.to_string()))
        }),
    }
}

fn demonstrate() -> io::Result<Code> {
    let stage = Stage::set()?;
    let mut out = io::stdout().lock();
    writeln!(out, "A password file with one account, in a temporary folder:\n")?;
    writeln!(out, "  $ cat {}\n  {}", stage.file("passwd").display(), fs::read_to_string(stage.file("passwd"))?)?;

    let (mut server, endpoints) = stage.serve()?;
    writeln!(out, "A server for it, over a UNIX socket and UDP:\n")?;
    let path = stage.file("passwd");
    writeln!(out, "  $ CVM_PWFILE_PATH={} cvm-pwfile {}\n", path.display(), endpoints.join(" "))?;

    let command = format!("cvm-command:{}", stage.file("cvm-pwfile").display());
    writeln!(out, "The right password, over each contact mode:\n")?;
    for module in [command].iter().chain(&endpoints) {
        stage.ask(&mut out, module, &stage.password, Code::SUCCESS)?;
    }
    writeln!(out, "A wrong password is refused:\n")?;
    stage.ask(&mut out, &endpoints[0], "wrong", Code::REJECTED)?;

    writeln!(out, "What the server logged (+ valid, - refused; a command logs nothing):\n")?;
    for line in server.stop()? {
        writeln!(out, "  {line}")?;
    }
    write!(out, "\n{BY_HAND}")?;
    out.flush()?;
    Ok(Code::SUCCESS)
}

const BY_HAND: &str = "The same by hand:

  $ cargo build --release && PATH=$PWD/target/release:$PATH
  $ D=$(mktemp -d) && export CVM_PWFILE_PATH=$D/passwd
  $ echo 'alice:secret:1000:1000:Alice Example:/home/alice:/bin/sh' >$D/passwd
  $ cvm-pwfile cvm-local:$D/socket cvm-udp:127.0.0.1:7910 &
  $ cvm-testclient cvm-local:$D/socket alice example.net secret
  $ cvm-testclient cvm-udp:127.0.0.1:7910 alice example.net secret
  $ cvm-testclient cvm-pwfile alice example.net secret
  $ kill %1
";

/// The folder in which everything happens; it is gone afterwards.
struct Stage {
    folder: TempDir,
    password: String,
}

impl Stage {
    fn set() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("cvm-quickstart.").tempdir()?;
        let stage = Self { folder, password: random_password()? };
        let line = format!("{ACCOUNT}:{}:1000:1000:Alice Example:/home/alice:/bin/sh\n", stage.password);
        let mut passwd = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(stage.file("passwd"))?;
        passwd.write_all(line.as_bytes())?;
        let program = std::env::current_exe()?;
        for name in ["cvm-pwfile", "cvm-testclient"] {
            symlink(&program, stage.file(name))?;
        }
        Ok(stage)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.file(name));
        // Settings of whoever runs the demonstration have no part in it.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command.env("CVM_PWFILE_PATH", self.file("passwd"));
        command
    }

    /// Starts the server and waits until it serves.
    fn serve(&self) -> io::Result<(Server, [String; 2])> {
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let local = format!("cvm-local:{}", self.file("socket").display());
        let endpoints = [local, format!("cvm-udp:127.0.0.1:{port}")];
        let mut child = self.program("cvm-pwfile").args(&endpoints).stdout(Stdio::piped()).spawn()?;
        let log = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut server = Server { child, output: BufReader::new(log), log: Vec::new() };
        if !server.read_line()? {
            return Err(io::Error::other("the server did not start"));
        }
        Ok((server, endpoints))
    }

    /// Shows a client's question and its answer, which must be the expected one.
    fn ask(&self, out: &mut impl Write, module: &str, password: &str, expected: Code) -> io::Result<()> {
        writeln!(out, "  $ cvm-testclient {module} {ACCOUNT} {DOMAIN} {password}")?;
        let answer = self.program("cvm-testclient").args([module, ACCOUNT, DOMAIN, password]).output()?;
        let (told, complained) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
        told.lines().chain(complained.lines()).try_for_each(|line| writeln!(out, "  {line}"))?;
        writeln!(out)?;
        if answer.status.code() == Some(expected.byte().into()) {
            return Ok(());
        }
        Err(io::Error::other(format!("expected exit status {}, saw {}", expected.byte(), answer.status)))
    }
}

fn is_setting(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"CVM_")
}

/// The running server, which ends with the demonstration.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    log: Vec<String>,
}

impl Server {
    /// Reads a line of the log; `false` at its end.
    fn read_line(&mut self) -> io::Result<bool> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line)?;
        self.log.extend((length > 0).then(|| line.trim_end().to_owned()));
        Ok(length > 0)
    }

    /// Asks the server to end and returns its log.
    fn stop(&mut self) -> io::Result<&[String]> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        while self.read_line()? {}
        self.child.wait()?;
        Ok(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both do nothing for a server that was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Draws 80 random bits, as letters and digits.
fn random_password() -> io::Result<String> {
    let mut bytes = [0; 16];
    asking::fill_with_random(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let alphabet = b"abcdefghijkmnpqrstuvwxyz23456789";
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect())
}
