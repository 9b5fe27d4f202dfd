//! Lines of passwd(5), and which of them stand in for accounts that do not exist.

use std::hash::{DefaultHasher, Hasher};

use cvm_core::StandardFacts;

use crate::password::Comparison;

/// The longest line that may be an account; its facts fit in a packet of 512 bytes.
pub(super) const LINE_MAX: usize = 4096;

/// The fields of an account.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t [u8],
    pub(super) password: &'t [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) gecos: &'t [u8],
    pub(super) directory: &'t [u8],
    pub(super) shell: &'t [u8],
}

impl<'t> Entry<'t> {
    /// Reads a line as passwd(5) has it; the last field is what follows the sixth colon. A comment is none.
    pub(super) fn parse(line: &'t [u8]) -> Option<Self> {
        if line.len() > LINE_MAX || line.contains(&0) || line.starts_with(b"#") {
            return None;
        }
        let mut fields = line.splitn(7, |&byte| byte == b':');
        let mut next = || fields.next();
        let (name, password) = (next()?, next()?);
        let (uid, gid) = (id(next()?)?, id(next()?)?);
        let (gecos, directory, shell) = (next()?, next()?, next()?);
        (!name.is_empty()).then_some(Self { name, password, uid, gid, gecos, directory, shell })
    }

    /// The real name: the GECOS field up to its first comma.
    pub(super) fn realname(&self) -> &'t [u8] {
        self.gecos.split(|&byte| byte == b',').next().unwrap_or_default()
    }

    /// Tells whether an account can be authenticated against this entry.
    pub(super) fn is_usable(&self, comparison: Comparison) -> bool {
        comparison.read(self.password).is_ok()
    }

    pub(super) fn facts(&self) -> StandardFacts<'t> {
        StandardFacts {
            username: self.name,
            userid: self.uid.into(),
            groupid: self.gid.into(),
            realname: Some(self.realname()),
            directory: self.directory,
            shell: Some(self.shell),
            ..StandardFacts::default()
        }
    }
}

/// Reads a user or group ID: 1 to 10 digits up to 4294967294.
pub(super) fn id(field: &[u8]) -> Option<u32> {
    let digits = (1..=10).contains(&field.len()).then_some(field)?;
    let number = cvm_core::parse_integer(digits)?;
    u32::try_from(number).ok().filter(|&id| id != u32::MAX)
}

/// How many lines behind its position are tried before a decoy is the first usable entry of the file.
pub(super) const DECOY_LINES: usize = 16;

/// Chooses the position in a file behind which the decoy for a name is: always the same one for a name, in every
/// process that reads this version. The key is secret, but the same for all: the first usable stored password.
pub(super) fn decoy_position(key: &[u8], name: &[u8], file_size: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    write_lowercase(&mut hasher, name);
    hasher.finish().checked_rem(file_size).unwrap_or(0)
}

/// Feeds a name to a hasher in lower case, without allocating.
pub(super) fn write_lowercase(hasher: &mut impl Hasher, name: &[u8]) {
    let mut buffer = [0; 64];
    for chunk in name.chunks(buffer.len()) {
        let lower = &mut buffer[..chunk.len()];
        lower.copy_from_slice(chunk);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
}
