//! The request and the answer of `update-info` (Basics Station documentation, "CUPS protocol"; station 2.0.6 src/cups.c).
//!
//! ```text
//! POST /update-info   {"router":"::1","cupsUri":..,"tcUri":..,"cupsCredCrc":..,"tcCredCrc":..,"station":..,"model":..,"package":..,"keys":[..]}
//! 200                 u8 n, cupsUri(n) | u8 n, tcUri(n) | u16 n, cupsCred(n) | u16 n, tcCred(n) | u32 n, signature(n) | u32 n, update(n)
//! ```
//!
//! Lengths are least significant byte first; all zero is "no change". URIs, signatures and updates of the program are not for this module: always empty.

use serde::Deserialize;

/// Longest body read: a request has some 400 bytes.
pub const BODY_MAX: usize = 8 * 1024;

/// Longest text kept of what a station says of itself.
const TEXT_MAX: usize = 64;

/// What a station asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateInfo {
    /// Its EUI.
    pub router: u64,
    /// Checksum of its CUPS credentials.
    pub cups_crc: u32,
    /// Checksum of its LNS credentials.
    pub tc_crc: u32,
    /// Version of its program.
    pub station: String,
    /// Model.
    pub model: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    router: Router,
    cups_cred_crc: u32,
    tc_cred_crc: u32,
    #[serde(default)]
    station: Option<String>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Router {
    Text(String),
    Number(u64),
}

impl UpdateInfo {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        let router = match wire.router {
            Router::Text(text) => id6(&text)?,
            Router::Number(number) => number,
        };
        let kept = |text: Option<String>| text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
        Some(Self {
            router,
            cups_crc: wire.cups_cred_crc,
            tc_crc: wire.tc_cred_crc,
            station: kept(wire.station),
            model: kept(wire.model),
        })
    }
}

/// An EUI in the station's notation ID6: four groups of hexadecimal digits, of which zeros in a row may be left out as `::`; or EUI-64 with dashes, or bare.
pub fn id6(text: &str) -> Option<u64> {
    if let Some(eui) = plain(text) {
        return Some(eui);
    }
    let groups = |text: &str| -> Option<Vec<u16>> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        let group = |digits: &str| {
            let good = (1..=4).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            good.then(|| u16::from_str_radix(digits, 16).ok())?
        };
        text.split(':').map(group).collect()
    };
    let (before, after) = match text.split_once("::") {
        Some((before, after)) => (groups(before)?, groups(after)?),
        None => (groups(text)?, Vec::new()),
    };
    let left_out = 4_usize.checked_sub(before.len() + after.len())?;
    if (left_out == 0) == text.contains("::") {
        return None;
    }
    let all = before.into_iter().chain(std::iter::repeat_n(0, left_out)).chain(after);
    Some(all.fold(0, |eui, group| eui << 16 | u64::from(group)))
}

fn plain(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let good = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    good.then(|| u64::from_str_radix(&digits, 16).ok())?
}

/// The body of an answer with these credentials, each at most [`super::blob::BLOB_MAX`] bytes.
pub fn answer(cups: &[u8], tc: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(14 + cups.len() + tc.len());
    body.extend([0, 0]);
    for blob in [cups, tc] {
        let length = u16::try_from(blob.len()).unwrap_or(0);
        body.extend(length.to_le_bytes());
        body.extend_from_slice(blob.get(..length.into()).unwrap_or_default());
    }
    body.extend([0; 8]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As station 2.0.6 sends it.
    const REQUEST: &str = r#"{"router":"::1","cupsUri":"https://cups:6040","tcUri":"wss://lns:6039","cupsCredCrc":4294967295,"tcCredCrc":7,
        "station":"2.0.6(linux/std) 2024-01-01","model":"linux","package":null,"keys":[1,2]}"#;

    #[test]
    fn a_request() {
        let read = UpdateInfo::parse(REQUEST.as_bytes()).unwrap();
        assert_eq!((read.router, read.cups_crc, read.tc_crc, read.model.as_str()), (1, u32::MAX, 7, "linux"));
        for wrong in
            ["", "{}", "[]", &REQUEST.replace("::1", "::1::2"), &REQUEST.replace("4294967295", "4294967296"), &REQUEST[..60]]
        {
            assert_eq!(UpdateInfo::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let long = REQUEST.replace("linux\"", &format!("{}\"", "x\\u0000".repeat(400)));
        assert_eq!(UpdateInfo::parse(long.as_bytes()).unwrap().model.len(), TEXT_MAX);
    }

    #[test]
    fn notations_of_an_eui() {
        for (text, eui) in [
            ("::1", Some(1)),
            ("1::", Some(1 << 48)),
            ("::", Some(0)),
            ("b827:ebff:fe12:3456", Some(0xb827_ebff_fe12_3456)),
            ("b827::3456", Some(0xb827_0000_0000_3456)),
            ("b8-27-eb-ff-fe-12-34-56", Some(0xb827_ebff_fe12_3456)),
            ("B827EBFFFE123456", Some(0xb827_ebff_fe12_3456)),
            ("1:2:3", None),
            ("1:2:3:4:5", None),
            ("1:2:3::4", None),
            ("12345::", None),
            ("", None),
            ("+1::", None),
        ] {
            assert_eq!(id6(text), eui, "{text}");
        }
    }

    #[test]
    fn no_change_is_fourteen_zeros() {
        assert_eq!(answer(&[], &[]), [0; 14]);
        assert_eq!(answer(&[1, 2, 3], &[]), [0, 0, 3, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer(&[], &[9; 258])[..7], [0, 0, 0, 0, 2, 1, 9]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100), at in 0..REQUEST.len(), byte in any::<u8>()) {
            let _ = UpdateInfo::parse(&bytes);
            let mut changed = REQUEST.as_bytes().to_vec();
            changed[at] = byte;
            let _ = UpdateInfo::parse(&changed);
        }

        #[test]
        fn any_text_is_an_eui_or_none(text in "[0-9a-f:]{0,20}") {
            let _ = id6(&text);
        }
    }
}
