//! `cvm-quickstart`: the demonstration of one login.

use cvm_tests::process::{End, command, run};
use cvm_tests::programs::Make;

#[test]
fn the_quick_start_shows_the_facts_the_refusal_and_the_log() {
    // Settings of whoever runs it have no part in it.
    let settings = [("CVM_LOOKUP_SECRET", "sesame"), ("CVM_PWFILE_PWCMP", "zzz"), ("CVM_RANDOM_BYTES", "x")];
    let finished = run(&mut command(&Make::Ours.program("cvm-quickstart"), &[], &settings), b"");
    assert_eq!((finished.end, finished.stderr.as_slice()), (End::Exit(0), b"".as_slice()), "{finished:?}");
    let output = finished.output();
    let count = |line: &str| output.lines().filter(|found| found.trim() == line).count();
    for fact in ["user name:        alice", "user ID:          1000", "directory:        /home/alice"] {
        assert_eq!(count(fact), 3, "{fact}, once for each contact mode: {output}");
    }
    assert!(output.contains("error #100 (Credentials rejected)"), "{output}");
    for line in ["+ alice@example.net", "- alice@example.net", "Starting.", "Stopping."] {
        assert!(count(line) > 0, "{line}: {output}");
    }
}

#[test]
fn the_quick_start_leaves_nothing_behind() {
    let folder = cvm_tests::folder::Folder::new();
    let settings = [("TMPDIR", folder.path(""))];
    let settings = settings.each_ref().map(|(name, path)| (*name, path.as_str()));
    let finished = run(&mut command(&Make::Ours.program("cvm-quickstart"), &[], &settings), b"");
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    let left = std::fs::read_dir(folder.path("")).expect("the folder is there").count();
    assert_eq!(left, 0);
}
