//! A real qpsmtpd in front of our modules, with our plugin and with the two that it ships, and Python's client.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::process::{End, LIMIT, Running, command, eventually, run};
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::{Server, free_port};
use cvm_tests::station::{Station, TABLE};
use cvm_tests::trouble::Trouble;

use crate::vchkpw::{Host, line};

/// A server with these plugins, which has mail for `a.example`.
struct Qpsmtpd {
    folder: Folder,
    port: u16,
    _running: Running,
}

/// Logs in by mechanisms, each time anew, or asks about recipients, and prints replies.
const CLIENT: &str = "
import smtplib, sys
port, what, *words = sys.argv[1:]
def session(run):
    with smtplib.SMTP('127.0.0.1', int(port), timeout=20) as server:
        server.ehlo()
        run(server)
def offers(server):
    print(' '.join(sorted(server.esmtp_features.get('auth', '').split())))
def recipients(server):
    server.mail('sender@elsewhere.example')
    for word in words:
        code, text = server.rcpt(word)
        print(code, text.decode())
def login(server, mechanism, user, password):
    server.user, server.password = user, password
    try:
        code, text = server.auth(mechanism, getattr(server, 'auth_' + mechanism.lower().replace('-', '_')))
    except smtplib.SMTPAuthenticationError as error:
        code, text = error.smtp_code, error.smtp_error
    print(code, text.decode())
if what == 'logins':
    for login_words in zip(words[::3], words[1::3], words[2::3]):
        session(lambda server: login(server, *login_words))
else:
    session({'offers': offers, 'recipients': recipients}[what])
";

impl Qpsmtpd {
    fn start(plugins: &[&str]) -> Self {
        Self::with_settings(plugins, &[])
    }

    fn with_settings(plugins: &[&str], settings: Settings<'_>) -> Self {
        let forkserver = tool("qpsmtpd-forkserver", "qpsmtpd");
        Self::run(configured(plugins), &[forkserver.to_str().expect("UTF-8")], settings)
    }

    /// Starts the server by this command.
    fn run(folder: Folder, server: &[&str], settings: Settings<'_>) -> Self {
        let port = free_port();
        let config = folder.path("config");
        let user = run(&mut command("/usr/bin/id", &["-un"], &[]), b"").output();
        let port_text = port.to_string();
        let options = ["-u", user.trim(), "-l", "127.0.0.1", "-p", &port_text, "-H"];
        let arguments = [&server[1..], &options].concat();
        let settings = [&[("QPSMTPD_CONFIG", config.as_str())], settings].concat();
        let mut server = command(server[0], &arguments, &settings);
        let log = fs::File::create(folder.path("log")).expect("a file");
        let running = Running::start(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
        let server = Self { folder, port, _running: running };
        let is_up = eventually(LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(is_up, "{}", server.log());
        server
    }

    fn client(&self, words: &[&str]) -> Vec<String> {
        let script = self.folder.write("client.py", CLIENT);
        let python = tool("python3", "python3");
        let port = self.port.to_string();
        let arguments = [&[script.as_str(), &port], words].concat();
        let finished = run(&mut command(python.to_str().expect("UTF-8"), &arguments, &[]), b"");
        assert_eq!(finished.end, End::Exit(0), "{finished:?} {}", self.log());
        finished.output().lines().map(str::to_owned).collect()
    }

    fn login(&self, mechanism: &str, user: &str, password: &str) -> String {
        self.logins(&[[mechanism, user, password]]).concat()
    }

    /// Returns the replies to a mechanism, a user and a password each.
    fn logins(&self, logins: &[[&str; 3]]) -> Vec<String> {
        self.client(&[&["logins"], logins.as_flattened()].concat())
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&self.folder.read("log")).into_owned()
    }
}

fn configured(plugins: &[&str]) -> Folder {
    let folder = Folder::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("cvm-bins/etc/qpsmtpd");
    for name in ["config", "spool"] {
        fs::create_dir(folder.path(name)).expect("a folder");
    }
    folder.write("config/plugin_dirs", format!("{}\n/usr/share/qpsmtpd/plugins\n", ours.display()));
    folder.write("config/spool_dir", folder.path("spool"));
    folder.write("config/me", "here.example");
    folder.write("config/rcpthosts", "a.example\n");
    folder.write("config/logging", "logging/warn 7");
    folder.write("config/plugins", [plugins, &["rcpt_ok"]].concat().join("\n") + "\n");
    folder
}

const MECHANISMS: [&str; 3] = ["CRAM-MD5", "LOGIN", "PLAIN"];

fn accepted(mechanism: &str, user: &str) -> String {
    format!("235 {mechanism} authentication successful for {user}")
}

fn refused(mechanism: &str, user: &str, message: &str) -> String {
    format!("535 {mechanism} authentication failed for {user}{message}")
}

#[test]
fn every_mechanism_logs_in_over_each_contact_mode_by_its_own_hook_and_by_the_one_for_all() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    for mode in [Mode::Local, Mode::Udp] {
        for mechanisms in ["plain,login,cram-md5", "any"] {
            let module = station.module(mode);
            let plugin = format!("auth_cvm modules {module} mechanisms {mechanisms} message Wrong name or password");
            let server = Qpsmtpd::start(&[&plugin]);
            assert_eq!(server.client(&["offers"]), ["CRAM-MD5 LOGIN PLAIN"]);
            let (mut asked, mut expected) = (Vec::new(), Vec::new());
            for mechanism in MECHANISMS {
                for (user, password) in [("alice", "secret"), ("Carol@ex.com", "pass word")] {
                    asked.extend([[mechanism, user, password], [mechanism, user, "wrong"]]);
                    let no = refused(mechanism, user, " - Wrong name or password");
                    expected.extend([accepted(mechanism, user), no]);
                }
                asked.push([mechanism, "mallory", "secret"]);
                expected.push(refused(mechanism, "mallory", " - Wrong name or password"));
            }
            assert_eq!(server.logins(&asked), expected, "{mode}");
            let log = server.log();
            assert!(!log.contains("pass word") && log.contains("pass: login accepted"), "{log}");
        }
    }
    assert!(station.server().requests().contains(&"+ Carol@ex.com".to_owned()));
}

#[test]
fn only_what_is_configured_is_offered() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let server = Qpsmtpd::start(&[&format!("auth_cvm modules {module}")]);
    assert_eq!(server.client(&["offers"]), ["LOGIN PLAIN"]);
    let server =
        Qpsmtpd::start(&[&format!("auth_cvm modules {module} mechanisms cram-md5 domain d.example split none")]);
    assert_eq!(server.client(&["offers"]), ["CRAM-MD5"]);
    assert_eq!(server.login("CRAM-MD5", "alice", "secret"), accepted("CRAM-MD5", "alice"));
    let _ = server.login("CRAM-MD5", "alice@x.example", "secret");
    assert_eq!(station.server().requests(), ["+ alice@d.example", "- alice@x.example@d.example"]);
}

#[test]
fn a_server_is_found_over_ipv6_and_by_name() {
    let folder = Folder::new();
    let (table, port) = (folder.write("passwd", TABLE), free_port());
    let endpoints = [format!("cvm-udp:[::1]:{port}"), format!("cvm-udp:127.0.0.1:{port}")];
    let settings = [("CVM_PWFILE_PATH", table.as_str())];
    let _server = Server::start(Make::Ours, &endpoints.each_ref().map(String::as_str), &settings);
    for host in ["[::1]", "localhost"] {
        let server = Qpsmtpd::start(&[&format!("auth_cvm modules cvm-udp:{host}:{port} random_bytes 0")]);
        let reply = server.login("PLAIN", "alice", "secret");
        assert_eq!(reply, accepted("PLAIN", "alice"), "{host}: {}", server.log());
    }
}

/// A name server that knows no names of addresses, which qpsmtpd asks for on its own, and is silent about all else.
fn silent_name_server(address: &str) {
    let socket = UdpSocket::bind(address).expect("a port of root's that nobody has");
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let question = &mut packet[..length];
            if question.windows(7).any(|name| name == b"in-addr") {
                // An answer, and there is no such name.
                question[2..4].copy_from_slice(&[0x81, 0x83]);
                let _ = socket.send_to(question, from);
            }
        }
    });
}

/// The server has a file of name servers of its own, in which is the silent one.
#[test]
fn a_name_is_looked_for_no_longer_than_the_time_out() {
    silent_name_server("127.0.0.2:53");
    let folder = configured(&["auth_cvm modules cvm-udp:cvm.example:791 timeout 700"]);
    let resolver = folder.write("resolv.conf", "nameserver 127.0.0.2\noptions timeout:25 attempts:1\n");
    let (unshare, forkserver) = (tool("unshare", "util-linux"), tool("qpsmtpd-forkserver", "qpsmtpd"));
    let lines = format!("mount --bind {resolver} /etc/resolv.conf && exec {} \"$@\"", forkserver.display());
    let start = [unshare.to_str().expect("UTF-8"), "-m", "/bin/sh", "-c", &lines, "sh"];
    let server = Qpsmtpd::run(folder, &start, &[]);
    let began = Instant::now();
    assert_eq!(server.login("PLAIN", "alice", "secret"), refused("PLAIN", "alice", ""));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let log = server.log();
    assert!(log.contains("error: cvm.example port 791: the address is not found in time"), "{log}");
}

/// Behind ours stands a plugin that knows one more user: it is asked where ours does not decide.
#[test]
fn a_no_is_final_only_for_the_module_s_own_accounts() {
    let host = Host::new(&[&line("joe")]);
    let other = Station::start(Make::Ours, "joe:other:1:1:::\n", &[]);
    let second = format!("auth_cvm:1 modules {}", other.module(Mode::Local));
    let ask = |first: &str, user: &str| {
        let server = Qpsmtpd::start(&[first, &second]);
        (server.login("PLAIN", user, "other"), server.log())
    };
    let station = host.station(&[]);
    let module = format!("auth_cvm modules {}", station.module(Mode::Local));
    assert_eq!(ask(&module, "joe@a.example").0, refused("PLAIN", "joe@a.example", " - refused"));
    assert_eq!(ask(&module, "joe@elsewhere.example").0, accepted("PLAIN", "joe@elsewhere.example"));
    // Nobody is asked twice, though qpsmtpd loads its plugins twice.
    assert_eq!(station.server().requests(), ["- joe@a.example", "- joe@elsewhere.example"]);
    assert_eq!(other.server().requests(), ["+ joe@elsewhere.example"]);
    // A no that does not say whose the account is counts as configured.
    let unsaid = Station::start(Make::Ours, "joe:first:1:1:::\n", &[]);
    let module = format!("auth_cvm modules {}", unsaid.module(Mode::Local));
    assert_eq!(ask(&module, "joe").0, refused("PLAIN", "joe", " - refused"));
    assert_eq!(ask(&format!("{module} unscoped declined"), "joe").0, accepted("PLAIN", "joe"));
    // A list goes on behind it, as every client's does.
    let both = format!("auth_cvm modules {},{}", unsaid.module(Mode::Udp), other.module(Mode::Udp));
    assert_eq!(ask(&both, "joe").0, accepted("PLAIN", "joe"));
}

#[test]
fn an_outage_is_left_to_the_next_plugin_and_logged() {
    let folder = Folder::new();
    let other = Station::start(Make::Ours, TABLE, &[]);
    let second = format!("auth_cvm:1 modules {}", other.module(Mode::Udp));
    let served = |trouble: &&Trouble| !trouble.module().starts_with("cvm-command:");
    let troubles = Trouble::all(&folder);
    thread::scope(|scope| {
        for trouble in troubles.iter().filter(served) {
            scope.spawn(|| assert_left_to(&second, trouble));
        }
    });
}

fn assert_left_to(second: &str, trouble: &Trouble) {
    if trouble.module().contains(' ') {
        // qpsmtpd's configuration has no way to write a blank.
        let path = trouble.module().trim_start_matches("cvm-local:");
        let _ = std::os::unix::fs::symlink(path, path.replace(' ', "_"));
    }
    let first = format!("auth_cvm modules {} timeout 700", trouble.module().replace(' ', "_"));
    let server = Qpsmtpd::start(&[&first]);
    let reply = server.login("PLAIN", "alice", "secret");
    assert_eq!(reply, refused("PLAIN", "alice", ""), "{trouble}");
    let log = server.log();
    assert!(log.contains("error: nothing can be told of this login: code "), "{trouble}: {log}");
    let server = Qpsmtpd::start(&[&first, second]);
    assert_eq!(server.login("LOGIN", "alice", "secret"), accepted("LOGIN", "alice"), "{trouble}");
}

#[test]
fn recipients_are_checked_by_a_module_in_lookup_mode() {
    let host = Host::new(&[&line("joe")]);
    let lookup = host.station(&[("CVM_LOOKUP_SECRET", "sesame")]);
    let secret = host.0.write("secret", "sesame\n");
    for mode in [Mode::Local, Mode::Udp] {
        let plugin = |more: &str| format!("auth_cvm lookup {} {more} message No such mailbox", lookup.module(mode));
        let recipients = ["recipients", "joe@a.example", "ann@a.example", "joe@elsewhere.example"];
        let right = ["250 <joe@a.example>, recipient ok", "550 No such mailbox"];
        let server = Qpsmtpd::start(&[&plugin(&format!("secret_file {secret}"))]);
        let replies = server.client(&recipients);
        assert_eq!(replies[..2], right, "{mode}");
        let asked = lookup.server().requests();
        assert_eq!(asked[asked.len() - 3..], ["+ joe@a.example", "- ann@a.example", "- joe@elsewhere.example"]);
        assert!(replies[2].starts_with("550 ") && replies[2].contains("elaying"), "{mode} {replies:?}");
        assert_eq!(server.client(&["offers"]), [""], "no login is offered");
        let server = Qpsmtpd::with_settings(&[&plugin("")], &[("CVM_LOOKUP_SECRET", "sesame")]);
        assert_eq!(server.client(&recipients)[..2], right, "{mode}");
        // With another secret, or none, nothing can be told.
        let server = Qpsmtpd::start(&[&plugin("")]);
        for reply in server.client(&recipients) {
            assert!(reply.starts_with("450 cannot be checked now"), "{mode} {reply}");
        }
    }
    let server = Qpsmtpd::start(&["auth_cvm lookup cvm-local:/nowhere"]);
    assert!(server.client(&["recipients", "joe@a.example"])[0].starts_with("450 "));
}

#[test]
fn mistakes_in_its_line_are_told_and_nothing_is_served() {
    let secrets = Folder::new();
    let long = secrets.write("long", "x".repeat(256));
    let told_of_long = format!("secret_file {long}: expected up to 255 bytes");
    let long = format!("auth_cvm lookup cvm-local:/a secret_file {long}");
    let domain = format!("domain {}", "x".repeat(256));
    let long_domain = format!("auth_cvm modules cvm-local:/a {domain}");
    let told_of_domain = format!("{domain}: expected up to 255 bytes");
    for (line, told) in [
        ("auth_cvm", "modules or lookup is missing, expected cvm-local:PATH"),
        ("auth_cvm modules cvm-unix", "modules cvm-unix: expected cvm-local:PATH"),
        ("auth_cvm modules cvm-local:/a,,cvm-local:/b", "modules cvm-local:/a,,cvm-local:/b: expected"),
        ("auth_cvm modules cvm-udp:h:65536", "modules cvm-udp:h:65536: expected"),
        ("auth_cvm modules cvm-local:/a mechanisms plain,digest-md5", "mechanisms plain,digest-md5: expected plain"),
        ("auth_cvm modules cvm-local:/a timeout 1s", "timeout 1s: expected milliseconds"),
        ("auth_cvm modules cvm-local:/a random_bytes 256", "random_bytes 256: expected a number"),
        ("auth_cvm modules cvm-local:/a unscoped no", "unscoped no: expected deny or declined"),
        ("auth_cvm lookup cvm-local:/a secret_file /none", "secret_file /none: "),
        (&long, &told_of_long),
        (&long_domain, &told_of_domain),
        ("auth_cvm modules cvm-local:/a message", "message: expected a text"),
        ("auth_cvm socket /a", "socket: expected one of domain, lookup"),
    ] {
        let folder = configured(&[line]);
        let forkserver = tool("qpsmtpd-forkserver", "qpsmtpd");
        let (config, port) = (folder.path("config"), free_port().to_string());
        let arguments = ["-l", "127.0.0.1", "-p", &port, "-u", "root"];
        let settings = [("QPSMTPD_CONFIG", config.as_str())];
        let finished = run(&mut command(forkserver.to_str().expect("UTF-8"), &arguments, &settings), b"");
        let message = String::from_utf8_lossy(&finished.stderr);
        assert!(message.contains(&format!("auth_cvm: {told}")), "{line}: {message}");
        assert!(!matches!(finished.end, End::Exit(0) | End::TimeOut), "{line}: {finished:?}");
    }
}

#[test]
fn its_own_plugin_for_cvm_speaks_version_1_to_our_module() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let socket = station.folder().path("socket");
    let server =
        Qpsmtpd::start(&[&format!("auth/auth_cvm_unix_local cvm_socket {socket} enable_smtp yes enable_ssmtp yes")]);
    assert_eq!(server.client(&["offers"]), ["LOGIN PLAIN"]);
    for mechanism in ["LOGIN", "PLAIN"] {
        let logins = [("alice", "secret"), ("alice@ex.com", "secret"), ("alice", "wrong"), ("mallory", "secret")];
        let replies = server.logins(&logins.map(|(user, password)| [mechanism, user, password]));
        assert!(replies[0].starts_with(&accepted(mechanism, "alice")), "{replies:?}");
        for (reply, code) in replies.iter().zip(["235 ", "235 ", "535 ", "535 "]) {
            assert!(reply.starts_with(code), "{replies:?}");
        }
    }
    let each = ["+ alice@localhost", "+ alice@ex.com", "- alice@localhost", "- mallory@localhost"];
    assert_eq!(station.server().requests(), [each, each].concat());
}

#[test]
fn its_plugin_for_checkpassword_runs_our_client() {
    let id = |option| run(&mut command("/usr/bin/id", &[option], &[]), b"").output().trim().to_owned();
    let table = format!("alice:secret:{}:{}:Alice:/:/bin/sh\n", id("-u"), id("-g"));
    let station = Station::start(Make::Ours, &table, &[]);
    let program = Make::Ours.program("cvm-checkpassword");
    let folder = Folder::new();
    let checkpw = folder.script("checkpw", &format!("exec '{program}' {} \"$@\"", station.module(Mode::Local)));
    // Only of a file of this mode does the plugin believe that it can run without sudo.
    fs::set_permissions(&checkpw, std::os::unix::fs::PermissionsExt::from_mode(0o4711)).expect("it is ours");
    let server = Qpsmtpd::start(&[&format!("auth/auth_checkpassword checkpw {checkpw} true /bin/true")]);
    for mechanism in ["LOGIN", "PLAIN"] {
        assert!(server.login(mechanism, "alice", "secret").starts_with(&accepted(mechanism, "alice")));
        assert!(server.login(mechanism, "alice", "wrong").starts_with("535 "));
    }
    // qpsmtpd loads plugins before it forks and afterwards, so whoever declines is asked twice.
    assert_eq!(station.server().requests(), ["+ alice", "- alice", "- alice"].repeat(2));
}
