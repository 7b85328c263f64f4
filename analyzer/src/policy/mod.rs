//! What a person changed about checks: thresholds, severities, and which are off. Checks know their own numbers and a person's go before them.
//! And how the site is parted ([`zones`]).

pub mod zones;

use crate::findings::{CheckSpec, Severity};
use crate::nearest::nearest;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// A number that a check goes by and a person may change.
#[derive(Debug)]
pub struct Parameter {
    /// Id of the check.
    pub check: &'static str,
    /// Its name, with its unit at the end where it has one: `gap_s`.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// What is shipped.
    pub shipped: u64,
    /// What a person may set.
    pub range: RangeInclusive<u64>,
}

/// Name of the number of times at which a rule that counts fires.
pub const AT_LEAST: &str = "at_least";

/// Name of the time within which a rule counts, in seconds.
pub const WITHIN_S: &str = "within_s";

/// What a person may set of a rule that counts: no window holds more matches, and none looks back longer than a month.
pub const COUNTS: &[(&str, RangeInclusive<u64>)] = &[(AT_LEAST, 1..=4_096), (WITHIN_S, 1..=31 * 86_400)];

/// What a person changed about checks, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    checks: BTreeMap<String, Change>,
}

/// What a person changed about one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether it is not asked at all.
    pub off: bool,
    /// How bad its findings are.
    pub severity: Option<Severity>,
    /// Numbers by name.
    pub numbers: BTreeMap<String, u64>,
}

impl Policy {
    /// Takes a change in; `false` where the check has one already.
    pub fn set(&mut self, check: &str, change: Change) -> bool {
        self.checks.insert(check.to_owned(), change).is_none()
    }

    /// The changes, by check.
    pub fn changes(&self) -> impl Iterator<Item = (&str, &Change)> {
        self.checks.iter().map(|(check, change)| (check.as_str(), change))
    }

    /// The number that a check goes by.
    pub fn number(&self, parameter: &Parameter) -> u64 {
        self.said(parameter.check, parameter.name).unwrap_or(parameter.shipped)
    }

    /// The number that a person said, if any.
    pub fn said(&self, check: &str, name: &str) -> Option<u64> {
        self.checks.get(check)?.numbers.get(name).copied()
    }

    /// Whether a check is off.
    pub fn is_off(&self, check: &CheckSpec) -> bool {
        self.checks.get(check.id).is_some_and(|change| change.off)
    }

    /// How bad a check's findings are, where a person said so.
    pub fn severity(&self, check: &str) -> Option<Severity> {
        self.checks.get(check)?.severity
    }

    /// All of it in a fixed order, for a digest.
    pub fn settings(&self) -> String {
        let mut text = String::new();
        for (check, change) in &self.checks {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "check {check} {} {:?} {:?}", change.off, change.severity, change.numbers);
        }
        text
    }

    /// What is wrong with a change: a check that does not exist, a number that it does not go by or does not admit. `numbers_of` tells the names
    /// of the numbers that a check goes by with what they may be; `None` where there is no such check.
    pub fn wrong(
        check: &str,
        change: &Change,
        known: &[&str],
        numbers_of: impl Fn(&str) -> Vec<(&'static str, RangeInclusive<u64>)>,
    ) -> Option<String> {
        if !known.contains(&check) {
            let meant = nearest(check, known.iter().copied()).map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
            return Some(format!(
                "there is no check or rule '{}'.{meant} citytap rules list names the rules.",
                check.escape_debug()
            ));
        }
        let numbers = numbers_of(check);
        for (name, value) in &change.numbers {
            let Some((_, range)) = numbers.iter().find(|(known, _)| known == name) else {
                let names: Vec<&str> = numbers.iter().map(|(name, _)| *name).collect();
                let meant =
                    nearest(name, names.iter().copied()).map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
                return Some(match names.is_empty() {
                    true => format!("'{check}' goes by no number that could be set; it can be off, or have another severity"),
                    false => {
                        format!("'{check}' does not go by '{}'.{meant} Known are: {}.", name.escape_debug(), names.join(", "))
                    }
                });
            };
            if !range.contains(value) {
                return Some(format!("{name} of '{check}' is a whole number from {} to {}", range.start(), range.end()));
            }
        }
        None
    }
}
