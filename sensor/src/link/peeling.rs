//! The general way through a frame: one layer a step, each of which says what follows. Nothing recurses, so depth costs no stack.

use super::{Content, ETHERNET, LORATAP, Layers, NetworkMap, cooked, ethernet, tunnels};
use crate::counters::{Counter, Counters};
use crate::limits::TUNNEL_DEPTH;
use crate::net::ip;
use crate::reader::Reader;
use std::net::{IpAddr, Ipv4Addr};

/// Nobody: stands for the addresses of frames that are not IP.
const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What comes next in a frame. Small enough for a register: an answer through memory would cost more than most steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An Ethernet header.
    Ethernet,
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
    /// Nothing to peel: what follows is the payload, and `layers.content` says what.
    Done,
    /// Nothing more to do with the packet; [`Peeler::stopped`] says why.
    Stop,
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
    /// The VLAN that the frame which comes next was mirrored from.
    pub(crate) mirrored_vlan: Option<u16>,
    /// Why the packet is given up, once it is.
    stopped: Counter,
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
        LORATAP => |peeler| Some(peeler.done(Content::LoraTap)),
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

#[inline(never)]
pub(super) fn peel(link_type: u16, packet: &[u8], counters: &mut Counters, networks: &NetworkMap) -> Option<Layers> {
    let Some(first_layer) = first_layer(link_type) else {
        counters.bump(Counter::LinkTypeUnknown);
        return None;
    };
    let mut peeler = Peeler::new(packet, Layers::NOTHING);
    let next = first_layer(&mut peeler).unwrap_or_else(|| peeler.stop(Counter::LinkMalformed));
    peeler.run(next, counters)?;
    peeler.layers.network = networks.of(peeler.layers.vlan, peeler.tunnel);
    Some(peeler.layers)
}

/// Goes on in a datagram that was put together from fragments: `outer` are the layers of one of the fragments, `protocol` that of the first
/// fragment, and the answer's offsets count from the start of `datagram`. A tunnel in it is peeled as in [`peel`](super::peel).
#[inline(never)]
pub fn peel_datagram(
    outer: &Layers,
    protocol: u8,
    datagram: &[u8],
    counters: &mut Counters,
    networks: &NetworkMap,
) -> Option<Layers> {
    let mut peeler = Peeler::new(datagram, Layers { missing: 0, ..*outer });
    peeler.inside_ip = true;
    peeler.run(Next::Protocol(protocol), counters)?;
    if peeler.tunnel.is_some() {
        peeler.layers.network = networks.of(peeler.layers.vlan, peeler.tunnel);
    }
    Some(peeler.layers)
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
        Self {
            packet,
            reader: Reader::new(packet),
            layers,
            inside_ip: false,
            tunnel: None,
            mirrored_vlan: None,
            stopped: Counter::LinkMalformed,
            depth: 0,
        }
    }

    /// Goes from layer to layer until the payload; what is found stands in `layers`. `None`: nothing to do, and counted.
    fn run(&mut self, mut next: Next, counters: &mut Counters) -> Option<()> {
        loop {
            let (step, malformed) = match next {
                Next::Ethernet => (ethernet::ethernet(self), Counter::LinkMalformed),
                Next::EtherType(ether_type) => (ethernet::ether_type(self, ether_type), Counter::LinkMalformed),
                Next::Mpls => (ethernet::mpls(self), Counter::LinkMalformed),
                Next::Pppoe => (ethernet::pppoe(self), Counter::LinkMalformed),
                Next::Ppp => (ethernet::ppp(self), Counter::LinkMalformed),
                Next::Ip => (ip::either(self), Counter::IpMalformed),
                Next::Ipv4 => (ip::v4(self), Counter::IpMalformed),
                Next::Ipv6 => (ip::v6(self), Counter::IpMalformed),
                Next::Protocol(protocol) => (self.protocol(protocol), Counter::IpMalformed),
                Next::Done => {
                    self.finish(counters);
                    return Some(());
                }
                Next::Stop => {
                    counters.bump(self.stopped);
                    return None;
                }
            };
            next = step.unwrap_or_else(|| self.stop(malformed));
        }
    }

    /// What an IP header carries.
    fn protocol(&mut self, protocol: u8) -> Option<Next> {
        match protocol {
            6 => Some(self.done(Content::Tcp)),
            17 => Some(tunnels::in_udp(self).unwrap_or_else(|| self.done(Content::Udp))),
            58 if self.layers.source.is_ipv6() => Some(self.done(Content::Icmpv6)),
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
            return self.stop(Counter::TunnelTooDeep);
        }
        self.tunnel = self.tunnel.or(identifier);
        next
    }

    /// Forgets what is known of the frame outside, at an Ethernet header that can be inside a tunnel. It brings MAC addresses of its own.
    pub(crate) fn begin_link(&mut self) {
        self.layers.source = UNSPECIFIED;
        self.layers.destination = UNSPECIFIED;
        self.layers.vlan = self.mirrored_vlan.take();
        self.layers.missing = 0;
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

    /// What follows is the payload.
    pub(crate) fn done(&mut self, content: Content) -> Next {
        self.layers.content = content;
        Next::Done
    }

    /// The packet is given up, and counted so.
    pub(crate) fn stop(&mut self, why: Counter) -> Next {
        self.stopped = why;
        Next::Stop
    }

    fn finish(&mut self, counters: &mut Counters) {
        match self.layers.content {
            Content::Link(_) => counters.bump(Counter::NotIp),
            Content::Fragment(_) => counters.bump(Counter::Fragments),
            _ => {}
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.layers.payload_offset = count(self.reader.offset());
        self.layers.payload_length = count(self.reader.remaining());
    }
}
