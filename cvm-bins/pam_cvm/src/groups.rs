//! The four groups of functions that a module may have. Each function is right when it is called alone.

use cvm_core::account::Account;
use cvm_core::client::variables;
use cvm_core::wire::Reply;
use cvm_core::{FactType, Scope, SecretRef};

use crate::arguments::{Arguments, FirstPass};
use crate::libpam::{Call, Item, Priority};
use crate::question::{self, Unanswered};
use crate::status::Status;

/// Tells whether the password is the user's.
pub fn authenticate(call: &Call<'_>) -> Status {
    as_configured(call, |inquiry, user| {
        let account = question::account(user, inquiry.arguments);
        // There is no request about nobody.
        if account.name.is_empty() {
            return Ok(Status::USER_UNKNOWN);
        }
        inquiry.authenticate(user, account)
    })
}

/// Has nothing to set: CVM knows no credentials that a session could need.
pub fn set_credentials(_: &Call<'_>) -> Status {
    Status::SUCCESS
}

/// Tells whether there is such a user.
pub fn manage_account(call: &Call<'_>) -> Status {
    as_configured(call, |inquiry, user| {
        let account = question::account(user, inquiry.arguments);
        if account.name.is_empty() {
            return Ok(Status::USER_UNKNOWN);
        }
        let reply = question::look_up(&inquiry.call.handle, inquiry.arguments, account);
        // What is too long may be the host; so this is no unknown user, which a line can ignore.
        Ok(inquiry.conclude(user, reply, Status::of_lookup, Status::PERM_DENIED))
    })
}

/// Has nothing to do.
pub fn open_session(_: &Call<'_>) -> Status {
    Status::SUCCESS
}

/// Has nothing to undo.
pub fn close_session(_: &Call<'_>) -> Status {
    Status::SUCCESS
}

/// Says no, before any other module has changed a password.
pub fn change_password(call: &Call<'_>) -> Status {
    if call.is_preliminary {
        call.handle.log(Priority::Notice, "a password cannot be changed through CVM: the protocol has no such request");
        if !call.is_silent {
            call.handle.tell(c"The password cannot be changed here.");
        }
    }
    Status::PERM_DENIED
}

/// Reads the arguments, finds out who the user is, and softens the outcome as the arguments say.
fn as_configured(call: &Call<'_>, run: impl FnOnce(&Inquiry<'_>, &[u8]) -> Result<Status, Status>) -> Status {
    let arguments = match Arguments::parse(call.arguments.iter().copied()) {
        Ok(arguments) => arguments,
        Err(error) => {
            call.handle.log(Priority::Error, &error.to_string());
            return Status::SERVICE_ERR;
        }
    };
    let inquiry = Inquiry { call, arguments: &arguments };
    let user = call.handle.user();
    match user.and_then(|user| run(&inquiry, &user)).unwrap_or_else(|status| status) {
        Status::USER_UNKNOWN if arguments.ignore_unknown_user => Status::IGNORE,
        Status::AUTHINFO_UNAVAIL if arguments.ignore_authinfo_unavail => Status::IGNORE,
        status => status,
    }
}

/// A call, and what its line says.
struct Inquiry<'a> {
    call: &'a Call<'a>,
    arguments: &'a Arguments,
}

impl Inquiry<'_> {
    fn authenticate(&self, user: &[u8], account: Account<'_>) -> Result<Status, Status> {
        let handle = &self.call.handle;
        if let Some(password) = handle.item(Item::Authtok) {
            let status = self.judge(user, account, password.as_ref());
            if status != Status::AUTH_ERR || self.arguments.first_pass != FirstPass::Try {
                return Ok(status);
            }
            handle.forget_password();
        } else if self.arguments.first_pass == FirstPass::Use {
            handle.log(Priority::Notice, "no module before this one has asked for a password");
            return Err(Status::AUTH_ERR);
        }
        let password = handle.ask_password(self.arguments.prompt.as_deref())?;
        Ok(self.judge(user, account, password.as_ref()))
    }

    fn judge(&self, user: &[u8], account: Account<'_>, password: SecretRef<'_>) -> Status {
        // No module takes an empty password, whether or not the application disallows them.
        if password.is_empty() {
            return Status::AUTH_ERR;
        }
        let reply = question::ask_about_password(&self.call.handle, self.arguments, account, password);
        self.conclude(user, reply, Status::of_login, Status::AUTH_ERR)
    }

    /// Makes a status of a reply, and tells the log. What the user made too long to ask about is a no: nobody may turn
    /// the module off by that.
    fn conclude(
        &self,
        user: &[u8],
        reply: Result<Reply, Unanswered>,
        status_of: fn(&Reply) -> Status,
        no: Status,
    ) -> Status {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error @ Unanswered::TooLong) => return self.refuse(no, &error.to_string(), None),
            Err(error) => {
                self.call.handle.log(Priority::Error, &format!("nothing can be told of the user: {error}"));
                return Status::AUTHINFO_UNAVAIL;
            }
        };
        match status_of(&reply) {
            Status::SUCCESS => self.admit(user, &reply),
            Status::AUTHINFO_UNAVAIL => {
                let line = format!("nothing can be told of the user: {}: {}", self.arguments.modules, reply.code);
                self.call.handle.log(Priority::Error, &line);
                Status::AUTHINFO_UNAVAIL
            }
            // A name may be a password that was typed in its place, unless a module knows it.
            status => self.refuse(status, "refused", Some(user).filter(|_| reply.scope() == Some(Scope::In))),
        }
    }

    fn admit(&self, user: &[u8], reply: &Reply) -> Status {
        let handle = &self.call.handle;
        // A module's yes always has an ID in it.
        let uid = reply.facts.integer(FactType::USERID).unwrap_or(0);
        if uid < self.arguments.minimum_uid {
            return self.refuse(Status::USER_UNKNOWN, &format!("uid {uid} is below minimum_uid"), Some(user));
        }
        if self.arguments.debug {
            handle.log(Priority::Debug, &format!("accepted; uid={uid} user={}", user.escape_ascii()));
        }
        let facts = if self.arguments.set_env { variables(&reply.facts) } else { Vec::new() };
        for (name, value) in facts {
            if let Err(status) = handle.put_env(name, &value) {
                handle.log(Priority::Error, &format!("{name} cannot be set: {status}"));
                return Status::BUF_ERR;
            }
        }
        Status::SUCCESS
    }

    /// Logs why somebody is not let in, who if a module knows him, and from where, and says no.
    fn refuse(&self, status: Status, why: &str, user: Option<&[u8]>) -> Status {
        let host = self.call.handle.item(Item::Rhost);
        let host = host.as_ref().map_or(&b""[..], |host| host.as_ref().expose()).escape_ascii();
        let user = user.map_or_else(String::new, |user| format!(" user={}", user.escape_ascii()));
        self.call.handle.log(Priority::Notice, &format!("{why}; rhost={host}{user}"));
        status
    }
}
