//! Finding the lines that begin with a name among many, without looking at each.

/// How many positions are compared at once: the loop over them becomes a few vector instructions for each comparison.
const BLOCK: usize = 64;

/// The bit in which the two cases of a letter differ.
const CASE: u8 = 0x20;

/// What a line with the name looks like: the newline before it, the name's last two bytes, the colon behind it.
///
/// The comparisons are made whether or not the ones before it held, so that they take the same time for every name of
/// a length.
pub(super) struct Needle {
    /// The name's length; 0 is in no line.
    length: usize,
    /// The last two bytes of the newline and the name, without regard to case.
    last: [u8; 2],
}

impl Needle {
    pub(super) fn new(name: &[u8]) -> Self {
        let last = match name {
            [.., first, second] => [*first, *second],
            [only] => [b'\n', *only],
            [] => [0; 2],
        };
        Self { length: name.len(), last: last.map(|byte| byte | CASE) }
    }

    /// Calls for the start of each line that may begin with the name and a colon, in order. There may be some that do
    /// not. The first line begins where `lines` does.
    pub(super) fn search(&self, lines: &[u8], mut found: impl FnMut(usize)) {
        if self.length == 0 || lines.len() <= self.length {
            return;
        }
        found(0);
        let newlines = lines.chunks_exact(BLOCK);
        // What stands where the name's last two bytes and the colon would, for a newline at each position.
        let (first, second, colon) = (self.blocks(lines, 0), self.blocks(lines, 1), self.blocks(lines, 2));
        let mut searched = 0;
        for (((newlines, first), second), colon) in newlines.zip(first).zip(second).zip(colon) {
            let at = |index: usize| self.is_match(newlines[index], [first[index], second[index]], colon[index]);
            if (0..BLOCK).fold(false, |any, index| any | at(index)) {
                (0..BLOCK).filter(|index| at(*index)).for_each(|index| found(searched + index + 1));
            }
            searched += BLOCK;
        }
        self.search_rest(lines, searched, found);
    }

    /// The last positions, which do not make a block.
    fn search_rest(&self, lines: &[u8], searched: usize, mut found: impl FnMut(usize)) {
        for (index, window) in lines[searched..].windows(self.length + 2).enumerate() {
            if let [newline, .., colon] = window
                && self.is_match(*newline, [window[self.length - 1], window[self.length]], *colon)
            {
                found(searched + index + 1);
            }
        }
    }

    fn blocks<'l>(&self, lines: &'l [u8], behind: usize) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        lines.get(self.length - 1 + behind..).unwrap_or_default().chunks_exact(BLOCK)
    }

    #[inline(always)]
    fn is_match(&self, newline: u8, last: [u8; 2], colon: u8) -> bool {
        let [first, second] = last.map(|byte| byte | CASE);
        (newline == b'\n') & (first == self.last[0]) & (second == self.last[1]) & (colon == b':')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(name: &[u8], lines: &[u8]) -> Vec<usize> {
        let mut starts = Vec::new();
        Needle::new(name).search(lines, |start| starts.push(start));
        starts
    }

    fn with_the_name(name: &[u8], lines: &[u8]) -> Vec<usize> {
        let starts = (0..lines.len()).filter(|start| *start == 0 || lines[start - 1] == b'\n');
        let begins = |start: &usize| {
            let line = &lines[*start..];
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
        };
        starts.filter(begins).collect()
    }

    proptest! {
        #[test]
        fn no_line_with_the_name_is_missed(
            name in "[aAbB@`\\n]{1,3}",
            lines in prop::collection::vec("([aAbB@`]{0,3}:?){1,3}\n", 0..60),
            filler in 0..70_usize,
        ) {
            let lines = format!("{}\n{}", "x".repeat(filler), lines.concat()).into_bytes();
            let found = search(name.as_bytes(), &lines);
            for start in with_the_name(name.as_bytes(), &lines) {
                prop_assert!(found.contains(&start));
            }
            prop_assert!(found.is_sorted());
        }
    }

    #[test]
    fn most_other_lines_are_passed_over() {
        let lines: String = (0..1000).map(|number| format!("user{number:04}:x\n")).collect();
        assert_eq!(
            search(b"user0742", lines.as_bytes()),
            (0..1000).filter(|n| n % 100 == 42 || *n == 0).map(|n| n * 11).collect::<Vec<_>>()
        );
        assert_eq!(search(b"", lines.as_bytes()), Vec::<usize>::new());
    }
}
