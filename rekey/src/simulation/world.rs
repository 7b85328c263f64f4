//! Everything around the host, and the judge.

use super::chance::Chance;
use super::device::{self, Answer, Device, FIRST, FIRST_VALUE, Value};
use super::host::{Disk, Host};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::rotation::{Approval, Class, Effect, Input, Outcome, Plan, Procedure, Rotation, State};
use crate::slot::{AcceptSet, Generation, RotationId, Slot, Step};
use crate::time::{Span, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

const REPORTING: Span = Span::seconds(60);
const SETTLES: Span = Span::seconds(150);
const OUTAGE: Span = Span::seconds(30);
/// When nothing goes wrong any more, and how long the story goes on after that.
const CALM: Span = Span::hours(2);
const AFTERWARDS: Span = Span::hours(2);
/// How long a verifier that holds one may need to find the device again: the circle's dwells with their doublings.
const SEARCH: Span = Span::hours(3);

/// How a story ended.
#[derive(Clone, Debug)]
pub struct Story {
    /// What the judge found first.
    pub violation: Option<String>,
    /// Where each rotation ended.
    pub ends: Vec<(Class, State)>,
    /// The longest silence that nobody but the module can have caused.
    pub silence: Span,
    /// Crashes and restores that the host went through.
    pub crashes: u32,
    /// Restores among them.
    pub restores: u32,
}

#[derive(Clone, Debug)]
enum Event {
    Tick,
    Report,
    Arrives { generation: Generation, value: Value, step: Step, life: u32, sent: Timestamp, told: bool },
    Restart { again: bool },
    Reverts { from: Value },
    Resets,
    Does { step: Step, effect: Effect, life: u32 },
    Ended { input: Input, life: u32 },
    Pushed(Evidence),
    Crash,
    Begins { lost: bool },
    Copied,
    Person,
    Visit { generation: Generation, rotation: RotationId },
}

/// The world.
pub struct World {
    now: Timestamp,
    order: u64,
    events: BinaryHeap<Reverse<(Timestamp, u64)>>,
    what: BTreeMap<u64, Event>,
    chance: Chance,
    host: Host,
    device: Device,
    /// What a verifier that is not ours holds.
    verifier: BTreeMap<Generation, Value>,
    ours: bool,
    log: Vec<Evidence>,
    gone: BTreeSet<Value>,
    cut_off_until: Timestamp,
    excused: Span,
    sessions: u64,
    trouble: u64,
    ends: Vec<(Class, State)>,
    silence: Span,
    crashes: u32,
    restores: u32,
    down_since: Timestamp,
    sensor: bool,
    trace: bool,
    /// What the judge found first.
    pub violation: Option<String>,
}

/// The story of this seed; `trace` prints it.
pub fn tell(seed: u64, trace: bool) -> Story {
    let mut world = World::new(seed, trace);
    world.run();
    let (violation, ends, silence) = (world.violation, world.ends, world.silence);
    Story { violation, ends, silence, crashes: world.crashes, restores: world.restores }
}

impl World {
    /// The world of this seed at its beginning.
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut chance = Chance::new(seed);
        let now = Timestamp(1_800_000_000_000_000_000);
        let falls_back = chance.percent(10);
        let plan = plan(&mut chance, 1, FIRST, Generation(2), AcceptSet::of([FIRST]), falls_back);
        let mut manners = device::manners(&mut chance, SETTLES, falls_back);
        if plan.class == Class::SelfReverting {
            manners.reverts_on_failures = Some(3);
        }
        let ours = plan.holds_both && chance.percent(50);
        let copies = chance.percent(60);
        let rotation = match Rotation::new(plan, now) {
            Ok(rotation) => rotation,
            Err(error) => unreachable!("{error}"),
        };
        let disk =
            Disk { rotation, secrets: BTreeMap::from([(FIRST, FIRST_VALUE)]), accepted: BTreeSet::from([FIRST]), version: 1 };
        let mut world = Self {
            now,
            order: 0,
            events: BinaryHeap::new(),
            what: BTreeMap::new(),
            host: Host::new(disk, copies),
            device: Device::new(FIRST_VALUE, manners, now),
            verifier: BTreeMap::from([(FIRST, FIRST_VALUE)]),
            ours,
            log: Vec::new(),
            gone: BTreeSet::new(),
            cut_off_until: now,
            excused: Span::ZERO,
            sessions: 1,
            trouble: [0, 3, 10, 25][usize::try_from(chance.below(4)).unwrap_or(0)],
            ends: Vec::new(),
            silence: Span::ZERO,
            crashes: 0,
            restores: 0,
            down_since: now,
            sensor: chance.percent(50),
            trace,
            violation: None,
            chance,
        };
        for (event, within) in [
            (Event::Report, 60),
            (Event::Tick, 10),
            (Event::Person, 60),
            (Event::Restart { again: true }, 1200),
            (Event::Copied, 300),
        ] {
            world.soon(event, Span::seconds(within));
        }
        if world.trouble > 0 {
            world.soon(Event::Crash, Span::seconds(1500));
        }
        if world.device.manners.factory_resets {
            world.soon(Event::Resets, Span::hours(2));
        }
        world
    }

    fn at(&mut self, at: Timestamp, event: Event) {
        self.order += 1;
        self.what.insert(self.order, event);
        self.events.push(Reverse((at, self.order)));
    }

    fn soon(&mut self, event: Event, within: Span) {
        let at = self.now.plus(self.chance.span(within));
        self.at(at, event);
    }

    fn is_calm(&self) -> bool {
        self.now.0 >= 1_800_000_000_000_000_000 + CALM.0
    }

    fn trouble(&mut self) -> bool {
        !self.is_calm() && self.chance.percent(self.trouble)
    }

    fn blame(&mut self, what: String) {
        if self.trace {
            println!("{} VIOLATION {what}", self.clock());
        }
        self.violation.get_or_insert(what);
    }

    fn clock(&self) -> i64 {
        (self.now.0 - 1_800_000_000_000_000_000) / 1_000_000_000
    }

    fn run(&mut self) {
        let end = Timestamp(1_800_000_000_000_000_000).plus(CALM).plus(AFTERWARDS);
        while let Some(Reverse((at, number))) = self.events.pop() {
            if at > end || self.violation.is_some() {
                break;
            }
            self.now = at;
            let Some(event) = self.what.remove(&number) else { continue };
            if self.trace && !matches!(event, Event::Tick) {
                println!("{} {event:?} [{} {:?}]", self.clock(), self.host.state(), self.host.disk.rotation.held());
            }
            self.happens(event);
        }
        self.now = end.max(self.now);
        self.ends.push((self.host.disk.rotation.plan.class, self.host.state()));
        let quiet = self.now.since(self.device.heard);
        if self.violation.is_none() && quiet > self.bound() {
            self.blame(format!("no data for {} s at the end", quiet.0 / 1_000_000_000));
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Tick => {
                if self.host.up {
                    self.input(&Input::Tick);
                }
                let due = self.host.disk.rotation.due();
                let next = due.max(self.now.plus(Span::seconds(1))).min(self.now.plus(Span::seconds(120)));
                self.at(next, Event::Tick);
            }
            Event::Report => self.reports(),
            Event::Arrives { generation, value, step, life, sent, told } => {
                self.arrives(generation, value, step, life, sent, told)
            }
            Event::Restart { again } => {
                self.device.restarts();
                self.sees(Evidence::Restarted { at: self.now });
                if again {
                    self.soon(Event::Restart { again }, Span::seconds(2400));
                }
            }
            Event::Reverts { from } => {
                if self.device.active == from {
                    self.device.reverts();
                }
            }
            Event::Resets => {
                self.device.resets();
                if !self.is_calm() {
                    self.soon(Event::Resets, Span::hours(2));
                }
            }
            Event::Does { step, effect, life } => self.does(step, effect, life),
            Event::Ended { input, life } => {
                if self.host.up && life == self.host.life {
                    self.input(&input);
                }
            }
            Event::Pushed(evidence) => {
                if self.host.up {
                    self.input(&Input::Seen(evidence));
                }
            }
            Event::Crash => self.crashes(),
            Event::Begins { lost } => self.begins(lost),
            Event::Copied => {
                self.host.copy = self.host.disk.clone();
                self.soon(Event::Copied, Span::seconds(600));
            }
            Event::Person => self.person(),
            Event::Visit { generation, rotation } => {
                let open = &self.host.disk.rotation;
                let valid = open.plan.id == rotation && open.target() == generation && !open.state().is_end()
                    || open.phase() == State::Reverting;
                if let Some(value) = self.host.disk.secrets.get(&generation).copied().filter(|_| valid && self.host.up) {
                    self.device.receives(value);
                    self.device.restarts();
                    self.sees(Evidence::Restarted { at: self.now });
                }
            }
        }
    }

    fn crashes(&mut self) {
        if self.is_calm() {
            return;
        }
        if self.host.up {
            self.crashes += 1;
            self.host.up = false;
            self.down_since = self.now;
            let lost = self.host.copies && self.chance.percent(40);
            let longest = Span::seconds(if self.chance.percent(80) { 20 } else { 900 });
            self.soon(Event::Begins { lost }, longest);
        }
        self.soon(Event::Crash, Span::seconds(3000));
    }

    fn begins(&mut self, lost: bool) {
        self.restores += u32::from(lost);
        self.excuse(self.now.since(self.down_since));
        let effects = self.host.begins(lost, self.now);
        if self.ours {
            let values = self.host.disk.accepted.iter().filter_map(|generation| self.host.disk.secrets.get(generation));
            if values.copied().any(|value| self.gone.contains(&value)) {
                self.blame("a retired secret is accepted again after a restore".to_owned());
            }
        }
        self.dispatch(effects);
    }

    /// Time that counts as nobody's silence.
    fn excuse(&mut self, by: Span) {
        // Up to a report goes by until it is over.
        self.excused = Span(self.excused.0 + by.0 + REPORTING.0);
    }

    fn input(&mut self, input: &Input) {
        let effects = self.host.step(input, self.now);
        self.dispatch(effects);
    }

    fn dispatch(&mut self, effects: Vec<(Step, Effect)>) {
        let life = self.host.life;
        for (step, effect) in effects {
            if self.trace {
                println!("{}   -> {step:?} {effect:?}", self.clock());
            }
            if !matches!(effect, Effect::Tell { .. }) {
                self.soon(Event::Does { step, effect, life }, Span::seconds(2));
            }
        }
    }

    fn ends(&mut self, step: Step, outcome: Outcome, life: u32) {
        let outcome = if self.trouble() { Outcome::Unknown { why: "lost".to_owned() } } else { outcome };
        self.soon(Event::Ended { input: Input::Outcome { step, outcome: outcome.clone() }, life }, Span::seconds(3));
        if self.trouble() {
            self.soon(Event::Ended { input: Input::Outcome { step, outcome }, life }, Span::seconds(60));
        }
    }

    fn does(&mut self, step: Step, effect: Effect, life: u32) {
        // What a process that died had begun may still take place, soon after.
        if life != self.host.life || !self.host.up {
            let began = self.chance.percent(50)
                && life + u32::from(self.host.up) == self.host.life
                && !self.ours
                && self.host.covers(&effect, step);
            if !began || matches!(effect, Effect::Stage { .. }) {
                return;
            }
        }
        if life == self.host.life && !self.host.covers(&effect, step) {
            if !self.host.disk.rotation.still_wants(&effect) {
                return self.soon(Event::Ended { input: Input::Withdrawn { step }, life }, Span::seconds(1));
            }
            self.at(self.now.plus(Span::seconds(10)), Event::Does { step, effect, life });
            return;
        }
        if self.trouble() && !matches!(effect, Effect::Stage { .. }) {
            let outcome = if self.chance.percent(50) {
                Outcome::Unknown { why: "not done".into() }
            } else {
                Outcome::Rejected { why: "no".into() }
            };
            match effect {
                Effect::ReadBack => {
                    self.soon(Event::Ended { input: Input::ReadBack { step, accepted: None }, life }, Span::seconds(3))
                }
                Effect::AskEvidence { .. } => {
                    let input = Input::Asked { step, seen: None, until: self.now };
                    self.soon(Event::Ended { input, life }, Span::seconds(3));
                }
                _ => self.ends(step, outcome, life),
            }
            return;
        }
        self.carries_out(step, effect, life);
    }

    fn carries_out(&mut self, step: Step, effect: Effect, life: u32) {
        match effect {
            Effect::Stage { generation } => {
                self.host.stage(generation);
                self.ends(step, Outcome::Done, life);
            }
            Effect::Accept { generation } => {
                self.verifier_takes(generation, false);
                self.ends(step, Outcome::Done, life);
            }
            Effect::Switch { to } => {
                self.verifier_takes(to, true);
                self.ends(step, Outcome::Done, life);
            }
            Effect::Deliver { to, .. } => self.sends(to, step, life),
            Effect::WorkOrder { generation } => {
                let rotation = self.host.disk.rotation.plan.id;
                self.soon(Event::Visit { generation, rotation }, Span::seconds(1800));
                self.ends(step, Outcome::Done, life);
            }
            Effect::ReadBack => {
                let held = if self.ours { self.host.disk.accepted.clone() } else { self.verifier.keys().copied().collect() };
                let accepted = Some(AcceptSet::of(held));
                self.soon(Event::Ended { input: Input::ReadBack { step, accepted }, life }, Span::seconds(2));
            }
            Effect::AskEvidence { since } => {
                let seen = Some(self.log.iter().filter(|evidence| evidence.at() >= since).copied().collect());
                let until = self.now;
                self.soon(Event::Ended { input: Input::Asked { step, seen, until }, life }, Span::seconds(2));
            }
            Effect::Retire { generation } => {
                let since = self.host.disk.rotation.unused_since();
                let used = |seen: &Evidence| matches!(seen, Evidence::Used(used) if used.generation == generation && Some(used.at) >= since);
                if since.is_some() && self.log.iter().any(used) {
                    return self.ends(step, Outcome::Rejected { why: "used again".into() }, life);
                }
                self.retires(generation);
                self.ends(step, Outcome::Done, life);
            }
            Effect::Quarantine { until } => {
                self.excuse(until.since(self.now));
                self.cut_off_until = until;
                self.ends(step, Outcome::Done, life);
            }
            Effect::Release => {
                self.cut_off_until = self.now;
                self.ends(step, Outcome::Done, life);
            }
            Effect::Tell { .. } => {}
        }
    }

    fn verifier_takes(&mut self, generation: Generation, instead: bool) {
        let Some(value) = self.host.disk.secrets.get(&generation).copied() else {
            return self.blame(format!("{generation} was to be accepted and its secret is forgotten"));
        };
        if self.gone.contains(&value) {
            return self.blame(format!("{generation} was retired and is accepted again"));
        }
        if instead {
            self.verifier.clear();
        }
        // As a verifier with user names does: one that is there stays as it is.
        self.verifier.entry(generation).or_insert(value);
    }

    fn retires(&mut self, generation: Generation) {
        let value = if self.ours { self.host.disk.secrets.get(&generation) } else { self.verifier.get(&generation) }.copied();
        if self.host.disk.rotation.plan.keep.contains(&generation) {
            self.blame(format!("{generation} was retired, and the device may fall back to it"));
        }
        self.verifier.remove(&generation);
        if self.ours {
            self.host.disk.accepted.remove(&generation);
            self.host.disk.version += 1;
        }
        self.gone.extend(value);
    }

    fn sends(&mut self, to: Generation, step: Step, life: u32) {
        if self.host.disk.rotation.plan.procedure == Procedure::SessionRekey {
            self.device.restarts();
            return self.ends(step, Outcome::Done, life);
        }
        let Some(value) = self.host.disk.secrets.get(&to).copied() else {
            return self.blame(format!("{to} was to be sent and its secret is forgotten"));
        };
        if self.gone.contains(&value) {
            self.blame(format!("{to} was retired and is sent again"));
        }
        let told = self.chance.percent(50);
        if !told {
            self.ends(step, Outcome::Sent, life);
        }
        let copies = if self.trouble() { 2 } else { 1 };
        if self.trouble() {
            return if told {
                self.ends(step, Outcome::Unknown { why: "no answer".into() }, life)
            };
        }
        for _ in 0..copies {
            let event = Event::Arrives { generation: to, value, step, life, sent: self.now, told };
            let longest = if self.trouble() { Span(SETTLES.0 * 9 / 10) } else { Span::seconds(5) };
            self.soon(event, longest);
        }
    }

    fn arrives(&mut self, generation: Generation, value: Value, step: Step, life: u32, sent: Timestamp, told: bool) {
        if self.device.session.is_none() || self.now < self.device.offline_until || self.now < self.cut_off_until {
            if self.now.since(sent) < Span(SETTLES.0 - 10_000_000_000) {
                let event = Event::Arrives { generation, value, step, life, sent, told };
                self.at(self.now.plus(Span::seconds(7)), event);
            } else if told {
                self.ends(step, Outcome::Unknown { why: "no answer".into() }, life);
            }
            return;
        }
        let answer = self.device.receives(value);
        let outcome = if answer == Answer::Refused { Outcome::Rejected { why: "refused".into() } } else { Outcome::Done };
        if told {
            self.ends(step, outcome, life);
        } else if answer != Answer::Refused && !self.trouble() {
            self.sees(Evidence::Acknowledged { generation, at: self.now });
        }
        if answer == Answer::Taken {
            if let Some(after) = self.device.manners.reverts_after {
                self.at(sent.plus(after).max(self.now), Event::Reverts { from: value });
            }
            if self.device.manners.restarts_on_adoption && !self.device.manners.forgets {
                self.at(self.now.plus(Span::seconds(3)), Event::Restart { again: false });
            }
            self.soon(Event::Report, Span::seconds(10));
        }
    }

    /// The verifier or the tap sees it; the host may be told at once, twice, or late.
    fn sees(&mut self, evidence: Evidence) {
        self.log.push(evidence);
        if self.log.len() > 400 {
            self.log.drain(..200);
        }
        for _ in 0..=u32::from(self.trouble()) {
            if self.chance.percent(60) {
                let late = if self.trouble() { SETTLES } else { Span::seconds(2) };
                self.soon(Event::Pushed(evidence), late);
            }
        }
    }

    fn generation_of(&self, value: Value) -> Option<Generation> {
        if self.ours {
            let accepted = &self.host.disk.accepted;
            return self.host.disk.secrets.iter().find(|(g, v)| **v == value && accepted.contains(g)).map(|(g, _)| *g);
        }
        self.verifier.iter().find(|(_, held)| **held == value).map(|(generation, _)| *generation)
    }

    fn reports(&mut self) {
        let period = Span(REPORTING.0 * 8 / 10 + self.chance.span(Span(REPORTING.0 * 2 / 10)).0);
        if !self.events.iter().any(|Reverse((at, number))| *at > self.now && matches!(self.what.get(number), Some(Event::Report)))
        {
            self.at(self.now.plus(period), Event::Report);
        }
        if self.now < self.device.offline_until || self.now < self.cut_off_until {
            return;
        }
        if self.trouble() && self.chance.percent(20) {
            let away = self.chance.span(Span::seconds(600));
            self.device.offline_until = self.now.plus(away);
            self.excuse(away);
            return;
        }
        if self.chance.percent(8) {
            self.device.session = None;
        }
        let value = self.device.active;
        if self.device.session.is_none_or(|(_, opened)| opened != value) && !self.connects(value) {
            return;
        }
        let Some((mark, opened)) = self.device.session else { return };
        self.silence();
        if let Some(generation) = self.generation_of(opened) {
            self.used(generation, mark, Reach::Data);
        }
    }

    fn connects(&mut self, value: Value) -> bool {
        if self.ours && !self.host.up {
            self.excuse(REPORTING);
            return false;
        }
        if self.device.unusable == Some(value) {
            self.device.fails();
            return false;
        }
        let Some(generation) = self.generation_of(value) else {
            self.sees(Evidence::Refused { at: self.now });
            if self.host.disk.rotation.plan.holds_both {
                self.blame(format!("the device is refused with {value:?}"));
            }
            self.device.fails();
            return false;
        };
        self.sessions += 1;
        self.device.session = Some((self.sessions, value));
        self.device.failures = 0;
        self.used(generation, self.sessions, Reach::Authenticated);
        true
    }

    fn used(&mut self, generation: Generation, session: u64, reach: Reach) {
        let at = self.now;
        self.sees(Evidence::Used(Use { generation, session, at, by: Witness::Verifier, reach }));
        if self.sensor && !self.trouble() {
            self.sees(Evidence::Used(Use { generation, session, at, by: Witness::Sensor, reach }));
        }
    }

    /// How long a silence may be that nobody excuses.
    fn bound(&self) -> Span {
        let plan = &self.host.disk.rotation.plan;
        // A device that cannot use what it took tries it three times, and reports before and after.
        let least = Span(REPORTING.0 * 6 + OUTAGE.0);
        if plan.holds_both || plan.procedure == Procedure::SessionRekey { least } else { Span(least.0 + SEARCH.0) }
    }

    fn silence(&mut self) {
        let quiet = Span(self.now.since(self.device.heard).0.saturating_sub(self.excused.0).max(0));
        self.silence = self.silence.max(quiet);
        if quiet > self.bound() {
            self.blame(format!("no data for {} s", quiet.0 / 1_000_000_000));
        }
        self.device.heard = self.now;
        self.excused = Span::ZERO;
    }

    fn person(&mut self) {
        self.soon(Event::Person, Span::seconds(600));
        if !self.host.up {
            return;
        }
        let state = self.host.state();
        if self.trace {
            println!("{} person looks at {state}: {:?}", self.clock(), self.host.disk.rotation.held());
        }
        if state == State::Planned || state == State::Grace {
            for what in [Approval::Rotate, Approval::MayLockOut, Approval::Retire] {
                for by in ["ada", "ben"] {
                    self.input(&Input::Approved { by: by.to_owned(), what });
                }
            }
        }
        if state == State::Held {
            match self.chance.below(10) {
                0..6 => self.input(&Input::Continue),
                6..8 => self.input(&Input::Revert),
                _ => {}
            }
        } else if state.is_end() && !self.is_calm() && self.ends.len() < 3 {
            self.plans_again();
        } else if self.trouble() {
            match self.chance.below(5) {
                0 => self.input(&Input::Hold { why: "a person".to_owned() }),
                1 => self.input(&Input::Revert),
                2 => self.input(&Input::Cancel),
                3 => self.input(&Input::Quarantine { until: self.now.plus(Span::seconds(120)) }),
                _ => self.input(&Input::Release),
            }
        }
    }

    /// Another rotation of the same slot, planned from what the verifier and the evidence say.
    fn plans_again(&mut self) {
        let old = &self.host.disk.rotation;
        let accepted: BTreeSet<Generation> =
            if self.ours { self.host.disk.accepted.clone() } else { self.verifier.keys().copied().collect() };
        let Some(from) = self.generation_of(self.device.active) else { return };
        let to = old.highest().next().max(accepted.last().copied().unwrap_or(FIRST).next());
        let (id, falls_back) = (old.plan.id.0 + 1, !old.plan.keep.is_empty());
        let (class, holds_both, procedure) = (old.plan.class, old.plan.holds_both, old.plan.procedure);
        let ended = (class, old.state());
        let mut plan = plan(&mut self.chance, id, from, to, AcceptSet::of(accepted), falls_back);
        (plan.class, plan.holds_both, plan.procedure) = (class, holds_both, procedure);
        if procedure == Procedure::SessionRekey {
            plan.to = plan.from;
        } else if plan.to == plan.from {
            plan.to = to;
        }
        let Ok(rotation) = Rotation::new(plan, self.now) else { return };
        self.ends.push(ended);
        self.host.disk.rotation = rotation;
        self.host.disk.version += 1;
        self.device.manners.cannot_use_first = false;
    }
}

fn plan(chance: &mut Chance, id: u64, from: Generation, to: Generation, accepted: AcceptSet, falls_back: bool) -> Plan {
    let class = match chance.below(10) {
        0..5 => Class::Overlap,
        5..7 if !falls_back => Class::SelfReverting,
        7..9 if !falls_back => Class::CutOver,
        9 => Class::SiteVisit,
        _ => Class::Overlap,
    };
    let holds_both = matches!(class, Class::Overlap | Class::SiteVisit);
    let procedure = match chance.below(10) {
        0 if class == Class::Overlap => Procedure::SessionRekey,
        1 if class == Class::Overlap => Procedure::CertificateRenewal,
        _ => Procedure::SharedSecretReplacement,
    };
    let session = procedure == Procedure::SessionRekey;
    let slot = match Slot::new("simulation", "dev1") {
        Ok(slot) => slot,
        Err(error) => unreachable!("{error}"),
    };
    Plan {
        id: RotationId(id),
        slot,
        device: "dev1".to_owned(),
        behind: None,
        class,
        procedure,
        holds_both,
        from,
        to: if session { from } else { to },
        accepted,
        keep: if falls_back { BTreeSet::from([FIRST]) } else { BTreeSet::new() },
        reporting: REPORTING,
        polls: Span::ZERO,
        settles: SETTLES,
        outage: OUTAGE,
        grace: Span(REPORTING.times(2).max(SETTLES).0 + chance.span(Span::seconds(300)).0),
        approvals: 2,
        retire_approvals: 2,
    }
}
