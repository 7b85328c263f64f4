//! Link types that replace the link header by one of the capturing system's: Linux cooked v1 and v2, BSD loopback, Cisco HDLC.

use super::Content;
use super::ethernet::{self, device_mac};
use super::peeling::{Next, Peeler};
use crate::counters::Counter;

/// ARPHRD_ETHER: hardware addresses are MAC addresses (Linux `if_arp.h`).
const ARPHRD_ETHER: u16 = 1;
/// Protocol of a frame that begins with an 802.2 header (LINKTYPE_LINUX_SLL).
const LINUX_802_2: u16 = 0x0004;
/// Protocol of an 802.3 frame without 802.2 header (LINKTYPE_LINUX_SLL).
const LINUX_802_3: u16 = 0x0001;

/// LINKTYPE_LINUX_SLL:
///
/// | bytes | field |
/// |---|---|
/// | 2 | packet type |
/// | 2 | ARPHRD |
/// | 2 | length of the sender's address |
/// | 8 | sender's address |
/// | 2 | protocol: an EtherType or a number of Linux |
pub(super) fn v1(peeler: &mut Peeler<'_>) -> Option<Next> {
    peeler.reader.skip(2)?;
    let (hardware, length) = (peeler.reader.u16()?, peeler.reader.u16()?);
    let mac: [u8; 6] = peeler.reader.array()?;
    peeler.reader.skip(2)?;
    let protocol = peeler.reader.u16()?;
    Some(payload(peeler, hardware, length, mac, protocol))
}

/// LINKTYPE_LINUX_SLL2:
///
/// | bytes | field |
/// |---|---|
/// | 2 | protocol |
/// | 2 | reserved |
/// | 4 | interface |
/// | 2 | ARPHRD |
/// | 1 | packet type |
/// | 1 | length of the sender's address |
/// | 8 | sender's address |
pub(super) fn v2(peeler: &mut Peeler<'_>) -> Option<Next> {
    let protocol = peeler.reader.u16()?;
    peeler.reader.skip(6)?;
    let hardware = peeler.reader.u16()?;
    peeler.reader.skip(1)?;
    let length = u16::from(peeler.reader.u8()?);
    let mac: [u8; 6] = peeler.reader.array()?;
    peeler.reader.skip(2)?;
    Some(payload(peeler, hardware, length, mac, protocol))
}

fn payload(peeler: &mut Peeler<'_>, hardware: u16, length: u16, mac: [u8; 6], protocol: u16) -> Next {
    if (hardware, length) == (ARPHRD_ETHER, 6) {
        peeler.layers.source_mac = device_mac(mac);
    }
    match protocol {
        LINUX_802_2 => ethernet::logical_link(peeler).unwrap_or(peeler.stop(Counter::LinkMalformed)),
        LINUX_802_3 => peeler.done(Content::Link(Content::LLC)),
        ether_type if ether_type >= 0x0600 => Next::EtherType(ether_type),
        linux => peeler.done(Content::Link(linux)),
    }
}

/// LINKTYPE_NULL and LINKTYPE_LOOP: the address family in four bytes, of the capturing machine's byte order or the network's. The families' numbers
/// are small, so the order shows.
pub(super) fn loopback(peeler: &mut Peeler<'_>) -> Option<Next> {
    let family = peeler.reader.u32()?;
    Some(match family.min(family.swap_bytes()) {
        2 => Next::Ipv4,
        // Linux; Windows; NetBSD and OpenBSD; FreeBSD; Darwin.
        10 | 23 | 24 | 28 | 30 => Next::Ipv6,
        _ => peeler.stop(Counter::NotIp),
    })
}

/// LINKTYPE_C_HDLC: address, control, EtherType (RFC 1547 §4.3.1).
pub(super) fn hdlc(peeler: &mut Peeler<'_>) -> Option<Next> {
    peeler.reader.skip(2)?;
    Some(match peeler.reader.u16()? {
        ether_type if ether_type >= 0x0600 => Next::EtherType(ether_type),
        other => peeler.done(Content::Link(other)),
    })
}
