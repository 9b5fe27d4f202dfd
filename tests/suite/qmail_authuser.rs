//! `cvm-qmail-authuser`: who is let in by `users/authuser`, and with which exit status; as djb's interface has it.

use std::fmt::Write;
use std::fs;

use cvm_tests::Settings;
use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::Make;
use rustix::process::{getegid, geteuid};

use crate::checkpassword::check;
use crate::unix::User;

/// A folder with `users/authuser`.
pub(crate) fn root(file: &str) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path("users")).expect("a folder");
    folder.write("users/authuser", file);
    folder
}

pub(crate) fn ours(root: &Folder, record: &[u8], arguments: &[&str], settings: Settings<'_>) -> Finished {
    let path = root.path("");
    let settings = [&[("QMAIL_ROOT", path.as_str())], settings].concat();
    check(&Make::Ours.program("cvm-qmail-authuser"), record, arguments, &settings)
}

/// The end of a program for a file, whose last line is ended: without that it might still be in the writing, and be
/// waited for.
fn status(file: &str, record: &str) -> End {
    ours(&root(&format!("{file}\n")), record.as_bytes(), &["true"], &[]).end
}

/// The digests of `secret`, and responses of RFC 2195, section 3, and RFC 1939, section 7.
const MD5: &str = "%5ebe2294ecd0e0f08eab7690d2a6ee69";
const SHA1: &str = "%e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
const SHA256: &str = "%2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const CRAM: &str = "b913a602c7eda7a495b4e6e7334d3890\0<1896.697170952@postoffice.reston.mci.net>";
const APOP: &str = "c4c9334bac560ecc979e58001b3e22fb\0<1896.697170952@dbc.mtview.ca.us>";

#[track_caller]
fn assert_statuses(cases: &[(&str, &str, i32)]) {
    let mut findings = Findings::new();
    for (file, record, expected) in cases {
        findings.equal(format!("{record:?} by {file:?}"), status(file, record), End::Exit(*expected));
    }
    findings.assert_none();
}

#[test]
fn a_password_in_plain_text_is_compared_byte_by_byte() {
    assert_statuses(&[
        ("joe:secret", "joe\0secret\0", 0),
        ("joe:secret \t\n", "JOE\0secret\0\0", 0),
        ("joe: se:cr et", "joe\0 se:cr et\0<t>\0", 0),
        ("joe:=secret", "joe\0=secret\0", 0),
        ("joe:secret", "joe\0Secret\0", 1),
        ("joe:secret", "joe\0secret \0", 1),
        ("joe:secret", "joe\0\0", 1),
        ("joe:", "joe\0\0", 1),
        ("joe:", "joe\0\0<t>\0", 1),
        (":secret", "\0secret\0", 1),
        ("*:secret", "\0secret\0", 1),
    ]);
}

#[test]
fn digests_have_three_lengths_and_are_no_passwords() {
    let mut cases = Vec::new();
    for token in [MD5, SHA1, SHA256] {
        let file = format!("joe:{token}\nann:{}", token.to_uppercase());
        cases.extend([
            (file.clone(), "joe\0secret\0".to_owned(), 0),
            (file.clone(), "ann\0secret\0".to_owned(), 0),
            (file.clone(), "joe\0Secret\0".to_owned(), 1),
            (file.clone(), format!("joe\0{token}\0"), 1),
            (file.clone(), format!("joe\0{}\0", &token[1..]), 1),
            (file, "joe\0\0".to_owned(), 1),
        ]);
    }
    // The digest of nothing is nobody's either.
    cases.push(("joe:%d41d8cd98f00b204e9800998ecf8427e".to_owned(), "joe\0\0".to_owned(), 1));
    for literal in [&MD5[..32], &format!("{MD5}0"), &MD5.replace('5', "g"), "%secret", "%%"] {
        cases.push((format!("joe:{literal}"), format!("joe\0{literal}\0"), 0));
        cases.push((format!("joe:{literal}"), "joe\0secret\0".to_owned(), 1));
    }
    let cases: Vec<_> = cases.iter().map(|(file, record, status)| (file.as_str(), record.as_str(), *status)).collect();
    assert_statuses(&cases);
}

#[test]
fn responses_are_those_of_either_mechanism_to_a_challenge_that_is_not_empty() {
    let (digits, _) = CRAM.split_once('\0').expect("a challenge");
    let file = "tim:tanstaaftanstaaf\nmrose:tanstaaf\n";
    // HMAC-MD5 and MD5 of the empty string with the key `tanstaaf`.
    let hmac = cvm_core::challenge::Mechanism::CramMd5.response(b"", b"tanstaaf");
    let hmac = hmac.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    });
    let md5 =
        cvm_core::challenge::Mechanism::Apop.response(b"", b"tanstaaf").map(|byte| format!("{byte:02x}")).concat();
    assert_statuses(&[
        (file, &format!("tim\0{CRAM}\0"), 0),
        (file, &format!("tim\0{CRAM}"), 0),
        (file, &format!("tim\0{}\0", CRAM.replacen(digits, &digits.to_uppercase(), 1)), 0),
        (file, &format!("mrose\0{APOP}\0"), 0),
        (file, &format!("mrose\0{APOP}x\0"), 1),
        (file, &format!("tim\0{APOP}\0"), 1),
        (file, &format!("mrose\0{CRAM}\0"), 1),
        (file, &format!("tim\0{digits}\0"), 1),
        (file, &format!("tim\0{digits}\0\0"), 1),
        (file, &format!("mrose\0{hmac}\0\0"), 1),
        (file, &format!("mrose\0{md5}\0\0"), 1),
        (file, "mrose\0tanstaaf\0<t>\0", 0),
        (&format!("tim:{MD5}"), &format!("tim\0{CRAM}\0"), 1),
    ]);
}

#[test]
fn a_stored_digest_is_no_key_of_a_response() {
    let challenge = b"<1@x>";
    for key in [MD5, &MD5[1..]] {
        let response = cvm_core::challenge::Mechanism::CramMd5.response(challenge, key.as_bytes());
        let digits = response.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(status(&format!("joe:{MD5}"), &format!("joe\0{digits}\0<1@x>\0")), End::Exit(1));
        assert_eq!(status(&format!("joe:x{key}"), &format!("joe\0x{key}\0<1@x>\0")), End::Exit(0));
    }
}

#[test]
fn the_more_special_key_counts_and_the_last_of_equal_ones() {
    let file = "*:all\n@:at\n@x.org:domain\njoe@x.org:own\njoe:local\n";
    assert_statuses(&[
        (file, "Joe@X.ORG\0own\0", 0),
        (file, "joe@x.org\0domain\0", 1),
        (file, "q@X.ORG\0domain\0", 0),
        (file, "q@y.org\0at\0", 0),
        (file, "q\0at\0", 0),
        (file, "joe\0local\0", 0),
        (file, "q\0all\0", 1),
        ("*:all\n", "q@x.org\0all\0", 0),
        ("joe:one\njoe:two\n", "joe\0two\0", 0),
        ("joe:one\nJOE:two\n", "joe\0one\0", 1),
        ("joe:pw\n#joe:no\n", "joe\0pw\0", 0),
        ("#joe:no\n", "#joe\0no\0", 1),
        (" joe:pw\n", "joe\0pw\0", 1),
        ("joe:pw", "other\0pw\0", 1),
        ("", "joe\0pw\0", 1),
    ]);
}

#[test]
fn whoever_is_disabled_is_not_let_in() {
    assert_statuses(&[
        ("*:abc\n!q:\n", "q\0abc\0", 1),
        ("*:abc\n!q:\n", "Q\0abc\0", 1),
        ("*:abc\n!q:\n", "q@x.org\0abc\0", 0),
        ("q@x.org:abc\n!@x.org:\n", "q@X.org\0abc\0", 1),
        ("q@x.org:abc\n!@x.org:\n", "q\0abc\0", 1),
        ("!q@x.org:\n@x.org:abc\n", "q@x.org\0abc\0", 1),
        ("!q@x.org:\n@x.org:abc\n", "r@x.org\0abc\0", 0),
        ("!q:abc\n", "!q\0abc\0", 1),
        // A line without a colon is none.
        ("*:abc\n!q\n", "q\0abc\0", 0),
    ]);
}

#[test]
fn misuse_is_2_and_trouble_is_111() {
    let folder = root("joe:secret\nbad:x\n");
    let record = b"joe\0secret\0";
    ours(&folder, record, &[], &[]).assert_complaint(2, &["usage:"]);
    ours(&folder, record, &["-s"], &[]).assert_complaint(2, &["usage:"]);
    ours(&folder, record, &["-z", "true"], &[]).assert_complaint(2, &["usage:"]);
    ours(&folder, b"bad\0x\0", &["true"], &[]).assert_complaint(2, &["users/authuser", "one byte"]);
    for malformed in [&b"joe\0secret"[..], b"joe", b"", &[0; 513]] {
        ours(&folder, malformed, &["true"], &[]).assert_complaint(2, &["descriptor 3"]);
    }
    let longest = [b"joe\0secret\0".to_vec(), vec![b'x'; 512 - 11]].concat();
    assert_eq!(ours(&folder, &longest, &["true"], &[]).end, End::Exit(0));
    ours(&folder, record, &["/no/such/program"], &[]).assert_complaint(111, &["/no/such/program"]);
    ours(&folder, record, &["true"], &[("CVM_CLIENT_TIMEOUT", "x")]).assert_complaint(111, &["CVM_CLIENT_TIMEOUT"]);
    let program = Make::Ours.program("cvm-qmail-authuser");
    let mut closed = command("/bin/sh", &["-c", "exec \"$0\" true 3<&-", &program], &[]);
    run(&mut closed, b"").assert_complaint(111, &["descriptor 3"]);
}

#[test]
fn a_last_line_that_is_not_ended_counts() {
    assert_eq!(ours(&root("ann:pw\njoe:secret"), b"joe\0secret\0", &["true"], &[]).end, End::Exit(0));
}

#[test]
fn a_file_that_is_missing_lets_nobody_in_and_one_that_cannot_be_read_is_trouble() {
    let folder = root("");
    fs::remove_file(folder.path("users/authuser")).expect("it is there");
    ours(&folder, b"joe\0secret\0", &["true"], &[]).assert_complaint(1, &["users/authuser", "no such file"]);
    fs::create_dir(folder.path("users/authuser")).expect("a folder");
    ours(&folder, b"joe\0secret\0", &["true"], &[]).assert_complaint(111, &["users/authuser"]);
}

#[test]
fn the_program_that_comes_next_has_the_ids_environment_and_directory_of_the_caller() {
    let folder = root("joe:secret\n");
    let tell = "id -u; id -g; pwd; echo \"$USER $HOME $FOO\"; [ -e /proc/$$/fd/3 ] || echo closed";
    let tell = ["sh", "-c", tell, "x"];
    let told = ours(&folder, b"joe\0secret\0", &tell, &[("FOO", "kept"), ("USER", "before"), ("HOME", "/before")]);
    let here = std::env::current_dir().expect("a directory");
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let expected = format!("{uid}\n{gid}\n{}\nbefore /before kept\nclosed\n", here.display());
    assert_eq!((told.end, told.output()), (End::Exit(0), expected));
}

/// Only root can read shadow, and become somebody else.
#[test]
fn a_user_of_the_system_is_let_in_by_his_password_and_the_program_is_run_as_he_or_as_the_caller() {
    let user = User::new(&[&["usermod", "-d", "/usr/share", "-s", "/bin/false"]]);
    let name = &user.name;
    let folder = root(&format!("{name}:!\n@keep.org:?\n@be.org:!\n"));
    let tell = ["sh", "-c", "id -u -n; id -g -n; id -G -n; pwd; echo \"$USER $HOME $SHELL $FOO $UID\"", "x"];
    let settings = [("FOO", "kept"), ("USER", "before")];
    let told = |login: &str| ours(&folder, format!("{login}\0secret\0").as_bytes(), &tell, &settings);
    let expected = format!("{name}\n{name}\n{name}\n/usr/share\n{name} /usr/share /bin/false kept \n");
    for login in [name.clone(), name.to_uppercase(), format!("{name}@be.org")] {
        assert_eq!(told(&login).output(), expected, "{login}");
    }
    let kept = told(&format!("{name}@keep.org")).output();
    assert!(kept.starts_with("root\n") && kept.contains("before"), "{kept}");
    for (login, password) in
        [(name.as_str(), "wrong"), (name, ""), (name, "?"), (name, "!"), ("nobody-at-all@be.org", "secret")]
    {
        let finished = ours(&folder, format!("{login}\0{password}\0").as_bytes(), &tell, &[]);
        assert_eq!((finished.end, finished.output()), (End::Exit(1), String::new()), "{login} {password}");
    }
}

#[test]
fn locked_and_expired_users_of_the_system_and_those_without_a_home_are_not_let_in() {
    let status = |changes: &[&[&str]], token: &str| {
        let user = User::new(changes);
        let folder = root(&format!("*:{token}\n"));
        ours(&folder, format!("{}\0secret\0", user.name).as_bytes(), &["true"], &[]).end
    };
    assert_eq!(status(&[&["usermod", "-L"]], "?"), End::Exit(1));
    assert_eq!(status(&[&["chage", "-E", "1"]], "?"), End::Exit(1));
    assert_eq!(status(&[&["passwd", "-q", "-d"]], "?"), End::Exit(1));
    assert_eq!(status(&[&["usermod", "-d", "/no/such/folder"]], "!"), End::Exit(111));
    assert_eq!(status(&[&["usermod", "-d", "/no/such/folder"]], "?"), End::Exit(0));
}
