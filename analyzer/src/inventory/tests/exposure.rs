//! What a device is exposed to.

use super::super::exposure::Exposure;
use super::*;
use citytap_sensor::observation::SecurityAspect;

fn exposed(world: &World, name: &IdentityKey) -> Exposure {
    let device = world.device(name);
    let of_view = Exposure::of(&device);
    let (_, quick) = world.0.exposures().find(|(id, _)| *id == device.id).expect("is listed");
    assert_eq!(of_view, quick, "both ways say the same");
    quick
}

fn spoken(mut flow: FlowSummary, protocol: Option<&'static str>) -> FlowSummary {
    flow.protocol = protocol;
    flow
}

fn world() -> World {
    let mut world = World::new();
    world.0 = Inventory::new(InventoryConfig {
        prefixes: vec!["10.0.0.0/8".parse().expect("is a network")],
        ..InventoryConfig::new("testville")
    });
    world
}

#[test]
fn who_is_asked_from_outside_and_who_asks_there() {
    let mut world = world();
    world.flow(spoken(flow(1, ("203.0.113.9", 1), ("10.0.0.5", 2), 1883), Some("mqtt")));
    world.flow(spoken(flow(2, ("10.0.0.6", 3), ("198.51.100.1", 1), 8883), Some("tls")));
    world.flow(spoken(flow(3, ("10.0.0.7", 4), ("10.0.0.5", 2), 1883), Some("mqtt")));
    world.flow(spoken(flow(4, ("203.0.113.9", 1), ("10.0.0.8", 5), 23), None));
    let [asked, asks, inside, knocked] = ["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"].map(|at| exposed(&world, &ip(at)));
    assert_eq!(asked, Exposure { asked_from_outside: true, ..Exposure::default() });
    assert_eq!(asks, Exposure { asks_outside: true, ..Exposure::default() });
    assert_eq!(inside, Exposure::default(), "a device of ours is no outsider");
    assert_eq!(knocked, Exposure::default(), "what nobody reads says nothing of who answers");
}

#[test]
fn who_speaks_without_encryption() {
    let mut world = world();
    let says = |id: &IdentityKey, aspect, value: &str| OwnedFact::Security { id: id.clone(), aspect, value: value.into() };
    let [plain, managed, protected, serving] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ip);
    world.tell(1, [&plain, &managed, &protected, &serving].map(proved));
    world.tell(
        9,
        [
            says(&plain, SecurityAspect::Transport, "none"),
            says(&managed, SecurityAspect::Mode, "none"),
            says(&protected, SecurityAspect::Transport, "tls"),
            service(&serving, "modbus", 502),
        ],
    );
    let clear = [&plain, &managed, &protected, &serving].map(|name| exposed(&world, name).clear);
    assert_eq!(clear, [true, true, false, true]);
}

#[test]
fn whose_traffic_crosses_vlans() {
    let mut world = world();
    let mut tagged = |second, from, to, vlan| {
        let mut flow = flow(second, from, to, 502);
        flow.vlan = vlan;
        world.flow(flow);
    };
    tagged(1, ("10.0.0.1", 1), ("10.0.0.2", 2), Some(10));
    tagged(2, ("10.0.0.1", 1), ("10.0.0.2", 2), Some(20));
    tagged(3, ("10.0.0.3", 3), ("10.0.0.4", 4), Some(10));
    let crosses = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|at| exposed(&world, &ip(at)).crosses_vlans);
    assert_eq!(crosses, [true, true, false]);
}
