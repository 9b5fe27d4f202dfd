//! The second decoder: slow, and short enough to be compared with SPEC section 2 by eye.

/// Types and values.
pub(super) type Items = Vec<(u8, Vec<u8>)>;

/// What a decoder makes of a request: its tag (none in version 1), and its credentials unless it is malformed.
pub(super) type DecodedRequest = (Option<Vec<u8>>, Option<Items>);

/// What a decoder makes of a response: code and facts.
pub(super) type DecodedResponse = (u8, Items);

pub(super) fn request(packet: &[u8], single: u8) -> DecodedRequest {
    let credentials = |read: fn(&[u8], u8) -> Option<Items>| {
        if packet.len() <= 512 { read(packet, single) } else { None }
    };
    match packet.first() {
        Some(1) => (None, credentials(v1_request)),
        Some(2) => match split_tag(packet) {
            Some((tag, _)) => (Some(tag.to_vec()), credentials(v2_request)),
            None => (Some(Vec::new()), None),
        },
        _ => (None, None),
    }
}

/// Reads a response with this tag, or of version 1.
pub(super) fn response(packet: &[u8], tag: Option<&[u8]>) -> Option<DecodedResponse> {
    let facts = match tag {
        None => v1_facts(packet.get(1..)?)?,
        Some(tag) => {
            let (its, rest) = split_tag(packet)?;
            items(rest).filter(|_| its == tag)?
        }
    };
    let number = |value: &[u8]| {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).unwrap_or_default().trim_start_matches('0').to_owned();
        digits && (text.len() < 20 || text.len() == 20 && *text <= *u64::MAX.to_string())
    };
    let numbers = facts.iter().all(|(kind, value)| ![2, 3, 8, 16].contains(kind) || number(value));
    let complete = [1, 2, 3, 5].iter().all(|required| facts.iter().any(|(kind, _)| kind == required));
    let usable = packet.len() <= 512 && numbers && (packet[0] != 0 || complete);
    usable.then_some((packet[0], facts))
}

/// Strings that each end with NUL, and a NUL behind the last.
fn v1_request(packet: &[u8], single: u8) -> Option<Items> {
    let strings = packet[1..].strip_suffix(b"\0")?.strip_suffix(b"\0")?;
    let strings: Vec<Vec<u8>> = strings.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    let kinds: &[u8] = match strings.len() {
        2 => &[1, 2],
        3 => &[1, 2, single],
        4 => &[1, 2, 5, 6],
        _ => return None,
    };
    Some(kinds.iter().copied().zip(strings).collect())
}

fn v2_request(packet: &[u8], _: u8) -> Option<Items> {
    let credentials = items(split_tag(packet)?.1)?;
    let mut once: Vec<u8> = credentials.iter().map(|(kind, _)| *kind).filter(|&kind| kind < 128).collect();
    let count = once.len();
    once.sort_unstable();
    once.dedup();
    (once.len() == count).then_some(credentials)
}

/// Splits a packet into its tag and what follows.
fn split_tag(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    packet.get(2..)?.split_at_checked(usize::from(packet[1]))
}

/// Type, length, value; a type of zero, and nothing behind it.
fn items(bytes: &[u8]) -> Option<Items> {
    match bytes {
        [0] => Some(Vec::new()),
        [] | [0, ..] | [_] => None,
        [kind, length, rest @ ..] => {
            let (value, rest) = rest.split_at_checked(usize::from(*length))?;
            let mut all = vec![(*kind, value.to_vec())];
            all.extend(items(rest)?);
            Some(all)
        }
    }
}

/// Type, value, NUL; a type of zero, and nothing behind it.
fn v1_facts(bytes: &[u8]) -> Option<Items> {
    match bytes {
        [0] => Some(Vec::new()),
        [] | [0, ..] => None,
        [kind, rest @ ..] => {
            let (value, rest) = rest.split_at_checked(rest.iter().position(|&byte| byte == 0)?)?;
            let mut all = vec![(*kind, value.to_vec())];
            all.extend(v1_facts(&rest[1..])?);
            Some(all)
        }
    }
}
