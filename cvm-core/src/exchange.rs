//! The server's side of one request, step by step: what the protocol decides between a module's steps.
//!
//! [`crate::answer`] drives an exchange through a synchronous [`Module`](crate::module::Module). Whoever asks a
//! backend asynchronously drives it by hand; each step consumes the one before it, so none can be skipped:
//!
//! ```text
//! Exchange::begin ─▶ looked_up ─▶ AfterLookup::Authenticate ─▶ judged ─▶ Granted ─▶ results ─▶ Code
//!        │               │   └──▶ AfterLookup::Granted (lookup mode) ──────┘
//!        ▼               ▼                                       ▼
//!     Refusal         Refusal                                 Refusal ─▶ write ─▶ Code
//! ```

use crate::challenge::ChallengeResponse;
use crate::code::Code;
use crate::credential::CredentialType;
use crate::fact::Scope;
use crate::module::{Accepts, Lookup, Temporary, Verdict};
use crate::observe::Answered;
use crate::secret::Secret;
use crate::wire::{self, Envelope, FactWriter, Packet, Request};

/// What a server demands of every request.
#[derive(Debug)]
pub enum Policy {
    /// Credentials that the module judges.
    Authenticate,
    /// No credentials of the account but a shared secret of the asker: lookup mode.
    Lookup {
        /// The secret; an empty one is not asked for.
        secret: Secret,
    },
}

impl Policy {
    /// Says what the single credential of a version 1 request is.
    pub(crate) const fn single_credential(&self) -> CredentialType {
        match self {
            Self::Authenticate => CredentialType::PASSWORD,
            Self::Lookup { .. } => CredentialType::SECRET,
        }
    }

    /// Tells whether the request may be looked up at all (SPEC section 5, steps 2 and 3).
    fn admits(&self, request: &Request<'_>, accepts: Accepts) -> bool {
        let proven = match self {
            Self::Authenticate => is_usable(request, accepts),
            Self::Lookup { secret } => {
                let secret = secret.as_ref();
                secret.is_empty() || request.secret().is_some_and(|given| given.equals(secret.expose()))
            }
        };
        proven && request.account().is_some_and(|account| !account.is_empty())
    }
}

/// Tells whether the request carries credentials that the module can judge.
fn is_usable(request: &Request<'_>, accepts: Accepts) -> bool {
    let password = request.password().is_some_and(|password| !password.is_empty());
    match accepts {
        Accepts::Password => password && request.value(CredentialType::RESPONSE).is_none(),
        Accepts::PasswordOrResponse => password || ChallengeResponse::of(request).is_some(),
        Accepts::Anything => true,
    }
}

/// A request that may be looked up.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Exchange<'p> {
    request: Request<'p>,
    authenticates: bool,
}

impl<'p> Exchange<'p> {
    /// Reads a packet of up to 513 bytes and applies the policy.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with code 2 for a malformed packet, code 7 for one that lacks what the policy demands.
    pub fn begin(policy: &Policy, accepts: Accepts, packet: &'p [u8]) -> Result<Self, Refusal<'p>> {
        let request = match Request::decode(packet, policy.single_credential()) {
            Ok(request) => request,
            Err(malformed) => return Err(Refusal::malformed(malformed.envelope)),
        };
        if !policy.admits(&request, accepts) {
            return Err(Refusal::new(&request, Code::NO_CREDENTIAL, None));
        }
        Ok(Self { request, authenticates: matches!(policy, Policy::Authenticate) })
    }

    /// Returns the request to look up.
    #[must_use]
    pub const fn request(&self) -> &Request<'p> {
        &self.request
    }

    /// Takes the result of the look-up.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there is nothing to authenticate against and nothing to tell.
    pub fn looked_up<A>(self, found: Result<Lookup<A>, Temporary>) -> Result<AfterLookup<'p, A>, Refusal<'p>> {
        let request = self.request;
        let (account, unknown) = match found {
            Ok(Lookup::Known(account)) => (account, None),
            Ok(Lookup::Unknown { scope, decoy: Some(decoy) }) if self.authenticates => (decoy, Some(scope)),
            Ok(Lookup::Unknown { scope, .. }) => return Err(Refusal::new(&request, Code::REJECTED, scope)),
            Err(temporary) => return Err(Refusal::new(&request, temporary.code(), None)),
        };
        Ok(if self.authenticates {
            AfterLookup::Authenticate(Authentication { request, account, unknown })
        } else {
            AfterLookup::Granted(Granted { request, account })
        })
    }
}

/// What comes after the look-up.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum AfterLookup<'p, A> {
    /// The credentials are to be judged.
    Authenticate(Authentication<'p, A>),
    /// Lookup mode: the facts are to be told.
    Granted(Granted<'p, A>),
}

/// An account whose claim is to be judged; whether it is the real one or a decoy does not show.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Authentication<'p, A> {
    request: Request<'p>,
    account: A,
    /// For a decoy, the scope of the account that does not exist.
    unknown: Option<Option<Scope>>,
}

impl<'p, A> Authentication<'p, A> {
    /// Returns the account to authenticate against.
    pub const fn account(&self) -> &A {
        &self.account
    }

    /// Returns the request whose credentials are to be judged.
    #[must_use]
    pub const fn request(&self) -> &Request<'p> {
        &self.request
    }

    /// Takes the verdict, and throws it away if it is about a decoy; that nothing could be decided is said all the same.
    ///
    /// # Errors
    ///
    /// [`Refusal`] unless the credentials of an existing account are right.
    pub fn judged(self, verdict: Result<Verdict, Temporary>) -> Result<Granted<'p, A>, Refusal<'p>> {
        let Self { request, account, unknown } = self;
        let (code, scope) = match (unknown, verdict) {
            (None, Ok(Verdict::Accepted)) => return Ok(Granted { request, account }),
            (None, Ok(Verdict::Rejected { scope })) => (Code::REJECTED, scope),
            (Some(scope), Ok(_)) => (Code::REJECTED, scope),
            // For a decoy too: during an outage the code must not tell which accounts exist.
            (_, Err(temporary)) => (temporary.code(), None),
        };
        Err(Refusal::new(&request, code, scope))
    }
}

/// An account whose facts may be told.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Granted<'p, A> {
    request: Request<'p>,
    account: A,
}

impl<'p, A> Granted<'p, A> {
    /// Returns the account whose facts are wanted.
    pub const fn account(&self) -> &A {
        &self.account
    }

    /// Returns the request.
    #[must_use]
    pub const fn request(&self) -> &Request<'p> {
        &self.request
    }

    /// Writes the response with the facts that `write` gives, and returns its code.
    ///
    /// Code 3 if the facts do not make a response, and the code of `write`'s error if it has one.
    pub fn results(
        &self,
        out: &mut Packet,
        write: impl FnOnce(&A, &mut FactWriter<'_>) -> Result<(), Temporary>,
    ) -> Code {
        let envelope = self.request.envelope();
        wire::success(envelope, out, |facts| write(&self.account, facts)).unwrap_or_else(|temporary| {
            wire::refusal(envelope, temporary.code(), None, out);
            temporary.code()
        })
    }
}

/// A response without facts.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Refusal<'p> {
    envelope: Envelope<'p>,
    answered: Answered<'p>,
    scope: Option<Scope>,
}

impl<'p> Refusal<'p> {
    /// Refuses a packet for a reason outside the exchange (missing settings, a full queue, a crash), in its own shape.
    ///
    /// A packet that cannot be read is code 2 all the same.
    pub fn of_packet(packet: &'p [u8], temporary: Temporary) -> Self {
        match Request::decode(packet, CredentialType::PASSWORD) {
            Ok(request) => Self::new(&request, temporary.code(), None),
            Err(malformed) => Self::malformed(malformed.envelope),
        }
    }

    fn new(request: &Request<'p>, code: Code, scope: Option<Scope>) -> Self {
        Self { envelope: request.envelope(), answered: Answered::new(code, Some(request)), scope }
    }

    fn malformed(envelope: Envelope<'p>) -> Self {
        Self { envelope, answered: Answered::new(Code::BAD_CLIENT_DATA, None), scope: None }
    }

    /// Returns what an observer is told.
    #[must_use]
    pub const fn answered(&self) -> Answered<'p> {
        self.answered
    }

    /// Writes the response and returns its code.
    pub fn write(&self, out: &mut Packet) -> Code {
        wire::refusal(self.envelope, self.answered.code, self.scope, out);
        self.answered.code
    }
}

#[cfg(test)]
mod tests;
