//! `citytap checks`: how often each check was found, clear and untested over the city.

use super::out::{Asked, print, print_json};
use super::{DONE, Failure};
use crate::checks;
use crate::findings::judge::Outcome;
use crate::findings::kept::KeptCheck;
use crate::screen::text::wrapped;
use crate::screen::{counted, grouped};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Reasons shown of a check that could not be tested; JSON has them all.
const REASONS: usize = 3;

/// Count over all devices of a store what each check found, tested and found clear, and could not test, and why.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap checks --store demo\n  citytap checks --store demo --format json | jq '.[] | select(.untested > 0)'"
)]
pub struct Checks {
    #[command(flatten)]
    asked: Asked,
}

/// The answers to one check.
#[derive(Serialize)]
struct Sum<'a> {
    check: &'a str,
    title: &'a str,
    found: u64,
    clear: u64,
    untested: u64,
    /// Why devices could not be tested, with how many.
    reasons: BTreeMap<&'a str, u64>,
}

impl Checks {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let sums = sums(city.contents().checks.values());
        if self.asked.json() {
            print_json(&sums)?;
            return Ok(DONE);
        }
        let mut text = String::new();
        for sum in &sums {
            let mut parts = Vec::new();
            for (count, words) in [(sum.found, "found"), (sum.clear, "tested and clear"), (sum.untested, "could not test")] {
                if count > 0 {
                    parts.push(format!("{} {words}", grouped(count)));
                }
            }
            text.push_str(&wrapped("", &format!("{}: {}", sum.title, parts.join(" · "))));
            let mut reasons: Vec<(&&str, &u64)> = sum.reasons.iter().collect();
            reasons.sort_by_key(|(reason, count)| (Reverse(**count), **reason));
            for (reason, count) in reasons.into_iter().take(REASONS) {
                text.push_str(&wrapped(&format!("  {:>9}  ", grouped(*count)), reason));
            }
        }
        text.push_str(&counted(sums.len(), "check", "checks"));
        text.push('\n');
        if sums.is_empty() {
            text.push_str(&wrapped("", "no check is about what was seen, which does not mean that it is safe."));
        }
        print(&text)?;
        Ok(DONE)
    }
}

fn sums<'a>(answers: impl Iterator<Item = &'a KeptCheck>) -> Vec<Sum<'a>> {
    let mut sums: BTreeMap<&str, Sum<'a>> = BTreeMap::new();
    for answer in answers {
        let check = &*answer.check;
        let sum = sums.entry(check).or_insert_with(|| Sum {
            check,
            title: checks::by_id(check).map_or(check, |spec| spec.title),
            found: 0,
            clear: 0,
            untested: 0,
            reasons: BTreeMap::new(),
        });
        match answer.outcome {
            Outcome::Found => sum.found += 1,
            Outcome::Clear => sum.clear += 1,
            Outcome::Untested => {
                sum.untested += 1;
                *sum.reasons.entry(&*answer.reason).or_insert(0) += 1;
            }
        }
    }
    let mut sums: Vec<Sum<'a>> = sums.into_values().collect();
    sums.sort_by(|a, b| (Reverse(a.found), a.title, a.check).cmp(&(Reverse(b.found), b.title, b.check)));
    sums
}
