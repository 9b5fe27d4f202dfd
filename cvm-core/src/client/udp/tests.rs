//! When a client sends, how long it waits and what it believes (SPEC section 7).

use super::*;
use crate::client::Credentials;

const YES: &[u8] = b"\0\x03TAG\x01\x01u\x02\x010\x03\x010\x05\x01d\0";
const NO: &[u8] = b"d\x03TAG\0";

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 791))
}

fn request() -> ClientRequest {
    ClientRequest::v2(&Credentials::new(), b"TAG").unwrap()
}

const SILENT: UdpStep = UdpStep::Done(Err(UdpFailure::Silent));

/// An exchange and its clock.
struct Run<'r> {
    exchange: UdpExchange<'r>,
    start: Instant,
    now: Instant,
}

impl<'r> Run<'r> {
    #[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source; only differences matter")]
    fn new(request: &'r ClientRequest, addresses: &[u8]) -> Self {
        let exchange = UdpExchange::new(request, addresses.iter().map(|&number| address(number)).collect());
        let start = Instant::now();
        Self { exchange, start, now: start }
    }

    fn poll(&mut self) -> UdpStep {
        self.exchange.poll(self.now)
    }

    #[track_caller]
    fn sends_to(&mut self, number: u8) {
        assert_eq!(self.poll(), UdpStep::Send(address(number)));
    }

    /// Demands a wait until that many seconds after the start.
    #[track_caller]
    fn waits_until(&mut self, seconds: u64) {
        assert_eq!(self.poll(), UdpStep::Wait(self.start + Duration::from_secs(seconds)));
    }

    fn at(&mut self, seconds: u64) {
        self.now = self.start + Duration::from_secs(seconds);
    }

    fn receive(&mut self, number: u8, datagram: &'static [u8]) {
        self.exchange.handle_datagram(address(number), &Bytes::from_static(datagram));
    }

    #[track_caller]
    fn is_done(&mut self, code: Code) {
        match self.poll() {
            UdpStep::Done(done) => assert_eq!(done.map_or_else(|failure| failure.code(), |reply| reply.code), code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_schedule_is_2_4_8_and_16_seconds_and_then_code_4() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    for end in [2, 6, 14, 30] {
        run.sends_to(1);
        run.waits_until(end);
        run.at(end);
    }
    assert_eq!(run.poll(), SILENT);
}

#[test]
fn a_wait_ends_at_its_time_and_not_before() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.now += Duration::from_nanos(1_999_999_999);
    run.waits_until(2);
    run.now += Duration::from_nanos(1);
    run.sends_to(1);
}

#[test]
fn a_wait_counts_from_the_send_and_not_from_the_schedule() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.at(5);
    run.sends_to(1);
    run.waits_until(9);
}

#[test]
fn polling_again_changes_nothing() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    for _ in 0..3 {
        run.waits_until(2);
    }
    run.receive(1, NO);
    for _ in 0..3 {
        run.is_done(Code::REJECTED);
    }
}

#[test]
fn several_addresses_are_asked_in_turn() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 3]);
    for (number, end) in [(1, 2), (2, 6), (3, 14), (1, 30)] {
        run.sends_to(number);
        run.waits_until(end);
        run.at(end);
    }
    run.is_done(Code::IO);
}

#[test]
fn more_addresses_than_sends_are_not_all_asked() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 3, 4, 5]);
    for (number, end) in [(1, 2), (2, 6), (3, 14), (4, 30)] {
        run.sends_to(number);
        run.at(end);
    }
    run.is_done(Code::IO);
}

#[test]
fn a_refused_address_is_skipped_at_once_and_its_wait_is_the_next_ones() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.sends_to(1);
    run.exchange.handle_refused(address(1));
    for end in [2, 6, 14, 30] {
        run.sends_to(2);
        run.waits_until(end);
        run.at(end);
    }
    run.is_done(Code::IO);
}

#[test]
fn a_refused_address_is_not_asked_again() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 3]);
    run.sends_to(1);
    run.at(2);
    run.sends_to(2);
    run.exchange.handle_refused(address(2));
    run.sends_to(3);
    run.waits_until(6);
    run.at(6);
    run.sends_to(1);
    run.at(14);
    run.sends_to(3);
    run.at(30);
    run.is_done(Code::IO);
}

#[test]
fn a_refusal_of_an_earlier_address_does_not_end_the_wait() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.sends_to(1);
    run.at(2);
    run.sends_to(2);
    run.exchange.handle_refused(address(1));
    run.waits_until(6);
    run.at(6);
    run.sends_to(2);
}

#[test]
fn a_refusal_counts_for_the_last_of_several_sends_to_an_address() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.sends_to(1);
    run.at(2);
    run.sends_to(2);
    run.at(6);
    run.sends_to(1);
    run.exchange.handle_refused(address(1));
    run.sends_to(2);
    run.waits_until(14);
}

#[test]
fn an_address_refused_before_its_turn_is_never_asked() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 3]);
    run.exchange.handle_refused(address(1));
    run.sends_to(2);
    run.exchange.handle_refused(address(3));
    run.waits_until(2);
    run.at(2);
    run.sends_to(2);
}

#[test]
fn an_address_that_is_listed_twice_is_one_wait_to_refuse() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 2, 3]);
    run.sends_to(1);
    run.at(2);
    run.sends_to(2);
    run.exchange.handle_refused(address(2));
    run.exchange.handle_refused(address(2));
    run.sends_to(3);
    run.waits_until(6);
}

#[test]
fn a_refusal_of_an_unknown_address_is_passed_over() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.exchange.handle_refused(address(9));
    run.waits_until(2);
}

#[test]
fn when_all_addresses_refuse_the_answer_is_code_4_at_once() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.sends_to(1);
    run.exchange.handle_refused(address(1));
    run.sends_to(2);
    run.exchange.handle_refused(address(2));
    assert_eq!(run.poll(), SILENT);
}

#[test]
fn without_addresses_the_answer_is_code_4() {
    let request = request();
    assert_eq!(Run::new(&request, &[]).poll(), SILENT);
}

#[test]
fn an_answer_ends_the_exchange() {
    let request = request();
    for (datagram, code) in [(YES, Code::SUCCESS), (NO, Code::REJECTED), (b"\x06\x03TAG\0", Code::CONFIG)] {
        let mut run = Run::new(&request, &[1]);
        run.sends_to(1);
        run.receive(1, datagram);
        run.is_done(code);
    }
}

#[test]
fn the_first_answer_stands() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.receive(1, NO);
    run.receive(1, YES);
    run.exchange.handle_refused(address(1));
    run.at(100);
    run.is_done(Code::REJECTED);
}

#[test]
fn a_datagram_from_an_address_that_was_not_asked_is_ignored() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.receive(1, YES);
    run.sends_to(1);
    run.receive(2, YES);
    run.receive(9, YES);
    run.exchange.handle_datagram(SocketAddr::from(([127, 0, 0, 1], 792)), &Bytes::from_static(YES));
    run.waits_until(2);
}

#[test]
fn a_datagram_with_another_tag_is_ignored_and_the_wait_goes_on() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.at(1);
    for other in [b"d\x03TAX\0".as_slice(), b"d\0\0", b"d\0", b"", b"d\x03TA", b"d\x04TAGX\0"] {
        run.receive(1, other);
        run.waits_until(2);
    }
    run.receive(1, YES);
    run.is_done(Code::SUCCESS);
}

#[test]
fn the_right_tag_on_a_malformed_answer_is_code_3() {
    let request = request();
    for malformed in
        [b"d\x03TAG".as_slice(), b"d\x03TAG\0\0", b"d\x03TAG\x10\x05", b"\0\x03TAG\0", b"d\x03TAG\x10\x01x\0"]
    {
        let mut run = Run::new(&request, &[1]);
        run.sends_to(1);
        run.receive(1, malformed);
        run.is_done(Code::BAD_MODULE_DATA);
    }
}

#[test]
fn a_late_answer_of_an_earlier_address_counts() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2]);
    run.sends_to(1);
    run.at(2);
    run.sends_to(2);
    run.receive(1, YES);
    run.is_done(Code::SUCCESS);
}

#[test]
fn an_answer_that_arrives_at_the_end_of_its_wait_counts() {
    let request = request();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.at(50);
    run.receive(1, YES);
    run.is_done(Code::SUCCESS);
}

#[test]
fn version_1_has_no_tag_to_tell_answers_by() {
    let request = ClientRequest::v1(b"a", b"", &[]).unwrap();
    let mut run = Run::new(&request, &[1]);
    run.sends_to(1);
    run.receive(1, b"d\0");
    run.is_done(Code::REJECTED);
}

#[test]
fn late_refusals_do_not_make_it_last_longer() {
    let request = request();
    let mut run = Run::new(&request, &[1, 2, 3]);
    for (number, begin, end) in [(1, 0, 2), (2, 2, 6), (3, 6, 14), (1, 14, 30)] {
        run.at(begin);
        run.sends_to(number);
        run.waits_until(end);
    }
    run.at(29);
    run.exchange.handle_refused(address(1));
    run.sends_to(2);
    run.waits_until(30);
    run.at(30);
    run.exchange.handle_refused(address(2));
    run.is_done(Code::IO);
}
