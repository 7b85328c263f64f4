use super::*;
use citytap_sensor::observation::Place;

const LIMITS: Limits = Limits { factor: 3, bytes: 10_000, grave_factor: 10, grave_bytes: 50_000 };

/// What is judged of a pair that in each of these minutes got and sent so much.
fn judged(minutes: &[[u64; 2]], proved: Option<u64>) -> Option<(Severity, u64)> {
    let mut pair = Pair { proved: proved.map(|second| Timestamp::from_parts(second, 0)), ..Pair::default() };
    for (minute, bytes) in (10_000..).zip(minutes) {
        let time = Timestamp::from_parts(minute * 60, 0);
        pair.carry(Seen { place: Place { frame: minute, sequence: 0 }, time }, time, *bytes, &LIMITS);
    }
    pair.judged(&LIMITS).map(|(severity, evidence)| (severity, evidence.count))
}

#[test]
fn much_and_many_times_more_is_a_finding() {
    assert_eq!(judged(&[[3_000, 9_999]], None), None, "too little");
    assert_eq!(judged(&[[3_334, 10_000]], None), None, "hardly more than was asked for");
    assert_eq!(judged(&[[3_333, 10_000]], None), Some((Severity::Low, 1)));
    assert_eq!(judged(&[[5_001, 50_000]], None), Some((Severity::Low, 1)), "not ten times");
    assert_eq!(judged(&[[5_000, 50_000]], None), Some((Severity::High, 1)));
    assert_eq!(judged(&[[100, 50_000], [10, 100], [100, 20_000]], None), Some((Severity::High, 2)), "the worst minute counts");
}

#[test]
fn what_goes_on_by_itself_is_held_against_what_was_ever_asked() {
    assert_eq!(judged(&[[40, 12_000], [0, 12_000], [0, 12_000]], None), Some((Severity::Low, 3)));
    assert_eq!(judged(&[[0, 60_000], [0, 60_000]], None), None, "what asked for it was not seen");
}

#[test]
fn an_address_that_showed_itself_is_no_victim() {
    let flood = [[40, 60_000]];
    assert_eq!(judged(&flood, Some(600_000)), None);
    assert_eq!(judged(&flood, Some(600_000 + 3_600)), None, "it showed itself later");
    assert_eq!(judged(&flood, Some(600_000 - 3_601)), Some((Severity::High, 1)), "that was long ago");
}
