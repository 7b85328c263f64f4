//! Which names are one device.

use super::*;

#[test]
fn a_lorawan_sensor_behind_three_gateways_is_one_device() {
    let mut world = World::new();
    let (sensor, session) = (dev_eui(0x24e1_2413_6b50_2217), dev_addr(0x260b_0001));
    for (n, address) in ["10.0.9.1", "10.0.9.2", "10.0.9.3"].iter().enumerate() {
        let (eui, at) = (gateway(0xb827_ebff_fe00_0000 + n as u64), 10 * n as u64);
        world.tell(
            at,
            [
                proved(&eui),
                same(&eui, &ip(address), "PUSH_DATA", Confidence::Likely),
                role(&eui, Role::RadioGateway),
                proved(&sensor),
                via(&sensor, &eui),
                identity(&session, Presence::Sent),
                via(&session, &eui),
            ],
        );
    }
    assert_eq!(world.0.count(), (5, 0), "before the session is known");
    world.tell(50, [same(&sensor, &session, "join accept", Confidence::Proved)]);
    assert_eq!(world.0.count().0, 4);
    let device = world.device(&session);
    assert_eq!(device.id, world.device(&sensor).id);
    assert_eq!(device.via.len(), 3);
    assert!(device.via.iter().all(|via| via.device.is_some()));
    assert_eq!(device.identities[0].value, "24e124136b502217");
    assert_eq!(device.vendor.as_deref(), Some("Milesight"));
    assert_eq!(world.device(&ip("10.0.9.2")).identities[0].kind, "gateway_eui");
}

#[test]
fn a_rejoin_makes_no_second_device() {
    let mut world = World::new();
    let (sensor, before, after) = (dev_eui(1), dev_addr(0x2600_0001), dev_addr(0x2600_0002));
    world
        .tell(0, [proved(&sensor), identity(&before, Presence::Sent), same(&sensor, &before, "join accept", Confidence::Proved)]);
    let id = world.device(&before).id;
    world
        .tell(100, [proved(&sensor), identity(&after, Presence::Sent), same(&sensor, &after, "join accept", Confidence::Proved)]);
    assert_eq!(world.0.count().0, 1);
    assert_eq!(world.device(&after).id, id);
    assert_eq!(world.device(&before).aliases.len(), 2);
}

#[test]
fn a_session_address_without_a_link_is_a_device_of_its_own_that_an_alias_finds_again() {
    let mut world = World::new();
    let (sensor, session) = (dev_eui(1), dev_addr(0x2600_0001));
    world.tell(0, [identity(&session, Presence::Sent), proved(&sensor)]);
    let before = world.device(&session);
    assert_ne!(before.id, world.device(&sensor).id);
    world.tell(10, [same(&sensor, &session, "join accept", Confidence::Proved)]);
    assert!(world.device(&session).aliases.contains(&before.id));
    assert_eq!(world.0.device(before.id).map(|device| device.id), Some(world.device(&sensor).id));
}

fn behind(server: &str, number: u64) -> [OwnedFact; 2] {
    [proved(&unit(server, number)), via(&unit(server, number), &ip(server))]
}

#[test]
fn a_modbus_unit_behind_a_gateway_is_its_own_and_a_lone_unit_is_the_server() {
    let mut world = World::new();
    let server = ip("10.0.0.2");
    world.tell(0, [proved(&server), service(&server, "modbus", 502)]).tell(2, behind("10.0.0.2", 1));
    assert_eq!(world.names(), ["1 10.0.0.2"]);
    assert!(world.device(&server).via.is_empty());
    let alone = world.device(&server).id;
    world.tell(10, behind("10.0.0.2", 7));
    assert_eq!(world.names(), ["1", "10.0.0.2", "7"]);
    assert_eq!(world.device(&unit("10.0.0.2", 7)).via[0].device, Some(world.device(&server).id));
    assert!(world.device(&server).roles.iter().any(|role| role.role == "bridge"));
    assert_eq!(world.device(&server).class.map(|class| class.id), Some("serial_gateway".into()));
    // The lone unit founded the device, and remains what it names.
    assert_eq!(world.device(&unit("10.0.0.2", 1)).id, alone);
}

/// A scan in which all of these units answer, and perhaps one is missing.
fn scan(units: std::ops::RangeInclusive<u64>, missing: Option<u64>) -> World {
    let mut world = World::new();
    let server = ip("10.0.0.2");
    world.tell(0, [proved(&server), service(&server, "modbus", 502)]);
    for number in units {
        world.tell(10 * number, behind("10.0.0.2", number));
    }
    world.tell(5, missing.map(|number| identity(&unit("10.0.0.2", number), Presence::Mentioned)));
    world
}

#[test]
fn a_server_that_answers_under_any_unit_is_one_device_and_says_so() {
    let mut world = scan(1..=247, None);
    world.tell(3000, [says(&unit("10.0.0.2", 77), Attribute::Vendor, "Wago", "modbus.vendor_name")]);
    assert_eq!(world.0.count(), (1, 0));
    let device = world.device(&ip("10.0.0.2"));
    assert_eq!(device.id, world.device(&unit("10.0.0.2", 200)).id);
    assert_eq!((device.identities.len(), device.via.len(), device.vendor.as_deref()), (248, 0, Some("WAGO")));
    let roles: Vec<&str> = device.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(roles, ["answers_any_name"]);
    // What it was taken for while the scan was under way.
    let before = scan(1..=100, None);
    assert_eq!((before.0.count().0, before.device(&unit("10.0.0.2", 7)).via.len()), (101, 1));
}

#[test]
fn units_that_a_gateway_tells_apart_are_devices_of_their_own() {
    let gateway = scan(1..=40, Some(41));
    assert_eq!(gateway.0.count().0, 41, "the missing one is not listed");
    let mut park = scan(1..=246, None);
    assert_eq!(park.0.count().0, 1);
    let one = park.device(&ip("10.0.0.2")).id;
    // One that turns out to be missing undoes the merge, and what the device was called still leads to a device.
    park.tell(9000, [identity(&unit("10.0.0.2", 247), Presence::Mentioned)]);
    assert_eq!(park.0.count().0, 247);
    assert!(park.0.device(one).is_some());
    assert!(park.device(&ip("10.0.0.2")).roles.iter().any(|role| role.role == "bridge"));
    // Names missing at another server say nothing.
    let mut other = scan(1..=246, None);
    other.tell(9000, [proved(&ip("10.0.0.3")), identity(&unit("10.0.0.3", 9), Presence::Mentioned)]);
    assert_eq!(other.0.count().0, 2);
}

#[test]
fn a_unit_that_never_answered_is_not_counted() {
    let mut world = World::new();
    world
        .tell(0, behind("10.0.0.2", 1))
        .tell(5, [identity(&unit("10.0.0.2", 2), Presence::Mentioned), via(&unit("10.0.0.2", 2), &ip("10.0.0.2"))]);
    assert_eq!(world.names(), ["1 10.0.0.2"]);
}

#[test]
fn a_dhcp_change_makes_no_second_device() {
    let mut world = World::new();
    world.tell(0, [arp(&mac(1), &ip("10.0.0.20")), service(&ip("10.0.0.20"), "modbus", 502), proved(&ip("10.0.0.20"))]);
    let id = world.device(&mac(1)).id;
    world.tell(100, [arp(&mac(1), &ip("10.0.0.21")), proved(&ip("10.0.0.21"))]);
    assert_eq!(world.names(), ["000000000101 10.0.0.20 10.0.0.21"]);
    assert_eq!(world.device(&ip("10.0.0.21")).id, id);
}

#[test]
fn an_address_that_passes_on_takes_nothing_along() {
    let mut world = World::new();
    let address = ip("10.0.0.20");
    world.tell(0, [arp(&mac(1), &address), proved(&address), service(&address, "modbus", 502)]);
    world.tell(50, [arp(&mac(1), &ip("10.0.0.21"))]);
    let (camera, before) = (mac(2), world.device(&mac(1)).id);
    world.tell(100, [arp(&camera, &address), proved(&address), service(&address, "rtsp", 554)]);
    assert_eq!(world.device(&address).id, world.device(&camera).id, "the latest lease has the address");
    let plc = world.device(&mac(1));
    assert_eq!(plc.id, before);
    assert_eq!(plc.services.iter().map(|service| service.protocol.as_str()).collect::<Vec<_>>(), ["modbus"]);
    let camera = world.device(&camera);
    assert_eq!(camera.services.iter().map(|service| service.protocol.as_str()).collect::<Vec<_>>(), ["rtsp"]);
    assert!(camera.first_seen >= seen(100).time, "{camera:?}");
    assert_eq!(world.0.device_at(&address, seen(2)), Some(before));
    assert_eq!(world.0.device_at(&address, seen(103)), Some(camera.id));
}

#[test]
fn ipv6_privacy_addresses_make_no_second_device() {
    let mut world = World::new();
    let addresses = ["10.0.0.5", "fe80::200:ff:fe00:101", "2001:db8::a1", "2001:db8::b2", "2001:db8::c3"];
    for (address, at) in addresses.iter().zip(0..) {
        world.tell(2 * at, [same(&mac(1), &ip(address), "neighbour advertisement", Confidence::Seen), proved(&ip(address))]);
    }
    assert_eq!(world.0.count().0, 1);
    assert_eq!(world.device(&mac(1)).identities.len(), 6);
}

#[test]
fn a_routers_mac_in_front_of_a_city_merges_nothing() {
    let mut world = World::new();
    for n in 1..=30 {
        world.flow(flow(n, (&format!("10.1.0.{n}"), 9), ("10.0.0.5", 1), 1883));
    }
    world.tell(40, [arp(&mac(1), &ip("10.0.0.5")), arp(&mac(9), &ip("10.0.0.1"))]);
    // Thirty hosts, the server with its MAC, the router with its own address.
    assert_eq!(world.0.count().0, 32);
    let router = world.device(&mac(9));
    assert_eq!(router.identities.len(), 2);
    assert_eq!(router.class.as_ref().map(|class| class.id.as_str()), Some("router"));
    assert_eq!(world.device(&ip("10.1.0.7")).via[0].device, Some(router.id));
    assert_eq!(world.device(&ip("10.1.0.7")).vendor, None, "the router's vendor is not the host's");
}

#[test]
fn a_mac_that_speaks_for_one_address_is_its_own_until_it_speaks_for_a_second() {
    let mut world = World::new();
    world.flow(flow(1, ("10.1.0.1", 9), ("10.0.0.5", 1), 80));
    assert_eq!(world.names(), ["000000000101 10.0.0.5", "000000000109 10.1.0.1"]);
    assert_eq!(world.device(&ip("10.1.0.1")).vendor.as_deref(), Some("XEROX"));
    world.flow(flow(2, ("10.1.0.2", 9), ("10.0.0.5", 1), 80));
    assert_eq!(world.names(), ["000000000101 10.0.0.5", "000000000109", "10.1.0.1", "10.1.0.2"]);
}

#[test]
fn the_two_sides_of_a_router_with_one_host_behind_it_merge_nothing() {
    let mut world = World::new();
    for at in [1, 5] {
        world.flow(flow(at, ("10.1.0.1", 8), ("10.0.0.5", 1), 80)).flow(flow(at + 1, ("10.1.0.1", 9), ("10.0.0.5", 1), 80));
    }
    assert_eq!(world.device(&ip("10.1.0.1")).identities.len(), 1);
}

#[test]
fn proxy_arp_merges_nothing_and_says_why() {
    let mut world = World::new();
    world.tell(0, [identity(&mac(9), Presence::Sent)]);
    for round in 0..2 {
        for n in 1..=6 {
            world.tell(10 * round + n, [arp(&mac(9), &ip(&format!("10.0.7.{n}")))]);
            world.tell(10 * round + n, [proved(&ip(&format!("10.0.7.{n}")))]);
        }
    }
    assert_eq!(world.0.count().0, 7);
    let host = world.device(&ip("10.0.7.3"));
    assert_eq!(host.via.len(), 1);
    assert!(host.refused_links[0].reason.contains("answers for others"), "{:?}", host.refused_links);
}

#[test]
fn an_mqtt_client_that_publishes_for_twelve_zigbee_devices_yields_twelve_and_itself() {
    let mut world = World::new();
    let bridge = client("10.0.0.5", "zigbee2mqtt_bridge");
    world.tell(
        0,
        [
            proved(&bridge),
            same(&bridge, &ip("10.0.0.6"), "MQTT CONNECT", Confidence::Likely),
            object(&bridge, "mqtt.topic", "zigbee2mqtt/bridge/state"),
        ],
    );
    for n in 0..12 {
        let device = zigbee(0x0015_8d00_0000_0000 + n);
        world.tell(
            10 + n,
            [
                identity(&device, Presence::Mentioned),
                says(&device, Attribute::Model, "MCCGQ11LM", "zigbee2mqtt.model"),
                via(&device, &bridge),
            ],
        );
    }
    assert_eq!(world.0.count().0, 13);
    let contact = world.device(&zigbee(0x0015_8d00_0000_0003));
    assert_eq!(contact.via[0].device, Some(world.device(&ip("10.0.0.6")).id));
    assert_eq!(contact.model.as_deref(), Some("MCCGQ11LM"));
}

fn connects(name: &IdentityKey, address: &str) -> [OwnedFact; 2] {
    [proved(name), same(name, &ip(address), "MQTT CONNECT", Confidence::Likely)]
}

#[test]
fn clients_one_after_another_at_one_address_are_its_device() {
    let mut world = World::new();
    for (name, at) in [("report-a", 0), ("report-b", 10), ("report-c", 20)] {
        let name = client("10.0.0.5", name);
        world.tell(at, connects(&name, "10.0.0.6")).tell(at + 2, [object(&name, "mqtt.topic", "reports"), proved(&name)]);
    }
    assert_eq!(world.0.count().0, 1);
}

#[test]
fn clients_at_one_time_with_something_to_say_are_devices_behind_their_address() {
    let mut world = World::new();
    for round in [0, 100] {
        for (name, at) in [("meter-1", 0), ("meter-2", 10), ("silent", 20)] {
            let name = client("10.0.0.5", name);
            world.tell(round + at, connects(&name, "10.0.0.6"));
            if name != client("10.0.0.5", "silent") {
                world.tell(round + at + 5, [object(&name, "mqtt.topic", "readings")]);
            }
        }
    }
    assert_eq!(world.names(), ["10.0.0.6 silent", "meter-1", "meter-2"]);
    let meter = world.device(&client("10.0.0.5", "meter-1"));
    assert_eq!(meter.via[0].device, Some(world.device(&ip("10.0.0.6")).id));
    assert!(meter.refused_links[0].reason.contains("at one time"), "{:?}", meter.refused_links);
}

#[test]
fn a_client_of_two_brokers_is_one_device() {
    let mut world = World::new();
    for round in [0, 100] {
        for broker in ["10.0.0.5", "10.0.0.4"] {
            let name = client(broker, "gateway-17");
            world.tell(round, connects(&name, "10.0.0.6")).tell(round + 5, [object(&name, "mqtt.topic", "readings")]);
        }
    }
    assert_eq!(world.names(), ["10.0.0.6 gateway-17 gateway-17"]);
}

#[test]
fn names_made_up_for_a_connection_are_names_of_the_address() {
    let mut world = World::new();
    for round in [0, 100] {
        for (name, at) in [("mosq-1", 0), ("mosq-2", 10)] {
            let name = generated("10.0.0.5", name);
            world.tell(round + at, connects(&name, "10.0.0.6")).tell(round + at + 5, [object(&name, "mqtt.topic", "readings")]);
        }
    }
    assert_eq!(world.0.count().0, 1);
}

#[test]
fn two_radio_gateways_behind_one_address_are_two() {
    let mut world = World::new();
    for round in [0, 100] {
        for n in 0..2 {
            world
                .tell(round + 10 * n, [proved(&gateway(n)), same(&gateway(n), &ip("10.0.0.6"), "PUSH_DATA", Confidence::Likely)]);
        }
    }
    world.tell(200, [proved(&ip("10.0.0.6"))]);
    assert_eq!(world.0.count().0, 3);
    assert_eq!(world.device(&gateway(1)).via[0].via, "ip:10.0.0.6");
}

#[test]
fn two_permanent_names_never_meet_and_the_device_says_which_link_was_refused() {
    let mut world = World::new();
    let shared = dev_addr(0x2600_0001);
    world.tell(0, [proved(&dev_eui(1)), proved(&dev_eui(2)), identity(&shared, Presence::Sent)]);
    world.tell(
        10,
        [
            same(&dev_eui(1), &shared, "one MIC", Confidence::Likely),
            same(&dev_eui(2), &shared, "join accept", Confidence::Proved),
        ],
    );
    assert_eq!(world.device(&shared).id, world.device(&dev_eui(2)).id, "the stronger link holds");
    let refused = &world.device(&dev_eui(1)).refused_links;
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].other.as_str(), refused[0].basis.as_str()), ("dev_addr:26000001", "one MIC"));
    assert!(refused[0].reason.contains("dev_eui"), "{}", refused[0].reason);
}

#[test]
fn a_merge_is_undone_with_its_link() {
    let facts = [
        proved(&dev_eui(1)),
        identity(&dev_addr(5), Presence::Sent),
        same(&dev_eui(1), &dev_addr(5), "join accept", Confidence::Proved),
        says(&dev_addr(5), Attribute::CodecHint, "85", "lorawan.f_port"),
        proved(&dev_eui(1)),
    ];
    let mut apart = World::new();
    let mut world = World::new();
    for (n, fact) in facts.iter().enumerate() {
        world.0.apply(fact, seen(n as u64));
        if n != 2 {
            apart.0.apply(fact, seen(n as u64));
        }
    }
    assert_eq!(world.0.count().0, 1);
    assert!(world.0.drop_link(&dev_eui(1), &dev_addr(5)));
    assert_eq!(world.devices(), apart.devices());
    assert!(!world.0.drop_link(&dev_eui(1), &dev_addr(5)));
}

#[test]
fn a_possible_link_joins_nothing() {
    let mut world = World::new();
    world.tell(
        0,
        [
            proved(&dev_eui(1)),
            identity(&dev_addr(5), Presence::Sent),
            same(&dev_eui(1), &dev_addr(5), "guess", Confidence::Possible),
        ],
    );
    assert_eq!(world.0.count().0, 2);
}

#[test]
fn foreign_addresses_are_peers_and_not_devices() {
    let mut world = World::new();
    world.flow(flow(1, ("10.0.0.7", 1), ("203.0.113.9", 9), 443)).flow(flow(2, ("10.0.0.8", 2), ("203.0.113.10", 9), 443));
    assert_eq!(world.names(), ["000000000101 10.0.0.7", "000000000102 10.0.0.8", "000000000109"]);
    let peer = &world.device(&ip("10.0.0.7")).peers[0];
    assert_eq!((peer.device, peer.peer.as_str(), peer.side.as_str()), (None, "ip:203.0.113.9", "client"));
    // Where no network is configured, one that serves a decoded protocol may be ours.
    world.tell(10, [proved(&ip("203.0.113.9")), service(&ip("203.0.113.9"), "mqtt", 1883)]);
    assert!(world.0.device_of(&ip("203.0.113.9")).is_some());
    // So may one that is beside us on the wire.
    world.tell(12, [arp(&mac(7), &ip("203.0.113.11")), identity(&ip("203.0.113.11"), Presence::Sent)]);
    assert!(world.0.device_of(&ip("203.0.113.11")).is_some());
    let config = InventoryConfig { prefixes: vec!["10.0.0.0/8".parse().expect("is one")], ..InventoryConfig::new("testville") };
    let mut strict = World(Inventory::new(config));
    strict.tell(10, [proved(&ip("203.0.113.9")), service(&ip("203.0.113.9"), "mqtt", 1883), proved(&ip("192.168.1.1"))]);
    assert_eq!(strict.0.count().0, 0);
}

#[test]
fn groups_and_broadcast_are_nobody() {
    let mut world = World::new();
    for address in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"] {
        world.tell(0, [proved(&ip(address))]);
    }
    world.tell(0, [proved(&key(&MAC, None, ValueKey::Hex(0xffff_ffff_ffff, 12))), proved(&client("10.0.0.5", ""))]);
    assert_eq!(world.0.count().0, 0);
}

#[test]
fn what_was_only_addressed_is_not_listed_and_what_only_sent_is_provisional() {
    let mut world = World::new();
    world.tell(
        0,
        [identity(&ip("10.0.0.1"), Presence::Mentioned), identity(&ip("10.0.0.2"), Presence::Sent), proved(&ip("10.0.0.3"))],
    );
    let told: Vec<(String, bool)> =
        world.0.devices().map(|device| (device.identities[0].value.clone(), device.provisional)).collect();
    assert!(told.contains(&("10.0.0.2".into(), true)) && told.contains(&("10.0.0.3".into(), false)));
    assert_eq!(told.len(), 2);
}
