//! The border to PAM: its functions for modules, as methods, and the six functions that it looks for in a module.

#![expect(unsafe_code, reason = "libpam is a C library")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Once;

use cvm_core::Secret;

use crate::groups;
use crate::status::Status;

/// PAM's handle, of which only libpam knows what it is.
#[repr(C)]
pub struct RawHandle {
    _private: [u8; 0],
}

/// An item of a handle that is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Item {
    /// The name of the service.
    Service = 1,
    /// The host that the user comes from.
    Rhost = 4,
    /// The password.
    Authtok = 6,
}

/// How urgent a line of the log is, as syslog(3) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Priority {
    /// Something does not work.
    Error = 3,
    /// Somebody is not let in.
    Notice = 5,
    /// Everything else.
    Debug = 7,
}

const PAM_SILENT: c_int = 0x8000;
const PAM_PRELIM_CHECK: c_int = 0x4000;
const PAM_ERROR_MSG: c_int = 3;

// By the name of the file that programs load, so that nothing else has to be installed to link with it.
#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_get_user(handle: *mut RawHandle, user: *mut *const c_char, prompt: *const c_char) -> c_int;
    fn pam_get_item(handle: *const RawHandle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_set_item(handle: *mut RawHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_get_authtok(handle: *mut RawHandle, item: c_int, value: *mut *const c_char, prompt: *const c_char) -> c_int;
    fn pam_putenv(handle: *mut RawHandle, name_value: *const c_char) -> c_int;
    fn pam_syslog(handle: *const RawHandle, priority: c_int, format: *const c_char, ...);
    fn pam_prompt(
        handle: *mut RawHandle,
        style: c_int,
        response: *mut *mut c_char,
        format: *const c_char,
        ...
    ) -> c_int;
}

/// What a call may do with PAM's handle, for as long as the call lasts.
#[derive(Debug)]
pub struct Handle(NonNull<RawHandle>);

impl Handle {
    /// Returns the name of the user, who is asked for it if nobody has told.
    ///
    /// # Errors
    ///
    /// What PAM says; [`Status::INCOMPLETE`] if the application has yet to ask.
    pub fn user(&self) -> Result<Vec<u8>, Status> {
        let mut user = ptr::null();
        // SAFETY: the handle is PAM's own, and the result has a place.
        let status = Status(unsafe { pam_get_user(self.raw(), &raw mut user, ptr::null()) });
        complete(status)?;
        // SAFETY: the string is PAM's, ends with NUL, and nothing is done with the handle meanwhile.
        unsafe { bytes(user) }.map(<[u8]>::to_vec).ok_or(Status::USER_UNKNOWN)
    }

    /// Returns an item that is set.
    #[must_use]
    pub fn item(&self, item: Item) -> Option<Secret> {
        let mut value = ptr::null();
        // SAFETY: the handle is PAM's own, and the result has a place.
        let status = unsafe { pam_get_item(self.raw(), item as c_int, &raw mut value) };
        // SAFETY: each of our items is a string that ends with NUL, and nothing is done with the handle meanwhile.
        let value = unsafe { bytes(value.cast()) };
        value.filter(|_| Status(status) == Status::SUCCESS).map(Secret::new)
    }

    /// Asks the user for the password, which PAM then keeps for other modules, too.
    ///
    /// # Errors
    ///
    /// What PAM says; [`Status::INCOMPLETE`] if the application has yet to ask.
    pub fn ask_password(&self, prompt: Option<&CStr>) -> Result<Secret, Status> {
        let mut password = ptr::null();
        let prompt = prompt.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the handle is PAM's own, the result has a place, and the prompt is null or ends with NUL.
        let status = Status(unsafe { pam_get_authtok(self.raw(), Item::Authtok as c_int, &raw mut password, prompt) });
        complete(status)?;
        // SAFETY: the string is PAM's, ends with NUL, and nothing is done with the handle meanwhile.
        unsafe { bytes(password) }.map(Secret::new).ok_or(Status::AUTH_ERR)
    }

    /// Forgets the password, so that the user is asked again.
    pub fn forget_password(&self) {
        // SAFETY: the handle is PAM's own, and this item may be null. A failure leaves the password, which is wrong.
        unsafe { pam_set_item(self.raw(), Item::Authtok as c_int, ptr::null()) };
    }

    /// Gives the application's session a variable; one that cannot be a string of C is left out.
    ///
    /// # Errors
    ///
    /// What PAM says.
    pub fn put_env(&self, name: &str, value: &[u8]) -> Result<(), Status> {
        let Ok(variable) = CString::new([name.as_bytes(), b"=", value].concat()) else {
            return Ok(());
        };
        // SAFETY: the handle is PAM's own, and the string, which PAM copies, ends with NUL.
        match Status(unsafe { pam_putenv(self.raw(), variable.as_ptr()) }) {
            Status::SUCCESS => Ok(()),
            status => Err(status),
        }
    }

    /// Writes a line to the system's log, with the names of module and service in front.
    pub fn log(&self, priority: Priority, line: &str) {
        // Nothing that is logged has NUL in it.
        let line = CString::new(line).unwrap_or_default();
        // SAFETY: the handle is PAM's own; the format takes one string, which ends with NUL.
        unsafe { pam_syslog(self.raw(), priority as c_int, c"%s".as_ptr(), line.as_ptr()) };
    }

    /// Tells the user something through the application.
    pub fn tell(&self, text: &CStr) {
        // SAFETY: the handle is PAM's own; the format takes one string, which ends with NUL; no answer is wanted.
        unsafe { pam_prompt(self.raw(), PAM_ERROR_MSG, ptr::null_mut(), c"%s".as_ptr(), text.as_ptr()) };
    }

    const fn raw(&self) -> *mut RawHandle {
        self.0.as_ptr()
    }
}

/// What PAM hands to a module.
#[derive(Debug)]
pub struct Call<'a> {
    /// The handle.
    pub handle: Handle,
    /// The user is to be told nothing.
    pub is_silent: bool,
    /// Of a change of password: it is only asked whether one could be made.
    pub is_preliminary: bool,
    /// The arguments of the module's line.
    pub arguments: Vec<&'a [u8]>,
}

fn complete(status: Status) -> Result<(), Status> {
    match status {
        Status::SUCCESS => Ok(()),
        Status::CONV_AGAIN => Err(Status::INCOMPLETE),
        status => Err(status),
    }
}

/// The bytes of a string of C.
///
/// # Safety
///
/// The pointer is null, or leads to a string that ends with NUL and does not change during `'a`.
unsafe fn bytes<'a>(string: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller says so.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes())
}

/// Makes what PAM handed over safe to use, and answers it.
///
/// # Safety
///
/// The handle is null or PAM's own; `argv` is null or has `argc` strings that end with NUL. All live until this returns.
unsafe fn answer(
    handle: *mut RawHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
    function: fn(&Call<'_>) -> Status,
) -> c_int {
    let answer = || {
        let Some(handle) = NonNull::new(handle) else {
            return Status::SYSTEM_ERR;
        };
        let count = usize::try_from(argc).unwrap_or(0);
        let argv = if argv.is_null() {
            &[]
        } else {
            // SAFETY: the caller says so.
            unsafe { slice::from_raw_parts(argv, count) }
        };
        // SAFETY: the caller says so.
        let arguments = argv.iter().filter_map(|&argument| unsafe { bytes(argument) }).collect();
        let is_preliminary = flags & PAM_PRELIM_CHECK != 0;
        function(&Call { handle: Handle(handle), is_silent: flags & PAM_SILENT != 0, is_preliminary, arguments })
    };
    guarded(answer).0
}

/// No panic gets across the border, nor does its message into the application's standard error, which may be a
/// connection.
fn guarded(answer: impl FnOnce() -> Status) -> Status {
    // The one thing that a call leaves to the next. It and the hook, which needs no memory, are in the library, with its
    // own copy of Rust's: nothing of the application's changes, and nothing is left when the library is unloaded.
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or(Status::SERVICE_ERR)
}

/// Makes one of the functions that PAM looks for.
macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident => $function:path;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The handle is PAM's own and `argv` has `argc` strings: what PAM says to every module.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            handle: *mut RawHandle,
            flags: c_int,
            argc: c_int,
            argv: *const *const c_char,
        ) -> c_int {
            // SAFETY: the caller says so.
            unsafe { answer(handle, flags, argc, argv, $function) }
        }
    )*};
}

entries! {
    /// Authentication: is the password the user's?
    pam_sm_authenticate => groups::authenticate;
    /// Authentication: gives the user credentials, of which CVM has none.
    pam_sm_setcred => groups::set_credentials;
    /// Account management: is there such a user?
    pam_sm_acct_mgmt => groups::manage_account;
    /// Session management, for which there is nothing to do.
    pam_sm_open_session => groups::open_session;
    /// The same.
    pam_sm_close_session => groups::close_session;
    /// Password management, which CVM does not offer.
    pam_sm_chauthtok => groups::change_password;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_of_the_service() {
        assert_eq!(guarded(|| panic!("it must not get out")), Status::SERVICE_ERR);
        assert_eq!(guarded(|| Status::SUCCESS), Status::SUCCESS);
    }

    #[test]
    fn without_a_handle_there_is_no_answer() {
        for argc in [-1, 0, 1] {
            // SAFETY: a null handle and null arguments are allowed.
            let status = unsafe { pam_sm_authenticate(ptr::null_mut(), 0, argc, ptr::null()) };
            assert_eq!(Status(status), Status::SYSTEM_ERR);
        }
    }
}
