use super::*;
use crate::detectors::credentials::CHECKS;
use crate::findings::Severity;
use crate::findings::risk::Weight;
use citytap_sensor::observation::Confidence;

const HOUR: Nanos = 3600 * SECOND;

fn finding(number: u64, severity: Severity, at: Nanos, arguments: &'static [(&'static str, &'static str)]) -> Standing<'static> {
    let weight = Weight { severity, confidence: Confidence::Seen, known_exploited: false };
    Standing {
        part: Part::new(FindingId(number), DeviceId(number % 1_000), (CHECKS[0], weight), arguments.iter().copied()),
        delivery: Delivery::Alert,
        first_seen: Timestamp(at),
        last_seen: Timestamp(at),
        count: 1,
    }
}

fn seen_again(mut finding: Standing<'static>, at: Nanos) -> Standing<'static> {
    (finding.last_seen, finding.count) = (Timestamp(at), finding.count + 1);
    finding
}

fn alerts() -> Alerts {
    Alerts::new("city", AlertPolicy::default())
}

fn only(alerts: &Alerts) -> &Alert {
    let all: Vec<&Alert> = alerts.iter().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

fn whats(changes: &[AlertChange]) -> Vec<What> {
    changes.iter().map(|change| change.what).collect()
}

#[test]
fn a_scan_of_two_hundred_devices_is_one_alert() {
    let mut alerts = alerts();
    let scan = (0..200).map(|number| finding(number, Severity::Medium, number * SECOND, &[("_client", "10.0.0.9")]));
    assert_eq!(whats(&alerts.update(scan, Timestamp(HOUR))), [What::Opened]);
    let alert = only(&alerts);
    assert_eq!((alert.members.len(), alert.count), (200, 200));
    assert_eq!((alert.first_seen, alert.last_seen), (Timestamp(0), Timestamp(199 * SECOND)));
}

#[test]
fn the_order_and_the_portions_of_findings_say_nothing() {
    let all = || (0..40).map(|number| finding(number, Severity::Low, (number * 7 % 40) * SECOND, &[("outcome", "accepted")]));
    let mut whole = alerts();
    whole.update(all(), Timestamp(HOUR));
    let mut portions = alerts();
    let mut findings: Vec<_> = all().collect();
    findings.reverse();
    while !findings.is_empty() {
        let rest = findings.split_off(findings.len().saturating_sub(7).min(findings.len()));
        portions.update(rest, Timestamp(HOUR));
    }
    let told = |alerts: &Alerts| {
        let alert = only(alerts);
        (alert.id, alert.count, alert.first_seen, alert.last_seen, alert.devices())
    };
    assert_eq!(told(&whole), told(&portions));
}

#[test]
fn what_goes_on_is_told_again_only_after_a_while() {
    let mut alerts = alerts();
    let one = || finding(1, Severity::Medium, 0, &[]);
    assert_eq!(whats(&alerts.update([one()], Timestamp(0))), [What::Opened]);
    assert!(alerts.update([one()], Timestamp(2 * HOUR)).is_empty(), "nothing new was seen");
    assert_eq!(whats(&alerts.update([seen_again(one(), 2 * HOUR)], Timestamp(2 * HOUR))), [What::Continued]);
    let more = || finding(2, Severity::Medium, 2 * HOUR + SECOND, &[]);
    assert!(alerts.update([more()], Timestamp(2 * HOUR + SECOND)).is_empty());
    assert_eq!(only(&alerts).untold, 1);
    assert_eq!(whats(&alerts.update([], Timestamp(3 * HOUR))), [What::Continued], "what waited is told when the time is over");
    assert_eq!(whats(&alerts.update([finding(3, Severity::Critical, 3 * HOUR, &[])], Timestamp(3 * HOUR))), [What::Raised]);
    assert_eq!(only(&alerts).severity, Severity::Critical);
}

#[test]
fn a_resolved_alert_reopens_when_its_finding_is_seen_again_and_not_before() {
    let mut alerts = alerts();
    alerts.update([finding(1, Severity::High, 0, &[])], Timestamp(HOUR));
    let id = only(&alerts).id;
    alerts.decide(id, Decision::Resolve { reason: None }, Timestamp(HOUR)).unwrap();
    assert!(alerts.update([finding(1, Severity::High, 0, &[])], Timestamp(2 * HOUR)).is_empty());
    assert_eq!(only(&alerts).state, State::Resolved);
    let again = seen_again(finding(1, Severity::High, 0, &[]), 3 * HOUR);
    assert_eq!(whats(&alerts.update([again], Timestamp(3 * HOUR))), [What::Reopened]);
    assert_eq!((only(&alerts).state, only(&alerts).reason()), (State::Reopened, Some("it was seen again")));
}

#[test]
fn what_is_tested_and_clear_resolves_and_what_is_found_again_reopens() {
    let mut alerts = alerts();
    alerts.update([finding(1, Severity::High, 0, &[]), finding(2, Severity::High, 0, &[])], Timestamp(HOUR));
    assert!(alerts.clear([FindingId(1)], Timestamp(HOUR)).is_empty(), "the other one stands");
    assert_eq!(whats(&alerts.clear([FindingId(2)], Timestamp(2 * HOUR))), [What::Resolved]);
    assert_eq!(only(&alerts).state, State::Resolved);
    // A store counts a finding that comes back from where it was.
    assert_eq!(whats(&alerts.update([finding(2, Severity::High, 0, &[])], Timestamp(3 * HOUR))), [What::Reopened]);
}

#[test]
fn an_acceptance_has_a_reason_ends_in_time_and_covers_the_devices_it_was_about() {
    let mut alerts = alerts();
    alerts.update([finding(1, Severity::High, 0, &[])], Timestamp(HOUR));
    let id = only(&alerts).id;
    let accept = |reason: &str, until| Decision::Accept { reason: reason.into(), until: Timestamp(until) };
    assert_eq!(alerts.decide(id, accept("why", HOUR), Timestamp(HOUR)).err(), Some(DecisionError::Over(Timestamp(HOUR))));
    assert_eq!(alerts.decide(id, accept(" ", 9 * HOUR), Timestamp(HOUR)).err(), Some(DecisionError::NoReason));
    assert_eq!(only(&alerts).state, State::Open, "a decision that does not hold changes nothing");
    alerts.decide(id, accept("replaced in spring", 9 * HOUR), Timestamp(HOUR)).unwrap();
    assert!(alerts.update([seen_again(finding(1, Severity::High, 0, &[]), 2 * HOUR)], Timestamp(2 * HOUR)).is_empty());
    let other = alerts.update([finding(2, Severity::High, 3 * HOUR, &[])], Timestamp(3 * HOUR));
    assert_eq!(whats(&other), [What::Opened]);
    assert_ne!(other[0].alert, id, "a further device is an alert of its own");
    let ended = alerts.update([], Timestamp(9 * HOUR));
    assert_eq!(ended, [AlertChange { alert: id, what: What::Reopened, at: Timestamp(9 * HOUR) }]);
    assert_eq!(alerts.get(id).map(|alert| alert.state), Some(State::Reopened));
}

#[test]
fn a_digest_is_told_once_when_its_day_is_over() {
    let mut alerts = alerts();
    let new = |number, at| Standing { delivery: Delivery::Digest, ..finding(number, Severity::Info, at, &[]) };
    assert!(alerts.update([new(1, HOUR), new(2, 2 * HOUR)], Timestamp(3 * HOUR)).is_empty());
    assert!(alerts.update([new(3, 23 * HOUR)], Timestamp(23 * HOUR)).is_empty());
    let told = alerts.update([new(4, 25 * HOUR)], Timestamp(25 * HOUR));
    assert_eq!(whats(&told), [What::Digest]);
    assert_eq!(alerts.get(told[0].alert).map(|alert| alert.members.len()), Some(3));
    assert!(alerts.update([seen_again(new(1, HOUR), 26 * HOUR)], Timestamp(26 * HOUR)).is_empty());
    assert_eq!(alerts.iter().count(), 2, "the next day has its own");
}

#[test]
fn causes_part_alerts_and_their_number_has_a_bound() {
    let mut alerts = alerts();
    let servers: Vec<&'static [(&'static str, &'static str)]> = (0..100)
        .map(|number| -> &'static [(&'static str, &'static str)] {
            Box::leak(vec![("server", &*Box::leak(format!("10.0.0.{number:03}").into_boxed_str()))].into_boxed_slice())
        })
        .collect();
    alerts.update(servers.iter().zip(0..).map(|(server, at)| finding(at, Severity::Medium, at, server)), Timestamp(HOUR));
    assert_eq!(alerts.iter().count(), CAUSES + 1);
    assert_eq!(alerts.iter().map(|alert| alert.members.len()).max(), Some(100 - CAUSES));
    let mut again = Alerts::restored("city", AlertPolicy::default(), alerts.iter().cloned());
    let late = finding(500, Severity::Medium, 500, &[("server", "10.0.1.1")]);
    assert_eq!(whats(&again.update([late], Timestamp(2 * HOUR))), [What::Continued], "a restored table knows its bound");
}

#[test]
fn what_a_store_kept_goes_on_as_if_it_had_never_been_written() {
    let mut alerts = alerts();
    alerts.update((0..5).map(|number| finding(number, Severity::Low, number, &[])), Timestamp(HOUR));
    let id = only(&alerts).id;
    alerts.decide(id, Decision::Acknowledge, Timestamp(HOUR)).unwrap();
    let text = serde_json::to_string(only(&alerts)).unwrap();
    let mut again = Alerts::restored("city", AlertPolicy::default(), [serde_json::from_str(&text).unwrap()]);
    assert_eq!(only(&again), only(&alerts));
    assert!(again.update((0..5).map(|number| finding(number, Severity::Low, number, &[])), Timestamp(HOUR)).is_empty());
    again.update([finding(9, Severity::Low, HOUR, &[])], Timestamp(5 * HOUR));
    assert_eq!((only(&again).members.len(), only(&again).state), (6, State::Acknowledged));
}

#[test]
fn a_finding_goes_with_its_device_to_a_new_id() {
    let mut alerts = alerts();
    alerts.update([finding(1, Severity::High, 0, &[]), finding(2, Severity::High, 0, &[])], Timestamp(HOUR));
    alerts.rename(&[(FindingId(1), FindingId(11), DeviceId(77))]);
    assert_eq!(only(&alerts).devices(), [DeviceId(2), DeviceId(77)]);
    assert!(alerts.update([finding(11, Severity::High, 0, &[])], Timestamp(HOUR)).is_empty(), "it is the finding that it was");
    alerts.rename(&[(FindingId(2), FindingId(11), DeviceId(77))]);
    let alert = only(&alerts);
    assert_eq!((alert.members.len(), alert.count), (1, 1), "two that became one count once");
}

#[test]
fn at_the_bound_the_alert_that_was_resolved_longest_ago_goes_and_is_counted() {
    let mut alerts = alerts();
    let digest = |number: u64| Standing { delivery: Delivery::Digest, ..finding(number, Severity::Info, number * DAY, &[]) };
    alerts.update((0..ALERTS as u64).map(digest), Timestamp(ALERTS as u64 * DAY));
    assert_eq!((alerts.iter().count(), alerts.shed()), (ALERTS, 0));
    let second = alerts.iter().find(|alert| alert.first_seen == Timestamp(DAY)).map(|alert| alert.id).unwrap();
    alerts.decide(second, Decision::Resolve { reason: None }, Timestamp(ALERTS as u64 * DAY)).unwrap();
    alerts.update([digest(ALERTS as u64)], Timestamp((ALERTS as u64 + 1) * DAY));
    assert_eq!((alerts.iter().count(), alerts.shed()), (ALERTS, 1));
    assert!(alerts.get(second).is_none());
}

#[test]
fn findings_beyond_the_bound_are_counted() {
    let mut alerts = alerts();
    let all = (0..MEMBERS as u64 + 3).map(|number| finding(number, Severity::Low, 0, &[]));
    alerts.update(all, Timestamp(HOUR));
    assert_eq!((only(&alerts).members.len(), alerts.shed()), (MEMBERS, 3));
}

#[test]
fn of_many_changes_of_state_the_first_and_the_latest_are_remembered() {
    let mut alerts = alerts();
    alerts.update([finding(1, Severity::High, 5, &[])], Timestamp(HOUR));
    let id = only(&alerts).id;
    for turn in 1..=100 {
        let decision = if turn % 2 == 0 { Decision::Acknowledge } else { Decision::Reopen };
        alerts.decide(id, decision, Timestamp(turn * HOUR)).unwrap();
    }
    let history = &only(&alerts).history;
    assert_eq!(history.len(), 32);
    assert_eq!((history[0].at, history[0].state), (Timestamp(5), State::Open));
    assert_eq!(history.last().map(|turn| turn.at), Some(Timestamp(100 * HOUR)));
}
