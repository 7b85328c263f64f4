//! From a group of names to the device that is shown.

use super::device::{
    CertificateSeen, Device, DeviceId, Name, ObjectSeen, PeerSeen, RefusedLink, RoleSeen, SecuritySeen, ServiceSeen, Sighting,
    ViaSeen,
};
use super::groups::{Group, Groups, Refusal, Vertex, id_of};
use super::table::{ASPECTS, NodeId, Stamp, Statement, What};
use super::{Inventory, rank};
use crate::signatures::conclusions::{self, Said};
use citytap_sensor::observation::{Attribute, Confidence, Presence, Role, SecurityAspect};
use std::cmp::Reverse;

/// Ids under other names that are told; a device that went through more sessions is still found by them.
const ALIASES: usize = 16;

impl Inventory {
    /// The device of a group.
    pub(super) fn assemble(&self, groups: &Groups, group: Group) -> Device {
        let members = groups.members(group);
        let founding = groups.founding(group);
        let (first, last) = self.span(groups, members);
        let mut device = Device {
            id: groups.id(group),
            site: self.config.site.clone(),
            network: self.table.node(founding).key.network,
            class: None,
            name: None,
            vendor: None,
            product: None,
            model: None,
            firmware: None,
            software: None,
            hardware: None,
            serial: None,
            identities: self.names(groups, group),
            aliases: self.aliases(groups, group),
            roles: Vec::new(),
            services: Vec::new(),
            peers: Vec::new(),
            attributes: Vec::new(),
            via: Vec::new(),
            objects: Vec::new(),
            security: Vec::new(),
            certificates: Vec::new(),
            refused_links: self.refused(groups, members),
            vlans: Vec::new(),
            first_seen: first.time(),
            last_seen: last.time(),
            messages: 0,
            packets: 0,
            bytes: 0,
            provisional: groups.provisional(group),
        };
        let mut said = Vec::new();
        for &vertex in members {
            let node = groups.node(vertex);
            let entry = self.table.node(node);
            // What was only counted cannot be parted: the one who has the address now has it.
            if vertex == node {
                device.messages += u64::from(entry.count);
                device.packets = device.packets.saturating_add(entry.packets);
                device.bytes = device.bytes.saturating_add(entry.bytes);
            }
            for statement in &entry.statements {
                if let Some(seen) = sighting_of(groups, vertex, node, statement) {
                    self.place(groups, group, statement, seen, &mut device, &mut said);
                }
            }
            derived_of(&groups.roles, vertex, |role| role.vertex).for_each(|role| {
                device.roles.push(RoleSeen { role: role_name(role.what).into(), seen: sighting(role.first, role.last, 1) });
            });
            derived_of(&groups.vias, vertex, |via| via.vertex)
                .for_each(|via| self.via(groups, group, via.what, sighting(via.first, via.last, 1), &mut device));
        }
        sort_and_merge(&mut device);
        conclude(&mut device, said);
        device
    }

    fn span(&self, groups: &Groups, members: &[Vertex]) -> (Stamp, Stamp) {
        let spans = members.iter().map(|&vertex| {
            let node = self.table.node(groups.node(vertex));
            groups.span_of(vertex).unwrap_or((node.first, node.last))
        });
        let widen = |(from, to): (Stamp, Stamp), (first, last): (Stamp, Stamp)| (from.min(first), to.max(last));
        spans.reduce(widen).unwrap_or_default()
    }

    fn names(&self, groups: &Groups, group: Group) -> Vec<Name> {
        let founding = groups.founding(group);
        let mut members: Vec<Vertex> = groups.members(group).to_vec();
        members.sort_by_key(|&vertex| {
            let node = groups.node(vertex);
            let key = &self.table.node(node).key;
            (node != founding, Reverse(rank(key.kind)), key)
        });
        let name = |&vertex: &Vertex| {
            let node = self.table.node(groups.node(vertex));
            let (first, last) = groups.span_of(vertex).unwrap_or((node.first, node.last));
            Name {
                kind: node.key.kind.name.into(),
                value: node.key.value.to_string(),
                at: node.key.at.as_ref().map(ToString::to_string),
                presence: presence_name(node.presence).into(),
                seen: sighting(first, last, node.count.into()),
            }
        };
        members.iter().map(name).collect()
    }

    fn aliases(&self, groups: &Groups, group: Group) -> Vec<DeviceId> {
        let founding = groups.founding(group);
        let mut others: Vec<NodeId> = groups
            .members(group)
            .iter()
            .map(|&vertex| (vertex, groups.node(vertex)))
            .filter(|(v, n)| v == n && *n != founding)
            .map(|(_, n)| n)
            .collect();
        others.sort_by_key(|&node| {
            let node = self.table.node(node);
            (Reverse(rank(node.key.kind)), Reverse(node.last), &node.key)
        });
        others.truncate(ALIASES);
        let mut ids: Vec<DeviceId> = others.iter().map(|&node| id_of(&self.config.site, &self.table.node(node).key)).collect();
        ids.sort_unstable();
        ids
    }

    fn refused(&self, groups: &Groups, members: &[Vertex]) -> Vec<RefusedLink> {
        let mut links = Vec::new();
        for &vertex in members {
            for refused in derived_of(&groups.refused, vertex, |refused| refused.vertex) {
                links.push(RefusedLink {
                    name: self.table.node(groups.node(vertex)).key.to_string(),
                    other: self.table.node(refused.what.other).key.to_string(),
                    basis: refused.what.basis.into(),
                    confidence: confidence_name(refused.what.confidence).into(),
                    reason: match refused.what.why {
                        Refusal::TwoOf(kind) => format!("each side has another {kind}, and a device has one"),
                        Refusal::AtOnce(kind) => format!("several names of kind {kind} are active at this address at one time"),
                        Refusal::Proxy => "this MAC answers for many addresses at one time, so it answers for others".into(),
                    },
                    first_seen: refused.first.time(),
                    last_seen: refused.last.time(),
                });
            }
        }
        links.sort_by(|a, b| (&a.name, &a.other, &a.basis).cmp(&(&b.name, &b.other, &b.basis)));
        links
    }

    /// Puts a statement where the device shows it; what is said of attributes is collected, to be ranked.
    fn place(
        &self,
        groups: &Groups,
        group: Group,
        statement: &Statement,
        seen: Sighting,
        device: &mut Device,
        said: &mut Vec<Said>,
    ) {
        let text = |symbol| self.table.text(symbol).to_owned();
        match statement.what {
            What::Same { .. } | What::Carried { .. } => {}
            What::Via { other } => self.via(groups, group, groups.vertex_at(other, statement.last), seen, device),
            What::Role(role) => device.roles.push(RoleSeen { role: role_name(role).into(), seen }),
            What::Attribute { name, field, value } => {
                let field = self.table.label_text(field).into();
                said.push(Said { name, field, value: text(value), confidence: statement.confidence, seen });
            }
            What::Service { protocol, port, protected } => {
                device.services.push(ServiceSeen { protocol: self.table.label_text(protocol).into(), port, protected, seen });
            }
            What::Peer { other, protocol, asks } => {
                let vertex = groups.vertex_at(other, statement.last);
                let other = groups.group(vertex);
                if other != group {
                    let (device_id, peer) = self.called(groups, vertex);
                    let side = if asks { "client" } else { "server" }.into();
                    device.peers.push(PeerSeen {
                        device: device_id,
                        peer,
                        protocol: self.table.label_text(protocol).into(),
                        side,
                        seen,
                    });
                }
            }
            What::Object { kind, name } => {
                device.objects.push(ObjectSeen { kind: self.table.label_text(kind).into(), name: text(name), seen });
            }
            What::Security { aspect, value } => {
                let aspect = aspect_name(ASPECTS.get(usize::from(aspect)).copied().unwrap_or(SecurityAspect::Mode)).into();
                device.security.push(SecuritySeen { aspect, value: text(value), seen });
            }
            What::Certificate(symbol) => {
                if let Some(certificate) = self.table.certificate_of(symbol) {
                    device.certificates.push(CertificateSeen {
                        spki_sha256: certificate.spki_sha256.into(),
                        subject: certificate.subject.into(),
                        issuer: certificate.issuer.into(),
                        not_before: certificate.not_before,
                        not_after: certificate.not_after,
                        seen,
                    });
                }
            }
            What::Vlan(vlan) => device.vlans.push(vlan),
        }
    }

    fn via(&self, groups: &Groups, group: Group, vertex: Vertex, seen: Sighting, device: &mut Device) {
        if groups.group(vertex) != group {
            let (id, via) = self.called(groups, vertex);
            device.via.push(ViaSeen { device: id, via, seen });
        }
    }

    /// A device by its id and founding name, or a name that is no device's.
    fn called(&self, groups: &Groups, vertex: Vertex) -> (Option<DeviceId>, String) {
        let group = groups.group(vertex);
        let name = |node: NodeId| self.table.node(node).key.to_string();
        match groups.is_listed(group) {
            true => (Some(groups.id(group)), name(groups.founding(group))),
            false => (None, name(groups.node(vertex))),
        }
    }
}

/// The sighting of a statement as far as it belongs to the vertex; `None` where it was made about another holder of the address.
pub(super) fn sighting_of(groups: &Groups, vertex: Vertex, node: NodeId, statement: &Statement) -> Option<Sighting> {
    if !groups.is_split(node) {
        return Some(sighting(statement.first, statement.last, statement.count.into()));
    }
    let at_first = groups.vertex_at(node, statement.first) == vertex;
    let at_last = groups.vertex_at(node, statement.last) == vertex;
    match (at_first, at_last) {
        (true, true) => Some(sighting(statement.first, statement.last, statement.count.into())),
        (true, false) => Some(sighting(statement.first, statement.first, 1)),
        (false, true) => Some(sighting(statement.last, statement.last, 1)),
        (false, false) => None,
    }
}

fn sighting(first: Stamp, last: Stamp, count: u64) -> Sighting {
    Sighting { first_frame: first.frame(), first_seen: first.time(), last_frame: last.frame(), last_seen: last.time(), count }
}

fn derived_of<T>(sorted: &[T], vertex: Vertex, of: impl Fn(&T) -> Vertex) -> impl Iterator<Item = &T> {
    let start = sorted.partition_point(|item| of(item) < vertex);
    sorted.get(start..).unwrap_or_default().iter().take_while(move |item| of(item) == vertex)
}

/// Sorts the lists, and makes one entry of what several names of the device say.
fn sort_and_merge(device: &mut Device) {
    merge(&mut device.roles, |role| role.role.clone(), |role| &mut role.seen);
    merge(
        &mut device.services,
        |service| (service.protocol.clone(), service.port, service.protected),
        |service| &mut service.seen,
    );
    merge(
        &mut device.peers,
        |peer| (peer.protocol.clone(), peer.side.clone(), peer.device, peer.peer.clone()),
        |peer| &mut peer.seen,
    );
    merge(&mut device.via, |via| (via.device, via.via.clone()), |via| &mut via.seen);
    merge(
        &mut device.objects,
        |object| (object.kind.clone(), number(&object.name), object.name.clone()),
        |object| &mut object.seen,
    );
    merge(&mut device.security, |security| (security.aspect.clone(), security.value.clone()), |security| &mut security.seen);
    merge(
        &mut device.certificates,
        |c| (c.spki_sha256.clone(), c.subject.clone(), c.not_before, c.issuer.clone(), c.not_after),
        |certificate| &mut certificate.seen,
    );
    device.vlans.sort_unstable();
    device.vlans.dedup();
}

/// Objects named by number sort as numbers, before those named by words.
fn number(name: &str) -> u64 {
    name.parse().unwrap_or(u64::MAX)
}

fn merge<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K, seen: impl Fn(&mut T) -> &mut Sighting) {
    list.sort_by_cached_key(&key);
    list.dedup_by(|later, kept| {
        let same = key(later) == key(kept);
        if same {
            let (later, kept) = (*seen(later), seen(kept));
            widen(kept, later);
        }
        same
    });
}

fn widen(kept: &mut Sighting, other: Sighting) {
    let first = (kept.first_seen, kept.first_frame).min((other.first_seen, other.first_frame));
    let last = (kept.last_seen, kept.last_frame).max((other.last_seen, other.last_frame));
    *kept = Sighting {
        first_seen: first.0,
        first_frame: first.1,
        last_seen: last.0,
        last_frame: last.1,
        count: kept.count + other.count,
    };
}

/// Adds what follows from the signatures, and chooses each attribute's value.
fn conclude(device: &mut Device, mut said: Vec<Said>) {
    said.sort_by(|a, b| (a.name, &a.field, &a.value).cmp(&(b.name, &b.field, &b.value)));
    said.dedup_by(|later, kept| {
        let same = (later.name, &later.field, &later.value) == (kept.name, &kept.field, &kept.value);
        if same {
            kept.confidence = kept.confidence.max(later.confidence);
            widen(&mut kept.seen, later.seen);
        }
        same
    });
    conclusions::conclude(device, said);
}

/// An attribute's stable name.
pub fn attribute_name(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Vendor => "vendor",
        Attribute::Product => "product",
        Attribute::Model => "model",
        Attribute::Firmware => "firmware",
        Attribute::Software => "software",
        Attribute::Hardware => "hardware",
        Attribute::Serial => "serial",
        Attribute::Name => "name",
        Attribute::Hostname => "hostname",
        Attribute::DeviceType => "device_type",
        Attribute::Position => "position",
        Attribute::ProtocolVersion => "protocol_version",
        Attribute::Region => "region",
        Attribute::OperatingSystem => "operating_system",
        Attribute::Application => "application",
        Attribute::AuthenticationEnabled => "authentication_enabled",
        Attribute::JoinEui => "join_eui",
        Attribute::CodecHint => "codec_hint",
        Attribute::Url => "url",
    }
}

/// A role's stable name.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Client => "client",
        Role::Broker => "broker",
        Role::Publisher => "publisher",
        Role::Subscriber => "subscriber",
        Role::RadioGateway => "radio_gateway",
        Role::NetworkServer => "network_server",
        Role::ApplicationServer => "application_server",
        Role::EndDevice => "end_device",
        Role::Bridge => "bridge",
        Role::Router => "router",
        Role::AddressServer => "address_server",
        Role::ManagementServer => "management_server",
        Role::BootstrapServer => "bootstrap_server",
        Role::AnswersAnyName => "answers_any_name",
    }
}

/// A confidence's stable name.
pub fn confidence_name(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Possible => "possible",
        Confidence::Likely => "likely",
        Confidence::Seen => "seen",
        Confidence::Proved => "proved",
    }
}

fn presence_name(presence: Presence) -> &'static str {
    match presence {
        Presence::Mentioned => "mentioned",
        Presence::Sent => "sent",
        Presence::Proved => "proved",
    }
}

fn aspect_name(aspect: SecurityAspect) -> &'static str {
    match aspect {
        SecurityAspect::Activation => "activation",
        SecurityAspect::Mode => "mode",
        SecurityAspect::Transport => "transport",
        SecurityAspect::Cipher => "cipher",
    }
}
