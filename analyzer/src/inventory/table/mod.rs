//! Names and what was said about them, small. Everything here commutes: times are least and greatest, counts are sums.

mod nodes;
mod room;
mod texts;

use super::counters::Counters;
use super::{Bounds, is_path};
use crate::hot::owned::{IdentityKey, Seen};
use citytap_sensor::observation::identity::IP;
use citytap_sensor::observation::{Attribute, Confidence, Place, Presence, Role, SecurityAspect};
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use nodes::Nodes;
use room::make_place;
use std::hash::BuildHasher;
use texts::{Labels, Symbols};

/// Number of a name in the table; changes when names are forgotten.
pub(super) type NodeId = u32;

/// A text of a fixed set (protocols, fields, bases).
pub(super) type Label = u16;

/// A text seen on the wire.
pub(super) type Symbol = u32;

/// A place and its time in 16 bytes, ordered by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    time: u64,
    /// Frame in the upper 48 bits, sequence in the lower 16.
    place: u64,
}

impl Stamp {
    pub(super) fn of(seen: Seen) -> Self {
        Self::at(seen.time, seen.place)
    }

    pub(super) fn at(time: Timestamp, place: Place) -> Self {
        Self { time: time.0, place: place.frame << 16 | u64::from(place.sequence.min(0xffff)) }
    }

    pub(super) fn seen(self) -> Seen {
        Seen { place: Place { frame: self.frame(), sequence: (self.place & 0xffff) as u32 }, time: self.time() }
    }

    pub(super) fn frame(self) -> u64 {
        self.place >> 16
    }

    pub(super) fn time(self) -> Timestamp {
        Timestamp(self.time)
    }
}

/// What can be said about a name. The order of the variants is that of the families that share a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// It is one device with another name.
    Same { other: NodeId, basis: Label },
    /// Frames with its packets came from this MAC.
    Carried { mac: NodeId },
    /// Its traffic passes through the other.
    Via { other: NodeId },
    /// It does this.
    Role(Role),
    /// It has this attribute.
    Attribute { name: Attribute, field: Label, value: Symbol },
    /// It serves this protocol.
    Service { protocol: Label, port: Option<u16>, protected: bool },
    /// It exchanges messages with the other: as client (`asks`) or as server.
    Peer { other: NodeId, protocol: Label, asks: bool },
    /// It has this object.
    Object { kind: Label, name: Symbol },
    /// It is protected so.
    Security { aspect: SecurityAspectKey, value: Symbol },
    /// It showed this certificate; the text holds its parts (see `Certificate`).
    Certificate(Symbol),
    /// It was seen in this VLAN.
    Vlan(u16),
}

/// [`SecurityAspect`] with an order.
pub(super) type SecurityAspectKey = u8;

/// All aspects of protection, by their key.
pub(super) const ASPECTS: [SecurityAspect; 4] =
    [SecurityAspect::Activation, SecurityAspect::Mode, SecurityAspect::Transport, SecurityAspect::Cipher];

/// The key of an aspect.
pub(super) fn aspect_key(aspect: SecurityAspect) -> SecurityAspectKey {
    ASPECTS.iter().position(|&other| other == aspect).unwrap_or_default() as u8
}

/// One statement about a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) what: What,
    pub(super) confidence: Confidence,
    pub(super) count: u32,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
}

/// A name and what was said about it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: IdentityKey,
    pub(super) presence: Presence,
    pub(super) provisional: bool,
    pub(super) count: u32,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Sorted by `what`.
    pub(super) statements: Vec<Statement>,
}

impl Node {
    pub(super) fn count(&mut self, messages: u32) {
        self.count = self.count.saturating_add(messages);
    }

    /// Whether it answered, or a name other than an address sent something.
    pub(super) fn shows_itself(&self) -> bool {
        self.presence == Presence::Proved || (self.presence == Presence::Sent && *self.key.kind != IP && !is_path(self.key.kind))
    }
}

/// A certificate that somebody showed. It is kept as one text, so that it is kept once, and forgotten with the last name that showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    pub(super) spki_sha256: &'a str,
    pub(super) subject: &'a str,
    pub(super) issuer: &'a str,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// Stands between the parts of a certificate's text; taken out of the parts themselves.
const PART: char = '\u{1f}';

impl<'a> Certificate<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(5, PART);
        let (spki_sha256, not_before, not_after) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { spki_sha256, not_before, not_after, subject: parts.next()?, issuer: parts.next()? })
    }
}

/// The names.
pub(super) struct Table {
    bounds: Bounds,
    hasher: FixedState,
    nodes: Nodes,
    index: HashTable<NodeId>,
    provisional: usize,
    /// The names entered last: what one message tells is about two or three.
    recent: [NodeId; 2],
    labels: Labels,
    symbols: Symbols,
}

impl Table {
    pub(super) fn new(bounds: Bounds, hash_seed: u64) -> Self {
        let hasher = FixedState::with_seed(hash_seed);
        Self {
            bounds,
            hasher: hasher.clone(),
            nodes: Nodes::default(),
            index: HashTable::new(),
            provisional: 0,
            recent: [0; 2],
            labels: Labels::default(),
            symbols: Symbols::new(hasher),
        }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The node of a number that this table gave and that no eviction changed since.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(super) fn find(&self, key: &IdentityKey) -> Option<NodeId> {
        self.index.find(self.hasher.hash_one(key), |&id| self.node(id).key == *key).copied()
    }

    pub(super) fn label(&mut self, text: &'static str) -> Label {
        self.labels.label(text)
    }

    pub(super) fn label_text(&self, label: Label) -> &'static str {
        self.labels.text(label)
    }

    pub(super) fn symbol(&mut self, text: &str) -> Symbol {
        self.symbols.symbol(text)
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.symbols.text(symbol)
    }

    pub(super) fn certificate(
        &mut self,
        spki_sha256: &[u8; 32],
        subject: &str,
        issuer: &str,
        not_before: i64,
        not_after: i64,
    ) -> Symbol {
        let spki: String = spki_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let (subject, issuer) = (subject.replace(PART, " "), issuer.replace(PART, " "));
        self.symbols.symbol(&format!("{spki}{PART}{not_before}{PART}{not_after}{PART}{subject}{PART}{issuer}"))
    }

    pub(super) fn certificate_of(&self, symbol: Symbol) -> Option<Certificate<'_>> {
        Certificate::of(self.text(symbol))
    }

    /// The node of a name, made where it is new; its times and presence widened.
    pub(super) fn enter(&mut self, key: &IdentityKey, [first, last]: [Stamp; 2], presence: Option<Presence>) -> NodeId {
        let presence = presence.unwrap_or(Presence::Mentioned);
        let is_it = |id: NodeId| self.nodes.get(id as usize).is_some_and(|node| node.key == *key);
        let recent = self.recent.into_iter().find(|&id| is_it(id));
        let hash = recent.map_or_else(|| self.hasher.hash_one(key), |_| 0);
        let id = match recent.or_else(|| self.index.find(hash, |&id| is_it(id)).copied()) {
            Some(id) => id,
            None => {
                let id = self.nodes.len() as NodeId;
                self.nodes.push(Node {
                    key: key.clone(),
                    presence,
                    provisional: true,
                    count: 0,
                    first,
                    last,
                    packets: 0,
                    bytes: 0,
                    statements: Vec::new(),
                });
                self.provisional += 1;
                self.index.insert_unique(hash, id, |&id| self.hasher.hash_one(&self.nodes[id as usize].key));
                id
            }
        };
        if self.recent[0] != id {
            self.recent = [id, self.recent[0]];
        }
        let node = &mut self.nodes[id as usize];
        node.first = node.first.min(first);
        node.last = node.last.max(last);
        node.presence = node.presence.max(presence);
        if node.provisional && node.shows_itself() {
            node.provisional = false;
            self.provisional -= 1;
        }
        id
    }

    /// Adds a statement, or widens the one that is there. Answers whether it is new.
    pub(super) fn say(
        &mut self,
        id: NodeId,
        what: What,
        confidence: Confidence,
        [first, last]: [Stamp; 2],
        counters: &mut Counters,
    ) -> bool {
        let statements = &mut self.nodes[id as usize].statements;
        let place = match statements.binary_search_by(|statement| statement.what.cmp(&what)) {
            Ok(place) => {
                let known = &mut statements[place];
                known.confidence = known.confidence.max(confidence);
                known.count = known.count.saturating_add(1);
                known.first = known.first.min(first);
                known.last = known.last.max(last);
                return false;
            }
            Err(place) => place,
        };
        let new = Statement { what, confidence, count: 1, first, last };
        let Some(place) = make_place(statements, &new, place, &self.bounds, counters) else { return false };
        // Small vectors grow by little: most names have few statements, and there are a million of them.
        if statements.len() == statements.capacity() {
            statements.reserve_exact((statements.len() / 2).max(2));
        }
        statements.insert(place, new);
        true
    }

    /// Removes the links between two names that facts made.
    pub(super) fn drop_links(&mut self, a: NodeId, b: NodeId) -> bool {
        let mut dropped = false;
        for (from, to) in [(a, b), (b, a)] {
            let statements = &mut self.nodes[from as usize].statements;
            let before = statements.len();
            statements.retain(|statement| !matches!(statement.what, What::Same { other, .. } if other == to));
            dropped |= statements.len() < before;
        }
        dropped
    }

    /// How many texts are remembered.
    #[cfg(test)]
    pub(super) fn symbols(&self) -> usize {
        self.symbols.index.len()
    }

    /// The value that an attribute had from the same field before this one, if it is another.
    pub(super) fn current_value(&self, id: NodeId, what: What, stamp: Stamp) -> Option<Symbol> {
        let What::Attribute { name, field, value } = what else { return None };
        let same = |statement: &&Statement| matches!(statement.what, What::Attribute { name: n, field: f, .. } if n == name && f == field);
        let statements = &self.node(id).statements;
        let latest = statements.iter().filter(same).max_by_key(|statement| (statement.last, statement.what))?;
        match latest.what {
            What::Attribute { value: before, .. } if before != value && latest.last < stamp => Some(before),
            _ => None,
        }
    }
}
