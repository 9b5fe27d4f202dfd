//! The client's UDP exchange in a network that loses, delays, doubles, reorders and forges datagrams, in virtual time.
//!
//! Two clients ask the same servers at a time. Everything that happens comes from a seed, which a failure names. The
//! answer must be one's own and in time, whatever the network does.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, UdpExchange, UdpStep};
use cvm_core::testing::value::Response;
use cvm_core::wire::{Reply, Request};
use cvm_core::{Code, CredentialType, FactType, SecretRef};

/// 2, 4, 8 and 16 seconds.
const SCHEDULE: Duration = Duration::from_secs(30);

/// When a client sends whom nobody refuses.
const SENDS: [f64; 4] = [0.0, 2.0, 6.0, 14.0];

/// A generator of numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// So many times of a hundred.
    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn tag(&mut self) -> [u8; 8] {
        self.next().to_le_bytes()
    }
}

/// What a network does to datagrams.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: u64,
    double: u64,
    /// Chance that an answer reaches the wrong client too.
    astray: u64,
    /// Chance that a forger answers whatever is sent.
    forged: u64,
    delay: Duration,
}

const FAIR: Weather = Weather { loss: 0, double: 0, astray: 0, forged: 0, delay: Duration::from_millis(900) };

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Answers,
    Busy,
    /// Sends what has the right tag and cannot be read.
    Broken,
    Silent,
    Absent,
}

/// Something that arrives.
enum Arrival {
    Request { client: usize, server: usize, bytes: Vec<u8> },
    Answer { client: usize, from: SocketAddr, bytes: Vec<u8> },
    Refused { client: usize, server: usize },
}

struct Client {
    name: String,
    request: &'static ClientRequest,
    exchange: UdpExchange<'static>,
    sent: Vec<(Duration, SocketAddr)>,
    /// The next time at which it acts by itself.
    wakes: Duration,
    done: Option<(Duration, Reply)>,
}

struct World {
    random: Random,
    weather: Weather,
    servers: Vec<(SocketAddr, Server)>,
    start: Instant,
    now: Duration,
    /// By the time, and by the order in which they were sent.
    arrivals: BTreeMap<(Duration, u64), Arrival>,
    count: u64,
    clients: Vec<Client>,
    /// Answers that were sent once, by anybody to anybody.
    stale: Vec<Vec<u8>>,
}

/// The request lives as long as the test process: so few bytes.
fn client(name: &str, tag: &[u8], addresses: Vec<SocketAddr>) -> Client {
    let credentials = Credentials::of_password(Account::whole(name.as_bytes(), b""), SecretRef::new(b"secret"));
    let request = Box::leak(Box::new(ClientRequest::v2(&credentials, tag).unwrap()));
    let exchange = UdpExchange::new(request, addresses);
    Client { name: name.to_owned(), request, exchange, sent: Vec::new(), wakes: Duration::ZERO, done: None }
}

/// A yes for this account.
fn yes(name: &[u8], tag: &[u8]) -> Vec<u8> {
    let fact = |kind, value: &[u8]| (FactType::new(kind).unwrap(), value.to_vec());
    let facts = vec![fact(1, name), fact(2, b"1"), fact(3, b"1"), fact(5, b"/")];
    Response { code: Code::SUCCESS, facts }.v2_packet(tag)
}

impl World {
    fn new(seed: u64, weather: Weather, kinds: &[Server]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source; only differences matter")]
        let start = Instant::now();
        let mut random = Random(seed);
        let servers: Vec<_> = (1_u8..).zip(kinds).map(|(host, &kind)| (([10, 0, 0, host], 791).into(), kind)).collect();
        let addresses: Vec<SocketAddr> = servers.iter().map(|(address, _)| *address).collect();
        let clients = ["ann", "bob"].map(|name| client(name, &random.tag(), addresses.clone())).into();
        let (now, arrivals) = (Duration::ZERO, BTreeMap::new());
        Self { random, weather, servers, start, now, arrivals, count: 0, clients, stale: Vec::new() }
    }

    /// Lets time pass until both clients are done.
    fn run(mut self) -> Self {
        (0..self.clients.len()).for_each(|client| self.act(client));
        loop {
            let waiting = self.clients.iter().filter(|client| client.done.is_none());
            let Some(wakes) = waiting.map(|client| client.wakes).min() else { return self };
            match self.arrivals.first_key_value() {
                Some((&(time, number), _)) if time < wakes => {
                    self.now = time;
                    let arrival = self.arrivals.remove(&(time, number));
                    arrival.into_iter().for_each(|arrival| self.arrive(arrival));
                }
                _ => self.now = wakes,
            }
            (0..self.clients.len()).for_each(|client| self.act(client));
        }
    }

    /// Does what a client wants done.
    fn act(&mut self, index: usize) {
        loop {
            let now = self.start + self.now;
            let client = &mut self.clients[index];
            match client.exchange.poll(now) {
                UdpStep::Send(address) => {
                    client.sent.push((self.now, address));
                    let bytes = client.request.bytes().to_vec();
                    self.send(index, address, bytes);
                }
                UdpStep::Wait(until) => {
                    client.wakes = until - self.start;
                    assert!(until > now && client.wakes <= SCHEDULE, "it waits for {:?}", client.wakes);
                    return;
                }
                UdpStep::Done(done) => {
                    let (time, reply) = (self.now, done.unwrap_or_else(|failure| Reply::failure(failure.code())));
                    client.done.get_or_insert((time, reply));
                    return;
                }
            }
        }
    }

    fn send(&mut self, client: usize, address: SocketAddr, bytes: Vec<u8>) {
        let server = self.servers.iter().position(|(known, _)| *known == address).expect("one of the servers is asked");
        if self.random.percent(self.weather.forged) {
            self.forge(client, address, &bytes);
        }
        self.deliver(|| Arrival::Request { client, server, bytes: bytes.clone() });
    }

    /// Sends what whoever does not see the request can send: a guess of its tag, or an old answer; and from elsewhere
    /// even what has the right tag.
    fn forge(&mut self, client: usize, address: SocketAddr, request: &[u8]) {
        let guess = yes(b"eve", &self.random.tag());
        let stranger: SocketAddr = ([10, 9, 9, 9], 791).into();
        let mut forged = vec![(address, guess), (stranger, yes(b"eve", &request[2..10])), (address, b"\0".to_vec())];
        forged.extend(self.stale.last().map(|stale| (address, stale.clone())));
        for (from, bytes) in forged {
            self.deliver(|| Arrival::Answer { client, from, bytes: bytes.clone() });
        }
    }

    /// Puts something on its way once, twice or not at all.
    fn deliver(&mut self, arrival: impl Fn() -> Arrival) {
        let copies = match () {
            () if self.random.percent(self.weather.loss) => 0,
            () if self.random.percent(self.weather.double) => 2,
            () => 1,
        };
        for _ in 0..copies {
            let delay = self.random.below(1 + u64::try_from(self.weather.delay.as_micros()).unwrap());
            self.count += 1;
            self.arrivals.insert((self.now + Duration::from_micros(delay), self.count), arrival());
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Request { client, server, bytes } => self.serve(client, server, &bytes),
            Arrival::Answer { client, from, bytes } => {
                self.clients[client].exchange.handle_datagram(from, &Bytes::from(bytes));
            }
            Arrival::Refused { client, server } => {
                self.clients[client].exchange.handle_refused(self.servers[server].0);
            }
        }
    }

    fn serve(&mut self, client: usize, server: usize, bytes: &[u8]) {
        let (from, kind) = self.servers[server];
        let request = Request::decode(bytes, CredentialType::PASSWORD).expect("it arrives as it was sent");
        let tag = &bytes[2..10];
        let answer = match kind {
            Server::Silent => return,
            Server::Absent => return self.deliver(|| Arrival::Refused { client, server }),
            Server::Answers => yes(request.account().unwrap(), tag),
            Server::Busy => Response { code: Code::CONFIG, facts: Vec::new() }.v2_packet(tag),
            Server::Broken => [yes(request.account().unwrap(), tag), b"more".to_vec()].concat(),
        };
        if self.random.percent(self.weather.astray) {
            self.deliver(|| Arrival::Answer { client: 1 - client, from, bytes: answer.clone() });
        }
        self.deliver(|| Arrival::Answer { client, from, bytes: answer.clone() });
        self.stale.push(answer);
    }

    /// Demands what must be so whatever happens.
    fn check(&self, seed: u64) {
        for client in &self.clients {
            let about =
                format!("seed {seed}, {:?}, {:?}, {}: {:?}", self.weather, self.servers, client.name, client.sent);
            let (time, reply) = client.done.as_ref().unwrap();
            assert!(*time <= SCHEDULE, "{about}");
            match reply.code {
                Code::SUCCESS => {
                    assert_eq!(reply.facts.get(FactType::USERNAME), Some(client.name.as_bytes()), "{about}");
                    assert!(self.has(Server::Answers), "{about}");
                }
                Code::CONFIG => assert!(self.has(Server::Busy), "{about}"),
                Code::BAD_MODULE_DATA => assert!(self.has(Server::Broken), "{about}"),
                code => assert_eq!(code, Code::IO, "{about}"),
            }
            let refusing = self.servers.iter().filter(|(_, kind)| *kind == Server::Absent).count();
            assert!((1..=4 + refusing).contains(&client.sent.len()), "{about}");
            if !self.has(Server::Absent) {
                let times = client.sent.iter().map(|(time, _)| time.as_secs_f64());
                assert!(times.eq(SENDS.into_iter().take(client.sent.len())), "{about}");
                assert!(reply.code != Code::IO || *time == SCHEDULE && client.sent.len() == 4, "{about}");
            }
        }
    }

    fn has(&self, kind: Server) -> bool {
        self.servers.iter().any(|(_, its)| *its == kind)
    }

    fn codes(&self) -> impl Iterator<Item = Code> {
        self.clients.iter().filter_map(|client| Some(client.done.as_ref()?.1.code))
    }
}

fn any_weather(random: &mut Random) -> Weather {
    Weather {
        loss: random.below(100),
        double: random.below(60),
        astray: random.below(60),
        forged: random.below(100),
        delay: Duration::from_millis(random.below(20_000)),
    }
}

fn any_servers(random: &mut Random) -> Vec<Server> {
    const KINDS: [Server; 5] = [Server::Answers, Server::Busy, Server::Broken, Server::Silent, Server::Absent];
    (0..=random.below(4)).map(|_| KINDS[usize::try_from(random.below(5)).unwrap()]).collect()
}

#[test]
fn an_answer_is_ones_own_and_in_time_in_any_weather() {
    let mut codes = BTreeMap::new();
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let (weather, servers) = (any_weather(&mut random), any_servers(&mut random));
        let world = World::new(random.next(), weather, &servers).run();
        world.check(seed);
        world.codes().for_each(|code| *codes.entry(code.byte()).or_insert(0) += 1);
    }
    let enough = |code: u8| codes.get(&code).is_some_and(|&count| count > 2000);
    assert!([0, 3, 4, 6].into_iter().all(enough), "each end is seen often: {codes:?}");
}

#[test]
fn forgers_and_strays_cannot_hide_a_yes_in_fair_weather() {
    for seed in 0..2000 {
        let weather = Weather { double: 50, astray: 100, forged: 100, ..FAIR };
        let world = World::new(seed, weather, &[Server::Answers]).run();
        world.check(seed);
        assert!(world.codes().all(|code| code == Code::SUCCESS), "seed {seed}");
        assert!(world.clients.iter().all(|client| client.sent.len() == 1), "seed {seed}");
    }
}

#[test]
fn a_server_behind_others_that_are_away_is_found() {
    for seed in 0..2000 {
        let world = World::new(seed, FAIR, &[Server::Absent, Server::Silent, Server::Answers]).run();
        world.check(seed);
        assert!(world.codes().all(|code| code == Code::SUCCESS), "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let history = |seed| {
        let world = World::new(seed, any_weather(&mut Random(seed)), &[Server::Answers, Server::Silent]).run();
        world.clients.into_iter().map(|client| (client.sent, client.done)).collect::<Vec<_>>()
    };
    assert!((0..50).all(|seed| history(seed) == history(seed)));
    assert_ne!(history(1), history(2));
}
