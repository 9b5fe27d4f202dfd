//! Option files, as MySQL and MariaDB have them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The options of some groups, `-` in their names; of each the last one counts.
pub(super) type Options = HashMap<String, Zeroizing<String>>;

/// How deep files may include others.
const DEPTH: usize = 10;

/// Reads a file, which may be missing if it is not asked for.
///
/// # Errors
///
/// Names the file that cannot be read.
pub(super) fn read(path: &Path, groups: &[&str], is_needed: bool, options: &mut Options) -> Result<(), String> {
    let mut reader = Reader { groups, options, is_wanted: false };
    match reader.file(path, 0) {
        Err(error) if is_needed || error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

struct Reader<'r> {
    groups: &'r [&'r str],
    options: &'r mut Options,
    is_wanted: bool,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        if depth > DEPTH {
            return Err(io::Error::other("files include each other"));
        }
        let text = Zeroizing::new(fs::read_to_string(path)?);
        self.is_wanted = false;
        for line in text.lines().map(str::trim) {
            self.line(line, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, depth: usize) -> io::Result<()> {
        if let Some(file) = line.strip_prefix("!include ") {
            return self.file(Path::new(file.trim()), depth + 1);
        }
        if let Some(folder) = line.strip_prefix("!includedir ") {
            return files(Path::new(folder.trim()))?.iter().try_for_each(|file| self.file(file, depth + 1));
        }
        if let Some(group) = line.strip_prefix('[') {
            let group = group.split(']').next().unwrap_or_default().trim();
            self.is_wanted = self.groups.contains(&group);
        } else if self.is_wanted && !line.is_empty() && !line.starts_with(['#', ';', '!']) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            self.options.insert(name.trim().replace('_', "-"), unquoted(value.trim()).into());
        }
        Ok(())
    }
}

/// Lists the option files of a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cnf"));
    files.sort();
    Ok(files)
}

/// Takes off quotes, or else a comment behind the value, and resolves what a backslash means.
fn unquoted(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let inner = match quote {
        Some(quote) => value.get(1..).unwrap_or_default().split(quote).next().unwrap_or_default(),
        None => value.split(" #").next().unwrap_or_default().trim_end(),
    };
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        text.push(match letters.next().unwrap_or(letter) {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            's' => ' ',
            other => other,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_groups_are_read() {
        let folder = std::env::temp_dir().join(format!("cvm-mysql-options-{}", std::process::id()));
        fs::create_dir_all(folder.join("d")).unwrap();
        let path = folder.join("my.cnf");
        let include = format!("!includedir {}/d\n", folder.display());
        let text = "user=nobody\n[client]\nuser = joe # him\npass_word='a # b'\nssl\n[mysqld]\nport=1\n[cvm]\nport=2\n# x\nsocket=\"/a\\sb\"\n";
        fs::write(&path, format!("{text}{include}")).unwrap();
        fs::write(folder.join("d/1.cnf"), "port=4\n[client]\nport=3\n").unwrap();
        fs::write(folder.join("d/2.txt"), "[client]\nport=5\n").unwrap();
        let mut options = Options::new();
        read(&path, &["client", "cvm"], true, &mut options).unwrap();
        let expected = [("user", "joe"), ("pass-word", "a # b"), ("ssl", ""), ("port", "3"), ("socket", "/a b")];
        assert_eq!(options, expected.map(|(name, value)| (name.to_owned(), value.to_owned().into())).into());
        assert!(read(&folder.join("no"), &[], true, &mut options).is_err());
        assert!(read(&folder.join("no"), &[], false, &mut options).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }
}
