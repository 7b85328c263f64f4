//! Correlations: matches of rules within a time, for each group of values (Sigma correlations 2.1). Time is packet time and never runs back;
//! a window holds what is at most its time span older than the latest match, the edge included.
//!
//! Every window is bounded: of events that are counted, as many are kept as the condition needs; groups are forgotten when they have been silent
//! for a time span, and where there are too many the new ones are not watched and counted.

use super::{Meta, Values};
use crate::findings::KEPT;
use crate::hot::owned::Seen;
use crate::policy::{AT_LEAST, WITHIN_S};
use citytap_sensor::observation::Place;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rsigma_parser::{ConditionExpr, Quantifier};
use std::collections::VecDeque;

/// Groups watched by one correlation at one time: clients of a city that do the same suspicious thing in one time span.
pub const GROUPS: usize = 65_536;

/// Matches kept in one window.
pub const WINDOW: usize = 4_096;

/// Matches kept in all windows of all correlations, some 64 bytes each: a flood fills them, and then the oldest of its own window make room.
pub const ENTRIES: usize = 1 << 19;

/// Matches kept in a window whose condition needs fewer, so that a finding can tell how many values there were.
const TOLD: usize = 256;

/// A correlation.
#[derive(Clone)]
pub struct Correlation {
    /// What is told of it.
    pub meta: Meta,
    pub(super) kind: Kind,
    /// Names of the values that part groups.
    pub group_by: Vec<String>,
    pub(super) timespan: Nanos,
    pub(super) condition: Condition,
    /// Whether it makes findings, rather than being there for another correlation alone.
    pub(super) alone: bool,
    pub(super) members: Vec<Member>,
    /// For each member, which of its captures are the group's values, and behind them the value that is counted.
    pub(super) projections: Vec<Vec<usize>>,
}

impl Correlation {
    /// The numbers that it goes by and a person may change: how many at least, where it has one such bound alone, and within how many seconds.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let at_least = match &self.condition {
            Condition::Compare(bounds, _) => match bounds.as_slice() {
                [(Count::GreaterOrEqual, bound)] => Some((AT_LEAST, *bound)),
                _ => None,
            },
            _ => None,
        };
        at_least.into_iter().chain([(WITHIN_S, self.timespan / SECOND)])
    }

    /// Goes by other numbers; those that it does not go by are none of its concern.
    pub(super) fn adjust(&mut self, said: impl Fn(&str) -> Option<u64>) {
        if let (Condition::Compare(bounds, _), Some(at_least)) = (&mut self.condition, said(AT_LEAST))
            && let [(Count::GreaterOrEqual, bound)] = bounds.as_mut_slice()
        {
            *bound = at_least;
        }
        if let Some(seconds) = said(WITHIN_S) {
            self.timespan = seconds.saturating_mul(SECOND);
        }
    }
}

/// What a correlation counts: by position among the rules or among the correlations before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Member {
    Rule(usize),
    Correlation(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    ValueMedian,
}

/// When a window fires.
#[derive(Clone)]
pub(super) enum Condition {
    /// All of these, and for percentiles which one.
    Compare(Vec<(Count, u64)>, u64),
    /// Each of so many members was there.
    AllOf(usize),
    /// These members were there.
    Expression(Expression),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Count {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// An expression over members, by their position.
#[derive(Clone)]
pub(super) enum Expression {
    Member(usize),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    AtLeast(usize, Vec<Expression>),
    Not(Box<Expression>),
}

impl Expression {
    pub(super) fn new(expression: &ConditionExpr, names: &[String]) -> Result<Self, String> {
        let parts = |parts: &[ConditionExpr]| parts.iter().map(|part| Self::new(part, names)).collect::<Result<Vec<_>, _>>();
        Ok(match expression {
            ConditionExpr::And(all) => Expression::All(parts(all)?),
            ConditionExpr::Or(any) => Expression::Any(parts(any)?),
            ConditionExpr::Not(part) => Expression::Not(Box::new(Self::new(part, names)?)),
            ConditionExpr::Identifier(name) => match names.iter().position(|known| known == name) {
                Some(at) => Expression::Member(at),
                None => return Err(format!("the condition names {name}, which is not among the correlation's rules")),
            },
            ConditionExpr::Selector { quantifier, pattern } => {
                let fits =
                    (0..names.len()).filter(|at| pattern.matches_detection_name(&names[*at])).map(Expression::Member).collect();
                match quantifier {
                    Quantifier::Any => Expression::Any(fits),
                    Quantifier::All => Expression::All(fits),
                    Quantifier::Count(count) => Expression::AtLeast(usize::try_from(*count).unwrap_or(usize::MAX), fits),
                }
            }
        })
    }

    /// Whether it holds of nothing but all of so many members.
    pub(super) fn asks_for_all(&self, members: usize) -> bool {
        let Expression::All(parts) = self else { return members == 1 && matches!(self, Expression::Member(0)) };
        let named = |at: usize| parts.iter().any(|part| matches!(part, Expression::Member(member) if *member == at));
        parts.iter().all(|part| matches!(part, Expression::Member(_))) && (0..members).all(named)
    }

    fn holds(&self, there: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Expression::Member(at) => there(*at),
            Expression::All(parts) => parts.iter().all(|part| part.holds(there)),
            Expression::Any(parts) => parts.iter().any(|part| part.holds(there)),
            Expression::AtLeast(count, parts) => parts.iter().filter(|part| part.holds(there)).count() >= *count,
            Expression::Not(part) => !part.holds(there),
        }
    }
}

impl Condition {
    /// As many matches as decide it: more need not be kept. `None` where each of them counts.
    fn enough(&self) -> Option<usize> {
        let Condition::Compare(predicates, _) = self else { return None };
        let at_least = |(count, number): &(Count, u64)| match count {
            Count::GreaterOrEqual => Some(*number),
            Count::Greater => Some(number.saturating_add(1)),
            _ => None,
        };
        let most = predicates.iter().map(at_least).try_fold(0, |most, number| Some(most.max(number?)))?;
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn compares(&self, value: f64) -> bool {
        let Condition::Compare(predicates, _) = self else { return false };
        predicates.iter().all(|(count, number)| {
            let number = *number as f64;
            match count {
                Count::Less => value < number,
                Count::LessOrEqual => value <= number,
                Count::Greater => value > number,
                Count::GreaterOrEqual => value >= number,
                Count::Equal => value == number,
                Count::NotEqual => value != number,
            }
        })
    }
}

/// A match on its way through the correlations.
pub(super) struct Arrival<'a> {
    pub(super) seen: Seen,
    /// Packet time so far.
    pub(super) now: Timestamp,
    /// The values of the group.
    pub(super) group: &'a Values,
    /// What is counted.
    pub(super) value: Option<&'a str>,
    /// Position of the rule among the members.
    pub(super) member: usize,
}

/// What a window that fired has in it.
pub(super) struct Fired {
    /// The places of its matches that no earlier firing had.
    pub(super) fresh: Vec<Seen>,
    /// How many values, or what was worked out of them; `None` where matches were counted.
    pub(super) count: Option<u64>,
}

/// The groups of one correlation.
#[derive(Default)]
pub(super) struct Windows {
    groups: HashMap<Values, Window, FixedState>,
    swept: Timestamp,
    pub(super) shed: u64,
}

#[derive(Default)]
struct Window {
    entries: VecDeque<Entry>,
    /// For `temporal`: the latest match of each member; for `temporal_ordered`: the latest beginning of what leads up to it, and where it stands.
    members: Vec<Option<(Timestamp, Place)>>,
    last: Timestamp,
}

struct Entry {
    seen: Seen,
    time: Timestamp,
    value: Counted,
    told: bool,
}

/// What a match brings to be counted.
#[derive(Clone, PartialEq)]
enum Counted {
    Nothing,
    Text(Box<str>),
    Number(f64),
}

impl Counted {
    fn of(kind: Kind, value: Option<&str>) -> Self {
        let number = |value: &str| value.parse().ok().filter(|number: &f64| number.is_finite()).map(Counted::Number);
        match (kind, value) {
            (_, None) | (Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered, _) => Counted::Nothing,
            (Kind::ValueCount, Some(value)) => Counted::Text(value.into()),
            (_, Some(value)) => number(value).unwrap_or(Counted::Nothing),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Counted::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Windows {
    /// Forgets groups that were silent for a time span, once in each.
    pub(super) fn sweep(&mut self, correlation: &Correlation, now: Timestamp, entries: &mut usize) {
        if now.since(self.swept) <= correlation.timespan {
            return;
        }
        self.swept = now;
        self.groups.retain(|_, window| {
            let stays = now.since(window.last) <= correlation.timespan;
            *entries -= if stays { 0 } else { window.entries.len() };
            stays
        });
        if self.groups.is_empty() {
            self.groups = HashMap::default();
        }
    }

    /// Takes a match; answers what is in the window where that fires. `entries` counts what all windows keep.
    pub(super) fn take(&mut self, correlation: &Correlation, arrival: Arrival<'_>, entries: &mut usize) -> Option<Fired> {
        let now = arrival.now;
        self.sweep(correlation, now, entries);
        if self.groups.len() >= GROUPS && !self.groups.contains_key(arrival.group) {
            self.shed += 1;
            return None;
        }
        let window = self.groups.entry_ref(arrival.group).or_default();
        let before = window.entries.len();
        window.last = now;
        // Most windows hold one match and no more.
        if before == 0 {
            window.entries.reserve_exact(1);
        }
        window.entries.push_back(Entry {
            seen: arrival.seen,
            time: now,
            value: Counted::of(correlation.kind, arrival.value),
            told: false,
        });
        window.forget(correlation, now);
        if window.entries.len() > WINDOW || (window.entries.len() > before && *entries >= ENTRIES) {
            window.entries.pop_front();
            self.shed += u64::from(!correlation.is_temporal());
        }
        *entries = *entries + window.entries.len() - before;
        window.judge(correlation, arrival.member, arrival.seen.place, now)
    }
}

impl Correlation {
    fn is_temporal(&self) -> bool {
        matches!(self.kind, Kind::Temporal | Kind::TemporalOrdered)
    }

    /// As many matches as decide it, and some to tell of; `None` where each counts.
    fn enough(&self) -> Option<usize> {
        match self.kind {
            Kind::EventCount | Kind::ValueCount => self.condition.enough().map(|enough| enough.max(TOLD)),
            Kind::Temporal | Kind::TemporalOrdered => Some(self.members.len() + 2 * KEPT),
            _ => None,
        }
    }
}

impl Window {
    /// Drops what is too old and what decides nothing.
    fn forget(&mut self, correlation: &Correlation, now: Timestamp) {
        while self.entries.front().is_some_and(|entry| now.since(entry.time) > correlation.timespan) {
            self.entries.pop_front();
        }
        if correlation.kind == Kind::ValueCount {
            // The latest sighting of a value counts.
            if let Some(value) = self.entries.back().map(|entry| &entry.value) {
                let newest = self.entries.len() - 1;
                if let Some(earlier) = self.entries.iter().take(newest).position(|entry| entry.value == *value) {
                    let told = self.entries.remove(earlier).is_some_and(|entry| entry.told);
                    if let Some(entry) = self.entries.back_mut() {
                        entry.told = told;
                    }
                }
            }
        }
        // What was told and is more than enough makes room; what was not is told first. Of what is there together the latest counts,
        // which is kept apart.
        if let Some(enough) = correlation.enough() {
            let all = correlation.is_temporal();
            while self.entries.len() > enough && self.entries.front().is_some_and(|entry| all || entry.told) {
                self.entries.pop_front();
            }
        }
    }

    fn judge(&mut self, correlation: &Correlation, member: usize, place: Place, now: Timestamp) -> Option<Fired> {
        let count = match correlation.kind {
            Kind::EventCount => {
                let count = self.entries.len();
                correlation.condition.compares(count as f64).then_some(None)?
            }
            Kind::ValueCount => {
                let count = self.entries.iter().filter(|entry| entry.value != Counted::Nothing).count();
                correlation.condition.compares(count as f64).then_some(Some(count as u64))?
            }
            Kind::Temporal | Kind::TemporalOrdered => self.are_there(correlation, member, place, now).then_some(None)?,
            kind => {
                let value = self.worked_out(kind, &correlation.condition)?;
                correlation.condition.compares(value).then_some(Some(value.max(0.0) as u64))?
            }
        };
        let fresh = self
            .entries
            .iter_mut()
            .filter_map(|entry| (!std::mem::replace(&mut entry.told, true)).then_some(entry.seen))
            .collect();
        Some(Fired { fresh, count })
    }

    fn are_there(&mut self, correlation: &Correlation, member: usize, place: Place, now: Timestamp) -> bool {
        let members = correlation.members.len();
        self.members.resize(members, None);
        let within = |at: Option<(Timestamp, Place)>| at.is_some_and(|(time, _)| now.since(time) <= correlation.timespan);
        if correlation.kind == Kind::TemporalOrdered {
            let begun = match member {
                0 => Some(now),
                // One message does not follow itself.
                later => self.members[later - 1].filter(|begun| within(Some(*begun)) && begun.1 < place).map(|(begun, _)| begun),
            };
            if let Some(begun) = begun {
                self.members[member] = Some((begun, place));
            }
            return within(self.members[members - 1]);
        }
        self.members[member] = Some((now, place));
        let there = |at: usize| self.members.get(at).is_some_and(|time| within(*time));
        match &correlation.condition {
            Condition::AllOf(count) => (0..*count).all(there),
            Condition::Expression(expression) => expression.holds(&there),
            Condition::Compare(..) => false,
        }
    }

    fn worked_out(&self, kind: Kind, condition: &Condition) -> Option<f64> {
        let mut values: Vec<f64> = self.entries.iter().filter_map(|entry| entry.value.number()).collect();
        if values.is_empty() {
            return None;
        }
        let sum: f64 = values.iter().sum();
        Some(match kind {
            Kind::ValueSum => sum,
            Kind::ValueAvg => sum / values.len() as f64,
            _ => {
                values.sort_by(f64::total_cmp);
                let share = match (kind, condition) {
                    (Kind::ValuePercentile, Condition::Compare(_, percentile)) => *percentile as f64 / 100.0,
                    _ => 0.5,
                };
                // Between two values in proportion, as most tools do.
                let at = share * (values.len() - 1) as f64;
                let (low, part) = (at.floor() as usize, at.fract());
                let high = values.get(low + 1).copied().unwrap_or(values[low]);
                values[low] + (high - values[low]) * part
            }
        })
    }
}
