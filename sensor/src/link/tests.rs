use super::*;
use proptest::prelude::*;

const DEVICE: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];

/// Bytes of hex digits; spaces part fields.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A header in hex before a payload.
fn over(header: &str, payload: &[u8]) -> Vec<u8> {
    [&hex(header), payload].concat()
}

/// Ethernet from the device to the server; `rest` begins after the addresses.
fn ethernet(rest: &str, payload: &[u8]) -> Vec<u8> {
    [&SERVER[..], &DEVICE, &hex(rest), payload].concat()
}

/// Ethernet between the ends of a tunnel.
fn outside(ether_type: &str, payload: &[u8]) -> Vec<u8> {
    [&hex("0e 00 00 00 00 02  0e 00 00 00 00 01"), &hex(ether_type)[..], payload].concat()
}

/// IPv4 from 192.0.2.1 to 192.0.2.2.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&header[..], payload].concat()
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let addresses = hex("20010db8 00000000 00000000 00000001  20010db8 00000000 00000000 00000002");
    [&[0x60, 0, 0, 0, length[0], length[1], next_header, 64][..], &addresses, payload].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let (port, length) = (port.to_be_bytes(), (8 + payload.len() as u16).to_be_bytes());
    [&[0xc0, 0, port[0], port[1], length[0], length[1], 0, 0][..], payload].concat()
}

/// A UDP datagram with four bytes from 10.0.0.1 to 10.0.0.2, port 5683.
fn inner() -> Vec<u8> {
    hex("45 00 0020 0001 0000 40 11 0000 0a000001 0a000002  c000 1633 000c 0000  61626364")
}

/// The same from 2001:db8::1 to 2001:db8::2.
fn inner_6() -> Vec<u8> {
    ipv6(17, &udp(5683, b"abcd"))
}

fn mirrored() -> Vec<u8> {
    ethernet("0800", &inner())
}

fn peeled(link_type: u16, packet: &[u8]) -> Result<Layers, Vec<&'static str>> {
    let mut counters = Counters::default();
    peel(link_type, packet, &mut counters, &NetworkMap::default())
        .ok_or_else(|| counters.iter().filter(|&(_, n)| n > 0).map(|(counter, _)| counter.name()).collect())
}

/// Every encapsulation around [`inner`] or [`inner_6`]: label, link type, frame.
fn encapsulations() -> Vec<(&'static str, u16, Vec<u8>)> {
    let (v4, v6, frame) = (inner(), inner_6(), mirrored());
    let tunnel = |protocol: u8, payload: &[u8]| outside("0800", &ipv4(protocol, payload));
    let in_udp = |port: u16, payload: &[u8]| outside("0800", &ipv4(17, &udp(port, payload)));
    vec![
        ("ethernet", 1, frame.clone()),
        ("ethernet with IPv6", 1, ethernet("86dd", &v6)),
        ("802.1Q", 1, ethernet("8100 2064 0800", &v4)),
        ("802.1Q with IPv6", 1, ethernet("8100 2064 86dd", &v6)),
        ("QinQ", 1, ethernet("88a8 0064 8100 0007 0800", &v4)),
        ("QinQ before 802.1ad", 1, ethernet("9100 0064 8100 0007 86dd", &v6)),
        ("VN-tag", 1, ethernet("8926 00010002 0800", &v4)),
        ("HSR tag", 1, ethernet("892f 0034 0007 0800", &v4)),
        ("LLC with SNAP", 1, ethernet("0028 aaaa03 000000 0800", &v4)),
        ("MPLS", 1, ethernet("8847 00010040 00020140", &v4)),
        ("MPLS with IPv6", 1, ethernet("8848 00020140", &v6)),
        ("MPLS pseudowire with control word", 1, outside("8847 00020140 00000001", &frame)),
        ("MPLS pseudowire without control word", 1, outside("8847 00020140", &frame)),
        ("PPPoE", 1, ethernet("8864 11 00 0001 0022 0021", &v4)),
        ("PPPoE with IPv6", 1, ethernet("8864 11 00 0001 0036 0057", &v6)),
        ("Linux cooked", 113, over("0000 0001 0006 02000000000a0000 0800", &v4)),
        ("Linux cooked, tagged", 113, over("0000 0001 0006 02000000000a0000 8100 0064 86dd", &v6)),
        ("Linux cooked v2", 276, over("0800 0000 00000003 0001 00 06 02000000000a0000", &v4)),
        ("raw, 101", 101, v4.clone()),
        ("raw, 12", 12, v6.clone()),
        ("raw, 14", 14, v4.clone()),
        ("raw IPv4", 228, v4.clone()),
        ("raw IPv6", 229, v6.clone()),
        ("BSD loopback, little-endian", 0, over("02000000", &v4)),
        ("BSD loopback, big-endian", 0, over("00000002", &v4)),
        ("BSD loopback, IPv6 of Darwin", 0, over("1e000000", &v6)),
        ("OpenBSD loopback", 108, over("00000018", &v6)),
        ("PPP with HDLC framing", 9, over("ff03 0021", &v4)),
        ("PPP with a compressed protocol field", 9, over("21", &v4)),
        ("Cisco HDLC", 104, over("0f00 0800", &v4)),
        ("PPPoE without Ethernet", 51, over("11 00 0001 0022 0021", &v4)),
        (
            "IPv4 with options",
            1,
            ethernet("0800", &over("46 00 0024 0001 0000 40 11 0000 0a000001 0a000002 94040000", &v4[20..])),
        ),
        (
            "IPv6 with extensions",
            1,
            ethernet("86dd", &ipv6(0, &over("2b 00 050200000000  3c 00 0000 00000000  11 00 010400000000", &v6[40..]))),
        ),
        (
            "IPv6 with AH",
            1,
            ethernet("86dd", &ipv6(51, &over("11 04 0000 00000001 00000001 000000000000000000000000", &v6[40..]))),
        ),
        ("IPv6 atomic fragment", 1, ethernet("86dd", &ipv6(44, &over("11 00 0000 00000007", &v6[40..])))),
        ("IP in IP", 1, tunnel(4, &v4)),
        ("IPv6 in IP", 1, tunnel(41, &v6)),
        ("IPv4 in IPv6", 1, outside("86dd", &ipv6(4, &v4))),
        ("GRE", 1, tunnel(47, &over("0000 0800", &v4))),
        ("GRE with checksum, key and sequence", 1, tunnel(47, &over("b000 86dd 00000000 00000009 00000001", &v6))),
        ("GRE with Ethernet", 1, tunnel(47, &over("2000 6558 00000009", &frame))),
        ("MPLS in GRE", 1, tunnel(47, &over("0000 8847 00020140", &v4))),
        ("MPLS in IP", 1, tunnel(137, &over("00020140", &v4))),
        ("ERSPAN I", 1, tunnel(47, &over("0000 88be", &frame))),
        ("ERSPAN II", 1, tunnel(47, &over("1000 88be 00000001  1064 0009 00000005", &frame))),
        ("ERSPAN III", 1, tunnel(47, &over("1000 22eb 00000001  2064 0009 00000000 0000 0000", &frame))),
        (
            "ERSPAN III with a subheader",
            1,
            tunnel(47, &over("1000 22eb 00000001  2064 0009 00000000 0000 0001  0000000000000000", &frame)),
        ),
        ("ERSPAN III with IP", 1, tunnel(47, &over("1000 22eb 00000001  2000 0009 00000000 0000 0800", &v4))),
        ("VXLAN", 1, in_udp(4789, &over("08000000 000009 00", &frame))),
        ("VXLAN with group policy", 1, in_udp(4789, &over("88000007 000009 00", &frame))),
        ("VXLAN at the port of Linux", 1, in_udp(8472, &over("08000000 000009 00", &frame))),
        ("GENEVE", 1, in_udp(6081, &over("00 00 6558 000009 00", &frame))),
        ("GENEVE with options", 1, in_udp(6081, &over("02 40 0800 000009 00 0102 80 01 aabbccdd", &v4))),
        ("VXLAN in 802.1Q", 1, outside("8100 0003 0800", &ipv4(17, &udp(4789, &over("08000000 000009 00", &frame))))),
        ("GRE in ERSPAN", 1, tunnel(47, &over("1000 88be 00000001  1064 0009 00000005", &tunnel(47, &over("0000 0800", &v4))))),
    ]
}

#[test]
fn every_encapsulation_comes_down_to_the_datagram() {
    for (label, link_type, mut packet) in encapsulations() {
        packet.extend_from_slice(&[0xee; 7]);
        let layers = peeled(link_type, &packet).unwrap_or_else(|counted| panic!("{label}: {counted:?}"));
        assert_eq!(layers.content, Content::Udp, "{label}");
        assert_eq!(layers.payload(&packet), udp(5683, b"abcd"), "{label}");
        assert_eq!(layers.missing, 0, "{label}");
        let pair = (layers.source.to_string(), layers.destination.to_string());
        let expected = if layers.source.is_ipv4() { ("10.0.0.1", "10.0.0.2") } else { ("2001:db8::1", "2001:db8::2") };
        assert_eq!((pair.0.as_str(), pair.1.as_str()), expected, "{label}");
        assert!(decodes(link_type), "{label}");
    }
}

#[test]
fn a_frame_cut_anywhere_is_told_or_counted_and_stays_within_its_bytes() {
    for (label, link_type, packet) in encapsulations() {
        let whole = peeled(link_type, &packet).unwrap();
        for length in 0..packet.len() {
            let cut = &packet[..length];
            let Ok(layers) = peeled(link_type, cut) else { continue };
            assert!((layers.payload_offset + layers.payload_length) as usize <= length, "{label} cut to {length}");
            if layers.source == whole.source && layers.content == whole.content {
                assert_eq!(layers.payload_offset, whole.payload_offset, "{label} cut to {length}");
                assert_eq!(layers.missing as usize, packet.len() - length, "{label} cut to {length}");
            }
        }
    }
}

#[test]
fn the_mac_addresses_are_those_of_the_innermost_frame() {
    let macs = |label: &str| {
        let (_, link_type, packet) = encapsulations().into_iter().find(|case| case.0 == label).unwrap();
        let layers = peeled(link_type, &packet).unwrap();
        (layers.source_mac, layers.destination_mac)
    };
    for label in [
        "ethernet",
        "802.1Q with IPv6",
        "QinQ",
        "MPLS pseudowire without control word",
        "GRE with Ethernet",
        "ERSPAN II",
        "VXLAN",
    ] {
        assert_eq!(macs(label), (Some(DEVICE), Some(SERVER)), "{label}");
    }
    assert_eq!(macs("Linux cooked"), (Some(DEVICE), None));
    assert_eq!(macs("Linux cooked v2"), (Some(DEVICE), None));
    for label in ["IP in IP", "GRE", "GRE in ERSPAN", "GENEVE with options", "ERSPAN III with IP", "raw, 101"] {
        assert_eq!(macs(label), (None, None), "{label}");
    }
}

#[test]
fn group_and_zero_addresses_name_no_device() {
    let packet = over("01005e000001 000000000000 0800", &inner());
    let layers = peeled(ETHERNET, &packet).unwrap();
    assert_eq!((layers.source_mac, layers.destination_mac), (None, None));
}

#[test]
fn vlan_and_network_follow_tags_and_tunnels() {
    let networks = NetworkMap::new(
        vec![NetworkRule { vlan: Some(100), tunnel: None, network: 1 }, NetworkRule { vlan: None, tunnel: Some(9), network: 2 }],
        0,
    );
    let of = |label: &str| {
        let (_, link_type, packet) = encapsulations().into_iter().find(|case| case.0 == label).unwrap();
        let layers = peel(link_type, &packet, &mut Counters::default(), &networks).unwrap();
        (layers.vlan, layers.network)
    };
    assert_eq!(of("ethernet"), (None, 0));
    assert_eq!(of("802.1Q"), (Some(100), 1));
    assert_eq!(of("QinQ"), (Some(100), 1));
    assert_eq!(of("ERSPAN II"), (Some(100), 1));
    assert_eq!(of("VXLAN"), (None, 2));
    assert_eq!(of("VXLAN in 802.1Q"), (None, 2));
    assert_eq!(of("GRE with checksum, key and sequence"), (None, 2));
    let priority = ethernet("8100 a000 0800", &inner());
    assert_eq!(peeled(ETHERNET, &priority).unwrap().vlan, None);
}

#[test]
fn padding_is_no_data() {
    // The acknowledgement of an idle Modbus client: 40 bytes of IP in a frame of 60.
    let mut packet = ethernet("0800", &ipv4(6, &hex("c000 01f6 00000001 00000002 50 10 0400 0000 0000")));
    packet.resize(60, 0);
    let layers = peeled(ETHERNET, &packet).unwrap();
    assert_eq!((layers.content, layers.payload_length, layers.missing), (Content::Tcp, 20, 0));
}

#[test]
fn a_length_of_zero_takes_the_rest() {
    let mut v4 = inner();
    v4[2..4].fill(0);
    let mut v6 = inner_6();
    v6[4..6].fill(0);
    for packet in [ethernet("0800", &v4), ethernet("86dd", &v6)] {
        let layers = peeled(ETHERNET, &packet).unwrap();
        assert_eq!((layers.payload_length, layers.missing), (12, 0));
    }
}

#[test]
fn a_jumbogram_tells_its_length_in_an_option() {
    let mut packet = ipv6(0, &over("11 00 c2 04 00010000", &udp(5683, b"abcd")));
    packet[4..6].fill(0);
    let layers = peeled(229, &packet).unwrap();
    assert_eq!((layers.content, layers.payload_length, layers.missing), (Content::Udp, 12, 0x1_0000 - 20));
}

#[test]
fn fragments_are_told_and_go_on_once_together() {
    let frame = outside("0800", &ipv4(17, &udp(4789, &over("08000000 000009 00", &mirrored()))));
    let mut first = frame[..14 + 20 + 40].to_vec();
    first[17] = 60;
    first[20] = 0x20;
    let layers = peeled(ETHERNET, &first).unwrap();
    let expected = Fragment { identification: 1, offset: 0, more: true, protocol: 17 };
    assert_eq!((layers.content, layers.payload(&first)), (Content::Fragment(expected), &frame[34..74]));
    assert_eq!(layers.source.to_string(), "192.0.2.1");

    let datagram = &frame[34..];
    let networks = NetworkMap::new(vec![NetworkRule { vlan: None, tunnel: Some(9), network: 2 }], 0);
    let whole = peel_datagram(&layers, 17, datagram, &mut Counters::default(), &networks).unwrap();
    assert_eq!((whole.content, whole.source.to_string(), whole.network), (Content::Udp, "10.0.0.1".into(), 2));
    assert_eq!(whole.payload(datagram), udp(5683, b"abcd"));
    assert_eq!((whole.source_mac, whole.destination_mac), (Some(DEVICE), Some(SERVER)));

    let last = ethernet("86dd", &ipv6(44, &over("11 00 0058 00000007", b"abcd")));
    let layers = peeled(ETHERNET, &last).unwrap();
    let expected = Fragment { identification: 7, offset: 88, more: false, protocol: 17 };
    assert_eq!((layers.content, layers.payload(&last)), (Content::Fragment(expected), &b"abcd"[..]));
}

#[test]
fn icmpv6_is_told() {
    let packet = ethernet("86dd", &ipv6(58, &hex("87 00 0000 00000000")));
    assert_eq!(peeled(ETHERNET, &packet).unwrap().content, Content::Icmpv6);
}

#[test]
fn arp_is_told_with_the_pair_it_is_about() {
    let mut packet = ethernet("0806", &hex("0001 0800 06 04 0001  02000000000a 0a000001  000000000000 0a000002"));
    packet.resize(60, 0);
    let layers = peeled(ETHERNET, &packet).unwrap();
    assert_eq!((layers.content, layers.payload_length), (Content::Arp, 28));
    assert_eq!((layers.source.to_string(), layers.destination.to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
    let cut = peeled(ETHERNET, &packet[..30]).unwrap();
    assert_eq!((cut.content, cut.payload_length, cut.source.is_unspecified()), (Content::Arp, 16, true));
}

#[test]
fn what_is_not_ip_is_counted_and_told() {
    let mut counters = Counters::default();
    let lldp = ethernet("88cc", &[0; 46]);
    let layers = peel(ETHERNET, &lldp, &mut counters, &NetworkMap::default()).unwrap();
    assert_eq!((layers.content, layers.payload_length), (Content::Link(0x88cc), 46));
    let spanning_tree = ethernet("0004 424203 00", &[0xee; 42]);
    let layers = peel(ETHERNET, &spanning_tree, &mut counters, &NetworkMap::default()).unwrap();
    assert_eq!((layers.content, layers.payload(&spanning_tree)), (Content::Link(Content::LLC), &[0x42, 0x42, 3, 0][..]));
    assert_eq!(counters.get(Counter::NotIp), 2);
}

#[test]
fn a_loratap_frame_is_left_whole() {
    let layers = peeled(LORATAP, &[1; 20]).unwrap();
    assert_eq!((layers.content, layers.payload_offset, layers.payload_length), (Content::LoraTap, 0, 20));
}

#[test]
fn arp_in_a_pseudowire_with_and_without_control_word() {
    let arp = "0806 0001 0800 06 04 0002 000c29000001 0a000001 000c29000002 0a000002";
    for destination in ["000c29000002", "ffffffffffff", "4c0c29000002", "600c29000002"] {
        let frame = hex(&format!("{destination} 000c29000001 {arp}"));
        for labels in ["8847 00020140", "8847 00020140 00000000", "8847 00020140 00000007"] {
            let layers =
                peeled(1, &outside(labels, &frame)).unwrap_or_else(|counted| panic!("{labels} {destination}: {counted:?}"));
            let addresses = (layers.content, layers.source.to_string(), layers.destination.to_string());
            assert_eq!(addresses, (Content::Arp, "10.0.0.1".into(), "10.0.0.2".into()), "{labels} {destination}");
        }
    }
}

#[test]
fn what_cannot_be_peeled_is_counted_by_name() {
    let bad_header_length = over("44", &inner()[1..]);
    let total_shorter_than_header = over("45000013", &inner()[4..]);
    for (label, link_type, packet, counted) in [
        ("802.11", 105, vec![0; 40], "link_type_unknown"),
        ("cut Ethernet", 1, vec![2; 13], "link_malformed"),
        ("cut tag", 1, ethernet("8100 00", &[]), "link_malformed"),
        ("PPPoE of version 2", 1, ethernet("8864 21 00 0001 0022 0021", &inner()), "link_malformed"),
        ("PPP link control", 1, ethernet("8864 11 00 0001 0006 c021", &[1, 1, 0, 4]), "not_ip"),
        ("bad header length", 1, ethernet("0800", &bad_header_length), "ip_malformed"),
        ("total shorter than header", 1, ethernet("0800", &total_shorter_than_header), "ip_malformed"),
        ("IPv6 announced as IPv4", 1, ethernet("0800", &inner_6()), "ip_malformed"),
        ("IPv4 announced as IPv6", 1, ethernet("86dd", &over("", &[inner(), inner()].concat())), "ip_malformed"),
        ("raw of version 5", 101, vec![0x50; 40], "ip_malformed"),
        ("IGMP", 1, ethernet("0800", &ipv4(2, &[0; 8])), "ip_other_protocol"),
        ("ESP", 1, ethernet("86dd", &ipv6(50, &[0; 16])), "ip_other_protocol"),
        ("no next header", 1, ethernet("86dd", &ipv6(59, &[0; 6])), "ip_other_protocol"),
        ("PPTP", 1, outside("0800", &ipv4(47, &over("3081 880b 0004 0001 00000001", &[0; 4]))), "ip_other_protocol"),
        (
            "ERSPAN of version 0",
            1,
            outside("0800", &ipv4(47, &over("1000 88be 00000001  0064 0009 00000005", &mirrored()))),
            "not_ip",
        ),
    ] {
        assert_eq!(peeled(link_type, &packet).unwrap_err(), [counted], "{label}");
    }
}

#[test]
fn a_datagram_at_the_port_of_a_tunnel_need_not_be_one() {
    for (label, port, payload) in [
        ("text", 4789, b"hello, this is no tunnel".to_vec()),
        ("reserved bits", 8472, over("08010000 000009 00", &mirrored())),
        ("no frame", 4789, hex("08000000 000009 00 0102")),
        ("GENEVE of version 1", 6081, over("40 00 6558 000009 00", &mirrored())),
        ("GENEVE with options beyond its end", 6081, hex("3f 00 0800 000009 00 00")),
        ("nothing", 6081, Vec::new()),
    ] {
        let packet = ethernet("0800", &ipv4(17, &udp(port, &payload)));
        let layers = peeled(ETHERNET, &packet).unwrap();
        assert_eq!((layers.content, layers.payload_length as usize), (Content::Udp, payload.len() + 8), "{label}");
    }
}

#[test]
fn tunnels_are_peeled_down_to_a_depth() {
    let nested = |depth: usize| {
        let inside = (0..depth).fold(inner(), |inside, _| ipv4(4, &inside));
        peeled(101, &inside).map(|layers| layers.source.to_string())
    };
    assert_eq!(nested(crate::limits::TUNNEL_DEPTH), Ok("10.0.0.1".into()));
    assert_eq!(nested(crate::limits::TUNNEL_DEPTH + 1), Err(vec!["tunnel_too_deep"]));
}

#[test]
fn the_straight_way_and_the_general_way_agree() {
    for (label, link_type, packet) in encapsulations() {
        for length in 0..=packet.len() {
            let packet = &packet[..length];
            let general = peeling::peel(link_type, packet, &mut Counters::default(), &NetworkMap::default());
            let both = peel(link_type, packet, &mut Counters::default(), &NetworkMap::default());
            assert_eq!(both, general, "{label} cut to {length}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&bytes);
    }

    #[test]
    fn altered_frames_never_panic(case in 0usize..55, changes in prop::collection::vec((0usize..120, any::<u8>()), 1..4)) {
        let cases = encapsulations();
        let (_, link_type, mut packet) = cases[case % cases.len()].clone();
        for (at, value) in changes {
            let at = at % packet.len();
            packet[at] = value;
        }
        let general = peeling::peel(link_type, &packet, &mut Counters::default(), &NetworkMap::default());
        prop_assert_eq!(peel(link_type, &packet, &mut Counters::default(), &NetworkMap::default()), general);
        if let Some(layers) = general {
            prop_assert!((layers.payload_offset + layers.payload_length) as usize <= packet.len());
        }
    }
}
