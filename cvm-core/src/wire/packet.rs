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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_takes_512_bytes_and_not_one_more() {
        let mut packet = Packet::new();
        assert_eq!(packet.extend(&[7; 500]), Ok(()));
        assert_eq!(packet.extend(&[8; 13]), Err(Full));
        assert_eq!(packet.len(), 500, "what does not fit is not written in part");
        assert_eq!(packet.extend(&[8; 12]), Ok(()));
        assert_eq!(packet.extend(&[9]), Err(Full));
        assert_eq!(packet.extend(&[]), Ok(()));
        assert_eq!(packet[..], [[7; 500].as_slice(), &[8; 12]].concat());
    }

    #[test]
    fn what_was_cleared_is_wiped() {
        let mut packet = Packet::default();
        packet.extend(b"hunter2").unwrap();
        packet.clear();
        assert!(packet.is_empty());
        assert_eq!(packet.bytes, [0; PACKET_MAX]);
    }

    #[test]
    fn printing_a_packet_tells_its_length_only() {
        let mut packet = Packet::new();
        packet.extend(b"hunter2").unwrap();
        assert_eq!(format!("{packet:?}"), "Packet(7 bytes)");
    }
}
