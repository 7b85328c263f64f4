//! Which rotations may be open together (I7): one for a device, and never a gateway together with what is reached through it.

use super::Plan;

/// Why a plan waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The device has an open rotation.
    #[error("{device} has an open rotation already (number {other}); it starts when that has ended")]
    Device {
        /// The device.
        device: String,
        /// The open rotation.
        other: u64,
    },
    /// The gateway of the device is being rotated, or a device behind this gateway.
    #[error("rotation {other} of {slot} is open, and a gateway is never rotated together with what is reached through it")]
    Chain {
        /// The slot of the other.
        slot: String,
        /// The other rotation.
        other: u64,
    },
}

/// Whether `plan` may start while `open` are open. Number 0 in `plan` stands for "not numbered yet".
///
/// # Errors
/// Which of them stands in the way.
pub fn admits<'a>(open: impl IntoIterator<Item = &'a Plan>, plan: &Plan) -> Result<(), Conflict> {
    for other in open {
        if other.device == plan.device || other.slot == plan.slot {
            return Err(Conflict::Device { device: plan.device.clone(), other: other.id.0 });
        }
        if other.behind.as_ref() == Some(&plan.slot) || plan.behind.as_ref() == Some(&other.slot) {
            return Err(Conflict::Chain { slot: other.slot.to_string(), other: other.id.0 });
        }
    }
    Ok(())
}

/// The order in which plans start: gateways before what is behind them, then by slot.
pub fn order(plans: &mut [Plan]) {
    plans.sort_by(|a, b| (a.behind.is_some(), &a.slot).cmp(&(b.behind.is_some(), &b.slot)));
}
