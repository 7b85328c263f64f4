//! Clocks that are wrong: times that devices tell, held against packet time.
//!
//! It turns the times in status reports of gateways, receptions, births and management values into answers about the devices. A capture whose own
//! times were shifted or made anonymous is told by its devices: unless enough others agree with packet time nothing is found. What counts is
//! the time that a device told last, so that a clock which was set after the start is none that is wrong. Times in stored and repeated messages are
//! old by nature and are not looked at.

mod told;

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue};
use crate::inventory::{DeviceId, Inventory};
use crate::policy::Parameter;
use citytap_sensor::flow::Direction;
use citytap_sensor::observation::{Confidence, Identity, IdentityValue, Server};
use citytap_sensor::protocols::{lorawan, lwm2m, sparkplug};
use citytap_sensor::time::Timestamp;
use std::collections::BTreeSet;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "clocks",
    checks: &[&WRONG],
    interests: INTERESTS,
    parameters: &[&OFF, &AGREEING],
    make: |making| Box::new(Clocks::new(making.number(&OFF), making.number(&AGREEING))),
};

const STAT: Interest = Interest::samples("gwmp.stat", &["gateway", "time"]);
const RECEPTION: Interest = Interest::samples("gwmp.rx_packet", &["gateway", "time"]);
const UPLINK: Interest = Interest::samples("station.uplink", &["gateway", "rx_time_s"]);
const BIRTH: Interest = Interest::messages("sparkplug.birth", &["timestamp_ms", "group", "edge_node"]);
const VALUES: Interest =
    Interest::samples("lwm2m.operation", &["values.path", "values.value", "endpoint", "message", "operation"]);
const NOTIFIED: Interest = Interest::samples("lwm2m.notification", &["values.path", "values.value", "endpoint"]);

const INTERESTS: &[Interest] = &[STAT, RECEPTION, UPLINK, BIRTH, VALUES, NOTIFIED];

/// How far a clock may be off.
pub static OFF: Parameter = Parameter {
    check: "clock-wrong",
    name: "off_s",
    doc: "Seconds that a device's clock may be off.",
    shipped: 3_600,
    range: 1..=100 * 365 * 86_400,
};

/// How many must agree with packet time.
pub static AGREEING: Parameter = Parameter {
    check: "clock-wrong",
    name: "agreeing",
    doc: "Other devices whose clocks must agree with the times of the packets before any clock is called wrong.",
    shipped: 2,
    range: 0..=1_000,
};

/// A clock that is wrong.
pub static WRONG: CheckSpec = CheckSpec {
    id: "clock-wrong",
    title: "clocks",
    finding: "Its clock is wrong: {_how}.",
    action: "{devices} have a clock that is wrong",
    remedy: "Let it get its time from a time server (NTP), and see that it can reach it; where hours are off, look at its time zone.",
    why: "Its logs cannot be compared with those of others, its certificates seem not to be valid, and what it does by the clock it does at the wrong time.",
    references: &["IEC 62443-3-3 SR 2.11"],
};

/// The time that a device told last.
#[derive(Default)]
struct Told {
    /// Seconds ahead of packet time, and what it told in seconds since 1970.
    last: Option<(i64, i64)>,
    evidence: Evidence,
}

struct Clocks {
    devices: Watched<IdentityKey, Told>,
    off: i64,
    agreeing: usize,
}

impl Clocks {
    fn new(off_s: u64, agreeing: u64) -> Self {
        Self {
            devices: Watched::new(SUBJECTS),
            off: i64::try_from(off_s).unwrap_or(i64::MAX),
            agreeing: usize::try_from(agreeing).unwrap_or(usize::MAX),
        }
    }

    fn is_right(&self, told: &Told) -> bool {
        told.last.is_some_and(|(ahead, _)| ahead.abs() <= self.off)
    }

    fn answer(&self, told: &Told, agreeing: usize) -> Option<Answer> {
        let (ahead, said) = told.last?;
        Some(match agreeing {
            _ if self.is_right(told) && agreeing > self.agreeing => {
                Answer::Clear("the time that it told agrees with that of the packets and of other devices".into())
            }
            _ if agreeing < self.agreeing || self.is_right(told) => {
                Answer::Untested("too few other devices told the time: that of the packets may be wrong".into())
            }
            _ => Answer::Found(Found {
                severity: Severity::Low,
                confidence: Confidence::Likely,
                arguments: vec![("_how", how(ahead, said).into())],
                evidence: told.evidence.clone(),
            }),
        })
    }
}

impl Detector for Clocks {
    fn event(&mut self, event: &Event) {
        let Some((name, said, field)) = told_in(event) else { return };
        let packet = i64::try_from(event.seen.time.seconds()).unwrap_or(i64::MAX);
        let Some(told) = self.devices.entry(&name) else { return };
        let ahead = said.saturating_sub(packet);
        if ahead.abs() > self.off {
            told.evidence.add(event.seen, field);
        }
        told.last = Some((ahead, said));
    }

    fn verdicts(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) {
        // Two names of one device are one clock.
        let right: BTreeSet<DeviceId> = self
            .devices
            .iter()
            .filter(|(_, told)| self.is_right(told))
            .filter_map(|(name, _)| inventory.device_of(name))
            .collect();
        for (name, told) in self.devices.iter() {
            if let Some(answer) = self.answer(told, right.len()) {
                take(Verdict { check: &WRONG, subject: name.clone(), answer });
            }
        }
    }

    fn shed(&self) -> u64 {
        self.devices.shed()
    }
}

/// Whose clock, what it told in seconds since 1970, and the field.
fn told_in(event: &Event) -> Option<(IdentityKey, i64, &'static str)> {
    let name = |identity: Identity<'_>| IdentityKey::new(&identity, event.network);
    let kind = event.kind;
    match event.fields.as_slice() {
        [gateway, OwnedValue::Text(time)] if kind == STAT.kind_id() || kind == RECEPTION.kind_id() => {
            let field = if kind == STAT.kind_id() { "gwmp.stat.time" } else { "gwmp.rx_packet.time" };
            Some((name(lorawan::gateway_eui(gateway.unsigned()?)), told::seconds(time)?, field))
        }
        [gateway, OwnedValue::Float(seconds)] if kind == UPLINK.kind_id() => {
            // A station that has no time says 0.
            let seconds = (*seconds >= 1.0).then_some(*seconds as i64)?;
            Some((name(lorawan::gateway_eui(gateway.unsigned()?)), seconds, "station.uplink.rx_time_s"))
        }
        [time, OwnedValue::Text(group), OwnedValue::Text(node)] if kind == BIRTH.kind_id() => {
            let node = format!("{group}/{node}");
            let broker = match event.direction {
                Direction::ToServer => event.receiver.ip,
                Direction::ToClient => event.sender.ip,
            };
            let id = Identity::at(&sparkplug::EDGE_NODE, Server::Address(broker), IdentityValue::Text(&node));
            Some((name(id), i64::try_from(time.unsigned()? / 1_000).ok()?, "sparkplug.birth.timestamp_ms"))
        }
        [paths, values, endpoint, rest @ ..] => {
            let of_the_device = match rest {
                [message, operation] => message.text() == Some("response") || operation.text() == Some("send"),
                _ => true,
            };
            let time = current_time(paths, values).filter(|_| of_the_device)?;
            let id = match endpoint.text() {
                Some(endpoint) => {
                    Identity::at(&lwm2m::ENDPOINT, Server::Address(event.receiver.ip), IdentityValue::Text(endpoint))
                }
                None => Identity::ip(event.sender.ip),
            };
            Some((name(id), time, "lwm2m.values.value"))
        }
        _ => None,
    }
}

/// Resource 13 of the device object: seconds since 1970 (LwM2M Core 1.1 Appendix E.4).
fn current_time(paths: &OwnedValue, values: &OwnedValue) -> Option<i64> {
    let at = paths.texts().position(|path| path == "/3/0/13")?;
    let text = values.texts().nth(at)?;
    text.parse::<i64>().ok().or_else(|| told::seconds(text))
}

/// How a clock is wrong, in words.
fn how(ahead: i64, said: i64) -> String {
    /// Days after which a clock that began at its epoch was probably set once.
    const JUST_BEGUN: i64 = 2 * 366 * 86_400;
    /// Seconds since 1970 of 1980-01-06 (GPS) and 2000-01-01: where clocks begin that were never set, besides 1970.
    const EPOCHS: [i64; 3] = [0, 315_964_800, 946_684_800];
    let day = |seconds: i64| {
        let text = Timestamp::from_parts(u64::try_from(seconds).unwrap_or(0), 0).to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    };
    let (size, way) = (ahead.unsigned_abs(), if ahead < 0 { "behind" } else { "ahead" });
    if EPOCHS.iter().any(|epoch| (*epoch..epoch + JUST_BEGUN).contains(&said)) {
        return format!("it says {}, where clocks begin that were never set", day(said));
    }
    // Zones differ by quarters of an hour, at most 14 hours; two minutes are left for the clock itself.
    let beside = size % 900;
    if size <= 14 * 3_600 + 120 && beside.min(900 - beside) <= 120 {
        let minutes = (size + 450) / 900 * 15;
        return format!("it is {} {way}, most likely because its time zone is wrong", hours(minutes));
    }
    match size / 86_400 {
        0 => format!("it is {} {way}", hours(size / 60)),
        1 => format!("it is more than a day {way}"),
        days => format!("it is {days} days {way}"),
    }
}

fn hours(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (1, 0) => "1 hour".into(),
        (hours, 0) => format!("{hours} hours"),
        (0, minutes) => format!("{minutes} minutes"),
        (1, minutes) => format!("1 hour and {minutes} minutes"),
        (hours, minutes) => format!("{hours} hours and {minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ahead: i64) -> Told {
        Told { last: Some((ahead, 1_777_874_400 + ahead)), evidence: Evidence::default() }
    }

    #[test]
    fn a_clock_is_wrong_only_where_others_agree_with_the_packets() {
        let clocks = Clocks::new(3_600, 2);
        let answer = |ahead, agreeing| clocks.answer(&told(ahead), agreeing).expect("an answer");
        assert!(matches!(answer(7_200, 2), Answer::Found(_)) && matches!(answer(-3_601, 2), Answer::Found(_)));
        assert!(matches!(answer(7_200, 1), Answer::Untested(_)), "the capture's times may be shifted");
        assert!(matches!(answer(3_600, 3), Answer::Clear(_)));
        assert!(matches!(answer(0, 2), Answer::Untested(_)), "there are but one other and itself");
    }

    #[test]
    fn how_a_clock_is_wrong_says_what_to_look_at() {
        let how = |ahead| how(ahead, 1_777_874_400 + ahead);
        assert_eq!(how(7_201), "it is 2 hours ahead, most likely because its time zone is wrong");
        assert_eq!(how(-12_610), "it is 3 hours and 30 minutes behind, most likely because its time zone is wrong");
        assert_eq!(how(-1_777_874_360), "it says 1970-01-01, where clocks begin that were never set");
        assert_eq!(how(946_684_900 - 1_777_874_400), "it says 2000-01-01, where clocks begin that were never set");
        assert_eq!(
            (how(5_000).as_str(), how(-400 * 86_400).as_str()),
            ("it is 1 hour and 23 minutes ahead", "it is 400 days behind")
        );
    }

    #[test]
    fn the_current_time_of_lwm2m_is_resource_13_of_the_device() {
        let texts = |texts: &[&str]| OwnedValue::Texts(texts.iter().map(|text| (*text).into()).collect());
        assert_eq!(current_time(&texts(&["/3/0/0", "/3/0/13"]), &texts(&["maker", "1777874400"])), Some(1_777_874_400));
        assert_eq!(current_time(&texts(&["/3/0/0"]), &texts(&["13"])), None);
    }
}
