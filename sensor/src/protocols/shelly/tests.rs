//! Tests of both generations.

use crate::protocols::mqtt::payload::testing::{published, survives};

#[test]
fn generation_1_announces() {
    let payload = br#"{"id":"shelly1pm-84CCA8ABCDEF","model":"SHSW-PM","mac":"84CCA8ABCDEF","ip":"192.168.1.41","new_fw":true,"fw_ver":"20230913-112003/v1.14.0-gcb84623"}"#;
    let lines = published(&[("shellies/announce", payload), ("shellies/shelly1pm-84CCA8ABCDEF/relay/0/power", b"12.5")]);
    assert!(lines[0].starts_with(
        "> shelly.device {\"id\":\"shelly1pm-84CCA8ABCDEF\",\"generation\":1,\"model\":\"SHSW-PM\",\"mac\":\"84CCA8ABCDEF\",\"ip\":\"192.168.1.41\",\
         \"version\":\"20230913-112003/v1.14.0-gcb84623\",\"new_firmware\":true}"
    ), "{}", lines[0]);
    for fact in [
        "+same(shelly_id:shelly1pm-84CCA8ABCDEF = mac:84cca8abcdef: Shelly announcement)",
        "= ip:192.168.1.41",
        "= mqtt_client:c@10.0.0.2",
        "Vendor=Shelly",
        "Model=SHSW-PM",
    ] {
        assert!(lines[0].contains(fact), "{fact} in {}", lines[0]);
    }
}

#[test]
fn later_generations_answer_and_notify() {
    let info = br#"{"id":1,"src":"shellyplus1-a8032abe54dc","dst":"user_1","result":{"name":null,"id":"shellyplus1-a8032abe54dc","mac":"A8032ABE54DC",
        "slot":0,"model":"SNSW-001X16EU","gen":2,"fw_id":"20231107-164738/1.0.8-g","ver":"1.0.8","app":"Plus1","auth_en":false,"auth_domain":null}}"#;
    let full = br#"{"src":"shellyplus1-a8032abe54dc","method":"NotifyFullStatus","params":{"sys":{"mac":"A8032ABE54DC"},"wifi":{"sta_ip":"192.168.1.42"}}}"#;
    let reading = br#"{"src":"shellyplus1-a8032abe54dc","method":"NotifyStatus","params":{"switch:0":{"output":true}}}"#;
    let topic = "shellyplus1-a8032abe54dc/events/rpc";
    let lines = published(&[("user_1/rpc", info), ("user_1/rpc", info), (topic, full), (topic, reading), (topic, reading)]);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0].contains(
            "\"generation\":2,\"model\":\"SNSW-001X16EU\",\"app\":\"Plus1\",\"mac\":\"A8032ABE54DC\",\"version\":\"1.0.8\""
        ),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("\"auth_enabled\":false}")
            && lines[0].contains("AuthenticationEnabled=false")
            && lines[0].contains("= mac:a8032abe54dc")
    );
    assert!(lines[1].contains("= ip:192.168.1.42"), "{}", lines[1]);
    assert!(lines[2].starts_with(">  +identity(shelly_id:shellyplus1-a8032abe54dc Proved)"), "{}", lines[2]);
}

#[test]
fn a_configuration_tells_name_and_firmware() {
    let whole = br#"{"id":2,"src":"shelly1minig3-5432044abbcc","dst":"app2","result":{"ble":{},"sys":{"device":{"name":"Pump 7","mac":"5432044ABBCC","fw_id":"20241011-114455/1.4.4-g6d2a586"}}}}"#;
    let of_system = br#"{"id":2,"src":"shelly1minig3-5432044abbcc","dst":"app2","result":{"device":{"name":"Pump 7","mac":"5432044ABBCC","fw_id":"20241011-114455/1.4.4-g6d2a586"}}}"#;
    for payload in [&whole[..], of_system] {
        let lines = published(&[("app2/rpc", payload)]);
        assert!(
            lines[0]
                .contains(r#""name":"Pump 7","mac":"5432044ABBCC","version":"1.4.4","fw_id":"20241011-114455/1.4.4-g6d2a586"}"#),
            "{}",
            lines[0]
        );
        for fact in ["Name=Pump 7", "Firmware=1.4.4", "Model=shelly1minig3", "= mac:5432044abbcc"] {
            assert!(lines[0].contains(fact), "{fact} in {}", lines[0]);
        }
    }
    let beta =
        br#"{"src":"shelly1-5432044abbcc","result":{"mac":"5432044ABBCC","fw_id":"20241011-114455/1.4.5-beta1-g6d2a586"}}"#;
    assert!(published(&[("a/rpc", beta)])[0].contains("Firmware=1.4.5-beta1"));
}

#[test]
fn requests_others_and_broken_payloads() {
    assert!(
        published(&[("shellyplus1-x/rpc", br#"{"id":1,"src":"user_1","method":"Shelly.GetDeviceInfo"}"#), ("a/rpc", b"{}")])
            .is_empty()
    );
    assert_eq!(published(&[("shellies/announce", b"{")]), [">  !shelly.malformed_payload"]);
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["shellies/announce", "shelly-x/events/rpc", "shellies/x/info", "shelly/online"], &bytes);
    }
}
