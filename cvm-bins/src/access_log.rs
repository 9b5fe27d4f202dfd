//! The access log: one line per answer on standard output, written once a round, never in the way of answers. What a
//! server has to say besides goes the same way to standard error.
//!
//! Either may be shared with others, so their flags stay as they are: each write says that it must not block. What is
//! not taken at once waits in a bounded buffer for a thread of its own.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cvm_core::observe::{Answered, Observer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

/// The bytes that may wait for a reader of the log; the rest is counted and lost.
const BUFFER_MAX: usize = 256 * 1024;

/// A pipe that is writable takes this much without blocking (POSIX calls it PIPE_BUF); every line is shorter.
const PIECE: usize = 4096;

/// The offset that is none, for [`pwritev2`].
const AT_ITS_POSITION: u64 = u64::MAX;

/// How long to wait for a stuck reader when the process ends.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A log that may be shared between threads.
#[derive(Clone)]
pub(crate) struct AccessLog(Arc<Shared>);

struct Shared {
    output: File,
    /// A regular file takes everything at once.
    is_file: bool,
    has_answers: bool,
    waiting: Mutex<Waiting>,
    left_over: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The lines that were lost and nobody was told of.
    lost: usize,
    /// The lines that the first line in `bytes` says were lost, until it is written.
    announced: usize,
    has_writer: bool,
}

impl AccessLog {
    /// Makes a log of start, stop and, if `has_answers`, of each answer.
    pub(crate) fn new(output: BorrowedFd<'_>, has_answers: bool) -> io::Result<Self> {
        let output = File::from(output.try_clone_to_owned()?);
        let is_file = output.metadata()?.is_file();
        Ok(Self(Arc::new(Shared {
            output,
            is_file,
            has_answers,
            waiting: Mutex::default(),
            left_over: Condvar::new(),
        })))
    }

    /// Writes one line that is not about an answer.
    pub(crate) fn say(&self, line: &str) {
        self.0.waiting().push(|log| log.extend_from_slice(line.as_bytes()));
        self.end_round();
    }

    /// Waits, though not for ever, until everything is written.
    pub(crate) fn finish(&self) {
        let deadline = Instant::now() + LAST_WAIT;
        while self.0.write_what_fits(&mut self.0.waiting()) > 0 && Instant::now() < deadline {
            self.0.wait_until_writable(Duration::from_millis(50));
        }
    }
}

impl Observer for AccessLog {
    fn answered(&self, answered: &Answered<'_>) {
        if !self.0.has_answers {
            return;
        }
        self.0.waiting().push(|line| write(answered, line));
    }

    fn end_round(&self) {
        let mut waiting = self.0.waiting();
        if self.0.write_what_fits(&mut waiting) == 0 {
            return;
        }
        if !waiting.has_writer {
            let shared = Arc::clone(&self.0);
            let writer = thread::Builder::new().stack_size(64 * 1024).spawn(move || shared.write_left_overs());
            // Without a thread, the next round tries again.
            waiting.has_writer = writer.is_ok();
        }
        self.0.left_over.notify_one();
    }
}

impl Waiting {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.announce();
        // Every line fits into a piece.
        if self.lost > 0 || self.bytes.len() + PIECE > BUFFER_MAX {
            self.lost += 1;
            return;
        }
        write(&mut self.bytes);
        self.bytes.push(b'\n');
    }

    /// Says what was lost, as soon as nothing else waits.
    fn announce(&mut self) {
        if self.lost > 0 && self.bytes.is_empty() {
            self.announced = std::mem::take(&mut self.lost);
            self.bytes = format!("Lost {} log lines.\n", self.announced).into_bytes();
        }
    }

    fn written(&mut self, count: usize) {
        let has_line = self.bytes.drain(..count).any(|byte| byte == b'\n');
        if has_line {
            self.announced = 0;
        }
        self.announce();
    }

    /// Gives up what waits: the reader is gone, or the disk full.
    fn lose(&mut self) {
        let lines = self.bytes.iter().filter(|&&byte| byte == b'\n').count();
        let announced = std::mem::take(&mut self.announced);
        self.lost += lines - usize::from(announced > 0) + announced;
        self.bytes.clear();
    }

    /// Cuts off as many whole lines as one write may have.
    fn piece(&self) -> &[u8] {
        let head = &self.bytes[..self.bytes.len().min(PIECE)];
        let end = head.iter().rposition(|&byte| byte == b'\n').map_or(head.len(), |last| last + 1);
        &head[..end]
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as long as that does not block, and returns how many bytes are left.
    fn write_what_fits(&self, waiting: &mut Waiting) -> usize {
        while !waiting.bytes.is_empty() {
            let piece = if self.is_file { &waiting.bytes } else { waiting.piece() };
            match self.write_now(piece) {
                Ok(count) => waiting.written(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => waiting.lose(),
            }
        }
        waiting.bytes.len()
    }

    /// Writes as much as is taken at once.
    fn write_now(&self, piece: &[u8]) -> Result<usize, Errno> {
        if self.is_file {
            return rustix::io::write(&self.output, piece);
        }
        match pwritev2(&self.output, &[IoSlice::new(piece)], AT_ITS_POSITION, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.write_if_writable(piece),
            written => written,
        }
    }

    /// The same for a terminal, or an older kernel's pipe: in a pipe that others write to, too, it may wait for room.
    fn write_if_writable(&self, piece: &[u8]) -> Result<usize, Errno> {
        if self.wait_until_writable(Duration::ZERO) {
            rustix::io::write(&self.output, piece)
        } else {
            Err(Errno::AGAIN)
        }
    }

    fn write_left_overs(&self) {
        let mut waiting = self.waiting();
        loop {
            while waiting.bytes.is_empty() {
                waiting = self.left_over.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            self.wait_until_writable(LAST_WAIT);
            waiting = self.waiting();
            self.write_what_fits(&mut waiting);
        }
    }

    fn wait_until_writable(&self, time: Duration) -> bool {
        if self.is_file {
            return true;
        }
        let mut fds = [PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::OUT)];
        let time = Timespec::try_from(time).ok();
        matches!(poll(&mut fds, time.as_ref()), Ok(1))
    }
}

/// Writes `+ account@domain`, which is shorter than a piece whatever the request.
fn write(answered: &Answered<'_>, line: &mut Vec<u8>) {
    let kind = match answered.code {
        code if code.is_success() => b'+',
        code if code.is_rejected() => b'-',
        _ => b'?',
    };
    line.extend_from_slice(&[kind, b' ']);
    escape(answered.account.unwrap_or_default(), line);
    if let Some(domain) = answered.domain {
        line.push(b'@');
        escape(domain, line);
    }
}

/// Writes a name so that it cannot forge a line: backslash and everything outside printable ASCII as `\xNN`.
fn escape(name: &[u8], line: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    // Nearly all names are plain to their end.
    if name.iter().all(is_plain) {
        return line.extend_from_slice(name);
    }
    for byte in name {
        match byte {
            byte if is_plain(byte) => line.push(*byte),
            // Writing to memory does not fail.
            byte => drop(write!(line, "\\x{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cvm_core::Code;

    fn line(code: Code, account: Option<&[u8]>, domain: Option<&[u8]>) -> String {
        let mut line = Vec::new();
        write(&Answered { code, account, domain }, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn kinds_of_lines() {
        assert_eq!(line(Code::SUCCESS, Some(b"a"), Some(b"d")), "+ a@d");
        assert_eq!(line(Code::REJECTED, Some(b"a"), None), "- a");
        assert_eq!(line(Code::NO_CREDENTIAL, Some(b"a"), Some(b"d")), "? a@d");
        assert_eq!(line(Code::BAD_CLIENT_DATA, None, None), "? ");
    }

    #[test]
    fn no_name_can_forge_a_line() {
        assert_eq!(
            line(Code::IO, Some(b"a\n+ root\\\0\x7f\xff\t"), Some(b" ")),
            "? a\\x0a+ root\\x5c\\x00\\x7f\\xff\\x09@ "
        );
    }

    #[test]
    fn the_longest_names_fit() {
        let longest = [0xff; 509];
        assert_eq!(line(Code::SUCCESS, Some(&longest), None).len(), 2 + 4 * 509);
        let (account, domain) = longest.split_at(255);
        assert_eq!(line(Code::SUCCESS, Some(account), Some(domain)).len(), 3 + 4 * 509);
    }

    fn pipe_log() -> (AccessLog, File) {
        let (reader, writer) = io::pipe().unwrap();
        let log = AccessLog::new(writer.as_fd(), true).unwrap();
        (log, File::from(std::os::fd::OwnedFd::from(reader)))
    }

    fn alice(log: &AccessLog) {
        log.answered(&Answered { code: Code::SUCCESS, account: Some(b"alice"), domain: None });
        log.end_round();
    }

    #[test]
    fn a_stuck_reader_never_blocks_and_hears_how_much_it_missed() {
        use std::io::{BufRead, BufReader};
        let (log, reader) = pipe_log();
        let rounds = 2 * BUFFER_MAX / "+ alice\n".len();
        (0..rounds).for_each(|_| alice(&log));
        let lines = thread::spawn(|| {
            let lines = BufReader::new(reader).lines().map(Result::unwrap);
            lines.take_while(|line| line != "end").collect::<Vec<_>>()
        });
        while !log.0.waiting().bytes.is_empty() {
            log.finish();
        }
        log.say("end");
        let lines = lines.join().unwrap();
        let (written, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| *line == "+ alice");
        assert_eq!(others, [&format!("Lost {} log lines.", rounds - written.len())]);
    }

    #[test]
    fn a_reader_that_is_gone_costs_lines_which_are_counted() {
        let (log, reader) = pipe_log();
        drop(reader);
        (0..5).for_each(|_| alice(&log));
        let waiting = log.0.waiting();
        assert_eq!((waiting.bytes.len(), waiting.lost, waiting.announced), (0, 5, 0));
    }
}
