//! The cursor that packets are read with: every step may fail, none can run past the end.

use super::request::MalformedKind;

/// What is left of a packet.
#[derive(Clone, Copy)]
pub(super) struct Reader<'p> {
    rest: &'p [u8],
}

impl<'p> Reader<'p> {
    pub(super) const fn new(rest: &'p [u8]) -> Self {
        Self { rest }
    }

    /// Returns what is left without consuming it.
    pub(super) const fn rest(&self) -> &'p [u8] {
        self.rest
    }

    /// Takes one byte.
    pub(super) fn byte(&mut self) -> Result<u8, MalformedKind> {
        let (&byte, rest) = self.rest.split_first().ok_or(MalformedKind::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Takes a string behind its length byte.
    pub(super) fn counted(&mut self) -> Result<&'p [u8], MalformedKind> {
        let length = usize::from(self.byte()?);
        let (value, rest) = self.rest.split_at_checked(length).ok_or(MalformedKind::Truncated)?;
        self.rest = rest;
        Ok(value)
    }

    /// Takes a string up to its NUL, and the NUL.
    pub(super) fn until_nul(&mut self) -> Result<&'p [u8], MalformedKind> {
        let length = self.rest.iter().position(|&byte| byte == 0).ok_or(MalformedKind::Truncated)?;
        let (value, rest) = self.rest.split_at_checked(length).ok_or(MalformedKind::Truncated)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(value)
    }

    /// Demands that nothing is left.
    pub(super) const fn end(&self) -> Result<(), MalformedKind> {
        if self.rest.is_empty() { Ok(()) } else { Err(MalformedKind::TrailingBytes) }
    }
}
