//! Carriage inside carriage: payloads that a decoder hands on, and the state of those that take them.

use super::{Carried, Channel, Cx, Decoder, DecoderSpec, Input, Probe, ProbeInput, Step};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::limits::{CARRIED_CHANNELS, CARRIED_DEPTH};
use crate::stream::StreamBuffer;

/// The carried decoders of one flow, at most [`CARRIED_CHANNELS`].
#[derive(Default)]
pub(crate) struct Children {
    /// Boxed, since one leaves the list while it works and comes back after.
    #[expect(clippy::vec_box, reason = "moving a child would cost more than following a pointer")]
    open: Vec<Box<Child>>,
}

struct Child {
    spec: &'static DecoderSpec,
    kind: &'static str,
    channel: Channel,
    decoder: Box<dyn Decoder>,
    buffers: [StreamBuffer; 2],
}

impl Children {
    /// Tells all of them that the flow ended.
    pub(crate) fn close(self, cx: &mut Cx<'_>) {
        for child in self.open {
            let mut child = *child;
            child.decoder.close(&mut inner_of(cx, child.spec));
        }
    }

    fn take(&mut self, wanted: impl Fn(&Child) -> bool) -> Option<Box<Child>> {
        let at = self.open.iter().position(|child| wanted(child))?;
        Some(self.open.swap_remove(at))
    }
}

pub(super) fn forward(cx: &mut Cx<'_>, carried: Carried<'_>) -> Option<&'static str> {
    if cx.depth >= CARRIED_DEPTH {
        cx.counters.bump(Counter::CarriedDropped);
        return None;
    }
    let mut child = open(cx, &carried)?;
    let mut inner =
        Cx { spec: child.spec, depth: cx.depth + 1, carrier: Some(carried.carrier), hint: carried.hint, ..reborrow(cx) };
    let buffer = &mut child.buffers[carried.direction.index()];
    let alive = if carried.bytes.is_empty() && carried.channel == Channel::Datagram {
        // A buffer shows nothing where there is nothing; what the carrier says of an empty payload can still be a message (a CoAP GET).
        let (bytes, direction, channel) = (carried.bytes, carried.direction, carried.channel);
        child.decoder.message(Input { bytes, direction, channel, segment_start: true }, &mut inner) != Step::GiveUp
    } else {
        buffer.deliver(&mut *child.decoder, carried.bytes, carried.direction, carried.channel, true, &mut inner)
    };
    let name = child.spec.name;
    if alive || carried.channel == Channel::Datagram {
        cx.children.get_or_insert_default().open.push(child);
    } else {
        child.decoder.close(&mut inner_of(cx, child.spec));
    }
    Some(name)
}

pub(super) fn lose(cx: &mut Cx<'_>, kind: &'static str, channel: Channel, direction: Direction, missing: u64) {
    let Some(children) = cx.children.as_mut() else { return };
    let Some(mut child) = children.take(|child| child.channel == channel && child.kind == kind) else { return };
    let mut inner = Cx { spec: child.spec, depth: cx.depth + 1, ..reborrow(cx) };
    let Some(buffer) = child.buffers.get_mut(direction.index()) else { return };
    if buffer.lose(&mut *child.decoder, direction, Some(missing), &mut inner) {
        cx.children.get_or_insert_default().open.push(child);
    } else {
        child.decoder.close(&mut inner_of(cx, child.spec));
    }
}

/// The decoder that takes the payload: the one that has the channel already, or the first that recognises it.
fn open(cx: &mut Cx<'_>, carried: &Carried<'_>) -> Option<Box<Child>> {
    let children = cx.children.get_or_insert_default();
    if carried.channel != Channel::Datagram
        && let Some(child) = children.take(|child| child.channel == carried.channel && child.kind == carried.kind)
    {
        return Some(child);
    }
    let input = ProbeInput {
        bytes: carried.bytes,
        direction: carried.direction,
        channel: carried.channel,
        port_hint: false,
        hint: carried.hint,
    };
    let takers = cx.decoders.taking(carried.kind).iter().copied();
    let spec = takers.into_iter().find(|spec| matches!((spec.probe)(&input), Probe::Strong(_) | Probe::Weak(_)))?;
    if let Some(child) = children.take(|child| child.channel == carried.channel && std::ptr::eq(child.spec, spec)) {
        return Some(child);
    }
    if children.open.len() >= CARRIED_CHANNELS {
        cx.counters.bump(Counter::CarriedDropped);
        return None;
    }
    let (kind, channel) = (carried.kind, carried.channel);
    Some(Box::new(Child { spec, kind, channel, decoder: (spec.create)(), buffers: Default::default() }))
}

fn inner_of<'s>(cx: &'s mut Cx<'_>, spec: &'static DecoderSpec) -> Cx<'s> {
    let depth = cx.depth + 1;
    Cx { spec, depth, ..reborrow(cx) }
}

fn reborrow<'s>(cx: &'s mut Cx<'_>) -> Cx<'s> {
    Cx {
        observer: cx.observer,
        counters: cx.counters,
        flow: cx.flow,
        children: cx.children,
        place: cx.place,
        time: cx.time,
        now: cx.now,
        spec: cx.spec,
        carrier: cx.carrier,
        hint: cx.hint,
        depth: cx.depth,
        decoders: cx.decoders,
    }
}
