//! Services under daemontools, from the run scripts that are installed as examples.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use rustix::process::geteuid;

use crate::folder::Folder;
use crate::prefix::Prefix;
use crate::process::{self, End, LIMIT, Running, eventually};
use crate::programs::tool;

/// A service folder, linked into the folder that `svscan` looks at.
#[derive(Debug)]
pub struct Service {
    name: String,
    folder: Folder,
    _svscan: Running,
}

impl Service {
    /// Copies the service of this name, gives it these settings, and has it started.
    ///
    /// # Panics
    ///
    /// If it cannot be.
    #[must_use]
    pub fn start(prefix: &Prefix, name: &str, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("our own folder");
        let service = folder.path(name);
        system("cp", &["-R", &prefix.path(&format!("share/cvm/daemontools/{name}")), &service]);
        system("mkdir", &["-p", &format!("{service}/log/main"), &folder.path("scan")]);
        system("chown", &[&mail_user(), &format!("{service}/log/main")]);
        for (name, value) in [stand_ins(&folder, prefix), vec![("LOG_AS".into(), mail_user())]].concat() {
            folder.write(&format!("{service}/env/{name}"), value);
        }
        for (name, value) in settings {
            folder.write(&format!("{service}/env/{name}"), value);
        }
        symlink(&service, folder.path(&format!("scan/{name}"))).expect("a link");
        let svscan = tool("svscan", "daemontools");
        let mut svscan = process::command(svscan.to_str().expect("UTF-8"), &[&folder.path("scan")], &[]);
        let _svscan = Running::start(svscan.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let service = Self { name: name.to_owned(), folder, _svscan };
        assert!(service.waits_for(|service| service.pid().is_some()), "not started: {}", service.state());
        service
    }

    /// Tells `supervise` what to do, by an option of svc.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn control(&self, option: &str) {
        system("svc", &[option, &self.path("")]);
    }

    /// Waits until something is so.
    pub fn waits_for(&self, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        eventually(LIMIT, || is_so(self))
    }

    /// Returns what svstat says.
    #[must_use]
    pub fn state(&self) -> String {
        let svstat = tool("svstat", "daemontools");
        process::run(&mut process::command(svstat.to_str().expect("UTF-8"), &[&self.path("")], &[]), b"").output()
    }

    /// Returns the number of the process that is up.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let state = self.state();
        state.split_once(": up (pid ")?.1.split_once(')')?.0.parse().ok()
    }

    /// Returns the lines of multilog's file without their time stamps.
    ///
    /// # Panics
    ///
    /// If one has none.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let log = self.folder.read(&format!("{}/log/main/current", self.name));
        let text = String::from_utf8(log).expect("text");
        let line = |line: &str| {
            let (stamp, rest) = line.split_once(' ').unwrap_or_default();
            let digits = stamp.strip_prefix('@').unwrap_or_default();
            assert!(digits.len() == 24 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{line}");
            rest.to_owned()
        };
        text.lines().map(line).collect()
    }

    /// Returns a path in the service folder.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.path(&format!("{}/{name}", self.name))
    }
}

/// The user of servers: nobody when root runs the tests, else whoever does.
///
/// # Panics
///
/// If the system does not know him.
#[must_use]
pub fn mail_user() -> String {
    if geteuid().is_root() {
        return "nobody".into();
    }
    process::run(&mut process::command("/usr/bin/id", &["-un"], &[]), b"").output().trim_end().to_owned()
}

/// Only root can become somebody else: for all others, programs that do nothing in the place of those that do that.
fn stand_ins(folder: &Folder, prefix: &Prefix) -> Vec<(String, String)> {
    if geteuid().is_root() {
        return Vec::new();
    }
    folder.script("setuidgid", "shift; exec \"$@\"");
    folder.script("setpriv", "while case $1 in -*) ;; *) false ;; esac; do shift; done; exec \"$@\"");
    let path = format!("{}:{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.path(""), prefix.path("bin"));
    vec![("PATH".into(), path)]
}

fn system(program: &str, arguments: &[&str]) {
    let path = tool(program, "daemontools coreutils");
    let finished = process::run(&mut process::command(path.to_str().expect("UTF-8"), arguments, &[]), b"");
    assert_eq!(finished.end, End::Exit(0), "{program} {arguments:?}: {finished:?}");
}
