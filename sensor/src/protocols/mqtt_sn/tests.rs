//! Tests over whole sessions.

use super::{SPEC, TOPICS, anomaly};
use crate::counters::Counter;
use crate::flow::Direction::{self, ToClient, ToServer};
use crate::flow::Transport;
use crate::observation::AnomalyCode;
use crate::protocols::{Channel, Probe, ProbeInput};
use crate::testing::Bench;

fn m(message_type: u8, fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let mut bytes = match fields.len() + 2 {
        length @ 2..=255 => vec![length as u8],
        length => [&[1][..], &((length + 2) as u16).to_be_bytes()].concat(),
    };
    bytes.push(message_type);
    bytes.extend(fields);
    bytes
}

fn run(messages: &[(Direction, Vec<u8>)]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Udp, 1884);
    for (direction, bytes) in messages {
        bench.show(*direction, bytes);
    }
    bench.close();
    bench.lines.0
}

fn connect(id: &str) -> Vec<u8> {
    m(4, &[&[0x04, 1, 0, 30], id.as_bytes()])
}

#[test]
fn a_session_with_a_registered_topic() {
    let lines = run(&[
        (ToServer, connect("node-1")),
        (ToClient, m(5, &[&[0]])),
        (ToServer, m(0x0A, &[&[0, 0, 0, 1], b"tele/lamp/STATE"])),
        (ToClient, m(0x0B, &[&[0, 9, 0, 1, 0]])),
        (ToServer, m(0x0C, &[&[0x20, 0, 9, 0, 2], b"21.5"])),
        (ToClient, m(0x0D, &[&[0, 9, 0, 2, 0]])),
        (ToServer, m(0x18, &[&[0, 60]])),
    ]);
    assert!(lines[0].starts_with("> mqtt_sn.connect {\"client_id\":\"node-1\",\"protocol_id\":1,\"duration_s\":30,\"clean_session\":true,\"will\":false}"), "{}", lines[0]);
    assert!(lines[0].contains("+same(mqtt_sn_client:node-1@10.0.0.2 = ip:10.0.0.1: MQTT-SN CONNECT)"), "{}", lines[0]);
    assert!(
        lines[1].contains("\"accepted\":true") && lines[1].contains("+service(ip:10.0.0.2 mqtt_sn Some(1884) false)"),
        "{}",
        lines[1]
    );
    assert!(lines[3].contains("\"topic\":\"tele/lamp/STATE\""), "{}", lines[3]);
    assert!(lines[4].contains("\"client_id\":\"node-1\",\"delivered\":false,\"topic\":\"tele/lamp/STATE\",\"topic_id\":9,\"topic_id_type\":0,\"qos\":1"), "{}", lines[4]);
    assert!(
        lines[5].contains("tasmota_topic:lamp@10.0.0.2") && lines[5].contains("mqtt_sn_client:node-1@10.0.0.2"),
        "{}",
        lines[5]
    );
    assert!(
        lines[6].contains("mqtt_sn.acknowledgement") && lines[7].contains("\"message\":\"DISCONNECT\",\"duration_s\":60"),
        "{lines:#?}"
    );
}

#[test]
fn nodes_behind_a_forwarder_are_told_apart() {
    let inside = |node: &[u8], message: Vec<u8>| [m(0xFE, &[&[1], node]), message].concat();
    let lines = run(&[
        (ToServer, inside(&[0, 1], connect("aa"))),
        (ToServer, inside(&[0, 2], connect("bb"))),
        (ToServer, inside(&[0, 1], m(0x0C, &[&[0x62], b"ab", &[0, 0], b"x"]))),
    ]);
    assert!(
        lines[0].contains("\"node\":\"0001\"") && lines[0].contains("+via(mqtt_sn_client:aa@10.0.0.2 via ip:10.0.0.1)"),
        "{}",
        lines[0]
    );
    assert!(
        lines[2].contains("\"client_id\":\"aa\"") && lines[2].contains("\"topic\":\"ab\"") && lines[2].contains("\"qos\":-1"),
        "{}",
        lines[2]
    );
}

#[test]
fn gateways_wills_and_subscriptions() {
    let lines = run(&[
        (ToServer, m(1, &[&[1]])),
        (ToClient, m(2, &[&[7]])),
        (ToClient, m(0, &[&[7, 3, 0x84]])),
        (ToClient, m(6, &[])),
        (ToServer, m(7, &[&[0x30], b"w"])),
        (ToServer, m(9, &[b"gone"])),
        (ToServer, m(0x12, &[&[0x40, 0, 3], b"a/#"])),
        (ToClient, m(0x13, &[&[0x40, 0, 0, 0, 3, 0]])),
        (ToServer, m(0x14, &[&[1, 0, 4, 0, 5]])),
        (ToClient, m(0x15, &[&[0, 4]])),
        (ToServer, m(0x16, &[b"node-1"])),
        (ToClient, m(0x17, &[])),
    ]);
    assert!(lines[1].contains("\"message\":\"GWINFO\",\"gateway_id\":7"), "{}", lines[1]);
    assert!(lines[2].contains("\"message\":\"ADVERTISE\",\"gateway_id\":7,\"duration_s\":900"), "{}", lines[2]);
    assert!(lines[4].contains("\"topic\":\"w\",\"qos\":1,\"retain\":true") && lines[5].contains("\"payload_length\":4"));
    assert!(
        lines[6].contains("\"topic\":\"a/#\",\"qos\":2,\"message_id\":3") && lines[6].contains("mqtt.topic_filter a/#"),
        "{}",
        lines[6]
    );
    assert!(lines[7].contains("\"qos\":2,\"return_code\":0,\"reason\":\"Accepted\""));
    assert!(lines[8].contains("\"topic_id\":5") && lines[10].contains("\"client_id\":\"node-1\""), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains(" !")));
}

#[test]
fn anomalies() {
    let has = |bytes: Vec<u8>, code: &'static AnomalyCode| {
        let lines = run(&[(ToServer, bytes)]);
        assert!(lines.iter().any(|line| line.contains(&format!("!{}", code.name))), "{} in {lines:?}", code.name);
    };
    has(vec![9, 4, 1], &anomaly::MALFORMED);
    has(m(0x0D, &[&[0]]), &anomaly::MALFORMED);
    has(m(0x19, &[]), &anomaly::RESERVED_TYPE);
    has(vec![1, 0, 4, 0x17], &anomaly::LENGTH_NOT_MINIMAL);
    has(m(4, &[&[0, 2, 0, 30], b"x"]), &anomaly::PROTOCOL_ID);
    has(connect(""), &anomaly::CLIENT_ID);
    has(m(4, &[&[0, 1, 0, 30], b"\xff"]), &anomaly::INVALID_UTF8);
    has(m(0x0C, &[&[3, 0, 1, 0, 0]]), &anomaly::TOPIC_ID_TYPE);
    has(m(5, &[&[9]]), &anomaly::RETURN_CODE);
    has([[3, 0xFE, 0].repeat(5), m(0x17, &[])].concat(), &anomaly::ENCAPSULATION);
}

#[test]
fn tables_are_bounded() {
    let mut bench = Bench::new(&SPEC, Transport::Udp, 1884);
    for id in 1..=(TOPICS + 5) as u16 {
        bench.show(ToClient, &m(0x0A, &[&id.to_be_bytes(), &[0, 1], b"t"]));
    }
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 5);
}

#[test]
fn probes() {
    let of = |bytes: &[u8]| {
        (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Datagram, port_hint: false, hint: "" })
    };
    assert_eq!(of(&connect("node-1")), Probe::Strong(Some(ToServer)));
    assert_eq!(of(&m(5, &[&[0]])), Probe::Weak(Some(ToClient)));
    assert_eq!(of(&m(0x0C, &[&[0, 0, 1, 0, 0], b"x"])), Probe::Weak(None));
    for not in [&b"\x40\x01\x00\x01"[..], b"", b"\x02\x33", b"\x07\x04\x00\x09\x00\x1ex"] {
        assert_eq!(of(not), Probe::No, "{not:02x?}");
    }
    // In the middle of a session.
    for weak in [
        m(0, &[&[7, 3, 0x84]]),
        m(1, &[&[1]]),
        m(2, &[&[7]]),
        m(2, &[&[7], &[10, 0, 0, 7]]),
        m(6, &[]),
        m(7, &[&[0x30], b"w"]),
        m(0x0A, &[&[0, 0, 0, 1], b"tele/lamp/STATE"]),
        m(0x0B, &[&[0, 9, 0, 1, 0]]),
        m(0x0C, &[&[0x62], b"ab", &[0, 0], b"x"]),
        m(0x0C, &[&[0xA0, 0, 9, 0, 2], b"x"]),
        m(0x0D, &[&[0, 9, 0, 2, 0]]),
        m(0x10, &[&[0, 2]]),
        m(0x12, &[&[0x40, 0, 3], b"a/#"]),
        m(0x12, &[&[1, 0, 4, 0, 5]]),
        m(0x13, &[&[0x40, 0, 0, 0, 3, 0]]),
        m(0x16, &[b"node-1"]),
        m(0x17, &[]),
        m(0x18, &[&[0, 60]]),
        [m(0xFE, &[&[1, 0, 1]]), m(0x17, &[])].concat(),
    ] {
        assert!(matches!(of(&weak), Probe::Weak(_)), "{weak:02x?}");
    }
    // Of the right length, and filled in as no client or gateway does.
    for not in [
        // Serial BSAP in datagrams: DLE and STX, in messages of 16 bytes, look like GWINFO.
        b"\x10\x02\x00\x21\x03\x42\x08\xa0\x00\x00\x01\x00\x10\x03\x5a\xc3".to_vec(),
        m(0, &[&[7, 0, 0]]),
        m(5, &[&[9]]),
        m(7, &[&[0x8F], b"w"]),
        m(9, &[b"gone"]),
        m(0x0A, &[&[0, 0, 0, 1], &[1, 2, 3]]),
        m(0x0C, &[&[0x0C, 0, 1, 0, 0], b"x"]),
        m(0x0C, &[&[0x20, 0, 1, 0, 0], b"x"]),
        m(0x0C, &[&[0x60, 0, 1, 0, 0], b"x"]),
        m(0x0C, &[&[0, 0, 0, 0, 0], b"x"]),
        m(0x0D, &[&[0, 9, 0, 2, 77]]),
        m(0x10, &[&[0, 0]]),
        m(0x12, &[&[1, 0, 4, 0, 5, 6]]),
        m(0x12, &[&[0x40, 0, 3], &[0, 0, 1]]),
        m(0x16, &[&[0xee; 9]]),
        vec![1, 0, 4, 0x17],
        [m(0xFE, &[&[0x81, 0, 1]]), m(0x17, &[])].concat(),
    ] {
        assert_eq!(of(&not), Probe::No, "{not:02x?}");
    }
}

#[test]
fn a_flow_that_is_mostly_something_else_is_given_up() {
    let foreign = [15, 2, 0, 1, 3];
    let mut bench = Bench::new(&SPEC, Transport::Udp, 1884);
    // Every third fits by chance.
    let fits = m(2, &[&[7]]);
    let shown = (0..100).take_while(|at| bench.show(ToServer, if at % 3 == 2 { &fits } else { &foreign })).count();
    assert!(shown < 30, "{shown}");

    // What now and then is broken is still MQTT-SN.
    let mut bench = Bench::new(&SPEC, Transport::Udp, 1884);
    assert!((0..100).all(|at| bench.show(ToServer, if at % 3 == 2 { &foreign } else { &fits })));
}

proptest::proptest! {
    #[test]
    fn random_messages_never_panic(message_type in 0u8..0x20, fields in proptest::collection::vec(proptest::num::u8::ANY, 0..40), raw in proptest::collection::vec(proptest::num::u8::ANY, 1..40)) {
        run(&[(ToServer, m(message_type, &[&fields])), (ToClient, m(message_type, &[&fields])), (ToServer, raw)]);
    }
}
