//! Modbus: ADUs on TCP and UDP (MBAP), and RTU frames over TCP, to requests and responses.
//!
//! All public function codes are decoded with their values; UMAS (90) and firmware replacement (125) are recognised and named, their
//! contents are not. Responses are paired with their requests by transaction, unit and flow, so that a response says what was read.
//! ASCII framing and serial lines are left out: they do not occur on a SPAN port.
//!
//! Each unit that answers is told as a name at its server. Many servers do not heed the unit identifier and answer under all of them; a gateway
//! says of a unit that is missing that it is (exceptions 10 and 11), which is told once a flow. Whether the names are of several devices
//! is judged where all flows of a server meet, in the inventory.
//!
//! Documents: MODBUS Application Protocol Specification V1.1b3; MODBUS Messaging on TCP/IP Implementation Guide V1.0b; MODBUS over Serial
//! Line V1.02 (RTU framing and CRC).

mod record;
mod session;
pub mod wire;

#[cfg(test)]
mod tests;

use super::{Bound, Channel, Decoder, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::flow::Direction;
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};
use crate::reader::Reader;
use session::Session;
use wire::MbapHeader;

/// What the decoder is.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "modbus",
    title: "Modbus",
    documents: &[
        "MODBUS Application Protocol Specification V1.1b3",
        "MODBUS Messaging on TCP/IP Implementation Guide V1.0b",
        "MODBUS over Serial Line V1.02",
    ],
    hooks: Hooks { tcp: true, udp: true, ports: &[502], ..Hooks::NONE },
    max_message: wire::ADU_MAX,
    probe,
    create: || -> Box<dyn Decoder> { Box::new(Session::default()) },
    records: &[&record::Request::KIND, &record::Response::KIND],
    anomalies: record::anomaly::ALL,
    identities: &[&UNIT],
    bounds: &[
        Bound {
            name: "modbus.transactions",
            value: session::TRANSACTIONS,
            reason: "servers accept up to 16 transactions at once (Messaging Guide §4.3.2); twice that leaves room for unanswered ones",
        },
        Bound {
            name: "modbus.functions",
            value: session::FUNCTIONS,
            reason: "a maker has one or two functions of its own, and few units are behind one connection",
        },
    ],
};

/// A device behind a Modbus server's address.
pub static UNIT: IdentityKind = IdentityKind {
    name: "modbus_unit",
    scope: IdentityScope::Server,
    strength: Strength::Assigned,
    lifetime: Lifetime::Configured,
    doc: "Unit identifier, 1 to 247, of a device behind a server's address (Messaging Guide §3.1.3).",
};

/// Content decides: an MBAP header whose length fits and a PDU of the right shape, or an RTU frame with a right CRC. An RTU request for few
/// registers from address 0 looks like the beginning of the first, so what is not whole is held against the second.
fn probe(input: &ProbeInput<'_>) -> Probe {
    let header = MbapHeader::parse(&mut Reader::new(input.bytes));
    if let Some(header) = header.filter(|header| header.protocol_id == 0 && header.is_plausible()) {
        let rtu = if input.bytes.len() < header.adu_length() { probe_rtu(input) } else { Probe::No };
        return if rtu == Probe::No { probe_mbap(input, &header) } else { rtu };
    }
    match probe_rtu(input) {
        Probe::No if header.is_none() && input.channel != Channel::Datagram => Probe::Incomplete,
        answer => answer,
    }
}

/// Without a port to go by the function must be a known one: bytes of a download pass as a header often enough.
fn probe_mbap(input: &ProbeInput<'_>, header: &MbapHeader) -> Probe {
    let Some(pdu) = input.bytes.get(wire::MBAP_LENGTH..).map(|rest| rest.get(..header.pdu_length()).unwrap_or(rest)) else {
        return Probe::No;
    };
    if !input.port_hint && pdu.first().is_some_and(|code| !is_known(*code)) {
        return Probe::No;
    }
    let whole = input.bytes.len() >= header.adu_length();
    if input.channel == Channel::Datagram && input.bytes.len() != header.adu_length() {
        return Probe::No;
    }
    if !whole {
        return if input.port_hint { Probe::Weak(None) } else { Probe::Incomplete };
    }
    if !goes_on(input.bytes.get(header.adu_length()..).unwrap_or_default()) {
        return if input.port_hint { Probe::Weak(None) } else { Probe::No };
    }
    let (request, response) = (wire::fits_request(pdu), wire::fits_response(pdu));
    match (request, response) {
        (true, false) => Probe::Strong(Some(Direction::ToServer)),
        (false, true) => Probe::Strong(Some(Direction::ToClient)),
        (true, true) => Probe::Strong(None),
        // Codes from 128 on are reserved for exception responses (V1.1b3 §4.1), whatever the rest looks like.
        (false, false) if pdu.first().is_some_and(|code| code & 0x80 != 0) => Probe::Weak(Some(Direction::ToClient)),
        (false, false) => Probe::Weak(None),
    }
}

fn is_known(function_code: u8) -> bool {
    wire::function_name(function_code & 0x7f).is_some()
}

/// Whether nothing but more ADUs follows a stream's first one, the last of them cut where the segment ends.
fn goes_on(mut rest: &[u8]) -> bool {
    while let Some(header) = MbapHeader::parse(&mut Reader::new(rest)) {
        let known = rest.get(wire::MBAP_LENGTH).is_none_or(|code| is_known(*code));
        if header.protocol_id != 0 || !header.is_plausible() || !known {
            return false;
        }
        rest = rest.get(header.adu_length()..).unwrap_or_default();
    }
    // The beginning of a header: its protocol identifier, as far as it is there, is 0.
    rest.iter().skip(2).take(2).all(|&byte| byte == 0)
}

fn probe_rtu(input: &ProbeInput<'_>) -> Probe {
    match (wire::is_rtu_frame(input.bytes, Direction::ToServer), wire::is_rtu_frame(input.bytes, Direction::ToClient)) {
        // Writes are echoed: the bytes do not tell who sent them.
        (true, true) => Probe::Strong(None),
        (true, false) => Probe::Strong(Some(Direction::ToServer)),
        (false, true) => Probe::Strong(Some(Direction::ToClient)),
        (false, false) => Probe::No,
    }
}
