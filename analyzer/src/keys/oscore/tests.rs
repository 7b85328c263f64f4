use super::context::{Master, additional_data, nonce, opens};
use super::*;
use crate::hot::owned::Seen;
use crate::keys::ledger::SUBJECTS;
use crate::keys::testing::{answers, events, heard};
use aes::Aes128;
use ccm::Ccm;
use ccm::aead::consts::{U8, U13};
use ccm::aead::{Aead, KeyInit, Nonce, Payload};
use citytap_sensor::flow::{Direction, Endpoint};
use citytap_sensor::observation::Place;
use citytap_sensor::time::Timestamp;
use std::net::Ipv4Addr;

type Aes = Ccm<Aes128, U8, U13>;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

const SECRET: &str = "0102030405060708090a0b0c0d0e0f10";
const SALT: &str = "9e7ca92223786340";
const CONTEXT: &str = "37cbf3210017a2d3";

fn ip(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(number))
}

const CLIENT: u32 = 0x0a00_0001;
const SERVER: u32 = 0x0a00_0002;

fn event(interest: &Interest, [from, to]: [u32; 2], fields: &[Option<&str>]) -> Event {
    let value = |field: &Option<&str>| field.map_or(OwnedValue::Absent, |text| OwnedValue::Bytes(hex(text).into()));
    let head = [OwnedValue::Bool(true), OwnedValue::Absent];
    Event {
        stages: 1,
        seen: Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp(0) },
        network: 0,
        sender: Endpoint { ip: ip(from), port: 5683 },
        receiver: Endpoint { ip: ip(to), port: 5683 },
        direction: Direction::ToServer,
        kind: interest.kind_id(),
        fields: head.into_iter().chain(fields.iter().map(value)).collect(),
    }
}

/// Ciphertext, kid, Partial IV, kid context.
fn request(fields: [Option<&str>; 4]) -> Event {
    event(&OscoreKeys::INTERESTS[0], [CLIENT, SERVER], &fields)
}

/// Ciphertext, kid, Partial IV, the request's kid, the request's Partial IV.
fn response(fields: [Option<&str>; 5]) -> Event {
    event(&OscoreKeys::INTERESTS[1], [SERVER, CLIENT], &fields)
}

fn judged(events: &[Event]) -> Vec<String> {
    let mut keys = OscoreKeys::default();
    events.iter().for_each(|event| keys.observe(event));
    answers(heard(|take| keys.verdicts(take)))
}

#[test]
fn keys_of_the_specification() {
    // RFC 8613 appendix C.1.1, C.2.1, C.3.1: sender key, recipient key, common IV.
    for (salt, context, [sender, recipient], keys) in [
        (
            SALT,
            None,
            ["", "01"],
            ["f0910ed7295e6ad4b54fc793154302ff", "ffb14e093c94c9cac9471648b4f98710", "4622d4dd6d944168eefb54987c"],
        ),
        (
            "",
            None,
            ["00", "01"],
            ["321b26943253c7ffb6003b0b64d74041", "e57b5635815177cd679ab4bcec9d7dda", "be35ae297d2dace910c52e99f9"],
        ),
        (
            SALT,
            Some(CONTEXT),
            ["", "01"],
            ["af2a1300a5e95788b356336eeecd2b92", "e39a0c7c77b43f03b4b39ab9a268699f", "2ca58fb85ff1b81c0b7181b85e"],
        ),
    ] {
        let master = Master::new(&hex(SECRET), &hex(salt));
        let context = context.map(hex);
        let made = [
            master.sender_key(&hex(sender), context.as_deref()).to_vec(),
            master.sender_key(&hex(recipient), context.as_deref()).to_vec(),
            master.common_iv(context.as_deref()).to_vec(),
        ];
        assert_eq!(made, keys.map(hex));
    }
}

#[test]
fn nonce_and_additional_data_of_the_specification() {
    // RFC 8613 appendix C.4; the additional data also §5.4.
    let iv: [u8; 13] = hex("4622d4dd6d944168eefb54987c").try_into().unwrap();
    assert_eq!(nonce(&iv, &[], &[0x14]), hex("4622d4dd6d944168eefb549868").try_into().ok());
    assert_eq!(nonce(&iv, &[1], &[]), hex("4722d4dd6d944169eefb54987c").try_into().ok());
    assert_eq!((nonce(&iv, &[0; 8], &[]), nonce(&iv, &[], &[0; 6])), (None, None));
    assert_eq!(additional_data(&[], &[0x14]), hex("8368456e63727970743040488501810a40411440"));
    assert_eq!(additional_data(&[0], &[0x25]), hex("8368456e63727970743040498501810a4100412540"));
}

const REQUEST: [Option<&str>; 4] = [Some("612f1092f1776f1c1668b3825e"), Some(""), Some("14"), None];
const RESPONSE: [Option<&str>; 5] = [Some("dbaad1e9a7e7b2a813d3c31524378303cdafae119106"), None, None, Some(""), Some("14")];

#[test]
fn messages_of_the_specification_are_found() {
    // RFC 8613 appendix C.4 to C.8.
    let first = "found RFC 8613 test vectors 1 and 4, client; copied into many implementations: oscore-rfc8613 x1";
    assert_eq!(judged(&[request(REQUEST)]), [format!("10.0.0.1 {first}")]);
    let second = [Some("4ed339a5a379b0b8bc731fffb0"), Some("00"), Some("14"), None];
    assert_eq!(judged(&[request(second)]), ["10.0.0.1 found RFC 8613 test vectors 2 and 5, client, no salt: oscore-rfc8613 x1"]);
    let third = [Some("72cd7273fd331ac45cffbe55c3"), Some(""), Some("14"), Some(CONTEXT)];
    assert_eq!(
        judged(&[request(third)]),
        ["10.0.0.1 found RFC 8613 test vectors 3 and 6, client, with id context: oscore-rfc8613 x1"]
    );
    let server = "10.0.0.2 found RFC 8613 test vectors 1 and 7, server: oscore-rfc8613 x1";
    assert_eq!(judged(&[response(RESPONSE)]), [server]);
    let numbered = [Some("4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"), None, Some("00"), Some(""), Some("14")];
    assert_eq!(judged(&[response(numbered)]), [server]);
    assert_eq!(judged(&[request(REQUEST), response(RESPONSE)]), [format!("10.0.0.1 {first}"), server.into()]);
}

#[test]
fn a_message_that_differs_by_a_bit_never_matches() {
    let clear = "clear no published OSCORE secret makes the tags of its messages (1 message tried)";
    for byte in 0..13 {
        for bit in [0, 7] {
            let mut event = request(REQUEST);
            let mut ciphertext = hex(REQUEST[0].unwrap());
            ciphertext[byte] ^= 1 << bit;
            event.fields[2] = OwnedValue::Bytes(ciphertext.into());
            assert_eq!(judged(&[event]), [format!("10.0.0.1 {clear}")]);
        }
    }
    let [ciphertext, kid, iv, context] = REQUEST;
    for fields in
        [[ciphertext, Some("02"), iv, context], [ciphertext, kid, Some("15"), context], [ciphertext, kid, Some("0014"), context]]
    {
        assert_eq!(judged(&[request(fields)]), [format!("10.0.0.1 {clear}")]);
    }
    let [ciphertext, _, _, kid, iv] = RESPONSE;
    for fields in [
        [ciphertext, None, Some("14"), kid, iv],
        [ciphertext, None, None, Some("00"), iv],
        [ciphertext, Some("02"), None, kid, iv],
    ] {
        assert_eq!(judged(&[response(fields)]), [format!("10.0.0.2 {clear}")]);
    }
}

fn sealed(master: &Master, [sender, numbered_by]: [&[u8]; 2], id_context: Option<&[u8]>, [kid, iv]: [&[u8]; 2]) -> String {
    let nonce = nonce(&master.common_iv(id_context), numbered_by, iv).unwrap();
    let (key, data) = (master.sender_key(sender, id_context), additional_data(kid, iv));
    let payload = Payload { msg: b"\x45\xff1", aad: &data };
    let sealed = Aes::new((&*key).into()).encrypt(&Nonce::<Aes>::from(nonce), payload).unwrap();
    assert!(opens(&key, &nonce, &data, &sealed));
    sealed.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_published_secret_is_found_under_other_ids_and_contexts() {
    let master = Master::new(&hex(SECRET), &hex(SALT));
    let asked = sealed(&master, [&[0xaa, 0xbb], &[0xaa, 0xbb]], Some(b"city"), [&[0xaa, 0xbb], &[7]]);
    let asked = request([Some(&asked), Some("aabb"), Some("07"), Some("63697479")]);
    let answered = |server: &[u8]| {
        let answer = sealed(&master, [server, &[0xaa, 0xbb]], Some(b"city"), [&[0xaa, 0xbb], &[7]]);
        response([Some(&answer), None, None, Some("aabb"), Some("07")])
    };
    let found = judged(&[asked.clone(), answered(&[0xcc])]);
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|answer| answer.contains(" found RFC 8613") && answer.ends_with(": oscore-rfc8613 x1")),
        "{found:?}"
    );
    // An ID of two bytes is not searched for.
    let found = judged(&[asked, answered(&[0xcc, 0xdd])]);
    assert_eq!(found[1], format!("10.0.0.2 untested {}", checks::NO_SENDER_ID));
    // Another secret is clear, whatever the names.
    let other = Master::new(&hex("b7f0339ad14c62e85a9107cd2e48f36b"), &hex(SALT));
    let asked = sealed(&other, [&[], &[]], None, [&[], &[7]]);
    assert!(judged(&[request([Some(&asked), Some(""), Some("07"), None])])[0].contains(" clear "));
}

#[test]
fn what_cannot_be_tested_says_why() {
    let [ciphertext, kid, iv, _] = REQUEST;
    let long = "00".repeat(CIPHERTEXT + 1);
    for (fields, why) in [
        ([None, kid, iv, None], checks::IN_PIECES),
        ([Some(&*long), kid, iv, None], checks::TOO_LONG),
        ([ciphertext, None, iv, None], checks::UNNAMED),
        ([ciphertext, kid, None, None], checks::UNNAMED),
        ([ciphertext, kid, Some(""), None], checks::UNNAMED),
        ([ciphertext, kid, Some("010203040506"), None], checks::UNNAMED),
        ([ciphertext, Some("0102030405060708"), iv, None], checks::UNNAMED),
    ] {
        assert_eq!(judged(&[request(fields)]), [format!("10.0.0.1 untested {why}")]);
    }
    let [ciphertext, ..] = RESPONSE;
    for (fields, why) in [
        ([ciphertext, None, None, None, None], checks::NO_REQUEST),
        ([None, None, None, Some(""), Some("14")], checks::IN_PIECES),
        ([ciphertext, None, Some("010203040506"), Some(""), Some("14")], checks::UNNAMED),
    ] {
        assert_eq!(judged(&[response(fields)]), [format!("10.0.0.2 untested {why}")]);
    }
    let mut again = request(REQUEST);
    again.fields[1] = OwnedValue::Bool(true);
    assert!(judged(&[again]).is_empty());
}

#[test]
fn recorded_messages() {
    for (case, role) in [("coap/oscore_rfc8613_vector", "1 and"), ("coap/oscore_rfc8613_vector_with_context", "3")] {
        let found = judged(&events(case));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|answer| answer.contains(" found RFC 8613 test vector") && answer.ends_with("x4")), "{found:?}");
        assert!(found.iter().all(|answer| answer.contains(role)), "{found:?}");
        assert!(found[0].starts_with("10.30.0.10 ") && found[0].contains("server"), "{found:?}");
        assert!(found[1].starts_with("10.30.0.100 ") && found[1].contains("client"), "{found:?}");
    }
    let clear = "clear no published OSCORE secret makes the tags of its messages (4 messages tried)";
    assert_eq!(judged(&events("coap/oscore_unlisted")), [format!("10.30.0.10 {clear}"), format!("10.30.0.100 {clear}")]);
    // Other CoAP traffic has no answer, and not even events.
    assert!(events("coap/every_method").is_empty());
}

#[test]
fn contexts_beyond_the_bound_are_counted() {
    let mut keys = OscoreKeys::default();
    for client in 0..CONTEXTS as u32 / 4 + 1 {
        for server in 0..4 {
            let mut event = request(REQUEST);
            (event.sender.ip, event.receiver.ip) = (ip(CLIENT + client), ip(server));
            keys.observe(&event);
        }
    }
    assert_eq!(keys.found.len(), CONTEXTS);
    assert_eq!(
        keys.shed(),
        [("oscore_devices_not_watched", 0), ("oscore_secrets_not_watched", 0), ("oscore_contexts_not_kept", 4)]
    );
    for client in 0..SUBJECTS as u32 {
        let mut event = request([None, REQUEST[1], REQUEST[2], None]);
        event.sender.ip = ip(CLIENT + client);
        keys.observe(&event);
    }
    let mut event = request(REQUEST);
    event.sender.ip = ip(1);
    keys.observe(&event);
    assert_eq!(keys.shed()[0], ("oscore_devices_not_watched", 1));
}
