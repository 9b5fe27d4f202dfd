//! Accounts in real databases: SQLite, PostgreSQL and MariaDB.

mod answers;
mod bursts;
mod connections;
mod failover;
mod hostile;
mod original;
mod outages;

use std::net::{Ipv4Addr, SocketAddr};

use cvm_tests::contact::{Answer, Contact};
use cvm_tests::database::{Database, Kind};
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, PASSWORD};
use cvm_tests::programs::Make;
use cvm_tests::server::{Server, free_port};

/// The columns that mean something.
const COLUMNS: &str = "password, username, userid, groupid, directory, realname, shell, groupname, domain, sys_username, \
                       sys_directory, mailbox";

/// Hashes of `secret`.
const CRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

/// The table of the manual, with ids of this type.
fn table(ids: &str) -> String {
    // Bytes alone decide; MySQL compares without regard to case and trailing blanks otherwise.
    format!(
        "create table accounts (username varchar(255), domain varchar(100), password varchar(200), userid {ids}, \
         groupid {ids}, directory varchar(200), realname varchar(100), shell varchar(100), groupname varchar(100), \
         sys_username varchar(100), sys_directory varchar(100), mailbox varchar(100), seen integer default 0);"
    )
}

const ROWS: &str = "\
insert into accounts values ('alice','ex.com','secret','1001','1002','/home/alice','Alice Rig','/bin/sh','users','sysal','/sys/al','./Maildir/',0);
insert into accounts (username,domain,password,userid,groupid,directory) values ('bob','ex.com','secret','1003','1004','/home/bob');
insert into accounts (username,domain,password,userid,groupid,directory) values ('nullpw','ex.com',NULL,'1','1','/');
insert into accounts (username,domain,password,userid,groupid,directory) values ('emptypw','ex.com','','1','1','/');
insert into accounts (username,domain,password,userid,groupid,directory) values ('nulluid','ex.com','secret',NULL,'1','/');
insert into accounts (username,domain,password,userid,groupid,directory) values ('nulldir','ex.com','secret','1','1',NULL);
insert into accounts (username,domain,password,userid,groupid,directory) values ('dup','ex.com','secret','10','1','/one');
insert into accounts (username,domain,password,userid,groupid,directory) values ('dup','ex.com','secret','11','1','/two');
insert into accounts (username,domain,password,userid,groupid,directory,realname,shell) values ('empties','ex.com','secret','1','1','','','');
insert into accounts (username,domain,password,userid,groupid,directory) values ('nodomain','','secret','14','1','/nd');
";

/// A database with the accounts.
fn database(kind: Kind, ids: &str) -> Database {
    let database = Database::start(kind, &[]);
    database.sql(&[&table(ids), ROWS].concat());
    database
}

/// A module over UDP.
struct Asked {
    server: Server,
    contact: Contact,
}

impl Asked {
    fn start(database: &Database, settings: &[(&str, &str)]) -> Self {
        Self::of(Make::Ours, database, settings)
    }

    /// Settings without a prefix are those of the module.
    fn of(make: Make, database: &Database, settings: &[(&str, &str)]) -> Self {
        let named = |(name, value): &(&str, &str)| {
            let is_own = matches!(*name, "QUERY" | "PWCMP" | "POSTQ" | "TIMEOUT");
            (if is_own { database.kind().setting(name) } else { (*name).to_owned() }, (*value).to_owned())
        };
        let settings: Vec<_> = database.settings().into_iter().chain(settings.iter().map(named)).collect();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let port = free_port();
        let endpoint = format!("cvm-udp:127.0.0.1:{port}");
        let server = Server::start_module(make, database.kind().module(), &[&endpoint], &settings);
        Self { server, contact: Contact::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) }
    }

    fn ask(&self, account: &[u8], domain: &[u8], password: &[u8]) -> Answer {
        self.contact.ask(&packet::v2(2, b"T", &[(ACCOUNT, account), (DOMAIN, domain), (PASSWORD, password)]))
    }

    /// Asks, and returns the code.
    fn code(&self, account: &str, password: &str) -> u8 {
        self.ask(account.as_bytes(), b"ex.com", password.as_bytes()).expect("an answer")[0]
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.server.errors()).into_owned()
    }
}
