//! `cvm-chain`: other modules, asked in order, over all contact modes.

use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{Envelope, FactWriter, Facts, Reply, Request};
use cvm_core::{CredentialType, Scope};
use cvm_io_blocking::client::{Client, fill_with_random};

use crate::Notices;

/// The settings of the module.
#[derive(Clone, Debug)]
pub struct Options {
    /// `$CVM_CHAIN0` to `$CVM_CHAIN9`, those that are set, in order: at least one.
    pub lists: Vec<ModuleList>,
    /// What asks them.
    pub client: Client,
    /// The bytes of the random tag, if a module is asked over UDP.
    pub tag_length: u8,
}

/// The module: the first result other than code 100 is the answer.
///
/// It passes every credential on and copies every fact. Each request is asked apart from the others, so that a slow
/// module delays only those who ask it.
#[derive(Debug)]
pub struct Chain {
    options: Options,
    notices: Notices,
}

impl Chain {
    /// Takes its settings; nobody is asked yet.
    #[must_use]
    pub const fn new(options: Options, notices: Notices) -> Self {
        Self { options, notices }
    }

    fn ask(&self, list: &ModuleList, credentials: &Credentials) -> Result<Reply, Temporary> {
        let tag = if list.needs_tag() { self.random_tag()? } else { Vec::new() };
        // A request that leaves no room for the tag is one that cannot be asked.
        let request = ClientRequest::v2(credentials, &tag).map_err(|_| Temporary::GENERAL)?;
        Ok(self.options.client.ask(list, &request).unwrap_or_else(|failure| {
            self.notices.give(format_args!("{failure}"));
            Reply::failure(failure.code())
        }))
    }

    fn random_tag(&self) -> Result<Vec<u8>, Temporary> {
        let mut tag = vec![0; self.options.tag_length.into()];
        fill_with_random(&mut tag).map_err(|error| {
            self.notices.give(format_args!("random generator: {error}"));
            Temporary::IO
        })?;
        Ok(tag)
    }
}

impl Module for Chain {
    type Account = Facts;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Facts>, Temporary> {
        let credentials = passed_on(request);
        let mut scope = None;
        for list in &self.options.lists {
            let reply = self.ask(list, &credentials)?;
            if reply.code.is_success() {
                return Ok(Lookup::Known(reply.facts));
            }
            if let Some(temporary) = Temporary::new(reply.code) {
                return Err(temporary);
            }
            scope = narrower(scope, reply.scope());
        }
        Ok(Lookup::Unknown { scope, decoy: None })
    }

    /// Whoever is found has been judged by the module that found him.
    fn authenticate(&self, _: &Facts, _: &Request<'_>) -> Result<Verdict, Temporary> {
        Ok(Verdict::Accepted)
    }

    fn results(&self, facts: &Facts, out: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.iter().for_each(|fact| out.string(fact.kind, &fact.value));
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        Accepts::Anything
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }
}

/// Returns every credential of the request; a version 1 request has a domain even where there is none.
fn passed_on(request: &Request<'_>) -> Credentials {
    let has_domain = request.envelope() != Envelope::V1 || request.domain().is_some_and(|domain| !domain.is_empty());
    request
        .credentials()
        .filter(|credential| has_domain || credential.kind != CredentialType::DOMAIN)
        .fold(Credentials::new(), |all, credential| all.with(credential.kind, credential.value.expose()))
}

/// Out of scope is what every module that told a scope said is out of it.
const fn narrower(one: Option<Scope>, other: Option<Scope>) -> Option<Scope> {
    match (one, other) {
        (Some(Scope::In), _) | (_, Some(Scope::In)) => Some(Scope::In),
        (Some(Scope::Out), _) | (_, Some(Scope::Out)) => Some(Scope::Out),
        (None, None) => None,
    }
}
