//! Which services an account may use: flags of the account and of its domain.

/// A service that vpopmail can close to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// POP3.
    Pop,
    /// IMAP.
    Imap,
    /// SMTP, with a password.
    Smtp,
    /// Mail in a browser.
    Webmail,
}

impl Service {
    /// Finds a service by the names that programs give it, whatever the case of their letters.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"pop" | b"pops" | b"pop3" | b"pop3s" => Some(Self::Pop),
            b"imap" | b"imaps" | b"imap4" => Some(Self::Imap),
            b"smtp" | b"smtps" | b"submission" => Some(Self::Smtp),
            b"webmail" => Some(Self::Webmail),
            _ => None,
        }
    }
}

/// What an account may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u32);

impl Flags {
    const NO_POP: u32 = 0x2;
    const NO_WEBMAIL: u32 = 0x4;
    const NO_IMAP: u32 = 0x8;
    const NO_SMTP: u32 = 0x800;
    /// The limits of the domain are not those of the account.
    const OVERRIDES: u32 = 0x2000;

    /// Takes the bits that an account has in the place of a group ID.
    pub(super) const fn of_account(gid: u32) -> Self {
        Self(gid)
    }

    /// Reads the limits of a domain: a line for each, which counts whatever its value is.
    pub(super) fn of_limits(text: &[u8]) -> Self {
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#"));
        Self(lines.filter_map(name).fold(0, |flags, name| flags | flag(name)))
    }

    /// Joins the flags of an account with the limits of its domain.
    pub(super) const fn within(self, limits: Self) -> Self {
        if self.0 & Self::OVERRIDES == 0 { Self(self.0 | limits.0) } else { self }
    }

    /// Tells whether an account with these flags may use a service.
    pub(super) const fn allows(self, service: Service) -> bool {
        let closed = match service {
            Service::Pop => Self::NO_POP,
            Service::Imap => Self::NO_IMAP,
            Service::Smtp => Self::NO_SMTP,
            Service::Webmail => Self::NO_WEBMAIL,
        };
        self.0 & closed == 0
    }
}

/// Returns the name of the limit on a line.
fn name(line: &[u8]) -> Option<&[u8]> {
    line.split(|byte| b" :\t\r".contains(byte)).find(|word| !word.is_empty())
}

fn flag(name: &[u8]) -> u32 {
    match name.to_ascii_lowercase().as_slice() {
        b"disable_pop" => Flags::NO_POP,
        b"disable_imap" => Flags::NO_IMAP,
        b"disable_smtp" => Flags::NO_SMTP,
        b"disable_webmail" => Flags::NO_WEBMAIL,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Service; 4] = [Service::Pop, Service::Imap, Service::Smtp, Service::Webmail];

    fn allowed(flags: Flags) -> Vec<Service> {
        ALL.into_iter().filter(|service| flags.allows(*service)).collect()
    }

    #[test]
    fn services_have_the_names_that_programs_give_them() {
        for (names, service) in [
            (&["pop", "POP3", "pop3s", "pops"][..], Some(Service::Pop)),
            (&["imap", "IMAPS", "imap4"], Some(Service::Imap)),
            (&["smtp", "smtps", "Submission"], Some(Service::Smtp)),
            (&["webmail"], Some(Service::Webmail)),
            (&["", "pop2", "imapd", " smtp", "all"], None),
        ] {
            for name in names {
                assert_eq!(Service::from_name(name.as_bytes()), service, "{name:?}");
            }
        }
    }

    #[test]
    fn each_bit_closes_one_service() {
        assert_eq!(allowed(Flags::of_account(0)), ALL);
        // No other bit of an account closes any.
        assert_eq!(allowed(Flags::of_account(!(0x2 | 0x4 | 0x8 | 0x800))), ALL);
        for (bit, closed) in
            [(0x2, Service::Pop), (0x4, Service::Webmail), (0x8, Service::Imap), (0x800, Service::Smtp)]
        {
            let open: Vec<_> = ALL.into_iter().filter(|service| *service != closed).collect();
            assert_eq!(allowed(Flags::of_account(bit)), open, "{bit:x}");
        }
    }

    #[test]
    fn a_limit_is_a_line_with_its_name() {
        for (text, expected) in [
            ("disable_pop 1\n", 0x2),
            ("maxpopaccounts: 10\ndisable_imap:\t1\ndisable_webmail", 0x4 | 0x8),
            ("  Disable_SMTP\r\n", 0x800),
            ("disable_pop 0\n", 0x2),
            ("# disable_pop\n#disable_imap\n\n", 0),
            ("disable_pops 1\nx disable_imap 1\ndisable_external_relay 1\ndisable_dialup\n", 0),
            ("", 0),
        ] {
            assert_eq!(Flags::of_limits(text.as_bytes()), Flags(expected), "{text:?}");
        }
    }

    #[test]
    fn the_limits_of_the_domain_count_unless_the_account_overrides_them() {
        let limits = Flags::of_limits(b"disable_pop 1\ndisable_smtp 1\n");
        assert_eq!(allowed(Flags::of_account(0x8).within(limits)), [Service::Webmail]);
        let own = Flags::of_account(0x2000 | 0x8).within(limits);
        assert_eq!(allowed(own), [Service::Pop, Service::Smtp, Service::Webmail]);
    }
}
