//! The inventory: facts become devices. It knows names, links and statements; it knows no protocol.
//!
//! What turns into what:
//!
//! - A *name* ([`IdentityKey`]) becomes a node with first and last sighting, presence and counts. Every other statement hangs on the name that
//!   it was made about, with its own first and last sighting (`table`).
//! - A `SameAs` fact becomes a link between two names, with basis, confidence and time. A MAC address that carried an address's packets is
//!   remembered beside it ([`Inventory::flow`]).
//! - A *device* is what the links say when somebody asks (`groups`): the connected names, as far as no rule refuses a link. Nothing is merged
//!   in the table, so a merge is undone by dropping its link, and the order in which facts arrive does not matter: times are kept as
//!   least and greatest, counts as sums. (At a bound, what was dropped does depend on it; it is counted.)
//! - [`Device`] is the assembled view (`assemble`): names, attributes with evidence, vendor, class with reasons.
//!
//! # Which names are one device
//!
//! Links of at least [`Confidence::Likely`] join: those between addresses and their MACs, then the others, the strongest first, then the latest seen;
//! unless
//!
//! 1. two different names of a kind that a device has one of (made by the maker, or permanent) would meet: the link stays, *refused*, with its reason;
//! 2. **addresses and MACs**: evidence (`SameAs` between the two: ARP, NDP, DHCP) joins. Without evidence a MAC joins the one address that it speaks for,
//!    where that address is ours. A MAC that speaks for several is a router: they are `via` it. A MAC with evidence for more than
//!    [`PROXY_IPV4`] addresses at one time answers for others (proxy ARP): `via` as well. A link-local address is never
//!    routed (RFC 4291 §2.5.6): its MAC is its own. Where an address passes from one MAC to another, each statement about
//!    it belongs to the MAC that held it then, the latest holder has the address, and each device keeps its id;
//! 3. **names assigned at a server** and reached through it (a unit behind a gateway): the only one of its kind names the server's own
//!    device; of several each is a device behind it. A server that answers under more than [`ANY_NAME`] of them, whoever asked and in
//!    whichever connection, and that never let one be missing, does not heed the name: they are names of the server's own device. As soon
//!    as one turns out to be missing they are devices again. Not covered: a scan of fewer names than that, which leaves a device for each
//!    of them; and a name that was missing once and answered later no longer tells anything;
//! 4. **names chosen by devices** (client identifiers) at one address: one, or several that were active one after another, name the
//!    address's device. Several at one time that have something to say for themselves (a product, a name, an object) are devices
//!    of their own behind the address (a NAT, a bridge); those with nothing to say are names of the address's device.
//!    The same holds for names that makers gave: two radio gateways at one address are two devices behind it.
//!
//! A name of a session (a radio address) without a link is a device of its own.
//!
//! # Which devices are ours
//!
//! An address is ours if it lies in [`InventoryConfig::prefixes`]. Where none are configured: private ranges (RFC 1918, RFC 6598, RFC 4193),
//! link-local and loopback addresses, addresses with a MAC by evidence, and addresses that answered in a decoded protocol.
//! Devices of which nothing but foreign addresses are known are peers, not devices. Groups, broadcast and the unspecified
//! address are nobody. A device of which all names were only mentioned, and nothing said, is not listed.
//! A device is *provisional* until one of its names answered, or a name other than an address sent something.
//!
//! The id is a hash of the site and the founding name: the strongest (see [`rank`]), then the earliest, then the least.

mod assemble;
mod changes;
mod classing;
mod counters;
mod described;
mod device;
pub mod exposure;
mod groups;
pub mod merge;
mod prefixes;
pub mod presented;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod when;

pub use assemble::{attribute_name, confidence_name, role_name};
pub use changes::{Change, ChangeKind};
pub use counters::InventoryCounter;
pub use device::{
    AttributeSeen, CertificateSeen, Class, Device, DeviceId, Name, ObjectSeen, PeerSeen, RefusedLink, RoleSeen, SecuritySeen,
    ServiceSeen, Sighting, ViaSeen,
};
pub use merge::confidence_named;
pub use prefixes::{Ours, Prefix, Whose};

use crate::hot::owned::{FlowSummary, IdentityKey, OwnedFact, Seen};
use changes::Changes;
use citytap_sensor::flow::Transport;
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{Confidence, Identity, IdentityKind, Lifetime, Presence, Strength};
use counters::Counters;
use groups::Groups;
use presented::Presented;
use std::net::IpAddr;
use std::sync::OnceLock;
use table::{NodeId, Stamp, Table, What};

/// IPv4 addresses that one MAC can have by evidence at one time: a host with a few aliases. More is proxy ARP.
pub const PROXY_IPV4: usize = 4;

/// IPv6 addresses that one MAC can have by evidence at one time: a new privacy address a day is valid for seven (RFC 8981 §3.8), on two prefixes.
pub const PROXY_IPV6: usize = 24;

/// Names assigned at one server under which it may answer and still be in front of as many devices. A serial line numbers its devices from 1
/// to 247 and carries 32 unit loads (EIA-485), but loggers with several lines stand for 80 devices (Huawei SmartLogger1000, user manual
/// §4.4) and, in parks of the largest size, for as many as there are numbers (Sungrow Logger4000, user manual §5). So nearly all numbers
/// must answer: a scan asks for every one, and few answers are lost in a capture.
pub const ANY_NAME: usize = 240;

/// How the inventory is set up.
#[derive(Clone, Debug)]
pub struct InventoryConfig {
    /// The site's name; part of every device's id.
    pub site: String,
    /// The networks that are ours; empty: see the module's description.
    pub prefixes: Vec<Prefix>,
    /// How much is remembered.
    pub bounds: Bounds,
    /// Seed of the hash tables: fixed in replay, random live. Nothing that leaves the inventory depends on it.
    pub hash_seed: u64,
}

/// What the inventory holds at most. Each bound is counted when it is hit ([`Inventory::counters`]).
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Names in all: a million devices with two each.
    pub identities: usize,
    /// Names that neither answered nor showed themselves in a protocol: what a scan or a flood of addresses makes. Half as many as have shown
    /// themselves always have room.
    pub provisional: usize,
    /// Links of one name to others: leases and sessions that one device goes through while it is remembered.
    pub links: usize,
    /// Values of one attribute from one field of one name: the present one and its history.
    pub values: usize,
    /// Attribute values of one name over all fields.
    pub attributes: usize,
    /// Objects of one name: an LwM2M client registers some dozens, an MQTT client publishes on some dozens of topics.
    pub objects: usize,
    /// Peers of one name. A server's clients each name the server, so nothing is lost beyond it.
    pub peers: usize,
    /// Gateways, routers and bridges of one name.
    pub vias: usize,
    /// Services, roles, security statements and certificates of one name, each.
    pub others: usize,
    /// Bytes kept of a value; longer ones are cut.
    pub value_bytes: usize,
    /// Changes remembered.
    pub changes: usize,
    /// Digests of credentials over all names, where a store wants them: one for each of a city's devices that log in.
    pub credentials: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            identities: 1 << 21,
            provisional: 1 << 17,
            links: 16,
            values: 6,
            attributes: 96,
            objects: 128,
            peers: 64,
            vias: 32,
            others: 32,
            value_bytes: 256,
            changes: 16_384,
            credentials: 1 << 18,
        }
    }
}

impl InventoryConfig {
    /// A site with the usual bounds and no prefixes of its own.
    pub fn new(site: &str) -> Self {
        Self { site: site.into(), prefixes: Vec::new(), bounds: Bounds::default(), hash_seed: 0 }
    }
}

/// All that is known of the devices. Memory is the authority; what leaves it is the assembled view.
pub struct Inventory {
    config: InventoryConfig,
    ours: Ours,
    table: Table,
    changes: Changes,
    counters: Counters,
    presented: Presented,
    groups: OnceLock<Groups>,
    classes: OnceLock<Vec<Option<&'static str>>>,
}

impl Inventory {
    /// An empty inventory.
    pub fn new(config: InventoryConfig) -> Self {
        Self {
            ours: Ours::new(&config.prefixes),
            table: Table::new(config.bounds, config.hash_seed),
            changes: Changes::new(config.bounds.changes),
            counters: Counters::default(),
            presented: Presented::new(config.bounds.credentials, config.hash_seed),
            groups: OnceLock::new(),
            classes: OnceLock::new(),
            config,
        }
    }

    /// Takes a fact.
    pub fn apply(&mut self, fact: &OwnedFact, seen: Seen) {
        self.forget_view();
        self.table.make_room(&mut self.counters);
        let stamp = Stamp::of(seen);
        match fact {
            OwnedFact::Identity { id, presence } => {
                if let Some(node) = self.name(id, stamp, Some(*presence)) {
                    self.table.node_mut(node).count(1);
                }
            }
            OwnedFact::Activity { id, messages } => {
                if let Some(node) = self.name(id, stamp, Some(Presence::Sent)) {
                    self.table.node_mut(node).count(*messages);
                }
            }
            OwnedFact::SameAs { a, b, basis, confidence } => self.link(a, b, basis, *confidence, stamp),
            OwnedFact::Via { id, via } => {
                if let Some((node, other)) = self.pair(id, via, stamp) {
                    self.say(node, What::Via { other }, stamp);
                }
            }
            OwnedFact::Role { id, role } => self.state(id, stamp, |_| What::Role(*role)),
            OwnedFact::Attribute { id, name, value, confidence, field } => {
                let Some(node) = self.name(id, stamp, None) else { return };
                let (value, cut) = cut(value, self.config.bounds.value_bytes);
                self.counters.add(InventoryCounter::ValuesCut, u64::from(cut));
                if value.is_empty() {
                    return;
                }
                let what = What::Attribute { name: *name, field: self.table.label(field), value: self.table.symbol(value) };
                if let Some(previous) = self.table.current_value(node, what, stamp) {
                    let from = self.table.text(previous).into();
                    self.changes.note(id, ChangeKind::Value { attribute: *name, field, from, to: value.into() }, seen);
                }
                self.say_with(node, what, *confidence, stamp);
            }
            OwnedFact::Service { id, protocol, port, protected } => {
                self.state(id, stamp, |table| What::Service {
                    protocol: table.label(protocol),
                    port: *port,
                    protected: *protected,
                });
            }
            OwnedFact::Peer { client, server, protocol } => self.peers(client, server, protocol, stamp, stamp),
            OwnedFact::Credential(credential) => {
                let is_named = self.name(&credential.by, stamp, Some(Presence::Sent)).is_some();
                if let Some(digest) = credential.digest.filter(|_| is_named) {
                    self.presented.add(&credential.by, credential.kind, digest, credential.outcome, stamp);
                }
            }
            OwnedFact::Certificate { id, spki_sha256, subject, issuer, not_before, not_after } => {
                let (bytes, cap) = (spki_sha256, self.config.bounds.value_bytes);
                let (subject, issuer) = (cut(subject, cap).0, cut(issuer, cap).0);
                self.state(id, stamp, |table| {
                    What::Certificate(table.certificate(bytes, subject, issuer, *not_before, *not_after))
                });
            }
            OwnedFact::Object { id, kind, name } => {
                let (name, cut) = cut(name, self.config.bounds.value_bytes);
                self.counters.add(InventoryCounter::ValuesCut, u64::from(cut));
                self.state(id, stamp, |table| What::Object { kind: table.label(kind), name: table.symbol(name) });
            }
            OwnedFact::Security { id, aspect, value } => {
                let (value, cut) = cut(value, self.config.bounds.value_bytes);
                self.counters.add(InventoryCounter::ValuesCut, u64::from(cut));
                self.state(id, stamp, |table| What::Security { aspect: table::aspect_key(*aspect), value: table.symbol(value) });
            }
        }
    }

    /// Takes what a flow did: who is there, which MAC carried whose packets, how much.
    pub fn flow(&mut self, flow: &FlowSummary) {
        self.forget_view();
        self.table.make_room(&mut self.counters);
        let stamps = [Stamp::at(flow.first, flow.place), Stamp::at(flow.last, flow.place)];
        let ends = [(flow.client, flow.client_mac, flow.packets[0]), (flow.server, flow.server_mac, flow.packets[1])];
        let mut nodes = [None, None];
        for ((end, mac, sent), node) in ends.into_iter().zip(&mut nodes) {
            // Who takes part in an exchange has the address that it claims, and is there.
            let presence = match sent {
                0 => Presence::Mentioned,
                _ if flow.answered => Presence::Proved,
                _ => Presence::Sent,
            };
            let key = IdentityKey::new(&Identity::ip(end.ip), flow.network);
            let Some(id) = self.name_over(&key, stamps, Some(presence)) else { continue };
            *node = Some(id);
            let entry = self.table.node_mut(id);
            entry.packets = entry.packets.saturating_add(flow.packets.iter().sum());
            entry.bytes = entry.bytes.saturating_add(flow.bytes.iter().sum());
            if let Some(vlan) = flow.vlan {
                self.say_over(id, What::Vlan(vlan), stamps);
            }
            // What a MAC was sent says nothing of it: the frame may have been flooded.
            if sent > 0
                && let Some(mac) = mac
            {
                let key = IdentityKey::new(&Identity::mac(mac), flow.network);
                if let Some(mac) = self.name_over(&key, stamps, Some(Presence::Sent)) {
                    self.say_over(id, What::Carried { mac }, stamps);
                }
            }
        }
        if let [Some(client), Some(server)] = nodes {
            let protocol = flow.protocol.unwrap_or(match flow.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
                Transport::Icmpv6 => "icmpv6",
                Transport::Link | Transport::LoraTap => "link",
            });
            self.peer_nodes(client, server, protocol, stamps);
        }
    }

    /// Drops every link between two names that facts made: what they joined is apart again. Answers whether there was one. A later fact makes
    /// the link again.
    pub fn drop_link(&mut self, a: &IdentityKey, b: &IdentityKey) -> bool {
        self.forget_view();
        match (self.table.find(a), self.table.find(b)) {
            (Some(a), Some(b)) => self.table.drop_links(a, b),
            _ => false,
        }
    }

    /// The devices, sorted by id; each is assembled when it is asked for.
    pub fn devices(&self) -> impl Iterator<Item = Device> + '_ {
        let groups = self.groups();
        groups.listed().iter().map(|&group| self.assemble(groups, group))
    }

    /// Whether each device is provisional, in the order of their ids.
    pub fn provisional(&self) -> impl Iterator<Item = bool> + '_ {
        let groups = self.groups();
        groups.listed().iter().map(|&group| groups.provisional(group))
    }

    /// The protocols that devices were seen to speak, as client or as server: by device, in the order of their ids, with repeats.
    pub fn spoken(&self) -> impl Iterator<Item = (DeviceId, &'static str)> + '_ {
        let groups = self.groups();
        groups.listed().iter().flat_map(move |&group| {
            let nodes = groups.members(group).iter().map(move |&vertex| self.table.node(groups.node(vertex)));
            let protocols = nodes.flat_map(|node| &node.statements).filter_map(move |statement| match statement.what {
                What::Peer { protocol, .. } | What::Service { protocol, .. } => Some(self.table.label_text(protocol)),
                _ => None,
            });
            protocols.map(move |protocol| (groups.id(group), protocol))
        })
    }

    /// How many devices there are, and how many of them are provisional.
    pub fn count(&self) -> (usize, usize) {
        let groups = self.groups();
        let provisional = groups.listed().iter().filter(|&&group| groups.provisional(group)).count();
        (groups.listed().len(), provisional)
    }

    /// The names of each device and whether it is provisional, by id; the founding name first, then those that say most.
    pub fn named(&self) -> impl Iterator<Item = (DeviceId, Vec<&IdentityKey>, bool)> + '_ {
        let groups = self.groups();
        groups.listed().iter().map(|&group| {
            let founding = groups.founding(group);
            let mut nodes: Vec<NodeId> = groups.members(group).iter().map(|&vertex| groups.node(vertex)).collect();
            nodes.sort_unstable_by_key(|&node| {
                let key = &self.table.node(node).key;
                (node != founding, std::cmp::Reverse(rank(key.kind)), key)
            });
            nodes.dedup();
            let names = nodes.into_iter().map(|node| &self.table.node(node).key).collect();
            (groups.id(group), names, groups.provisional(group))
        })
    }

    /// The device that has a name now, if the name is known and its device is listed.
    pub fn device_of(&self, name: &IdentityKey) -> Option<DeviceId> {
        let groups = self.groups();
        groups.id_of_node(self.table.find(name)?)
    }

    /// The device that had a name at a time: an address may have passed to another since.
    pub fn device_at(&self, name: &IdentityKey, seen: Seen) -> Option<DeviceId> {
        let groups = self.groups();
        groups.id_at(self.table.find(name)?, Stamp::of(seen))
    }

    /// One device by its id, or by an id under another of its names, which takes a walk through all names.
    pub fn device(&self, id: DeviceId) -> Option<Device> {
        let groups = self.groups();
        let group = groups.by_id(id).or_else(|| self.by_alias(groups, id))?;
        Some(self.assemble(groups, group))
    }

    /// What changed, the oldest first; bounded.
    pub fn changes(&self) -> impl Iterator<Item = &Change> + '_ {
        self.changes.iter()
    }

    /// What changed about the names of a device while they were its own, the oldest first.
    pub fn changes_of(&self, device: DeviceId) -> impl Iterator<Item = &Change> + '_ {
        self.changes.iter().filter(move |change| self.device_at(&change.subject, change.seen) == Some(device))
    }

    /// What was dropped at bounds, by name, with its meaning in plain words.
    pub fn counters(&self) -> impl Iterator<Item = (InventoryCounter, u64)> + '_ {
        self.counters.iter(&self.changes)
    }

    /// The network of a name's server and other settings, for those who show devices.
    pub fn config(&self) -> &InventoryConfig {
        &self.config
    }

    fn by_alias(&self, groups: &Groups, id: DeviceId) -> Option<groups::Group> {
        let mut named = self.table.nodes().iter().zip(0..);
        let (_, node) = named.find(|(node, _)| groups::id_of(&self.config.site, &node.key) == id)?;
        Some(groups.group(node)).filter(|&group| groups.is_listed(group))
    }

    fn forget_view(&mut self) {
        if self.groups.take().is_some() {
            self.classes.take();
        }
    }

    fn groups(&self) -> &Groups {
        self.groups.get_or_init(|| Groups::new(&self.table, &self.ours, &self.config.site))
    }

    fn name(&mut self, key: &IdentityKey, stamp: Stamp, presence: Option<Presence>) -> Option<NodeId> {
        self.name_over(key, [stamp, stamp], presence)
    }

    /// The node of a name, made where it is new. `None` for names of nobody.
    fn name_over(&mut self, key: &IdentityKey, stamps: [Stamp; 2], presence: Option<Presence>) -> Option<NodeId> {
        if prefixes::nobody(key) {
            return None;
        }
        Some(self.table.enter(key, stamps, presence))
    }

    fn pair(&mut self, a: &IdentityKey, b: &IdentityKey, stamp: Stamp) -> Option<(NodeId, NodeId)> {
        let (a, b) = (self.name(a, stamp, None)?, self.name(b, stamp, None)?);
        (a != b).then_some((a, b))
    }

    fn state(&mut self, id: &IdentityKey, stamp: Stamp, what: impl FnOnce(&mut Table) -> What) {
        let Some(node) = self.name(id, stamp, None) else { return };
        let what = what(&mut self.table);
        if self.say(node, what, stamp) {
            let kind = match what {
                What::Role(role) => ChangeKind::Role(role),
                What::Service { protocol, port, .. } => ChangeKind::Service { protocol: self.table.label_text(protocol), port },
                _ => return,
            };
            self.changes.note(id, kind, stamp.seen());
        }
    }

    fn say(&mut self, node: NodeId, what: What, stamp: Stamp) -> bool {
        self.say_over(node, what, [stamp, stamp])
    }

    fn say_over(&mut self, node: NodeId, what: What, stamps: [Stamp; 2]) -> bool {
        self.table.say(node, what, Confidence::Seen, stamps, &mut self.counters)
    }

    fn say_with(&mut self, node: NodeId, what: What, confidence: Confidence, stamp: Stamp) -> bool {
        self.table.say(node, what, confidence, [stamp, stamp], &mut self.counters)
    }

    fn link(&mut self, a: &IdentityKey, b: &IdentityKey, basis: &'static str, confidence: Confidence, stamp: Stamp) {
        // The link hangs on the name that says more, since an address may have many names and a name has few addresses.
        let (mut from, mut to) = (a, b);
        if (link_weight(from.kind), from) < (link_weight(to.kind), to) {
            std::mem::swap(&mut from, &mut to);
        }
        let Some((node, other)) = self.pair(from, to, stamp) else { return };
        let basis_label = self.table.label(basis);
        if self.say_with(node, What::Same { other, basis: basis_label }, confidence, stamp) {
            self.changes.note(from, ChangeKind::Linked { to: to.to_string().into(), basis }, stamp.seen());
        }
    }

    fn peers(&mut self, client: &IdentityKey, server: &IdentityKey, protocol: &'static str, first: Stamp, last: Stamp) {
        if let Some((client, server)) = self.pair(client, server, first) {
            self.peer_nodes(client, server, protocol, [first, last]);
        }
    }

    fn peer_nodes(&mut self, client: NodeId, server: NodeId, protocol: &'static str, stamps: [Stamp; 2]) {
        if client == server {
            return;
        }
        let protocol = self.table.label(protocol);
        self.say_over(client, What::Peer { other: server, protocol, asks: true }, stamps);
        self.say_over(server, What::Peer { other: client, protocol, asks: false }, stamps);
    }
}

/// Which of two linked names keeps the link: an address has a MAC, and everything else has an address.
fn link_weight(kind: &IdentityKind) -> u8 {
    match rank(kind) {
        _ if *kind == MAC => 0,
        _ if *kind == IP => 1,
        rank => 2 + rank,
    }
}

/// How well a kind of name founds a device: names that makers gave, then other permanent ones, then chosen and configured ones, then
/// what is assigned at a server, then what lasts for a lease or session.
pub fn rank(kind: &IdentityKind) -> u8 {
    match (kind.strength, kind.lifetime) {
        (Strength::Made, Lifetime::Permanent) => 6,
        (Strength::Made, _) => 5,
        (_, Lifetime::Permanent) => 4,
        (Strength::Chosen, Lifetime::Configured) => 3,
        (_, Lifetime::Configured) => 2,
        _ if *kind == IP => 1,
        _ => 0,
    }
}

/// The address of a name that is one.
fn address(key: &IdentityKey) -> Option<IpAddr> {
    match key.value {
        crate::hot::owned::ValueKey::Ip(address) => Some(address),
        _ => None,
    }
}

/// A MAC address is the only kind of name that says but where traffic came from.
fn is_path(kind: &IdentityKind) -> bool {
    kind.strength == Strength::Path
}

/// At most `cap` bytes of a text, without spaces and control characters around it, and whether something was cut.
fn cut(text: &str, cap: usize) -> (&str, bool) {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let kept = text.get(..text.floor_char_boundary(cap)).unwrap_or_default();
    (kept, kept.len() < text.len())
}
