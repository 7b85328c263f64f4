//! The registry of checks: every question that can be asked, from all stages that ask.

use crate::detectors;
use crate::findings::CheckSpec;
use crate::rules;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// All checks, in the order of the stages.
pub fn all() -> impl Iterator<Item = &'static CheckSpec> {
    detectors::checks().chain(rules::checks())
}

/// Whether the program knows the check by itself, without a person's own rules.
pub fn comes_with_the_program(id: &str) -> bool {
    detectors::checks().chain(rules::embedded().checks()).any(|check| check.id == id)
}

/// What a finding says of a key: why whoever replaces keys should replace this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMatter {
    /// A default user name and password.
    DefaultCredential,
    /// A key that is public knowledge.
    KnownKey,
    /// A secret that was sent in clear.
    LeakedKey,
}

/// The checks that are about keys. Keys of sessions and keys that a person must not have are not among them: replacing does not mend those.
const ABOUT_KEYS: &[(&str, KeyMatter)] = &[
    ("default-password-accepted", KeyMatter::DefaultCredential),
    ("default-password-used", KeyMatter::DefaultCredential),
    ("dtls-known-psk", KeyMatter::KnownKey),
    ("known-psk-identity", KeyMatter::KnownKey),
    ("lorawan-known-key", KeyMatter::KnownKey),
    ("lorawan-known-session-key", KeyMatter::KnownKey),
    ("oscore-known-secret", KeyMatter::KnownKey),
    ("published-certificate-key", KeyMatter::KnownKey),
    ("secret-in-clear-text", KeyMatter::LeakedKey),
];

/// What a finding of this check says of a key; `None` where it is about something else.
pub fn key_matter(id: &str) -> Option<KeyMatter> {
    ABOUT_KEYS.iter().find(|(check, _)| *check == id).map(|(_, matter)| *matter)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_about_keys_exist() {
        let missing: Vec<&str> = ABOUT_KEYS.iter().map(|(id, _)| *id).filter(|id| by_id(id).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
