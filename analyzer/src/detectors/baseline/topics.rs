//! The shape of a topic or path: what stays of it when the parts that name one of many devices are taken out.

/// Hex digits from which on a word names something: a MAC address has 12, short serial numbers have 6.
const HEX: usize = 6;

/// The shape of a topic: each part between slashes that holds digits, or is an identifier in hexadecimal, becomes `+`, as in a filter.
/// `tele/lamp-17/STATE` and `tele/lamp-4/STATE` have one shape.
pub fn shape(topic: &str) -> String {
    let parts = topic.split('/').map(|part| if names_one(part) { "+" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn names_one(part: &str) -> bool {
    let hex = part.len() >= HEX && part.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'-'));
    // A version is a word of the scheme, not of a device.
    let version = part.strip_prefix('v').is_some_and(|rest| rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    !version && (hex || part.bytes().any(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn devices_of_one_kind_share_a_shape() {
        for (topic, wanted) in [
            ("tele/lamp-17/STATE", "tele/+/STATE"),
            ("shellies/shelly1-B929CC/relay/0", "shellies/+/relay/+"),
            ("v3/park@city/devices/abcdef/up", "v3/park@city/devices/+/up"),
            ("application/3/device/24e124715e00000d/event/up", "application/+/device/+/event/up"),
            ("spBv1.0/pumps/NDATA/station", "+/pumps/NDATA/station"),
            ("homeassistant/status", "homeassistant/status"),
            ("", ""),
        ] {
            assert_eq!(shape(topic), wanted);
        }
    }
}
