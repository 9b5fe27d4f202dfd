//! Lists of modules: who is asked, in which order, and whose answer stands.

use std::fmt::Write;

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::packet;
use cvm_tests::process::Finished;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

use crate::clients::{ALICE, Client, patiently};

/// What the stub that says yes makes clients print.
const ZED: &str = "\
user name:        zed
user ID:          8
group ID:         18
real name:        (null)
directory:        /
shell:            (null)
group name:       (null)
system user name: (null)
system directory: (null)
domain:           (null)
mailbox path:     (null)
";

/// Modules that take note of every call in the file `asked`, and always say the same.
struct Stubs(Folder);

impl Stubs {
    fn new() -> Self {
        let stubs = Self(Folder::new());
        let yes = packet::v2(0, b"", &[(1, b"zed"), (2, b"8"), (3, b"18"), (5, b"/")]);
        stubs.add("yes", 0, &yes);
        stubs.add("no", 100, b"\x64\0\0");
        stubs.add("mine", 100, &packet::v2(100, b"", &[(16, b"0")]));
        stubs.add("not-mine", 100, &packet::v2(100, b"", &[(16, b"1")]));
        stubs.add("seven-away", 100, &packet::v2(100, b"", &[(16, b"7")]));
        for code in [1, 2, 3, 4, 6, 7, 99, 101, 255] {
            stubs.add(&format!("code{code}"), code, &packet::v2(code, b"", &[]));
        }
        stubs
    }

    fn add(&self, name: &str, status: u8, answer: &[u8]) {
        let octal = answer.iter().fold(String::new(), |mut octal, byte| {
            let _ = write!(octal, "\\{byte:03o}");
            octal
        });
        let asked = quoted(&self.0.path("asked"));
        self.0.script(name, &format!("cat >/dev/null\necho {name} >>{asked}\nprintf '{octal}'\nexit {status}"));
    }

    /// Asks a list, in which `S/` stands for the folder, and returns who was asked, too.
    fn ask(&self, make: Make, list: &str) -> (Finished, String) {
        self.0.write("asked", "");
        let list = list.replace("S/", &self.0.path(""));
        let finished = Client::V2.ask(make, &list, &["alice", "ex.com", "secret"], &[]);
        let asked = String::from_utf8_lossy(&self.0.read("asked")).trim_end().replace('\n', " ");
        (finished, asked)
    }
}

/// A list, the code that comes of it, who is asked, and the scope that is told.
const RULE: &[(&str, i32, &str, &str)] = &[
    ("S/yes", 0, "yes", ""),
    ("cvm-command:S/yes", 0, "yes", ""),
    ("S/yes,S/code4", 0, "yes", ""),
    ("S/yes,S/no", 0, "yes", ""),
    ("S/no,S/yes", 0, "no yes", ""),
    ("S/not-mine,S/yes", 0, "not-mine yes", ""),
    ("S/seven-away,S/yes", 0, "seven-away yes", ""),
    ("S/mine,S/yes", 100, "mine", "0"),
    ("S/no,S/mine,S/yes", 100, "no mine", "0"),
    ("S/no,cvm-command:S/not-mine,S/yes,S/no", 0, "no not-mine yes", ""),
    ("S/no,S/no", 100, "no no", ""),
    ("S/not-mine,S/not-mine", 100, "not-mine not-mine", "1"),
    ("S/not-mine,S/seven-away", 100, "not-mine seven-away", "7"),
    ("S/not-mine,S/no", 100, "not-mine no", ""),
    ("S/no,S/not-mine", 100, "no not-mine", "1"),
    ("S/not-mine,S/mine", 100, "not-mine mine", "0"),
    ("S/code4,S/yes", 4, "code4", ""),
    ("S/no,S/code4,S/yes", 4, "no code4", ""),
    ("S/not-mine,S/code7", 7, "not-mine code7", ""),
    ("S/code1,S/yes", 1, "code1", ""),
    ("S/code2,S/yes", 2, "code2", ""),
    ("S/code3,S/yes", 3, "code3", ""),
    ("S/code6,S/yes", 6, "code6", ""),
    ("S/code7,S/yes", 7, "code7", ""),
    ("S/code99,S/yes", 99, "code99", ""),
    ("S/code101,S/yes", 101, "code101", ""),
    ("S/code255,S/yes", 255, "code255", ""),
];

#[test]
fn both_clients_ask_a_list_in_turn_and_stop_where_the_rule_says() {
    let stubs = Stubs::new();
    let mut findings = Findings::new();
    for (list, code, asked, scope) in RULE {
        let mut outcome = Client::V2.outcome(*code, ZED);
        if !scope.is_empty() {
            outcome.stdout = format!("out of scope:     {scope}\n").into();
        }
        for make in Make::ALL {
            let expected = (outcome.clone(), (*asked).to_owned());
            findings.equal(format_args!("{make}: {list}"), stubs.ask(make, list), expected);
        }
    }
    findings.assert_none();
}

#[test]
fn empty_elements_are_named_and_nobody_is_asked() {
    let stubs = Stubs::new();
    for list in ["", ",", ",S/yes", "S/yes,", "S/yes,,S/yes"] {
        let (finished, asked) = stubs.ask(Make::Ours, list);
        finished.assert_complaint(1, &["empty", &list.replace("S/", &stubs.0.path(""))]);
        assert_eq!(asked, "", "{list}");
    }
}

#[test]
fn what_is_no_module_is_named_and_nobody_is_asked() {
    let stubs = Stubs::new();
    let names = [
        "cvm-foo:/x",
        "cvm-:x",
        "cvm-local:",
        "cvm-command:",
        "cvm-udp:",
        "cvm-udp:127.0.0.1",
        "cvm-udp:127.0.0.1:",
        "cvm-udp:127.0.0.1:0",
        "cvm-udp:127.0.0.1:65536",
        "cvm-udp:127.0.0.1:x",
        "cvm-udp::791",
        "cvm-udp:::1:791",
        "cvm-udp:[::1:791",
        "cvm-udp:[::1]",
    ];
    for name in names {
        let (finished, asked) = stubs.ask(Make::Ours, &format!("S/yes,{name}"));
        finished.assert_complaint(1, &[name]);
        assert_eq!(asked, "", "{name}");
    }
}

/// Three tables behind three contact modes; an account is found wherever it is.
#[test]
fn contact_modes_mix_in_a_list() {
    let tables =
        [TABLE, "zed:pw:8:18::/:\n", "mallory:x:1:2::/:\n"].map(|table| Station::start(Make::Ours, table, &[]));
    let modules =
        [Mode::Udp, Mode::Command, Mode::Local].iter().zip(&tables).map(|(mode, station)| station.module(*mode));
    let list = modules.collect::<Vec<_>>().join(",");
    let cases: [(&[&str], i32); 5] = [
        (&["alice", "", "secret"], 0),
        (&["zed", "", "pw"], 0),
        (&["mallory", "", "x"], 0),
        (&["mallory", "", "y"], 100),
        // Whether an account is out of scope pwfile does not know, so everybody may say no.
        (&["alice", "", "pw"], 100),
    ];
    for (arguments, code) in cases {
        for make in Make::ALL {
            let finished = Client::V2.ask(make, &list, arguments, &[]);
            assert_eq!(finished.end, Client::V2.outcome(code, ALICE).end, "{make} {arguments:?}: {finished:?}");
        }
    }
    let found = tables.map(|station| station.server().requests());
    assert!(found[0].iter().all(|line| line != "+ zed") && found[2].contains(&"+ mallory".to_owned()), "{found:?}");
}

#[test]
fn a_module_that_is_not_there_ends_the_list_with_code_4() {
    let stubs = Stubs::new();
    for missing in ["S/missing", "cvm-command:S/missing", "cvm-local:S/missing", "cvm-udp:127.0.0.1:1"] {
        let (finished, asked) = stubs.ask(Make::Ours, &format!("{missing},S/yes"));
        assert_eq!((finished, asked.as_str()), (Client::V2.outcome(4, ""), ""), "{missing}");
    }
}

#[test]
fn programs_without_a_slash_are_searched_in_the_path() {
    let stubs = Stubs::new();
    let folder = stubs.0.path("");
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    for name in ["yes", "cvm-command:yes"] {
        let finished = Client::V2.ask(Make::Ours, name, &["alice", "ex.com"], &[("PATH", &path)]);
        assert_eq!(finished, Client::V2.outcome(0, ZED), "{name}");
    }
}

#[test]
fn version_1_has_no_lists() {
    let stubs = Stubs::new();
    let list = "S/yes,S/yes".replace("S/", &stubs.0.path(""));
    for make in Make::ALL {
        let expected = (Client::V1.outcome(4, ""), Vec::new());
        let ask = || (Client::V1.ask(make, &list, &["alice", "", "x"], &[]), stubs.0.read("asked"));
        assert_eq!(patiently(make, &expected, ask), expected, "{make}");
    }
}
