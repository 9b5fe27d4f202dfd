//! The environment that a client gives to the program it runs for an account.

use crate::fact::FactType;
use crate::wire::Facts;

/// The variables of single facts (SPEC section 4, the manual's `facts` page).
const OF_FACTS: [(FactType, &[&str]); 9] = [
    (FactType::USERNAME, &["USER"]),
    (FactType::USERID, &["UID"]),
    (FactType::GROUPID, &["GID"]),
    (FactType::REALNAME, &["NAME"]),
    (FactType::DIRECTORY, &["HOME"]),
    (FactType::SHELL, &["SHELL"]),
    (FactType::GROUPNAME, &["GROUP"]),
    (FactType::DOMAIN, &["DOMAIN"]),
    (FactType::MAILBOX, &["MAIL", "MAILBOX", "MAILDIR"]),
];

/// The supplementary groups, with commas between them.
const GIDS: &str = "GIDS";

/// Returns the names of all variables that facts can set.
pub fn variable_names() -> impl Iterator<Item = &'static str> {
    OF_FACTS.into_iter().flat_map(|(_, names)| names.iter().copied()).chain([GIDS])
}

/// Returns name and value of each variable that the facts set; a fact that did not come sets none.
///
/// Values are as the module sent them: they may hold any byte, a NUL too.
#[must_use]
pub fn variables(facts: &Facts) -> Vec<(&'static str, Vec<u8>)> {
    let mut variables = Vec::new();
    for (kind, names) in OF_FACTS {
        if let Some(value) = facts.get(kind) {
            variables.extend(names.iter().map(|&name| (name, value.to_vec())));
        }
    }
    let groups: Vec<&[u8]> = facts.all(FactType::SUPP_GROUPID).collect();
    if !groups.is_empty() {
        variables.push((GIDS, groups.join(&b","[..])));
    }
    variables
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::SecretRef;
    use crate::client::ClientRequest;

    fn text(response: &'static [u8]) -> Vec<String> {
        let request = ClientRequest::v1(b"a", b"", &[SecretRef::new(b"p")]).unwrap();
        let reply = request.check(&Bytes::from_static(response)).unwrap();
        let line = |(name, value): (&str, Vec<u8>)| format!("{name}={}", String::from_utf8(value).unwrap());
        variables(&reply.facts).into_iter().map(line).collect()
    }

    #[test]
    fn required_facts_are_four_variables() {
        assert_eq!(text(b"\0\x01a\0\x021\0\x032\0\x05/h\0\0"), ["USER=a", "UID=1", "GID=2", "HOME=/h"]);
    }

    #[test]
    fn groups_are_joined_and_a_mailbox_has_three_names() {
        let all = text(b"\0\x085\0\x086\0\x01a\0\x021\0\x032\0\x04N\0\x05/h\0\x06/s\0\x07g\0\x0ed\0\x0fm\0\0");
        let expected = ["USER=a", "UID=1", "GID=2", "NAME=N", "HOME=/h", "SHELL=/s", "GROUP=g", "DOMAIN=d"];
        assert_eq!(all[..8], expected);
        assert_eq!(all[8..], ["MAIL=m", "MAILBOX=m", "MAILDIR=m", "GIDS=5,6"]);
        let names: Vec<_> = all.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert_eq!(variable_names().collect::<Vec<_>>(), names);
    }
}
