//! Carries rotations out: takes in what is due, keeps each step in the journal, has backends do what was decided, feeds the outcomes back.
//!
//! One thread decides; effects run on threads of their own, at most [`crate::backends::BackendSpec::concurrency`] at a time for a backend, one at a time for a
//! slot (a rotation has one open effect, and a slot one open rotation). After a crash every intent without an outcome becomes [`Input::Interrupted`], which
//! leads to a read-back. A panic in a backend is an outcome that nobody knows.

mod clock;

pub use clock::{Clock, Guarded, SystemClock};

use crate::backends::Backend;
use crate::evidence::Evidence;
use crate::journal::{Journal, JournalError, Taken};
use crate::rotation::{Effect, Input, Outcome, Rotation, State, step};
use crate::secrets::Secret;
use crate::slot::{Effecting, Generation, RotationId, Slot, Step};
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the loop sleeps at most: the soonest that a cut-over may need it.
const NAP: Duration = Duration::from_millis(500);
/// How long what waits for a copy, for room on the disk or for the clock is left alone.
const WAIT: Span = Span::seconds(10);

/// What a person is to be told; called on the agent's thread.
pub type Teller = Box<dyn FnMut(&Rotation, &str) + Send>;

/// A request from outside: a person's, the campaign's, the tap's.
pub struct Request {
    /// Which rotation.
    pub rotation: RotationId,
    /// What.
    pub input: Input,
}

#[derive(Clone)]
struct Task {
    rotation: RotationId,
    slot: Slot,
    step: Step,
    effect: Effect,
    /// For a retirement: since when nobody may have used what is retired.
    unused_since: Option<Timestamp>,
}

/// The loop.
pub struct Agent {
    journal: Arc<Journal>,
    backends: BTreeMap<String, Arc<dyn Backend>>,
    clock: Guarded,
    teller: Teller,
    open: BTreeMap<RotationId, Rotation>,
    /// By backend: what is to run, and how many run.
    waiting: BTreeMap<String, VecDeque<Task>>,
    running: BTreeMap<String, usize>,
    /// What waits for a copy, for room, for the clock.
    gated: Vec<(Timestamp, Task)>,
    /// Inputs that the journal could not keep: taken in again before anything else of their rotation.
    unkept: Vec<(RotationId, Input)>,
    /// What the journal said last when it could not keep something.
    trouble: Option<String>,
    stopping: bool,
    ended: Receiver<Ended>,
    end: Sender<Ended>,
}

/// The backend whose effect ended, if one did, the rotation, and what it takes in.
type Ended = (Option<String>, RotationId, Input);

impl Agent {
    /// Takes up what the journal holds: every intent without an outcome was interrupted.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub fn new(
        journal: Arc<Journal>,
        backends: impl IntoIterator<Item = Arc<dyn Backend>>,
        clock: Arc<dyn Clock>,
        teller: Teller,
    ) -> Result<Self, JournalError> {
        let (end, ended) = channel();
        let clock = Guarded::new(clock, journal.last_time()?);
        let backends: BTreeMap<String, Arc<dyn Backend>> =
            backends.into_iter().map(|one| (one.spec().name.to_owned(), one)).collect();
        let mut agent = Self {
            journal,
            backends,
            clock,
            teller,
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            gated: Vec::new(),
            unkept: Vec::new(),
            trouble: None,
            stopping: false,
            ended,
            end,
        };
        let unfinished =
            |rotation: &Rotation| !rotation.state().is_end() || rotation.open().is_some() || rotation.cut_off().is_some();
        let mut inputs = Vec::new();
        for rotation in agent.journal.rotations()?.into_iter().filter(unfinished) {
            let step = rotation.open().map_or(Step(0), |open| open.step);
            inputs.push((rotation.plan.id, Input::Interrupted { step }));
            agent.open.insert(rotation.plan.id, rotation);
        }
        agent.take(inputs);
        Ok(agent)
    }

    /// Where other threads send requests.
    pub fn requests(&self) -> impl Fn(Request) + Send + 'static {
        let end = Mutex::new(self.end.clone());
        move |request| {
            // The loop has ended: there is nobody left to ask.
            let _ = end.lock().unwrap_or_else(PoisonError::into_inner).send((None, request.rotation, request.input));
        }
    }

    /// Takes over a rotation that [`Journal::begin`] made.
    pub fn adopt(&mut self, rotation: Rotation) {
        self.open.insert(rotation.plan.id, rotation);
    }

    /// The rotations in hand.
    pub fn rotations(&self) -> impl Iterator<Item = &Rotation> {
        self.open.values()
    }

    /// The clock's guard: why it does not trust the clock, and where a person confirms it.
    pub fn clock(&mut self) -> &mut Guarded {
        &mut self.clock
    }

    /// Runs until `stop`; then waits for what is running.
    pub fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            self.turn(NAP);
        }
        // Nothing begins any more; what runs is waited for, so that its outcome is written down.
        self.stopping = true;
        while self.running.values().any(|running| *running > 0) {
            let Ok((backend, id, input)) = self.ended.recv() else { return };
            if let Some(running) = backend.and_then(|backend| self.running.get_mut(&backend)) {
                *running = running.saturating_sub(1);
            }
            self.take(vec![(id, input)]);
        }
    }

    /// One turn: waits for an outcome at most `nap`, takes it and everything due in, starts what may start.
    pub fn turn(&mut self, nap: Duration) {
        self.clock.look();
        let mut inputs: Vec<(RotationId, Input)> = self.unkept.drain(..).collect();
        let first = self.ended.recv_timeout(nap).ok();
        let ended: Vec<Ended> = first.into_iter().chain(self.ended.try_iter()).collect();
        for (backend, id, input) in ended {
            if let Some(running) = backend.and_then(|backend| self.running.get_mut(&backend)) {
                *running = running.saturating_sub(1);
            }
            inputs.push((id, input));
        }
        let now = self.clock.now();
        let due = self.open.iter().filter(|(_, one)| one.due() <= now).map(|(id, _)| (*id, Input::Tick));
        inputs.extend(due);
        self.take(inputs);
        let backends: Vec<String> = self.waiting.keys().cloned().collect();
        backends.iter().for_each(|backend| self.starts(backend));
        let (again, later) = std::mem::take(&mut self.gated).into_iter().partition(|(at, _)| *at <= now);
        self.gated = later;
        let again: Vec<(Timestamp, Task)> = again;
        for (_, task) in again {
            if self.open.get(&task.rotation).is_some_and(|rotation| rotation.still_wants(&task.effect)) {
                self.start(task);
            } else {
                self.take(vec![(task.rotation, Input::Withdrawn { step: task.step })]);
            }
        }
    }

    /// Takes inputs in, one of each rotation with one flush; what the journal cannot keep comes again.
    fn take(&mut self, mut inputs: Vec<(RotationId, Input)>) {
        while !inputs.is_empty() {
            let mut seen = BTreeSet::new();
            let (now, later): (Vec<_>, Vec<_>) = inputs.into_iter().partition(|(id, _)| seen.insert(*id));
            if let Err((error, unkept)) = self.take_in(now) {
                if self.trouble.as_deref() != Some(&error) {
                    let ids: Vec<RotationId> = unkept.iter().map(|(id, _)| *id).collect();
                    ids.into_iter().for_each(|id| self.tell(id, &error));
                    self.trouble = Some(error);
                }
                let lasting = unkept.into_iter().chain(later).filter(|(_, input)| *input != Input::Tick);
                self.unkept.extend(lasting);
                return;
            }
            self.trouble = None;
            inputs = later;
        }
    }

    fn take_in(&mut self, inputs: Vec<(RotationId, Input)>) -> Result<(), (String, Vec<(RotationId, Input)>)> {
        let now = self.clock.now();
        let mut taken = Vec::new();
        for (id, input) in inputs {
            if let Some(rotation) = self.open.get(&id) {
                let (next, effects) = step(rotation, &input, now);
                let questions = effects.iter().all(|(_, effect)| matches!(effect, Effect::ReadBack | Effect::AskEvidence { .. }));
                let lasting = !questions || next.needs_writing(rotation);
                taken.push((lasting, next, input, effects));
            }
        }
        let lasting = taken.iter().filter(|(lasting, ..)| *lasting);
        let kept: Vec<Taken<'_>> = lasting.map(|(_, rotation, input, effects)| Taken { rotation, input, effects }).collect();
        if !kept.is_empty()
            && let Err(error) = self.journal.record_all(&kept, now)
        {
            return Err((error.to_string(), taken.into_iter().map(|(_, next, input, _)| (next.plan.id, input)).collect()));
        }
        for (_, next, _, effects) in taken {
            self.goes_on(next, effects);
        }
        Ok(())
    }

    fn goes_on(&mut self, next: Rotation, effects: Vec<(Step, Effect)>) {
        let (id, slot, unused_since) = (next.plan.id, next.plan.slot.clone(), next.unused_since());
        let ended = next.state().is_end() && next.open().is_none() && next.cut_off().is_none();
        self.open.insert(id, next);
        for (step, effect) in effects {
            match effect {
                Effect::Tell { what } => self.tell(id, &what),
                effect => self.start(Task { rotation: id, slot: slot.clone(), step, effect, unused_since }),
            }
        }
        if ended {
            self.open.remove(&id);
        }
    }

    fn tell(&mut self, id: RotationId, what: &str) {
        if let Some(rotation) = self.open.get(&id) {
            (self.teller)(rotation, what);
        }
    }

    /// Queues a task, or puts it aside while something it needs is not there.
    fn start(&mut self, task: Task) {
        if self.stopping {
            return;
        }
        // A restart of the rotation's question may have overtaken it.
        let Some(rotation) = self.open.get(&task.rotation).filter(|one| one.open().is_some_and(|open| open.step == task.step))
        else {
            return;
        };
        let new = matches!(
            task.effect,
            Effect::Stage { .. } | Effect::Deliver { .. } | Effect::WorkOrder { .. } | Effect::Retire { .. }
        );
        let covered = self.journal.covers(rotation, task.step, &task.effect).unwrap_or(false);
        let room = !task.effect.is_external() || self.journal.ready().is_ok();
        if new && !self.clock.is_trusted() || !covered || !room {
            let at = self.clock.now().plus(WAIT);
            self.gated.push((at, task));
            return;
        }
        let backend = task.slot.backend().to_owned();
        self.waiting.entry(backend.clone()).or_default().push_back(task);
        self.starts(&backend);
    }

    fn starts(&mut self, name: &str) {
        let Some(backend) = self.backends.get(name).cloned() else {
            let tasks = self.waiting.remove(name).unwrap_or_default();
            let why = format!("no backend {name} is configured; add its section to the configuration");
            tasks.into_iter().for_each(|task| drop(self.end.send((None, task.rotation, failed(&task, why.clone())))));
            return;
        };
        let running = self.running.entry(name.to_owned()).or_default();
        let waiting = self.waiting.entry(name.to_owned()).or_default();
        while *running < backend.spec().concurrency.max(1)
            && let Some(task) = waiting.pop_front()
        {
            let (journal, backend, end, now) =
                (Arc::clone(&self.journal), Arc::clone(&backend), self.end.clone(), self.clock.now());
            let (name, copy) = (name.to_owned(), task.clone());
            let work = move || {
                let done = catch_unwind(AssertUnwindSafe(|| carry_out(&journal, &*backend, &task, now)));
                let input = done.unwrap_or_else(|_| failed(&task, "the backend broke down: please report this".to_owned()));
                // Sent last: whoever waits for it may end the process.
                let _ = end.send((Some(name), task.rotation, input));
            };
            match std::thread::Builder::new().name("effect".to_owned()).spawn(work) {
                Ok(_) => *running += 1,
                Err(error) => {
                    drop(self.end.send((None, copy.rotation, failed(&copy, format!("no thread could be started ({error})")))))
                }
            }
        }
    }

    /// Whether nothing is running or waiting to run.
    pub fn is_idle(&self) -> bool {
        self.running.values().all(|running| *running == 0) && self.waiting.values().all(VecDeque::is_empty)
    }

    /// How many rotations are in each state.
    pub fn tally(&self) -> BTreeMap<State, usize> {
        let mut tally = BTreeMap::new();
        self.open.values().for_each(|one| *tally.entry(one.state()).or_default() += 1);
        tally
    }
}

/// The answer to a task that could not be done, of its kind.
fn failed(task: &Task, why: String) -> Input {
    let step = task.step;
    match task.effect {
        Effect::ReadBack => Input::ReadBack { step, accepted: None },
        Effect::AskEvidence { .. } => Input::Asked { step, seen: None, until: Timestamp::default() },
        _ => Input::Outcome { step, outcome: Outcome::Unknown { why } },
    }
}

fn carry_out(journal: &Journal, backend: &dyn Backend, task: &Task, now: Timestamp) -> Input {
    let by = Effecting { rotation: task.rotation, step: task.step };
    let (slot, step) = (&task.slot, task.step);
    journal.passes("before an effect");
    let outcome = match &task.effect {
        Effect::ReadBack => {
            let accepted = backend.read_back(slot).ok();
            return Input::ReadBack { step, accepted };
        }
        Effect::AskEvidence { since } => {
            let seen = backend.evidence(slot, *since).ok();
            return Input::Asked { step, seen, until: now };
        }
        Effect::Stage { generation } => {
            let profile = backend.profile(slot);
            kept(journal.stage(slot, *generation, task.rotation, profile.as_ref()))
        }
        Effect::Accept { generation } => {
            with_secret(journal, backend, slot, *generation, |secret| backend.accept(slot, *generation, secret, by))
        }
        Effect::Switch { to } => with_secret(journal, backend, slot, *to, |secret| backend.switch(slot, *to, secret, by)),
        Effect::Deliver { from, to } => {
            with_secret(journal, backend, slot, *to, |secret| backend.deliver(slot, *from, *to, secret, by))
        }
        Effect::Retire { generation } => retire(journal, backend, task, *generation),
        Effect::Quarantine { until } => backend.quarantine(slot, Some(*until), by),
        Effect::Release => backend.quarantine(slot, None, by),
        // The order itself is the journal's intent; whoever prints orders reads it there.
        Effect::WorkOrder { .. } | Effect::Tell { .. } => Outcome::Done,
    };
    journal.passes("after an effect");
    Input::Outcome { step, outcome }
}

/// Retires after a last look: the decision may have waited for a copy.
fn retire(journal: &Journal, backend: &dyn Backend, task: &Task, generation: Generation) -> Outcome {
    if let Some(since) = task.unused_since {
        let used =
            |evidence: &Evidence| matches!(evidence, Evidence::Used(used) if used.generation == generation && used.at >= since);
        match backend.evidence(&task.slot, since) {
            Ok(seen) if seen.iter().any(used) => {
                return Outcome::Rejected { why: format!("{generation} was used again in the last moment") };
            }
            Ok(_) => {}
            Err(refusal) => return Outcome::Unknown { why: refusal.to_string() },
        }
    }
    match journal.drop_accepted(&task.slot, generation) {
        Ok(()) => backend.retire(&task.slot, generation, Effecting { rotation: task.rotation, step: task.step }),
        Err(error) => Outcome::Unknown { why: error.to_string() },
    }
}

fn kept(result: Result<(), JournalError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Unknown { why: error.to_string() },
    }
}

/// Calls `act` with the secret. Where the backend has secrets made and this one is not there, nothing is done: an empty one must never be sent.
fn with_secret(
    journal: &Journal,
    backend: &dyn Backend,
    slot: &Slot,
    generation: Generation,
    act: impl FnOnce(Option<&Secret>) -> Outcome,
) -> Outcome {
    match journal.secret(slot, generation) {
        Ok(None) if backend.profile(slot).is_some() => Outcome::Rejected {
            why: format!("the secret of {generation} is not known here; enter it with `citytap-rekey enter`"),
        },
        Ok(secret) => act(secret.as_ref()),
        Err(error) => Outcome::Unknown { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
