//! Which address space a packet belongs to.

use crate::flow::NetworkId;

/// Maps interface, VLAN and tunnel to an address space. The default maps all packets to network 0.
#[derive(Clone, Debug, Default)]
pub struct NetworkMap {
    /// Sorted by VLAN and tunnel, with the place of each in the order in which they were given: looking up costs the same few steps for
    /// thousands of them.
    rules: Vec<(NetworkRule, usize)>,
    otherwise: NetworkId,
    interfaces: Vec<(Box<str>, NetworkMap)>,
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
        let mut rules: Vec<(NetworkRule, usize)> = rules.into_iter().zip(0..).collect();
        rules.sort_by_key(|(rule, at)| (rule.vlan, rule.tunnel, *at));
        rules.dedup_by_key(|(rule, _)| (rule.vlan, rule.tunnel));
        Self { rules, otherwise, interfaces: Vec::new() }
    }

    /// Gives the packets of an interface a map of their own, in place of this one. `name` is what the capture calls the interface
    /// (`if_name` of pcapng); packets of an interface that has no name go by this map.
    pub fn with_interface(mut self, name: &str, map: NetworkMap) -> Self {
        self.interfaces.push((name.into(), map));
        self
    }

    /// The address space of a packet, whose interface was looked up before.
    #[inline]
    pub fn of(&self, vlan: Option<u16>, tunnel: Option<u32>) -> NetworkId {
        if self.rules.is_empty() { self.otherwise } else { self.look_up(vlan, tunnel) }
    }

    fn look_up(&self, vlan: Option<u16>, tunnel: Option<u32>) -> NetworkId {
        // All ways in which a rule can agree with the packet.
        let ways = [(vlan, tunnel), (vlan, None), (None, tunnel), (None, None)];
        let rule = |way| self.rules.binary_search_by_key(way, |(rule, _)| (rule.vlan, rule.tunnel)).ok();
        let found = ways.iter().filter_map(rule).filter_map(|at| self.rules.get(at));
        found.min_by_key(|(_, at)| *at).map_or(self.otherwise, |(rule, _)| rule.network)
    }

    /// Whether interfaces are told apart.
    #[inline]
    pub(crate) fn tells_interfaces_apart(&self) -> bool {
        !self.interfaces.is_empty()
    }

    /// Number of an interface's map, for [`NetworkMap::numbered`]; 0 is this map itself.
    pub(crate) fn number_of(&self, interface: &str) -> u16 {
        let at = self.interfaces.iter().position(|(name, _)| **name == *interface);
        at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0)
    }

    /// The map of that number.
    #[inline]
    pub(crate) fn numbered(&self, number: u16) -> &NetworkMap {
        match number {
            0 => self,
            number => self.interfaces.get(usize::from(number) - 1).map_or(self, |(_, map)| map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(vlan: Option<u16>, tunnel: Option<u32>, network: NetworkId) -> NetworkRule {
        NetworkRule { vlan, tunnel, network }
    }

    #[test]
    fn the_first_rule_that_agrees_decides() {
        let map = NetworkMap::new(vec![rule(Some(7), Some(9), 1), rule(Some(7), None, 2), rule(None, Some(9), 3)], 4);
        assert_eq!(map.of(Some(7), Some(9)), 1);
        assert_eq!(map.of(Some(7), None), 2);
        assert_eq!(map.of(None, Some(9)), 3);
        assert_eq!(map.of(Some(8), None), 4);
        assert_eq!(NetworkMap::default().of(Some(7), Some(9)), 0);
    }

    #[test]
    fn the_order_given_counts_whatever_the_rules_name() {
        let rules = [
            rule(Some(7), None, 1),
            rule(None, Some(9), 2),
            rule(Some(7), Some(9), 3),
            rule(Some(7), None, 4),
            rule(None, None, 5),
        ];
        let packets =
            [(Some(7), Some(9)), (Some(7), None), (None, Some(9)), (Some(8), Some(9)), (Some(8), Some(8)), (None, None)];
        for turn in 0..rules.len() {
            let mut rules = rules;
            rules.rotate_left(turn);
            let map = NetworkMap::new(rules.to_vec(), 6);
            for (vlan, tunnel) in packets {
                let agrees = |rule: &&NetworkRule| {
                    rule.vlan.is_none_or(|wanted| vlan == Some(wanted)) && rule.tunnel.is_none_or(|wanted| tunnel == Some(wanted))
                };
                let first = rules.iter().find(agrees).map_or(6, |rule| rule.network);
                assert_eq!(map.of(vlan, tunnel), first, "{vlan:?} {tunnel:?} {rules:?}");
            }
        }
    }

    #[test]
    fn an_interface_goes_by_its_own_map() {
        let map = NetworkMap::new(vec![rule(Some(7), None, 1)], 0).with_interface("eth1", NetworkMap::new(Vec::new(), 5));
        let of = |interface: &str| map.numbered(map.number_of(interface)).of(Some(7), None);
        assert_eq!((of("eth1"), of("eth0"), of("")), (5, 1, 1));
        assert!(map.tells_interfaces_apart() && !NetworkMap::default().tells_interfaces_apart());
    }
}
