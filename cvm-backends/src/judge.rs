//! Judging a request against a stored password: what every module with stored passwords has in common.

use cvm_core::challenge::ChallengeResponse;
use cvm_core::module::Temporary;
use cvm_core::wire::Request;

use crate::Notices;
use crate::notices::Once;
use crate::password::{Comparison, Standing, TooCostly};

/// Compares requests with stored passwords, and tells the administrator once what is wrong with those.
#[derive(Debug)]
pub(crate) struct Judge {
    comparison: Comparison,
    notices: Notices,
    unknown_form: Once,
    too_costly: Once,
}

impl Judge {
    pub(crate) fn new(comparison: Comparison, notices: Notices) -> Self {
        Self { comparison, notices, unknown_form: Once::default(), too_costly: Once::default() }
    }

    pub(crate) const fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// Tells whether the request's credentials match the stored password.
    ///
    /// Against one that nothing can match, the decoy is judged in its place, so that a locked account takes as long
    /// as an unknown one.
    ///
    /// # Errors
    ///
    /// [`Temporary::CONFIG`] for a stored password that takes too long to verify.
    pub(crate) fn matches<D: AsRef<[u8]>>(
        &self,
        stored: &[u8],
        decoy: impl FnOnce() -> Option<D>,
        request: &Request<'_>,
    ) -> Result<bool, Temporary> {
        if self.is_usable(stored)? {
            return self.compare(stored, request);
        }
        if let Some(decoy) = decoy() {
            self.compare(decoy.as_ref(), request)?;
        }
        Ok(false)
    }

    fn compare(&self, stored: &[u8], request: &Request<'_>) -> Result<bool, Temporary> {
        if let Some(password) = request.password().filter(|password| !password.is_empty()) {
            return self.comparison.verify(stored, password).map_err(|error| self.too_costly(error));
        }
        let plain = self.comparison.plain_text(stored);
        Ok(plain.zip(ChallengeResponse::of(request)).is_some_and(|(plain, response)| response.is_right(plain)))
    }

    fn is_usable(&self, stored: &[u8]) -> Result<bool, Temporary> {
        match self.comparison.standing(stored) {
            Standing::Usable => Ok(true),
            Standing::Locked => Ok(false),
            Standing::Unknown => {
                let text = format_args!("a stored password has an unknown form, its account is refused");
                self.unknown_form.give(&self.notices, text);
                Ok(false)
            }
            Standing::TooCostly => Err(self.too_costly(TooCostly)),
        }
    }

    fn too_costly(&self, error: TooCostly) -> Temporary {
        self.too_costly.give(&self.notices, format_args!("{error}"));
        Temporary::CONFIG
    }
}
