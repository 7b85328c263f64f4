//! Tunnels: GRE with ERSPAN, VXLAN, GENEVE. Mirrored traffic arrives in them.

use super::ethernet;
use super::peeling::{Next, Peeler};
use crate::counters::Counter;
use crate::reader::Reader;

/// Port of VXLAN (RFC 7348 §5), and the one that Linux used before it was assigned.
const VXLAN: u16 = 4789;
const VXLAN_OF_LINUX: u16 = 8472;
/// Port of GENEVE (RFC 8926 §3.3).
const GENEVE: u16 = 6081;
/// Protocol types of ERSPAN types I and II, and of type III (draft-foschiano-erspan-03 §4).
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
/// Smallest Ethernet frame that makes a UDP payload a tunnel: its header.
const ETHERNET_HEADER: usize = 14;

/// Whether a UDP datagram goes to the port of a tunnel.
#[inline]
pub(super) fn udp_port_of_a_tunnel(datagram: &[u8]) -> bool {
    matches!(Reader::new(datagram).array(), Some([_, _, p0, p1]) if matches!(u16::from_be_bytes([p0, p1]), VXLAN | VXLAN_OF_LINUX | GENEVE))
}

/// A tunnel in UDP; `None` where the datagram is none, whatever its port says.
pub(super) fn in_udp(peeler: &mut Peeler<'_>) -> Option<Next> {
    let mut ahead = peeler.reader;
    ahead.skip(2)?;
    let port = ahead.u16()?;
    ahead.skip(4)?;
    let (identifier, next) = match port {
        VXLAN | VXLAN_OF_LINUX => vxlan(&mut ahead)?,
        GENEVE => geneve(&mut ahead)?,
        _ => return None,
    };
    peeler.reader = ahead;
    Some(peeler.enter(Some(identifier), next))
}

/// A VXLAN header (RFC 7348 §5): flags with the bit I, reserved, network identifier, reserved. Reserved bits are to be zero; those of the group policy
/// extension are let pass where its bit G is set. Being strict keeps other traffic on these ports what it is.
fn vxlan(reader: &mut Reader<'_>) -> Option<(u32, Next)> {
    match reader.array()? {
        [0x08, 0, 0, 0] | [0x88, _, _, _] => {}
        _ => return None,
    }
    let identifier = reader.u24()?;
    (reader.u8()? == 0 && reader.remaining() >= ETHERNET_HEADER).then_some((identifier, Next::Ethernet))
}

/// A GENEVE header (RFC 8926 §3.4): version 0 and length of the options in words, flags, protocol type, network identifier, reserved, options.
fn geneve(reader: &mut Reader<'_>) -> Option<(u32, Next)> {
    let [version_and_length, flags] = reader.array()?;
    let protocol = reader.u16()?;
    let identifier = reader.u24()?;
    // Bit O marks messages between the tunnel's ends, the low six bits are reserved.
    if version_and_length >> 6 != 0 || flags & 0xbf != 0 || reader.u8()? != 0 {
        return None;
    }
    reader.skip(usize::from(version_and_length) * 4)?;
    let next = match protocol {
        ethernet::BRIDGED if reader.remaining() >= ETHERNET_HEADER => Next::Ethernet,
        ethernet::IPV4 => Next::Ipv4,
        ethernet::IPV6 => Next::Ipv6,
        _ => return None,
    };
    Some((identifier, next))
}

/// A GRE header (RFC 2784 §2, RFC 2890): flags and version, protocol type, then checksum, key and sequence number where their flags say so.
pub(super) fn gre(peeler: &mut Peeler<'_>) -> Option<Next> {
    let reader = &mut peeler.reader;
    let (flags, protocol) = (reader.u16()?, reader.u16()?);
    // Version 1 is PPTP's (RFC 2637); source routes (RFC 1701) have been out of use for decades.
    if flags & 0x4007 != 0 {
        return Some(peeler.stop(Counter::IpOtherProtocol));
    }
    if flags & 0x8000 != 0 {
        reader.skip(4)?;
    }
    let key = if flags & 0x2000 != 0 { Some(reader.u32()?) } else { None };
    let sequenced = flags & 0x1000 != 0;
    if sequenced {
        reader.skip(4)?;
    }
    Some(match protocol {
        // Type I has neither a sequence number nor a header of its own.
        ERSPAN if !sequenced => peeler.enter(key, Next::Ethernet),
        ERSPAN => return erspan_2(peeler),
        ERSPAN_3 => return erspan_3(peeler),
        ethernet::BRIDGED => peeler.enter(key, Next::Ethernet),
        other => peeler.enter(key, Next::EtherType(other)),
    })
}

/// An ERSPAN header of type II: version 1 and VLAN, class of service, encapsulation, cut and session, reserved and port index.
fn erspan_2(peeler: &mut Peeler<'_>) -> Option<Next> {
    let (version_and_vlan, bits) = (peeler.reader.u16()?, peeler.reader.u16()?);
    peeler.reader.skip(4)?;
    Some(match version_and_vlan >> 12 {
        1 => mirrored(peeler, version_and_vlan, bits),
        _ => peeler.stop(Counter::NotIp),
    })
}

/// An ERSPAN header of type III: as type II, then time stamp, security group, and a word with frame type and whether eight more bytes follow.
fn erspan_3(peeler: &mut Peeler<'_>) -> Option<Next> {
    let (version_and_vlan, bits) = (peeler.reader.u16()?, peeler.reader.u16()?);
    peeler.reader.skip(6)?;
    let word = peeler.reader.u16()?;
    if word & 1 != 0 {
        peeler.reader.skip(8)?;
    }
    Some(match (version_and_vlan >> 12, word >> 10 & 0x1f) {
        (2, 0) => mirrored(peeler, version_and_vlan, bits),
        (2, 2) => peeler.enter(Some(u32::from(bits & 0x03ff)), Next::Ip),
        _ => peeler.stop(Counter::NotIp),
    })
}

fn mirrored(peeler: &mut Peeler<'_>, version_and_vlan: u16, bits: u16) -> Next {
    let session = u32::from(bits & 0x03ff);
    peeler.mirrored_vlan = ethernet::vlan_identifier(version_and_vlan);
    peeler.enter(Some(session), Next::Ethernet)
}
