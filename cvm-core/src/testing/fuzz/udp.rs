//! A UDP exchange under any order of sends, losses, refusals and strange datagrams, beside a model of SPEC section 7.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::some_time;
use crate::client::{ClientRequest, Credentials, UdpExchange, UdpFailure, UdpStep};
use crate::code::Code;
use crate::fact::FactType;
use crate::testing::value::{Response, string};
use crate::wire::{Reply, ReplyError};

const TAG: &[u8] = b"the tag";
const WAITS: [u64; 4] = [2, 4, 8, 16];

/// Does what the bytes say to an exchange and checks each step: it sends and waits as scheduled, it believes nothing
/// but answers with its tag from addresses that it asked, and it comes to an end.
pub fn udp(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let addresses: Vec<_> = (0..u.int_in_range(0..=4_u8).unwrap_or(0)).map(|_| address(&mut u)).collect();
    let request = ClientRequest::v2(&Credentials::new(), TAG).expect("a tag fits");
    let mut run = Run {
        exchange: UdpExchange::new(&request, addresses.clone()),
        request: &request,
        now: some_time(),
        model: Model { live: addresses.into_iter().enumerate().collect(), ..Model::default() },
    };
    while let Ok(true) = run.operation(&mut u) {}
    run.finish();
}

/// What is known of an exchange from outside.
#[derive(Default)]
struct Model {
    /// The addresses that have not refused, with their places in the list.
    live: Vec<(usize, SocketAddr)>,
    /// The place of the address that was sent to last.
    last: Option<usize>,
    asked: Vec<SocketAddr>,
    /// The waits that came to their end.
    waited: usize,
    /// The address that is waited for and until when.
    waiting: Option<(SocketAddr, Instant)>,
    /// Half a minute after the first send.
    end: Option<Instant>,
    done: Option<core::result::Result<Reply, UdpFailure>>,
}

impl Model {
    fn step(&mut self, now: Instant) -> UdpStep {
        if let Some((_, until)) = self.waiting.filter(|_| self.done.is_none()) {
            if now < until {
                return UdpStep::Wait(until);
            }
            self.waiting = None;
            self.waited += 1;
        }
        let after = |&&(place, _): &&(usize, SocketAddr)| self.last.is_none_or(|last| place > last);
        let turn = self.live.iter().find(after).or_else(|| self.live.first()).copied();
        let end = *self.end.get_or_insert(now + Duration::from_secs(30));
        match (turn, WAITS.get(self.waited).filter(|_| now < end)) {
            _ if self.done.is_some() => {}
            (Some((place, address)), Some(&wait)) => {
                self.last = Some(place);
                self.asked.push(address);
                self.waiting = Some((address, end.min(now + Duration::from_secs(wait))));
                return UdpStep::Send(address);
            }
            _ => self.done = Some(Err(UdpFailure::Silent)),
        }
        self.done.clone().map_or(UdpStep::Wait(now), UdpStep::Done)
    }

    fn refused(&mut self, address: SocketAddr) {
        if let Some(index) = self.live.iter().position(|&(_, live)| live == address) {
            self.live.remove(index);
            self.waiting = self.waiting.filter(|&(waiting, _)| waiting != address);
        }
    }

    fn datagram(&mut self, from: SocketAddr, checked: core::result::Result<Reply, ReplyError>) {
        if self.done.is_none() && self.asked.contains(&from) && checked != Err(ReplyError::OtherTag) {
            self.done = Some(checked.map_err(UdpFailure::from));
        }
    }
}

struct Run<'r> {
    exchange: UdpExchange<'r>,
    request: &'r ClientRequest,
    now: Instant,
    model: Model,
}

impl Run<'_> {
    /// Does one thing; false when nothing is left to do.
    fn operation(&mut self, u: &mut Unstructured<'_>) -> Result<bool> {
        if u.is_empty() {
            return Ok(false);
        }
        match u.int_in_range(0..=3_u8)? {
            0 => self.now += Duration::from_millis(u64::from(u.arbitrary::<u16>()?)),
            1 => self.poll(),
            2 => {
                let address = address(u);
                self.model.refused(address);
                self.exchange.handle_refused(address);
            }
            _ => self.datagram(address(u), &datagram(u)?),
        }
        Ok(true)
    }

    fn poll(&mut self) {
        let expected = self.model.step(self.now);
        assert_eq!(self.exchange.poll(self.now), expected);
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &Bytes) {
        let tag_is_ours = datagram.get(1) == Some(&7) && datagram.get(2..9) == Some(TAG);
        let checked = self.request.check(datagram);
        assert_eq!(checked == Err(ReplyError::OtherTag), !tag_is_ours);
        self.model.datagram(from, checked);
        self.exchange.handle_datagram(from, datagram);
    }

    /// Lets all waits pass: four at most, and a send more for every address that refuses.
    fn finish(mut self) {
        for _ in 0..2 * WAITS.len() + 2 {
            self.poll();
            match self.exchange.poll(self.now) {
                UdpStep::Done(done) => return assert_eq!(Some(done), self.model.done),
                UdpStep::Wait(until) => self.now = until,
                UdpStep::Send(_) => panic!("two sends at once"),
            }
        }
        panic!("the exchange goes on for ever");
    }
}

fn address(u: &mut Unstructured<'_>) -> SocketAddr {
    let number = u.int_in_range(1..=6_u8).unwrap_or(1);
    SocketAddr::from(([127, 0, 0, number], 791))
}

fn datagram(u: &mut Unstructured<'_>) -> Result<Bytes> {
    let code = Code::new(u.arbitrary()?);
    let facts = if code.is_success() { FactType::REQUIRED.map(|kind| (kind, b"1".to_vec())).to_vec() } else { vec![] };
    let response = Response { code, facts };
    Ok(match u.int_in_range(0..=4_u8)? {
        0 => response.v2_packet(TAG),
        1 => response.v2_packet(b"another"),
        2 => response.v1_packet(),
        3 => [response.v2_packet(TAG), string(u)?].concat(),
        _ => string(u)?,
    }
    .into())
}
