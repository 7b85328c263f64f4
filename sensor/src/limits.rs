//! The bounds shared by all. A protocol's own bounds stand in its [`DecoderSpec`](crate::protocols::DecoderSpec). Each is per shard unless it says otherwise.

use crate::time::{Nanos, SECOND};

/// Number of shards. Fixed, so that what is bounded and shed does not depend on the number of threads.
pub const SHARDS: usize = 64;

/// Packets after which an epoch ends even if no second of packet time has passed: keeps the work between two epochs bounded.
pub const EPOCH_PACKETS: u64 = 8_192;

/// Length of an epoch in packet time: what people and sinks see is at most this old, and timers need be no finer.
pub const EPOCH_LENGTH: Nanos = SECOND;

/// Tunnels within tunnels that are peeled: SPAN over ERSPAN over a carrier's GRE and a VXLAN inside is four.
pub const TUNNEL_DEPTH: usize = 6;

/// Flows in one shard's table by default: 16,384 x 64 shards are a million, the largest load that is measured.
pub const FLOWS: usize = 16_384;

/// A TCP flow that was silent this long has ended: keep-alive intervals of field devices reach an hour.
pub const TCP_SILENCE: Nanos = 3_900 * SECOND;

/// A UDP flow, or a TCP flow in which nothing was recognised, that was silent this long has ended.
pub const FLOW_SILENCE: Nanos = 180 * SECOND;

/// A closed TCP flow is kept this long for late segments.
pub const TCP_LINGER: Nanos = 10 * SECOND;

/// How often an active flow is told of.
pub const FLOW_REPORT: Nanos = 60 * SECOND;

/// Data-carrying segments or datagrams of a flow that are probed before it counts as undecoded: a flow may start in the middle of a message.
pub const PROBES: u8 = 8;

/// Bytes kept of a direction while a probe asks for more.
pub const PROBE_BYTES: usize = 4_096;

/// Out-of-order bytes kept for one direction of a TCP stream: a window of a fast sender at 1 Gbit/s and 2 ms.
pub const REASSEMBLY_BYTES: usize = 262_144;

/// Out-of-order segments kept for one direction of a TCP stream.
pub const REASSEMBLY_SEGMENTS: usize = 256;

/// Out-of-order bytes kept over all streams of a shard: 64 shards hold at most 256 MB.
pub const REASSEMBLY_SHARD_BYTES: usize = 4 << 20;

/// A hole in a TCP stream older than this is given up: retransmission timers reach a few seconds (RFC 6298).
pub const HOLE_AGE: Nanos = 10 * SECOND;

/// Channels of carried protocols kept for one flow.
pub const CARRIED_CHANNELS: usize = 32;

/// Carriage within carriage: LoRaWAN in JSON in MQTT in WebSocket is three.
pub const CARRIED_DEPTH: u8 = 4;

/// Datagrams waiting for fragments in one shard.
pub const FRAGMENT_DATAGRAMS: usize = 64;

/// Fragments of one datagram: 65,535 bytes in pieces of 576.
pub const FRAGMENTS: usize = 128;

/// Bytes waiting in fragments in one shard: 16 datagrams of the largest size, 700 fragments of a common MTU; 64 MB over 64 shards.
pub const FRAGMENT_BYTES: usize = 1 << 20;

/// A completed datagram is remembered this long, so that the copies of its fragments which a SPAN port makes do not wait for a second one.
/// Short, because devices that restart or count badly use an identification again.
pub const FRAGMENT_LINGER: Nanos = SECOND / 20;

/// A datagram whose fragments do not arrive in this time is given up (RFC 8200 §4.5: 60 s; RFC 1122 allows 60 to 120 s).
pub const FRAGMENT_AGE: Nanos = 60 * SECOND;
