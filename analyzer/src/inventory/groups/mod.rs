//! Which names are one device: connected names, as far as no rule refuses a link. A pure function of the table; the rules stand in the
//! module's description.

mod addresses;
mod join;
mod names;
mod spans;

use super::device::DeviceId;
use super::prefixes::Ours;
use super::table::{Node, NodeId, Stamp, Table, What};
use crate::hot::owned::{IdentityKey, ServerKey};
use citytap_sensor::observation::{Confidence, Identity, Lifetime, Presence, Role, Strength};
use foldhash::fast::FixedState;
use sha2::{Digest, Sha256};

/// A name, or a name for a part of its time: an address while one MAC held it. The first vertices are the nodes.
pub(super) type Vertex = u32;

/// Number of a device in this view.
pub(super) type Group = u32;

/// A map without randomness; none is ever walked through in its own order.
type Map<K, V> = hashbrown::HashMap<K, V, FixedState>;

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
    /// What it rests on.
    pub(super) basis: &'static str,
    pub(super) confidence: Confidence,
    pub(super) why: Refusal,
}

/// A link to follow.
struct Edge {
    /// Whether it is between an address and its MAC: those are followed before all others, which may connect what has moved since.
    addresses: bool,
    confidence: Confidence,
    last: Stamp,
    first: Stamp,
    a: Vertex,
    b: Vertex,
    basis: &'static str,
}

/// The view: which vertices are one device.
pub(super) struct Groups {
    /// For addresses that passed from one MAC to another: from when on which vertex.
    splits: Map<NodeId, Vec<(Stamp, Vertex)>>,
    /// The nodes of the vertices beyond the nodes.
    parts: Vec<NodeId>,
    /// For such addresses: when each of the vertices had them.
    spans: Map<Vertex, (Stamp, Stamp)>,
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

    /// Roles that follow from the rules.
    pub(super) fn roles_of(&self, vertex: Vertex) -> impl Iterator<Item = Role> {
        let start = self.roles.partition_point(|role| role.vertex < vertex);
        self.roles.iter().skip(start).take_while(move |role| role.vertex == vertex).map(|role| role.what)
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

fn vertex_at(splits: &Map<NodeId, Vec<(Stamp, Vertex)>>, node: NodeId, at: Stamp) -> Vertex {
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
    splits: Map<NodeId, Vec<(Stamp, Vertex)>>,
    parts: Vec<NodeId>,
    spans: Map<Vertex, (Stamp, Stamp)>,
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
            splits: Map::default(),
            parts: Vec::new(),
            spans: Map::default(),
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

    fn node_of(&self, vertex: Vertex) -> NodeId {
        let nodes = self.table.nodes().len();
        if (vertex as usize) < nodes { vertex } else { self.parts[vertex as usize - nodes] }
    }

    /// The server of a name that was assigned there, that showed itself, and that is reached through it.
    fn own_server(&self, node: &Node) -> Option<NodeId> {
        if node.presence == Presence::Mentioned {
            return None;
        }
        let server = self.server_of(node)?;
        node.statements.iter().any(|statement| statement.what == What::Via { other: server }).then_some(server)
    }

    /// The server of a name that was assigned there.
    fn server_of(&self, node: &Node) -> Option<NodeId> {
        if node.key.kind.strength != Strength::Assigned {
            return None;
        }
        let Some(ServerKey::Address(server)) = node.key.at else { return None };
        self.table.find(&IdentityKey::new(&Identity::ip(server), node.key.network))
    }
}

/// Whether a device has one name of this kind: one that its maker gave, or a permanent one.
fn is_exclusive(node: &Node) -> bool {
    node.key.kind.strength == Strength::Made || node.key.kind.lifetime == Lifetime::Permanent
}
