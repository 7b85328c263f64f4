//! Which clauses of standards and laws a finding speaks about: `signatures/clauses/`. A finding supports or contradicts a clause; nothing here
//! says that a product is compliant, which no packet can show.

use super::tsv::rows;
use super::{CLAUSE_CHECKS, CLAUSE_CLASSES, PackError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What a class says where no clause is about a check.
const NONE: &str = "none";

/// What begins the name of a row that stands for all checks that end as it does.
const ALL_THAT_END: char = '*';

/// Clauses, each as `ETSI EN 303 645 v3.1.3 5.1-1`, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clauses {
    /// Those that it contradicts.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub contradicts: BTreeSet<String>,
    /// Those that it supports.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub supports: BTreeSet<String>,
}

impl Clauses {
    /// As lines for reading: `contradicts ETSI EN 303 645 v3.1.3 5.1-1, 5.1-2`, one for each relation and standard.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (relation, clauses) in [("contradicts", &self.contradicts), ("supports", &self.supports)] {
            let mut by_standard: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for clause in clauses {
                let standard = STANDARDS.iter().find(|standard| clause.starts_with(standard.as_str()));
                let (standard, number) = clause.split_at(standard.map_or(0, String::len));
                by_standard.entry(standard.trim()).or_default().push(number.trim());
            }
            lines.extend(
                by_standard.into_iter().map(|(standard, clauses)| format!("{relation} {standard} {}", clauses.join(", "))),
            );
        }
        lines
    }

    /// Whether no clause is about it.
    pub fn is_empty(&self) -> bool {
        self.contradicts.is_empty() && self.supports.is_empty()
    }
}

#[derive(Default)]
struct Pack {
    by_check: BTreeMap<&'static str, Clauses>,
    /// By how the checks end.
    by_end: Vec<(&'static str, Clauses)>,
}

static PACK: LazyLock<Pack> = LazyLock::new(|| read().unwrap_or_default());

static STANDARDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let rows = rows(CLAUSE_CLASSES, ["class", "relation", "standard", "clauses"]).unwrap_or_default();
    rows.into_iter().map(|row| format!("{} ", row.cells[2])).collect()
});

static NOTHING: Clauses = Clauses { contradicts: BTreeSet::new(), supports: BTreeSet::new() };

/// The clauses that a finding of a check speaks about; none of a check that the pack does not know, as a rule of a person's own.
pub fn of(check: &str) -> &'static Clauses {
    listed(check).unwrap_or(&NOTHING)
}

/// The same; `None` where the pack has no row for the check.
pub fn listed(check: &str) -> Option<&'static Clauses> {
    let ends = || PACK.by_end.iter().find(|(end, _)| check.ends_with(end)).map(|(_, clauses)| clauses);
    PACK.by_check.get(check).or_else(ends)
}

/// Reads the pack whole.
///
/// # Errors
/// The first thing wrong in it.
pub(super) fn check() -> Result<(), PackError> {
    read().map(drop)
}

fn read() -> Result<Pack, PackError> {
    let mut classes: BTreeMap<&str, Clauses> = BTreeMap::new();
    for row in rows(CLAUSE_CLASSES, ["class", "relation", "standard", "clauses"])? {
        let [class, relation, standard, clauses] = row.cells;
        let of = classes.entry(class).or_default();
        let list = match relation {
            "contradicts" => &mut of.contradicts,
            "supports" => &mut of.supports,
            _ => return Err(CLAUSE_CLASSES.error(row.line, format!("`{relation}` is none of contradicts, supports"))),
        };
        for clause in clauses.split("; ") {
            if clause.is_empty() || !list.insert(format!("{standard} {clause}")) {
                return Err(CLAUSE_CLASSES.error(row.line, format!("clause `{clause}` is empty or stands there twice")));
            }
        }
    }
    let mut pack = Pack::default();
    for row in rows(CLAUSE_CHECKS, ["check", "classes"])? {
        let [check, names] = row.cells;
        let mut clauses = Clauses::default();
        for name in names.split("; ").filter(|name| *name != NONE) {
            let unknown = || CLAUSE_CHECKS.error(row.line, format!("no class is called `{name}`"));
            let class = classes.get(name).ok_or_else(unknown)?;
            clauses.contradicts.extend(class.contradicts.iter().cloned());
            clauses.supports.extend(class.supports.iter().cloned());
        }
        match check.strip_prefix(ALL_THAT_END) {
            Some(end) => pack.by_end.push((end, clauses)),
            None if pack.by_check.insert(check, clauses).is_some() => {
                return Err(CLAUSE_CHECKS.error(row.line, format!("{check} stands there twice")));
            }
            None => {}
        }
    }
    Ok(pack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_and_every_rule_of_ours_says_which_clauses_it_is_about() {
        let missing: Vec<&str> = crate::checks::all().map(|check| check.id).filter(|id| listed(id).is_none()).collect();
        assert!(
            missing.is_empty(),
            "signatures/clauses/checks.tsv needs a row for each of these (none, where no clause is about it): {missing:?}"
        );
    }

    #[test]
    fn every_row_is_about_a_check_that_there_is() {
        let known: BTreeSet<&str> = crate::checks::all().map(|check| check.id).collect();
        let stale: Vec<&&str> = PACK.by_check.keys().filter(|id| !known.contains(**id)).collect();
        assert!(stale.is_empty(), "{stale:?}");
    }

    #[test]
    fn a_default_password_contradicts_and_a_scan_that_was_seen_supports() {
        let password = of("default-password-accepted");
        assert!(password.contradicts.contains("ETSI EN 303 645 v3.1.3 5.1-1") && password.supports.is_empty());
        assert!(password.lines().contains(&"contradicts IEC 62443-3-3 SR 1.5, SR 1.7".to_owned()), "{:?}", password.lines());
        let scan = of("modbus-unit-scan");
        assert!(scan.contradicts.is_empty() && scan.supports.contains("IEC 62443-3-3 SR 6.2"));
        assert!(of("a-rule-of-my-own").is_empty());
    }

    #[test]
    fn keys_are_no_passwords_to_psti() {
        let about = |check: &str| of(check).contradicts.iter().any(|clause| clause.starts_with("PSTI"));
        assert!(about("default-password-used") && !about("lorawan-known-key"));
    }

    #[test]
    fn no_text_says_that_anything_is_compliant() {
        for pack in [CLAUSE_CHECKS, CLAUSE_CLASSES] {
            let rows = pack.text().lines().filter(|line| !line.starts_with('#'));
            assert!(rows.into_iter().all(|line| !line.to_lowercase().contains("complian")));
        }
    }
}
