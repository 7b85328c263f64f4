use super::*;
use crate::keys::testing::{answers, events, heard};
use citytap_sensor::observation::KindId;
use std::net::{IpAddr, Ipv4Addr};

const PLAIN: &str = "coap/dtls_psk_plain_suite";
const OTHERS: &str = "coap/dtls_psk_other_suites";

/// The events of one session of a recording, by the server's port.
fn session(case: &str, port: u16) -> Vec<Event> {
    let mut events = events(case);
    events.retain(|event| event.sender.port == port || event.receiver.port == port);
    assert!(!events.is_empty());
    events
}

fn judge(keys: &mut DtlsKeys, events: &[Event]) -> Vec<String> {
    events.iter().for_each(|event| keys.observe(event));
    keys.work(Timestamp(0), true);
    answers(heard(|take| keys.verdicts(take)))
}

fn judged(events: &[Event]) -> Vec<String> {
    judge(&mut DtlsKeys::default(), events)
}

fn is(event: &Event, interest: &Interest) -> bool {
    event.kind == KindId::of(interest.kind)
}

const CLEAR: &str = "10.30.0.100 clear its pre-shared key is on none of our lists (1 handshake tried)";
const CONTIKI: &str = "10.30.0.100 found coap-default: tinydtls and Contiki er-coap-dtls examples x1";
const NORDIC: &str = "10.30.0.100 found coap-default: Nordic nRF Connect SDK LwM2M client sample x1";

#[test]
fn a_published_key_is_found_with_its_identity_and_with_any() {
    assert_eq!(judged(&session(PLAIN, 5684)), [CONTIKI]);
    assert_eq!(judged(&session(PLAIN, 6684)), [NORDIC]);
    assert_eq!(judged(&session(PLAIN, 7684)), [CLEAR]);
    assert_eq!(judged(&events(PLAIN)), [CONTIKI, NORDIC]);
}

#[test]
fn the_row_of_the_identity_is_named_else_the_one_for_any() {
    let mut events = session(PLAIN, 5684);
    let exchange = events.iter_mut().find(|event| is(event, &KEY_EXCHANGE)).unwrap();
    exchange.fields[2] = OwnedValue::Text("lamp-1".into());
    assert_eq!(judged(&events), ["10.30.0.100 found coap-default: libcoap Kconfig sample x1"]);
}

#[test]
fn every_suite_that_is_tried() {
    for port in (5684..=10_684).step_by(1_000) {
        assert_eq!(judged(&session(OTHERS, port)), [NORDIC], "port {port}");
    }
    assert_eq!(judged(&session(OTHERS, 11_684)), [format!("10.30.0.100 untested {}", checks::OTHER_SUITE)]);
}

#[test]
fn a_handshake_that_differs_by_a_bit_never_matches() {
    for (case, port) in [(PLAIN, 5684), (OTHERS, 5684), (OTHERS, 7684), (OTHERS, 8684)] {
        let events = session(case, port);
        let (at, finished) = events.iter().enumerate().find(|(_, event)| is(event, &FINISHED)).unwrap();
        let length = finished.fields[0].bytes().unwrap().len();
        // Before the last block of CBC stands padding, which its code does not cover; a wrong byte there moves the code.
        for byte in 0..length {
            let mut events = events.clone();
            let mut bytes = finished.fields[0].bytes().unwrap().to_vec();
            bytes[byte] ^= 1;
            events[at].fields[0] = OwnedValue::Bytes(bytes.into());
            assert_eq!(judged(&events), [CLEAR], "{case} {port}: byte {byte}");
        }
        for length in 0..length {
            let mut events = events.clone();
            events[at].fields[0] = OwnedValue::Bytes(finished.fields[0].bytes().unwrap()[..length].into());
            assert_eq!(judged(&events), [CLEAR], "{case} {port}: {length} bytes");
        }
        for (interest, field) in [(&CLIENT_HELLO, 0), (&SERVER_HELLO, 0), (&FINISHED, 1)] {
            let mut events = events.clone();
            for event in events.iter_mut().filter(|event| is(event, interest)) {
                let mut bytes = event.fields[field].bytes().unwrap().to_vec();
                bytes[0] ^= 1;
                event.fields[field] = OwnedValue::Bytes(bytes.into());
            }
            assert_eq!(judged(&events), [CLEAR], "{case} {port}: {}", interest.kind);
        }
    }
}

#[test]
fn other_keys_never_match() {
    let others: Vec<Vec<u8>> = (1..=64).map(|length| vec![0x5a; length]).collect();
    let others: &'static [Vec<u8>] = Vec::leak(others);
    for (case, port) in [(PLAIN, 5684), (PLAIN, 6684), (OTHERS, 5684), (OTHERS, 7684), (OTHERS, 9684)] {
        let mut keys = DtlsKeys { keys: others.iter().map(Vec::as_slice).collect(), ..DtlsKeys::default() };
        assert_eq!(judge(&mut keys, &session(case, port)), [CLEAR]);
    }
}

#[test]
fn what_cannot_be_tested_says_why() {
    let untested = |why: &str| vec![format!("10.30.0.100 untested {why}")];
    let without = |interest: &Interest| {
        let mut events = session(PLAIN, 5684);
        events.retain(|event| !is(event, interest) && !is(event, &SUMMARY));
        judged(&events)
    };
    assert_eq!(without(&CLIENT_HELLO), untested(checks::NO_HELLO));
    assert_eq!(without(&SERVER_HELLO), untested(checks::NO_HELLO));
    assert_eq!(without(&KEY_EXCHANGE), untested(checks::RESUMED));
    assert_eq!(without(&FINISHED), untested(checks::NO_FINISHED));

    let with_chosen = |field: usize, value: OwnedValue| {
        let mut events = session(PLAIN, 5684);
        events.iter_mut().find(|event| is(event, &SERVER_HELLO)).unwrap().fields[field] = value;
        judged(&events)
    };
    assert_eq!(with_chosen(2, OwnedValue::Text("DTLS 1.0".into())), untested(checks::VERSION_1_0));
    assert_eq!(with_chosen(3, OwnedValue::Text("TLS_PSK_WITH_ARIA_128_GCM_SHA256".into())), untested(checks::OTHER_SUITE));
    assert_eq!(with_chosen(3, OwnedValue::Text("TLS_PSK_DHE_WITH_AES_128_CCM_8".into())), untested(checks::SECOND_SECRET));
    assert_eq!(with_chosen(5, OwnedValue::Bytes(Box::new([7]))), untested(checks::CONNECTION_ID));
    assert_eq!(with_chosen(5, OwnedValue::Bytes(Box::new([]))), [CONTIKI]);

    for case in ["dtls_psk_known_identity", "dtls_psk_unlisted", "dtls_psk_refused"] {
        assert_eq!(judged(&events(&format!("coap/{case}"))), untested(checks::SECOND_SECRET));
    }
    // Certificates are no matter of this check.
    assert!(judged(&events("coap/dtls_certificate")).is_empty());
    assert!(judged(&events("coap/dtls_1_3")).is_empty());
}

#[test]
fn version_1_3_and_sessions_that_were_running() {
    let mut events = session(PLAIN, 5684);
    for event in &mut events {
        if is(event, &CLIENT_HELLO) {
            event.fields[1] = OwnedValue::Texts(Box::new(["lamp-1".into()]));
        } else if is(event, &SERVER_HELLO) {
            event.fields[2] = OwnedValue::Text("DTLS 1.3".into());
            event.fields[4] = OwnedValue::Texts(Box::new(["pre_shared_key".into()]));
        }
    }
    events.retain(|event| is(event, &CLIENT_HELLO) || is(event, &SERVER_HELLO));
    assert_eq!(judged(&events), [format!("10.30.0.100 untested {}", checks::VERSION_1_3)]);

    let mut running = session(PLAIN, 5684);
    running.retain(|event| is(event, &SUMMARY));
    running[0].fields[0] = OwnedValue::Bool(false);
    assert_eq!(judged(&running), [format!("10.30.0.100 otherwise {}", checks::RUNNING)]);
}

#[test]
fn handshakes_beyond_the_bound_are_counted_and_old_ones_given_up() {
    let mut keys = DtlsKeys::default();
    let hello = session(PLAIN, 5684).swap_remove(0);
    assert!(is(&hello, &CLIENT_HELLO));
    let greet = |keys: &mut DtlsKeys, number: u32, time| {
        let mut event = hello.clone();
        (event.sender.ip, event.seen.time) = (IpAddr::V4(Ipv4Addr::from(number)), time);
        keys.observe(&event);
    };
    (0..HANDSHAKES as u32 + 3).for_each(|number| greet(&mut keys, number, Timestamp(SECOND)));
    assert_eq!((keys.handshakes.len(), keys.shed()[2]), (HANDSHAKES, ("dtls_handshakes_not_kept", 3)));
    // A second hello of the same handshake takes no more room.
    greet(&mut keys, 0, Timestamp(SECOND));
    assert_eq!(keys.shed()[2].1, 3);
    keys.work(Timestamp(PATIENCE), false);
    assert_eq!(keys.handshakes.len(), HANDSHAKES);
    keys.work(Timestamp(PATIENCE + 20 * SECOND), false);
    assert!(keys.handshakes.is_empty() && heard(|take| keys.verdicts(take)).is_empty());
}
