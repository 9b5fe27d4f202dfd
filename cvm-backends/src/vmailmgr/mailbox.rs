//! The mailbox of a virtual user: his directory, seen from the home of its owner.

/// Appends a directory to a home as the original does, by the text alone: what leads nowhere is left out, `..` takes a
/// part away, and a home that ends with a slash or has two in a row stays as it is.
pub(super) fn in_home(home: &[u8], directory: &[u8]) -> Vec<u8> {
    let mut path = if directory.starts_with(b"/") { b"/".to_vec() } else { home.to_vec() };
    for part in directory.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => take_away(&mut path),
            part => append(&mut path, part),
        }
    }
    path
}

fn take_away(path: &mut Vec<u8>) {
    path.truncate(memchr::memrchr(b'/', path).unwrap_or(0));
    if path.is_empty() {
        path.push(b'/');
    }
}

fn append(path: &mut Vec<u8>, part: &[u8]) {
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the original makes of them.
    #[test]
    fn directories_are_appended_as_text() {
        for (home, directory, expected) in [
            ("/home/bob", "./users/joe", "/home/bob/users/joe"),
            ("/home/bob", "users//.//joe/", "/home/bob/users/joe"),
            ("/home/bob", "", "/home/bob"),
            ("/home/bob", ".", "/home/bob"),
            ("/home/bob", "./", "/home/bob"),
            ("/home/bob", "a/.b/..c/...", "/home/bob/a/.b/..c/..."),
            ("/home/bob", "../x/./y//z/../w", "/home/x/y/w"),
            ("/home/bob", "../../../../x", "/x"),
            ("/home/bob", "../..", "/"),
            ("/home/bob", "/x/../..//y", "/y"),
            ("/home/bob", "/", "/"),
            ("/home/bob/", "", "/home/bob/"),
            ("/home/bob/", "x", "/home/bob/x"),
            ("/home/bob/", "..", "/home/bob"),
            ("/home//bob", "x/../..", "/home/"),
            ("/home/bob//", "../..", "/home/bob"),
            ("/home/bob/.", "...", "/home/bob/./..."),
        ] {
            let found = in_home(home.as_bytes(), directory.as_bytes());
            assert_eq!(found.escape_ascii().to_string(), expected, "{home} {directory}");
        }
    }
}
