//! Publishers on topics that were somebody else's.

use super::table::Rel;
use super::{Judge, Judged, SeenRelation, WAITS, evidence, found, some_of};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::Days;
use crate::detectors::baseline::learned::{Kind, Standing};
use crate::detectors::baseline::relations::MANY;
use crate::findings::{Answer, Severity, Verdict};

/// How well somebody is known to publish on a topic.
#[derive(Clone, Copy)]
struct Owner {
    party: u32,
    days: Days,
    frozen: bool,
    standing: Standing,
}

/// Who published on each topic of each broker, before and in this run: broker and topic, then publisher, sorted.
struct Owners(Vec<((u32, u32), Owner)>);

impl Owners {
    fn of(&self, broker: u32, topic: u32) -> impl Iterator<Item = &Owner> {
        let first = self.0.partition_point(|(of, _)| *of < (broker, topic));
        let rest = self.0.get(first..).unwrap_or_default().iter();
        rest.take_while(move |(of, _)| *of == (broker, topic)).map(|(_, owner)| owner)
    }
}

impl Judge<'_> {
    /// Publishers on topics that were somebody else's.
    pub(super) fn publishers(&self, judged: &mut Judged<'_>) {
        let owners = self.owners();
        for of_actor in self.seen.of_kind(Kind::Publishes).chunk_by(|a, b| a.0.actor == b.0.actor) {
            let rows: Vec<&(Rel, SeenRelation<'_>)> = of_actor.iter().filter(|(_, seen)| seen.by_device).collect();
            self.topics_of(&rows, &owners, judged);
        }
    }

    fn owners(&self) -> Owners {
        let before = self.before.of_kind(Kind::Publishes).iter().map(|(rel, known)| {
            let frozen = self.base.version().is_some() && known.frozen.is_some();
            let owner = Owner { party: rel.actor, days: known.days, frozen, standing: known.standing };
            ((rel.target, rel.detail), owner)
        });
        let of_run = self.seen.of_kind(Kind::Publishes).iter().map(|(rel, seen)| {
            let owner = Owner { party: rel.actor, days: seen.row.days, frozen: false, standing: Standing::Learned };
            ((rel.target, rel.detail), owner)
        });
        let mut owners: Vec<_> = before.chain(of_run).collect();
        // What is known from before stands first, and says all but the days of this run.
        owners.sort_by_key(|(topic, owner)| (*topic, owner.party));
        owners.dedup_by(|later, kept| {
            let same = (later.0, later.1.party) == (kept.0, kept.1.party);
            if same {
                kept.1.days = kept.1.days.union(later.1.days);
            }
            same
        });
        Owners(owners)
    }

    /// By all the topics of one publisher.
    fn topics_of(&self, rows: &[&(Rel, SeenRelation<'_>)], owners: &Owners, judged: &mut Judged<'_>) {
        let Some((first, _)) = rows.first() else { return };
        let Some(subject) = self.subject(first.actor) else { return };
        let learning_days = self.number(&checks::PUBLISHER_DAYS);
        let crowd = self.number(&checks::PUBLISHER_CROWD) as usize;
        let mut taken: Vec<(&(Rel, SeenRelation<'_>), Option<u32>)> = Vec::new();
        for row in rows {
            let (rel, seen) = row;
            let (standing, topic) = (self.standing_of(rel), self.text(rel.detail));
            if standing == Some(Standing::Learned) || topic == MANY || topic.contains('+') {
                continue;
            }
            let day = seen.day();
            let owns = |owner: &&Owner| {
                let known = owner.frozen || owner.days.before(day) >= learning_days;
                owner.party != rel.actor && owner.standing == Standing::Learned && known
            };
            let of_topic: Vec<u32> = owners.of(rel.target, rel.detail).filter(owns).map(|owner| owner.party).collect();
            if standing == Some(Standing::Deviation) || (1..=crowd).contains(&of_topic.len()) {
                taken.push((row, of_topic.first().copied()));
                judged.new.insert(*rel);
            }
        }
        (judged.take)(if let Some((_, owner)) = taken.first() {
            let owner = owner.map_or_else(|| "somebody else".to_owned(), |owner| self.name_of(owner));
            let details: Vec<&str> = taken.iter().map(|((rel, _), _)| self.text(rel.detail)).collect();
            let arguments = vec![("_owner", owner.into()), ("_what", some_of(&details).into())];
            let seen: Vec<&SeenRelation<'_>> = taken.iter().map(|((_, seen), _)| seen).collect();
            found(&checks::PUBLISHER, subject, Severity::Medium, arguments, evidence(&seen, "mqtt.topic"))
        } else {
            let (days, frozen) = (self.days_of(first.actor), self.is_frozen(first.actor));
            let known = format!("{} topics are known as its own", rows.len());
            let answer = match self.waits(Kind::Publishes, first.actor) {
                true => Answer::Untested(WAITS.into()),
                false => self.not_found(days, frozen, learning_days, &known),
            };
            Verdict { check: &checks::PUBLISHER, subject, answer }
        });
    }
}
