//! Networks that stay open for new devices longer than it takes to add one.
//!
//! It turns what Zigbee2MQTT says of its network into answers about the coordinator. What it says holds until it says otherwise, and it says so
//! at every change; copies for subscribers may be old and only count as long as nothing newer was said.

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use crate::policy::Parameter;
use citytap_sensor::observation::{Confidence, Identity, IdentityValue};
use citytap_sensor::protocols::zigbee2mqtt::IEEE_ADDRESS;
use citytap_sensor::time::{SECOND, Timestamp};

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "joining",
    checks: &[&OPEN],
    interests: &[Interest::messages("zigbee2mqtt.bridge", &["permit_join", "coordinator"])],
    parameters: &[&LONGER_THAN],
    make: |making| Box::new(Joining::new(making.number(&LONGER_THAN))),
};

/// How long a network may be open.
pub static LONGER_THAN: Parameter = Parameter {
    check: "zigbee2mqtt-open-for-joining",
    name: "longer_than_s",
    doc: "Seconds that a Zigbee network may be open for new devices; Zigbee2MQTT closes it after 254 by itself.",
    shipped: 600,
    range: 1..=31 * 86_400,
};

/// A Zigbee network that stays open.
pub static OPEN: CheckSpec = CheckSpec {
    id: "zigbee2mqtt-open-for-joining",
    title: "Zigbee networks open for new devices",
    finding: "Its Zigbee network let any new device join for {_minutes} minutes or more.",
    action: "{devices} let any new Zigbee device join for a long time",
    remedy: "Turn joining off once the new device is in: in the page of Zigbee2MQTT, and permit_join: false in its configuration.",
    why: "While it is open, anybody near by can bring in a device, and can read the key of the network as it joins.",
    references: &["ATT&CK for ICS T0860"],
};

#[derive(Default)]
struct Network {
    /// Since when it is open, where it is.
    open: Option<Seen>,
    evidence: Evidence,
}

struct Joining {
    networks: Watched<IdentityKey, Network>,
    longer_than: u64,
    now: Timestamp,
}

impl Joining {
    fn new(longer_than_s: u64) -> Self {
        Self { networks: Watched::new(SUBJECTS), longer_than: longer_than_s.saturating_mul(SECOND), now: Timestamp::default() }
    }
}

impl Detector for Joining {
    fn event(&mut self, event: &Event) {
        let [OwnedValue::Bool(open), OwnedValue::Unsigned(coordinator)] = event.fields.as_slice() else { return };
        self.now = self.now.max(event.seen.time);
        let id = IdentityKey::new(&Identity::new(&IEEE_ADDRESS, IdentityValue::Hex(*coordinator, 16)), event.network);
        let Some(network) = self.networks.entry(&id) else { return };
        match (*open, network.open) {
            (true, None) => network.open = Some(event.seen),
            (false, Some(since)) => {
                if event.seen.time.since(since.time) > self.longer_than {
                    network.evidence.add(since, FIELD);
                    network.evidence.add(event.seen, FIELD);
                }
                network.open = None;
            }
            _ => {}
        }
    }

    fn epoch(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (id, network) in self.networks.iter() {
            take(Verdict { check: &OPEN, subject: id.clone(), answer: network.answer(self.now, self.longer_than) });
        }
    }

    fn shed(&self) -> u64 {
        self.networks.shed()
    }
}

const FIELD: &str = "zigbee2mqtt.permit_join";

impl Network {
    fn answer(&self, now: Timestamp, longer_than: u64) -> Answer {
        let mut evidence = self.evidence.clone();
        let running = self.open.map_or(0, |since| now.since(since.time));
        if running > longer_than {
            self.open.into_iter().for_each(|since| evidence.add(since, FIELD));
        }
        if evidence.count == 0 {
            return match self.open {
                None => Answer::Clear("it says that no new device may join".into()),
                Some(_) => Answer::Untested("it is open for new devices, not for long yet".into()),
            };
        }
        // A sentence that stays the same while the network stays open.
        let minutes = (longer_than / SECOND).div_ceil(60);
        Answer::Found(Found {
            severity: Severity::Low,
            confidence: Confidence::Seen,
            arguments: vec![("_minutes", minutes.to_string().into())],
            evidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::flow::{Direction, Endpoint};
    use citytap_sensor::observation::Place;

    /// What is said at which second, and the end.
    fn answer(said: &[(u64, bool)], end: u64) -> Answer {
        let mut joining = Joining::new(600);
        for (frame, (second, open)) in (1..).zip(said) {
            joining.event(&Event {
                stages: 1,
                seen: Seen { place: Place { frame, sequence: 0 }, time: Timestamp::from_parts(*second, 0) },
                network: 0,
                sender: Endpoint::NONE,
                receiver: Endpoint::NONE,
                direction: Direction::ToServer,
                kind: SPEC.interests[0].kind_id(),
                fields: vec![OwnedValue::Bool(*open), OwnedValue::Unsigned(1)],
            });
        }
        joining.epoch(Timestamp::from_parts(end, 0));
        joining.networks.iter().next().map(|(_, network)| network.answer(joining.now, joining.longer_than)).expect("one")
    }

    #[test]
    fn open_for_long_is_a_finding_and_for_the_time_of_a_join_is_none() {
        assert!(matches!(answer(&[(0, false)], 9_999), Answer::Clear(_)));
        assert!(matches!(answer(&[(0, true), (254, false)], 9_999), Answer::Clear(_)));
        assert!(matches!(answer(&[(0, true)], 600), Answer::Untested(_)), "perhaps it closes in time");
        assert!(matches!(answer(&[(0, true), (300, true)], 601), Answer::Found(_)), "nobody said that it closed");
        assert!(matches!(answer(&[(0, true), (900, false)], 901), Answer::Found(_)), "it was open for long before");
    }
}
