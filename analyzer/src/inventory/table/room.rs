//! Room: which names and statements are forgotten when there is none.

use super::{NodeId, Statement, Symbol, Table, What};
use crate::inventory::counters::Counters;
use crate::inventory::{Bounds, InventoryCounter, is_path};
use std::hash::BuildHasher;

impl Table {
    /// Forgets names where there is no room for those that one fact or flow can bring.
    pub(in crate::inventory) fn make_room(&mut self, counters: &mut Counters) {
        const BROUGHT: usize = 4;
        let full = self.nodes.len() + BROUGHT > self.bounds.identities.max(2 * BROUGHT);
        if full || self.provisional + BROUGHT > self.provisional_bound().max(2 * BROUGHT) {
            self.sweep(full, counters);
        }
        if self.symbols.is_wasteful() {
            self.collect_symbols();
        }
    }

    /// A sweep walks through all names, so where many have shown themselves the provisional ones may be half as many: what a new name costs
    /// does not grow with the city.
    fn provisional_bound(&self) -> usize {
        self.bounds.provisional.max((self.nodes.len() - self.provisional) / 2)
    }

    /// Forgets provisional names, the longest silent first, and where all room is taken others after them: half of the provisional ones, or an
    /// eighth of all.
    fn sweep(&mut self, full: bool, counters: &mut Counters) {
        self.vouch();
        let mut order: Vec<NodeId> =
            (0..self.nodes.len() as NodeId).filter(|&id| full || self.nodes[id as usize].provisional).collect();
        let bound = if full { self.bounds.identities } else { self.provisional_bound() };
        let kept = if full { bound - bound / 8 } else { bound / 2 };
        let excess = order.len().saturating_sub(kept).max(usize::from(full)).min(order.len());
        if excess == 0 {
            return;
        }
        let rank = |&id: &NodeId| {
            let node = &self.nodes[id as usize];
            (!node.provisional, node.last, &node.key)
        };
        order.select_nth_unstable_by(excess - 1, |a, b| rank(a).cmp(&rank(b)));
        order.truncate(excess);
        for &id in &order {
            let counter = match self.nodes[id as usize].provisional {
                true => InventoryCounter::ProvisionalEvicted,
                false => InventoryCounter::IdentitiesEvicted,
            };
            counters.add(counter, 1);
        }
        self.forget(&order);
    }

    /// A name that is one device with a name that showed itself is not provisional: nor is a MAC that carried one's packets.
    fn vouch(&mut self) {
        for id in 0..self.nodes.len() {
            for place in 0..self.nodes[id].statements.len() {
                let other = match self.nodes[id].statements[place].what {
                    What::Same { other, .. } | What::Carried { mac: other } => other as usize,
                    What::Attribute { .. } | What::Object { .. } => {
                        self.shown(id);
                        continue;
                    }
                    _ => continue,
                };
                match (self.nodes[id].provisional, self.nodes[other].provisional) {
                    (true, false) if !is_path(self.nodes[other].key.kind) => self.shown(id),
                    (false, true) => self.shown(other),
                    _ => {}
                }
            }
        }
    }

    fn shown(&mut self, id: usize) {
        if std::mem::replace(&mut self.nodes[id].provisional, false) {
            self.provisional -= 1;
        }
    }

    /// Removes nodes and everything that names them; the others get new numbers.
    fn forget(&mut self, gone: &[NodeId]) {
        const GONE: NodeId = NodeId::MAX;
        let mut number = vec![0; self.nodes.len()];
        for &id in gone {
            number[id as usize] = GONE;
        }
        let mut next = 0;
        for slot in &mut number {
            if *slot != GONE {
                *slot = next;
                next += 1;
            }
        }
        let mut id = 0;
        self.nodes.retain(|_| {
            id += 1;
            number[id - 1] != GONE
        });
        for node in self.nodes.iter_mut() {
            node.statements.retain_mut(|statement| {
                let other = match &mut statement.what {
                    What::Same { other, .. } | What::Via { other } | What::Peer { other, .. } | What::Carried { mac: other } => {
                        other
                    }
                    _ => return true,
                };
                *other = number[*other as usize];
                *other != GONE
            });
            // Numbers keep their order, so the statements stay sorted.
        }
        self.provisional = self.nodes.iter().filter(|node| node.provisional).count();
        self.index.clear();
        for (id, node) in self.nodes.iter().enumerate() {
            let hash = self.hasher.hash_one(&node.key);
            self.index.insert_unique(hash, id as NodeId, |&id| self.hasher.hash_one(&self.nodes[id as usize].key));
        }
    }

    fn collect_symbols(&mut self) {
        let mut used = vec![false; self.symbols.texts.len()];
        let mut mark = |symbol: Symbol| used[symbol as usize] = true;
        for statement in self.nodes.iter().flat_map(|node| &node.statements) {
            match statement.what {
                What::Attribute { value, .. } | What::Security { value, .. } | What::Certificate(value) => mark(value),
                What::Object { name, .. } => mark(name),
                _ => {}
            }
        }
        self.symbols.keep(&used);
    }
}

/// The bound of a statement's family, what of the family counts against it, and the counter.
fn family(what: &What, bounds: &Bounds) -> (usize, InventoryCounter) {
    match what {
        What::Same { .. } => (bounds.links, InventoryCounter::LinksDropped),
        What::Via { .. } => (bounds.vias, InventoryCounter::ViasDropped),
        What::Attribute { .. } => (bounds.attributes, InventoryCounter::AttributesDropped),
        What::Peer { .. } => (bounds.peers, InventoryCounter::PeersDropped),
        What::Object { .. } => (bounds.objects, InventoryCounter::ObjectsDropped),
        What::Carried { .. }
        | What::Role(_)
        | What::Service { .. }
        | What::Security { .. }
        | What::Certificate(_)
        | What::Vlan(_) => (bounds.others, InventoryCounter::OthersDropped),
    }
}

/// Where to insert the new statement, after dropping another one where the bound asks for it; `None` where the new one is dropped.
pub(super) fn make_place(
    statements: &mut Vec<Statement>,
    new: &Statement,
    place: usize,
    bounds: &Bounds,
    counters: &mut Counters,
) -> Option<usize> {
    let (bound, counter) = family(&new.what, bounds);
    let kin = |statement: &Statement| std::mem::discriminant(&statement.what) == std::mem::discriminant(&new.what);
    let start = statements[..place].iter().rposition(|statement| !kin(statement)).map_or(0, |before| before + 1);
    let end = statements[place..].iter().position(|statement| !kin(statement)).map_or(statements.len(), |after| place + after);
    let mut dropped = None;
    if let What::Attribute { name, field, .. } = new.what {
        let values = |statement: &Statement| matches!(statement.what, What::Attribute { name: n, field: f, .. } if n == name && f == field);
        let from =
            statements[start..place].iter().rposition(|statement| !values(statement)).map_or(start, |before| start + before + 1);
        let to = statements[place..end].iter().position(|statement| !values(statement)).map_or(end, |after| place + after);
        if to - from >= bounds.values {
            dropped = Some(weakest(statements, from, to));
        }
    }
    if dropped.is_none() && end - start >= bound {
        dropped = match new.what {
            // A name goes through leases, sessions and values: the old ones make room. Of peers, objects and the rest the first are kept,
            // since a flood of them must not push out what was there.
            What::Same { .. } | What::Attribute { .. } => Some(weakest(statements, start, end)),
            _ => None,
        };
        if dropped.is_none() {
            // Each of a server's clients names the server, so nothing is lost where the server does not name all of them.
            let lost = !matches!(new.what, What::Peer { asks: false, .. });
            counters.add(counter, u64::from(lost));
            return None;
        }
    }
    let Some(dropped) = dropped else { return Some(place) };
    counters.add(counter, 1);
    if (statements[dropped].confidence, statements[dropped].last) > (new.confidence, new.last) {
        return None;
    }
    statements.remove(dropped);
    Some(if dropped < place { place - 1 } else { place })
}

fn weakest(statements: &[Statement], from: usize, to: usize) -> usize {
    (from..to).min_by_key(|&at| (statements[at].confidence, statements[at].last, statements[at].what)).unwrap_or(from)
}
