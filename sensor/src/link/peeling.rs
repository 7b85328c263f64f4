//! The general way through a frame: one layer a step, each of which says what follows. Nothing recurses, so depth costs no stack.

use super::{Content, ETHERNET, LORATAP, Layers, NetworkMap, cooked, ethernet, tunnels};
use crate::counters::{Counter, Counters};
use crate::limits::TUNNEL_DEPTH;
use crate::net::ip;
use crate::reader::Reader;
use std::net::{IpAddr, Ipv4Addr};

/// Nobody: stands for the addresses of frames that are not IP.
const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What comes next in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An Ethernet header.
    Ethernet,
    /// The Ethernet header of a frame that was mirrored from this VLAN.
    Mirrored(Option<u16>),
    /// What this EtherType announces, or the 802.2 frame of this length.
    EtherType(u16),
    /// An MPLS label stack.
    Mpls,
    /// A PPPoE session header.
    Pppoe,
    /// A PPP protocol field, perhaps after HDLC's address and control.
    Ppp,
    /// An IPv4 or an IPv6 header, as its first bits say.
    Ip,
    /// An IPv4 header.
    Ipv4,
    /// An IPv6 header.
    Ipv6,
    /// The payload of an IP header, of this protocol.
    Protocol(u8),
    /// Nothing to peel: this is it.
    Done(Content),
    /// Nothing more to do with the packet; this counts why.
    Stop(Counter),
}

/// What is known at one step.
pub(crate) struct Peeler<'a> {
    packet: &'a [u8],
    /// Stands at the layer that comes next and ends where the layers before it end; its offset counts from the start of the packet.
    pub(crate) reader: Reader<'a>,
    /// What is known so far.
    pub(crate) layers: Layers,
    /// Whether an IP header was peeled since the last link header.
    pub(crate) inside_ip: bool,
    /// Identifier of the outermost tunnel.
    pub(crate) tunnel: Option<u32>,
    depth: usize,
}

/// Whether frames of this link type are taken apart.
pub fn decodes(link_type: u16) -> bool {
    link_type == LORATAP || link_type == ETHERNET || first_layer(link_type).is_some()
}

/// How to enter a frame of this link type.
fn first_layer(link_type: u16) -> Option<fn(&mut Peeler<'_>) -> Option<Next>> {
    Some(match link_type {
        ETHERNET => |_| Some(Next::Ethernet),
        LORATAP => |_| Some(Next::Done(Content::LoraTap)),
        0 | 108 => cooked::loopback,
        9 | 50 => |_| Some(Next::Ppp),
        51 => |_| Some(Next::Pppoe),
        12 | 14 | 101 => |_| Some(Next::Ip),
        104 => cooked::hdlc,
        113 => cooked::v1,
        228 => |_| Some(Next::Ipv4),
        229 => |_| Some(Next::Ipv6),
        276 => cooked::v2,
        _ => return None,
    })
}

#[cold]
pub(super) fn peel(link_type: u16, packet: &[u8], counters: &mut Counters, networks: &NetworkMap) -> Option<Layers> {
    let Some(first_layer) = first_layer(link_type) else {
        counters.bump(Counter::LinkTypeUnknown);
        return None;
    };
    let mut peeler = Peeler::new(packet, Layers::NOTHING);
    let next = first_layer(&mut peeler).unwrap_or(Next::Stop(Counter::LinkMalformed));
    let mut layers = peeler.run(next, counters)?;
    layers.network = networks.of(layers.vlan, peeler.tunnel);
    Some(layers)
}

/// Goes on in a datagram that was put together from fragments: `outer` are the layers of one of the fragments, `protocol` that of the first
/// fragment, and the answer's offsets count from the start of `datagram`. A tunnel in it is peeled as in [`peel`](super::peel).
#[cold]
pub fn peel_datagram(
    outer: &Layers,
    protocol: u8,
    datagram: &[u8],
    counters: &mut Counters,
    networks: &NetworkMap,
) -> Option<Layers> {
    let mut peeler = Peeler::new(datagram, Layers { missing: 0, ..*outer });
    peeler.inside_ip = true;
    let mut layers = peeler.run(Next::Protocol(protocol), counters)?;
    if peeler.tunnel.is_some() {
        layers.network = networks.of(layers.vlan, peeler.tunnel);
    }
    Some(layers)
}

impl Layers {
    const NOTHING: Layers = Layers {
        content: Content::LoraTap,
        source: UNSPECIFIED,
        destination: UNSPECIFIED,
        source_mac: None,
        destination_mac: None,
        vlan: None,
        network: 0,
        payload_offset: 0,
        payload_length: 0,
        missing: 0,
    };
}

impl<'a> Peeler<'a> {
    fn new(packet: &'a [u8], layers: Layers) -> Self {
        Self { packet, reader: Reader::new(packet), layers, inside_ip: false, tunnel: None, depth: 0 }
    }

    fn run(&mut self, mut next: Next, counters: &mut Counters) -> Option<Layers> {
        loop {
            let (step, malformed) = match next {
                Next::Ethernet => (ethernet::ethernet(self, None), Counter::LinkMalformed),
                Next::Mirrored(vlan) => (ethernet::ethernet(self, vlan), Counter::LinkMalformed),
                Next::EtherType(ether_type) => (ethernet::ether_type(self, ether_type), Counter::LinkMalformed),
                Next::Mpls => (ethernet::mpls(self), Counter::LinkMalformed),
                Next::Pppoe => (ethernet::pppoe(self), Counter::LinkMalformed),
                Next::Ppp => (ethernet::ppp(self), Counter::LinkMalformed),
                Next::Ip => (ip::either(self), Counter::IpMalformed),
                Next::Ipv4 => (ip::v4(self), Counter::IpMalformed),
                Next::Ipv6 => (ip::v6(self), Counter::IpMalformed),
                Next::Protocol(protocol) => (self.protocol(protocol), Counter::IpMalformed),
                Next::Done(content) => return Some(self.finish(content, counters)),
                Next::Stop(why) => {
                    counters.bump(why);
                    return None;
                }
            };
            next = step.unwrap_or(Next::Stop(malformed));
        }
    }

    /// What an IP header carries.
    fn protocol(&mut self, protocol: u8) -> Option<Next> {
        match protocol {
            6 => Some(Next::Done(Content::Tcp)),
            17 => Some(tunnels::in_udp(self).unwrap_or(Next::Done(Content::Udp))),
            58 if self.layers.source.is_ipv6() => Some(Next::Done(Content::Icmpv6)),
            ip::IN_IPV4 => Some(self.enter(None, Next::Ipv4)),
            ip::IN_IPV6 => Some(self.enter(None, Next::Ipv6)),
            47 => tunnels::gre(self),
            137 => Some(self.enter(None, Next::Mpls)),
            _ => ip::extension(self, protocol),
        }
    }

    /// Enters a tunnel.
    pub(crate) fn enter(&mut self, identifier: Option<u32>, next: Next) -> Next {
        self.depth += 1;
        if self.depth > TUNNEL_DEPTH {
            return Next::Stop(Counter::TunnelTooDeep);
        }
        self.tunnel = self.tunnel.or(identifier);
        next
    }

    /// Forgets what is known of the frame outside, at a link header inside a tunnel.
    pub(crate) fn begin_link(&mut self) {
        self.layers = Layers { network: self.layers.network, ..Layers::NOTHING };
        self.inside_ip = false;
    }

    /// Cuts off what lies beyond the next `length` bytes; answers how many of these are not there.
    pub(crate) fn trim(&mut self, length: usize) -> usize {
        let (offset, remaining) = (self.reader.offset(), self.reader.remaining());
        let mut trimmed = Reader::new(Reader::new(self.packet).take_up_to(offset + length.min(remaining)));
        trimmed.take_up_to(offset);
        self.reader = trimmed;
        length.saturating_sub(remaining)
    }

    fn finish(&self, content: Content, counters: &mut Counters) -> Layers {
        match content {
            Content::Link(_) => counters.bump(Counter::NotIp),
            Content::Fragment(_) => counters.bump(Counter::Fragments),
            _ => {}
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Layers {
            content,
            payload_offset: count(self.reader.offset()),
            payload_length: count(self.reader.remaining()),
            ..self.layers
        }
    }
}
