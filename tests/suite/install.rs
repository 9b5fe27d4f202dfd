//! Installing: what is listed is what is written, what differs is named, and systemd takes the units.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use cvm_tests::folder::Folder;
use cvm_tests::prefix::{Prefix, installer};
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::tool;

/// Every file and folder, as the installer lists them.
fn tree(path: &str) -> BTreeSet<String> {
    let metadata = fs::symlink_metadata(path).expect("a file");
    let mut found = BTreeSet::from([format!("{:o} {path}", metadata.mode() & 0o7777)]);
    if metadata.is_dir() {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
        found.extend(entries.flat_map(|path| tree(path.to_str().expect("UTF-8"))));
    }
    found
}

#[test]
fn what_is_listed_is_installed_and_nothing_else() {
    let prefix = Prefix::empty();
    let root = prefix.path("");
    let shown = prefix.install(&["--show"]);
    assert!(shown.end == End::Exit(0) && fs::metadata(&root).is_err(), "{shown:?}");
    assert_eq!(prefix.install(&[]), Finished::new(0, "", ""));
    let listed: BTreeSet<_> = shown.output().lines().map(|line| line.trim_end_matches('/').to_owned()).collect();
    assert_eq!(tree(root.trim_end_matches('/')), listed);
    assert!(listed.contains(&format!("755 {}", prefix.path("bin/cvm-checkpassword"))), "{listed:?}");
    assert!(listed.contains(&format!("644 {}", prefix.path("share/man/man8/cvm-pwfile.8"))), "{listed:?}");
    assert!(listed.contains(&format!("644 {}", prefix.path("lib/security/pam_cvm.so"))), "{listed:?}");
    assert!(listed.contains(&format!("644 {}", prefix.path("share/cvm/qpsmtpd/auth_cvm"))), "{listed:?}");
    assert_eq!(prefix.install(&["--check"]), Finished::new(0, "", ""));
    let version = run(&mut command(&prefix.path("bin/cvm-pwfile"), &["--version"], &[]), b"");
    assert_eq!(version.end, End::Exit(0));
}

#[test]
fn installing_again_touches_nothing_that_is_right() {
    let prefix = Prefix::new();
    let identity = |name: &str| fs::metadata(prefix.path(name)).map(|file| (file.ino(), file.mtime_nsec())).ok();
    let names = ["bin/cvm-unix", "share/cvm/daemontools/cvm-unix/run", "share/man/man7/cvm.7"];
    let before = names.map(identity);
    fs::write(prefix.path("bin/cvm-chain"), "damaged").expect("it is ours");
    assert_eq!(prefix.install(&[]), Finished::new(0, "", ""));
    assert_eq!(names.map(identity), before);
    assert_eq!(prefix.install(&["--check"]), Finished::new(0, "", ""));
}

#[test]
fn whatever_is_damaged_is_named() {
    let prefix = Prefix::new();
    let named = |name: &str, what: &str| {
        prefix.install(&["--check"]).assert_complaint(1, &[&prefix.path(name), what]);
        assert_eq!(prefix.install(&[]), Finished::new(0, "", ""), "{name}");
        assert_eq!(prefix.install(&["--check"]), Finished::new(0, "", ""), "{name}");
    };
    let mut program = fs::read(prefix.path("bin/cvm-pwfile")).expect("a program");
    *program.last_mut().expect("bytes") ^= 1;
    fs::write(prefix.path("bin/cvm-pwfile"), &program).expect("it is ours");
    named("bin/cvm-pwfile", "contents");
    fs::set_permissions(prefix.path("bin/cvm-unix"), PermissionsExt::from_mode(0o4755)).expect("it is ours");
    named("bin/cvm-unix", "mode");
    fs::remove_file(prefix.path("share/man/man7/cvm.7")).expect("it is ours");
    named("share/man/man7/cvm.7", "missing");
    let run = prefix.path("share/cvm/daemontools/cvm-hub/run");
    fs::rename(&run, prefix.folder().path("run")).expect("it is ours");
    symlink(prefix.folder().path("run"), &run).expect("a link");
    named("share/cvm/daemontools/cvm-hub/run", "plain file");
}

#[test]
fn folders_that_others_may_write_to_are_named() {
    let prefix = Prefix::new();
    fs::set_permissions(prefix.path("bin"), PermissionsExt::from_mode(0o775)).expect("it is ours");
    prefix.install(&["--check"]).assert_complaint(1, &[&prefix.path("bin"), "write"]);
}

#[test]
fn mistakes_are_told_in_a_line_and_nothing_is_installed() {
    let folder = Folder::new();
    let target = folder.path("prefix");
    installer(&[], &[]).assert_complaint(2, &["usage"]);
    installer(&["--frobnicate", &target], &[]).assert_complaint(2, &["--frobnicate"]);
    installer(&["usr/local"], &[]).assert_complaint(2, &["usr/local", "absolute"]);
    installer(&["/tmp/a b"], &[]).assert_complaint(2, &["/tmp/a b"]);
    let nothing_built = installer(&[&target], &[("CVM_PROGRAMS", &folder.path("built"))]);
    let message = String::from_utf8_lossy(&nothing_built.stderr);
    assert!(nothing_built.end == End::Exit(1) && message.contains("built/cvm-pwfile"), "{nothing_built:?}");
    assert!(fs::metadata(&target).is_err(), "nothing is installed unless everything is there");
    let prefix = Prefix::new();
    fs::remove_file(prefix.path("bin/cvm-chain")).expect("it is ours");
    fs::create_dir(prefix.path("bin/cvm-chain")).expect("a folder");
    prefix.install(&[]).assert_complaint(1, &[&prefix.path("bin/cvm-chain"), "folder"]);
    prefix.install(&["--check"]).assert_complaint(1, &[&prefix.path("bin/cvm-chain"), "plain file"]);
}

#[test]
fn a_package_is_made_below_another_root() {
    let prefix = Prefix::empty();
    let (root, built) = (prefix.folder().path("root"), prefix.folder().path("built"));
    let settings = [("CVM_PROGRAMS", built.as_str()), ("DESTDIR", &root)];
    for options in [&["/opt/cvm"][..], &["--check", "/opt/cvm"]] {
        assert_eq!(installer(options, &settings), Finished::new(0, "", ""));
    }
    let unit = fs::read_to_string(format!("{root}/opt/cvm/share/cvm/systemd/cvm-unix.service")).expect("a unit");
    assert!(unit.contains("\nExecStart=/opt/cvm/bin/cvm-unix cvm-local:"), "{unit}");
}

fn units(prefix: &Prefix) -> Vec<String> {
    let entries = fs::read_dir(prefix.path("share/cvm/systemd")).expect("units");
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").path().into_os_string();
    entries.map(|entry| path(entry).into_string().expect("UTF-8")).collect()
}

fn analyze(arguments: &[&str], settings: cvm_tests::Settings<'_>) -> Finished {
    let analyze = tool("systemd-analyze", "systemd");
    run(&mut command(analyze.to_str().expect("UTF-8"), arguments, settings), b"")
}

#[test]
fn systemd_takes_every_unit_without_a_warning() {
    let prefix = Prefix::new();
    let units = units(&prefix);
    assert!(units.len() >= 3, "{units:?}");
    for unit in &units {
        let finished = analyze(&["verify", "--man=yes", unit], &[("MANPATH", &prefix.path("share/man"))]);
        assert_eq!((&finished.end, finished.stderr.as_slice()), (&End::Exit(0), &b""[..]), "{unit}: {finished:?}");
    }
    // The same check does find a unit whose program is not there.
    fs::remove_file(prefix.path("bin/cvm-unix")).expect("it is ours");
    let unit = prefix.path("share/cvm/systemd/cvm-unix.service");
    let finished = analyze(&["verify", "--man=no", &unit], &[]);
    assert!(finished.end != End::Exit(0), "{finished:?}");
}

/// Of 100, at which a unit has no protection at all; most units of a system are above 90.
#[test]
fn units_are_hardened() {
    let prefix = Prefix::new();
    for unit in units(&prefix) {
        let finished = analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager", &unit], &[]);
        assert_eq!(finished.end, End::Exit(0), "{unit}: {}", finished.output());
    }
}
