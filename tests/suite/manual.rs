//! The manual: every program has a page that `man` reads without a warning and that knows its settings.

use std::fs;
use std::path::{Path, PathBuf};

use cvm_tests::findings::Findings;
use cvm_tests::process::{End, command, run};
use cvm_tests::programs::{Make, tool};

/// A demonstration, which its own output explains.
const WITHOUT_PAGE: &str = "cvm-quickstart";

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the workspace").join(below)
}

fn names(below: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(below)).unwrap_or_else(|error| panic!("{below}: {error}"));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).expect("UTF-8")).collect();
    names.sort();
    names
}

/// Where the programs of the light package are, and those of each heavy one.
const SOURCES: [&str; 4] =
    ["cvm-bins/src/bin", "cvm-bins/bench/src/bin", "cvm-bins/pam/src/bin", "cvm-bins/sql/src/bin"];

fn programs() -> impl Iterator<Item = String> {
    let sources = SOURCES.into_iter().flat_map(names);
    sources.filter_map(|source| source.strip_suffix(".rs").map(str::to_owned)).filter(|name| name != WITHOUT_PAGE)
}

/// The text of a page; one that only sends to another is that one's.
fn page(name: &str) -> String {
    let text = fs::read_to_string(folder("cvm-bins/man").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(target) = text.strip_prefix(".so ") else {
        return text;
    };
    let (section, other) = target.trim_end().split_once('/').expect("a folder and a page");
    assert!(other.ends_with(section.trim_start_matches("man")), "{name}: {target}");
    page(other)
}

fn page_of(program: &str) -> Option<String> {
    let pages = names("cvm-bins/man");
    pages.into_iter().find(|page| page.rsplit_once('.').is_some_and(|(name, _)| name == program))
}

/// The words of `--help` that are written as settings are.
fn settings(program: &str) -> Vec<String> {
    let help = run(&mut command(&Make::Ours.program(program), &["--help"], &[]), b"").output();
    let first_words = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
    first_words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_program_has_a_page_that_knows_its_settings() {
    let mut findings = Findings::new();
    let of_every_server = page("cvm.7");
    for program in programs() {
        let Some(name) = page_of(&program) else {
            findings.add(format_args!("{program} has no page"));
            continue;
        };
        let text = page(&name);
        if !text.contains(&format!(".Nm {program}\n")) && !text.contains(&format!(".Nm {program} ,\n")) {
            findings.add(format_args!("{name} does not name {program}"));
        }
        let refers = text.contains(".Xr cvm 7");
        for setting in settings(&program) {
            let tells = |text: &str| {
                text.lines()
                    .filter_map(|line| line.strip_prefix(".It Ev "))
                    .any(|item| item.split(' ').any(|word| word == setting))
            };
            if !(tells(&text) || refers && tells(&of_every_server)) {
                findings.add(format_args!("{name} does not tell of {setting}"));
            }
        }
    }
    findings.assert_none();
}

/// The module for PAM has no `--help`: its log line about an unknown argument lists what there is.
#[test]
fn the_page_of_the_module_for_pam_knows_its_arguments() {
    let source = fs::read_to_string(folder("cvm-bins/pam_cvm/src/arguments.rs")).expect("a source");
    let known =
        source.split("const KNOWN: &str = \"").nth(1).and_then(|rest| rest.split("\";").next()).expect("a list");
    let text = page("pam_cvm.8");
    let words = known.split([' ', ',', '\\', '\n']).filter(|word| !word.is_empty() && *word != "or");
    let tells = |word: &str| {
        let item = format!(".It Cm {}", word.trim_end_matches('='));
        text.lines()
            .any(|line| if word.ends_with('=') { line.starts_with(&(item.clone() + " Ns = ")) } else { line == item })
    };
    let missing: Vec<_> = words.filter(|word| !tells(word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn man_reads_every_page_without_a_warning() {
    let man = tool("man", "man-db");
    let man = man.to_str().expect("UTF-8");
    for name in names("cvm-bins/man") {
        if page(&name) != fs::read_to_string(folder("cvm-bins/man").join(&name)).expect("a page") {
            continue;
        }
        let path = folder("cvm-bins/man").join(&name);
        let arguments = ["--warnings=w", "--encoding=UTF-8", "--local-file", path.to_str().expect("UTF-8")];
        let finished = run(&mut command(man, &arguments, &[("MANWIDTH", "100")]), b"");
        assert_eq!((finished.end, finished.stderr.escape_ascii().to_string()), (End::Exit(0), String::new()), "{name}");
        assert!(finished.output().contains("EXIT STATUS"), "{name}");
    }
}

/// Pages of others may be missing here; our own must not.
#[test]
fn references_to_our_pages_lead_somewhere() {
    let pages = names("cvm-bins/man");
    for name in &pages {
        for reference in page(name).lines().filter_map(|line| line.strip_prefix(".Xr cvm")) {
            let mut words = reference.split(' ');
            let (rest, section) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let target = format!("cvm{rest}.{section}");
            assert!(pages.contains(&target) || target == "cvm-vmailmgr.8", "{name} refers to {target}");
        }
    }
}
