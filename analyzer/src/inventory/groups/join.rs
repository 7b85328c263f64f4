//! Rule 1: the links are followed, as far as no two names meet of which a device has one; then what came together is sorted and judged.

use super::{Building, Derived, Edge, Group, Groups, Members, Refusal, Refused, Vertex, id_of, is_exclusive};
use crate::hot::owned::ValueKey;
use crate::inventory::device::DeviceId;
use crate::inventory::prefixes::Whose;
use crate::inventory::table::{NodeId, Table, What};
use crate::inventory::{address, is_path, rank};
use citytap_sensor::observation::identity::IP;
use citytap_sensor::observation::{Presence, Role};
use std::cmp::Reverse;

impl Building<'_> {
    /// Follows the links, and sorts what came together.
    pub(super) fn join(mut self, site: &str) -> Groups {
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
            let order = |edge: &Edge| (!edge.addresses, Reverse(edge.confidence), Reverse(edge.last), edge.first);
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
