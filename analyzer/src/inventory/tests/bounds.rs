//! Every bound can be hit, and is counted.

use super::*;

fn bounded(change: impl FnOnce(&mut Bounds)) -> World {
    let mut config = InventoryConfig::new("testville");
    change(&mut config.bounds);
    World(Inventory::new(config))
}

fn host(n: u64) -> IdentityKey {
    ip(&format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255))
}

#[test]
fn a_scan_pushes_out_its_own_names_and_nobody_elses() {
    let mut world = bounded(|bounds| bounds.provisional = 64);
    world.tell(0, [proved(&ip("10.200.0.1")), proved(&dev_eui(1)), identity(&dev_addr(1), Presence::Sent)]);
    // A MAC of which only frames were seen stays with its proved address.
    world.tell(0, [arp(&mac(1), &ip("10.200.0.1"))]);
    for n in 1..5_000 {
        world.tell(n, [identity(&host(n), Presence::Mentioned)]);
    }
    let evicted = world.count(InventoryCounter::ProvisionalEvicted);
    assert!((4_900..5_000).contains(&evicted), "{evicted}");
    assert_eq!(world.count(InventoryCounter::IdentitiesEvicted), 0);
    assert_eq!(
        world.names(),
        ["0000000000000001", "00000001", "000000000101 10.200.0.1"]
            .map(String::from)
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert!(world.0.table.nodes().len() <= 4 + 64 + 8);
    // The latest are still there.
    assert!(world.0.table.find(&host(4_999)).is_some() && world.0.table.find(&host(1)).is_none());
}

#[test]
fn where_all_room_is_taken_the_longest_silent_goes() {
    let mut world = bounded(|bounds| bounds.identities = 100);
    for n in 1..=500 {
        world.tell(n, [proved(&dev_eui(n)), via(&dev_eui(n), &gateway(7))]);
        world.tell(n, [proved(&gateway(7))]);
    }
    assert!(world.0.table.nodes().len() <= 100);
    assert!(world.count(InventoryCounter::IdentitiesEvicted) >= 400);
    let latest = world.device(&dev_eui(500));
    assert_eq!(latest.via[0].device, Some(world.device(&gateway(7)).id), "links outlive the sweep");
}

#[test]
fn every_list_of_a_name_has_its_bound_and_counter() {
    use InventoryCounter::*;
    let mut world = bounded(|bounds| {
        *bounds = Bounds {
            links: 2,
            values: 2,
            attributes: 3,
            objects: 2,
            peers: 2,
            vias: 2,
            others: 2,
            value_bytes: 8,
            changes: 4,
            ..*bounds
        };
    });
    let one = dev_eui(1);
    for n in 0..5 {
        world.tell(
            10 * n,
            [
                same(&one, &dev_addr(n), "join accept", Confidence::Proved),
                says(&one, Attribute::Firmware, &format!("1.{n}"), "lwm2m.firmware_version"),
                object(&one, "lwm2m.object", &n.to_string()),
                OwnedFact::Peer { client: one.clone(), server: host(n), protocol: "coap" },
                via(&one, &gateway(n)),
                service(&one, "coap", n as u16),
            ],
        );
    }
    for (counter, expected) in
        [(LinksDropped, 3), (AttributesDropped, 3), (ObjectsDropped, 3), (PeersDropped, 3), (ViasDropped, 3), (OthersDropped, 3)]
    {
        assert_eq!(world.count(counter), expected, "{}", counter.name());
    }
    let device = world.device(&one);
    assert_eq!(device.firmware.as_deref(), Some("1.4"), "the latest stays");
    assert!(device.identities.iter().any(|name| name.value == "00000004"));
    assert_eq!(device.objects.len(), 2);
    world.tell(100, [says(&one, Attribute::Name, "a name that is too long", "lwm2m.endpoint")]);
    assert_eq!(world.count(ValuesCut), 1);
    assert_eq!(world.device(&one).name.as_deref(), Some("a name t"));
    world.tell(
        110,
        [says(&one, Attribute::Model, "m", "lwm2m.model_number"), says(&one, Attribute::Serial, "s", "lwm2m.serial_number")],
    );
    assert_eq!(world.count(AttributesDropped), 5, "older values make room");
    assert!(world.count(ChangesForgotten) > 0 && world.0.changes().count() == 4);
    assert!(InventoryCounter::ALL.iter().all(|counter| !counter.doc().is_empty()));
}

#[test]
fn values_that_nobody_has_any_more_are_forgotten() {
    let mut world = bounded(|bounds| bounds.values = 1);
    let lamp = dev_eui(1);
    for n in 0..200_000 {
        world.tell(n, [says(&lamp, Attribute::Firmware, &n.to_string(), "lwm2m.firmware_version")]);
    }
    assert!(world.0.table.symbols() < 70_000, "{}", world.0.table.symbols());
    assert_eq!(world.device(&lamp).firmware.as_deref(), Some("199999"));
}
