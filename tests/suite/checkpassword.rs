//! `cvm-checkpassword` and `cvm-v1checkpassword`: who is let in, as whom, and with which exit status.

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;
use cvm_tests::server::free_port;
use cvm_tests::station::Station;
use rustix::process::{getegid, geteuid};

/// Tells everything that the program it runs can see of the change.
const TELL: [&str; 3] = ["sh", "-c", "id -u; id -g; pwd; env | grep -v '^_=' | sort"];

const CODES: (&str, &str) = ("CVM_CHECKPASSWORD_EXIT_CODES", "cvm");
const CLIENT_TIMEOUT: (&str, &str) = ("CVM_CLIENT_TIMEOUT", "500");

/// A table whose accounts are whoever runs the tests, so that anybody can become them.
fn table(home: &str) -> String {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    format!("alice:pa ss:{uid}:{gid}:Al Ice,Room 1:{home}:/bin/sh\nlost:pw:{uid}:{gid}::/no/such/folder:\n")
}

/// Runs a program with a record on descriptor 3.
pub(crate) fn check(program: &str, record: &[u8], arguments: &[&str], settings: Settings<'_>) -> Finished {
    let folder = Folder::new();
    let path = folder.write("record", record);
    let script = ["-c", "record=$1; shift; exec \"$@\" 3<\"$record\"", "sh", &path, program];
    run(&mut command("/bin/sh", &[&script, arguments].concat(), settings), b"")
}

fn ours(record: &[u8], module: &str, run: &[&str], settings: Settings<'_>) -> Finished {
    check(&Make::Ours.program("cvm-checkpassword"), record, &[&[module], run].concat(), settings)
}

/// Whoever is not let in never runs the program.
fn assert_refused(finished: &Finished, status: i32) {
    assert_eq!((&finished.end, finished.output().as_str()), (&End::Exit(status), ""), "{finished:?}");
}

#[test]
fn whoever_is_let_in_or_not_sees_the_same_as_with_the_original() {
    let folder = Folder::new();
    let station = Station::start(Make::Ours, &table(&folder.path("")), &[]);
    let records: [&[u8]; 9] = [
        b"alice\0pa ss\0",
        b"alice\0pa ss\0timestamp\0more\0",
        b"ALICE@example.net\0pa ss\0\0",
        b"alice\0wrong\0t\0",
        b"alice\0\0",
        b"mallory\0pa ss\0",
        b"alice\0pa ss",
        b"alice",
        b"",
    ];
    let settings: [Settings<'_>; 2] = [
        &[CODES, ("PROTO", "TCP"), ("TCPLOCALHOST", "local.example"), ("SHELL", "/before")],
        &[CODES, ("CVM_ACCOUNT_SPLIT_CHARS", "%")],
    ];
    for name in ["cvm-checkpassword", "cvm-v1checkpassword"] {
        for (mode, settings) in Mode::ALL.into_iter().zip(settings.iter().cycle()) {
            let module = station.module(mode);
            let arguments = [&[module.as_str()], &TELL[..]].concat();
            for record in records {
                let [here, there] = Make::ALL.map(|make| check(&make.program(name), record, &arguments, settings));
                assert_eq!((here.end, here.output()), (there.end, there.output()), "{name} {mode} {record:?}");
            }
        }
    }
}

#[test]
fn statuses_are_those_that_callers_of_checkpassword_know() {
    let folder = Folder::new();
    let station = Station::start(Make::Ours, &table(&folder.path("")), &[]);
    let module = station.module(Mode::Local);
    let statuses: [(&[u8], i32); 6] = [
        (b"alice\0pa ss\0", 0),
        (b"alice\0wrong\0", 1),
        (b"mallory\0pa ss\0", 1),
        (b"alice\0\0", 1),
        (b"alice\0pa ss", 2),
        (&[0; 513], 2),
    ];
    for (record, status) in statuses {
        assert_eq!(ours(record, &module, &["true"], &[]).end, End::Exit(status), "{record:?}");
    }
    let record = b"alice\0pa ss\0";
    ours(record, &module, &["/no/such/program"], &[]).assert_complaint(111, &["/no/such/program"]);
    ours(record, &module, &[], &[]).assert_complaint(111, &["usage:"]);
    ours(record, "cvm-nothing:x", &["true"], &[]).assert_complaint(111, &["cvm-nothing"]);
    ours(b"lost\0pw\0", &module, &TELL, &[]).assert_complaint(111, &["/no/such/folder"]);
    let program = Make::Ours.program("cvm-checkpassword");
    let mut closed = command("/bin/sh", &["-c", "exec \"$0\" \"$@\" 3<&-", &program, &module, "true"], &[]);
    run(&mut closed, b"").assert_complaint(111, &["descriptor 3"]);
}

/// The digests are those of RFC 1939, section 7, and of a password that is 32 digits itself.
#[test]
fn apop_comes_as_a_digest_over_the_timestamp() {
    let folder = Folder::new();
    let digits = "c4c9334bac560ecc979e58001b3e22fb";
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let table =
        format!("mrose:tanstaaf:{uid}:{gid}::{home}:\nhex:{digits}:{uid}:{gid}::{home}:\n", home = folder.path(""));
    let station = Station::start(Make::Ours, &table, &[]);
    let stamp = "<1896.697170952@dbc.mtview.ca.us>";
    let status = |program: &str, login: &str, digest: &str, stamp: &str| {
        let record = format!("{login}\0{digest}\0{stamp}\0");
        check(&Make::Ours.program(program), record.as_bytes(), &[&station.module(Mode::Local), "true"], &[]).end
    };
    for program in ["cvm-checkpassword", "cvm-v1checkpassword"] {
        assert_eq!(status(program, "mrose", digits, stamp), End::Exit(0), "{program}");
        assert_eq!(status(program, "mrose", &digits.to_uppercase(), stamp), End::Exit(0), "{program}");
        assert_eq!(status(program, "mrose", digits, "<other@stamp>"), End::Exit(1), "{program}");
        assert_eq!(status(program, "mrose", digits, ""), End::Exit(1), "{program}");
        assert_eq!(status(program, "hex", digits, stamp), End::Exit(0), "{program}");
    }
}

#[test]
fn a_module_that_hashes_passwords_refuses_apop_as_wrong() {
    let folder = Folder::new();
    let table = format!("alice:$5$rounds=1000$saltsalt${}:1:1::{}:\n", "a".repeat(43), folder.path(""));
    let station = Station::start(Make::Ours, &table, &[("CVM_PWFILE_PWCMP", "crypt")]);
    let record = format!("alice\0{}\0<t>\0", "0".repeat(32));
    assert_refused(&ours(record.as_bytes(), &station.module(Mode::Local), &TELL, &[]), 1);
}

/// Whatever cannot be judged as APOP was a wrong password.
#[test]
fn a_module_that_cannot_be_asked_about_apop_refuses_the_password() {
    let station = Station::start(Make::Original, &table("/"), &[]);
    let digits = "0".repeat(32);
    for program in ["cvm-checkpassword", "cvm-v1checkpassword"] {
        for stamp in ["<t@h>", &"x".repeat(300)] {
            let record = format!("alice\0{digits}\0{stamp}\0");
            let finished =
                check(&Make::Ours.program(program), record.as_bytes(), &[&station.module(Mode::Local), "true"], &[]);
            assert_refused(&finished, 1);
        }
    }
}

#[test]
fn no_secret_of_lookup_mode_lets_anybody_in() {
    let station = Station::start(Make::Ours, &table("/"), &[("CVM_LOOKUP_SECRET", "sesame")]);
    let path = station.folder().path("passwd");
    // The last one is in lookup mode only if it sees the secret of its caller.
    let modules = [station.module(Mode::Local), station.module(Mode::Udp), Make::Ours.program("cvm-pwfile")];
    for (secret, password) in [("sesame", "wrong"), ("sesame", "sesame"), ("", "wrong")] {
        let settings = [("CVM_LOOKUP_SECRET", secret), ("CVM_PWFILE_PATH", &path)];
        let refuses = |program: &str, module: &str| {
            let record = format!("alice\0{password}\0");
            assert_refused(&check(&Make::Ours.program(program), record.as_bytes(), &[module, "true"], &settings), 1);
        };
        modules.iter().for_each(|module| refuses("cvm-checkpassword", module));
        refuses("cvm-v1checkpassword", &modules[2]);
    }
}

#[test]
fn modules_in_trouble_let_nobody_in() {
    let folder = Folder::new();
    let garbage = folder.script("garbage", "cat >/dev/null; printf 'hello'");
    let silent = folder.script("silent", "cat >/dev/null");
    let slow = folder.script("slow", "cat >/dev/null; sleep 30");
    let killed = folder.script("killed", "cat >/dev/null; printf '\\0\\0\\001\\001a'; kill -9 $$");
    let half = folder.script("half", "cat >/dev/null; printf '\\0\\0\\001\\001a\\002'");
    // A yes without the facts that make somebody of it.
    let nobody = folder.script("nobody", "cat >/dev/null; printf '\\0\\0\\001\\005alice\\0'");
    let huge_id = "cat >/dev/null; printf '\\0\\0\\001\\001a\\002\\0124294967296\\003\\0010\\005\\001/\\0'";
    let huge_id = folder.script("huge-id", huge_id);
    let nul = "cat >/dev/null; printf '\\0\\0\\001\\002a\\0\\002\\0010\\003\\0010\\005\\001/\\0'";
    let nul = folder.script("nul", nul);
    let dead = format!("cvm-local:{}", folder.path("dead"));
    ours(b"alice\0pw\0", &dead, &TELL, &[]).assert_complaint(111, &[&dead, "No such file"]);
    ours(b"alice\0pw\0", &silent, &TELL, &[]).assert_complaint(111, &[&silent, "no answer"]);
    let port = format!("cvm-udp:127.0.0.1:{}", free_port());
    ours(b"alice\0pw\0", &port, &TELL, &[]).assert_complaint(111, &[&port, "no answer"]);
    for module in [garbage, silent, slow, killed, half, nobody, huge_id, nul, dead] {
        assert_refused(&ours(b"alice\0pw\0", &module, &TELL, &[CLIENT_TIMEOUT]), 111);
    }
}

#[test]
fn nothing_of_another_s_account_nor_a_secret_is_handed_on() {
    let folder = Folder::new();
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let id = |id: u32| format!("\\00{}{id}", id.to_string().len());
    let facts = format!("\\001\\001a\\002{}\\003{}\\005\\001/\\007\\002us\\0", id(uid), id(gid));
    let module = folder.script("module", &format!("cat >/dev/null; printf '\\0\\0{facts}'"));
    let stale = ["DOMAIN", "GIDS", "GROUP", "MAIL", "MAILBOX", "MAILDIR", "NAME", "SHELL", "USER", "CVM_LOOKUP_SECRET"];
    let settings: Vec<_> = stale.map(|name| (name, "stale")).into_iter().chain([("FOO", "kept")]).collect();
    let told = ours(
        b"a\0pw\0",
        &module,
        &["sh", "-c", "env | grep -v -e ^PATH= -e ^PWD= -e ^_= -e ^LC_ -e ^CVM_RUNTIME= | sort"],
        &settings,
    );
    assert_eq!(told.output(), format!("FOO=kept\nGID={gid}\nGROUP=us\nHOME=/\nUID={uid}\nUSER=a\n"));
}

/// Whoever is not root but has the capabilities to become somebody else keeps neither them nor his groups.
#[test]
fn nothing_is_left_of_a_caller_who_has_capabilities() {
    if !geteuid().is_root() {
        return;
    }
    let folder = Folder::new();
    let facts = "\\001\\001a\\002\\00512345\\003\\00523456\\005\\001/\\0";
    let module = folder.script("module", &format!("cat >/dev/null; printf '\\0\\0{facts}'"));
    folder.write("record", b"a\0pw\0");
    let program = Make::Ours.program("cvm-checkpassword");
    let told = |capabilities: &str| {
        let script = format!(
            "chmod -R a+rX {folder}; umask 22; exec setpriv --reuid=1234 --regid=2345 --groups=2345,6 \
             --inh-caps=-all,{capabilities} --ambient-caps=-all,{capabilities} --bounding-set=+all \
             {program} {module} sh -c 'id -u; id -g; id -G; grep ^Cap[^B] /proc/self/status' 3<{record}",
            folder = quoted(&folder.path("")),
            program = quoted(&program),
            module = quoted(&module),
            record = quoted(&folder.path("record")),
        );
        run(&mut command("/bin/sh", &["-c", &script], &[]), b"")
    };
    let nothing = ["Inh", "Prm", "Eff", "Amb"].map(|set| format!("Cap{set}:\t0000000000000000\n")).concat();
    assert_eq!(told("+setuid,+setgid,+net_admin").output(), format!("12345\n23456\n23456\n{nothing}"));
    assert_refused(&told("+setuid"), 111);
}

/// Only root can become somebody else.
#[test]
fn the_program_runs_with_the_ids_groups_and_directory_of_the_account() {
    let folder = Folder::new();
    let module = |name: &str, groups: &str| {
        let facts = "\\001\\001a\\002\\00512345\\003\\00523456\\005\\001/\\0";
        folder.script(name, &format!("cat >/dev/null; printf '\\0\\0{groups}{facts}'"))
    };
    let several = module("several", "\\010\\00523456\\010\\00534567");
    let none = module("none", "");
    let tell = ["sh", "-c", "id -u; id -g; id -G; pwd; echo \"$GIDS\""];
    let told = |module: &str| ours(b"a\0pw\0", module, &tell, &[]);
    if geteuid().is_root() {
        assert_eq!(told(&several).output(), "12345\n23456\n23456 34567\n/\n23456,34567\n");
        assert_eq!(told(&none).output(), "12345\n23456\n23456\n/\n\n");
    } else {
        assert_refused(&told(&several), 111);
        assert_refused(&told(&none), 111);
    }
}
