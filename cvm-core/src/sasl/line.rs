//! Lines: the bytes of a stream up to the end of one line.

use core::fmt;

use zeroize::Zeroizing;

/// The longest line of a client, in bytes without its end. Names and a password of 255 bytes each take 1024.
pub const LINE_MAX: usize = 1024;

/// A line, one byte that tells that it is too long, and a carriage return.
const CAPACITY: usize = LINE_MAX + 2;

/// Collects one line from a stream, which may come in pieces; what is too long is passed over to its end.
///
/// ```
/// use cvm_core::sasl::Line;
///
/// let mut line = Line::new();
/// assert_eq!(line.handle_input(b"YWxp"), 4);
/// assert_eq!(line.handle_input(b"Y2U=\r\nrest"), 6);
/// assert!(line.is_complete());
/// assert_eq!(line.text(), b"YWxpY2U=");
/// ```
pub struct Line {
    /// On the heap, as moving it must not leave a copy of a password behind.
    bytes: Box<Zeroizing<[u8; CAPACITY]>>,
    len: usize,
    complete: bool,
}

impl Line {
    /// Starts with no input.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Box::new(Zeroizing::new([0; CAPACITY])), len: 0, complete: false }
    }

    /// Takes bytes up to the end of the line, and returns how many it took.
    pub fn handle_input(&mut self, input: &[u8]) -> usize {
        if self.complete {
            return 0;
        }
        let end = input.iter().position(|&byte| byte == b'\n');
        let piece = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        self.keep(piece);
        self.complete = end.is_some();
        piece.len().saturating_add(self.complete.into())
    }

    /// Tells whether the end of the line has come.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns the line without its LF or CRLF. One that is too long is cut, but still longer than [`LINE_MAX`].
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }

    fn keep(&mut self, piece: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(piece) {
            *place = *byte;
        }
        self.len = self.len.saturating_add(piece.len()).min(CAPACITY);
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: &[u8]) -> Line {
        let mut line = Line::new();
        assert_eq!(line.handle_input(input), input.len());
        line
    }

    #[test]
    fn lines_end_in_lf_or_crlf() {
        for (input, text) in
            [("a\n", "a"), ("a\r\n", "a"), ("\n", ""), ("\r\n", ""), ("a\r\r\n", "a\r"), ("\ra\n", "\ra")]
        {
            let line = line(input.as_bytes());
            assert!(line.is_complete());
            assert_eq!(line.text(), text.as_bytes(), "{input:?}");
        }
    }

    #[test]
    fn what_follows_the_line_is_left() {
        let mut line = Line::new();
        assert_eq!(line.handle_input(b"a\nb\n"), 2);
        assert_eq!(line.handle_input(b"b\n"), 0);
        assert_eq!(line.text(), b"a");
    }

    #[test]
    fn a_line_without_its_end_is_not_complete() {
        assert!(!line(b"").is_complete());
        assert!(!line(b"abc\r").is_complete());
    }

    #[test]
    fn the_longest_line_is_whole_and_longer_ones_are_recognised() {
        for end in ["\n", "\r\n"] {
            for length in LINE_MAX - 2..LINE_MAX + 10 {
                let line = line(format!("{}{end}", "a".repeat(length)).as_bytes());
                assert!(line.is_complete());
                let kept = line.text().len();
                assert!(kept == length || length > LINE_MAX && kept > LINE_MAX, "{length} {kept}");
                assert!(kept <= LINE_MAX + 2, "more than that is of no use: {kept}");
            }
        }
        // Its carriage returns do not make it shorter.
        assert!(line(format!("{}\n", "\r".repeat(5000)).as_bytes()).text().len() > LINE_MAX);
    }

    #[test]
    fn printing_a_line_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", line(b"hunter2\n")), "Line(7 bytes)");
    }
}
