use super::wire::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, TLS12_CID};
use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::flow::Transport;
use crate::protocols::Channel;
use crate::protocols::tls::tests::{certificate, client_hello, raw_public_key, server_hello, vector};
use crate::testing::Bench;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const PSK_CCM_8: u16 = 0xc0a8;

fn dtls_record(kind: u8, epoch: u16, sequence: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind, 0xfe, 0xfd], epoch.to_be_bytes().to_vec(), vec![0, 0, 0, 0, 0, sequence], vector(2, body)].concat()
}

/// A fragment of a handshake message: `body` from `offset` on, so many bytes.
fn fragment(kind: u8, seq: u8, body: &[u8], offset: usize, length: usize) -> Vec<u8> {
    let number = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    [vec![kind], number(body.len()), vec![0, seq], number(offset), number(length), body[offset..offset + length].to_vec()]
        .concat()
}

fn message(kind: u8, seq: u8, body: &[u8]) -> Vec<u8> {
    fragment(kind, seq, body, 0, body.len())
}

fn handshake(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| dtls_record(HANDSHAKE, 0, 0, message)).collect()
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Udp, 5684)
}

fn psk_flow() -> Vec<(Direction, Vec<u8>)> {
    let hello = |cookie: &[u8]| client_hello(0xfefd, 7, Some(cookie), &[PSK_CCM_8], &[(23, b""), (54, &[2, 1, 2])]);
    let identity = vector(2, b"Client_identity");
    vec![
        (ToServer, handshake(&[message(1, 0, &hello(b""))])),
        (ToClient, handshake(&[message(3, 0, &[&[0xfe, 0xff, 4][..], b"cook"].concat())])),
        (ToServer, handshake(&[message(1, 1, &hello(b"cook"))])),
        (
            ToClient,
            handshake(&[
                message(2, 1, &server_hello(0xfefd, PSK_CCM_8, &[(23, b""), (54, &[0])])),
                message(12, 2, &vector(2, b"hint")),
                message(14, 3, b""),
            ]),
        ),
        (
            ToServer,
            [
                handshake(&[message(16, 2, &identity)]),
                dtls_record(CHANGE_CIPHER_SPEC, 0, 3, &[1]),
                dtls_record(HANDSHAKE, 1, 0, &[0xee; 40]),
            ]
            .concat(),
        ),
    ]
}

fn shown(flow: &[(Direction, Vec<u8>)]) -> Vec<String> {
    let mut bench = bench();
    for (direction, bytes) in flow {
        assert!(bench.show(*direction, bytes));
    }
    bench.close();
    bench.lines.0
}

#[test]
fn a_pre_shared_key_that_is_accepted() {
    let mut flow = psk_flow();
    flow.push((ToClient, [dtls_record(CHANGE_CIPHER_SPEC, 0, 4, &[1]), dtls_record(HANDSHAKE, 1, 0, &[0xee; 40])].concat()));
    flow.push((ToServer, dtls_record(APPLICATION_DATA, 1, 1, &[0xee; 30])));
    let lines = shown(&flow);
    assert!(lines[0].contains("\"versions\":[\"DTLS 1.2\"],\"cipher_suites\":[\"TLS_PSK_WITH_AES_128_CCM_8\"]"), "{}", lines[0]);
    assert!(lines[0].contains("\"connection_id\":\"0102\""), "{}", lines[0]);
    assert_eq!(lines[1], "< dtls.server_hello {\"message\":\"hello_verify_request\",\"cookie_length\":4}");
    assert!(lines[2].contains("\"cookie_length\":4") && !lines[2].contains("+peer"), "{}", lines[2]);
    assert!(lines[3].contains("+security(ip:10.0.0.2 Cipher=TLS_PSK_WITH_AES_128_CCM_8)"), "{}", lines[3]);
    assert!(lines[4].starts_with("< dtls.key_exchange {\"of\":\"server\",\"psk_identity\":\"hint\""), "{}", lines[4]);
    assert!(
        lines[5].starts_with(
            "> dtls.key_exchange {\"of\":\"client\",\"psk_identity\":\"Client_identity\",\"psk_identity_length\":15"
        ),
        "{}",
        lines[5]
    );
    assert!(lines[5].contains("PskIdentity user:Some(15) secret:None Unknown clear:true"), "{}", lines[5]);
    // The transcript is that of the messages from the second ClientHello to the ClientKeyExchange, as if none was fragmented.
    let transcript: Vec<u8> = [&flow[2].1, &flow[3].1, &flow[4].1]
        .iter()
        .flat_map(|datagram| {
            let mut reader = Reader::new(datagram);
            let mut messages = Vec::new();
            while let Some(record) = wire::record(&mut reader, 0) {
                if record.kind == Some(HANDSHAKE) && !record.is_encrypted() {
                    messages.extend_from_slice(record.body);
                }
            }
            messages
        })
        .collect();
    let mut digest = String::new();
    crate::observation::record::push_hex(&Sha256::digest(&transcript), &mut digest);
    assert_eq!(
        lines[6],
        format!(
            "> dtls.finished {{\"transcript_sha256\":\"{digest}\",\"record_number\":281474976710656,\"ciphertext\":\"{}\"}}",
            "ee".repeat(40)
        )
    );
    assert!(lines[7].contains("PskIdentity user:Some(15) secret:None Accepted"), "{}", lines[7]);
    assert_eq!(
        lines[8],
        "> dtls.summary {\"records_to_server\":2,\"records_to_client\":1,\"bytes_to_server\":70,\"bytes_to_client\":40,\"handshake_seen\":true}"
    );
}

#[test]
fn a_pre_shared_key_that_is_refused() {
    let mut flow = psk_flow();
    flow.push((ToClient, dtls_record(ALERT, 0, 4, &[2, 115])));
    let lines = shown(&flow);
    assert!(lines[7].contains("\"description\":\"unknown_psk_identity\""), "{}", lines[7]);
    assert!(lines[8].contains("secret:None Refused"), "{}", lines[8]);
}

#[test]
fn messages_sent_again_and_a_second_handshake() {
    let mut flow = psk_flow();
    let again = flow[2].clone();
    flow.insert(3, again);
    assert_eq!(shown(&flow).iter().filter(|line| line.contains("dtls.client_hello")).count(), 2);
    let other = client_hello(0xfefd, 8, Some(b""), &[PSK_CCM_8], &[]);
    flow.push((ToServer, handshake(&[message(1, 0, &other)])));
    assert_eq!(shown(&flow).iter().filter(|line| line.contains("dtls.client_hello")).count(), 3);
}

#[test]
fn a_handshake_with_a_message_missing_proves_nothing() {
    let finished = |flow: &[(Direction, Vec<u8>)]| shown(flow).iter().any(|line| line.contains("dtls.finished"));
    let whole = psk_flow();
    assert!(finished(&whole));
    let [hello, hint, done] = [
        message(2, 1, &server_hello(0xfefd, PSK_CCM_8, &[(23, b""), (54, &[0])])),
        message(12, 2, &vector(2, b"hint")),
        message(14, 3, b""),
    ];
    for (flight, proves) in [
        (vec![&hello, &hint, &done], true),
        (vec![&hello, &done], false),
        (vec![&hello, &done, &hint], false),
        (vec![&hello, &hint, &hint, &done], true),
    ] {
        let mut flow = whole.clone();
        flow[3].1 = handshake(&flight.into_iter().cloned().collect::<Vec<_>>());
        assert_eq!(finished(&flow), proves);
    }
}

#[test]
fn a_certificate_in_fragments() {
    let body = certificate();
    let flow = [
        (ToClient, handshake(&[message(2, 0, &server_hello(0xfefd, 0xc0ae, &[]))])),
        (ToClient, handshake(&[fragment(11, 1, &body, 0, 300)])),
        (ToClient, handshake(&[fragment(11, 1, &body, 200, 300)])),
        (ToClient, handshake(&[fragment(11, 1, &body, 500, body.len() - 500)])),
    ];
    let lines = shown(&flow);
    assert!(lines[1].starts_with("< dtls.certificate {\"of\":\"server\",\"spki_sha256\":\"e129614b"), "{}", lines[1]);
    assert!(lines[1].contains("+certificate(ip:10.0.0.2 O=Acme, CN=meter-7 by O=Acme, CN=meter-7)"), "{}", lines[1]);
}

#[test]
fn a_raw_public_key() {
    let flow = [(
        ToClient,
        handshake(&[message(2, 0, &server_hello(0xfefd, 0xc0ae, &[(20, &[2])])), message(11, 1, &raw_public_key())]),
    )];
    let lines = shown(&flow);
    assert!(
        lines[1].contains("\"raw_public_key\":true,\"spki_sha256\":\"e129614b") && lines[1].contains("Mode=rpk"),
        "{}",
        lines[1]
    );
}

#[test]
fn version_1_3_with_connection_identifiers() {
    let hello = client_hello(0xfefd, 7, Some(b""), &[0x1301], &[(43, &[4, 0xfe, 0xfc, 0xfe, 0xfd]), (54, &[1, 5])]);
    let identity = [vector(2, &[vector(2, b"device-1"), vec![0; 4]].concat()), vector(2, &vector(1, &[0; 32]))].concat();
    let with_key = client_hello(0xfefd, 8, Some(b""), &[0x1301], &[(43, &[2, 0xfe, 0xfc]), (41, &identity)]);
    let flow = [
        (ToServer, handshake(&[message(1, 0, &hello)])),
        (ToClient, handshake(&[message(2, 0, &server_hello(0xfefd, 0x1301, &[(43, &[0xfe, 0xfc]), (54, &[2, 6, 6])]))])),
        (ToClient, vec![0x3e, 5, 0, 0, 0, 3, 1, 2, 3]),
        (ToServer, vec![0x3a, 6, 6, 0, 0, 1, 2, 3, 4]),
        (ToServer, handshake(&[message(1, 0, &with_key)])),
    ];
    let lines = shown(&flow);
    assert!(lines[0].contains("\"versions\":[\"DTLS 1.3\",\"DTLS 1.2\"]"), "{}", lines[0]);
    assert!(lines[1].contains("\"version\":\"DTLS 1.3\",\"cipher_suite\":\"TLS_AES_128_GCM_SHA256\""), "{}", lines[1]);
    assert!(
        lines[2].contains("\"psk_identities\":[\"device-1\"]") && lines[2].contains("PskIdentity user:Some(8)"),
        "{}",
        lines[2]
    );
    assert!(lines[3].contains("\"bytes_to_server\":4,\"bytes_to_client\":3"), "{}", lines[3]);
}

#[test]
fn protected_records_with_a_connection_identifier() {
    let mut flow = psk_flow();
    let mut cid = dtls_record(TLS12_CID, 1, 1, b"");
    cid.truncate(11);
    flow.push((ToClient, [cid, vec![1, 2, 0, 3, 9, 9, 9]].concat()));
    assert!(shown(&flow).last().unwrap().contains("\"records_to_client\":1,\"bytes_to_server\":40,\"bytes_to_client\":3"));
}

#[test]
fn what_departs_is_named() {
    let mut bench = bench();
    bench.show(ToClient, &[1, 2, 3]);
    bench.show(ToClient, &handshake(&[fragment(11, 1, &[0; 50], 0, 10)]));
    bench.show(ToClient, &handshake(&[fragment(11, 1, &[0; 60], 10, 10)]));
    assert_eq!(bench.lines.0, ["<  !dtls.malformed", "<  !dtls.fragment_mismatch"]);
    for _ in 0..FOREIGN - 1 {
        assert!(bench.show(ToClient, &[1, 2, 3]));
    }
    assert!(!bench.show(ToClient, &[1, 2, 3]));
}

#[test]
fn fragments_beyond_the_bounds_are_counted() {
    let mut bench = bench();
    for seq in 0..PARTIAL_MESSAGES as u8 + 1 {
        bench.show(ToClient, &handshake(&[fragment(11, seq + 1, &[0; 50], 0, 10)]));
    }
    bench.show(ToClient, &handshake(&[fragment(11, 1, &[0; 50], 30, 10)]));
    bench.show(ToServer, &handshake(&[fragment(11, 1, &vec![0; HANDSHAKE_BYTES + 1], 0, 10)]));
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 3);
}

#[test]
fn what_the_probe_says() {
    let ask =
        |bytes: &[u8]| probe(&ProbeInput { bytes, direction: ToServer, channel: Channel::Datagram, port_hint: false, hint: "" });
    let flow = psk_flow();
    assert_eq!(ask(&flow[0].1), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&flow[1].1), Probe::Strong(Some(ToClient)));
    assert_eq!(ask(&flow[4].1), Probe::Strong(None));
    let mut longer = flow[0].1.clone();
    longer.push(0);
    assert_eq!((ask(&longer), ask(b""), ask(&[0x3e, 1, 2, 0, 1, 9])), (Probe::No, Probe::No, Probe::No));
}

proptest! {
    #[test]
    fn random_records_never_panic(records in proptest::collection::vec((any::<bool>(), 19_u8..64, 0_u16..2, proptest::collection::vec(any::<u8>(), 0..100)), 0..10)) {
        let mut bench = bench();
        for (to_server, kind, epoch, body) in records {
            bench.show(if to_server { ToServer } else { ToClient }, &dtls_record(kind, epoch, 0, &body));
        }
        bench.close();
    }

    #[test]
    fn random_messages_never_panic(kind in prop::sample::select(vec![1_u8, 2, 3, 11, 12, 16]), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bench = bench();
        bench.show(ToServer, &handshake(&[message(kind, 0, &body)]));
        bench.show(ToClient, &handshake(&[message(kind, 0, &body)]));
        bench.close();
    }
}
