use super::*;
use crate::flow::{Direction::*, Transport};
use crate::testing::Bench;
use proptest::prelude::*;

const DISCOVER: &[u8] = &[53, 1, 1];
const ACK: &[u8] = &[53, 1, 5];
const SERVER: &[u8] = &[54, 4, 10, 0, 0, 1];
const LEASE: &[u8] = &[51, 4, 0, 0, 14, 16];
const END: &[u8] = &[255];

/// A message of the device 02:00:00:00:00:0a; `yiaddr` is 10.0.0.9 in replies.
fn message(operation: u8, options: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![operation, 1, 6, 0, 0, 0, 0, 7];
    bytes.resize(16, 0);
    bytes.extend_from_slice(if operation == 2 { &[10, 0, 0, 9] } else { &[0; 4] });
    bytes.resize(28, 0);
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 0x0a]);
    bytes.resize(236, 0);
    bytes.extend_from_slice(&[99, 130, 83, 99]);
    bytes.extend(options.concat());
    bytes
}

fn line(bytes: &[u8]) -> String {
    let direction = if bytes[0] == 1 { ToServer } else { ToClient };
    let mut bench = Bench::new(&SPEC, Transport::Udp, 67);
    assert!(bench.show(direction, bytes));
    bench.lines.0.remove(0)
}

#[test]
fn a_client_says_who_it_is() {
    let client = [61, 7, 1, 2, 0, 0, 0, 0, 0x0a];
    let discover =
        message(1, &[DISCOVER, b"\x0c\x05meter", b"\x3c\x05udhcp", &[55, 3, 1, 3, 6], &client, &[50, 4, 10, 0, 0, 9], END]);
    assert_eq!(
        line(&discover),
        "> dhcp.message {\"operation\":1,\"message_type\":1,\"message_name\":\"discover\",\"transaction\":7,\"hardware_type\":1,\
         \"client_mac\":\"02000000000a\",\"requested_address\":\"10.0.0.9\",\"hostname\":\"meter\",\"vendor_class\":\"udhcp\",\
         \"client_id\":\"0102000000000a\",\"parameter_request_list\":[1,3,6]} \
         +identity(mac:02000000000a Sent) +attribute(mac:02000000000a Hostname=meter)"
    );
}

#[test]
fn a_lease_makes_both_addresses_one_device() {
    let line = line(&message(2, &[ACK, SERVER, LEASE, END]));
    assert!(line.contains("\"yiaddr\":\"10.0.0.9\",\"lease_time\":3600,\"server_id\":\"10.0.0.1\""), "{line}");
    assert!(line.ends_with("} +role(ip:10.0.0.1 AddressServer) +same(mac:02000000000a = ip:10.0.0.9: DHCP lease)"), "{line}");
}

#[test]
fn an_offer_and_an_answer_to_inform_bind_no_address() {
    let offer = line(&message(2, &[&[53, 1, 2], SERVER, LEASE, END]));
    assert!(offer.ends_with("} +role(ip:10.0.0.1 AddressServer)"), "{offer}");
    let inform = line(&message(2, &[ACK, SERVER, END]));
    assert!(inform.ends_with("} +role(ip:10.0.0.1 AddressServer)"), "{inform}");
}

#[test]
fn options_overflow_into_other_fields() {
    let mut bytes = message(1, &[DISCOVER, &[52, 1, 3], END]);
    bytes[108..116].copy_from_slice(b"\x0c\x05meter\xff");
    bytes[44..52].copy_from_slice(b"\x3c\x05udhcp\xff");
    let line = line(&bytes);
    assert!(line.contains("\"hostname\":\"meter\",\"vendor_class\":\"udhcp\""), "{line}");
}

#[test]
fn departures_are_told() {
    let mut long = message(1, &[DISCOVER, END]);
    long[2] = 17;
    for (bytes, anomaly) in [
        (message(1, &[DISCOVER, &[12, 9, b'm']]), "!dhcp.options_truncated"),
        (message(1, &[DISCOVER]), "!dhcp.options_truncated"),
        (message(1, &[END]), "!dhcp.message_type_missing"),
        (message(2, &[ACK, LEASE, END]), "!dhcp.server_identifier_missing"),
        (long, "!dhcp.hardware_length"),
        (message(2, &[DISCOVER, END]), "!dhcp.operation_mismatch"),
        (message(1, &[DISCOVER, &[12, 2, 0xff, 0xfe], END]), "!dhcp.not_text"),
    ] {
        let line = line(&bytes);
        assert!(line.ends_with(anomaly), "{line}");
        assert_eq!(line.matches('!').count(), 1, "{line}");
    }
}

#[test]
fn content_decides() {
    let probe = |bytes: &[u8]| {
        probe(&ProbeInput { bytes, direction: ToServer, channel: crate::protocols::Channel::Datagram, port_hint: true, hint: "" })
    };
    assert_eq!(probe(&message(1, &[DISCOVER, END])), Probe::Strong(Some(ToServer)));
    assert_eq!(probe(&message(2, &[ACK, END])), Probe::Strong(Some(ToClient)));
    assert_eq!(probe(&message(3, &[ACK, END])), Probe::No);
    let whole = message(1, &[DISCOVER, END]);
    for length in 0..240 {
        assert_eq!(probe(&whole[..length]), Probe::No, "{length}");
    }
}

proptest! {
    #[test]
    fn random_options_never_panic(operation in 1u8..3, options in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..320) {
        let bytes = message(operation, &[&options]);
        fuzz(&bytes[..cut.min(bytes.len())]);
        line(&bytes);
    }
}
