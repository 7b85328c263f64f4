//! Join-requests that come again, by chance and otherwise.

use super::super::lorawan_radio::testing::{ADDRESS, Air, FAR, GW, join, up};
use crate::findings::Answer;
use crate::hot::owned::{IdentityKey, OwnedFact, Seen};
use citytap_sensor::observation::{Attribute, Confidence, Place};
use citytap_sensor::protocols::lorawan::{dev_addr, dev_eui};
use citytap_sensor::time::SECOND;

const DEVICE: u64 = 0x24e1_2413_6b00_0001;
const SUBJECT: &str = "dev_eui:24e124136b000001";

/// Both gateways' clocks are known.
fn air() -> Air {
    let mut air = Air::of("lorawan_joins");
    minutes(&mut air, ADDRESS + 1, 0..10);
    air
}

fn minutes(air: &mut Air, address: u32, counters: impl IntoIterator<Item = u16>) {
    for f_cnt in counters {
        for gateway in [GW, FAR] {
            air.alive(gateway);
            air.heard(gateway, &up(address, f_cnt, 1), 0);
        }
        air.wait(60);
    }
}

fn session(air: &mut Air, address: u32) {
    let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: air.now };
    let (a, b) = (IdentityKey::new(&dev_eui(DEVICE), 0), IdentityKey::new(&dev_addr(address), 0));
    air.detector.fact(&OwnedFact::SameAs { a, b, basis: "join accept", confidence: Confidence::Proved }, seen);
}

#[test]
fn a_request_that_comes_again_while_the_session_goes_on_is_told() {
    let mut air = air();
    air.heard(GW, &join(DEVICE, 7), 0);
    air.wait(6);
    session(&mut air, ADDRESS);
    minutes(&mut air, ADDRESS, 0..20);
    air.heard(GW, &join(DEVICE, 7), 0);
    assert_eq!(air.found(), [""; 0], "by chance, so far");
    minutes(&mut air, ADDRESS, 20..25);
    assert_eq!(air.found(), [format!("lorawan-join-repeated {SUBJECT}")]);
}

#[test]
fn a_random_number_that_repeats_is_chance() {
    let mut air = air();
    for (number, nonce) in (0..40).chain([11]).chain(41..44).enumerate() {
        air.heard(GW, &join(DEVICE, nonce), 0);
        air.wait(10);
        if nonce != 11 || number < 40 {
            session(&mut air, ADDRESS + 10 + number as u32);
            minutes(&mut air, ADDRESS + 10 + number as u32, 0..5);
        }
    }
    assert_eq!(air.found(), [""; 0]);
    assert!(matches!(&air.answers("lorawan-join-repeated")[SUBJECT], Answer::Clear(words) if words.contains("by chance")));
}

#[test]
fn copies_of_a_request_are_none() {
    let mut air = air();
    air.heard(GW, &join(DEVICE, 7), 0);
    air.wait(4);
    air.heard(FAR, &join(DEVICE, 7), 4 * SECOND);
    air.wait(900);
    minutes(&mut air, ADDRESS + 1, 20..22);
    // The same, handed in by a gateway that had lost its server; and a datagram that came twice.
    air.heard(FAR, &join(DEVICE, 7), 1_029 * SECOND);
    air.heard(GW, &join(DEVICE, 7), 1_024 * SECOND);
    minutes(&mut air, ADDRESS + 1, 22..24);
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn the_same_request_again_and_again_is_no_chance() {
    let mut air = air();
    for _ in 0..4 {
        air.heard(GW, &join(DEVICE, 7), 0);
        minutes(&mut air, ADDRESS + 1, []);
        air.wait(120);
    }
    assert_eq!(air.found(), [format!("lorawan-join-repeated {SUBJECT}")]);
}

#[test]
fn a_request_that_comes_again_from_another_place_is_told() {
    let mut air = air();
    air.heard(GW, &join(DEVICE, 7), 0);
    air.wait(300);
    air.heard(FAR, &join(DEVICE, 7), 0);
    assert_eq!(air.found(), [format!("lorawan-join-repeated {SUBJECT}")]);
}

#[test]
fn numbers_of_1_0_4_must_count_up() {
    let mut air = air();
    let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: air.now };
    let version = |value: &str| OwnedFact::Attribute {
        id: IdentityKey::new(&dev_eui(DEVICE), 0),
        name: Attribute::ProtocolVersion,
        value: value.into(),
        confidence: Confidence::Seen,
        field: "lorawan.rejoin_type",
    };
    air.detector.fact(&version("1.1"), seen);
    for nonce in [5, 6, 9] {
        air.heard(GW, &join(DEVICE, nonce), 0);
        air.wait(600);
    }
    assert_eq!(air.found(), [""; 0]);
    air.heard(GW, &join(DEVICE, 2), 0);
    assert_eq!(air.found(), [format!("lorawan-join-repeated {SUBJECT}")]);
}

#[test]
fn a_power_cut_in_a_fleet_repeats_numbers_by_chance_alone() {
    let mut air = air();
    let mut state = 1u64;
    for round in 0..30u64 {
        for device in 0..400u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            air.heard(GW, &join(DEVICE + device, (state >> 40) as u16), 0);
            air.pass(SECOND / 5);
        }
        air.wait(3_600 * (1 + round % 5));
    }
    assert_eq!(air.found(), [""; 0]);
}

/// An hour and a half of ten devices at a gateway.
fn settled() -> Air {
    let mut air = Air::of("lorawan_joins");
    for minute in 0..90u16 {
        for device in 0..10 {
            air.heard(GW, &up(ADDRESS + device, minute, 1), 0);
        }
        air.wait(60);
    }
    air
}

#[test]
fn a_flood_of_made_up_devices_is_told() {
    let mut air = settled();
    for number in 0..40 {
        air.heard(GW, &join(0xdead_0000 + number, number as u16), 0);
        air.wait(5);
    }
    assert_eq!(air.found(), ["lorawan-joins-of-strangers gateway_eui:7076ff0056060001"]);
    minutes(&mut air, ADDRESS, 200..230);
    assert_eq!(air.found(), ["lorawan-joins-of-strangers gateway_eui:7076ff0056060001"], "it stays told");
}

#[test]
fn a_power_cut_a_fleet_that_joins_often_and_a_first_hour_are_no_flood() {
    // As many strangers as addresses: the devices behind them lost power, and more that were heard by name.
    let mut cut = settled();
    for number in 0..40 {
        cut.heard(GW, &up(ADDRESS + 100 + number, 7, 1), 0);
    }
    cut.wait(3_600);
    for number in 0..45u32 {
        cut.heard(GW, &join(0xdead_0000 + u64::from(number), number as u16), 0);
        cut.wait(5);
    }
    assert_eq!(cut.found(), [""; 0]);
    let mut first_hour = Air::of("lorawan_joins");
    for number in 0..100 {
        first_hour.heard(GW, &join(0xdead_0000 + number, number as u16), 0);
        first_hour.wait(5);
    }
    assert_eq!(first_hour.found(), [""; 0]);
    let mut often = settled();
    for number in 0..300u16 {
        often.heard(GW, &join(0xdead_0000 + u64::from(number % 20), number), 0);
        often.wait(2);
    }
    assert_eq!(often.found(), [""; 0]);
}
