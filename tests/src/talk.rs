//! Conversations with a process, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::process::{Finished, LIMIT, Running};

/// A process that is talked to.
#[derive(Debug)]
pub struct Talk {
    running: Running,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    errors: File,
}

impl Talk {
    /// Starts the process.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let errors = tempfile::tempfile().expect("a temporary file");
        let stderr = errors.try_clone().expect("a descriptor can be duplicated");
        let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr));
        let input = running.child().stdin.take();
        let output = running.child().stdout.take().expect("it is a pipe");
        let (hear, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
            // Nobody listens any more when the conversation was dropped.
            lines.map(|line| [line.as_slice(), b"\n"].concat()).all(|line| hear.send(line).is_ok())
        });
        Self { running, input, lines, errors }
    }

    /// Says a line; one that nobody reads any more is lost.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{line}\r\n").as_bytes());
        }
    }

    /// Waits for a line, and returns it without its end.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn hear(&mut self) -> String {
        let line = self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{error}: {}", self.errors()));
        String::from_utf8(line).expect("text").trim_end().to_owned()
    }

    /// Waits for a line that begins so, and returns the rest of it.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn hear_until(&mut self, start: &str) -> String {
        loop {
            if let Some(rest) = self.hear().strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Says no more and waits for the end. What was heard is not told again.
    pub fn finish(mut self) -> Finished {
        drop(self.input.take());
        let end = self.running.wait(LIMIT);
        let stdout = self.lines.iter().flatten().collect();
        Finished { end, stdout, stderr: self.errors().into_bytes() }
    }

    fn errors(&mut self) -> String {
        let mut errors = Vec::new();
        let read = self.errors.seek(SeekFrom::Start(0)).and_then(|_| self.errors.read_to_end(&mut errors));
        read.expect("what was written can be read");
        String::from_utf8_lossy(&errors).into_owned()
    }
}
