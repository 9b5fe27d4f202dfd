//! `cvm-benchclient` and `cvm-v1benchclient`: as many requests as asked for, or up to the first failure.

use cvm_tests::contact::Mode;
use cvm_tests::process::{End, command, run};
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

const CLIENTS: [&str; 2] = ["cvm-benchclient", "cvm-v1benchclient"];

#[test]
fn each_request_is_asked_and_the_first_failure_ends_it() {
    for make in Make::ALL {
        for (client, mode) in CLIENTS.iter().flat_map(|client| [Mode::Local, Mode::Udp].map(|mode| (client, mode))) {
            let station = Station::start(Make::Ours, TABLE, &[]);
            let ask = |arguments: [&str; 4]| {
                let [count, account, domain, password] = arguments;
                let arguments = [count, &station.module(mode), account, domain, password];
                run(&mut command(&make.program(client), &arguments, &[]), b"")
            };
            let right = ask(["7", "alice", "ex.com", "secret"]);
            assert_eq!((right.end, right.stdout, right.stderr), (End::Exit(0), vec![], vec![]), "{make} {client}");
            ask(["7", "alice", "ex.com", "wrong"])
                .assert_complaint(100, &[client, "Authentication failed, error #100"]);
            // Accounts are not split.
            ask(["7", "alice@ex.com", "", "secret"]).assert_complaint(100, &["error #100"]);
            ask(["0", "alice", "", "secret"]).assert_complaint(1, &["0"]);
            ask(["2x", "alice", "", "secret"]).assert_complaint(1, &["2x"]);
            let expected = [vec!["+ alice@ex.com"; 7], vec!["- alice@ex.com", "- alice@ex.com"]].concat();
            assert_eq!(station.server().requests(), expected, "{make} {client} {mode}");
        }
    }
}

#[test]
fn without_enough_arguments_the_usage_is_told() {
    for client in CLIENTS {
        run(&mut command(&Make::Ours.program(client), &["3", "x"], &[]), b"").assert_complaint(1, &["usage:", "COUNT"]);
    }
}
