//! Temporary folders, with files that may be executed at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::process;

/// A folder that is removed when dropped.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// Makes an empty folder.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("cvm-tests.").tempdir().expect("a temporary folder"))
    }

    /// Returns the path of a file in it, there or not.
    ///
    /// # Panics
    ///
    /// If temporary folders are not named in UTF-8.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).into_os_string().into_string().expect("the temporary folder is UTF-8")
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, contents).unwrap_or_else(|error| panic!("{path}: {error}"));
        path
    }

    /// Writes a shell script and returns its path.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn script(&self, name: &str, lines: &str) -> String {
        self.program(name, format!("#!/bin/sh\n{lines}\n"))
    }

    /// Writes a file that may be executed and returns its path.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn program(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        // A process that starts now would hold the file open for writing, and the system would not execute it.
        let _nothing_starts = process::nothing_starts();
        let path = self.write(name, contents);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("our own file");
        path
    }

    /// Reads a file; one that is not there is empty.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }
}

/// Quotes a word for the shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
