//! `cvm-pam` by the run script and with the rights of the unit that are installed as examples.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use cvm_tests::contact::Contact;
use cvm_tests::folder::Folder;
use cvm_tests::prefix::Prefix;
use cvm_tests::process::{LIMIT, Running, command, eventually};
use cvm_tests::programs::{Make, tool};
use cvm_tests::service::Service as Supervised;

use crate::cvm_pam::{REJECTED, Service, login};
use crate::unix::{User, administer};

/// An account with a password as Debian stores it, by a hash that takes 16 MB.
fn user() -> User {
    let user = User::new(&[]);
    administer("chpasswd", &["-c", "YESCRYPT"], &format!("{}:secret", user.name));
    user
}

/// More logins at a time than there are threads that ask PAM. Want of memory would be a wrong password for `pam_unix`.
fn assert_serves(socket: &str, user: &User) {
    let contact = Contact::Local(socket.to_owned());
    let codes: Vec<_> = thread::scope(|scope| {
        let ask = || contact.ask(&login(&user.name, b"secret")).map(|answer| answer[0]);
        let asked: Vec<_> = (0..48).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).collect()
    });
    assert_eq!(codes, vec![Ok(0); 48]);
    for name in [&user.name, "no-such-user"] {
        assert_eq!(contact.ask(&login(name, b"wrong")).expect("an answer"), REJECTED, "{name}");
    }
}

#[test]
fn the_run_script_leaves_memory_for_all_logins_at_a_time() {
    let (prefix, user, service) = (Prefix::new(), user(), Service::unix());
    let socket = prefix.folder().path("run/socket");
    let settings = [("SERVICE", service.name()), ("SOCKET", &socket)];
    let supervised = Supervised::start(&prefix, "cvm-pam", &settings);
    assert!(supervised.waits_for(|_| UnixStream::connect(&socket).is_ok()), "{:?}", supervised.log());
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", supervised.pid().expect("it is up"))).expect("a process");
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space")).expect("a limit");
    assert!(limit.trim_start().starts_with("512000000 "), "{limits}");
    assert_serves(&socket, &user);
    assert!(supervised.log().iter().all(|line| !line.contains("PAM status")), "{:?}", supervised.log());
}

/// What systemd would set, by the values that the unit has.
#[test]
fn the_rights_of_the_unit_are_enough() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cvm-bins/etc/systemd/cvm-pam.service");
    let unit = fs::read_to_string(unit).expect("a unit");
    let value = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).expect("a setting");
    let rights = value("CapabilityBoundingSet=").to_lowercase().replace("cap_", "+").replace(' ', ",");
    let (folder, user, service) = (Folder::new(), user(), Service::unix());
    let socket = folder.path("socket");
    let tools = [tool("softlimit", "daemontools"), tool("setpriv", "util-linux")];
    let [softlimit, setpriv] = tools.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let (bounds, program) = (format!("--bounding-set=-all,{rights}"), Make::Ours.program("cvm-pam"));
    let endpoint = format!("cvm-local:{socket}");
    let words = ["-m", value("LimitAS="), setpriv, "--no-new-privs", "--inh-caps=-all", &bounds, &program, &endpoint];
    let log = fs::File::create(folder.path("log")).expect("a file");
    // With a thread for each request there could be more of them than there is memory for.
    let settings = [("SERVICE", service.name()), ("CVM_RUNTIME", "mio")];
    let mut server = command(softlimit, &words, &settings);
    let _running = Running::start(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
    let is_up = eventually(LIMIT, || UnixStream::connect(&socket).is_ok());
    assert!(is_up, "{}", String::from_utf8_lossy(&folder.read("log")));
    assert_serves(&socket, &user);
}
