//! DHCP: which IPv4 address a device is given, and what it says of itself when it asks.
//!
//! One message becomes one `dhcp.message`. An acknowledged lease makes hardware address and IPv4 address one device; the server that offers or
//! acknowledges hands out addresses; a host name in a client's message is the client's.
//!
//! Left out: BOOTP without the magic cookie, vendor options and relay agent information (option 43, 82), authentication (option 90), long options
//! in several parts (RFC 3396). The messages carry no secret that is told.
//!
//! Documents: RFC 951, RFC 2131, RFC 2132, RFC 4388 (lease query types).

use super::{Decoder, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::anomalies;
use crate::flow::Direction;

mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use record::Message;
pub use wire::fuzz;

/// Bytes of the longest message: a UDP payload.
const LONGEST: usize = 65_507;

/// The decoder. All clients without an address share one flow, so it keeps nothing between messages.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "dhcp",
    title: "DHCP",
    documents: &["RFC 951", "RFC 2131", "RFC 2132", "RFC 4388"],
    hooks: Hooks { udp: true, ports: &[67, 68], ..Hooks::NONE },
    max_message: LONGEST,
    probe,
    create: || Box::new(session::Session) as Box<dyn Decoder>,
    records: &[&Message::KIND],
    anomalies: ALL,
    identities: &[],
    bounds: &[],
};

/// Operation and magic cookie, 236 bytes apart, can hardly be anything else.
fn probe(input: &ProbeInput<'_>) -> Probe {
    match wire::Wire::read(input.bytes) {
        Some(wire) if wire.operation == wire::REQUEST => Probe::Strong(Some(Direction::ToServer)),
        Some(wire) if wire.operation == wire::REPLY => Probe::Strong(Some(Direction::ToClient)),
        _ => Probe::No,
    }
}

anomalies! {
    /// The options end within one of them, or without the end option (RFC 2132 §3.2).
    OPTIONS_TRUNCATED = "dhcp.options_truncated",
    /// No option 53: the message has no type (RFC 2131 §3).
    MESSAGE_TYPE_MISSING = "dhcp.message_type_missing",
    /// An offer or acknowledgement without the server's identifier (RFC 2131 §4.3.1, table 3).
    SERVER_IDENTIFIER_MISSING = "dhcp.server_identifier_missing",
    /// The hardware address is longer than its field (RFC 2131 §2).
    HARDWARE_LENGTH = "dhcp.hardware_length",
    /// Operation and message type contradict each other: a server's message in a request, or the reverse (RFC 2131 §3).
    OPERATION_MISMATCH = "dhcp.operation_mismatch",
    /// A host name or vendor class that is no text (RFC 2132 §3.14, §9.13).
    NOT_TEXT = "dhcp.not_text",
}
