//! What applications are told, honestly and not.

use super::super::lorawan_radio::testing::{ADDRESS, Air, Fields, GW, data};
use super::is_crowded;
use crate::findings::Answer;
use crate::hot::owned::OwnedValue;
use citytap_sensor::observation::Untold;

const DEVICE: u64 = 0x24e1_2413_6b00_0001;
const BROKER: [u8; 4] = [10, 0, 0, 5];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const SUBJECT: &str = "dev_eui:24e124136b000001";

fn air() -> Air {
    Air::of("lorawan_applications")
}

fn whole(number: u64) -> OwnedValue {
    OwnedValue::Unsigned(number)
}

/// An application is told of an uplink.
fn told(air: &mut Air, dev_eui: u64, f_cnt: u64, port: u64, payload: &[u8]) {
    let fields = Fields::from([
        ("dev_addr", whole(u64::from(ADDRESS))),
        ("dev_eui", whole(dev_eui)),
        ("event", OwnedValue::Text("up".into())),
        ("f_cnt", whole(f_cnt)),
        ("f_port", whole(port)),
        ("payload_length", whole(payload.len() as u64)),
        ("payload_digest", whole(Untold::digest(payload))),
        ("gateway", whole(GW)),
    ]);
    air.record("chirpstack.device_event", &fields, SERVER, BROKER);
}

/// A key makes an uplink readable.
fn read(air: &mut Air, f_cnt: u64, payload: &[u8]) {
    let fields = Fields::from([
        ("dev_addr", whole(u64::from(ADDRESS))),
        ("dev_eui", whole(DEVICE)),
        ("direction", OwnedValue::Text("uplink".into())),
        ("f_cnt", whole(f_cnt)),
        ("payload", OwnedValue::Bytes(payload.into())),
    ]);
    air.record("lorawan.application_payload", &fields, SERVER, BROKER);
}

/// A gateway hears an uplink of three bytes on a port.
fn heard(air: &mut Air, f_cnt: u16, port: u8) {
    air.heard(GW, &data(0x40, ADDRESS, 0x80, f_cnt, &[port, 0x5a ^ f_cnt as u8, 0x10, 0x77], 1), 0);
}

#[test]
fn another_port_or_length_is_told_without_a_key() {
    for (port, payload) in [(3, &[1, 2, 3][..]), (2, &[1, 2])] {
        let mut air = air();
        for f_cnt in 0..5 {
            heard(&mut air, f_cnt, 2);
            told(
                &mut air,
                DEVICE,
                u64::from(f_cnt),
                if f_cnt == 3 { port } else { 2 },
                if f_cnt == 3 { payload } else { &[1, 2, 3] },
            );
            air.wait(60);
        }
        assert_eq!(air.found(), [format!("lorawan-payload-altered {SUBJECT}")]);
    }
}

#[test]
fn a_flipped_bit_is_told_where_the_key_is_known() {
    let mut air = air();
    for f_cnt in 0..5u16 {
        heard(&mut air, f_cnt, 2);
        // Before the key's work, and after it.
        let sent = [f_cnt as u8, 2, 3];
        let content = if f_cnt == 3 { [f_cnt as u8, 2 ^ 0x10, 3] } else { sent };
        if f_cnt % 2 == 0 {
            read(&mut air, u64::from(f_cnt), &sent);
        }
        told(&mut air, DEVICE, u64::from(f_cnt), 2, &content);
        if f_cnt % 2 == 1 {
            read(&mut air, u64::from(f_cnt), &sent);
        }
        air.wait(60);
    }
    assert_eq!(air.found(), [format!("lorawan-payload-altered {SUBJECT}")]);
}

#[test]
fn a_wrong_key_an_unknown_one_and_what_was_not_heard_are_none() {
    let mut wrong = air();
    let mut unknown = air();
    let mut elsewhere = air();
    for f_cnt in 0..5u16 {
        heard(&mut wrong, f_cnt, 2);
        read(&mut wrong, u64::from(f_cnt), &[9, f_cnt as u8, 9]);
        told(&mut wrong, DEVICE, u64::from(f_cnt), 2, &[1, 2, 3]);
        heard(&mut unknown, f_cnt, 2);
        told(&mut unknown, DEVICE, u64::from(f_cnt), 2, &[1, 2, 3]);
        told(&mut elsewhere, DEVICE, u64::from(f_cnt), 7, &[1]);
        // A broker passes on what it was told.
        told(&mut unknown, DEVICE, u64::from(f_cnt), 2, &[1, 2, 3]);
    }
    for (air, why) in [(wrong, "with the application key given"), (unknown, "port and length of 5 messages are right")] {
        assert_eq!(air.found(), [""; 0]);
        let answers = air.answers("lorawan-payload-altered");
        assert!(matches!(&answers[SUBJECT], Answer::Untested(text) if text.starts_with(why)), "{why}");
    }
    assert_eq!(elsewhere.found(), [""; 0]);
}

#[test]
fn an_integration_that_rewrites_every_message_is_none() {
    let mut air = air();
    for f_cnt in 0..6u16 {
        heard(&mut air, f_cnt, 2);
        told(&mut air, DEVICE, u64::from(f_cnt), 2, if f_cnt < 2 { &[1, 2, 3] } else { &[1, 2, 3, 4] });
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn a_server_that_passes_on_what_was_on_the_air_is_none() {
    let mut air = air();
    for f_cnt in 0..5u16 {
        heard(&mut air, f_cnt, 2);
        told(&mut air, DEVICE, u64::from(f_cnt), 2, &[0x5a ^ f_cnt as u8, 0x10, 0x77]);
    }
    assert!(matches!(&air.answers("lorawan-payload-altered")[SUBJECT], Answer::Clear(_)));
}

#[test]
fn two_devices_that_take_turns_under_one_address_are_told() {
    let mut air = air();
    for f_cnt in 0..3 {
        told(&mut air, DEVICE, 100 + f_cnt, 2, &[1]);
        air.wait(60);
        told(&mut air, DEVICE + 1, 9_000 + f_cnt, 2, &[1]);
        air.wait(60);
    }
    assert_eq!(air.found(), ["lorawan-address-of-two dev_eui:24e124136b000002"]);
}

#[test]
fn an_address_that_is_given_on_and_events_that_come_again_are_none() {
    let mut air = air();
    for f_cnt in 0..20 {
        told(&mut air, DEVICE, 100 + f_cnt, 2, &[1]);
        air.wait(60);
    }
    // The new holder; what the broker passes on of the old one comes late and again.
    for f_cnt in 0..20 {
        told(&mut air, DEVICE + 1, f_cnt, 2, &[1]);
        told(&mut air, DEVICE, 119, 2, &[1]);
        air.wait(60);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn networks_with_few_addresses_share_them_by_chance() {
    assert!(!is_crowded(1_000, 1 << 25) && is_crowded(3_000, 1 << 25));
    assert!(is_crowded(6, 1 << 7) && is_crowded(15, 1 << 10) && !is_crowded(4, 1 << 7));
}
