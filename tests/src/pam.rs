//! PAM with a configuration of its own, and a client in C that was compiled with PAM's own headers.

use std::process::Command;
use std::sync::LazyLock;

use crate::folder::Folder;
use crate::process::{self, End, Finished};
use crate::programs::{compiled, pam_cvm, tool};

/// The configuration of one service, and the client.
#[derive(Debug)]
pub struct Stack {
    folder: Folder,
}

/// The name of the service.
const SERVICE: &str = "cvm-tests";

impl Stack {
    /// Makes a service of these lines, in which `CVM` stands for the module.
    ///
    /// # Panics
    ///
    /// If the client cannot be compiled.
    #[must_use]
    pub fn new(lines: &[&str]) -> Self {
        static CLIENT: LazyLock<Vec<u8>> = LazyLock::new(|| compiled("pamclient.c", &["-pthread", "-lpam"]));
        let folder = Folder::new();
        std::fs::create_dir(folder.path("pam.d")).expect("a folder");
        // What the service does not say is taken from here.
        let other = ["auth", "account", "session", "password"].map(|group| format!("{group} required pam_deny.so\n"));
        folder.write("pam.d/other", other.concat());
        folder.program("client", &*CLIENT);
        let stack = Self { folder };
        stack.change(lines);
        stack
    }

    /// Makes a service with this line for all groups.
    #[must_use]
    pub fn of_module(control: &str, arguments: &str) -> Self {
        let line = |group: &str| format!("{group} {control} CVM {arguments}");
        let lines = ["auth", "account", "session", "password"].map(line);
        Self::new(&lines.each_ref().map(String::as_str))
    }

    /// Replaces the service by one of these lines.
    pub fn change(&self, lines: &[&str]) {
        let text = lines.join("\n").replace(" CVM", &format!(" {}", pam_cvm())) + "\n";
        self.folder.write(&format!("pam.d/{SERVICE}"), text);
    }

    /// Has the client run functions for a user, who answers prompts with these lines, and returns what it tells.
    ///
    /// # Panics
    ///
    /// If the client does not end by itself.
    #[must_use]
    pub fn call(&self, user: &str, answers: &[&str], words: &[&str]) -> Vec<String> {
        let finished = process::run(&mut self.client(user, words), (answers.join("\n") + "\n").as_bytes());
        assert_eq!((finished.end, finished.stderr.as_slice()), (End::Exit(0), &b""[..]), "{finished:?}");
        finished.output().lines().map(str::to_owned).collect()
    }

    /// Returns the status of one function.
    ///
    /// # Panics
    ///
    /// If the client does not tell.
    #[must_use]
    pub fn status(&self, user: &str, answers: &[&str], function: &str) -> i32 {
        let told = self.call(user, answers, &[function]);
        let last = told.last().and_then(|line| line.strip_prefix(&format!("{function} "))?.parse().ok());
        last.unwrap_or_else(|| panic!("{told:?}"))
    }

    /// Runs pamtester, whose standard error then has what PAM writes to the log.
    ///
    /// # Panics
    ///
    /// If it is not installed.
    #[must_use]
    pub fn pamtester(&self, user: &str, answer: &str, arguments: &[&str], functions: &[&str]) -> Finished {
        let pamtester = tool("pamtester", "pamtester");
        let path = self.folder.path("pam.d");
        let settings = [
            ("LD_PRELOAD", "libpam_wrapper.so"),
            ("PAM_WRAPPER", "1"),
            ("PAM_WRAPPER_SERVICE_DIR", path.as_str()),
            ("PAM_WRAPPER_DEBUGLEVEL", "3"),
        ];
        let arguments = [arguments, &[SERVICE, user], functions].concat();
        let mut command = process::command(pamtester.to_str().expect("UTF-8"), &arguments, &settings);
        process::run(&mut command, format!("{answer}\n").as_bytes())
    }

    fn client(&self, user: &str, words: &[&str]) -> Command {
        let path = self.folder.path("pam.d");
        process::command(&self.folder.path("client"), &[&[path.as_str(), SERVICE, user], words].concat(), &[])
    }
}
