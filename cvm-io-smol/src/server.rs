//! The server: a task for each socket, and one for each request that takes its time.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use cvm_core::answer::Answer;
use cvm_core::driver::Counts;
use cvm_core::wire::Packet;
use cvm_io_udp::{Datagram, WayBack};
use rustix::io::Errno;
use smol::channel::{Receiver, Sender, bounded};
use smol::lock::{Semaphore, SemaphoreGuardArc};
use smol::{Async, Executor, Timer, future};
use zeroize::Zeroizing;

use crate::datagrams::{Datagrams, Hold};
use crate::work::{Admitted, Work};
use crate::{local, within};

/// The datagrams that one round takes at most, so that others get their turn.
const BATCH: usize = 64;

/// How long to wait before trying again when a socket fails, mostly for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// How often counts are told, if they have changed.
const REPORT: Duration = Duration::from_secs(10);

/// How long a server that ends goes on receiving at most, if more arrives all the time.
const LAST_RECEIVING: Duration = Duration::from_millis(100);

/// The sockets to serve, bound and set up by the caller; they are made non-blocking.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UNIX stream sockets that listen.
    pub locals: Vec<UnixListener>,
    /// UDP sockets, of either address family.
    pub udps: Vec<UdpSocket>,
}

/// Descriptors that become readable when something is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a> {
    /// Time to stop; stays readable.
    pub stop: BorrowedFd<'a>,
    /// Time to read files again; what is in it is read and thrown away. Its other end must stay open.
    pub reload: BorrowedFd<'a>,
}

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a connection may take for its whole input, and again for its whole output.
    pub io_timeout: Duration,
    /// The most requests that hash at a time; at least one.
    pub cpu_workers: usize,
    /// The most requests that wait for something else at a time; at least one.
    pub wait_workers: usize,
    /// The most requests that wait to be one of these, for each kind; more are answered with code 4 at once.
    pub queue: usize,
    /// The most connections, shared out among the sockets; beyond them connections wait in the listen queue.
    pub max_connections: usize,
}

impl Default for Options {
    /// One second, a hash for each core, 16 that wait, queues of 1024, and 4096 connections.
    fn default() -> Self {
        Self {
            io_timeout: Duration::from_millis(1000),
            cpu_workers: thread::available_parallelism().map_or(1, usize::from),
            wait_workers: 16,
            queue: 1024,
            max_connections: 4096,
        }
    }
}

/// Serves the sockets until `signals.stop` becomes readable, then finishes what is in hand.
///
/// What is in hand gets twice the I/O time-out, once for input and once for output; what still waits for a thread
/// after the first one is refused with code 4, and a step that takes longer is left behind. `report` is told counts that
/// have changed, now and then and at the end; none is of datagrams that the kernel dropped, or of connections closed to
/// make room.
///
/// # Errors
///
/// What setting up the sockets fails with.
pub async fn serve(
    sockets: Sockets,
    answer: &Arc<dyn Answer>,
    options: Options,
    signals: Signals<'_>,
    report: impl Fn(Counts),
) -> io::Result<()> {
    // The only strong reference: whoever drops this future drops all tasks with it.
    let executor = Arc::new(Executor::new());
    let (stopping, stopped) = bounded(1);
    let (in_hand, all_done) = bounded(1);
    let work = Arc::new(Work::new(Arc::clone(answer), &options));
    let io_timeout = options.io_timeout;
    let server =
        Server { work: Arc::clone(&work), io_timeout, executor: Arc::downgrade(&executor), stopped, _in_hand: in_hand };
    let mut receiving = Vec::new();
    let connections = options.max_connections.div_ceil(sockets.locals.len().max(1)).max(1);
    for listener in sockets.locals {
        receiving.push(executor.spawn(server.clone().accept(Async::new(listener)?, connections)));
    }
    for socket in sockets.udps {
        receiving.push(executor.spawn(server.clone().receive(Arc::new(Datagrams::new(socket)?))));
    }
    drop(server);
    let mut reports = Reports { report, told: Counts::default() };
    let main = async {
        future::or(wait_for_stop(signals, &work), reports.give_for_ever(&work)).await?;
        drop(stopping);
        within(LAST_RECEIVING.min(io_timeout), join(&mut receiving)).await;
        // Closes the sockets.
        drop(receiving);
        finish(&all_done, &work, io_timeout).await;
        reports.give(&work);
        Ok(())
    };
    executor.run(main).await
}

async fn join(tasks: &mut [smol::Task<()>]) {
    for task in tasks {
        task.await;
    }
}

/// Waits until it is time to stop, and reads files again in the meantime.
async fn wait_for_stop(signals: Signals<'_>, work: &Work) -> io::Result<()> {
    // The descriptors are others' too, so their flags stay as they are.
    let listen =
        |fd: BorrowedFd<'_>| -> io::Result<Async<OwnedFd>> { Async::new_nonblocking(fd.try_clone_to_owned()?) };
    let (stop, reload) = (listen(signals.stop)?, listen(signals.reload)?);
    let reload = async {
        loop {
            reload.readable().await?;
            match rustix::io::read(reload.get_ref(), &mut [0_u8; 512]) {
                // What is left in it only makes for one reload more.
                Ok(1..) => work.reload().await,
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Nobody will ask any more.
                Ok(0) | Err(_) => return future::pending().await,
            }
        }
    };
    future::or(stop.readable(), reload).await
}

/// Waits until everybody who is in hand is done, but not for ever.
async fn finish(all_done: &Receiver<()>, work: &Work, io_timeout: Duration) {
    if within(io_timeout, all_done.recv()).await.is_none() {
        work.close();
        within(io_timeout, all_done.recv()).await;
    }
}

/// Tells counts that have changed.
struct Reports<R> {
    report: R,
    told: Counts,
}

impl<R: Fn(Counts)> Reports<R> {
    async fn give_for_ever<T>(&mut self, work: &Work) -> T {
        loop {
            Timer::after(REPORT).await;
            self.give(work);
        }
    }

    fn give(&mut self, work: &Work) {
        let counts = work.tally.counts(0);
        if counts != self.told {
            (self.report)(counts);
            self.told = counts;
        }
    }
}

/// What all tasks share.
#[derive(Clone)]
struct Server {
    work: Arc<Work>,
    io_timeout: Duration,
    executor: Weak<Executor<'static>>,
    /// Closed when it is time to stop.
    stopped: Receiver<()>,
    /// Closed when all tasks are done.
    _in_hand: Sender<()>,
}

impl Server {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(task).detach();
        }
    }

    /// Waits for a socket; `false` if it is time to stop instead.
    async fn ready(&self, readable: impl Future<Output = io::Result<()>>) -> bool {
        let stopped = async {
            let _ = self.stopped.recv().await;
            false
        };
        let readable = async {
            if readable.await.is_err() {
                Timer::after(PAUSE).await;
            }
            true
        };
        future::or(stopped, readable).await
    }

    /// Accepts connections until it is time to stop, and then those that have come.
    async fn accept(self, listener: Async<UnixListener>, most: usize) {
        let places = Arc::new(Semaphore::new(most));
        loop {
            let place = places.acquire_arc().await;
            let Some(stream) = self.next(&listener).await else { return };
            self.spawn(self.clone().connection(stream, place));
            // It is served, and so are others, before the next one is let in.
            future::yield_now().await;
        }
    }

    async fn next(&self, listener: &Async<UnixListener>) -> Option<UnixStream> {
        let mut stopping = false;
        loop {
            match listener.get_ref().accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if stopping {
                        return None;
                    }
                    // Who has come before the end is let in.
                    stopping = !self.ready(listener.readable()).await;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => drop(Timer::after(PAUSE).await),
            }
        }
    }

    async fn connection(self, stream: UnixStream, _place: SemaphoreGuardArc) {
        local::serve(stream, &self.work, self.io_timeout).await;
    }

    /// Answers datagrams until it is time to stop, and then those that have come.
    async fn receive(self, socket: Arc<Datagrams>) {
        let mut datagrams: Box<[Datagram]> = (0..BATCH).map(|_| Datagram::default()).collect();
        let mut answers = Vec::new();
        loop {
            let go_on = self.ready(socket.readable()).await;
            let end = self.round(&socket, &mut datagrams, &mut answers);
            for (packet, way_back) in answers.drain(..) {
                socket.send(&packet, &way_back).await;
            }
            match end {
                RoundEnd::Empty | RoundEnd::Failed if !go_on => return,
                RoundEnd::Failed => drop(Timer::after(PAUSE).await),
                RoundEnd::Empty | RoundEnd::Full => future::yield_now().await,
            }
        }
    }

    /// Takes what has come, and answers it then: who changes a file and asks is told of what is in it now. What takes
    /// time becomes a task.
    fn round(&self, socket: &Arc<Datagrams>, datagrams: &mut [Datagram], answers: &mut Answers) -> RoundEnd {
        let (count, end) = take(socket, datagrams);
        if count == 0 {
            return end;
        }
        self.work.refresh();
        // One is answered at once.
        if count > 1 {
            self.work.anticipate(&mut datagrams.iter().take(count).filter_map(|datagram| Some(datagram.request()?.0)));
        }
        for datagram in datagrams.iter_mut().take(count) {
            self.datagram(socket, datagram, answers);
            datagram.clear();
        }
        self.work.end_round();
        end
    }

    fn datagram(&self, socket: &Arc<Datagrams>, datagram: &Datagram, answers: &mut Answers) {
        let Some((packet, &way_back)) = datagram.request() else { return };
        let mut out = Packet::new();
        let Err(cost) = self.work.try_now(packet, &mut out) else {
            answers.push((out, way_back));
            return;
        };
        let Some(hold) = socket.hold(packet, &way_back) else {
            self.work.tally.resent.add(1);
            return;
        };
        match self.work.admit(cost, packet, &mut out) {
            None => answers.push((out, way_back)),
            Some(admitted) => {
                let packet = Zeroizing::new(packet.to_vec());
                self.spawn(self.clone().deferred(admitted, packet, hold, way_back));
            }
        }
    }

    /// Takes all of the server along, so that the end waits for it.
    async fn deferred(self, admitted: Admitted, packet: Zeroizing<Vec<u8>>, hold: Hold, way_back: WayBack) {
        if let Some(answer) = self.work.answer(&admitted, packet).await {
            hold.socket().send(&answer, &way_back).await;
        }
    }
}

/// Takes what has come, as long as there is room, and tells how many these are and why they are not more.
fn take(socket: &Datagrams, datagrams: &mut [Datagram]) -> (usize, RoundEnd) {
    let mut count = 0;
    while let Some(datagram) = datagrams.get_mut(count) {
        match socket.receive(datagram) {
            Ok(()) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (count, RoundEnd::Empty),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return (count, RoundEnd::Failed),
        }
    }
    (count, RoundEnd::Full)
}

/// The answers of a round.
type Answers = Vec<(Packet, WayBack)>;

/// Why a round has ended.
#[derive(Clone, Copy)]
enum RoundEnd {
    /// Nothing more has come.
    Empty,
    /// It is the others' turn.
    Full,
    /// The socket failed.
    Failed,
}
