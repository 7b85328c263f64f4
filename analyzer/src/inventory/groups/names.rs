//! Rules 3 and 4: names that are linked to addresses and to each other, and names assigned at a server.

use super::spans::at_once;
use super::{Building, Derived, Edge, Refusal, Refused, Vertex, is_exclusive};
use crate::inventory::table::{Node, NodeId, Stamp, What};
use crate::inventory::{ANY_NAME, is_path};
use citytap_sensor::observation::identity::IP;
use citytap_sensor::observation::{Attribute, Confidence, Lifetime, Presence, Role, Strength};

impl<'a> Building<'a> {
    /// Rules 1 and 4: names that are linked to addresses, and to each other.
    pub(super) fn names_at_addresses(&mut self) {
        struct AtAddress<'a> {
            name: NodeId,
            node: &'a Node,
            vertex: Vertex,
            confidence: Confidence,
            basis: &'static str,
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
                let basis = self.table.label_text(basis);
                let (confidence, first, last) = (statement.confidence, statement.first, statement.last);
                if *to == IP {
                    let vertex = self.at(other, last);
                    at_addresses.push(AtAddress { name, node, vertex, confidence, basis, first, last });
                } else {
                    self.edges.push(Edge { addresses: false, confidence, first, last, a: name, b: other, basis });
                }
            }
        }
        at_addresses.sort_unstable_by(|a, b| {
            (a.vertex, a.node.key.kind.name, &a.node.key, a.basis).cmp(&(b.vertex, b.node.key.kind.name, &b.node.key, b.basis))
        });
        for links in at_addresses.chunk_by(|a, b| a.vertex == b.vertex && a.node.key.kind == b.node.key.kind) {
            let mut telling: Vec<&Node> = links.iter().map(|link| link.node).filter(|node| stands_alone(node)).collect();
            telling.dedup_by_key(|node| &node.key);
            // Two servers give one device a name each, so those at one server are compared.
            let at_server = |names: &[&Node]| at_once(names.iter().map(|node| (node.first, node.last)));
            let crowded = telling.chunk_by(|a, b| a.key.at == b.key.at).any(|names| at_server(names) > 1);
            for link in links {
                let AtAddress { name, vertex, confidence, basis, first, last, .. } = *link;
                if crowded && stands_alone(link.node) {
                    let other = self.node_of(vertex);
                    let why = Refusal::AtOnce(link.node.key.kind.name);
                    let what = Refused { other, basis, confidence, why };
                    self.refused.push(Derived { vertex: name, what, first, last });
                    self.vias.push(Derived { vertex: name, what: vertex, first, last });
                } else {
                    self.edges.push(Edge { addresses: false, confidence, first, last, a: name, b: vertex, basis });
                }
            }
        }
    }

    /// Rule 3: names assigned at a server and reached through it.
    pub(super) fn names_at_servers(&mut self) {
        let mut at_servers: Vec<(NodeId, &'a Node, NodeId)> = Vec::new();
        for (name, node) in self.nodes() {
            // A name that nothing was heard from is no device, but tells that the server does not answer under every name.
            let missing = node.presence == Presence::Mentioned;
            let server = if missing { self.server_of(node) } else { self.own_server(node) };
            at_servers.extend(server.map(|server| (server, node, name)));
        }
        at_servers.sort_unstable_by(|a, b| (a.0, a.1.key.kind.name, &a.1.key).cmp(&(b.0, b.1.key.kind.name, &b.1.key)));
        for names in at_servers.chunk_by(|a, b| a.0 == b.0 && a.1.key.kind == b.1.key.kind) {
            let there = || names.iter().filter(|(_, node, _)| node.presence != Presence::Mentioned);
            let count = there().count();
            let (Some(first), Some(last), Some(&(server, ..))) =
                (there().map(|(_, node, _)| node.first).min(), there().map(|(_, node, _)| node.last).max(), names.first())
            else {
                continue;
            };
            let any_name = count > ANY_NAME && count == names.len();
            if count > 1 {
                let what = if any_name { Role::AnswersAnyName } else { Role::Bridge };
                self.roles.push(Derived { vertex: self.at(server, last), what, first, last });
            }
            if count > 1 && !any_name {
                continue;
            }
            let basis = if any_name { "the server answers under any name" } else { "the only name of its kind at this server" };
            for &(_, node, name) in there() {
                let (first, last, b) = (node.first, node.last, self.at(server, node.last));
                self.edges.push(Edge { addresses: false, confidence: Confidence::Likely, first, last, a: name, b, basis });
            }
        }
    }
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
