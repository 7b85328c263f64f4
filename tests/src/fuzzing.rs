//! Bodies of the fuzz targets: one for all decoders here, the others beside what they test in `sensor`.
//!
//! An input for a decoder is a schedule. Its first byte chooses the transport and the port; then come steps of three bytes and a payload:
//! what to do and which way, and the length; a carried payload begins with a byte that tells the length of its hint. [`seed`] writes a recorded conversation so, which is where fuzzing starts.

use crate::streams::{Conversation, Event, play, record};
use crate::{cases, contract, streams};
use citytap_sensor::flow::{Direction, Transport};
use citytap_sensor::protocols::{Channel, DecoderSpec, ProbeInput};
use citytap_sensor::reader::Reader;
use citytap_sensor::testing::Bench;
use std::collections::BTreeMap;
use std::fs;

/// The body of a target: must not panic, whatever the bytes.
pub type Body = fn(&[u8]);

/// Targets that are not decoders.
pub const OTHERS: &[(&str, Body)] = &[
    ("capture", citytap_sensor::capture::fuzz),
    ("link", citytap_sensor::link::fuzz),
    ("fragments", citytap_sensor::net::fragments::fuzz_fragments),
    ("reassembly", citytap_sensor::transport::reassembly::fuzz_reassembly),
];

/// A fuzz target.
pub enum Target {
    /// All that a decoder can be shown.
    Decoder(&'static DecoderSpec),
    /// A body beside the code that it tests.
    Other(Body),
}

impl Target {
    /// Must not panic, whatever the bytes.
    pub fn run(&self, bytes: &[u8]) {
        match self {
            Target::Decoder(spec) => decoder(spec, bytes),
            Target::Other(body) => body(bytes),
        }
    }
}

/// The target of a name: a decoder's, or one of [`OTHERS`].
pub fn target(name: &str) -> Option<Target> {
    let decoder = contract::decoders().iter().find(|spec| spec.name == name).map(|spec| Target::Decoder(spec));
    decoder.or_else(|| OTHERS.iter().find(|(other, _)| *other == name).map(|(_, body)| Target::Other(*body)))
}

/// Largest input that fuzzing starts from; long ones only slow it down.
const LONGEST_SEED: usize = 8192;

/// Inputs for each target, from `pcaps/`: conversations for decoders, the captures themselves for the rest.
pub fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let names = contract::decoders().iter().map(|spec| spec.name).chain(OTHERS.iter().map(|(name, _)| *name));
    let mut seeds: BTreeMap<&'static str, Vec<Vec<u8>>> = names.map(|name| (name, Vec::new())).collect();
    for case in cases::cases() {
        for conversation in record(&case.capture) {
            let mut schedule = seed(&conversation);
            schedule.truncate(LONGEST_SEED);
            seeds.entry(conversation.protocol).or_default().push(schedule);
        }
        let mut bytes = fs::read(&case.capture).unwrap_or_else(|error| panic!("{}: {error}", case.capture.display()));
        bytes.truncate(LONGEST_SEED);
        for (name, _) in OTHERS {
            seeds.entry(name).or_default().push(bytes.clone());
        }
    }
    seeds
}

/// Shows a schedule to a wrapped decoder, which checks every answer.
pub fn decoder(spec: &'static DecoderSpec, schedule: &[u8]) {
    let mut reader = Reader::new(schedule);
    let Some(first) = reader.u8() else { return };
    let transports = transports(spec);
    let transport = transports[usize::from(first & 0x3f) % transports.len()];
    let port = if first & 0x80 == 0 { spec.hooks.ports.first().copied().unwrap_or(9) } else { 9 };
    let mut bench = Bench::new(spec, transport, port);
    while let Some((code, length)) = reader.u8().zip(reader.u16()) {
        let direction = if code & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        bench.tick = u64::from(code & 0x0e) << 32;
        let event = match code >> 4 {
            0 => Event::Gap(direction, Some(u64::from(length) + 1)),
            1 => Event::Gap(direction, None),
            3.. if streams::is_carried_only(spec) => {
                let mut payload = Reader::new(reader.take_up_to(usize::from(length)));
                let hint = payload.u8().unwrap_or_default();
                let hint = String::from_utf8_lossy(payload.take_up_to(usize::from(hint))).into_owned();
                Event::Carried(direction, hint, payload.take_up_to(usize::from(length)).to_vec())
            }
            _ => {
                let bytes = reader.take_up_to(usize::from(length));
                probe(spec, transport, direction, bytes);
                Event::Bytes(direction, bytes.to_vec())
            }
        };
        if !play(&mut bench, &event) {
            bench = Bench::new(spec, transport, port);
        }
    }
    bench.close();
}

fn probe(spec: &DecoderSpec, transport: Transport, direction: Direction, bytes: &[u8]) {
    let channel = if transport == Transport::Tcp { Channel::Stream(0) } else { Channel::Datagram };
    for port_hint in [false, true] {
        (spec.probe)(&ProbeInput { bytes, direction, channel, port_hint, hint: "" });
    }
}

/// The transports on which a decoder is shown bytes; carried protocols come as datagrams.
pub fn transports(spec: &DecoderSpec) -> Vec<Transport> {
    let all = [Transport::Tcp, Transport::Udp, Transport::Icmpv6, Transport::Link];
    let runs: Vec<Transport> = all.into_iter().filter(|transport| spec.runs_over(*transport)).collect();
    if runs.is_empty() { vec![Transport::Udp] } else { runs }
}

/// A conversation as a schedule.
pub fn seed(conversation: &Conversation) -> Vec<u8> {
    let spec = contract::decoder(conversation.protocol);
    let at = transports(spec).iter().position(|transport| *transport == conversation.flow.transport).unwrap_or(0);
    let mut schedule = vec![at as u8];
    for event in &conversation.events {
        let (code, direction): (u8, _) = match event {
            Event::Gap(direction, _) => (1 << 4, direction),
            Event::Bytes(direction, _) => (2 << 4, direction),
            Event::Carried(direction, ..) => (3 << 4, direction),
        };
        let mut prefixed = Vec::new();
        if let Event::Carried(_, hint, _) = event {
            let hint = hint.as_bytes().get(..255).unwrap_or(hint.as_bytes());
            prefixed.push(hint.len() as u8);
            prefixed.extend_from_slice(hint);
        }
        prefixed.extend_from_slice(event.bytes());
        let mut rest = prefixed.as_slice();
        loop {
            let (piece, next) = rest.split_at(rest.len().min(usize::from(u16::MAX)));
            schedule.push(code | direction.index() as u8);
            schedule.extend_from_slice(&(piece.len() as u16).to_be_bytes());
            schedule.extend_from_slice(piece);
            rest = next;
            if rest.is_empty() {
                break;
            }
        }
    }
    schedule
}
