//! Lines of passwd(5), and which of them stand in for accounts that do not exist.

use std::hash::{DefaultHasher, Hasher};

use cvm_core::StandardFacts;
use memchr::{memchr, memchr_iter};

use crate::password::Comparison;

/// The longest line that may be an account; its facts fit in a packet of 512 bytes.
pub(super) const LINE_MAX: usize = 4096;

/// The fields of an account.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'t> {
    pub(crate) name: &'t [u8],
    pub(crate) password: &'t [u8],
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) gecos: &'t [u8],
    pub(crate) directory: &'t [u8],
    pub(crate) shell: &'t [u8],
}

/// Where the fields of an account are in its line: an [`Entry`] without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The positions of the colons, and the length of the line, which is bounded by [`LINE_MAX`].
    colons: [u16; 6],
    len: u16,
    uid: u32,
    gid: u32,
}

impl Layout {
    /// Reads a line as passwd(5) has it; the last field is what follows the sixth colon. A comment is none.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > LINE_MAX || line.starts_with(b"#") || memchr(0, line).is_some() {
            return None;
        }
        let mut found = memchr_iter(b':', line);
        let mut colons = [0; 6];
        for colon in &mut colons {
            *colon = u16::try_from(found.next()?).ok()?;
        }
        let mut layout = Self { colons, len: u16::try_from(line.len()).ok()?, uid: 0, gid: 0 };
        layout.uid = id(layout.field(2, line)?)?;
        layout.gid = id(layout.field(3, line)?)?;
        (colons[0] > 0).then_some(layout)
    }

    /// Returns the account of the line that this is the layout of.
    pub(super) fn entry<'t>(&self, line: &'t [u8]) -> Option<Entry<'t>> {
        let field = |index| self.field(index, line);
        Some(Entry {
            name: field(0)?,
            password: field(1)?,
            uid: self.uid,
            gid: self.gid,
            gecos: field(4)?,
            directory: field(5)?,
            shell: field(6)?,
        })
    }

    /// Returns the length of the line.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns the field before this colon, or the last one.
    fn field<'t>(&self, index: usize, line: &'t [u8]) -> Option<&'t [u8]> {
        let start = index.checked_sub(1).map_or(Some(0), |before| Some(self.colons.get(before)? + 1))?;
        let end = self.colons.get(index).unwrap_or(&self.len);
        line.get(start.into()..(*end).into())
    }
}

impl<'t> Entry<'t> {
    /// Reads a line as passwd(5) has it; a comment is none.
    pub(crate) fn parse(line: &'t [u8]) -> Option<Self> {
        Layout::parse(line)?.entry(line)
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

/// Chooses the decoys of a version of a file.
///
/// A name always has the same one, in every process that reads this version. The key is secret, but the same for all:
/// the first usable stored password.
#[derive(Clone)]
pub(crate) struct DecoyKey(DefaultHasher);

impl DecoyKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        Self(hasher)
    }

    /// Chooses the position in the file behind which the decoy for a name is.
    pub(crate) fn position(&self, name: &[u8], file_size: u64) -> u64 {
        let mut hasher = self.0.clone();
        write_lowercase(&mut hasher, name);
        hasher.finish().checked_rem(file_size).unwrap_or(0)
    }
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
