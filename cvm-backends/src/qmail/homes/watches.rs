//! Watches: what the kernel tells of files to which something happens (inotify(7)), and of mounts.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::HashMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// How many files are watched. Of each the kernel keeps a kilobyte in memory, and two messages at most.
const WATCHES_MAX: usize = 8192;

/// The part of what a user may watch in all processes together that is ours.
const SHARE: usize = 4;

/// How many bytes of messages are read at a time.
const READ_AT_ONCE: usize = 4096;

/// Everything that may change what stat(2) tells of a folder or file except what is written to it, and the names in a
/// folder. One message is enough: who hears that something happened looks.
const WHAT_HAPPENS: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONESHOT)
    .union(WatchFlags::DONT_FOLLOW);

/// The folders and files that are watched.
pub(super) struct Watches {
    messages: OwnedFd,
    /// Its poll(2) tells that something was mounted or unmounted.
    mounts: File,
    watched: HashMap<i32, Arc<Watch>>,
    most: usize,
}

/// A folder or file that is watched, under whatever path.
#[derive(Debug)]
pub(super) struct Watch(AtomicBool);

/// There is no telling any more what happened.
#[derive(Debug)]
pub(super) struct Lost;

impl Watch {
    const fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Tells whether nothing has happened to it since it was watched, as far as was heard.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn disturb(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Watches {
    /// Watches nothing.
    ///
    /// # Errors
    ///
    /// Those of inotify_init(2), and of reading files in `/proc`.
    pub(super) fn open() -> io::Result<Self> {
        let mounts = File::open("/proc/self/mountinfo")?;
        let messages = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { messages, mounts, watched: HashMap::default(), most: most()? })
    }

    pub(super) fn is_full(&self) -> bool {
        self.watched.len() >= self.most
    }

    /// Watches what is at a path, be it a symbolic link. What happens from now on is heard.
    ///
    /// # Errors
    ///
    /// Those of inotify_add_watch(2).
    pub(super) fn add(&mut self, path: &Path) -> io::Result<(i32, Arc<Watch>)> {
        let number = inotify::add_watch(&self.messages, path, WHAT_HAPPENS)?;
        // Under another path it may be watched already.
        if let Some(watch) = self.watched.get(&number).filter(|watch| watch.is_quiet()) {
            return Ok((number, Arc::clone(watch)));
        }
        let watch = Arc::new(Watch::new());
        self.watched.insert(number, Arc::clone(&watch));
        Ok((number, watch))
    }

    /// Watches something no longer, under whatever path.
    pub(super) fn remove(&self, number: i32) {
        // Its last message has it forgotten; if it is gone, that is on its way.
        let _ = inotify::remove_watch(&self.messages, number);
    }

    /// Hears what has happened until now; tells whether that is anything.
    ///
    /// # Errors
    ///
    /// If that cannot be told; everything counts as disturbed then, and nothing that is watched is of use any more.
    pub(super) fn hear(&mut self) -> Result<bool, Lost> {
        let heard = self.try_hear();
        if heard.is_err() {
            self.disturb_all();
        }
        heard.map_err(|_| Lost)
    }

    fn try_hear(&mut self) -> io::Result<bool> {
        let mut sources = [PollFd::new(&self.messages, PollFlags::IN), PollFd::new(&self.mounts, PollFlags::PRI)];
        poll(&mut sources, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let [has_messages, has_mounts] = sources.map(|source| !source.revents().is_empty());
        if has_mounts {
            self.disturb_all();
        }
        if has_messages {
            self.read_messages()?;
        }
        Ok(has_messages || has_mounts)
    }

    fn read_messages(&mut self) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); READ_AT_ONCE];
        let mut messages = Reader::new(&self.messages, &mut space);
        loop {
            let message = match messages.next() {
                Err(Errno::WOULDBLOCK) => return Ok(()),
                message => message?,
            };
            if message.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                return Err(io::Error::other("messages were lost"));
            }
            let Some(watch) = self.watched.get(&message.wd()) else { continue };
            watch.disturb();
            if message.events().contains(ReadFlags::IGNORED) {
                self.watched.remove(&message.wd());
            }
        }
    }

    fn disturb_all(&self) {
        self.watched.values().for_each(|watch| watch.disturb());
    }

    #[cfg(test)]
    pub(super) fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// Has the next message be one that cannot be read.
    #[cfg(test)]
    pub(super) fn lose_messages(&mut self) {
        self.messages = File::open("/dev/null").expect("it is there").into();
    }
}

/// Returns how many files may be watched, without taking much from the other processes of the user.
fn most() -> io::Result<usize> {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")?;
    let all: usize = text.trim().parse().map_err(io::Error::other)?;
    Ok(WATCHES_MAX.min(all / SHARE))
}
