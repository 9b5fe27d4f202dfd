//! `cvm-qmail` beside the original over generated trees: control files, tables, homes and settings by chance.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::packet;
use cvm_tests::process;
use cvm_tests::programs::Make;

use crate::qmail::{Alias, assign};

const TREES: u64 = 60;
const ADDRESSES: usize = 16;

/// Always the same, so that what it finds can be found again.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    pub(crate) fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Some letters in the other case.
    pub(crate) fn cased(&mut self, text: &str) -> String {
        if self.is(2) {
            return text.to_owned();
        }
        text.chars().map(|letter| if self.is(2) { letter.to_ascii_uppercase() } else { letter }).collect()
    }

    fn lines(&mut self, most: usize, mut line: impl FnMut(&mut Self) -> String) -> String {
        let mut text = String::new();
        for _ in 0..self.below(most + 1) {
            let (before, after) = (self.of(&["", "", "", " ", "\t", "#"]), self.of(&["", "", "", " ", " \t", "\r"]));
            text += &format!("{before}{}{after}\n", line(self));
        }
        text
    }
}

const DOMAINS: [&str; 8] =
    ["a.example", "b.example", "sub.a.example", "x.sub.a.example", "c.example", "host.example", "example", "d"];

const KEYS: [&str; 10] =
    [".a.example", ".example", ".sub.a.example", "a.example", "b.example", "c.example", "", ".", "joe@b.example", "d"];

const PARTS: [&str; 12] = ["joe", "jim", "list", "root", "daemon", "alias", "", "a.b", "default", "x", "owner", "v"];

const EXTENSIONS: [&str; 8] = ["", "", "x", "x-", "list-", "a.b", "A.B-", "-"];

fn name(chance: &mut Chance) -> String {
    let count = 1 + chance.below(4);
    let parts: Vec<_> = (0..count).map(|_| chance.of(&PARTS)).collect();
    chance.cased(&parts.join("-"))
}

fn domain(chance: &mut Chance) -> String {
    let domain = chance.of(&DOMAINS);
    chance.cased(domain)
}

/// Homes, whose files and modes differ.
fn homes(chance: &mut Chance, folder: &Folder) -> Vec<String> {
    let mut homes = vec![folder.path("missing"), folder.path("control")];
    for home in ["one", "two", "three"] {
        let path = folder.path(home);
        fs::create_dir(&path).expect("a folder");
        for _ in 0..chance.below(12) {
            let whole = name(chance).to_ascii_lowercase().replace('.', ":");
            let end = chance.of(&["", "", "-default", "default"]);
            let dash = chance.of(&["-", "-", "-", "", "+"]);
            instructions(chance, &format!("{path}/.qmail{dash}{whole}{end}"));
        }
        if chance.is(2) {
            instructions(chance, &format!("{path}/.qmail-default"));
        }
        fs::set_permissions(&path, Permissions::from_mode(if chance.is(4) { 0o700 } else { 0o755 })).expect("a mode");
        homes.push(path);
    }
    homes
}

/// A file of instructions, or what is none. One that is there already stays.
fn instructions(chance: &mut Chance, path: &str) {
    let made = match chance.below(10) {
        0 => fs::create_dir(path),
        1 => symlink("nowhere", path),
        2 => symlink(path, path),
        _ => {
            let lines = ["./Maildir/", "|deliver x", "| other", "|/bin/deliver", "&deliver", "# |deliver", " |deliver"];
            let text = chance.lines(4, |chance| chance.of(&lines).to_owned());
            fs::write(path, text)
        }
    };
    assert!(made.is_ok() || fs::symlink_metadata(path).is_ok(), "{path}: {made:?}");
}

/// What makes a line of a control file.
type Line = fn(&mut Chance) -> String;

fn tree(chance: &mut Chance) -> Folder {
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), Permissions::from_mode(0o755)).expect("a mode");
    for name in ["control", "users"] {
        fs::create_dir(folder.path(name)).expect("a folder");
    }
    let lists: [(&str, Line); 4] = [
        ("me", domain),
        ("envnoathost", domain),
        ("locals", domain),
        ("virtualdomains", |chance| {
            let key = chance.of(&KEYS);
            format!("{}{}{}", chance.cased(key), chance.of(&[":", ":", ":", " : ", ""]), name(chance))
        }),
    ];
    for (name, line) in lists {
        if !chance.is(8) {
            let text = chance.lines(5, line);
            // An empty file might still be in the writing.
            folder.write(&format!("control/{name}"), if text.is_empty() { "\n" } else { &text });
        }
    }
    let homes = homes(chance, &folder);
    if !chance.is(8) {
        let mut records = Vec::new();
        for _ in 0..chance.below(16) {
            record(chance, &homes, &mut records);
        }
        assign(&folder, "users/cdb", &records);
    }
    folder
}

fn record(chance: &mut Chance, homes: &[String], records: &mut Vec<u8>) {
    let name = name(chance).to_ascii_lowercase();
    let key = format!("!{name}{}", chance.of(&["\0", "\0", "-", "-", ""]));
    let key = if chance.is(10) { "!" } else { &key };
    let home = &homes[chance.below(homes.len())];
    let dash = chance.of(&["", "", "-", "-", "-", "-", "+", "--"]);
    let mut data = format!("user\x001234\x002345\0{home}\0{dash}\0{}", chance.of(&EXTENSIONS));
    if chance.is(12) {
        data.truncate(chance.below(data.len()));
    }
    records.extend_from_slice(format!("+{},{}:{key}->{data}\n", key.len(), data.len()).as_bytes());
}

/// Settings beside the folder and the secret.
fn settings(chance: &mut Chance) -> Vec<(&'static str, &'static str)> {
    let all = [
        (4, "CVM_QMAIL_ASSUME_LOCAL", ["", "1"]),
        (4, "CVM_QMAIL_MISSINGDOMAIN", ["", "There.example"]),
        (2, "CVM_QMAIL_MISSINGUSER", ["joe", "Jim-x"]),
        (3, "CVM_QMAIL_CHECK_PERMS", ["1", "-"]),
        (3, "CVM_QMAIL_LOOKASIDE", ["deliver", "no  other"]),
        (20, "CVM_QMAIL_CHECK_PERMS", ["", ""]),
        (20, "CVM_QMAIL_LOOKASIDE", ["", ""]),
    ];
    let mut chosen = Vec::new();
    for (one_in, name, values) in all {
        if chance.is(one_in) {
            chosen.push((name, values[chance.below(values.len())]));
        }
    }
    chosen
}

#[test]
fn every_generated_address_gets_the_answer_of_the_original() {
    let alias = Folder::new();
    alias.write(".qmail-joe", "./Maildir/\n");
    let _alias = Alias::at(&alias.path(""));
    let mut findings = Findings::default();
    let mut kinds = [0; 4];
    for seed in 0..TREES {
        let mut chance = Chance(seed);
        let folder = tree(&mut chance);
        let root = folder.path("");
        for _ in 0..ADDRESSES {
            let more = settings(&mut chance);
            let settings = [&[("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", "")], &more[..]].concat();
            let (user, domain) = (name(&mut chance), if chance.is(10) { String::new() } else { domain(&mut chance) });
            // An account without a name is another matter.
            let user = if user.is_empty() { "-".to_owned() } else { user };
            let request = packet::v1(user.as_bytes(), domain.as_bytes(), &[b""]);
            let [ours, original] = Make::ALL.map(|make| {
                process::run(&mut process::command(&make.program("cvm-qmail"), &[], &settings), &request).stdout
            });
            kinds[kind(&original)] += 1;
            if !is_left_open(&ours, &original, &settings) {
                findings.equal(format_args!("tree {seed}: {user}@{domain} with {more:?}"), ours, original);
            }
        }
    }
    findings.assert_none();
    assert!(kinds.iter().all(|&count| count > 30), "every kind of answer should come: {kinds:?}");
}

/// Known, out of scope, unknown, failed.
pub(crate) fn kind(answer: &[u8]) -> usize {
    match answer {
        [0, ..] => 0,
        [100, 16, b'1', ..] => 1,
        [100, ..] => 2,
        _ => 3,
    }
}

/// The original fails where it looks for programs in the instructions of an address that needs none; with denied
/// permissions taken for missing files that is a no.
fn is_left_open(ours: &[u8], original: &[u8], settings: &[(&str, &str)]) -> bool {
    let looks_aside = settings.iter().any(|(name, value)| *name == "CVM_QMAIL_LOOKASIDE" && !value.is_empty());
    let takes_for_missing = settings.contains(&("CVM_QMAIL_CHECK_PERMS", "-"));
    looks_aside && kind(ours) < 2 && (kind(original) == 3 || (kind(original) == 2 && takes_for_missing))
}
