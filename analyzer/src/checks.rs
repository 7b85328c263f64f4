//! The registry of checks: every question that can be asked, from all stages that ask.

use crate::detectors;
use crate::findings::CheckSpec;
use crate::keys::Keys;

/// All checks, in the order of the stages.
pub fn all() -> impl Iterator<Item = &'static CheckSpec> {
    Keys::checks().chain(detectors::credentials::CHECKS.iter().copied())
}

/// The check of an id; `None` for one of another version.
pub fn by_id(id: &str) -> Option<&'static CheckSpec> {
    all().find(|check| check.id == id)
}
