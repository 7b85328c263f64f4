//! Tests of the namespace and of the payload.

use super::METRIC_NAMES;
use crate::protocols::mqtt::payload::testing::{published, survives};

/// A field of wire type 2.
fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, value.len() as u8], value].concat()
}

/// A metric with a text.
fn text(name: &str, value: &str) -> Vec<u8> {
    bytes(2, &[bytes(1, name.as_bytes()), vec![4 << 3, 12], bytes(15, value.as_bytes())].concat())
}

/// A metric with a number.
fn number(name: &str, value: u8) -> Vec<u8> {
    bytes(2, &[bytes(1, name.as_bytes()), vec![4 << 3, 8, 11 << 3, value]].concat())
}

const SEQ: &[u8] = &[1 << 3, 0xE8, 0x07, 3 << 3, 5];

#[test]
fn the_birth_of_a_node_and_of_its_device() {
    let node = [
        SEQ.to_vec(),
        number("bdSeq", 2),
        text("Properties/Hardware Make", "Raspberry Pi"),
        text("Properties/Hardware Model", "Pi 3"),
        text("Properties/OS", "Raspbian"),
        text("Properties/OS Version", "Jessie"),
        text("Node Info/Transmission Version", "4.0.10 (b2022020721)"),
        text("Properties/FW", "1.4"),
        text("Inputs/Model", "no property"),
    ]
    .concat();
    let device = [SEQ.to_vec(), text("Properties/Serial Number", "S1"), number("Inputs/A", 1)].concat();
    let lines = published(&[("spBv1.0/Plant/NBIRTH/Edge1", &node), ("spBv1.0/Plant/DBIRTH/Edge1/Pump/2", &device)]);
    assert!(lines[0].starts_with(
        "> sparkplug.birth {\"group\":\"Plant\",\"edge_node\":\"Edge1\",\"timestamp_ms\":1000,\"seq\":5,\"bd_seq\":2,\"metric_count\":8,\
         \"metric_names\":[\"bdSeq\",\"Properties/Hardware Make\""
    ), "{}", lines[0]);
    for fact in [
        "+identity(sparkplug_edge_node:Plant/Edge1@10.0.0.2 Proved)",
        "via mqtt_client:c@10.0.0.2",
        "Vendor=Raspberry Pi",
        "Model=Pi 3",
        "OperatingSystem=Raspbian Jessie",
        "Firmware=1.4",
        "Software=4.0.10 (b2022020721)",
        "+object(sparkplug_edge_node:Plant/Edge1@10.0.0.2 sparkplug.metric Inputs/Model)",
    ] {
        assert!(lines[0].contains(fact), "{fact} in {}", lines[0]);
    }
    assert!(!lines[0].contains("no property"));
    assert!(
        lines[1].contains("+via(sparkplug_device:Plant/Edge1/Pump/2@10.0.0.2 via sparkplug_edge_node:Plant/Edge1@10.0.0.2)"),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains("Serial=S1"));
    assert!(lines[1].contains("+object(sparkplug_device:Plant/Edge1/Pump/2@10.0.0.2 sparkplug.metric Inputs/A)"), "{}", lines[1]);
}

#[test]
fn data_shows_once_that_the_device_exists() {
    let data = [SEQ.to_vec(), number("A", 1)].concat();
    let lines = published(&[("spBv1.0/G/DDATA/E/D", &data), ("spBv1.0/G/DDATA/E/D", SEQ), ("spBv1.0/G/DDATA/E/D", b"\xff")]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("+identity(sparkplug_device:G/E/D@10.0.0.2 Proved)"), "{}", lines[0]);
}

#[test]
fn commands_deaths_and_hosts() {
    let alias = bytes(2, &[2 << 3, 9, 14 << 3, 1]);
    let lines = published(&[
        ("spBv1.0/G/NCMD/E", &number("Node Control/Rebirth", 1)),
        ("spBv1.0/G/DCMD/E/D", &alias),
        ("spBv1.0/G/NDEATH/E", &number("bdSeq", 3)),
        ("spBv1.0/STATE/scada", br#"{"online":true,"timestamp":1}"#),
        ("spBv1.0/STATE/old", b"OFFLINE"),
    ]);
    assert!(
        lines[0].contains("\"metric_names\":[\"Node Control/Rebirth\"]")
            && !lines[0].contains("Plant")
            && !lines[0].contains("sparkplug.metric")
            && lines[0].contains("Mentioned")
    );
    assert!(lines[1].contains("\"device\":\"D\",\"metric_aliases\":[9]}"), "{}", lines[1]);
    assert!(lines[2].starts_with("> sparkplug.death {\"group\":\"G\",\"edge_node\":\"E\",\"bd_seq\":3}"), "{}", lines[2]);
    assert_eq!(lines[3], "> sparkplug.state {\"host\":\"scada\",\"online\":true}");
    assert_eq!(lines[4], "> sparkplug.state {\"host\":\"old\",\"online\":false}");
}

#[test]
fn broken_payloads_and_bounds() {
    let cut = [number("A", 1), vec![0x12, 99, 1]].concat();
    let lines = published(&[("spBv1.0/G/NBIRTH/E", &cut)]);
    assert!(lines[0].contains("\"metric_names\":[\"A\"]") && lines[0].contains("!sparkplug.malformed_payload"), "{}", lines[0]);
    assert!(published(&[("spBv1.0/G/NBIRTH/E", &number("A", 1))])[0].contains("!sparkplug.birth_without_seq"));
    let many: Vec<u8> = (0..100).flat_map(|at| number(&format!("m{at}"), 1)).collect();
    let line = &published(&[("spBv1.0/G/NBIRTH/E", &many)])[0];
    assert!(
        line.contains("\"metric_count\":100")
            && line.contains(&format!("m{}\"", METRIC_NAMES - 1))
            && !line.contains(&format!("m{METRIC_NAMES}\""))
    );
    assert_eq!(line.matches("sparkplug.metric ").count(), METRIC_NAMES);
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200)) {
        survives(&["spBv1.0/G/NBIRTH/E", "spBv1.0/G/NDATA/E", "spBv1.0/STATE/x"], &bytes);
    }
}
