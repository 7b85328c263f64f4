//! What rules and correlations tell of themselves: name, severity, sentences, and the captures on which they fire.

use super::read::File;
use super::yaml::Document;
use super::{Fires, Meta, Subject, compile};
use crate::findings::{CheckSpec, Severity};
use crate::inventory::confidence_named;
use crate::nearest::nearest;
use citytap_sensor::observation::Confidence;
use rsigma_parser::Level;
use yaml_serde::Value;

/// Captures that a rule names.
const FIRES: usize = 64;

/// Keys below `citytap`.
pub(super) const OURS: &[&str] = &["subject", "confidence", "finding", "action", "remedy", "why", "fires", "silent"];

/// What rules and correlations tell of themselves.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) id: &'a Option<String>,
    pub(super) name: &'a Option<String>,
    pub(super) description: &'a Option<String>,
    pub(super) level: Option<Level>,
    pub(super) tags: &'a [String],
    pub(super) references: &'a [String],
    pub(super) falsepositives: &'a [String],
    pub(super) ours: Option<&'a Value>,
}

pub(super) fn meta(file: &File<'_>, document: &Document<'_>, head: &Head<'_>, wrong: &mut Vec<compile::Wrong>) -> Meta {
    wrong.extend(wrong_types(head.ours));
    let text = |key: &str| head.ours.and_then(|ours| ours.get(key)).and_then(Value::as_str).map(str::trim).map(str::to_owned);
    let name = head.name.clone().unwrap_or_else(|| slug(head.title));
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_') || name.is_empty() {
        let text = format!("'{name}' is no name: add `name:` with small letters, digits and dashes, as in modbus-unit-scan");
        wrong.push(("name".into(), text));
    }
    let severity = match head.level {
        Some(Level::Informational) => Severity::Info,
        Some(Level::Low) | None => Severity::Low,
        Some(Level::Medium) => Severity::Medium,
        Some(Level::High) => Severity::High,
        Some(Level::Critical) => Severity::Critical,
    };
    let confidence = match text("confidence") {
        None => Confidence::Seen,
        Some(word) => confidence_named(&word).unwrap_or_else(|| {
            wrong.push(("citytap/confidence".into(), format!("{word} is none of proved, seen, likely, possible")));
            Confidence::Seen
        }),
    };
    let subject = text("subject").map_or(Subject::Sender, |word| Subject::named(&word));
    let description = head.description.clone().unwrap_or_default().trim().to_owned();
    let title = head.title.trim().to_owned();
    let finding = text("finding").unwrap_or_else(|| title.clone());
    let action = text("action").unwrap_or_else(|| format!("{{devices}}: {title}"));
    let remedy = text("remedy").unwrap_or_else(|| "Find out who did it and whether that was meant.".to_owned());
    let why = text("why").unwrap_or_else(|| description.clone());
    for (key, text, allowed) in [
        ("finding", &finding, None),
        ("action", &action, Some("devices")),
        ("remedy", &remedy, Some("")),
        ("why", &why, Some("")),
    ] {
        wrong.extend(wrong_braces(text, allowed).map(|flaw| (format!("citytap/{key}"), flaw)));
    }
    let fires = fires(document, head.ours, wrong);
    let silent = head
        .ours
        .and_then(|ours| ours.get("silent"))
        .and_then(Value::as_sequence)
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let references: Vec<&'static str> =
        head.tags.iter().filter_map(|tag| reference(tag)).chain(head.references.iter().cloned()).map(leaked).collect();
    let spec: &'static CheckSpec = Box::leak(Box::new(CheckSpec {
        id: leaked(name.clone()),
        title: leaked(title.clone()),
        finding: leaked(finding.replace('{', "{_")),
        action: leaked(action),
        remedy: leaked(remedy),
        why: leaked(why),
        references: Vec::leak(references),
    }));
    let (line, _) = document.place("title");
    Meta {
        name,
        id: head.id.clone(),
        title,
        description,
        severity,
        confidence,
        subject,
        spec,
        falsepositives: head.falsepositives.to_vec(),
        tags: head.tags.to_vec(),
        filters: Vec::new(),
        fires,
        silent,
        file: file.name.to_owned(),
        line,
        own: file.own,
        field: "",
    }
}

/// Values below `citytap` that are of another type than they must be.
fn wrong_types(ours: Option<&Value>) -> Vec<compile::Wrong> {
    let Some(ours) = ours else { return Vec::new() };
    if !ours.is_mapping() {
        return vec![("citytap".into(), format!("citytap has keys of its own: {}", OURS.join(", ")))];
    }
    let is_text = |key: &str| !["fires", "silent"].contains(&key);
    let wrong = OURS.iter().filter_map(|key| {
        let value = ours.get(*key)?;
        match is_text(key) {
            true if !value.is_string() => Some((format!("citytap/{key}"), format!("{key} is a text"))),
            false if !value.is_sequence() => Some((format!("citytap/{key}"), format!("{key} is a list"))),
            _ => None,
        }
    });
    wrong.collect()
}

/// What is wrong with the braces of a text: in those that are not findings but one name is filled in, or none.
fn wrong_braces(text: &str, allowed: Option<&str>) -> Option<String> {
    if text.matches('{').count() != text.matches('}').count() {
        return Some("a brace is not closed, or not opened".into());
    }
    let allowed = allowed?;
    let other = placeholders(text).find(|name| *name != allowed)?;
    Some(match allowed {
        "" => format!("nothing is filled in here: {{{other}}} would stand in the text as it is"),
        allowed => format!("{{{other}}} is not filled in here, only {{{allowed}}}: an action is about several findings"),
    })
}

/// Rules are read once in a process, and what they say stands in findings as long as it runs: their texts live as long.
pub(super) fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn fires(document: &Document<'_>, ours: Option<&Value>, wrong: &mut Vec<compile::Wrong>) -> Vec<Fires> {
    let Some(list) = ours.and_then(|ours| ours.get("fires")).and_then(Value::as_sequence) else { return Vec::new() };
    if list.len() > FIRES {
        wrong.push(("citytap/fires".into(), format!("name at most {FIRES} captures")));
        return Vec::new();
    }
    let mut all = Vec::new();
    for (at, item) in list.iter().enumerate() {
        let capture = item.get("capture").and_then(Value::as_str);
        let findings = item.get("findings").and_then(Value::as_u64);
        match (capture, findings) {
            (Some(capture), Some(findings)) => all.push(Fires { capture: capture.to_owned(), findings }),
            _ => wrong.push((format!("citytap/fires/{at}"), "write `capture: FOLDER/CASE` and `findings: NUMBER`".into())),
        }
    }
    wrong.extend((0..list.len()).flat_map(|at| unknown_keys(document, &format!("citytap/fires/{at}"), &["capture", "findings"])));
    all
}

/// `attack.t0836` and `cwe.798` as references write them.
fn reference(tag: &str) -> Option<String> {
    let (space, what) = tag.split_once('.')?;
    match space {
        "attack" if what.starts_with(['t', 'T']) => Some(format!("ATT&CK {}", what.to_uppercase())),
        "cwe" => Some(format!("CWE-{what}")),
        "cve" => Some(format!("CVE-{what}")),
        _ => None,
    }
}

/// Keys that are not among those known, with the nearest right one.
pub(super) fn unknown_keys(document: &Document<'_>, path: &str, known: &[&str]) -> Vec<compile::Wrong> {
    let wrong = document.keys(path).filter(|key| !known.contains(key)).map(|key| {
        let hint = nearest(key, known.iter().copied());
        let full = if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
        let text = match hint {
            Some(near) => format!("there is no key {key} here. Did you mean {near}?"),
            None => format!("there is no key {key} here; there are {}", known.join(", ")),
        };
        (full, text)
    });
    wrong.collect()
}

/// Names between braces. Those of a finding begin with `_`, since they part no actions.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// A placeholder's name as the file has it.
pub(super) fn bare(placeholder: &str) -> &str {
    placeholder.strip_prefix('_').unwrap_or(placeholder)
}

/// Whether a sentence calls a field so: by its name, or for the sides of a flow in one word.
pub(super) fn is_called(field: &str, name: &str) -> bool {
    field == name || field.strip_prefix("flow.").and_then(|field| field.strip_suffix("_ip")) == Some(name)
}

fn slug(title: &str) -> String {
    let text: String = title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
