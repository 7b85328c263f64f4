//! Single edges; the exhaustive model and the simulated world go through the rest.

use super::*;
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::slot::{AcceptSet, Generation, RotationId, Slot, Step};
use crate::time::{Span, Timestamp};
use std::collections::BTreeSet;

const START: Timestamp = Timestamp(1_800_000_000_000_000_000);
const OLD: Generation = Generation(1);
const NEW: Generation = Generation(2);

fn plan(class: Class) -> Plan {
    Plan {
        id: RotationId(1),
        slot: Slot::new("mosquitto", "dev1").unwrap(),
        device: "dev1".to_owned(),
        behind: None,
        class,
        procedure: Procedure::SharedSecretReplacement,
        holds_both: matches!(class, Class::Overlap | Class::SiteVisit),
        from: OLD,
        to: NEW,
        accepted: AcceptSet::of([OLD]),
        keep: BTreeSet::new(),
        reporting: Span::seconds(60),
        polls: Span::ZERO,
        settles: Span::seconds(60),
        outage: Span::seconds(30),
        grace: Span::seconds(600),
        approvals: 2,
        retire_approvals: 2,
    }
}

/// A rotation and a verifier that does what it is told.
struct Bench {
    rotation: Rotation,
    now: Timestamp,
    accepts: BTreeSet<Generation>,
    seen: Vec<Evidence>,
    delivery: Outcome,
    /// All that was asked for.
    done: Vec<Effect>,
    session: u64,
    /// Nothing is heard of these.
    unanswered: fn(&Effect) -> bool,
}

impl Bench {
    fn new(plan: Plan) -> Self {
        let rotation = Rotation::new(plan, START).unwrap();
        let (accepts, seen, done) = (BTreeSet::from([OLD]), Vec::new(), Vec::new());
        Self { rotation, now: START, accepts, seen, delivery: Outcome::Done, done, session: 0, unanswered: |_| false }
    }

    fn approved(plan: Plan) -> Self {
        let mut bench = Self::new(plan);
        bench.approve(&[Approval::Rotate, Approval::MayLockOut]);
        bench
    }

    fn approve(&mut self, what: &[Approval]) {
        for what in what {
            for by in ["ada", "ben"] {
                self.takes(Input::Approved { by: by.to_owned(), what: *what });
            }
        }
    }

    /// Takes an input and lets everything happen that follows at once.
    fn takes(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let (rotation, effects) = step(&self.rotation, &input, self.now);
            self.rotation = rotation;
            for (step, effect) in effects {
                self.done.push(effect.clone());
                inputs.extend(self.answers(step, effect));
            }
            assert!(self.done.len() < 3000, "no end: {:?}", self.rotation);
        }
    }

    fn answers(&mut self, step: Step, effect: Effect) -> Option<Input> {
        let mut outcome = Outcome::Done;
        match effect {
            Effect::Tell { .. } => return None,
            effect if (self.unanswered)(&effect) => return None,
            Effect::ReadBack => return Some(Input::ReadBack { step, accepted: Some(AcceptSet::of(self.accepts.clone())) }),
            Effect::AskEvidence { .. } => return Some(Input::Asked { step, seen: Some(self.seen.clone()), until: self.now }),
            Effect::Accept { generation } => drop(self.accepts.insert(generation)),
            Effect::Retire { generation } => drop(self.accepts.remove(&generation)),
            Effect::Switch { to } => self.accepts = BTreeSet::from([to]),
            Effect::Deliver { .. } => outcome = self.delivery.clone(),
            _ => {}
        }
        Some(Input::Outcome { step, outcome })
    }

    fn passes(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now = self.now.plus(Span::seconds(1));
            if self.rotation.due() <= self.now {
                self.takes(Input::Tick);
            }
        }
    }

    fn uses(&mut self, generation: Generation, again: bool) {
        self.session += u64::from(again);
        let (session, at) = (self.session, self.now);
        let used = Use { generation, session, at, by: Witness::Verifier, reach: Reach::Data };
        self.seen.push(Evidence::Used(used));
        self.takes(Input::Seen(Evidence::Used(used)));
    }

    fn restarts(&mut self) {
        let restarted = Evidence::Restarted { at: self.now };
        self.seen.push(restarted);
        self.takes(Input::Seen(restarted));
    }

    fn refused(&mut self) {
        let refused = Evidence::Refused { at: self.now };
        self.seen.push(refused);
        self.takes(Input::Seen(refused));
    }

    /// The device uses the new one, restarts, and uses it again.
    fn proves(&mut self) {
        for _ in 0..2 {
            self.passes(5);
            self.uses(self.rotation.target(), true);
            self.passes(5);
            self.restarts();
        }
        self.passes(5);
        self.uses(self.rotation.target(), true);
    }

    fn count(&self, what: impl Fn(&Effect) -> bool) -> usize {
        self.done.iter().filter(|effect| what(effect)).count()
    }
}

#[test]
fn a_shared_secret_is_replaced_step_by_step() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    assert_eq!(bench.rotation.state(), State::Acked);
    bench.passes(5);
    bench.uses(NEW, true);
    bench.passes(5);
    assert_eq!(bench.rotation.state(), State::Committed, "one session before any restart is not enough");
    bench.restarts();
    bench.passes(5);
    bench.uses(NEW, true);
    assert_eq!(bench.rotation.state(), State::Grace);
    bench.passes(590);
    bench.uses(NEW, false);
    bench.passes(60);
    assert_eq!(bench.rotation.state(), State::Grace, "nobody approved the retirement");
    bench.approve(&[Approval::Retire]);
    bench.passes(20);
    assert_eq!(bench.rotation.state(), State::Retired);
    assert_eq!(bench.accepts, BTreeSet::from([NEW]));
    let order: Vec<&Effect> = bench.done.iter().filter(|effect| effect.is_external()).collect();
    let deliver = Effect::Deliver { from: OLD, to: NEW };
    assert_eq!(order, [&Effect::Accept { generation: NEW }, &deliver, &Effect::Retire { generation: OLD }]);
    assert_eq!(bench.rotation.key_state(OLD), Some(KeyState::Deactivated));
    assert_eq!(bench.rotation.key_state(NEW), Some(KeyState::Active));
}

#[test]
fn a_plan_that_would_break_an_invariant_is_refused() {
    let sound = plan(Class::Overlap);
    let wrong = [
        Plan { grace: Span::seconds(100), ..sound.clone() },
        Plan { to: OLD, ..sound.clone() },
        Plan { accepted: AcceptSet { foreign: true, ..sound.accepted.clone() }, ..sound.clone() },
        Plan { from: Generation(7), ..sound.clone() },
        Plan { keep: BTreeSet::from([OLD]), ..plan(Class::CutOver) },
        Plan { holds_both: false, ..sound.clone() },
        Plan { approvals: 0, ..sound.clone() },
        Plan { procedure: Procedure::SessionRekey, ..sound.clone() },
    ];
    assert_eq!(sound.check(), Ok(()));
    wrong.iter().for_each(|plan| assert!(plan.check().is_err(), "{plan:?}"));
}

#[test]
fn a_plan_that_no_longer_fits_is_cancelled_before_anything_is_done() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.accepts.insert(Generation(9));
    bench.approve(&[Approval::Rotate]);
    assert_eq!(bench.rotation.state(), State::Cancelled);
    assert_eq!(bench.count(|effect| effect.is_external() || matches!(effect, Effect::Stage { .. })), 0);
}

#[test]
fn after_three_definite_rejections_a_new_generation_is_made_and_the_refused_one_stays_accepted() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.delivery = Outcome::Rejected { why: "too long".to_owned() };
    bench.approve(&[Approval::Rotate]);
    bench.passes(100);
    assert_eq!(bench.count(|effect| matches!(effect, Effect::Deliver { to: NEW, .. })), 3, "the same secret again");
    assert_eq!(bench.rotation.target(), Generation(3));
    assert!(bench.accepts.is_superset(&BTreeSet::from([OLD, NEW, Generation(3)])));
    bench.passes(2000);
    assert_eq!(bench.rotation.state(), State::Held, "in the end a person is asked");
    assert!(bench.accepts.contains(&OLD));
}

#[test]
fn an_outcome_that_nobody_knows_leads_to_a_question_and_the_same_secret_again() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.delivery = Outcome::Unknown { why: "no answer".to_owned() };
    bench.approve(&[Approval::Rotate]);
    bench.passes(3000);
    assert_eq!(bench.count(|effect| matches!(effect, Effect::Deliver { .. })), DELIVERIES_MAX as usize);
    assert_eq!(bench.count(|effect| matches!(effect, Effect::Stage { .. })), 1);
    assert_eq!((bench.rotation.state(), bench.accepts), (State::Held, BTreeSet::from([OLD, NEW])));
}

#[test]
fn a_cut_over_begins_only_when_two_said_that_it_may_lock_out() {
    let mut bench = Bench::new(plan(Class::CutOver));
    bench.approve(&[Approval::Rotate]);
    assert_eq!(bench.rotation.state(), State::Planned);
    bench.takes(Input::Approved { by: "ada".to_owned(), what: Approval::MayLockOut });
    bench.takes(Input::Approved { by: "ada".to_owned(), what: Approval::MayLockOut });
    assert_eq!(bench.rotation.state(), State::Planned, "one person twice is one person");
    bench.approve(&[Approval::MayLockOut]);
    assert_eq!(bench.rotation.state(), State::Acked);
    assert_eq!(bench.accepts, BTreeSet::from([OLD]), "the verifier waits for the device");
}

#[test]
fn a_refusal_after_the_delivery_switches_at_once_and_silence_switches_back() {
    let mut bench = Bench::approved(plan(Class::CutOver));
    bench.passes(10);
    bench.refused();
    assert_eq!(bench.accepts, BTreeSet::from([NEW]));
    bench.passes(130);
    assert_eq!(bench.accepts, BTreeSet::from([OLD]), "nobody succeeded with the new one");
}

#[test]
fn a_refusal_that_somebody_provokes_does_not_switch_away_from_a_device_that_is_well() {
    let mut bench = Bench::approved(plan(Class::CutOver));
    bench.passes(10);
    bench.refused();
    for _ in 0..100 {
        bench.passes(20);
        bench.refused();
        bench.passes(20);
        bench.uses(NEW, true);
    }
    assert_eq!(bench.accepts, BTreeSet::from([NEW]));
    assert_eq!(bench.count(|effect| matches!(effect, Effect::Switch { .. })), 1);
}

#[test]
fn a_use_of_the_old_generation_in_grace_begins_it_again() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.approve(&[Approval::Retire]);
    bench.proves();
    assert_eq!(bench.rotation.state(), State::Grace);
    bench.passes(550);
    bench.uses(OLD, true);
    assert_eq!(bench.rotation.state(), State::Committed);
    bench.proves();
    for _ in 0..10 {
        bench.passes(55);
        bench.uses(NEW, false);
    }
    assert_eq!(bench.rotation.state(), State::Grace, "the whole grace again");
    assert!(bench.accepts.contains(&OLD));
}

#[test]
fn a_silent_device_proves_nothing() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.approve(&[Approval::Retire]);
    bench.proves();
    bench.passes(5000);
    assert_eq!(bench.rotation.state(), State::Grace);
    assert_eq!(bench.accepts, BTreeSet::from([OLD, NEW]));
}

#[test]
fn a_leaked_key_that_somebody_else_uses_is_retired_by_two_people() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.proves();
    let both = |bench: &mut Bench| {
        for _ in 0..8 {
            bench.passes(30);
            bench.uses(OLD, true);
            bench.passes(30);
            bench.uses(NEW, true);
            bench.restarts();
        }
    };
    both(&mut bench);
    assert!(bench.accepts.contains(&OLD), "{:?}", bench.rotation.state());
    bench.takes(Input::Approved { by: "ada".to_owned(), what: Approval::RetireThoughUsed });
    both(&mut bench);
    assert!(bench.accepts.contains(&OLD), "one person is not enough");
    bench.approve(&[Approval::RetireThoughUsed]);
    for _ in 0..5 {
        bench.takes(Input::Continue);
        both(&mut bench);
    }
    assert_eq!((bench.rotation.state(), bench.accepts), (State::Retired, BTreeSet::from([NEW])));
}

#[test]
fn what_the_device_falls_back_to_is_kept() {
    let mut bench = Bench::approved(Plan { keep: BTreeSet::from([OLD]), ..plan(Class::Overlap) });
    bench.approve(&[Approval::Retire]);
    bench.proves();
    for _ in 0..12 {
        bench.passes(55);
        bench.uses(NEW, false);
    }
    assert_eq!((bench.rotation.state(), bench.accepts), (State::Kept, BTreeSet::from([OLD, NEW])));
}

#[test]
fn an_outcome_that_nobody_waits_for_changes_nothing() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    let before = bench.rotation.clone();
    bench.takes(Input::Outcome { step: Step(1), outcome: Outcome::Done });
    bench.takes(Input::Outcome { step: Step(77), outcome: Outcome::Rejected { why: String::new() } });
    assert_eq!(bench.rotation, before);
}

#[test]
fn an_interrupted_retirement_is_read_back_and_asked_anew() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.approve(&[Approval::Retire]);
    bench.proves();
    bench.unanswered = |effect| matches!(effect, Effect::Retire { .. });
    for _ in 0..12 {
        bench.passes(54);
        bench.uses(NEW, false);
    }
    let Some(Open { step: interrupted, effect: Effect::Retire { generation: OLD }, .. }) = bench.rotation.open().cloned() else {
        panic!("it does not retire: {:?}", bench.rotation)
    };
    let (rotation, effects) = step(&bench.rotation, &Input::Interrupted { step: interrupted }, bench.now);
    let next: Vec<&Effect> = effects.iter().map(|(_, effect)| effect).collect();
    assert!(matches!(next.as_slice(), [Effect::AskEvidence { .. } | Effect::ReadBack]), "{next:?}");
    assert!(rotation.must_accept().contains(&OLD));
}

#[test]
fn quarantine_goes_beside_the_state_and_ends_by_itself() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.takes(Input::Quarantine { until: bench.now.plus(Span::seconds(100)) });
    assert_eq!((bench.rotation.state(), bench.rotation.cut_off().is_some()), (State::Acked, true));
    bench.passes(110);
    assert_eq!(bench.rotation.cut_off(), None);
    assert_eq!(bench.count(|effect| matches!(effect, Effect::Release)), 1);
}

#[test]
fn a_way_back_ends_with_the_old_one_in_use_and_both_accepted() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    bench.takes(Input::Revert);
    assert_eq!(bench.rotation.state(), State::Reverting);
    bench.passes(10);
    bench.uses(OLD, true);
    bench.passes(10);
    assert_eq!((bench.rotation.state(), bench.accepts), (State::Reverted, BTreeSet::from([OLD, NEW])));
}

#[test]
fn what_is_restored_is_held_and_numbers_leave_a_gap() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    let before = bench.rotation.highest();
    bench.takes(Input::Restored);
    assert_eq!(bench.rotation.state(), State::Held);
    assert_eq!(bench.rotation.highest().0, before.0 + RESTORE_GAP);
    bench.takes(Input::Continue);
    assert_eq!(bench.rotation.state(), State::Acked);
}

#[test]
fn a_site_visit_has_the_new_key_accepted_before_anybody_goes_there() {
    let bench = Bench::approved(plan(Class::SiteVisit));
    assert_eq!(bench.accepts, BTreeSet::from([OLD, NEW]));
    assert_eq!(bench.count(|effect| *effect == Effect::WorkOrder { generation: NEW }), 1);
    assert_eq!(bench.rotation.state(), State::Delivering);
}

/// A story of the simulated world: the device went back in the grace, the verifier, which holds one, refused it, and the rotation ended all the same.
#[test]
fn a_refusal_since_the_last_use_ends_no_grace() {
    let mut bench = Bench::approved(plan(Class::SelfReverting));
    bench.approve(&[Approval::Retire]);
    bench.passes(10);
    bench.refused();
    bench.proves();
    assert_eq!((bench.rotation.state(), bench.accepts.clone()), (State::Grace, BTreeSet::from([NEW])));
    for _ in 0..10 {
        bench.passes(55);
        bench.uses(NEW, false);
    }
    for _ in 0..6 {
        bench.passes(25);
        bench.refused();
    }
    assert_eq!(bench.accepts, BTreeSet::from([OLD]), "the verifier finds the device again");
    assert!(!bench.rotation.state().is_end());
}

/// A story of the simulated world: a delivery waited for its copy; a device that went back later than that after the intent was locked out.
#[test]
fn a_delivery_settles_after_it_was_sent_not_after_it_was_meant() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.unanswered = |effect| matches!(effect, Effect::Deliver { .. });
    bench.approve(&[Approval::Rotate]);
    let open = bench.rotation.open().expect("a delivery").step;
    bench.passes(500);
    assert_eq!(bench.rotation.settled(), None, "it may be sent any moment");
    bench.takes(Input::Outcome { step: open, outcome: Outcome::Sent });
    assert_eq!(bench.rotation.settled(), Some(bench.now.plus(bench.rotation.plan.settles)));
}

/// A story of the simulated world: a secret was made and a verifier told after the copy; restored, another was made under the same number.
#[test]
fn a_number_whose_secret_may_have_been_made_after_the_copy_is_not_used_again() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.unanswered = |effect| matches!(effect, Effect::Stage { .. });
    bench.approve(&[Approval::Rotate]);
    assert_eq!((bench.rotation.state(), bench.rotation.target()), (State::Approved, NEW));
    bench.takes(Input::Restored);
    assert!(bench.rotation.target() > NEW);
}

/// Found by the test that kills: the first session made way, and with it since when the device had the new secret.
#[test]
fn many_sessions_before_a_restart_do_not_hide_the_proof() {
    let mut bench = Bench::approved(plan(Class::Overlap));
    for _ in 0..30 {
        bench.passes(5);
        bench.uses(NEW, true);
    }
    bench.restarts();
    for _ in 0..30 {
        bench.passes(5);
        bench.uses(NEW, true);
    }
    assert_eq!(bench.rotation.state(), State::Grace);
}

/// What waits for its copy when a person stops it, or turns it round, is not begun.
#[test]
fn a_delivery_that_waits_is_not_wanted_any_more_when_it_goes_back() {
    let mut bench = Bench::new(plan(Class::Overlap));
    bench.unanswered = |effect| matches!(effect, Effect::Deliver { .. });
    bench.approve(&[Approval::Rotate]);
    let open = bench.rotation.open().cloned().expect("a delivery");
    assert!(bench.rotation.still_wants(&open.effect));
    bench.takes(Input::Revert);
    assert!(!bench.rotation.still_wants(&open.effect));
    bench.takes(Input::Withdrawn { step: open.step });
    assert_eq!(bench.rotation.state(), State::Reverting);
    bench.passes(10);
    bench.uses(OLD, true);
    assert_eq!(bench.rotation.state(), State::Reverted);
}
