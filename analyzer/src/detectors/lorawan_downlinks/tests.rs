//! Downlinks, ordinary and not.

use super::super::lorawan_radio::testing::{ADDRESS, Air, FAR, GW, data, radio, up};
use crate::hot::owned::OwnedValue;
use citytap_sensor::time::SECOND;

fn air() -> Air {
    Air::of("lorawan_downlinks")
}

/// An unconfirmed downlink.
fn down(f_ctrl: u8, f_cnt: u16, rest: &[u8]) -> Vec<u8> {
    data(0x60, ADDRESS, f_ctrl, f_cnt, rest, 1)
}

/// The server has a gateway send so long after an uplink that was heard now.
fn send(air: &mut Air, gateway: u64, bytes: &[u8], after: u64, frequency_hz: u64) {
    let mut fields = radio(gateway, bytes);
    let tmst = air.tmst(gateway, 0).wrapping_add((after / 1_000) as u32);
    fields.insert("tmst_us", OwnedValue::Unsigned(u64::from(tmst)));
    fields.insert("timing", OwnedValue::Text("at_tmst".into()));
    fields.insert("frequency_hz", OwnedValue::Unsigned(frequency_hz));
    fields.remove("checksum_right");
    air.record("lorawan.data", &fields, [10, 0, 0, 2], [10, 0, 1, gateway as u8]);
}

/// It is to be sent at once.
fn at_once(air: &mut Air, bytes: &[u8], frequency_hz: u64) {
    let mut fields = radio(GW, bytes);
    fields.insert("timing", OwnedValue::Text("immediately".into()));
    fields.insert("frequency_hz", OwnedValue::Unsigned(frequency_hz));
    fields.remove("checksum_right");
    air.record("lorawan.data", &fields, [10, 0, 0, 2], [10, 0, 1, 1]);
}

fn talk(air: &mut Air, counters: std::ops::Range<u16>) {
    for f_cnt in counters {
        air.heard(GW, &up(ADDRESS, f_cnt, 1), 0);
        air.heard(FAR, &up(ADDRESS, f_cnt, 1), 0);
        if f_cnt % 3 == 0 {
            send(air, GW, &down(0x80, f_cnt, &[]), [1, 2, 5, 6][usize::from(f_cnt) % 4] * SECOND, 868_100_000);
        }
        air.wait(60);
    }
}

#[test]
fn a_downlink_when_the_device_does_not_listen_is_told() {
    let mut air = air();
    talk(&mut air, 0..12);
    air.heard(GW, &up(ADDRESS, 12, 1), 0);
    send(&mut air, GW, &down(0, 100, &[2, 9]), 1_337_000_000, 868_100_000);
    assert_eq!(air.found(), ["lorawan-downlink-out-of-window dev_addr:260b0001"]);
}

#[test]
fn a_downlink_at_once_between_uplinks_is_told() {
    let mut air = air();
    talk(&mut air, 0..12);
    at_once(&mut air, &down(0, 100, &[2, 9]), 868_100_000);
    assert_eq!(air.found(), ["lorawan-downlink-out-of-window dev_addr:260b0001"]);
}

#[test]
fn devices_that_always_listen_are_sent_to_at_any_time() {
    let mut air = air();
    talk(&mut air, 0..12);
    for number in 100..110 {
        air.wait(7);
        at_once(&mut air, &down(0, number, &[2, 9]), 869_525_000);
    }
    // Another network's frequency for them.
    for number in 110..130 {
        air.wait(7);
        at_once(&mut air, &down(0, number, &[2, 9]), 867_500_000);
    }
    // A group, which never sends.
    for number in 0..20 {
        at_once(&mut air, &data(0x60, ADDRESS + 9, 0, number, &[201, 1], 1), 868_100_000);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn a_device_of_class_b_and_an_uplink_that_was_not_seen_are_none() {
    let mut air = air();
    for f_cnt in 0..20 {
        air.heard(GW, &data(0x40, ADDRESS, 0x10, f_cnt, &[1, 1], 1), 0);
        send(&mut air, GW, &down(0, f_cnt, &[2, 1]), 3_340_000_000, 868_100_000);
        air.wait(60);
    }
    for f_cnt in 20..30 {
        air.heard(GW, &up(ADDRESS, f_cnt, 1), 0);
        air.wait(60);
        send(&mut air, GW, &down(0, f_cnt, &[2, 1]), 340_000_000, 868_100_000);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn an_acknowledgement_of_nothing_is_told() {
    let mut air = air();
    talk(&mut air, 0..12);
    air.heard(GW, &up(ADDRESS, 12, 1), 0);
    send(&mut air, GW, &down(0x20, 12, &[]), SECOND, 868_100_000);
    assert_eq!(air.found(), ["lorawan-ack-unasked dev_addr:260b0001"]);
}

#[test]
fn acknowledgements_that_were_asked_for_are_none() {
    let mut air = air();
    talk(&mut air, 0..12);
    // Confirmed; then unconfirmed, acknowledged late; then one that was not heard here.
    air.heard(GW, &data(0x80, ADDRESS, 0, 12, &[1, 1], 1), 0);
    send(&mut air, GW, &down(0x20, 12, &[]), SECOND, 868_100_000);
    air.wait(60);
    air.heard(GW, &up(ADDRESS, 13, 1), 0);
    send(&mut air, GW, &down(0x20, 13, &[]), SECOND, 868_100_000);
    air.wait(60);
    air.heard(GW, &up(ADDRESS, 15, 1), 0);
    send(&mut air, GW, &down(0x20, 14, &[]), SECOND, 868_100_000);
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn an_old_downlink_again_is_told() {
    let mut air = air();
    talk(&mut air, 0..12);
    air.wait(60);
    air.heard(GW, &up(ADDRESS, 12, 1), 0);
    send(&mut air, GW, &down(0x80, 6, &[]), SECOND, 868_100_000);
    air.wait(60);
    talk(&mut air, 13..20);
    assert_eq!(air.found(), ["lorawan-downlink-replay dev_addr:260b0001"]);
}

#[test]
fn downlinks_that_are_sent_twice_for_a_reason_are_none() {
    let mut air = air();
    talk(&mut air, 0..12);
    for f_cnt in 12..30 {
        air.heard(GW, &up(ADDRESS, f_cnt, 1), 0);
        // RX1, then RX2 since the gateway refused; through the other gateway too.
        send(&mut air, GW, &down(0x80, f_cnt, &[]), SECOND, 868_100_000);
        send(&mut air, GW, &down(0x80, f_cnt, &[]), 2 * SECOND, 869_525_000);
        send(&mut air, FAR, &down(0x80, f_cnt, &[]), 2 * SECOND, 869_525_000);
        air.wait(300);
    }
    // Confirmed, again until it is acknowledged.
    for f_cnt in 30..40 {
        air.heard(GW, &up(ADDRESS, f_cnt, 1), 0);
        send(&mut air, GW, &data(0xa0, ADDRESS, 0, 30, &[3, 3], 1), SECOND, 868_100_000);
        air.wait(300);
    }
    // The server was set up anew and starts from 0.
    for f_cnt in 0..30 {
        air.heard(GW, &up(ADDRESS, 40 + f_cnt, 1), 0);
        send(&mut air, GW, &down(0x80, f_cnt, &[]), SECOND, 868_100_000);
        air.wait(300);
    }
    assert_eq!(air.found(), [""; 0]);
}

#[test]
fn an_order_that_harms_is_told_unless_it_is_encrypted() {
    let mut plain = air();
    talk(&mut plain, 0..12);
    plain.heard(GW, &up(ADDRESS, 12, 1), 0);
    send(&mut plain, GW, &down(0x85, 12, &[0x03, 0x00, 0xff, 0x00, 0x01]), SECOND, 868_100_000);
    assert_eq!(plain.found(), ["lorawan-harmful-command dev_addr:260b0001"]);
    talk(&mut plain, 13..15);
    plain.heard(GW, &data(0x40, ADDRESS, 0x82, 15, &[0x9c, 0xee, 1, 1], 1), 0);
    assert_eq!(plain.found(), [""; 0]);
}

/// Over a broker: the uplink that was on the air so many seconds ago, and the delay after it.
fn after(air: &mut Air, bytes: &[u8], ago: u64, delay_us: u64) {
    let mut fields = radio(GW, bytes);
    fields.insert("tmst_us", OwnedValue::Unsigned(u64::from(air.tmst(GW, ago * SECOND))));
    fields.insert("timing", OwnedValue::Text("after_uplink".into()));
    fields.insert("delay_us", OwnedValue::Unsigned(delay_us));
    fields.remove("checksum_right");
    air.record("lorawan.data", &fields, [10, 0, 0, 2], [10, 0, 0, 5]);
}

#[test]
fn a_delay_that_meets_no_window_and_an_uplink_of_long_ago_are_told() {
    for (ago, delay_us) in [(0, 1_400_000), (0, 25_000_000), (240, 1_000_000)] {
        let mut air = air();
        talk(&mut air, 0..12);
        air.heard(GW, &up(ADDRESS, 12, 1), 0);
        after(&mut air, &down(0, 100, &[2, 9]), ago, delay_us);
        assert_eq!(air.found(), ["lorawan-downlink-out-of-window dev_addr:260b0001"], "{ago} s, {delay_us} us");
    }
}

#[test]
fn windows_after_an_uplink_are_met_whatever_the_delay_of_the_network_and_of_the_backhaul() {
    let mut air = air();
    for f_cnt in 0..40 {
        // The gateway's frames come 4 s late.
        air.heard(GW, &up(ADDRESS, f_cnt, 1), 4 * SECOND);
        air.wait(1);
        after(&mut air, &down(0x80, f_cnt, &[2, 9]), 5, [1, 2, 5, 6, 15][usize::from(f_cnt) % 5] * 1_000_000);
        // What answers an uplink that was not seen.
        after(&mut air, &data(0x60, ADDRESS, 0x80, 1_000 + f_cnt, &[0, 1], 1), 7, 1_000_000);
        air.wait(60);
    }
    assert_eq!(air.found(), [""; 0]);
}

/// A key makes orders readable.
fn decrypted(air: &mut Air, bytes: &[u8]) {
    let fields = super::super::lorawan_radio::testing::Fields::from([
        ("bytes", OwnedValue::Bytes(bytes.into())),
        ("dev_addr", OwnedValue::Unsigned(u64::from(ADDRESS))),
        ("direction", OwnedValue::Text("downlink".into())),
    ]);
    air.record("lorawan.mac_commands", &fields, [0; 4], [0; 4]);
}

#[test]
fn orders_that_a_key_made_readable_are_judged() {
    let mut ordinary = air();
    talk(&mut ordinary, 0..12);
    decrypted(&mut ordinary, &[0x03, 0x50, 0xff, 0x00, 0x01]);
    assert_eq!(ordinary.found(), [""; 0]);
    let mut harmful = air();
    talk(&mut harmful, 0..12);
    // FOpts of 1.1 are encrypted.
    harmful.heard(GW, &data(0x40, ADDRESS, 0x82, 12, &[0x9c, 0xee, 1, 1], 1), 0);
    decrypted(&mut harmful, &[0x03, 0x00, 0xff, 0x00, 0x01]);
    assert_eq!(harmful.found(), ["lorawan-harmful-command dev_addr:260b0001"]);
}

/// A fleet of devices, each told something once in FOpts.
fn fleet(settings: &[&[u8]]) -> Air {
    let mut air = air();
    for (number, setting) in (0..).zip(settings) {
        let address = ADDRESS + number;
        for f_cnt in 0..3 {
            air.heard(GW, &up(address, f_cnt, 1), 0);
            if f_cnt == 1 {
                let f_ctrl = 0x80 | setting.len() as u8;
                let frame = data(0x60, address, f_ctrl, 0, setting, 1);
                send(&mut air, GW, &frame, SECOND, 868_100_000);
            }
            air.wait(5);
        }
    }
    air
}

#[test]
fn a_setting_that_one_device_alone_has_is_told() {
    let usual: &[u8] = &[0x05, 0x03, 0xd2, 0xad, 0x84];
    let mut settings = vec![usual; 12];
    settings.push(&[0x05, 0x03, 0x68, 0xda, 0x83]);
    assert_eq!(fleet(&settings).found(), ["lorawan-unusual-setting dev_addr:260b000d"]);
    // Too few to know; two of a kind; a channel on which the network is heard.
    assert_eq!(fleet(&settings[8..]).found(), [""; 0]);
    settings.push(settings[12]);
    assert_eq!(fleet(&settings).found(), [""; 0]);
    let mut channels: Vec<&[u8]> = vec![&[0x07, 3, 0x18, 0x4f, 0x84, 0x50]; 12];
    channels.push(&[0x07, 4, 0x28, 0x76, 0x84, 0x50]);
    assert_eq!(fleet(&channels).found(), [""; 0]);
}
