//! Which steps of a module are taken, and who is told (SPEC section 5).

use super::*;
use crate::fact::{FactType, Scope};
use crate::module::{Accepts, Lookup, Verdict};
use crate::secret::Secret;
use crate::testing::puppet::{Puppet, Record, Step, Target, Told};
use crate::wire::{FactWriter, Request};

const LOGIN: &[u8] = b"\x02\x01T\x01\x01a\x02\x01d\x03\x01p\0";
const UNKNOWN: Lookup<Target> = Lookup::Unknown { scope: None, decoy: Some(Target::Decoy) };
const ALL_STEPS: [Step; 3] = [Step::Lookup, Step::Authenticate(Target::Real), Step::Results(Target::Real)];

/// A server with its module's steps and what its observer was told.
struct Server {
    answerer: Answerer<Puppet, Record<Told>>,
    steps: Record<Step>,
    told: Record<Told>,
    out: Packet,
}

impl Server {
    fn new(puppet: Puppet) -> Self {
        Self::with_policy(puppet, Policy::Authenticate)
    }

    fn lookup(puppet: Puppet, secret: &[u8]) -> Self {
        Self::with_policy(puppet, Policy::Lookup { secret: Secret::new(secret) })
    }

    fn with_policy(puppet: Puppet, policy: Policy) -> Self {
        let (steps, told) = (puppet.steps.clone(), Record::default());
        Self { answerer: Answerer::new(puppet, policy, told.clone()), steps, told, out: Packet::new() }
    }

    #[track_caller]
    fn code(&mut self, packet: &[u8]) -> Code {
        match self.answerer.answer(packet, &mut self.out, Patience::Blocking) {
            Outcome::Answered(code) => code,
            Outcome::Deferred(cost) => panic!("deferred: {cost:?}"),
        }
    }

    fn now(&mut self, packet: &[u8]) -> Outcome {
        self.answerer.answer(packet, &mut self.out, Patience::Immediate)
    }
}

fn told(code: Code) -> Vec<Told> {
    vec![Told::Answered(code, Some(b"a".to_vec()), Some(b"d".to_vec()))]
}

#[test]
fn a_success_takes_all_three_steps_in_order() {
    let mut server = Server::new(Puppet::default());
    assert_eq!(server.code(LOGIN), Code::SUCCESS);
    assert_eq!(server.steps.take(), ALL_STEPS);
    assert_eq!(*server.out, *b"\0\x01T\x01\x011\x02\x011\x03\x011\x05\x011\0");
}

#[test]
fn lookup_mode_takes_no_authentication() {
    let rejecting = Puppet { verdict: Ok(Verdict::Rejected { scope: None }), ..Puppet::default() };
    let mut server = Server::lookup(rejecting, b"s");
    assert_eq!(server.code(b"\x02\x01T\x01\x01a\x04\x01s\0"), Code::SUCCESS);
    assert_eq!(server.steps.take(), [Step::Lookup, Step::Results(Target::Real)]);
}

#[test]
fn nothing_is_looked_up_for_a_malformed_request() {
    let mut server = Server::new(Puppet { found: Err(Temporary::IO), ..Puppet::default() });
    assert_eq!(server.code(b"\x02\x01T\x01\x01a\x03\x01p"), Code::BAD_CLIENT_DATA);
    assert_eq!(server.steps.take(), []);
    assert_eq!(*server.out, *b"\x02\x01T\0");
}

#[test]
fn nothing_is_looked_up_without_the_secret() {
    let mut server = Server::lookup(Puppet { found: Err(Temporary::IO), ..Puppet::default() }, b"s");
    assert_eq!(server.code(LOGIN), Code::NO_CREDENTIAL);
    assert_eq!(server.steps.take(), []);
}

#[test]
fn nothing_is_looked_up_without_credentials() {
    let mut server = Server::new(Puppet { found: Err(Temporary::IO), ..Puppet::default() });
    assert_eq!(server.code(b"\x02\x01T\x01\x01a\0"), Code::NO_CREDENTIAL);
    assert_eq!(server.steps.take(), []);
}

#[test]
fn a_module_says_which_credentials_it_can_judge() {
    let response = b"\x01a\0\0challenge\0response\0\0";
    for (accepts, code) in [
        (Accepts::Password, Code::NO_CREDENTIAL),
        (Accepts::PasswordOrResponse, Code::SUCCESS),
        (Accepts::Anything, Code::SUCCESS),
    ] {
        assert_eq!(Server::new(Puppet { accepts, ..Puppet::default() }).code(response), code);
    }
}

#[test]
fn an_unknown_account_takes_the_way_of_a_wrong_password() {
    for verdict in [Verdict::Accepted, Verdict::Rejected { scope: Some(Scope::In) }] {
        let mut server = Server::new(Puppet { found: Ok(UNKNOWN), verdict: Ok(verdict), ..Puppet::default() });
        assert_eq!(server.code(LOGIN), Code::REJECTED);
        assert_eq!(server.steps.take(), [Step::Lookup, Step::Authenticate(Target::Decoy)]);
        assert_eq!(*server.out, *b"d\x01T\0");
    }
}

#[test]
fn the_facts_of_a_decoy_are_never_told() {
    for secret in [None, Some(b"")] {
        let puppet = Puppet { found: Ok(UNKNOWN), ..Puppet::default() };
        let mut server = match secret {
            None => Server::new(puppet),
            Some(secret) => Server::lookup(puppet, secret),
        };
        assert_eq!(server.code(LOGIN), Code::REJECTED);
        assert!(!server.steps.take().contains(&Step::Results(Target::Decoy)));
    }
}

#[test]
fn temporary_trouble_of_any_step_is_the_answer() {
    let trouble = Temporary::IO;
    for (puppet, steps) in [
        (Puppet { found: Err(trouble), ..Puppet::default() }, 1),
        (Puppet { verdict: Err(trouble), ..Puppet::default() }, 2),
        (Puppet { results: Err(trouble), ..Puppet::default() }, 3),
    ] {
        let mut server = Server::new(puppet);
        assert_eq!(server.code(LOGIN), Code::IO);
        assert_eq!(server.steps.take(), ALL_STEPS[..steps]);
        assert_eq!(*server.out, *b"\x04\x01T\0");
        assert_eq!(server.told.take(), told(Code::IO));
    }
}

#[test]
fn facts_that_do_not_make_a_response_are_code_3() {
    for facts in [vec![], vec![(FactType::OFFICE, vec![b'x'; 256]); 2]] {
        let mut server = Server::new(Puppet { facts, ..Puppet::default() });
        assert_eq!(server.code(LOGIN), Code::BAD_MODULE_DATA);
        assert_eq!(*server.out, *b"\x03\x01T\0");
        assert_eq!(server.told.take(), told(Code::BAD_MODULE_DATA));
    }
}

#[test]
fn the_impatient_get_an_answer_where_every_step_is_cheap() {
    let mut server = Server::new(Puppet::default());
    assert_eq!(server.now(LOGIN), Outcome::Answered(Code::SUCCESS));
    assert_eq!(server.steps.take(), ALL_STEPS);
    assert_eq!(server.told.take(), told(Code::SUCCESS));
}

#[test]
fn the_impatient_do_not_take_a_costly_lookup() {
    for cost in [Cost::Cpu, Cost::Wait] {
        let mut server = Server::new(Puppet { lookup_cost: cost, ..Puppet::default() });
        assert_eq!(server.now(LOGIN), Outcome::Deferred(cost));
        assert_eq!(server.steps.take(), []);
        assert_eq!(server.told.take(), [], "nothing was decided");
        assert_eq!(server.code(LOGIN), Code::SUCCESS);
        assert_eq!(server.told.take(), told(Code::SUCCESS));
    }
}

/// A module that learns only on the way what a look-up costs.
struct Learner(Record<&'static str>);

impl Module for Learner {
    type Account = ();

    fn lookup(&self, _: &Request<'_>) -> Result<Lookup<()>, Temporary> {
        self.0.push("waited");
        Ok(Lookup::Known(()))
    }

    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<()>, Temporary>, Cost> {
        self.0.push("tried");
        if request.account() == Some(b"a") { Err(Cost::Wait) } else { Ok(Err(Temporary::IO)) }
    }

    fn authenticate(&self, (): &(), _: &Request<'_>) -> Result<Verdict, Temporary> {
        Err(Temporary::CONFIG)
    }

    fn results(&self, (): &(), _: &mut FactWriter<'_>) -> Result<(), Temporary> {
        Ok(())
    }
}

/// A module that finds accounts together: `a` is known, whoever asks for `x` gets no answer, and for `y` a panic.
struct Batcher(Record<usize>);

impl Module for Batcher {
    type Account = Vec<u8>;

    fn lookup(&self, _: &Request<'_>) -> Result<Lookup<Vec<u8>>, Temporary> {
        Err(Temporary::CONFIG)
    }

    fn lookups_at_once(&self) -> usize {
        4
    }

    fn anticipate(&self, requests: &mut dyn Iterator<Item = Request<'_>>) {
        requests.for_each(|request| self.0.push(request.account().unwrap_or_default().len()));
    }

    fn lookup_all(&self, requests: &[Request<'_>]) -> Vec<Result<Lookup<Vec<u8>>, Temporary>> {
        self.0.push(requests.len());
        let found = |request: &Request<'_>| match request.account() {
            Some(b"n") => Ok(Lookup::Unknown { scope: None, decoy: None }),
            account => Ok(Lookup::Known(account.unwrap_or_default().to_vec())),
        };
        requests.iter().take_while(|request| request.account() != Some(b"x")).map(found).collect()
    }

    fn authenticate(&self, account: &Vec<u8>, _: &Request<'_>) -> Result<Verdict, Temporary> {
        assert_ne!(account, b"y", "what a module must survive");
        Ok(Verdict::from_match(account != b"b"))
    }

    fn results(&self, account: &Vec<u8>, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        for kind in FactType::REQUIRED {
            facts.string(kind, if kind == FactType::USERNAME { account } else { b"1" });
        }
        Ok(())
    }
}

/// Asks for accounts of one letter, and returns the codes; an answer with success names the account.
fn codes_together(accounts: &[u8], told: &Record<Told>, sizes: &Record<usize>) -> Vec<u8> {
    let answerer = Answerer::new(Batcher(sizes.clone()), Policy::Authenticate, told.clone());
    let packet = |account: &u8| match account {
        b'!' => b"\x02".to_vec(),
        account => [b"\x02\x01T\x01\x01", &[*account][..], b"\x03\x01p\0"].concat(),
    };
    let packets: Vec<_> = accounts.iter().map(packet).collect();
    let mut outs: Vec<_> = accounts.iter().map(|_| Packet::new()).collect();
    let mut asked: Vec<_> =
        packets.iter().zip(&mut outs).map(|(packet, out)| Asked { packet, out, code: None }).collect();
    answer_packets(&answerer, &mut asked);
    let codes: Vec<_> = asked.iter().map(|asked| asked.code.map_or(255, Code::byte)).collect();
    for ((account, out), code) in accounts.iter().zip(&outs).zip(&codes) {
        assert_eq!(out.first(), Some(code));
        assert_eq!(out.get(5), if *code == 0 { Some(account) } else { None });
    }
    codes
}

#[test]
fn a_module_hears_of_the_requests_of_a_round_and_of_nothing_else() {
    let heard = Record::default();
    let answerer = Answerer::new(Batcher(heard.clone()), Policy::Authenticate, ());
    let packets: [&[u8]; 4] = [b"\x02\x01T\x01\x03abc\x03\x01p\0", b"\x02", b"", b"\x02\0\x01\x01a\0"];
    answerer.anticipate(&mut packets.into_iter());
    assert_eq!(heard.take(), [3, 1]);
    let puppet = Answerer::new(Puppet::default(), Policy::Authenticate, ());
    let mut packets = packets.into_iter();
    puppet.anticipate(&mut packets);
    assert_eq!(packets.len(), 4, "who does not want to hear costs nothing");
}

#[test]
fn several_are_answered_together_each_as_alone() {
    let (told, sizes) = (Record::default(), Record::default());
    assert_eq!(codes_together(b"ab!na", &told, &sizes), [0, 100, 2, 100, 0]);
    assert_eq!((sizes.take(), told.take().len()), (vec![4], 5));
    assert_eq!(codes_together(b"!!", &told, &sizes), [2, 2]);
    assert_eq!((sizes.take(), told.take().len()), (vec![], 2));
}

#[test]
fn who_is_left_without_an_answer_is_told_so_once() {
    let (told, sizes) = (Record::default(), Record::default());
    assert_eq!(codes_together(b"axa", &told, &sizes), [0, 1, 1]);
    assert_eq!(told.take().len(), 3);
    assert_eq!(codes_together(b"aya", &told, &sizes), [0, 1, 1]);
    assert_eq!(told.take().len(), 3);
}

#[test]
fn a_lookup_that_turns_out_cheap_is_done_once() {
    let steps = Record::default();
    let answerer = Answerer::new(Learner(steps.clone()), Policy::Authenticate, ());
    let mut out = Packet::new();
    assert_eq!(answerer.answer(LOGIN, &mut out, Patience::Immediate), Outcome::Deferred(Cost::Wait));
    assert_eq!(steps.take(), ["tried"]);
    assert_eq!(answerer.answer(LOGIN, &mut out, Patience::Blocking), Outcome::Answered(Code::CONFIG));
    assert_eq!(steps.take(), ["waited"]);
    let other = b"\x02\x01T\x01\x01b\x03\x01p\0";
    assert_eq!(answerer.answer(other, &mut out, Patience::Immediate), Outcome::Answered(Code::IO));
    assert_eq!(steps.take(), ["tried"]);
}

#[test]
fn the_impatient_do_not_take_a_costly_authentication() {
    for cost in [Cost::Cpu, Cost::Wait] {
        for found in [Lookup::Known(Target::Real), UNKNOWN] {
            let mut server = Server::new(Puppet { authenticate_cost: cost, found: Ok(found), ..Puppet::default() });
            assert_eq!(server.now(LOGIN), Outcome::Deferred(cost));
            assert_eq!(server.steps.take(), [Step::Lookup]);
            assert_eq!(server.told.take(), [], "nothing was decided");
            let code = server.code(LOGIN);
            assert_eq!(server.told.take(), told(code));
        }
    }
}

#[test]
fn the_impatient_are_refused_at_once_what_is_refused_before_the_lookup() {
    let mut server = Server::new(Puppet { lookup_cost: Cost::Wait, ..Puppet::default() });
    assert_eq!(server.now(b"\x02\x00"), Outcome::Answered(Code::BAD_CLIENT_DATA));
    assert_eq!(server.now(b"\x01a\0\0\0"), Outcome::Answered(Code::NO_CREDENTIAL));
}

#[test]
fn a_costly_authentication_is_no_matter_where_none_is_due() {
    let costly = || Puppet { authenticate_cost: Cost::Cpu, ..Puppet::default() };
    assert_eq!(Server::lookup(costly(), b"").now(LOGIN), Outcome::Answered(Code::SUCCESS));
    let unknown = Ok(Lookup::Unknown { scope: None, decoy: None });
    let outcome = Server::new(Puppet { found: unknown, ..costly() }).now(LOGIN);
    assert_eq!(outcome, Outcome::Answered(Code::REJECTED));
}

#[test]
fn the_patient_take_every_step() {
    let puppet = Puppet { lookup_cost: Cost::Wait, authenticate_cost: Cost::Cpu, ..Puppet::default() };
    let mut server = Server::new(puppet);
    assert_eq!(server.code(LOGIN), Code::SUCCESS);
    assert_eq!(server.steps.take(), ALL_STEPS);
}

#[test]
fn the_observer_is_told_once_of_every_answer_and_by_name() {
    for (verdict, code) in
        [(Verdict::Accepted, Code::SUCCESS), (Verdict::Rejected { scope: Some(Scope::Out) }, Code::REJECTED)]
    {
        let mut server = Server::new(Puppet { verdict: Ok(verdict), ..Puppet::default() });
        assert_eq!(server.code(LOGIN), code);
        assert_eq!(server.told.take(), told(code));
    }
}

#[test]
fn the_observer_is_told_of_a_request_that_cannot_be_read() {
    let mut server = Server::new(Puppet::default());
    assert_eq!(server.code(b"junk"), Code::BAD_CLIENT_DATA);
    assert_eq!(server.told.take(), [Told::Answered(Code::BAD_CLIENT_DATA, None, None)]);
}

#[test]
fn the_observer_is_told_of_an_account_without_a_domain() {
    let mut server = Server::new(Puppet::default());
    assert_eq!(server.code(b"\x01a\0\0p\0\0"), Code::SUCCESS);
    assert_eq!(server.told.take(), [Told::Answered(Code::SUCCESS, Some(b"a".to_vec()), None)]);
}

#[test]
fn a_refusal_from_outside_asks_no_module_and_is_told() {
    let mut server = Server::new(Puppet::default());
    let code = server.answerer.refuse(LOGIN, &mut server.out, Temporary::CONFIG);
    assert_eq!((code, &*server.out), (Code::CONFIG, &b"\x06\x01T\0"[..]));
    assert_eq!(server.told.take(), told(Code::CONFIG));
    assert_eq!(server.steps.take(), []);
}

#[test]
fn a_refusal_from_outside_leaves_what_is_malformed_malformed() {
    let mut server = Server::new(Puppet::default());
    let code = server.answerer.refuse(b"\x02\x01T", &mut server.out, Temporary::IO);
    assert_eq!((code, &*server.out), (Code::BAD_CLIENT_DATA, &b"\x02\x01T\0"[..]));
    assert_eq!(server.told.take(), [Told::Answered(Code::BAD_CLIENT_DATA, None, None)]);
}

#[test]
fn an_answer_overwrites_the_one_before() {
    let mut server = Server::new(Puppet::default());
    assert_eq!(server.code(LOGIN), Code::SUCCESS);
    assert_eq!(server.code(b""), Code::BAD_CLIENT_DATA);
    assert_eq!(*server.out, *b"\x02\0");
}

#[test]
fn rounds_reach_module_and_observer() {
    let server = Server::new(Puppet::default());
    server.answerer.refresh();
    assert_eq!(server.steps.take(), [Step::Refresh]);
    server.answerer.end_round();
    assert_eq!(server.steps.take(), [Step::EndRound]);
    assert_eq!(server.told.take(), [Told::EndRound]);
}

#[test]
fn to_read_its_files_again_a_module_looks_at_them_if_it_knows_no_better() {
    let server = Server::new(Puppet::default());
    server.answerer.reload();
    assert_eq!(server.steps.take(), [Step::Refresh]);
}

fn answer_for_driver(puppet: Puppet, patience: Patience) -> (Result<(), Cost>, Vec<u8>) {
    let mut server = Server::new(puppet);
    let due = answer_packet(&server.answerer, LOGIN, &mut server.out, patience);
    (due, server.out.to_vec())
}

#[test]
fn a_driver_gets_the_answer_or_what_it_costs() {
    let success = b"\0\x01T\x01\x011\x02\x011\x03\x011\x05\x011\0".to_vec();
    assert_eq!(answer_for_driver(Puppet::default(), Patience::Immediate), (Ok(()), success.clone()));
    for cost in [Cost::Cpu, Cost::Wait] {
        let costly = || Puppet { lookup_cost: cost, ..Puppet::default() };
        assert_eq!(answer_for_driver(costly(), Patience::Immediate).0, Err(cost));
        assert_eq!(answer_for_driver(costly(), Patience::Blocking), (Ok(()), success.clone()));
    }
}

/// Something whose answer is that of a function; what it refuses, it refuses as any other does.
struct Wayward(fn() -> Outcome, Answerer<Puppet>);

impl Answer for Wayward {
    fn answer(&self, _: &[u8], _: &mut Packet, _: Patience) -> Outcome {
        self.0()
    }

    fn refuse(&self, packet: &[u8], out: &mut Packet, temporary: Temporary) -> Code {
        self.1.refuse(packet, out, temporary)
    }

    fn refresh(&self) {}
    fn reload(&self) {}
    fn end_round(&self) {}
}

#[test]
fn what_panics_or_puts_off_whoever_can_wait_is_code_1() {
    let ways: [(fn() -> Outcome, Patience); 3] = [
        (|| panic!("a module at its end"), Patience::Immediate),
        (|| panic!("a module at its end"), Patience::Blocking),
        (|| Outcome::Deferred(Cost::Wait), Patience::Blocking),
    ];
    for (outcome, patience) in ways {
        let wayward = Wayward(outcome, Answerer::new(Puppet::default(), Policy::Authenticate, ()));
        let mut out = Packet::new();
        assert_eq!(answer_packet(&wayward, LOGIN, &mut out, patience), Ok(()));
        assert_eq!(*out, *b"\x01\x01T\0");
    }
}

#[test]
fn a_driver_needs_to_know_no_module() {
    let server: std::sync::Arc<dyn Answer> =
        std::sync::Arc::new(Answerer::new(Puppet::default(), Policy::Authenticate, ()));
    let mut out = Packet::new();
    assert_eq!(server.answer(LOGIN, &mut out, Patience::Immediate), Outcome::Answered(Code::SUCCESS));
}
