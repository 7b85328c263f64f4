//! Ethernet and what can stand between it and IP: tags, 802.2, MPLS, PPPoE and PPP, ARP.

use super::Content;
use super::peeling::{Next, Peeler};
use crate::counters::Counter;
use crate::reader::Reader;
use std::net::{IpAddr, Ipv4Addr};

/// EtherType of IPv4 (RFC 894).
pub(crate) const IPV4: u16 = 0x0800;
/// EtherType of IPv6 (RFC 2464 §3).
pub(crate) const IPV6: u16 = 0x86dd;
/// EtherType of a customer's 802.1Q tag.
pub(crate) const VLAN: u16 = 0x8100;
/// EtherType of ARP (RFC 826).
const ARP: u16 = 0x0806;
/// EtherType of a bridged Ethernet frame, in GRE and GENEVE (RFC 1701).
pub(crate) const BRIDGED: u16 = 0x6558;
/// EtherType of a service tag (802.1ad), and two that were used for it before.
const SERVICE_TAG: u16 = 0x88a8;
const SERVICE_TAG_OLD: u16 = 0x9100;
const SERVICE_TAG_OLDER: u16 = 0x9200;
/// EtherType of the tag between a switch and its extenders (802.1BR's forerunner VN-tag): four bytes, then an EtherType.
const VN_TAG: u16 = 0x8926;
/// EtherType of the redundancy tag of HSR (IEC 62439-3): four bytes, then an EtherType.
const HSR_TAG: u16 = 0x892f;
/// EtherTypes of MPLS (RFC 3032 §5; RFC 5332).
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
/// EtherType of a PPPoE session (RFC 2516 §4).
const PPPOE_SESSION: u16 = 0x8864;
/// Largest value of the length field of an 802.3 frame, bytes; from 0x0600 on it is an EtherType.
const LARGEST_LENGTH: u16 = 1500;

/// The address, unless it is zero (loopback) or a group's (IEEE 802: lowest bit of the first byte).
#[inline]
pub(crate) fn device_mac(mac: [u8; 6]) -> Option<[u8; 6]> {
    let [first, ..] = mac;
    (first & 1 == 0 && mac != [0; 6]).then_some(mac)
}

/// The VLAN identifier of a tag control field: its low 12 bits; 0 means none and 4095 is reserved (802.1Q §9.6).
#[inline]
pub(crate) fn vlan_identifier(tag_control: u16) -> Option<u16> {
    let identifier = tag_control & 0x0fff;
    (identifier != 0 && identifier != 0x0fff).then_some(identifier)
}

/// An Ethernet header: destination, source, EtherType or length.
pub(super) fn ethernet(peeler: &mut Peeler<'_>) -> Option<Next> {
    peeler.begin_link();
    peeler.layers.destination_mac = device_mac(peeler.reader.array()?);
    peeler.layers.source_mac = device_mac(peeler.reader.array()?);
    Some(Next::EtherType(peeler.reader.u16()?))
}

/// What an EtherType announces.
pub(super) fn ether_type(peeler: &mut Peeler<'_>, ether_type: u16) -> Option<Next> {
    let reader = &mut peeler.reader;
    Some(match ether_type {
        IPV4 => Next::Ipv4,
        IPV6 => Next::Ipv6,
        ARP => arp(peeler),
        VLAN | SERVICE_TAG | SERVICE_TAG_OLD | SERVICE_TAG_OLDER => {
            let identifier = vlan_identifier(reader.u16()?);
            peeler.layers.vlan = peeler.layers.vlan.or(identifier);
            Next::EtherType(reader.u16()?)
        }
        VN_TAG | HSR_TAG => {
            reader.skip(4)?;
            Next::EtherType(reader.u16()?)
        }
        MPLS | MPLS_MULTICAST => Next::Mpls,
        PPPOE_SESSION => Next::Pppoe,
        BRIDGED => peeler.enter(None, Next::Ethernet),
        length if length <= LARGEST_LENGTH => {
            peeler.trim(usize::from(length));
            logical_link(peeler)?
        }
        other => peeler.done(Content::Link(other)),
    })
}

/// An 802.2 header; with SNAP (RFC 1042) an EtherType follows, without it the frame is no IP.
pub(super) fn logical_link(peeler: &mut Peeler<'_>) -> Option<Next> {
    let mut ahead = peeler.reader;
    let [destination_point, source_point, control]: [u8; 3] = ahead.array()?;
    if (destination_point, source_point, control) != (0xaa, 0xaa, 0x03) {
        return Some(peeler.done(Content::Link(Content::LLC)));
    }
    // Organisation 0 is EtherTypes; 00-00-F8 is its variant for bridges (802.1H).
    if !matches!(ahead.u24()?, 0 | 0x0000f8) {
        return Some(peeler.done(Content::Link(Content::LLC)));
    }
    let ether_type = ahead.u16()?;
    peeler.reader = ahead;
    Some(Next::EtherType(ether_type))
}

/// An ARP packet (RFC 826): the protocol addresses are told where they are IPv4's, so that both sides meet in one place.
fn arp(peeler: &mut Peeler<'_>) -> Next {
    let mut ahead = peeler.reader;
    if let Some([_, _, p0, p1, hardware_length, protocol_length, _, _]) = ahead.array::<8>() {
        peeler.trim(8 + 2 * (usize::from(hardware_length) + usize::from(protocol_length)));
        if (u16::from_be_bytes([p0, p1]), protocol_length) == (IPV4, 4) {
            let mut address = || {
                ahead.skip(usize::from(hardware_length))?;
                ahead.array::<4>()
            };
            if let (Some(sender), Some(target)) = (address(), address()) {
                peeler.layers.source = IpAddr::V4(Ipv4Addr::from(sender));
                peeler.layers.destination = IpAddr::V4(Ipv4Addr::from(target));
            }
        }
    }
    peeler.done(Content::Arp)
}

/// A label stack (RFC 3032 §2.1), of which only the last entry has the bottom-of-stack bit. What follows is not announced: IP shows itself by
/// its version, a control word by four zero bits (RFC 4385 §3); the rest is taken for a pseudowire of Ethernet (RFC 4448).
pub(super) fn mpls(peeler: &mut Peeler<'_>) -> Option<Next> {
    while peeler.reader.u32()? & 0x100 == 0 {}
    let below = peeler.reader;
    Some(match below.peek_u8()? >> 4 {
        // Broadcasts and answers alike: neither the address in front nor ARP's protocol type may pass for something else.
        _ if looks_like_arp(below) => peeler.enter(None, Next::Ethernet),
        4 if looks_like_ipv4(below) => Next::Ipv4,
        6 if looks_like_ipv6(below) => Next::Ipv6,
        // The associated channel of a pseudowire: operation and maintenance of the carrier.
        1 if !looks_like_ethernet(below) => peeler.done(Content::Link(MPLS)),
        0 if !looks_like_ethernet(below) || looks_like_ethernet(after_control_word(below)) => {
            peeler.reader.skip(4)?;
            peeler.enter(None, Next::Ethernet)
        }
        _ => peeler.enter(None, Next::Ethernet),
    })
}

fn after_control_word(mut below: Reader<'_>) -> Reader<'_> {
    below.take_up_to(4);
    below
}

fn looks_like_ipv4(mut below: Reader<'_>) -> bool {
    let Some([version_and_length, _, l0, l1]) = below.array() else { return false };
    let (header, total) = (u16::from(version_and_length & 15) * 4, u16::from_be_bytes([l0, l1]));
    header >= 20 && (total == 0 || total >= header)
}

fn looks_like_ipv6(mut below: Reader<'_>) -> bool {
    let Some([_, _, _, _, l0, l1, _, _]) = below.array::<8>() else { return false };
    // A frame whose first address happens to begin with a 6 has part of a MAC address here, which hardly agrees with what is left.
    usize::from(u16::from_be_bytes([l0, l1])) <= below.remaining() || !looks_like_ethernet(below)
}

/// Whether an EtherType that is usual in pseudowires stands where Ethernet has it.
fn looks_like_ethernet(mut below: Reader<'_>) -> bool {
    below.skip(12).is_some() && below.u16().is_some_and(|it| matches!(it, IPV4 | IPV6 | ARP | VLAN | SERVICE_TAG))
}

/// Whether Ethernet with an ARP packet for IPv4 stands there, whose protocol type looks like an EtherType behind a control word.
fn looks_like_arp(mut below: Reader<'_>) -> bool {
    below.skip(12).is_some() && below.array() == Some([8, 6, 0, 1, 8, 0])
}

/// A PPPoE session header (RFC 2516 §4): version and type 1, code 0, session, length.
pub(super) fn pppoe(peeler: &mut Peeler<'_>) -> Option<Next> {
    let [0x11, 0, _, _, l0, l1]: [u8; 6] = peeler.reader.array()? else { return None };
    peeler.trim(usize::from(u16::from_be_bytes([l0, l1])));
    Some(Next::Ppp)
}

/// A PPP protocol field (RFC 1661 §2), which may be one byte long where its first is odd, perhaps after the address and control of HDLC framing
/// (RFC 1662 §3.1).
pub(super) fn ppp(peeler: &mut Peeler<'_>) -> Option<Next> {
    let reader = &mut peeler.reader;
    if reader.peek(2) == Some(&[0xff, 0x03]) {
        reader.skip(2)?;
    }
    let protocol = if reader.peek_u8()? & 1 == 1 { u16::from(reader.u8()?) } else { reader.u16()? };
    Some(match protocol {
        0x0021 => Next::Ipv4,
        0x0057 => Next::Ipv6,
        0x0281 | 0x0283 => Next::Mpls,
        _ => peeler.stop(Counter::NotIp),
    })
}
