//! Tests of Tasmota's messages.

use super::BACKLOG;
use crate::protocols::mqtt::payload::testing::{delivered, published, survives};

const CONFIG: &[u8] = br#"{"ip":"192.168.1.40","dn":"Lamp","fn":["Lamp",null],"hn":"lamp-1122","mac":"600194001122","md":"Sonoff Basic","ty":0,"if":0,
    "ofln":"Offline","onln":"Online","state":["OFF","ON"],"sw":"12.5.0","t":"lamp","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"]}"#;

#[test]
fn native_discovery() {
    let lines =
        published(&[("tasmota/discovery/600194001122/config", CONFIG), ("tasmota/discovery/600194001122/config", CONFIG)]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with(
        "> tasmota.discovery {\"mac\":\"600194001122\",\"ip\":\"192.168.1.40\",\"topic\":\"lamp\",\"name\":\"Lamp\",\"hostname\":\"lamp-1122\",\
         \"model\":\"Sonoff Basic\",\"version\":\"12.5.0\"}"
    ), "{}", lines[0]);
    for fact in [
        "+identity(mac:600194001122 Proved)",
        "+same(mac:600194001122 = tasmota_topic:lamp@10.0.0.2: Tasmota discovery)",
        "+same(mac:600194001122 = ip:192.168.1.40: Tasmota discovery)",
        "+same(tasmota_topic:lamp@10.0.0.2 = mqtt_client:c@10.0.0.2: Tasmota status)",
        "Firmware=12.5.0",
        "Model=Sonoff Basic",
        "Name=Lamp",
        "Hostname=lamp-1122",
    ] {
        assert!(lines[0].contains(fact), "{fact} in {}", lines[0]);
    }
}

#[test]
fn what_a_device_says_at_its_start_and_when_asked() {
    let lines = published(&[
        (
            "tele/lamp/INFO1",
            br#"{"Info1":{"Module":"Sonoff Basic","Version":"12.5.0(tasmota)","FallbackTopic":"cmnd/DVES_001122_fb/"}}"#,
        ),
        ("tele/lamp/INFO2", br#"{"WebServerMode":"Admin","Hostname":"lamp-1122","IPAddress":"192.168.1.40"}"#),
        (
            "stat/lamp/STATUS2",
            br#"{"StatusFWR":{"Version":"12.5.0(tasmota)","BuildDateTime":"2023-04-17T07:49:29","Hardware":"ESP8266EX"}}"#,
        ),
        ("stat/lamp/STATUS5", br#"{"StatusNET":{"Hostname":"lamp-1122","IPAddress":"192.168.1.40","Mac":"60:01:94:00:11:22"}}"#),
        ("stat/lamp/STATUS", br#"{"Status":{"Module":1,"DeviceName":"Lamp","Topic":"lamp"}}"#),
    ]);
    assert_eq!(lines.len(), 5);
    assert!(lines[0].contains("\"part\":\"INFO1\",\"module\":\"Sonoff Basic\",\"version\":\"12.5.0(tasmota)\"}"), "{}", lines[0]);
    assert!(
        lines[1].contains("\"hostname\":\"lamp-1122\",\"ip\":\"192.168.1.40\"") && lines[1].contains("= ip:192.168.1.40"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].contains("\"build_date\":\"2023-04-17T07:49:29\",\"hardware\":\"ESP8266EX\"")
            && lines[2].contains("Hardware=ESP8266EX")
    );
    assert!(lines[3].contains("+same(tasmota_topic:lamp@10.0.0.2 = mac:600194001122: Tasmota status)"));
    assert!(lines[4].contains("Name=Lamp") && !lines[4].contains("Model=") && !lines[4].contains("module"), "{}", lines[4]);
}

#[test]
fn readings_show_once_that_the_device_exists() {
    let lines = published(&[
        ("tele/lamp/STATE", b"{1}"),
        ("tele/lamp/STATE", b"{2}"),
        ("tele/lamp/SENSOR", b"{3}"),
        ("tele/lamp/LWT", b"Online"),
    ]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("+identity(tasmota_topic:lamp@10.0.0.2 Proved)"));
    assert!(delivered(&[("tele/lamp/STATE", b"{1}")])[0].contains("tasmota_topic:lamp@10.0.0.2 Sent"));
}

#[test]
fn commands_that_set_secrets_tell_them_and_do_not_show_them() {
    let lines =
        published(&[("cmnd/lamp/Backlog", b"SSId1 city; Password1 hunter2; MqttUser tas; MqttPassword s3cret; Restart 1")]);
    let line = &lines[0];
    assert!(
        line.contains("\"commands\":[\"SSId1\",\"Password1\",\"MqttUser\",\"MqttPassword\",\"Restart\"],\"sets_secret\":true"),
        "{line}"
    );
    assert!(!line.contains("hunter2") && !line.contains("s3cret") && !line.contains("city"), "{line}");
    assert!(
        line.contains("mqtt_client:c@10.0.0.2 -> tasmota_topic:lamp@10.0.0.2 Password user:None secret:Some(7) Unknown"),
        "{line}"
    );
    assert!(line.contains("Password user:Some(3) secret:Some(6) Unknown"), "{line}");
    let asked = published(&[("cmnd/lamp/Backlog", b"MqttUser; Restart 1")]);
    assert!(asked[0].contains("\"sets_secret\":false"), "without a value it asks: {}", asked[0]);
    let lines = published(&[("cmnd/lamp/WebPassword", b"hunter2"), ("cmnd/lamp/POWER", b"ON")]);
    assert!(lines[0].contains("\"sets_secret\":true") && lines[0].contains("secret:Some(7)"));
    assert!(lines[1].contains("\"commands\":[\"POWER\"],\"sets_secret\":false,\"payload_length\":2}"), "{}", lines[1]);
    let long = "Power 1;".repeat(BACKLOG * 2);
    assert_eq!(published(&[("cmnd/lamp/Backlog0", long.as_bytes())])[0].matches("Power").count(), BACKLOG);
}

#[test]
fn broken_and_foreign_payloads() {
    assert_eq!(published(&[("tele/lamp/INFO1", b"{")]), [">  !tasmota.malformed_payload"]);
    assert!(published(&[("tele/lamp/other", b"{"), ("stat/POWER", b"ON")]).is_empty());
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["tasmota/discovery/x/config", "tele/x/INFO1", "stat/x/STATUS5", "cmnd/x/Backlog"], &bytes);
    }
}
