//! Tests of discovery payloads.

use super::ENTITIES;
use crate::protocols::mqtt::payload::testing::{delivered, published, survives};

const SHORT: &[u8] = br#"{"~":"x","name":"Temperature","uniq_id":"u1","stat_t":"~/t","dev":{"ids":["esp-1","esp-one"],
    "cns":[["mac","02:5b:26:a8:dc:12"]],"mf":"Acme","mdl":"Meter","mdl_id":"M-1","sw":"1.2","hw":3,"sn":"S9","name":"Hall","sa":"Attic"},
    "o":{"name":"firmware-x","sw":"9","url":"https://x"}}"#;

#[test]
fn a_device_with_short_keys() {
    let lines = published(&[("homeassistant/sensor/esp-1/t/config", SHORT)]);
    let line = &lines[0];
    assert!(line.starts_with(
        "> home_assistant.device {\"component\":\"sensor\",\"object_id\":\"t\",\"identifiers\":[\"esp-1\",\"esp-one\"],\
         \"connections\":[\"mac\",\"02:5b:26:a8:dc:12\"],\"manufacturer\":\"Acme\",\"model\":\"Meter\",\"model_id\":\"M-1\",\"name\":\"Hall\",\
         \"sw_version\":\"1.2\",\"hw_version\":\"3\",\"serial_number\":\"S9\",\"suggested_area\":\"Attic\",\"origin_name\":\"firmware-x\",\
         \"origin_sw_version\":\"9\"}"
    ), "{line}");
    for fact in [
        "+identity(home_assistant_device:esp-1@10.0.0.2 Proved)",
        "+via(home_assistant_device:esp-1@10.0.0.2 via mqtt_client:c@10.0.0.2)",
        "+same(home_assistant_device:esp-1@10.0.0.2 = mac:025b26a8dc12: Home Assistant discovery)",
        "Vendor=Acme",
        "Model=M-1",
        "Product=Meter",
        "Firmware=1.2",
        "Hardware=3",
        "Serial=S9",
        "Name=Hall",
    ] {
        assert!(line.contains(fact), "{fact} in {line}");
    }
}

#[test]
fn twelve_devices_of_one_client_and_twenty_entities_of_one() {
    let of = |at: usize| {
        format!(
            r#"{{"device":{{"identifiers":"zigbee2mqtt_0x00158d00000000{at:02x}","manufacturer":"Aqara","via_device":"bridge"}}}}"#
        )
    };
    let payloads: Vec<(String, String)> = (0..12).map(|at| (format!("homeassistant/sensor/0x{at}/t/config"), of(at))).collect();
    let messages: Vec<(&str, &[u8])> = payloads.iter().map(|(topic, payload)| (topic.as_str(), payload.as_bytes())).collect();
    let lines = published(&messages);
    assert_eq!(lines.len(), 12);
    assert!(lines[11].contains("= zigbee_ieee:00158d000000000b"), "{}", lines[11]);
    assert!(lines[11].contains("via home_assistant_device:bridge@10.0.0.2"), "{}", lines[11]);
    let topics: Vec<String> = (0..20).map(|at| format!("homeassistant/sensor/esp-1/{at}/config")).collect();
    let messages: Vec<(&str, &[u8])> = topics.iter().map(|topic| (topic.as_str(), SHORT)).collect();
    assert_eq!(published(&messages).len(), 1);
}

/// Objects that are told, without the device.
fn objects(lines: &[String]) -> Vec<&str> {
    let pieces = lines.iter().flat_map(|line| line.split(" +")).filter_map(|piece| piece.strip_prefix("object("));
    pieces.filter_map(|piece| Some(piece.split_once("home_assistant.")?.1.trim_end_matches(')'))).collect()
}

#[test]
fn every_kind_of_entity_of_a_device_is_told_once() {
    let of = |rest: &str| format!(r#"{{"device":{{"identifiers":"d1","name":"Door 1"}}{rest}}}"#);
    let told = |entities: &[(&str, &str)]| {
        let payloads: Vec<(String, String)> = entities
            .iter()
            .enumerate()
            .map(|(at, (component, rest))| (format!("homeassistant/{component}/d1/{at}/config"), of(rest)))
            .collect();
        let messages: Vec<(&str, &[u8])> = payloads.iter().map(|(topic, payload)| (topic.as_str(), payload.as_bytes())).collect();
        published(&messages)
    };
    let lines = told(&[
        ("sensor", r#","device_class":"battery""#),
        ("binary_sensor", r#","dev_cla":"door""#),
        ("binary_sensor", r#","device_class":"door""#),
        ("sensor", r#","device_class":null"#),
        ("light", ""),
        // For settings and upkeep; no device class that Home Assistant could know.
        ("switch", r#","entity_category":"config""#),
        ("button", r#","ent_cat":"diagnostic""#),
        ("sensor", r#","device_class":"No such class""#),
    ]);
    assert_eq!(
        objects(&lines),
        [
            "component sensor",
            "device_class sensor/battery",
            "component binary_sensor",
            "device_class binary_sensor/door",
            "component light"
        ]
    );
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[1].starts_with(">  +object(home_assistant_device:d1@10.0.0.2 "), "{}", lines[1]);
}

#[test]
fn a_new_version_is_told_again() {
    let newer = String::from_utf8_lossy(SHORT).replace("\"sw\":\"1.2\"", "\"sw\":\"1.3\"");
    let lines = published(&[
        ("ha/sensor/t/config", SHORT),
        ("ha/sensor/t/config", newer.as_bytes()),
        ("ha/sensor/t/config", newer.as_bytes()),
    ]);
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains("Firmware=1.3"));
}

#[test]
fn device_based_discovery() {
    let payload = br#"{"dev":{"ids":"ea334450945afc","name":"Kitchen","mf":"Bla","mdl":"xya"},"o":{"name":"bla2mqtt"},"cmps":{
        "a":{"p":"sensor","dev_cla":"temperature","uniq_id":"a"},"b":{"platform":"sensor","device_class":"humidity","unique_id":"b"},
        "c":{"p":"device_automation","atype":"trigger"},"d":{"p":"valve"},"e":{"p":"device","uniq_id":"e"},
        "f":{"p":"lock","ent_cat":"config","uniq_id":"f"}}}"#;
    let lines = published(&[("homeassistant/device/0AFFD2/config", payload)]);
    assert!(
        lines[0].contains("\"component\":\"device\",\"object_id\":\"0AFFD2\",\"identifiers\":[\"ea334450945afc\"]"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("Model=xya") && !lines[0].contains("Product="));
    // An entity with nothing but its platform is being removed.
    assert_eq!(
        objects(&lines),
        [
            "origin bla2mqtt",
            "component sensor",
            "device_class sensor/temperature",
            "device_class sensor/humidity",
            "component device_automation"
        ]
    );
}

#[test]
fn a_device_with_more_entities_than_are_looked_at() {
    let entities: Vec<String> =
        (0..100).map(|at| format!(r#""{at}":{{"p":"sensor","dev_cla":"class_{at}","uniq_id":"{at}"}}"#)).collect();
    let payload = format!(r#"{{"dev":{{"ids":"x"}},"cmps":{{{}}}}}"#, entities.join(","));
    let lines = published(&[("homeassistant/device/x/config", payload.as_bytes())]);
    assert_eq!(objects(&lines).len(), 1 + ENTITIES);
    let without = published(&[("homeassistant/device/x/config", br#"{"dev":{"ids":"x"},"cmps":null}"#)]);
    assert_eq!((objects(&without).len(), without.len()), (0, 1));
}

#[test]
fn a_url_with_secrets_is_not_shown() {
    let of =
        |url: &str| published(&[("ha/sensor/t/config", format!(r#"{{"dev":{{"ids":"x","cu":"{url}"}}}}"#).as_bytes())]).remove(0);
    assert!(of("http://10.0.0.9/setup?token=abc").contains("\"configuration_url\":\"http://10.0.0.9/setup\"}"));
    assert!(!of("http://admin:hunter2@10.0.0.9/").contains("hunter2"));
}

#[test]
fn a_copy_for_a_subscriber_passes_through_the_broker() {
    let lines = delivered(&[("homeassistant/sensor/t/config", SHORT)]);
    assert!(lines[0].contains("+via(home_assistant_device:esp-1@10.0.0.2 via ip:10.0.0.2)"), "{}", lines[0]);
}

#[test]
fn others_are_left_alone_and_broken_ones_told() {
    assert!(
        published(&[("homeassistant/sensor/t/config", b""), ("a/b/config", b"{}"), ("homeassistant/sensor/t/config", b"{}")])
            .is_empty()
    );
    assert_eq!(published(&[("homeassistant/sensor/t/config", b"{\"dev\":[")]), [">  !home_assistant.malformed_payload"]);
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["homeassistant/sensor/t/config"], &bytes);
    }
}
