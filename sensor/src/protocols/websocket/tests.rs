//! Tests over whole connections.

use super::{MAX_FRAME, SPEC, anomaly};
use crate::counters::Counter;
use crate::flow::Direction::{self, ToClient, ToServer};
use crate::flow::Transport;
use crate::observation::AnomalyCode;
use crate::protocols::{Channel, Probe, ProbeInput};
use crate::testing::Bench;
use flate2::{Compress, Compression, FlushCompress};

const MQTT_CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";

fn request(extra: &str) -> Vec<u8> {
    format!(
        "GET /mqtt HTTP/1.1\r\nHost: broker:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\n\
         Sec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
    .into_bytes()
}

fn response(extra: &str) -> Vec<u8> {
    format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n{extra}\r\n").into_bytes()
}

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";
const DEFLATE: &str = "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";

/// A frame: first byte, payload, masked where the client sends it.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if direction == ToServer { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8 | mask_bit),
        length @ 126..=65_535 => {
            bytes.push(126 | mask_bit);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127 | mask_bit);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if direction == ToServer {
        let key = [0x11, 0x22, 0x33, 0x44];
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

fn open(extra: &str) -> Bench {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
    bench.show(ToServer, &request(extra));
    bench.show(ToClient, &response(extra));
    bench
}

fn last(bench: &Bench) -> &str {
    bench.lines.0.last().map_or("", |line| line)
}

fn has(bench: &Bench, code: &'static AnomalyCode) -> bool {
    bench.lines.0.iter().any(|line| line.split(' ').any(|word| word.strip_prefix('!') == Some(code.name)))
}

/// Compresses as a sender does that keeps its context.
struct Sender(Compress);

impl Sender {
    fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() + 1_000);
        self.0.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        out
    }
}

#[test]
fn mqtt_in_frames_is_read_as_a_stream() {
    let mut bench = open(MQTT);
    assert!(last(&bench).starts_with("< websocket.upgrade {\"path\":\"/mqtt\",\"has_query\":false,\"host\":\"broker:9001\""));
    assert!(
        last(&bench).contains("\"subprotocol\":\"mqtt\",\"status\":101")
            && last(&bench).contains("+service(ip:10.0.0.2 websocket Some(9001) false)")
    );
    let (first, second) = MQTT_CONNECT.split_at(6);
    bench.show(ToServer, &frame(ToServer, 0x82, first));
    assert_eq!(bench.lines.0.len(), 1);
    bench.show(ToServer, &frame(ToServer, 0x82, second));
    assert!(last(&bench).contains("mqtt.connect") && last(&bench).contains("\"client_id\":\"c\""), "{}", last(&bench));
    bench.show(ToClient, &frame(ToClient, 0x82, &[0x20, 2, 0, 0]));
    assert!(last(&bench).contains("mqtt.connack"));
}

#[test]
fn a_connection_without_its_syn_is_read_from_its_handshake_on() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
    bench.lose(ToServer, None);
    bench.show(ToServer, &request(DEFLATE));
    bench.lose(ToClient, None);
    let mut server = Sender(Compress::new(Compression::default(), false));
    let connack = frame(ToClient, 0xC2, &server.message(&[0x20, 2, 0, 0]));
    bench.show(ToClient, &[response(DEFLATE), connack].concat());
    assert!(last(&bench).contains("mqtt.connack"), "{:?}", bench.lines.0);
    bench.show(ToClient, &frame(ToClient, 0xC2, &server.message(&[0xD0, 0])));
    assert!(last(&bench).contains("mqtt.pingresp"), "{:?}", bench.lines.0);
}

#[test]
fn fragments_with_a_ping_between() {
    let mut bench = open(MQTT);
    let (first, second) = MQTT_CONNECT.split_at(6);
    let bytes = [frame(ToServer, 0x02, first), frame(ToServer, 0x89, b"hi"), frame(ToServer, 0x80, second)].concat();
    bench.show(ToServer, &bytes);
    assert!(last(&bench).contains("mqtt.connect"), "{}", last(&bench));
}

#[test]
fn compressed_messages_with_kept_context() {
    let mut bench = open(DEFLATE);
    let mut client = Sender(Compress::new(Compression::default(), false));
    bench.show(ToServer, &frame(ToServer, 0xC2, &client.message(MQTT_CONNECT)));
    for _ in 0..3 {
        let publish = [&[0x30, 60, 0, 3][..], b"a/b", &[b'x'; 55]].concat();
        bench.show(ToServer, &frame(ToServer, 0xC2, &client.message(&publish)));
        assert!(last(&bench).contains("\"topic\":\"a/b\"") && last(&bench).contains("\"payload_length\":55"), "{}", last(&bench));
    }
    // What was lost may be what the next message refers to.
    bench.lose(ToServer, Some(10));
    let before = bench.lines.0.len();
    bench.show(ToServer, &frame(ToServer, 0xC2, &client.message(&[0xC0, 0])));
    assert_eq!(bench.lines.0.len(), before);
    bench.show(ToServer, &frame(ToServer, 0x82, &[0xC0, 0]));
    assert!(last(&bench).contains("mqtt.pingreq"), "{}", last(&bench));
}

#[test]
fn compressed_messages_that_stand_alone_survive_a_gap() {
    let alone = "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; client_max_window_bits=9\r\n";
    let mut bench = open(alone);
    let message = |payload: &[u8]| Sender(Compress::new(Compression::default(), false)).message(payload);
    bench.show(ToServer, &frame(ToServer, 0xC2, &message(MQTT_CONNECT)));
    bench.lose(ToServer, Some(10));
    bench.show(ToServer, &frame(ToServer, 0xC2, &message(&[0xC0, 0])));
    assert!(last(&bench).contains("mqtt.pingreq"), "{}", last(&bench));
}

#[test]
fn a_message_that_inflates_without_end_is_stopped() {
    let mut bench = open(DEFLATE);
    let bomb = Sender(Compress::new(Compression::best(), false)).message(&vec![0; 4_000_000]);
    assert!(bomb.len() < 10_000);
    bench.show(ToServer, &frame(ToServer, 0xC2, &bomb));
    assert!(has(&bench, &anomaly::INFLATED_TOO_LARGE));
    let mut bench = open(DEFLATE);
    bench.show(ToServer, &frame(ToServer, 0xC2, &[0xFF; 30]));
    assert!(has(&bench, &anomaly::INFLATE_FAILED));
}

#[test]
fn credentials_of_the_handshake_are_told_and_not_shown() {
    let mut bench = open("Authorization: Basic YWRtaW46cHVibGlj\r\nCookie: session=s3cret\r\n");
    let line = last(&bench).to_owned();
    assert!(
        line.contains("\"has_authorization\":true,\"has_cookie\":true") && !line.contains("s3cret") && !line.contains("YWRt"),
        "{line}"
    );
    assert!(
        line.contains("credential(ip:10.0.0.1 -> ip:10.0.0.2 Password user:Some(5) secret:Some(6) Accepted clear:true)"),
        "{line}"
    );
    bench = Bench::new(&SPEC, Transport::Tcp, 80);
    let query = String::from_utf8(request("")).unwrap().replace("/mqtt", "/ws?access_token=abcdef");
    bench.show(ToServer, query.as_bytes());
    assert!(!bench.show(ToClient, b"HTTP/1.1 401 Unauthorized\r\nServer: x\r\n\r\n"));
    let line = last(&bench);
    assert!(
        line.contains("\"path\":\"/ws\",\"has_query\":true") && line.contains("\"status\":401") && !line.contains("abcdef"),
        "{line}"
    );
    assert!(line.contains("Token user:None secret:Some(6) Refused"), "{line}");
}

#[test]
fn one_direction_alone() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
    bench.show(ToServer, &request(MQTT));
    bench.show(ToServer, &frame(ToServer, 0x82, MQTT_CONNECT));
    assert!(bench.lines.0[0].contains("websocket.upgrade") && !bench.lines.0[0].contains("status"));
    assert!(bench.lines.0[1].contains("mqtt.connect"));
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
    bench.show(ToClient, &response(MQTT));
    bench.show(ToClient, &frame(ToClient, 0x82, &[0x20, 2, 0, 0]));
    assert!(bench.lines.0[1].contains("mqtt.connack"));
}

#[test]
fn plain_http_is_given_up() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 80);
    assert!(!bench.show(ToServer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
}

#[test]
fn a_close_with_its_reason() {
    let mut bench = open(MQTT);
    bench.show(ToClient, &frame(ToClient, 0x88, b"\x03\xe9bye"));
    assert_eq!(last(&bench), "< websocket.close {\"code\":1001,\"reason\":\"bye\"}");
    bench.show(ToServer, &frame(ToServer, 0x88, &[3]));
    assert!(has(&bench, &anomaly::INVALID_CLOSE));
    bench.show(ToServer, &frame(ToServer, 0x88, b"\x03\xe8\xff"));
    assert!(has(&bench, &anomaly::INVALID_UTF8));
}

#[test]
fn anomalies() {
    let of = |direction, bytes: &[u8]| {
        let mut bench = open(MQTT);
        bench.show(direction, bytes);
        bench
    };
    assert!(has(&of(ToServer, &frame(ToClient, 0x82, b"x")), &anomaly::UNMASKED));
    assert!(has(&of(ToClient, &frame(ToServer, 0x82, b"x")), &anomaly::MASKED));
    assert!(has(&of(ToClient, &frame(ToClient, 0xC2, b"x")), &anomaly::RESERVED_BITS));
    assert!(has(&of(ToClient, &frame(ToClient, 0x83, b"x")), &anomaly::RESERVED_OPCODE));
    assert!(has(&of(ToClient, &[0x82, 126, 0, 1, b'x']), &anomaly::LENGTH_NOT_MINIMAL));
    assert!(has(&of(ToClient, &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]), &anomaly::LENGTH_INVALID));
    assert!(has(&of(ToClient, &frame(ToClient, 0x89, &[0; 126])), &anomaly::CONTROL_TOO_LONG));
    assert!(has(&of(ToClient, &frame(ToClient, 0x09, b"x")), &anomaly::CONTROL_FRAGMENTED));
    assert!(has(&of(ToClient, &frame(ToClient, 0x80, b"x")), &anomaly::UNEXPECTED_CONTINUATION));
    assert!(has(
        &of(ToClient, &[frame(ToClient, 0x02, b"x"), frame(ToClient, 0x82, b"y")].concat()),
        &anomaly::INTERRUPTED_MESSAGE
    ));
    assert!(has(&of(ToClient, &frame(ToClient, 0x81, b"\xff")), &anomaly::INVALID_UTF8));
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
    bench.show(ToServer, &String::from_utf8(request("")).unwrap().replace("Version: 13", "Version: 8").into_bytes());
    bench.show(ToClient, &response(DEFLATE));
    for code in [&anomaly::HANDSHAKE, &anomaly::SUBPROTOCOL_NOT_OFFERED, &anomaly::EXTENSION_NOT_OFFERED] {
        assert!(has(&bench, code), "{}", code.name);
    }
}

#[test]
fn a_frame_beyond_the_bound_is_passed_over_and_the_stream_within_goes_on() {
    let mut bench = open(MQTT);
    bench.show(ToServer, &frame(ToServer, 0x82, MQTT_CONNECT));
    let payload = vec![1; MAX_FRAME];
    bench.show(ToServer, &frame(ToServer, 0x82, &payload));
    assert_eq!(bench.counters.get(Counter::MessagesTooLarge), 1);
    bench.show(ToServer, &frame(ToServer, 0x82, &[0xC0, 0]));
    assert!(last(&bench).contains("mqtt.pingreq"), "{}", last(&bench));
}

#[test]
fn any_split_gives_the_same_lines() {
    let mut client = Sender(Compress::new(Compression::default(), false));
    let to_server = [
        request(DEFLATE),
        frame(ToServer, 0xC2, &client.message(MQTT_CONNECT)),
        frame(ToServer, 0x02, &[0x30, 5, 0, 1, b't']),
        frame(ToServer, 0x89, b""),
        frame(ToServer, 0x80, b"ab"),
        frame(ToServer, 0x88, b"\x03\xe8"),
    ]
    .concat();
    let to_client = [response(DEFLATE), frame(ToClient, 0x82, &[0x20, 2, 0, 0]), frame(ToClient, 0x82, &[0xD0; 200])].concat();
    let lines = |chunk: usize| {
        let mut bench = Bench::new(&SPEC, Transport::Tcp, 9001);
        bench.tick = 0;
        for piece in to_server.chunks(chunk) {
            bench.show(ToServer, piece);
        }
        for piece in to_client.chunks(chunk) {
            bench.show(ToClient, piece);
        }
        bench.close();
        bench.lines.0
    };
    let whole = lines(usize::MAX);
    assert!(whole.len() >= 5, "{whole:#?}");
    for chunk in [1, 2, 5, 64] {
        assert_eq!(lines(chunk), whole, "in chunks of {chunk}");
    }
}

#[test]
fn a_connection_joined_after_its_handshake_is_known_by_what_it_carries() {
    let ask = |bytes: &[u8]| {
        (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Stream(0), port_hint: false, hint: "" })
    };
    let publish = frame(ToServer, 0x82, b"\x30\x06\x00\x03a/b1");
    let uplink = br#"{"msgtype":"timesync","txtime":1}"#;
    assert_eq!(ask(&publish), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&frame(ToServer, 0x81, uplink)), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&frame(ToClient, 0x81, uplink)), Probe::Strong(Some(ToClient)));
    // The length of the packet is not the frame's; a topic with control characters; rubbish behind the frame; a SUBSCRIBE outside of frames.
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x30\x07\x00\x03a/b1")), Probe::No);
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x30\x06\x00\x03a\x01b1")), Probe::No);
    assert_eq!(ask(&[&publish[..], b"rubbish"].concat()), Probe::No);
    assert_eq!(ask(b"\x82\x08\x30\x06\x00\x03a/b\x00"), Probe::No);
    // What is no packet in a TCP stream is none here: a wildcard in a topic, a SUBSCRIBE whose filter is cut, an answer of a server.
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x30\x06\x00\x03a/+1")), Probe::No);
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x82\x08\x00\x01\x00\x03a/b\x00")), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x82\x08\x00\x01\x00\x09a/b\x00")), Probe::No);
    assert_eq!(ask(&frame(ToServer, 0x82, b"\x20\x02\x00\x00")), Probe::No);

    let mut mqtt = Bench::new(&SPEC, Transport::Tcp, 9001);
    mqtt.lose(ToServer, None);
    mqtt.show(ToServer, &publish);
    assert!(last(&mqtt).contains("\"topic\":\"a/b\"") && !last(&mqtt).contains('!'), "{}", last(&mqtt));
    mqtt.lose(ToClient, None);
    mqtt.show(ToClient, &frame(ToClient, 0x82, &[0xD0, 0]));
    assert!(last(&mqtt).contains("mqtt.pingresp"), "{}", last(&mqtt));

    let mut station = Bench::new(&SPEC, Transport::Tcp, 3001);
    station.show(ToClient, &frame(ToClient, 0x81, uplink));
    station.show(ToServer, &frame(ToServer, 0x81, uplink));
    assert_eq!(station.lines.0.iter().filter(|line| line.contains("station.timesync")).count(), 2, "{:?}", station.lines.0);
}

#[test]
fn probes() {
    let of = |bytes: &[u8]| {
        (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Stream(0), port_hint: false, hint: "" })
    };
    assert_eq!(of(&request(MQTT)), Probe::Strong(Some(ToServer)));
    assert_eq!(of(&request(MQTT)[..20]), Probe::Incomplete);
    assert_eq!(of(&response("")), Probe::Strong(Some(ToClient)));
    assert_eq!(of(b"GET / HTTP/1.1\r\n\r\n"), Probe::No);
    assert_eq!(of(b"HTTP/1.1 200 OK\r\n\r\n"), Probe::No);
    assert_eq!(of(&frame(ToClient, 0x82, b"x")), Probe::No);
}

proptest::proptest! {
    #[test]
    fn random_frames_never_panic(chunks in proptest::collection::vec((proptest::bool::ANY, proptest::collection::vec(proptest::num::u8::ANY, 1..80)), 0..20)) {
        let mut bench = open(DEFLATE);
        for (to_server, bytes) in chunks {
            bench.show(if to_server { ToServer } else { ToClient }, &bytes);
        }
        bench.close();
    }
}
