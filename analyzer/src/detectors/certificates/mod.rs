//! Certificates that are not valid when they are shown: expired, or not yet valid.
//!
//! It turns certificate facts into answers about their bearers. Validity is held against packet time: a capture whose clock was never set says
//! nothing. Keys of certificates are the room of `credentials`; chains and revocation are not looked at.

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, OwnedFact, Seen};
use crate::inventory::Inventory;
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::{SECOND, Timestamp};

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "certificates",
    checks: &[&VALIDITY],
    interests: &[],
    parameters: &[],
    make: |_| Box::new(Certificates::new()),
};

/// A certificate that is not valid now.
pub static VALIDITY: CheckSpec = CheckSpec {
    id: "certificate-not-valid",
    title: "validity of certificates",
    finding: "Its certificate {state}: it is {_valid}.",
    action: "{devices} use a certificate that {state}",
    remedy: "Renew the certificate, and see that it is renewed in time from then on. If it is not valid yet, look at the clocks of both sides.",
    why: "Clients that check it no longer connect; those that connect do not check it, and would take anybody's.",
    references: &["CWE-298", "RFC 5280 §4.1.2.5", "ETSI EN 303 645 5.5-1"],
};

/// Packet times before 2010 are those of clocks that were never set: the first of these protocols' certificates are younger.
const TRUSTED: Timestamp = Timestamp(1_262_304_000 * SECOND);

/// Certificates kept of one bearer: by several names, and renewed ones.
const CERTIFICATES: usize = 8;

struct Certificates {
    bearers: Watched<IdentityKey, Vec<Shown>>,
    /// Certificates that made room for newer ones.
    shed: u64,
}

impl Certificates {
    fn new() -> Self {
        Self { bearers: Watched::new(SUBJECTS), shed: 0 }
    }
}

/// A certificate as it was last shown.
struct Shown {
    key: [u8; 32],
    valid: (i64, i64),
    state: State,
    evidence: Evidence,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Valid,
    Expired,
    Early,
    NoClock,
}

impl State {
    fn of((from, until): (i64, i64), now: Timestamp) -> Self {
        let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
        match () {
            () if now < TRUSTED => State::NoClock,
            () if seconds > until => State::Expired,
            () if seconds < from => State::Early,
            () => State::Valid,
        }
    }
}

impl Detector for Certificates {
    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        let OwnedFact::Certificate { id, spki_sha256, not_before, not_after, .. } = fact else { return };
        let Some(all) = self.bearers.entry(id) else { return };
        let valid = (*not_before, *not_after);
        let state = State::of(valid, seen.time);
        match all.iter_mut().find(|shown| shown.key == *spki_sha256 && shown.valid == valid) {
            Some(shown) if shown.state == state => shown.evidence.add(seen, FIELD),
            Some(shown) => (shown.state, shown.evidence) = (state, Evidence::one(seen, FIELD)),
            None => {
                if all.len() == CERTIFICATES {
                    all.remove(0);
                    self.shed += 1;
                }
                all.push(Shown { key: *spki_sha256, valid, state, evidence: Evidence::one(seen, FIELD) });
            }
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (id, all) in self.bearers.iter() {
            for shown in all {
                take(Verdict { check: &VALIDITY, subject: id.clone(), answer: shown.answer() });
            }
        }
    }

    fn shed(&self) -> u64 {
        self.bearers.shed() + self.shed
    }
}

const FIELD: &str = "certificate.not_after";

impl Shown {
    fn answer(&self) -> Answer {
        let found = |severity, state: &'static str, valid: String| {
            let arguments = vec![("_valid", valid.into()), ("state", state.into())];
            Answer::Found(Found { severity, confidence: Confidence::Seen, arguments, evidence: self.evidence.clone() })
        };
        match self.state {
            State::Valid => Answer::Clear(format!("it is valid until {}", day(self.valid.1)).into()),
            State::Expired => found(Severity::Medium, "has expired", format!("valid until {}", day(self.valid.1))),
            State::Early => found(Severity::Low, "is not valid yet", format!("valid from {}", day(self.valid.0))),
            State::NoClock => Answer::Untested("the capture's own clock was never set".into()),
        }
    }
}

/// The day of a time, as in `2026-11-20`; what lies before 1970 is that day.
fn day(seconds: i64) -> String {
    let text = Timestamp::from_parts(u64::try_from(seconds).unwrap_or(0), 0).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::observation::{Identity, Place};

    #[test]
    fn a_bearer_of_many_certificates_keeps_the_newest_and_the_others_are_counted() {
        let mut certificates = Certificates::new();
        let id = IdentityKey::new(&Identity::ip([10, 0, 0, 1].into()), 0);
        for number in 0..=CERTIFICATES as u8 {
            let text = || "".into();
            let fact = OwnedFact::Certificate {
                id: id.clone(),
                spki_sha256: [number; 32],
                subject: text(),
                issuer: text(),
                not_before: 1_700_000_000,
                not_after: 1_800_000_000,
            };
            let time = Timestamp::from_parts(1_750_000_000, 0);
            certificates.fact(&fact, Seen { place: Place { frame: 1, sequence: 0 }, time });
        }
        let kept: Vec<u8> = certificates.bearers.get(&id).into_iter().flatten().map(|shown| shown.key[0]).collect();
        assert_eq!((kept, certificates.shed()), ((1..=CERTIFICATES as u8).collect(), 1));
    }

    #[test]
    fn validity_is_held_against_packet_time() {
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        let valid = (1_700_000_000, 1_800_000_000);
        assert!(State::of(valid, at(1_700_000_000)) == State::Valid && State::of(valid, at(1_800_000_000)) == State::Valid);
        assert!(State::of(valid, at(1_800_000_001)) == State::Expired && State::of(valid, at(1_699_999_999)) == State::Early);
        assert!(State::of(valid, at(86_400)) == State::NoClock, "as after a power cut of the tap");
        assert_eq!((day(1_800_000_000).as_str(), day(-5).as_str()), ("2027-01-15", "1970-01-01"));
    }
}
