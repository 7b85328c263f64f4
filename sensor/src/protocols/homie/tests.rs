//! Tests of the convention's versions.

use crate::protocols::mqtt::payload::testing::{published, survives};

#[test]
fn attributes_of_versions_3_and_4() {
    let lines = published(&[
        ("homie/686f6d/$homie", b"3.0.1"),
        ("homie/686f6d/$name", b"Super car"),
        ("homie/686f6d/$localip", b"192.168.0.10"),
        ("homie/686f6d/$mac", b"DE:AD:BE:EF:FE:ED"),
        ("homie/686f6d/$fw/name", b"weatherstation-firmware"),
        ("homie/686f6d/$fw/version", b"1.0.0"),
        ("homie/686f6d/$fw/version", b"1.0.0"),
        ("homie/686f6d/$implementation", b"esp8266"),
        ("homie/686f6d/$implementation/config", br#"{"wifi":{"password":"hunter2"}}"#),
        ("homie/686f6d/$stats/uptime", b"1"),
        ("homie/686f6d/node/$name", b"x"),
    ]);
    assert_eq!(lines.len(), 8, "{lines:#?}");
    assert!(
        lines[0].contains(
            "\"device\":\"686f6d\",\"attribute\":\"$homie\",\"value\":\"3.0.1\",\"homie\":\"3.0.1\",\"payload_length\":5}"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("+via(homie_device:686f6d@10.0.0.2 via mqtt_client:c@10.0.0.2)"));
    for (at, fact) in [
        (1, "Name=Super car"),
        (2, "= ip:192.168.0.10"),
        (3, "= mac:deadbeeffeed"),
        (4, "Application=weatherstation-firmware"),
        (5, "Firmware=1.0.0"),
        (6, "Product=esp8266"),
    ] {
        assert!(lines[at].contains(fact), "{fact} in {}", lines[at]);
    }
    assert!(lines[7].contains("$implementation/config") && !lines[7].contains("hunter2"), "{}", lines[7]);
}

#[test]
fn a_description_of_version_5() {
    let payload = br#"{"homie":"5.0","name":"Lamp","type":"light","version":7,"parent":"bridge","nodes":{"x":{}}}"#;
    let lines = published(&[("homie/5/lamp-1/$description", payload), ("homie/5/lamp-1/$state", b"ready")]);
    assert!(
        lines[0].contains("\"device\":\"lamp-1\",\"attribute\":\"$description\",\"value\":\"Lamp\",\"homie\":\"5.0\""),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("+via(homie_device:lamp-1@10.0.0.2 via homie_device:bridge@10.0.0.2)")
            && lines[0].contains("DeviceType=light")
    );
    assert!(lines[1].contains("\"value\":\"ready\""));
}

#[test]
fn broken_attributes() {
    assert_eq!(published(&[("homie/x/$name", b"\xff")]), [">  !homie.malformed_attribute"]);
    assert_eq!(published(&[("homie/5/x/$description", b"[")]), [">  !homie.malformed_attribute"]);
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["homie/x/$mac", "homie/x/$localip", "homie/5/x/$description"], &bytes);
    }
}
