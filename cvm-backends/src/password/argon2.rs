//! Argon2, computed by the crate `argon2`.

use argon2::{Algorithm, Block, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use cvm_core::SecretRef;
use zeroize::Zeroizing;

use super::VerifyError;
use super::form::{Load, number};

/// The most memory, in KiB.
const MEMORY_MAX: u32 = 256 * 1024;

/// The most memory that is passed over, in KiB: the time.
const WORK_MAX: u64 = 768 * 1024;

/// The longest salt and digest.
const BYTES_MAX: usize = 64;

/// A string as the program `argon2` and libsodium write it.
#[derive(Clone, Copy)]
pub(super) struct Argon2<'s> {
    algorithm: Algorithm,
    version: Version,
    /// In KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: &'s str,
    digest: &'s str,
}

impl<'s> Argon2<'s> {
    pub(super) fn read(stored: &'s [u8]) -> Option<Self> {
        let text = str::from_utf8(stored).ok()?;
        let (algorithm, rest) = match text.strip_prefix("$argon2")?.split_once('$')? {
            ("i", rest) => (Algorithm::Argon2i, rest),
            ("id", rest) => (Algorithm::Argon2id, rest),
            _ => return None,
        };
        // The first version did not write its number.
        let (version, rest) = match rest.strip_prefix("v=").map(|rest| rest.split_once('$')) {
            None => (Version::V0x10, rest),
            Some(Some(("16", rest))) => (Version::V0x10, rest),
            Some(Some(("19", rest))) => (Version::V0x13, rest),
            Some(_) => return None,
        };
        let (parameters, rest) = rest.split_once('$')?;
        let (memory, passes, lanes) = costs(parameters)?;
        let (salt, digest) = rest.split_once('$')?;
        let read = Self { algorithm, version, memory, passes, lanes, salt, digest };
        read.is_valid().then_some(read)
    }

    /// Tells whether everything is in the range of the algorithm, if not in that of good sense.
    fn is_valid(&self) -> bool {
        let mut buffer = [0; BYTES_MAX];
        let salt = decode(self.salt, &mut buffer).is_some_and(|salt| salt.len() >= 8);
        let digest = decode(self.digest, &mut buffer).is_some_and(|digest| digest.len() >= 4);
        let memory = self.lanes.checked_mul(8).is_some_and(|least| self.memory >= least);
        salt && digest && memory && self.passes > 0 && self.lanes > 0
    }

    pub(super) fn load(&self) -> Load {
        let work = if self.memory > MEMORY_MAX { u64::MAX } else { u64::from(self.memory) * u64::from(self.passes) };
        Load { work, bound: WORK_MAX }
    }

    pub(super) fn matches(&self, password: SecretRef<'_>) -> Result<bool, VerifyError> {
        let (mut salt, mut digest) = ([0; BYTES_MAX], [0; BYTES_MAX]);
        let decoded = decode(self.salt, &mut salt).zip(decode(self.digest, &mut digest));
        let parameters = |length| Params::new(self.memory, self.passes, self.lanes, Some(length)).ok();
        let Some(((salt, expected), parameters)) =
            decoded.and_then(|decoded| Some((decoded, parameters(decoded.1.len())?)))
        else {
            return Ok(false);
        };
        let mut memory = memory(parameters.block_count())?;
        let mut computed = Zeroizing::new([0; BYTES_MAX]);
        let computed = &mut computed[..expected.len()];
        let argon2 = argon2::Argon2::new(self.algorithm, self.version, parameters);
        let done = argon2.hash_password_into_with_memory(password.expose(), salt, computed, memory.as_mut_slice());
        Ok(done.is_ok() && SecretRef::new(computed).equals(expected))
    }
}

/// Reads `m=N,t=N,p=N`.
fn costs(text: &str) -> Option<(u32, u32, u32)> {
    let (memory, rest) = text.strip_prefix("m=")?.split_once(",t=")?;
    let (passes, lanes) = rest.split_once(",p=")?;
    Some((number(memory)?, number(passes)?, number(lanes)?))
}

fn decode<'b>(text: &str, buffer: &'b mut [u8; BYTES_MAX]) -> Option<&'b [u8]> {
    Base64Unpadded::decode(text, buffer).ok()
}

/// Allocates the blocks that the algorithm fills, which are wiped in the end as they are in its own library.
fn memory(blocks: usize) -> Result<Zeroizing<Vec<Block>>, VerifyError> {
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(blocks).map_err(|_| VerifyError::OutOfMemory)?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}
