//! The load: requests over UDP with a window, at a rate, or one at a time; every answer is checked.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::mmsg::{BATCH, Batch, send_all};
use crate::accounts::is_answer;
use crate::measure::go_on;
use crate::statistics::percentile;

/// Where the tag is in a request, behind version and length.
const TAG_AT: std::ops::Range<usize> = 2..10;

/// After this without an answer, what is outstanding counts as lost.
const LOST: Duration = Duration::from_millis(500);

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Seconds from sending to the answer.
    pub(crate) latencies: Vec<f64>,
    pub(crate) lost: usize,
    /// Answers with code 4: the server said that it has no room.
    pub(crate) refused: usize,
}

impl Outcome {
    pub(crate) fn latency(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }
}

/// What is asked.
pub(crate) struct Questions<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) requests: &'a [Vec<u8>],
    /// The code of every answer; `None` for an echo.
    pub(crate) code: Option<u8>,
    /// Code 4 is an answer too.
    pub(crate) may_refuse: bool,
}

struct Asking<'a> {
    questions: &'a Questions<'a>,
    socket: UdpSocket,
    batch: Batch,
    /// When each request was sent, by the number in its tag.
    sent: Vec<Instant>,
    answered: usize,
    outcome: Outcome,
    out: Vec<Vec<u8>>,
}

impl<'a> Questions<'a> {
    /// Keeps `window` requests under way for a time, and never sleeps, so that no server pays for waking us.
    pub(crate) fn with_window(&self, window: usize, time: Duration) -> Outcome {
        self.windowed(window, time, |asking| asking.poll())
    }

    /// Keeps `window` requests under way for a time, and sleeps meanwhile, to leave the core to others.
    pub(crate) fn with_window_asleep(&self, window: usize, time: Duration) -> Outcome {
        self.windowed(window, time, |asking| asking.receive(true))
    }

    fn windowed(&self, window: usize, time: Duration, receive: impl Fn(&mut Asking<'_>) -> usize) -> Outcome {
        let mut asking = Asking::new(self, LOST);
        let start = Instant::now();
        while start.elapsed() < time {
            go_on();
            let under_way = asking.sent.len().saturating_sub(asking.answered + asking.outcome.lost);
            asking.send((window - under_way.min(window)).min(BATCH));
            if receive(&mut asking) == 0 {
                asking.outcome.lost = asking.sent.len() - asking.answered;
            }
        }
        asking.finish(start)
    }

    /// Sends at a rate a second, whatever comes back.
    pub(crate) fn at_rate(&self, rate: f64, time: Duration) -> Outcome {
        let mut asking = Asking::new(self, Duration::from_micros(50));
        let start = Instant::now();
        while start.elapsed() < time {
            go_on();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bounded positive number")]
            let due = (start.elapsed().as_secs_f64() * rate) as usize;
            asking.send(due.saturating_sub(asking.sent.len()).min(BATCH));
            while asking.receive(false) == BATCH {}
        }
        let elapsed = Instant::now();
        while elapsed.elapsed() < LOST && asking.answered < asking.sent.len() {
            asking.receive(false);
        }
        asking.outcome.lost = asking.sent.len() - asking.answered;
        asking.outcome.rate = asking.answered as f64 / time.as_secs_f64();
        asking.outcome
    }

    /// Asks one at a time, with a pause between.
    pub(crate) fn one_at_a_time(&self, pause: Duration, count: usize) -> Outcome {
        let mut asking = Asking::new(self, Duration::from_secs(5));
        let start = Instant::now();
        for _ in 0..count {
            go_on();
            asking.send(1);
            if asking.receive(true) == 0 {
                asking.outcome.lost += 1;
            }
            std::thread::sleep(pause);
        }
        asking.finish(start)
    }
}

impl<'a> Asking<'a> {
    fn new(questions: &'a Questions<'a>, patience: Duration) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.connect(questions.server).expect("a local socket can be connected");
        socket.set_read_timeout(Some(patience)).expect("a time-out can be set");
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20);
        let out = questions.requests.iter().take(BATCH).cloned().collect();
        Self { questions, socket, batch: Batch::new(), sent: Vec::new(), answered: 0, outcome: Outcome::default(), out }
    }

    fn send(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let now = Instant::now();
        self.out.resize_with(count.max(self.out.len()), Vec::new);
        for (index, out) in self.out.iter_mut().take(count).enumerate() {
            let number = self.sent.len() + index;
            out.clone_from(&self.questions.requests[number % self.questions.requests.len()]);
            out[TAG_AT].copy_from_slice(&(number as u64).to_le_bytes());
        }
        let sent = send_all(self.socket.as_raw_fd(), self.out.iter().take(count).map(Vec::as_slice));
        self.sent.resize(self.sent.len() + sent, now);
    }

    /// Receives without ever sleeping.
    fn poll(&mut self) -> usize {
        let start = Instant::now();
        loop {
            let count = self.receive(false);
            if count > 0 || start.elapsed() > LOST {
                return count;
            }
        }
    }

    fn receive(&mut self, wait: bool) -> usize {
        self.batch.receive(self.socket.as_raw_fd(), wait);
        let now = Instant::now();
        let mut count = 0;
        for answer in self.batch.datagrams() {
            let tag: [u8; 8] = answer.get(TAG_AT).and_then(|tag| tag.try_into().ok()).expect("an answer has a tag");
            let number = usize::try_from(u64::from_le_bytes(tag)).expect("the tag of a request");
            let refused = self.questions.may_refuse && is_answer(answer, 4, &tag);
            let right = self.questions.code.is_none_or(|code| is_answer(answer, code, &tag));
            assert!(right || refused, "a wrong answer: {answer:?}");
            self.outcome.refused += usize::from(refused);
            let sent = self.sent.get(number).expect("the tag of a request");
            if !refused {
                self.outcome.latencies.push(now.duration_since(*sent).as_secs_f64());
            }
            count += 1;
        }
        self.answered += count;
        count
    }

    fn finish(mut self, start: Instant) -> Outcome {
        self.outcome.rate = self.answered as f64 / start.elapsed().as_secs_f64();
        // Nobody else's turn begins while this server has work.
        while self.answered + self.outcome.lost < self.sent.len() && self.poll() > 0 {}
        self.outcome
    }
}
