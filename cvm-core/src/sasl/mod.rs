//! SASL, the server's side: PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195), as mail protocols carry it.
//!
//! 1. Split what the client asks for with [`Attempt::parse`]; find its [`Mechanism`], and who answers for it in
//!    [`Modules`].
//! 2. [`start`] the session. While it says [`Step::Challenge`], send the challenge and hand in the client's [`Line`].
//! 3. At [`Step::Check`], ask the modules about the [`Login`]; [`Outcome::of`] tells what comes of their code.
//! 4. [`Outcome::smtp_reply`] is what the client is told.
//!
//! ```
//! use cvm_core::Code;
//! use cvm_core::sasl::{Mechanism, Outcome, Step, start};
//!
//! let Step::Challenge(pending) = start(Mechanism::Login, Some(b"YWxpY2U="), Vec::new()) else { unreachable!() };
//! assert_eq!(pending.challenge(), "UGFzc3dvcmQ6");
//! let Step::Check(login) = pending.handle_line(b"c2VjcmV0") else { unreachable!() };
//! assert_eq!(login.user(), b"alice");
//! assert_eq!(Outcome::of(Code::REJECTED), Outcome::Failed);
//! ```

mod base64;
mod line;
mod login;
mod mechanism;
mod outcome;
mod session;

pub use line::{LINE_MAX, Line};
pub use login::Login;
pub use mechanism::{Attempt, Mechanism, Modules};
pub use outcome::Outcome;
pub use session::{Ended, Pending, Step, challenge_text, start};
