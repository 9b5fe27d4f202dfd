//! What holds for any bytes: the body of the fuzz target.

use super::lines::Lines;
use super::login::Login;
use super::record::Record;
use super::service::{Flags, Service};
use crate::password::Comparison;

/// Takes bytes for a login, a line, limits and a whole table.
pub(crate) fn check(account: &[u8], domain: &[u8], rest: &[u8]) {
    let login = Login::of(account, domain);
    check_login(&login);
    check_line(rest);
    check_limits(rest);
    if let Ok(lines) = crate::cdb::of_bytes(rest).and_then(|table| Lines::of_table(&table, &login.user)) {
        assert!(lines.account.is_none_or(|line| Record::parse(&line).is_some()), "what is found is an account");
        let is_usable = |line: &[u8]| Record::parse(line).is_some_and(|record| record.is_usable());
        assert!(lines.decoy.is_none_or(|line| is_usable(&line)), "a decoy can be compared with");
    }
}

fn check_login(login: &Login) {
    let names = [&login.user, &login.domain];
    assert!(names.iter().all(|name| !name.iter().any(u8::is_ascii_uppercase)), "names are in lower case");
    let is_safe = |name: &[u8]| !name.is_empty() && !name.iter().any(|byte| b":\n\0@%".contains(byte));
    assert!(!login.has_user() || is_safe(&login.user), "a user is one of a line");
    assert!(!login.has_domain() || is_safe(&login.domain), "a domain is one of an assignment");
}

fn check_line(line: &[u8]) {
    let Some(record) = Record::parse(line) else {
        return;
    };
    let (fields, stored) = ([record.realname, record.directory, record.hash], Comparison::Crypt.read(record.hash));
    assert!(!fields.concat().iter().any(|byte| b":\n\0".contains(byte)), "a field ends at a colon");
    assert!(!record.directory.is_empty() && record.clear_text != Some(b""), "what is there is not empty");
    assert!(stored.is_err() || !record.hash.starts_with(b"{"), "the name of a scheme is dropped");
}

fn check_limits(text: &[u8]) {
    let limits = Flags::of_limits(text);
    for (service, name) in [
        (Service::Pop, "disable_pop"),
        (Service::Imap, "disable_imap"),
        (Service::Smtp, "disable_smtp"),
        (Service::Webmail, "disable_webmail"),
    ] {
        let more = Flags::of_limits(&[text, b"\n", name.as_bytes()].concat());
        assert!(!more.allows(service), "every line counts");
        let account = Flags::of_account(0);
        assert_eq!(account.within(limits).allows(service), limits.allows(service), "limits are those of the accounts");
        assert!(Flags::of_account(0x2000).within(more).allows(service), "unless they have none");
    }
}
