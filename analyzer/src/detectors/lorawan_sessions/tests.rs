//! Attacks and the benign causes that look like them, as sequences of frames.

use super::super::lorawan_radio::testing::{ADDRESS, Air, FAR, GW, data, join, up, up_under};
use crate::findings::{Answer, Severity};
use citytap_sensor::time::SECOND;

const MINUTE: u64 = 60;

fn air() -> Air {
    let mut air = Air::of("lorawan_sessions");
    [GW, FAR].into_iter().for_each(|gateway| air.alive(gateway));
    air
}

/// The device sends a frame a minute, heard by its gateway, while both gateways keep in touch; another device settles the far gateway's clock.
fn minutes(air: &mut Air, counters: impl IntoIterator<Item = u16>) {
    for f_cnt in counters {
        air.heard(GW, &up(ADDRESS, f_cnt, f_cnt as u8), 0);
        [GW, FAR].into_iter().for_each(|gateway| air.alive(gateway));
        air.wait(MINUTE);
        air.heard(FAR, &up(ADDRESS + 1, (air.now.seconds() / MINUTE) as u16, 0), 0);
    }
}

fn found(air: &Air) -> Vec<String> {
    air.found()
}

#[test]
fn a_frame_on_the_air_again_after_newer_ones_is_a_replay() {
    let mut air = air();
    minutes(&mut air, 100..120);
    air.heard(FAR, &up(ADDRESS, 118, 118), 0);
    minutes(&mut air, 120..122);
    assert_eq!(found(&air), ["lorawan-uplink-replay dev_addr:260b0001"]);
    assert!(matches!(&air.answers("lorawan-parallel-session")["dev_addr:260b0001"], Answer::Clear(_)));
}

#[test]
fn the_same_frame_delivered_late_is_none() {
    let mut air = air();
    minutes(&mut air, 100..120);
    air.heard(FAR, &up(ADDRESS, 118, 118), 120 * SECOND);
    minutes(&mut air, 120..122);
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn a_gateway_that_lost_its_server_hands_in_what_it_heard_hours_later() {
    let mut air = air();
    minutes(&mut air, 0..20);
    // Both hear the device; the far gateway's messages are held back for three hours, longer than its clock's turn.
    minutes(&mut air, 20..200);
    let began = air.now;
    for f_cnt in 20..200u16 {
        let ago = began.0 - (1_777_874_400 + u64::from(f_cnt) * MINUTE) * SECOND;
        air.heard(FAR, &up(ADDRESS, f_cnt, f_cnt as u8), ago + air.now.since(began));
        air.pass(SECOND / 5);
    }
    minutes(&mut air, 200..210);
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn retransmissions_are_none_however_slow() {
    let mut air = air();
    for f_cnt in 0..40 {
        for attempt in 0..8 {
            let channel = [GW, FAR][attempt % 2];
            air.heard(channel, &data(0x80, ADDRESS, 0, f_cnt, &[2, 9, 9], 1), 0);
            air.wait(240);
        }
    }
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn retransmissions_of_1_1_change_their_code() {
    let mut air = air();
    for f_cnt in 10..60 {
        for channel in 0..3 {
            air.heard(GW, &data(0x40, ADDRESS, 0, f_cnt, &[2, 9, 9], channel), 0);
            air.wait(20);
        }
        air.wait(300);
    }
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn a_copied_device_beside_the_real_one_is_told() {
    let mut air = air();
    minutes(&mut air, 500..520);
    for number in 0..6 {
        air.heard(GW, &up(ADDRESS, 505 + number, 0xee), 0);
        minutes(&mut air, 520 + number..521 + number);
    }
    assert_eq!(found(&air), ["lorawan-parallel-session dev_addr:260b0001"]);
}

#[test]
fn a_copy_that_counts_ahead_is_told() {
    let mut air = air();
    minutes(&mut air, 500..520);
    for number in 0..6 {
        air.heard(GW, &up(ADDRESS, 550 + number, 0xee), 0);
        minutes(&mut air, 520 + number..521 + number);
    }
    assert_eq!(found(&air), ["lorawan-parallel-session dev_addr:260b0001"]);
}

#[test]
fn where_addresses_are_shared_by_custom_a_copy_cannot_be_told() {
    let mut air = air();
    minutes(&mut air, 500..520);
    for number in 0..6 {
        air.heard(GW, &up(ADDRESS, 505 + number, 0xee), 0);
        for shared in [ADDRESS + 5, ADDRESS + 6] {
            air.heard(GW, &up(shared, 100 + number, 1), 0);
            air.heard(GW, &up(shared, 9_000 + number, 2), 0);
        }
        minutes(&mut air, 520 + number..521 + number);
    }
    assert_eq!(found(&air), [""; 0]);
    assert!(matches!(&air.answers("lorawan-parallel-session")["dev_addr:260b0001"], Answer::Untested(_)));
}

#[test]
fn devices_that_share_an_address_are_none() {
    let mut air = air();
    for number in 0..40 {
        minutes(&mut air, 500 + number..501 + number);
        air.heard(GW, &up(ADDRESS, 9_000 + number, 3), 0);
        // A third, in the same gateway's reach for a while.
        if (10..30).contains(&number) {
            air.heard(GW, &data(0x40, ADDRESS, 0, 40_000 + number, &[99, 3], 3), 0);
        }
    }
    assert_eq!(found(&air), [""; 0]);
    assert!(matches!(&air.answers("lorawan-parallel-session")["dev_addr:260b0001"], Answer::Untested(_)));
}

#[test]
fn a_device_of_another_network_that_joins_with_the_address_is_none() {
    let mut air = air();
    minutes(&mut air, 500..540);
    for number in 0..40 {
        air.heard(GW, &up(ADDRESS, number, 3), 0);
        minutes(&mut air, 540 + number..541 + number);
    }
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn a_counter_that_starts_again_without_a_join_is_told() {
    let mut air = air();
    minutes(&mut air, (400..420).chain(0..10));
    assert_eq!(found(&air), ["lorawan-counter-restarted dev_addr:260b0001"]);
    // It says the same again each time.
    minutes(&mut air, (0..10).chain(0..3).chain(0..20));
    assert_eq!(found(&air), ["lorawan-counter-restarted dev_addr:260b0001"]);
}

#[test]
fn a_counter_that_starts_again_after_a_join_is_none() {
    let mut air = air();
    minutes(&mut air, 400..420);
    air.heard(GW, &join(1, 7), 0);
    air.wait(6);
    minutes(&mut air, 0..20);
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn a_join_that_another_address_accounts_for_explains_no_restart() {
    let mut air = air();
    minutes(&mut air, 400..420);
    air.heard(GW, &join(1, 7), 0);
    air.wait(6);
    // It got an address of its own.
    for f_cnt in 0..3 {
        air.heard(GW, &up(ADDRESS + 9, f_cnt, 1), 0);
        air.wait(20);
    }
    minutes(&mut air, 0..10);
    assert_eq!(found(&air), ["lorawan-counter-restarted dev_addr:260b0001"]);
}

#[test]
fn a_join_that_was_refused_explains_no_restart() {
    let refused = |answered: bool| {
        let mut air = air();
        // This gateway's downlinks are seen.
        air.heard(GW, &join(5, 1), 0);
        air.heard(GW, &[&[0x20][..], &[0x5a; 16]].concat(), 0);
        air.wait(2 * 3_600);
        minutes(&mut air, 400..420);
        air.heard(GW, &join(1, 7), 0);
        air.wait(1);
        if answered {
            air.heard(GW, &[&[0x20][..], &[0xa5; 16]].concat(), 0);
        }
        air.wait(5);
        minutes(&mut air, 0..10);
        found(&air)
    };
    assert_eq!(refused(true), [""; 0]);
    assert_eq!(refused(false), ["lorawan-counter-restarted dev_addr:260b0001"]);
}

#[test]
fn a_restart_is_graver_where_a_loss_of_power_does_not_explain_it() {
    let severity = |counters: &mut dyn Iterator<Item = u16>| {
        let mut air = air();
        minutes(&mut air, counters);
        match &air.answers("lorawan-counter-restarted")["dev_addr:260b0001"] {
            Answer::Found(found) => Some(found.severity),
            _ => None,
        }
    };
    assert_eq!(severity(&mut (400..420).chain(0..10)), Some(Severity::Medium));
    assert_eq!(severity(&mut (4_000..4_020).chain(400..420)), Some(Severity::High));
}

#[test]
fn a_counter_that_wraps_is_none() {
    let mut air = air();
    minutes(&mut air, (65_500..=65_535).chain(0..40));
    minutes(&mut air, [41, 60, 100]);
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn a_counter_that_jumps_is_told_and_a_long_silence_is_none() {
    let mut jumps = air();
    minutes(&mut jumps, (400..420).chain(30_000..30_010));
    assert_eq!(found(&jumps), ["lorawan-counter-jump dev_addr:260b0001"]);
    let mut silent = air();
    minutes(&mut silent, 400..420);
    silent.wait(20_000 * MINUTE);
    minutes(&mut silent, 20_420..20_430);
    assert_eq!(found(&silent), [""; 0]);
    let mut saves = air();
    minutes(&mut saves, (400..420).chain(1_400..1_420));
    assert_eq!(found(&saves), [""; 0]);
}

#[test]
fn noise_with_a_right_checksum_is_none() {
    let mut air = air();
    for number in 0..200u16 {
        minutes(&mut air, 500 + number..501 + number);
        let ghost = u32::from(number).wrapping_mul(0x9e37_79b9);
        air.heard(GW, &data(0x40, ADDRESS, ghost as u8 & 0xf0, ghost as u16, &[(ghost >> 8) as u8, 1], ghost), 0);
        air.heard(GW, &data(0x40, ghost, 0, ghost as u16, &[1, 1], ghost), 0);
    }
    assert_eq!(found(&air), [""; 0]);
}

#[test]
fn frames_that_overtake_each_other_are_none() {
    let mut air = air();
    minutes(&mut air, 100..110);
    for pair in (110..160).step_by(2) {
        air.heard(GW, &up(ADDRESS, pair + 1, 0), SECOND);
        air.pass(3 * SECOND);
        air.heard(FAR, &up(ADDRESS, pair, 0), 5 * SECOND);
        minutes(&mut air, []);
        air.wait(MINUTE);
    }
    assert_eq!(found(&air), [""; 0]);
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_year_of_a_healthy_fleet_raises_nothing() {
    let mut air = air();
    let mut dice = Dice(7);
    const DEVICES: usize = 24;
    // Counter, address, minutes between frames; keys are of the device and the session.
    let mut fleet: Vec<(u32, u32, u64)> =
        (0..DEVICES).map(|n| (n as u32 * 997, 0x260b_1000 + (n as u32 / 2 * 2), [10, 15, 60, 180][n % 4])).collect();
    let mut sessions = 1u32;
    let mut keys: Vec<u32> = (0..DEVICES as u32).map(|n| 100 + n).collect();
    let mut held: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut outage = 0u64;
    for minute in 0..365 * 24 * 60u64 {
        if minute % 2 == 0 {
            air.alive(GW);
            if outage == 0 {
                air.alive(FAR);
            }
        }
        for n in 0..DEVICES {
            let (_, _, pace) = fleet[n];
            if minute % pace != n as u64 % pace {
                continue;
            }
            // Power cut: half of the fleet joins again and gets other addresses, some of them taken.
            if dice.roll(40_000 / pace) == 0 {
                air.heard(GW, &join(n as u64, dice.roll(65_536) as u16), 0);
                fleet[n] = (0, 0x260b_1000 + dice.roll(64) as u32, pace);
                sessions += 1;
                keys[n] = 1_000 * sessions;
                air.pass(8 * SECOND);
            }
            let (count, address, _) = fleet[n];
            fleet[n].0 = count + 1;
            if dice.roll(20) == 0 {
                continue;
            }
            let frame = up_under(address, count as u16, (n as u64 * 31 + minute) as u8, keys[n]);
            air.heard(GW, &frame, 0);
            for _ in 0..[0, 0, 0, 0, 0, 0, 0, 0, 1, 3][dice.roll(10) as usize] {
                air.pass(3 * SECOND);
                air.heard(GW, &frame, 0);
            }
            match (outage, dice.roll(3)) {
                (0, 0) => air.heard(FAR, &frame, 0),
                (0, 1) => held.push((air.now.0, frame)),
                (0, _) => {}
                _ => held.push((air.now.0, frame)),
            }
        }
        outage = match outage {
            0 if dice.roll(20_000) == 0 => dice.roll(600),
            0 => 0,
            left => left - 1,
        };
        air.now = citytap_sensor::time::Timestamp::from_parts(1_777_874_400 + (minute + 1) * 60, 0);
        if outage == 0 {
            for (then, frame) in held.drain(..) {
                let ago = air.now.0 - then;
                air.heard(FAR, &frame, ago);
                air.pass(SECOND / 100);
            }
        }
    }
    assert_eq!(found(&air), [""; 0]);
}
