//! Watches: what the kernel tells of files to which something happens (inotify(7)), and of mounts.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use foldhash::HashMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// How many files are watched. Of each the kernel keeps a kilobyte in memory.
const WATCHES_MAX: usize = 8192;

/// How many messages there are of one: the second tells that it is watched no longer, more come if several things happen
/// at once.
const MESSAGES_EACH: usize = 4;

/// The part of what a user may watch in all processes together that is ours.
const SHARE: usize = 4;

/// How many bytes of messages are read at a time, and how many messages in a round.
const READ_AT_ONCE: usize = 4096;
const MESSAGES_MAX: usize = 1024;

/// How much is forgotten at once: a loop has others to answer.
pub(super) const AT_ONCE: usize = 512;

/// Everything that may change the mode of a folder or file, and the names in a folder. One message is enough: who hears
/// that something happened looks.
const WHAT_HAPPENS: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONESHOT);

/// The folders and files that are watched.
pub(super) struct Watches {
    messages: OwnedFd,
    /// Its poll(2) tells that something was mounted or unmounted.
    mounts: File,
    watched: HashMap<i32, Watched>,
    most: usize,
}

/// What is known by a number.
struct Watched {
    watch: Weak<Watch>,
    /// It was told that something happened, and nothing more is told.
    is_spent: bool,
}

/// A folder or file that is watched, under whatever path.
#[derive(Debug)]
pub(super) struct Watch(AtomicBool);

/// What was heard of.
#[derive(Debug)]
pub(super) struct Heard {
    /// Something was mounted or unmounted, be it where it may.
    pub(super) of_mounts: bool,
    /// There is no more to be heard.
    pub(super) is_all: bool,
}

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

    /// Watches what is open, be it only to look at it. What happens from now on is heard.
    ///
    /// # Errors
    ///
    /// Those of inotify_add_watch(2): whoever may not read a file may not watch it. `WouldBlock` if something has just
    /// happened to it.
    pub(super) fn add(&mut self, opened: &OwnedFd) -> io::Result<Arc<Watch>> {
        let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let number = inotify::add_watch(&self.messages, path, WHAT_HAPPENS)?;
        let known = self.watched.get(&number);
        if known.is_some_and(|known| known.is_spent) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Under another path it may be watched already.
        if let Some(watch) = known.and_then(|known| known.watch.upgrade()) {
            return Ok(watch);
        }
        let watch = Arc::new(Watch::new());
        self.watched.insert(number, Watched { watch: Arc::downgrade(&watch), is_spent: false });
        Ok(watch)
    }

    /// Forgets some of what nobody needs any more.
    pub(super) fn forget_unneeded(&mut self) {
        let (messages, mut left) = (&self.messages, AT_ONCE);
        self.watched.retain(|&number, known| {
            let goes = known.watch.strong_count() == 0 && left > 0;
            if goes {
                left -= 1;
                // If it is gone already, its last message is on its way.
                let _ = inotify::remove_watch(messages, number);
            }
            !goes
        });
    }

    /// Hears what has happened until now.
    ///
    /// # Errors
    ///
    /// If that cannot be told; everything counts as disturbed then, and nothing that is watched is of use any more.
    pub(super) fn hear(&mut self) -> Result<Heard, Lost> {
        match self.try_hear() {
            Err(Errno::INTR) => Ok(Heard { of_mounts: false, is_all: false }),
            Err(_) => {
                self.disturb_all();
                Err(Lost)
            }
            Ok(heard) => Ok(heard),
        }
    }

    fn try_hear(&mut self) -> Result<Heard, Errno> {
        let mut sources = [PollFd::new(&self.messages, PollFlags::IN), PollFd::new(&self.mounts, PollFlags::PRI)];
        poll(&mut sources, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let [has_messages, of_mounts] = sources.map(|source| !source.revents().is_empty());
        let is_all = if has_messages { self.read_messages()? } else { true };
        Ok(Heard { of_mounts, is_all })
    }

    /// Reads messages; tells whether these were all. A loop has others to answer.
    fn read_messages(&mut self) -> Result<bool, Errno> {
        let Self { messages, watched, .. } = self;
        let mut space = [MaybeUninit::uninit(); READ_AT_ONCE];
        let mut messages = Reader::new(messages, &mut space);
        let mut count = 0;
        // What was read is taken note of.
        while count < MESSAGES_MAX || !messages.is_buffer_empty() {
            match messages.next() {
                Err(Errno::WOULDBLOCK) => return Ok(true),
                message => message.and_then(|message| take_note(watched, message.wd(), message.events()))?,
            }
            count += 1;
        }
        Ok(false)
    }

    fn disturb_all(&self) {
        self.watched.values().for_each(Watched::disturb);
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

/// Takes note of a message.
///
/// # Errors
///
/// If messages were lost.
fn take_note(watched: &mut HashMap<i32, Watched>, number: i32, what: ReadFlags) -> Result<(), Errno> {
    if what.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Err(Errno::OVERFLOW);
    }
    if let Some(known) = watched.get_mut(&number) {
        known.disturb();
        known.is_spent = true;
    }
    if what.contains(ReadFlags::IGNORED) {
        watched.remove(&number);
    }
    Ok(())
}

impl Watched {
    fn disturb(&self) {
        if let Some(watch) = self.watch.upgrade() {
            watch.disturb();
        }
    }
}

/// Returns how many files may be watched, without taking much from the other processes of the user, and so that there is
/// room for all messages.
fn most() -> io::Result<usize> {
    let limits = [("user_watches", SHARE), ("queued_events", MESSAGES_EACH)];
    limits.into_iter().try_fold(WATCHES_MAX, |most, (name, part)| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/max_{name}"))?;
        let limit: usize = text.trim().parse().map_err(io::Error::other)?;
        Ok(most.min(limit / part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_watched_again_once_it_is_forgotten() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let opened = File::open(folder.path()).expect("it opens").into();
        let mut watches = Watches::open().expect("inotify");
        let first = watches.add(&opened).expect("watched");
        assert!(Arc::ptr_eq(&first, &watches.add(&opened).expect("watched")));
        let number = *watches.watched.keys().next().expect("a number");
        take_note(&mut watches.watched, number, ReadFlags::CREATE).expect("nothing is lost");
        assert!(!first.is_quiet());
        assert_eq!(watches.add(&opened).expect_err("spent").kind(), io::ErrorKind::WouldBlock);
        take_note(&mut watches.watched, number, ReadFlags::IGNORED).expect("nothing is lost");
        let second = watches.add(&opened).expect("watched");
        assert!(second.is_quiet());
        std::fs::write(folder.path().join("file"), "").expect("written");
        assert!(watches.hear().is_ok_and(|heard| heard.is_all));
        assert!(!second.is_quiet() && watches.watched.is_empty());
        // What nobody needs is watched all the same.
        drop(watches.add(&opened).expect("watched"));
        assert!(watches.add(&opened).expect("watched").is_quiet());
    }

    #[test]
    fn lost_messages_are_told() {
        let mut watched = HashMap::default();
        assert!(take_note(&mut watched, 1, ReadFlags::ATTRIB).is_ok());
        assert!(take_note(&mut watched, -1, ReadFlags::QUEUE_OVERFLOW).is_err());
        let folder = File::open("/dev/shm").expect("it opens").into();
        let mut watches = Watches::open().expect("inotify");
        let watch = watches.add(&folder).expect("watched");
        watches.lose_messages();
        assert!(watches.hear().is_err() && !watch.is_quiet());
    }

    #[test]
    fn many_messages_are_heard_over_several_rounds() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = |number: usize| folder.path().join(number.to_string());
        let mut watches = Watches::open().expect("inotify");
        let watched: Vec<_> = (0..MESSAGES_MAX)
            .map(|number| {
                std::fs::create_dir(path(number)).expect("a folder");
                watches.add(&File::open(path(number)).expect("it opens").into()).expect("watched")
            })
            .collect();
        (0..MESSAGES_MAX).for_each(|number| std::fs::write(path(number).join("file"), "").expect("written"));
        assert!(!watches.hear().expect("nothing is lost").is_all);
        while !watches.hear().expect("nothing is lost").is_all {}
        assert!(watched.iter().all(|watch| !watch.is_quiet()) && watches.watched.is_empty());
    }

    #[test]
    fn what_nobody_needs_is_forgotten() {
        let mut watches = Watches::open().expect("inotify");
        let kept = watches.add(&File::open("/dev/shm").expect("it opens").into()).expect("watched");
        drop(watches.add(&File::open("/tmp").expect("it opens").into()).expect("watched"));
        watches.forget_unneeded();
        assert!(kept.is_quiet());
        assert_eq!(watches.watched.len(), 1);
    }
}
