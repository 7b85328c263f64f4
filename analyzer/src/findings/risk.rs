//! Risk: how urgent a device or an action is, as an integer from 0 to 100 that is the sum of its terms, and a verdict that follows from it.
//!
//! ```text
//! risk = severity + confidence + known exploited + exposure + criticality        kept within 0 to 100
//!
//! severity          of the finding that weighs most      info 0 · low 10 · medium 30 · high 50 · critical 65
//! confidence        a part of the severity is taken off  proved, seen 0 · likely a quarter · possible a half
//! known exploited   a reference of it names CISA KEV     20
//! exposure          asked from outside the site 15, or asks outside 5 · speaks without encryption 10 · traffic crosses VLANs 5
//! criticality       that a person set                    low -10 · normal 0 · high 10 · critical 20
//!
//! verdict           act from 60 · plan from 30 · watch below; info and no finding: watch; low: plan at most
//! ```
//!
//! An action's risk is that of its device for which the sum is greatest, and counts its own findings alone. A low finding of one device is
//! to be watched whatever the sum; one that [`MANY`] devices share is planned.

use super::Severity;
use super::actions::Part;
use crate::inventory::DeviceId;
use crate::inventory::confidence_name;
use crate::inventory::exposure::Exposure;
use citytap_sensor::observation::Confidence;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Risks from here on ask for something to be done now.
pub const ACT: u8 = 60;

/// Risks from here on ask for a plan.
pub const PLAN: u8 = 30;

/// Devices with one low finding from which on mending it is planned: as many as a person would not visit one by one.
pub const MANY: usize = 10;

/// What a reference contains where the finding's weakness is known to be exploited.
const KNOWN_EXPLOITED: &str = "CISA KEV";

/// What is to be done with a device or an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Keep an eye on it.
    Watch,
    /// Plan the remedy.
    Plan,
    /// Act now.
    Act,
}

impl Verdict {
    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Watch => "watch",
            Verdict::Plan => "plan",
            Verdict::Act => "act",
        }
    }
}

/// How much depends on a device; a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Nobody would miss it for a while.
    Low,
    /// As usual.
    Normal,
    /// A service of the city suffers without it.
    High,
    /// People are in danger without it.
    Critical,
}

impl Criticality {
    /// All of them, the least first.
    pub const ALL: [Criticality; 4] = [Criticality::Low, Criticality::Normal, Criticality::High, Criticality::Critical];

    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Criticality::Low => "low",
            Criticality::Normal => "normal",
            Criticality::High => "high",
            Criticality::Critical => "critical",
        }
    }

    fn points(self) -> i16 {
        match self {
            Criticality::Low => -10,
            Criticality::Normal => 0,
            Criticality::High => 10,
            Criticality::Critical => 20,
        }
    }
}

/// What of a device weighs beside its findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// What traffic shows that it is exposed to.
    pub exposure: Exposure,
    /// What a person says depends on it.
    pub criticality: Option<Criticality>,
}

/// What of a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// Whether its weakness is known to be exploited.
    pub known_exploited: bool,
}

impl Weight {
    /// Whether one of these texts says that the weakness is known to be exploited.
    pub fn is_known_exploited<'t>(mut texts: impl Iterator<Item = &'t str>) -> bool {
        texts.any(|text| text.contains(KNOWN_EXPLOITED))
    }

    fn severity_points(self) -> i16 {
        match self.severity {
            Severity::Info => 0,
            Severity::Low => 10,
            Severity::Medium => 30,
            Severity::High => 50,
            Severity::Critical => 65,
        }
    }

    fn confidence_points(self) -> i16 {
        match self.confidence {
            Confidence::Proved | Confidence::Seen => 0,
            Confidence::Likely => -(self.severity_points() / 4),
            Confidence::Possible => -(self.severity_points() / 2),
        }
    }

    fn known_exploited_points(self) -> i16 {
        if self.known_exploited { 20 } else { 0 }
    }

    fn sum(self) -> i16 {
        self.severity_points() + self.confidence_points() + self.known_exploited_points()
    }

    /// Order by what weighs more; among equals the more severe.
    fn order(self) -> impl Ord {
        (self.sum(), self.severity, self.confidence, self.known_exploited)
    }
}

/// The risk of a device or an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// The finding that weighs most; `None` where nothing was found.
    pub gravest: Option<Weight>,
    /// What else weighs.
    pub context: Context,
}

/// A part of the sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Which.
    pub term: &'static str,
    /// What it adds.
    pub points: i16,
    /// Why, in a few words.
    pub because: Cow<'static, str>,
}

impl Risk {
    /// The sum, within 0 to 100.
    pub fn score(&self) -> u8 {
        let found = self.gravest.map_or(0, Weight::sum);
        let criticality = self.context.criticality.map_or(0, Criticality::points);
        let sum = found + self.exposures().map(|(points, _)| points).sum::<i16>() + criticality;
        u8::try_from(sum.clamp(0, 100)).unwrap_or_default()
    }

    /// What is to be done.
    pub fn verdict(&self) -> Verdict {
        let by_score = match self.score() {
            ACT.. => Verdict::Act,
            PLAN.. => Verdict::Plan,
            _ => Verdict::Watch,
        };
        match self.gravest.map(|weight| weight.severity) {
            None | Some(Severity::Info) => Verdict::Watch,
            Some(Severity::Low) => by_score.min(Verdict::Plan),
            Some(_) => by_score,
        }
    }

    /// What is to be done about an action that concerns so many devices.
    pub fn verdict_of_action(&self, devices: usize) -> Verdict {
        match (self.gravest.map(|weight| weight.severity), devices) {
            (Some(Severity::Low), 0..=1) => Verdict::Watch,
            (Some(Severity::Low), MANY..) => Verdict::Plan,
            _ => self.verdict(),
        }
    }

    /// The terms of the sum; those that add nothing are left out.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        let mut term = |term, points, because: Cow<'static, str>| {
            if points != 0 {
                terms.push(Term { term, points, because });
            }
        };
        if let Some(weight) = self.gravest {
            term("severity", weight.severity_points(), format!("the gravest finding is {}", weight.severity.name()).into());
            term("confidence", weight.confidence_points(), format!("it is {}", confidence_name(weight.confidence)).into());
            term("known_exploited", weight.known_exploited_points(), "CISA lists the weakness as exploited (KEV)".into());
        }
        self.exposures().for_each(|(points, because)| term("exposure", points, because.into()));
        if let Some(criticality) = self.context.criticality {
            let because = format!("a person set its criticality to {}", criticality.name());
            term("criticality", criticality.points(), because.into());
        }
        terms
    }

    fn exposures(&self) -> impl Iterator<Item = (i16, &'static str)> {
        let exposure = self.context.exposure;
        [
            (exposure.asked_from_outside, 15, "addresses outside the site ask it"),
            (exposure.asks_outside && !exposure.asked_from_outside, 5, "it asks addresses outside the site"),
            (exposure.clear, 10, "it speaks without encryption"),
            (exposure.crosses_vlans, 5, "its traffic crosses VLANs"),
        ]
        .into_iter()
        .filter_map(|(is_so, points, because)| is_so.then_some((points, because)))
    }

    /// Adds a finding.
    pub fn add(&mut self, weight: Weight) {
        if self.gravest.is_none_or(|gravest| weight.order() > gravest.order()) {
            self.gravest = Some(weight);
        }
    }
}

impl Serialize for Risk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Risk", 3)?;
        fields.serialize_field("score", &self.score())?;
        fields.serialize_field("verdict", &self.verdict())?;
        fields.serialize_field("terms", &self.terms())?;
        fields.end()
    }
}

/// What a term adds, and when.
#[derive(Clone, Debug, Serialize)]
pub struct Points {
    /// Which term.
    pub term: &'static str,
    /// What it adds.
    pub points: i16,
    /// When it does.
    pub when: Cow<'static, str>,
}

/// What follows from the sum, for people.
pub const VERDICTS: &str = "The verdict is act from 60, plan from 30, else watch. A device without a finding and what is only good to know are \
    watched; a low finding is planned at most. An action has the risk of its device for which the sum is greatest, with its own findings alone; \
    a low finding of one device is watched, one that 10 devices share is planned.";

/// Every term with what it adds, made by the functions that weigh.
pub static POINTS: LazyLock<Vec<Points>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let mut say = |term: Term, when: Cow<'static, str>| all.push(Points { term: term.term, points: term.points, when });
    let weight = |severity, confidence| Weight { severity, confidence, known_exploited: true };
    for severity in Severity::ALL.into_iter().skip(1) {
        let risk = Risk { gravest: Some(weight(severity, Confidence::Seen)), context: Context::default() };
        let when = format!("the finding that weighs most is {}", severity.name());
        risk.terms().into_iter().filter(|term| term.term == "severity").for_each(|term| say(term, when.clone().into()));
    }
    let gravest = |confidence| Risk { gravest: Some(weight(Severity::High, confidence)), context: Context::default() };
    for (confidence, part) in [(Confidence::Likely, "a quarter"), (Confidence::Possible, "a half")] {
        let when = format!("it is {}: {part} of the severity is taken off, of high this much", confidence_name(confidence));
        gravest(confidence)
            .terms()
            .into_iter()
            .filter(|term| term.term == "confidence")
            .for_each(|term| say(term, when.clone().into()));
    }
    let known = gravest(Confidence::Seen).terms().into_iter().filter(|term| term.term == "known_exploited");
    known.for_each(|term| say(term, "CISA lists its weakness as exploited (KEV)".into()));
    let [asked, asks, clear, vlan] =
        [(true, false, false, false), (false, true, false, false), (false, false, true, false), (false, false, false, true)].map(
            |(asked_from_outside, asks_outside, clear, crosses_vlans)| Exposure {
                asked_from_outside,
                asks_outside,
                clear,
                crosses_vlans,
            },
        );
    for exposure in [asked, asks, clear, vlan] {
        let risk = Risk { gravest: None, context: Context { exposure, criticality: None } };
        risk.terms().into_iter().for_each(|term| {
            let when = term.because.clone();
            say(term, when);
        });
    }
    for criticality in Criticality::ALL {
        let risk = Risk { gravest: None, context: Context { exposure: Exposure::default(), criticality: Some(criticality) } };
        risk.terms().into_iter().for_each(|term| {
            let when = term.because.clone();
            say(term, when);
        });
    }
    all
});

/// The gravest finding of each device that has any.
pub struct Gravest(HashMap<DeviceId, Risk, FixedState>);

impl Gravest {
    /// Of all findings that stand.
    pub fn new<'f>(parts: impl Iterator<Item = Part<'f>>) -> Self {
        let mut risks: HashMap<DeviceId, Risk, FixedState> = HashMap::default();
        parts.for_each(|part| risks.entry(part.device).or_default().add(part.cause.weight()));
        Self(risks)
    }

    /// The risk of a device.
    pub fn risk(&self, device: DeviceId, context: Context) -> Risk {
        Risk { context, ..self.0.get(&device).copied().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(severity: Severity, confidence: Confidence) -> Weight {
        Weight { severity, confidence, known_exploited: false }
    }

    fn risk(severity: Severity, confidence: Confidence) -> Risk {
        Risk { gravest: Some(weight(severity, confidence)), context: Context::default() }
    }

    fn exposed(mut risk: Risk) -> Risk {
        risk.context.exposure = Exposure { clear: true, asked_from_outside: true, asks_outside: true, crosses_vlans: true };
        risk
    }

    #[test]
    fn the_terms_add_up_to_the_score() {
        for severity in Severity::ALL {
            for confidence in [Confidence::Possible, Confidence::Likely, Confidence::Seen, Confidence::Proved] {
                for criticality in Criticality::ALL.map(Some).into_iter().chain([None]) {
                    let mut one = exposed(risk(severity, confidence));
                    one.context.criticality = criticality;
                    let sum: i16 = one.terms().iter().map(|term| term.points).sum();
                    assert_eq!(i16::from(one.score()), sum.clamp(0, 100), "{one:?}");
                }
            }
        }
    }

    #[test]
    fn a_proved_critical_finding_asks_to_act_wherever_the_device_stands() {
        let one = risk(Severity::Critical, Confidence::Proved);
        assert_eq!((one.score(), one.verdict()), (65, Verdict::Act));
        let possible = risk(Severity::Critical, Confidence::Possible);
        assert_eq!((possible.score(), possible.verdict()), (33, Verdict::Plan));
    }

    #[test]
    fn exposure_and_criticality_make_a_plan_an_act() {
        let high = risk(Severity::High, Confidence::Seen);
        assert_eq!((high.score(), high.verdict()), (50, Verdict::Plan));
        assert_eq!((exposed(high).score(), exposed(high).verdict()), (80, Verdict::Act));
        let mut critical = high;
        critical.context.criticality = Some(Criticality::High);
        assert_eq!((critical.score(), critical.verdict()), (60, Verdict::Act));
        critical.context.criticality = Some(Criticality::Low);
        assert_eq!((critical.score(), critical.verdict()), (40, Verdict::Plan));
    }

    #[test]
    fn what_is_known_to_be_exploited_weighs_more_than_a_graver_word() {
        let mut one = Risk::default();
        one.add(weight(Severity::High, Confidence::Likely));
        assert_eq!(one.score(), 38);
        one.add(Weight { known_exploited: true, ..weight(Severity::Medium, Confidence::Seen) });
        assert_eq!(one.score(), 50);
        one.add(weight(Severity::Low, Confidence::Seen));
        assert_eq!(one.score(), 50, "a lesser finding takes nothing away");
        assert!(Weight::is_known_exploited(["CVE-2021-1", "CISA KEV, 2023-05-01"].into_iter()));
        assert!(!Weight::is_known_exploited(["CVE-2021-1", "CISA ICSA-22-1"].into_iter()));
    }

    #[test]
    fn info_and_single_low_findings_are_watched_however_exposed() {
        let mut info = exposed(risk(Severity::Info, Confidence::Seen));
        info.context.criticality = Some(Criticality::Critical);
        assert_eq!((info.verdict(), info.verdict_of_action(5_000)), (Verdict::Watch, Verdict::Watch));
        let mut low = exposed(risk(Severity::Low, Confidence::Seen));
        low.context.criticality = Some(Criticality::Critical);
        assert_eq!((low.score(), low.verdict()), (60, Verdict::Plan));
        assert_eq!(low.verdict_of_action(1), Verdict::Watch);
        assert_eq!(risk(Severity::Low, Confidence::Seen).verdict_of_action(2), Verdict::Watch);
        assert_eq!(risk(Severity::Low, Confidence::Seen).verdict_of_action(MANY), Verdict::Plan);
        assert_eq!(Risk::default().verdict(), Verdict::Watch);
    }
}
