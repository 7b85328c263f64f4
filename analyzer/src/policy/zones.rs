//! Zones: parts of a site that a person tells apart by addresses and VLAN, and who may use what of whom.

use crate::inventory::Prefix;
use citytap_sensor::flow::Transport;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// A part of the site. An end of a conversation belongs to it where all that it names agrees; what is empty is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Addresses in it.
    pub prefixes: Vec<Prefix>,
    /// VLAN identifiers on which the conversation is seen.
    pub vlans: BTreeSet<u16>,
    /// The zones whose servers its clients may use.
    pub talks_to: Vec<Allowed>,
}

/// A zone that may be used, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Its name.
    pub zone: String,
    /// By what alone; `None` for everything.
    pub only: Option<Only>,
}

/// What alone is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// A protocol that is read, by its decoder's name.
    Protocol(&'static str),
    /// A transport, or one port of it.
    Port(Transport, Option<u16>),
}

/// How a conversation is carried and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// The protocol recognised.
    pub protocol: Option<&'static str>,
    /// The transport.
    pub transport: Transport,
    /// The port of who answers.
    pub port: u16,
}

impl Only {
    fn admits(&self, carried: Carried) -> bool {
        match self {
            Only::Protocol(name) => carried.protocol == Some(name),
            Only::Port(transport, port) => carried.transport == *transport && port.is_none_or(|port| port == carried.port),
        }
    }
}

/// `control`, `control/modbus`, `control/tcp/22`.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.zone)?;
        match &self.only {
            None => Ok(()),
            Some(Only::Protocol(name)) => write!(f, "/{name}"),
            Some(Only::Port(transport, port)) => {
                write!(f, "/{}", if *transport == Transport::Tcp { "tcp" } else { "udp" })?;
                port.map_or(Ok(()), |port| write!(f, "/{port}"))
            }
        }
    }
}

impl Zone {
    /// How well an end fits: the length of the prefix that it lies in, then whether the VLAN is named; `None` where it does not.
    fn fits(&self, address: IpAddr, vlan: Option<u16>) -> Option<(u8, bool)> {
        let on_vlan = match self.vlans.is_empty() {
            true => false,
            false if vlan.is_some_and(|vlan| self.vlans.contains(&vlan)) => true,
            false => return None,
        };
        let within = self.prefixes.iter().filter(|prefix| prefix.contains(address)).map(Prefix::length).max();
        match within {
            Some(length) => Some((length + 1, on_vlan)),
            None if self.prefixes.is_empty() && on_vlan => Some((0, true)),
            None => None,
        }
    }

    /// An end that fits both equally well, in words.
    pub fn contradicts(&self, other: &Zone) -> Option<String> {
        if self.vlans.is_empty() != other.vlans.is_empty() {
            return None;
        }
        let vlan = self.vlans.intersection(&other.vlans).next();
        if vlan.is_none() && !self.vlans.is_empty() {
            return None;
        }
        let on = vlan.map(|vlan| format!(" on VLAN {vlan}")).unwrap_or_default();
        if self.prefixes.is_empty() && other.prefixes.is_empty() {
            return Some(format!("every address{on}"));
        }
        self.prefixes.iter().find(|prefix| other.prefixes.contains(prefix)).map(|prefix| format!("{prefix}{on}"))
    }

    /// Whether its clients may use servers of another zone so. Within a zone everything goes.
    pub fn may_use(&self, other: &Zone, carried: Carried) -> bool {
        self.name == other.name
            || self
                .talks_to
                .iter()
                .any(|allowed| allowed.zone == other.name && allowed.only.as_ref().is_none_or(|only| only.admits(carried)))
    }
}

/// All zones of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones(Vec<Zone>);

impl Zones {
    /// Of these; their order says nothing.
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        let mut zones: Vec<Zone> = zones.into_iter().collect();
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        Self(zones)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The zone that an end of a conversation fits best: by the longest prefix, and of those equally long by the VLAN.
    pub fn of(&self, address: IpAddr, vlan: Option<u16>) -> Option<&Zone> {
        let fitting = self.0.iter().filter_map(|zone| Some((zone.fits(address, vlan)?, zone)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, zone)| zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, prefixes: &[&str], vlans: &[u16], talks_to: Vec<Allowed>) -> Zone {
        let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        Zone { name: name.into(), prefixes, vlans: vlans.iter().copied().collect(), talks_to }
    }

    #[test]
    fn the_longest_prefix_goes_first_then_the_vlan() {
        let zones = Zones::new([
            zone("everywhere", &["0.0.0.0/0"], &[], vec![]),
            zone("city", &["10.0.0.0/8"], &[], vec![]),
            zone("lights", &["10.20.0.0/16"], &[], vec![]),
            zone("lights of the harbour", &["10.20.0.0/16"], &[7], vec![]),
            zone("guests", &[], &[9], vec![]),
        ]);
        let of = |address: &str, vlan| zones.of(address.parse().unwrap(), vlan).map(|zone| zone.name.as_str());
        assert_eq!(of("10.20.1.1", None), Some("lights"));
        assert_eq!(of("10.20.1.1", Some(7)), Some("lights of the harbour"));
        assert_eq!((of("10.1.1.1", Some(7)), of("192.0.2.1", None)), (Some("city"), Some("everywhere")));
        assert_eq!((of("fd00::1", Some(9)), of("fd00::1", None)), (Some("guests"), None), "no prefix is named for it");
        assert_eq!(of("10.20.1.1", Some(9)), Some("lights"), "an address says more than a VLAN");
    }

    #[test]
    fn what_may_be_used_can_be_one_protocol_or_port() {
        let only = |zone: &str, only| Allowed { zone: zone.into(), only };
        let talks_to = vec![
            only("all", None),
            only("some", Some(Only::Protocol("modbus"))),
            only("some", Some(Only::Port(Transport::Tcp, Some(22)))),
            only("udp", Some(Only::Port(Transport::Udp, None))),
        ];
        let from = zone("from", &["10.0.0.0/8"], &[], talks_to);
        let may = |to: &str, protocol, transport, port| {
            from.may_use(&zone(to, &[], &[1], vec![]), Carried { protocol, transport, port })
        };
        use Transport::{Tcp, Udp};
        assert!(may("all", None, Tcp, 1) && may("some", Some("modbus"), Tcp, 1502) && may("some", None, Tcp, 22));
        assert!(may("udp", Some("coap"), Udp, 5683) && may("from", None, Tcp, 23));
        assert!(!may("some", Some("mqtt"), Tcp, 1883) && !may("some", None, Udp, 22) && !may("udp", None, Tcp, 5683));
        assert!(!may("none", None, Tcp, 22));
    }

    #[test]
    fn two_zones_that_claim_one_address_contradict_each_other() {
        let told = |a: &Zone, b: &Zone| a.contradicts(b);
        let (a, b) = (zone("a", &["10.0.0.0/8"], &[], vec![]), zone("b", &["10.0.0.0/8"], &[7], vec![]));
        assert_eq!(told(&a, &b), None, "the VLAN tells them apart");
        let c = zone("c", &["10.0.0.0/8"], &[7, 8], vec![]);
        assert_eq!(told(&b, &c).as_deref(), Some("10.0.0.0/8 on VLAN 7"));
        assert_eq!(told(&a, &zone("d", &["10.0.0.0/8", "fd00::/8"], &[], vec![])).as_deref(), Some("10.0.0.0/8"));
        let on = |name, vlans| zone(name, &[], vlans, vec![]);
        assert_eq!(told(&on("e", &[5]), &on("f", &[5, 6])).as_deref(), Some("every address on VLAN 5"));
        assert_eq!(told(&on("e", &[5]), &on("f", &[6])), None);
    }
}
