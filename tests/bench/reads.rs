//! What a look-up by way of an index would take at least: two reads of memory in turn, the first of which tells where the
//! second is.

use std::hint::black_box;

use rustix::mm::{Advice, madvise};

use crate::measure::seconds;
use crate::random::Random;

/// What the benchmark's tables have for an account.
const LINE: usize = 84;

/// As much memory as an index and a file would take, and where to read it.
pub(crate) struct Reads {
    slots: Vec<usize>,
    lines: Vec<u8>,
    asked: Vec<usize>,
}

impl Reads {
    /// Memory as for so many accounts, and random places in it.
    pub(crate) fn of(random: &mut Random, reads: usize, accounts: usize) -> Self {
        let count = (accounts + accounts / 3 + 1).next_power_of_two();
        let mut slots = in_huge_pages(count);
        slots.extend((0..count).map(|_| random.below(accounts) * LINE));
        let mut lines = in_huge_pages(accounts * LINE);
        lines.resize(accounts * LINE, 0);
        let asked = (0..reads).map(|_| random.below(count)).collect();
        Self { slots, lines, asked }
    }

    /// Reads each place once, each after the one before it, and returns the seconds of each.
    pub(crate) fn all(&self) -> f64 {
        let total = seconds(|| {
            // Always 0, which only the memory knows.
            let mut before = 0;
            for asked in &self.asked {
                before = usize::from(self.lines[self.slots[asked | before]]);
            }
            black_box(before);
        });
        total / self.asked.len() as f64
    }
}

fn in_huge_pages<T>(count: usize) -> Vec<T> {
    let mut memory: Vec<T> = Vec::with_capacity(count);
    let start = memory.as_mut_ptr().cast::<u8>();
    let to_page = start.align_offset(4096);
    let size = (count * size_of::<T>()).saturating_sub(to_page);
    // SAFETY: the range lies within the memory, and the advice changes nothing that it holds. It may be refused.
    #[expect(unsafe_code, reason = "advice about memory is given by address")]
    let _ = unsafe { madvise(start.wrapping_add(to_page).cast(), size, Advice::LinuxHugepage) };
    memory
}
