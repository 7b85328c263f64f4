//! The decoders in use, found by where they stand: made once, shared by all shards.

use super::DecoderSpec;
use crate::flow::Transport;

/// Decoders by transport, by the kind of carried payload that they take, and the ports that they hint at.
pub struct Decoders {
    over: [Vec<&'static DecoderSpec>; Transport::ALL.len()],
    carried: Vec<(&'static str, Vec<&'static DecoderSpec>)>,
    ports: Vec<u16>,
}

impl Decoders {
    /// Of a table, in its order.
    pub fn new(table: &[&'static DecoderSpec]) -> Self {
        let over = Transport::ALL.map(|transport| table.iter().copied().filter(|spec| spec.runs_over(transport)).collect());
        let mut carried: Vec<(&'static str, Vec<&'static DecoderSpec>)> = Vec::new();
        for &spec in table {
            for &kind in spec.hooks.carried {
                match carried.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, takers)) => takers.push(spec),
                    None => carried.push((kind, vec![spec])),
                }
            }
        }
        let mut ports: Vec<u16> = table.iter().flat_map(|spec| spec.hooks.ports).copied().collect();
        ports.sort_unstable();
        Self { over, carried, ports }
    }

    /// Those that can stand on a transport.
    pub(crate) fn over(&self, transport: Transport) -> &[&'static DecoderSpec] {
        self.over.get(transport as usize).map_or(&[], Vec::as_slice)
    }

    /// Those that take a kind of carried payload.
    pub(crate) fn taking(&self, kind: &str) -> &[&'static DecoderSpec] {
        self.carried.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, takers)| takers.as_slice())
    }

    /// A first guess of who is server where no handshake was seen.
    pub(crate) fn sender_is_client(&self, sender: u16, receiver: u16) -> bool {
        let known = |port: u16| self.ports.binary_search(&port).is_ok();
        match (known(sender), known(receiver)) {
            (true, false) => false,
            (false, true) => true,
            // The lower port is the service in nearly all cases: ephemeral ports start at 1024 or above (RFC 6335 §6).
            _ => sender >= receiver,
        }
    }
}
