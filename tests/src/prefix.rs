//! The programs as they are installed, where any user can run them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use crate::Settings;
use crate::folder::Folder;
use crate::process::{self, End, Finished};
use crate::programs::{Make, pam_cvm, tool};

/// A folder that programs, manual pages and examples are installed into.
#[derive(Debug)]
pub struct Prefix {
    folder: Folder,
}

impl Default for Prefix {
    fn default() -> Self {
        Self::new()
    }
}

impl Prefix {
    /// Installs everything.
    ///
    /// # Panics
    ///
    /// If that fails, or if anything is said about it.
    #[must_use]
    pub fn new() -> Self {
        let prefix = Self::empty();
        let finished = prefix.install(&[]);
        assert_eq!(finished, Finished::new(0, "", ""));
        prefix
    }

    /// Makes the folder, and copies of the programs that are small enough to be installed by many tests.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn empty() -> Self {
        static BUILT: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
        let folder = Folder::new();
        fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("our own folder");
        fs::create_dir(folder.path("built")).expect("a folder");
        let prefix = Self { folder };
        let shown = prefix.install(&["--show"]).output();
        let bin = prefix.path("bin/");
        let programs = shown.lines().filter_map(|line| line.strip_prefix("755 ")?.strip_prefix(&bin));
        for (name, contents) in BUILT.get_or_init(|| stripped(programs)) {
            prefix.folder.write(&format!("built/{name}"), contents);
        }
        prefix
    }

    /// Runs the installer with these options.
    #[must_use]
    pub fn install(&self, options: &[&str]) -> Finished {
        let built = self.folder.path("built");
        let prefix = self.path("");
        installer(&[options, &[prefix.trim_end_matches('/')]].concat(), &[("CVM_PROGRAMS", &built)])
    }

    /// Returns the path of an installed file.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.path(&format!("prefix/{name}"))
    }

    /// Returns the folder in which the prefix is, for what belongs to neither.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Returns programs, and the module for PAM, without what is for debuggers.
fn stripped<'a>(programs: impl Iterator<Item = &'a str>) -> Vec<(String, Vec<u8>)> {
    let (strip, folder) = (tool("strip", "binutils"), Folder::new());
    let built = programs.map(|name| (name, Make::Ours.program(name))).chain([("libpam_cvm.so", pam_cvm())]);
    let strip = |(name, path): (&str, String)| {
        let arguments = ["-o", &folder.path(name), &path];
        let stripped = process::run(&mut process::command(strip.to_str().expect("UTF-8"), &arguments, &[]), b"");
        assert_eq!(stripped.end, End::Exit(0), "{name}: {stripped:?}");
        (name.to_owned(), folder.read(name))
    };
    built.map(strip).collect()
}

/// Runs the installer.
///
/// # Panics
///
/// If this workspace is not named in UTF-8.
#[must_use]
pub fn installer(arguments: &[&str], settings: Settings<'_>) -> Finished {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the workspace");
    let script = root.join("cvm-bins/etc/install");
    process::run(&mut process::command(script.to_str().expect("UTF-8"), arguments, settings), b"")
}
