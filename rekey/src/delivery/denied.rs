//! What is never sent, whoever wrote it: commands after which a device is gone or has forgotten itself. Checked on every message right before it is sent.
//!
//! Each entry holds a character that no generated secret has (a blank, a point, a quotation mark), so that a secret never looks like one by chance.

/// Lowercase text and why it is denied.
pub const DENIED: &[(&str, &str)] = &[
    ("setoption3 0", "Tasmota: switches MQTT off; the device is then unreachable"),
    ("reset 1", "Tasmota: back to the compiled-in settings"),
    ("reset 2", "Tasmota: erases the flash"),
    ("reset 3", "Tasmota: erases the flash"),
    ("reset 4", "Tasmota: erases the network settings"),
    ("reset 5", "Tasmota: erases all but the network settings"),
    ("reset 6", "Tasmota: erases all but network and MQTT settings"),
    ("wificonfig ", "Tasmota: how it finds its network is not ours to change"),
    ("upgrade 1", "Tasmota: firmware is not ours to change"),
    ("mqtthost ", "Tasmota: it would look for another broker"),
    ("shelly.factoryreset", "Shelly: factory reset"),
    ("shelly.resetwificonfig", "Shelly: forgets its network"),
    ("wifi.setconfig", "Shelly: how it finds its network is not ours to change"),
    ("\"server\":", "Shelly, Zigbee2MQTT: it would look for another broker"),
    ("bridge/request/backup", "Zigbee2MQTT: hands out the network key"),
    ("bridge/request/touchlink/factory_reset", "Zigbee2MQTT: factory reset"),
    ("bridge/request/device/remove", "Zigbee2MQTT: forgets a device"),
];

/// Why a message is denied; `None` where it is not.
pub fn denied(topic: &str, payload: &[u8]) -> Option<&'static str> {
    let payload = payload.to_ascii_lowercase();
    let topic = topic.to_ascii_lowercase();
    let holds = |text: &str| topic.contains(text) || payload.windows(text.len()).any(|part| part == text.as_bytes());
    DENIED.iter().find(|(text, _)| holds(text)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destructive_commands_are_denied_in_any_case() {
        assert!(denied("cmnd/lamp/Backlog", b"MqttUser a; SETOPTION3 0").is_some());
        assert!(denied("lamp/rpc", br#"{"method":"Shelly.FactoryReset"}"#).is_some());
        assert!(denied("zigbee2mqtt/bridge/request/device/remove", b"{}").is_some());
        assert!(denied("cmnd/lamp/Backlog", b"MqttUser a; MqttPassword b").is_none());
    }

    #[test]
    fn no_secret_of_letters_and_digits_looks_like_one() {
        assert!(DENIED.iter().all(|(text, _)| text.chars().any(|c| !c.is_ascii_alphanumeric())));
    }
}
