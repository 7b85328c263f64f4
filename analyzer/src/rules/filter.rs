//! Filters (Sigma filters 2.1): what a person knows to be harmless, kept beside the rules that it concerns. A filter's condition, mostly
//! `not selection`, must hold besides the rule's own.

use super::names::Names;
use super::predicate::Predicate;
use super::problem::Problem;
use super::{Meta, Rule, RuleSet, compile};
use crate::nearest::nearest;
use citytap_sensor::observation::RecordKind;
use rsigma_parser::{FilterRule, FilterRuleTarget};

/// A filter that was read and is not applied yet.
pub(super) struct Filter {
    pub(super) file: String,
    /// Line and column of the list of rules.
    pub(super) place: (usize, usize),
    title: String,
    service: String,
    rules: FilterRuleTarget,
    slots: Vec<(Option<&'static RecordKind>, Predicate)>,
}

impl Filter {
    /// Checks a filter's questions against the records of its service.
    ///
    /// # Errors
    /// All that is wrong with it, by path.
    pub(super) fn new(file: &str, place: (usize, usize), sigma: FilterRule, names: &Names) -> Result<Self, Vec<compile::Wrong>> {
        let here = |(path, text): compile::Wrong| (path.replacen("detection", "filter", 1), text);
        let slots = compile::compile(&sigma.detection, names).map_err(|wrong| wrong.into_iter().map(here).collect::<Vec<_>>())?;
        Ok(Self {
            file: file.to_owned(),
            place,
            title: sigma.title.trim().to_owned(),
            service: sigma.logsource.and_then(|source| source.service).unwrap_or_default(),
            rules: sigma.rules,
            slots,
        })
    }

    /// Adds its questions to the rules that it names, or to all of its service. `counting` are correlations, to which no message is shown.
    pub(super) fn apply<'m>(&self, rules: &mut [Rule], counting: impl Iterator<Item = &'m Meta>) -> Vec<Problem> {
        let (line, column) = self.place;
        let problem = |text: String| Problem { file: self.file.clone(), line, column, text };
        let mut problems = Vec::new();
        let counting: Vec<&Meta> = counting.collect();
        let FilterRuleTarget::Specific(named) = &self.rules else {
            let of_service = rules.iter_mut().filter(|rule| rule.service == self.service);
            of_service.for_each(|rule| self.narrow(rule));
            return problems;
        };
        for name in named {
            let is = |meta: &Meta| meta.name == *name || meta.id.as_ref() == Some(name) || meta.title == *name;
            match rules.iter_mut().find(|rule| is(&rule.meta)) {
                Some(rule) if rule.service != self.service => problems.push(problem(format!(
                    "{name} looks at {}, and this filter's logsource is {}: write a filter of its own for it",
                    rule.service, self.service
                ))),
                Some(rule) => self.narrow(rule),
                None if counting.iter().any(|meta| is(meta)) => problems.push(problem(format!(
                    "{name} counts matches of other rules, and a filter is about messages: name the rules that it counts; `citytap rules show {name}` lists them"
                ))),
                None => {
                    let known = rules.iter().map(|rule| rule.meta.name.as_str());
                    let hint = nearest(name, known).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
                    problems.push(problem(format!("there is no rule {name}, or it has a problem of its own.{hint}")));
                }
            }
        }
        problems
    }

    /// Kinds of records that the filter lets through never are left out of the rule.
    fn narrow(&self, rule: &mut Rule) {
        let mut keep = Vec::new();
        for (at, slot) in rule.slots.iter_mut().enumerate() {
            let Some((_, also)) = self.slots.iter().find(|(kind, _)| kind.map(|kind| kind.id) == slot.kind.map(|kind| kind.id))
            else {
                continue;
            };
            slot.predicate = Predicate::All(vec![slot.predicate.clone(), also.clone()]).simplified();
            if !slot.predicate.is_never() {
                keep.push(at);
            }
        }
        rule.keep_slots(&keep);
        rule.meta.filters.push(self.title.clone());
    }
}

impl Rule {
    /// Leaves these slots, and what is known of them.
    fn keep_slots(&mut self, keep: &[usize]) {
        retain(&mut self.slots, keep);
        self.captures.iter_mut().for_each(|capture| retain(&mut capture.sources, keep));
        self.subject.iter_mut().for_each(|subject| retain(&mut subject.sources, keep));
    }
}

impl RuleSet {
    /// How many filters were read.
    pub fn filters(&self) -> usize {
        self.filters
    }
}

fn retain<T>(list: &mut Vec<T>, keep: &[usize]) {
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        keep.contains(&(at - 1))
    });
}
