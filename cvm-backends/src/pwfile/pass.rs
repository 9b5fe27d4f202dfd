//! One pass over a password file, in parts that threads share.

use std::collections::TryReserveError;
use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::thread;

use memchr::{memchr, memrchr};
use zeroize::Zeroizing;

use super::entry::{DECOY_LINES, DecoyKey, Entry, LINE_MAX};
use super::needle::Needle;

/// How much is read at a time: small enough to stay in the processor's cache.
pub(super) const CHUNK: usize = 128 * 1024;

/// How much is read at a time to find a decoy, which is a line.
const DECOY_CHUNK: usize = 4096;

/// The stack of a thread, which calls nothing deep.
const STACK_SIZE: usize = 128 * 1024;

/// A copy of a line, which holds a stored password.
pub(crate) type OwnedLine = Zeroizing<Vec<u8>>;

/// Tells whether an account can be authenticated against an entry.
pub(crate) type IsUsable<'f> = dyn Fn(&Entry<'_>) -> bool + Sync + 'f;

/// What a pass looks for.
#[derive(Clone, Copy)]
pub(super) struct Pass<'n> {
    pub(super) name: &'n [u8],
    pub(super) is_usable: &'n IsUsable<'n>,
    /// The size that the file should have.
    pub(super) size: u64,
}

/// What it found.
#[derive(Default)]
pub(super) struct Found {
    /// The first line of the name.
    pub(super) account: Option<OwnedLine>,
    /// The line that stands in for it.
    pub(super) decoy: Option<OwnedLine>,
    /// The size of the file, and whether its last byte is a newline.
    pub(super) size: u64,
    pub(super) ends_in_newline: bool,
}

/// What is in a part.
#[derive(Default)]
struct Part {
    account: Option<OwnedLine>,
    first_usable: Option<OwnedLine>,
    end: End,
}

/// Where reading ended, and whether the byte before is a newline.
#[derive(Clone, Copy, Default)]
struct End {
    position: u64,
    is_newline: bool,
}

/// What can be read at any position.
pub(super) trait ReadAt: Sync {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, position)
    }
}

impl Pass<'_> {
    /// Reads the whole file, with a thread for each part but one.
    pub(super) fn over(self, file: &impl ReadAt, parts: u64, chunk: usize) -> io::Result<Found> {
        let boundary = |index: u64| if index == parts { u64::MAX } else { self.size / parts * index };
        let read = |index: u64| self.read_part(file, boundary(index)..boundary(index + 1), chunk);
        let parts = thread::scope(|scope| {
            let spawn = |index| thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, move || read(index));
            let others: Vec<_> = (1..parts).map(|index| (index, spawn(index))).collect();
            let join = |(index, thread): (u64, io::Result<thread::ScopedJoinHandle<'_, _>>)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("a reader panicked"))),
                // Without a thread it is read here.
                Err(_) => read(index),
            };
            std::iter::once(read(0)).chain(others.into_iter().map(join)).collect::<io::Result<Vec<_>>>()
        })?;
        self.join(file, parts)
    }

    /// Takes the first of what the parts have, and finds the decoy.
    fn join(self, file: &impl ReadAt, parts: Vec<Part>) -> io::Result<Found> {
        let mut found = Found::default();
        let mut first_usable = None;
        for part in parts {
            found.account = found.account.or(part.account);
            first_usable = first_usable.or(part.first_usable);
            (found.size, found.ends_in_newline) = (part.end.position, part.end.is_newline);
        }
        if let Some(first) = first_usable {
            found.decoy = Some(self.decoy(file, &first)?.unwrap_or(first));
        }
        Ok(found)
    }

    /// Finds the account, and an entry that can be authenticated against, in the lines that begin in a part.
    fn read_part(self, file: &impl ReadAt, range: Range<u64>, chunk: usize) -> io::Result<Part> {
        let mut part = Part::default();
        let needle = Needle::new(self.name);
        let room = usize::try_from(self.size.saturating_add(1)).unwrap_or(chunk).min(chunk);
        part.end = read_lines(file, range, room, |lines| {
            if part.first_usable.is_none() {
                part.first_usable = lines.split(|&byte| byte == b'\n').find(|line| self.is_usable(line)).map(owned);
            }
            needle.search(lines, |start| {
                let line = first_line(&lines[start..]);
                if part.account.is_none() && self.is_named(line) {
                    part.account = Some(owned(line));
                }
            });
            ControlFlow::Continue(())
        })?;
        Ok(part)
    }

    /// Finds an entry that can be authenticated against a few lines behind the name's position: what the first one of
    /// the file is the key of.
    fn decoy(self, file: &impl ReadAt, first: &[u8]) -> io::Result<Option<OwnedLine>> {
        let Some(key) = Entry::parse(first) else { return Ok(None) };
        let position = DecoyKey::new(key.password).position(self.name, self.size);
        let (mut decoy, mut tries) = (None, DECOY_LINES);
        read_lines(file, position + 1..u64::MAX, DECOY_CHUNK, |lines| {
            for line in lines.strip_suffix(b"\n").unwrap_or(lines).split(|&byte| byte == b'\n') {
                tries -= 1;
                decoy = self.is_usable(line).then(|| owned(line));
                if decoy.is_some() || tries == 0 {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(decoy)
    }

    fn is_named(&self, line: &[u8]) -> bool {
        Entry::parse(line).is_some_and(|entry| entry.name.eq_ignore_ascii_case(self.name))
    }

    fn is_usable(&self, line: &[u8]) -> bool {
        Entry::parse(line).is_some_and(|entry| (self.is_usable)(&entry))
    }
}

/// Reads the lines that begin in a range, and calls for each piece of whole ones; the last line of the file is whole
/// without its newline. Of a line that is too long for an entry and for the room a beginning is taken for it, which is
/// too long as well: a file without newlines takes no more memory than another. Returns where reading ended: for a range beyond the file's end, that end.
fn read_lines(
    file: &impl ReadAt,
    range: Range<u64>,
    room: usize,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<End> {
    let mut buffer = Zeroizing::new(vec![0; room.max(1)]);
    // A line begins behind a newline: the byte before the range may be one.
    let mut position = range.start.saturating_sub(1);
    let (mut kept, mut is_inside, mut is_newline) = (0, range.start == 0, false);
    loop {
        if kept == buffer.len() && kept > LINE_MAX {
            if take(&buffer).is_break() {
                return Ok(End::default());
            }
            (position, kept, is_inside) = (position + as_u64(kept), 0, false);
        } else if kept == buffer.len() {
            buffer = grown(&buffer)?;
        }
        let count = read(file, &mut buffer[kept..], position + as_u64(kept))?;
        if count == 0 {
            if is_inside && kept > 0 {
                let _ = take(&buffer[..kept]);
            }
            return Ok(End { position: position + as_u64(kept), is_newline });
        }
        let filled = kept + count;
        is_newline = buffer[filled - 1] == b'\n';
        let start = if is_inside { 0 } else { memchr(b'\n', &buffer[..filled]).map_or(filled, |end| end + 1) };
        is_inside |= buffer[..start].ends_with(b"\n");
        let (end, is_last) = end_of_lines(&buffer[..filled], range.end.saturating_sub(position));
        if start < end && take(&buffer[start..end]).is_break() || is_last {
            return Ok(End::default());
        }
        let taken = start.max(end);
        buffer.copy_within(taken..filled, 0);
        (position, kept) = (position + as_u64(taken), filled - taken);
    }
}

/// Returns where the last whole line ends that begins before a limit, and whether no other one can.
fn end_of_lines(bytes: &[u8], limit: u64) -> (usize, bool) {
    let last_inside = usize::try_from(limit.saturating_sub(1)).unwrap_or(usize::MAX);
    let last = bytes.get(last_inside..).and_then(|rest| memchr(b'\n', rest)).map(|end| last_inside + end + 1);
    let whole = || memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    (last.unwrap_or_else(whole), last.is_some())
}

fn read(file: &impl ReadAt, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Returns what comes before the first newline.
fn first_line(lines: &[u8]) -> &[u8] {
    &lines[..memchr(b'\n', lines).unwrap_or(lines.len())]
}

fn owned(line: &[u8]) -> OwnedLine {
    Zeroizing::new(line.to_vec())
}

/// Makes room for a line that is longer than the buffer, but perhaps not too long, if there is memory.
fn grown(buffer: &[u8]) -> Result<OwnedLine, TryReserveError> {
    let mut longer = Zeroizing::new(Vec::new());
    longer.try_reserve_exact(buffer.len() * 2)?;
    longer.extend_from_slice(buffer);
    longer.resize(buffer.len() * 2, 0);
    Ok(longer)
}

const fn as_u64(length: usize) -> u64 {
    length as u64
}

#[cfg(test)]
mod tests;
