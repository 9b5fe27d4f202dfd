//! Control files: read and parsed once, and again when a look shows that they changed.

use std::io;
use std::path::PathBuf;

use cvm_core::answer::Patience;
use foldhash::{HashMap, HashSet};

use super::Rules;
use crate::Notices;
use crate::halt::Halt;
use crate::watched::Watched;

/// A control file and what it says; one that is missing says nothing.
pub(crate) struct Control<T>(Watched<T>);

/// Domains in lower case.
pub(super) type Domains = HashSet<Vec<u8>>;

/// Domains or addresses in lower case, and what is put before the users of each.
#[derive(Default)]
pub(super) struct Prepends {
    by_key: HashMap<Vec<u8>, Vec<u8>>,
    has_addresses: bool,
}

impl Prepends {
    /// Returns what is put before the users of a domain, or before the user of an address.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.by_key.get(key).map(Vec::as_slice)
    }

    /// Tells whether any address is there.
    pub(super) const fn has_addresses(&self) -> bool {
        self.has_addresses
    }

    fn take(&mut self, rules: Rules, key: Vec<u8>, prepend: Vec<u8>) {
        self.has_addresses |= key.contains(&b'@');
        match rules {
            Rules::Original => drop(self.by_key.entry(key).or_insert(prepend)),
            Rules::Qmail => drop(self.by_key.insert(key, prepend)),
        }
    }
}

impl<T: Send + Sync + 'static> Control<T> {
    pub(crate) fn open(path: PathBuf, notices: Notices, parse: impl Fn(&[u8]) -> T + Send + Sync + 'static) -> Self {
        Self(Watched::open_optional(path, notices, move |bytes| Ok(parse(&bytes))))
    }

    /// Looks whether the file has changed, with one `stat`.
    pub(crate) fn refresh(&self) {
        self.0.refresh();
    }

    /// Reads the file again, changed or not.
    pub(crate) fn reload(&self) {
        self.0.reload();
    }

    /// Lets those go on who can wait for a newer version; others only if there is none.
    pub(crate) fn catch_up(&self, patience: Patience) -> Result<(), Halt> {
        match patience {
            Patience::Immediate if self.0.is_due() => Err(Halt::Waits),
            Patience::Immediate => Ok(()),
            Patience::Blocking => {
                self.0.catch_up();
                Ok(())
            }
        }
    }

    /// Makes something of what the file said when it was last read, `None` if there was no such file. A newer version
    /// does not take its place before that is done.
    pub(crate) fn with<R>(&self, make: impl FnOnce(Option<&T>) -> R) -> io::Result<R> {
        self.0.with_last(|last| match last {
            Ok(version) => Ok(make(Some(version))),
            Err(io::ErrorKind::NotFound) => Ok(make(None)),
            Err(kind) => Err(kind.into()),
        })
    }
}

/// Returns the lines that say something. The original cuts blanks off both of their ends, qmail off the last one.
fn lines(rules: Rules, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split(|&byte| byte == b'\n').map(move |line| match rules {
        Rules::Original => line.trim_ascii(),
        Rules::Qmail => without_trailing_blanks(line),
    });
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let length = line.iter().rposition(|&byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    line.get(..length).unwrap_or_default()
}

/// Reads a file that says one thing, in its first line. The original takes that as it is; for it an empty file is none.
pub(super) fn single(rules: Rules, bytes: &[u8]) -> Option<Vec<u8>> {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match rules {
        Rules::Original => (!bytes.is_empty()).then(|| line.to_vec()),
        Rules::Qmail => Some(without_trailing_blanks(line).to_vec()),
    }
}

/// Reads a list of domains.
pub(super) fn domains(rules: Rules, bytes: &[u8]) -> Domains {
    lines(rules, bytes).map(<[u8]>::to_ascii_lowercase).collect()
}

/// Reads lines of domain, colon, prepend. Of two for one domain the original takes the first, qmail the last.
pub(super) fn prepends(rules: Rules, bytes: &[u8]) -> Prepends {
    let mut map = Prepends::default();
    for line in lines(rules, bytes) {
        let Some(at) = memchr::memchr(b':', line) else {
            continue;
        };
        let (domain, prepend) = line.split_at(at);
        let (domain, prepend) = (domain.to_ascii_lowercase(), prepend.get(1..).unwrap_or_default().to_vec());
        map.take(rules, domain, prepend);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Rules; 2] = [Rules::Original, Rules::Qmail];

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for rules in BOTH {
            let expected = ["a.example", "b.example"].map(|domain| domain.as_bytes().to_vec());
            assert_eq!(domains(rules, b"# one\n\nA.example \t\n  \n#\nb.EXAMPLE"), expected.into_iter().collect());
            assert!(domains(rules, b"").is_empty());
        }
    }

    #[test]
    fn qmail_keeps_leading_blanks() {
        assert!(domains(Rules::Original, b" a \n").contains(&b"a"[..]));
        assert!(domains(Rules::Qmail, b" a \n").contains(&b" a"[..]));
        // Only blanks and tabs end a line.
        assert!(domains(Rules::Qmail, b"a\r\n").contains(&b"a\r"[..]));
    }

    #[test]
    fn of_two_lines_the_first_counts_for_the_original_and_the_last_for_qmail() {
        for (rules, expected) in [(Rules::Original, b"one"), (Rules::Qmail, b"two")] {
            let map = prepends(rules, b"X.example:one\nno colon\nx.example:two\n:all\nempty.example:\na:b:c\n");
            assert_eq!(map.get(b"x.example"), Some(&expected[..]));
            assert_eq!(map.get(b""), Some(&b"all"[..]));
            assert_eq!(map.get(b"empty.example"), Some(&b""[..]));
            assert_eq!(map.get(b"a"), Some(&b"b:c"[..]));
            assert_eq!(map.by_key.len(), 4);
            assert!(!map.has_addresses() && prepends(rules, b"joe@x.example:joe\n").has_addresses());
        }
    }

    #[test]
    fn a_single_value_is_the_first_line() {
        for (text, original, qmail) in [
            ("host.example \nother\n", Some("host.example "), Some("host.example")),
            ("# ours\nhost.example\n", Some("# ours"), Some("# ours")),
            ("\nhost.example\n", Some(""), Some("")),
            ("host.example", Some("host.example"), Some("host.example")),
            ("", None, Some("")),
        ] {
            let read = |rules| single(rules, text.as_bytes()).map(|line| line.escape_ascii().to_string());
            assert_eq!(read(Rules::Original).as_deref(), original, "{text:?}");
            assert_eq!(read(Rules::Qmail).as_deref(), qmail, "{text:?}");
        }
    }

    #[test]
    fn a_missing_file_says_nothing_and_one_that_comes_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let (notices, said) = crate::testing::Said::new();
        let path = folder.path().join("locals");
        let control = Control::open(path.clone(), notices, |bytes| domains(Rules::Original, bytes));
        control.refresh();
        assert!(control.with(|domains| domains.is_none()).expect("no error"));
        std::fs::write(&path, "a.example\n").expect("written");
        control.refresh();
        assert_eq!(control.with(|domains| domains.map(HashSet::len)).expect("no error"), Some(1));
        assert_eq!(said.take(), [""; 0]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let (notices, said) = crate::testing::Said::new();
        let control = Control::open(folder.path().to_owned(), notices, |bytes| domains(Rules::Original, bytes));
        assert!(control.with(|_| ()).is_err());
        assert_eq!(said.take().len(), 1);
    }
}
