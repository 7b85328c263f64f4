use super::*;
use crate::flow::{Direction, Direction::*, Endpoint, Transport};
use crate::testing::Bench;
use proptest::prelude::*;

/// Request for 10.0.0.2 from 10.0.0.1 at 02:00:00:00:00:0a.
const REQUEST: [u8; 28] = [
    0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
    2, 0, 0, 0, 0, 0x0a, 10, 0, 0, 1, // sender
    0, 0, 0, 0, 0, 0, 10, 0, 0, 2, // target
];
/// Its reply from 02:00:00:00:00:0b.
const REPLY: [u8; 28] = [
    0, 1, 8, 0, 6, 4, 0, 2, // Ethernet, IPv4, reply
    2, 0, 0, 0, 0, 0x0b, 10, 0, 0, 2, // sender
    2, 0, 0, 0, 0, 0x0a, 10, 0, 0, 1, // target
];

fn bench() -> Bench {
    let end = |last| Endpoint { ip: [10, 0, 0, last].into(), port: 0 };
    Bench::new(&SPEC, Transport::Link, 0).between(end(1), end(2), [Some([2, 0, 0, 0, 0, 0x0a]), None])
}

fn lines(packets: &[(Direction, &[u8])]) -> Vec<String> {
    let mut bench = bench();
    for (direction, packet) in packets {
        assert!(bench.show(*direction, packet));
    }
    bench.lines.0
}

fn altered(packet: [u8; 28], changes: &[(usize, u8)]) -> [u8; 28] {
    let mut packet = packet;
    for (at, value) in changes {
        packet[*at] = *value;
    }
    packet
}

#[test]
fn request_and_reply_say_who_has_which_address_once() {
    let lines = lines(&[(ToServer, &REQUEST), (ToClient, &REPLY), (ToServer, &REQUEST), (ToClient, &REPLY)]);
    assert_eq!(
        lines[0],
        "> arp.packet {\"operation\":1,\"operation_name\":\"request\",\"hardware_type\":1,\"protocol_type\":2048,\
         \"sender_mac\":\"02000000000a\",\"sender_ip\":\"10.0.0.1\",\"target_mac\":\"000000000000\",\"target_ip\":\"10.0.0.2\",\
         \"probe\":false,\"announcement\":false} +identity(ip:10.0.0.1 Sent) +same(mac:02000000000a = ip:10.0.0.1: ARP)"
    );
    assert!(lines[1].ends_with("+identity(ip:10.0.0.2 Proved) +same(mac:02000000000b = ip:10.0.0.2: ARP)"), "{}", lines[1]);
    assert!(!lines[2].contains('+') && !lines[3].contains('+'), "{lines:?}");
}

#[test]
fn a_probe_says_nothing_of_its_sender() {
    let lines = lines(&[(ToServer, &altered(REQUEST, &[(14, 0), (17, 0)]))]);
    assert!(lines[0].contains("\"probe\":true") && lines[0].ends_with('}'), "{lines:?}");
}

#[test]
fn an_announcement_is_told_as_such() {
    let lines = lines(&[(ToServer, &altered(REQUEST, &[(27, 1)]))]);
    assert!(lines[0].contains("\"announcement\":true} +identity(ip:10.0.0.1 Sent) +same("), "{lines:?}");
}

#[test]
fn somebody_speaks_for_another() {
    let lines = lines(&[(ToServer, &altered(REQUEST, &[(13, 0x0c)]))]);
    assert!(lines[0].ends_with("!arp.mac_mismatch"), "{lines:?}");
}

#[test]
fn an_address_moves() {
    let lines = lines(&[(ToClient, &REPLY), (ToClient, &altered(REPLY, &[(13, 0x0c)]))]);
    assert!(lines[1].ends_with("+same(mac:02000000000c = ip:10.0.0.2: ARP) !arp.address_moved"), "{lines:?}");
}

#[test]
fn a_group_address_is_no_sender() {
    let lines = lines(&[(ToClient, &altered(REPLY, &[(8, 3)]))]);
    assert!(lines[0].ends_with("} !arp.sender_not_a_device"), "{lines:?}");
}

#[test]
fn an_unknown_operation_keeps_its_number() {
    let lines = lines(&[(ToServer, &altered(REQUEST, &[(6, 1)]))]);
    assert!(
        lines[0].contains("\"operation\":257,\"hardware_type\"") && lines[0].ends_with("} !arp.unknown_operation"),
        "{lines:?}"
    );
}

#[test]
fn a_packet_cut_anywhere_is_told_as_far_as_it_goes() {
    for length in 1..28 {
        let lines = lines(&[(ToServer, &REQUEST[..length])]);
        assert!(lines[0].ends_with("!arp.truncated"), "{length}: {lines:?}");
        assert_eq!(lines[0].contains("sender_ip"), length >= 18, "{length}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..4)) {
        let mut bench = bench();
        for packet in &packets {
            fuzz(packet);
            bench.show(ToServer, packet);
        }
    }
}
