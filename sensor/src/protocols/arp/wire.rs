//! The packet of RFC 826.

use crate::reader::Reader;

/// Bytes of the longest packet: header and four addresses of 255 bytes.
pub(super) const LONGEST: usize = 8 + 4 * 255;

/// Hardware type of Ethernet (RFC 826; IANA "ARP parameters").
pub(super) const ETHERNET: u16 = 1;
/// Protocol type of IPv4: its EtherType.
pub(super) const IPV4: u16 = 0x0800;
/// Operations (RFC 826).
pub(super) const REQUEST: u16 = 1;
pub(super) const REPLY: u16 = 2;

/// An ARP packet.
///
/// | bytes | field |
/// |---|---|
/// | 2 | hardware type |
/// | 2 | protocol type: an EtherType |
/// | 1 | length of hardware addresses, *h* |
/// | 1 | length of protocol addresses, *p* |
/// | 2 | operation |
/// | h, p | sender's hardware and protocol address |
/// | h, p | target's hardware and protocol address |
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    pub(super) hardware_type: u16,
    pub(super) protocol_type: u16,
    pub(super) operation: u16,
    pub(super) sender: Option<Half<'a>>,
    pub(super) target: Option<Half<'a>>,
}

/// The addresses of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half<'a> {
    pub(super) hardware: &'a [u8],
    pub(super) protocol: &'a [u8],
}

impl<'a> Wire<'a> {
    /// Reads a packet; `None` where not even the header is whole.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (hardware_type, protocol_type) = (reader.u16()?, reader.u16()?);
        let [hardware_length, protocol_length] = reader.array()?;
        let operation = reader.u16()?;
        let mut half = || {
            let hardware = reader.take(usize::from(hardware_length))?;
            Some(Half { hardware, protocol: reader.take(usize::from(protocol_length))? })
        };
        let sender = half();
        let target = sender.and_then(|_| half());
        Some(Self { hardware_type, protocol_type, operation, sender, target })
    }

    /// The name of an assigned operation.
    pub(super) fn operation_name(&self) -> Option<&'static str> {
        Some(match self.operation {
            REQUEST => "request",
            REPLY => "reply",
            3 => "reverse_request",
            4 => "reverse_reply",
            8 => "inverse_request",
            9 => "inverse_reply",
            // DRARP, MARS, MAPOS and the experimental ones: assigned, and nothing that a city runs.
            5..=7 | 10..=25 => "other",
            _ => return None,
        })
    }
}

/// Reads arbitrary bytes. Body of a fuzz target.
pub fn fuzz(bytes: &[u8]) {
    if let Some(wire) = Wire::read(bytes) {
        assert!(wire.target.is_none() || wire.sender.is_some());
    }
}
