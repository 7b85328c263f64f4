use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::flow::Transport;
use crate::testing::Bench;
use proptest::prelude::*;

/// A self-signed certificate for CN=meter-7, O=Acme, made with OpenSSL.
const CERTIFICATE: &str = "308201a63082014ca003020102020107300a06082a8648ce3d0403023021310d300b060355040a0c0441636d653110300e06035504030c\
     076d657465722d37301e170d3236313132303132323332395a170d3336313131373132323332395a3021310d300b060355040a0c044163\
     6d653110300e06035504030c076d657465722d373059301306072a8648ce3d020106082a8648ce3d030107034200047fc69cc1b0a169e6\
     aeada6e03e234d3cc89208bb8c15cb1fceb0027a196abedb09ff62d63d344701a4d31fe12a01349a4487c62cd0d73c5ccc7035855e99db\
     eda3753073301d0603551d0e04160414af41fe07b00f55232f4138ffed102f61003a8c2f301f0603551d23041830168014af41fe07b00f\
     55232f4138ffed102f61003a8c2f300f0603551d130101ff040530030101ff30200603551d1104193017820f6d657465722d372e657861\
     6d706c6587040a000002300a06082a8648ce3d0403020348003045022017a473b2b203538885c4b33edb505590aad297bd10e5e7734bea\
     c449fb4b507e022100c5e4539cfd307fcc4fa6d62ea4ae21950592ebafa3828f3688dcc1bc6baae3d8";

/// Its SubjectPublicKeyInfo.
const PUBLIC_KEY: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200047fc69cc1b0a169e6aeada6e03e234d3cc89208bb8c15cb1fceb0027a\
     196abedb09ff62d63d344701a4d31fe12a01349a4487c62cd0d73c5ccc7035855e99dbed";

/// SHA-256 of it, as OpenSSL tells it.
const SPKI_SHA256: &str = "e129614b0e794f0cf168d0357c7fb5e41fcc96262512e6263bc7b3ff00922758";

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A vector with a length of so many bytes.
pub(crate) fn vector(width: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[4 - width..], content].concat()
}

/// Extensions of a hello.
pub(crate) fn extensions(list: &[(u16, &[u8])]) -> Vec<u8> {
    let all: Vec<u8> =
        list.iter().flat_map(|(number, content)| [number.to_be_bytes().to_vec(), vector(2, content)].concat()).collect();
    vector(2, &all)
}

/// The body of a ClientHello; the random is `random` 32 times.
pub(crate) fn client_hello(version: u16, random: u8, cookie: Option<&[u8]>, suites: &[u16], list: &[(u16, &[u8])]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    [
        version.to_be_bytes().to_vec(),
        vec![random; 32],
        vector(1, &[]),
        cookie.map(|cookie| vector(1, cookie)).unwrap_or_default(),
        vector(2, &suites),
        vector(1, &[0]),
        extensions(list),
    ]
    .concat()
}

/// The body of a ServerHello.
pub(crate) fn server_hello(version: u16, suite: u16, list: &[(u16, &[u8])]) -> Vec<u8> {
    [version.to_be_bytes().to_vec(), vec![9; 32], vector(1, &[]), suite.to_be_bytes().to_vec(), vec![0], extensions(list)]
        .concat()
}

/// The body of a Certificate message with the test certificate twice.
pub(crate) fn certificate() -> Vec<u8> {
    let one = vector(3, &unhex(CERTIFICATE));
    vector(3, &[one.clone(), one].concat())
}

/// The body of a Certificate message with a raw public key.
pub(crate) fn raw_public_key() -> Vec<u8> {
    vector(3, &unhex(PUBLIC_KEY))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], vector(3, body)].concat()
}

fn tls_record(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind, 3, 3], vector(2, body)].concat()
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Tcp, 8883)
}

fn full_handshake() -> Vec<(Direction, Vec<u8>)> {
    let name = vector(2, &[vec![0], vector(2, b"broker.example")].concat());
    let hello =
        client_hello(0x0303, 7, None, &[0x0a0a, 0xc02b, 0x9999], &[(0, &name), (16, &vector(2, &vector(1, b"mqtt"))), (23, b"")]);
    let answer = [
        message(handshake::SERVER_HELLO, &server_hello(0x0303, 0xc02b, &[(23, b"")])),
        message(handshake::CERTIFICATE, &certificate()),
        message(14, b""),
    ]
    .concat();
    vec![
        (ToServer, tls_record(HANDSHAKE, &message(handshake::CLIENT_HELLO, &hello))),
        (ToClient, [tls_record(HANDSHAKE, &answer[..300]), tls_record(HANDSHAKE, &answer[300..])].concat()),
        (ToServer, [tls_record(CHANGE_CIPHER_SPEC, &[1]), tls_record(HANDSHAKE, &[0xee; 40])].concat()),
        (ToClient, [tls_record(CHANGE_CIPHER_SPEC, &[1]), tls_record(HANDSHAKE, &[0xee; 40])].concat()),
        (ToServer, tls_record(APPLICATION_DATA, &[0xee; 900])),
    ]
}

#[test]
fn a_handshake_of_version_1_2() {
    let mut bench = bench();
    for (direction, bytes) in full_handshake() {
        assert!(bench.show(direction, &bytes));
    }
    bench.close();
    let lines = &bench.lines.0;
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(
        lines[0].starts_with(
            "> tls.client_hello {\"versions\":[\"TLS 1.2\"],\"server_name\":\"broker.example\",\"alpn\":[\"mqtt\"],\
             \"cipher_suites\":[\"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\",\"0x9999\"],\"extensions\":[\"server_name\",\
             \"application_layer_protocol_negotiation\",\"extended_master_secret\"],"
        ),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("\"version\":\"TLS 1.2\",\"cipher_suite\":\"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\""),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains("+service(ip:10.0.0.2 tls Some(8883) true)"), "{}", lines[1]);
    assert!(
        lines[2].contains(&format!(
            "\"of\":\"server\",\"spki_sha256\":\"{SPKI_SHA256}\",\"subject\":\"O=Acme, CN=meter-7\",\"issuer\":\"O=Acme, CN=meter-7\",\
             \"self_issued\":true,\"serial\":\"07\",\"not_before\":1795177409,\"not_after\":2110537409,\
             \"names\":[\"meter-7.example\",\"10.0.0.2\"]"
        )) && lines[2].contains("\"chain_length\":2"),
        "{}",
        lines[2]
    );
    assert_eq!(
        lines[3],
        "> tls.summary {\"records_to_server\":2,\"records_to_client\":1,\"bytes_to_server\":940,\"bytes_to_client\":40,\"handshake_seen\":true}"
    );
}

#[test]
fn byte_by_byte_gives_the_same() {
    let (mut whole, mut pieces) = (bench(), bench());
    for (direction, bytes) in full_handshake() {
        whole.show(direction, &bytes);
        bytes.iter().for_each(|&byte| assert!(pieces.show(direction, &[byte])));
    }
    whole.close();
    pieces.close();
    assert_eq!(whole.lines.0, pieces.lines.0);
}

#[test]
fn version_1_3_hides_the_rest() {
    let mut bench = bench();
    let hello = client_hello(0x0303, 7, None, &[0x1301], &[(43, &[4, 3, 4, 3, 3])]);
    bench.show(ToServer, &tls_record(HANDSHAKE, &message(1, &hello)));
    let answer = tls_record(HANDSHAKE, &message(2, &server_hello(0x0303, 0x1301, &[(43, &[3, 4])])));
    bench.show(ToClient, &[answer, tls_record(CHANGE_CIPHER_SPEC, &[1]), tls_record(APPLICATION_DATA, &[1; 50])].concat());
    bench.close();
    let lines = &bench.lines.0;
    assert!(lines[0].contains("\"versions\":[\"TLS 1.3\",\"TLS 1.2\"]"), "{}", lines[0]);
    assert!(lines[1].contains("\"version\":\"TLS 1.3\",\"cipher_suite\":\"TLS_AES_128_GCM_SHA256\""), "{}", lines[1]);
    assert!(lines[2].contains("\"records_to_client\":2"), "{}", lines[2]);
}

#[test]
fn a_flow_that_was_already_running() {
    let mut bench = bench();
    assert!(bench.lose(ToServer, None) && bench.lose(ToClient, None));
    bench.show(ToServer, b"the end of a record");
    bench.show(ToServer, &tls_record(APPLICATION_DATA, &[1; 50]));
    bench.show(ToClient, &tls_record(APPLICATION_DATA, &[1; 60]));
    bench.close();
    assert_eq!(
        bench.lines.0,
        [
            "> tls.summary {\"records_to_server\":1,\"records_to_client\":1,\"bytes_to_server\":50,\"bytes_to_client\":60,\"handshake_seen\":false}"
        ]
    );
    assert_eq!(bench.counters.get(Counter::ResynchronisationBytes), 19);
}

#[test]
fn a_handshake_without_its_syn_is_read() {
    let (mut whole, mut running) = (bench(), bench());
    let mut begun = [false; 2];
    for (direction, bytes) in full_handshake() {
        whole.show(direction, &bytes);
        if !std::mem::replace(&mut begun[direction.index()], true) {
            running.lose(direction, None);
        }
        running.show(direction, &bytes);
    }
    whole.close();
    running.close();
    assert!(whole.lines.0.iter().any(|line| line.contains("tls.certificate")));
    assert_eq!(running.lines.0.len(), whole.lines.0.len(), "{:#?}", running.lines.0);

    // A flow that is joined when its keys are in use: the encrypted Finished passes as no message.
    let mut joined = bench();
    joined.lose(ToServer, None);
    joined.show(ToServer, &tls_record(HANDSHAKE, &[0x9c; 40]));
    joined.show(ToServer, &tls_record(ALERT, &[0x9c; 26]));
    joined.close();
    assert_eq!(joined.lines.0.len(), 1, "{:?}", joined.lines.0);
    assert!(joined.lines.0[0].contains("\"records_to_server\":2"), "{:?}", joined.lines.0);
}

#[test]
fn what_cannot_be_read() {
    let mut cut = bench();
    cut.show(ToServer, &tls_record(HANDSHAKE, &message(handshake::CLIENT_HELLO, &[3, 3, 0])));
    assert_eq!(cut.lines.0, [">  !tls.malformed"]);
    let mut huge = bench();
    huge.show(ToServer, &tls_record(HANDSHAKE, &[1, 0xff, 0xff, 0xff, 0]));
    assert_eq!(huge.counters.get(Counter::MessagesTooLarge), 1);
    let mut foreign = bench();
    assert!(!foreign.show(ToServer, b"GET / HTTP/1.1"));
    let mut alert = bench();
    alert.show(ToClient, &tls_record(ALERT, &[2, 40]));
    assert_eq!(alert.lines.0, ["< tls.alert {\"level\":\"fatal\",\"description\":\"handshake_failure\",\"number\":40}"]);
}

#[test]
fn a_server_that_answers_in_the_clear_is_told_once() {
    let mut bench = bench();
    let hello = client_hello(0x0303, 7, None, &[0xc02b], &[]);
    bench.show(ToServer, &tls_record(HANDSHAKE, &message(handshake::CLIENT_HELLO, &hello)));
    assert!(!bench.show(ToClient, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(bench.lines.0.len(), 2, "{:#?}", bench.lines.0);
    assert_eq!(bench.lines.0[1], "<  !tls.malformed");
}

#[test]
fn what_the_probe_says() {
    let ask = |bytes: &[u8]| {
        probe(&ProbeInput {
            bytes,
            direction: ToServer,
            channel: crate::protocols::Channel::Stream(0),
            port_hint: false,
            hint: "",
        })
    };
    let flow = full_handshake();
    assert_eq!(ask(&flow[0].1), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&flow[1].1), Probe::Strong(Some(ToClient)));
    assert_eq!(ask(&flow[3].1), Probe::Strong(None));
    assert_eq!(ask(&flow[4].1), Probe::Weak(None));
    assert_eq!(ask(&[22, 3]), Probe::Incomplete);
    // A hello tells itself by the version behind its header; until then it could be any handshake message.
    for shown in 1..11 {
        assert_eq!(ask(&flow[0].1[..shown]), Probe::Incomplete, "{shown} bytes");
    }
    // A message that is shorter than that is whole: ServerHelloDone.
    assert_eq!(ask(&tls_record(HANDSHAKE, &message(14, b""))), Probe::Weak(None));
    // Modbus on port 502, MQTT, HTTP.
    for foreign in [&[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1][..], &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T'], b"GET / HTTP/1.1"] {
        assert_eq!(ask(foreign), Probe::No);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(chunks in proptest::collection::vec((any::<bool>(), 20_u8..25, proptest::collection::vec(any::<u8>(), 0..120)), 0..8)) {
        let mut bench = bench();
        for (to_server, kind, body) in chunks {
            bench.show(if to_server { ToServer } else { ToClient }, &tls_record(kind, &body));
        }
        bench.close();
    }

    #[test]
    fn random_handshakes_never_panic(kind in prop::sample::select(vec![1_u8, 2, 11, 12, 16]), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bench = bench();
        bench.show(ToServer, &tls_record(HANDSHAKE, &message(kind, &body)));
        bench.show(ToClient, &tls_record(HANDSHAKE, &message(kind, &body)));
    }
}
