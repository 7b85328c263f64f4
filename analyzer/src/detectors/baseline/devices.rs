//! What is said of devices themselves: new ones, silent ones.

use super::checks;
use super::days::{Days, day_of};
use super::judge::{found, shared, still_learning};
use super::learned::{Baseline, Party, Rhythm, Standing};
use super::parties::{Parties, Present};
use crate::findings::{Answer, Evidence, Severity, Verdict};
use crate::policy::Policy;
use citytap_sensor::time::Timestamp;
use std::collections::BTreeSet;

/// Times between from which on a rhythm says something.
const GAPS: u64 = 20;

/// The numbers that devices are judged by.
#[derive(Clone, Copy)]
pub struct Numbers {
    new_days: u32,
    silent_days: u32,
    periods: u64,
    at_least_s: u64,
    gone_ms: u64,
}

/// What a silence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing out of the usual.
    Usual,
    /// Longer than usual.
    Silent,
    /// So long that the device is gone.
    Gone,
}

impl Numbers {
    /// As a person set them.
    pub fn new(policy: &Policy) -> Self {
        let days = |parameter| u32::try_from(policy.number(parameter)).unwrap_or(u32::MAX);
        Self {
            new_days: days(&checks::NEW_DAYS),
            silent_days: days(&checks::SILENT_DAYS),
            periods: policy.number(&checks::SILENT_PERIODS),
            at_least_s: policy.number(&checks::SILENT_LEAST),
            gone_ms: policy.number(&checks::GONE_DAYS) * super::days::DAY_S * 1000,
        }
    }

    /// What the silence of a party is that this run did not hear.
    pub fn silence_of(&self, party: &Party) -> Silence {
        let enough = party.known.days.count() >= self.silent_days && party.lasting;
        match enough {
            true if party.unseen_ms >= self.gone_ms => Silence::Gone,
            true if self.is_broken(party.rhythm, party.unseen_ms) => Silence::Silent,
            _ => Silence::Usual,
        }
    }

    fn is_broken(&self, rhythm: Rhythm, silence_ms: u64) -> bool {
        rhythm.gaps >= GAPS && rhythm.is_broken_by(silence_ms, self.periods, self.at_least_s)
    }
}

/// What is known of the time before and during a run.
pub struct Memory<'b> {
    /// What earlier runs learned.
    pub base: &'b Baseline,
    /// Days on which anything was observed, this run's included.
    pub days: Days,
}

/// Whether a device deviates by being here.
pub fn is_new(present: &Present<'_>, before: Option<&Party>, memory: &Memory<'_>, numbers: &Numbers) -> bool {
    let base = memory.base;
    let Some(first) = present.first.filter(|_| !present.provisional && present.lasting) else { return false };
    match before {
        // Who was told of for so many days is no news, unless a person froze what is normal.
        Some(party) => {
            let days = party.known.days.union(present.days).count();
            party.known.standing == Standing::Deviation && (base.version().is_some() || days <= numbers.new_days)
        }
        None => base.version().is_some() || memory.days.before(day_of(first.time)) >= numbers.new_days,
    }
}

/// Answers about devices; `told`: those of which it is told elsewhere that they are new.
pub fn verdicts(
    parties: &Parties<'_>,
    memory: &Memory<'_>,
    numbers: &Numbers,
    told: &BTreeSet<u32>,
    take: &mut dyn FnMut(Verdict),
) {
    for (number, present) in parties.all() {
        let party = parties.known(*number);
        take(newness(present, party, memory, numbers, told.contains(number)));
        if let (Some(answer), true) = (silence(present, party, numbers), present.lasting) {
            take(Verdict { check: &checks::SILENT, subject: present.subject.clone(), answer });
        }
        if party.is_some_and(|party| party.unseen_ms >= numbers.gone_ms) && present.last.is_some() {
            let answer = Answer::Clear("it is heard again".into());
            take(Verdict { check: &checks::GONE, subject: present.subject.clone(), answer });
        }
    }
}

fn newness(present: &Present<'_>, before: Option<&Party>, memory: &Memory<'_>, numbers: &Numbers, told: bool) -> Verdict {
    let subject = present.subject.clone();
    let answer = match (is_new(present, before, memory, numbers), before) {
        (true, _) if told => Answer::Clear("that it is new is told under another check".into()),
        (true, _) => {
            let evidence = present.first.map(|first| Evidence::one(first, "first_seen")).unwrap_or_default();
            return found(&checks::NEW, subject, Severity::Info, Vec::new(), evidence);
        }
        (false, Some(party)) => Answer::Clear(shared(format!("it is known since {}", date_of(party.known.first_seen)))),
        (false, None) if present.provisional || !present.lasting => Answer::Untested("it has no name that lasts".into()),
        (false, None) => still_learning(memory.days, false, numbers.new_days)
            .unwrap_or_else(|| Answer::Clear("it was here when learning ended".into())),
    };
    Verdict { check: &checks::NEW, subject, answer }
}

fn silence(present: &Present<'_>, party: Option<&Party>, numbers: &Numbers) -> Option<Answer> {
    let last = present.last?;
    let days = party.map(|party| party.known.days).unwrap_or_default().union(present.days);
    if let Some(learning) = still_learning(days, false, numbers.silent_days) {
        return Some(learning);
    }
    let rhythm = rhythm_of(present, party);
    if rhythm.gaps < GAPS {
        return Some(Answer::Untested("it speaks too rarely to tell when it is silent".into()));
    }
    let usual = span(rhythm.period_ms);
    if !numbers.is_broken(rhythm, present.unseen_ms) {
        return Some(Answer::Clear(format!("it speaks every {usual} and last did on {}", minute_of(last.time)).into()));
    }
    let arguments = vec![("_period", usual.into()), ("_since", minute_of(last.time).into())];
    let verdict = found(&checks::SILENT, present.subject.clone(), Severity::Low, arguments, Evidence::one(last, "last_seen"));
    Some(verdict.answer)
}

/// How often a device speaks by all that is known: the time between the last word of earlier runs and the first of this one is one more.
pub fn rhythm_of(present: &Present<'_>, party: Option<&Party>) -> Rhythm {
    let Some(party) = party else { return present.rhythm };
    let mut before = party.rhythm;
    let between = party.unseen_ms.saturating_add(present.before_ms);
    // Who was never heard before was taken in while this run went on: its time does not begin before it spoke.
    if between > 0 && present.last.is_some() && party.known.minutes > 0 {
        before.gap(between);
    }
    before.and(present.rhythm)
}

/// A length of time in plain words.
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (number, unit) = match seconds {
        0..=119 => (seconds, "seconds"),
        120..=7_199 => (seconds / 60, "minutes"),
        7_200..=172_799 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit}")
}

/// `2026-05-04 06:00 UTC`.
pub fn minute_of(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// `2026-05-04`.
pub fn date_of(time: Timestamp) -> String {
    super::days::date(day_of(time))
}
