//! What the frames say of the keys that the owner configured, and whether such a key is public knowledge.
//!
//! A configured key is compared with the candidates themselves, byte by byte: where it makes the codes of a device's frames, nothing is
//! left to chance and no budget is needed. A key that makes none of the codes is told as wrong beside the answer that stands without it.

use super::audit::grouped;
use super::candidates::{Candidate, Candidates, Euis};
use super::key::Key;
use super::sessions::At;
use crate::findings::{Answer, Evidence, Found, Severity};
use crate::hot::owned::Seen;
use citytap_sensor::observation::Confidence;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whom a configured key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A device, by DevEUI.
    Device(u64),
    /// A session.
    Session(At),
}

/// What the frames of one device or session said of its configured key.
pub(super) struct Owner {
    /// The keys that made the codes of its frames, or that are to.
    keys: SmallVec<[Key; 1]>,
    /// Frames whose code it makes.
    evidence: Evidence,
    /// Frames whose code it does not make.
    misses: u64,
    /// Frames after which it is right: two where half a code is checked.
    needed: u64,
}

impl Owner {
    pub(super) fn new(keys: impl IntoIterator<Item = Key>, needed: u64) -> Self {
        Self { keys: keys.into_iter().collect(), evidence: Evidence::default(), misses: 0, needed }
    }

    /// One of the keys that may be its own makes the code of a frame: then that is the key.
    pub(super) fn fits_with(&mut self, key: &Key, seen: Seen) {
        self.keys = SmallVec::from_iter([key.clone()]);
        self.fits(seen);
    }

    /// Its key makes the code of a frame.
    pub(super) fn fits(&mut self, seen: Seen) {
        self.evidence.add(seen, "lorawan.mic");
    }

    /// Its key does not make the code of a frame.
    pub(super) fn misses(&mut self) {
        self.misses += 1;
    }

    /// Whether the key is the one in use.
    pub(super) fn is_right(&self) -> bool {
        self.evidence.count >= self.needed
    }

    /// Whether the key is the one in use and no other was: then none needs to be tried.
    pub(super) fn settles(&self) -> bool {
        self.is_right() && self.misses == 0
    }

    /// Whether frames were seen and the key makes none of their codes.
    pub(super) fn is_wrong(&self) -> bool {
        self.evidence.count == 0 && self.misses > 0
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The answer where this key is known. `before`: the answer without it. `listed`: the candidate that the key is.
    /// `frames`: what its frames are called, one and many. `compared`: how many keys it was compared with.
    pub(super) fn answer(
        &self,
        before: Answer,
        listed: Option<Candidate>,
        candidates: &Candidates,
        frames: [&str; 2],
        compared: u64,
    ) -> Answer {
        let counted = |count: u64| format!("{} {}", grouped(count), if count == 1 { frames[0] } else { frames[1] });
        if !self.is_right() {
            let text = |text: Cow<'static, str>| match self.misses {
                misses if self.is_wrong() => {
                    format!("{text}; the configured key is wrong: {} seen, and it makes the code of none", counted(misses)).into()
                }
                _ => text,
            };
            return match before {
                Answer::Clear(on) => Answer::Clear(text(on)),
                Answer::Untested(why) => Answer::Untested(text(why)),
                other => other,
            };
        }
        let right = counted(self.evidence.count);
        if let Some((list, origin)) = listed.and_then(|candidate| candidates.told(candidate)) {
            return Answer::Found(Found {
                severity: Severity::Critical,
                confidence: Confidence::Proved,
                arguments: vec![
                    ("_proof", format!("the configured key, which makes the code of {right}").into()),
                    ("list", list.into()),
                    ("origin", origin.into()),
                ],
                evidence: self.evidence.clone(),
            });
        }
        match before {
            // Another key was proved too: the device had it before, or has it since.
            Answer::Found(found) if found.confidence == Confidence::Proved || self.misses > 0 => Answer::Found(found),
            _ => {
                let others = match self.misses {
                    0 => String::new(),
                    misses => format!("; {} made with another key", counted(misses)),
                };
                let keys = grouped(compared);
                let tested = format!("the configured key makes the code of {right} and is none of {keys} known keys{others}");
                Answer::Clear(tested.into())
            }
        }
    }
}

/// Which of the configured keys are candidates. The EUIs are those of the join, for keys that follow from them.
pub(super) fn listed<'k>(
    configured: impl Iterator<Item = (Subject, &'k Key, Option<Euis>)>,
    candidates: &Candidates,
) -> BTreeMap<Subject, Candidate> {
    let mut configured: Vec<(Subject, &Key, Option<Euis>)> = configured.collect();
    configured.sort_by(|(a, x, _), (b, y, _)| x.bytes().cmp(y.bytes()).then(a.cmp(b)));
    let mut found = BTreeMap::new();
    if configured.is_empty() {
        return found;
    }
    let mut hit = |subject: Subject, candidate: Candidate| {
        let first = found.entry(subject).or_insert(candidate);
        *first = candidate.min(*first);
    };
    for (family, number) in candidates.families.iter().zip(0..) {
        if family.needs_euis() {
            for (subject, key, euis) in configured.iter().filter(|(.., euis)| euis.is_some()) {
                family.each(0..family.count, *euis, |index, made| {
                    if made == key.bytes() {
                        hit(*subject, Candidate { family: number, index });
                    }
                });
            }
            continue;
        }
        family.each(0..family.count, None, |index, made| {
            let from = configured.partition_point(|(_, key, _)| key.bytes() < made);
            for (subject, ..) in configured.iter().skip(from).take_while(|(_, key, _)| key.bytes() == made) {
                hit(*subject, Candidate { family: number, index });
            }
        });
    }
    found
}
