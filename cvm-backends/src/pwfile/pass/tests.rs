use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A file in memory, and how much was asked for at once.
struct Bytes(Vec<u8>, AtomicUsize);

impl ReadAt for Bytes {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.1.fetch_max(buffer.len(), Ordering::Relaxed);
        let rest = self.0.get(usize::try_from(position).expect("small")..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

fn found(text: &str, name: &str, parts: u64, chunk: usize) -> (Option<String>, Option<String>) {
    let file = Bytes(text.into(), AtomicUsize::new(0));
    let is_usable = |entry: &Entry<'_>| !entry.password.is_empty();
    let pass = Pass { name: name.as_bytes(), is_usable: &is_usable, size: text.len() as u64 };
    let found = pass.over(&file, parts, chunk).expect("readable");
    assert_eq!((found.size, found.ends_in_newline), (text.len() as u64, text.ends_with('\n')));
    assert!(file.1.into_inner() <= chunk.max(2 * (LINE_MAX + 1)), "no more memory than for lines of entries");
    let text = |line: OwnedLine| String::from_utf8(line.to_vec()).expect("text");
    (found.account.map(text), found.decoy.map(text))
}

/// A line with a password of so many bytes.
fn line(name: &str, length: usize) -> String {
    format!("{name}:{}:1:1::/:\n", "p".repeat(length))
}

#[test]
fn a_line_that_is_too_long_is_passed_over_wherever_it_begins_and_ends() {
    for length in [10, 4000, LINE_MAX - 12, LINE_MAX - 11, LINE_MAX, 8191, 8192, 40_000, 300_000] {
        let (before, long, after) = (line("one", 10), line("two", length), line("six", 10));
        let is_entry = long.len() <= LINE_MAX + 1;
        for text in
            [[&*before, &long, &after].concat(), [&*long, &before, &after].concat(), [&*before, &after, &long].concat()]
        {
            for (parts, chunk) in [(1, 16), (1, 4096), (1, 5000), (3, 16), (3, 4097), (2, CHUNK)] {
                let look = |name| found(&text, name, parts, chunk);
                let told = format!("{length} {parts} {chunk}");
                assert_eq!(look("one").0.as_deref(), Some(before.trim_end()), "{told}");
                assert_eq!(look("six").0.as_deref(), Some(after.trim_end()), "{told}");
                assert_eq!(look("two").0.is_some(), is_entry, "{told}");
                let (account, decoy) = look("nobody");
                assert!(account.is_none() && decoy.is_some_and(|line| line.len() <= LINE_MAX), "{told}");
            }
        }
    }
}

#[test]
fn the_end_of_a_line_that_is_too_long_is_no_line() {
    for length in [4000, 5000, 8192, CHUNK, CHUNK + 1] {
        let text = format!("one:x:1:1::/:\n{}\0two:x:1:1::/:\nsix:x:1:1::/:\n", "\0".repeat(length));
        for chunk in [16, 4097, CHUNK] {
            assert_eq!(found(&text, "two", 1, chunk).0, None);
            assert!(found(&text, "six", 1, chunk).0.is_some());
        }
    }
}
