//! Standard output: lines, and tables whose columns are aligned.

use std::fmt::Display;
use std::io::Write;

/// Prints a line at once; nobody is left to tell if that fails.
pub(crate) fn print(line: impl Display) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// A table: the first column holds titles, the others numbers.
pub(crate) struct Grid(Vec<Vec<String>>);

impl Grid {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self(vec![header.iter().map(|&cell| cell.to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, title: impl Display, cells: impl IntoIterator<Item = String>) {
        self.0.push(std::iter::once(title.to_string()).chain(cells).collect());
    }

    pub(crate) fn print(&self) {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.0 {
            let cells = row.iter().zip(&widths).enumerate();
            let line: Vec<String> = cells
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            print(line.join("  ").trim_end());
        }
        print("");
    }
}

/// What stands where nothing can be measured.
pub(crate) fn not_available() -> String {
    "n/a".to_owned()
}

/// A ratio.
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

/// A time, given in seconds, in milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

/// A time, given in seconds, in microseconds.
pub(crate) fn microseconds(seconds: f64) -> String {
    format!("{:.1} us", seconds * 1e6)
}

/// A time, given in seconds, in nanoseconds.
pub(crate) fn nanoseconds(seconds: f64) -> String {
    format!("{:.0} ns", seconds * 1e9)
}
