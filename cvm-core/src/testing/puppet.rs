//! A module that does as it is told, and an observer that remembers.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Code;
use crate::fact::FactType;
use crate::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use crate::observe::{Answered, Observer};
use crate::wire::{FactWriter, Request};

/// A module whose every step has a given result. Clones share the list of steps.
#[derive(Clone, Debug)]
pub struct Puppet {
    /// What it says to judge.
    pub accepts: Accepts,
    /// What its look-up is said to cost.
    pub lookup_cost: Cost,
    /// What its authentication is said to cost.
    pub authenticate_cost: Cost,
    /// What its look-up finds.
    pub found: Result<Lookup<Target>, Temporary>,
    /// What it thinks of the credentials, of a decoy's too.
    pub verdict: Result<Verdict, Temporary>,
    /// The facts that it writes; with an error behind them, if there is one.
    pub facts: Vec<(FactType, Vec<u8>)>,
    /// How writing the facts ends.
    pub results: Result<(), Temporary>,
    /// The steps that were taken.
    pub steps: Record<Step>,
}

/// An account of a [`Puppet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one that was asked for.
    Real,
    /// One that stands in for an account that does not exist.
    Decoy,
}

/// A step of a [`Puppet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The files were looked at.
    Refresh,
    /// What was held for a round was let go.
    EndRound,
    /// An account was looked up.
    Lookup,
    /// Credentials were judged.
    Authenticate(Target),
    /// Facts were written.
    Results(Target),
}

impl Default for Puppet {
    /// Judges passwords in no time, knows everyone and lets everyone in.
    fn default() -> Self {
        Self {
            accepts: Accepts::Password,
            lookup_cost: Cost::Inline,
            authenticate_cost: Cost::Inline,
            found: Ok(Lookup::Known(Target::Real)),
            verdict: Ok(Verdict::Accepted),
            facts: FactType::REQUIRED.map(|kind| (kind, b"1".to_vec())).to_vec(),
            results: Ok(()),
            steps: Record::default(),
        }
    }
}

impl Module for Puppet {
    type Account = Target;

    fn lookup(&self, _: &Request<'_>) -> Result<Lookup<Target>, Temporary> {
        self.steps.push(Step::Lookup);
        self.found
    }

    fn authenticate(&self, account: &Target, _: &Request<'_>) -> Result<Verdict, Temporary> {
        self.steps.push(Step::Authenticate(*account));
        self.verdict
    }

    fn results(&self, account: &Target, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        self.steps.push(Step::Results(*account));
        for (kind, value) in &self.facts {
            facts.string(*kind, value);
        }
        self.results
    }

    fn accepts(&self) -> Accepts {
        self.accepts
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        self.lookup_cost
    }

    fn authenticate_cost(&self, _: &Target) -> Cost {
        self.authenticate_cost
    }

    fn refresh(&self) {
        self.steps.push(Step::Refresh);
    }

    fn end_round(&self) {
        self.steps.push(Step::EndRound);
    }
}

/// What an observer was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An answer: code, account and domain.
    Answered(Code, Option<Vec<u8>>, Option<Vec<u8>>),
    /// The end of a round.
    EndRound,
}

/// Things that happened, in order. Clones share one list.
#[derive(Debug)]
pub struct Record<T>(Arc<Mutex<Vec<T>>>);

impl<T> Record<T> {
    /// Returns what happened since the last time, and forgets it.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn push(&self, event: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl<T> Default for Record<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Record<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Observer for Record<Told> {
    fn answered(&self, answered: &Answered<'_>) {
        let owned = |name: Option<&[u8]>| name.map(<[u8]>::to_vec);
        self.push(Told::Answered(answered.code, owned(answered.account), owned(answered.domain)));
    }

    fn end_round(&self) {
        self.push(Told::EndRound);
    }
}
