//! `cvm-testclient` and `cvm-v1testclient`: ask a module and print everything it says.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use cvm_core::client::{ClientRequest, Endpoint, ModuleList};
use cvm_core::wire::Reply;
use cvm_core::{Code, FactType, SecretRef};

use crate::asking;
use crate::program::{Program, Stopped, complain};

const V2: Program = Program {
    arguments: "MODULE[,MODULE...] ACCOUNT DOMAIN [PASSWORD]",
    about: "Asks CVM modules with protocol version 2 and prints the facts that they tell.",
    settings: asking::V2_SETTINGS,
    more_settings: asking::SETTINGS,
};

const V1: Program = Program {
    arguments: "MODULE ACCOUNT DOMAIN [CREDENTIAL]...",
    about: "Asks a CVM module with protocol version 1 and prints the facts that it tells.",
    settings: asking::SETTINGS,
    more_settings: &[],
};

/// The facts in the order in which they are printed.
const LINES: [(&str, FactType); 11] = [
    ("user name:        ", FactType::USERNAME),
    ("user ID:          ", FactType::USERID),
    ("group ID:         ", FactType::GROUPID),
    ("real name:        ", FactType::REALNAME),
    ("directory:        ", FactType::DIRECTORY),
    ("shell:            ", FactType::SHELL),
    ("group name:       ", FactType::GROUPNAME),
    ("system user name: ", FactType::SYS_USERNAME),
    ("system directory: ", FactType::SYS_DIRECTORY),
    ("domain:           ", FactType::DOMAIN),
    ("mailbox path:     ", FactType::MAILBOX),
];
const SUPPLEMENTARY: &str = "supp. group ID:   ";
const OUT_OF_SCOPE: &str = "out of scope:     ";

/// Runs `cvm-testclient`.
#[must_use]
pub fn main() -> u8 {
    V2.run(|arguments| {
        let (modules, account, domain, password) = match arguments {
            [modules, account, domain] => (modules, account, domain, [].as_slice()),
            [modules, account, domain, password] => (modules, account, domain, password.as_bytes()),
            _ => return Err(V2.usage()),
        };
        let modules = ModuleList::parse(modules.as_bytes())?;
        let reply =
            asking::ask_for_password(&modules, account.as_bytes(), domain.as_bytes(), SecretRef::new(password))?;
        if !reply.code.is_success() {
            complain(&format_args!("Authentication failed, {}", reply.code));
        }
        print(&reply, true)
    })
}

/// Runs `cvm-v1testclient`.
#[must_use]
pub fn main_v1() -> u8 {
    V1.run(|arguments| {
        let [module, account, domain, credentials @ ..] = arguments else {
            return Err(V1.usage());
        };
        let module = ModuleList::single(Endpoint::parse(module.as_bytes())?);
        let credentials: Vec<_> = credentials.iter().map(|credential| SecretRef::new(credential.as_bytes())).collect();
        let request = ClientRequest::v1(account.as_bytes(), domain.as_bytes(), &credentials)?;
        let reply = asking::ask(&module, &request)?;
        if !reply.code.is_success() {
            complain(&format_args!("Fatal: Authentication failed, {}", reply.code));
        }
        print(&reply, false)
    })
}

fn print(reply: &Reply, with_scope: bool) -> Result<Code, Stopped> {
    write(reply, with_scope, &mut io::stdout().lock())
        .map_err(|error| Stopped::Io(format!("standard output: {error}")))?;
    Ok(reply.code)
}

fn write(reply: &Reply, with_scope: bool, out: &mut impl Write) -> io::Result<()> {
    if !reply.code.is_success() {
        let scope = reply.facts.integer(FactType::OUT_OF_SCOPE).filter(|_| with_scope);
        return scope.map_or(Ok(()), |scope| writeln!(out, "{OUT_OF_SCOPE}{scope}"));
    }
    for (title, kind) in LINES {
        line(out, title, kind, reply.facts.get(kind).unwrap_or(b"(null)"))?;
    }
    for group in reply.facts.all(FactType::SUPP_GROUPID) {
        line(out, SUPPLEMENTARY, FactType::SUPP_GROUPID, group)?;
    }
    out.flush()
}

/// Prints strings as they came and numbers as numbers.
fn line(out: &mut impl Write, title: &str, kind: FactType, value: &[u8]) -> io::Result<()> {
    out.write_all(title.as_bytes())?;
    match cvm_core::parse_integer(value).filter(|_| kind.is_integer()) {
        Some(number) => writeln!(out, "{number}"),
        None => out.write_all(value).and_then(|()| out.write_all(b"\n")),
    }
}
