//! Rule 2: which MAC is the device's own, which one a router's, and who had an address when.

use super::spans::at_once;
use super::{Building, Derived, Edge, Map, Refusal, Refused, Vertex};
use crate::inventory::prefixes::{Whose, is_link_local};
use crate::inventory::table::{NodeId, Stamp, What};
use crate::inventory::{PROXY_IPV4, PROXY_IPV6, address};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{Confidence, Role};

/// A MAC beside an address.
#[derive(Clone, Copy)]
struct Beside {
    mac: NodeId,
    ip: NodeId,
    /// The fact that says so; `None` where the MAC but carried the address's packets.
    evidence: Option<(&'static str, Confidence)>,
    first: Stamp,
    last: Stamp,
}

/// A MAC that may have an address, what that rests on, and how sure it is.
type Holder = (Beside, &'static str, Confidence);

/// The whole time in which a MAC is seen beside an address that evidence gives it.
fn held_while(of_one_address: &[Beside]) -> Option<Beside> {
    let evident = of_one_address.iter().find(|pair| pair.evidence.is_some())?;
    let first = of_one_address.iter().map(|pair| pair.first).min()?;
    let last = of_one_address.iter().map(|pair| pair.last).max()?;
    Some(Beside { first, last, ..*evident })
}

impl Building<'_> {
    /// Rule 2: which MAC is the device's own, which one a router's.
    pub(super) fn macs_and_addresses(&mut self) {
        let mut beside = self.beside();
        let mut holders: Vec<Holder> = Vec::new();
        beside.sort_unstable_by_key(|pair| (pair.mac, pair.ip, pair.evidence.is_none()));
        for pairs in beside.chunk_by(|a, b| a.mac == b.mac) {
            self.addresses_of_mac(pairs, &mut holders);
        }
        holders.sort_unstable_by_key(|(pair, basis, _)| (pair.ip, pair.mac, *basis));
        let mut held = Vec::new();
        for holders in holders.chunk_by(|a, b| a.0.ip == b.0.ip) {
            self.holders_of_address(holders, &mut held);
        }
        held.sort_unstable();
        beside.sort_unstable_by_key(|pair| (pair.mac, pair.ip, pair.evidence.is_some()));
        for pairs in beside.chunk_by(|a, b| a.mac == b.mac) {
            self.routed(pairs, &held);
        }
    }

    fn beside(&self) -> Vec<Beside> {
        let mut beside = Vec::new();
        for (ip, node) in self.nodes().filter(|(_, node)| *node.key.kind == IP) {
            for statement in &node.statements {
                let (mac, evidence) = match statement.what {
                    What::Same { other, basis } if statement.confidence >= Confidence::Likely && *self.key(other).kind == MAC => {
                        (other, Some((self.table.label_text(basis), statement.confidence)))
                    }
                    What::Carried { mac } => (mac, None),
                    _ => continue,
                };
                beside.push(Beside { mac, ip, evidence, first: statement.first, last: statement.last });
            }
        }
        beside
    }

    /// Which of the addresses beside one MAC it may hold.
    fn addresses_of_mac(&mut self, pairs: &[Beside], holders: &mut Vec<Holder>) {
        let table = self.table;
        let at = |pair: &Beside| address(&table.node(pair.ip).key);
        let routable = |pair: &&Beside| at(pair).is_some_and(|address| !is_link_local(address));
        // Evidence is often told once; that the MAC goes on to carry the address's packets shows that it still holds it.
        let said: Vec<Beside> = pairs.chunk_by(|a, b| a.ip == b.ip).filter_map(held_while).collect();
        let of_family = |v4: bool| {
            let family = move |pair: &&Beside| at(pair).is_some_and(|address| address.is_ipv4() == v4);
            said.iter().filter(routable).filter(family)
        };
        let proxy = most_at_once(of_family(true)) > PROXY_IPV4 || most_at_once(of_family(false)) > PROXY_IPV6;
        let mut speaks_for: Vec<NodeId> = pairs.iter().filter(routable).map(|pair| pair.ip).collect();
        speaks_for.dedup();
        for pair in pairs {
            let Some(address) = address(self.key(pair.ip)) else { continue };
            match pair.evidence {
                Some((basis, confidence)) if proxy && !is_link_local(address) => {
                    let what = Refused { other: pair.mac, basis, confidence, why: Refusal::Proxy };
                    self.refused.push(Derived { vertex: pair.ip, what, first: pair.first, last: pair.last });
                }
                Some((basis, confidence)) => holders.push((*pair, basis, confidence)),
                None if is_link_local(address) => {
                    holders.push((*pair, "link-local addresses are not routed", Confidence::Likely))
                }
                None if speaks_for.len() == 1 && self.ours.whose(address) == Whose::Ours => {
                    holders.push((*pair, "the MAC speaks for this address alone", Confidence::Likely));
                }
                None => {}
            }
        }
    }

    /// Who holds an address, and from when on. `held` gets (MAC, address) of those.
    fn holders_of_address(&mut self, holders: &[Holder], held: &mut Vec<(NodeId, NodeId)>) {
        let Some(ip) = holders.first().map(|(pair, ..)| pair.ip) else { return };
        let evidence = holders.iter().any(|(pair, ..)| pair.evidence.is_some());
        let mut chosen: Vec<Holder> = Vec::new();
        for holder in holders.iter().filter(|(pair, ..)| pair.evidence.is_some() == evidence) {
            match chosen.iter_mut().find(|known| known.0.mac == holder.0.mac) {
                Some(known) => {
                    known.0.first = known.0.first.min(holder.0.first);
                    known.0.last = known.0.last.max(holder.0.last);
                    known.2 = known.2.max(holder.2);
                }
                None => chosen.push(*holder),
            }
        }
        // Two MACs at one time, each with this address alone, are the two sides of a router, with one host behind it.
        if !evidence && most_at_once(chosen.iter().map(|(pair, ..)| pair)) > 1 {
            return;
        }
        if evidence {
            self.evidenced.push(ip);
        }
        // Each sighting is a claim; the latest claim holds.
        let mut claims: Vec<(Stamp, NodeId)> =
            chosen.iter().flat_map(|(pair, ..)| [(pair.first, pair.mac), (pair.last, pair.mac)]).collect();
        claims.sort_unstable_by_key(|&(at, mac)| (at, self.key(mac)));
        let Some(&(_, latest)) = claims.last() else { return };
        let alone = chosen.len() == 1;
        let mut vertices: Map<NodeId, Vertex> = Map::default();
        for (pair, basis, confidence) in chosen {
            held.push((pair.mac, ip));
            let vertex = if pair.mac == latest { ip } else { self.part(ip) };
            vertices.insert(pair.mac, vertex);
            if !alone {
                self.spans.insert(vertex, (pair.first, pair.last));
            }
            self.edges.push(Edge {
                addresses: true,
                confidence,
                first: pair.first,
                last: pair.last,
                a: vertex,
                b: pair.mac,
                basis,
            });
        }
        if !alone {
            let mut segments: Vec<(Stamp, Vertex)> =
                claims.iter().filter_map(|(at, mac)| vertices.get(mac).map(|&vertex| (*at, vertex))).collect();
            segments.dedup_by_key(|&mut (_, vertex)| vertex);
            self.splits.insert(ip, segments);
        }
    }

    fn part(&mut self, node: NodeId) -> Vertex {
        self.parts.push(node);
        (self.table.nodes().len() + self.parts.len() - 1) as Vertex
    }

    /// Addresses that a MAC carries and does not hold are reached through it. Two of one family make it a router.
    fn routed(&mut self, pairs: &[Beside], held: &[(NodeId, NodeId)]) {
        let (mut v4, mut v6) = (0, 0);
        let (mut first, mut last) = (None::<Stamp>, None::<Stamp>);
        for pairs in pairs.chunk_by(|a, b| a.ip == b.ip) {
            let Some(pair) = pairs.first() else { continue };
            if held.binary_search(&(pair.mac, pair.ip)).is_ok() {
                continue;
            }
            let (from, to) =
                pairs.iter().fold((pair.first, pair.last), |(from, to), pair| (from.min(pair.first), to.max(pair.last)));
            self.vias.push(Derived { vertex: pair.ip, what: pair.mac, first: from, last: to });
            match address(self.key(pair.ip)) {
                Some(address) if address.is_ipv4() => v4 += 1,
                _ => v6 += 1,
            }
            first = Some(first.map_or(from, |first| first.min(from)));
            last = Some(last.map_or(to, |last| last.max(to)));
        }
        if let (Some(first), Some(last), true) = (first, last, v4.max(v6) > 1)
            && let Some(pair) = pairs.first()
        {
            self.roles.push(Derived { vertex: pair.mac, what: Role::Router, first, last });
        }
    }
}

fn most_at_once<'b>(pairs: impl Iterator<Item = &'b Beside>) -> usize {
    let mut by_address: Map<(NodeId, NodeId), (Stamp, Stamp)> = Map::default();
    for pair in pairs {
        let span = by_address.entry((pair.mac, pair.ip)).or_insert((pair.first, pair.last));
        *span = (span.0.min(pair.first), span.1.max(pair.last));
    }
    at_once(by_address.into_values())
}
