//! Many requests at once: databases are asked for several together, and each answer is the answer to its request.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cvm_tests::contact::{Contact, receive_from};
use cvm_tests::database::{Database, Kind};
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, PASSWORD};
use cvm_tests::process::LIMIT;
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::{Server, free_port};

use super::{Asked, COLUMNS, table};

const ACCOUNTS: usize = 200;

/// Returns how many requests are under way at a time. The blocking driver has a thread for each, and so a connection, of
/// which databases have no more than they are told.
fn burst() -> usize {
    if std::env::var("CVM_TEST_RUNTIME").is_ok_and(|runtime| runtime == "blocking") { 8 } else { 64 }
}

fn with_accounts(kind: Kind) -> Database {
    let database = Database::start(kind, &[]);
    let insert = |number: usize| {
        format!(
            "insert into accounts (username,domain,password,userid,groupid,directory) values \
             ('user{number}','ex.com','pass{number}',{},1,'/home/{number}');",
            1000 + number
        )
    };
    database.sql(&[table("integer"), (0..ACCOUNTS).map(insert).collect()].concat());
    database
}

/// Sends requests together, and returns their answers by number.
fn ask_together(asked: &Asked, requests: &[(String, String)]) -> BTreeMap<usize, Vec<u8>> {
    let Contact::Udp(server) = asked.contact else { panic!("over UDP") };
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a socket");
    socket.connect(server).expect("a local socket can be connected");
    let mut answers = BTreeMap::new();
    for (number, requests) in requests.chunks(burst()).enumerate() {
        for (index, (account, password)) in requests.iter().enumerate() {
            let tag = (number * burst() + index).to_string();
            let items = [(ACCOUNT, account.as_bytes()), (DOMAIN, b"ex.com"), (PASSWORD, password.as_bytes())];
            socket.send(&packet::v2(2, tag.as_bytes(), &items)).expect("a request can be sent");
        }
        for _ in requests {
            let (answer, _) = receive_from(&socket, LIMIT).expect("an answer");
            let tag_length = usize::from(answer[1]);
            let tag = std::str::from_utf8(&answer[2..2 + tag_length]).expect("a tag of ours");
            let facts = [&answer[..1], &answer[2 + tag_length..]].concat();
            assert!(answers.insert(tag.parse().expect("a number"), facts).is_none(), "an answer to each request");
        }
    }
    answers
}

#[test]
fn each_request_gets_its_own_answer() {
    for kind in Kind::ALL {
        let database = with_accounts(kind);
        let by_name = Asked::start(&database, &[]);
        let query = format!("select {COLUMNS} from accounts where userid=$account and domain=$domain");
        let by_number = Asked::start(&database, &[("QUERY", &query)]);
        let requests = |name: fn(usize) -> String| -> Vec<(String, String)> {
            let request = |number| match number % 5 {
                3 => (name(number), "wrong".to_owned()),
                // No number, and no account.
                4 => (format!("x'{number}"), format!("pass{number}")),
                _ => (name(number), format!("pass{number}")),
            };
            (0..ACCOUNTS * 5).map(|number| request(number % ACCOUNTS)).collect()
        };
        for (asked, name) in [
            (&by_name, (|number| format!("user{number}")) as fn(usize) -> String),
            (&by_number, |number| (1000 + number).to_string()),
        ] {
            for (index, answer) in ask_together(asked, &requests(name)) {
                let number = index % ACCOUNTS;
                let (code, directory) = (u8::from(number % 5 > 2) * 100, format!("/home/{number}"));
                assert_eq!(answer[0], code, "{kind:?} {number}: {}", asked.errors());
                let fact = packet::v2(0, b"", &[(5, directory.as_bytes())]);
                let tells = answer.windows(fact.len() - 3).any(|part| part == &fact[2..fact.len() - 1]);
                assert_eq!(tells, code == 0, "{kind:?} {number}");
            }
            assert_eq!(asked.errors(), "");
        }
    }
}

#[test]
fn what_follows_a_success_is_executed_once_for_each() {
    for kind in Kind::ALL {
        let database = with_accounts(kind);
        let asked = Asked::start(&database, &[("POSTQ", "update accounts set seen=seen+1 where username=$account")]);
        let requests: Vec<_> = (0..ACCOUNTS)
            .map(|number| {
                (format!("user{number}"), if number % 4 == 0 { "wrong".into() } else { format!("pass{number}") })
            })
            .collect();
        let answers = ask_together(&asked, &requests);
        assert!(answers.iter().all(|(number, answer)| (answer[0] == 100) == (number % 4 == 0)), "{kind:?}");
        assert_eq!(database.sql("select count(*) from accounts where seen=1;"), (ACCOUNTS * 3 / 4).to_string());
        assert_eq!(database.sql("select count(*) from accounts where seen=0;"), (ACCOUNTS / 4).to_string());
    }
}

/// A driver of a database that reserves memory for each connection must not end the process. The loop of mio bounds what
/// its threads take.
#[test]
fn a_burst_is_answered_within_a_limit_of_memory() {
    let softlimit = tool("softlimit", "daemontools").into_os_string().into_string().expect("UTF-8");
    for kind in Kind::ALL {
        let database = with_accounts(kind);
        let settings = database.settings();
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        settings.push(("CVM_RUNTIME", "mio"));
        let port = free_port();
        let (program, endpoint) = (Make::Ours.program(kind.module()), format!("cvm-udp:127.0.0.1:{port}"));
        let server = Server::start_program(&softlimit, &["-m", "64000000", &program, &endpoint], &settings);
        let asked = Asked { server, contact: Contact::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) };
        let requests: Vec<_> = (0..ACCOUNTS).map(|number| (format!("user{number}"), format!("pass{number}"))).collect();
        let answers = ask_together(&asked, &requests);
        assert!(answers.values().all(|answer| answer[0] == 0), "{kind:?} {}", asked.errors());
    }
}

/// Others ask all the time, so that something is always under way that saw the database as it was.
#[test]
fn a_change_is_seen_by_the_next_request_however_busy_it_is() {
    for kind in Kind::ALL {
        let database = with_accounts(kind);
        if kind == Kind::Sqlite {
            database.sql("pragma journal_mode=wal;");
        }
        let asked = Asked::start(&database, &[]);
        let is_over = AtomicBool::new(false);
        let requests: Vec<_> = (1..burst()).map(|number| (format!("user{number}"), format!("pass{number}"))).collect();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        assert!(ask_together(&asked, &requests).values().all(|answer| answer[0] == 0), "{kind:?}");
                    }
                });
            }
            let codes: Vec<_> = (0..20)
                .map(|turn| {
                    database.sql(&format!("update accounts set password='new{turn}' where username='user0';"));
                    [asked.code("user0", &format!("new{turn}")), asked.code("user0", "pass0")]
                })
                .collect();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(codes, [[0, 100]; 20], "{kind:?}");
        });
    }
}
