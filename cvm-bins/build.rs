//! Links the unwinder of GCC statically: loading `libgcc_s.so` would cost each exec'd login an eighth of its time.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let setting = |name| std::env::var(name).unwrap_or_default();
    let is_gnu_linux = setting("TARGET").ends_with("-linux-gnu");
    let is_native = setting("TARGET") == setting("HOST");
    // A static program has the unwinder in it anyway.
    let is_static = setting("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if !is_gnu_linux || !is_native || is_static {
        return;
    }
    // Without the archive the programs are linked as usual.
    let Ok(found) = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output() else {
        return;
    };
    let archive = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    if Path::new(&archive).is_absolute() {
        println!("cargo:rerun-if-changed={archive}");
        println!("cargo:rustc-link-arg-bins=-Wl,--whole-archive,{archive},--no-whole-archive");
    }
}
