//! The rotation checked exhaustively for small bounds: every interleaving of one crash, loss or return to the old secret, effects that took place or
//! not, deliveries that come or not, reports, a reconnect and a restart, for a device that stores what it is sent and for one that forgets it.

use citytap_rekey::evidence::{Evidence, Reach, Use, Witness};
use citytap_rekey::rotation::admission::admits;
use citytap_rekey::rotation::{Approval, Class, Effect, Input, Outcome, Plan, Procedure, Rotation, State, step};
use citytap_rekey::slot::{AcceptSet, Generation, RotationId, Slot, Step};
use citytap_rekey::time::{Span, Timestamp};
use stateright::{Checker, Model, Property};
use std::collections::BTreeSet;

const OLD: Generation = Generation(1);
const NEW: Generation = Generation(2);

fn plan(device: &str, keep: &[Generation]) -> Plan {
    Plan {
        id: RotationId(1),
        slot: Slot::new("model", device).expect("a slot"),
        device: device.to_owned(),
        behind: None,
        class: Class::Overlap,
        procedure: Procedure::SharedSecretReplacement,
        holds_both: true,
        from: OLD,
        to: NEW,
        accepted: AcceptSet::of([OLD]),
        keep: keep.iter().copied().collect(),
        reporting: Span::seconds(50),
        polls: Span::ZERO,
        settles: Span::seconds(100),
        outage: Span::ZERO,
        grace: Span::seconds(100),
        approvals: 1,
        retire_approvals: 0,
    }
}

/// One device and its verifier, small.
struct Small {
    keep: &'static [Generation],
    reports: u8,
    restarts: u8,
    passes: u8,
    troubles: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    rotation: Rotation,
    doing: Option<(Step, Effect)>,
    accepts: BTreeSet<Generation>,
    active: Generation,
    stored: Generation,
    forgets: bool,
    underway: Option<(Generation, Timestamp)>,
    /// When what arrived last was sent.
    sent: Timestamp,
    session: u64,
    connected: bool,
    seen: Vec<Evidence>,
    now: Timestamp,
    passes: u8,
    reports: u8,
    restarts: u8,
    reconnects: u8,
    /// Crashes, losses, returns, resets so far.
    troubles: u8,
    refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    Succeeds,
    /// It took place and nobody knows.
    Unknown,
    /// It did not take place and nobody knows.
    Lost,
    /// The process ends before it took place, or after.
    Crash {
        done: bool,
    },
    Arrives,
    Report,
    /// The connection ends; the device does not.
    Reconnects,
    Restart,
    GoesBack,
    Passes,
}

impl World {
    /// Questions are answered, and secrets made, at once: they change nothing outside.
    fn takes(&mut self, input: &Input) {
        let mut input = input.clone();
        for _ in 0..20 {
            let (rotation, effects) = step(&self.rotation, &input, self.now);
            self.rotation = rotation;
            self.doing = effects.into_iter().find(|(_, effect)| !matches!(effect, Effect::Tell { .. }));
            match self.doing.take_if(|(_, effect)| !effect.is_external()) {
                Some((step, effect)) => input = self.done(step, &effect),
                None => return,
            }
        }
        panic!("it asks and asks: {:?}", self.rotation);
    }

    /// The effect takes place; the answer to it.
    fn done(&mut self, step: Step, effect: &Effect) -> Input {
        match effect {
            Effect::Accept { generation } => drop(self.accepts.insert(*generation)),
            Effect::Retire { generation } => drop(self.accepts.remove(generation)),
            Effect::Deliver { to, .. } => {
                self.underway = Some((*to, self.now));
                return Input::Outcome { step, outcome: Outcome::Sent };
            }
            Effect::ReadBack => return Input::ReadBack { step, accepted: Some(AcceptSet::of(self.accepts.clone())) },
            Effect::AskEvidence { .. } => return Input::Asked { step, seen: Some(self.seen.clone()), until: self.now },
            _ => {}
        }
        Input::Outcome { step, outcome: Outcome::Done }
    }

    fn report(&mut self) {
        if !self.accepts.contains(&self.active) {
            self.refused = true;
            return;
        }
        if !self.connected {
            self.session += 1;
            self.connected = true;
        }
        let (generation, session, at) = (self.active, self.session, self.now);
        let by = Witness::Verifier;
        self.seen.push(Evidence::Used(Use { generation, session, at, by, reach: Reach::Data }));
    }
}

impl Model for Small {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        let now = Timestamp(1_000_000_000_000);
        let mut rotation = Rotation::new(plan("dev1", self.keep), now).expect("a sound plan");
        (rotation, _) = step(&rotation, &Input::Tick, now);
        [false, true]
            .map(|forgets| {
                let mut world = World {
                    rotation: rotation.clone(),
                    doing: None,
                    accepts: BTreeSet::from([OLD]),
                    active: OLD,
                    stored: OLD,
                    forgets,
                    underway: None,
                    sent: now,
                    session: 0,
                    connected: true,
                    seen: Vec::new(),
                    now,
                    passes: 0,
                    reports: 0,
                    restarts: 0,
                    reconnects: 0,
                    troubles: 0,
                    refused: false,
                };
                world.takes(&Input::Approved { by: "ada".to_owned(), what: Approval::Rotate });
                world
            })
            .to_vec()
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.refused {
            return;
        }
        let trouble = world.troubles < self.troubles;
        if world.doing.is_some() {
            acts.push(Act::Succeeds);
            if trouble {
                acts.extend([Act::Unknown, Act::Lost, Act::Crash { done: true }, Act::Crash { done: false }]);
            }
        }
        if world.underway.is_some() && world.connected {
            acts.push(Act::Arrives);
        }
        if world.reports < self.reports {
            acts.push(Act::Report);
        }
        if world.restarts < self.restarts {
            acts.push(Act::Restart);
        }
        if world.connected && world.session > 0 && world.reconnects == 0 {
            acts.push(Act::Reconnects);
        }
        let settles = world.rotation.plan.settles;
        if trouble && world.active == NEW && world.now.since(world.sent) < settles {
            acts.push(Act::GoesBack);
        }
        if world.passes < self.passes && world.doing.is_none() {
            acts.push(Act::Passes);
        }
    }

    fn next_state(&self, last: &World, act: Act) -> Option<World> {
        let mut world = last.clone();
        if matches!(act, Act::Arrives | Act::Report | Act::Restart | Act::GoesBack) {
            world.now = world.now.plus(Span::seconds(1));
        }
        match act {
            Act::Succeeds => {
                let (step, effect) = world.doing.take()?;
                let input = world.done(step, &effect);
                world.takes(&input);
            }
            Act::Unknown | Act::Lost => {
                let (step, effect) = world.doing.take()?;
                world.troubles += 1;
                if act == Act::Unknown {
                    world.done(step, &effect);
                }
                world.takes(&Input::Outcome { step, outcome: Outcome::Unknown { why: String::new() } });
            }
            Act::Crash { done } => {
                let (step, effect) = world.doing.take()?;
                world.troubles += 1;
                if done {
                    world.done(step, &effect);
                }
                world.takes(&Input::Interrupted { step });
            }
            Act::Arrives => {
                let (generation, sent) = world.underway?;
                if world.now.since(sent) > world.rotation.plan.settles {
                    return None;
                }
                world.underway = None;
                world.sent = sent;
                world.active = generation;
                if !world.forgets {
                    world.stored = generation;
                }
                world.connected = false;
            }
            Act::Report => {
                world.reports += 1;
                world.report();
                if world.doing.is_none() {
                    world.takes(&Input::Tick);
                }
            }
            Act::Restart => {
                world.restarts += 1;
                world.active = world.stored;
                world.connected = false;
                world.seen.push(Evidence::Restarted { at: world.now });
            }
            Act::Reconnects => {
                world.reconnects += 1;
                world.connected = false;
            }
            Act::GoesBack => {
                world.troubles += 1;
                (world.active, world.stored, world.connected) = (OLD, OLD, false);
            }
            Act::Passes => {
                world.passes += 1;
                let due = world.rotation.due().min(world.now.plus(Span::seconds(110)));
                world.now = due.max(world.now.plus(Span::seconds(60)));
                world.takes(&Input::Tick);
            }
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "I1 the verifier accepts what the device uses and what it uses after a restart",
                |_, world: &World| {
                    world.accepts.contains(&world.active) && world.accepts.contains(&world.stored) && !world.refused
                },
            ),
            Property::always(
                "I4 the old one is refused only when the device would use the new one after any restart",
                |_, world: &World| {
                    world.accepts.contains(&OLD)
                        || world.stored == NEW && world.active == NEW && world.rotation.phase() >= State::Grace
                },
            ),
            Property::always("I5 what the device may fall back to stays", |model: &Self, world: &World| {
                model.keep.iter().all(|generation| world.accepts.contains(generation))
            }),
            Property::sometimes("it comes to an end", |model: &Self, world: &World| {
                world.rotation.state() == if model.keep.is_empty() { State::Retired } else { State::Kept }
            }),
        ]
    }
}

fn check(model: Small, least: usize) {
    let begun = std::time::Instant::now();
    let checker = model.checker().threads(2).target_state_count(20_000_000).spawn_bfs().join();
    assert!(checker.is_done() && checker.state_count() < 20_000_000, "not exhaustive: make the bounds smaller");
    println!("{:?}", begun.elapsed());
    println!("{} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
    assert!(
        checker.unique_state_count() >= least,
        "only {} states: the model does not go anywhere",
        checker.unique_state_count()
    );
}

#[test]
fn no_interleaving_locks_a_device_out() {
    check(Small { keep: &[], reports: 3, restarts: 1, passes: 3, troubles: 1 }, 5_000);
}

#[test]
fn no_interleaving_retires_what_the_device_falls_back_to() {
    check(Small { keep: &[OLD], reports: 3, restarts: 1, passes: 3, troubles: 1 }, 5_000);
}

/// Which rotations are open of a gateway and two devices behind it.
struct Chain;

impl Chain {
    fn plan(number: u8) -> Plan {
        let mut plan = plan(["gateway", "dev1", "dev2", "dev1"][usize::from(number)], &[]);
        plan.id = RotationId(u64::from(number) + 1);
        if number == 3 {
            plan.slot = Slot::new("other", "dev1").expect("a slot");
        }
        plan.behind = (number > 0).then(|| Slot::new("model", "gateway").expect("a slot"));
        plan
    }
}

impl Model for Chain {
    type State = BTreeSet<u8>;
    type Action = (bool, u8);

    fn init_states(&self) -> Vec<Self::State> {
        vec![BTreeSet::new()]
    }

    fn actions(&self, open: &Self::State, acts: &mut Vec<Self::Action>) {
        let plans: Vec<Plan> = open.iter().map(|number| Self::plan(*number)).collect();
        acts.extend((0..4).filter(|number| admits(&plans, &Self::plan(*number)).is_ok()).map(|number| (true, number)));
        acts.extend(open.iter().map(|number| (false, *number)));
    }

    fn next_state(&self, last: &Self::State, (begins, number): Self::Action) -> Option<Self::State> {
        let mut open = last.clone();
        if begins {
            open.insert(number)
        } else {
            open.remove(&number)
        };
        Some(open)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I7 one for a device", |_, open: &BTreeSet<u8>| !(open.contains(&1) && open.contains(&3))),
            Property::always("I7 never a gateway with what is behind it", |_, open: &BTreeSet<u8>| {
                !open.contains(&0) || open.len() == 1
            }),
            Property::sometimes("two devices behind a gateway at a time", |_, open: &BTreeSet<u8>| open.len() == 2),
        ]
    }
}

#[test]
fn no_order_of_beginnings_opens_a_gateway_with_its_devices() {
    Chain.checker().spawn_bfs().join().assert_properties();
}
