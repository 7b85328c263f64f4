//! Devices near and far.

use super::super::lorawan_radio::testing::{ADDRESS, Air, FAR, Fields, GW, join, up};
use crate::hot::owned::OwnedValue;

const DEVICE: u64 = 0x24e1_2413_6b00_0001;

fn stat(air: &mut Air, gateway: u64, latitude: f64, longitude: f64) {
    let fields = Fields::from([
        ("gateway", OwnedValue::Unsigned(gateway)),
        ("latitude", OwnedValue::Float(latitude)),
        ("longitude", OwnedValue::Float(longitude)),
    ]);
    air.record("gwmp.stat", &fields, [10, 0, 1, gateway as u8], [10, 0, 0, 2]);
}

/// Amsterdam, and a second gateway.
fn air(latitude: f64, longitude: f64) -> Air {
    let mut air = Air::of("lorawan_places");
    stat(&mut air, GW, 52.37, 4.89);
    stat(&mut air, FAR, latitude, longitude);
    air
}

fn turns(air: &mut Air, seconds: u64) {
    for nonce in 0..6 {
        air.heard([GW, FAR][usize::from(nonce) % 2], &join(DEVICE, nonce), 0);
        air.wait(seconds);
    }
}

#[test]
fn a_device_in_two_cities_at_once_is_told() {
    let mut air = air(48.2, 16.37);
    turns(&mut air, 60);
    assert_eq!(air.found(), ["lorawan-device-far-apart dev_eui:24e124136b000001"]);
}

#[test]
fn a_device_that_flies_there_is_none() {
    let mut air = air(48.2, 16.37);
    turns(&mut air, 7_200);
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn one_frame_heard_far_and_wide_and_gateways_with_a_wrong_position_are_none() {
    let mut air = air(48.2, 16.37);
    air.heard(GW, &up(ADDRESS, 1, 1), 0);
    air.heard(FAR, &up(ADDRESS, 1, 1), 0);
    turns(&mut air, 60);
    for nonce in 20..26 {
        air.heard(GW, &join(DEVICE + 1, nonce), 0);
        air.heard(FAR, &join(DEVICE + 1, nonce), 0);
        air.wait(60);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn gateways_that_do_not_know_where_they_are_say_nothing() {
    let mut air = air(0.0, 0.0);
    turns(&mut air, 60);
    assert_eq!(air.found(), [""; 0]);
}
