//! Who does something to a device that did not do so before: writes, polls, commands, changes.

use super::{Judge, SeenRelation, WAITS, evidence, found, some_of, spoken};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::learned::{Kind, RelationKey, Standing};
use crate::findings::{Answer, CheckSpec, Severity, Verdict};
use crate::hot::owned::IdentityKey;
use crate::policy::Parameter;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    severity: fn(&Judge<'_>, &[&RelationKey]) -> Severity,
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
        severity: |judge, keys| if judge.polls_already(keys) { Severity::Medium } else { Severity::High },
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
        severity: |_, keys| if keys.iter().any(|key| is_drastic(&key.detail)) { Severity::High } else { Severity::Medium },
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
    pub(super) fn pairs(&mut self) {
        QUESTIONS.iter().for_each(|question| self.ask(question));
    }

    /// Whether the client was a known reader of the device.
    fn polls_already(&self, keys: &[&RelationKey]) -> bool {
        keys.first().is_some_and(|key| {
            let learned = self.standing(&[Kind::Polls], &key.actor, &key.target) == Some(Standing::Learned);
            let earlier = self.first_day(&[Kind::Polls], &key.actor, &key.target);
            learned || (earlier > 0 && earlier < self.first_day(&[Kind::Writes], &key.actor, &key.target))
        })
    }

    fn ask(&mut self, question: &Question) {
        let mut pairs: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<RelationKey>>> = BTreeMap::new();
        for (key, seen) in self.of_kind(question.kind) {
            if seen.target_device.is_some() {
                pairs.entry(key.target.clone()).or_default().entry(key.actor.clone()).or_default().push(key.clone());
            }
        }
        for (target, actors) in pairs {
            self.ask_of(question, &target, actors);
        }
    }

    fn ask_of(&mut self, question: &Question, target: &str, actors: BTreeMap<Arc<str>, Vec<RelationKey>>) {
        let learning_days = self.number(question.days);
        let (days, frozen) = (self.days_of(target), self.is_frozen(target));
        let state = |actor: &str| match self.standing(question.known_by, actor, target) {
            Some(Standing::Learned) => State::Known,
            Some(Standing::Deviation) => State::New,
            None if frozen || days.before(self.first_day(question.known_by, actor, target)) >= learning_days => State::New,
            None => State::Learning,
        };
        let states: BTreeMap<&str, State> = actors.keys().map(|actor| (&**actor, state(actor))).collect();
        let mut known: BTreeSet<&str> =
            states.iter().filter(|(_, state)| **state != State::New).map(|(actor, _)| *actor).collect();
        let before = self.before.get(&(question.kind, target)).into_iter().flatten();
        known.extend(before.filter(|(_, known)| known.standing == Standing::Learned).map(|(key, _)| &*key.actor));
        let crowd = question.crowd.is_some_and(|most| known.len() > self.number(most) as usize);
        let before = self.before.get(&(question.kind, target)).into_iter().flatten();
        let waiting = before.into_iter().any(|(_, known)| known.standing == Standing::Deviation) && question.unless.is_none();
        let mut told = Vec::new();
        for (actor, keys) in &actors {
            let again = question.unless.is_some_and(|kind| {
                self.is_told(kind, actor, target) || (kind == Kind::Manages && self.first_day(&[kind], actor, target) > 0)
            });
            if states.get(&**actor) == Some(&State::New) && !crowd {
                told.push((keys, again));
            }
        }
        let subject = actors.values().flatten().find_map(|key| self.seen.get(key)?.target_device.cloned());
        let Some(subject) = subject else { return };
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        for (keys, again) in &told {
            new.extend(keys.iter().cloned());
            if !again {
                verdicts.push(self.found_pair(question, keys, subject.clone()));
            }
        }
        if verdicts.is_empty() {
            let known = match known.len() {
                1 => "1 client is known to do so".to_owned(),
                more => format!("{more} clients are known to do so"),
            };
            let answer = match told.is_empty() {
                false => Answer::Clear("what is new is told under another check".into()),
                true if waiting => Answer::Untested(WAITS.into()),
                true => self.not_found(days, frozen, learning_days, &known),
            };
            verdicts.push(Verdict { check: question.check, subject, answer });
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }

    /// Whether a pair is told of under a kind.
    fn is_told(&self, kind: Kind, actor: &Arc<str>, target: &str) -> bool {
        let first = RelationKey { kind, actor: actor.clone(), target: target.into(), detail: "".into() };
        let next = self.judged.new.range(first..).next();
        next.is_some_and(|key| key.kind == kind && key.actor == *actor && *key.target == *target)
    }

    fn found_pair(&self, question: &Question, keys: &[RelationKey], subject: IdentityKey) -> Verdict {
        let seen: Vec<&SeenRelation<'_>> = keys.iter().filter_map(|key| self.seen.get(key)).collect();
        let client = seen.first().map_or_else(String::new, |seen| spoken(&seen.actor.name));
        let details: Vec<&str> = keys.iter().map(|key| &*key.detail).collect();
        let arguments = vec![("_what", some_of(&details).into()), ("client", client.into())];
        let keys: Vec<&RelationKey> = keys.iter().collect();
        found(question.check, subject, (question.severity)(self, &keys), arguments, evidence(&seen, question.field))
    }
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
