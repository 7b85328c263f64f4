//! Published weaknesses of devices, and products at the end of their life.
//!
//! It turns what the inventory knows of makers, models and versions into answers, when a report is made: found, tested and clear, or not
//! testable and why. A version on the wire is what the device says, so nothing here is more than *likely*; what an advisory says of all versions
//! or in words that are not understood, and what only looks like the product, is *possible*, and never more than medium.
//!
//! All weaknesses of one product and version are one finding, so that a city's devices of one kind become one action.

mod checks;
mod claims;
#[cfg(test)]
mod tests;

use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Argument, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use crate::inventory::{AttributeSeen, Device, Inventory};
use crate::screen::counted;
use crate::signatures::advisories::{Claim, Concern, Judged, Pack, Weakness, end_of_life};
use citytap_sensor::observation::{Confidence, Place};
use claims::{Says, Stated, claims};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::cmp::Reverse;

pub use checks::ALL as CHECKS;

/// What it is.
pub const SPEC: DetectorSpec =
    DetectorSpec { name: "advisories", checks: CHECKS, interests: &[], parameters: &[], make: |_| Box::new(Advisories) };

/// It keeps nothing: the inventory knows what devices say of themselves.
struct Advisories;

impl Detector for Advisories {
    fn verdicts(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) {
        verdicts(inventory, take);
    }

    fn shed(&self) -> u64 {
        0
    }
}

/// CVEs that a finding names: a person reads some, and `citytap advisories show` has all.
const NAMED: usize = 6;

/// Characters of `2026-11-20`.
const DAY: usize = 10;

/// Claims whose judgement is remembered: devices of one kind say the same. Those beyond are judged each time.
const REMEMBERED: usize = 1 << 14;

/// What was judged of a claim: its weaknesses, and the end of its life where that is known.
type Remembered = HashMap<Claim, (Answer, Option<end_of_life::Known>), FixedState>;

/// Answers the questions about all devices that say what they are.
pub fn verdicts(inventory: &Inventory, take: &mut dyn FnMut(Verdict)) {
    let pack = Pack::current();
    let mut remembered = Remembered::default();
    for (subject, device) in inventory.described() {
        judge(&device, &subject, pack, &mut remembered, take);
    }
}

fn judge(device: &Device, subject: &IdentityKey, pack: &Pack, remembered: &mut Remembered, take: &mut dyn FnMut(Verdict)) {
    let mut say = |check, answer| take(Verdict { check, subject: subject.clone(), answer });
    match claims(device, pack) {
        Says::Nothing => {}
        Says::NoMaker => say(&checks::KNOWN_VULNERABILITY, Answer::Untested("who made it is not known".into())),
        Says::Claims(all) => {
            for stated in &all {
                let (answer, end) = match remembered.get(&stated.claim) {
                    Some(judged) => judged.clone(),
                    None => {
                        let answer = weaknesses(stated, &pack.judge(&stated.claim), &pack.stand());
                        let judged = (answer, end_of_life::of(&stated.claim));
                        if remembered.len() < REMEMBERED {
                            remembered.insert(stated.claim.clone(), judged.clone());
                        }
                        judged
                    }
                };
                say(&checks::KNOWN_VULNERABILITY, seen_at(answer, stated.by));
                if let Some(known) = end {
                    let seen = device.last_seen.to_string();
                    say(&checks::END_OF_LIFE, ended(known, stated.by, seen.get(..DAY).unwrap_or_default()));
                }
            }
        }
    }
}

/// The answer about one claim; where it was seen is filled in later, since devices of one kind share the rest. `stand` says how far the
/// advisories reach.
fn weaknesses(stated: &Stated<'_>, judged: &Judged<'_>, stand: &str) -> Answer {
    let product = &stated.product;
    if judged.maker.is_none() {
        return Answer::Untested(format!("no advisory of ours is about its maker ({stand})").into());
    }
    if judged.tested == 0 {
        return Answer::Untested(format!("no advisory of ours names this product of its maker ({stand})").into());
    }
    let affected: Vec<&Weakness<'_>> = judged.weaknesses.iter().filter(|one| one.concern == Concern::Affected).collect();
    let possible = judged.weaknesses.len() - affected.len();
    if !affected.is_empty() {
        return found(stated, &affected, possible, stand);
    }
    if possible > 0 {
        return found(stated, &judged.weaknesses.iter().collect::<Vec<_>>(), 0, stand);
    }
    if judged.waiting > 0 {
        let count = counted(judged.waiting, "weakness of some versions is", "weaknesses of some versions are");
        return Answer::Untested(format!("no version was seen: {count} published for {product} ({stand})").into());
    }
    let tested = counted(judged.tested, "advisory", "advisories");
    let version = stated.claim.version.as_deref().unwrap_or_default();
    Answer::Clear(format!("tested against {tested} for {product} {version} ({stand})").into())
}

fn found(stated: &Stated<'_>, weaknesses: &[&Weakness<'_>], more: usize, stand: &str) -> Answer {
    let mut sorted = weaknesses.to_vec();
    sorted.sort_by_key(|one| (Reverse(one.cve.exploited.is_some()), Reverse(one.cve.score), &one.cve.id));
    let Some(worst) = sorted.first() else { return Answer::Clear("".into()) };
    let is_affected = worst.concern == Concern::Affected;
    let count = counted(sorted.len(), "published weakness", "published weaknesses");
    let arguments: Vec<Argument> = vec![
        ("_cves", named(&sorted, more).into()),
        ("_pack", stand.to_owned().into()),
        ("fix", remedy(stated, &sorted).into()),
        ("has", Cow::Borrowed(if is_affected { "has" } else { "may have" })),
        ("product", stated.product.clone().into()),
        ("version", stated.claim.version.clone().map_or("(version not seen)".into(), Cow::Owned)),
        ("weaknesses", count.into()),
        ("worst", describe(worst).into()),
    ];
    let gravest = sorted.iter().map(|one| severity(one)).max().unwrap_or(Severity::Low);
    let confidence = if is_affected { Confidence::Likely } else { Confidence::Possible };
    Answer::Found(Found { severity: gravest, confidence, arguments, evidence: Evidence::default() })
}

/// By CVSS, raised where it is known to be used. What is only possible is never more than medium.
fn severity(weakness: &Weakness<'_>) -> Severity {
    let exploited = weakness.cve.exploited.is_some();
    let severe = weakness.cve.score.is_none_or(|score| score >= 70);
    match (weakness.concern, weakness.cve.score) {
        (Concern::Affected, _) if exploited => {
            if severe {
                Severity::Critical
            } else {
                Severity::High
            }
        }
        (Concern::Affected, Some(90..)) => Severity::Critical,
        (Concern::Affected, Some(70..)) => Severity::High,
        (Concern::Affected, Some(40..) | None) => Severity::Medium,
        (Concern::Unclear, _) if exploited => Severity::Medium,
        (Concern::Unclear, Some(70..)) => Severity::Medium,
        _ => Severity::Low,
    }
}

/// `CVE-2021-22779 (CVSS 9.8, used in attacks by ransomware)`.
fn describe(weakness: &Weakness<'_>) -> String {
    let score = weakness.cve.score.map(|score| format!("CVSS {}.{}", score / 10, score % 10));
    let used = weakness.cve.exploited.as_ref().map(|since| {
        let ransomware = if weakness.cve.ransomware { " and by ransomware" } else { "" };
        format!("used in attacks{ransomware}, listed by CISA since {since}")
    });
    let notes: Vec<String> = score.into_iter().chain(used).collect();
    if notes.is_empty() { weakness.cve.id.to_string() } else { format!("{} ({})", weakness.cve.id, notes.join(", ")) }
}

fn named(sorted: &[&Weakness<'_>], more: usize) -> String {
    let mut text: String = sorted.iter().take(NAMED).map(|one| &*one.cve.id).collect::<Vec<_>>().join(", ");
    if sorted.len() > NAMED {
        text.push_str(&format!(" and {} more", sorted.len() - NAMED));
    }
    if more > 0 {
        text.push_str(&format!("; {} may apply as well", counted(more, "other", "others")));
    }
    text
}

/// What to do: the version that mends all of them, where the advisories name it.
fn remedy(stated: &Stated<'_>, sorted: &[&Weakness<'_>]) -> String {
    use crate::signatures::advisories::version::{Relation, Version};
    let versions = sorted.iter().filter_map(|one| one.mended_in.as_deref());
    let read = versions.filter_map(|text| Some((text, Version::parse(text)?)));
    let latest = read.reduce(|a, b| if a.1.relation(&b.1) == Relation::Less { b } else { a });
    let open = sorted.iter().filter(|one| one.mended_in.is_none()).count();
    match latest {
        Some((latest, _)) if open == 0 => format!("update {} to {latest} or later", stated.product),
        Some((latest, _)) => {
            let others = if open == 1 { "the other one".to_owned() } else { format!("the other {open}") };
            format!("update {} to {latest} or later, and ask the maker about {others}", stated.product)
        }
        None => "ask the maker which version mends it, and keep it apart until then".into(),
    }
}

fn ended(known: end_of_life::Known, by: &AttributeSeen, today: &str) -> Answer {
    let product = match known.end.versions {
        "vers:all/*" => format!("{} {}", known.end.vendor, known.end.product),
        versions => format!("{} {} ({versions})", known.end.vendor, known.end.product),
    };
    if today < known.end.date {
        return Answer::Clear(format!("{product} is mended until {}", known.end.date).into());
    }
    let arguments = vec![
        ("_source", known.end.source.into()),
        ("end", format!("is no longer mended since {}", known.end.date).into()),
        ("product", product.into()),
    ];
    let (severity, confidence) =
        if known.sure { (Severity::Medium, Confidence::Likely) } else { (Severity::Low, Confidence::Possible) };
    seen_at(Answer::Found(Found { severity, confidence, arguments, evidence: Evidence::default() }), by)
}

/// Fills in where the device said it.
fn seen_at(mut answer: Answer, by: &AttributeSeen) -> Answer {
    if let Answer::Found(found) = &mut answer {
        let field = match by.name.as_str() {
            "firmware" => "device.firmware",
            "software" => "device.software",
            "product" => "device.product",
            _ => "device.model",
        };
        let at = |frame, time| Seen { place: Place { frame, sequence: 0 }, time };
        let seen = by.seen;
        found.evidence = Evidence::one(at(seen.first_frame, seen.first_seen), field);
        if seen.last_frame != seen.first_frame {
            found.evidence.add(at(seen.last_frame, seen.last_seen), field);
        }
        found.evidence.count = seen.count.max(1);
    }
    answer
}
