//! Which address space a packet belongs to.

use crate::flow::NetworkId;

/// Maps VLAN and tunnel to an address space, for the packets of one interface; the caller keeps a map for each interface. The default maps all
/// packets to network 0.
#[derive(Clone, Debug, Default)]
pub struct NetworkMap {
    rules: Vec<NetworkRule>,
    otherwise: NetworkId,
}

/// One line of a [`NetworkMap`]: matches where all that it names agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkRule {
    /// Outermost VLAN identifier of the innermost Ethernet frame.
    pub vlan: Option<u16>,
    /// Identifier of the outermost tunnel: VXLAN or GENEVE network identifier (24 bits), GRE key, ERSPAN session (10 bits).
    pub tunnel: Option<u32>,
    /// The address space.
    pub network: NetworkId,
}

impl NetworkMap {
    /// The first rule that matches decides; where none does, the packet belongs to `otherwise`.
    pub fn new(rules: Vec<NetworkRule>, otherwise: NetworkId) -> Self {
        Self { rules, otherwise }
    }

    /// The address space of a packet.
    #[inline]
    pub fn of(&self, vlan: Option<u16>, tunnel: Option<u32>) -> NetworkId {
        if self.rules.is_empty() { self.otherwise } else { self.look_up(vlan, tunnel) }
    }

    fn look_up(&self, vlan: Option<u16>, tunnel: Option<u32>) -> NetworkId {
        let matches = |rule: &&NetworkRule| {
            rule.vlan.is_none_or(|wanted| vlan == Some(wanted)) && rule.tunnel.is_none_or(|wanted| tunnel == Some(wanted))
        };
        self.rules.iter().find(matches).map_or(self.otherwise, |rule| rule.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_agrees_decides() {
        let rule = |vlan, tunnel, network| NetworkRule { vlan, tunnel, network };
        let map = NetworkMap::new(vec![rule(Some(7), Some(9), 1), rule(Some(7), None, 2), rule(None, Some(9), 3)], 4);
        assert_eq!(map.of(Some(7), Some(9)), 1);
        assert_eq!(map.of(Some(7), None), 2);
        assert_eq!(map.of(None, Some(9)), 3);
        assert_eq!(map.of(Some(8), None), 4);
        assert_eq!(NetworkMap::default().of(Some(7), Some(9)), 0);
    }
}
