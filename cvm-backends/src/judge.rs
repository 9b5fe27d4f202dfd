//! Judging a request against a stored password: what every module with stored passwords has in common.

use cvm_core::SecretRef;
use cvm_core::challenge::ChallengeResponse;
use cvm_core::module::{Cost, Temporary};
use cvm_core::wire::Request;

use crate::Notices;
use crate::notices::Once;
use crate::password::{Comparison, Stored, Unusable, VerifyError};

/// Compares requests with stored passwords, and tells the administrator once what is wrong with those.
#[derive(Debug)]
pub(crate) struct Judge {
    comparison: Comparison,
    notices: Notices,
    unknown_form: Once,
    too_costly: Once,
    no_plain_text: Once,
    out_of_memory: Once,
    no_library: Once,
}

impl Judge {
    pub(crate) fn new(comparison: Comparison, notices: Notices) -> Self {
        Self {
            comparison,
            notices,
            unknown_form: Once::default(),
            too_costly: Once::default(),
            no_plain_text: Once::default(),
            out_of_memory: Once::default(),
            no_library: Once::default(),
        }
    }

    pub(crate) const fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// Says what [`matches`](Self::matches) with the same stored passwords costs.
    pub(crate) fn cost<D: AsRef<[u8]>>(&self, stored: &[u8], decoy: impl FnOnce() -> Option<D>) -> Cost {
        let cost_of = |stored: &[u8]| self.comparison.read(stored).ok().map(|stored| stored.cost());
        let decoys = || decoy().and_then(|decoy| cost_of(decoy.as_ref()));
        cost_of(stored).or_else(decoys).unwrap_or(Cost::Inline)
    }

    /// Tells whether the request's credentials match the stored password.
    ///
    /// Against one that nothing can match, the decoy is judged in its place, so that a locked account takes as long
    /// as an unknown one.
    ///
    /// # Errors
    ///
    /// [`Temporary::CONFIG`] for a stored password that takes too long to verify, [`Temporary::IO`] if the memory or
    /// the library that it needs is not there.
    pub(crate) fn matches<D: AsRef<[u8]>>(
        &self,
        stored: &[u8],
        decoy: impl FnOnce() -> Option<D>,
        request: &Request<'_>,
    ) -> Result<bool, Temporary> {
        self.judge(stored, decoy, |stored| self.compare(stored, request))
    }

    /// The same for a password that came otherwise; an empty one never matches.
    pub(crate) fn matches_password<D: AsRef<[u8]>>(
        &self,
        stored: &[u8],
        decoy: impl FnOnce() -> Option<D>,
        password: SecretRef<'_>,
    ) -> Result<bool, Temporary> {
        self.judge(stored, decoy, |stored| self.compare_password(stored, password))
    }

    fn judge<D: AsRef<[u8]>>(
        &self,
        stored: &[u8],
        decoy: impl FnOnce() -> Option<D>,
        compare: impl Fn(&Stored<'_>) -> Result<bool, Temporary>,
    ) -> Result<bool, Temporary> {
        if let Some(stored) = self.read(stored)? {
            return compare(&stored);
        }
        let decoy = decoy();
        if let Some(decoy) = decoy.as_ref().and_then(|decoy| self.comparison.read(decoy.as_ref()).ok()) {
            compare(&decoy)?;
        }
        Ok(false)
    }

    /// Recognises a stored password, if some password may match it.
    fn read<'s>(&self, stored: &'s [u8]) -> Result<Option<Stored<'s>>, Temporary> {
        match self.comparison.read(stored) {
            Ok(stored) => Ok(Some(stored)),
            Err(Unusable::Locked) => Ok(None),
            Err(unknown @ Unusable::Unknown) => {
                self.unknown_form.give(&self.notices, format_args!("{unknown}, its account is refused"));
                Ok(None)
            }
            Err(too_costly @ Unusable::TooCostly) => {
                self.too_costly.give(&self.notices, format_args!("{too_costly}"));
                Err(Temporary::CONFIG)
            }
        }
    }

    fn compare(&self, stored: &Stored<'_>, request: &Request<'_>) -> Result<bool, Temporary> {
        match request.password().filter(|password| !password.is_empty()) {
            Some(password) => self.compare_password(stored, password),
            None => Ok(self.answers(stored.plain_text(), request)),
        }
    }

    /// Tells whether the request's response to a challenge is right, if the password is there in plain text.
    pub(crate) fn answers(&self, plain: Option<&[u8]>, request: &Request<'_>) -> bool {
        let Some(response) = ChallengeResponse::of(request) else {
            return false;
        };
        if plain.is_none() {
            let text = format_args!("a stored password that is not plain text cannot answer challenges");
            self.no_plain_text.give(&self.notices, text);
        }
        // Where there is none, one that nobody has takes as long.
        let is_right = response.is_right(plain.unwrap_or(b"*"));
        plain.is_some() && is_right
    }

    fn compare_password(&self, stored: &Stored<'_>, password: SecretRef<'_>) -> Result<bool, Temporary> {
        stored.matches(password).map_err(|error| self.trouble(error))
    }

    fn trouble(&self, error: VerifyError) -> Temporary {
        let (once, temporary) = match error {
            VerifyError::OutOfMemory => (&self.out_of_memory, Temporary::IO),
            VerifyError::NoLibrary => (&self.no_library, Temporary::IO),
            VerifyError::TooCostly => (&self.too_costly, Temporary::CONFIG),
        };
        once.give(&self.notices, format_args!("{error}"));
        temporary
    }
}
