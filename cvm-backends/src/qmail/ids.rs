//! Looking at files with the rights of somebody else.
//!
//! It is done by a thread that is made for it and ends with it. On Linux the file-system ids and the groups belong to
//! a thread, and this one takes on those of the user and never gives them back: nothing has to be restored, so no
//! error and no panic can leave another look-up, or the process, with the wrong ones. The real, effective and saved
//! ids stay as they are, so that nobody gains the right to signal or trace the process. A helper process would do as
//! well, at the price of a fork in a threaded program, or of a protocol between two.

use std::{io, thread};

use nix::unistd::{Gid, Uid, getegid, geteuid, setfsgid, setfsuid};

/// The look-ups need little.
const STACK: usize = 128 * 1024;

/// Runs something with the rights that a user has through his ids, and no other groups: those of qmail-local.
///
/// # Errors
///
/// What stands in the way of taking them on; only root may take on those of others.
pub(super) fn with_rights_of<T: Send>(uid: u32, gid: u32, run: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let run = || take_on(Uid::from_raw(uid), Gid::from_raw(gid)).map(|()| run());
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a look-up panicked")))
    })
}

/// Takes on the ids of a user, for the rest of this thread's life.
fn take_on(uid: Uid, gid: Gid) -> io::Result<()> {
    if !geteuid().is_root() && (geteuid(), getegid()) == (uid, gid) {
        return Ok(());
    }
    rustix::thread::set_thread_groups(&[rustix::thread::Gid::from_raw(gid.as_raw())])?;
    setfsgid(gid);
    setfsuid(uid);
    // They do not fail, they tell what was there before.
    let has_taken = setfsgid(gid) == gid && setfsuid(uid) == uid;
    if has_taken { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What the kernel says of a thread: the four ids of users and groups, and the groups.
    fn ids() -> Vec<String> {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("a thread has a state");
        let lines = status.lines().filter(|line| ["Uid:", "Gid:", "Groups:"].iter().any(|id| line.starts_with(id)));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// Who is not, cannot take on the ids of others.
    fn is_root() -> bool {
        geteuid().is_root()
    }

    #[test]
    fn only_the_thread_has_the_rights_of_the_user() {
        let before = ids();
        let inside = with_rights_of(12_345, 23_456, ids);
        assert_eq!(ids(), before);
        if !is_root() {
            assert_eq!(inside.expect_err("only root may").kind(), io::ErrorKind::PermissionDenied);
            return;
        }
        assert_eq!(inside.expect("root may"), ["Uid: 0 0 0 12345", "Gid: 0 0 0 23456", "Groups: 23456"]);
    }

    #[test]
    fn our_own_rights_need_no_others() {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        assert!(with_rights_of(uid, gid, || ()).is_ok());
    }

    #[test]
    fn a_panic_leaves_nobody_with_the_rights_of_the_user() {
        let before = ids();
        let panicked = with_rights_of(geteuid().as_raw(), getegid().as_raw(), || panic!("on purpose"));
        assert!(panicked.is_err());
        let (uid, gid) = if is_root() { (12_345, 23_456) } else { (geteuid().as_raw(), getegid().as_raw()) };
        assert!(with_rights_of(uid, gid, || panic!("on purpose")).is_err());
        assert_eq!(ids(), before);
    }

    #[test]
    fn a_folder_that_is_closed_to_the_user_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "").expect("written");
        let look = |uid, gid| {
            let looked = with_rights_of(uid, gid, || std::fs::metadata(&path).map(drop));
            looked.and_then(|looked| looked).map_err(|error| error.kind())
        };
        let denied = Err(io::ErrorKind::PermissionDenied);
        for (mode, expected) in [(0o700, denied), (0o755, Ok(()))] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(look(12_345, 23_456), if is_root() { expected } else { denied });
            assert_eq!(look(geteuid().as_raw(), getegid().as_raw()), Ok(()));
        }
    }
}
