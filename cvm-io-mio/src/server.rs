//! The server: loops, pools, and the thread that waits for signals.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cvm_core::answer::Answer;
use cvm_core::driver::{Counts, Tally};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::connections;
use crate::event_loop::{Common, Share};
use crate::loops::Loops;
use crate::pool::{Pool, Pools, Work};
use crate::sys;

/// How often counts are told, if they have changed.
const REPORT: Duration = Duration::from_secs(10);

/// The sockets to serve, bound and set up by the caller.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UNIX stream sockets that listen and do not block; each belongs to one loop.
    pub locals: Vec<UnixListener>,
    /// UDP sockets by address: those of one address share it (`SO_REUSEPORT`), and go to different loops.
    pub udps: Vec<Vec<UdpSocket>>,
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
    /// The loops, each on a thread, and a second one where it may wait; at least one.
    pub threads: usize,
    /// The most threads that hash; at least one.
    pub cpu_workers: usize,
    /// The most threads that wait for something else, a loop that does so itself counted; at least one.
    pub wait_workers: usize,
    /// The most requests that wait for each kind of threads.
    pub queue: usize,
    /// The most connections; beyond it the oldest idle one goes.
    pub max_connections: usize,
}

impl Default for Options {
    /// One second, as many loops and hashing threads as there are cores, 16 that wait, queues of 1024, and 4096
    /// connections.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            io_timeout: Duration::from_millis(1000),
            threads: cores,
            cpu_workers: cores,
            wait_workers: 16,
            queue: 1024,
            max_connections: 4096,
        }
    }
}

/// Serves the sockets until `signals.stop` becomes readable, then finishes what is in hand.
///
/// What is in hand gets twice the I/O time-out, once for input and once for output; what still waits for a worker
/// after the first one is refused with code 4. `report` is told counts that have changed, now and then and at the end.
///
/// # Errors
///
/// What setting up the sockets or starting the threads fails with; no thread is left behind. Or what a loop ended
/// with, which is a fault of this crate or of the system's.
pub fn serve(
    sockets: Sockets,
    answer: &Arc<dyn Answer>,
    options: Options,
    signals: Signals<'_>,
    report: impl Fn(Counts),
) -> io::Result<()> {
    let mut drops = Drops::of(&sockets)?;
    let tally = Arc::new(Tally::default());
    let pool = |work| Pool::new(Arc::clone(answer), Arc::clone(&tally), work);
    let hashing = Work { workers: options.cpu_workers, room: options.queue, together: 1 };
    let waiting = Work { workers: options.wait_workers, room: options.queue, together: answer.at_once() };
    let pools = Pools { cpu: pool(hashing), wait: pool(waiting) };
    let shares = share_out(sockets, options.threads.max(1));
    let with_listeners = shares.iter().filter(|share| !share.locals.is_empty()).count().max(1);
    let max = options.max_connections.div_ceil(with_listeners);
    let connection_options = connections::Options { io_timeout: options.io_timeout, max };
    let closing = Closing(pools.clone());
    let common = Common { answer: Arc::clone(answer), pools, tally: Arc::clone(&tally), connection_options };
    let loops = Loops::start(shares, &common)?;
    let mut told = Counts::default();
    let mut tell = |drops: &mut Drops| {
        let counts = tally.counts(drops.count());
        if counts != told {
            report(counts);
            told = counts;
        }
    };
    loop {
        match wait(&signals, loops.ended())? {
            Woken::End => break,
            Woken::Reload => answer.reload(),
            Woken::Report => {}
        }
        tell(&mut drops);
    }
    let ended = loops.end();
    drop(closing);
    tell(&mut drops);
    ended
}

/// Ends the workers, however serving ends.
struct Closing(Pools);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What is to be done.
enum Woken {
    End,
    Reload,
    Report,
}

/// Waits for a signal or the end of a loop, or for the time to report.
fn wait(signals: &Signals<'_>, ended: BorrowedFd<'_>) -> io::Result<Woken> {
    let mut fds = [signals.stop, ended, signals.reload].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    match poll(&mut fds, Timespec::try_from(REPORT).ok().as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let [stop, ended, reload] = fds.map(|fd| !fd.revents().is_empty());
    Ok(match () {
        () if stop || ended => Woken::End,
        // What is left in it only makes for one reload more.
        () if reload && rustix::io::read(signals.reload, &mut [0_u8; 512]).is_ok_and(|count| count > 0) => {
            Woken::Reload
        }
        () => Woken::Report,
    })
}

/// Gives each loop its sockets.
fn share_out(sockets: Sockets, threads: usize) -> Vec<Share> {
    let mut shares: Vec<Share> = std::iter::repeat_with(Share::default).take(threads).collect();
    let place = |index: usize| index % threads;
    for (index, listener) in sockets.locals.into_iter().enumerate() {
        shares[place(index)].locals.push(listener);
    }
    for (address, siblings) in sockets.udps.into_iter().enumerate() {
        for (index, socket) in siblings.into_iter().enumerate() {
            shares[place(address + index)].udps.push(socket);
        }
    }
    shares.retain(|share| !share.locals.is_empty() || !share.udps.is_empty());
    shares
}

/// How many datagrams the kernel has dropped at all sockets.
struct Drops(Vec<(UdpSocket, u32, u64)>);

impl Drops {
    fn of(sockets: &Sockets) -> io::Result<Self> {
        let all = sockets.udps.iter().flatten();
        all.map(|socket| Ok((socket.try_clone()?, 0, 0))).collect::<io::Result<_>>().map(Self)
    }

    fn count(&mut self) -> u64 {
        for (socket, last, total) in &mut self.0 {
            let now = sys::dropped(socket.as_fd());
            // The kernel's number has 32 bits.
            *total += u64::from(now.wrapping_sub(*last));
            *last = now;
        }
        self.0.iter().map(|(_, _, total)| total).sum()
    }
}
