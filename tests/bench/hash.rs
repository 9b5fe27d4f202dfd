//! `hash`: verification of each stored form, beside `crypt_r` on the same string.

use std::ffi::{CStr, CString};

use cvm_backends::password::Comparison;
use cvm_core::SecretRef;

use crate::Options;
use crate::crypt::Crypt;
use crate::measure::{Candidate, Core, Pinned, Samples, seconds};
use crate::output::{Grid, microseconds, not_available, print, ratio};

const PASSWORD: &CStr = c"correct horse battery";
const WRONG: &[u8] = b"incorrect horse battery";

/// The forms, and settings that make libcrypt write them.
const FORMS: &[(&str, &str)] = &[
    ("DES", "ab"),
    ("_ BSDi", "_J9..rasm"),
    ("$1$ MD5", "$1$saltsalt$"),
    ("$md5", "$md5,rounds=1000$saltsalt$$"),
    ("$sha1$ 12000", "$sha1$12000$saltsalt$"),
    ("$5$ SHA-256", "$5$saltsaltsaltsalt$"),
    ("$6$ SHA-512", "$6$saltsaltsaltsalt$"),
    ("$2a$ cost 8", "$2a$08$abcdefghijklmnopqrstuu"),
    ("$2b$ cost 8", "$2b$08$abcdefghijklmnopqrstuu"),
    ("$7$ scrypt", "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$"),
    ("$y$ j9T yescrypt", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"),
    ("$gy$ j9T", "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$"),
];

/// How many rounds, and how long each candidate works in one.
const ROUNDS: usize = 15;
const BATCH_SECONDS: f64 = 0.03;

/// Prints how fast each form is.
pub(crate) fn run(_: Options) {
    let _pinned = Pinned::to(Core::First);
    let mut grid = Grid::new(&["stored form", "ours", "crypt_r", "speed, crypt_r = 1"]);
    for (title, setting) in FORMS {
        let cells = match Crypt::new().store(&PASSWORD.to_string_lossy(), setting) {
            Some(stored) if is_supported(&stored) => row(&stored),
            _ => [(); 3].map(|()| not_available()),
        };
        grid.row(title, cells);
    }
    grid.print();
    print("n/a: the form is not known to one of the two. To reach: 0.95 or better.");
}

fn verify(stored: &CStr, password: &[u8]) -> Option<bool> {
    Comparison::Crypt.read(stored.to_bytes()).ok()?.matches(SecretRef::new(password)).ok()
}

fn is_supported(stored: &CStr) -> bool {
    let is_right = verify(stored, PASSWORD.to_bytes()) == Some(true);
    assert!(!is_right || verify(stored, WRONG) == Some(false), "{stored:?} matches a wrong password");
    is_right
}

fn row(stored: &CString) -> [String; 3] {
    let mut crypt = Crypt::new();
    let count = calibrated(|| assert_eq!(crypt.hash(PASSWORD, stored), Some(stored.as_c_str())));
    let ours: Candidate<'_> = Box::new(|| {
        batch(count, || assert_eq!(verify(stored, PASSWORD.to_bytes()), Some(true), "the right password matches"))
    });
    let limit: Candidate<'_> =
        Box::new(|| batch(count, || assert_eq!(crypt.hash(PASSWORD, stored), Some(stored.as_c_str()))));
    let samples = Samples::in_turn(ROUNDS, &mut [ours, limit]);
    [microseconds(samples.median(0)), microseconds(samples.median(1)), ratio(samples.ratio(1, 0))]
}

/// Returns the seconds that one of `count` calls took.
fn batch(count: u32, mut call: impl FnMut()) -> f64 {
    seconds(|| (0..count).for_each(|_| call())) / f64::from(count)
}

/// Returns how many calls fill a batch.
fn calibrated(mut call: impl FnMut()) -> u32 {
    call();
    let once = (0..3).map(|_| seconds(&mut call)).fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bounded positive number")]
    let count = (BATCH_SECONDS / once).clamp(1.0, 1e5) as u32;
    count
}
