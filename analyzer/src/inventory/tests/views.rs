//! What a device shows.

use super::*;

#[test]
fn what_the_device_says_outranks_the_prefix_of_its_address() {
    let mut world = World::new();
    let server = ip("10.0.0.2");
    world.tell(0, [arp(&mac(1), &server), proved(&server)]);
    assert_eq!(world.device(&server).vendor.as_deref(), Some("XEROX"));
    world.tell(5, [says(&server, Attribute::Vendor, "Schneider  Electric", "modbus.vendor_name")]);
    let device = world.device(&server);
    assert_eq!(device.vendor.as_deref(), Some("Schneider Electric"));
    let vendors: Vec<(&str, bool, &str)> = device
        .attributes
        .iter()
        .filter(|attribute| attribute.name == "vendor")
        .map(|attribute| (attribute.value.as_str(), attribute.current, attribute.confidence.as_str()))
        .collect();
    assert_eq!(vendors, [("Schneider Electric", true, "seen"), ("XEROX", false, "possible")]);
}

#[test]
fn a_fingerprint_adds_what_the_device_did_not_say_in_words() {
    let mut world = World::new();
    let server = ip("10.0.0.2");
    world.tell(
        0,
        [
            proved(&server),
            service(&server, "modbus", 502),
            says(&server, Attribute::Model, "BMX P34 2020", "modbus.product_code"),
            says(&server, Attribute::Firmware, "v2.50", "modbus.revision"),
        ],
    );
    let device = world.device(&server);
    assert_eq!(device.vendor.as_deref(), Some("Schneider Electric"));
    assert_eq!(device.product.as_deref(), Some("Modicon M340 or M580"));
    assert_eq!(device.firmware.as_deref(), Some("2.50"));
    assert_eq!(device.class.as_ref().map(|class| (class.id.as_str(), class.score)), Some(("plc", 100)));
    let product = device.attributes.iter().find(|attribute| attribute.name == "product").expect("is concluded");
    assert_eq!((product.by.as_deref(), product.source.as_str()), (Some("fingerprint schneider-m340"), "modbus.product_code"));
    assert_eq!(product.seen.first_frame, 2);
}

#[test]
fn an_update_leaves_the_earlier_version_as_history_and_a_change() {
    let mut world = World::new();
    let lamp = ip("10.0.0.2");
    world.tell(0, [proved(&lamp), says(&lamp, Attribute::Firmware, "1.2", "lwm2m.firmware_version")]);
    world.tell(90, [says(&lamp, Attribute::Firmware, "1.3", "lwm2m.firmware_version")]);
    let device = world.device(&lamp);
    assert_eq!(device.firmware.as_deref(), Some("1.3"));
    let history: Vec<(&str, bool, u64)> = device
        .attributes
        .iter()
        .map(|attribute| (attribute.value.as_str(), attribute.current, attribute.seen.last_frame))
        .collect();
    assert_eq!(history, [("1.3", true, 90), ("1.2", false, 1)]);
    let change = world.0.changes().find(|change| matches!(change.kind, ChangeKind::Value { .. })).expect("is noted");
    assert_eq!(change.seen, seen(90));
    assert!(world.0.changes_of(device.id).any(|other| other == change));
    assert!(matches!(&change.kind, ChangeKind::Value { from, to, .. } if (&**from, &**to) == ("1.2", "1.3")));
}

#[test]
fn a_device_read_back_from_its_json_is_the_same() {
    let mut world = World::new();
    let (server, poller) = (ip("10.0.0.2"), ip("10.0.0.3"));
    world.flow(flow(1, ("10.0.0.3", 2), ("10.0.0.2", 1), 502));
    world.tell(
        5,
        [
            service(&server, "modbus", 502),
            role(&server, Role::Server),
            says(&server, Attribute::Name, "Pump station 4", "modbus.user_application_name"),
            OwnedFact::Peer { client: poller.clone(), server: server.clone(), protocol: "modbus" },
            OwnedFact::Certificate {
                id: server.clone(),
                spki_sha256: [7; 32],
                subject: "CN=a\u{1f}b".into(),
                issuer: "CN=ca".into(),
                not_before: -1,
                not_after: 5,
            },
            OwnedFact::Security {
                id: server.clone(),
                aspect: citytap_sensor::observation::SecurityAspect::Transport,
                value: "none".into(),
            },
            object(&server, "lwm2m.object", "3416"),
            object(&server, "lwm2m.object", "5"),
        ],
    );
    for device in world.0.devices() {
        let json = serde_json::to_string(&device).expect("is written");
        assert_eq!(serde_json::from_str::<Device>(&json).expect("is read"), device, "{json}");
    }
    let device = world.device(&server);
    assert_eq!(device.class.as_ref().map(|class| class.name.as_str()), Some("pump controller"));
    assert_eq!(device.objects.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["5", "3416"]);
    assert_eq!(device.certificates[0].subject, "CN=a b");
    assert_eq!((device.packets, device.bytes, device.vlans.as_slice()), (5, 500, &[12][..]));
    let peers: Vec<(&str, &str)> = device.peers.iter().map(|peer| (peer.protocol.as_str(), peer.side.as_str())).collect();
    assert_eq!(peers, [("modbus", "server"), ("tcp", "server")]);
}

#[test]
fn what_a_device_lists_of_itself_gives_its_class() {
    let of = |objects: &[(&'static str, &str)]| {
        let mut world = World::new();
        world.tell(0, [proved(&dev_eui(1))]);
        world.tell(1, objects.iter().map(|(kind, name)| object(&dev_eui(1), kind, name)));
        let class = world.device(&dev_eui(1)).class.map(|class| class.id);
        assert_eq!(world.0.classes().to_vec(), [class.as_deref()], "{objects:?}");
        (class, world.device(&dev_eui(1)).product)
    };
    let class = |objects: &[(&'static str, &str)]| of(objects).0.unwrap_or_default();
    let entities = [
        ("home_assistant.component", "sensor"),
        ("home_assistant.device_class", "sensor/temperature"),
        ("home_assistant.device_class", "sensor/humidity"),
    ];
    assert_eq!(class(&entities), "climate_sensor");
    assert_eq!(class(&entities[..2]), "");
    let plug = [("home_assistant.component", "switch"), ("home_assistant.device_class", "switch/outlet")];
    assert_eq!(class(&plug), "switch");
    assert_eq!(class(&[("coap.resource_type", "core.rd"), ("coap.resource_type", "core.rd-lookup-ep")]), "server");
    let metrics =
        [("sparkplug.metric", "Node Control/Rebirth"), ("sparkplug.metric", "Inputs/Pump 1"), ("sparkplug.metric", "A")];
    assert_eq!(class(&metrics), "");
    assert_eq!(class(&[metrics.as_slice(), &[("modbus.function", "90")]].concat()), "pump_plc");
    assert_eq!(of(&[("home_assistant.origin", "ESPHome")]).1.as_deref(), Some("ESPHome"));
}

#[test]
fn the_id_is_of_the_site_and_the_founding_name() {
    let mut world = World::new();
    world.tell(0, [proved(&dev_eui(1))]);
    let id = world.device(&dev_eui(1)).id;
    assert_eq!(id, groups::id_of("testville", &dev_eui(1)));
    assert_ne!(id, groups::id_of("elsewhere", &dev_eui(1)));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!("12".parse::<DeviceId>().is_err());
    // The value is part of every export: it must never change.
    assert_eq!(id.to_string(), "35c60476f827b7bd");
}
