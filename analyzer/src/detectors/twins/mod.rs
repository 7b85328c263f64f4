//! Two devices with one identity: a name that is used at two addresses at the same time.
//!
//! It turns connections and registrations into answers about names. That a name moves to another address is no finding: leases end and devices
//! roam. That it comes back to the first address while the second was in use is one: both had it. Names of LoRaWAN devices come by gateways, so
//! their addresses say nothing; the gateways' own are judged by `gateways`, which knows their clocks.

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use crate::policy::Parameter;
use citytap_sensor::observation::{Confidence, Identity, IdentityValue, Server};
use citytap_sensor::protocols::{lwm2m, mqtt};
use citytap_sensor::time::{SECOND, Timestamp};
use std::net::IpAddr;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "twins",
    checks: &[&ONE_NAME],
    interests: INTERESTS,
    parameters: &[&WITHIN],
    make: |making| Box::new(Twins::new(making.number(&WITHIN))),
};

const INTERESTS: &[Interest] =
    &[Interest::messages("mqtt.connect", &["client_id"]), Interest::messages("lwm2m.register", &["endpoint", "message"])];

/// How soon a name must come back.
pub static WITHIN: Parameter = Parameter {
    check: "one-name-at-two-addresses",
    name: "within_s",
    doc: "Seconds within which a name must be used at one address, at another, and at the first again.",
    shipped: 3_600,
    range: 1..=31 * 86_400,
};

/// A name at two addresses in turns.
pub static ONE_NAME: CheckSpec = CheckSpec {
    id: "one-name-at-two-addresses",
    title: "devices that share a name",
    finding: "Its name {_name} was used at {_a} and {_b} in turns.",
    action: "{devices} share their name with another address",
    remedy: "See whether there are two devices with this name: give each its own. If there is one only, find out who else uses its name.",
    why: "Whoever poses as a device gets its orders and can send what it likes in its name; of two honest ones neither works well.",
    references: &["ATT&CK for ICS T0849", "CWE-290"],
};

/// What is kept of a name: the last address, and the one before.
#[derive(Default)]
struct Used {
    now: Option<(IpAddr, Timestamp)>,
    before: Option<(IpAddr, Timestamp)>,
    /// The two addresses, once they came in turns.
    turns: Option<(IpAddr, IpAddr)>,
    evidence: Evidence,
}

struct Twins {
    names: Watched<IdentityKey, Used>,
    within: u64,
}

impl Twins {
    fn new(within_s: u64) -> Self {
        Self { names: Watched::new(SUBJECTS), within: within_s.saturating_mul(SECOND) }
    }
}

impl Detector for Twins {
    fn event(&mut self, event: &Event) {
        let Some(name) = name_in(event) else { return };
        let (within, address) = (self.within, event.sender.ip);
        self.names.entry(&name).into_iter().for_each(|used| used.take(address, event.seen, within));
    }

    fn verdicts(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (name, used) in self.names.iter() {
            let Some((last, _)) = used.now else { continue };
            // A name that the inventory has otherwise is told of by where it was last used.
            let subject = match inventory.device_of(name) {
                Some(_) => name.clone(),
                None => IdentityKey::new(&Identity::ip(last), name.network),
            };
            take(Verdict { check: &ONE_NAME, subject, answer: used.answer(name) });
        }
    }

    fn shed(&self) -> u64 {
        self.names.shed()
    }
}

/// The name that a message shows, by what its kind has first.
fn name_in(event: &Event) -> Option<IdentityKey> {
    let at = Server::Address(event.receiver.ip);
    let identity = match event.fields.as_slice() {
        [OwnedValue::Text(id)] => Identity::at(&mqtt::CLIENT, at, IdentityValue::Text(id)),
        [OwnedValue::Text(name), message] if message.text() == Some("request") => {
            Identity::at(&lwm2m::ENDPOINT, at, IdentityValue::Text(name))
        }
        _ => return None,
    };
    Some(IdentityKey::new(&identity, event.network))
}

impl Used {
    fn take(&mut self, address: IpAddr, seen: Seen, within: u64) {
        match self.now {
            Some((last, _)) if last == address => {}
            _ => {
                let came_back = self.before.filter(|(first, then)| *first == address && seen.time.since(*then) <= within);
                if let (Some((first, _)), Some((second, _))) = (came_back, self.now) {
                    self.turns.get_or_insert((first.min(second), first.max(second)));
                    self.evidence.add(seen, "flow.sender_ip");
                }
                self.before = self.now;
            }
        }
        self.now = Some((address, seen.time));
    }

    fn answer(&self, name: &IdentityKey) -> Answer {
        let Some((a, b)) = self.turns else { return Answer::Clear("it was used at one address at a time".into()) };
        Answer::Found(Found {
            severity: Severity::Low,
            confidence: Confidence::Possible,
            arguments: vec![("_a", a.to_string().into()), ("_b", b.to_string().into()), ("_name", name.value.to_string().into())],
            evidence: self.evidence.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::observation::Place;

    fn turns(addresses: &[(u64, u8)]) -> bool {
        let mut used = Used::default();
        for (frame, (second, last)) in (1..).zip(addresses) {
            let seen = Seen { place: Place { frame, sequence: 0 }, time: Timestamp::from_parts(*second, 0) };
            used.take(IpAddr::from([10, 0, 0, *last]), seen, 3_600 * SECOND);
        }
        used.turns.is_some()
    }

    #[test]
    fn a_name_that_moves_is_none_and_one_that_comes_back_is() {
        assert!(!turns(&[(0, 1), (60, 1), (120, 2), (180, 2)]), "a lease ended");
        assert!(!turns(&[(0, 1), (60, 2), (120, 3), (180, 4)]), "it roams");
        assert!(turns(&[(0, 1), (60, 2), (120, 1)]));
        assert!(turns(&[(0, 1), (60, 2), (3_600, 1)]) && !turns(&[(0, 1), (60, 2), (3_601, 1)]));
    }
}
