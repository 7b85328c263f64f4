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
struct Known {
    bytes: &'static [u8],
    is_text: bool,
    does: &'static str,
}

const fn begins(bytes: &'static [u8], does: &'static str) -> Known {
    Known { bytes, is_text: false, does }
}

const fn text(text: &'static str, does: &'static str) -> Known {
    Known { bytes: text.as_bytes(), is_text: true, does }
}

/// Payloads that this program knows. A policy adds to them and takes none away.
const PAYLOADS: &[Known] = &[
    begins(&[0x04, 0xfe], "resets a Dragino device to its factory settings (SN50v3 source, main.c)"),
    begins(&[0x20, 0x00], "switches a Dragino device to ABP (SN50v3 source, main.c)"),
    begins(&[0x20, 0x01], "switches a Dragino device to OTAA with whatever keys it holds (SN50v3 source, main.c)"),
    text("wFORCE", "makes a Lobaro device keep keys that it has not tried (lobaro-downlink-config)"),
    text("SetOption3 0", "switches MQTT of a Tasmota device off, and with it the way back (Commands.md)"),
    text("SetOption3 off", "switches MQTT of a Tasmota device off, and with it the way back (Commands.md)"),
    text("Reset 1", "resets a Tasmota device to firmware defaults (Commands.md)"),
    text("Reset 2", "erases the flash of a Tasmota device (Commands.md)"),
    text("Reset 3", "erases the flash of a Tasmota device (Commands.md)"),
    text("Reset 4", "erases the network settings of a Tasmota device (Commands.md)"),
    text("Reset 5", "erases all but the network settings of a Tasmota device (Commands.md)"),
    text("Reset 6", "erases all but network and MQTT settings of a Tasmota device (Commands.md)"),
    text("WifiConfig", "changes how a Tasmota device finds its network (Commands.md)"),
    text("Upgrade 1", "changes the firmware of a Tasmota device (Commands.md)"),
    text("MqttHost", "sends a Tasmota device to another broker (Commands.md)"),
    text("Shelly.FactoryReset", "resets a Shelly device to its factory settings"),
    text("Shelly.ResetWiFiConfig", "makes a Shelly device forget its network"),
    text("WiFi.SetConfig", "changes how a Shelly device finds its network"),
    text("\"server\":", "sends a Shelly device or Zigbee2MQTT to another broker"),
    text("/3/0/5", "resets an LwM2M device to its factory settings: old credentials come back (OMA object 3)"),
];

/// Ends of MQTT topics that this program knows (Zigbee2MQTT, MQTT topics and messages).
const TOPICS: &[(&str, &str)] = &[
    ("bridge/request/backup", "hands out the network key of Zigbee2MQTT"),
    ("bridge/request/touchlink/factory_reset", "resets a Zigbee device to its factory settings"),
    ("bridge/request/device/remove", "makes Zigbee2MQTT forget a device"),
];

/// What a payload would do that destroys, if this program knows it.
pub fn destroys(payload: &[u8]) -> Option<&'static str> {
    let is = |known: &&Known| if known.is_text { contains(payload, known.bytes) } else { payload.starts_with(known.bytes) };
    PAYLOADS.iter().find(is).map(|known| known.does)
}

/// Refuses a payload that destroys, or that `own`, the policy's list, denies. Every way of delivery asks before it sends.
///
/// # Errors
/// What it would do.
pub fn check(payload: &[u8], own: &[Payload]) -> Result<(), Refusal> {
    let is_own = own.iter().any(|one| match one {
        Payload::Begins(bytes) => payload.starts_with(bytes),
        Payload::Contains(text) => contains(payload, text.as_bytes()),
    });
    match destroys(payload).or(is_own.then_some("the policy denies it ([deny])")) {
        None => Ok(()),
        Some(does) => Err(Refusal::new(
            format!("the payload is on the list of what destroys: {does}"),
            "it is never sent; go to the device if it must be done",
        )),
    }
}

/// What a message on this topic would do that destroys, whatever its payload.
pub fn topic_destroys(topic: &str) -> Option<&'static str> {
    let topic = topic.to_ascii_lowercase();
    TOPICS.iter().find(|(known, _)| topic.contains(known)).map(|(_, does)| *does)
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
        for payload in [
            b"\x04\xfe".as_slice(),
            b"\x20\x01",
            b"sAppKey=00;wforce",
            b"Backlog MqttUser a;  setoption3   0",
            b"MqttUser a; SETOPTION3 OFF",
            br#"{"method":"Shelly.FactoryReset"}"#,
            br#"{"config":{"server":"other:1883"}}"#,
            b"POST /3/0/5",
        ] {
            let error = check(payload, &[]).unwrap_err().to_string();
            assert!(error.contains("never sent"), "{error}");
        }
        for payload in [b"\x04\xff".as_slice(), b"sAppKey=00", b"w", b"Backlog MqttUser a; MqttPassword b", b""] {
            assert_eq!(check(payload, &[]), Ok(()));
        }
        assert!(topic_destroys("zigbee2mqtt/Bridge/request/device/remove").is_some());
        assert_eq!(topic_destroys("zigbee2mqtt/bridge/request/options"), None);
    }

    /// One of six letters or more is met by a made secret about once in 50 million; then nothing is sent and another secret is made.
    #[test]
    fn no_short_word_looks_like_a_secret() {
        let is_word = |known: &&Known| known.is_text && known.bytes.iter().all(u8::is_ascii_alphanumeric);
        assert!(PAYLOADS.iter().filter(is_word).all(|known| known.bytes.len() >= 6));
    }

    #[test]
    fn a_policy_adds_payloads() {
        let own = [Payload::Begins(vec![0xff, 1]), Payload::Contains("Restart 99".into())];
        assert!(check(&[0xff, 1, 2], &own).is_err() && check(b"backlog restart 99", &own).is_err());
        assert!(check(&[0xff, 2], &own).is_ok());
    }
}
