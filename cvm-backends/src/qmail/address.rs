//! From an address to a local part: which domains are ours, and whose each is.

use std::borrow::Cow;
use std::{io, iter};

use cvm_core::answer::Patience;

use super::control::{self, Control, Domains, Prepends};
use super::{HostOptions, Rules};
use crate::Notices;
use crate::halt::Halt;

/// What stands in for a missing `me` and a missing `envnoathost`.
const NO_HOST: &[u8] = b"envnoathost";

/// The control files that decide about domains.
pub(super) struct Addresses {
    rules: Rules,
    me: Control<Option<Vec<u8>>>,
    envnoathost: Control<Option<Vec<u8>>>,
    locals: Control<Domains>,
    virtual_domains: Control<Prepends>,
    percent_hack: Option<Control<Domains>>,
}

/// Where an address leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    /// The domain as it is told: what stands in `virtualdomains` for the original, the whole domain for qmail.
    pub(super) domain: Cow<'a, [u8]>,
    /// What is looked up among the users.
    pub(super) local: Cow<'a, [u8]>,
    is_ours: bool,
}

impl Addresses {
    pub(super) fn open(options: &HostOptions, notices: &Notices) -> Self {
        let rules = options.rules;
        let folder = options.root.join("control");
        let path = |name: &str| (folder.join(name), notices.clone());
        let single = |name| {
            let (path, notices) = path(name);
            Control::open(path, notices, move |bytes| control::single(rules, bytes))
        };
        let domains = |name| {
            let (path, notices) = path(name);
            Control::open(path, notices, move |bytes| control::domains(rules, bytes))
        };
        let (virtual_domains, notices) = path("virtualdomains");
        Self {
            rules,
            me: single("me"),
            envnoathost: single("envnoathost"),
            locals: domains("locals"),
            virtual_domains: Control::open(virtual_domains, notices, move |bytes| control::prepends(rules, bytes)),
            percent_hack: (rules == Rules::Qmail).then(|| domains("percenthack")),
        }
    }

    pub(super) fn refresh(&self) {
        self.me.refresh();
        self.envnoathost.refresh();
        self.locals.refresh();
        self.virtual_domains.refresh();
        self.percent_hack.iter().for_each(Control::refresh);
    }

    pub(super) fn reload(&self) {
        self.me.reload();
        self.envnoathost.reload();
        self.locals.reload();
        self.virtual_domains.reload();
        self.percent_hack.iter().for_each(Control::reload);
    }

    /// Lets those go on who can wait for newer versions of the files; others only if there are none.
    pub(super) fn catch_up(&self, patience: Patience) -> Result<(), Halt> {
        self.me.catch_up(patience)?;
        self.envnoathost.catch_up(patience)?;
        self.locals.catch_up(patience)?;
        self.virtual_domains.catch_up(patience)?;
        self.percent_hack.iter().try_for_each(|control| control.catch_up(patience))
    }

    /// Returns where an address leads; `None` if its domain is not ours.
    pub(super) fn find<'a>(
        &self,
        user: &'a [u8],
        domain: &'a [u8],
        options: &'a HostOptions,
    ) -> io::Result<Option<Destination<'a>>> {
        let found = match self.rules {
            Rules::Original => self.as_the_original(user, domain)?,
            Rules::Qmail => self.as_qmail(user, domain)?,
        };
        if found.is_ours || options.assume_local {
            return Ok(Some(found));
        }
        let local = options.missing_user.as_slice().into();
        let domain = options.missing_domain.as_deref().map(Cow::Borrowed);
        Ok(domain.map(|domain| Destination { domain, local, is_ours: false }))
    }

    /// Decides as the original does.
    fn as_the_original<'a>(&self, user: &'a [u8], domain: &'a [u8]) -> io::Result<Destination<'a>> {
        let domain = in_lower_case(self.or_default(domain)?);
        let is_ours = self.locals.with(|locals| locals.is_some_and(|locals| locals.contains(&*domain)))?;
        if !is_ours
            && let Some(found) = self.virtual_domains.with(|map| virtual_to_the_original(map?, user, &domain))?
        {
            return Ok(found);
        }
        Ok(Destination { domain, local: user.into(), is_ours })
    }

    /// Decides as qmail-send does.
    fn as_qmail<'a>(&self, user: &'a [u8], domain: &'a [u8]) -> io::Result<Destination<'a>> {
        // An address without a domain may bring its own.
        let (user, domain) = if domain.is_empty() { split(user).unwrap_or((user, b"")) } else { (user, domain) };
        let domain = in_lower_case(self.or_default(domain)?);
        let (user, domain) = self.without_percents(user, domain)?;
        if self.is_local_to_qmail(&domain)? {
            return Ok(Destination { domain, local: user.into(), is_ours: true });
        }
        let local = self.virtual_domains.with(|map| virtual_to_qmail(map?, user, &domain))?;
        let is_ours = local.is_some();
        Ok(Destination { domain, local: local.map_or(Cow::Borrowed(user), Cow::Owned), is_ours })
    }

    /// Rewrites `user%inner@domain` to `user@inner` for the domains that want it.
    fn without_percents<'a>(&self, user: &'a [u8], domain: Cow<'a, [u8]>) -> io::Result<(&'a [u8], Cow<'a, [u8]>)> {
        match &self.percent_hack {
            None => Ok((user, domain)),
            Some(hack) => hack.with(|hack| match hack {
                None => (user, domain),
                Some(hack) => without_percents(hack, user, domain),
            }),
        }
    }

    /// Without `locals` the domain of `me` is local, and qmail does not run without both.
    fn is_local_to_qmail(&self, domain: &[u8]) -> io::Result<bool> {
        if let Some(is_local) = self.locals.with(|locals| Some(locals?.contains(domain)))? {
            return Ok(is_local);
        }
        let me = single(&self.me)?.ok_or_else(|| io::Error::other("neither control/locals nor control/me is there"))?;
        Ok(me.eq_ignore_ascii_case(domain))
    }

    fn or_default<'a>(&self, domain: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        if !domain.is_empty() {
            return Ok(domain.into());
        }
        let name = match single(&self.envnoathost)? {
            None => single(&self.me)?,
            name => name,
        };
        Ok(name.map_or_else(|| NO_HOST.into(), Cow::Owned))
    }
}

fn single(control: &Control<Option<Vec<u8>>>) -> io::Result<Option<Vec<u8>>> {
    control.with(|name| name?.clone())
}

fn in_lower_case(domain: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if domain.iter().any(u8::is_ascii_uppercase) { domain.to_ascii_lowercase().into() } else { domain }
}

/// Decides as the original does about a domain that is not local.
fn virtual_to_the_original<'a>(map: &Prepends, user: &'a [u8], domain: &[u8]) -> Option<Destination<'a>> {
    let mut keys = suffixes(domain).chain(domain.is_empty().then_some(&b""[..]));
    let (key, prepend) = keys.find_map(|key| Some((key, map.get(key)?)))?;
    let local = if prepend.is_empty() { user.into() } else { prepended(prepend, user).into() };
    Some(Destination { domain: key.to_vec().into(), local, is_ours: true })
}

/// Returns what is looked up for a user of a virtual domain. The first key that is there counts, even if it says that its
/// domain is not virtual after all.
fn virtual_to_qmail(map: &Prepends, user: &[u8], domain: &[u8]) -> Option<Vec<u8>> {
    let address = map.has_addresses().then(|| [user, b"@", domain].concat().to_ascii_lowercase());
    let mut keys = address.as_deref().into_iter().chain(suffixes(domain)).chain(iter::once(&b""[..]));
    let prepend = keys.find_map(|key| map.get(key)).filter(|prepend| !prepend.is_empty())?;
    Some(prepended(prepend, user))
}

fn without_percents<'a>(hack: &Domains, mut user: &'a [u8], mut domain: Cow<'a, [u8]>) -> (&'a [u8], Cow<'a, [u8]>) {
    while hack.contains(&*domain)
        && let Some(at) = memchr::memrchr(b'%', user)
    {
        let (front, inner) = user.split_at(at);
        (user, domain) = (front, in_lower_case(inner.get(1..).unwrap_or_default().into()));
    }
    (user, domain)
}

/// The domain, and what is left of it from each dot on.
fn suffixes(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = (0..domain.len()).filter(|&at| at == 0 || domain.get(at) == Some(&b'.'));
    starts.filter_map(|at| domain.get(at..))
}

fn prepended(prepend: &[u8], user: &[u8]) -> Vec<u8> {
    [prepend, b"-", user].concat()
}

/// Cuts an address at its last `@`.
fn split(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let (user, domain) = address.split_at(memchr::memrchr(b'@', address)?);
    Some((user, domain.get(1..)?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::qmail::tests::{host_options, notices};

    fn found(files: &[(&str, &str)], options: impl Fn(&Path) -> HostOptions, address: (&str, &str)) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("control")).expect("a folder");
        for (name, content) in files {
            std::fs::write(folder.path().join("control").join(name), content).expect("written");
        }
        let options = options(folder.path());
        let addresses = Addresses::open(&options, &notices());
        let found = addresses.find(address.0.as_bytes(), address.1.as_bytes(), &options).expect("readable files");
        found.map(|found| [&found.local[..], b" of ", &found.domain].concat().escape_ascii().to_string())
    }

    fn as_qmail(files: &[(&str, &str)], user: &str, domain: &str) -> Option<String> {
        found(files, |root| host_options(root, Rules::Qmail), (user, domain))
    }

    const FILES: &[(&str, &str)] = &[
        ("me", "host.example\n"),
        ("locals", "local.example\n"),
        ("percenthack", "hack.example\nlocal.example\n"),
        (
            "virtualdomains",
            "joe@virt.example:joes\nvirt.example:virt\n.sub.example:sub\nempty.example:\nempty.sub.example:\n",
        ),
    ];

    #[test]
    fn a_key_of_a_whole_address_comes_before_its_domain() {
        assert_eq!(as_qmail(FILES, "Joe", "Virt.Example").as_deref(), Some("joes-Joe of virt.example"));
        assert_eq!(as_qmail(FILES, "jim", "virt.example").as_deref(), Some("virt-jim of virt.example"));
        assert_eq!(as_qmail(FILES, "jim", "a.b.sub.example").as_deref(), Some("sub-jim of a.b.sub.example"));
        assert_eq!(as_qmail(FILES, "jim", "sub.example"), None);
    }

    #[test]
    fn an_empty_prepend_ends_the_search() {
        assert_eq!(as_qmail(FILES, "jim", "empty.example"), None);
        assert_eq!(as_qmail(FILES, "jim", "empty.sub.example"), None);
    }

    #[test]
    fn the_empty_key_catches_every_other_domain() {
        let files = [FILES[0], FILES[1], ("virtualdomains", "empty.example:\n:rest\n")];
        assert_eq!(as_qmail(&files, "jim", "x.example").as_deref(), Some("rest-jim of x.example"));
        assert_eq!(as_qmail(&files, "jim", "empty.example"), None);
        assert_eq!(as_qmail(&files, "jim", "local.example").as_deref(), Some("jim of local.example"));
    }

    #[test]
    fn percents_lead_on_as_long_as_the_domain_wants_it() {
        let find = |user| as_qmail(FILES, user, "hack.example");
        assert_eq!(find("jim%virt.example").as_deref(), Some("virt-jim of virt.example"));
        assert_eq!(find("jim%virt.example%LOCAL.example").as_deref(), Some("virt-jim of virt.example"));
        assert_eq!(find("jim%x%virt.example").as_deref(), Some("virt-jim%x of virt.example"));
        assert_eq!(find("jim"), None);
    }

    #[test]
    fn without_a_domain_the_account_brings_one_or_the_host_does() {
        assert_eq!(as_qmail(FILES, "a@jim@virt.example", "").as_deref(), Some("virt-a@jim of virt.example"));
        assert_eq!(as_qmail(FILES, "jim", ""), None);
        let files = [("me", "host.example\n")];
        assert_eq!(as_qmail(&files, "jim", "").as_deref(), Some("jim of host.example"));
        let files = [("me", "host.example\n"), ("envnoathost", "other.example\n"), ("locals", "other.example\n")];
        assert_eq!(as_qmail(&files, "jim", "").as_deref(), Some("jim of other.example"));
    }

    #[test]
    fn qmail_does_not_run_without_locals_and_me() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = host_options(folder.path(), Rules::Qmail);
        assert!(Addresses::open(&options, &notices()).find(b"jim", b"x.example", &options).is_err());
    }

    #[test]
    fn the_original_knows_neither_whole_addresses_nor_catch_alls_nor_percents() {
        let files =
            [FILES[0], FILES[1], FILES[2], ("virtualdomains", "jim@b.example:x\nempty.example:\n.c:y\n:rest\n")];
        let find = |user, domain| found(&files, |root| host_options(root, Rules::Original), (user, domain));
        assert_eq!(find("jim", "b.example"), None);
        assert_eq!(find("jim", "empty.example").as_deref(), Some("jim of empty.example"));
        assert_eq!(find("jim", "a.b.c").as_deref(), Some("y-jim of .c"));
        assert_eq!(find("jim%x", "local.example").as_deref(), Some("jim%x of local.example"));
    }

    #[test]
    fn other_domains_may_be_assumed_or_replaced() {
        for rules in [Rules::Original, Rules::Qmail] {
            let assume = |root: &Path| HostOptions { assume_local: true, ..host_options(root, rules) };
            assert_eq!(found(FILES, assume, ("Jim", "X.example")).as_deref(), Some("Jim of x.example"));
            let missing =
                |root: &Path| HostOptions { missing_domain: Some(b"there".to_vec()), ..host_options(root, rules) };
            assert_eq!(found(FILES, missing, ("Jim", "X.example")).as_deref(), Some("alias of there"));
            let both = |root: &Path| HostOptions { assume_local: true, ..missing(root) };
            assert_eq!(found(FILES, both, ("Jim", "X.example")).as_deref(), Some("Jim of x.example"));
        }
    }
}
