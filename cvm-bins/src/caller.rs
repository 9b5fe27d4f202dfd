//! Programs that are installed setuid or setgid: they have rights that whoever starts them has not, and trust nothing
//! that he can have prepared.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use nix::unistd::{Gid, Uid, getegid, geteuid, getgid, getuid, setresgid, setresuid};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{chdir, fchdir, umask};
use rustix::thread::capabilities;

use crate::become_user::failed;
use crate::environment;
use crate::limits::Limits;
use crate::program::Stopped;
use crate::sys;

/// Where programs are searched.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/var/qmail/bin";

/// The variables of a UCSPI server that are kept, if there is nothing strange in them.
const KEPT: [&str; 6] = ["LOCALHOST", "LOCALIP", "LOCALPORT", "REMOTEHOST", "REMOTEIP", "REMOTEPORT"];

/// The rights to new files that nobody but their owner gets.
const NOT_OTHERS: Mode = Mode::from_raw_mode(0o022);

/// Whoever started this program, where it has more rights than he has.
pub(crate) struct Caller {
    uid: Uid,
    gid: Gid,
    directory: OwnedFd,
    /// What a program of root's has changed of them.
    limits: Option<Limits>,
}

impl Caller {
    /// Tells whether this program has more rights than whoever started it.
    pub(crate) fn has_fewer_rights() -> bool {
        sys::is_secure_execution() || getuid() != geteuid() || getgid() != getegid()
    }

    /// Leaves everything behind that the caller can have prepared: descriptors above 3, environment, directory, file
    /// mode mask; a program of root's is root's altogether, so that he cannot send it signals.
    ///
    /// Call it before there are threads, and before anything but descriptor 3 is opened; nothing is done unless the
    /// caller has fewer rights.
    ///
    /// # Errors
    ///
    /// What the system refused: the program must end.
    pub(crate) fn leave_behind() -> Result<Option<Self>, Stopped> {
        if !Self::has_fewer_rights() {
            return Ok(None);
        }
        sys::close_from(4).map_err(failed("close descriptors"))?;
        sys::replace_environment(&safe_environment());
        let mask = umask(NOT_OTHERS);
        umask(mask | NOT_OTHERS);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(".", flags, Mode::empty()).map_err(failed("open the current directory"))?;
        chdir("/").map_err(failed("change to /"))?;
        sys::forget_timers_and_signals().map_err(failed("reset timers and signals"))?;
        let mut caller = Self { uid: getuid(), gid: getgid(), directory, limits: None };
        if geteuid().is_root() {
            let root = Uid::from_raw(0);
            setresuid(root, root, root).map_err(failed("become root"))?;
            caller.limits = Some(Limits::leave_behind()?);
        }
        Ok(Some(caller))
    }

    /// Gives up all rights but the caller's, for good.
    ///
    /// # Errors
    ///
    /// What the system refused: the program must end.
    pub(crate) fn return_to(&self) -> Result<(), Stopped> {
        let (uid, gid) = (self.uid, self.gid);
        self.limits.as_ref().map_or(Ok(()), Limits::return_to)?;
        setresgid(gid, gid, gid).map_err(failed(format_args!("return to group {gid}")))?;
        setresuid(uid, uid, uid).map_err(failed(format_args!("return to user {uid}")))?;
        fchdir(&self.directory).map_err(failed("return to the caller's directory"))
    }
}

/// What the program's file has lent it, and whoever started it has not. Prints as what to do in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LentRights {
    /// The rights of its owner or group.
    #[error("installed setuid or setgid: whoever starts it changes users, with setuidgid or User= of a systemd unit")]
    Ids,
    /// Capabilities.
    #[error(
        "given capabilities with setcap: whoever starts it gives them, with setpriv --ambient-caps or \
         AmbientCapabilities= of a systemd unit"
    )]
    Capabilities,
}

/// Returns the rights that the program's file has lent it.
///
/// Where the kernel says that there is nothing to beware of, which costs no system call, that is all; a security module
/// makes it beware of programs, too, that have no more rights than before.
pub(crate) fn lent_rights() -> Option<LentRights> {
    if !sys::is_secure_execution() {
        return None;
    }
    if getuid() != geteuid() || getgid() != getegid() {
        return Some(LentRights::Ids);
    }
    has_capabilities().then_some(LentRights::Capabilities)
}

/// Tells whether somebody else than root has capabilities.
fn has_capabilities() -> bool {
    !getuid().is_root() && capabilities(None).map_or(true, |sets| !sets.permitted.is_empty())
}

fn safe_environment() -> Vec<(String, OsString)> {
    let servers = ["TCP", "TCP6"].into_iter().flat_map(|server| KEPT.map(|name| format!("{server}{name}")));
    let names = servers.chain(["PROTO".to_owned()]);
    let kept = names.filter_map(|name| {
        let value = environment::value(&name).filter(is_plain)?;
        Some((name, value))
    });
    kept.chain([("PATH".to_owned(), PATH.into())]).collect()
}

/// Tells whether a value is a name, an address or a number, which no program takes for anything else.
fn is_plain(value: &OsString) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-".contains(byte);
    value.len() < 256 && value.as_encoded_bytes().iter().all(is_plain)
}
