//! Rights that a program's file lends, and children that have more rights than their parent.

use cvm_tests::folder::quoted;
use cvm_tests::process::{End, command, run};
use cvm_tests::programs::{Make, tool};

/// Runs a script in a mount namespace of its own, where copies of programs in `/var` may be setuid; it takes root.
///
/// `as_nobody` runs a program as somebody without rights.
fn staged(script: &str) -> String {
    let set = "set -e\nmount -t tmpfs -o mode=755 none /var\n\
               as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; }\nset +e\n";
    let unshare = tool("unshare", "util-linux");
    let arguments = ["-m", "/bin/sh", "-c", &format!("{set}{script}\n")];
    let finished = run(&mut command(unshare.to_str().expect("UTF-8"), &arguments, &[]), b"");
    assert_eq!(finished.end, End::Exit(0), "a /var of one's own takes root: {finished:?}");
    finished.output()
}

/// The programs with the arguments that would have them trust a file of the caller's, and their status.
const REFUSING: [(&str, &str, u8); 9] = [
    ("cvm-checkpassword", "/var/yes id -u", 111),
    ("cvm-v1checkpassword", "/var/yes id -u", 111),
    ("cvm-authuser", "", 6),
    ("cvm-pwfile", "", 6),
    ("cvm-unix", "", 6),
    ("cvm-pam", "", 6),
    ("cvm-chain", "", 6),
    ("cvm-testclient", "/var/yes a b c", 6),
    ("cvm-sasltest", "/var/yes plain", 1),
];

/// Runs each program with this mode, after a change of its file, and returns what it says.
fn run_each(mode: &str, change: &str) -> String {
    let yes = "printf '#!/bin/sh\\nprintf \"\\\\0\\\\0\\\\001\\\\001a\\\\002\\\\0010\\\\003\\\\0010\\\\005\\\\001/\\\\0\"' >/var/yes\n\
               chmod 755 /var/yes\n"
        .to_owned();
    let each = REFUSING.map(|(name, arguments, _)| {
        let program = quoted(&Make::Ours.program(name));
        format!(
            "install -m {mode} {program} /var/{name}; {change} /var/{name}; printf 'a\\0b\\0\\0' >/var/record\n\
             as_nobody /var/{name} {arguments} 3</var/record </dev/null 2>&1; echo \"status $?\"\n"
        )
    });
    staged(&(yes + &each.concat()))
}

#[test]
fn a_program_that_trusts_its_caller_refuses_to_have_more_rights_than_he() {
    let refused = |why: &str| {
        let why = format!("whoever runs it names what it trusts, so it must not be {why}");
        REFUSING.map(|(name, _, status)| format!("{name}: {why}\nstatus {status}\n")).concat()
    };
    let setuid =
        "installed setuid or setgid: whoever starts it changes users, with setuidgid or User= of a systemd unit";
    assert_eq!(run_each("4755", ":"), refused(setuid));
    assert_eq!(run_each("2755", ":"), refused(setuid));
    // What setcap does; its package is not needed for that.
    let lend = "'import os, sys; os.setxattr(sys.argv[1], \"security.capability\", \
                bytes([1, 0, 0, 2, 0, 4, *[0] * 14]))'";
    let python = tool("python3", "python3");
    let capable = "given capabilities with setcap: whoever starts it gives them, with setpriv --ambient-caps or \
                   AmbientCapabilities= of a systemd unit";
    assert_eq!(run_each("755", &format!("{} -c {lend}", python.display())), refused(capable));
    assert!(!run_each("755", ":").contains("must not be"));
}

/// Such a child can be neither ended nor waited for without end.
#[test]
fn a_child_that_became_somebody_else_holds_nobody_up_beyond_the_time_out() {
    let program = quoted(&Make::Ours.program("cvm-testclient"));
    let told = staged(&format!(
        "install -m 4755 \"$(command -v setpriv)\" /var/setpriv\n\
         printf '#!/bin/sh\\nexec /var/setpriv --reuid=0 sleep 8 2>/dev/null\\n' >/var/module; chmod 755 /var/module\n\
         install -m 755 {program} /var/client; start=$(date +%s)\n\
         as_nobody env CVM_CLIENT_TIMEOUT=500 /var/client /var/module a b c >/dev/null 2>&1; echo \"status $?\"\n\
         [ $(($(date +%s) - start)) -ge 5 ] && echo late\npgrep -x -U 0 -f 'sleep 8' >/dev/null && echo root\n:"
    ));
    assert_eq!(told, "status 4\nroot\n");
}
