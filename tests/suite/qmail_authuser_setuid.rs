//! `cvm-qmail-authuser` installed setuid root, run by somebody who has prepared everything that he can.
//!
//! Its file is in `/var/qmail` then, whatever anybody says: these tests have a `/var` of their own, which takes root.

use cvm_tests::folder::{Folder, quoted};
use cvm_tests::process::{End, Finished, command, run};
use cvm_tests::programs::{Make, tool};

use crate::unix::User;

/// What checkvpw says of itself, as whoever it was run as.
const TELLING: &str =
    "#!/bin/sh\n(id -u; id -g; umask; pwd; ls /proc/$$/fd | tr '\\n' ' '; env | sort) >/var/out; cat <&3 >>/var/out\n";

/// Prepares a `/var` with the program, its file and a stand-in for checkvpw, and runs a script there that nobody else
/// sees anything of; `$AS` runs a program as somebody without rights.
fn staged(mode: &str, file: &str, script: &str) -> Finished {
    let folder = Folder::new();
    let file = folder.write("authuser", file);
    let checkvpw = folder.script("checkvpw", "");
    folder.write("checkvpw", TELLING);
    let program = Make::Ours.program("cvm-qmail-authuser");
    let set = format!(
        "set -e\nmount -t tmpfs -o mode=755 none /var\nmkdir -p /var/qmail/users /var/qmail/bin /var/evil/users\n\
         install -m {mode} {} /var/program\ninstall -m 600 {} /var/qmail/users/authuser\n\
         install -m 755 {} /var/qmail/bin/checkvpw\nexport AS='setpriv --reuid=65534 --regid=65534 --clear-groups'\n\
         printf 'joe:evil\\n*:evil\\n' >/var/evil/users/authuser\n\
         for name in checkvpw true sh id; do printf '#!/bin/sh\\necho evil; exit 0\\n' >/var/evil/$name; done\n\
         chmod -R a+rX /var/evil; chmod a+x /var/evil/*\nset +e\n{script}\n",
        quoted(&program),
        quoted(&file),
        quoted(&checkvpw)
    );
    let unshare = tool("unshare", "util-linux");
    run(&mut command(unshare.to_str().expect("UTF-8"), &["-m", "/bin/sh", "-c", &set], &[]), b"")
}

/// Settings that lead elsewhere, with variables that some programs heed.
const HOSTILE: &str = "env QMAIL_ROOT=/var/evil CVM_CLIENT_TIMEOUT=wrong CVM_AUTHUSER_PATH=/var/evil/users/authuser \
                       PATH=/var/evil:/usr/bin:/bin LD_LIBRARY_PATH=/var/evil BASH_ENV=/var/evil/sh IFS=/ FOO=x \
                       HOME=/var/evil TCPREMOTEIP=192.0.2.1 TCPREMOTEHOST='a b;c' PROTO=TCP";

/// Runs the program with a record, by somebody without rights who has prepared his environment.
fn attack(record: &str, call: &str) -> String {
    format!(
        "printf '{record}' >/var/record; chmod 644 /var/record; cd /tmp\n\
         $AS {HOSTILE} /bin/sh -c 'umask 0; exec /var/program {call} 3</var/record 4</etc/passwd 9</etc/group'\n\
         echo \"status $?\"\n"
    )
}

#[track_caller]
fn output(finished: &Finished) -> String {
    assert_eq!(finished.end, End::Exit(0), "a /var of one's own takes root: {finished:?}");
    finished.output()
}

const SAFE: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/var/qmail/bin";

#[test]
fn the_file_is_the_one_in_var_qmail_and_the_program_runs_as_the_caller() {
    let tell = "/bin/sh -c \"id -u -r; id -u; umask; pwd; grep ^Uid: /proc/self/status; ls /proc/self/fd; env | sort\"";
    let told = output(&staged("4755", "joe:secret\n", &attack("joe\\0secret\\0", tell)));
    let expected = format!(
        "65534\n65534\n0022\n/tmp\nUid:\t65534\t65534\t65534\t65534\n0\n1\n2\n3\n{SAFE}\nPROTO=TCP\nPWD=/tmp\n\
         TCPREMOTEIP=192.0.2.1\nstatus 0\n"
    );
    assert_eq!(told, expected);
    for (record, status) in [("joe\\0evil\\0", 1), ("ann\\0evil\\0", 1)] {
        let told = output(&staged("4755", "joe:secret\n", &attack(record, "true")));
        assert_eq!(told, format!("status {status}\n"), "{record}");
    }
}

#[test]
fn checkvpw_is_root_s_and_sees_nothing_of_the_caller() {
    let script = attack("joe\\0secret\\0\\0", "id -u") + "cat /var/out";
    let told = output(&staged("4755", "*:+\n", &script));
    let (program, helper) = told.split_once("status 0\n").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(program, "65534\n");
    let expected =
        format!("0\n65534\n0022\n/\n0 1 10 2 3 {SAFE}\nPROTO=TCP\nPWD=/\nTCPREMOTEIP=192.0.2.1\njoe\0secret\0\0");
    // The shell keeps its script open under number 10.
    assert_eq!(helper, expected);
}

/// Limits of the shell, an ignored and a blocked signal, and what can be seen of them.
#[test]
fn checkvpw_has_no_limits_of_the_caller_s_and_his_program_has() {
    let tell = "ulimit -S -f; ulimit -S -t; ulimit -S -n; ulimit -S -v; ulimit -S -c; grep ^Sig[BI] /proc/self/status";
    let script = format!(
        "printf '#!/bin/sh\\n({tell}) >/var/out\\n' >/var/qmail/bin/checkvpw\n\
         printf '#!/bin/sh\\n{tell}\\n' >/var/tell; chmod 755 /var/tell\n\
         printf 'joe\\0secret\\0\\0' >/var/record; chmod 644 /var/record\n\
         $AS /bin/sh -c 'ulimit -S -f 8; ulimit -S -t 100; ulimit -S -n 20; ulimit -S -v 500000; ulimit -S -c 3; trap \"\" TERM HUP\n\
         exec /var/program /var/tell 3</var/record'\necho \"status $?\"; cat /var/out"
    );
    let told = output(&staged("4755", "*:+\n", &script));
    let (program, helper) = told.split_once("status 0\n").unwrap_or_else(|| panic!("{told}"));
    assert!(program.starts_with("8\n100\n20\n500000\n"), "{program}");
    let lines: Vec<_> = helper.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3], lines[4]), ("unlimited", "unlimited", "unlimited", "0"), "{helper}");
    assert!(lines[2].parse::<u32>().is_ok_and(|files| files >= 1024), "{helper}");
    // The C library has two signals of its own, 32 and 33, which stay as they are.
    let named = |line: &str| u64::from_str_radix(&line[8..], 16).expect("hexadecimal") & 0x7fff_ffff;
    assert_eq!((named(lines[5]), named(lines[6])), (0, 0), "{helper}");
    // Where root may not raise it, as in a container, nothing is run with it.
    let script = script.replace("ulimit -S -f 8", "ulimit -f 8").replace("cat /var/out", "cat /var/out 2>&1");
    let told = output(&staged("4755", "*:+\n", &(script + "; :")));
    assert!(told.contains("status 0\nunlimited\n") || told.starts_with("status 111\n"), "{told}");
}

#[test]
fn what_checkvpw_runs_is_not_for_the_caller_to_say() {
    let told = output(&staged(
        "4755",
        "*:+\n",
        &(attack("joe\\0pw\\0\\0", "/var/evil/sh Maildir true") + "[ -e /var/out ] || echo unasked"),
    ));
    assert_eq!(told, "status 2\nunasked\n");
}

#[test]
fn the_caller_s_program_runs_as_the_user_of_the_system_with_a_clean_environment() {
    let user = User::new(&[&["usermod", "-d", "/usr/share", "-s", "/bin/sh"]]);
    let name = &user.name;
    let tell = "/bin/sh -c \"id -u -n; id -G -n; grep ^Uid: /proc/self/status | tr -s 0-9 x; env | sort\"";
    let told = output(&staged("4755", "*:!\n", &attack(&format!("{name}\\0secret\\0"), tell)));
    let expected = format!(
        "{name}\n{name}\nUid:\tx\tx\tx\tx\nHOME=/usr/share\n{SAFE}\nPROTO=TCP\nPWD=/usr/share\nSHELL=/bin/sh\n\
         TCPREMOTEIP=192.0.2.1\nUSER={name}\nstatus 0\n"
    );
    assert_eq!(told, expected);
    for (record, status) in [(format!("{name}\\0wrong\\0"), 1), ("nobody-at-all\\0secret\\0".to_owned(), 1)] {
        assert_eq!(output(&staged("4755", "*:!\n", &attack(&record, tell))), format!("status {status}\n"), "{record}");
    }
    let kept = output(&staged("4755", "*:?\n", &attack(&format!("{name}\\0secret\\0"), "id -u")));
    assert_eq!(kept, "65534\nstatus 0\n");
}

/// The file may be readable by a group, and the program that group's.
#[test]
fn a_program_that_is_setgid_gives_up_its_group() {
    let script = "chgrp -R games /var/qmail; chmod 640 /var/qmail/users/authuser; chgrp games /var/program; \
                  chmod 2755 /var/program\n";
    let tell = "/bin/sh -c \"id -g -r; id -g; grep ^Gid: /proc/self/status; env | grep FOO\"";
    let told = output(&staged("755", "joe:secret\n", &(script.to_owned() + &attack("joe\\0secret\\0", tell))));
    assert_eq!(told, "65534\n65534\nGid:\t65534\t65534\t65534\t65534\nstatus 1\n");
    // What it runs has not got the group either.
    let write = ": >/var/out; chmod 666 /var/out\n".to_owned() + script;
    let script = write + &attack("joe\\0secret\\0", "true") + "head -2 /var/out";
    assert_eq!(output(&staged("755", "joe:+\n", &script)), "status 0\n65534\n65534\n");
}

/// Without the bit it is everybody's program, and so are its settings.
#[test]
fn a_program_without_the_bit_heeds_its_settings() {
    let script = attack("joe\\0evil\\0", "echo in").replace("CVM_CLIENT_TIMEOUT=wrong", "");
    assert_eq!(output(&staged("755", "joe:secret\n", &script)), "in\nstatus 0\n");
}
