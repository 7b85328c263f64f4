//! Radio gateways that were not there, and devices that speak to somebody else than they did for long.

use super::table::Rel;
use super::{Judge, Judged, SeenRelation, WAITS, evidence, found};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::{Days, day_of};
use crate::detectors::baseline::learned::{Kind, Standing};
use crate::findings::{Answer, Argument, Severity, Verdict};
use std::collections::{BTreeMap, BTreeSet};

impl Judge<'_> {
    /// Gateways that were not there.
    pub(super) fn gateways(&self, judged: &mut Judged<'_>) {
        let learning_days = self.number(&checks::GATEWAY_DAYS);
        let mut servers: BTreeMap<u32, (Days, bool)> = BTreeMap::new();
        for (rel, seen) in self.seen.of_kind(Kind::Reports) {
            let Some(subject) = self.subject(rel.actor).filter(|_| seen.by_device) else { continue };
            let before = self.before.of_actor(Kind::Reports, rel.actor);
            let standing = before.iter().map(|(_, known)| known.standing).min();
            let (days, frozen) = *servers.entry(rel.target).or_insert_with(|| self.reported_to(rel.target));
            let enough = frozen || days.before(seen.day()) >= learning_days;
            let verdict = if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                judged.new.insert(*rel);
                let arguments: Vec<Argument> = vec![("server", seen.target_name().into())];
                found(&checks::GATEWAY, subject, Severity::Medium, arguments, evidence(&[seen], "gateway_eui"))
            } else {
                let answer = self.not_found(days, frozen, learning_days, "it is a known gateway");
                Verdict { check: &checks::GATEWAY, subject, answer }
            };
            (judged.take)(verdict);
        }
    }

    /// The days on which gateways reported to a server, and whether a frozen version in force knows one.
    fn reported_to(&self, server: u32) -> (Days, bool) {
        let before = || self.before.to_target(Kind::Reports, server).map(|(_, known)| known);
        let frozen = self.base.version().is_some() && before().any(|known| known.frozen.is_some());
        let of_run = self.seen.to_target(Kind::Reports, server).map(|(_, seen)| seen.row.days);
        (before().map(|known| known.days).chain(of_run).fold(Days::default(), Days::union), frozen)
    }

    /// Devices that spoke to the same few for long and now speak to somebody else.
    pub(super) fn peers(&self, judged: &mut Judged<'_>) {
        for of_actor in self.seen.of_kind(Kind::Talks).chunk_by(|a, b| a.0.actor == b.0.actor) {
            let mut rows: Vec<&(Rel, SeenRelation<'_>)> = of_actor.iter().filter(|(_, seen)| seen.by_device).collect();
            rows.sort_by_key(|(_, seen)| (seen.row.first.time, seen.row.first.place));
            if let Some((rel, _)) = rows.first() {
                self.peers_of(rel.actor, &rows, judged);
            }
        }
    }

    fn peers_of(&self, actor: u32, rows: &[&(Rel, SeenRelation<'_>)], judged: &mut Judged<'_>) {
        let (learning_days, most) = (self.number(&checks::PEER_DAYS), self.number(&checks::PEER_MOST) as usize);
        let (days, frozen) = (self.days_of(actor), self.is_frozen(actor));
        let before = self.before.of_actor(Kind::Talks, actor).iter();
        let mut peers: BTreeSet<(u32, u32)> = BTreeSet::new();
        let mut settled = 0;
        for (rel, known) in before.filter(|(_, known)| known.standing == Standing::Learned) {
            peers.insert((rel.target, rel.detail));
            settled = settled.max(day_of(known.first_seen));
        }
        let mut new: Vec<&(Rel, SeenRelation<'_>)> = Vec::new();
        for row in rows {
            let (rel, seen) = row;
            let standing = self.standing_of(rel);
            let day = seen.day();
            let few = peers.len() <= most;
            // Days that the device was active since it last made a new acquaintance.
            let quiet = days.before(day).saturating_sub(days.before(settled));
            let enough = few && (frozen || (!peers.is_empty() && quiet >= learning_days));
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                new.push(row);
            } else {
                if standing.is_none() {
                    settled = settled.max(day);
                }
                peers.insert((rel.target, rel.detail));
            }
        }
        let Some(subject) = self.subject(actor) else { return };
        for (rel, seen) in &new {
            let arguments = vec![("peer", seen.target_name().into()), ("protocol", self.text(rel.detail).to_owned().into())];
            let evidence = evidence(&[seen], "flow.server_ip");
            (judged.take)(found(&checks::PEER, subject.clone(), Severity::Low, arguments, evidence));
        }
        if new.is_empty() {
            let known = format!("{} peers are known", peers.len());
            let answer = match peers.len() > most {
                _ if self.waits(Kind::Talks, actor) => Answer::Untested(WAITS.into()),
                true => Answer::Untested("it speaks to so many that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &known),
            };
            (judged.take)(Verdict { check: &checks::PEER, subject, answer });
        }
        judged.new.extend(new.into_iter().map(|(rel, _)| *rel));
    }
}
