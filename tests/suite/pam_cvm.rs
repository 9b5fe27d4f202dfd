//! `pam_cvm.so` in front of running modules, called through libpam by a client in C.

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::pam::Stack;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

use crate::unix::User;
use crate::vchkpw::{Host, line};

const SERVED: [Mode; 2] = [Mode::Local, Mode::Udp];

fn pwfile(settings: cvm_tests::Settings<'_>) -> Station {
    Station::start(Make::Ours, TABLE, settings)
}

fn asking(station: &Station, arguments: &str) -> Stack {
    Stack::of_module("required", &format!("cvm={} {arguments}", station.module(Mode::Local)))
}

#[test]
fn a_login_is_judged_over_each_contact_mode() {
    let station = pwfile(&[]);
    let mut findings = Findings::new();
    let long = ["x".repeat(255), "x".repeat(256), "x".repeat(511)];
    for mode in SERVED {
        let stack = Stack::of_module("required", &format!("cvm={}", station.module(mode)));
        for (user, password, status) in [
            ("alice", "secret", 0),
            ("ALICE@ex.com", "secret", 0),
            ("alice@", "secret", 0),
            ("Carol", "pass word", 0),
            ("alice", "wrong", 7),
            ("alice", "secret ", 7),
            ("alice", &long[0], 7),
            // What cannot be sent is a wrong password, and no outage that would turn the module off.
            ("alice", &long[1], 7),
            ("alice", &long[2], 7),
            (&long[1], "secret", 7),
            ("mallory", "secret", 7),
            ("empty", "secret", 7),
            ("@ex.com", "secret", 10),
        ] {
            findings.equal(
                format!("{mode} {user} {password}"),
                stack.status(user, &[password], "authenticate"),
                status,
            );
        }
    }
    findings.assert_none();
}

#[test]
fn modules_of_the_original_are_asked_as_well() {
    let station = Station::start(Make::Original, TABLE, &[]);
    let lookup = Station::start(Make::Original, TABLE, &[("CVM_LOOKUP_SECRET", "")]);
    for mode in SERVED {
        let (login, account) = (format!("cvm={}", station.module(mode)), format!("cvm={}", lookup.module(mode)));
        let stack = Stack::new(&[&format!("auth required CVM {login}"), &format!("account required CVM {account}")]);
        for (user, password, statuses) in
            [("alice", "secret", [0, 0]), ("alice", "wrong", [7, 0]), ("mallory", "secret", [7, 10])]
        {
            let found = [stack.status(user, &[password], "authenticate"), stack.status(user, &[], "acct_mgmt")];
            assert_eq!(found, statuses, "{mode} {user} {password}");
        }
    }
}

#[test]
fn an_empty_password_is_wrong_whatever_the_application_allows() {
    let station = pwfile(&[]);
    // A module in lookup mode would say yes to anybody.
    let open = pwfile(&[("CVM_LOOKUP_SECRET", "")]);
    for station in [&station, &open] {
        let stack = asking(station, "");
        for user in ["alice", "empty", "mallory"] {
            assert_eq!(stack.status(user, &[""], "authenticate"), 7, "{user}");
            assert_eq!(stack.status(user, &[""], "authenticate-null"), 7, "{user}");
        }
        assert!(station.server().requests().is_empty(), "nobody was asked");
    }
}

#[test]
fn every_function_is_right_when_it_is_called_alone() {
    let station = pwfile(&[("CVM_LOOKUP_SECRET", "")]);
    let stack = asking(&station, "");
    for function in ["setcred", "open_session", "close_session", "acct_mgmt"] {
        assert_eq!(stack.call("alice", &[], &[function]), [format!("{function} 0")]);
    }
    assert_eq!(stack.call("mallory", &[], &["acct_mgmt"]), ["acct_mgmt 10"]);
    let told = ["message The password cannot be changed here.", "chauthtok 6"];
    assert_eq!(stack.call("alice", &[], &["chauthtok"]), told);
    assert_eq!(stack.call("alice", &[], &["silent", "chauthtok"]), told[1..]);
    // Nothing but the account was asked about.
    assert_eq!(station.server().requests(), ["+ alice", "- mallory"]);
    // Neither is a module needed where none is asked.
    stack.change(&["auth required CVM", "session required CVM", "password required CVM"]);
    for (function, status) in [("setcred", 0), ("open_session", 0), ("close_session", 0), ("chauthtok", 6)] {
        assert_eq!(stack.status("alice", &[], function), status, "{function}");
    }
}

#[test]
fn a_whole_session_passes() {
    let (station, lookup) = (pwfile(&[]), pwfile(&[("CVM_LOOKUP_SECRET", "")]));
    let stack = Stack::new(&[
        &format!("auth required CVM cvm={} set_env", station.module(Mode::Udp)),
        &format!("account required CVM cvm={}", lookup.module(Mode::Udp)),
        "session required CVM",
    ]);
    let words = ["authenticate", "acct_mgmt", "setcred", "open_session", "env", "close_session"];
    let told = stack.call("alice@ex.com", &["secret"], &words);
    let expected = "prompt Password: |authenticate 0|acct_mgmt 0|setcred 0|open_session 0|env USER=alice|env UID=1001|\
                    env GID=1002|env NAME=Alice Rig|env HOME=/home/alice|env SHELL=/bin/sh|close_session 0";
    assert_eq!(told.join("|"), expected);
    assert_eq!(station.server().requests(), ["+ alice@ex.com"]);
}

#[test]
fn whose_an_account_is_decides_what_a_no_means() {
    let host = Host::new(&[&line("joe")]);
    let (station, lookup) = (host.station(&[]), host.station(&[("CVM_LOOKUP_SECRET", "")]));
    let (login, account) = (asking(&station, ""), asking(&lookup, ""));
    for (user, password, statuses) in [
        ("joe@a.example", "secret", [0, 0]),
        ("joe@a.example", "wrong", [7, 0]),
        ("ann@a.example", "secret", [7, 6]),
        ("joe@elsewhere.example", "secret", [10, 10]),
    ] {
        let found = [login.status(user, &[password], "authenticate"), account.status(user, &[], "acct_mgmt")];
        assert_eq!(found, statuses, "{user} {password}");
    }
    // Ignored is only who is another module's, and a stack of nothing else denies.
    let lenient = [asking(&station, "ignore_unknown_user"), asking(&lookup, "ignore_unknown_user")];
    for (user, statuses) in [("ann@a.example", [7, 6]), ("joe@elsewhere.example", [6, 6])] {
        let found = [lenient[0].status(user, &["x"], "authenticate"), lenient[1].status(user, &[], "acct_mgmt")];
        assert_eq!(found, statuses, "{user}");
    }
    let permit = format!("cvm={} ignore_unknown_user", lookup.module(Mode::Local));
    account.change(&[&format!("account required CVM {permit}"), "account required pam_permit.so"]);
    assert_eq!(account.status("joe@elsewhere.example", &[], "acct_mgmt"), 0);
    assert_eq!(account.status("ann@a.example", &[], "acct_mgmt"), 6);
}

#[test]
fn domains_are_put_in_and_split_off_as_configured() {
    let station = pwfile(&[]);
    for (arguments, user) in [
        ("domain=default.example", "alice"),
        ("domain=default.example", "alice@own.example"),
        ("split=%", "alice%own.example"),
        ("split=", "alice@own.example"),
    ] {
        let _ = asking(&station, arguments).status(user, &["secret"], "authenticate");
    }
    let expected = ["+ alice@default.example", "+ alice@own.example", "+ alice@own.example", "- alice@own.example"];
    assert_eq!(station.server().requests(), expected);
}

#[test]
fn users_below_the_lowest_id_are_not_let_in() {
    let (station, lookup) = (pwfile(&[]), pwfile(&[("CVM_LOOKUP_SECRET", "")]));
    for (minimum, status) in [("1001", 0), ("1002", 10)] {
        let minimum = format!("minimum_uid={minimum}");
        assert_eq!(asking(&station, &minimum).status("alice", &["secret"], "authenticate"), status);
        assert_eq!(asking(&lookup, &minimum).status("alice", &[], "acct_mgmt"), status);
    }
}

#[test]
fn the_secret_of_look_ups_comes_from_a_file_and_is_sent_for_no_login() {
    let lookup = pwfile(&[("CVM_LOOKUP_SECRET", "sesame")]);
    let right = lookup.folder().write("right", "sesame\nand a comment\n");
    let wrong = lookup.folder().write("wrong", "simsim");
    for (argument, status) in
        [(format!("secret_file={right}"), 0), (format!("secret_file={wrong}"), 9), ("secret_file=/none".into(), 9)]
    {
        assert_eq!(asking(&lookup, &argument).status("alice", &[], "acct_mgmt"), status, "{argument}");
    }
    // What is too long is told as what it is, and makes nobody unknown.
    let long = lookup.folder().write("long", "x".repeat(256));
    let stack = asking(&lookup, &format!("secret_file={long}"));
    assert_eq!(stack.status("alice", &[], "acct_mgmt"), 9);
    let told = String::from_utf8(stack.pamtester("alice", "", &[], &["acct_mgmt"]).stderr).expect("text");
    assert!(told.contains(&format!("{long}: expected a line of up to 255 bytes")), "{told}");
    let login = asking(&lookup, &format!("secret_file={right}"));
    assert_eq!(login.status("alice", &["secret"], "authenticate"), 9);
}

#[test]
fn arguments_that_are_wrong_are_a_failure_of_the_service() {
    let station = pwfile(&[("CVM_LOOKUP_SECRET", "")]);
    for arguments in [
        "",
        "cvm=",
        "cvm=cvm-local:x",
        "cvm=cvm-command:/bin/true",
        "cvm=cvm-local:/x nullok",
        "cvm=cvm-local:/x timeout=0",
    ] {
        let stack = Stack::of_module("required", arguments);
        assert_eq!(stack.status("alice", &["secret"], "authenticate"), 3, "{arguments}");
        assert_eq!(stack.status("alice", &[], "acct_mgmt"), 3, "{arguments}");
        assert!(
            stack.pamtester("alice", "secret", &[], &["authenticate"]).stderr.windows(10).any(|w| w == b": expected")
        );
    }
    assert_eq!(asking(&station, "debug").status("alice", &[], "acct_mgmt"), 0);
}

/// Answers for the two modules of a stack, of which the first knows the password `first`.
#[test]
fn a_password_that_was_asked_for_is_used_as_configured() {
    let first = Station::start(Make::Ours, "alice:first:1:1:::\n", &[]);
    let second = pwfile(&[]);
    let stack = asking(&second, "");
    let both = |option: &str| {
        stack.change(&[
            &format!("auth [default=ignore] CVM cvm={}", first.module(Mode::Local)),
            &format!("auth required CVM cvm={} [prompt=Once more, please: ] {option}", second.module(Mode::Local)),
        ]);
    };
    let one = |status: i32| vec!["prompt Password: ".to_owned(), format!("authenticate {status}")];
    let two = |status: i32| [&one(0)[..1], &["prompt Once more, please: ".to_owned()], &one(status)[1..]].concat();
    for (option, answers, told) in [
        ("", ["secret", "unasked"], one(0)),
        ("", ["first", "secret"], one(7)),
        ("use_first_pass", ["secret", "unasked"], one(0)),
        ("use_first_pass", ["first", "secret"], one(7)),
        ("try_first_pass", ["secret", "unasked"], one(0)),
        ("try_first_pass", ["first", "secret"], two(0)),
        ("try_first_pass", ["first", "wrong"], two(7)),
    ] {
        both(option);
        assert_eq!(stack.call("alice", &answers, &["authenticate"]), told, "{option} {answers:?}");
    }
    // Alone, there is nothing to use.
    stack.change(&[&format!("auth required CVM cvm={} use_first_pass", second.module(Mode::Local))]);
    assert_eq!(stack.call("alice", &["secret"], &["authenticate"]), ["authenticate 7"]);
}

#[test]
fn it_shares_a_stack_with_the_accounts_of_the_system() {
    let (user, station) = (User::new(&[]), pwfile(&[]));
    let stack = asking(&station, "");
    let cvm = format!("CVM cvm={}", station.module(Mode::Local));
    let orders = [
        [format!("auth sufficient {cvm}"), "auth required pam_unix.so try_first_pass nodelay".to_owned()],
        ["auth sufficient pam_unix.so nodelay".to_owned(), format!("auth required {cvm} use_first_pass")],
    ];
    for lines in orders {
        stack.change(&lines.each_ref().map(String::as_str));
        for (name, password, is_let_in) in
            [("alice", "secret", true), (&user.name, "secret", true), ("alice", "x", false), (&user.name, "x", false)]
        {
            let told = stack.call(name, &[password], &["authenticate"]);
            assert_eq!(told[0], "prompt Password: ", "{lines:?}: {name} {password}");
            assert_eq!(
                (told.len(), told[1] == "authenticate 0"),
                (2, is_let_in),
                "{lines:?}: {name} {password}: {told:?}"
            );
        }
    }
}

/// The configuration that README.md and the manual page show, for whoever copies it.
#[test]
fn the_example_lets_in_whom_it_should() {
    let (user, login, lookup) = (User::new(&[]), pwfile(&[]), pwfile(&[("CVM_LOOKUP_SECRET", "")]));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let texts = ["README.md", "cvm-bins/man/pam_cvm.8"].map(|name| std::fs::read_to_string(root.join(name)));
    for text in texts {
        let text = text.expect("a text");
        let of_example = |line: &&str| ["auth ", "account ", "session "].iter().any(|group| line.starts_with(group));
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(of_example)
            .take(5)
            .map(|line| {
                line.replace("pam_cvm.so", "CVM")
                    .replace("auth    sufficient pam_unix.so", "auth sufficient pam_unix.so nodelay")
                    .replace("cvm-local:/run/cvm/login", &login.module(Mode::Local))
                    .replace("cvm-local:/run/cvm/lookup", &lookup.module(Mode::Local))
            })
            .collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        let stack = Stack::new(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let words = ["authenticate", "acct_mgmt", "setcred", "open_session", "close_session"];
        for name in ["alice", &user.name] {
            let told = stack.call(name, &["secret"], &words).join("|");
            let all = "prompt Password: |authenticate 0|acct_mgmt 0|setcred 0|open_session 0|close_session 0";
            assert_eq!(told, all, "{name}");
            assert_eq!(stack.status(name, &["wrong"], "authenticate"), 7, "{name}");
        }
        // One of the table with the uid of a user of the system, and one that nobody knows.
        assert_eq!(stack.status("bare", &["pw"], "authenticate"), 10);
        assert_eq!(stack.status("mallory", &[], "acct_mgmt"), 10);
    }
}

#[test]
fn a_user_who_is_not_named_is_asked_for() {
    let stack = asking(&pwfile(&[]), "");
    let station = pwfile(&[]);
    stack.change(&[&format!("auth required CVM cvm={}", station.module(Mode::Local))]);
    let told = ["question login:", "prompt Password: ", "authenticate 0"];
    assert_eq!(stack.call("-", &["alice", "secret"], &["authenticate"]), told);
    // Whoever cannot ask now is called again.
    let told = ["authenticate 31", "question login:", "prompt Password: ", "authenticate 0"];
    assert_eq!(stack.call("-", &["alice", "secret"], &["again", "authenticate", "authenticate"]), told);
}
