//! The border to PAM: its functions for applications, and the conversation that modules have with us.

#![expect(unsafe_code, reason = "libpam is a C library")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;

use pam_cvm::libpam::RawHandle;
use pam_cvm::status::Status;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct RawConversation {
    converse: unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

const PAM_USER: c_int = 2;
const PAM_FAIL_DELAY: c_int = 10;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_ERROR_MSG: c_int = 3;
const PAM_TEXT_INFO: c_int = 4;
const PAM_SILENT: c_int = 0x8000;
const PAM_DISALLOW_NULL_AUTHTOK: c_int = 1;
const FLAGS: c_int = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;

/// More messages at a time than PAM allows are an error: `PAM_MAX_NUM_MSG`.
const MESSAGES_MAX: usize = 32;

#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const RawConversation,
        handle: *mut *mut RawHandle,
    ) -> c_int;
    fn pam_authenticate(handle: *mut RawHandle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut RawHandle, flags: c_int) -> c_int;
    fn pam_end(handle: *mut RawHandle, status: c_int) -> c_int;
    fn pam_get_item(handle: *const RawHandle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_set_item(handle: *mut RawHandle, item: c_int, value: *const c_void) -> c_int;
}

/// One user's login with a handle of its own.
#[derive(Debug)]
pub struct Transaction<'a> {
    handle: NonNull<RawHandle>,
    /// Where the conversation finds it; the handle keeps a pointer to it, which a box would not allow beside itself.
    talk: Rc<Talk>,
    status: c_int,
    /// The password is borrowed.
    _password: PhantomData<&'a CStr>,
}

/// What the conversation knows.
#[derive(Debug)]
struct Talk {
    password: *const c_char,
    /// Only while a password is judged is there an answer.
    answers: Cell<bool>,
}

impl<'a> Transaction<'a> {
    /// Begins with a user and the one thing that he has to say.
    ///
    /// # Errors
    ///
    /// What PAM says.
    pub fn start(service: &CStr, user: &CStr, password: &'a CStr) -> Result<Self, Status> {
        let talk = Rc::new(Talk { password: password.as_ptr(), answers: Cell::new(false) });
        let conversation = RawConversation { converse, data: Rc::as_ptr(&talk).cast_mut().cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: both strings end with NUL; PAM copies them and the conversation, whose data lives as long as the
        // handle does, in the transaction.
        let status = unsafe { pam_start(service.as_ptr(), user.as_ptr(), &raw const conversation, &raw mut handle) };
        let handle = NonNull::new(handle).ok_or(Status::SYSTEM_ERR)?;
        let transaction = Self { handle, talk, status, _password: PhantomData };
        successful(status)?;
        let delay: unsafe extern "C" fn(c_int, c_uint, *mut c_void) = do_not_wait;
        // SAFETY: the handle is PAM's own, and this item is such a function.
        successful(unsafe { pam_set_item(transaction.raw(), PAM_FAIL_DELAY, delay as *const c_void) })?;
        Ok(transaction)
    }

    /// Has the password judged.
    ///
    /// # Errors
    ///
    /// What PAM says, in the place of a yes.
    pub fn authenticate(&mut self) -> Result<(), Status> {
        self.talk.answers.set(true);
        // SAFETY: the handle is PAM's own.
        self.status = unsafe { pam_authenticate(self.raw(), FLAGS) };
        self.talk.answers.set(false);
        successful(self.status)
    }

    /// Has it judged whether the user may log in now.
    ///
    /// # Errors
    ///
    /// What PAM says, in the place of a yes.
    pub fn manage_account(&mut self) -> Result<(), Status> {
        // SAFETY: the handle is PAM's own.
        self.status = unsafe { pam_acct_mgmt(self.raw(), FLAGS) };
        successful(self.status)
    }

    /// Returns the name of the user, which modules may have changed.
    ///
    /// # Errors
    ///
    /// What PAM says.
    pub fn user(&self) -> Result<Vec<u8>, Status> {
        let mut user = ptr::null();
        // SAFETY: the handle is PAM's own, and the result has a place.
        successful(unsafe { pam_get_item(self.raw(), PAM_USER, &raw mut user) })?;
        let user = NonNull::new(user.cast_mut()).ok_or(Status::USER_UNKNOWN)?;
        // SAFETY: this item is a string that ends with NUL, and nothing is done with the handle meanwhile.
        Ok(unsafe { CStr::from_ptr(user.as_ptr().cast()) }.to_bytes().to_vec())
    }

    const fn raw(&self) -> *mut RawHandle {
        self.handle.as_ptr()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is PAM's own, and nobody has it any more.
        unsafe { pam_end(self.raw(), self.status) };
    }
}

const fn successful(status: c_int) -> Result<(), Status> {
    if status == Status::SUCCESS.0 { Ok(()) } else { Err(Status(status)) }
}

/// Stands in for the sleep after a failure, which would hold up a thread that others wait for: whoever talks to the
/// user makes him wait.
unsafe extern "C" fn do_not_wait(_: c_int, _: c_uint, _: *mut c_void) {}

/// Answers a prompt for a password, and nothing else: whoever asks for more than that cannot be answered.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > MESSAGES_MAX || messages.is_null() || responses.is_null() || data.is_null() {
        return Status::CONV_ERR.0;
    }
    // SAFETY: PAM hands over as many pointers to messages as it says.
    let messages = unsafe { slice::from_raw_parts(messages, count) };
    // SAFETY: the data is that of the transaction, which waits for this.
    let talk = unsafe { &*data.cast::<Talk>() };
    // SAFETY: each pointer leads to a message, or is null.
    let style = |message: &*const Message| unsafe { message.as_ref() }.map(|message| message.style);
    let can_answer = |style| match style {
        Some(PAM_PROMPT_ECHO_OFF) => talk.answers.get(),
        Some(PAM_ERROR_MSG | PAM_TEXT_INFO) => true,
        _ => false,
    };
    if !messages.iter().all(|message| can_answer(style(message))) {
        return Status::CONV_ERR.0;
    }
    // SAFETY: memory for so many responses, all zero, which PAM frees.
    let made = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if made.is_null() {
        return Status::BUF_ERR.0;
    }
    // SAFETY: the memory is for so many responses, of which zero is one without text.
    let answers = unsafe { slice::from_raw_parts_mut(made, count) };
    for (answer, message) in answers.iter_mut().zip(messages) {
        if style(message) == Some(PAM_PROMPT_ECHO_OFF) {
            // SAFETY: the password ends with NUL and lives as long as the transaction. PAM wipes and frees the copy;
            // without memory there is none, which PAM takes for no answer.
            answer.text = unsafe { libc::strdup(talk.password) };
        }
    }
    // SAFETY: PAM has a place for it.
    unsafe { *responses = made };
    Status::SUCCESS.0
}
