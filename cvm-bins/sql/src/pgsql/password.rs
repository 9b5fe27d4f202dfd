//! The file of passwords, as libpq has it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::hosts::{DEFAULT_FOLDER, Host, Server};

/// Finds the password for a server in the file; `None` if there is no file or no line that fits.
///
/// # Errors
///
/// Says why a file that is there is passed over.
pub(super) fn find(
    path: &Path,
    server: &Server,
    database: &str,
    user: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(None);
    };
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(format!("{}: passed over, expected a file with mode 600", path.display()));
    }
    let text = Zeroizing::new(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
    let host = match &server.host {
        Host::Folder(folder) if folder == Path::new(DEFAULT_FOLDER) => "localhost".to_owned(),
        Host::Folder(folder) => folder.to_string_lossy().into_owned(),
        Host::Name { name, .. } => name.clone(),
    };
    let port = server.port.to_string();
    let wanted = [&host, &port, database, user].map(str::as_bytes);
    Ok(text.split(|&byte| byte == b'\n').find_map(|line| password(line, &wanted)))
}

/// Reads `host:port:database:user:password`, in which a backslash takes the next character along.
fn password(line: &[u8], wanted: &[&[u8]; 4]) -> Option<Zeroizing<Vec<u8>>> {
    if line.starts_with(b"#") {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, is_raw_star) = field(&mut rest)?;
        if !is_raw_star && *field != **wanted {
            return None;
        }
    }
    let mut password = Zeroizing::new(Vec::with_capacity(rest.len()));
    let mut bytes = rest.strip_suffix(b"\r").unwrap_or(rest).iter();
    while let Some(&byte) = bytes.next() {
        password.push(if byte == b'\\' { *bytes.next().unwrap_or(&byte) } else { byte });
    }
    Some(password).filter(|password| !password.is_empty())
}

/// Takes a field and the colon behind it off, and tells whether it is a star, which fits everything.
fn field(rest: &mut &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut field = Vec::new();
    let mut bytes = rest.iter().enumerate();
    while let Some((index, &byte)) = bytes.next() {
        match byte {
            b':' => {
                let is_star = rest.get(..index) == Some(b"*");
                *rest = rest.get(index + 1..)?;
                return Some((field, is_star));
            }
            b'\\' => field.push(*bytes.next()?.1),
            byte => field.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let wanted: [&[u8]; 4] = [b"db.example", b"5432", b"mail", b"cvm"];
        let read =
            |line: &str| password(line.as_bytes(), &wanted).map(|found| String::from_utf8(found.to_vec()).unwrap());
        assert_eq!(read("db.example:5432:mail:cvm:secret").as_deref(), Some("secret"));
        assert_eq!(read(r"*:*:*:cvm:a\:b\\c:d").as_deref(), Some(r"a:b\c:d"));
        for none in ["", "# *:*:*:*:x", "db.example:5432:mail:cvm", "other:*:*:*:x", r"\*:*:*:*:x", "*:*:*:*:"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
