//! Finds the rules that can fit a message without asking each: rules stand under a value that one of their fields must have, for every
//! kind of record; what has no such value is asked always.

use super::Rule;
use super::names::{Context, Source};
use super::predicate::{Compare, Item, Of, Predicate, Test, View, with_text, with_value};
use citytap_sensor::observation::{FieldId, FieldType, KindId, Value};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// Position of a rule, and of the predicate among its slots.
pub(super) type At = (u16, u8);

/// The rules, by what they can fit.
#[derive(Default)]
pub(super) struct Index {
    kinds: HashMap<KindId, Kind, FixedState>,
    /// For observations without a record, by protocol.
    bare: HashMap<&'static str, Kind, FixedState>,
}

#[derive(Default)]
struct Kind {
    fields: Vec<(FieldId, Table)>,
    anomalies: HashMap<Box<str>, Vec<At>, FixedState>,
    always: Vec<At>,
}

#[derive(Default)]
struct Table {
    numbers: HashMap<u64, Vec<At>, FixedState>,
    /// In lower case.
    texts: HashMap<Box<str>, Vec<At>, FixedState>,
    /// Where there is any value.
    present: Vec<At>,
}

/// A value that one field must have for a predicate to hold.
#[derive(Clone)]
enum Key {
    Number(FieldId, u64),
    Text(FieldId, Box<str>),
    Present(FieldId),
    Anomaly(Box<str>),
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0..).zip(rules) {
            for (slot, made) in (0..).zip(&rule.slots) {
                let kind = match made.kind {
                    Some(kind) => index.kinds.entry(kind.id).or_default(),
                    None => match service(rule) {
                        Some(protocol) => index.bare.entry(protocol).or_default(),
                        None => continue,
                    },
                };
                kind.file((number, slot), keys(&made.predicate));
            }
        }
        index
    }

    /// Shows the rules that can fit, each once, in their order.
    pub(super) fn candidates(&self, view: &View<'_>, protocol: &'static str) -> SmallVec<[At; 8]> {
        let kind = match view.record {
            Some(record) => self.kinds.get(&record.kind().id),
            None => self.bare.get(protocol),
        };
        let mut found = SmallVec::new();
        let Some(kind) = kind else { return found };
        found.extend_from_slice(&kind.always);
        for (field, table) in &kind.fields {
            with_value(Source::Field(*field), view, |value, _| match value {
                Value::List(list) => (0..list.len()).for_each(|at| table.look_up(list.get(at, field.part), &mut found)),
                value => table.look_up(value, &mut found),
            });
        }
        if !view.anomalies.is_empty() && !kind.anomalies.is_empty() {
            for anomaly in view.anomalies.iter() {
                found.extend(kind.anomalies.get(anomaly.code.name).into_iter().flatten().copied());
            }
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// Rules that are asked of every message of their kinds.
    pub(super) fn always(&self) -> impl Iterator<Item = u16> {
        self.kinds.values().chain(self.bare.values()).flat_map(|kind| kind.always.iter().map(|(rule, _)| *rule))
    }
}

fn service(rule: &Rule) -> Option<&'static str> {
    rule.names.kinds.first().map(|kind| kind.protocol())
}

impl Kind {
    fn file(&mut self, at: At, keys: Option<Vec<Key>>) {
        let Some(keys) = keys else { return self.always.push(at) };
        for key in keys {
            match key {
                Key::Number(field, number) => self.table(field).numbers.entry(number).or_default().push(at),
                Key::Text(field, text) => self.table(field).texts.entry(text).or_default().push(at),
                Key::Present(field) => self.table(field).present.push(at),
                Key::Anomaly(code) => self.anomalies.entry(code).or_default().push(at),
            }
        }
    }

    fn table(&mut self, field: FieldId) -> &mut Table {
        let at = self.fields.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
            self.fields.push((field, Table::default()));
            self.fields.len() - 1
        });
        &mut self.fields[at].1
    }
}

impl Table {
    fn look_up(&self, value: Value<'_>, found: &mut SmallVec<[At; 8]>) {
        if !matches!(value, Value::Absent) {
            found.extend_from_slice(&self.present);
        }
        let number = match value {
            Value::Unsigned(number) => Some(number),
            Value::Bool(flag) => Some(flag.into()),
            Value::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        };
        if let Some(number) = number
            && !self.numbers.is_empty()
        {
            found.extend(self.numbers.get(&number).into_iter().flatten().copied());
        }
        if !self.texts.is_empty() {
            with_text(value, |text| {
                let of = if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
                    self.texts.get(text.to_lowercase().as_str())
                } else {
                    self.texts.get(text)
                };
                found.extend(of.into_iter().flatten().copied());
                true
            });
        }
    }
}

/// Values of which a message that fits has one; `None` where there is no such.
fn keys(predicate: &Predicate) -> Option<Vec<Key>> {
    match predicate {
        // A field that is there says less than the value that it has, and the fewest values leave the fewest messages.
        Predicate::All(parts) => {
            let weight = |keys: &Vec<Key>| (keys.iter().any(|key| matches!(key, Key::Present(_))), keys.len());
            parts.iter().filter_map(keys).min_by_key(weight)
        }
        Predicate::Any(parts) => {
            let parts: Vec<Vec<Key>> = parts.iter().map(keys).collect::<Option<_>>()?;
            Some(parts.concat())
        }
        Predicate::Item(item) => of_item(item),
        Predicate::AtLeast(..) | Predicate::Not(_) | Predicate::Members(..) => None,
    }
}

fn of_item(item: &Item) -> Option<Vec<Key>> {
    let key = |test: &Test| match (item.of, test) {
        (Of::Message(Source::Field(field)), Test::Whole(Compare::Equal, number)) if is_whole(item.ty) => {
            Some(Key::Number(field, u64::try_from(*number).ok()?))
        }
        (Of::Message(Source::Field(field)), Test::Bool(flag)) if item.ty == FieldType::Bool => {
            Some(Key::Number(field, (*flag).into()))
        }
        (Of::Message(Source::Field(field)), Test::Exists(true)) => Some(Key::Present(field)),
        (Of::Message(Source::Field(field)), Test::Text(pattern)) => Some(Key::Text(field, pattern.only()?.into())),
        (Of::Message(Source::Context(Context::Anomaly)), Test::Text(pattern)) => Some(Key::Anomaly(pattern.only()?.into())),
        _ => None,
    };
    if item.all {
        return item.tests.iter().find_map(key).map(|key| vec![key]);
    }
    (!item.tests.is_empty()).then(|| item.tests.iter().map(key).collect())?
}

fn is_whole(ty: FieldType) -> bool {
    matches!(ty, FieldType::Integer | FieldType::Integers)
}
