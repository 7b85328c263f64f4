//! Radio gateways that were not there, and devices that speak to somebody else than they did for long.

use super::{Judge, SeenRelation, WAITS, evidence, found};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::{Days, day_of};
use crate::detectors::baseline::learned::{Kind, RelationKey, Standing};
use crate::findings::{Answer, Argument, Severity, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Judge<'_> {
    /// Gateways that were not there.
    pub(super) fn gateways(&mut self) {
        let learning_days = self.number(&checks::GATEWAY_DAYS);
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        for (key, seen) in self.of_kind(Kind::Reports) {
            let Some(subject) = seen.actor_device.cloned() else { continue };
            let standing = self.base.of_actor(Kind::Reports, &key.actor).map(|(_, known)| known.standing).min();
            let before = || self.before.get(&(Kind::Reports, &*key.target)).into_iter().flatten();
            let frozen = self.base.version().is_some() && before().any(|(_, known)| known.frozen.is_some());
            let of_run = self.of_kind(Kind::Reports).filter(|(other, _)| other.target == key.target);
            let days = before().map(|(_, known)| known.days).chain(of_run.map(|(_, seen)| seen.row.days));
            let days = days.fold(Days::default(), Days::union);
            let enough = frozen || days.before(seen.day()) >= learning_days;
            let verdict = if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                new.insert(key.clone());
                let arguments: Vec<Argument> = vec![("server", seen.target_name().into())];
                found(&checks::GATEWAY, subject, Severity::Medium, arguments, evidence(&[seen], "gateway_eui"))
            } else {
                let answer = self.not_found(days, frozen, learning_days, "it is a known gateway");
                Verdict { check: &checks::GATEWAY, subject, answer }
            };
            verdicts.push(verdict);
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }

    /// Devices that spoke to the same few for long and now speak to somebody else.
    pub(super) fn peers(&mut self) {
        let mut actors: BTreeMap<Arc<str>, Vec<RelationKey>> = BTreeMap::new();
        for (key, _) in self.of_kind(Kind::Talks).filter(|(_, seen)| seen.actor_device.is_some()) {
            actors.entry(key.actor.clone()).or_default().push(key.clone());
        }
        for (actor, mut keys) in actors {
            keys.sort_by_key(|key| self.seen.get(key).map(|seen| (seen.row.first.time, seen.row.first.place)));
            self.peers_of(&actor, &keys);
        }
    }

    fn peers_of(&mut self, actor: &str, keys: &[RelationKey]) {
        let (learning_days, most) = (self.number(&checks::PEER_DAYS), self.number(&checks::PEER_MOST) as usize);
        let (days, frozen) = (self.days_of(actor), self.is_frozen(actor));
        let learned = self.base.of_actor(Kind::Talks, actor).filter(|(_, known)| known.standing == Standing::Learned);
        let mut peers: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut settled = 0;
        for (key, known) in learned {
            peers.insert((&*key.target, &*key.detail));
            settled = settled.max(day_of(known.first_seen));
        }
        let mut new: Vec<(&RelationKey, &SeenRelation<'_>)> = Vec::new();
        for key in keys {
            let Some(seen) = self.seen.get(key) else { continue };
            let standing = self.base.relations.get(key).map(|known| known.standing);
            let day = seen.day();
            let few = peers.len() <= most;
            // Days that the device was active since it last made a new acquaintance.
            let quiet = days.before(day).saturating_sub(days.before(settled));
            let enough = few && (frozen || (!peers.is_empty() && quiet >= learning_days));
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                new.push((key, seen));
            } else {
                if standing.is_none() {
                    settled = settled.max(day);
                }
                peers.insert((&*key.target, &*key.detail));
            }
        }
        let Some(subject) = self.parties.present.get(actor).map(|present| present.subject.clone()) else { return };
        let mut verdicts = Vec::new();
        for (key, seen) in &new {
            let arguments = vec![("peer", seen.target_name().into()), ("protocol", key.detail.to_string().into())];
            verdicts.push(found(&checks::PEER, subject.clone(), Severity::Low, arguments, evidence(&[seen], "flow.server_ip")));
        }
        if verdicts.is_empty() {
            let known = format!("{} peers are known", peers.len());
            let answer = match peers.len() > most {
                _ if self.waits(Kind::Talks, actor) => Answer::Untested(WAITS.into()),
                true => Answer::Untested("it speaks to so many that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &known),
            };
            verdicts.push(Verdict { check: &checks::PEER, subject, answer });
        }
        let new: Vec<RelationKey> = new.into_iter().map(|(key, _)| key.clone()).collect();
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }
}
