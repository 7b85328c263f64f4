//! Identifiers as stations and servers write them: EUI with dashes, 16 hex digits, ID6 (`58a0:cbff:fe80:1`, `::1`) or a number.

use crate::json::Scalar;
use crate::observation::Eui;

/// An identifier in a JSON field.
pub(super) fn of(scalar: Scalar<'_>) -> Option<Eui> {
    match scalar {
        Scalar::Number(_) => scalar.i64().map(|value| Eui(value as u64)).or_else(|| scalar.u64().map(Eui)),
        _ => parse(scalar.plain()?),
    }
}

/// The identifier in a path, where one of its segments is one.
pub(super) fn in_path(path: &str) -> Option<Eui> {
    path.rsplit(['/', '?', '=', '&']).filter(|segment| segment.len() >= 7).find_map(parse)
}

/// An identifier, with or without the prefixes that servers give it.
pub(super) fn parse(text: &str) -> Option<Eui> {
    let text = text.strip_prefix("router-").or_else(|| text.strip_prefix("eui-")).unwrap_or(text);
    if text.contains("::") || text.split(':').count() == 4 {
        return id6(text);
    }
    if text.contains(['-', ':']) {
        return octets(text);
    }
    (text.len() == 16).then(|| hex(text, 16)).flatten().map(Eui)
}

/// Eight octets of two digits, separated.
fn octets(text: &str) -> Option<Eui> {
    let mut value = 0;
    let mut count = 0;
    for octet in text.split(['-', ':']) {
        value = (value << 8) | hex(octet, 2).filter(|_| octet.len() == 2)?;
        count += 1;
        if count > 8 {
            return None;
        }
    }
    (count == 8).then_some(Eui(value))
}

/// Four groups of 16 bits, the longest run of zeros left out, as in an IPv6 address.
fn id6(text: &str) -> Option<Eui> {
    let groups = |part: &str| -> Option<(u64, usize)> {
        let mut value = 0;
        let mut count = 0;
        for group in part.split(':').filter(|group| !group.is_empty()) {
            value = (value << 16) | hex(group, 4)?;
            count += 1;
            if count > 4 {
                return None;
            }
        }
        Some((value, count))
    };
    let Some((high, low)) = text.split_once("::") else {
        return groups(text).filter(|(_, count)| *count == 4).map(|(value, _)| Eui(value));
    };
    let ((high, high_count), (low, low_count)) = (groups(high)?, groups(low)?);
    if high_count + low_count > 3 {
        return None;
    }
    let high = if high_count == 0 { 0 } else { high << (16 * (4 - high_count)) };
    Some(Eui(high | low))
}

fn hex(text: &str, most: usize) -> Option<u64> {
    let all_digits = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_digits { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing() {
        for (text, expected) in [
            ("58a0:cbff:fe80:1", Some(0x58a0_cbff_fe80_0001)),
            ("::1", Some(1)),
            ("1::", Some(0x0001_0000_0000_0000)),
            ("a::b:c", Some(0x000a_0000_000b_000c)),
            ("::", Some(0)),
            ("router-58a0:cbff:fe80:1", Some(0x58a0_cbff_fe80_0001)),
            ("58-A0-CB-FF-FE-80-00-01", Some(0x58a0_cbff_fe80_0001)),
            ("58:a0:cb:ff:fe:80:00:01", Some(0x58a0_cbff_fe80_0001)),
            ("eui-58a0cbfffe800001", Some(0x58a0_cbff_fe80_0001)),
            ("58a0cbfffe800001", Some(0x58a0_cbff_fe80_0001)),
            ("1:2:3:4:5", None),
            ("1:2::3:4", None),
            ("58-A0-CB", None),
            ("router-info", None),
            ("12345::", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(|eui| eui.0), expected, "{text}");
        }
        assert_eq!(in_path("/traffic/eui-58A0CBFFFE800001"), Some(Eui(0x58a0_cbff_fe80_0001)));
        assert_eq!(in_path("/router-info"), None);
        assert_eq!(of(Scalar::Number(b"6386000000000000001")), Some(Eui(6_386_000_000_000_000_001)));
        assert_eq!(of(Scalar::Number(b"-1")), Some(Eui(u64::MAX)));
    }
}
