//! The header: PROTOCOL.TXT §3 to §5.
//!
//! ```text
//! 0      protocol version, 1 or 2
//! 1..2   token
//! 3      identifier
//! PUSH_DATA 0   gateway EUI(8) JSON           PUSH_ACK 1
//! PULL_DATA 2   gateway EUI(8)                PULL_RESP 3  JSON      PULL_ACK 4
//! TX_ACK    5   gateway EUI(8) [JSON]         (version 2)
//! ```

use crate::flow::Direction;
use crate::observation::Eui;
use crate::protocols::{Probe, ProbeInput};
use crate::reader::Reader;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identifier {
    PushData,
    PushAck,
    PullData,
    PullResp,
    PullAck,
    TxAck,
}

/// A datagram: its header, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) version: u8,
    pub(super) token: u16,
    pub(super) identifier: Identifier,
    /// In datagrams from the gateway.
    pub(super) gateway: Option<Eui>,
    pub(super) body: &'a [u8],
}

impl Identifier {
    /// Gateways are clients.
    pub(super) fn direction(self) -> Direction {
        match self {
            Identifier::PushData | Identifier::PullData | Identifier::TxAck => Direction::ToServer,
            Identifier::PushAck | Identifier::PullResp | Identifier::PullAck => Direction::ToClient,
        }
    }
}

impl<'a> Datagram<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if !matches!(version, 1 | 2) {
            return None;
        }
        // The token is a pair of random bytes; its order says nothing, and tools print it as it stands.
        let token = reader.u16()?;
        let identifier = match reader.u8()? {
            0 => Identifier::PushData,
            1 => Identifier::PushAck,
            2 => Identifier::PullData,
            3 => Identifier::PullResp,
            4 => Identifier::PullAck,
            5 => Identifier::TxAck,
            _ => return None,
        };
        let gateway = match identifier.direction() {
            Direction::ToServer => Some(Eui(reader.u64()?)),
            Direction::ToClient => None,
        };
        Some(Self { version, token, identifier, gateway, body: reader.take_rest() })
    }
}

/// JSON settles it. Datagrams of a header alone could be anything: they need the port, or a second one.
pub(super) fn probe(input: &ProbeInput<'_>) -> Probe {
    let Some(datagram) = Datagram::parse(input.bytes) else { return Probe::No };
    let direction = Some(datagram.identifier.direction());
    match datagram.identifier {
        Identifier::PushData | Identifier::PullResp if begins_an_object(datagram.body) => Probe::Strong(direction),
        Identifier::TxAck if begins_an_object(datagram.body) => Probe::Strong(direction),
        Identifier::PushAck | Identifier::PullAck | Identifier::PullData | Identifier::TxAck if datagram.body.is_empty() => {
            Probe::Weak(direction)
        }
        _ => Probe::No,
    }
}

fn begins_an_object(body: &[u8]) -> bool {
    let mut rest = body.trim_ascii_start().iter();
    if rest.next() != Some(&b'{') {
        return false;
    }
    let next = rest.find(|byte| !byte.is_ascii_whitespace());
    matches!(next, Some(b'"' | b'}'))
}
