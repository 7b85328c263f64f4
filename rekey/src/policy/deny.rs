//! What is never sent to a device: commands that wipe its keys, take it off the network or make it unreachable.

use crate::backends::Refusal;

/// A payload that destroys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The payload begins with these bytes.
    Begins(Vec<u8>),
    /// The payload contains this text, however it is written in upper and lower case.
    Contains(String),
}

/// One that this program knows, with what it does and where that is written.
pub struct Known {
    bytes: &'static [u8],
    is_text: bool,
    does: &'static str,
}

/// Those that this program knows. A policy adds to them and takes none away.
pub const BUILT_IN: &[Known] = &[
    Known { bytes: &[0x04, 0xfe], is_text: false, does: "factory reset of Dragino devices (SN50v3 source, main.c)" },
    Known { bytes: &[0x20, 0x00], is_text: false, does: "switches a Dragino device to ABP (SN50v3 source, main.c)" },
    Known { bytes: &[0x20, 0x01], is_text: false, does: "switches how a Dragino device joins (SN50v3 source, main.c)" },
    Known {
        bytes: b"wFORCE",
        is_text: true,
        does: "makes a Lobaro device keep keys that it has not tried (lobaro-downlink-config)",
    },
    Known {
        bytes: b"SetOption3 0",
        is_text: true,
        does: "switches MQTT of a Tasmota device off, and with it the way back (Commands.md)",
    },
    Known {
        bytes: b"SetOption3 off",
        is_text: true,
        does: "switches MQTT of a Tasmota device off, and with it the way back (Commands.md)",
    },
    Known { bytes: b"Reset 1", is_text: true, does: "resets a Tasmota device to firmware defaults, without WiFi (Commands.md)" },
    Known { bytes: b"/3/0/5", is_text: true, does: "factory reset of an LwM2M device: old credentials come back (OMA object 3)" },
];

/// Refuses a payload that destroys. Every way of delivery asks this before it sends, `more` being the policy's own.
///
/// # Errors
/// What it would do.
pub fn check(payload: &[u8], more: &[Payload]) -> Result<(), Refusal> {
    let known = BUILT_IN
        .iter()
        .find(|known| if known.is_text { contains(payload, known.bytes) } else { payload.starts_with(known.bytes) });
    let refused = |does: &str| {
        Refusal::new(
            format!("the payload is on the list of what destroys: {does}"),
            "it is never sent; go to the device if it must be done",
        )
    };
    if let Some(known) = known {
        return Err(refused(known.does));
    }
    let own = more.iter().any(|one| match one {
        Payload::Begins(bytes) => payload.starts_with(bytes),
        Payload::Contains(text) => contains(payload, text.as_bytes()),
    });
    if own { Err(refused("the policy denies it ([deny])")) } else { Ok(()) }
}

/// Whether the text stands in the payload, with any white space where the text has one.
fn contains(payload: &[u8], text: &[u8]) -> bool {
    let squeezed = |bytes: &[u8]| {
        let lower = bytes.to_ascii_lowercase();
        lower.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
    };
    let (payload, text) = (zeroize::Zeroizing::new(squeezed(payload)), squeezed(text));
    !text.is_empty() && payload.windows(text.len()).any(|part| part == text.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_is_refused_however_it_is_written() {
        for payload in
            [b"\x04\xfe".as_slice(), b"\x20\x01", b"sAppKey=00;wforce", b"Backlog MqttUser a;  setoption3   0", b"POST /3/0/5"]
        {
            let error = check(payload, &[]).unwrap_err().to_string();
            assert!(error.contains("never sent"), "{error}");
        }
        for payload in [b"\x04\xff".as_slice(), b"sAppKey=00", b"w", b"Backlog MqttUser a; MqttPassword b", b""] {
            assert_eq!(check(payload, &[]), Ok(()));
        }
    }

    #[test]
    fn a_policy_adds_payloads() {
        let own = [Payload::Begins(vec![0xff, 1]), Payload::Contains("Restart 99".into())];
        assert!(check(&[0xff, 1, 2], &own).is_err() && check(b"backlog restart 99", &own).is_err());
        assert!(check(&[0xff, 2], &own).is_ok());
    }
}
