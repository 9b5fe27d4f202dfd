//! Modules in trouble, none of which may let anybody in.

use std::fmt;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::folder::Folder;
use crate::server::free_port;

/// A yes that was cut short.
const HALF: &[u8] = b"\0\0\x01\x03tim\x02\x011\x03\x01";

/// A module that gives no answer, or none that is one.
#[derive(Debug)]
pub struct Trouble {
    name: &'static str,
    module: String,
}

impl Trouble {
    /// Makes one of each kind in each contact mode.
    #[must_use]
    pub fn all(folder: &Folder) -> Vec<Self> {
        let command = |name, lines: &str| Self { name, module: format!("cvm-command:{}", folder.script(name, lines)) };
        vec![
            command("a dead command", "exit 0"),
            command("a silent command", "cat >/dev/null; exec sleep 30"),
            command("a command that talks garbage", "cat >/dev/null; echo hello"),
            command("a command that is killed", r"cat >/dev/null; printf '\0\0\001\003tim\002\0011\003'; kill -9 $$"),
            Self { name: "no socket", module: format!("cvm-local:{}", folder.path("nothing")) },
            dead_socket(folder),
            local(folder, "a silent server", Some),
            local(folder, "a server that hangs up", |stream| answered(stream, b"")),
            local(folder, "a server that talks garbage", |stream| answered(stream, b"hello")),
            local(folder, "a server that is killed", |stream| answered(stream, HALF)),
            Self { name: "a dead port", module: format!("cvm-udp:127.0.0.1:{}", free_port()) },
            udp("a silent port", |_| None),
            udp("a port that talks garbage", |_| Some(b"hello".to_vec())),
            udp("a port that cuts short", |tag| Some([b"\0", tag, &HALF[2..]].concat())),
        ]
    }

    /// Returns the name by which clients call the module.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A socket whose server was killed.
fn dead_socket(folder: &Folder) -> Trouble {
    let path = folder.path("dead");
    drop(UnixListener::bind(&path).expect("a socket"));
    Trouble { name: "a dead socket", module: format!("cvm-local:{path}") }
}

/// Reads a request and answers it; the connection is then over.
fn answered(mut stream: UnixStream, answer: &[u8]) -> Option<UnixStream> {
    let mut request = Vec::new();
    let _ = stream.read_to_end(&mut request);
    let _ = stream.write_all(answer);
    None
}

/// Serves a socket with what keeps the connections that stay open.
fn local(
    folder: &Folder,
    name: &'static str,
    answer: impl Fn(UnixStream) -> Option<UnixStream> + Send + 'static,
) -> Trouble {
    let path = folder.path(name);
    let listener = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || listener.incoming().map_while(Result::ok).filter_map(answer).collect::<Vec<_>>());
    Trouble { name, module: format!("cvm-local:{path}") }
}

/// Answers datagrams, if at all, knowing the length of the tag and the tag.
fn udp(name: &'static str, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Trouble {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let mut datagram = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let tag = datagram[1..length].split_at_checked(1 + usize::from(datagram[1])).unwrap_or_default().0;
            let _ = answer(tag).map(|answer| socket.send_to(&answer, from));
        }
    });
    Trouble { name, module: format!("cvm-udp:127.0.0.1:{port}") }
}
