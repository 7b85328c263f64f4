//! The registry of checks: every question that can be asked, from all stages that ask.

use crate::detectors;
use crate::findings::CheckSpec;

/// All checks, in the order of the stages.
pub fn all() -> impl Iterator<Item = &'static CheckSpec> {
    detectors::credentials::CHECKS.iter().copied()
}
