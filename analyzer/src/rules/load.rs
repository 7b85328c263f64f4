//! Reads rule files: documents become rules and correlations with all that is told of them, or problems with their places. A document that is
//! wrong costs itself alone, and the correlations that name it.

use super::condition::{condition, flaws, kind};
use super::correlate::{Correlation, Kind, Member};
use super::filter::Filter;
use super::findings;
use super::meta::{Head, OURS, bare, is_called, leaked, meta, placeholders, unknown_keys};
use super::names::{CONTEXT, Names, Source};
use super::parser::{flaw, plain, told_place};
use super::problem::Problem;
use super::read::{FILE_BYTES, File};
use super::yaml::Document;
use super::{Capture, Meta, NameField, Rule, Slot, Subject, compile};
use crate::nearest::nearest;
use citytap_sensor::observation::IdentityScope;
use citytap_sensor::protocols::DecoderSpec;
use citytap_sensor::time::SECOND;
use rsigma_parser::{
    CorrelationCondition, CorrelationRule, Detection, Detections, FilterRule, LogSource, SigmaCollection, SigmaRule, WindowMode,
    parse_sigma_yaml,
};
use std::collections::BTreeMap;

/// Rules and correlations in all: their numbers have 16 bits.
pub const RULES: usize = 16_384;

/// Correlations over correlations.
pub const CHAIN: usize = 10;

/// What a set of files holds.
pub(super) struct Loaded {
    pub(super) rules: Vec<Rule>,
    pub(super) correlations: Vec<Correlation>,
    /// How many filters were applied.
    pub(super) filters: usize,
    pub(super) problems: Vec<Problem>,
}

/// Reads files.
pub(super) fn load(files: &[File<'_>], decoders: &'static [&'static DecoderSpec]) -> Loaded {
    let mut loader = Loader { decoders, drafts: Vec::new(), filters: Vec::new(), rules: Vec::new(), problems: Vec::new() };
    for file in files {
        loader.file(file);
    }
    loader.finish()
}

struct Loader {
    decoders: &'static [&'static DecoderSpec],
    rules: Vec<Rule>,
    drafts: Vec<Draft>,
    filters: Vec<Filter>,
    problems: Vec<Problem>,
}

/// A correlation whose rules are not looked up yet.
struct Draft {
    file: String,
    places: BTreeMap<&'static str, (usize, usize)>,
    sigma: CorrelationRule,
    meta: Meta,
}

/// Keys of rules and of correlations, beside `logsource` and `detection` or `correlation`.
const KEYS: [&str; 20] = [
    "title",
    "sigma-version",
    "id",
    "related",
    "name",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "custom_attributes",
    "citytap",
];

/// Keys of a correlation, and of its condition.
const CORRELATION: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "window"];
const CONDITION: &[&str] = &["field", "gt", "gte", "lt", "lte", "eq", "neq", "percentile"];

/// What the parser gives rules and correlations alike, in types of its own for each.
macro_rules! head {
    ($sigma:ident) => {
        Head {
            title: &$sigma.title,
            id: &$sigma.id,
            name: &$sigma.name,
            description: &$sigma.description,
            level: $sigma.level,
            tags: &$sigma.tags,
            references: &$sigma.references,
            falsepositives: &$sigma.falsepositives,
            ours: $sigma.custom_attributes.get("citytap"),
        }
    };
}

impl Loader {
    fn file(&mut self, file: &File<'_>) {
        let at = |(line, column): (usize, usize), text: String| Problem { file: file.name.to_owned(), line, column, text };
        if file.text.len() > FILE_BYTES {
            let text = format!("the file is longer than {} KB: part it", FILE_BYTES >> 10);
            return self.problems.push(at((1, 1), text));
        }
        for document in Document::all(file.text.trim_start_matches('\u{feff}')) {
            match document {
                Ok(document) => {
                    if let Err(wrong) = self.document(file, &document) {
                        self.problems.extend(wrong.into_iter().map(|(path, text)| at(document.place(&path), text)));
                    }
                }
                Err((place, text)) => self.problems.push(at(place, text)),
            }
        }
    }

    fn document(&mut self, file: &File<'_>, document: &Document<'_>) -> Result<(), Vec<compile::Wrong>> {
        let one = |path: &str, text: String| vec![(path.to_owned(), text)];
        if self.rules.len() + self.drafts.len() + self.filters.len() >= RULES {
            return Err(one("", format!("there are more than {RULES} rules")));
        }
        if document.keys("").any(|key| key == "action") {
            return Err(one("action", "documents are read one by one: write each rule in full instead of `action`".into()));
        }
        let is_correlation = document.keys("").any(|key| key == "correlation");
        let is_filter = document.keys("").any(|key| key == "filter");
        let more: &[&str] = match (is_correlation, is_filter) {
            (true, _) => &["correlation"],
            (_, true) => &["logsource", "filter"],
            _ => &["logsource", "detection"],
        };
        let mut wrong = unknown_keys(document, "", &[KEYS.as_slice(), more].concat());
        wrong.extend(unknown_keys(document, "citytap", OURS));
        wrong.extend(unknown_keys(document, "correlation", CORRELATION));
        wrong.extend(unknown_keys(document, "correlation/condition", CONDITION));
        let parsed = match parse_sigma_yaml(document.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = error.to_string();
                let (line, column) = told_place(&text).map_or_else(|| document.place(""), |place| document.within(place));
                self.problems.push(Problem { file: file.name.to_owned(), line, column, text: plain(&text) });
                return Ok(());
            }
        };
        let SigmaCollection { mut rules, mut correlations, mut filters, errors, .. } = parsed;
        wrong.extend(errors.iter().map(|error| flaw(error, document)));
        if rules.len() + correlations.len() + filters.len() > 1 {
            wrong.push((String::new(), "there is more than one rule here: part them by a line with --- alone".into()));
        }
        if let Some(rule) = rules.pop() {
            self.rule(file, document, rule, wrong)
        } else if let Some(correlation) = correlations.pop() {
            self.draft(file, document, correlation, wrong)
        } else if let Some(filter) = filters.pop() {
            self.filter(file, document, filter, wrong)
        } else if wrong.is_empty() {
            Err(one("", "this is neither a rule (detection) nor a correlation nor a filter".into()))
        } else {
            Err(wrong)
        }
    }

    fn rule(
        &mut self,
        file: &File<'_>,
        document: &Document<'_>,
        sigma: SigmaRule,
        mut wrong: Vec<compile::Wrong>,
    ) -> Result<(), Vec<compile::Wrong>> {
        let mut meta = meta(file, document, &head!(sigma), &mut wrong);
        wrong.extend(self.taken(&meta));
        let names = self.names(&sigma.logsource, document, &mut wrong);
        let compiled = names.as_ref().map(|names| compile::compile(&sigma.detection, names));
        match (names, compiled) {
            (Some(names), Some(Ok(compiled))) if wrong.is_empty() => {
                let service = sigma.logsource.service.clone().unwrap_or_default();
                let slots = compiled.into_iter().map(|(kind, predicate)| Slot { kind, predicate }).collect();
                meta.field = field_asked(&sigma.detection);
                let mut rule = Rule { meta, service, slots, captures: Vec::new(), names, subject: None, alone: true };
                if rule.service == findings::SERVICE {
                    rule.meta.subject = Subject::Name(findings::SERVICE.to_owned());
                } else if let Err(text) = rule.find_subject(self.decoders) {
                    wrong.push(("citytap/subject".into(), text));
                }
                for name in placeholders(rule.meta.spec.finding).map(bare) {
                    if name == "count" {
                        let text = "a single message has no {count}: that is for correlations";
                        wrong.push(("citytap/finding".into(), text.into()));
                    } else if let Err(text) = rule.capture(name) {
                        wrong.push(("citytap/finding".into(), text));
                    }
                }
                if !wrong.is_empty() {
                    return Err(wrong);
                }
                self.rules.push(rule);
                Ok(())
            }
            (_, Some(Err(more))) => {
                wrong.extend(more);
                Err(wrong)
            }
            _ => Err(wrong),
        }
    }

    fn draft(
        &mut self,
        file: &File<'_>,
        document: &Document<'_>,
        sigma: CorrelationRule,
        mut wrong: Vec<compile::Wrong>,
    ) -> Result<(), Vec<compile::Wrong>> {
        let meta = meta(file, document, &head!(sigma), &mut wrong);
        wrong.extend(self.taken(&meta));
        wrong.extend(flaws(&sigma));
        if sigma.window != WindowMode::Sliding {
            wrong.push(("correlation/window".into(), "windows slide: leave `window` out".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let places =
            ["correlation", "correlation/rules", "correlation/group-by", "correlation/condition", "name", "citytap/finding"]
                .into_iter()
                .map(|path| (path, document.place(path)))
                .collect();
        self.drafts.push(Draft { file: file.name.to_owned(), places, sigma, meta });
        Ok(())
    }

    fn filter(
        &mut self,
        file: &File<'_>,
        document: &Document<'_>,
        sigma: FilterRule,
        mut wrong: Vec<compile::Wrong>,
    ) -> Result<(), Vec<compile::Wrong>> {
        if !document.keys("filter").any(|key| key == "rules") {
            wrong.push(("filter".into(), "say which rules it is for, as in `rules: [modbus-restart]`, or `rules: any`".into()));
        }
        let names = sigma.logsource.clone().and_then(|source| self.names(&source, document, &mut wrong));
        match names {
            Some(names) if wrong.is_empty() => {
                self.filters.push(Filter::new(file.name, document.place("filter/rules"), sigma, &names)?);
                Ok(())
            }
            None if wrong.is_empty() => Err(vec![(
                String::new(),
                "say whose records it is for, as in `logsource: {product: citytap, service: modbus}`".into(),
            )]),
            _ => Err(wrong),
        }
    }

    /// What is wrong with its name or id, where another has it: that of a rule read before, or of a check that is no rule.
    fn taken(&self, meta: &Meta) -> Option<compile::Wrong> {
        let others = self.rules.iter().map(|rule| &rule.meta).chain(self.drafts.iter().map(|draft| &draft.meta));
        let mut same = others.filter(|other| other.name == meta.name || (meta.id.is_some() && other.id == meta.id));
        if let Some(other) = same.next() {
            let (path, what) = if other.name == meta.name { ("name", &meta.name) } else { ("id", meta.id.as_ref()?) };
            return Some((path.into(), format!("{what} is the {path} of a rule in {} too", other.file)));
        }
        let check = crate::detectors::checks().any(|check| check.id == meta.name);
        let protocol = meta.name.strip_suffix(super::service::SUFFIX);
        let of_protocol = protocol.is_some_and(|name| Names::of(self.decoders, name).is_some());
        (check || of_protocol)
            .then(|| ("name".into(), format!("{} is the name of a check that is no rule: choose another", meta.name)))
    }

    fn names(&self, source: &LogSource, document: &Document<'_>, wrong: &mut Vec<compile::Wrong>) -> Option<Names> {
        wrong.extend(unknown_keys(document, "logsource", &["product", "service", "definition"]));
        if source.product.as_deref() != Some("citytap") {
            wrong.push(("logsource/product".into(), "write `product: citytap`: the rule is for these records".into()));
        }
        let Some(service) = source.service.as_deref() else {
            wrong.push(("logsource".into(), "say whose records it is for, as in `service: modbus`".into()));
            return None;
        };
        let names = Names::of(self.decoders, service);
        if names.is_none() {
            let services = Names::services(self.decoders);
            let hint = nearest(service, services.iter().copied());
            let text = match hint {
                Some(near) => format!("no decoder is called {service}. Did you mean {near}?"),
                None => format!("no decoder is called {service}; there are {}", services.join(", ")),
            };
            wrong.push(("logsource/service".into(), text));
        }
        names
    }

    /// Looks up the rules that correlations name, those of chains last.
    fn finish(mut self) -> Loaded {
        self.rules.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let mut drafts = std::mem::take(&mut self.drafts);
        drafts.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        for filter in &self.filters {
            self.problems.extend(filter.apply(&mut self.rules, drafts.iter().map(|draft| &draft.meta)));
        }
        let hidden: Vec<(bool, String)> = drafts
            .iter()
            .filter(|draft| !draft.sigma.generate)
            .flat_map(|draft| draft.sigma.rules.iter().map(|rule| (draft.meta.own, rule.clone())))
            .collect();
        // What a correlation counts makes no findings itself, also where the correlation has a problem; but a person's own hides none of ours.
        let is_hidden = |meta: &Meta| hidden.iter().any(|(own, name)| *own == meta.own && is_named(meta, name));
        self.rules.iter_mut().for_each(|rule| rule.alone = !is_hidden(&rule.meta));
        let mut correlations: Vec<Correlation> = Vec::new();
        for depth in 0.. {
            let waiting: Vec<String> =
                drafts.iter().flat_map(|draft| [Some(draft.meta.name.clone()), draft.meta.id.clone()]).flatten().collect();
            let names_waiting = |draft: &Draft| draft.sigma.rules.iter().any(|rule| waiting.contains(rule));
            let (later, now): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(names_waiting);
            if now.is_empty() || depth > CHAIN {
                self.problems.extend(now.iter().chain(&later).map(|draft| {
                    draft
                        .problem("correlation/rules", format!("its rules name each other in a circle, or more than {CHAIN} deep"))
                }));
                break;
            }
            for draft in now {
                match self.correlation(&draft, &correlations) {
                    Ok(correlation) => correlations.push(correlation),
                    Err(problem) => self.problems.push(problem),
                }
            }
            drafts = later;
        }
        correlations.iter_mut().for_each(|correlation| correlation.alone = !is_hidden(&correlation.meta));
        self.problems.sort();
        Loaded { rules: self.rules, correlations, filters: self.filters.len(), problems: self.problems }
    }

    fn correlation(&mut self, draft: &Draft, before: &[Correlation]) -> Result<Correlation, Problem> {
        let sigma = &draft.sigma;
        let is = is_named;
        let mut members = Vec::new();
        for name in &sigma.rules {
            let rule = self.rules.iter().position(|rule| is(&rule.meta, name)).map(Member::Rule);
            let member = rule.or_else(|| before.iter().position(|other| is(&other.meta, name)).map(Member::Correlation));
            let member = member.ok_or_else(|| {
                let known = self
                    .rules
                    .iter()
                    .map(|rule| rule.meta.name.as_str())
                    .chain(before.iter().map(|other| other.meta.name.as_str()));
                let hint = nearest(name, known).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
                draft.problem("correlation/rules", format!("there is no rule {name}, or it has a problem of its own.{hint}"))
            })?;
            if members.contains(&member) {
                return Err(draft.problem("correlation/rules", format!("{name} is named twice: each match is counted once")));
            }
            members.push(member);
        }
        if members.is_empty() {
            return Err(draft.problem("correlation/rules", "name the rules that it counts".into()));
        }
        let subject_of = |member: &Member| match *member {
            Member::Rule(number) => &self.rules[number].meta.subject,
            Member::Correlation(number) => &before[number].meta.subject,
        };
        let of_findings = Subject::Name(findings::SERVICE.to_owned());
        let about_findings = members.iter().filter(|member| *subject_of(member) == of_findings).count();
        if about_findings > 0 && about_findings < members.len() {
            let text = "its rules are about messages and about findings: take the findings of the one as well (service: citytap)";
            return Err(draft.problem("correlation/rules", text.into()));
        }
        let condition = condition(sigma, &members).map_err(|text| draft.problem("correlation/condition", text))?;
        let field = match members[0] {
            Member::Rule(number) => self.rules[number].meta.field,
            Member::Correlation(number) => before[number].meta.field,
        };
        let mut correlation = Correlation {
            meta: Meta {
                field,
                subject: if about_findings > 0 { of_findings } else { draft.meta.subject.clone() },
                ..draft.meta.clone()
            },
            kind: kind(sigma.correlation_type),
            group_by: sigma.group_by.clone(),
            timespan: sigma.timespan.seconds.saturating_mul(SECOND),
            condition,
            alone: true,
            projections: Vec::new(),
            members,
        };
        self.project(draft, &mut correlation, before)?;
        for name in placeholders(correlation.meta.spec.finding).map(bare) {
            let known = correlation.group_by.iter().any(|group| is_called(group, name));
            if !known && name != "count" {
                let text = format!("{{{name}}} is not among the names that it groups by, nor {{count}}");
                return Err(draft.problem("citytap/finding", text));
            }
        }
        Ok(correlation)
    }

    /// Where each of its rules has what the correlation groups by and counts.
    fn project(&mut self, draft: &Draft, correlation: &mut Correlation, before: &[Correlation]) -> Result<(), Problem> {
        let value = match &draft.sigma.condition {
            CorrelationCondition::Threshold { field: Some(fields), .. } => fields.clone(),
            _ => Vec::new(),
        };
        let needs_value = !matches!(correlation.kind, Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered);
        if needs_value && value.len() != 1 {
            return Err(draft.problem("correlation/condition", "say of which field, as in `field: modbus.unit_id`".into()));
        }
        for (member, named) in correlation.members.iter().zip(&draft.sigma.rules) {
            let aliased = |name: &String| {
                let alias = draft.sigma.aliases.iter().find(|alias| alias.alias == *name);
                alias.and_then(|alias| alias.mapping.get(named)).unwrap_or(name).clone()
            };
            let wanted: Vec<String> =
                correlation.group_by.iter().map(aliased).chain(needs_value.then(|| value[0].clone())).collect();
            let projection = match *member {
                Member::Rule(number) => {
                    let rule = &mut self.rules[number];
                    let at = |name: &String| rule.capture(name);
                    wanted.iter().map(at).collect::<Result<Vec<_>, _>>()
                }
                Member::Correlation(number) => wanted
                    .iter()
                    .map(|name| {
                        let groups = &before[number].group_by;
                        groups.iter().position(|group| group == name).ok_or_else(|| format!("{named} does not group by {name}"))
                    })
                    .collect(),
            };
            correlation.projections.push(projection.map_err(|text| draft.problem("correlation/group-by", text))?);
        }
        Ok(())
    }
}

impl Draft {
    fn problem(&self, path: &str, text: String) -> Problem {
        let (line, column) = self.places.get(path).copied().unwrap_or((1, 1));
        Problem { file: self.file.clone(), line, column, text }
    }
}

impl Rule {
    /// The position among its captures of a name's value, which is captured from now on.
    fn capture(&mut self, name: &str) -> Result<usize, String> {
        let full = match name {
            "client" | "server" | "sender" | "receiver" => format!("flow.{name}_ip"),
            name => name.to_owned(),
        };
        if let Some(at) = self.captures.iter().position(|capture| capture.name == full) {
            return Ok(at);
        }
        self.names.type_of(&full)?;
        let sources = self.sources(&full);
        self.captures.push(Capture { name: full, sources });
        Ok(self.captures.len() - 1)
    }

    /// Where each slot has the value of a name.
    fn sources(&self, name: &str) -> Vec<Source> {
        let source = |slot: &Slot| match slot.kind {
            Some(kind) => self.names.resolve(kind, name).map_or(Source::Absent, |(source, _)| source),
            None => match self.names.kinds.first().and_then(|kind| self.names.resolve(kind, name).ok()) {
                Some((source @ Source::Context(_), _)) => source,
                _ => Source::Absent,
            },
        };
        self.slots.iter().map(source).collect()
    }

    /// Looks up what its subject names.
    fn find_subject(&mut self, decoders: &'static [&'static DecoderSpec]) -> Result<(), String> {
        let kinds = || decoders.iter().flat_map(|spec| spec.identities.iter().copied());
        let known = |name: &str| {
            let mut names: Vec<&str> = kinds().map(|kind| kind.name).chain(["client", "server", "sender", "receiver"]).collect();
            names.sort_unstable();
            names.dedup();
            let hint = nearest(name, names.iter().copied()).map(|near| format!(" Did you mean {near}?"));
            hint.unwrap_or_else(|| format!(" There are {}.", names.join(", ")))
        };
        match self.meta.subject.clone() {
            Subject::Name(name) if !kinds().any(|kind| kind.name == name) => {
                Err(format!("nobody has a name of the kind {name}.{}", known(&name)))
            }
            Subject::Field(field) => {
                self.names.type_of(&field)?;
                let last = field.rsplit('.').next().unwrap_or_default();
                // A name that a server gives needs the server beside it.
                let kind = kinds().find(|kind| kind.name == last && kind.scope != IdentityScope::Server);
                let kind =
                    kind.ok_or_else(|| format!("{field} names no device by itself: say client, server, sender or receiver"))?;
                self.subject = Some(NameField { kind, sources: self.sources(&field) });
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The field that a rule asks about, for its evidence: the first by name that is one of the message.
fn field_asked(detections: &Detections) -> &'static str {
    fn fields<'d>(detection: &'d Detection, all: &mut Vec<&'d str>) {
        match detection {
            Detection::AllOf(items) => all.extend(items.iter().filter_map(|item| item.field.name.as_deref())),
            Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| fields(part, all)),
            Detection::ArrayMatch { field, .. } => all.push(field),
            Detection::Keywords(_) | Detection::Conditional { .. } => {}
        }
    }
    let mut all = Vec::new();
    detections.named.values().for_each(|detection| fields(detection, &mut all));
    let around = |name: &str| CONTEXT.iter().any(|(_, field)| field.name == name);
    let field = all.into_iter().min_by_key(|name| (around(name), name.starts_with("carrier."), *name));
    leaked(field.unwrap_or("record").to_owned())
}

fn is_named(meta: &Meta, name: &String) -> bool {
    meta.name == *name || meta.id.as_ref() == Some(name)
}
