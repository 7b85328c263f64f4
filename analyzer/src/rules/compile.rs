//! Turns a rule's detection into one predicate for each kind of record of its service, checked against the schema. Array blocks
//! (`field[any]:`) follow the proposed extension of Sigma 3; keywords, placeholders and parts of times are refused, since records have no text,
//! no environment and no clock of their own.

use super::names::{Context, Names, Source};
use super::predicate::{Compare, Item, Network, Of, Predicate, Quantifier, Test};
use super::text::{Open, Pattern};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use citytap_sensor::observation::{Bounds, FieldType, RecordKind};
use regex::RegexBuilder;
use rsigma_parser::{
    ArrayQuantifier, ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier as SigmaQuantifier, SigmaString,
    SigmaValue,
};

/// Bytes that a compiled regular expression may take: a rule that needs more slows every message.
const REGEX_BYTES: usize = 1 << 20;

/// Parts of a detection: the longest of ours has a tenth of it, and each can stand in the condition several times.
const PARTS: usize = 64;

/// Characters of a condition.
const CONDITION_BYTES: usize = 2_048;

/// What is wrong, with the path of where it stands in its document.
pub(super) type Wrong = (String, String);

/// Compiles a detection: for each kind of record that can fit its predicate; `None` stands for what has no record, an anomaly alone.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn compile(
    detections: &Detections,
    names: &Names,
) -> Result<Vec<(Option<&'static RecordKind>, Predicate)>, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let asked: usize = detections.condition_strings.iter().map(String::len).sum();
    if detections.named.len() > PARTS || asked > CONDITION_BYTES {
        let text = format!(
            "a detection has at most {PARTS} parts, and its condition at most {CONDITION_BYTES} characters: write several rules"
        );
        return Err(vec![("detection".into(), text)]);
    }
    if detections.timeframe.is_some() {
        wrong.push((
            "detection/timeframe".into(),
            "a time is asked of in a correlation: `type: event_count`, `timespan: 5m`".into(),
        ));
    }
    for (name, detection) in &detections.named {
        check(detection, names, &format!("detection/{name}"), None, &mut wrong);
    }
    for condition in &detections.conditions {
        check_condition(condition, detections, &mut wrong);
    }
    if !wrong.is_empty() {
        wrong.sort();
        return Err(wrong);
    }
    let kinds = names.kinds.iter().map(|kind| Some(*kind)).chain([None]);
    let compiled = kinds.filter_map(|kind| {
        let compiler = Compiler { names, kind };
        let conditions = detections.conditions.iter().map(|condition| compiler.condition(condition, detections));
        let predicate = Predicate::Any(conditions.collect()).simplified();
        (!predicate.is_never()).then_some((kind, predicate))
    });
    let compiled: Vec<_> = compiled.collect();
    if compiled.is_empty() {
        let text =
            "this can never match: no kind of record has all the fields that it asks for. `citytap schema` lists them by kind.";
        return Err(vec![("detection/condition".into(), text.into())]);
    }
    Ok(compiled)
}

fn check_condition(condition: &ConditionExpr, detections: &Detections, wrong: &mut Vec<Wrong>) {
    let path = "detection/condition".to_owned();
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().for_each(|part| check_condition(part, detections, wrong));
        }
        ConditionExpr::Not(part) => check_condition(part, detections, wrong),
        ConditionExpr::Identifier(name) if !detections.named.contains_key(name) => {
            let known = detections.named.keys().map(String::as_str);
            let hint = crate::nearest::nearest(name, known).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
            wrong.push((path, format!("the condition names {name}, which the detection does not have.{hint}")));
        }
        ConditionExpr::Selector { quantifier: SigmaQuantifier::Count(0), .. } => {
            wrong.push((path, "`0 of` holds of every message: say how many".into()));
        }
        ConditionExpr::Selector { quantifier: SigmaQuantifier::Count(count), pattern }
            if detections.named.keys().filter(|name| pattern.matches_detection_name(name)).count()
                < usize::try_from(*count).unwrap_or(usize::MAX) =>
        {
            wrong.push((path, format!("there are fewer than {count} parts called {pattern}")));
        }
        ConditionExpr::Selector { pattern, .. } => {
            if !detections.named.keys().any(|name| pattern.matches_detection_name(name)) {
                wrong.push((path, format!("no part of the detection is called {pattern}")));
            }
        }
        ConditionExpr::Identifier(_) => {}
    }
}

/// Checks names and values. `members` is the list of parts that a block is about.
fn check(detection: &Detection, names: &Names, path: &str, members: Option<&str>, wrong: &mut Vec<Wrong>) {
    match detection {
        Detection::AllOf(items) if items.is_empty() => wrong.push((path.into(), "this part asks for nothing".into())),
        Detection::AnyOf(parts) if parts.is_empty() => wrong.push((path.into(), "this part asks for nothing".into())),
        Detection::AllOf(items) => items.iter().for_each(|item| check_item(item, names, path, members, wrong)),
        Detection::AnyOf(parts) => {
            (0..).zip(parts).for_each(|(at, part): (usize, _)| check(part, names, &format!("{path}/{at}"), members, wrong))
        }
        Detection::And(parts) => parts.iter().for_each(|part| check(part, names, path, members, wrong)),
        Detection::Keywords(_) => wrong.push((
            path.into(),
            "words without a field are not looked for: records are fields, not text. Name a field, as in `mqtt.topic|contains`."
                .into(),
        )),
        Detection::ArrayMatch { field, .. } if field.starts_with("carrier.") => {
            wrong.push((path.into(), "blocks are for the message itself, not for what carried it".into()));
        }
        Detection::ArrayMatch { field, body, .. } => match names.type_of(field) {
            Ok(FieldType::Parts(_)) => check(body, names, path, Some(field), wrong),
            Ok(_) => {
                wrong.push((path.into(), format!("{field} has no parts: blocks with [any] or [all] are for lists of parts")))
            }
            Err(text) => wrong.push((path.into(), text)),
        },
        Detection::Conditional { named, .. } => {
            named.values().for_each(|part| check(part, names, path, members, wrong));
        }
    }
}

fn check_item(item: &DetectionItem, names: &Names, path: &str, members: Option<&str>, wrong: &mut Vec<Wrong>) {
    let Some(name) = &item.field.name else {
        return wrong.push((path.into(), "a field's name is missing".into()));
    };
    let full = members.map_or_else(|| name.clone(), |list| format!("{list}.{name}"));
    let path = format!("{path}/{name}");
    let types = match names.types_of(&full) {
        Ok(types) => types,
        Err(text) => return wrong.push((path, text)),
    };
    if item.values.is_empty() {
        return wrong.push((path, format!("{name} has no value: write one, or `null` for what is not there")));
    }
    let source = |name: &str| names.type_of(name).map(|_| Source::Absent);
    let mut flaws = types.into_iter().map(|ty| tests(item, &full, ty, &source).err());
    // A name can have another type in another kind of record: one that fits is enough.
    let first = flaws.next().flatten();
    if let Some(text) = first.filter(|_| flaws.all(|flaw| flaw.is_some())) {
        return wrong.push((path, text));
    }
    if let Some(text) = unknown_value(item, &full, names).or_else(|| never(item, &full, names)) {
        wrong.push((path, text));
    }
}

/// What is wrong with a value that the field cannot have in any kind of record.
fn never(item: &DetectionItem, name: &str, names: &Names) -> Option<String> {
    let how = How::of(&item.field.modifiers).ok().filter(|how| !how.exists && !how.is_of_text())?;
    let bounds = names.bounds_of(name);
    let flaw = |value| {
        let mut flaws = bounds.iter().map(|bounds| beyond(value, how.compare, *bounds, name));
        let first = flaws.next().flatten()?;
        flaws.all(|flaw| flaw.is_some()).then_some(first)
    };
    item.values.iter().find_map(flaw)
}

/// Why a value lies beyond what a field keeps to; `None` where it does not.
fn beyond(value: &SigmaValue, compare: Option<Compare>, bounds: Bounds, name: &str) -> Option<String> {
    let (least, most) = match (bounds, value) {
        (Bounds::Digits(digits), SigmaValue::String(text)) => {
            let wrong = text.as_plain().is_some_and(|plain| plain.len() != usize::from(digits));
            return wrong
                .then(|| format!("{name} is written with {digits} hex digits, and '{text}' has {}", text.original.len()));
        }
        (Bounds::Whole(least, most), _) => (i128::from(least), i128::from(most)),
        _ => return None,
    };
    // What lies between two whole numbers compares as the one below it, or above.
    let (floor, ceiling) = match value {
        SigmaValue::Integer(wanted) => (i128::from(*wanted), i128::from(*wanted)),
        SigmaValue::Float(wanted) => (wanted.floor() as i128, wanted.ceil() as i128),
        SigmaValue::String(text) => {
            let number: f64 = text.as_plain()?.parse().ok()?;
            (number.floor() as i128, number.ceil() as i128)
        }
        _ => return None,
    };
    let (holds, words) = match compare {
        None | Some(Compare::Equal) => (floor == ceiling && (least..=most).contains(&floor), "equal to"),
        Some(Compare::Greater) => (floor < most, "greater than"),
        Some(Compare::GreaterOrEqual) => (ceiling <= most, "as great as"),
        Some(Compare::Less) => (ceiling > least, "less than"),
        Some(Compare::LessOrEqual) => (floor >= least, "as little as"),
    };
    (!holds).then(|| format!("{name} is a whole number from {least} to {most}: it is never {words} {value}"))
}

/// What is wrong with a value of a name that can have but a few.
fn unknown_value(item: &DetectionItem, name: &str, names: &Names) -> Option<String> {
    if !item.field.modifiers.iter().all(|modifier| matches!(modifier, Modifier::Neq | Modifier::All)) {
        return None;
    }
    let known = names.values_of(name)?;
    let plain = |value: &SigmaValue| match value {
        SigmaValue::String(text) => text.as_plain(),
        _ => None,
    };
    let unknown =
        item.values.iter().filter_map(plain).find(|value| !known.iter().any(|known| known.eq_ignore_ascii_case(value)))?;
    Some(match crate::nearest::nearest(&unknown, known.iter().copied()) {
        Some(near) => format!("{name} is never {unknown}. Did you mean {near}?"),
        None if known.len() > 20 => format!("{name} is never {unknown}. `citytap schema` lists what it can be."),
        None => format!("{name} is never {unknown}. It is one of {}.", known.join(", ")),
    })
}

struct Compiler<'n> {
    names: &'n Names,
    kind: Option<&'static RecordKind>,
}

impl Compiler<'_> {
    fn condition(&self, condition: &ConditionExpr, detections: &Detections) -> Predicate {
        let named = |name: &str| detections.named.get(name).map_or(Predicate::Any(Vec::new()), |part| self.detection(part, None));
        self.expression(condition, &named, &mut detections.named.keys().map(String::as_str).collect::<Vec<_>>())
    }

    fn expression(&self, condition: &ConditionExpr, named: &dyn Fn(&str) -> Predicate, names: &mut Vec<&str>) -> Predicate {
        match condition {
            ConditionExpr::And(parts) => Predicate::All(parts.iter().map(|part| self.expression(part, named, names)).collect()),
            ConditionExpr::Or(parts) => Predicate::Any(parts.iter().map(|part| self.expression(part, named, names)).collect()),
            ConditionExpr::Not(part) => Predicate::Not(Box::new(self.expression(part, named, names))),
            ConditionExpr::Identifier(name) => named(name),
            ConditionExpr::Selector { quantifier, pattern } => {
                names.sort_unstable();
                let parts = names.iter().filter(|name| pattern.matches_detection_name(name)).map(|name| named(name)).collect();
                match quantifier {
                    SigmaQuantifier::Any => Predicate::Any(parts),
                    SigmaQuantifier::All => Predicate::All(parts),
                    SigmaQuantifier::Count(count) => Predicate::AtLeast(usize::try_from(*count).unwrap_or(usize::MAX), parts),
                }
            }
        }
    }

    fn detection(&self, detection: &Detection, members: Option<&str>) -> Predicate {
        match detection {
            Detection::AllOf(items) => Predicate::All(items.iter().map(|item| self.item(item, members)).collect()),
            Detection::AnyOf(parts) => Predicate::Any(parts.iter().map(|part| self.detection(part, members)).collect()),
            Detection::And(parts) => Predicate::All(parts.iter().map(|part| self.detection(part, members)).collect()),
            Detection::Keywords(_) => Predicate::Any(Vec::new()),
            Detection::ArrayMatch { field, quantifier, body } => {
                let quantifier = match quantifier {
                    ArrayQuantifier::Any => Quantifier::Any,
                    ArrayQuantifier::All => Quantifier::All,
                    ArrayQuantifier::AllOrEmpty => Quantifier::AllOrEmpty,
                    ArrayQuantifier::None => Quantifier::None,
                };
                Predicate::Members(self.source(field), quantifier, Box::new(self.detection(body, Some(field))))
            }
            Detection::Conditional { named, condition } => {
                let part = |name: &str| named.get(name).map_or(Predicate::Any(Vec::new()), |part| self.detection(part, members));
                self.expression(condition, &part, &mut named.keys().map(String::as_str).collect::<Vec<_>>())
            }
        }
    }

    fn item(&self, item: &DetectionItem, members: Option<&str>) -> Predicate {
        let name = item.field.name.as_deref().unwrap_or_default();
        let full = members.map_or_else(|| name.to_owned(), |list| format!("{list}.{name}"));
        let (source, ty) = self.resolve(&full);
        let source = match (source, self.kind) {
            (Source::Context(Context::Record), Some(kind)) => Source::Kind(kind.name),
            (Source::Context(Context::Record), None) => Source::Absent,
            (source, _) => source,
        };
        let Ok((tests, all)) = tests(item, &full, ty, &|name| Ok(self.source(name))) else { return Predicate::Any(Vec::new()) };
        let of = match (members, source) {
            (Some(_), Source::Field(field)) => Of::Member(field.part.unwrap_or_default()),
            (_, source) => Of::Message(source),
        };
        Predicate::Item(Item { of, ty, tests, all })
    }

    fn source(&self, name: &str) -> Source {
        self.resolve(name).0
    }

    fn resolve(&self, name: &str) -> (Source, FieldType) {
        match self.kind {
            Some(kind) => self.names.resolve(kind, name).unwrap_or((Source::Absent, FieldType::Text)),
            // Without a record there is what is around it.
            None => {
                let found = self.names.kinds.first().and_then(|kind| self.names.resolve(kind, name).ok());
                match found {
                    Some((source @ Source::Context(_), ty)) => (source, ty),
                    Some((_, ty)) => (Source::Absent, ty),
                    None => (Source::Absent, FieldType::Text),
                }
            }
        }
    }
}

/// What an item's modifiers say.
#[derive(Default)]
struct How {
    contains: bool,
    start: bool,
    end: bool,
    all: bool,
    regex: bool,
    cidr: bool,
    cased: bool,
    exists: bool,
    field: bool,
    not: bool,
    dash: bool,
    compare: Option<Compare>,
    encodings: Vec<Modifier>,
    flags: [bool; 3],
}

impl How {
    fn of(modifiers: &[Modifier]) -> Result<Self, String> {
        let mut how = Self::default();
        for modifier in modifiers {
            match modifier {
                Modifier::Contains => how.contains = true,
                Modifier::StartsWith => how.start = true,
                Modifier::EndsWith => how.end = true,
                Modifier::All => how.all = true,
                Modifier::Re => how.regex = true,
                Modifier::Cidr => how.cidr = true,
                Modifier::Cased => how.cased = true,
                Modifier::Exists => how.exists = true,
                Modifier::FieldRef => how.field = true,
                Modifier::Neq => how.not = true,
                Modifier::WindAsh => how.dash = true,
                Modifier::Gt => how.compare = Some(Compare::Greater),
                Modifier::Gte => how.compare = Some(Compare::GreaterOrEqual),
                Modifier::Lt => how.compare = Some(Compare::Less),
                Modifier::Lte => how.compare = Some(Compare::LessOrEqual),
                Modifier::IgnoreCase => how.flags[0] = true,
                Modifier::Multiline => how.flags[1] = true,
                Modifier::DotAll => how.flags[2] = true,
                Modifier::Base64 | Modifier::Base64Offset | Modifier::Wide | Modifier::Utf16 | Modifier::Utf16be => {
                    how.encodings.push(*modifier);
                }
                Modifier::Expand => {
                    return Err("placeholders (`expand`) are not filled in here: write the values".into());
                }
                Modifier::Minute | Modifier::Hour | Modifier::Day | Modifier::Week | Modifier::Month | Modifier::Year => {
                    return Err("records have no field of time: when a message was seen is not asked in a rule".into());
                }
            }
        }
        Ok(how)
    }
}

/// The tests of an item, and whether all must hold.
fn tests(
    item: &DetectionItem,
    name: &str,
    ty: FieldType,
    source: &dyn Fn(&str) -> Result<Source, String>,
) -> Result<(Vec<Test>, bool), String> {
    let how = How::of(&item.field.modifiers)?;
    if matches!(ty, FieldType::Parts(_)) && !how.exists && item.values.iter().any(|value| *value != SigmaValue::Null) {
        return Err(format!("{name} is a list of parts: ask for a field of them, as in {name}.name"));
    }
    let mut tests = Vec::new();
    for value in &item.values {
        let made = one_test(value, &how, name, ty, source)?;
        tests.extend(made.into_iter().map(|test| if how.not { Test::Not(Box::new(test)) } else { test }));
    }
    // What must not fit any of several must fit none of them.
    Ok((tests, how.all != how.not))
}

fn one_test(
    value: &SigmaValue,
    how: &How,
    name: &str,
    ty: FieldType,
    source: &dyn Fn(&str) -> Result<Source, String>,
) -> Result<Vec<Test>, String> {
    let text = match value {
        SigmaValue::Bool(wanted) if how.exists => return Ok(vec![Test::Exists(*wanted)]),
        _ if how.exists => return Err("`exists` wants true or false".into()),
        SigmaValue::Null => return Ok(vec![Test::Null]),
        SigmaValue::Bool(wanted) => return of_type(ty, &[FieldType::Bool], name, value, Test::Bool(*wanted)),
        SigmaValue::Integer(_) | SigmaValue::Float(_) if ty == FieldType::Hex => {
            return Err(format!("{name} is hex: put its value in quotes, as in '{value}', or YAML makes a number of it"));
        }
        SigmaValue::Integer(wanted) if !how.is_of_text() => {
            let compare = how.compare.unwrap_or(Compare::Equal);
            return of_type(ty, NUMBERS, name, value, Test::Whole(compare, i128::from(*wanted)));
        }
        SigmaValue::Float(wanted) if !how.is_of_text() => {
            return of_type(ty, NUMBERS, name, value, Test::Number(how.compare.unwrap_or(Compare::Equal), *wanted));
        }
        SigmaValue::Integer(number) => SigmaString::from_raw(&number.to_string()),
        SigmaValue::Float(number) => SigmaString::from_raw(&number.to_string()),
        SigmaValue::String(text) => text.clone(),
    };
    if how.compare.is_some() {
        return Err(format!("gt, gte, lt and lte compare numbers: write a number without quotes instead of '{text}'"));
    }
    if how.field {
        return Ok(vec![Test::Same(source(&text.original)?)]);
    }
    if how.regex {
        let regex = RegexBuilder::new(&text.original)
            .case_insensitive(how.flags[0])
            .multi_line(how.flags[1])
            .dot_matches_new_line(how.flags[2])
            .size_limit(REGEX_BYTES)
            .build();
        return Ok(vec![Test::Regex(regex.map_err(|error| format!("this is no regular expression: {error}"))?)]);
    }
    if how.cidr && !matches!(ty, FieldType::Address | FieldType::Text | FieldType::Texts) {
        return Err(format!("{name} is {}: `cidr` is for IP addresses, as in flow.client_ip", described(ty)));
    }
    if how.cidr {
        return Ok(vec![Test::Within(network(&text.original)?)]);
    }
    fits_type(&text, how, name, ty)?;
    let open = Open { start: how.contains || how.end, end: how.contains || how.start };
    Ok(encoded(&text, how)?.iter().map(|text| Test::Text(Pattern::new(text, open, how.cased))).collect())
}

impl How {
    /// Whether values are compared as they are written.
    fn is_of_text(&self) -> bool {
        self.contains || self.start || self.end || self.regex || self.cidr || self.field || !self.encodings.is_empty()
    }
}

const NUMBERS: &[FieldType] = &[FieldType::Integer, FieldType::Float, FieldType::Integers, FieldType::Text, FieldType::Texts];

fn of_type(ty: FieldType, allowed: &[FieldType], name: &str, value: &SigmaValue, test: Test) -> Result<Vec<Test>, String> {
    if allowed.contains(&ty) {
        return Ok(vec![test]);
    }
    Err(format!("{name} is {}, and {value} can never be its value", described(ty)))
}

/// Whether a text can stand in a field.
fn fits_type(text: &SigmaString, how: &How, name: &str, ty: FieldType) -> Result<(), String> {
    let plain = text.as_plain();
    let can = match (ty, plain) {
        (FieldType::Bool, Some(plain)) => matches!(plain.to_lowercase().as_str(), "true" | "false"),
        (FieldType::Integer | FieldType::Integers | FieldType::Float, Some(plain)) if !how.is_of_text() => {
            plain.parse::<f64>().is_ok()
        }
        (FieldType::Integer | FieldType::Integers | FieldType::Float, Some(plain)) if how.contains || how.start || how.end => {
            plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | 'e'))
        }
        (FieldType::Address, Some(plain)) if !how.is_of_text() => plain.parse::<std::net::IpAddr>().is_ok(),
        (FieldType::Hex, _) => text.original.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '*' | '?')),
        _ => true,
    };
    if can { Ok(()) } else { Err(format!("{name} is {}, and '{text}' can never be its value", described(ty))) }
}

fn described(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Bool => "true or false",
        FieldType::Integer | FieldType::Integers => "a whole number",
        FieldType::Float => "a number",
        FieldType::Text | FieldType::Texts => "text",
        FieldType::Hex => "bytes in lowercase hex",
        FieldType::Address => "an IP address",
        FieldType::Parts(_) => "a list of parts",
    }
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("{text} is no network: write one as 10.0.0.0/8 or fd00::/8");
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = if bits.is_empty() { most } else { bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)? };
    Ok(Network { address, bits })
}

/// The texts that stand for a text that was encoded (Sigma's appendix on modifiers).
fn encoded(text: &SigmaString, how: &How) -> Result<Vec<SigmaString>, String> {
    let mut texts = vec![text.clone()];
    if how.dash {
        const DASHES: [&str; 5] = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];
        texts = DASHES.iter().map(|dash| SigmaString::new(&text.original.replacen('-', dash, 1))).collect();
    }
    if how.encodings.is_empty() {
        return Ok(texts);
    }
    let Some(plain) = text.as_plain() else { return Err("a text with wildcards cannot be encoded".into()) };
    let mut bytes = plain.clone().into_bytes();
    for encoding in &how.encodings {
        match encoding {
            Modifier::Wide => bytes = plain.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Modifier::Utf16be => bytes = plain.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Modifier::Utf16 => {
                bytes = [0xff, 0xfe].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect();
            }
            Modifier::Base64 => return Ok(vec![SigmaString::from_raw(&STANDARD.encode(&bytes))]),
            Modifier::Base64Offset => return Ok((0..3).map(|offset| at_offset(&bytes, offset)).collect()),
            _ => {}
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(vec![SigmaString::from_raw(&text)]),
        Err(_) => Err("what this is encoded to is no text: add base64 or base64offset".into()),
    }
}

/// The characters of base64 that bytes always give when they begin at this offset of a group of three.
fn at_offset(bytes: &[u8], offset: usize) -> SigmaString {
    let padded: Vec<u8> = std::iter::repeat_n(b' ', offset).chain(bytes.iter().copied()).collect();
    let text = STANDARD.encode(&padded);
    let start = [0, 2, 3][offset];
    let end = match padded.len() % 3 {
        0 => text.len(),
        1 => text.len() - 3,
        _ => text.len() - 2,
    };
    SigmaString::from_raw(text.get(start..end).unwrap_or_default())
}
