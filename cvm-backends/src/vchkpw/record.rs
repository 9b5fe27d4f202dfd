//! Lines of `vpasswd`, in the file of that name and, from the first colon on, in `vpasswd.cdb`.

use super::service::Flags;
use crate::password::Comparison;
use crate::pwfile::Entry;

/// What a line says of an account.
#[derive(Clone, Copy)]
pub(super) struct Record<'l> {
    /// The stored password, without the name of a scheme.
    pub(super) hash: &'l [u8],
    pub(super) flags: Flags,
    pub(super) realname: &'l [u8],
    pub(super) directory: &'l [u8],
    /// The password in clear text, where vpopmail was built to store it.
    pub(super) clear_text: Option<&'l [u8]>,
}

impl<'l> Record<'l> {
    /// Reads a line, `name:hash:uid:gid:gecos:dir:quota`, perhaps with the password in clear text as one more field;
    /// `None` if it is no account.
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        // In a table it might have more than one line.
        let entry = Entry::parse(line).filter(|_| !line.contains(&b'\n'))?;
        Self::of(&entry)
    }

    /// Takes an account of passwd(5), whose shell is the quota and what follows it.
    pub(super) fn of(entry: &Entry<'l>) -> Option<Self> {
        let quota = entry.shell.iter().position(|&byte| byte == b':');
        let clear_text = quota.and_then(|end| entry.shell.get(end + 1..)).filter(|text| !text.is_empty());
        let record = Self {
            hash: without_scheme(entry.password),
            flags: Flags::of_account(entry.gid),
            realname: entry.gecos,
            directory: entry.directory,
            clear_text,
        };
        Some(record).filter(|record| !record.directory.is_empty())
    }

    /// Tells whether a password can be compared with the stored one.
    pub(super) fn is_usable(&self) -> bool {
        Comparison::Crypt.read(self.hash).is_ok()
    }
}

/// Drops the name of a scheme: for vpopmail what follows is a string of crypt(3), whatever the name says.
fn without_scheme(mut stored: &[u8]) -> &[u8] {
    while let Some(end) = stored.starts_with(b"{").then(|| stored.iter().position(|&byte| byte == b'}')).flatten() {
        stored = stored.get(end + 1..).unwrap_or_default();
    }
    stored
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(line: &str) -> Option<Record<'_>> {
        Record::parse(line.as_bytes())
    }

    fn hash(stored: &str) -> String {
        let line = format!("joe:{stored}:1:0:Joe:/d:NOQUOTA");
        String::from_utf8_lossy(record(&line).expect("an account").hash).into_owned()
    }

    #[test]
    fn a_line_of_vpasswd_is_read() {
        let line = "joe:$1$abc$x:1:10:Joe, the user:/home/vpopmail/domains/a.example/joe:10000000S,100C:sec:ret";
        let record = record(line).expect("an account");
        assert_eq!(record.hash, b"$1$abc$x");
        assert_eq!(record.flags, Flags::of_account(10));
        assert_eq!(record.realname, b"Joe, the user");
        assert_eq!(record.directory, b"/home/vpopmail/domains/a.example/joe");
        assert_eq!(record.clear_text, Some(&b"sec:ret"[..]));
    }

    #[test]
    fn clear_text_may_be_missing() {
        for line in ["joe:x:1:0::/d:NOQUOTA", "joe:x:1:0::/d:", "joe:x:1:0::/d:NOQUOTA:"] {
            assert_eq!(record(line).expect("an account").clear_text, None, "{line}");
        }
    }

    #[test]
    fn what_is_no_account_is_told_from_one() {
        for line in [
            "",
            "joe",
            "joe:x:1:0::/d",
            "joe:x:1:gid::/d:NOQUOTA",
            "joe:x:1:-1::/d:NOQUOTA",
            "joe:x::0::/d:NOQUOTA",
            "joe:x:1:4294967296::/d:NOQUOTA",
            "joe:x:1:0:::NOQUOTA",
            "joe:x:1:0:\n:/d:NOQUOTA",
            "joe:x:1:0:\0:/d:NOQUOTA",
            "#joe:x:1:0::/d:NOQUOTA",
            ":x:1:0::/d:NOQUOTA",
        ] {
            assert!(record(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn the_name_of_a_scheme_is_dropped_whatever_it_is() {
        for (stored, expected) in [
            ("{CRYPT}$6$salt$x", "$6$salt$x"),
            ("{PLAIN}secret", "secret"),
            ("{}abc", "abc"),
            ("{a}{PLAIN}secret", "secret"),
            ("{no end", "{no end"),
            ("ab{c}", "ab{c}"),
            ("{x}", ""),
            ("", ""),
        ] {
            assert_eq!(hash(stored), expected, "{stored}");
        }
    }

    #[test]
    fn no_stored_password_is_plain_text_to_a_comparison() {
        for stored in ["{PLAIN}secret", "{a}{CLEARTEXT}secret", "{{}PLAIN}secret", "secret", "", "*", "{PLAIN"] {
            let line = format!("joe:{stored}:1:0:Joe:/d:NOQUOTA:clear");
            assert!(!record(&line).expect("an account").is_usable(), "{stored}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(line in prop::collection::vec(prop_oneof![Just(b':'), any::<u8>()], 0..80)) {
            if let Some(record) = Record::parse(&line) {
                prop_assert!(!record.directory.is_empty() && !record.directory.contains(&b':'));
                prop_assert!(!line.contains(&0) && !line.contains(&b'\n'));
                prop_assert!(record.clear_text.is_none_or(|text| line.ends_with(text) && !text.is_empty()));
            }
        }

        #[test]
        fn what_vpopmail_writes_is_read_back(
            hash in "[./0-9A-Za-z$]{0,40}",
            gid in 0..0x8_0000_u32,
            gecos in "[^:\n\0]{0,64}",
            directory in "/[^:\n\0]{0,64}",
            clear in "[^:\n\0]{1,16}",
        ) {
            let line = format!("joe:{hash}:1:{gid}:{gecos}:{directory}:NOQUOTA:{clear}");
            let record = record(&line).expect("an account");
            prop_assert_eq!(record.hash, hash.as_bytes());
            prop_assert_eq!(record.flags, Flags::of_account(gid));
            prop_assert_eq!(record.realname, gecos.as_bytes());
            prop_assert_eq!(record.directory, directory.as_bytes());
            prop_assert_eq!(record.clear_text, Some(clear.as_bytes()));
        }
    }
}
