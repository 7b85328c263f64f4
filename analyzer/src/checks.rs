//! The registry of checks: every question that can be asked, from all stages that ask.

use crate::detectors;
use crate::findings::CheckSpec;
use crate::rules;
use std::sync::{Mutex, PoisonError};

/// All checks, in the order of the stages.
pub fn all() -> impl Iterator<Item = &'static CheckSpec> {
    detectors::checks().chain(rules::checks())
}

/// Whether the program knows the check by itself, without a person's own rules.
pub fn comes_with_the_program(id: &str) -> bool {
    detectors::checks().chain(rules::embedded().checks()).any(|check| check.id == id)
}

/// The check of a rule that this process has not read, as a store kept it. Each is made once, so their number is bounded by that of the rules.
pub fn kept(id: &str, action: &str, remedy: &str, why: &str) -> &'static CheckSpec {
    static KEPT: Mutex<Vec<&'static CheckSpec>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |spec: &&&'static CheckSpec| (spec.id, spec.action, spec.remedy, spec.why) == (id, action, remedy, why);
    if let Some(spec) = kept.iter().find(same) {
        return spec;
    }
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let spec: &'static CheckSpec = Box::leak(Box::new(CheckSpec {
        id: leak(id),
        title: leak(id),
        finding: "",
        action: leak(action),
        remedy: leak(remedy),
        why: leak(why),
        references: &[],
    }));
    kept.push(spec);
    spec
}

/// The check of an id; `None` for one of another version.
pub fn by_id(id: &str) -> Option<&'static CheckSpec> {
    all().find(|check| check.id == id)
}
