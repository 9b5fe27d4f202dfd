//! The parameters of scrypt and yescrypt as crypt(3) writes them: what a string costs.

use super::crypt::is_hash64;

/// How many blocks of 128 bytes may be filled: 256 MiB where each is filled once.
pub(super) const BLOCKS_MAX: u64 = 1 << 21;

/// A smaller N is charged as this: with few blocks, mixing them costs more than filling them.
const LOG2_N_MIN: u32 = 10;

/// The characters of a digest.
const DIGEST: usize = 43;

/// Recognises what follows `$7$`, and returns how many blocks are filled: N, r and p in 1, 5 and 5 characters, salt.
pub(super) fn scrypt(rest: &str) -> Option<u64> {
    let (setting, digest) = rest.split_once('$')?;
    let (log2_n, r) = (setting.get(..1)?, setting.get(1..6)?);
    let (p, salt) = (setting.get(6..11)?, setting.get(11..)?);
    let is_valid = is_hash64(salt, 0..=64) && is_hash64(digest, DIGEST..=DIGEST);
    let (log2_n, r, p) = (little_endian(log2_n)?, little_endian(r)?, little_endian(p)?);
    (is_valid && log2_n >= 2 && r > 0 && p > 0).then(|| blocks(log2_n.max(LOG2_N_MIN), r).saturating_mul(p.into()))
}

/// Recognises what follows `$y$`, and returns how many blocks are filled: `j` for the flavour that every program
/// writes, N, r, and none of the parameters that may follow but never do.
pub(super) fn yescrypt(rest: &str) -> Option<u64> {
    let (parameters, rest) = rest.strip_prefix('j')?.split_once('$')?;
    let (salt, digest) = rest.split_once('$')?;
    let is_valid = is_bytes(salt) && is_hash64(digest, DIGEST..=DIGEST);
    let (log2_n, parameters) = variable(parameters)?;
    let (r, parameters) = variable(parameters)?;
    (is_valid && parameters.is_empty() && log2_n >= 2).then(|| blocks(log2_n, r))
}

fn blocks(log2_n: u32, r: u32) -> u64 {
    1_u64.checked_shl(log2_n).unwrap_or(u64::MAX).saturating_mul(r.into())
}

/// Reads a number whose characters hold 6 bits each, the lowest first: 30 bits at most.
pub(super) fn little_endian(text: &str) -> Option<u32> {
    text.bytes().rev().try_fold(0_u32, |number, byte| Some(number.checked_mul(64)? + value(byte)?))
}

/// Reads a number from 1 on of variable length: the first character says how many follow.
fn variable(text: &str) -> Option<(u32, &str)> {
    let (first, mut rest) = (value(text.bytes().next()?)?, text.get(1..)?);
    let (mut number, mut start, mut end, mut more) = (1_u32, 0, 47, 0_u32);
    while first > end {
        number = number.checked_add((end + 1 - start) << (6 * more))?;
        start = end + 1;
        end = start + (62 - end) / 2;
        more += 1;
    }
    number = number.checked_add((first - start).checked_shl(6 * more)?)?;
    for place in (0..more).rev() {
        number = number.checked_add(value(rest.bytes().next()?)?.checked_shl(6 * place)?)?;
        rest = rest.get(1..)?;
    }
    Some((number, rest))
}

/// Tells whether these characters stand for whole bytes, 48 at most: 4 for 3 of them, and no bit is left over.
fn is_bytes(text: &str) -> bool {
    let last = text.bytes().next_back().and_then(value).unwrap_or_default();
    let fits = match text.len() % 4 {
        0 => true,
        2 => last < 4,
        3 => last < 16,
        _ => false,
    };
    fits && is_hash64(text, 0..=64)
}

/// The value of a character of crypt(3).
fn value(byte: u8) -> Option<u32> {
    let (first, from) = match byte {
        b'.' | b'/' => (b'.', 0),
        b'0'..=b'9' => (b'0', 2),
        b'A'..=b'Z' => (b'A', 12),
        b'a'..=b'z' => (b'a', 38),
        _ => return None,
    };
    Some(u32::from(byte - first) + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The costs of libxcrypt's `crypt_gensalt` for yescrypt, 1 to 11: 1 MiB to 1 GiB.
    #[test]
    fn the_parameters_that_programs_write_cost_what_they_say() {
        let digest = "a".repeat(DIGEST);
        let costs = ["j75", "j85", "j7T", "j8T", "j9T", "jAT", "jBT", "jCT", "jDT", "jET", "jFT"];
        let mebibytes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
        for (cost, size) in costs.into_iter().zip(mebibytes) {
            assert_eq!(yescrypt(&format!("{}$abc/$", &cost)), None, "without a digest");
            assert_eq!(yescrypt(&format!("{cost}$ab./${digest}")), Some(size * 8192), "{cost}");
        }
        assert_eq!(scrypt(&format!("CU..../....salt${digest}")), Some(1 << 19));
    }

    #[test]
    fn numbers_of_variable_length() {
        assert_eq!(variable("."), Some((1, "")));
        assert_eq!(variable("j$"), Some((48, "$")));
        assert_eq!(variable("k."), Some((49, "")));
        assert_eq!(variable("k/5"), Some((50, "5")));
        assert_eq!(variable("zzzzzz"), Some((1_091_060_272, "")));
        assert_eq!(variable("k"), None);
        assert_eq!(variable(""), None);
        assert_eq!(variable("-"), None);
    }
}
