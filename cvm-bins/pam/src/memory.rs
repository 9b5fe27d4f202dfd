//! The heap of a program with many threads of short life.

#![expect(unsafe_code, reason = "a function of the C library")]

/// Has all threads share one heap. Else each reserves 64 MB and more of its own, which counts where a supervisor limits
/// memory, and `pam_unix` takes want of memory for a wrong password.
///
/// Call it before there are threads.
#[cfg(target_env = "gnu")]
pub fn share_heap() {
    // SAFETY: nobody else uses the heap yet. Where this is refused nothing is lost but memory.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other C libraries have one heap.
#[cfg(not(target_env = "gnu"))]
pub const fn share_heap() {}
