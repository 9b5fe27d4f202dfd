//! Look-ups that learn only on the way whether they have to wait.

use std::io;

use cvm_core::module::{Cost, Module, Temporary};
use cvm_core::wire::Request;

/// Why a look-up ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It would have to wait, for which there is no patience.
    Waits,
    /// Something failed.
    Failed,
}

impl Halt {
    /// Makes of what was found without patience what [`Module::lookup_inline`] tells.
    pub(crate) fn inline<T>(found: Result<T, Self>) -> Result<Result<T, Temporary>, Cost> {
        match found {
            Err(Self::Waits) => Err(Cost::Wait),
            found => Ok(found.map_err(Temporary::from)),
        }
    }
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock { Self::Waits } else { Self::Failed }
    }
}

impl From<Halt> for Temporary {
    fn from(_: Halt) -> Self {
        Self::IO
    }
}

/// Says what a look-up costs, by doing it.
pub(crate) fn cost_of_lookup(module: &impl Module, request: &Request<'_>) -> Cost {
    module.lookup_inline(request).err().unwrap_or(Cost::Inline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_is_left_to_others() {
        assert_eq!(Halt::inline(Ok(1)), Ok(Ok(1)));
        assert_eq!(Halt::inline::<u8>(Err(Halt::Failed)), Ok(Err(Temporary::IO)));
        assert_eq!(Halt::inline::<u8>(Err(Halt::Waits)), Err(Cost::Wait));
        assert_eq!(Halt::from(io::Error::from(io::ErrorKind::WouldBlock)), Halt::Waits);
    }
}
