//! Answering one packet: at once where that is cheap, in a thread where it is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::module::{Cost, Temporary};
use cvm_core::wire::Packet;
use zeroize::Zeroizing;

use crate::bound::Bound;

/// What answers, and the bounds of what blocks.
pub(crate) struct Work {
    pub(crate) answer: Arc<dyn Answer>,
    pub(crate) cpu: Bound,
    pub(crate) wait: Bound,
}

impl Work {
    /// Lets the module look at its files; one that panics goes on with what it has.
    pub(crate) fn refresh(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.answer.refresh()));
    }

    /// Answers without waiting, or says what it would cost.
    pub(crate) fn try_now(&self, packet: &[u8], out: &mut Packet) -> Result<(), Cost> {
        answer_packet(&*self.answer, packet, out, Patience::Immediate)
    }

    /// Answers a packet whose next step has this cost, as a round of its own.
    pub(crate) async fn answer(&self, cost: Cost, packet: &[u8]) -> Packet {
        let bound = if cost == Cost::Cpu { &self.cpu } else { &self.wait };
        let Some(place) = bound.enter().await else {
            let mut out = Packet::new();
            self.answer.refuse(packet, &mut out, Temporary::IO);
            self.answer.end_round();
            return out;
        };
        let (answer, packet) = (Arc::clone(&self.answer), Zeroizing::new(packet.to_vec()));
        let step = move || {
            let _place = place;
            let mut out = Packet::new();
            // With all patience, it is answered.
            let _ = answer_packet(&*answer, &packet, &mut out, Patience::Blocking);
            answer.end_round();
            out
        };
        smol::unblock(step).await
    }

    /// Reads files again.
    pub(crate) async fn reload(&self) {
        let answer = Arc::clone(&self.answer);
        let _ = smol::unblock(move || catch_unwind(AssertUnwindSafe(|| answer.reload()))).await;
    }

    /// Refuses what waits for a thread.
    pub(crate) fn close(&self) {
        self.cpu.close();
        self.wait.close();
    }
}
