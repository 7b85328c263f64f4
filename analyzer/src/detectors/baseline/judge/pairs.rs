//! Who does something to a device that did not do so before: writes, polls, commands, changes.

use super::table::Rel;
use super::{Judge, Judged, SeenRelation, WAITS, evidence, found, some_of, spoken};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::learned::{Kind, Standing};
use crate::findings::{Answer, CheckSpec, Severity, Verdict};
use crate::hot::owned::IdentityKey;
use crate::policy::Parameter;
use std::collections::{BTreeMap, BTreeSet};

/// A relation as the run saw it.
type Row<'s> = (Rel, SeenRelation<'s>);

/// A question about who does something to a device.
struct Question {
    check: &'static CheckSpec,
    days: &'static Parameter,
    /// What is done.
    kind: Kind,
    /// Who did one of these is known.
    known_by: &'static [Kind],
    /// Where the same pair is told of this, the question is not asked again.
    unless: Option<Kind>,
    /// Known ones beyond which nobody is new.
    crowd: Option<&'static Parameter>,
    field: &'static str,
    severity: fn(&Judge<'_>, &[&Row<'_>]) -> Severity,
}

const QUESTIONS: &[Question] = &[
    Question {
        check: &checks::WRITER,
        days: &checks::WRITER_DAYS,
        kind: Kind::Writes,
        known_by: &[Kind::Writes],
        unless: None,
        crowd: None,
        field: "modbus.write",
        severity: |judge, rows| if judge.polls_already(rows) { Severity::Medium } else { Severity::High },
    },
    Question {
        check: &checks::MASTER,
        days: &checks::MASTER_DAYS,
        kind: Kind::Polls,
        known_by: &[Kind::Polls, Kind::Writes, Kind::Identifies],
        unless: Some(Kind::Writes),
        crowd: None,
        field: "modbus.function_code",
        severity: |_, _| Severity::Medium,
    },
    Question {
        check: &checks::IDENTIFIES,
        days: &checks::IDENTIFIES_DAYS,
        kind: Kind::Identifies,
        known_by: &[Kind::Identifies],
        unless: None,
        crowd: None,
        field: "modbus.function_code",
        severity: |_, _| Severity::Low,
    },
    Question {
        check: &checks::COMMANDER,
        days: &checks::COMMANDER_DAYS,
        kind: Kind::Commands,
        known_by: &[Kind::Commands],
        unless: None,
        crowd: None,
        field: "sparkplug.edge_node",
        severity: |_, _| Severity::High,
    },
    Question {
        check: &checks::MANAGER,
        days: &checks::MANAGER_DAYS,
        kind: Kind::Manages,
        known_by: &[Kind::Manages],
        unless: None,
        crowd: None,
        field: "lwm2m.operation",
        severity: |judge, rows| match rows.iter().any(|(rel, _)| is_drastic(judge.text(rel.detail))) {
            true => Severity::High,
            false => Severity::Medium,
        },
    },
    Question {
        check: &checks::CHANGES,
        days: &checks::CHANGES_DAYS,
        kind: Kind::Changes,
        known_by: &[Kind::Changes],
        unless: Some(Kind::Manages),
        crowd: Some(&checks::CHANGES_CROWD),
        field: "coap.method",
        severity: |_, _| Severity::Medium,
    },
];

/// Reboot, factory reset, and the object that locks and wipes.
fn is_drastic(detail: &str) -> bool {
    let path = detail.split_once(' ').map_or(detail, |(_, path)| path);
    path.starts_with("/3/0/4") || path.starts_with("/3/0/5") || path == "/8" || path.starts_with("/8/")
}

/// Where a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is known, or the same as known.
    Known,
    /// Too little is known to tell.
    Learning,
    /// It is new.
    New,
}

impl Judge<'_> {
    /// Asks all questions.
    pub(super) fn pairs(&self, judged: &mut Judged<'_>) {
        QUESTIONS.iter().for_each(|question| self.ask(question, judged));
    }

    /// Whether the client was a known reader of the device.
    fn polls_already(&self, rows: &[&Row<'_>]) -> bool {
        rows.first().is_some_and(|(rel, _)| {
            let learned = self.standing(&[Kind::Polls], rel.actor, rel.target) == Some(Standing::Learned);
            let earlier = self.first_day(&[Kind::Polls], rel.actor, rel.target);
            learned || (earlier > 0 && earlier < self.first_day(&[Kind::Writes], rel.actor, rel.target))
        })
    }

    fn ask(&self, question: &Question, judged: &mut Judged<'_>) {
        let rows: Vec<&Row<'_>> = self.seen.by_target(question.kind).filter(|(_, seen)| seen.to_device).collect();
        for of_target in rows.chunk_by(|a, b| a.0.target == b.0.target) {
            self.ask_of(question, of_target, judged);
        }
    }

    /// Asks about one device, by all that is done to it, in the order of who does it.
    fn ask_of(&self, question: &Question, rows: &[&Row<'_>], judged: &mut Judged<'_>) {
        let Some(target) = rows.first().map(|(rel, _)| rel.target) else { return };
        let learning_days = self.number(question.days);
        let (days, frozen) = (self.days_of(target), self.is_frozen(target));
        let state = |actor: u32| match self.standing(question.known_by, actor, target) {
            Some(Standing::Learned) => State::Known,
            Some(Standing::Deviation) => State::New,
            None if frozen || days.before(self.first_day(question.known_by, actor, target)) >= learning_days => State::New,
            None => State::Learning,
        };
        let states: BTreeMap<u32, State> = rows.iter().map(|(rel, _)| (rel.actor, state(rel.actor))).collect();
        let mut known: BTreeSet<u32> =
            states.iter().filter(|(_, state)| **state != State::New).map(|(actor, _)| *actor).collect();
        let before = || self.before.to_target(question.kind, target);
        known.extend(before().filter(|(_, known)| known.standing == Standing::Learned).map(|(rel, _)| rel.actor));
        let crowd = question.crowd.is_some_and(|most| known.len() > self.number(most) as usize);
        let waiting = question.unless.is_none() && before().any(|(_, known)| known.standing == Standing::Deviation);
        let mut told = Vec::new();
        for of_actor in rows.chunk_by(|a, b| a.0.actor == b.0.actor) {
            let Some((rel, _)) = of_actor.first() else { continue };
            let again = question.unless.is_some_and(|kind| {
                is_told(judged, kind, rel.actor, target)
                    || (kind == Kind::Manages && self.first_day(&[kind], rel.actor, target) > 0)
            });
            if states.get(&rel.actor) == Some(&State::New) && !crowd {
                told.push((of_actor, again));
            }
        }
        let Some(subject) = self.subject(target) else { return };
        for (rows, _) in told.iter().filter(|(_, again)| !again) {
            (judged.take)(self.found_pair(question, rows, subject.clone()));
        }
        if told.iter().all(|(_, again)| *again) {
            let known = match known.len() {
                1 => "1 client is known to do so".to_owned(),
                more => format!("{more} clients are known to do so"),
            };
            let answer = match told.is_empty() {
                false => Answer::Clear("what is new is told under another check".into()),
                true if waiting => Answer::Untested(WAITS.into()),
                true => self.not_found(days, frozen, learning_days, &known),
            };
            (judged.take)(Verdict { check: question.check, subject, answer });
        }
        judged.new.extend(told.iter().flat_map(|(rows, _)| *rows).map(|(rel, _)| *rel));
    }

    fn found_pair(&self, question: &Question, rows: &[&Row<'_>], subject: IdentityKey) -> Verdict {
        let seen: Vec<&SeenRelation<'_>> = rows.iter().map(|(_, seen)| seen).collect();
        let client = seen.first().map_or_else(String::new, |seen| spoken(&seen.actor.name));
        let details: Vec<&str> = rows.iter().map(|(rel, _)| self.text(rel.detail)).collect();
        let arguments = vec![("_what", some_of(&details).into()), ("client", client.into())];
        found(question.check, subject, (question.severity)(self, rows), arguments, evidence(&seen, question.field))
    }
}

/// Whether a pair is told of under a kind.
fn is_told(judged: &Judged<'_>, kind: Kind, actor: u32, target: u32) -> bool {
    let next = judged.new.range(Rel { kind, actor, target, detail: 0 }..).next();
    next.is_some_and(|rel| (rel.kind, rel.actor, rel.target) == (kind, actor, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_drastic_and_a_write_of_a_name_is_not() {
        assert!(is_drastic("execute /3/0/5") && is_drastic("execute /8/0/1"));
        assert!(!is_drastic("write /3/0/14") && !is_drastic("write /80/0/1"));
    }
}
