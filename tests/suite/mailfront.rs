//! SASL in mail software of another make: mailfront in front of our modules, with clients that others wrote.

use std::process::{Command, Stdio};
use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::base64::{decode, encode};
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::process::{End, LIMIT, Running, command, eventually, run};
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::free_port;
use cvm_tests::station::Station;
use cvm_tests::talk::Talk;
use rustix::process::{getegid, geteuid};

/// An account of whoever runs the tests, so that anybody can become it.
fn station(folder: &Folder) -> Station {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    Station::start(Make::Ours, &format!("tim:tanstaaf tanstaaf:{uid}:{gid}:Tim:{}:/bin/sh\n", folder.path("")), &[])
}

const PASSWORD: &str = "tanstaaf tanstaaf";

fn mailfront(program: &str, arguments: &[&str], settings: Settings<'_>) -> Command {
    let ucspi = [("PROTO", "TCP"), ("TCPLOCALHOST", "here.example"), ("TCPREMOTEIP", "192.0.2.1")];
    let path = tool(program, "mailfront");
    command(path.to_str().expect("UTF-8"), arguments, &[&ucspi, settings].concat())
}

fn smtp(settings: Settings<'_>) -> Talk {
    let mut talk = Talk::start(&mut mailfront("mailfront", &["smtp", "echo", "cvm-authenticate"], settings));
    talk.say("EHLO client.example");
    talk.hear_until("250 ");
    talk
}

/// Computes the 32 digits with a program that shares nothing with ours.
fn digits(challenge: &str, password: &str) -> String {
    let openssl = tool("openssl", "openssl");
    let arguments = ["dgst", "-md5", "-hmac", password];
    let finished = run(&mut command(openssl.to_str().expect("UTF-8"), &arguments, &[]), challenge.as_bytes());
    let output = finished.output();
    output.trim_end().rsplit(' ').next().filter(|digits| digits.len() == 32).expect("a digest").to_owned()
}

#[test]
fn smtp_clients_log_in_by_cram_md5_in_each_contact_mode() {
    let folder = Folder::new();
    let station = station(&folder);
    for mode in Mode::ALL {
        let module = station.module(mode);
        let mut talk = smtp(&[("CVM_SASL_CRAM_MD5", &module)]);
        for (user, password, reply) in
            [("tim", "wrong", "501 "), ("mallory", PASSWORD, "501 "), ("tim", PASSWORD, "235 ")]
        {
            talk.say("AUTH CRAM-MD5");
            let challenge = decode(&talk.hear_until("334 "));
            assert!(challenge.starts_with('<') && challenge.ends_with("@here.example>"), "{challenge}");
            talk.say(&encode(format!("{user} {}", digits(&challenge, password))));
            let said = talk.hear();
            assert!(said.starts_with(reply), "{mode} {user} {password}: {said}");
        }
        let told = String::from_utf8(talk.finish().stderr).expect("text");
        assert!(told.contains("SASL AUTH CRAM-MD5 username=tim\n"), "{told}");
    }
    let logged = station.server().requests();
    assert_eq!(logged, ["- tim@here.example", "- mallory@here.example", "+ tim@here.example"].repeat(2));
}

/// What cvm-sasltest tells of a login is what mailfront logs of it.
#[test]
fn logins_by_password_are_told_as_mailfront_tells_them() {
    let folder = Folder::new();
    let station = station(&folder);
    for mode in Mode::ALL {
        let module = station.module(mode);
        let settings = [("CVM_SASL_PLAIN", module.as_str())];
        let attempts = [
            format!("PLAIN {}", encode(format!("\0TIM@there.example\0{PASSWORD}"))),
            format!("plain {}", encode(format!("root\0tim\0{PASSWORD}"))),
            format!("LOGIN {}", encode("tim")),
        ];
        for attempt in attempts {
            let mut talk = smtp(&settings);
            talk.say(&format!("AUTH {attempt}"));
            talk.say(&encode(PASSWORD));
            let said = talk.hear_until("235 ");
            let theirs = String::from_utf8(talk.finish().stderr).expect("text");
            let password = format!("{}\r\n", encode(PASSWORD));
            let ours =
                run(&mut command(&Make::Ours.program("cvm-sasltest"), &[&attempt], &settings), password.as_bytes());
            assert_eq!(ours.end, End::Exit(0), "{ours:?}");
            let stderr = String::from_utf8(ours.stderr).expect("text");
            let line = stderr.lines().nth(1).and_then(|line| line.strip_prefix("cvm-sasltest: ")).expect("a line");
            assert!(theirs.lines().any(|told| told.ends_with(&format!(": {line}"))), "{said}: {line}: {theirs}");
        }
    }
}

#[test]
fn pop3_clients_log_in_and_are_served_as_the_account() {
    let folder = Folder::new();
    let station = station(&folder);
    let tell = ["sh", "-c", "echo \"$USER $HOME\"; pwd"];
    for mode in Mode::ALL {
        let module = station.module(mode);
        let settings = [("CVM_SASL_CRAM_MD5", module.as_str())];
        let mut talk =
            Talk::start(&mut mailfront("pop3front-auth", &[&[module.as_str()], &tell[..]].concat(), &settings));
        talk.hear_until("+OK");
        talk.say("AUTH CRAM-MD5");
        let challenge = decode(&talk.hear_until("+ "));
        talk.say(&encode(format!("tim {}", digits(&challenge, PASSWORD))));
        let home = folder.path("");
        let finished = talk.finish();
        let told = finished.output();
        let expected = format!("tim {home}\n{}\n", home.trim_end_matches('/'));
        assert!(finished.end == End::Exit(0) && told.ends_with(&expected), "{mode}: {finished:?}");
    }
}

/// Python's client takes the strongest mechanism that it is offered.
const LOGIN: &str = "
import smtplib, sys
port, user, password = sys.argv[1:]
with smtplib.SMTP('127.0.0.1', int(port), timeout=20) as server:
    server.ehlo()
    print(server.esmtp_features['auth'].strip())
    try:
        print(server.login(user, password, initial_response_ok=True)[0])
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
";

#[test]
fn a_client_of_python_logs_in_over_tcp() {
    let folder = Folder::new();
    let station = station(&folder);
    let (tcpserver, python) = (tool("tcpserver", "ucspi-tcp"), tool("python3", "python3"));
    let front = tool("mailfront", "mailfront");
    let script = folder.write("login.py", LOGIN);
    for (variable, offered) in [("CVM_SASL_CRAM_MD5", "CRAM-MD5"), ("CVM_SASL_PLAIN", "LOGIN PLAIN")] {
        let port = free_port().to_string();
        let module = station.module(Mode::Local);
        let front = front.to_str().expect("UTF-8");
        let arguments = ["-HRl", "here.example", "127.0.0.1", &port, front, "smtp", "echo", "cvm-authenticate"];
        let mut server = command(tcpserver.to_str().expect("UTF-8"), &arguments, &[(variable, &module)]);
        let _server = Running::start(server.stderr(Stdio::null()));
        let is_up = eventually(LIMIT, || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
        assert!(is_up, "nobody serves port {port}");
        for (password, reply) in [(PASSWORD, "235"), ("wrong", "501")] {
            let login = [script.as_str(), &port, "tim", password];
            let mut client = command(python.to_str().expect("UTF-8"), &login, &[]);
            let finished = cvm_tests::process::run_within(Duration::from_secs(30), &mut client, b"");
            assert_eq!(finished.output(), format!("{offered}\n{reply}\n"), "{finished:?}");
        }
    }
}
