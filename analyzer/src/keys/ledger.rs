//! What was tried on the secrets of devices that are known by their address, and what came of it: the three answers.
//!
//! A device has as many secrets as it shows names of secrets to its peers: identities of pre-shared keys, sender IDs. What could not be
//! tested on one message is often tested on the next, so of each secret the best answer stands.

use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::{Confidence, Identity};
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

/// Devices with secrets: the devices of a city that speak CoAP under protection, and their servers.
pub const SUBJECTS: usize = 16_384;

/// Secrets of one device: a server may have one for each client; the clients are devices of their own and are tried too.
pub const SECRETS: usize = 64;

/// Messages on which one secret is tried, a day of packet time: one that fits proves, the others guard against damage.
pub const MESSAGES: u8 = 4;

/// A device: the address that it sends from.
pub type At = (NetworkId, IpAddr);

/// Where a secret was published: the list's name, and the origin in plain words.
pub type Known = (&'static str, &'static str);

/// What was not kept or not tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages of devices for which there was no room.
    pub subjects_refused: u64,
    /// Messages under secrets of one device for which there was no room.
    pub secrets_refused: u64,
    /// Messages passed over because enough others of the same secret were tried that day.
    pub passed_over: u64,
}

/// All devices with what is known of their secrets.
#[derive(Default)]
pub struct Ledger {
    subjects: HashMap<At, Subject, FixedState>,
    counts: Counts,
}

#[derive(Default)]
struct Subject {
    secrets: Vec<Tried>,
    known: Vec<(Known, Evidence)>,
    /// Why nothing could be tested, where not even the name of a secret was seen.
    nameless: Option<&'static str>,
    /// It has more secrets than are told apart.
    crowded: bool,
}

/// What came of one secret.
struct Tried {
    name: u64,
    day: u64,
    /// Messages tried on that day.
    today: u8,
    /// Messages ever tried.
    tested: u64,
    untested: &'static str,
}

impl Ledger {
    /// Whether a message may be tried under a secret; if so, it counts as tried.
    pub fn admits(&mut self, at: At, name: u64, seen: Seen) -> bool {
        let day = day(seen.time);
        let Some(tried) = self.entry(at, name) else { return false };
        if tried.day != day {
            (tried.day, tried.today) = (day, 0);
        }
        if tried.today >= MESSAGES {
            self.counts.passed_over += 1;
            return false;
        }
        tried.today += 1;
        true
    }

    /// A message that was tried: the secret stands on a list, or on none.
    pub fn tried(&mut self, at: At, name: u64, known: Option<Known>, seen: Seen, field: &'static str) {
        let Some(tried) = self.entry(at, name) else { return };
        tried.tested += 1;
        let Some(known) = known else { return };
        let Some(subject) = self.subjects.get_mut(&at) else { return };
        match subject.known.iter_mut().find(|(other, _)| *other == known) {
            Some((_, evidence)) => evidence.add(seen, field),
            // No more than there are rows in the lists.
            None => subject.known.push((known, Evidence::one(seen, field))),
        }
    }

    /// A message under a secret could not be tried.
    pub fn untested(&mut self, at: At, name: u64, why: &'static str) {
        if let Some(tried) = self.entry(at, name) {
            tried.untested = why;
        }
    }

    /// The device was heard, and not even the name of a secret was seen.
    pub fn nameless(&mut self, at: At, why: &'static str) {
        if let Some((subject, _)) = self.subject(at) {
            subject.nameless = Some(why);
        }
    }

    fn subject(&mut self, at: At) -> Option<(&mut Subject, &mut Counts)> {
        if self.subjects.len() >= SUBJECTS && !self.subjects.contains_key(&at) {
            self.counts.subjects_refused += 1;
            return None;
        }
        Some((self.subjects.entry(at).or_default(), &mut self.counts))
    }

    fn entry(&mut self, at: At, name: u64) -> Option<&mut Tried> {
        let (subject, counts) = self.subject(at)?;
        let place = match subject.secrets.iter().position(|tried| tried.name == name) {
            Some(place) => place,
            None if subject.secrets.len() >= SECRETS => {
                subject.crowded = true;
                counts.secrets_refused += 1;
                return None;
            }
            None => {
                subject.secrets.push(Tried { name, day: 0, today: 0, tested: 0, untested: "" });
                subject.secrets.len() - 1
            }
        };
        subject.secrets.get_mut(place)
    }

    /// What was not kept or not tried.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Hands over the answers to a check, in any order. `found` gives the arguments of a finding; `clear` says on how many messages it
    /// was tested.
    pub fn verdicts(
        &self,
        check: &'static CheckSpec,
        found: fn(Known) -> Vec<Argument>,
        clear: fn(u64) -> String,
        take: &mut dyn FnMut(Verdict),
    ) {
        for (&(network, ip), subject) in &self.subjects {
            let subject_key = IdentityKey::new(&Identity::ip(ip), network);
            let mut say = |answer| take(Verdict { check, subject: subject_key.clone(), answer });
            for (known, evidence) in &subject.known {
                let found = Found {
                    severity: Severity::Critical,
                    confidence: Confidence::Proved,
                    arguments: found(*known),
                    evidence: evidence.clone(),
                };
                say(Answer::Found(found));
            }
            if subject.known.is_empty() {
                say(subject.unknown(clear));
            }
        }
    }
}

impl Subject {
    /// The answer where no known secret was found.
    fn unknown(&self, clear: fn(u64) -> String) -> Answer {
        if let Some(tried) = self.secrets.iter().find(|tried| tried.tested == 0) {
            return Answer::Untested(tried.untested.into());
        }
        if self.crowded {
            let why = format!("it uses more than {SECRETS} secrets; the first {SECRETS} are on none of our lists");
            return Answer::Untested(why.into());
        }
        match self.nameless {
            Some(why) if self.secrets.is_empty() => Answer::Otherwise(why),
            _ => Answer::Clear(clear(self.secrets.iter().map(|tried| tried.tested).sum()).into()),
        }
    }
}

/// The name of a secret, as it is told apart.
pub fn name(of: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(of)
}

fn day(time: Timestamp) -> u64 {
    time.seconds() / 86_400
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::heard;
    use citytap_sensor::observation::Place;
    use citytap_sensor::time::SECOND;
    use std::net::Ipv4Addr;

    static CHECK: &CheckSpec = &super::super::oscore::checks::KNOWN_SECRET;

    fn at(number: u32) -> At {
        (0, IpAddr::V4(Ipv4Addr::from(number)))
    }

    fn seen(seconds: u64) -> Seen {
        Seen { place: Place { frame: seconds, sequence: 0 }, time: Timestamp(seconds * SECOND) }
    }

    fn answers(ledger: &Ledger) -> Vec<String> {
        let arguments = |(list, _): Known| vec![("list", list.into())];
        let verdicts = heard(|take| ledger.verdicts(CHECK, arguments, |tested| format!("{tested} messages"), take));
        let shown = |verdict: Verdict| match verdict.answer {
            Answer::Found(found) => format!("found {} x{}", found.arguments[0].1, found.evidence.count),
            Answer::Clear(text) => format!("clear {text}"),
            Answer::Untested(text) => format!("untested {text}"),
            Answer::Otherwise(text) => format!("otherwise {text}"),
            Answer::Presumed(..) => "presumed".into(),
        };
        verdicts.into_iter().map(shown).collect()
    }

    #[test]
    fn of_each_secret_the_best_answer_stands() {
        let mut ledger = Ledger::default();
        ledger.nameless(at(1), "nothing seen");
        assert_eq!(answers(&ledger), ["otherwise nothing seen"]);
        ledger.untested(at(1), 7, "in pieces");
        assert_eq!(answers(&ledger), ["untested in pieces"]);
        ledger.tried(at(1), 7, None, seen(1), "a.b");
        ledger.untested(at(1), 7, "in pieces");
        assert_eq!(answers(&ledger), ["clear 1 messages"]);
        ledger.untested(at(1), 8, "in pieces");
        assert_eq!(answers(&ledger), ["untested in pieces"]);
        ledger.tried(at(1), 8, Some(("a-list", "somewhere")), seen(2), "a.b");
        ledger.tried(at(1), 8, Some(("a-list", "somewhere")), seen(3), "a.b");
        assert_eq!(answers(&ledger), ["found a-list x2"]);
    }

    #[test]
    fn a_secret_is_tried_on_some_messages_a_day() {
        let mut ledger = Ledger::default();
        let admitted =
            |ledger: &mut Ledger, from| (from..from + 20).filter(|&second| ledger.admits(at(1), 7, seen(second))).count();
        assert_eq!(admitted(&mut ledger, 1), usize::from(MESSAGES));
        assert_eq!(admitted(&mut ledger, 100), 0);
        assert_eq!(admitted(&mut ledger, 86_401), usize::from(MESSAGES));
        assert_eq!(ledger.counts(), Counts { passed_over: 60 - 2 * u64::from(MESSAGES), ..Counts::default() });
    }

    #[test]
    fn devices_and_secrets_beyond_the_bounds_are_counted() {
        let mut ledger = Ledger::default();
        for name in 0..SECRETS as u64 + 3 {
            if ledger.admits(at(0), name, seen(1)) {
                ledger.tried(at(0), name, None, seen(1), "a.b");
            }
        }
        assert_eq!(answers(&ledger), ["untested it uses more than 64 secrets; the first 64 are on none of our lists"]);
        for number in 1..SUBJECTS as u32 + 5 {
            ledger.nameless(at(number), "nothing seen");
            ledger.untested(at(number), 1, "in pieces");
        }
        let wanted = Counts { subjects_refused: 10, secrets_refused: 3, passed_over: 0 };
        assert_eq!((ledger.counts(), ledger.subjects.len()), (wanted, SUBJECTS));
    }
}
