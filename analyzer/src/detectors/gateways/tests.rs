//! Gateways, honest and posed as.

use super::super::lorawan_radio::testing::{Air, Fields, GW};
use crate::findings::Answer;
use crate::hot::owned::OwnedValue;

const SERVER: [u8; 4] = [10, 0, 0, 2];
const HOME: [u8; 4] = [10, 0, 1, 1];
const OTHER: [u8; 4] = [192, 0, 2, 66];
const SUBJECT: &str = "gateway_eui:7076ff0056060001";

fn air() -> Air {
    Air::of("gateways")
}

fn pull(air: &mut Air, from: [u8; 4], to: [u8; 4], token: u64) {
    let fields = Fields::from([("gateway", OwnedValue::Unsigned(GW)), ("token", OwnedValue::Unsigned(token))]);
    air.record("gwmp.pull_data", &fields, from, to);
    air.record("gwmp.pull_ack", &fields, to, from);
}

/// A frame of the receiver whose clock is that of this number.
fn frame(air: &mut Air, from: [u8; 4], clock: u64) {
    let tmst = OwnedValue::Unsigned(u64::from(air.tmst(clock, 0)));
    let fields = Fields::from([("gateway", OwnedValue::Unsigned(GW)), ("tmst_us", tmst)]);
    air.record("gwmp.rx_packet", &fields, from, SERVER);
}

fn order(air: &mut Air, from: [u8; 4]) {
    let fields = Fields::from([("token", OwnedValue::Unsigned(1))]);
    air.record("gwmp.pull_resp", &fields, from, HOME);
}

fn stat(air: &mut Air, north_m: f64) {
    let fields = Fields::from([
        ("gateway", OwnedValue::Unsigned(GW)),
        ("latitude", OwnedValue::Float(52.37 + north_m / 111_195.0)),
        ("longitude", OwnedValue::Float(4.89)),
    ]);
    air.record("gwmp.stat", &fields, HOME, SERVER);
}

#[test]
fn two_receivers_under_one_eui_are_told() {
    let mut air = air();
    for _ in 0..4 {
        for (from, clock) in [(HOME, 1), (OTHER, 2)] {
            frame(&mut air, from, clock);
            air.wait(30);
        }
    }
    assert_eq!(air.found(), [format!("lorawan-gateway-twice {SUBJECT}")]);
}

#[test]
fn a_gateway_that_changes_its_address_is_one() {
    let mut air = air();
    // To and fro between two links, with a restart, and at last for good.
    for (address, clock) in [(HOME, 1), (OTHER, 1), (HOME, 1), (OTHER, 3), (HOME, 3), (OTHER, 3), ([10, 0, 9, 9], 4)] {
        for token in 0..5 {
            pull(&mut air, address, SERVER, token);
            frame(&mut air, address, clock);
            air.wait(10);
        }
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn downlinks_that_are_drawn_away_are_told() {
    let mut air = air();
    for token in 0..6 {
        pull(&mut air, HOME, SERVER, token);
        frame(&mut air, HOME, 1);
        air.wait(5);
        pull(&mut air, OTHER, SERVER, 100 + token);
        air.wait(5);
    }
    assert_eq!(air.found(), [format!("lorawan-gateway-downlinks-drawn-away {SUBJECT}")]);
}

#[test]
fn several_servers_and_both_sides_of_a_translator_are_none() {
    let mut air = air();
    for token in 0..60 {
        // Two servers, reached over two links; and each datagram seen before and behind the translator.
        pull(&mut air, HOME, SERVER, token);
        pull(&mut air, OTHER, SERVER, token);
        pull(&mut air, [10, 0, 1, 7], [198, 51, 100, 9], token);
        frame(&mut air, HOME, 1);
        frame(&mut air, OTHER, 1);
        order(&mut air, SERVER);
        air.wait(10);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn orders_of_a_stranger_are_told() {
    let mut air = air();
    pull(&mut air, HOME, SERVER, 1);
    order(&mut air, SERVER);
    assert_eq!(air.found(), [""; 0]);
    order(&mut air, OTHER);
    assert_eq!(air.found(), [format!("lorawan-gateway-strange-server {SUBJECT}")]);
}

#[test]
fn a_server_that_answers_from_another_address_is_no_stranger() {
    let mut air = air();
    let fields = Fields::from([("token", OwnedValue::Unsigned(1))]);
    // Nothing was asked yet.
    order(&mut air, OTHER);
    pull(&mut air, HOME, SERVER, 1);
    air.record("gwmp.pull_ack", &fields, OTHER, HOME);
    order(&mut air, OTHER);
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn a_gateway_that_moved_is_told() {
    for (metres, reports) in [(4_000.0, 2), (120.0, 25)] {
        let mut air = air();
        for _ in 0..10 {
            stat(&mut air, 0.0);
            air.wait(30);
        }
        for _ in 0..reports {
            stat(&mut air, metres);
            air.wait(30);
        }
        assert_eq!(air.found(), [format!("lorawan-gateway-moved {SUBJECT}")], "{metres}");
    }
}

#[test]
fn a_receiver_that_wanders_and_a_bus_are_none() {
    let mut wanders = air();
    let mut state = 1u64;
    for number in 0..20_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 40) % 70;
        // Now and then a reflection for some minutes, a cold start far away.
        let shift = match number % 500 {
            0 => 5_000,
            1..12 => 140,
            _ => 0,
        };
        stat(&mut wanders, noise as f64 + f64::from(shift));
        wanders.wait(30);
    }
    assert_eq!(wanders.found(), [""; 0]);
    let mut bus = air();
    for number in 0..600 {
        stat(&mut bus, f64::from(number) * 200.0);
        bus.wait(30);
    }
    assert_eq!(bus.found(), [""; 0]);
}

/// A frame over Basics Station, or over ChirpStack's broker: in both the field is called alike.
fn carried(air: &mut Air, kind: &'static str, from: [u8; 4], clock: u64) {
    let tmst = OwnedValue::Unsigned(u64::from(air.tmst(clock, 0)));
    let fields = Fields::from([("gateway", OwnedValue::Unsigned(GW)), ("tmst_us", tmst)]);
    air.record(kind, &fields, from, SERVER);
}

#[test]
fn two_receivers_under_one_eui_are_told_over_station_and_broker_too() {
    for kind in ["station.uplink", "chirpstack.gateway_uplink"] {
        let mut air = air();
        for _ in 0..4 {
            for (from, clock) in [(HOME, 1), (OTHER, 2)] {
                carried(&mut air, kind, from, clock);
                air.wait(30);
            }
        }
        assert_eq!(air.found(), [format!("lorawan-gateway-twice {SUBJECT}")], "{kind}");
    }
}

/// Messages of a gateway, one a minute, from these addresses.
fn spoken(kind: &'static str, from: impl IntoIterator<Item = [u8; 4]>) -> Air {
    let mut air = air();
    for address in from {
        carried(&mut air, kind, address, 1);
        air.wait(60);
    }
    air
}

#[test]
fn a_gateway_that_speaks_from_outside_is_told() {
    for kind in ["gwmp.rx_packet", "station.uplink", "chirpstack.gateway_uplink"] {
        let air = spoken(kind, [HOME; 15].into_iter().chain([[198, 51, 100, 7]; 15]));
        assert_eq!(air.found(), [format!("lorawan-gateway-elsewhere {SUBJECT}")], "{kind}");
    }
}

#[test]
fn addresses_that_change_inside_the_site_or_for_a_moment_are_none() {
    let inside = spoken("station.uplink", [HOME; 15].into_iter().chain([[10, 9, 0, 1]; 15]).chain([[192, 168, 1, 1]; 15]));
    assert_eq!(inside.found(), [""; 0]);
    let moment = spoken("station.uplink", [HOME; 15].into_iter().chain([[198, 51, 100, 7]; 5]).chain([HOME; 5]));
    assert_eq!(moment.found(), [""; 0]);
    let both_sides = spoken("station.uplink", (0..60).map(|at| [HOME, [198, 51, 100, 7]][at % 2]));
    assert_eq!(both_sides.found(), [""; 0]);
}

#[test]
fn two_networks_outside_leave_the_question_open() {
    let next = spoken("station.uplink", [[198, 51, 100, 7]; 15].into_iter().chain([[198, 51, 7, 7]; 15]));
    assert!(matches!(&next.answers("lorawan-gateway-elsewhere")[SUBJECT], Answer::Clear(_)), "one provider's, most likely");
    let far = spoken("station.uplink", [[198, 51, 100, 7]; 15].into_iter().chain([[203, 0, 113, 7]; 15]));
    assert_eq!(far.found(), [""; 0]);
    assert!(
        matches!(&far.answers("lorawan-gateway-elsewhere")[SUBJECT], Answer::Untested(why) if why.contains("no ASN data")),
        "whose they are is not known"
    );
}
