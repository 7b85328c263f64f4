//! What the inventory costs: time for a fact, memory for a device, time for the view. `cargo run --release --example inventory_cost -- 1000000`

use citytap_analyzer::hot::owned::{IdentityKey, OwnedFact, Seen, ValueKey};
use citytap_analyzer::inventory::{Inventory, InventoryConfig};
use citytap_sensor::observation::identity::{IdentityKind, IdentityScope, Lifetime, Strength};
use citytap_sensor::observation::{Attribute, Confidence, Place, Presence, Role, SecurityAspect};
use citytap_sensor::time::Timestamp;
use std::time::Instant;

static DEV_EUI: IdentityKind = kind("dev_eui", IdentityScope::Global, Strength::Made, Lifetime::Permanent);
static DEV_ADDR: IdentityKind = kind("dev_addr", IdentityScope::Network, Strength::Assigned, Lifetime::Session);
static GATEWAY: IdentityKind = kind("gateway_eui", IdentityScope::Global, Strength::Made, Lifetime::Configured);

const fn kind(name: &'static str, scope: IdentityScope, strength: Strength, lifetime: Lifetime) -> IdentityKind {
    IdentityKind { name, scope, strength, lifetime, doc: "" }
}

fn key(kind: &'static IdentityKind, value: u64, digits: u8) -> IdentityKey {
    IdentityKey { kind, network: 0, at: None, value: ValueKey::Hex(value, digits) }
}

/// What a sensor's join and first uplink tell, through three gateways.
fn facts(n: u64) -> Vec<OwnedFact> {
    let (eui, address) = (key(&DEV_EUI, 0x24e1_2400_0000_0000 + n, 16), key(&DEV_ADDR, 0x2600_0000 + n, 8));
    let attribute = |id: &IdentityKey, name, value: &str, field| OwnedFact::Attribute {
        id: id.clone(),
        name,
        value: value.into(),
        confidence: Confidence::Seen,
        field,
    };
    let mut facts = vec![
        OwnedFact::Identity { id: eui.clone(), presence: Presence::Proved },
        OwnedFact::Role { id: eui.clone(), role: Role::EndDevice },
        attribute(&eui, Attribute::JoinEui, "24e124c0002a0001", "lorawan.join_eui"),
        OwnedFact::Security { id: eui.clone(), aspect: SecurityAspect::Activation, value: "otaa".into() },
        OwnedFact::Identity { id: address.clone(), presence: Presence::Sent },
        OwnedFact::Role { id: address.clone(), role: Role::EndDevice },
        attribute(&address, Attribute::CodecHint, "85", "lorawan.f_port"),
        OwnedFact::SameAs { a: eui.clone(), b: address.clone(), basis: "join accept", confidence: Confidence::Proved },
    ];
    for gateway in 0..3 {
        let gateway = key(&GATEWAY, 0xb827_ebff_fe00_0000 + (n + gateway) % 500, 16);
        facts.push(OwnedFact::Via { id: eui.clone(), via: gateway.clone() });
        facts.push(OwnedFact::Via { id: address.clone(), via: gateway });
    }
    facts
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

fn main() {
    let devices: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut inventory = Inventory::new(InventoryConfig::new("cost"));
    let (before, mut frame, mut told) = (resident(), 0u64, 0u64);
    let mut timed = |inventory: &mut Inventory, what: &str| {
        let (mut spent, from) = (0u128, told);
        for n in 0..devices {
            let facts = facts(n);
            frame += 1;
            let seen = Seen { place: Place { frame, sequence: 0 }, time: Timestamp(frame * 1_000_000) };
            let start = Instant::now();
            facts.iter().for_each(|fact| inventory.apply(fact, seen));
            spent += start.elapsed().as_nanos();
            told += facts.len() as u64;
        }
        println!("{what:<22} {:>6} ns a fact", spent / u128::from(told - from));
    };
    timed(&mut inventory, "facts that are new");
    println!("{:<22} {:>6} bytes a device", "memory", (resident() - before) / devices);
    timed(&mut inventory, "facts that are known");
    let start = Instant::now();
    println!("{:<22} {:?}", "devices", inventory.count());
    println!("{:<22} {:>6} ms", "view", start.elapsed().as_millis());
    println!("{:<22} {:>6} bytes a device", "memory with view", (resident() - before) / devices);
    let (start, mut listed) = (Instant::now(), 0);
    inventory.devices().for_each(|device| listed += u64::from(!device.provisional));
    println!("{:<22} {:>6} ns a device", "assembled", start.elapsed().as_nanos() as u64 / listed.max(1));
    let (start, mut bytes) = (Instant::now(), 0);
    inventory.devices().for_each(|device| bytes += serde_json::to_string(&device).map_or(0, |json| json.len()));
    println!(
        "{:<22} {:>6} ns a device, {} bytes of JSON",
        "assembled and written",
        start.elapsed().as_nanos() as u64 / devices,
        bytes as u64 / devices
    );
}
