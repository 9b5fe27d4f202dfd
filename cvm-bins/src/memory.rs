//! The heap of a program with several threads.

#![expect(unsafe_code, reason = "a function of the C library")]

use rustix::process::{Resource, getrlimit};

/// Has all threads share one heap where a supervisor limits memory. Else each reserves 64 MB and more of its own, which
/// counts, and where that is refused tries it again at each request.
///
/// Call it before there are threads.
pub fn share_heap_if_limited() {
    if getrlimit(Resource::As).current.is_some() {
        share_heap();
    }
}

/// Has all threads share one heap: `pam_unix` takes want of memory for a wrong password.
///
/// Call it before there are threads.
#[cfg(target_env = "gnu")]
pub fn share_heap() {
    use nix::libc::{M_ARENA_MAX, mallopt};
    // SAFETY: nobody else uses the heap yet. Where this is refused nothing is lost but memory.
    unsafe { mallopt(M_ARENA_MAX, 1) };
}

/// Other C libraries have one heap.
#[cfg(not(target_env = "gnu"))]
pub const fn share_heap() {}
