//! Modules: what answers, as a trait. Implementations live elsewhere.

use crate::code::Code;
use crate::fact::Scope;
use crate::wire::{FactWriter, Request};

/// A source of accounts: finds one, judges the credentials that claim it, and tells its facts.
///
/// The core calls the three steps in this order and decides everything else: whether the request can be read, whether
/// the secret of lookup mode is right, whether the credentials suffice. A module sees only requests with an account
/// name that is not empty. Steps may block as their [`Cost`] says; they may be called from many threads at once.
///
/// ```
/// use cvm_core::module::{Accepts, Lookup, Module, Temporary, Verdict};
/// use cvm_core::wire::{FactWriter, Request};
/// use cvm_core::StandardFacts;
///
/// /// Knows one account.
/// struct Guest;
///
/// impl Module for Guest {
///     type Account = ();
///
///     fn lookup(&self, request: &Request<'_>) -> Result<Lookup<()>, Temporary> {
///         Ok(match request.account() {
///             Some(b"guest") => Lookup::Known(()),
///             _ => Lookup::Unknown { scope: None, decoy: Some(()) },
///         })
///     }
///
///     fn authenticate(&self, (): &(), request: &Request<'_>) -> Result<Verdict, Temporary> {
///         let right = request.password().is_some_and(|password| password.equals(b"welcome"));
///         Ok(Verdict::from_match(right))
///     }
///
///     fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
///         facts.standard(&StandardFacts {
///             username: b"guest", userid: 1000, groupid: 1000, directory: b"/home/guest",
///             ..StandardFacts::default()
///         });
///         Ok(())
///     }
/// }
/// ```
pub trait Module: Send + Sync {
    /// What the module remembers of an account between the steps of one request.
    type Account;

    /// Finds the account that the request names.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if that cannot be told now.
    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Self::Account>, Temporary>;

    /// Judges the request's credentials; not called in lookup mode.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if that cannot be told now.
    fn authenticate(&self, account: &Self::Account, request: &Request<'_>) -> Result<Verdict, Temporary>;

    /// Writes the account's facts.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if they cannot be had now.
    fn results(&self, account: &Self::Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary>;

    /// Says which credentials the module can judge; others are refused before the look-up.
    fn accepts(&self) -> Accepts {
        Accepts::Password
    }

    /// Says what [`Self::lookup`] of this request costs.
    fn lookup_cost(&self, _request: &Request<'_>) -> Cost {
        Cost::Inline
    }

    /// Finds the account as [`Self::lookup`] does, if that is [`Cost::Inline`]: for a module that learns only on the way
    /// what its look-up costs, which is then not done twice.
    ///
    /// # Errors
    ///
    /// What it costs otherwise.
    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Self::Account>, Temporary>, Cost> {
        match self.lookup_cost(request) {
            Cost::Inline => Ok(self.lookup(request)),
            cost @ (Cost::Cpu | Cost::Wait) => Err(cost),
        }
    }

    /// Says how many requests gain from being looked up together, by [`Self::lookup_all`]; 1 if none does.
    fn lookups_at_once(&self) -> usize {
        1
    }

    /// Finds the accounts that several requests name, each as [`Self::lookup`] does, and returns what it found in their
    /// order: for a module that asks for all of them before it waits for the first answer.
    fn lookup_all(&self, requests: &[Request<'_>]) -> Vec<Result<Lookup<Self::Account>, Temporary>> {
        requests.iter().map(|request| self.lookup(request)).collect()
    }

    /// Hears of several requests before the first of them is looked up: the place to have far memory fetched that their
    /// look-ups will read. Nothing is decoded that is not taken.
    fn anticipate(&self, _requests: &mut dyn Iterator<Item = Request<'_>>) {}

    /// Says whether an event loop may wait for the steps of this module itself as long as they are quick: for one that
    /// starts neither threads nor programs for them, as those would stay at the loop's priority, and that gains from it.
    fn waits_in_place(&self) -> bool {
        false
    }

    /// Says what [`Self::authenticate`] against this account costs.
    fn authenticate_cost(&self, _account: &Self::Account) -> Cost {
        Cost::Inline
    }

    /// Called once a round of requests, after they were received and before they are answered: the place to look
    /// whether a file has changed.
    fn refresh(&self) {}

    /// Called when the requests of a round are answered, before the answers are sent, by the thread that called
    /// [`Self::refresh`]: the place to let go of what was held for the round, such as a lock on a file.
    fn end_round(&self) {}

    /// Called when the administrator asks that files be read again, changed or not; may block.
    fn reload(&self) {
        self.refresh();
    }
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<A> {
    /// The account exists.
    Known(A),
    /// The account does not exist.
    Unknown {
        /// Whether it would be the module's own; `None` if the module does not know its scope.
        scope: Option<Scope>,
        /// An account to authenticate against in its place, so that the answer takes as long as that of an existing
        /// one. Its verdict is thrown away, a temporary failure is not.
        decoy: Option<A>,
    },
}

/// What the module thinks of the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted,
    /// They are wrong.
    Rejected {
        /// Whether the account is the module's own; `None` if the module does not know its scope.
        scope: Option<Scope>,
    },
}

impl Verdict {
    /// Accepts or rejects without naming a scope.
    #[must_use]
    pub const fn from_match(right: bool) -> Self {
        if right { Self::Accepted } else { Self::Rejected { scope: None } }
    }
}

/// The credentials that a module can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// A password.
    Password,
    /// A password, or the response to a challenge: the module has plain-text passwords.
    PasswordOrResponse,
    /// Whatever comes; the module judges by itself whether it suffices.
    Anything,
}

/// What a step costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Memory and a few local system calls: it may run in an event loop.
    Inline,
    /// A good part of a millisecond of processor time, such as a password hash.
    Cpu,
    /// Waiting for something else: a database, a name service, another module, a file that is being read.
    Wait,
}

/// Nothing can be decided now: every code but success and permanent failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("temporary failure: {0}")]
pub struct Temporary(Code);

impl Temporary {
    /// Code 1: something failed that has no code of its own.
    pub const GENERAL: Self = Self(Code::GENERAL);
    /// Code 3: what the module stores is wrong.
    pub const BAD_MODULE_DATA: Self = Self(Code::BAD_MODULE_DATA);
    /// Code 4: a file, a database or a connection failed.
    pub const IO: Self = Self(Code::IO);
    /// Code 6: the settings are missing or wrong.
    pub const CONFIG: Self = Self(Code::CONFIG);
    /// Code 7: the request lacks a credential that only the module could miss.
    pub const NO_CREDENTIAL: Self = Self(Code::NO_CREDENTIAL);

    /// Takes a code that another module gave, if it is a temporary one.
    #[must_use]
    pub const fn new(code: Code) -> Option<Self> {
        if code.is_temporary() { Some(Self(code)) } else { None }
    }

    /// Returns the code.
    #[must_use]
    pub const fn code(self) -> Code {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_but_success_and_rejection_is_a_temporary_failure() {
        for code in (0..=255).map(Code::new) {
            let expected = if [0, 100].contains(&code.byte()) { None } else { Some(code) };
            assert_eq!(Temporary::new(code).map(Temporary::code), expected);
        }
    }

    #[test]
    fn a_verdict_of_a_match_names_no_scope() {
        assert_eq!(Verdict::from_match(true), Verdict::Accepted);
        assert_eq!(Verdict::from_match(false), Verdict::Rejected { scope: None });
    }
}
