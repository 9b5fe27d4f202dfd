//! libcrypt's `crypt_r`: the limit of verifying hashed passwords, and what makes hashes for tables.

#![expect(unsafe_code, reason = "crypt_r is a C function")]

use std::ffi::{CStr, CString, c_char};

/// Room for `struct crypt_data`, which is 32 KiB in libxcrypt and 128 KiB in old versions of the C library.
#[repr(C, align(64))]
struct Data([u8; 136 * 1024]);

#[link(name = "crypt")]
unsafe extern "C" {
    fn crypt_r(phrase: *const c_char, setting: *const c_char, data: *mut Data) -> *mut c_char;
}

/// A place to hash in.
pub(crate) struct Crypt(Box<Data>);

impl Crypt {
    pub(crate) fn new() -> Self {
        Self(Box::new(Data([0; 136 * 1024])))
    }

    /// Hashes a password as a setting or a stored password says; `None` if libcrypt does not know the form.
    pub(crate) fn hash(&mut self, password: &CStr, setting: &CStr) -> Option<&CStr> {
        // SAFETY: both strings end with NUL, and the data, which was zero at first, is large enough and ours alone.
        let hashed = unsafe { crypt_r(password.as_ptr(), setting.as_ptr(), &raw mut *self.0) };
        if hashed.is_null() {
            return None;
        }
        // SAFETY: the result is a string in the data, which is borrowed as long as the result.
        let hashed = unsafe { CStr::from_ptr(hashed) };
        // A failure is "*0" or "*1".
        Some(hashed).filter(|hashed| !hashed.to_bytes().starts_with(b"*"))
    }

    /// Makes a stored password.
    pub(crate) fn store(&mut self, password: &str, setting: &str) -> Option<CString> {
        let [password, setting] = [password, setting].map(|text| CString::new(text).expect("text without NUL"));
        self.hash(&password, &setting).map(CStr::to_owned)
    }
}
