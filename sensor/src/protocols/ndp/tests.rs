use super::*;
use crate::flow::{Direction, Direction::*, Endpoint, Transport};
use crate::testing::Bench;
use proptest::prelude::*;

/// Solicitation for fe80::2 from fe80::1 at 02:00:00:00:00:0a.
const SOLICITATION: [u8; 32] = [
    135, 0, 0, 0, 0, 0, 0, 0, // type, code, checksum, reserved
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // target
    1, 1, 2, 0, 0, 0, 0, 0x0a, // source link-layer address
];
/// Its answer from 02:00:00:00:00:0b: solicited, override.
const ADVERTISEMENT: [u8; 32] = [
    136, 0, 0, 0, 0x60, 0, 0, 0, // type, code, checksum, flags
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // target
    2, 1, 2, 0, 0, 0, 0, 0x0b, // target link-layer address
];
/// A router's advertisement with its address, an MTU, a prefix, a name server and an option that is not known.
const ROUTER: [u8; 96] = [
    134, 0, 0, 0, 64, 0xc0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, // hop limit, M and O, lifetime 1800 s, timers
    1, 1, 2, 0, 0, 0, 0, 1, // source link-layer address
    5, 1, 0, 0, 0, 0, 5, 0xdc, // MTU 1500
    3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 7, 8, 0, 0, 0, 0, // prefix information
    0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 2001:db8::
    25, 3, 0, 0, 0, 0, 7, 8, // name servers
    0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53, // 2001:db8::53
    24, 1, 0, 0, 0, 0, 0, 0, // route information
];

fn bench(client: &str) -> Bench {
    let end = |ip: &str| Endpoint { ip: ip.parse().unwrap(), port: 0 };
    Bench::new(&SPEC, Transport::Icmpv6, 0).between(end(client), end("fe80::2"), [None, None])
}

fn lines_from(client: &str, packets: &[(Direction, &[u8])]) -> Vec<String> {
    let mut bench = bench(client);
    for (direction, packet) in packets {
        assert!(bench.show(*direction, packet));
    }
    bench.lines.0
}

fn altered<const N: usize>(packet: [u8; N], changes: &[(usize, u8)]) -> [u8; N] {
    let mut packet = packet;
    for (at, value) in changes {
        packet[*at] = *value;
    }
    packet
}

#[test]
fn solicitation_and_answer_say_who_has_which_address_once() {
    let exchange: [(Direction, &[u8]); 2] = [(ToServer, &SOLICITATION), (ToClient, &ADVERTISEMENT)];
    let lines = lines_from("fe80::1", &[exchange, exchange].concat());
    assert_eq!(
        lines[0],
        "> ndp.message {\"message_type\":135,\"message_name\":\"neighbor_solicitation\",\"code\":0,\"source\":\"fe80::1\",\
         \"target\":\"fe80::2\",\"source_mac\":\"02000000000a\"} +identity(ip:fe80::1 Sent) +same(mac:02000000000a = ip:fe80::1: NDP)"
    );
    assert_eq!(
        lines[1],
        "< ndp.message {\"message_type\":136,\"message_name\":\"neighbor_advertisement\",\"code\":0,\"source\":\"fe80::2\",\
         \"target\":\"fe80::2\",\"target_mac\":\"02000000000b\",\"router\":false,\"solicited\":true,\"override_flag\":true} \
         +identity(ip:fe80::2 Proved) +same(mac:02000000000b = ip:fe80::2: NDP)"
    );
    assert!(!lines[2].contains('+') && !lines[3].contains('+'), "{lines:?}");
}

#[test]
fn duplicate_address_detection_says_nothing_of_its_sender() {
    let lines = lines_from("::", &[(ToServer, &SOLICITATION[..24])]);
    assert!(lines[0].ends_with("\"target\":\"fe80::2\"}"), "{lines:?}");
}

#[test]
fn a_router_shows_itself() {
    let lines = lines_from("fe80::1", &[(ToServer, &ROUTER), (ToServer, &ROUTER)]);
    assert_eq!(
        lines[0],
        "> ndp.message {\"message_type\":134,\"message_name\":\"router_advertisement\",\"code\":0,\"source\":\"fe80::1\",\
         \"source_mac\":\"020000000001\",\"hop_limit\":64,\"managed\":true,\"other_configuration\":true,\"router_lifetime\":1800,\"mtu\":1500,\
         \"prefixes\":[{\"prefix\":\"2001:db8::\",\"length\":64,\"on_link\":true,\"autonomous\":true,\"valid_lifetime\":3600,\
         \"preferred_lifetime\":1800}],\"name_servers\":[\"2001:db8::53\"],\"other_options\":[24]} \
         +identity(ip:fe80::1 Sent) +same(mac:020000000001 = ip:fe80::1: NDP) +role(ip:fe80::1 Router)"
    );
    assert!(!lines[1].contains('+'), "{lines:?}");
}

#[test]
fn an_advertisement_with_the_router_flag_makes_a_router() {
    let lines = lines_from("fe80::1", &[(ToClient, &altered(ADVERTISEMENT, &[(4, 0x80)]))]);
    assert!(lines[0].ends_with("+role(ip:fe80::2 Router)"), "{lines:?}");
}

#[test]
fn a_redirect_tells_of_another() {
    let destination = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let redirect = [&[137, 0, 0, 0, 0, 0, 0, 0][..], &ADVERTISEMENT[8..24], &destination, &ADVERTISEMENT[24..]].concat();
    let lines = lines_from("fe80::1", &[(ToServer, &redirect)]);
    assert!(lines[0].contains("\"target\":\"fe80::2\",\"destination\":\"2001:db8::9\""), "{lines:?}");
    assert!(
        lines[0].ends_with("+identity(ip:fe80::2 Mentioned) +same(mac:02000000000b = ip:fe80::2: NDP redirect)"),
        "{lines:?}"
    );
}

#[test]
fn other_messages_are_passed_over() {
    assert!(lines_from("fe80::1", &[(ToServer, &[128, 0, 0, 0, 0, 1, 0, 1])]).is_empty());
}

#[test]
fn departures_are_told() {
    let solicit = |changes: &[(usize, u8)]| altered(SOLICITATION, changes).to_vec();
    for (client, packet, anomaly) in [
        ("fe80::1", solicit(&[(1, 1)]), "!ndp.code_not_zero"),
        ("fe80::1", solicit(&[(25, 0)]), "!ndp.option_length_zero"),
        ("fe80::1", solicit(&[(8, 0xff)]), "!ndp.target_multicast"),
        ("::", solicit(&[]), "!ndp.source_without_address"),
        ("2001:db8::1", ROUTER.to_vec(), "!ndp.source_not_link_local"),
        ("fe80::1", SOLICITATION[..31].to_vec(), "!ndp.truncated"),
        ("fe80::1", SOLICITATION[..20].to_vec(), "!ndp.truncated"),
    ] {
        let lines = lines_from(client, &[(ToServer, &packet)]);
        assert!(lines[0].ends_with(anomaly), "{lines:?}");
        assert_eq!(lines[0].matches('!').count(), 1, "{lines:?}");
    }
    let lines = lines_from("fe80::1", &[(ToClient, &ADVERTISEMENT), (ToClient, &altered(ADVERTISEMENT, &[(31, 0x0c)]))]);
    assert!(lines[1].ends_with("+same(mac:02000000000c = ip:fe80::2: NDP) !ndp.address_moved"), "{lines:?}");
}

#[test]
fn a_message_cut_anywhere_is_told_as_far_as_it_goes() {
    for length in 1..ROUTER.len() {
        let lines = lines_from("fe80::1", &[(ToServer, &ROUTER[..length])]);
        let between_options = [16, 24, 32, 64, 88].contains(&length);
        assert_eq!(lines[0].contains("!ndp.truncated"), !between_options, "{length}: {lines:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(head in 133u8..138, packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..4)) {
        let mut bench = bench("fe80::1");
        for packet in packets {
            let packet = [&[head][..], &packet].concat();
            fuzz(&packet);
            bench.show(ToServer, &packet);
        }
    }
}
