//! The bodies of the fuzz targets: what must hold for any bytes.

use cvm_core::SecretRef;

use crate::password::{Comparison, Stored};

/// A record and a file of authuser: the first two bytes are the length of the former, which follows.
///
/// # Panics
///
/// If something does not hold.
pub fn authuser(data: &[u8]) {
    let Some((&[high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let length = u16::from_be_bytes([high, low]);
    let (record, file) = rest.split_at(rest.len().min(length.into()));
    crate::authuser::fuzz::check(record, file);
}

/// A table and a key that is sought in it: the first byte is the length of the latter, which follows.
///
/// # Panics
///
/// If something does not hold.
pub fn cdb(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else {
        return;
    };
    let (key, table) = rest.split_at(rest.len().min(length.into()));
    let Ok(opened) = crate::cdb::of_bytes(table) else {
        return;
    };
    let found = opened.find(key).ok().flatten();
    let decoy = opened.decoy(key, |key, value| Some([key, value].concat())).ok().flatten();
    let last = table.last().copied().unwrap_or_default();
    let spare = opened.decoy_or_spare(key, |value| value.first() == Some(&last)).ok().flatten();
    assert!(spare.as_ref().is_none_or(|spare| spare.first() == Some(&last)), "what stands in fits");
    opened.read_in_vain(key);
    opened.keep().expect("nobody writes to it");
    opened.reader().fetch(key);
    // In memory it is seen at once that a long record has another key.
    assert!(found.is_none() || opened.find(key).ok().flatten() == found, "what is kept is what was read");
    for found in found.as_deref().into_iter().chain(&decoy).chain(spare.as_deref()) {
        let holds = found.is_empty() || table.windows(found.len()).any(|part| part == found.as_slice());
        assert!(holds, "a value is a part of the table");
    }
}

/// An account, a domain, and what is taken for a line of vpopmail, for limits and for a whole table: two bytes are the
/// lengths of the former, which follow them.
///
/// # Panics
///
/// If something does not hold.
pub fn vchkpw(data: &[u8]) {
    let Some((&[account, domain], rest)) = data.split_first_chunk() else {
        return;
    };
    let (account, rest) = rest.split_at(rest.len().min(account.into()));
    let (domain, rest) = rest.split_at(rest.len().min(domain.into()));
    crate::vchkpw::check(account, domain, rest);
}

/// A record of vmailmgr's table, or a whole table, a key and a new password: two bytes are the lengths of the latter,
/// which follow them.
///
/// # Panics
///
/// If something does not hold.
pub fn vmailmgr(data: &[u8]) {
    let Some((&[key, password], rest)) = data.split_first_chunk() else {
        return;
    };
    let (key, rest) = rest.split_at(rest.len().min(key.into()));
    let (password, rest) = rest.split_at(rest.len().min(password.into()));
    crate::vmailmgr::check(rest, password);
    crate::cdb::edit::check(rest, key, password);
}

/// A file of passwd(5) lines and a name that is sought in it: the first byte is the length of the latter, which follows.
///
/// # Panics
///
/// If something does not hold.
pub fn passwd(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else {
        return;
    };
    let (name, file) = rest.split_at(rest.len().min(length.into()));
    crate::pwfile::check(name, file);
}

/// A stored password and one that is compared with it: the first byte is the length of the latter, which follows.
///
/// What is costly is recognised, but not computed.
///
/// # Panics
///
/// If something does not hold.
pub fn stored(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else {
        return;
    };
    let (password, stored) = rest.split_at(rest.len().min(length.into()));
    let plain = Comparison::Plain.read(stored).is_ok_and(|plain| matches(&plain, password));
    assert_eq!(plain, password == stored && !password.is_empty(), "plain text is compared byte by byte");
    let (crypt, auto) = (Comparison::Crypt.read(stored), Comparison::Auto.read(stored));
    assert_eq!(crypt.err(), auto.err(), "the two recognise the same forms");
    let (Ok(crypt), Ok(auto)) = (crypt, auto) else {
        return;
    };
    assert_eq!(crypt.plain_text(), None, "hashed passwords answer no challenges");
    if !auto.is_cheap() {
        return;
    }
    let right = matches(&auto, password);
    assert_eq!(right, matches(&crypt, password), "a comparison has one result");
    assert!(!(right && password.is_empty()), "an empty password is never right");
    if let Some(text) = auto.plain_text() {
        assert_eq!(right, password == text && !password.is_empty(), "so is plain text with a scheme");
    }
}

/// A template of a statement.
///
/// # Panics
///
/// If something does not hold.
pub fn sql(data: &[u8]) {
    crate::sql::check(data);
}

fn matches(stored: &Stored<'_>, password: &[u8]) -> bool {
    stored.matches(SecretRef::new(password)).expect("memory and libcrypt suffice for what is cheap")
}

#[cfg(test)]
mod tests {
    #[test]
    fn whoever_may_log_in_is_found_by_the_body() {
        let file = "joe:secret\nann:%5ebe2294ecd0e0f08eab7690d2a6ee69\n!bob:\nbob:secret\n@x.org:?\neve:x\n";
        for record in
            ["joe\0secret\0", "ann\0%5ebe\0\0", "Bob\0\0", "J@X.org\0secret\0<t>\0", "eve\0x\0", "joe\0secret"]
        {
            let length = u16::try_from(record.len()).unwrap().to_be_bytes();
            super::authuser(&[&length, record.as_bytes(), file.as_bytes()].concat());
        }
        super::authuser(b"");
    }

    #[test]
    fn every_account_of_a_file_is_found_by_the_body() {
        let lines = "alice:secret:1001:0001002:Alice Rig,Room 1:/home/alice:/bin/sh\n#bob:x:1:1:::\nALICE:x:1:1:::\n";
        for more in ["", "carol:x:1:1:::/bin:sh", "dave:x:4294967295:1:::\n", "eve::1:1:::\n:x:1:1:::\nx:1:1:::"] {
            for name in ["alice", "Carol", "nobody", ""] {
                let length = u8::try_from(name.len()).unwrap();
                super::passwd(&[&[length], name.as_bytes(), lines.as_bytes(), more.as_bytes()].concat());
            }
        }
        super::passwd(b"");
    }

    #[test]
    fn the_body_holds_for_what_it_is_made_for() {
        for stored in ["secret", "{PLAIN}secret", "./17m29LFAflg", "$2b$31$", "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+"]
        {
            super::stored(format!("\u{6}secret{stored}").as_bytes());
            super::stored(format!("\0{stored}").as_bytes());
        }
        super::stored(b"");
        super::cdb(b"");
        super::cdb(&[&b"\x03one"[..], &[0; 2048]].concat());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.cdb");
        crate::cdb::made(&path, &[(b"one".to_vec(), b"\0 1".to_vec()), (b"two".to_vec(), b"2".to_vec())]);
        let table = std::fs::read(&path).unwrap();
        super::cdb(&[b"\x03one", &table[..]].concat());
        super::cdb(&[b"\x03six", &table[..], b"2"].concat());
        super::vchkpw(b"\x0d\0Joe@a.Examplejoe:{CRYPT}./17m29LFAflg:1:8192:Joe:/v/joe:NOQUOTA:clear");
        super::vchkpw(b"\x03\x09joea.example# ours\ndisable_pop: 1\n");
        super::vchkpw(b"\x03");
        super::vmailmgr(b"\x03\x03joenew\x02\x08\x01\0$0$old\0./joe\0\0\0-\0-\0-\0-\x000\0-\0");
        super::vmailmgr(b"\x03\x03joenew:old:./joe");
        super::vmailmgr(b"\x03");
        super::sql(b"select $account, '$$' -- $x");
    }
}
