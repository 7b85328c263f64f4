//! Address spaces: which packets belong to which, and where entries contradict each other.

use citytap_sensor::flow::NetworkId;
use citytap_sensor::link::{NetworkMap, NetworkRule};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Entries that all networks together may make: every VLAN with four tunnels or on four interfaces. Each takes 24 bytes, and each network is
/// held against all others when the configuration is read.
pub const ENTRIES: u64 = 16_384;

/// An address space: packets belong to it where all that it names agrees. What is empty is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its number, from 1.
    pub id: NetworkId,
    /// Its name for people; may be empty.
    pub name: String,
    /// VLAN identifiers.
    pub vlans: BTreeSet<u16>,
    /// Identifiers of the outermost tunnel.
    pub tunnels: BTreeSet<u32>,
    /// Names of interfaces.
    pub interfaces: BTreeSet<String>,
}

impl Network {
    /// Whether it names VLANs, tunnels, interfaces.
    fn named(&self) -> [bool; 3] {
        [!self.vlans.is_empty(), !self.tunnels.is_empty(), !self.interfaces.is_empty()]
    }

    fn weight(&self) -> usize {
        self.named().into_iter().filter(|named| *named).count()
    }

    /// A packet that both claim, in words, where neither of them goes before the other.
    pub(super) fn contradicts(&self, other: &Network) -> Option<String> {
        let (mine, theirs) = (self.named(), other.named());
        let within = |a: [bool; 3], b: [bool; 3]| a.iter().zip(b).all(|(a, b)| b || !a);
        if mine != theirs && (within(mine, theirs) || within(theirs, mine)) {
            return None;
        }
        let mut packet = Vec::new();
        claimed("VLAN", &self.vlans, &other.vlans, &mut packet)?;
        claimed("tunnel", &self.tunnels, &other.tunnels, &mut packet)?;
        claimed("interface", &self.interfaces, &other.interfaces, &mut packet)?;
        Some(packet.join(", "))
    }
}

/// Adds a value that both name, or that one names and the other does not mind; `None` where no value suits both.
fn claimed<T: Ord + ToString>(what: &str, a: &BTreeSet<T>, b: &BTreeSet<T>, packet: &mut Vec<String>) -> Option<()> {
    let value = match (a.first(), b.first()) {
        (None, None) => return Some(()),
        (Some(only), None) | (None, Some(only)) => only,
        (Some(_), Some(_)) => a.intersection(b).next()?,
    };
    packet.push(format!("{what} {}", value.to_string()));
    Some(())
}

/// How many entries of the map each network makes.
pub(super) fn entries<'n>(networks: impl Iterator<Item = &'n Network> + Clone) -> Vec<u64> {
    let interfaces: BTreeSet<&String> = networks.clone().flat_map(|network| &network.interfaces).collect();
    let each = |network: &Network| {
        let maps = if network.interfaces.is_empty() { interfaces.len() + 1 } else { network.interfaces.len() };
        [network.vlans.len().max(1), network.tunnels.len().max(1), maps]
            .iter()
            .fold(1, |product: u64, &n| product.saturating_mul(n as u64))
    };
    networks.map(each).collect()
}

/// The map that the sensor goes by.
pub(super) fn map<'n>(networks: impl Iterator<Item = &'n Network>) -> NetworkMap {
    let mut networks: Vec<&Network> = networks.collect();
    // Of those that name equally many things no two claim one packet, so that the order of the file says nothing.
    networks.sort_by_key(|network| (std::cmp::Reverse(network.weight()), network.id));
    let rules = |interface: Option<&str>| -> Vec<NetworkRule> {
        let here = |network: &&&Network| match interface {
            None => network.interfaces.is_empty(),
            Some(name) => network.interfaces.is_empty() || network.interfaces.contains(name),
        };
        networks.iter().filter(here).flat_map(|network| combined(network)).collect()
    };
    let interfaces: BTreeSet<&String> = networks.iter().flat_map(|network| &network.interfaces).collect();
    let everywhere = NetworkMap::new(rules(None), 0);
    interfaces.into_iter().fold(everywhere, |map, name| map.with_interface(name, NetworkMap::new(rules(Some(name)), 0)))
}

fn combined(network: &Network) -> Vec<NetworkRule> {
    fn each<T: Copy>(values: &BTreeSet<T>) -> Vec<Option<T>> {
        if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
    }
    let tunnels = each(&network.tunnels);
    let with = |vlan| tunnels.iter().map(move |&tunnel| NetworkRule { vlan, tunnel, network: network.id });
    each(&network.vlans).into_iter().flat_map(with).collect()
}

/// A list as TOML writes it; one value stands alone.
pub(super) fn listed<T: Ord>(values: &BTreeSet<T>, write: impl Fn(&T) -> String) -> String {
    if let (Some(only), 1) = (values.first(), values.len()) {
        return write(only);
    }
    let mut text = String::from("[");
    for (at, value) in values.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{}", if at > 0 { ", " } else { "" }, write(value));
    }
    text.push(']');
    text
}
