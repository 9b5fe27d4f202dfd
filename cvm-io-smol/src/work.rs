//! Answering one packet: at once where that is cheap, in a thread where it is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::client::CLIENT_PATIENCE;
use cvm_core::driver::Tally;
use cvm_core::module::{Cost, Temporary};
use cvm_core::wire::Packet;
use zeroize::Zeroizing;

use crate::bound::{Bound, Hopeless, Ticket};
use crate::server::Options;

/// What answers, the bounds of what blocks, and what is counted.
pub(crate) struct Work {
    answer: Arc<dyn Answer>,
    cpu: Bound,
    wait: Bound,
    pub(crate) tally: Tally,
}

/// A request that may wait for its turn, and what its next step costs.
pub(crate) struct Admitted {
    cost: Cost,
    _ticket: Ticket,
}

impl Work {
    pub(crate) fn new(answer: Arc<dyn Answer>, options: &Options) -> Self {
        let bound = |places| Bound::new(places, options.queue, CLIENT_PATIENCE);
        Self { answer, cpu: bound(options.cpu_workers), wait: bound(options.wait_workers), tally: Tally::default() }
    }

    /// Lets the module look at its files; one that panics goes on with what it has.
    pub(crate) fn refresh(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.answer.refresh()));
    }

    /// Tells the module of packets that are answered next; one that panics has nothing to undo.
    pub(crate) fn anticipate(&self, packets: &mut dyn Iterator<Item = &[u8]>) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.answer.anticipate(packets)));
    }

    /// Lets the observer write what it collected.
    pub(crate) fn end_round(&self) {
        self.answer.end_round();
    }

    /// Answers without waiting, or says what it would cost.
    pub(crate) fn try_now(&self, packet: &[u8], out: &mut Packet) -> Result<(), Cost> {
        answer_packet(&*self.answer, packet, out, Patience::Immediate)
    }

    /// Admits a request whose next step has this cost; if there are too many, it is answered with code 4.
    pub(crate) fn admit(&self, cost: Cost, packet: &[u8], out: &mut Packet) -> Option<Admitted> {
        let admitted = self.bound(cost).admit().map(|ticket| Admitted { cost, _ticket: ticket });
        if admitted.is_none() {
            self.refuse(packet, out);
        }
        admitted
    }

    /// Answers a packet in a thread, as a round of its own; `None` if its client has given up before its turn.
    pub(crate) async fn answer(&self, admitted: &Admitted, packet: Zeroizing<Vec<u8>>) -> Option<Packet> {
        let place = match self.bound(admitted.cost).enter().await {
            Ok(place) => place,
            Err(Hopeless::Closed) => {
                let mut out = Packet::new();
                self.refuse(&packet, &mut out);
                self.end_round();
                return Some(out);
            }
            Err(Hopeless::Expired) => {
                self.tally.expired.add(1);
                return None;
            }
        };
        let answer = Arc::clone(&self.answer);
        let step = move || {
            let _place = place;
            let mut out = Packet::new();
            // With all patience, it is answered.
            let _ = answer_packet(&*answer, &packet, &mut out, Patience::Blocking);
            answer.end_round();
            out
        };
        Some(smol::unblock(step).await)
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

    fn refuse(&self, packet: &[u8], out: &mut Packet) {
        self.tally.refused.add(1);
        self.answer.refuse(packet, out, Temporary::IO);
    }

    fn bound(&self, cost: Cost) -> &Bound {
        if cost == Cost::Cpu { &self.cpu } else { &self.wait }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cvm_core::driver::Counts;
    use cvm_tests::driven::{answer, failure, login, success};
    use smol::block_on;

    use super::*;

    /// One step at a time, and one request that waits, not for long.
    fn work() -> Work {
        let bound = || Bound::new(1, 1, Duration::from_millis(10));
        Work { answer: answer(), cpu: bound(), wait: bound(), tally: Tally::default() }
    }

    fn ask(work: &Work) -> Option<Packet> {
        let (packet, mut out) = (Zeroizing::new(login(b"T", b"alice")), Packet::new());
        let admitted = work.admit(Cost::Cpu, &packet, &mut out);
        admitted.map_or(Some(out), |admitted| block_on(work.answer(&admitted, packet)))
    }

    #[test]
    fn what_has_waited_for_longer_than_its_client_gets_no_answer() {
        let work = work();
        let place = block_on(work.cpu.enter()).unwrap();
        assert!(ask(&work).is_none());
        drop(place);
        assert_eq!(ask(&work).unwrap()[..], success(b"T")[..]);
        assert_eq!(work.tally.counts(0), Counts { expired: 1, ..Counts::default() });
    }

    #[test]
    fn what_finds_no_room_or_waits_at_the_end_is_refused() {
        let work = work();
        let tickets = [work.cpu.admit(), work.cpu.admit()];
        assert_eq!(ask(&work).unwrap()[..], failure(4, b"T")[..]);
        drop(tickets);
        let _place = block_on(work.cpu.enter()).unwrap();
        work.close();
        assert_eq!(ask(&work).unwrap()[..], failure(4, b"T")[..]);
        assert_eq!(work.tally.counts(0), Counts { refused: 2, ..Counts::default() });
    }
}
