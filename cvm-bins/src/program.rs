//! What every program has: a name, `--help` and `--version`, messages of one line, an exit status.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use cvm_core::Code;
use cvm_core::client::ModuleError;
use cvm_core::wire::RequestError;

use crate::caller;
use crate::environment::SettingError;

pub use crate::caller::LentRights;

/// What `--help` tells.
pub struct Program {
    /// What follows the name in the usage line.
    pub arguments: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The settings in the environment, and what they mean.
    pub settings: &'static [(&'static str, &'static str)],
    /// Settings that more programs have.
    pub more_settings: &'static [(&'static str, &'static str)],
}

/// Why a program ends without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The arguments are not what the program takes.
    #[error("usage: {name} {arguments}", name = called_as())]
    Usage {
        /// What it does take.
        arguments: &'static str,
    },
    /// One argument is not what it should be.
    #[error("{0}")]
    Argument(String),
    /// The program is installed setuid or setgid, or with capabilities, and would trust whoever runs it with them.
    #[error("whoever runs it names what it trusts, so it must not be {0}")]
    LentRights(#[from] LentRights),
    /// A module that cannot be served.
    #[error("{0}")]
    Module(#[from] ModuleError),
    /// A request that cannot be sent.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// A setting of a module is missing or wrong.
    #[error("{0}")]
    Setting(#[from] SettingError),
    /// A setting of a client is wrong.
    #[error("{0}")]
    ClientSetting(SettingError),
    /// A socket cannot be had, or a stream not be used.
    #[error("{0}")]
    Io(String),
}

impl Stopped {
    /// Returns the code that this amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Usage { .. } | Self::Argument(_) | Self::ClientSetting(_) => Code::GENERAL,
            Self::Module(error) => error.code(),
            Self::Request(error) => error.code(),
            Self::Setting(_) | Self::LentRights(_) => Code::CONFIG,
            Self::Io(_) => Code::IO,
        }
    }
}

impl Program {
    /// Answers `--help` and `--version`, or runs the program with its arguments and tells why it stopped;
    /// returns its exit status.
    pub fn run(&self, run: impl FnOnce(&[OsString]) -> Result<Code, Stopped>) -> u8 {
        self.run_with_status(|arguments| run(arguments).map(Code::byte), |stopped| stopped.code().byte())
    }

    /// The same for a program whose exit statuses are not codes.
    pub fn run_with_status(
        &self,
        run: impl FnOnce(&[OsString]) -> Result<u8, Stopped>,
        status: impl FnOnce(&Stopped) -> u8,
    ) -> u8 {
        if let Some(rights) = caller::lent_rights() {
            complain(&Stopped::from(rights));
            return status(&Stopped::from(rights));
        }
        self.run_with_any_rights(run, status)
    }

    /// The same for a program that can be installed setuid, as it trusts nothing of its caller then.
    pub(crate) fn run_with_any_rights(
        &self,
        run: impl FnOnce(&[OsString]) -> Result<u8, Stopped>,
        status: impl FnOnce(&Stopped) -> u8,
    ) -> u8 {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let text = match arguments.first().and_then(|first| first.to_str()) {
            Some("--help" | "-h") => self.to_string(),
            Some("--version" | "-V") => format!("{} {}", called_as(), env!("CARGO_PKG_VERSION")),
            _ => {
                return match run(&arguments) {
                    Ok(status) => status,
                    Err(stopped) => {
                        complain(&stopped);
                        status(&stopped)
                    }
                };
            }
        };
        print_or_give_up(&text)
    }

    /// The error of arguments that do not fit.
    pub const fn usage(&self) -> Stopped {
        Stopped::Usage { arguments: self.arguments }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "usage: {} {}\n\n{}", called_as(), self.arguments, self.about)?;
        let settings = self.settings.iter().chain(self.more_settings);
        let width = settings.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (index, (name, meaning)) in settings.enumerate() {
            let title = if index == 0 { "\nsettings in the environment:\n" } else { "" };
            writeln!(f, "{title}  {name:width$}  {meaning}")?;
        }
        Ok(())
    }
}

/// Returns the last part of the name that the program was called by.
pub fn called_as() -> String {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().map_or_else(|| OsStr::new("cvm").to_owned(), OsStr::to_owned);
    name.to_string_lossy().into_owned()
}

/// Writes one line to standard error, with the program's name in front.
pub fn complain(message: &dyn fmt::Display) {
    use std::io::Write;
    // In one piece, so that lines of several processes do not mix. Nobody is left to tell if that fails.
    let line = named(message) + "\n";
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Puts the program's name in front of a message.
pub fn named(message: impl fmt::Display) -> String {
    format!("{}: {message}", called_as())
}

fn print_or_give_up(text: &str) -> u8 {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Ok(()) => 0,
        Err(_) => Code::IO.byte(),
    }
}
