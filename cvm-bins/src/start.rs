//! What comes before and after a program's `main`.
//!
//! The standard library reads the memory map of the process and makes a stack for signal handlers before it calls
//! `main`: a tenth of what an exec'd login costs. With the GNU C library, which hands the arguments over by itself,
//! [`entry!`](crate::entry) does without both. A stack overflow then ends the process without a message.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::IntoRawFd;

use rustix::stdio::{stderr, stdin, stdout};

use crate::sys;

/// Makes the entry of a program from a function that returns its exit status.
///
/// The program's crate begins with `#![cfg_attr(target_env = "gnu", no_main)]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_env = "gnu")]
        #[expect(unsafe_code, reason = "the C library looks for it by this name")]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> std::ffi::c_int {
            $crate::start::run($main)
        }

        #[cfg(not(target_env = "gnu"))]
        fn main() -> std::process::ExitCode {
            std::process::ExitCode::from($main())
        }
    };
}

/// Runs a program as the standard library would: the standard descriptors are open, nobody dies of a closed pipe, and
/// what was printed is written. The process ends here, without the C library's own end: we leave it nothing to do.
pub fn run(main: fn() -> u8) -> ! {
    if open_standard_descriptors().is_err() || sys::ignore_broken_pipes().is_err() {
        std::process::abort();
    }
    let status = main();
    // A program that has to know has flushed it before.
    let _ = io::stdout().flush();
    sys::exit(status)
}

/// Whatever is opened later must not take the place of a standard descriptor that the caller has closed.
fn open_standard_descriptors() -> io::Result<()> {
    for descriptor in [stdin(), stdout(), stderr()] {
        if rustix::io::fcntl_getfd(descriptor) == Err(rustix::io::Errno::BADF) {
            let _ = File::options().read(true).write(true).open("/dev/null")?.into_raw_fd();
        }
    }
    Ok(())
}
