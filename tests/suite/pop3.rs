//! POP3 over TCP with Python's client: real messages fetched through each contact mode, and nobody let in by modules
//! that are in trouble.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::prefix::Prefix;
use cvm_tests::process::{End, LIMIT, Running, command, eventually, run_within};
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::free_port;
use cvm_tests::service::Service;
use cvm_tests::station::Station;
use cvm_tests::trouble::Trouble;
use rustix::process::{Signal, getegid, geteuid};

/// Logs in with the password, or by APOP if that is to be, and prints the messages or the refusal.
const FETCH: &str = "
import poplib, sys
port, how, user, password = sys.argv[1:]
client = poplib.POP3('127.0.0.1', int(port), timeout=50)
try:
    if how == 'apop':
        client.apop(user, password)
    else:
        client.user(user)
        client.pass_(password)
    for number in range(1, client.stat()[0] + 1):
        print(b'\\n'.join(client.retr(number)[1]).decode())
    client.quit()
except poplib.error_proto as error:
    print('refused:', error)
";

/// What qmail-popup does, which Debian lacks: descriptor 3 for the program that it runs, a refusal when that fails.
const POPUP: &str = r"
import os, sys
def say(line): os.write(1, line.encode() + b'\r\n')
def hear():
    line = b''
    while not line.endswith(b'\n'):
        byte = os.read(0, 1)
        if not byte: sys.exit(0)
        line += byte
    return line.strip().decode().partition(' ')[::2]
stamp = '<%d.1@%s>' % (os.getpid(), sys.argv[1])
say('+OK ' + stamp)
user = ''
while True:
    verb, rest = hear()
    if verb == 'USER':
        user = rest
        say('+OK')
        continue
    if verb == 'QUIT': sys.exit(0)
    if verb == 'APOP': user, _, rest = rest.partition(' ')
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.dup2(reader, 3)
        os.set_inheritable(3, True)
        os.execvp(sys.argv[2], sys.argv[2:])
    os.close(reader)
    os.write(writer, b'\0'.join([user.encode(), rest.encode(), stamp.encode(), b'']))
    os.close(writer)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0: say('-ERR status %d' % status)
    sys.exit(0)
";

const PASSWORD: &str = "tanstaaf tanstaaf";
const MESSAGE: &str = "From: sender@example.org\nSubject: real\n\nfirst line\n.dotted line";

/// Whom the account is: somebody who is in no list if root may become anybody, else whoever runs the tests.
fn ids() -> (u32, u32) {
    if geteuid().is_root() { (23_451, 34_562) } else { (geteuid().as_raw(), getegid().as_raw()) }
}

/// Makes a home with a message in it, and returns a line of the table.
fn account(folder: &Folder) -> String {
    let (uid, gid) = ids();
    let home = folder.path("home");
    for name in ["cur", "new", "tmp"] {
        fs::create_dir_all(format!("{home}/Maildir/{name}")).expect("a folder");
    }
    folder.write("home/Maildir/new/1000000000.1.host", format!("{MESSAGE}\n"));
    let owner = format!("{uid}:{gid}");
    let chown = ["-R", owner.as_str(), &home];
    let finished = run_within(LIMIT, &mut command("/bin/chown", &chown, &[]), b"");
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("our own folder");
    format!("tim:{PASSWORD}:{uid}:{gid}:Tim:{home}:/bin/sh\n")
}

fn fetch(folder: &Folder, port: u16, how: &str, user: &str, password: &str) -> String {
    let (script, port) = (folder.write(&format!("fetch.{port}.py"), FETCH), port.to_string());
    let python = tool("python3", "python3");
    let mut client = command(python.to_str().expect("UTF-8"), &[&script, &port, how, user, password], &[]);
    let finished = run_within(Duration::from_secs(60), &mut client, b"");
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    finished.output().trim_end().to_owned()
}

fn is_up(port: u16) -> bool {
    eventually(LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok())
}

/// mailfront's POP3 server in front of a module.
fn mailfront(module: &str, settings: Settings<'_>) -> (Running, u16) {
    let port = free_port();
    let tools =
        [tool("tcpserver", "ucspi-tcp"), tool("pop3front-auth", "mailfront"), tool("pop3front-maildir", "mailfront")];
    let [tcpserver, auth, maildir] = tools.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let number = port.to_string();
    let arguments = ["-HRl", "here.example", "127.0.0.1", &number, auth, module, maildir, "Maildir"];
    let mut server = command(tcpserver, &arguments, settings);
    let running = Running::start(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    assert!(is_up(port), "nobody serves port {port}");
    (running, port)
}

#[test]
fn a_message_is_fetched_from_mailfront_in_each_contact_mode() {
    let folder = Folder::new();
    let mut station = Station::start(Make::Ours, &account(&folder), &[]);
    for mode in Mode::ALL {
        let (_server, port) = mailfront(&station.module(mode), &[]);
        let fetch = |user, password| fetch(&folder, port, "pass", user, password);
        assert_eq!(fetch("tim", PASSWORD), MESSAGE, "{mode}");
        assert_eq!(fetch("TIM@there.example", PASSWORD), MESSAGE, "{mode}");
        for (user, password) in [("tim", "wrong"), ("tim", "tanstaaf tanstaa"), ("mallory", PASSWORD)] {
            let told = fetch(user, password);
            assert!(told.starts_with("refused: ") && told.contains("Authentication failed"), "{mode} {user}: {told}");
        }
    }
    let logged = ["+ tim@here.example", "+ TIM@there.example"];
    let refused = ["- tim@here.example", "- tim@here.example", "- mallory@here.example"];
    assert_eq!(station.server().requests(), [&logged[..], &refused].concat().repeat(2));
    assert_eq!(station.server_mut().stop(), End::Exit(0));
    let (_server, port) = mailfront(&station.module(Mode::Local), &[]);
    let told = fetch(&folder, port, "pass", "tim", PASSWORD);
    assert!(told.starts_with("refused: ") && !told.contains("Authentication failed"), "{told}");
}

/// A POP3 service by the run script that is installed, with stand-ins for the programs of qmail.
struct Qmail {
    folder: Folder,
    service: Service,
    port: u16,
}

/// Tells what it has become before it serves the messages.
const POP3D: &str = "
{ id -u; id -g; id -G; pwd; env | grep -v '^_=' | sort; } >\"$TOLD\"
exec pop3front-maildir \"$1\"
";

fn prefix() -> Prefix {
    let prefix = Prefix::new();
    let popup = prefix.folder().write("popup.py", POPUP);
    let popup = format!("exec python3 {popup} \"$@\"");
    for (name, lines) in [("qmail-popup", popup.as_str()), ("qmail-pop3d", POP3D)] {
        prefix.folder().script(&prefix.path(&format!("bin/{name}")), lines);
    }
    prefix
}

impl Qmail {
    fn start(prefix: &Prefix, module: &str, milliseconds: &str) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o777)).expect("it is ours");
        let (number, told) = (port.to_string(), folder.path("told"));
        let settings = [
            ("ADDRESS", "127.0.0.1"),
            ("PORT", &number),
            ("HOST_NAME", "here.example"),
            ("MODULE", module),
            ("CVM_CLIENT_TIMEOUT", milliseconds),
            ("TOLD", &told),
            // What a caller has set is not for the account.
            ("UID", "0"),
            ("HOME", "/root"),
        ];
        let service = Service::start(prefix, "pop3d", &settings);
        assert!(is_up(port), "{:?}", service.log());
        Self { folder, service, port }
    }

    fn fetch(&self, how: &str, user: &str, password: &str) -> String {
        fetch(&self.folder, self.port, how, user, password)
    }

    /// What the program that was run has told of itself.
    fn told(&self) -> Vec<String> {
        String::from_utf8(self.folder.read("told")).expect("text").lines().map(str::to_owned).collect()
    }
}

/// The tutorial's service: tcpserver, qmail-popup, cvm-checkpassword, qmail-pop3d, within the documented limit.
#[test]
fn a_message_is_fetched_behind_checkpassword_as_the_account_and_nobody_else() {
    let folder = Folder::new();
    let station = Station::start(Make::Ours, &account(&folder), &[]);
    let (prefix, (uid, gid)) = (prefix(), ids());
    for mode in Mode::ALL {
        let qmail = Qmail::start(&prefix, &station.module(mode), "20000");
        for (user, password) in [("tim", "wrong"), ("mallory", PASSWORD)] {
            assert_eq!(
                qmail.fetch("pass", user, password),
                "refused: b'-ERR status 1'",
                "{mode} {user}: {:?}",
                qmail.service.log()
            );
        }
        assert!(qmail.told().is_empty(), "nothing runs for whoever is refused");
        assert_eq!(qmail.fetch("apop", "tim", PASSWORD), MESSAGE, "{mode}");
        assert_eq!(qmail.fetch("pass", "tim", PASSWORD), MESSAGE, "{mode}");
        let told = qmail.told();
        let home = folder.path("home");
        let ids = [uid.to_string(), gid.to_string()];
        assert_eq!((&told[..2], &told[3]), (&ids[..], &home), "{mode}");
        if geteuid().is_root() {
            assert_eq!(told[2], gid.to_string(), "{mode}: no group but the account's");
        }
        let facts = [format!("UID={uid}"), format!("GID={gid}"), format!("HOME={home}"), "USER=tim".into()];
        let others = ["NAME=Tim", "SHELL=/bin/sh", "TCPLOCALHOST=here.example"];
        for expected in facts.iter().map(String::as_str).chain(others) {
            assert!(told.iter().any(|line| line == expected), "{mode}: {expected}: {told:?}");
        }
        assert!(!told.iter().any(|line| line.contains(PASSWORD)), "{mode}: {told:?}");
    }
}

/// Dead, slow, talking garbage, cut short: each is for later.
#[test]
fn modules_in_trouble_let_nobody_in() {
    let (folder, prefix) = (Folder::new(), prefix());
    let troubles = Trouble::all(&folder);
    // Nobody hears of a silent port before half a minute has passed.
    thread::scope(|scope| {
        for trouble in &troubles {
            let prefix = &prefix;
            scope.spawn(move || {
                let qmail = Qmail::start(prefix, trouble.module(), "500");
                assert_eq!(qmail.fetch("pass", "tim", PASSWORD), "refused: b'-ERR status 111'", "{trouble}");
                assert!(qmail.told().is_empty(), "{trouble}");
            });
            scope.spawn(move || assert_told_as_temporary(trouble));
        }
    });
}

/// Programs without descriptor 3 have codes.
fn assert_told_as_temporary(trouble: &Trouble) {
    let ask = |client| {
        let arguments = [trouble.module(), "tim", "here.example", PASSWORD];
        let mut client = command(&Make::Ours.program(client), &arguments, &[("CVM_CLIENT_TIMEOUT", "500")]);
        let told = run_within(Duration::from_secs(60), &mut client, b"");
        assert!(matches!(told.end, End::Exit(1..=7)) && told.stdout.is_empty(), "{trouble}: {told:?}");
    };
    thread::scope(|scope| {
        for client in ["cvm-testclient", "cvm-v1testclient"] {
            scope.spawn(move || ask(client));
        }
    });
}

/// A real module, stopped with a request before it, and killed.
#[test]
fn a_module_that_is_killed_with_a_request_in_hand_lets_nobody_in() {
    let (folder, prefix) = (Folder::new(), prefix());
    for mode in [Mode::Local, Mode::Udp] {
        let station = Station::start(Make::Ours, &account(&folder), &[]);
        let qmail = Qmail::start(&prefix, &station.module(mode), "20000");
        station.server().signal(Signal::STOP);
        let told = thread::scope(|scope| {
            let login = scope.spawn(|| qmail.fetch("pass", "tim", PASSWORD));
            thread::sleep(Duration::from_millis(300));
            station.server().signal(Signal::KILL);
            login.join().expect("an answer")
        });
        assert_eq!(told, "refused: b'-ERR status 111'", "{mode}");
        assert!(qmail.told().is_empty(), "{mode}");
    }
}
