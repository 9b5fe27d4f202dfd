//! What was read of a table, kept in memory: whoever asks again needs no system call.

use std::fmt;
use std::io;
use std::sync::OnceLock;

use zeroize::Zeroizing;

/// How much of a file is read and kept at a time.
const BLOCK: usize = 4096;

/// The largest file that is kept: while it is exchanged there are two, in a process that may have 64 MB.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

type Block = Zeroizing<Box<[u8]>>;

/// The blocks of one version of a file, each of which is read when it is needed for the first time.
pub(super) struct Kept(Box<[OnceLock<Block>]>);

impl Kept {
    /// Makes room for a file; `None` if that is too large.
    pub(super) fn of_size(size: u64) -> Option<Self> {
        let size = usize::try_from(size).ok().filter(|_| size <= SIZE_MAX)?;
        Some(Self((0..size.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect()))
    }

    /// Copies what is at this position; `load` reads as much as there is of a block at another one.
    ///
    /// # Errors
    ///
    /// Those of `load`; `UnexpectedEof` if the file ends before.
    pub(super) fn read(
        &self,
        mut bytes: &mut [u8],
        mut position: u64,
        load: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let (number, offset) = (position / BLOCK as u64, position % BLOCK as u64);
            let cell = usize::try_from(number).ok().and_then(|number| self.0.get(number)).ok_or_else(too_far)?;
            let block = match cell.get() {
                Some(block) => block,
                None => {
                    let block = loaded(number * BLOCK as u64, &load)?;
                    cell.get_or_init(|| block)
                }
            };
            let there = usize::try_from(offset).ok().and_then(|offset| block.get(offset..)).unwrap_or_default();
            let count = there.len().min(bytes.len());
            if count == 0 {
                return Err(too_far());
            }
            let (now, rest) = bytes.split_at_mut(count);
            now.copy_from_slice(&there[..count]);
            (bytes, position) = (rest, position + count as u64);
        }
        Ok(())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

fn loaded(position: u64, load: impl Fn(&mut [u8], u64) -> io::Result<usize>) -> io::Result<Block> {
    let mut block = Zeroizing::new([0; BLOCK]);
    let count = load(block.as_mut_slice(), position)?;
    Ok(Zeroizing::new(block.get(..count).unwrap_or(block.as_slice()).into()))
}

fn too_far() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_was_read_once_is_not_read_again() {
        let file: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let kept = Kept::of_size(file.len() as u64).expect("a small file");
        let loads = Cell::new(0);
        let load = |bytes: &mut [u8], position: u64| {
            loads.set(loads.get() + 1);
            let rest = &file[usize::try_from(position).expect("within the file")..];
            let count = rest.len().min(bytes.len());
            bytes[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        };
        for _ in 0..2 {
            for (position, length) in [(0, 1), (4090, 10), (0, 10_000), (9_999, 1), (10_000, 0), (5000, 4096)] {
                let mut bytes = vec![0; length];
                kept.read(&mut bytes, position as u64, load).expect("within the file");
                assert_eq!(bytes, file[position..position + length]);
            }
            assert_eq!(loads.get(), 3);
        }
        for (position, length) in [(9_999, 2), (10_000, 1), (20_000, 1), (u64::MAX, 1)] {
            let error = kept.read(&mut vec![0; length], position, load).expect_err("behind the end");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{position}");
        }
        assert_eq!(loads.get(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_asked_for_again() {
        let kept = Kept::of_size(100).expect("a small file");
        assert!(kept.read(&mut [0], 0, |_, _| Err(io::ErrorKind::Interrupted.into())).is_err());
        assert!(kept.read(&mut [0], 0, |bytes, _| Ok(bytes.len().min(100))).is_ok());
    }

    #[test]
    fn large_files_are_not_kept() {
        assert!(Kept::of_size(SIZE_MAX).is_some());
        assert!(Kept::of_size(SIZE_MAX + 1).is_none());
    }
}
