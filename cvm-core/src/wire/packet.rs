//! The buffer that one packet is written into.

use core::fmt;
use core::ops::Deref;

use zeroize::Zeroize;

use super::PACKET_MAX;

/// A packet of up to 512 bytes, in place: no allocation, wiped when cleared or dropped.
///
/// ```
/// let mut packet = cvm_core::wire::Packet::new();
/// packet.extend(b"\x01alice").unwrap();
/// assert_eq!(packet.len(), 6);
/// assert!(packet.extend(&[0; 507]).is_err());
/// ```
pub struct Packet {
    bytes: [u8; PACKET_MAX],
    len: usize,
}

/// The packet would exceed 512 bytes; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet does not fit in 512 bytes")]
pub struct Full;

impl Packet {
    /// Makes an empty packet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; PACKET_MAX], len: 0 }
    }

    /// Appends `bytes`, all or none of them.
    ///
    /// # Errors
    ///
    /// [`Full`] if fewer than `bytes.len()` bytes are left.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        self.bytes.get_mut(self.len..end).ok_or(Full)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Empties the packet and wipes what was in it.
    pub fn clear(&mut self) {
        if let Some(used) = self.bytes.get_mut(..self.len) {
            used.zeroize();
        }
        self.len = 0;
    }
}

impl Default for Packet {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Packet {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} bytes)", self.len)
    }
}
