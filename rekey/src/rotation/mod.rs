//! What a rotation does next: pure. State, input and time go in; the new state and effects come out. No I/O, no clock, no randomness, no secret's value.
//!
//! ```text
//! planned -> approved -> staged -> accepting -> delivering -> acked -> proven -> committed -> grace -> retired | kept
//!    planned, approved, staged -> cancelled
//!    accepting, delivering, acked -> reverting -> reverted
//!    any -> held (goes on accepting all, tells a person) -> where it was
//!    quarantine and its end: at any time, beside the state
//! ```
//!
//! At most one effect is open at a time; its outcome, or the word that it was interrupted, comes before the next. Whatever is not certain is read back first.
//! Every effect passes one gate ([`guard`]) that refuses what would break an invariant:
//!
//! - I1 the verifier accepts every generation that the device may hold; one leaves only on evidence that another works. A verifier that holds only one
//!   follows the device: it switches on a refusal and back when nobody succeeds.
//! - I2 is the journal's: an intent before, an outcome after.
//! - I3 a delivery that is tried again sends the same secret; after [`REJECTIONS_MAX`] definite rejections a new generation is made and the old one stays
//!   accepted.
//! - I4 retirement needs: data under the new generation, seen by the verifier; a reconnect after a device restart; the tap's agreement or a second session;
//!   then a grace in which no other generation was used and the device was heard. Stricter than "agreement or a restart": a device that forgets on restart
//!   convinces both witnesses until it restarts.
//! - I5 a generation that the device may fall back to for ever is never retired: the rotation ends as kept.
//! - I6 what is unknown or interrupted leads to questions, never to a retirement.
//! - I7 one open rotation for a device and for a gateway with what is behind it ([`admission`]).

pub mod admission;
mod decide;
mod effect;
pub mod guard;
mod hold_one;
mod input;
mod plan;
mod proof;
mod state;
mod step;

pub use effect::{Effect, Outcome};
pub use input::{Approval, Input};
pub use plan::{Class, Plan, PlanError, Procedure};
pub use proof::Record;
pub use state::{KeyState, Open, Rotation, State};
pub use step::step;

/// Definite rejections of one generation before a new one is made (K of I3): a device that refuses a value three times will refuse it a fourth time.
pub const REJECTIONS_MAX: u32 = 3;
/// New generations made within one rotation before a person is asked: two values refused three times each mean that it is not the value.
pub const MINTS_MAX: u32 = 2;
/// Deliveries of one generation without any effect before a person is asked.
pub const DELIVERIES_MAX: u32 = 5;
/// How often an old generation may come back in grace before a person is asked.
pub const RELAPSES_MAX: u32 = 3;
/// How often a verifier's refusal of an effect, or of an answer, is met with another try before a person is asked.
pub const ATTEMPTS_MAX: u32 = 5;
/// Numbers left free after a restore, since generations that were made after the copy may be known to a verifier: more than one rotation can make.
pub const RESTORE_GAP: u32 = 16;

#[cfg(test)]
mod tests;
