//! Dot-qmail files: whether there are instructions for an extension, and whether they leave mail to another module.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cvm_core::answer::Patience;

use super::Rules;
use super::homes::{self, BEGINNING, Homes, Names, Seen};
use super::users::Assigned;
use crate::stamp::{self, Stamp};

/// Who may write to a home or a file of instructions that qmail-local takes.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The mode of a home whose owner is at work in it.
const STICKY: u32 = 0o1000;

/// The largest file of instructions that is read.
const SIZE_MAX: u64 = 1024 * 1024;

/// What says how mail is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    /// This file.
    File(PathBuf),
    /// Nothing, and mail is delivered all the same.
    NotNeeded,
    /// Nothing, and mail is refused.
    Missing,
}

/// How files of instructions are looked at.
#[derive(Clone, Copy)]
pub(super) enum Access<'a> {
    /// They are there.
    Exists,
    /// The same, by who cannot wait and goes by what is remembered. Where a symbolic link leads is for those to see who
    /// can wait.
    AtOnce(&'a Homes),
    /// They can be opened, too.
    Opens,
}

/// Finds the instructions for an extension, or their default.
///
/// # Errors
///
/// `WouldBlock` for what has to be left to those who can wait.
pub(super) fn find(user: &Assigned, rules: Rules, access: Access<'_>) -> io::Result<Instructions> {
    let known = match rules {
        Rules::Original if user.dash().is_empty() => {
            return Ok(if user.rest().is_empty() { Instructions::NotNeeded } else { Instructions::Missing });
        }
        Rules::Original => {
            refuse_if(user.dash().len() > 1, "a dash of more than one byte")?;
            None
        }
        Rules::Qmail => check_home(user.home(), access)?,
    };
    let mut candidates = Candidates::new(user, rules);
    loop {
        let may_be_there = known.as_ref().is_none_or(|known| known.may_have(candidates.ending()));
        if may_be_there && counts(candidates.path(), rules, access)? {
            return Ok(Instructions::File(candidates.into_path()));
        }
        if candidates.advance().is_none() {
            return Ok(if user.dash().is_empty() { Instructions::NotNeeded } else { Instructions::Missing });
        }
    }
}

/// The paths of files in the order in which they are tried: that of the extension, then defaults for ever less of it.
///
/// The original takes what the table says as it is, and has a default for the lone dash only if that is a `-`.
struct Candidates {
    rules: Rules,
    /// The current one.
    path: Vec<u8>,
    /// Where the dash begins, behind what all names have, and where it ends.
    dash: usize,
    extension: usize,
    /// The next default keeps less of the path than this.
    before: usize,
}

impl Candidates {
    fn new(user: &Assigned, rules: Rules) -> Self {
        let (home, dash) = (user.home().as_os_str().as_bytes(), user.dash());
        let (of_table, rest) = (user.extension(), user.rest());
        let slash = if home.is_empty() || home.ends_with(b"/") { &b""[..] } else { b"/" };
        let mut path = [home, slash, BEGINNING, dash, of_table, rest].concat();
        let extension = path.len() - rest.len() - of_table.len();
        let ours = if rules == Rules::Original { path.len() - rest.len() } else { extension };
        make_safe(path.get_mut(ours..).unwrap_or_default());
        Self { rules, dash: extension - dash.len(), extension, before: path.len() + 1, path }
    }

    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    fn into_path(self) -> PathBuf {
        OsString::from_vec(self.path).into()
    }

    /// What makes the name another than that of other dot-qmail files.
    fn ending(&self) -> &[u8] {
        self.path.get(self.dash..).unwrap_or_default()
    }

    /// Goes on to the next one; `None` if there is none.
    fn advance(&mut self) -> Option<()> {
        self.before = (self.extension..self.before).rev().find(|&end| self.is_end(end))?;
        self.path.truncate(self.before);
        self.path.extend_from_slice(b"default");
        Some(())
    }

    /// Tells whether a default may keep the path up to here.
    fn is_end(&self, end: usize) -> bool {
        let last = self.path.get(self.dash..end).and_then(<[u8]>::last);
        last == Some(&b'-') || (self.rules == Rules::Qmail && end == self.extension)
    }
}

/// Capital letters and dots are not part of file names.
fn make_safe(extension: &mut [u8]) {
    for byte in extension {
        *byte = if *byte == b'.' { b':' } else { byte.to_ascii_lowercase() };
    }
}

/// Tells whether a file counts. For the original anything does that is there, for qmail regular files do.
fn counts(path: &Path, rules: Rules, access: Access<'_>) -> io::Result<bool> {
    let found = match access {
        Access::Exists => homes::look(path),
        Access::AtOnce(homes) => homes.look_at_file(path).and_then(not_a_link),
        Access::Opens => stamp::open_any(path).and_then(|file| Ok(Seen::of(&rustix::fs::fstat(&file)?))),
    };
    match (rules, found) {
        (Rules::Original, Ok(_)) => Ok(true),
        (Rules::Original, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        (Rules::Qmail, Ok(file)) if file.kind().is_file() => {
            refuse_if(file.permissions() & WRITABLE_BY_OTHERS != 0, "a file that others may write to")?;
            Ok(true)
        }
        (Rules::Qmail, Ok(_)) => Ok(false),
        (Rules::Qmail, Err(error)) if is_absent(&error) => Ok(false),
        (_, Err(error)) => Err(error),
    }
}

/// A link of its owner may lead to a host that is away.
fn not_a_link(found: Seen) -> io::Result<Seen> {
    if found.kind().is_symlink() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(found) }
}

/// Opens a file, whose owner may have made a link of it.
fn open(path: &Path, patience: Patience) -> io::Result<(File, Stamp)> {
    match stamp::open_unlinked(path) {
        Err(error) if !stamp::is_link(&error) => Err(error),
        Err(_) if patience == Patience::Immediate => Err(io::ErrorKind::WouldBlock.into()),
        Err(_) => stamp::open_linked(path),
        opened => opened,
    }
}

/// Returns the files of a home, if they are known. qmail-local would try again later where it has a mode that is not
/// safe.
fn check_home(home: &Path, access: Access<'_>) -> io::Result<Option<Names>> {
    let (seen, known) = match access {
        Access::AtOnce(homes) => homes.look(home).map(|found| (found.seen, Some((homes, found))))?,
        Access::Exists | Access::Opens => (homes::look(home)?, None),
    };
    refuse_if(!seen.kind().is_dir(), "no folder")?;
    refuse_if(seen.permissions() & WRITABLE_BY_OTHERS != 0, "a home that others may write to")?;
    refuse_if(seen.permissions() & STICKY != 0, "a home that is being worked on")?;
    Ok(known.and_then(|(homes, found)| homes.names(home, found)))
}

fn refuse_if(is_so: bool, what: &'static str) -> io::Result<()> {
    if is_so { Err(io::Error::other(what)) } else { Ok(()) }
}

/// Tells whether an error means that there is no such file, now and later.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG, Errno::NXIO].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| absent.contains(&error))
}

/// Tells whether instructions run one of these programs: the first word of a line that begins with `|`, for the
/// original after blanks, too.
///
/// # Errors
///
/// Those of [`find`].
pub(super) fn runs_one_of(programs: &[Vec<u8>], path: &Path, rules: Rules, patience: Patience) -> io::Result<bool> {
    let (file, stamp) = open(path, patience)?;
    refuse_if(stamp.size > SIZE_MAX, "a file of instructions that is too large")?;
    let mut bytes = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut bytes)?;
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.map(|line| if rules == Rules::Original { line.trim_ascii_start() } else { line });
    let commands = lines.filter_map(|line| line.strip_prefix(b"|"));
    let mut names = commands.filter_map(|command| command.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()));
    Ok(names.any(|name| programs.iter().any(|program| program == name)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::qmail::users::Fields;

    fn user(home: &Path, dash: &str, extension: &str) -> Assigned {
        Assigned::of(fields(home, dash, extension))
    }

    fn fields<'a>(home: &'a Path, dash: &'a str, rest: &'a str) -> Fields<'a> {
        let home = home.as_os_str().as_bytes();
        Fields { name: b"joe", uid: 1, gid: 1, home, dash: dash.as_bytes(), extension: b"", rest: rest.as_bytes() }
    }

    fn texts(user: &Assigned, rules: Rules) -> Vec<String> {
        let mut candidates = Candidates::new(user, rules);
        let first = text(&candidates);
        std::iter::once(first).chain(std::iter::from_fn(|| candidates.advance().map(|()| text(&candidates)))).collect()
    }

    fn text(candidates: &Candidates) -> String {
        let name = candidates.path().file_name().expect("a name").as_bytes();
        assert_eq!(name, [BEGINNING, candidates.ending()].concat());
        name.escape_ascii().to_string()
    }

    #[test]
    fn defaults_are_tried_from_the_longest_to_the_shortest() {
        let root = Path::new("/");
        for rules in [Rules::Original, Rules::Qmail] {
            let expected = [".qmail-a:b-c-d", ".qmail-a:b-c-default", ".qmail-a:b-default", ".qmail-default"];
            assert_eq!(texts(&user(root, "-", "A.b-C-d"), rules), expected);
            assert_eq!(texts(&user(root, "-", ""), rules), [".qmail-", ".qmail-default"]);
            assert_eq!(texts(&user(root, "-", "a-"), rules), [".qmail-a-", ".qmail-a-default", ".qmail-default"]);
        }
    }

    #[test]
    fn the_original_takes_the_table_as_it_is_and_no_dash_but_the_usual() {
        let root = Path::new("/");
        let from_table = Assigned::of(Fields { extension: b"A.b-", ..fields(root, "-", "C.d") });
        let expected = [".qmail-A.b-c:d", ".qmail-A.b-default", ".qmail-default"];
        assert_eq!(texts(&from_table, Rules::Original), expected);
        assert_eq!(texts(&from_table, Rules::Qmail), expected.map(|name| name.replace("A.b", "a:b")));
        assert_eq!(texts(&user(root, "+", "a"), Rules::Original), [".qmail+a"]);
        assert_eq!(texts(&user(root, "+", "a-b"), Rules::Original), [".qmail+a-b", ".qmail+a-default"]);
        assert_eq!(texts(&user(root, "+", "a"), Rules::Qmail), [".qmail+a", ".qmail+default"]);
        assert_eq!(texts(&user(root, "", ""), Rules::Qmail), [".qmail", ".qmaildefault"]);
    }

    fn home(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, mode) in [(".qmail-a", 0o644), (".qmail-open", 0o664), (".qmail-sub-default", 0o600)] {
            std::fs::write(folder.path().join(name), "./Maildir/\n").expect("written");
            set_mode(&folder.path().join(name), mode);
        }
        std::fs::create_dir(folder.path().join(".qmail-folder")).expect("a folder");
        set_mode(folder.path(), mode);
        folder
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn qmail_takes_regular_files_that_others_cannot_write_to() {
        let home = home(0o755);
        let look = |rules, dash, extension| find(&user(home.path(), dash, extension), rules, Access::Exists);
        let file = |name| Instructions::File(home.path().join(name));
        for rules in [Rules::Original, Rules::Qmail] {
            assert_eq!(look(rules, "-", "A").expect("readable"), file(".qmail-a"));
            assert_eq!(look(rules, "-", "sub-x").expect("readable"), file(".qmail-sub-default"));
            assert_eq!(look(rules, "-", "none").expect("readable"), Instructions::Missing);
            assert_eq!(look(rules, "", "").expect("readable"), Instructions::NotNeeded);
        }
        assert_eq!(look(Rules::Original, "-", "open").expect("readable"), file(".qmail-open"));
        assert_eq!(look(Rules::Original, "-", "folder").expect("readable"), file(".qmail-folder"));
        assert_eq!(look(Rules::Original, "", "x").expect("readable"), Instructions::Missing);
        assert!(look(Rules::Qmail, "-", "open").is_err());
        assert_eq!(look(Rules::Qmail, "-", "folder").expect("readable"), Instructions::Missing);
        assert_eq!(look(Rules::Qmail, "", "x").expect("readable"), Instructions::NotNeeded);
        assert!(look(Rules::Original, "--", "x").is_err());
        assert_eq!(look(Rules::Qmail, "--", "x").expect("readable"), Instructions::Missing);
        let long = "x".repeat(300);
        assert!(look(Rules::Original, "-", &long).is_err());
        assert_eq!(look(Rules::Qmail, "-", &long).expect("a name that cannot be"), Instructions::Missing);
    }

    #[test]
    fn qmail_waits_where_a_home_is_missing_or_others_may_write_to_it_or_it_is_sticky() {
        for mode in [0o775, 0o757, 0o1755] {
            let home = home(mode);
            assert!(find(&user(home.path(), "-", "a"), Rules::Original, Access::Exists).is_ok());
            for dash in ["", "-"] {
                let found = find(&user(home.path(), dash, "a"), Rules::Qmail, Access::Exists);
                assert_eq!(found.expect_err("not safe").kind(), io::ErrorKind::Other, "{mode:o}");
            }
        }
        let nowhere = user(Path::new("/nonexistent/home"), "", "");
        assert!(find(&nowhere, Rules::Qmail, Access::Exists).is_err());
        let found = find(&nowhere, Rules::Original, Access::Exists);
        assert_eq!(found.expect("no need to look"), Instructions::NotNeeded);
    }

    #[test]
    fn links_are_followed_by_those_who_can_wait() {
        let home = home(0o755);
        let programs = [b"deliver".to_vec()];
        for (target, text, counts) in [(".qmail-a", true, true), ("/dev/null", false, false), ("nowhere", false, false)]
        {
            let link = home.path().join(".qmail-link");
            std::os::unix::fs::symlink(target, &link).expect("a link");
            let user = user(home.path(), "-", "link");
            let homes = Homes::default();
            for rules in [Rules::Original, Rules::Qmail] {
                let waits = find(&user, rules, Access::AtOnce(&homes)).expect_err("a link");
                assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
                let waits = runs_one_of(&programs, &link, rules, Patience::Immediate).expect_err("a link");
                assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
                let found = find(&user, rules, Access::Exists).expect("followed");
                let is_device = target.starts_with("/dev");
                let expected = counts || (is_device && rules == Rules::Original);
                assert_eq!(found != Instructions::Missing, expected, "{target}");
                assert_eq!(runs_one_of(&programs, &link, rules, Patience::Blocking).is_ok(), text, "{target}");
            }
            std::fs::remove_file(link).expect("removed");
        }
    }

    #[test]
    fn programs_are_the_first_words_of_their_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".qmail");
        let programs = [b"deliver".to_vec(), b"/bin/other".to_vec()];
        for (text, original, qmail) in [
            ("|deliver x\n", true, true),
            ("# |deliver\n./Maildir/\n|\t deliver", true, true),
            ("|/bin/other\n", true, true),
            ("|other\n|deliverer\n|/bin/deliver\n|x deliver\n|\n", false, false),
            ("deliver\n&deliver\n", false, false),
            (" |deliver\n", true, false),
            ("", false, false),
        ] {
            std::fs::write(&path, text).expect("written");
            for (rules, expected) in [(Rules::Original, original), (Rules::Qmail, qmail)] {
                assert_eq!(
                    runs_one_of(&programs, &path, rules, Patience::Blocking).expect("readable"),
                    expected,
                    "{text:?}"
                );
            }
        }
        assert!(runs_one_of(&programs, folder.path(), Rules::Qmail, Patience::Blocking).is_err());
    }
}
