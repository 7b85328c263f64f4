use super::*;
use crate::flow::{Direction, Direction::*, Endpoint, Transport};
use crate::testing::Bench;
use proptest::prelude::*;

/// Client identifier: a DUID of the MAC address 02:00:00:00:00:0a.
const CLIENT: &[u8] = &[0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 0x0a];
/// Server identifier: a DUID with time of 02:00:00:00:00:0b.
const SERVER: &[u8] = &[0, 2, 0, 14, 0, 1, 0, 1, 1, 2, 3, 4, 2, 0, 0, 0, 0, 0x0b];
/// The client's name, meter.example.
const NAME: &[u8] = b"\x00\x27\x00\x10\x00\x05meter\x07example\x00";
/// 2001:db8::9 for an hour.
const ADDRESS: &[u8] = &[
    0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, // identity association
    0, 5, 0, 24, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, // address
    0, 0, 7, 8, 0, 0, 14, 16, // preferred and valid lifetime
];

fn message(message_type: u8, options: &[&[u8]]) -> Vec<u8> {
    [&[message_type, 0, 0, 7][..], &options.concat()].concat()
}

fn relayed(message_type: u8, inner: &[u8]) -> Vec<u8> {
    let head = [&[message_type, 0][..], &[0; 16], &[0xfe, 0x80], &[0; 13], &[1]].concat();
    let length = (inner.len() as u16).to_be_bytes();
    [&head[..], &[0, 79, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0x0a], &[0, 9], &length, inner].concat()
}

fn lines(direction: Direction, bytes: &[u8]) -> Vec<String> {
    let end = |ip: &str, port| Endpoint { ip: ip.parse().unwrap(), port };
    let mut bench = Bench::new(&SPEC, Transport::Udp, 547).between(end("fe80::1", 546), end("fe80::2", 547), [None, None]);
    assert!(bench.show(direction, bytes));
    bench.lines.0
}

#[test]
fn a_client_says_who_it_is() {
    let class = [&[0, 16, 0, 11, 0, 0, 0, 9, 0, 5][..], b"udhcp"].concat();
    let lines = lines(ToServer, &message(1, &[CLIENT, NAME, &class, &[0, 6, 0, 2, 0, 23]]));
    assert_eq!(
        lines,
        [
            "> dhcpv6.message {\"message_type\":1,\"message_name\":\"solicit\",\"relays\":0,\"transaction\":7,\"client_duid\":\"0003000102000000000a\",\
          \"hostname\":\"meter.example\",\"vendor_class\":\"udhcp\",\"option_request\":\"0017\"} \
          +identity(dhcp_duid:0003000102000000000a Sent) +same(dhcp_duid:0003000102000000000a = mac:02000000000a: DHCPv6 identifier) \
          +attribute(dhcp_duid:0003000102000000000a Hostname=meter.example)"
        ]
    );
}

#[test]
fn a_lease_makes_identifier_and_address_one_device() {
    let lines = lines(ToClient, &message(7, &[CLIENT, SERVER, ADDRESS]));
    assert!(lines[0].contains("\"addresses\":[\"2001:db8::9\"],\"valid_lifetimes\":[3600]"), "{lines:?}");
    assert!(
        lines[0]
            .ends_with("} +same(dhcp_duid:0003000102000000000a = ip:2001:db8::9: DHCPv6 lease) +role(ip:fe80::2 AddressServer)"),
        "{lines:?}"
    );
}

#[test]
fn an_address_taken_back_binds_nothing() {
    let mut taken_back = ADDRESS.to_vec();
    taken_back[40..44].fill(0);
    for reply in [message(7, &[CLIENT, SERVER, &taken_back]), message(7, &[CLIENT, SERVER, ADDRESS, &[0, 13, 0, 2, 0, 4]])] {
        let lines = lines(ToClient, &reply);
        assert!(!lines[0].contains("+same"), "{lines:?}");
    }
}

#[test]
fn a_relay_carries_a_message() {
    let lines = lines(ToServer, &relayed(12, &message(1, &[CLIENT])));
    assert!(
        lines[0].contains("\"message_name\":\"relay_forward\",\"relays\":0,\"link_address\":\"::\",\"peer_address\":\"fe80::1\""),
        "{lines:?}"
    );
    assert!(lines[0].contains("\"client_mac\":\"02000000000a\""), "{lines:?}");
    assert!(lines[1].contains("\"message_name\":\"solicit\",\"relays\":1") && lines[1].contains("+identity"), "{lines:?}");
}

#[test]
fn departures_are_told() {
    for (bytes, anomaly) in [
        (message(1, &[&CLIENT[..9]]), "!dhcpv6.truncated"),
        (message(1, &[NAME]), "!dhcpv6.identifier_missing"),
        (message(7, &[CLIENT]), "!dhcpv6.identifier_missing"),
        (message(99, &[CLIENT]), "!dhcpv6.unknown_type"),
        (message(1, &[CLIENT, &[0, 39, 0, 3, 0, 9, b'm']]), "!dhcpv6.name_malformed"),
        (vec![1, 0], "!dhcpv6.truncated"),
    ] {
        let lines = lines(ToServer, &bytes);
        assert!(lines[0].contains(anomaly), "{lines:?}");
        assert_eq!(lines[0].matches('!').count(), 1, "{lines:?}");
    }
}

#[test]
fn relays_are_unwrapped_down_to_a_bound() {
    let nested = |relays: usize| (0..relays).fold(message(1, &[CLIENT]), |inner, _| relayed(12, &inner));
    assert_eq!(lines(ToServer, &nested(HOPS)).len(), HOPS + 1);
    let lines = lines(ToServer, &nested(HOPS + 1));
    assert!(lines.last().unwrap().ends_with("!dhcpv6.too_many_hops"), "{lines:?}");
}

#[test]
fn content_and_port_decide() {
    let probe = |bytes: &[u8]| {
        probe(&ProbeInput { bytes, direction: ToServer, channel: crate::protocols::Channel::Datagram, port_hint: true, hint: "" })
    };
    let reply = message(7, &[CLIENT, SERVER, ADDRESS]);
    assert_eq!(probe(&reply), Probe::Weak(Some(ToClient)));
    assert_eq!(probe(&message(1, &[CLIENT])), Probe::Weak(Some(ToServer)));
    assert_eq!(probe(&message(99, &[CLIENT])), Probe::No);
    assert_eq!(probe(&reply[..reply.len() - 1]), Probe::No);
    assert_eq!(probe(&[1, 0, 0, 7]), Probe::No);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(head in 0u8..15, rest in prop::collection::vec(any::<u8>(), 0..120)) {
        let bytes = [&[head][..], &rest].concat();
        fuzz(&bytes);
        lines(ToServer, &bytes);
        lines(ToServer, &relayed(12, &bytes));
    }
}
