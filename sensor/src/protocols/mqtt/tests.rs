//! Tests over whole connections; each situation is a few labelled packets.

use super::{IN_FLIGHT, MAX_PACKET, SPEC, TOPICS_TOLD, anomaly};
use crate::counters::Counter;
use crate::flow::Direction::{self, ToClient, ToServer};
use crate::flow::Transport;
use crate::protocols::{Channel, Probe, ProbeInput};
use crate::testing::Bench;
use crate::time::{SECOND, Timestamp};

/// A packet: fixed header with the right remaining length, then the parts.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = length > 127;
        bytes.push((length & 127) as u8 | if more { 128 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A string or binary field.
fn s(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

/// CONNECT of `level` with flags, keep alive 60 s and the given rest.
fn connect(level: u8, flags: u8, rest: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[level, flags, 0, 60], &rest.concat()])
}

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const CONNACK_5: &[u8] = &[0x20, 3, 0, 0, 0];

fn publish(first: u8, topic: &str, rest: &[u8]) -> Vec<u8> {
    packet(first, &[&s(topic), rest])
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Tcp, 1883)
}

/// Shows each chunk whole and answers the lines.
fn run(chunks: &[(Direction, &[u8])]) -> Vec<String> {
    let mut bench = bench();
    for (direction, bytes) in chunks {
        bench.show(*direction, bytes);
    }
    bench.close();
    bench.lines.0
}

/// A connection of MQTT 3.1.1 that was accepted.
fn open() -> Bench {
    let mut bench = bench();
    bench.show(ToServer, &connect(4, 2, &[&s("c")]));
    bench.show(ToClient, CONNACK);
    bench
}

/// The same of MQTT 5.0.
fn open_5() -> Bench {
    let mut bench = bench();
    bench.show(ToServer, &connect(5, 2, &[&[0], &s("c")]));
    bench.show(ToClient, CONNACK_5);
    bench
}

fn last(bench: &Bench) -> &str {
    bench.lines.0.last().map_or("", |line| line)
}

fn has(line: &str, code: &'static crate::observation::AnomalyCode) -> bool {
    line.split(' ').any(|word| word.strip_prefix('!') == Some(code.name))
}

#[test]
fn a_connection_with_password_from_connect_to_disconnect() {
    let lines = run(&[
        (ToServer, &connect(4, 0xC2, &[&s("pump-7"), &s("admin"), &s("public")])),
        (ToClient, CONNACK),
        (ToServer, &publish(0x31, "hall/pump", b"on")),
        (ToServer, &[0xC0, 0]),
        (ToClient, &[0xD0, 0]),
        (ToServer, &[0xE0, 0]),
    ]);
    assert_eq!(
        lines,
        [
            "> mqtt.connect {\"protocol_name\":\"MQTT\",\"protocol_level\":4,\"bridge\":false,\"client_id\":\"pump-7\",\"client_id_length\":6,\
             \"keep_alive_s\":60,\"clean_start\":true,\"has_user_name\":true,\"user_name_length\":5,\"has_password\":true,\"password_length\":6} \
             +identity(mqtt_client:pump-7@10.0.0.2 Proved) +same(mqtt_client:pump-7@10.0.0.2 = ip:10.0.0.1: MQTT CONNECT) \
             +role(mqtt_client:pump-7@10.0.0.2 Client) +peer(mqtt_client:pump-7@10.0.0.2 -> ip:10.0.0.2 mqtt) \
             +security(mqtt_client:pump-7@10.0.0.2 Transport=none) +attribute(mqtt_client:pump-7@10.0.0.2 ProtocolVersion=MQTT 3.1.1)",
            "< mqtt.connack {\"client_id\":\"pump-7\",\"protocol_level\":4,\"session_present\":false,\"reason_code\":0,\
             \"reason\":\"Connection Accepted\",\"accepted\":true,\"elapsed_us\":1000000} +identity(ip:10.0.0.2 Proved) \
             +role(ip:10.0.0.2 Broker) +service(ip:10.0.0.2 mqtt Some(1883) false) +security(ip:10.0.0.2 Transport=none) \
             +credential(mqtt_client:pump-7@10.0.0.2 -> ip:10.0.0.2 Password user:Some(5) secret:Some(6) Accepted clear:true)",
            "> mqtt.publish {\"client_id\":\"pump-7\",\"delivered\":false,\"topic\":\"hall/pump\",\"qos\":0,\"retain\":true,\"dup\":false,\
             \"payload_length\":2} +role(mqtt_client:pump-7@10.0.0.2 Publisher) +object(mqtt_client:pump-7@10.0.0.2 mqtt.topic hall/pump)",
            "> mqtt.pingreq {\"client_id\":\"pump-7\"}",
            "< mqtt.pingresp {\"client_id\":\"pump-7\",\"elapsed_us\":1000000}",
            "> mqtt.disconnect {\"client_id\":\"pump-7\"}",
            ">  +activity(mqtt_client:pump-7@10.0.0.2 3)",
        ]
    );
}

#[test]
fn version_5_with_properties_will_and_alias() {
    let will = [&[7, 0x18, 0, 0, 0, 9, 0x01, 1][..], &s("w/t"), &s("gone")].concat();
    let mut bench = bench();
    bench.show(ToServer, &connect(5, 0x2E, &[&[8, 0x11, 0, 0, 0, 5, 0x22, 0, 2], &s("c"), &will]));
    assert!(
        last(&bench)
            .contains("\"will_topic\":\"w/t\",\"will_qos\":1,\"will_retain\":true,\"will_payload_length\":4,\"will_delay_s\":9")
    );
    assert!(last(&bench).contains("\"session_expiry_s\":5,\"topic_alias_maximum\":2}"), "{}", last(&bench));
    bench.show(ToClient, &packet(0x20, &[&[1, 0, 3, 0x22, 0, 9]]));
    assert!(last(&bench).contains("\"session_present\":true,\"reason_code\":0,\"reason\":\"Success\""));
    bench.show(ToServer, &packet(0x30, &[&s("a/b"), &[3, 0x23, 0, 7], b"x"]));
    bench.show(ToServer, &packet(0x30, &[&s(""), &[3, 0x23, 0, 7], b"y"]));
    assert!(last(&bench).contains("\"topic\":\"a/b\"") && last(&bench).contains("\"topic_alias\":7"), "{}", last(&bench));
    bench.show(ToServer, &packet(0xE0, &[&[4, 0]]));
    assert!(last(&bench).ends_with("\"reason_code\":4,\"reason\":\"Disconnect with Will Message\"}"), "{}", last(&bench));
    assert!(bench.lines.0.iter().all(|line| !line.contains(" !")), "{:#?}", bench.lines.0);
}

#[test]
fn qos_2_is_followed_to_its_end_and_one_left_open_is_told() {
    let mut bench = open();
    bench.show(ToServer, &publish(0x34, "t", &[0, 5]));
    bench.show(ToClient, &[0x50, 2, 0, 5]);
    bench.show(ToServer, &[0x62, 2, 0, 5]);
    bench.show(ToClient, &[0x70, 2, 0, 5]);
    assert_eq!(last(&bench), "< mqtt.pubcomp {\"client_id\":\"c\",\"packet_id\":5,\"elapsed_us\":1000000}");
    bench.show(ToServer, &publish(0x34, "t", &[0, 6]));
    for _ in 0..12 {
        bench.show(ToServer, &[0xC0, 0]);
    }
    bench.close();
    assert_eq!(last(&bench), ">  !mqtt.qos_2_incomplete");
}

#[test]
fn a_subscription_and_what_was_granted() {
    let mut bench = open_5();
    let filters = [&s("$share/g/a/#")[..], &[0x2D], &s("b/+"), &[0]].concat();
    bench.show(ToServer, &packet(0x82, &[&[0, 1, 2, 0x0B, 9], &filters]));
    let line = last(&bench);
    assert!(line.contains("\"topic_filters\":[\"$share/g/a/#\",\"b/+\"],\"qos\":[1,0],\"no_local\":[true,false]"), "{line}");
    assert!(line.contains("\"retain_handling\":[2,0],\"subscription_id\":9,\"wildcard_count\":2}"), "{line}");
    assert!(line.contains("+object(mqtt_client:c@10.0.0.2 mqtt.topic_filter b/+)"), "{line}");
    assert!(has(line, &anomaly::SHARED_NO_LOCAL));
    bench.show(ToClient, &packet(0x90, &[&[0, 1, 0, 1, 0x87]]));
    let line = last(&bench);
    assert!(line.contains("\"reason_codes\":[1,135],\"reasons\":[\"Granted QoS 1\",\"Not authorized\"]"), "{line}");
    assert!(line.contains("\"topic_filters\":[\"$share/g/a/#\",\"b/+\"],\"elapsed_us\":1000000}"), "{line}");
    bench.show(ToServer, &packet(0xA2, &[&[0, 2, 0], &s("b/+")]));
    bench.show(ToClient, &packet(0xB0, &[&[0, 2, 0, 0x11]]));
    assert!(last(&bench).contains("\"reasons\":[\"No subscription existed\"],\"topic_filters\":[\"b/+\"]"));
}

#[test]
fn an_assigned_client_identifier_is_for_the_session_only() {
    let mut bench = bench();
    bench.show(ToServer, &connect(5, 2, &[&[0], &s("")]));
    bench.show(ToClient, &packet(0x20, &[&[0, 0, 8, 0x12], &s("auto5")]));
    assert!(last(&bench).contains("+identity(mqtt_client_generated:auto5@10.0.0.2 Proved)"), "{}", last(&bench));
    assert!(
        last(&bench).contains("mqtt_client_generated:auto5@10.0.0.2 -> ip:10.0.0.2 Anonymous user:None secret:None Accepted")
    );
}

#[test]
fn a_credential_is_refused() {
    let lines = run(&[(ToServer, &connect(4, 0xC2, &[&s("c"), &s("u"), &s("p")])), (ToClient, &[0x20, 2, 0, 5])]);
    assert!(
        lines[1].contains("\"reason\":\"Not authorized\",\"accepted\":false")
            && lines[1].contains("Password user:Some(1) secret:Some(1) Refused")
    );
}

#[test]
fn a_credential_whose_answer_is_not_seen_is_told_once() {
    let mut bench = bench();
    bench.show(ToServer, &connect(4, 0xC2, &[&s("c"), &s("u"), &s("p")]));
    for _ in 0..12 {
        bench.show(ToServer, &[0xC0, 0]);
    }
    bench.close();
    let told: Vec<_> = bench.lines.0.iter().filter(|line| line.contains("+credential")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("Unknown"));

    let lines = run(&[(ToServer, &connect(4, 0xC2, &[&s("c"), &s("u"), &s("p")]))]);
    assert!(
        lines[1].starts_with(">  +credential(mqtt_client:c@10.0.0.2 -> ip:10.0.0.2 Password user:Some(1) secret:Some(1) Unknown")
    );

    let long = vec![b'x'; 5_000];
    let lines = run(&[(ToServer, &connect(4, 0xC2, &[&s("c"), &s("u"), &s(&long)]))]);
    assert!(lines.len() == 1 && lines[0].contains("secret:Some(5000) Unknown"), "{lines:?}");
}

#[test]
fn tokens_are_told_and_not_shown() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let lines = run(&[
        (ToServer, &connect(4, 0x82, &[&s(jwt), &s("A1B2C3D4E5F6G7H8I9J0")])),
        (ToClient, CONNACK),
        (ToServer, &publish(0x30, "channels/14/publish/Q1W2E3R4T5Y6U7I8", b"1")),
        (ToServer, &packet(0x82, &[&[0, 1], &s(format!("x/{jwt}/#")), &[0]])),
    ]);
    let all = lines.join("\n");
    assert!(!all.contains("eyJ") && !all.contains("A1B2C3") && !all.contains("Q1W2"), "{all}");
    assert!(lines[0].contains("\"client_id_length\":49,\"client_id_token\":true"), "{all}");
    assert_eq!(lines[1].matches(" Token user:None").count(), 2, "{all}");
    assert!(
        lines[2].contains("\"topic\":\"channels/14/publish/***\"")
            && lines[2].contains("Token user:None secret:Some(16) Unknown")
    );
    assert!(lines[3].contains("\"topic_filters\":[\"x/***/#\"]"), "{all}");
}

#[test]
fn a_bridge_says_so_in_its_level() {
    let lines = run(&[(ToServer, &connect(0x84, 2, &[&s("site-a")]))]);
    assert!(
        lines[0].contains("\"protocol_level\":4,\"bridge\":true")
            && lines[0].contains("+role(mqtt_client:site-a@10.0.0.2 Bridge)")
    );
    assert!(!lines[0].contains(" !"));
}

#[test]
fn extended_authentication_is_not_anonymous() {
    let mut bench = bench();
    bench.show(ToServer, &connect(5, 2, &[&[12, 0x15, 0, 5], b"SCRAM", &[0x16, 0, 1, 7], &s("c")]));
    assert!(last(&bench).contains("\"authentication_method\":\"SCRAM\",\"authentication_data_length\":1"), "{}", last(&bench));
    bench.show(ToClient, &packet(0xF0, &[&[0x18, 8, 0x15, 0, 5], b"SCRAM"]));
    assert!(
        last(&bench).contains("mqtt.auth {\"client_id\":\"c\",\"reason_code\":24,\"reason\":\"Continue authentication\""),
        "{}",
        last(&bench)
    );
    bench.show(ToClient, CONNACK_5);
    bench.close();
    assert!(bench.lines.0.iter().all(|line| !line.contains("credential")));
}

#[test]
fn a_client_that_goes_on_is_active_once_a_minute() {
    let mut bench = open();
    for _ in 0..130 {
        bench.show(ToServer, &[0xC0, 0]);
    }
    let told = bench.lines.0.iter().filter(|line| line.contains("+activity(mqtt_client:c@10.0.0.2 ")).count();
    assert_eq!(told, 2);
}

#[test]
fn any_split_gives_the_same_lines() {
    let to_server = [
        connect(5, 0xC6, &[&[0], &s("c"), &[0], &s("w"), &s("x"), &s("u"), &s("p")]),
        packet(0x82, &[&[0, 1, 0], &s("a/#"), &[1]]),
        packet(0x32, &[&s("a/b"), &[0, 2, 3, 0x23, 0, 1], &[7; 200]]),
        packet(0x30, &[&s(""), &[3, 0x23, 0, 1], b"z"]),
        vec![0xC0, 0],
        packet(0x30, &[&s("big"), &[0], &vec![1; MAX_PACKET]]),
        vec![0xE0, 0],
    ]
    .concat();
    let to_client = [CONNACK_5, &packet(0x90, &[&[0, 1, 0, 1]]), &[0x40, 2, 0, 2], &[0xD0, 0]].concat();
    let lines = |chunk: usize| {
        let mut bench = bench();
        bench.tick = 0;
        for piece in to_server.chunks(chunk) {
            bench.show(ToServer, piece);
        }
        for piece in to_client.chunks(chunk) {
            bench.show(ToClient, piece);
        }
        bench.lines.0
    };
    let whole = lines(usize::MAX);
    assert_eq!(whole.len(), 11, "{whole:#?}");
    for chunk in [1, 2, 3, 7, 1000] {
        assert_eq!(lines(chunk), whole, "in chunks of {chunk}");
    }
}

#[test]
fn a_payload_beyond_the_bound_is_passed_over() {
    let mut bench = open();
    let big = packet(0x31, &[&s("fw/image"), &vec![0xE9; MAX_PACKET]]);
    let (first, rest) = big.split_at(100);
    bench.show(ToServer, first);
    assert!(last(&bench).contains("\"topic\":\"fw/image\""));
    assert!(last(&bench).contains(&format!("\"payload_length\":{MAX_PACKET},\"payload_skipped\":true")), "{}", last(&bench));
    let (lost, rest) = rest.split_at(200_000);
    assert!(bench.lose(ToServer, Some(lost.len() as u64)));
    bench.show(ToServer, rest);
    bench.show(ToServer, &[0xC0, 0]);
    assert_eq!(last(&bench), "> mqtt.pingreq {\"client_id\":\"c\"}");
    assert_eq!(bench.counters.get(Counter::MessagesTooLarge), 1);
}

#[test]
fn after_a_gap_the_next_segment_with_a_packet_is_taken_up() {
    let mut bench = open();
    bench.lose(ToServer, Some(100));
    bench.show(ToServer, b"8}rest of a payload");
    bench.show(ToServer, &[publish(0x30, "a/b", b"{}"), vec![0xC0, 0]].concat());
    let lines = &bench.lines.0[2..];
    assert!(lines[0].contains("\"topic\":\"a/b\"") && lines[1].contains("mqtt.pingreq") && lines.len() == 2, "{lines:?}");
    assert_eq!(bench.counters.get(Counter::ResynchronisationBytes), 19);
}

#[test]
fn joined_in_the_middle_the_version_is_read_from_the_packets() {
    let of = |bytes: &[u8]| {
        let mut bench = bench();
        bench.lose(ToServer, None);
        bench.lose(ToClient, None);
        bench.show(ToServer, bytes);
        bench.show(ToServer, &publish(0x30, "t", &[0, b'x']));
        (bench.lines.0[0].clone(), bench.lines.0[1].clone())
    };
    // JSON after the topic cannot be properties: an earlier version, in which the zero byte belongs to the payload.
    let (first, second) = of(&publish(0x30, "t", br#"{"a":1}"#));
    assert!(first.contains("\"payload_length\":7") && second.contains("\"payload_length\":2"), "{first}\n{second}");
    assert!(!first.contains("client_id") && first.contains("+identity(ip:10.0.0.1 Sent)") && !first.contains(" !"), "{first}");
    // Properties after the topic: version 5.
    let (first, second) = of(&publish(0x30, "t", &[2, 1, 1, b'x', b'y']));
    assert!(
        first.contains("\"payload_length\":2,\"payload_format\":1") && second.contains("\"payload_length\":1"),
        "{first}\n{second}"
    );
    let (first, second) = of(&packet(0x82, &[&[0, 1, 0], &s("a"), &[0]]));
    assert!(first.contains("\"topic_filters\":[\"a\"]") && second.contains("\"payload_length\":1"));
    let (first, second) = of(&packet(0x82, &[&[0, 1], &s("a"), &[0]]));
    assert!(first.contains("\"topic_filters\":[\"a\"]") && second.contains("\"payload_length\":2"));
}

#[test]
fn one_direction_alone_is_enough() {
    let mut bench = bench();
    bench.show(ToClient, &[CONNACK, &publish(0x30, "a", b"1"), &[0x40, 2, 0, 9]].concat());
    assert_eq!(bench.lines.0.len(), 3);
    assert!(bench.lines.0[1].contains("\"delivered\":true") && bench.lines.0[1].contains("+role(ip:10.0.0.1 Subscriber)"));
    assert!(bench.lines.0.iter().all(|line| !line.contains(" !")), "{:?}", bench.lines.0);
}

#[test]
fn anomalies_of_order() {
    let first_of = |chunks: &[(Direction, &[u8])], at: usize| run(chunks)[at].clone();
    let hello = connect(4, 2, &[&s("c")]);
    assert!(has(&first_of(&[(ToServer, &[0xC0, 0])], 0), &anomaly::MISSING_CONNECT));
    assert!(has(&first_of(&[(ToClient, CONNACK), (ToServer, &hello)], 1), &anomaly::UNINTRODUCED));
    assert!(has(&first_of(&[(ToServer, &hello), (ToServer, &hello)], 1), &anomaly::DOUBLE_CONNECT));
    assert!(has(
        &first_of(&[(ToServer, &hello), (ToClient, &[0x20, 2, 0, 5]), (ToServer, &[0xC0, 0])], 2),
        &anomaly::AFTER_REFUSAL
    ));
    assert!(has(&first_of(&[(ToServer, &hello), (ToServer, &[0xE0, 0]), (ToServer, &[0xC0, 0])], 2), &anomaly::AFTER_DISCONNECT));
    assert!(has(&first_of(&[(ToServer, &hello), (ToServer, &[0xD0, 0])], 1), &anomaly::WRONG_DIRECTION));
    assert!(has(&first_of(&[(ToServer, &hello), (ToClient, CONNACK), (ToClient, &[0xE0, 0])], 2), &anomaly::WRONG_DIRECTION));
    assert!(has(&first_of(&[(ToClient, &hello)], 0), &anomaly::WRONG_DIRECTION));
}

#[test]
fn anomalies_of_connect() {
    let of = |bytes: &[u8]| run(&[(ToServer, bytes)])[0].clone();
    assert!(has(&of(&packet(0x10, &[&s("MQTT"), &[9, 2, 0, 0, 0], &s("c")])), &anomaly::UNKNOWN_PROTOCOL_LEVEL));
    assert!(has(&of(&connect(4, 0x0A, &[&s("c")])), &anomaly::WILL_FLAGS));
    assert!(has(&of(&connect(4, 0x42, &[&s("c"), &s("p")])), &anomaly::PASSWORD_WITHOUT_USER_NAME));
    assert!(!has(&of(&connect(5, 0x42, &[&[0], &s("c"), &s("p")])), &anomaly::PASSWORD_WITHOUT_USER_NAME));
    assert!(has(&of(&connect(4, 0, &[&s("")])), &anomaly::EMPTY_CLIENT_ID));
    assert!(has(&of(&connect(4, 0x1E, &[&s("c"), &s("w"), &s("x")])), &anomaly::INVALID_QOS));
    assert!(has(&of(&connect(4, 3, &[&s("c")])), &anomaly::RESERVED_FLAGS));
    assert!(has(&of(&connect(4, 6, &[&s("c"), &s("w/#"), &s("x")])), &anomaly::WILDCARD_IN_TOPIC));
    assert!(has(&of(&connect(4, 6, &[&s("c"), &s(""), &s("x")])), &anomaly::EMPTY_TOPIC));
    assert!(has(&of(&connect(4, 2, &[&s("c\0d")])), &anomaly::NUL_IN_STRING));
    assert!(has(&of(&connect(4, 2, &[&s([0xC3, 0x28])])), &anomaly::INVALID_UTF8));
    assert!(has(&of(&connect(4, 2, &[&s("c"), &[1]])), &anomaly::TRAILING_BYTES));
    let cut = of(&connect(4, 0xC2, &[&s("c"), &[0, 9, b'u']]));
    assert!(
        has(&cut, &anomaly::MALFORMED) && cut.contains("\"client_id\":\"c\"") && cut.contains("\"has_user_name\":true"),
        "{cut}"
    );
    let connack = run(&[(ToServer, &connect(4, 2, &[&s("c")])), (ToClient, &[0x20, 2, 1, 5])]);
    assert!(has(&connack[1], &anomaly::SESSION_PRESENT_ON_REFUSAL));
    let connack = run(&[(ToServer, &connect(4, 2, &[&s("c")])), (ToClient, &[0x20, 2, 0, 77])]);
    assert!(has(&connack[1], &anomaly::UNKNOWN_REASON_CODE) && connack[1].contains("\"reason_code\":77"));
}

#[test]
fn anomalies_of_headers() {
    let of = |direction, bytes: &[u8]| {
        let mut bench = open();
        bench.show(direction, bytes);
        last(&bench).to_owned()
    };
    assert!(has(&of(ToServer, &[0xC0, 0x80, 0x00]), &anomaly::LENGTH_NOT_MINIMAL));
    assert!(has(&of(ToServer, &[0xC1, 0]), &anomaly::RESERVED_FLAGS));
    assert!(has(&of(ToServer, &[0xC0, 1, 0]), &anomaly::TRAILING_BYTES));
    assert_eq!(of(ToServer, &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), ">  !mqtt.malformed_remaining_length");
    assert_eq!(of(ToServer, &[0x00, 0]), ">  !mqtt.unassigned_packet_type");
    assert!(has(&of(ToServer, &[0xF0, 0]), &anomaly::UNASSIGNED_PACKET_TYPE));
    assert_eq!(of(ToServer, &[0x82, 0xFF, 0xFF, 0xFF, 0x7F]), ">  !mqtt.over_long_packet");
}

#[test]
fn anomalies_of_publish() {
    let of = |bytes: &[u8]| {
        let mut bench = open();
        bench.show(ToServer, bytes);
        last(&bench).to_owned()
    };
    assert!(has(&of(&publish(0x36, "t", &[0, 1])), &anomaly::INVALID_QOS));
    assert!(has(&of(&publish(0x38, "t", &[])), &anomaly::DUP_AT_QOS_0));
    assert!(has(&of(&publish(0x32, "t", &[0, 0])), &anomaly::PACKET_ID_ZERO));
    assert!(has(&of(&publish(0x30, "t/+", &[])), &anomaly::WILDCARD_IN_TOPIC));
    assert!(has(&of(&publish(0x30, "", &[])), &anomaly::EMPTY_TOPIC));
    assert!(has(&of(&[publish(0x32, "t", &[0, 1]), publish(0x32, "t", &[0, 1])].concat()), &anomaly::PACKET_ID_IN_USE));
    assert!(!has(&of(&[publish(0x32, "t", &[0, 1]), publish(0x3A, "t", &[0, 1])].concat()), &anomaly::PACKET_ID_IN_USE));
    let cut = of(&[0x30, 3, 0, 9, b't']);
    assert!(has(&cut, &anomaly::MALFORMED), "{cut}");
}

#[test]
fn anomalies_of_version_5() {
    let of = |direction, bytes: &[u8]| {
        let mut bench = open_5();
        bench.show(direction, bytes);
        last(&bench).to_owned()
    };
    let publish = |properties: &[u8]| packet(0x30, &[&s("t"), &[properties.len() as u8], properties]);
    assert!(has(&of(ToServer, &publish(&[0x7E, 0])), &anomaly::UNKNOWN_PROPERTY));
    assert!(has(&of(ToServer, &publish(&[0x21, 0, 1])), &anomaly::PROPERTY_NOT_ALLOWED));
    assert!(has(&of(ToServer, &publish(&[1, 1, 1, 1])), &anomaly::PROPERTY_TWICE));
    assert!(has(&of(ToServer, &publish(&[1, 2])), &anomaly::PROPERTY_VALUE));
    assert!(has(&of(ToServer, &publish(&[2, 0, 0])), &anomaly::MALFORMED));
    assert!(has(&of(ToServer, &publish(&[0x08, 0, 1, b'#'])), &anomaly::WILDCARD_IN_TOPIC));
    assert!(has(&of(ToServer, &publish(&[0x23, 0, 0])), &anomaly::TOPIC_ALIAS_INVALID));
    assert!(has(&of(ToServer, &publish(&[0x23, 0, 1])), &anomaly::TOPIC_ALIAS_INVALID), "the server announced no maximum");
    assert!(has(&of(ToServer, &packet(0x30, &[&s(""), &[3, 0x23, 0, 4]])), &anomaly::TOPIC_ALIAS_UNKNOWN));
    assert!(has(&of(ToServer, &packet(0x30, &[&s("t"), &[0x80, 0x00]])), &anomaly::LENGTH_NOT_MINIMAL));
    assert!(!has(&of(ToClient, &packet(0x30, &[&s("t"), &[4, 0x0B, 1, 0x0B, 2]])), &anomaly::PROPERTY_TWICE));
    let user = of(ToServer, &publish(&[0x26, 0, 1, b'k', 0, 2, b'v', b'w']));
    assert!(user.contains("\"user_property_count\":1,\"user_property_names\":[\"k\"]") && !user.contains("vw"), "{user}");

    let mut bench = bench();
    bench.show(ToServer, &connect(5, 2, &[&[5, 0x27, 0, 0, 0, 10], &s("c")]));
    bench.show(ToClient, &publish(&[]));
    bench.show(ToClient, &packet(0x30, &[&s("long/topic"), &[0]]));
    assert!(has(last(&bench), &anomaly::ABOVE_MAXIMUM_PACKET_SIZE));
}

#[test]
fn anomalies_of_subscriptions_and_acknowledgements() {
    let of = |direction, bytes: &[u8]| {
        let mut bench = open();
        bench.show(direction, bytes);
        last(&bench).to_owned()
    };
    assert!(has(&of(ToServer, &packet(0x82, &[&[0, 1]])), &anomaly::NO_TOPIC_FILTER));
    assert!(has(&of(ToServer, &packet(0xA2, &[&[0, 1]])), &anomaly::NO_TOPIC_FILTER));
    assert!(has(&of(ToServer, &packet(0x82, &[&[0, 1], &s("a#"), &[0]])), &anomaly::INVALID_TOPIC_FILTER));
    assert!(has(&of(ToServer, &packet(0x82, &[&[0, 1], &s("a"), &[4]])), &anomaly::SUBSCRIPTION_OPTIONS));
    assert!(has(&of(ToServer, &packet(0x82, &[&[0, 1], &s("a"), &[3]])), &anomaly::INVALID_QOS));
    assert!(has(&of(ToClient, &[0x40, 2, 0, 9]), &anomaly::MISSING_PUBLISH));
    assert!(has(&of(ToClient, &[0x90, 3, 0, 9, 0]), &anomaly::MISSING_SUBSCRIBE));
    assert!(has(&of(ToClient, &[0xB0, 2, 0, 9]), &anomaly::MISSING_UNSUBSCRIBE));
    let mut bench = open();
    bench.show(ToServer, &packet(0x82, &[&[0, 1], &s("a"), &[0]]));
    bench.show(ToClient, &[0x90, 4, 0, 1, 0, 0]);
    assert!(has(last(&bench), &anomaly::REASON_CODE_COUNT));
}

#[test]
fn an_identifier_that_is_used_twice_may_be_answered_twice() {
    let mut bench = open();
    bench.show(ToServer, &[publish(0x32, "t", &[0, 1]), publish(0x32, "t", &[0, 1])].concat());
    let answers = |bench: &mut Bench| {
        bench.show(ToClient, &[0x40, 2, 0, 1]);
        has(last(bench), &anomaly::MISSING_PUBLISH)
    };
    assert_eq!([answers(&mut bench), answers(&mut bench), answers(&mut bench)], [false, false, true], "{:?}", bench.lines.0);
}

#[test]
fn filters_and_wildcards() {
    for good in ["#", "+", "a/+/b/#", "$share/g/#", "/", "a//b", "$SYS/#"] {
        assert!(super::wire::is_topic_filter(good), "{good}");
    }
    for bad in ["", "a#", "#/a", "a+/b", "$share/g", "$share//a", "$share/+/a"] {
        assert!(!super::wire::is_topic_filter(bad), "{bad}");
    }
}

#[test]
fn every_table_is_bounded_and_says_so() {
    let mut bench = open();
    for at in 0..(IN_FLIGHT + 10) as u16 {
        bench.show(ToServer, &publish(0x32, &format!("t/{at}"), &(at + 1).to_be_bytes()));
    }
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 10 + 1);
    let told = bench.lines.0.iter().filter(|line| line.contains("mqtt.topic ")).count();
    assert_eq!(told, TOPICS_TOLD);
    let mut bench = open_5();
    for alias in 1..200u16 {
        let topic = format!("{alias}/{}", "x".repeat(200));
        bench.show(ToServer, &packet(0x30, &[&s(topic), &[3, 0x23], &alias.to_be_bytes()]));
    }
    assert!(bench.counters.get(Counter::SessionEntriesDropped) > 150);
}

#[test]
fn a_connection_that_was_running_misses_no_connect() {
    let mut bench = bench();
    bench.lose(ToServer, None);
    bench.show(ToServer, &publish(0x30, "a/b", b"1"));
    bench.lose(ToClient, None);
    bench.show(ToClient, &[0x40]);
    bench.show(ToClient, &[2, 0, 7]);
    assert_eq!(bench.lines.0.len(), 2, "{:?}", bench.lines.0);
    assert!(bench.lines.0.iter().all(|line| !line.contains('!')), "{:?}", bench.lines.0);

    // A CONNECT is a beginning, whether or not the SYN was seen: what comes after it is held against it.
    let mut begun = self::bench();
    begun.lose(ToServer, None);
    begun.show(ToServer, &connect(4, 2, &[&s("c")]));
    begun.lose(ToClient, None);
    begun.show(ToClient, CONNACK);
    begun.show(ToClient, &[0x40, 2, 0, 7]);
    assert!(has(last(&begun), &anomaly::MISSING_PUBLISH), "{:?}", begun.lines.0);
}

#[test]
fn a_second_client_in_a_connection_does_not_get_the_messages_of_the_first() {
    let mut bench = bench();
    // A capture's time is no small number: the first message after a CONNECT must not look like one after an hour.
    bench.now = Timestamp(1_700_000_000 * SECOND);
    bench.show(ToServer, &connect(4, 2, &[&s("a")]));
    for text in ["1", "2"] {
        bench.show(ToServer, &publish(0x30, "a/b", text.as_bytes()));
    }
    assert!(!bench.lines.0.concat().contains("+activity("), "{:?}", bench.lines.0);
    bench.show(ToServer, &connect(4, 2, &[&s("b")]));
    bench.close();
    let told = bench.lines.0.concat();
    assert_eq!(told.matches("+activity(").count(), 1, "{:?}", bench.lines.0);
    assert!(told.contains("+activity(mqtt_client:a@10.0.0.2 2)"), "{:?}", bench.lines.0);
}

#[test]
fn a_client_on_the_brokers_host_is_not_the_broker() {
    let mut bench = bench().with_server("10.0.0.1".parse().unwrap());
    bench.show(ToServer, &connect(4, 2, &[&s("c")]));
    bench.show(ToClient, CONNACK);
    assert!(bench.lines.0[0].contains("+identity(mqtt_client:c@10.0.0.1 Proved)"), "{:?}", bench.lines.0);
    assert!(!bench.lines.0[0].contains("+same("), "{:?}", bench.lines.0);
}

#[test]
fn a_publish_with_a_hole_in_its_payload_keeps_its_topic() {
    let image = publish(0x33, "city/cam/1", &[&[0, 9][..], &[0xff; 3_000]].concat());
    let mut bench = open();
    bench.show(ToServer, &image[..8]);
    bench.show(ToServer, &image[8..40]);
    // The rest was lost; its receiver has it.
    bench.show(ToClient, &[0x40, 2, 0, 9]);
    assert!(!last(&bench).contains('!'), "{}", last(&bench));
    bench.lose(ToServer, Some(image.len() as u64 - 40));
    let line = last(&bench);
    assert!(line.contains("\"topic\":\"city/cam/1\",\"qos\":1,\"retain\":true,\"dup\":false,\"packet_id\":9"), "{line}");
    assert!(line.contains("\"payload_length\":3000,\"payload_skipped\":true") && has(line, &anomaly::TRUNCATED), "{line}");
    bench.show(ToServer, &publish(0x30, "a/b", b"1"));
    bench.close();
    assert_eq!(bench.lines.0.iter().filter(|line| line.contains("mqtt.publish")).count(), 2, "{:?}", bench.lines.0);

    // Nothing is told where the topic itself was lost, and what is whole is told once.
    let mut early = open();
    early.show(ToServer, &image[..8]);
    early.lose(ToServer, Some(image.len() as u64 - 8));
    early.show(ToServer, &publish(0x30, "a/b", &[b'x'; 50])[..40]);
    early.show(ToServer, &publish(0x30, "a/b", &[b'x'; 50])[40..]);
    early.close();
    assert_eq!(early.lines.0.iter().filter(|line| line.contains("mqtt.publish")).count(), 1, "{:?}", early.lines.0);

    // The capture ends in it.
    let mut ends = open_5();
    ends.show(ToServer, &packet(0x30, &[&s("a/b"), &[0], &[b'x'; 500]])[..200]);
    ends.close();
    let told = |line: &&String| line.contains("\"topic\":\"a/b\"") && has(line, &anomaly::TRUNCATED);
    assert_eq!(ends.lines.0.iter().filter(told).count(), 1, "{:?}", ends.lines.0);
}

#[test]
fn probes() {
    let of = |bytes: &[u8]| {
        (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Stream(0), port_hint: false, hint: "" })
    };
    let hello = connect(4, 2, &[&s("c")]);
    assert_eq!(of(&hello), Probe::Strong(Some(ToServer)));
    assert_eq!(of(&hello[..5]), Probe::Incomplete);
    assert_eq!(of(&packet(0x10, &[&s("MQIsdp"), &[3, 2, 0, 60], &s("c")])), Probe::Strong(Some(ToServer)));
    assert_eq!(of(&packet(0x10, &[&s("AMQP"), &[3]])), Probe::No);
    assert_eq!(of(CONNACK), Probe::Weak(Some(ToClient)));
    assert_eq!(of(&[0xC0, 0]), Probe::Weak(Some(ToServer)));
    assert_eq!(of(&publish(0x30, "a/b", b"1")), Probe::Weak(None));
    assert_eq!(of(&[publish(0x30, "house/hall", b"1"), publish(0x30, "a/b", b"1")].concat()), Probe::Strong(None));
    for not in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-x",
        b"\x00\x01\x00\x00\x00\x06\x01\x03",
        b"\x30\x26\x02\x01\x01\x04\x06public",
        // A whole PINGREQ, DISCONNECT and PUBACK with the middle of a download behind them.
        b"\xC0\x00\x8f\x31\x07\xfe",
        b"\xE0\x00rubbish",
        b"\x40\x02\x12\x34\x00\x91\x5c",
    ] {
        assert_eq!(of(not), Probe::No, "{not:02x?}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(chunks in proptest::collection::vec((proptest::bool::ANY, proptest::collection::vec(proptest::num::u8::ANY, 1..80)), 0..20)) {
        let mut bench = bench();
        for (to_server, bytes) in chunks {
            bench.show(if to_server { ToServer } else { ToClient }, &bytes);
        }
        bench.close();
    }

    #[test]
    fn changed_packets_never_panic(at in 0usize..200, value in proptest::num::u8::ANY, level in 3u8..6) {
        let mut bytes = [
            connect(level, 0xC6, &[&[0], &s("c"), &[0], &s("w"), &s("x"), &s("u"), &s("p")]),
            packet(0x82, &[&[0, 1, 0], &s("a/#"), &[1]]),
            packet(0x32, &[&s("a/b"), &[0, 2, 3, 0x23, 0, 1], b"abc"]),
            packet(0xE0, &[&[4, 8, 0x1F, 0, 5], b"hello"]),
        ].concat();
        if let Some(byte) = bytes.get_mut(at) { *byte = value; }
        let mut bench = bench();
        bench.show(ToServer, &bytes);
        bench.show(ToClient, &bytes);
        bench.close();
    }
}
