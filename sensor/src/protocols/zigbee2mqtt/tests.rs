//! Tests of a bridge's messages.

use crate::protocols::mqtt::payload::testing::{published, survives};

const INFO: &[u8] = br#"{"version":"1.35.1","commit":"x","coordinator":{"ieee_address":"0x00124b0014d9f2a1","type":"zStack3x0",
    "meta":{"revision":20230507,"transportrev":2}},"network":{"channel":11,"pan_id":6754,"extended_pan_id":"0xdd"},"permit_join":true,
    "config":{"mqtt":{"password":"hunter2","user":"z2m"},"advanced":{"network_key":[1,2]}}}"#;

const DEVICES: &[u8] = br#"[{"ieee_address":"0x00124b0014d9f2a1","type":"Coordinator","network_address":0,"supported":true,"friendly_name":"Coordinator",
    "definition":null},{"ieee_address":"0x00158d0001a2b3c4","type":"EndDevice","network_address":29159,"supported":true,"disabled":false,
    "friendly_name":"hall","definition":{"model":"WSDCGQ11LM","vendor":"Aqara","description":"Temperature sensor","exposes":[{"type":"numeric"}]},
    "power_source":"Battery","software_build_id":"3000-0001","date_code":"20191129","model_id":"lumi.weather","manufacturer":"LUMI"}]"#;

#[test]
fn the_bridge_its_coordinator_and_each_device() {
    let lines = published(&[
        ("zigbee2mqtt/bridge/info", INFO),
        ("zigbee2mqtt/bridge/devices", DEVICES),
        ("zigbee2mqtt/bridge/state", b"{\"state\":\"online\"}"),
    ]);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].starts_with(
        "> zigbee2mqtt.bridge {\"version\":\"1.35.1\",\"coordinator\":\"00124b0014d9f2a1\",\"coordinator_type\":\"zStack3x0\",\
         \"coordinator_revision\":\"20230507\",\"permit_join\":true,\"channel\":11,\"pan_id\":\"6754\"}"
    ), "{}", lines[0]);
    assert!(lines[0].contains("+role(mqtt_client:c@10.0.0.2 Bridge)") && lines[0].contains("Software=1.35.1"));
    assert!(
        lines[0].contains("+via(zigbee_ieee:00124b0014d9f2a1 via mqtt_client:c@10.0.0.2)") && !lines.join("").contains("hunter2")
    );
    assert!(lines[2].starts_with(
        "> zigbee2mqtt.device {\"ieee_address\":\"00158d0001a2b3c4\",\"device_type\":\"EndDevice\",\"network_address\":29159,\
         \"friendly_name\":\"hall\",\"manufacturer\":\"LUMI\",\"model_id\":\"lumi.weather\",\"vendor\":\"Aqara\",\"model\":\"WSDCGQ11LM\","
    ), "{}", lines[2]);
    for fact in [
        "+via(zigbee_ieee:00158d0001a2b3c4 via zigbee_ieee:00124b0014d9f2a1)",
        "Vendor=Aqara",
        "Model=WSDCGQ11LM",
        "Firmware=3000-0001",
        "Name=hall",
    ] {
        assert!(lines[2].contains(fact), "{fact} in {}", lines[2]);
    }
    assert_eq!(lines[3], "> zigbee2mqtt.state {\"state\":\"online\"}");
}

#[test]
fn the_same_list_again_says_nothing_and_a_change_only_itself() {
    let changed = String::from_utf8_lossy(DEVICES).replace("3000-0001", "3000-0002");
    let lines =
        published(&[("z/bridge/devices", DEVICES), ("z/bridge/devices", DEVICES), ("z/bridge/devices", changed.as_bytes())]);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[2].contains("Firmware=3000-0002"));
}

#[test]
fn broken_payloads_are_told() {
    assert_eq!(published(&[("z/bridge/devices", b"{}")]), [">  !zigbee2mqtt.malformed_payload"]);
    assert_eq!(published(&[("z/bridge/state", b"maybe")]), [">  !zigbee2mqtt.malformed_payload"]);
    assert_eq!(published(&[("z/bridge/state", b"offline")]), ["> zigbee2mqtt.state {\"state\":\"offline\"}"]);
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["z/bridge/devices", "z/bridge/info", "z/bridge/state"], &bytes);
    }
}
