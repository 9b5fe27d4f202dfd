//! Programs that run once per request.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cvm_tests::Settings;
use cvm_tests::process;

use crate::measure::go_on;

/// A process that is ended and waited for when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already, unless somebody panics.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program with its environment, to be run many times.
pub(crate) struct Program {
    command: Command,
    output: Vec<u8>,
}

impl Program {
    pub(crate) fn new(path: &str, settings: Settings<'_>) -> Self {
        Self::with_arguments(path, &[], settings)
    }

    pub(crate) fn with_arguments(path: &str, arguments: &[&str], settings: Settings<'_>) -> Self {
        let mut command = process::command(path, arguments, settings);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self { command, output: Vec::new() }
    }

    /// Runs the program: starts it, hands over a request, reads what it writes, and waits for its end. Returns the
    /// seconds that all this took, after `check` has seen the output and the exit status.
    pub(crate) fn run(&mut self, request: &[u8], check: impl FnOnce(&[u8], Option<i32>)) -> f64 {
        self.output.clear();
        let start = Instant::now();
        let mut child = Ended(self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command)));
        let (stdin, stdout) = (child.0.stdin.take(), child.0.stdout.take());
        // A program that does nothing may be gone already.
        let _ = stdin.expect("standard input is a pipe").write_all(request);
        stdout.expect("standard output is a pipe").read_to_end(&mut self.output).expect("output can be read");
        let status = child.0.wait().expect("a child can be waited for");
        let seconds = start.elapsed().as_secs_f64();
        // A signal to the whole process group has ended it too.
        go_on();
        check(&self.output, status.code());
        seconds
    }
}
