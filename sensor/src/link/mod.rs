//! Captured frames to the inner IP packet: [`peel`] takes a frame apart once, in the dispatcher, and answers with [`Layers`], offsets into the
//! packet that later stages read from.
//!
//! Link types: Ethernet, Linux cooked v1 and v2, raw IP, BSD loopback, PPP, Cisco HDLC and LoRaTap (told by
//! [`decodes`]). Below IP: 802.1Q and QinQ tags, VN-tag, HSR tag, LLC with SNAP, MPLS, PPPoE. Tunnels, since mirrored traffic arrives in them:
//! IP in IP, GRE, ERSPAN I to III, VXLAN, GENEVE, MPLS in GRE; at most [`TUNNEL_DEPTH`](crate::limits::TUNNEL_DEPTH) deep.
//!
//! Left out: 802.11, IPsec, MACsec, PPTP (GRE version 1), L2TP, and checksums, which offloading makes wrong in captures. What is not taken apart
//! is counted by name. Fragments are told as such; `net::fragments` puts them together and [`peel_datagram`] goes on from there.
//!
//! The straight way, Ethernet with at most one tag, an IP header without options, TCP or UDP, is inlined; everything else is
//! in `peeling`.
//!
//! Documents: IEEE 802.3, 802.1Q, 802.2; RFC 791, 8200, 826, 1042, 2516, 1661, 3032, 4448, 2003, 2784, 2890, 7348, 8926; draft-foschiano-erspan-03;
//! the tcpdump group's list of link types.

use crate::counters::{Counter, Counters};
use crate::flow::NetworkId;
use crate::reader::Reader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod cooked;
mod ethernet;
mod networks;
pub(crate) mod peeling;
mod tunnels;

#[cfg(test)]
mod tests;

pub use networks::{NetworkMap, NetworkRule};
pub use peeling::{decodes, peel_datagram};

/// LINKTYPE_ETHERNET of the tcpdump group's list.
pub const ETHERNET: u16 = 1;
/// LINKTYPE_LORATAP.
pub const LORATAP: u16 = 270;

/// What a frame holds once it is peeled: plain data with offsets into the packet, so that it can cross threads beside a copy of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// What the payload is.
    pub content: Content,
    /// Source of the innermost IP header; for ARP the sender's protocol address; unspecified for other content of the link.
    pub source: IpAddr,
    /// Destination of the innermost IP header; for ARP the target's protocol address; unspecified for other content of the link.
    pub destination: IpAddr,
    /// Source of the innermost Ethernet (or cooked) header: inside VXLAN or ERSPAN that is the device's own. `None` where there is none, it is
    /// zero, or an IP header that came after it was peeled: it would belong to the tunnel's end.
    pub source_mac: Option<[u8; 6]>,
    /// Destination of the innermost Ethernet header; `None` as above and for group addresses, which name no device.
    pub destination_mac: Option<[u8; 6]>,
    /// Identifier of the outermost 802.1Q tag of the innermost Ethernet frame, or the VLAN that an ERSPAN header tells; 1 to 4094.
    pub vlan: Option<u16>,
    /// The address space.
    pub network: NetworkId,
    /// Where the payload begins, in bytes from the start of the packet. TCP, UDP and ICMPv6: at their header. Fragment: at the fragment's data.
    /// ARP: at its header. LoRaTap: 0. Link: after the EtherType.
    pub payload_offset: u32,
    /// Bytes of the payload in the packet: trimmed to what the IP header announces (no Ethernet padding, no trailers) and to what was captured.
    pub payload_length: u32,
    /// Bytes that the innermost IP header announces beyond those captured: the snap length cut them. Where the
    /// packet was captured whole, its header is wrong, and hosts drop it.
    pub missing: u32,
}

// They are sent to the shards with each packet, so their size counts.
const _: () = assert!(size_of::<Layers>() <= 96);

/// What the payload of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A TCP segment.
    Tcp,
    /// A UDP datagram.
    Udp,
    /// An ICMPv6 message.
    Icmpv6,
    /// A fragment of an IP datagram.
    Fragment(Fragment),
    /// An ARP packet.
    Arp,
    /// A whole frame of link type LoRaTap.
    LoraTap,
    /// The payload of an EtherType that is not IP; 802.2 frames without SNAP have [`Content::LLC`].
    Link(u16),
}

impl Content {
    /// Stands for the EtherType of 802.2 frames, which have none (the number that Linux gives them).
    pub const LLC: u16 = 0x0004;
}

/// Where a fragment belongs (RFC 791 §3.1, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The datagram's identification; 16 bits in IPv4.
    pub identification: u32,
    /// Offset of the fragment's data in the datagram's payload, in bytes: a multiple of 8, at most 65,528.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Protocol of the datagram's payload; in IPv6 it can be an extension header.
    pub protocol: u8,
}

impl Layers {
    /// The payload, out of the packet that was peeled.
    #[inline]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let mut reader = Reader::new(packet);
        reader.take_up_to(self.payload_offset as usize);
        reader.take_up_to(self.payload_length as usize)
    }
}

/// Peels a captured frame down to its innermost IP packet. `link_type` is a number of the tcpdump group's list; `networks` belongs to the interface
/// that the packet came from. `None`: nothing to do; why is counted.
#[inline]
pub fn peel(link_type: u16, bytes: &[u8], counters: &mut Counters, networks: &NetworkMap) -> Option<Layers> {
    if link_type == ETHERNET
        && let Some(mut layers) = straight(bytes)
    {
        layers.network = networks.of(layers.vlan, None);
        return Some(layers);
    }
    peeling::peel(link_type, bytes, counters, networks)
}

/// The straight way; `None` where anything is out of the ordinary.
#[inline]
fn straight(bytes: &[u8]) -> Option<Layers> {
    let mut reader = Reader::new(bytes);
    let destination_mac: [u8; 6] = reader.array()?;
    let source_mac: [u8; 6] = reader.array()?;
    let mut ether_type = reader.u16()?;
    let mut vlan = None;
    if ether_type == ethernet::VLAN {
        vlan = ethernet::vlan_identifier(reader.u16()?);
        ether_type = reader.u16()?;
    }
    let (source, destination, protocol, length) = match ether_type {
        ethernet::IPV4 => {
            // Version 4 without options, and neither "more fragments" nor an offset (RFC 791 §3.1).
            let [0x45, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3]: [u8; 20] = reader.array()?
            else {
                return None;
            };
            if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
                return None;
            }
            let length = usize::from(u16::from_be_bytes([l0, l1])).checked_sub(20)?;
            (IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)), IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)), protocol, length)
        }
        ethernet::IPV6 => {
            let [first, _, _, _, l0, l1, protocol, _]: [u8; 8] = reader.array()?;
            let (source, destination) = (Ipv6Addr::from(reader.array::<16>()?), Ipv6Addr::from(reader.array::<16>()?));
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            if first >> 4 != 6 || length == 0 {
                return None;
            }
            (IpAddr::V6(source), IpAddr::V6(destination), protocol, length)
        }
        _ => return None,
    };
    let payload = reader.peek(length)?;
    let content = match protocol {
        6 => Content::Tcp,
        17 if !tunnels::udp_port_of_a_tunnel(payload) => Content::Udp,
        _ => return None,
    };
    Some(Layers {
        content,
        source,
        destination,
        source_mac: ethernet::device_mac(source_mac),
        destination_mac: ethernet::device_mac(destination_mac),
        vlan,
        network: 0,
        payload_offset: reader.offset() as u32,
        payload_length: length as u32,
        missing: 0,
    })
}

/// Peels arbitrary bytes; the first chooses the link type. Body of a fuzz target: what comes out must lie within the bytes.
pub fn fuzz(bytes: &[u8]) {
    const LINK_TYPES: [u16; 16] = [ETHERNET, 113, 276, 101, 12, 14, 228, 229, 0, 108, 9, 50, 51, 104, LORATAP, 147];
    let Some((&first, packet)) = bytes.split_first() else { return };
    let link_type = LINK_TYPES.get(usize::from(first) % LINK_TYPES.len()).copied().unwrap_or(ETHERNET);
    let (mut counters, networks) = (Counters::default(), NetworkMap::default());
    let layers = peel(link_type, packet, &mut counters, &networks);
    assert!(layers.is_some() || Counter::ALL.iter().any(|&counter| counters.get(counter) > 0), "neither peeled nor counted");
    let Some(layers) = layers else { return };
    assert!(layers.payload_offset as usize + layers.payload_length as usize <= packet.len(), "payload outside of the packet");
    assert_eq!(layers.payload(packet).len(), layers.payload_length as usize);
    if let Content::Fragment(fragment) = layers.content {
        let datagram = layers.payload(packet);
        if let Some(inner) = peel_datagram(&layers, fragment.protocol, datagram, &mut counters, &networks) {
            assert!(
                inner.payload_offset as usize + inner.payload_length as usize <= datagram.len(),
                "payload outside of the datagram"
            );
        }
    }
}
