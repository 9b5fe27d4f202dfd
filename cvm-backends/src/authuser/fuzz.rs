//! What must hold for any file and any record.

use cvm_core::SecretRef;
use zeroize::Zeroizing;

use super::claim::Claim;
use super::name::Name;
use super::table::{Found, Table};
use super::token::{Token, is_right};

pub(crate) fn check(record: &[u8], file: &[u8]) {
    let parsed = Claim::of_record(record);
    let is_record = record.len() <= 512 && record.iter().filter(|byte| **byte == 0).count() >= 2;
    assert_eq!(parsed.is_ok(), is_record, "two NULs in 512 bytes make a record");
    let Ok((name, claim)) = parsed else {
        return;
    };
    let passed_on = claim.record(&name).expect("a record fits in one");
    let passed_on = passed_on.as_ref().expose();
    assert!(passed_on.eq_ignore_ascii_case(record) && passed_on.starts_with(name.as_bytes()), "it is passed on whole");
    let table = Table::parse(Zeroizing::new(file.to_vec())).expect("memory suffices");
    match table.find(&name) {
        Found::Line(line) => {
            assert!(name.is_possible() && table.user(line).is_none_or(|user| is_called(&name, user)), "it is his line");
            check_token(table.token(line), &claim);
        }
        Found::Nobody { decoy } | Found::Meaningless { decoy } => {
            assert!(decoy.is_none_or(|line| table.token(line).is_usable()), "a decoy is one to be judged");
        }
    }
}

fn is_called(name: &Name, user: &[u8]) -> bool {
    name.as_bytes().eq_ignore_ascii_case(user)
}

fn check_token(token: Token<'_>, claim: &Claim<'_>) {
    match token {
        Token::Clear(text) => {
            let is_same = claim.password().is_some_and(|password| password.expose() == text);
            let may_respond = claim.response().is_some();
            assert!(is_same == is_right(text, claim) || may_respond, "plain text is compared byte by byte");
            assert!(!text.is_empty(), "an empty password is nobody's");
        }
        Token::Digest(digest) => {
            let is_right = |password: &[u8]| digest.is_of(SecretRef::new(password));
            // That some digest is its own text would be news.
            let password = claim.password().map(SecretRef::expose).unwrap_or_default();
            assert!(!(password.starts_with(b"%") && is_right(password)), "what is stored is no password");
        }
        Token::Meaningless => panic!("nobody has such a line"),
        Token::System { .. } | Token::Helper(_) => {}
    }
}
