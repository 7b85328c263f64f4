//! Packets that belong to no flow: ARP, neighbour discovery, LoRaTap frames. Their decoders keep one state a shard.

use super::PacketInfo;
use crate::counters::{Counter, Counters};
use crate::flow::{Direction, Endpoint, FlowInfo, Transport};
use crate::link::Content;
use crate::observation::{Observer, Place};
use crate::protocols::{Channel, Children, Cx, Decoder, DecoderSpec, Input};
use std::panic::{AssertUnwindSafe, catch_unwind};

const ETHERTYPE_ARP: u16 = 0x0806;

/// The decoders of one shard that work without flows.
pub(super) struct FlowlessDecoders {
    decoders: Vec<(&'static DecoderSpec, Box<dyn Decoder>)>,
    children: Option<Box<Children>>,
}

impl FlowlessDecoders {
    pub(super) fn new(decoders: &'static [&'static DecoderSpec]) -> Self {
        let flowless = |spec: &&&DecoderSpec| spec.hooks.icmpv6 || spec.hooks.loratap || !spec.hooks.ethertypes.is_empty();
        Self { decoders: decoders.iter().filter(flowless).map(|&spec| (spec, (spec.create)())).collect(), children: None }
    }

    pub(super) fn packet(
        &mut self,
        packet: &PacketInfo,
        content: Content,
        payload: &[u8],
        observer: &mut dyn Observer,
        counters: &mut Counters,
        specs: &'static [&'static DecoderSpec],
    ) {
        let Some((spec, decoder)) = self.decoders.iter_mut().find(|(spec, _)| takes(spec, content)) else {
            return counters.add(Counter::UndecodedBytes, payload.len() as u64);
        };
        let flow = flow_info(packet, content);
        let mut place = Place { frame: packet.frame, sequence: 0 };
        let mut cx = Cx {
            observer,
            counters,
            flow: &flow,
            children: &mut self.children,
            place: &mut place,
            time: packet.time,
            now: packet.now,
            spec,
            carrier: None,
            hint: "",
            depth: 0,
            decoders: specs,
        };
        let input = Input { bytes: payload, direction: Direction::ToServer, channel: Channel::Datagram, segment_start: true };
        // A panic is a bug of ours; the decoder starts afresh.
        if catch_unwind(AssertUnwindSafe(|| decoder.message(input, &mut cx))).is_err() {
            cx.count(Counter::DecoderFailures, 1);
            *decoder = (spec.create)();
        }
    }
}

fn takes(spec: &DecoderSpec, content: Content) -> bool {
    match content {
        Content::Arp => spec.hooks.ethertypes.contains(&ETHERTYPE_ARP),
        Content::Link(ethertype) => spec.hooks.ethertypes.contains(&ethertype),
        Content::Icmpv6 => spec.hooks.icmpv6,
        Content::LoraTap => spec.hooks.loratap,
        Content::Tcp | Content::Udp | Content::Fragment(_) => false,
    }
}

fn flow_info(packet: &PacketInfo, content: Content) -> FlowInfo {
    let layers = &packet.layers;
    FlowInfo {
        id: packet.frame,
        network: layers.network,
        transport: if matches!(content, Content::Icmpv6) { Transport::Icmpv6 } else { Transport::Link },
        client: Endpoint { ip: layers.source, port: 0 },
        server: Endpoint { ip: layers.destination, port: 0 },
        client_mac: layers.source_mac,
        server_mac: layers.destination_mac,
        vlan: layers.vlan,
        oriented: true,
    }
}
