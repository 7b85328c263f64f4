use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::testing::Bench;
use proptest::prelude::*;

const CON: u8 = 0x40;
const NON: u8 = 0x50;
const ACK: u8 = 0x60;
const RST: u8 = 0x70;
const GET: u8 = 0x01;
const PUT: u8 = 0x03;
const CONTENT: u8 = 0x45;

/// Options and payload: option numbers ascend.
fn body(options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut previous = 0;
    for (number, value) in options {
        let split = |n: usize| match n {
            0..13 => (n as u8, vec![]),
            13..269 => (13, vec![(n - 13) as u8]),
            _ => (14, ((n - 269) as u16).to_be_bytes().to_vec()),
        };
        let (delta, more_delta) = split(usize::from(number - previous));
        let (length, more_length) = split(value.len());
        bytes.push(delta << 4 | length);
        bytes.extend(more_delta);
        bytes.extend(more_length);
        bytes.extend(*value);
        previous = *number;
    }
    if !payload.is_empty() {
        bytes.push(0xff);
        bytes.extend(payload);
    }
    bytes
}

pub(crate) fn udp(ty: u8, code: u8, id: u16, token: &[u8], options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![ty | token.len() as u8, code];
    bytes.extend(id.to_be_bytes());
    bytes.extend(token);
    bytes.extend(body(options, payload));
    bytes
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Udp, 5683)
}

fn shown(messages: &[(Direction, Vec<u8>)]) -> Vec<String> {
    let mut bench = bench();
    for (direction, bytes) in messages {
        bench.show(*direction, bytes);
    }
    bench.lines.0
}

fn last(messages: &[(Direction, Vec<u8>)]) -> String {
    shown(messages).pop().unwrap_or_default()
}

#[test]
fn a_piggybacked_response() {
    let lines = shown(&[
        (ToServer, udp(CON, GET, 1, b"\xaa", &[(11, b"sensors"), (11, b"temp"), (17, &[0])], b"")),
        (ToClient, udp(ACK, CONTENT, 1, b"\xaa", &[(12, b""), (14, &[60])], b"21.5")),
    ]);
    assert_eq!(
        lines,
        [
            "> coap.request {\"message_type\":\"CON\",\"code\":\"0.01\",\"method\":\"GET\",\"message_id\":1,\"token\":\"aa\",\
             \"uri_path\":\"/sensors/temp\",\"accept\":0,\"payload_length\":0} +identity(ip:10.0.0.1 Sent) +role(ip:10.0.0.1 Client) \
             +peer(ip:10.0.0.1 -> ip:10.0.0.2 coap)",
            "< coap.response {\"message_type\":\"ACK\",\"code\":\"2.05\",\"code_name\":\"Content\",\"message_id\":1,\"token\":\"aa\",\
             \"request_frame\":1,\"request_method\":\"GET\",\"uri_path\":\"/sensors/temp\",\"request_accept\":0,\"latency_us\":1000000,\
             \"content_format\":0,\"content_format_name\":\"text/plain\",\"max_age\":60,\"payload_length\":4} +identity(ip:10.0.0.2 Proved) \
             +role(ip:10.0.0.2 Server) +service(ip:10.0.0.2 coap Some(5683) false) +security(ip:10.0.0.2 Transport=none)",
        ]
    );
}

#[test]
fn a_separate_response() {
    let lines = shown(&[
        (ToServer, udp(CON, GET, 1, b"t", &[(11, b"slow")], b"")),
        (ToClient, udp(ACK, 0, 1, b"", &[], b"")),
        (ToClient, udp(CON, CONTENT, 900, b"t", &[], b"x")),
        (ToServer, udp(ACK, 0, 900, b"", &[], b"")),
    ]);
    assert_eq!(lines[1], "< coap.empty {\"message_type\":\"ACK\",\"message_id\":1,\"answered_frame\":1}");
    assert!(lines[2].contains("\"request_frame\":1") && lines[2].contains("\"latency_us\":2000000"), "{}", lines[2]);
    assert_eq!(lines[3], "> coap.empty {\"message_type\":\"ACK\",\"message_id\":900,\"answered_frame\":3}");
}

#[test]
fn messages_sent_again() {
    let get = udp(CON, GET, 1, b"t", &[(11, b"a")], b"");
    let answer = udp(ACK, CONTENT, 1, b"t", &[], b"x");
    let lines = shown(&[(ToServer, get.clone()), (ToServer, get), (ToClient, answer.clone()), (ToClient, answer)]);
    assert!(lines[1].contains("\"retransmission\":true,\"first_frame\":1"), "{}", lines[1]);
    assert!(lines[2].contains("\"latency_us\":2000000") && !lines[2].contains("retransmission"), "{}", lines[2]);
    assert!(lines[3].contains("\"retransmission\":true,\"first_frame\":3,\"request_frame\":1"), "{}", lines[3]);
    assert!(!lines[3].contains("latency_us"), "{}", lines[3]);
}

#[test]
fn both_ends_ask() {
    let lines = shown(&[
        (ToServer, udp(CON, 0x02, 1, b"t", &[(11, b"rd")], b"")),
        (ToClient, udp(CON, GET, 1, b"t", &[(11, b"3")], b"")),
        (ToServer, udp(ACK, CONTENT, 1, b"t", &[], b"x")),
        (ToClient, udp(ACK, 0x41, 1, b"t", &[(8, b"rd"), (8, b"5a3f")], b"")),
    ]);
    assert!(lines[2].contains("\"uri_path\":\"/3\"") && lines[2].starts_with('>'), "{}", lines[2]);
    assert!(lines[2].contains("service(ip:10.0.0.1 coap Some(50000) false)"), "{}", lines[2]);
    assert!(lines[3].contains("\"uri_path\":\"/rd\"") && lines[3].contains("\"location_path\":\"/rd/5a3f\""), "{}", lines[3]);
}

#[test]
fn an_observation_until_its_reset() {
    let lines = shown(&[
        (ToServer, udp(CON, GET, 1, b"o", &[(6, b""), (11, b"time")], b"")),
        (ToClient, udp(ACK, CONTENT, 1, b"o", &[(6, &[2])], b"1")),
        (ToClient, udp(NON, CONTENT, 70, b"o", &[(6, &[3])], b"2")),
        (ToServer, udp(RST, 0, 70, b"", &[], b"")),
        (ToClient, udp(NON, CONTENT, 71, b"z", &[(6, &[4])], b"3")),
    ]);
    assert!(lines[0].contains("\"observe\":0") && !lines[1].contains("notification"), "{lines:?}");
    assert!(lines[2].contains("\"notification\":true,\"observe\":3") && lines[2].contains("\"request_frame\":1"), "{}", lines[2]);
    assert_eq!(
        lines[3],
        "> coap.empty {\"message_type\":\"RST\",\"message_id\":70,\"answered_frame\":3,\"ends_observation\":true}"
    );
    // A notification whose registration was not seen is one all the same.
    assert!(lines[4].contains("\"notification\":true") && !lines[4].contains("request_frame"), "{}", lines[4]);
}

#[test]
fn every_option_of_a_request() {
    let line = last(&[(
        ToServer,
        udp(
            CON,
            0x05,
            1,
            b"",
            &[
                (1, b"\x01"),
                (3, b"host"),
                (4, b"\x02"),
                (5, b""),
                (7, &[0x16, 0x33]),
                (12, &[60]),
                (16, &[3]),
                (20, b""),
                (21, b""),
                (23, &[0x06]),
                (27, &[0x04]),
                (28, b""),
                (35, b"coap://u:p@h/x?secret"),
                (39, b"http"),
                (60, &[2]),
                (252, &[9]),
                (258, &[26]),
                (292, &[7]),
                (2048, b"x"),
            ],
            b"hi",
        ),
    )]);
    for part in [
        "\"method\":\"FETCH\"",
        "\"uri_host\":\"host\",\"uri_port\":5683,\"uri_path\":\"/\"",
        "\"content_format_name\":\"application/cbor\"",
        "{\"option\":\"Block2\",\"num\":0,\"more\":false,\"size\":1024},{\"option\":\"Block1\",\"num\":0,\"more\":false,\"size\":256}",
        "\"etag\":\"02\",\"if_match\":1,\"if_none_match\":true,\"size1\":2,\"size2\":0",
        "\"proxy_uri\":\"coap://*@h/x\",\"proxy_scheme\":\"http\",\"hop_limit\":3,\"echo\":\"09\",\"request_tag\":\"07\",\"no_response\":26,\"edhoc\":true",
        "\"unknown_options\":[2048],\"payload_length\":2",
    ] {
        assert!(line.contains(part), "{part} not in {line}");
    }
    assert!(!line.contains("secret") && !line.contains("u:p"), "{line}");
}

#[test]
fn tokens_in_queries_and_paths_are_facts_not_fields() {
    let lines = shown(&[
        (ToServer, udp(NON, GET, 1, b"", &[(11, b"a"), (15, b"ep=dev1"), (15, b"token=CANARY")], b"")),
        (ToServer, udp(NON, GET, 2, b"", &[(11, b"a"), (15, b"token=CANARY")], b"")),
        (ToServer, udp(NON, 2, 3, b"", &[(11, b"api"), (11, b"v1"), (11, b"CANARY2"), (11, b"telemetry")], b"{}")),
    ]);
    assert!(lines[0].contains("{\"name\":\"ep\",\"value\":\"dev1\"},{\"name\":\"token\",\"length\":6}"), "{}", lines[0]);
    let credential = "credential(ip:10.0.0.1 -> ip:10.0.0.2 Token user:None secret:Some(6) Unknown clear:true)";
    assert!(lines[0].contains(credential) && !lines[1].contains("credential"), "{lines:?}");
    assert!(lines[2].contains("\"uri_path\":\"/api/v1/*/telemetry\"") && lines[2].contains("secret:Some(7)"), "{}", lines[2]);
    assert!(!lines.concat().contains("CANARY"));
}

#[test]
fn a_body_in_blocks_both_ways() {
    let lines = shown(&[
        (ToServer, udp(CON, PUT, 1, b"1", &[(11, b"fw"), (12, &[42]), (27, &[0x08]), (60, &[19])], &[1; 16])),
        (ToClient, udp(ACK, 0x5f, 1, b"1", &[(27, &[0x08])], b"")),
        (ToServer, udp(CON, PUT, 2, b"2", &[(11, b"fw"), (12, &[42]), (27, &[0x10])], &[2; 3])),
        (ToClient, udp(ACK, 0x44, 2, b"2", &[(27, &[0x10])], b"")),
        (ToServer, udp(CON, GET, 3, b"3", &[(11, b".well-known"), (11, b"core")], b"")),
        (ToClient, udp(ACK, CONTENT, 3, b"3", &[(4, b"E"), (12, &[40]), (23, &[0x08])], b"</a>;rt=\"x\";obs")),
        (ToServer, udp(CON, GET, 4, b"4", &[(11, b".well-known"), (11, b"core"), (23, &[0x10])], b"")),
        (ToClient, udp(ACK, CONTENT, 4, b"4", &[(4, b"E"), (12, &[40]), (23, &[0x10])], b";ct=40,</b>")),
    ]);
    assert_eq!(
        lines[3],
        "> coap.body {\"carried_by\":\"request\",\"uri_path\":\"/fw\",\"content_format\":42,\"complete\":true,\"size\":19,\"received\":19,\
         \"declared_size\":19,\"blocks\":2,\"first_frame\":1}"
    );
    // The first block of the response is a byte short of its size.
    assert!(lines[6].contains("!coap.block_length"), "{}", lines[6]);
    let exact = shown(&[
        (ToServer, udp(CON, GET, 3, b"3", &[(11, b".well-known"), (11, b"core")], b"")),
        (ToClient, udp(ACK, CONTENT, 3, b"3", &[(4, b"E"), (12, &[40]), (23, &[0x08])], b"</a>;rt=\"xy\";obs")),
        (ToServer, udp(CON, GET, 4, b"4", &[(11, b".well-known"), (11, b"core"), (23, &[0x10])], b"")),
        (ToClient, udp(ACK, CONTENT, 4, b"4", &[(4, b"E"), (12, &[40]), (23, &[0x10])], b";ct=40,</b>")),
    ]);
    assert!(exact[4].starts_with("< coap.body {\"carried_by\":\"response\",\"uri_path\":\"/.well-known/core\""), "{}", exact[4]);
    assert_eq!(
        exact[5],
        "< coap.resources {\"links\":[{\"path\":\"/a\",\"rt\":\"xy\",\"ct\":\"40\",\"obs\":true},{\"path\":\"/b\"}],\"total\":2} \
         +object(ip:10.0.0.2 coap.resource_type xy) +object(ip:10.0.0.2 coap.resource /a) +object(ip:10.0.0.2 coap.resource /b)"
    );
}

#[test]
fn a_body_that_never_ends_is_told_at_the_end() {
    let mut bench = bench();
    bench.show(ToServer, &udp(CON, PUT, 1, b"1", &[(11, b"fw"), (27, &[0x0e])], &[1; 1024]));
    bench.close();
    assert!(
        bench.lines.0[1].contains("\"complete\":false") && bench.lines.0[1].contains("!coap.body_incomplete"),
        "{:?}",
        bench.lines.0
    );
}

#[test]
fn a_multicast_request() {
    let mut bench = bench().with_server("224.0.1.187".parse().unwrap());
    bench.show(ToServer, &udp(NON, GET, 1, b"m", &[(11, b".well-known"), (11, b"core")], b""));
    bench.show(ToServer, &udp(CON, GET, 2, b"m", &[(11, b".well-known"), (11, b"core")], b""));
    assert!(bench.lines.0[0].contains("\"multicast\":true") && !bench.lines.0[0].contains("peer("), "{:?}", bench.lines.0);
    assert!(bench.lines.0[1].ends_with("!coap.multicast_confirmable"));
}

#[test]
fn oscore_outside() {
    let lines = shown(&[
        (ToServer, udp(CON, 0x02, 1, b"s", &[(9, &[0x09, 0x14, 0x01])], &[0xcc; 13])),
        (ToClient, udp(ACK, 0x44, 1, b"s", &[(9, b"")], &[0xdd; 11])),
    ]);
    assert!(
        lines[0].contains("\"oscore\":true,\"oscore_kid\":\"01\",\"oscore_partial_iv\":\"14\",\"oscore_ciphertext\":\"cccccccccccccccccccccccccc\""),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("\"oscore_request_kid\":\"01\",\"oscore_request_partial_iv\":\"14\""), "{}", lines[1]);
    assert!(
        lines[1].contains("service(ip:10.0.0.2 coap Some(5683) true) +security(ip:10.0.0.2 Transport=oscore)"),
        "{}",
        lines[1]
    );
}

#[test]
fn each_departure_is_named() {
    let get = |options: &[(u16, &[u8])]| udp(CON, GET, 1, b"", options, b"");
    let cases: &[(Vec<u8>, &str)] = &[
        (vec![0x44, GET, 0, 1, 2], "coap.truncated"),
        (vec![0x40, GET, 0, 1, 0xb3, b'a'], "coap.truncated"),
        (vec![0x80, GET, 0, 1], "coap.version"),
        (vec![0x4f, GET, 0, 1], "coap.token_length_reserved"),
        (vec![0x40, GET, 0, 1, 0xf1, 0], "coap.option_nibble_reserved"),
        (vec![0x40, GET, 0, 1, 0xe0, 0xff, 0xff], "coap.option_number_overflow"),
        (get(&[(16, &[1, 2])]), "coap.option_length"),
        (get(&[(17, &[0]), (17, &[1])]), "coap.option_repeated"),
        (get(&[(2049, b"")]), "coap.unknown_critical_option"),
        (get(&[(11, b"\xff")]), "coap.text_not_utf8"),
        (vec![0x40, GET, 0, 1, 0xff], "coap.payload_missing"),
        (vec![0x40, 0, 0, 1, 1], "coap.empty_with_content"),
        (vec![0x40, 0x20, 0, 1], "coap.code_reserved"),
        (vec![0x40, 0xe1, 0, 1], "coap.code_reserved"),
        (vec![ACK, GET, 0, 1], "coap.type_and_code"),
        (vec![RST, CONTENT, 0, 1], "coap.type_and_code"),
        (get(&[(9, &[0xe0])]), "coap.oscore_malformed"),
        (get(&[(23, &[0x07])]), "coap.block_size_reserved"),
        (udp(CON, PUT, 1, b"", &[(27, &[0x08])], b"short"), "coap.block_length"),
    ];
    for (bytes, name) in cases {
        let line = last(&[(ToServer, bytes.clone())]);
        assert!(line.contains(&format!("!{name}")), "{name}: {line}");
    }
}

#[test]
fn departures_that_take_two_messages() {
    let first = (ToServer, udp(CON, GET, 1, b"a", &[(11, b"x")], b""));
    let mismatch = last(&[first.clone(), (ToClient, udp(ACK, CONTENT, 1, b"b", &[], b""))]);
    assert!(mismatch.contains("!coap.token_mismatch") && mismatch.contains("\"uri_path\":\"/x\""), "{mismatch}");
    let reused = last(&[first, (ToServer, udp(CON, GET, 1, b"b", &[(11, b"y")], b""))]);
    assert!(reused.contains("!coap.message_id_reused"), "{reused}");
    let hole = last(&[(ToServer, udp(CON, PUT, 1, b"", &[(27, &[0x10])], b"end"))]);
    assert!(hole.contains("coap.body") && hole.contains("!coap.body_incomplete"), "{hole}");
    let size = last(&[
        (ToServer, udp(CON, PUT, 1, b"", &[(27, &[0x08]), (60, &[99])], &[0; 16])),
        (ToServer, udp(CON, PUT, 2, b"", &[(27, &[0x10])], b"end")),
    ]);
    assert!(size.contains("\"complete\":true") && size.contains("!coap.body_size"), "{size}");
    let links = last(&[
        (ToServer, udp(CON, GET, 1, b"", &[(11, b".well-known"), (11, b"core")], b"")),
        (ToClient, udp(ACK, CONTENT, 1, b"", &[(12, &[40])], b"nonsense,</a>")),
    ]);
    assert!(links.contains("\"total\":1") && links.contains("!coap.link_format"), "{links}");
}

#[test]
fn the_exchange_table_is_bounded() {
    let mut bench = bench();
    for id in 0..(exchange::EXCHANGES + 10) as u16 {
        bench.show(ToServer, &udp(CON, GET, id, &id.to_be_bytes(), &[(11, b"a")], b""));
    }
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 10);
    bench.show(ToClient, &udp(NON, CONTENT, 1, &60_u16.to_be_bytes(), &[], b""));
    assert!(bench.lines.0.last().unwrap().contains("\"request_frame\":61"));
}

#[test]
fn a_path_beyond_the_bound_is_not_remembered() {
    let mut bench = bench();
    bench.show(ToServer, &udp(CON, GET, 1, b"t", &[(11, &[b'a'; session::PATH_BYTES])], b""));
    bench.show(ToClient, &udp(ACK, CONTENT, 1, b"t", &[], b"x"));
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 1);
    assert!(
        bench.lines.0[1].contains("\"request_frame\":1") && bench.lines.0[1].contains("\"uri_path\":\"\""),
        "{}",
        bench.lines.0[1]
    );
}

#[test]
fn links_beyond_the_bound_are_counted() {
    let mut bench = bench();
    let document = "</a>,".repeat(payload::LINKS + 3);
    bench.show(ToServer, &udp(CON, GET, 1, b"", &[(11, b".well-known"), (11, b"core")], b""));
    bench.show(ToClient, &udp(ACK, CONTENT, 1, b"", &[(12, &[40])], document.as_bytes()));
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 3);
    assert!(bench.lines.0.last().unwrap().contains(&format!("\"total\":{}", payload::LINKS + 3)));
}

#[test]
fn datagrams_of_another_protocol_end_the_flow() {
    let mut bench = bench();
    for _ in 0..FOREIGN - 1 {
        assert!(bench.show(ToServer, &[0x16, 0xfe, 0xfd, 0, 0]));
    }
    assert!(!bench.show(ToServer, &[0x16, 0xfe, 0xfd, 0, 0]));
}

fn probe_datagram(bytes: &[u8]) -> Probe {
    probe::probe(&ProbeInput { bytes, direction: ToServer, channel: Channel::Datagram, port_hint: false, hint: "" })
}

#[test]
fn what_the_probe_says() {
    let request = udp(CON, GET, 1, b"t", &[(11, b"sensors"), (11, b"temp")], b"");
    assert_eq!(probe_datagram(&request), Probe::Strong(Some(ToServer)));
    assert_eq!(probe_datagram(&udp(NON, CONTENT, 1, b"t", &[(6, &[2]), (12, b"")], b"1")), Probe::Strong(Some(ToClient)));
    assert_eq!(probe_datagram(&udp(CON, GET, 1, b"t", &[(11, b"a")], b"")), Probe::Weak(Some(ToServer)));
    assert_eq!(probe_datagram(&udp(ACK, 0, 1, b"", &[], b"")), Probe::No);
    let on_port =
        ProbeInput { bytes: &[0x60, 0, 0, 1], direction: ToServer, channel: Channel::Datagram, port_hint: true, hint: "" };
    assert_eq!(probe::probe(&on_port), Probe::Weak(None));
    assert_eq!(probe_datagram(&udp(ACK, GET, 1, b"t", &[(11, b"sensors")], b"")), Probe::No);
    assert_eq!(probe_datagram(b"Hello, world, this is text"), Probe::No);
    // MELSOFT: zero bytes read as options of number 0.
    assert_eq!(probe_datagram(&[0x57, 1, 0, 0, 0, 0x11, 0x11, 7, 0, 0, 0xff, 0xff, 3, 0]), Probe::No);
    // Dropbox LAN sync, STUN, RTP, DTLS.
    assert_eq!(probe_datagram(b"{\"host_int\": 1, \"version\": [2, 0]}"), Probe::No);
    assert_eq!(probe_datagram(&[0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42]), Probe::No);
    assert_eq!(probe_datagram(&[0x80, 0x60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]), Probe::No);
    assert_eq!(probe_datagram(&[0x16, 0xfe, 0xfd, 0, 0, 0, 0]), Probe::No);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..12)) {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut bench = Bench::new(&SPEC, transport, 5683);
            for (to_server, bytes) in &messages {
                bench.show(if *to_server { ToServer } else { ToClient }, bytes);
            }
            bench.close();
        }
    }

    #[test]
    fn random_bodies_never_panic(code in any::<u8>(), id in 0_u16..4, bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..8)) {
        let mut bench = bench();
        for (turn, body) in bodies.iter().enumerate() {
            let mut bytes = vec![0x41, if turn % 2 == 0 { code & 7 } else { code }, 0, id as u8, id as u8];
            bytes.extend(body);
            bench.show(if turn % 2 == 0 { ToServer } else { ToClient }, &bytes);
        }
        bench.close();
    }
}

fn tcp(code: u8, token: &[u8], options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let body = body(options, payload);
    let (nibble, more) = match body.len() {
        n @ 0..13 => (n as u8, vec![]),
        n @ 13..269 => (13, vec![(n - 13) as u8]),
        n => (14, ((n - 269) as u16).to_be_bytes().to_vec()),
    };
    [vec![nibble << 4 | token.len() as u8], more, vec![code], token.to_vec(), body].concat()
}

fn tcp_flow() -> Vec<(Direction, Vec<u8>)> {
    vec![
        (ToServer, [tcp(0xe1, b"", &[(2, &[0x20, 0]), (4, b"")], b""), tcp(GET, b"t", &[(11, b"a"), (11, b"b")], b"")].concat()),
        (ToClient, [tcp(0xe1, b"", &[(2, &[0x04, 0x80])], b""), tcp(CONTENT, b"t", &[(12, b"")], &[b'x'; 300])].concat()),
        (ToServer, tcp(0xe2, b"p", &[(2, b"")], b"")),
        (ToClient, tcp(0xe3, b"p", &[(2, b"")], b"")),
        (ToClient, tcp(0xe4, b"", &[(2, b"other"), (4, &[30])], b"moving")),
        (ToServer, tcp(0xe5, b"", &[(2, &[9])], b"why")),
    ]
}

#[test]
fn over_tcp() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 5683);
    for (direction, bytes) in tcp_flow() {
        assert!(bench.show(direction, &bytes));
    }
    let lines = &bench.lines.0;
    assert_eq!(
        lines[0],
        "> coap.signal {\"code\":\"7.01\",\"code_name\":\"CSM\",\"token\":\"\",\"max_message_size\":8192,\"block_wise_transfer\":true}"
    );
    assert!(
        lines[1].starts_with("> coap.request {\"code\":\"0.01\",\"method\":\"GET\",\"token\":\"74\",\"uri_path\":\"/a/b\""),
        "{}",
        lines[1]
    );
    assert!(lines[3].contains("\"request_frame\":1") && lines[3].contains("\"payload_length\":300"), "{}", lines[3]);
    assert_eq!(lines[4], "> coap.signal {\"code\":\"7.02\",\"code_name\":\"Ping\",\"token\":\"70\",\"custody\":true}");
    assert!(lines[5].contains("\"code_name\":\"Pong\",\"token\":\"70\""), "{}", lines[5]);
    assert!(lines[6].contains("\"alternative_address\":\"other\",\"hold_off\":30,\"diagnostic\":\"moving\""), "{}", lines[6]);
    assert!(
        lines[7].contains("\"code_name\":\"Abort\",\"token\":\"\",\"bad_csm_option\":9,\"diagnostic\":\"why\""),
        "{}",
        lines[7]
    );
}

#[test]
fn over_tcp_byte_by_byte_gives_the_same() {
    let (mut whole, mut pieces) = (Bench::new(&SPEC, Transport::Tcp, 5683), Bench::new(&SPEC, Transport::Tcp, 5683));
    // Each chunk takes a second on the bench, so latencies differ; nothing else may.
    let without_latency = |lines: &[String]| -> Vec<String> {
        lines
            .iter()
            .map(|line| {
                line.split(",\"").filter(|part| !part.starts_with("latency_us") && !part.starts_with("request_frame")).collect()
            })
            .collect()
    };
    for (direction, bytes) in tcp_flow() {
        whole.show(direction, &bytes);
        bytes.iter().for_each(|&byte| assert!(pieces.show(direction, &[byte])));
    }
    assert_eq!(without_latency(&whole.lines.0), without_latency(&pieces.lines.0));
}

#[test]
fn over_tcp_after_a_gap() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 5683);
    bench.show(ToServer, &tcp(GET, b"t", &[(11, b"first")], b""));
    assert!(bench.lines.0[0].contains("!coap.csm_missing"), "{:?}", bench.lines.0);
    assert!(bench.lose(ToServer, Some(20)));
    bench.show(ToServer, b"\x00\xffrest of a message");
    bench.show(ToServer, &tcp(GET, b"u", &[(11, b"sensors"), (11, b"temp")], b""));
    assert!(bench.lines.0.last().unwrap().contains("\"uri_path\":\"/sensors/temp\""), "{:?}", bench.lines.0);
    assert_eq!(bench.counters.get(Counter::ResynchronisationBytes), 19);
}

#[test]
fn over_tcp_a_message_beyond_the_bound_is_stepped_over() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 5683);
    bench.show(ToServer, &tcp(0xe1, b"", &[], b""));
    let length = MAX_MESSAGE as u32;
    bench.show(ToServer, &[vec![0xf0], (length - 65_805).to_be_bytes().to_vec(), vec![PUT]].concat());
    bench.show(ToServer, &vec![0; MAX_MESSAGE]);
    bench.show(ToServer, &tcp(GET, b"t", &[(11, b"after")], b""));
    assert_eq!(bench.counters.get(Counter::MessagesTooLarge), 1);
    assert!(bench.lines.0.last().unwrap().contains("/after"), "{:?}", bench.lines.0);
}

#[test]
fn a_stream_of_another_protocol_ends_the_flow() {
    let begun = || {
        let mut bench = Bench::new(&SPEC, Transport::Tcp, 5683);
        bench.show(ToServer, &tcp(0xe1, b"", &[], b""));
        bench
    };
    let mut reserved_codes = begun();
    (1..FOREIGN).for_each(|_| assert!(reserved_codes.show(ToServer, &[0x00, 0x3f])));
    assert!(!reserved_codes.show(ToServer, &[0x00, 0x3f]));

    // Options that do not end where they should, under a code that exists.
    let mut options = begun();
    (1..FOREIGN).for_each(|_| assert!(options.show(ToServer, &[0x20, GET, 0xb9, b'a'])));
    assert!(!options.show(ToServer, &[0x20, GET, 0xb9, b'a']));

    let mut lengths = begun();
    let (head, length) = ([0xf0, 0, 0, 0x13, 0x88, PUT], 65_805 + 5000);
    for _ in 1..FOREIGN {
        assert!(lengths.show(ToServer, &head));
        assert!(lengths.lose(ToServer, Some(length)));
    }
    assert!(!lengths.show(ToServer, &head));
}

#[test]
fn what_the_probe_says_of_streams() {
    let ask = |bytes: &[u8], hint| {
        probe::probe(&ProbeInput { bytes, direction: ToServer, channel: Channel::Stream(0), port_hint: false, hint })
    };
    let request = tcp(GET, b"t", &[(11, b"sensors"), (11, b"temp")], b"");
    assert_eq!(ask(&tcp_flow()[0].1, ""), Probe::Strong(None));
    assert_eq!(ask(&request, ""), Probe::Weak(Some(ToServer)));
    assert_eq!(ask(&request[..6], ""), Probe::Incomplete);
    // Modbus, TLS, MQTT and HTTP.
    for foreign in [
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1][..],
        &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T'],
        b"GET / HTTP/1.1",
    ] {
        assert_eq!(ask(foreign, ""), Probe::No, "{foreign:02x?}");
    }
    let in_websocket = [&[1, GET, b't'][..], &body(&[(11, b"a")], b"")].concat();
    assert_eq!(ask(&in_websocket, "coap"), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&in_websocket, "mqtt"), Probe::No);
}

/// Stands in for the decoder of WebSocket: hands on every chunk as a message of subprotocol `coap`.
struct Relay;

impl Decoder for Relay {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let carrier =
            record::Empty { message_type: "", message_id: 0, retransmission: None, answered_frame: None, ends_observation: None };
        cx.forward(crate::protocols::Carried {
            kind: "websocket",
            hint: "coap",
            channel: Channel::Datagram,
            direction: input.direction,
            bytes: input.bytes,
            carrier: &carrier,
        });
        Step::Consumed(input.bytes.len())
    }
}

static RELAY: DecoderSpec = DecoderSpec {
    name: "relay",
    title: "Relay",
    documents: &[],
    hooks: Hooks::NONE,
    max_message: 4096,
    probe: |_| Probe::No,
    create: || Box::new(Relay),
    records: &[],
    anomalies: &[],
    identities: &[],
    bounds: &[],
};

#[test]
fn over_websocket() {
    let mut bench = Bench::new(&RELAY, Transport::Tcp, 80);
    // The Len field is zero; the message ends with the WebSocket message (RFC 8323 §4.2).
    let message = |code: u8, options: &[(u16, &[u8])], payload: &[u8]| [&[1, code, b't'][..], &body(options, payload)].concat();
    bench.show(ToServer, &[0x00, 0xe1]);
    bench.show(ToServer, &message(GET, &[(11, b"a")], b""));
    bench.show(ToClient, &[0x00, 0xe1]);
    bench.show(ToClient, &message(CONTENT, &[(12, b"")], b"21"));
    let mut wrong = message(GET, &[(11, b"a")], b"");
    wrong[0] = 0x21;
    bench.show(ToServer, &wrong);
    let lines = &bench.lines.0;
    assert!(lines[1].contains("\"uri_path\":\"/a\"") && !lines[1].contains("message_type"), "{}", lines[1]);
    assert!(lines[3].contains("\"request_frame\":2") && lines[3].contains("\"payload_length\":2"), "{}", lines[3]);
    assert_eq!(lines[4], ">  !coap.websocket_length");
}

#[test]
fn oscore_messages_of_the_specification() {
    // RFC 8613 Appendix C.4 and C.7: the protected request and its response.
    let request = [
        0x44, 0x02, 0x5d, 0x1f, 0x00, 0x00, 0x39, 0x74, 0x39, 0x6c, 0x6f, 0x63, 0x61, 0x6c, 0x68, 0x6f, 0x73, 0x74, 0x62, 0x09,
        0x14, 0xff, 0x61, 0x2f, 0x10, 0x92, 0xf1, 0x77, 0x6f, 0x1c, 0x16, 0x68, 0xb3, 0x82, 0x5e,
    ];
    let response = [
        0x64, 0x44, 0x5d, 0x1f, 0x00, 0x00, 0x39, 0x74, 0x90, 0xff, 0xdb, 0xaa, 0xd1, 0xe9, 0xa7, 0xe7, 0xb2, 0xa8, 0x13, 0xd3,
        0xc3, 0x15, 0x24, 0x37, 0x83, 0x03, 0xcd, 0xaf, 0xae, 0x11, 0x91, 0x06,
    ];
    let lines = shown(&[(ToServer, request.to_vec()), (ToClient, response.to_vec())]);
    assert!(
        lines[0].contains(
            "\"uri_host\":\"localhost\",\"uri_path\":\"/\",\"oscore\":true,\"oscore_kid\":\"\",\"oscore_partial_iv\":\"14\",\
             \"oscore_ciphertext\":\"612f1092f1776f1c1668b3825e\",\"payload_length\":13"
        ),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains(
            "\"oscore\":true,\"oscore_request_kid\":\"\",\"oscore_request_partial_iv\":\"14\",\
             \"oscore_ciphertext\":\"dbaad1e9a7e7b2a813d3c31524378303cdafae119106\",\"payload_length\":22"
        ),
        "{}",
        lines[1]
    );
    assert!(!lines.concat().contains("lwm2m"));
}
