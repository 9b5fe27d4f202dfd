//! What libpam's functions return.

use core::ffi::c_int;
use core::fmt;

use cvm_core::Scope;
use cvm_core::wire::Reply;

/// A return value of PAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub c_int);

impl Status {
    /// Yes.
    pub const SUCCESS: Self = Self(0);
    /// The module cannot work, mostly because of its arguments.
    pub const SERVICE_ERR: Self = Self(3);
    /// The system failed.
    pub const SYSTEM_ERR: Self = Self(4);
    /// There is not enough memory.
    pub const BUF_ERR: Self = Self(5);
    /// It is not permitted.
    pub const PERM_DENIED: Self = Self(6);
    /// The password is wrong.
    pub const AUTH_ERR: Self = Self(7);
    /// Whoever knows cannot be asked.
    pub const AUTHINFO_UNAVAIL: Self = Self(9);
    /// There is no such user.
    pub const USER_UNKNOWN: Self = Self(10);
    /// There were too many attempts.
    pub const MAXTRIES: Self = Self(11);
    /// The user must choose another password first.
    pub const NEW_AUTHTOK_REQD: Self = Self(12);
    /// The account has expired.
    pub const ACCT_EXPIRED: Self = Self(13);
    /// The conversation failed.
    pub const CONV_ERR: Self = Self(19);
    /// As if the module were not there.
    pub const IGNORE: Self = Self(25);
    /// The password has expired.
    pub const AUTHTOK_EXPIRED: Self = Self(27);
    /// The application has yet to ask the user.
    pub const CONV_AGAIN: Self = Self(30);
    /// The function is to be called again when it has.
    pub const INCOMPLETE: Self = Self(31);

    /// Returns what the answer to a login amounts to. Only a module that says that the account is another one's makes it
    /// unknown; a failure is never a wrong password.
    #[must_use]
    pub fn of_login(reply: &Reply) -> Self {
        match reply.scope() {
            _ if reply.code.is_success() => Self::SUCCESS,
            Some(Scope::Out) => Self::USER_UNKNOWN,
            Some(Scope::In) | None if reply.code.is_rejected() => Self::AUTH_ERR,
            Some(Scope::In) | None => Self::AUTHINFO_UNAVAIL,
        }
    }

    /// Returns what the answer to a look-up amounts to. Of its own account a module says no for a reason, which no other
    /// module should overrule.
    #[must_use]
    pub fn of_lookup(reply: &Reply) -> Self {
        match reply.scope() {
            _ if reply.code.is_success() => Self::SUCCESS,
            Some(Scope::In) => Self::PERM_DENIED,
            Some(Scope::Out) | None if reply.code.is_rejected() => Self::USER_UNKNOWN,
            Some(Scope::Out) | None => Self::AUTHINFO_UNAVAIL,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PAM status {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use cvm_core::Code;
    use cvm_core::SecretRef;
    use cvm_core::client::ClientRequest;

    use super::*;

    fn reply(packet: &'static [u8]) -> Reply {
        let request = ClientRequest::v1(b"a", b"", &[SecretRef::new(b"p")]).unwrap();
        request.check(&packet.into()).unwrap()
    }

    #[test]
    fn a_no_depends_on_whose_the_account_is() {
        let (in_scope, out_of_scope, unsaid) = (reply(b"d\x100\0\0"), reply(b"d\x101\0\0"), reply(b"d\0"));
        assert_eq!([&in_scope, &unsaid].map(Status::of_login), [Status::AUTH_ERR; 2]);
        assert_eq!(Status::of_login(&out_of_scope), Status::USER_UNKNOWN);
        assert_eq!([&out_of_scope, &unsaid].map(Status::of_lookup), [Status::USER_UNKNOWN; 2]);
        assert_eq!(Status::of_lookup(&in_scope), Status::PERM_DENIED);
    }

    #[test]
    fn nothing_but_a_yes_is_a_success_and_no_failure_is_a_no() {
        let yes = reply(b"\0\x01u\0\x020\0\x030\0\x05d\0\0");
        assert_eq!((Status::of_login(&yes), Status::of_lookup(&yes)), (Status::SUCCESS, Status::SUCCESS));
        for code in (1..=255).map(Code::new).filter(|code| code.is_temporary()) {
            let reply = Reply::failure(code);
            let both = (Status::of_login(&reply), Status::of_lookup(&reply));
            assert_eq!(both, (Status::AUTHINFO_UNAVAIL, Status::AUTHINFO_UNAVAIL), "{code}");
        }
    }
}
