//! Which names are one device: connected names, as far as no rule refuses a link. A pure function of the table; the rules stand in the
//! module's description.

use super::device::DeviceId;
use super::prefixes::{Ours, Whose, is_link_local};
use super::table::{Label, Node, NodeId, Stamp, Table, What};
use super::{PROXY_IPV4, PROXY_IPV6, address, is_path, rank};
use crate::hot::owned::{IdentityKey, ServerKey, ValueKey};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{Attribute, Confidence, Identity, Lifetime, Presence, Role, Strength};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::HashMap;

/// A name, or a name for a part of its time: an address while one MAC held it. The first vertices are the nodes.
pub(super) type Vertex = u32;

/// Number of a device in this view.
pub(super) type Group = u32;

/// A link that was not followed, or a way that follows from the rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Derived<T> {
    pub(super) vertex: Vertex,
    pub(super) what: T,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
}

/// Why a link was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Both sides have a name of this kind, of which a device has one.
    TwoOf(&'static str),
    /// Several names of this kind are active at the address at one time.
    AtOnce(&'static str),
    /// The MAC answers for many addresses at one time.
    Proxy,
}

/// What a refused link said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) other: NodeId,
    pub(super) basis: Basis,
    pub(super) confidence: Confidence,
    pub(super) why: Refusal,
}

/// What a link rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Basis {
    /// A fact said so.
    Said(Label),
    /// A rule of the inventory.
    Rule(&'static str),
}

struct Edge {
    confidence: Confidence,
    last: Stamp,
    first: Stamp,
    a: Vertex,
    b: Vertex,
    basis: Basis,
}

/// A MAC beside an address.
#[derive(Clone, Copy)]
struct Beside {
    mac: NodeId,
    ip: NodeId,
    /// The fact that says so; `None` where the MAC but carried the address's packets.
    evidence: Option<(Label, Confidence)>,
    first: Stamp,
    last: Stamp,
}

/// The view: which vertices are one device.
pub(super) struct Groups {
    /// For addresses that passed from one MAC to another: from when on which vertex.
    splits: HashMap<NodeId, Vec<(Stamp, Vertex)>>,
    /// The nodes of the vertices beyond the nodes.
    parts: Vec<NodeId>,
    /// For such addresses: when each of the vertices had them.
    spans: HashMap<Vertex, (Stamp, Stamp)>,
    group_of: Vec<Group>,
    /// All vertices, sorted by group.
    members: Vec<Vertex>,
    groups: Vec<Members>,
    listed: Vec<Group>,
    /// Sorted by vertex.
    pub(super) vias: Vec<Derived<Vertex>>,
    /// Sorted by vertex.
    pub(super) refused: Vec<Derived<Refused>>,
    /// Sorted by vertex.
    pub(super) roles: Vec<Derived<Role>>,
}

struct Members {
    id: DeviceId,
    founding: NodeId,
    start: u32,
    end: u32,
    listed: bool,
    provisional: bool,
}

impl Groups {
    pub(super) fn new(table: &Table, ours: &Ours, site: &str) -> Self {
        let mut building = Building::new(table, ours);
        building.macs_and_addresses();
        building.names_at_addresses();
        building.names_at_servers();
        building.join(site)
    }

    /// The listed devices, sorted by id.
    pub(super) fn listed(&self) -> &[Group] {
        &self.listed
    }

    pub(super) fn provisional(&self, group: Group) -> bool {
        self.groups[group as usize].provisional
    }

    pub(super) fn id(&self, group: Group) -> DeviceId {
        self.groups[group as usize].id
    }

    pub(super) fn founding(&self, group: Group) -> NodeId {
        self.groups[group as usize].founding
    }

    pub(super) fn members(&self, group: Group) -> &[Vertex] {
        let members = &self.groups[group as usize];
        &self.members[members.start as usize..members.end as usize]
    }

    /// The node of a vertex.
    pub(super) fn node(&self, vertex: Vertex) -> NodeId {
        let nodes = self.group_of.len() - self.parts.len();
        if (vertex as usize) < nodes { vertex } else { self.parts[vertex as usize - nodes] }
    }

    /// The vertex of a name at a time.
    pub(super) fn vertex_at(&self, node: NodeId, at: Stamp) -> Vertex {
        vertex_at(&self.splits, node, at)
    }

    /// When a vertex had its name, where the name belongs to different devices at different times.
    pub(super) fn span_of(&self, vertex: Vertex) -> Option<(Stamp, Stamp)> {
        self.spans.get(&vertex).copied()
    }

    /// Whether the name belongs to different devices at different times.
    pub(super) fn is_split(&self, node: NodeId) -> bool {
        self.splits.contains_key(&node)
    }

    pub(super) fn group(&self, vertex: Vertex) -> Group {
        self.group_of[vertex as usize]
    }

    pub(super) fn id_of_node(&self, node: NodeId) -> Option<DeviceId> {
        let members = &self.groups[self.group(node) as usize];
        members.listed.then_some(members.id)
    }

    pub(super) fn id_at(&self, node: NodeId, at: Stamp) -> Option<DeviceId> {
        let members = &self.groups[self.group(self.vertex_at(node, at)) as usize];
        members.listed.then_some(members.id)
    }

    pub(super) fn is_listed(&self, group: Group) -> bool {
        self.groups[group as usize].listed
    }

    pub(super) fn by_id(&self, id: DeviceId) -> Option<Group> {
        let at = self.listed.binary_search_by_key(&id, |&group| self.id(group)).ok()?;
        self.listed.get(at).copied()
    }
}

fn vertex_at(splits: &HashMap<NodeId, Vec<(Stamp, Vertex)>>, node: NodeId, at: Stamp) -> Vertex {
    let Some(segments) = splits.get(&node) else { return node };
    let after = segments.partition_point(|(from, _)| *from <= at);
    segments.get(after.saturating_sub(1)).map_or(node, |&(_, vertex)| vertex)
}

/// The id of a device that this name founds: the first eight bytes of SHA-256 over the site, a zero byte and the name as text.
pub(super) fn id_of(site: &str, key: &IdentityKey) -> DeviceId {
    let mut hash = Sha256::new();
    hash.update(site.as_bytes());
    hash.update([0]);
    hash.update(key.to_string().as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    DeviceId(digest.iter().take(8).fold(0, |id, &byte| id << 8 | u64::from(byte)))
}

struct Building<'a> {
    table: &'a Table,
    ours: &'a Ours,
    splits: HashMap<NodeId, Vec<(Stamp, Vertex)>>,
    parts: Vec<NodeId>,
    spans: HashMap<Vertex, (Stamp, Stamp)>,
    edges: Vec<Edge>,
    vias: Vec<Derived<Vertex>>,
    refused: Vec<Derived<Refused>>,
    roles: Vec<Derived<Role>>,
    /// Addresses that have a MAC by evidence.
    evidenced: Vec<NodeId>,
}

impl<'a> Building<'a> {
    fn new(table: &'a Table, ours: &'a Ours) -> Self {
        Self {
            table,
            ours,
            splits: HashMap::new(),
            parts: Vec::new(),
            spans: HashMap::new(),
            edges: Vec::new(),
            vias: Vec::new(),
            refused: Vec::new(),
            roles: Vec::new(),
            evidenced: Vec::new(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (NodeId, &'a Node)> + use<'a> {
        self.table.nodes().iter().enumerate().map(|(id, node)| (id as NodeId, node))
    }

    fn key(&self, id: NodeId) -> &'a IdentityKey {
        &self.table.node(id).key
    }

    fn at(&self, node: NodeId, at: Stamp) -> Vertex {
        vertex_at(&self.splits, node, at)
    }

    /// Rule 2: which MAC is the device's own, which one a router's.
    fn macs_and_addresses(&mut self) {
        let mut beside = self.beside();
        let mut holders: Vec<(Beside, Basis, Confidence)> = Vec::new();
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
                        (other, Some((basis, statement.confidence)))
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
    fn addresses_of_mac(&mut self, pairs: &[Beside], holders: &mut Vec<(Beside, Basis, Confidence)>) {
        let table = self.table;
        let at = |pair: &Beside| address(&table.node(pair.ip).key);
        let routable = |pair: &&Beside| at(pair).is_some_and(|address| !is_link_local(address));
        let said = |v4: bool| {
            let of_family = move |pair: &&Beside| at(pair).is_some_and(|address| address.is_ipv4() == v4);
            pairs.iter().filter(routable).filter(|pair| pair.evidence.is_some()).filter(of_family)
        };
        let proxy = most_at_once(said(true)) > PROXY_IPV4 || most_at_once(said(false)) > PROXY_IPV6;
        let mut speaks_for: Vec<NodeId> = pairs.iter().filter(routable).map(|pair| pair.ip).collect();
        speaks_for.dedup();
        for pair in pairs {
            let Some(address) = address(self.key(pair.ip)) else { continue };
            match pair.evidence {
                Some((basis, confidence)) if proxy && !is_link_local(address) => {
                    let what = Refused { other: pair.mac, basis: Basis::Said(basis), confidence, why: Refusal::Proxy };
                    self.refused.push(Derived { vertex: pair.ip, what, first: pair.first, last: pair.last });
                }
                Some((basis, confidence)) => holders.push((*pair, Basis::Said(basis), confidence)),
                None if is_link_local(address) => {
                    holders.push((*pair, Basis::Rule("link-local addresses are not routed"), Confidence::Likely))
                }
                None if speaks_for.len() == 1 && self.ours.whose(address) == Whose::Ours => {
                    holders.push((*pair, Basis::Rule("the MAC speaks for this address alone"), Confidence::Likely));
                }
                None => {}
            }
        }
    }

    /// Who holds an address, and from when on. `held` gets (MAC, address) of those.
    fn holders_of_address(&mut self, holders: &[(Beside, Basis, Confidence)], held: &mut Vec<(NodeId, NodeId)>) {
        let Some(ip) = holders.first().map(|(pair, ..)| pair.ip) else { return };
        let evidence = holders.iter().any(|(pair, ..)| pair.evidence.is_some());
        let mut chosen: Vec<(Beside, Basis, Confidence)> = Vec::new();
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
        let mut vertices: HashMap<NodeId, Vertex> = HashMap::new();
        for (pair, basis, confidence) in chosen {
            held.push((pair.mac, ip));
            let vertex = if pair.mac == latest { ip } else { self.part(ip) };
            vertices.insert(pair.mac, vertex);
            if !alone {
                self.spans.insert(vertex, (pair.first, pair.last));
            }
            self.edges.push(Edge { confidence, first: pair.first, last: pair.last, a: vertex, b: pair.mac, basis });
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

    /// Rules 1 and 4: names that are linked to addresses, and to each other.
    fn names_at_addresses(&mut self) {
        struct AtAddress<'a> {
            name: NodeId,
            node: &'a Node,
            vertex: Vertex,
            confidence: Confidence,
            basis: Label,
            first: Stamp,
            last: Stamp,
        }
        let mut at_addresses = Vec::new();
        for (name, node) in self.nodes() {
            for statement in &node.statements {
                let What::Same { other, basis } = statement.what else { continue };
                let to = self.key(other).kind;
                if statement.confidence < Confidence::Likely || (*node.key.kind == IP && is_path(to)) {
                    continue;
                }
                let (confidence, first, last) = (statement.confidence, statement.first, statement.last);
                if *to == IP {
                    let vertex = self.at(other, last);
                    at_addresses.push(AtAddress { name, node, vertex, confidence, basis, first, last });
                } else {
                    self.edges.push(Edge { confidence, first, last, a: name, b: other, basis: Basis::Said(basis) });
                }
            }
        }
        at_addresses.sort_unstable_by(|a, b| {
            (a.vertex, a.node.key.kind.name, &a.node.key, a.basis).cmp(&(b.vertex, b.node.key.kind.name, &b.node.key, b.basis))
        });
        for links in at_addresses.chunk_by(|a, b| a.vertex == b.vertex && a.node.key.kind == b.node.key.kind) {
            let mut telling: Vec<&Node> = links.iter().map(|link| link.node).filter(|node| stands_alone(node)).collect();
            telling.dedup_by_key(|node| &node.key);
            let crowded = at_once(telling.iter().map(|node| (node.first, node.last))) > 1;
            for link in links {
                let AtAddress { name, vertex, confidence, basis, first, last, .. } = *link;
                if crowded && stands_alone(link.node) {
                    let other = self.node_of(vertex);
                    let why = Refusal::AtOnce(link.node.key.kind.name);
                    let what = Refused { other, basis: Basis::Said(basis), confidence, why };
                    self.refused.push(Derived { vertex: name, what, first, last });
                    self.vias.push(Derived { vertex: name, what: vertex, first, last });
                } else {
                    self.edges.push(Edge { confidence, first, last, a: name, b: vertex, basis: Basis::Said(basis) });
                }
            }
        }
    }

    fn node_of(&self, vertex: Vertex) -> NodeId {
        let nodes = self.table.nodes().len();
        if (vertex as usize) < nodes { vertex } else { self.parts[vertex as usize - nodes] }
    }

    /// Rule 3: names assigned at a server and reached through it.
    fn names_at_servers(&mut self) {
        let mut behind: Vec<(NodeId, &'a Node, NodeId)> = Vec::new();
        for (server, name, node) in self.nodes().filter_map(|(id, node)| Some((self.own_server(node)?, id, node))) {
            behind.push((server, node, name));
        }
        behind.sort_unstable_by(|a, b| (a.0, a.1.key.kind.name, &a.1.key).cmp(&(b.0, b.1.key.kind.name, &b.1.key)));
        for names in behind.chunk_by(|a, b| a.0 == b.0 && a.1.key.kind == b.1.key.kind) {
            let lone = names.len() == 1;
            let (mut first, mut last) = (None::<Stamp>, None::<Stamp>);
            for &(server, node, name) in names {
                first = Some(first.map_or(node.first, |first| first.min(node.first)));
                last = Some(last.map_or(node.last, |last| last.max(node.last)));
                if lone {
                    let basis = Basis::Rule("the only name of its kind at this server");
                    let b = self.at(server, node.last);
                    self.edges.push(Edge {
                        confidence: Confidence::Likely,
                        first: node.first,
                        last: node.last,
                        a: name,
                        b,
                        basis,
                    });
                }
            }
            if let (false, Some(first), Some(last), Some(&(server, ..))) = (lone, first, last, names.first()) {
                self.roles.push(Derived { vertex: self.at(server, last), what: Role::Bridge, first, last });
            }
        }
    }

    /// The server of a name that was assigned there, that showed itself, and that is reached through it.
    fn own_server(&self, node: &Node) -> Option<NodeId> {
        if node.key.kind.strength != Strength::Assigned || node.presence == Presence::Mentioned {
            return None;
        }
        let Some(ServerKey::Address(server)) = node.key.at else { return None };
        let key = IdentityKey::new(&Identity::ip(server), node.key.network);
        let server = self.table.find(&key)?;
        node.statements.iter().any(|statement| statement.what == What::Via { other: server }).then_some(server)
    }

    /// Follows the links, and sorts what came together.
    fn join(mut self, site: &str) -> Groups {
        let nodes = self.table.nodes().len();
        let vertices = nodes + self.parts.len();
        let mut joined = Joined::new(vertices);
        for (id, node) in self.nodes() {
            if is_exclusive(node) {
                joined.own[id as usize].push(id);
            }
        }
        let mut edges = std::mem::take(&mut self.edges);
        let table = self.table;
        let key = |vertex: Vertex| (&table.node(self.node_of(vertex)).key, vertex as usize >= nodes);
        edges.sort_by(|x, y| {
            let order = |edge: &Edge| (Reverse(edge.confidence), Reverse(edge.last), edge.first);
            order(x).cmp(&order(y)).then_with(|| (key(x.a), key(x.b), x.basis).cmp(&(key(y.a), key(y.b), y.basis)))
        });
        for edge in edges {
            let Err(kind) = joined.join(edge.a, edge.b, table) else { continue };
            for (vertex, other) in [(edge.a, edge.b), (edge.b, edge.a)] {
                let other = self.node_of(other);
                let what = Refused { other, basis: edge.basis, confidence: edge.confidence, why: Refusal::TwoOf(kind) };
                self.refused.push(Derived { vertex, what, first: edge.first, last: edge.last });
            }
        }
        self.into_groups(joined, site)
    }

    fn into_groups(mut self, mut joined: Joined, site: &str) -> Groups {
        let nodes = self.table.nodes().len();
        let roots: Vec<Vertex> = (0..joined.parent.len() as Vertex).map(|vertex| joined.root(vertex)).collect();
        let mut members: Vec<Vertex> = (0..roots.len() as Vertex).collect();
        members.sort_unstable_by_key(|&vertex| (roots[vertex as usize], vertex));
        let mut group_of = vec![0; roots.len()];
        let mut groups = Vec::new();
        let mut start = 0;
        self.evidenced.sort_unstable();
        self.roles.sort_unstable_by_key(|role| (role.vertex, role.what));
        for members in members.chunk_by(|&a, &b| roots[a as usize] == roots[b as usize]) {
            for &vertex in members {
                group_of[vertex as usize] = groups.len() as Group;
            }
            let end = start + members.len() as u32;
            // A part of an address always has its MAC beside it, so a group has at least one whole name.
            let whole = || members.iter().copied().filter(|&vertex| (vertex as usize) < nodes);
            let strongest = whole().max_by(|&a, &b| {
                let order = |id: NodeId| (rank(self.key(id).kind), Reverse(self.table.node(id).first), Reverse(self.key(id)));
                order(a).cmp(&order(b))
            });
            let founding = strongest.unwrap_or_default();
            let (listed, provisional) = self.judge(members);
            // Nobody asks for the id of what is not listed.
            let id = if listed { id_of(site, self.key(founding)) } else { DeviceId(0) };
            groups.push(Members { id, founding, start, end, listed, provisional });
            start = end;
        }
        let mut listed: Vec<Group> = (0..groups.len() as Group).filter(|&group| groups[group as usize].listed).collect();
        listed.sort_unstable_by_key(|&group| groups[group as usize].id);
        self.vias.sort_unstable_by_key(|via| (via.vertex, via.what));
        self.refused.sort_unstable_by_key(|refused| (refused.vertex, refused.what.other));
        Groups {
            splits: self.splits,
            parts: self.parts,
            spans: self.spans,
            group_of,
            members,
            groups,
            listed,
            vias: self.vias,
            refused: self.refused,
            roles: self.roles,
        }
    }

    /// Whether names are a device of ours, and whether it is provisional.
    fn judge(&self, members: &[Vertex]) -> (bool, bool) {
        let (mut ours, mut there, mut shown) = (false, false, false);
        for &vertex in members {
            let id = self.node_of(vertex);
            let node = self.table.node(id);
            let described =
                node.statements.iter().any(|statement| matches!(statement.what, What::Attribute { .. } | What::Object { .. }));
            there |= node.presence >= Presence::Sent || described;
            shown |= node.shows_itself() || described;
            ours |= match &node.key.value {
                ValueKey::Ip(_) if *node.key.kind == IP => self.is_our_address(id),
                _ if is_path(node.key.kind) => members.len() == 1,
                // What is assigned at a server is where the server is.
                _ => match self.own_server(node) {
                    Some(server) => self.is_our_address(server),
                    None => true,
                },
            };
            // Who routes or bridges for others is there, whatever was seen of it itself.
            let works = self.roles.binary_search_by_key(&vertex, |role| role.vertex).is_ok();
            (there, shown) = (there || works, shown || works);
        }
        (ours && there, !shown)
    }

    fn is_our_address(&self, id: NodeId) -> bool {
        let node = self.table.node(id);
        match address(&node.key).map(|address| self.ours.whose(address)) {
            Some(Whose::Ours) => true,
            Some(Whose::Unknown) => {
                let serves =
                    |what: What| matches!(what, What::Service { .. }) || matches!(what, What::Role(role) if role != Role::Client);
                self.evidenced.binary_search(&id).is_ok() || node.statements.iter().any(|statement| serves(statement.what))
            }
            _ => false,
        }
    }
}

/// Whether a device has one name of this kind: one that its maker gave, or a permanent one.
fn is_exclusive(node: &Node) -> bool {
    node.key.kind.strength == Strength::Made || node.key.kind.lifetime == Lifetime::Permanent
}

/// Whether a name that shares an address with others of its kind can be a device of its own: a maker's name always, a chosen one where
/// something is said about it.
fn stands_alone(node: &Node) -> bool {
    if is_exclusive(node) {
        return true;
    }
    if node.key.kind.lifetime == Lifetime::Session || node.key.kind.strength != Strength::Chosen {
        return false;
    }
    node.statements.iter().any(|statement| match statement.what {
        What::Attribute { name, .. } => describes(name),
        What::Object { .. } => true,
        _ => false,
    })
}

/// Attributes that tell a device from others, unlike the protocol's version.
fn describes(attribute: Attribute) -> bool {
    use Attribute::*;
    matches!(
        attribute,
        Vendor | Product | Model | Firmware | Software | Hardware | Serial | Name | Hostname | DeviceType | Position
    )
}

fn most_at_once<'b>(pairs: impl Iterator<Item = &'b Beside>) -> usize {
    let mut by_address: HashMap<(NodeId, NodeId), (Stamp, Stamp)> = HashMap::new();
    for pair in pairs {
        let span = by_address.entry((pair.mac, pair.ip)).or_insert((pair.first, pair.last));
        *span = (span.0.min(pair.first), span.1.max(pair.last));
    }
    at_once(by_address.into_values())
}

/// How many of these stretches of time lie over one another at most. Those that only touch do not.
fn at_once(stretches: impl Iterator<Item = (Stamp, Stamp)>) -> usize {
    let mut ends: Vec<(Stamp, bool)> = Vec::new();
    let mut moments: Vec<Stamp> = Vec::new();
    for (first, last) in stretches {
        if first == last {
            moments.push(first);
        } else {
            ends.extend([(first, true), (last, false)]);
        }
    }
    // An end sorts before a beginning at the same time.
    ends.sort_unstable();
    let (mut now, mut most) = (0usize, usize::from(!moments.is_empty()));
    moments.sort_unstable();
    let mut moments = moments.into_iter().peekable();
    for (at, begins) in ends {
        while moments.next_if(|&moment| moment < at || (begins && moment == at)).is_some() {
            most = most.max(now + 1);
        }
        if begins {
            now += 1;
        } else {
            // A moment at the very end of a stretch only touches it.
            now = now.saturating_sub(1);
        }
        most = most.max(now);
    }
    most
}

/// Sets of vertices, and the names of each of which a device has but one.
struct Joined {
    parent: Vec<Vertex>,
    own: Vec<Vec<NodeId>>,
}

impl Joined {
    fn new(vertices: usize) -> Self {
        Self { parent: (0..vertices as Vertex).collect(), own: vec![Vec::new(); vertices] }
    }

    fn root(&mut self, mut vertex: Vertex) -> Vertex {
        while self.parent[vertex as usize] != vertex {
            let above = self.parent[self.parent[vertex as usize] as usize];
            self.parent[vertex as usize] = above;
            vertex = above;
        }
        vertex
    }

    /// Joins two sets, unless that puts two names of one kind together of which a device has one: then the kind's name comes back.
    fn join(&mut self, a: Vertex, b: Vertex, table: &Table) -> Result<(), &'static str> {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return Ok(());
        }
        for &mine in &self.own[a as usize] {
            let kind = table.node(mine).key.kind;
            if self.own[b as usize].iter().any(|&theirs| table.node(theirs).key.kind == kind) {
                return Err(kind.name);
            }
        }
        // The smaller list moves, so that joining many costs n log n; which root remains is not seen outside.
        let (root, other) = if self.own[a as usize].len() >= self.own[b as usize].len() { (a, b) } else { (b, a) };
        let moved = std::mem::take(&mut self.own[other as usize]);
        self.own[root as usize].extend(moved);
        self.parent[other as usize] = root;
        Ok(())
    }
}
