//! The C interfaces that no maintained safe crate offers: shadow entries and crypt(3).

#![expect(unsafe_code, reason = "getspnam_r and crypt_rn are C functions")]

use std::ffi::{CStr, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use nix::libc;
use zeroize::Zeroizing;

/// A shadow entry: the stored password, and days since 1970 or counts of days; negative where unset.
pub(crate) struct Shadow {
    pub(crate) password: Zeroizing<Vec<u8>>,
    /// When the password was changed.
    pub(crate) last_change: i64,
    /// How long a password may be used.
    pub(crate) maximum: i64,
    /// How long an expired password is still accepted.
    pub(crate) inactive: i64,
    /// When the account expires.
    pub(crate) expires: i64,
}

/// The largest entry that is read, far beyond any that exists.
const ENTRY_MAX: usize = 1024 * 1024;

/// Finds the shadow entry of a user through every source of the name service.
pub(crate) fn shadow(name: &CStr) -> io::Result<Option<Shadow>> {
    let mut size = 1024;
    loop {
        let mut buffer = Zeroizing::new(vec![0_u8; size]);
        let mut entry = MaybeUninit::<libc::spwd>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: the name ends with NUL, the buffer has the length that is told, and all live beyond the call.
        let error = unsafe {
            let buffer = buffer.as_mut_ptr().cast::<c_char>();
            libc::getspnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer, size, &raw mut found)
        };
        match error {
            libc::ERANGE if size < ENTRY_MAX => size *= 4,
            0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: `found` is not null, so the entry is filled and its strings, in the buffer, end with NUL.
                let (entry, password) = unsafe { (entry.assume_init(), CStr::from_ptr((*found).sp_pwdp)) };
                return Ok(Some(Shadow {
                    password: Zeroizing::new(password.to_bytes().to_vec()),
                    last_change: entry.sp_lstchg,
                    maximum: entry.sp_max,
                    inactive: entry.sp_inact,
                    expires: entry.sp_expire,
                }));
            }
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}
