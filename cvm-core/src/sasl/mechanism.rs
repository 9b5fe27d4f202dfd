//! Mechanisms: which there are, which are configured, and which one a client asks for.

use crate::client::ModuleList;

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// User name and password, each after a challenge of its own; no RFC, but every mail client has it.
    Login,
    /// User name and password in one message (RFC 4616).
    Plain,
    /// A response to a challenge (RFC 2195).
    CramMd5,
}

impl Mechanism {
    /// All of them, in the order in which they are announced.
    pub const ALL: [Self; 3] = [Self::Login, Self::Plain, Self::CramMd5];

    /// Returns the name by which it is announced.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// Finds a mechanism by its name, whatever the case of its letters.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }
}

/// The modules that are asked for each mechanism. One without modules is not configured: it does not exist for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    login: Option<ModuleList>,
    plain: Option<ModuleList>,
    cram_md5: Option<ModuleList>,
}

impl Modules {
    /// Takes the modules of each mechanism; those of PLAIN serve LOGIN too, unless it has its own.
    #[must_use]
    pub fn new(plain: Option<ModuleList>, login: Option<ModuleList>, cram_md5: Option<ModuleList>) -> Self {
        Self { login: login.or_else(|| plain.clone()), plain, cram_md5 }
    }

    /// Returns the modules of a mechanism, if it is configured.
    #[must_use]
    pub const fn of(&self, mechanism: Mechanism) -> Option<&ModuleList> {
        match mechanism {
            Mechanism::Login => self.login.as_ref(),
            Mechanism::Plain => self.plain.as_ref(),
            Mechanism::CramMd5 => self.cram_md5.as_ref(),
        }
    }

    /// Returns the mechanisms that are configured, in the order in which they are announced.
    pub fn announced(&self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(|&mechanism| self.of(mechanism).is_some())
    }
}

/// What a client says to begin: the name of a mechanism, and perhaps the response that it expects to be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The name as the client wrote it.
    pub mechanism: &'a [u8],
    /// The initial response, still encoded: it may hold a password.
    pub initial: Option<&'a [u8]>,
}

impl<'a> Attempt<'a> {
    /// Splits what follows AUTH (RFC 4954): a name, and perhaps a blank and the initial response.
    #[must_use]
    pub fn parse(argument: &'a [u8]) -> Self {
        let mut words = argument.trim_ascii().splitn(2, |&byte| byte == b' ');
        let mechanism = words.next().unwrap_or_default();
        Self { mechanism, initial: words.next().map(<[u8]>::trim_ascii_start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(plain: Option<&str>, login: Option<&str>, cram_md5: Option<&str>) -> Modules {
        let [plain, login, cram_md5] =
            [plain, login, cram_md5].map(|name| name.map(|name| ModuleList::parse(name.as_bytes()).unwrap()));
        Modules::new(plain, login, cram_md5)
    }

    fn announced(modules: &Modules) -> Vec<&'static str> {
        modules.announced().map(Mechanism::name).collect()
    }

    #[test]
    fn names_are_matched_whatever_their_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.name().to_lowercase().as_bytes()), Some(mechanism));
        }
        for name in ["", "PLAI", "PLAIN ", "CRAM-MD55", "SCRAM-SHA-256"] {
            assert_eq!(Mechanism::from_name(name.as_bytes()), None, "{name:?}");
        }
    }

    #[test]
    fn what_is_configured_is_announced_in_order() {
        assert_eq!(announced(&Modules::default()), [] as [&str; 0]);
        assert_eq!(announced(&modules(Some("p"), None, None)), ["LOGIN", "PLAIN"]);
        assert_eq!(announced(&modules(None, Some("l"), None)), ["LOGIN"]);
        assert_eq!(announced(&modules(None, None, Some("c"))), ["CRAM-MD5"]);
        assert_eq!(announced(&modules(None, Some("l"), Some("c"))), ["LOGIN", "CRAM-MD5"]);
        assert_eq!(announced(&modules(Some("p"), Some("l"), Some("c"))), ["LOGIN", "PLAIN", "CRAM-MD5"]);
    }

    #[test]
    fn login_has_modules_of_its_own_or_those_of_plain() {
        let list = |name: &str| ModuleList::parse(name.as_bytes()).unwrap();
        assert_eq!(modules(Some("p"), None, None).of(Mechanism::Login), Some(&list("p")));
        let both = modules(Some("p"), Some("l"), None);
        assert_eq!(both.of(Mechanism::Login), Some(&list("l")));
        assert_eq!(both.of(Mechanism::Plain), Some(&list("p")));
        assert_eq!(modules(None, Some("l"), None).of(Mechanism::Plain), None);
    }

    #[test]
    fn an_attempt_is_a_name_and_perhaps_a_response() {
        for (argument, mechanism, initial) in [
            ("", "", None),
            ("LOGIN", "LOGIN", None),
            ("LOGIN ", "LOGIN", None),
            ("plain =", "plain", Some("=")),
            (" PLAIN  AGE= ", "PLAIN", Some("AGE=")),
            ("PLAIN AGE= AGI=", "PLAIN", Some("AGE= AGI=")),
        ] {
            let expected = Attempt { mechanism: mechanism.as_bytes(), initial: initial.map(str::as_bytes) };
            assert!(Attempt::parse(argument.as_bytes()) == expected, "{argument:?}");
        }
    }
}
