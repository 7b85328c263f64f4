//! `citytap-rekey run`: carries an approved plan out, and goes on with what was begun.

use super::approve::{counted as approvals, plan_of, state as approved};
use super::asked::{Said, answer, ask_running};
use super::copies::Copies;
use super::host::Host;
use super::orders::{self, Held};
use super::plan::{item, shown};
use super::progress::Progress;
use super::{Answer, Command, DONE, FAILED, Stop, now as wall, print};
use crate::agent::{Agent, Request, SystemClock};
use crate::audit::{Event, Log};
use crate::backends::Backend;
use crate::evidence::{Evidence, Use, Witness};
use crate::planning::{Item, PlanFile};
use crate::policy::approvals::{Counted, Word};
use crate::policy::campaign::{Next, Standing, Where, next};
use crate::policy::{Pattern, Policy};
use crate::rotation::{Input, Outcome, Rotation, State};
use crate::secrets::process::Shortcomings;
use crate::slot::{RotationId, Slot, Step};
use crate::time::{Span, Timestamp};
use crate::words::counted;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How often the campaign, the orders and the report are looked at.
const LOOK: Span = Span::seconds(1);
/// How often it is asked who is silent.
const LISTEN: Span = Span::seconds(30);
/// Reports that a device may miss before it counts as silent.
const MISSED: i64 = 3;

/// Carry an approved plan out, and go on with rotations that were begun. A dry run unless the policy says dry_run = false.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey run --plan plan.json\n  citytap-rekey run --plan plan.json --until-done\n  citytap-rekey run    serve, and go on with what was begun"
)]
pub struct Run {
    /// The plan.
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// End when every rotation of the plan has ended, or a person is needed; else it runs until it is told to stop.
    #[arg(long, requires = "plan")]
    until_done: bool,
}

impl Run {
    /// Runs the command.
    pub fn run(self, config: &Path, short: &Shortcomings) -> Answer {
        let host = match Host::open(config) {
            Err(stop) if self.plan.is_some() && !self.until_done && stop.text.contains("another process has it open") => {
                let said = ask_running(config)?;
                return print(&said.text).map(|()| said.code);
            }
            opened => opened?,
        };
        let plan = self.plan.as_deref().map(plan_of).transpose()?;
        if let Some(plan) = &plan {
            let (counted, not) = approvals(&host.config, plan, &host.policy)?;
            print(&shown(plan, &host.policy))?;
            print(&approved(plan, &counted, &host.policy))?;
            not.iter().for_each(|why| eprintln!("citytap-rekey: an approval does not count: {why}"));
            let missing = if host.policy.dry_run { Ok(()) } else { may_begin(&host, plan, &counted) };
            missing.map_err(Stop::refused)?;
        }
        if host.policy.dry_run {
            print(
                "Dry run: nothing was sent and nothing changed. Write dry_run = false below [run] of the policy to carry it out\n",
            )?;
            return Ok(DONE);
        }
        // A denial that is written and not applied would be worse than none.
        if !host.policy.deny.is_empty() {
            return Err(Stop::refused(
                "the policy denies payloads of its own ([deny]), and the backends of this build apply only the built-in denials: take them out to go on",
            ));
        }
        short.0.iter().for_each(|what| eprintln!("citytap-rekey: mind: {what}"));
        if let Some((name, why)) = host.unopened.first() {
            return Err(Stop::refused(format!("[{name}] {why}")));
        }
        for (name, backend) in &host.backends {
            backend.preflight().map_err(|refusal| Stop::refused(format!("[{name}] {refusal}")))?;
        }
        let mut work = Work::begin(host, plan)?;
        work.go(self.until_done)
    }
}

/// Whether a plan may begin at all.
fn may_begin(host: &Host, plan: &PlanFile, counted: &Counted) -> Result<(), String> {
    if plan.policy != host.policy.digest {
        return Err("the policy changed since the plan was made: make a new plan, so that people approve what is done".into());
    }
    let risky = plan.items.iter().any(|item| item.plan.may_lock_out());
    for word in [Word::Plan, Word::CutOver].into_iter().filter(|word| *word == Word::Plan || risky) {
        match counted.missing(word, &host.policy) {
            0 => {}
            missing => {
                return Err(format!(
                    "{} must still approve {} of plan {}",
                    super::run::people(missing),
                    word.name(),
                    plan.short()
                ));
            }
        }
    }
    Ok(())
}

/// `1 person`, `2 people`.
pub fn people(count: usize) -> String {
    counted(count, "person", "people")
}

struct Work {
    host: Host,
    plan: Option<PlanFile>,
    agent: Agent,
    ask: Box<dyn Fn(Request)>,
    told: Receiver<(RotationId, String)>,
    log: Arc<Mutex<Log>>,
    policy_of: Option<SystemTime>,
    progress: Progress,
    /// Of each rotation, the steps that the log has: those begun, and those ended.
    logged: BTreeMap<RotationId, (Step, BTreeSet<Step>)>,
    silent: BTreeMap<Slot, bool>,
    listened: Timestamp,
    looked: Timestamp,
    /// Whether people must still approve the retirement of old keys.
    retirement_waits: bool,
    copies: Copies,
    /// Slots that are not as they were when the plan was made.
    changed: BTreeMap<Slot, String>,
}

impl Work {
    fn begin(mut host: Host, plan: Option<PlanFile>) -> Result<Self, Stop> {
        let log = Arc::new(Mutex::new(host.audit(wall())?));
        host.log = Some(log.clone());
        let policy_of = modified(&host.config.policy);
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let teller = Box::new(move |rotation: &Rotation, what: &str| {
            let tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
            // The loop that listens ends together with the agent.
            let _ = tell.send((rotation.plan.id, what.to_owned()));
        });
        let backends: Vec<Arc<dyn Backend>> = host.backends.values().cloned().collect();
        let agent = Agent::new(host.journal.clone(), backends, Arc::new(SystemClock::start()), teller).map_err(Stop::file)?;
        let ask = Box::new(agent.requests());
        let progress = Progress::read(&host.config)?;
        let (none, copies) = (Timestamp(0), Copies::new(&host.config));
        let mut work = Self {
            host,
            plan,
            agent,
            ask,
            told,
            log,
            policy_of,
            progress,
            logged: BTreeMap::new(),
            silent: BTreeMap::new(),
            listened: none,
            looked: none,
            retirement_waits: false,
            copies,
            changed: BTreeMap::new(),
        };
        let begun = Event::new("run_begun").with("plan", work.plan.as_ref().map_or("none", |plan| plan.hash.as_str()));
        let now = work.agent.clock().now();
        work.tell_log(&begun.with("policy", work.host.policy.digest.clone()), now)?;
        Ok(work)
    }

    fn go(&mut self, until_done: bool) -> Answer {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::flag::register(signal, stop.clone()).map_err(Stop::refused)?;
        }
        let mut answer = DONE;
        while !stop.load(Ordering::SeqCst) {
            self.agent.turn(Duration::from_millis(200));
            let now = self.agent.clock().now();
            if now.since(self.looked) < LOOK {
                continue;
            }
            self.looked = now;
            let next = self.look(now)?;
            if until_done && let Some(ended) = self.ended(&next) {
                answer = ended;
                break;
            }
        }
        // What runs is waited for; what was not begun waits for the next run.
        self.agent.run(&AtomicBool::new(true));
        let now = self.agent.clock().now();
        self.report(now)?;
        self.tell_log(&Event::new("run_ended"), now)?;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).sync(now).map_err(Stop::refused)?;
        Ok(answer)
    }

    /// Whether there is nothing left to do without a person.
    fn ended(&self, next: &Next) -> Option<u8> {
        let open = || self.agent.rotations().filter(|rotation| !rotation.state().is_end());
        match next {
            Next::Finished if open().next().is_none() => Some(DONE),
            Next::Finished => {
                let waits = |rotation: &Rotation| {
                    rotation.state() == State::Held || (rotation.state() == State::Grace && self.retirement_waits)
                };
                open().all(waits).then_some(FAILED)
            }
            Next::Halt(_) => Some(FAILED),
            _ => None,
        }
    }

    fn look(&mut self, now: Timestamp) -> Result<Next, Stop> {
        while let Ok((id, what)) = self.told.try_recv() {
            let slot = self.progress.rotations.get(&id.0).map(|one| one.slot.to_string()).unwrap_or_default();
            eprintln!("citytap-rekey: {slot}: {what}");
            if let Some(one) = self.progress.rotations.get_mut(&id.0) {
                one.told = Some(what.clone());
            }
            self.tell_log(&Event::new("told").with("rotation", id.0).with("slot", slot).with("what", what), now)?;
        }
        self.read_policy();
        let held = Held::read(&self.host.config)?;
        self.obey(&held, now)?;
        let next = self.campaign(&held, now)?;
        self.progress.waiting = match &next {
            Next::Finished if self.retirement_waits => {
                "waits: people must approve the retirement of the old keys (--also retire); until then both are accepted".into()
            }
            Next::Begin(_) | Next::Finished => String::new(),
            Next::Wait(why) => format!("waits: {why}"),
            Next::Halt(why) => format!("HALTED: {why}"),
        };
        self.report(now)?;
        let is_open = self.agent.rotations().next().is_some();
        self.copies.follow(&self.host.journal, is_open, now)?;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).sync(now).map_err(Stop::refused)?;
        self.answer();
        Ok(next)
    }

    /// Takes the policy in where its file changed; one that is wrong is told, and the one before holds.
    fn read_policy(&mut self) {
        let modified = modified(&self.host.config.policy);
        if modified == self.policy_of {
            return;
        }
        self.policy_of = modified;
        match Policy::read(&self.host.config.policy) {
            Ok(policy) => self.host.policy = policy,
            Err(wrong) => eprintln!("citytap-rekey: the policy before holds on, since this one is wrong:\n{wrong}"),
        }
    }

    /// Answers what other processes ask.
    fn answer(&mut self) {
        let host = self.host.clone();
        answer(&host, |command, folder| match command {
            Command::Readiness(command) => command.answer(&host),
            Command::Plan(mut command) => {
                command.within(folder);
                command.answer(&host)
            }
            Command::WorkOrders(mut command) => {
                command.within(folder);
                command.answer(&host)
            }
            Command::Findings(command) => command.answer(&host, folder),
            Command::Run(command) => self.take_up(&command, folder),
            _ => Err(Stop::refused("`citytap-rekey run` is at work and does not do this; stop it for a moment")),
        });
    }

    /// Takes up a plan that somebody else asks to be carried out.
    fn take_up(&mut self, command: &Run, folder: &Path) -> Result<Said, Stop> {
        let Some(path) = &command.plan else { return Err(Stop::refused("`citytap-rekey run` is at work already")) };
        let busy = self.agent.rotations().any(|rotation| !rotation.state().is_end());
        if let Some(plan) = self.plan.as_ref().filter(|_| busy) {
            return Err(Stop::refused(format!(
                "plan {} is being carried out; wait until `citytap-rekey status` shows its end",
                plan.short()
            )));
        }
        let plan = plan_of(&folder.join(path))?;
        let (counted, _) = approvals(&self.host.config, &plan, &self.host.policy)?;
        if self.host.policy.dry_run {
            return Err(Stop::refused("the policy says dry_run = true"));
        }
        may_begin(&self.host, &plan, &counted).map_err(Stop::refused)?;
        let text = format!("{}Taken up: plan {}\n", shown(&plan, &self.host.policy), plan.short());
        self.tell_log(&Event::new("plan_taken_up").with("plan", plan.hash.clone()), self.looked)?;
        self.changed.clear();
        self.plan = Some(plan);
        Ok(Said::done(text))
    }

    /// Takes up what people ordered.
    fn obey(&mut self, held: &Held, now: Timestamp) -> Result<(), Stop> {
        let mut inputs = Vec::new();
        for rotation in self.agent.rotations().filter(|one| !one.state().is_end() && one.state() != State::Held) {
            let slot = &rotation.plan.slot;
            if self.host.policy.hold_all || held.has(slot) || self.host.policy.hold.iter().any(|pattern| pattern.fits(slot)) {
                inputs.push((rotation.plan.id, slot.clone(), Input::Hold { why: held.why.clone() }, "hold", held.why.clone()));
            }
        }
        let orders = orders::waiting(&self.host.config);
        for (_, order) in &orders {
            let pattern = Pattern(order.slots.clone());
            for rotation in self.agent.rotations().filter(|one| pattern.fits(&one.plan.slot)) {
                inputs.push((
                    rotation.plan.id,
                    rotation.plan.slot.clone(),
                    order.what.input(),
                    order.what.name(),
                    order.by.clone(),
                ));
            }
        }
        for (rotation, slot, input, what, by) in inputs {
            let event = Event::new("ordered")
                .with("rotation", rotation.0)
                .with("slot", slot.to_string())
                .with("what", what)
                .with("by", by);
            self.tell_log(&event, now)?;
            (self.ask)(Request { rotation, input });
        }
        orders.iter().for_each(|(path, _)| orders::done(path));
        Ok(())
    }

    fn campaign(&mut self, held: &Held, now: Timestamp) -> Result<Next, Stop> {
        let Some(plan) = self.plan.take() else { return Ok(Next::Wait("no plan is being carried out".into())) };
        let next = self.go_on(&plan, held, now);
        self.plan = Some(plan);
        next
    }

    fn go_on(&mut self, plan: &PlanFile, held: &Held, now: Timestamp) -> Result<Next, Stop> {
        let rotations = self.host.journal.rotations().map_err(Stop::file)?;
        let of = |item: &Item| {
            rotations.iter().find(|one| item.plan == crate::rotation::Plan { id: RotationId(0), ..one.plan.clone() })
        };
        let (counted, _) = approvals(&self.host.config, plan, &self.host.policy)?;
        self.retirement_waits = counted.missing(Word::Retire, &self.host.policy) > 0;
        for rotation in plan.items.iter().filter_map(of) {
            self.pass_on(rotation, &counted);
        }
        self.listen(&rotations, now);
        let devices: Vec<Standing> = plan.items.iter().map(|item| self.standing(item, of(item))).collect();
        if held.has_all() {
            return Ok(Next::Halt(format!("everything is on hold: {}", held.why)));
        }
        if let Some((slot, why)) = self.changed.first_key_value() {
            return Ok(Next::Halt(format!("{slot} is not as it was when the plan was made ({why}): make a new plan")));
        }
        let next = next(&devices, &self.host.policy, now);
        let Next::Begin(slots) = &next else { return Ok(next) };
        if let Err(why) = may_begin(&self.host, plan, &counted) {
            return Ok(Next::Halt(why));
        }
        for item in plan.items.iter().filter(|item| slots.contains(&item.plan.slot) && !held.has(&item.plan.slot)) {
            self.start(item, &counted, now)?;
        }
        Ok(next)
    }

    /// Begins one rotation, if the slot is still as it was when people approved it.
    fn start(&mut self, wanted: &Item, counted: &Counted, now: Timestamp) -> Result<(), Stop> {
        let slot = &wanted.plan.slot;
        match item(&self.host, slot, now) {
            Ok(fresh) if fresh.plan == wanted.plan => {}
            Ok(_) => return self.differs(slot, "what the verifier or the device can do changed", now),
            Err(why) => return self.differs(slot, &why, now),
        }
        let rotation = match self.host.journal.begin(wanted.plan.clone(), now) {
            Ok(rotation) => rotation,
            Err(error) => return self.differs(slot, &error.to_string(), now),
        };
        let event = Event::new("begun")
            .with("rotation", rotation.plan.id.0)
            .with("slot", slot.to_string())
            .with("class", format!("{:?}", wanted.plan.class))
            .with("from", wanted.plan.from.0)
            .with("to", wanted.plan.to.0)
            .with("findings", wanted.findings.iter().map(|one| one.finding.clone()).collect::<Vec<_>>());
        self.tell_log(&event, now)?;
        self.progress.take(&rotation, &wanted.findings, now);
        let was_silent = silent(&self.host, &rotation, now).unwrap_or(true);
        if let Some(one) = self.progress.rotations.get_mut(&rotation.plan.id.0) {
            one.was_silent = was_silent;
        }
        self.agent.adopt(rotation.clone());
        self.pass_on(&rotation, counted);
        Ok(())
    }

    fn differs(&mut self, slot: &Slot, why: &str, now: Timestamp) -> Result<(), Stop> {
        self.changed.insert(slot.clone(), why.to_owned());
        self.tell_log(&Event::new("not_begun").with("slot", slot.to_string()).with("why", why), now)
    }

    /// Tells a rotation who approved what, as far as it does not know yet.
    fn pass_on(&self, rotation: &Rotation, counted: &Counted) {
        if rotation.state().is_end() {
            return;
        }
        for word in [Word::Plan, Word::CutOver, Word::Retire, Word::RetireThoughUsed] {
            for by in counted.to(word) {
                if !rotation.approvals().contains(&(word.approval(), by.clone())) {
                    (self.ask)(Request {
                        rotation: rotation.plan.id,
                        input: Input::Approved { by: by.clone(), what: word.approval() },
                    });
                }
            }
        }
    }

    fn listen(&mut self, rotations: &[Rotation], now: Timestamp) {
        if now.since(self.listened) < LISTEN {
            return;
        }
        self.listened = now;
        for rotation in rotations.iter().filter(|one| !one.state().is_end()) {
            if let Some(silent) = silent(&self.host, rotation, now) {
                self.silent.insert(rotation.plan.slot.clone(), silent);
            }
        }
    }

    fn standing(&self, item: &Item, rotation: Option<&Rotation>) -> Standing {
        let one = rotation.and_then(|rotation| self.progress.rotations.get(&rotation.plan.id.0));
        let stage = match rotation.map(Rotation::state) {
            None => Where::Waiting,
            Some(State::Proven | State::Committed | State::Grace | State::Retired | State::Kept) => {
                Where::Proven(one.and_then(|one| one.proven).unwrap_or(self.looked))
            }
            Some(State::Held | State::Reverting | State::Reverted | State::Cancelled) => Where::Stopped,
            _ => Where::UnderWay,
        };
        Standing {
            slot: item.plan.slot.clone(),
            behind: item.plan.behind.clone(),
            stage,
            begun: one.map(|one| one.begun),
            was_silent: one.is_some_and(|one| one.was_silent),
            is_silent: self.silent.get(&item.plan.slot).copied().unwrap_or(false),
        }
    }

    /// Keeps where everything is, and logs what changed.
    fn report(&mut self, now: Timestamp) -> Result<(), Stop> {
        let mut rotations: Vec<Rotation> = self.agent.rotations().cloned().collect();
        let here: BTreeSet<u64> = rotations.iter().map(|one| one.plan.id.0).collect();
        let gone = self.progress.rotations.iter().any(|(id, one)| !one.state.is_end() && !here.contains(id));
        if gone {
            let all = self.host.journal.rotations().map_err(Stop::file)?;
            rotations.extend(all.into_iter().filter(|one| !here.contains(&one.plan.id.0)));
        }
        for rotation in &rotations {
            let known = self.progress.rotations.get(&rotation.plan.id.0).map(|one| one.state);
            if known.is_some_and(State::is_end) {
                continue;
            }
            self.log_steps(rotation, now)?;
            let findings = self.plan.iter().flat_map(|plan| &plan.items).find(|item| item.plan.slot == rotation.plan.slot);
            let findings = findings.map(|item| item.findings.clone()).unwrap_or_default();
            if let Some(before) = self.progress.take(rotation, &findings, now) {
                let event = Event::new("state")
                    .with("rotation", rotation.plan.id.0)
                    .with("slot", rotation.plan.slot.to_string())
                    .with("from", before.map_or("none".into(), |state| state.to_string()))
                    .with("to", rotation.state().to_string());
                self.tell_log(&event, now)?;
            }
            self.see(rotation)?;
        }
        self.progress.at = now;
        self.progress.keep(&self.host.config)
    }

    /// Who saw the new key in use.
    fn see(&mut self, rotation: &Rotation) -> Result<(), Stop> {
        let Some(one) = self.progress.rotations.get_mut(&rotation.plan.id.0).filter(|one| one.proven.is_some()) else {
            return Ok(());
        };
        let seen = self.host.ledger(&rotation.plan.slot).seen(&rotation.plan.slot, one.begun).map_err(Stop::file)?;
        for evidence in seen {
            if let Evidence::Used(Use { generation, by, .. }) = evidence
                && generation == rotation.target()
            {
                one.witnesses.insert(if by == Witness::Verifier { "verifier" } else { "sensor" }.into());
            }
        }
        // No rotation is proven without the verifier's word (I4), whether or not it keeps its evidence here.
        one.witnesses.insert("verifier".into());
        Ok(())
    }

    fn log_steps(&mut self, rotation: &Rotation, now: Timestamp) -> Result<(), Stop> {
        let id = rotation.plan.id;
        let (mut last, mut ended) = self.logged.remove(&id).unwrap_or((Step(0), BTreeSet::new()));
        for (step, entry) in self.host.journal.history(id).map_err(Stop::file)? {
            let event =
                |what| Event::new(what).with("rotation", id.0).with("slot", rotation.plan.slot.to_string()).with("step", step.0);
            if step > last {
                self.tell_log(&event("effect").with("effect", format!("{:?}", entry.effect)), now)?;
                last = step;
            }
            if let Some((_, outcome)) = entry.outcome
                && ended.insert(step)
            {
                let said = match outcome {
                    Outcome::Done => "done".into(),
                    Outcome::Sent => "sent".into(),
                    Outcome::Rejected { why } => format!("rejected: {why}"),
                    Outcome::Unknown { why } => format!("unknown: {why}"),
                };
                self.tell_log(&event("outcome").with("outcome", said), now)?;
            }
        }
        self.logged.insert(id, (last, ended));
        Ok(())
    }

    fn tell_log(&mut self, event: &Event, now: Timestamp) -> Result<(), Stop> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).append(event, now).map_err(Stop::refused)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Whether a device said nothing for longer than it ever does; `None` where that cannot be told.
fn silent(host: &Host, rotation: &Rotation, now: Timestamp) -> Option<bool> {
    let plan = &rotation.plan;
    let patience = Span(plan.reporting.times(MISSED).0.saturating_add(plan.outage.0)).max(Span::seconds(1));
    let since = Timestamp(now.0.saturating_sub(patience.0));
    let seen = host.backends.get(plan.slot.backend())?.evidence(&plan.slot, since).ok()?;
    Some(!seen.iter().any(|one| matches!(one, Evidence::Used(used) if used.at >= since)))
}
