//! Names and what was said about them, small. Everything here commutes: times are least and greatest, counts are sums.

use super::counters::Counters;
use super::{Bounds, InventoryCounter, is_path};
use crate::hot::owned::{IdentityKey, Seen};
use citytap_sensor::observation::identity::IP;
use citytap_sensor::observation::{Attribute, Confidence, Place, Presence, Role, SecurityAspect};
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

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
    pub(super) fn count_one(&mut self) {
        self.count = self.count.saturating_add(1);
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
    nodes: Vec<Node>,
    index: HashTable<NodeId>,
    provisional: usize,
    labels: Labels,
    symbols: Symbols,
}

impl Table {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            nodes: Vec::new(),
            index: HashTable::new(),
            provisional: 0,
            labels: Labels::default(),
            symbols: Symbols::default(),
        }
    }

    pub(super) fn nodes(&self) -> &[Node] {
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
        self.index.find(hash(key), |&id| self.node(id).key == *key).copied()
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
        let hash = hash(key);
        let presence = presence.unwrap_or(Presence::Mentioned);
        let id = match self.index.find(hash, |&id| self.nodes[id as usize].key == *key) {
            Some(&id) => id,
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
                self.index.insert_unique(hash, id, |&id| self::hash(&self.nodes[id as usize].key));
                id
            }
        };
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
            statements.reserve_exact((statements.len() / 4).max(2));
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

    /// Forgets names where there is no room for those that one fact or flow can bring.
    pub(super) fn make_room(&mut self, counters: &mut Counters) {
        const BROUGHT: usize = 4;
        let full = self.nodes.len() + BROUGHT > self.bounds.identities.max(2 * BROUGHT);
        if full || self.provisional + BROUGHT > self.bounds.provisional.max(2 * BROUGHT) {
            self.sweep(full, counters);
        }
        if self.symbols.is_wasteful() {
            self.collect_symbols();
        }
    }

    /// Forgets an eighth: provisional names, the longest silent first; where all room is taken, others after them.
    fn sweep(&mut self, full: bool, counters: &mut Counters) {
        self.vouch();
        let mut order: Vec<NodeId> =
            (0..self.nodes.len() as NodeId).filter(|&id| full || self.nodes[id as usize].provisional).collect();
        let bound = if full { self.bounds.identities } else { self.bounds.provisional };
        let excess = order.len().saturating_sub(bound - bound / 8).max(usize::from(full)).min(order.len());
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
        for node in &mut self.nodes {
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
            self.index.insert_unique(hash(&node.key), id as NodeId, |&id| hash(&self.nodes[id as usize].key));
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
fn make_place(
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
            counters.add(counter, 1);
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

fn hash(key: &IdentityKey) -> u64 {
    FixedState::default().hash_one(key)
}

/// Texts of the program: few, and never forgotten.
#[derive(Default)]
struct Labels(Vec<&'static str>);

impl Labels {
    fn label(&mut self, text: &'static str) -> Label {
        // The same literal is mostly at the same address: comparing it is cheap, and there are some dozens of texts.
        let found =
            self.0.iter().position(|known| std::ptr::eq(*known, text)).or_else(|| self.0.iter().position(|known| *known == text));
        found.unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        }) as Label
    }

    fn text(&self, label: Label) -> &'static str {
        self.0.get(usize::from(label)).copied().unwrap_or_default()
    }
}

/// Texts of the wire, each kept once.
#[derive(Default)]
struct Symbols {
    texts: Vec<Box<str>>,
    free: Vec<Symbol>,
    index: HashTable<Symbol>,
    /// Texts in use after the last collection.
    kept: usize,
}

impl Symbols {
    fn symbol(&mut self, text: &str) -> Symbol {
        let hash = |text: &str| FixedState::default().hash_one(text);
        let texts = &mut self.texts;
        if let Some(&symbol) = self.index.find(hash(text), |&symbol| *texts[symbol as usize] == *text) {
            return symbol;
        }
        let symbol = self.free.pop().unwrap_or(texts.len() as Symbol);
        match texts.get_mut(symbol as usize) {
            Some(slot) => *slot = text.into(),
            None => texts.push(text.into()),
        }
        self.index.insert_unique(hash(text), symbol, |&symbol| hash(&texts[symbol as usize]));
        symbol
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol as usize).map_or("", |text| text)
    }

    fn is_wasteful(&self) -> bool {
        self.index.len() > 2 * self.kept + 65_536
    }

    fn keep(&mut self, used: &[bool]) {
        self.index.retain(|symbol| used[*symbol as usize]);
        self.free.clear();
        for (symbol, text) in self.texts.iter_mut().enumerate() {
            if !used.get(symbol).copied().unwrap_or(true) {
                *text = "".into();
                self.free.push(symbol as Symbol);
            }
        }
        self.kept = self.index.len();
    }
}
