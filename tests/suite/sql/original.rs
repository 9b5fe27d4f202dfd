//! The answers of the original's modules on the same tables, beside ours.

use cvm_tests::database::Kind;
use cvm_tests::findings::Findings;
use cvm_tests::programs::Make;

use super::{Asked, COLUMNS, CRYPT, database};

/// Without those of whom the database has no id: the original's server never answers then.
const ACCOUNTS: [&str; 11] =
    ["alice", "bob", "nullpw", "emptypw", "dup", "empties", "nodomain", "mallory", "o'brien", "' or '1'='1", "a;b"];

fn agree(kind: Kind, ids: &str) {
    let database = database(kind, ids);
    database.sql(&format!(
        "insert into accounts (username,domain,password,userid,groupid,directory) values ('o''brien','ex.com','secret','7','8','/o');
         update accounts set password='{CRYPT}' where username='bob';"
    ));
    let query = format!("select {COLUMNS} from accounts where username=$account and domain=${{domain}}");
    let mut findings = Findings::new();
    for more in [("PWCMP", "plain"), ("PWCMP", "crypt"), ("CVM_LOOKUP_SECRET", "")] {
        let settings = [("QUERY", query.as_str()), more];
        let [ours, original] = Make::ALL.map(|make| Asked::of(make, &database, &settings));
        for account in ACCOUNTS {
            for domain in ["ex.com", "", "other.com", "x' or '1'='1"] {
                for password in ["secret", "wrong", "x' or '1'='1"] {
                    let ask = |asked: &Asked| asked.ask(account.as_bytes(), domain.as_bytes(), password.as_bytes());
                    let about = format!("{kind:?} {ids} {more:?} {account} {domain} {password}");
                    findings.answer(
                        about,
                        ask(&ours),
                        &ask(&original).unwrap_or_else(|error| {
                            panic!("{account} {domain} {password} {more:?}: {error}: {}", original.errors())
                        }),
                    );
                }
            }
        }
    }
    findings.assert_none();
}

#[test]
fn the_original_agrees_about_postgresql() {
    agree(Kind::Postgres, "integer");
    agree(Kind::Postgres, "text");
}

#[test]
fn the_original_agrees_about_mariadb() {
    agree(Kind::Mysql, "integer");
    agree(Kind::Mysql, "varchar(20)");
}

/// What MySQL reads of a name as a number decides there, and not here.
#[test]
fn the_original_takes_names_for_numbers() {
    let database = database(Kind::Mysql, "integer");
    database.sql("insert into accounts values ('root','','secret',0,0,'/root','','','','','','',0);");
    let query = format!("select {COLUMNS} from accounts where userid=$account");
    let settings = [("QUERY", query.as_str()), ("PWCMP", "plain")];
    let [ours, original] = Make::ALL.map(|make| Asked::of(make, &database, &settings));
    assert_eq!((ours.code("1001", "secret"), original.code("1001", "secret")), (0, 0));
    assert_eq!((ours.code("0x", "secret"), original.code("0x", "secret")), (100, 0));
}
