//! Links libcrypt into static programs; others load it when they need it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/glibc.c");
    let setting = |name| std::env::var(name).unwrap_or_default();
    let is_musl = setting("CARGO_CFG_TARGET_ENV") == "musl";
    // Cargo does not tell of a feature that is a target's default.
    let is_static_by_default = is_musl && !setting("CARGO_ENCODED_RUSTFLAGS").contains("-crt-static");
    let is_static = setting("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if !is_static && !is_static_by_default {
        return;
    }
    println!("cargo:rustc-link-lib=static:-bundle=crypt");
    if is_musl {
        compile(Path::new(&setting("OUT_DIR")));
    }
}

/// Compiles what a libcrypt made for the GNU C library needs, to be linked after it.
fn compile(folder: &Path) {
    let (object, archive) = (folder.join("glibc.o"), folder.join("libcvm_glibc.a"));
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-fPIC", "-fno-builtin", "-fno-stack-protector", "-c", "src/glibc.c", "-o"]).arg(&object);
    run(&mut compiler);
    run(Command::new("ar").arg("crs").arg(&archive).arg(&object));
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=static:-bundle=cvm_glibc");
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}
