//! Who hears what happens, as soon as somebody has to.

use std::thread;
use std::time::{Duration, Instant};

use super::watches::Watches;
use crate::watched::STACK_SIZE;

/// How long nobody tries to listen where that was not possible.
const DEAF: Duration = Duration::from_secs(10);

/// Who hears what happens.
#[derive(Default)]
pub(super) enum Listener {
    /// Nobody is needed yet, or again.
    #[default]
    Unneeded,
    Listening(Watches),
    /// There could be none.
    Deaf(Instant),
}

impl Listener {
    /// Tells whether somebody listens, and has somebody do it where nobody was needed yet.
    pub(super) fn listens(&mut self) -> bool {
        let is_needed = match self {
            Self::Unneeded => true,
            Self::Listening(_) => false,
            Self::Deaf(since) => since.elapsed() >= DEAF,
        };
        if is_needed {
            *self = Watches::open().map_or_else(|_| Self::Deaf(Instant::now()), Self::Listening);
        }
        matches!(self, Self::Listening(_))
    }

    /// Forgets all watches; to end them takes long.
    pub(super) fn begin_anew(&mut self) {
        let old = std::mem::take(self);
        // Without a thread it is done here.
        let _ = thread::Builder::new().name("forget".into()).stack_size(STACK_SIZE).spawn(move || drop(old));
    }
}
