//! Answering: drives an [`Exchange`] through a [`Module`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::code::Code;
use crate::exchange::{AfterLookup, Exchange, Policy, Refusal};
use crate::module::{Cost, Lookup, Module, Temporary};
use crate::observe::{Answered, Observer};
use crate::wire::{Packet, Request};

/// How long whoever asks for an answer can wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: an event loop. A step that is not [`Cost::Inline`] is not taken.
    Immediate,
    /// As long as it takes: a worker thread, or a program that answers one request.
    Blocking,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The response is written.
    Answered(Code),
    /// A step of this cost is due, for which the caller has no patience. Nothing was decided, nobody was told: hand
    /// the same packet to a worker that can wait.
    Deferred(Cost),
}

/// One of several packets that are answered together.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The packet.
    pub packet: &'a [u8],
    /// Where its answer goes.
    pub out: &'a mut Packet,
    /// The answer's code, once it is written.
    pub code: Option<Code>,
}

/// Something that answers packets: what a driver knows of modules, policies and observers.
///
/// A driver calls [`refresh`](Self::refresh) when it has received a round of packets, [`answer`](Self::answer) for
/// each, and [`end_round`](Self::end_round) before it sends the answers. Between the first two it may call
/// [`anticipate`](Self::anticipate).
pub trait Answer: Send + Sync {
    /// Lets the module look whether its files have changed.
    fn refresh(&self);

    /// Lets the module read its files again, changed or not; may block.
    fn reload(&self);

    /// Hears of the packets of a round before they are answered one by one: together they may be faster.
    fn anticipate(&self, _packets: &mut dyn Iterator<Item = &[u8]>) {}

    /// Answers one packet of up to 513 bytes (more than 512 are malformed) into `out`.
    fn answer(&self, packet: &[u8], out: &mut Packet, patience: Patience) -> Outcome;

    /// Says how many packets gain from being answered together, by [`Self::answer_all`]; 1 if none does.
    fn at_once(&self) -> usize {
        1
    }

    /// Says whether an event loop may answer packets with [`Patience::Blocking`] as long as that is quick.
    fn waits_in_place(&self) -> bool {
        false
    }

    /// Answers several packets, each as [`Self::answer`] does with [`Patience::Blocking`].
    fn answer_all(&self, asked: &mut [Asked<'_>]) {
        for Asked { packet, out, code } in asked {
            if let Outcome::Answered(answered) = self.answer(packet, out, Patience::Blocking) {
                *code = Some(answered);
            }
        }
    }

    /// Answers one packet with a failure that lies outside the module, such as a full queue.
    fn refuse(&self, packet: &[u8], out: &mut Packet, temporary: Temporary) -> Code;

    /// Lets the module let go of what it held for the round, and the observer write what it collected; does not panic.
    fn end_round(&self);
}

/// Answers one packet for a driver, which outlives a module that panics: that is code 1.
///
/// # Errors
///
/// What the packet costs if that must not be paid here; never with [`Patience::Blocking`].
pub fn answer_packet(answer: &dyn Answer, packet: &[u8], out: &mut Packet, patience: Patience) -> Result<(), Cost> {
    match catch_unwind(AssertUnwindSafe(|| answer.answer(packet, out, patience))) {
        Ok(Outcome::Answered(_)) => Ok(()),
        Ok(Outcome::Deferred(cost)) if patience == Patience::Immediate => Err(cost),
        // Whoever has all patience is not put off.
        Ok(Outcome::Deferred(_)) | Err(_) => {
            answer.refuse(packet, out, Temporary::GENERAL);
            Ok(())
        }
    }
}

/// Answers several packets for a driver, which outlives a module that panics: that is code 1 for those that are not
/// answered yet.
pub fn answer_packets(answer: &dyn Answer, asked: &mut [Asked<'_>]) {
    let _ = catch_unwind(AssertUnwindSafe(|| answer.answer_all(asked)));
    for Asked { packet, out, code } in asked.iter_mut().filter(|asked| asked.code.is_none()) {
        *code = Some(answer.refuse(packet, out, Temporary::GENERAL));
    }
}

/// A module, the policy it is asked under, and who is told.
#[derive(Debug)]
pub struct Answerer<M, O = ()> {
    module: M,
    policy: Policy,
    observer: O,
}

impl<M: Module, O: Observer> Answerer<M, O> {
    /// Joins a module, a policy and an observer; share the result as `Arc<dyn Answer>`.
    pub const fn new(module: M, policy: Policy, observer: O) -> Self {
        Self { module, policy, observer }
    }

    fn write(&self, refusal: &Refusal<'_>, out: &mut Packet) -> Code {
        self.observer.answered(&refusal.answered());
        refusal.write(out)
    }

    /// Runs the steps up to the facts, or says what stands in the way.
    fn run(&self, packet: &[u8], out: &mut Packet, patience: Patience) -> Result<Code, Stop> {
        let exchange = match Exchange::begin(&self.policy, self.module.accepts(), packet) {
            Ok(exchange) => exchange,
            Err(refusal) => return Ok(self.write(&refusal, out)),
        };
        let found = match patience {
            Patience::Immediate => self.module.lookup_inline(exchange.request()).map_err(Stop)?,
            Patience::Blocking => self.module.lookup(exchange.request()),
        };
        self.finish(exchange, found, out, patience)
    }

    /// Runs the steps after the look-up.
    fn finish(
        &self,
        exchange: Exchange<'_>,
        found: Result<Lookup<M::Account>, Temporary>,
        out: &mut Packet,
        patience: Patience,
    ) -> Result<Code, Stop> {
        let granted = match exchange.looked_up(found) {
            Ok(AfterLookup::Granted(granted)) => Ok(granted),
            Ok(AfterLookup::Authenticate(claim)) => {
                patience.allows(|| self.module.authenticate_cost(claim.account()))?;
                let verdict = self.module.authenticate(claim.account(), claim.request());
                claim.judged(verdict)
            }
            Err(refusal) => Err(refusal),
        };
        Ok(match granted {
            Ok(granted) => {
                let code = granted.results(out, |account, facts| self.module.results(account, facts));
                self.observer.answered(&Answered::new(code, Some(granted.request())));
                code
            }
            Err(refusal) => self.write(&refusal, out),
        })
    }
}

impl<M: Module, O: Observer> Answer for Answerer<M, O> {
    fn refresh(&self) {
        self.module.refresh();
    }

    fn reload(&self) {
        self.module.reload();
    }

    fn anticipate(&self, packets: &mut dyn Iterator<Item = &[u8]>) {
        let single = self.policy.single_credential();
        self.module.anticipate(&mut packets.filter_map(|packet| Request::decode(packet, single).ok()));
    }

    fn answer(&self, packet: &[u8], out: &mut Packet, patience: Patience) -> Outcome {
        match self.run(packet, out, patience) {
            Ok(code) => Outcome::Answered(code),
            Err(Stop(cost)) => Outcome::Deferred(cost),
        }
    }

    fn at_once(&self) -> usize {
        self.module.lookups_at_once()
    }

    fn waits_in_place(&self) -> bool {
        self.module.waits_in_place()
    }

    fn answer_all(&self, asked: &mut [Asked<'_>]) {
        let mut begun = Vec::with_capacity(asked.len());
        for asked in asked {
            match Exchange::begin(&self.policy, self.module.accepts(), asked.packet) {
                Ok(exchange) => begun.push((asked, exchange)),
                Err(refusal) => asked.code = Some(self.write(&refusal, asked.out)),
            }
        }
        let requests: Vec<_> = begun.iter().map(|(_, exchange)| *exchange.request()).collect();
        let found = if requests.is_empty() { Vec::new() } else { self.module.lookup_all(&requests) };
        for ((asked, exchange), found) in begun.into_iter().zip(found) {
            asked.code = self.finish(exchange, found, asked.out, Patience::Blocking).ok();
        }
    }

    fn refuse(&self, packet: &[u8], out: &mut Packet, temporary: Temporary) -> Code {
        self.write(&Refusal::of_packet(packet, temporary), out)
    }

    fn end_round(&self) {
        // The observer is told even if the module panics.
        let _ = catch_unwind(AssertUnwindSafe(|| self.module.end_round()));
        self.observer.end_round();
    }
}

/// A step of this cost must not be taken here.
struct Stop(Cost);

impl Patience {
    fn allows(self, cost: impl FnOnce() -> Cost) -> Result<(), Stop> {
        match self {
            Self::Blocking => Ok(()),
            Self::Immediate => match cost() {
                Cost::Inline => Ok(()),
                cost @ (Cost::Cpu | Cost::Wait) => Err(Stop(cost)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
