//! The C interfaces that no maintained safe crate offers: shadow entries, crypt(3), descriptors of children, and advice
//! about memory.

#![expect(
    unsafe_code,
    reason = "getspnam_r, crypt_rn and madvise are C functions, and a child runs code before its program"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use nix::libc;
use zeroize::Zeroizing;

/// The size of a huge page nearly everywhere; less memory than some of them has no use for one.
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// What is fetched at once.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// Asks for huge pages under memory that is about to be filled and then read here and there: there, and above all in a
/// virtual machine, most of the time goes into finding out where small pages are.
pub(crate) fn prefer_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let (start, size) = (memory.as_mut_ptr() as usize, size_of_val(memory));
    let first = start.next_multiple_of(HUGE_PAGE);
    let whole = (start + size).saturating_sub(first) / HUGE_PAGE * HUGE_PAGE;
    if whole >= HUGE_PAGE {
        // SAFETY: the range lies within the memory, and the advice changes nothing that it holds. It may be refused.
        unsafe { libc::madvise(ptr::with_exposed_provenance_mut(first), whole, libc::MADV_HUGEPAGE) };
    }
}

/// Has memory fetched into the processor's caches, and does not wait for it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn fetch(memory: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    use std::ops::Range;
    let Range { start, end } = memory.as_ptr_range();
    let first = start.wrapping_sub(start.addr() % CACHE_LINE);
    for line in (0..end.addr() - first.addr()).step_by(CACHE_LINE) {
        // SAFETY: every processor of this architecture has the instruction, and it changes nothing, whatever is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line).cast()) };
    }
}

/// Elsewhere it is fetched when it is read.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const fn fetch(_: &[u8]) {}

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
            // The last one is musl's for what cannot be a name.
            0 | libc::ENOENT | libc::ESRCH | libc::EINVAL if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: `found` is not null, so the entry is filled.
                let entry = unsafe { entry.assume_init() };
                if entry.sp_pwdp.is_null() {
                    return Ok(None);
                }
                // SAFETY: the string is not null, ends with NUL and is in the buffer.
                let password = unsafe { CStr::from_ptr(entry.sp_pwdp) };
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

/// Gives a descriptor to the program of a command, under this number.
pub(crate) fn hand_over(command: &mut Command, descriptor: OwnedFd, number: RawFd) {
    let give = move || {
        let from = descriptor.as_raw_fd();
        // SAFETY: both calls take numbers only. The first one does nothing if the descriptor has its number already.
        let failed = unsafe { libc::dup2(from, number) == -1 || libc::fcntl(number, libc::F_SETFD, 0) == -1 };
        if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec it makes system calls only.
    unsafe { command.pre_exec(give) };
}

/// The size of libxcrypt's `struct crypt_data`, in words that it may be aligned to.
const CRYPT_DATA_WORDS: usize = 32_768 / size_of::<u64>();

/// What `crypt_checksalt` answers for a method that the library does not have: `CRYPT_SALT_INVALID`, `CRYPT_SALT_METHOD_DISABLED`.
const METHOD_MISSING: [c_int; 2] = [1, 2];

/// `crypt_gensalt_rn`: method, cost, random bytes and their length, output and its length.
type GensaltRn = unsafe extern "C" fn(*const c_char, c_ulong, *const c_char, c_int, *mut c_char, c_int) -> *mut c_char;

/// The longest setting: `CRYPT_GENSALT_OUTPUT_SIZE`.
const SETTING_MAX: usize = 192;

/// The functions of libxcrypt, the libcrypt of every current Linux distribution.
struct Libcrypt {
    crypt_rn: unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void, c_int) -> *mut c_char,
    crypt_checksalt: unsafe extern "C" fn(*const c_char) -> c_int,
    crypt_gensalt_rn: GensaltRn,
    /// What keeps the functions in memory.
    #[cfg(not(target_feature = "crt-static"))]
    _library: libloading::Library,
}

/// Why crypt(3) gave no string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CryptError {
    /// There is no libcrypt, or none with the functions of libxcrypt.
    #[error("libcrypt (libxcrypt) cannot be loaded")]
    #[cfg_attr(target_feature = "crt-static", expect(dead_code, reason = "what is linked cannot be missing"))]
    NoLibrary,
    /// There is not enough memory.
    #[error("there is not enough memory")]
    OutOfMemory,
    /// The library does not know this method.
    #[error("libcrypt does not know the method")]
    UnknownMethod,
    /// The phrase or the setting is none that the library takes.
    #[error("libcrypt does not take the password")]
    Refused,
}

/// Hashes a phrase as a setting or an earlier hash says: crypt(3) of the system.
pub(crate) fn crypt(phrase: &CStr, setting: &CStr) -> Result<Zeroizing<Vec<u8>>, CryptError> {
    let libcrypt = Libcrypt::get()?;
    let mut data = Zeroizing::new(Vec::<u64>::new());
    data.try_reserve_exact(CRYPT_DATA_WORDS).map_err(|_| CryptError::OutOfMemory)?;
    data.resize(CRYPT_DATA_WORDS, 0);
    let size = c_int::try_from(size_of_val(data.as_slice())).map_err(|_| CryptError::OutOfMemory)?;
    // SAFETY: both strings end with NUL, the data has the size that is told, and all live beyond the call.
    let hash = unsafe {
        let data = data.as_mut_ptr().cast::<c_void>();
        (libcrypt.crypt_rn)(phrase.as_ptr(), setting.as_ptr(), data, size)
    };
    if hash.is_null() {
        return Err(libcrypt.error(setting));
    }
    // SAFETY: a hash that is not null is a string that ends with NUL, in the data.
    Ok(Zeroizing::new(unsafe { CStr::from_ptr(hash) }.to_bytes().to_vec()))
}

/// Makes a setting for [`crypt`] of the method with this prefix, at its usual cost, with random salt.
pub(crate) fn setting(method: &CStr) -> Result<CString, CryptError> {
    let libcrypt = Libcrypt::get()?;
    let mut buffer = [0_u8; SETTING_MAX];
    let size = c_int::try_from(SETTING_MAX).unwrap_or(0);
    // SAFETY: the method ends with NUL, the buffer has the size that is told, both live beyond the call, and without
    // random bytes the library takes those of the system.
    let setting = unsafe {
        let buffer = buffer.as_mut_ptr().cast::<c_char>();
        (libcrypt.crypt_gensalt_rn)(method.as_ptr(), 0, ptr::null(), 0, buffer, size)
    };
    if setting.is_null() {
        return Err(libcrypt.error(method));
    }
    CStr::from_bytes_until_nul(&buffer).map(CStr::to_owned).map_err(|_| CryptError::Refused)
}

impl Libcrypt {
    /// Finds out why the last call of this thread failed.
    fn error(&self, setting: &CStr) -> CryptError {
        let error = io::Error::last_os_error().raw_os_error();
        // SAFETY: the setting ends with NUL and lives beyond the call.
        let verdict = unsafe { (self.crypt_checksalt)(setting.as_ptr()) };
        match error {
            Some(libc::ENOMEM) => CryptError::OutOfMemory,
            _ if METHOD_MISSING.contains(&verdict) => CryptError::UnknownMethod,
            _ => CryptError::Refused,
        }
    }

    #[cfg(target_feature = "crt-static")]
    fn get() -> Result<&'static Self, CryptError> {
        // The build script links it.
        unsafe extern "C" {
            fn crypt_rn(phrase: *const c_char, setting: *const c_char, data: *mut c_void, size: c_int) -> *mut c_char;
            fn crypt_checksalt(setting: *const c_char) -> c_int;
            fn crypt_gensalt_rn(
                method: *const c_char,
                cost: c_ulong,
                random: *const c_char,
                random_size: c_int,
                setting: *mut c_char,
                size: c_int,
            ) -> *mut c_char;
        }
        static LIBCRYPT: Libcrypt = Libcrypt { crypt_rn, crypt_checksalt, crypt_gensalt_rn };
        Ok(&LIBCRYPT)
    }

    /// Returns the library, which is loaded when it is first needed: most programs that run once per login never do.
    ///
    /// A failure is not remembered, as it may be for want of memory.
    #[cfg(not(target_feature = "crt-static"))]
    fn get() -> Result<&'static Self, CryptError> {
        static LIBCRYPT: std::sync::OnceLock<Libcrypt> = std::sync::OnceLock::new();
        if let Some(libcrypt) = LIBCRYPT.get() {
            return Ok(libcrypt);
        }
        let loaded = ["libcrypt.so.1", "libcrypt.so.2"].into_iter().find_map(Self::load);
        loaded.map(|loaded| LIBCRYPT.get_or_init(|| loaded)).ok_or(CryptError::NoLibrary)
    }

    #[cfg(not(target_feature = "crt-static"))]
    fn load(name: &str) -> Option<Self> {
        // SAFETY: the library of this name has no initialisation, and these functions have these types.
        unsafe {
            let library = libloading::Library::new(name).ok()?;
            let (crypt_rn, crypt_checksalt) = (*library.get(b"crypt_rn").ok()?, *library.get(b"crypt_checksalt").ok()?);
            let crypt_gensalt_rn = *library.get(b"crypt_gensalt_rn").ok()?;
            Some(Self { crypt_rn, crypt_checksalt, crypt_gensalt_rn, _library: library })
        }
    }
}
