//! The order in which facts arrive does not matter.

use super::*;
use proptest::prelude::*;

/// What one step tells.
#[derive(Clone, Debug)]
enum Told {
    Fact(OwnedFact),
    Flow(FlowSummary),
}

fn name() -> impl Strategy<Value = IdentityKey> {
    prop_oneof![
        address(),
        (0..4u8).prop_map(mac),
        (0..3u64).prop_map(dev_eui),
        (0..3u64).prop_map(dev_addr),
        (0..3u64).prop_map(gateway),
        (0..3u64, 0..2u8).prop_map(|(number, server)| unit(&format!("10.0.0.{server}"), number)),
        (0..4u8).prop_map(|id| client("10.0.0.1", &format!("client-{id}"))),
        (0..2u8).prop_map(|id| generated("10.0.0.1", &format!("mosq-{id}"))),
    ]
}

fn address() -> impl Strategy<Value = IdentityKey> {
    prop_oneof![
        (0..4u8).prop_map(|n| ip(&format!("10.0.0.{n}"))),
        (0..2u8).prop_map(|n| ip(&format!("fe80::{n}"))),
        Just(ip("203.0.113.9")),
    ]
}

fn confidence() -> impl Strategy<Value = Confidence> {
    prop_oneof![Just(Confidence::Possible), Just(Confidence::Likely), Just(Confidence::Seen), Just(Confidence::Proved)]
}

fn fact() -> impl Strategy<Value = OwnedFact> {
    let presence = prop_oneof![Just(Presence::Mentioned), Just(Presence::Sent), Just(Presence::Proved)];
    prop_oneof![
        2 => (name(), presence).prop_map(|(id, presence)| identity(&id, presence)),
        3 => (name(), address(), confidence()).prop_map(|(a, b, confidence)| same(&a, &b, "said", confidence)),
        1 => (name(), name(), confidence()).prop_map(|(a, b, confidence)| same(&a, &b, "said so", confidence)),
        2 => ((0..4u8).prop_map(mac), address()).prop_map(|(mac, ip)| arp(&mac, &ip)),
        2 => (0..3u64, 0..2u8).prop_map(|(number, server)| {
            let server = format!("10.0.0.{server}");
            via(&unit(&server, number), &ip(&server))
        }),
        1 => (name(), name()).prop_map(|(a, b)| via(&a, &b)),
        1 => (name(), name()).prop_map(|(client, server)| OwnedFact::Peer { client, server, protocol: "modbus" }),
        2 => (name(), 0..3u8).prop_map(|(id, value)| says(&id, Attribute::Firmware, &format!("1.{value}"), "lwm2m.firmware_version")),
        1 => (name(), 0..3u8).prop_map(|(id, value)| object(&id, "lwm2m.object", &format!("341{value}"))),
        1 => name().prop_map(|id| service(&id, "modbus", 502)),
        1 => name().prop_map(|id| role(&id, Role::Broker)),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    let conversation = (0..4u8, 0..4u8, 0..4u8, 0..4u8, any::<bool>());
    let flow = conversation.prop_map(|(client, server, client_mac, server_mac, answered)| {
        let mut flow = flow(0, (&format!("10.0.0.{client}"), client_mac), (&format!("10.0.0.{server}"), server_mac), 502);
        if !answered {
            (flow.answered, flow.packets) = (false, [1, 0]);
        }
        flow
    });
    prop_oneof![3 => fact().prop_map(Told::Fact), 1 => flow.prop_map(Told::Flow)]
}

/// Facts with the second of each.
type InOrder = Vec<(u64, Told)>;

/// The facts with their places, in the order of time and in another one.
fn two_orders() -> impl Strategy<Value = (InOrder, InOrder)> {
    let told = prop::collection::vec(told(), 1..60);
    let in_order = told.prop_map(|told| told.into_iter().zip(1u64..).map(|(told, second)| (second, told)).collect::<Vec<_>>());
    in_order.prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle()))
}

fn devices(told: &[(u64, Told)]) -> String {
    let mut world = World::new();
    for (second, told) in told {
        match told {
            Told::Fact(fact) => world.0.apply(fact, seen(*second)),
            Told::Flow(flow) => {
                let at = seen(*second);
                world.0.flow(&FlowSummary { place: at.place, first: at.time, last: at.time, ..flow.clone() });
            }
        }
    }
    serde_json::to_string_pretty(&world.devices()).expect("is written")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn devices_do_not_depend_on_the_order_of_facts((in_order, shuffled) in two_orders()) {
        prop_assert_eq!(devices(&in_order), devices(&shuffled));
    }

    #[test]
    fn every_name_is_of_one_device_and_every_id_is_found((in_order, _) in two_orders()) {
        let mut world = World::new();
        for (second, told) in &in_order {
            match told {
                Told::Fact(fact) => world.0.apply(fact, seen(*second)),
                Told::Flow(flow) => world.0.flow(flow),
            }
        }
        let devices = world.devices();
        prop_assert!(devices.is_sorted_by(|a, b| a.id < b.id));
        for device in &devices {
            let found = world.0.device(device.id);
            prop_assert_eq!(found.as_ref(), Some(device));
            let own: Vec<&str> = device.identities.iter().map(|name| name.kind.as_str()).filter(|kind| ["dev_eui", "gateway_eui", "mac"].contains(kind)).collect();
            let mut once = own.clone();
            once.dedup();
            prop_assert_eq!(own, once, "two permanent names of one kind");
        }
    }
}
