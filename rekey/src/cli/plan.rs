//! `citytap-rekey plan`: what would be done. Changes nothing.

use super::asked::{Said, ask};
use super::host::{Host, write};
use super::readiness::class;
use super::{Answer, DONE, FAILED, Stop, now, table};
use crate::planning::{Answered, Item, PlanFile, observe, refused};
use crate::policy::{Policy, Trigger};
use crate::rotation::Procedure;
use crate::slot::Slot;
use crate::time::{Span, Timestamp};
use crate::words::{counted, span};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Show what would be done, and write it down for approval. Changes nothing.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey plan --out plan.json\n  citytap-rekey plan --slot mosquitto/lamp-17 --out plan.json"
)]
pub struct Plan {
    /// Plan these slots because you say so, instead of what findings and age make due.
    #[arg(long, value_name = "SLOT")]
    slot: Vec<Slot>,
    /// Write the plan into this file, to be approved and carried out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is due, and what is not planned and why.
#[derive(Default)]
pub struct Made {
    /// What would be done.
    pub items: Vec<Item>,
    /// Slots that are due and not planned.
    pub left: Vec<(Slot, String)>,
}

impl Plan {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        ask(config, |host| self.answer(host))
    }

    /// Takes names of files as of a folder.
    pub fn within(&mut self, folder: &Path) {
        self.out = self.out.take().map(|out| folder.join(out));
    }

    /// What it says; writes the plan where that was asked.
    pub fn answer(&self, host: &Host) -> Result<Said, Stop> {
        let made = make(host, &self.slot, now())?;
        let left = made.left;
        let plan = PlanFile::new(made.items, &host.policy, now());
        let mut text = shown(&plan, &host.policy);
        if !left.is_empty() {
            text.push_str("\nNot planned:\n");
            left.iter().for_each(|(slot, why)| text.push_str(&format!("  {slot}: {why}\n")));
        }
        if plan.items.is_empty() {
            return Ok(Said { text, code: if left.is_empty() { DONE } else { FAILED } });
        }
        if let Some(out) = &self.out {
            write(out, plan.to_text().as_bytes())?;
            text.push_str(&format!("\nThe plan is in {}. Next: citytap-rekey approve {0} --key KEY\n", out.display()));
        }
        Ok(Said::done(text))
    }
}

/// What is due now.
pub fn make(host: &Host, asked: &[Slot], now: Timestamp) -> Result<Made, Stop> {
    let mut due: BTreeMap<Slot, (BTreeSet<Trigger>, BTreeSet<Answered>)> = BTreeMap::new();
    for slot in asked {
        due.entry(slot.clone()).or_default().0.insert(Trigger::Person);
    }
    for (finding, slot) in super::findings::kept(&host.config)? {
        let wanted = if asked.is_empty() { host.policy.triggers.allow(finding.matter) } else { asked.contains(&slot) };
        if wanted {
            let entry = due.entry(slot).or_default();
            entry.0.insert(finding.matter);
            entry.1.insert(Answered { finding: finding.id, check: finding.check, device: finding.device });
        }
    }
    let rotations = host.journal.rotations().map_err(Stop::file)?;
    if let (Some(age), true) = (host.policy.triggers.age, asked.is_empty()) {
        for rotation in &rotations {
            let history = host.journal.history(rotation.plan.id).map_err(Stop::file)?;
            let last = history.last().map(|(_, entry)| entry.at);
            let newer = rotations.iter().any(|other| other.plan.slot == rotation.plan.slot && other.plan.id > rotation.plan.id);
            if !newer && last.is_some_and(|last| now.since(last) > age) {
                due.entry(rotation.plan.slot.clone()).or_default().0.insert(Trigger::Age);
            }
        }
    }
    let mut made = Made::default();
    for (slot, (because, findings)) in due {
        match item(host, &slot, now) {
            Ok(item) => {
                made.items.push(Item {
                    because: because.into_iter().collect(),
                    findings: findings.into_iter().collect(),
                    ..item
                });
            }
            Err(why) => made.left.push((slot, why)),
        }
    }
    Ok(made)
}

/// One slot as it is now.
pub fn item(host: &Host, slot: &Slot, now: Timestamp) -> Result<Item, String> {
    host.policy.permits(slot)?;
    let backend = host.backends.get(slot.backend()).ok_or_else(|| {
        let why = host.unopened.iter().find(|(name, _)| name == slot.backend()).map(|(_, why)| format!(" ({why})"));
        format!("there is no open part [{}] in the configuration{}", slot.backend(), why.unwrap_or_default())
    })?;
    let rotations = host.journal.rotations().map_err(|error| error.to_string())?;
    if let Some(open) = rotations.iter().find(|one| one.plan.slot == *slot && !one.state().is_end()) {
        return Err(format!("rotation {} of it is open: see `citytap-rekey status`", open.plan.id.0));
    }
    let next = host.journal.next_generation(slot).map_err(|error| refused(&error).to_string())?;
    let device = host.device(slot);
    let (plan, capability) = observe(backend.as_ref(), host.ledger(slot).as_ref(), next, (slot, &device), &host.policy)
        .map_err(|refusal| refusal.to_string())?;
    if plan.procedure == Procedure::SessionRekey {
        for rotation in rotations.iter().filter(|one| one.plan.slot == *slot && one.plan.procedure == Procedure::SessionRekey) {
            let history = host.journal.history(rotation.plan.id).map_err(|error| error.to_string())?;
            let last = history.last().map(|(_, entry)| entry.at);
            if last.is_some_and(|last| now.since(last) < host.policy.rate.rejoin) {
                return Err(format!("its session was re-keyed less than {} ago ([rate] rejoin)", span(host.policy.rate.rejoin)));
            }
        }
    }
    Ok(Item {
        plan,
        because: Vec::new(),
        findings: Vec::new(),
        way: capability.way,
        way_back: capability.way_back,
        airtime: capability.airtime,
        battery: capability.battery,
        unproven: capability.unproven,
    })
}

/// A plan as people read it before they approve it.
pub fn shown(plan: &PlanFile, policy: &Policy) -> String {
    let mut rows = Vec::new();
    for item in &plan.items {
        let because: Vec<&str> = item.because.iter().map(|trigger| trigger.words()).collect();
        let outage = if item.plan.outage == Span::ZERO { "none".into() } else { span(item.plan.outage) };
        let air = if item.airtime == Span::ZERO { "-".into() } else { span(item.airtime) };
        let battery = if item.battery == 0 { "-".into() } else { format!("{} uAh", item.battery) };
        rows.push(vec![
            item.plan.slot.to_string(),
            class(item.plan.class).to_owned(),
            format!("{} to {}", item.plan.from.0, item.plan.to.0),
            outage,
            span(item.plan.grace),
            air,
            battery,
            because.join(", "),
        ]);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str(&table(&["SLOT", "HOW SAFELY", "GENERATION", "OUTAGE", "GRACE", "ON AIR", "BATTERY", "BECAUSE"], &rows));
    }
    let mut ways: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    plan.items.iter().for_each(|item| *ways.entry((&item.way, &item.way_back, &item.unproven)).or_insert(0) += 1);
    for ((way, back, unproven), count) in ways {
        text.push_str(&format!("  {} by {way}\n", counted(count, "device", "devices")));
        if !back.is_empty() {
            text.push_str(&format!("    way back: {back}\n"));
        }
        if !unproven.is_empty() {
            text.push_str(&format!("    mind: {unproven}\n"));
        }
    }
    text.push_str(&format!("{} planned", counted(plan.items.len(), "device", "devices")));
    if !plan.items.is_empty() {
        let stages: Vec<String> = policy.canary.stages.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            ", in stages of {}, each soaking for {}; plan {}\n",
            stages.join(", "),
            span(policy.canary.soak),
            plan.short()
        ));
        text.push_str(&needs(plan, policy));
    } else {
        text.push('\n');
    }
    text
}

/// Who must approve what.
fn needs(plan: &PlanFile, policy: &Policy) -> String {
    let mut text = format!("Approvals needed: {} for the plan", policy.approvals.plan);
    let risky = plan.items.iter().filter(|item| item.plan.may_lock_out()).count();
    if risky > 0 {
        text.push_str(&format!(
            ", {} for the cut-over of {}, which may be locked out (--also cut-over)",
            policy.approvals.cut_over,
            counted(risky, "device", "devices")
        ));
    }
    text.push_str(&format!(", {} to retire the old keys (--also retire)\n", policy.approvals.retire));
    text
}
