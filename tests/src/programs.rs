//! Where the programs are.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::process::{self, End};

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Built from this workspace.
    Ours,
    /// Installed from the Debian package `cvm`.
    Original,
}

impl Make {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ours, Self::Original];

    /// Finds a program.
    ///
    /// # Panics
    ///
    /// If it is not there, saying how to get it.
    #[must_use]
    pub fn program(self, name: &str) -> String {
        let (folder, remedy) = match self {
            Self::Ours => (built_programs(), "build it with `cargo build --workspace --bins`, or set $CVM_TEST_BIN"),
            Self::Original => ("/usr/bin".into(), "install the original with `apt-get install cvm`"),
        };
        let path = folder.join(name);
        assert!(path.is_file(), "{} is missing: {remedy}", path.display());
        path.into_os_string().into_string().expect("the path of the programs is UTF-8")
    }
}

/// Finds an example of how to embed the core or a client.
///
/// # Panics
///
/// If it is not there, saying how to get it.
#[must_use]
pub fn example(name: &str) -> String {
    let path = built_here().join("examples").join(name);
    assert!(path.is_file(), "{} is missing: build it with `cargo build --workspace --examples`", path.display());
    path.into_os_string().into_string().expect("the path of the examples is UTF-8")
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Original => "the original",
        })
    }
}

fn built_programs() -> PathBuf {
    std::env::var_os("CVM_TEST_BIN").map_or_else(built_here, PathBuf::from)
}

/// The folder that cargo builds programs into: the test executable is in `deps` below it.
fn built_here() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this executable is known");
    this.ancestors().nth(2).expect("cargo puts tests two folders below `target`").to_owned()
}

/// Finds the module for PAM, which cargo builds beside the test executable.
///
/// # Panics
///
/// If it is not there, saying how to get it.
#[must_use]
pub fn pam_cvm() -> String {
    let names = ["libpam_cvm.so", "deps/libpam_cvm.so"];
    let found = names.iter().rev().map(|name| built_programs().join(name)).find(|path| path.is_file());
    let path = found.expect("libpam_cvm.so is missing: build it with `cargo build -p pam_cvm`, or set $CVM_TEST_BIN");
    path.into_os_string().into_string().expect("the path of the programs is UTF-8")
}

/// Compiles a file of the folder `data` and returns the program, or the library.
///
/// # Panics
///
/// If that fails.
#[must_use]
pub fn compiled(source: &str, options: &[&str]) -> Vec<u8> {
    let folder = Folder::new();
    let (source, output) = (format!("{}/data/{source}", env!("CARGO_MANIFEST_DIR")), folder.path("output"));
    let arguments = [&["-Wall", "-Werror", "-o", &output, &source], options].concat();
    let gcc = tool("gcc", "gcc");
    let finished = process::run(&mut process::command(gcc.to_str().expect("UTF-8"), &arguments, &[]), b"");
    assert_eq!(finished.end, End::Exit(0), "{source}: the headers of PAM are in libpam0g-dev: {finished:?}");
    folder.read("output")
}

/// Finds a tool of the system.
///
/// # Panics
///
/// If it is not there, naming the package to install.
#[must_use]
pub fn tool(name: &str, package: &str) -> PathBuf {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(name));
    found
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}
