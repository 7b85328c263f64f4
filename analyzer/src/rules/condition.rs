//! The condition of a correlation: from the parser's terms to ours, and what in it can never be or always is.

use super::compile;
use super::correlate::{Condition, Count, Expression, Kind, Member, WINDOW};
use rsigma_parser::{ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType};

/// What a correlation asks that can never be, or always is.
pub(super) fn flaws(sigma: &CorrelationRule) -> Vec<compile::Wrong> {
    let mut wrong = Vec::new();
    let mut say = |path: &str, text: String| wrong.push((path.to_owned(), text));
    if sigma.timespan.seconds == 0 {
        say("correlation/timespan", "a time span of nothing holds one match: write how long, as in 5m".into());
    }
    let counts = matches!(sigma.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount);
    if let CorrelationCondition::Threshold { predicates, .. } = &sigma.condition
        && counts
    {
        for (operator, number) in predicates {
            let least = number.saturating_add(u64::from(*operator == ConditionOperator::Gt));
            let asks_for_more = matches!(operator, ConditionOperator::Gt | ConditionOperator::Gte | ConditionOperator::Eq);
            if asks_for_more && least > WINDOW as u64 {
                say(
                    "correlation/condition",
                    format!("at most {WINDOW} are counted within a time: ask for fewer, in a shorter time"),
                );
            } else if asks_for_more && least == 0 {
                say("correlation/condition", "every match is at least none: ask for 1 or more".into());
            }
        }
    }
    wrong
}

pub(super) fn kind(kind: CorrelationType) -> Kind {
    match kind {
        CorrelationType::EventCount => Kind::EventCount,
        CorrelationType::ValueCount => Kind::ValueCount,
        CorrelationType::Temporal => Kind::Temporal,
        CorrelationType::TemporalOrdered => Kind::TemporalOrdered,
        CorrelationType::ValueSum => Kind::ValueSum,
        CorrelationType::ValueAvg => Kind::ValueAvg,
        CorrelationType::ValuePercentile => Kind::ValuePercentile,
        CorrelationType::ValueMedian => Kind::ValueMedian,
    }
}

pub(super) fn condition(sigma: &CorrelationRule, members: &[Member]) -> Result<Condition, String> {
    let temporal = matches!(sigma.correlation_type, CorrelationType::Temporal | CorrelationType::TemporalOrdered);
    match &sigma.condition {
        CorrelationCondition::Extended(_) if !temporal => Err("counts are compared: write `gte: 5`".into()),
        CorrelationCondition::Extended(expression) => {
            let expression = Expression::new(expression, &sigma.rules)?;
            match sigma.correlation_type {
                CorrelationType::TemporalOrdered if !expression.asks_for_all(members.len()) => {
                    Err("what comes in an order is all of its rules: leave the condition out".into())
                }
                CorrelationType::TemporalOrdered => Ok(Condition::AllOf(members.len())),
                _ => Ok(Condition::Expression(expression)),
            }
        }
        CorrelationCondition::Threshold { .. } if temporal => Ok(Condition::AllOf(members.len())),
        CorrelationCondition::Threshold { predicates, percentile, .. } => {
            if predicates.is_empty() {
                return Err("say how many, as in `gte: 5`".into());
            }
            let compare = |operator: &ConditionOperator| match operator {
                ConditionOperator::Lt => Count::Less,
                ConditionOperator::Lte => Count::LessOrEqual,
                ConditionOperator::Gt => Count::Greater,
                ConditionOperator::Gte => Count::GreaterOrEqual,
                ConditionOperator::Eq => Count::Equal,
                ConditionOperator::Neq => Count::NotEqual,
            };
            let predicates = predicates.iter().map(|(operator, number)| (compare(operator), *number)).collect();
            let percentile = percentile.unwrap_or(50);
            if percentile > 100 {
                return Err("a percentile lies between 0 and 100".into());
            }
            Ok(Condition::Compare(predicates, percentile))
        }
    }
}
