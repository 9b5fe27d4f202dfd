//! `cvm-sasltest`: who is let in by which mechanism, what is told, and what hostile clients and broken modules do.

use cvm_core::challenge::Mechanism;
use cvm_tests::Settings;
use cvm_tests::base64::{decode, encode};
use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};
use cvm_tests::talk::Talk;

const ALL: &str = "LOGIN PLAIN CRAM-MD5";
const USERNAME: &str = "+ VXNlcm5hbWU6\r\n";
const PASSWORD: &str = "+ UGFzc3dvcmQ6\r\n";
const EMPTY: &str = "+ \r\n";

/// Numbers and replies of the outcomes.
const FAILED: &str = "1\n  535 Authentication failed.";
const CANCELLED: &str = "1\n  501 Authentication failed.";
const NO_MECHANISM: &str = "2\n  504 Unrecognized authentication mechanism.";
const TEMPORARY: &str = "3\n  454 Internal error.";
const REQUIRED: &str = "5\n  535 Response was required but not given.";
const NOT_ALLOWED: &str = "6\n  535 Initial response not allowed.";
const BAD: &str = "7\n  501 Could not decode the response.";
const END: &str = "8\n  535 End of file reached.";

fn sasltest(argument: &str, settings: Settings<'_>, input: &[u8]) -> Finished {
    run(&mut command(&Make::Ours.program("cvm-sasltest"), &[argument], settings), input)
}

/// All that the program says to a login.
fn accepted(announced: &str, challenges: &str, told: &str) -> Finished {
    Finished::new(0, challenges, &format!("cvm-sasltest: AUTH {announced}\ncvm-sasltest: SASL AUTH {told}\n"))
}

/// All that it says to one that fails.
fn refused(announced: &str, challenges: &str, told: &str, outcome: &str) -> Finished {
    let Finished { stdout, mut stderr, .. } = accepted(announced, challenges, told);
    stderr.extend(format!("cvm-sasltest: Fatal: sasl_auth1 failed: {outcome}\n").bytes());
    Finished { end: End::Exit(1), stdout, stderr }
}

fn plain(user: &str, password: &str) -> String {
    encode(format!("\0{user}\0{password}"))
}

/// Answers a challenge of CRAM-MD5 in its 32 digits.
fn cram_md5(challenge: &str, user: &str, password: &str) -> String {
    let digest = Mechanism::CramMd5.response(challenge.as_bytes(), password.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    encode(format!("{user} {digits}"))
}

/// Logs in by CRAM-MD5, and returns the challenge and what came of it.
fn by_cram_md5(settings: Settings<'_>, user: &str, password: &str) -> (String, Finished) {
    let mut talk = Talk::start(&mut command(&Make::Ours.program("cvm-sasltest"), &["CRAM-MD5"], settings));
    let challenge = decode(&talk.hear_until("+ "));
    talk.say(&cram_md5(&challenge, user, password));
    (challenge, talk.finish())
}

/// One module for all mechanisms.
fn settings(module: &str) -> [(&str, &str); 2] {
    [("CVM_SASL_PLAIN", module), ("CVM_SASL_CRAM_MD5", module)]
}

#[test]
fn each_mechanism_lets_in_and_refuses_in_each_contact_mode() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let mut findings = Findings::new();
    for mode in Mode::ALL {
        let module = station.module(mode);
        let (good, bad) = (plain("alice", "secret"), plain("alice", "wrong"));
        let [alice, secret, wrong] = ["alice", "secret", "wrong"].map(encode);
        let login = format!("LOGIN {alice}");
        let both = [USERNAME, PASSWORD].concat();
        let cases: [(&str, &str, &str, &str); 8] = [
            (&format!("PLAIN {good}"), "", "", "PLAIN username=alice"),
            (&format!("PLAIN {bad}"), "", "", "PLAIN failed username=alice"),
            ("plain", &format!("{good}\r\n"), EMPTY, "plain username=alice"),
            ("PLAIN", &format!("{bad}\n"), EMPTY, "PLAIN failed username=alice"),
            ("LOGIN", &format!("{alice}\r\n{secret}\r\n"), &both, "LOGIN username=alice"),
            ("LOGIN", &format!("{alice}\r\n{wrong}\r\n"), &both, "LOGIN failed username=alice"),
            (&login, &format!("{secret}\r\n"), PASSWORD, "LOGIN username=alice"),
            (&login, &format!("{wrong}\r\n"), PASSWORD, "LOGIN failed username=alice"),
        ];
        for (argument, input, challenges, told) in cases {
            let found = sasltest(argument, &settings(&module), input.as_bytes());
            let failed = told.contains("failed");
            let expected =
                if failed { refused(ALL, challenges, told, FAILED) } else { accepted(ALL, challenges, told) };
            findings.equal(format_args!("{mode}: {argument}"), found, expected);
        }
        for (user, password) in [("alice", "secret"), ("Carol", "pass word")] {
            let (_, found) = by_cram_md5(&settings(&module), user, password);
            findings.equal(mode, found, accepted(ALL, "", &format!("CRAM-MD5 username={user}")));
        }
        for (user, password) in [("alice", "wrong"), ("mallory", "secret"), ("empty", "")] {
            let (_, found) = by_cram_md5(&settings(&module), user, password);
            findings.equal(mode, found, refused(ALL, "", &format!("CRAM-MD5 failed username={user}"), FAILED));
        }
    }
    findings.assert_none();
}

#[test]
fn the_original_module_is_asked_as_well() {
    let station = Station::start(Make::Original, TABLE, &[]);
    for mode in Mode::ALL {
        let module = station.module(mode);
        let ask = |password| sasltest(&format!("PLAIN {}", plain("alice", password)), &settings(&module), b"");
        assert_eq!(ask("secret"), accepted(ALL, "", "PLAIN username=alice"), "{mode}");
        assert_eq!(ask("wrong"), refused(ALL, "", "PLAIN failed username=alice", FAILED), "{mode}");
        // It knows no challenges, so that it cannot tell.
        let (_, found) = by_cram_md5(&settings(&module), "alice", "secret");
        assert_eq!(found, refused(ALL, "", "CRAM-MD5 failed username=alice", TEMPORARY), "{mode}");
    }
}

#[test]
fn what_is_configured_is_announced_and_nothing_else_exists() {
    let module = "cvm-local:/nowhere";
    let [plain, login, cram] = ["CVM_SASL_PLAIN", "CVM_SASL_LOGIN", "CVM_SASL_CRAM_MD5"].map(|name| (name, module));
    let cases: [(Settings<'_>, &str); 6] = [
        (&[], ""),
        (&[("CVM_SASL_PLAIN", "")], ""),
        (&[plain], " LOGIN PLAIN"),
        (&[login], " LOGIN"),
        (&[cram], " CRAM-MD5"),
        (&[plain, login, cram], " LOGIN PLAIN CRAM-MD5"),
    ];
    for (settings, announced) in cases {
        for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "x\r\ny", ""] {
            let stderr = String::from_utf8(sasltest(mechanism, settings, b"").stderr).expect("text");
            assert_eq!(stderr.lines().next(), Some(format!("cvm-sasltest: AUTH{announced}").as_str()));
            let exists = announced.split(' ').any(|name| !name.is_empty() && name == mechanism);
            let told = format!("SASL AUTH {} failed: no such mechanism", mechanism.replace(['\r', '\n'], "?"));
            assert_eq!(stderr.contains(&told) && stderr.contains(NO_MECHANISM), !exists, "{mechanism:?}: {stderr}");
        }
    }
}

#[test]
fn login_asks_modules_of_its_own() {
    let stations = ["alice:one:1:2::/:\n", "alice:two:1:2::/:\n"].map(|table| Station::start(Make::Ours, table, &[]));
    let [plain_module, login_module] = stations.each_ref().map(|station| station.module(Mode::Local));
    let settings = [("CVM_SASL_PLAIN", plain_module.as_str()), ("CVM_SASL_LOGIN", login_module.as_str())];
    for (password, by_plain, by_login) in [("one", 0, 1), ("two", 1, 0)] {
        let argument = format!("PLAIN {}", plain("alice", password));
        assert_eq!(sasltest(&argument, &settings, b"").end, End::Exit(by_plain), "{password}");
        let argument = format!("LOGIN {}", encode("alice"));
        let line = format!("{}\n", encode(password));
        assert_eq!(sasltest(&argument, &settings, line.as_bytes()).end, End::Exit(by_login), "{password}");
    }
}

#[test]
fn modules_that_are_none_are_named_and_nobody_is_asked() {
    for name in ["CVM_SASL_PLAIN", "CVM_SASL_LOGIN", "CVM_SASL_CRAM_MD5"] {
        for wrong in [",", "cvm-foo:x", "cvm-unix,,cvm-unix"] {
            sasltest("PLAIN", &[(name, wrong)], b"").assert_complaint(1, &["cvm-sasltest: ", name, wrong, "expected"]);
        }
    }
}

#[test]
fn the_domain_is_that_of_the_account_or_of_the_ucspi_server() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let cases: [(Settings<'_>, &str, &str); 5] = [
        (&[], "alice", "- alice"),
        (&[("PROTO", "TCP"), ("TCPLOCALHOST", "here.example")], "alice", "- alice@here.example"),
        (&[("PROTO", "TCP"), ("TCPLOCALHOST", "here.example")], "alice@x@there", "- alice@x@there"),
        (&[("PROTO", "TCP"), ("TCPLOCALHOST", "here.example")], "alice@", "- alice"),
        (&[("CVM_ACCOUNT_SPLIT_CHARS", "%")], "alice@x%there", "- alice@x@there"),
    ];
    for (more, user, logged) in cases {
        let settings = [&settings(&module), more].concat();
        let (challenge, found) = by_cram_md5(&settings, user, "wrong");
        assert_eq!(station.server().requests().pop().as_deref(), Some(logged), "{user}");
        let names = logged[2..].rsplit_once('@');
        let names = names.map_or_else(|| logged[2..].to_owned(), |(name, domain)| format!("{name} domain={domain}"));
        let told = format!("CRAM-MD5 failed username={names}");
        assert_eq!(found, refused(ALL, "", &told, FAILED), "{user}");
        let host = if more.len() == 2 { "here.example" } else { "unknown" };
        assert!(challenge.ends_with(&format!("@{host}>")), "{challenge}");
    }
}

#[test]
fn facts_of_a_virtual_user_are_told() {
    let folder = Folder::new();
    let facts = "\\001\\001a\\002\\0017\\003\\0018\\005\\001/\\011\\003sys\\016\\003d\\012e\\0";
    let module = folder.script("virtual", &format!("cat >/dev/null; printf '\\0\\0{facts}'"));
    let found = sasltest(&format!("PLAIN {}", plain("A", "pw")), &[("CVM_SASL_PLAIN", &module)], b"");
    assert_eq!(found, accepted("LOGIN PLAIN", "", "PLAIN username=a sys_username=sys domain=d?e"));
}

/// RFC 2195 wants it to be different each time; with the process, the time and the host it looks like a message ID.
#[test]
fn a_challenge_never_comes_twice() {
    let settings = [("CVM_SASL_CRAM_MD5", "cvm-local:/nowhere"), ("PROTO", "TCP"), ("TCPLOCALHOST", "here.example")];
    let challenge = || {
        let text = sasltest("CRAM-MD5", &settings, b"").output();
        decode(text.strip_prefix("+ ").and_then(|text| text.strip_suffix("\r\n")).expect("a challenge"))
    };
    let challenges: Vec<_> = (0..20).map(|_| challenge()).collect();
    for (at, challenge) in challenges.iter().enumerate() {
        assert!(!challenges[..at].contains(challenge), "{challenge}");
        let inner = challenge.strip_prefix('<').and_then(|rest| rest.strip_suffix("@here.example>"));
        let parts: Vec<_> = inner.unwrap_or_else(|| panic!("{challenge}")).split('.').collect();
        assert!(parts.len() == 3 && parts.iter().all(|part| part.parse::<u128>().is_ok()), "{challenge}");
    }
}

/// The arguments, the input, and what must come of it without anybody being asked.
fn hostile() -> Vec<(String, Vec<u8>, Finished)> {
    let [alice, secret] = ["alice", "secret"].map(encode);
    let after_name = format!("LOGIN {alice}");
    let mut cases = Vec::new();
    let mut add = |argument: &str, input: &[u8], challenges: &str, told: &str, outcome: &str| {
        cases.push((argument.to_owned(), input.to_vec(), refused(ALL, challenges, told, outcome)));
    };
    let mechanisms = [("PLAIN", EMPTY), ("LOGIN", USERNAME)];
    for (name, challenge) in mechanisms {
        add(name, b"", challenge, &format!("{name} failed, no username"), END);
        add(name, b"unfinished", challenge, &format!("{name} failed, no username"), END);
        add(name, b"*\r\n", challenge, &format!("{name} failed: aborted"), CANCELLED);
        add(name, b"\r\n", challenge, &format!("{name} failed, no username"), REQUIRED);
        add(&format!("{name} ="), b"", "", &format!("{name} failed, no username"), REQUIRED);
        let megabyte = [vec![b'A'; 1 << 20], b"\r\n".to_vec()].concat();
        for line in [
            b"=\n".as_slice(),
            b"* \n",
            b"\0\n",
            b"\xff\xfe\r\n",
            b"YWxpY2V=\n",
            b"YWxpY2U\n",
            b"YQ==YQ==\n",
            &megabyte,
        ] {
            add(name, line, challenge, &format!("{name} failed: bad response"), BAD);
        }
    }
    add(&after_name, b"", PASSWORD, "LOGIN failed username=alice", END);
    add(&after_name, b"\n", PASSWORD, "LOGIN failed username=alice", REQUIRED);
    add(&after_name, b"*\n", PASSWORD, "LOGIN failed: aborted", CANCELLED);
    add(&after_name, b"*secret\n", PASSWORD, "LOGIN failed: bad response", BAD);
    add(&format!("LOGIN {}", encode("alice\0x")), b"", "", "LOGIN failed: bad response", BAD);
    for message in ["", "alice", "\0alice", "\0alice\0secret\0", "\0alice\0secret\0more"] {
        let initial = if message.is_empty() { "====".to_owned() } else { encode(message) };
        add(&format!("PLAIN {initial}"), b"", "", "PLAIN failed: bad response", BAD);
    }
    add(&format!("PLAIN {}", plain("", "secret")), b"", "", "PLAIN failed, no username", FAILED);
    add(&format!("PLAIN {}", plain("alice", "")), b"", "", "PLAIN failed username=alice", FAILED);
    add(&format!("PLAIN {alice} {secret}"), b"", "", "PLAIN failed: bad response", BAD);
    add(&format!("CRAM-MD5 {alice}"), b"", "", "CRAM-MD5 failed, no username", NOT_ALLOWED);
    add("CRAM-MD5 =", b"", "", "CRAM-MD5 failed, no username", NOT_ALLOWED);
    cases
}

#[test]
fn hostile_lines_fail_without_anybody_being_asked() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let mut findings = Findings::new();
    for (argument, input, expected) in hostile() {
        let found = sasltest(&argument, &settings(&module), &input);
        let input = &input[..input.len().min(40)];
        findings.equal(format_args!("{argument:?} {}", input.escape_ascii()), found, expected);
    }
    let digits = "0".repeat(32);
    let responses = ["alice".to_owned(), format!("alice {}", &digits[1..]), format!("alice {}g", &digits[1..]), digits];
    for line in responses.iter().map(encode).chain(["AAAA".into(), "!".into()]) {
        let found = sasltest("CRAM-MD5", &settings(&module), format!("{line}\n").as_bytes());
        let told = String::from_utf8_lossy(&found.stderr).into_owned();
        let is_bad = told.contains("SASL AUTH CRAM-MD5 failed: bad response\n") && told.contains(BAD);
        findings.equal(line, (found.end, is_bad), (End::Exit(1), true));
    }
    findings.equal("nobody was asked", station.server().requests(), Vec::new());
    findings.assert_none();
}

#[test]
fn a_name_or_password_that_nobody_can_be_asked_about_is_temporary() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    for (user, password) in
        [("a".repeat(256), "p".to_owned()), ("a".to_owned(), "p".repeat(256)), ("a".repeat(251), "p".repeat(255))]
    {
        let found = sasltest(&format!("PLAIN {}", plain(&user, &password)), &settings(&module), b"");
        assert_eq!(found, refused(ALL, "", &format!("PLAIN failed username={user}"), TEMPORARY));
    }
    let found = sasltest(&format!("PLAIN {}", plain(&"a".repeat(250), &"p".repeat(255))), &settings(&module), b"");
    assert_eq!(found, refused(ALL, "", &format!("PLAIN failed username={}", "a".repeat(250)), FAILED));
}

#[test]
fn modules_in_trouble_are_temporary_and_let_nobody_in() {
    let folder = Folder::new();
    let script = |name: &str, lines: &str| folder.script(name, &format!("cat >/dev/null; {lines}"));
    let modules = [
        script("garbage", "printf 'hello'"),
        script("endless", "exec cat /dev/zero"),
        script("silent", ":"),
        script("slow", "sleep 30"),
        script("killed", "printf '\\0\\0\\001\\001a\\002\\0010\\003\\0010\\005\\001/\\0'; kill -9 $$"),
        script("half", "printf '\\0\\0\\001\\001a\\002'"),
        // A yes without the facts that make somebody of it.
        script("nobody", "printf '\\0\\0\\001\\005alice\\0'"),
        script("code-7", "printf '\\007\\0\\0'; exit 7"),
        script("code-101", "printf '\\145\\0\\0'; exit 101"),
        folder.path("missing"),
        format!("cvm-local:{}", folder.path("dead")),
        "cvm-udp:127.0.0.1:1".to_owned(),
    ];
    for module in modules {
        let settings = [&settings(&module)[..], &[("CVM_CLIENT_TIMEOUT", "500")]].concat();
        let found = sasltest(&format!("PLAIN {}", plain("alice", "secret")), &settings, b"");
        assert_eq!(said_why(&module, found), refused(ALL, "", "PLAIN failed username=alice", TEMPORARY), "{module}");
        let (_, found) = by_cram_md5(&settings, "alice", "secret");
        assert_eq!(said_why(&module, found), refused(ALL, "", "CRAM-MD5 failed username=alice", TEMPORARY), "{module}");
    }
}

/// Takes the line away that must name a module which gave no answer that can be used.
fn said_why(module: &str, found: Finished) -> Finished {
    let answers = module.contains("/code-");
    let text = String::from_utf8_lossy(&found.stderr);
    let (why, rest): (Vec<_>, Vec<_>) = text.split_inclusive('\n').partition(|line| line.contains(module));
    assert_eq!(why.len(), usize::from(!answers), "{module}: {found:?}");
    let stderr = rest.concat().into();
    Finished { stderr, ..found }
}

/// Whoever also looks up recipients has its secret in the environment, where a module in lookup mode would let
/// everybody in.
#[test]
fn the_secret_of_lookup_mode_lets_nobody_in() {
    let folder = Folder::new();
    let table = folder.write("passwd", TABLE);
    let command = Make::Ours.program("cvm-pwfile");
    let looks_up = Station::start(Make::Ours, TABLE, &[("CVM_LOOKUP_SECRET", "sesame")]);
    for secret in ["sesame", ""] {
        let lookup = [("CVM_LOOKUP_SECRET", secret), ("CVM_PWFILE_PATH", table.as_str())];
        let ask = |module: &str, password: &str| {
            let settings = [&settings(module), &lookup[..]].concat();
            sasltest(&format!("PLAIN {}", plain("alice", password)), &settings, b"")
        };
        assert_eq!(ask(&command, "secret"), accepted(ALL, "", "PLAIN username=alice"));
        assert_eq!(ask(&command, "wrong"), refused(ALL, "", "PLAIN failed username=alice", FAILED));
        for mode in Mode::ALL {
            let found = ask(&looks_up.module(mode), "wrong");
            assert_eq!(found, refused(ALL, "", "PLAIN failed username=alice", TEMPORARY), "{mode}");
        }
    }
}

#[test]
fn a_client_that_does_not_listen_is_not_let_in() {
    let program = Make::Ours.program("cvm-sasltest");
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let script = ["-c", "exec \"$0\" LOGIN >/dev/full", &program];
    let finished = run(&mut command("/bin/sh", &script, &settings(&module)), b"YWxpY2U=\nc2VjcmV0\n");
    assert_eq!(finished.end, End::Exit(1), "{finished:?}");
    assert!(
        finished.stderr.ends_with(b"cvm-sasltest: cannot send a challenge: No space left on device (os error 28)\n")
    );
}
