//! The gate that every effect passes: what would break an invariant is refused, whatever the states say.

use super::{Approval, Effect, Rotation, State};
use crate::slot::Generation;

/// Whether `rotation` may have `effect` carried out now.
///
/// # Errors
/// What it would do wrong.
pub fn allows(rotation: &Rotation, effect: &Effect) -> Result<(), String> {
    let says = |good: bool, what: &str| if good { Ok(()) } else { Err(what.to_owned()) };
    let alive = |generation: &Generation| !rotation.retired.contains(generation);
    let known = |generation: &Generation| rotation.staged.contains(generation) || rotation.plan.accepted.accepts(*generation);
    match effect {
        Effect::Stage { generation } => says(
            !rotation.plan.accepted.accepts(*generation),
            "make a secret anew for a generation that is accepted already (I3)",
        ),
        Effect::Accept { generation } => {
            says(alive(generation), "accept a retired generation")?;
            says(rotation.plan.holds_both, "let a verifier that holds one accept another beside it (I1)")?;
            says(known(generation), "accept a generation that was never staged (I2)")
        }
        Effect::Deliver { to, .. } | Effect::WorkOrder { generation: to } => {
            says(alive(to), "send a retired generation")?;
            says(known(to), "send a generation that was never staged (I2)")?;
            let accepted = rotation.observed.as_ref().is_some_and(|observed| {
                observed.accepts(*to)
                    && rotation.must_accept.iter().all(|held| observed.accepts(*held) || rotation.retiring(*held))
            });
            says(!rotation.plan.holds_both || accepted, "send what the verifier is not known to accept (I1)")
        }
        Effect::Switch { to } => {
            says(alive(to), "switch to a retired generation")?;
            says(!rotation.plan.holds_both, "switch a verifier that holds several (I1)")?;
            says(rotation.must_accept.contains(to), "switch to a generation that the device cannot hold (I1)")
        }
        Effect::Retire { generation } => retire(rotation, *generation),
        Effect::ReadBack | Effect::AskEvidence { .. } | Effect::Quarantine { .. } | Effect::Release | Effect::Tell { .. } => {
            Ok(())
        }
    }
}

fn retire(rotation: &Rotation, generation: Generation) -> Result<(), String> {
    let target = rotation.target;
    let refuse = |good: bool, what: &str| if good { Ok(()) } else { Err(format!("retire {generation} {what}")) };
    refuse(rotation.plan.holds_both, "at a verifier that holds one (I1)")?;
    refuse(generation != target, "which is to stay (I1)")?;
    refuse(!rotation.plan.keep.contains(&generation), "to which the device may fall back (I5)")?;
    refuse(rotation.held.is_none() && rotation.phase == State::Grace, "outside of a grace (I4, I6)")?;
    let observed = rotation.observed.as_ref().is_some_and(|observed| observed.accepts(target) && !observed.foreign);
    let end = rotation.since.plus(rotation.plan.grace);
    refuse(observed && rotation.observed_at >= end, "without having read back that the new one is accepted (I1)")?;
    let handed_over = rotation.handed_over();
    refuse(rotation.record.lasts(target, rotation.floor(handed_over)), "without proof of the new one (I4)")?;
    refuse(rotation.plan.grace >= rotation.plan.least_grace() && rotation.now >= end, "before the grace is over (I4)")?;
    let unused = rotation.record.last_other(target).is_none_or(|at| at < rotation.since);
    refuse(
        (unused || rotation.overlooks_use()) && rotation.asked.is_some_and(|asked| asked >= end),
        "while it may be in use (I4)",
    )?;
    refuse(rotation.is_heard(), "while the device is silent (I4)")?;
    let approved = rotation.approved(Approval::Retire) >= rotation.plan.retire_approvals || rotation.overlooks_use();
    refuse(approved, "without approval")
}
