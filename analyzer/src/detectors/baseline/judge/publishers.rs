//! Publishers on topics that were somebody else's.

use super::{Judge, SeenRelation, WAITS, evidence, found, some_of};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::Days;
use crate::detectors::baseline::learned::{Kind, RelationKey, Standing};
use crate::detectors::baseline::relations::MANY;
use crate::findings::{Answer, Severity, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Who published on each topic of each broker: broker and topic, then publisher.
type Owners<'j> = BTreeMap<(&'j str, &'j str), BTreeMap<&'j str, Owner>>;

/// How well somebody is known to publish on a topic.
#[derive(Clone, Copy)]
struct Owner {
    days: Days,
    frozen: bool,
    standing: Standing,
}

/// What a publisher does.
#[derive(Default)]
struct Publisher<'j> {
    /// Topics that were somebody else's, with whose.
    taken: Vec<(&'j RelationKey, String)>,
    /// All its topics.
    topics: usize,
}

impl Judge<'_> {
    /// Publishers on topics that were somebody else's.
    pub(super) fn publishers(&mut self) {
        let learning_days = self.number(&checks::PUBLISHER_DAYS);
        let crowd = self.number(&checks::PUBLISHER_CROWD) as usize;
        // Who published on a topic: before, and in this run.
        let mut owners = Owners::new();
        let before = self.base.relations.iter().filter(|(key, _)| key.kind == Kind::Publishes);
        for (key, known) in before {
            let frozen = self.base.version().is_some() && known.frozen.is_some();
            let owner = Owner { days: known.days, frozen, standing: known.standing };
            owners.entry((&*key.target, &*key.detail)).or_default().insert(&*key.actor, owner);
        }
        for (key, seen) in self.of_kind(Kind::Publishes) {
            let of_topic = owners.entry((&*key.target, &*key.detail)).or_default();
            let fresh = Owner { days: Days::default(), frozen: false, standing: Standing::Learned };
            let owner = of_topic.entry(&*key.actor).or_insert(fresh);
            owner.days = owner.days.union(seen.row.days);
        }
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        let mut publishers: BTreeMap<&str, Publisher<'_>> = BTreeMap::new();
        for (key, seen) in self.of_kind(Kind::Publishes).filter(|(_, seen)| seen.actor_device.is_some()) {
            let entry = publishers.entry(&*key.actor).or_default();
            entry.topics += 1;
            let standing = self.base.relations.get(key).map(|known| known.standing);
            if standing == Some(Standing::Learned) || &*key.detail == MANY || key.detail.contains('+') {
                continue;
            }
            let Some(all) = owners.get(&(&*key.target, &*key.detail)) else { continue };
            let day = seen.day();
            let owns = |actor: &str, owner: &Owner| {
                let known = owner.frozen || owner.days.before(day) >= learning_days;
                actor != &*key.actor && owner.standing == Standing::Learned && known
            };
            let of_topic: Vec<&str> = all.iter().filter(|(actor, owner)| owns(actor, owner)).map(|(actor, _)| *actor).collect();
            let deviates = standing == Some(Standing::Deviation) || ((1..=crowd).contains(&of_topic.len()));
            if deviates {
                let owner = of_topic.first().map_or_else(|| "somebody else".to_owned(), |owner| self.name_of(owner));
                entry.taken.push((key, owner));
                new.insert(key.clone());
            }
        }
        for (actor, Publisher { taken, topics }) in publishers {
            let Some(subject) = self.parties.present.get(actor).map(|present| present.subject.clone()) else { continue };
            let verdict = if let Some((_, owner)) = taken.first() {
                let details: Vec<&str> = taken.iter().map(|(key, _)| &*key.detail).collect();
                let arguments = vec![("_owner", owner.clone().into()), ("_what", some_of(&details).into())];
                let seen: Vec<&SeenRelation<'_>> = taken.iter().filter_map(|(key, _)| self.seen.get(*key)).collect();
                found(&checks::PUBLISHER, subject, Severity::Medium, arguments, evidence(&seen, "mqtt.topic"))
            } else {
                let (days, frozen) = (self.days_of(actor), self.is_frozen(actor));
                let known = format!("{topics} topics are known as its own");
                let answer = match self.waits(Kind::Publishes, actor) {
                    true => Answer::Untested(WAITS.into()),
                    false => self.not_found(days, frozen, learning_days, &known),
                };
                Verdict { check: &checks::PUBLISHER, subject, answer }
            };
            verdicts.push(verdict);
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }
}
