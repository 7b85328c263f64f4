use super::*;
use crate::inventory::InventoryConfig;
use crate::policy::zones::{Allowed, Only};
use citytap_sensor::flow::Endpoint;
use citytap_sensor::observation::Place;
use citytap_sensor::time::Timestamp;

fn zone(name: &str, prefix: &str, talks_to: Vec<Allowed>) -> Zone {
    Zone { name: name.into(), prefixes: vec![prefix.parse().unwrap()], talks_to, ..Zone::default() }
}

fn detector(zones: Vec<Zone>) -> Across {
    Across::new(Arc::new(Zones::new(zones)))
}

fn lights_and_control() -> Across {
    let only = Some(Only::Protocol("mqtt"));
    let lights = zone("lights", "10.1.0.0/16", vec![Allowed { zone: "control".into(), only }]);
    detector(vec![lights, zone("control", "10.2.0.0/16", vec![])])
}

fn flow(client: &str, server: &str, port: u16, protocol: Option<&'static str>) -> FlowSummary {
    let end = |ip: &str, port| Endpoint { ip: ip.parse().unwrap(), port };
    FlowSummary {
        place: Place { frame: 1, sequence: 0 },
        id: 1,
        network: 0,
        transport: Transport::Tcp,
        client: end(client, 40_000),
        server: end(server, port),
        client_mac: None,
        server_mac: None,
        vlan: None,
        protocol,
        first: Timestamp(1),
        last: Timestamp(2),
        packets: [1, 1],
        bytes: [10, 10],
        answered: true,
        closed: true,
    }
}

/// Answers by server: the finding's arguments, or the words.
fn answers(detector: &Across) -> Vec<(String, String)> {
    let mut all = Vec::new();
    detector.verdicts(&Inventory::new(InventoryConfig::new("city")), &mut |verdict| {
        let told = match verdict.answer {
            Answer::Found(found) => {
                let arguments: Vec<String> = found.arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{:?} {}", found.severity, arguments.join(" "))
            }
            Answer::Clear(why) | Answer::Untested(why) => why.into_owned(),
            other => format!("{other:?}"),
        };
        all.push((verdict.subject.value.to_string(), told));
    });
    all.sort();
    all
}

#[test]
fn what_is_not_allowed_is_told_by_zones_and_protocol() {
    let mut detector = lights_and_control();
    for client in ["10.1.0.9", "10.1.0.5", "10.1.0.6", "10.1.0.7", "10.1.0.5"] {
        detector.flow(&flow(client, "10.2.0.1", 502, Some("modbus")));
    }
    detector.flow(&flow("10.1.0.5", "10.2.0.1", 1883, Some("mqtt")));
    detector.flow(&flow("10.1.0.5", "10.2.0.1", 22, None));
    detector.flow(&flow("10.2.0.8", "10.2.0.3", 502, Some("modbus")));
    let told = |ip: &str, text: &str| (ip.to_owned(), text.to_owned());
    assert_eq!(
        answers(&detector),
        [
            told("10.2.0.1", "Low _examples=10.1.0.5 from=lights protocol=TCP port 22 to=control"),
            told("10.2.0.1", "Medium _examples=10.1.0.5, 10.1.0.6, 10.1.0.7 and 1 more from=lights protocol=modbus to=control"),
            told("10.2.0.3", "it stands in zone control, and all who use it may"),
        ]
    );
}

#[test]
fn without_zones_nothing_is_said() {
    let mut detector = detector(vec![]);
    detector.flow(&flow("10.1.0.5", "10.2.0.1", 502, Some("modbus")));
    assert_eq!(answers(&detector), [("10.2.0.1".to_owned(), "no zones are configured".to_owned())]);
}

#[test]
fn attempts_groups_and_addresses_of_no_zone_are_not_judged() {
    let mut detector = lights_and_control();
    detector.flow(&FlowSummary { answered: false, ..flow("10.1.0.5", "10.2.0.1", 23, None) });
    detector.flow(&FlowSummary { bytes: [0, 0], ..flow("10.1.0.5", "10.2.0.1", 23, None) });
    detector.flow(&FlowSummary { transport: Transport::Udp, ..flow("10.1.0.5", "224.0.1.187", 5683, Some("coap")) });
    detector.flow(&flow("192.0.2.1", "10.2.0.4", 502, Some("modbus")));
    let untested = "it, or all who use it, stand in no zone that is configured";
    assert_eq!(answers(&detector), [("10.2.0.4".to_owned(), untested.to_owned())]);
}

#[test]
fn where_nobody_told_who_is_client_either_way_may_be_the_allowed_one() {
    let ssh = Some(Only::Port(Transport::Tcp, Some(22)));
    let lights = zone("lights", "10.1.0.0/16", vec![Allowed { zone: "control".into(), only: ssh }]);
    let mut detector = detector(vec![lights, zone("control", "10.2.0.0/16", vec![])]);
    let mut turned = flow("10.2.0.1", "10.1.0.5", 40_000, None);
    turned.client.port = 22;
    detector.flow(&turned);
    assert_eq!(answers(&detector).len(), 1);
    assert!(answers(&detector)[0].1.contains("may"), "{:?}", answers(&detector));
}

#[test]
fn a_scan_of_ports_makes_no_more_findings_than_there_is_room_for() {
    let mut detector = lights_and_control();
    for port in 1..=100 {
        detector.flow(&flow("10.1.0.5", "10.2.0.1", port, None));
    }
    assert_eq!((answers(&detector).len(), detector.shed()), (WAYS, 100 - WAYS as u64));
}
