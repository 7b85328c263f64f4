//! Compiled conditions: what a rule asks of one kind of record, evaluated on the borrowed message without allocation in the usual case.
//!
//! A value that a message does not have answers no question but `null` and `exists: false`. Of several values (a list) one that fits is enough,
//! as Sigma has it.

use super::names::{Context, Source, transport};
use super::text::Pattern;
use crate::inventory::Ours;
use citytap_sensor::flow::{Direction, FlowInfo};
use citytap_sensor::observation::record::push_hex;
use citytap_sensor::observation::{Anomalies, FieldType, Record, Value, ValueList};
use regex::Regex;
use std::fmt::Write;
use std::net::IpAddr;

/// A message as rules see it.
pub struct View<'a> {
    /// The record; none where only an anomaly can be told.
    pub record: Option<&'a dyn Record>,
    /// The record that carried it.
    pub carrier: Option<&'a dyn Record>,
    /// Its flow.
    pub flow: &'a FlowInfo,
    /// Which way it went.
    pub direction: Direction,
    /// What departs from the specification.
    pub anomalies: &'a Anomalies,
    /// The addresses of the site.
    pub ours: &'a Ours,
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    AtLeast(usize, Vec<Predicate>),
    Not(Box<Predicate>),
    Item(Item),
    /// Of the members of a list of parts.
    Members(Source, Quantifier, Box<Predicate>),
}

/// How many members must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quantifier {
    Any,
    /// And there is one.
    All,
    AllOrEmpty,
    None,
}

/// One field and what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) of: Of,
    pub(super) ty: FieldType,
    pub(super) tests: Vec<Test>,
    /// Whether all tests must hold, or one.
    pub(super) all: bool,
}

/// Whose value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Message(Source),
    /// A field of the member that a [`Predicate::Members`] is at.
    Member(u8),
}

/// One question about a value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Exists(bool),
    Null,
    Bool(bool),
    Number(Compare, f64),
    Whole(Compare, i128),
    /// Fits the text, or the number, hex or address as it is written.
    Text(Pattern),
    Regex(Regex),
    Within(Network),
    /// Equals the value of another field.
    Same(Source),
    Not(Box<Test>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compare {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Compare {
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Compare::Less => a < b,
            Compare::LessOrEqual => a <= b,
            Compare::Equal => a == b,
            Compare::GreaterOrEqual => a >= b,
            Compare::Greater => a > b,
        }
    }
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) bits: u8,
}

impl Network {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                u64::from(u32::from(ours)) >> shift == u64::from(u32::from(theirs)) >> shift
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                let beginning = |address: u128| address.checked_shr(shift).unwrap_or_default();
                beginning(ours.into()) == beginning(theirs.into())
            }
            _ => false,
        }
    }
}

/// A member of a list of parts.
#[derive(Clone, Copy)]
struct Member<'a> {
    list: &'a dyn ValueList,
    index: usize,
}

impl Predicate {
    /// Whether nothing can fit it.
    pub(super) fn is_never(&self) -> bool {
        matches!(self, Predicate::Any(parts) if parts.is_empty())
    }

    fn is_always(&self) -> bool {
        matches!(self, Predicate::All(parts) if parts.is_empty())
    }

    fn constant(holds: bool) -> Self {
        if holds { Predicate::All(Vec::new()) } else { Predicate::Any(Vec::new()) }
    }

    /// The same condition, with what is decided by absent fields worked out.
    pub(super) fn simplified(self) -> Self {
        let each = |parts: Vec<Predicate>| parts.into_iter().map(Predicate::simplified);
        match self {
            Predicate::All(parts) => {
                let parts: Vec<_> = each(parts).filter(|part| !part.is_always()).collect();
                if parts.iter().any(Predicate::is_never) { Self::constant(false) } else { Predicate::All(parts).alone() }
            }
            Predicate::Any(parts) => {
                let parts: Vec<_> = each(parts).filter(|part| !part.is_never()).collect();
                if parts.iter().any(Predicate::is_always) { Self::constant(true) } else { Predicate::Any(parts).alone() }
            }
            Predicate::AtLeast(count, parts) => {
                let parts: Vec<_> = each(parts).filter(|part| !part.is_never()).collect();
                if parts.len() < count { Self::constant(false) } else { Predicate::AtLeast(count, parts) }
            }
            Predicate::Not(part) => match part.simplified() {
                part if part.is_never() => Self::constant(true),
                part if part.is_always() => Self::constant(false),
                part => Predicate::Not(Box::new(part)),
            },
            Predicate::Item(Item { of: Of::Message(Source::Absent), tests, all, .. }) => {
                let holds = |test: &Test| matches!(test, Test::Null | Test::Exists(false));
                Self::constant(if all { tests.iter().all(holds) } else { tests.iter().any(holds) })
            }
            Predicate::Item(Item { of: Of::Message(Source::Kind(kind)), tests, all, .. })
                if !tests.iter().any(Test::asks_for_another_field) =>
            {
                let holds = |test: &Test| test.holds_of_text(kind);
                Self::constant(if all { tests.iter().all(holds) } else { tests.iter().any(holds) })
            }
            Predicate::Members(Source::Absent, quantifier, _) => {
                Self::constant(matches!(quantifier, Quantifier::AllOrEmpty | Quantifier::None))
            }
            other => other,
        }
    }

    /// What stands alone needs no list around it.
    fn alone(self) -> Self {
        match self {
            Predicate::All(mut parts) | Predicate::Any(mut parts) if parts.len() == 1 => parts.remove(0),
            other => other,
        }
    }

    /// Whether the message fits.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        self.evaluate(view, None)
    }

    fn evaluate(&self, view: &View<'_>, member: Option<Member<'_>>) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().all(|part| part.evaluate(view, member)),
            Predicate::Any(parts) => parts.iter().any(|part| part.evaluate(view, member)),
            Predicate::AtLeast(count, parts) => {
                parts.iter().filter(|part| part.evaluate(view, member)).take(*count).count() >= *count
            }
            Predicate::Not(part) => !part.evaluate(view, member),
            Predicate::Item(item) => item.holds(view, member),
            Predicate::Members(source, quantifier, body) => with_value(*source, view, |value, _| {
                let Value::List(list) = value else {
                    return matches!(quantifier, Quantifier::AllOrEmpty | Quantifier::None);
                };
                let mut members = (0..list.len()).map(|index| body.evaluate(view, Some(Member { list, index })));
                match quantifier {
                    Quantifier::Any => members.any(|fits| fits),
                    Quantifier::All => !list.is_empty() && members.all(|fits| fits),
                    Quantifier::AllOrEmpty => members.all(|fits| fits),
                    Quantifier::None => !members.any(|fits| fits),
                }
            }),
        }
    }
}

impl Item {
    fn holds(&self, view: &View<'_>, member: Option<Member<'_>>) -> bool {
        match self.of {
            Of::Message(source) => with_value(source, view, |value, part| self.fits(value, part, view)),
            Of::Member(part) => {
                let value = member.map_or(Value::Absent, |member| member.list.get(member.index, Some(part)));
                self.fits(value, None, view)
            }
        }
    }

    fn fits(&self, value: Value<'_>, part: Option<u8>, view: &View<'_>) -> bool {
        let test = |test: &Test| test.holds(value, part, view);
        if self.all { self.tests.iter().all(test) } else { self.tests.iter().any(test) }
    }
}

impl Test {
    fn holds(&self, value: Value<'_>, part: Option<u8>, view: &View<'_>) -> bool {
        let there = match value {
            Value::Absent => false,
            Value::List(list) => !list.is_empty(),
            _ => true,
        };
        match self {
            Test::Exists(wanted) => there == *wanted,
            Test::Null => !there,
            Test::Not(test) => there && !test.holds(value, part, view),
            _ => match value {
                Value::List(list) => (0..list.len()).any(|index| self.of_one(list.get(index, part), view)),
                value => self.of_one(value, view),
            },
        }
    }

    fn asks_for_another_field(&self) -> bool {
        match self {
            Test::Same(_) => true,
            Test::Not(test) => test.asks_for_another_field(),
            _ => false,
        }
    }

    /// Whether it holds of a text, whatever the message around it.
    fn holds_of_text(&self, text: &str) -> bool {
        match self {
            Test::Exists(wanted) => *wanted,
            Test::Text(pattern) => pattern.fits(text),
            Test::Regex(regex) => regex.is_match(text),
            Test::Not(test) => !test.holds_of_text(text),
            _ => false,
        }
    }

    fn of_one(&self, value: Value<'_>, view: &View<'_>) -> bool {
        match self {
            Test::Bool(wanted) => matches!(value, Value::Bool(is) if is == *wanted),
            Test::Whole(compare, wanted) => match whole(value) {
                Some(number) => compare.holds(&number, wanted),
                None => number(value).is_some_and(|number| compare.holds(&number, &(*wanted as f64))),
            },
            // A field of 32 bits is compared with the nearest number that it can have.
            Test::Number(compare, wanted) => number(value).is_some_and(|number| match single(number) {
                Some(number) => compare.holds(&number, &(*wanted as f32)),
                None => compare.holds(&number, wanted),
            }),
            Test::Text(pattern) => with_text(value, |text| pattern.fits(text)),
            Test::Regex(regex) => with_text(value, |text| regex.is_match(text)),
            Test::Within(network) => match value {
                Value::Address(address) => network.contains(address),
                Value::Text(text) => text.parse().is_ok_and(|address| network.contains(address)),
                _ => false,
            },
            Test::Same(source) => with_value(*source, view, |other, _| equal(value, other)),
            Test::Exists(_) | Test::Null | Test::Not(_) => false,
        }
    }
}

/// Whether two values are the same: as numbers, or as they are written, upper and lower case alike.
fn equal(a: Value<'_>, b: Value<'_>) -> bool {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    with_text(a, |a| with_text(b, |b| a.to_lowercase() == b.to_lowercase()))
}

fn whole(value: Value<'_>) -> Option<i128> {
    match value {
        Value::Unsigned(value) => Some(value.into()),
        Value::Signed(value) => Some(value.into()),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Unsigned(value) => Some(value as f64),
        Value::Signed(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// A number that 32 bits hold as it is: it came from a field of so many, or is as good as if it did.
fn single(number: f64) -> Option<f32> {
    let single = number as f32;
    (f64::from(single) == number).then_some(single)
}

/// Shows a value as it is written in JSON; nothing that is not there or has parts.
pub(super) fn with_text(value: Value<'_>, act: impl FnOnce(&str) -> bool) -> bool {
    let mut short = Short { bytes: [0; SHORT], length: 0 };
    match value {
        Value::Text(text) => return act(text),
        Value::Absent | Value::List(_) => return false,
        Value::Bool(value) => return act(if value { "true" } else { "false" }),
        Value::Hex(bytes) => {
            let mut text = String::new();
            push_hex(bytes, &mut text);
            return act(&text);
        }
        Value::Float(value) => return act(&single(value).map_or_else(|| value.to_string(), |value| value.to_string())),
        Value::Unsigned(value) => drop(write!(short, "{value}")),
        Value::Signed(value) => drop(write!(short, "{value}")),
        Value::Id { value, digits } => drop(write!(short, "{value:0width$x}", width = usize::from(digits))),
        Value::Address(address) => drop(write!(short, "{address}")),
    }
    act(short.text())
}

/// Room for the longest number and address: an IPv6 address with an IPv4 address in it has 45 characters.
const SHORT: usize = 48;

/// A text without allocation. What does not fit is left out; nothing that is written into it is so long.
struct Short {
    bytes: [u8; SHORT],
    length: usize,
}

impl Short {
    fn text(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Codes of anomalies as a list of values.
struct Codes<'a>(&'a Anomalies);

impl ValueList for Codes<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize, _: Option<u8>) -> Value<'_> {
        self.0.iter().nth(index).map_or(Value::Absent, |anomaly| Value::Text(anomaly.code.name))
    }
}

/// Shows the value of a source; of a list of parts, which part's field is meant.
pub(super) fn with_value<T>(source: Source, view: &View<'_>, act: impl FnOnce(Value<'_>, Option<u8>) -> T) -> T {
    let flow = view.flow;
    let codes = Codes(view.anomalies);
    let value = match source {
        Source::Absent => Value::Absent,
        Source::Kind(kind) => Value::Text(kind),
        Source::Field(id) => {
            return match view.record {
                Some(record) => act(record.field(id), id.part),
                None => act(Value::Absent, None),
            };
        }
        Source::Carrier(fields) => {
            let carried = view.carrier.and_then(|carrier| {
                let kind = carrier.kind().id;
                fields.iter().find(|(of, _)| *of == kind).map(|(_, field)| (carrier, *field))
            });
            return match carried {
                Some((carrier, id)) => act(carrier.field(id), id.part),
                None => act(Value::Absent, None),
            };
        }
        Source::Context(context) => match context {
            Context::Record => view.record.map_or(Value::Absent, |record| Value::Text(record.kind().name)),
            Context::Direction => Value::Text(match view.direction {
                Direction::ToServer => "to_server",
                Direction::ToClient => "to_client",
            }),
            Context::Anomaly => Value::List(&codes),
            Context::Network => Value::Unsigned(flow.network.into()),
            Context::ClientIp => Value::Address(flow.client.ip),
            Context::ClientPort => Value::Unsigned(flow.client.port.into()),
            Context::ServerIp => Value::Address(flow.server.ip),
            Context::ServerPort => Value::Unsigned(flow.server.port.into()),
            Context::SenderIp => Value::Address(flow.sender(view.direction).ip),
            Context::ReceiverIp => Value::Address(flow.receiver(view.direction).ip),
            Context::Transport => Value::Text(transport(flow.transport)),
            Context::Vlan => flow.vlan.map_or(Value::Absent, |vlan| Value::Unsigned(vlan.into())),
            Context::ClientIsOwn => view.ours.is_own(flow.client.ip).map_or(Value::Absent, Value::Bool),
            Context::ServerIsOwn => view.ours.is_own(flow.server.ip).map_or(Value::Absent, Value::Bool),
        },
    };
    act(value, None)
}
