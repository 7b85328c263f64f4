//! A small world to state facts in, and the situations that the inventory must get right.

mod bounds;
mod credentials;
mod exposure;
mod order;
mod situations;
mod views;

use super::*;
use crate::hot::owned::{ServerKey, ValueKey};
use citytap_sensor::flow::{Endpoint, NetworkId};
use citytap_sensor::observation::{Attribute, IdentityScope, Place, Role};
use citytap_sensor::time::{SECOND, Timestamp};

static DEV_EUI: IdentityKind = kind("dev_eui", IdentityScope::Global, Strength::Made, Lifetime::Permanent);
static DEV_ADDR: IdentityKind = kind("dev_addr", IdentityScope::Network, Strength::Assigned, Lifetime::Session);
static GATEWAY: IdentityKind = kind("gateway_eui", IdentityScope::Global, Strength::Made, Lifetime::Configured);
static UNIT: IdentityKind = kind("modbus_unit", IdentityScope::Server, Strength::Assigned, Lifetime::Configured);
static CLIENT: IdentityKind = kind("mqtt_client", IdentityScope::Server, Strength::Chosen, Lifetime::Configured);
static GENERATED: IdentityKind = kind("mqtt_client_generated", IdentityScope::Server, Strength::Assigned, Lifetime::Session);
static ZIGBEE: IdentityKind = kind("zigbee_ieee", IdentityScope::Global, Strength::Made, Lifetime::Permanent);

const fn kind(name: &'static str, scope: IdentityScope, strength: Strength, lifetime: Lifetime) -> IdentityKind {
    IdentityKind { name, scope, strength, lifetime, doc: "" }
}

fn key(kind: &'static IdentityKind, at: Option<&str>, value: ValueKey) -> IdentityKey {
    IdentityKey { kind, network: 0, at: at.map(|at| ServerKey::Address(at.parse().expect("is an address"))), value }
}

fn dev_eui(eui: u64) -> IdentityKey {
    key(&DEV_EUI, None, ValueKey::Hex(eui, 16))
}

fn dev_addr(address: u64) -> IdentityKey {
    key(&DEV_ADDR, None, ValueKey::Hex(address, 8))
}

fn gateway(eui: u64) -> IdentityKey {
    key(&GATEWAY, None, ValueKey::Hex(eui, 16))
}

fn unit(server: &str, unit: u64) -> IdentityKey {
    key(&UNIT, Some(server), ValueKey::Number(unit))
}

fn client(broker: &str, id: &str) -> IdentityKey {
    key(&CLIENT, Some(broker), ValueKey::Text(id.into()))
}

fn generated(broker: &str, id: &str) -> IdentityKey {
    key(&GENERATED, Some(broker), ValueKey::Text(id.into()))
}

fn zigbee(address: u64) -> IdentityKey {
    key(&ZIGBEE, None, ValueKey::Hex(address, 16))
}

fn ip(address: &str) -> IdentityKey {
    key(&IP, None, ValueKey::Ip(address.parse().expect("is an address")))
}

fn mac(last: u8) -> IdentityKey {
    key(&MAC, None, ValueKey::Hex(mac_number(last), 12))
}

/// An address of Xerox.
fn mac_number(last: u8) -> u64 {
    0x0000_0000_0100 | u64::from(last)
}

fn mac_bytes(last: u8) -> [u8; 6] {
    [0, 0, 0, 0, 1, last]
}

/// Second and frame are the same.
fn seen(second: u64) -> Seen {
    Seen { place: Place { frame: second, sequence: 0 }, time: Timestamp(1_790_000_000 * SECOND + second * SECOND) }
}

fn identity(id: &IdentityKey, presence: Presence) -> OwnedFact {
    OwnedFact::Identity { id: id.clone(), presence }
}

fn proved(id: &IdentityKey) -> OwnedFact {
    identity(id, Presence::Proved)
}

fn same(a: &IdentityKey, b: &IdentityKey, basis: &'static str, confidence: Confidence) -> OwnedFact {
    OwnedFact::SameAs { a: a.clone(), b: b.clone(), basis, confidence }
}

fn arp(mac: &IdentityKey, ip: &IdentityKey) -> OwnedFact {
    same(mac, ip, "ARP reply", Confidence::Seen)
}

fn via(id: &IdentityKey, via: &IdentityKey) -> OwnedFact {
    OwnedFact::Via { id: id.clone(), via: via.clone() }
}

fn role(id: &IdentityKey, role: Role) -> OwnedFact {
    OwnedFact::Role { id: id.clone(), role }
}

fn says(id: &IdentityKey, name: Attribute, value: &str, field: &'static str) -> OwnedFact {
    OwnedFact::Attribute { id: id.clone(), name, value: value.into(), confidence: Confidence::Seen, field }
}

fn object(id: &IdentityKey, kind: &'static str, name: &str) -> OwnedFact {
    OwnedFact::Object { id: id.clone(), kind, name: name.into() }
}

fn service(id: &IdentityKey, protocol: &'static str, port: u16) -> OwnedFact {
    OwnedFact::Service { id: id.clone(), protocol, port: Some(port), protected: false }
}

/// A conversation from one address to another, with the MACs on both sides of the tap.
fn flow(second: u64, client: (&str, u8), server: (&str, u8), port: u16) -> FlowSummary {
    let end = |address: &str, port| Endpoint { ip: address.parse().expect("is an address"), port };
    FlowSummary {
        place: seen(second).place,
        id: second,
        network: 0 as NetworkId,
        transport: Transport::Tcp,
        client: end(client.0, 40_000),
        server: end(server.0, port),
        client_mac: Some(mac_bytes(client.1)),
        server_mac: Some(mac_bytes(server.1)),
        vlan: Some(12),
        protocol: None,
        first: seen(second).time,
        last: seen(second).time,
        packets: [3, 2],
        bytes: [300, 200],
        answered: true,
        closed: true,
    }
}

struct World(Inventory);

impl World {
    fn new() -> Self {
        Self(Inventory::new(InventoryConfig::new("testville")))
    }

    /// States facts, one a second from this second on.
    fn tell(&mut self, from: u64, facts: impl IntoIterator<Item = OwnedFact>) -> &mut Self {
        for (fact, second) in facts.into_iter().zip(from..) {
            self.0.apply(&fact, seen(second));
        }
        self
    }

    fn flow(&mut self, flow: FlowSummary) -> &mut Self {
        self.0.flow(&flow);
        self
    }

    fn device(&self, name: &IdentityKey) -> Device {
        let id = self.0.device_of(name).unwrap_or_else(|| panic!("{name} is no device's"));
        self.0.device(id).expect("has an id")
    }

    fn devices(&self) -> Vec<Device> {
        self.0.devices().collect()
    }

    /// Each device by its names, sorted.
    fn names(&self) -> Vec<String> {
        let names = |device: &Device| {
            let mut names: Vec<&str> = device.identities.iter().map(|name| name.value.as_str()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        let mut all: Vec<String> = self.devices().iter().map(names).collect();
        all.sort_unstable();
        all
    }

    fn count(&self, counter: InventoryCounter) -> u64 {
        self.0.counters().find(|(name, _)| *name == counter).expect("is counted").1
    }
}
