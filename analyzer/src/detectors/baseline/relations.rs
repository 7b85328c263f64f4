//! What was seen in this run: who does what with whom. Records, facts and flows become rows under the names of the wire; which device has a
//! name is asked when somebody wants an answer.

use super::days::{Days, day_of};
use super::learned::Kind;
use super::numbered::{Once, Texts};
use super::topics::shape;
use crate::hot::owned::{Event, FlowSummary, IdentityKey, Interest, OwnedFact, OwnedValue, Seen, ServerKey, ValueKey};
use citytap_sensor::flow::{Direction, NetworkId, Transport};
use citytap_sensor::observation::{Identity, KindId};
use citytap_sensor::protocols::{modbus, mqtt, sparkplug};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Rows of one run: each of a city's 60,000 devices with four of its own.
pub const ROWS: usize = 1 << 18;

/// Details that are told apart of one actor and target: the blocks of a large controller's map. Beyond it stands [`MANY`].
pub const DETAILS: u16 = 256;

/// Topics of one publisher that are kept as they are; of further ones the shape is. A sensor has a few, a network server has one for each of
/// its devices.
pub const TOPICS: u16 = 64;

/// Bytes kept of a detail.
const DETAIL_BYTES: usize = 160;

/// The detail that stands for those that were too many.
pub const MANY: &str = "*";

/// What it wants to see.
pub const INTERESTS: &[Interest] = &[
    Interest::novelties(
        "modbus.request",
        &["unit_id", "function_code", "address", "quantity", "write_address", "write_quantity", "sub_function"],
    ),
    Interest::novelties("mqtt.publish", &["topic", "client_id", "delivered"]),
    Interest::novelties("mqtt.subscribe", &["topic_filters", "client_id"]),
    Interest::novelties("sparkplug.command", &["edge_node", "group", "device"]),
    Interest::novelties("coap.request", &["method", "uri_path", "oscore"]),
    Interest::novelties("lwm2m.operation", &["operation", "path", "message"]),
];

const MODBUS: KindId = INTERESTS[0].kind_id();
const PUBLISH: KindId = INTERESTS[1].kind_id();
const SUBSCRIBE: KindId = INTERESTS[2].kind_id();
const COMMAND: KindId = INTERESTS[3].kind_id();
const COAP: KindId = INTERESTS[4].kind_id();
const OPERATION: KindId = INTERESTS[5].kind_id();

/// One end of a row: a name, and the address that it was used at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// The name.
    pub name: IdentityKey,
    /// Who has the name where no device is known by it.
    pub address: Option<IpAddr>,
}

impl End {
    /// An address.
    pub fn ip(address: IpAddr, network: NetworkId) -> Self {
        Self { name: IdentityKey::new(&Identity::ip(address), network), address: None }
    }

    /// The address as a name.
    pub fn fallback(&self) -> Option<IdentityKey> {
        self.address.map(|address| IdentityKey::new(&Identity::ip(address), self.name.network))
    }
}

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey<'r> {
    /// What is done.
    pub kind: Kind,
    /// By whom.
    pub actor: &'r End,
    /// To whom.
    pub target: &'r End,
    /// What exactly.
    pub detail: &'r Arc<str>,
}

/// When and how often.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it was first seen.
    pub first: Seen,
    /// Where it was last seen.
    pub last: Seen,
    /// On which days.
    pub days: Days,
    /// In how many minutes.
    pub minutes: u64,
}

/// The rows of a run. Ends and details are kept once each: a city has more rows than devices, and few details.
#[derive(Default)]
pub struct Rows {
    ends: Once<End>,
    details: Texts,
    rows: HashMap<(Kind, u32, u32, u32), Row, FixedState>,
    /// Details of each pair.
    counts: HashMap<(Kind, u32, u32), u16, FixedState>,
    shed: u64,
}

impl Rows {
    /// The rows, sorted.
    pub fn sorted(&self) -> Vec<(RowKey<'_>, &Row)> {
        let rows = self.rows.iter().filter_map(|(&(kind, actor, target, detail), row)| {
            let (actor, target) = (self.ends.get(actor)?, self.ends.get(target)?);
            Some((RowKey { kind, actor, target, detail: self.details.get(detail)? }, row))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that found no room.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Takes a record.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            MODBUS => self.modbus(event),
            PUBLISH => self.publish(event),
            SUBSCRIBE => self.subscribe(event),
            COMMAND => self.command(event),
            COAP => self.coap(event),
            OPERATION => self.operation(event),
            _ => {}
        }
    }

    /// Takes a fact: which gateway reports where, and whom it hears.
    pub fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        match fact {
            OwnedFact::Peer { client, server, protocol } if is_gateway(client) => {
                let (actor, target) = (End { name: client.clone(), address: None }, End { name: server.clone(), address: None });
                self.tell(Kind::Reports, actor, target, protocol, seen);
            }
            OwnedFact::Via { id, via } if is_gateway(via) => {
                let (actor, target) = (End { name: via.clone(), address: None }, End { name: id.clone(), address: None });
                self.tell(Kind::Hears, actor, target, "", seen);
            }
            _ => {}
        }
    }

    /// Takes a flow: those in which packets went both ways. A scan of addresses that do not answer makes no rows.
    pub fn flow(&mut self, flow: &FlowSummary) {
        // That neighbours find each other's hardware address comes with anything else that they do.
        let transport = match flow.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Icmpv6 | Transport::Link | Transport::LoraTap => return,
        };
        if !flow.answered {
            return;
        }
        let detail = flow.protocol.map_or_else(|| format!("{transport}/{}", flow.server.port).into(), Cow::Borrowed);
        let seen = Seen { place: flow.place, time: flow.last };
        self.tell(Kind::Talks, End::ip(flow.client.ip, flow.network), End::ip(flow.server.ip, flow.network), &detail, seen);
    }

    fn modbus(&mut self, event: &Event) {
        let number = |at: usize| event.fields.get(at).and_then(OwnedValue::unsigned);
        let (Some(unit), Some(function)) = (number(0), number(1)) else { return };
        let actor = End::ip(event.sender.ip, event.network);
        let target = unit_at(event.receiver.ip, unit, event.network);
        let mut say = |kind, detail: String| self.tell(kind, actor.clone(), target.clone(), &detail, event.seen);
        let block = |table, address: Option<u64>, quantity: Option<u64>| {
            address.map(|first| Block { table, first, last: first + quantity.unwrap_or(1).max(1) - 1 }.to_string())
        };
        let read = |table| block(table, number(2), number(3));
        let other = || format!("function {function}");
        match function {
            1 => say(Kind::Polls, read("coils").unwrap_or_else(other)),
            2 => say(Kind::Polls, read("inputs").unwrap_or_else(other)),
            3 => say(Kind::Polls, read("holding").unwrap_or_else(other)),
            4 => say(Kind::Polls, read("input").unwrap_or_else(other)),
            5 => say(Kind::Writes, block("coils", number(2), None).unwrap_or_else(other)),
            15 => say(Kind::Writes, read("coils").unwrap_or_else(other)),
            6 | 22 => say(Kind::Writes, block("holding", number(2), None).unwrap_or_else(other)),
            16 => say(Kind::Writes, read("holding").unwrap_or_else(other)),
            21 => say(Kind::Writes, "files".into()),
            23 => {
                say(Kind::Polls, read("holding").unwrap_or_else(other));
                say(Kind::Writes, block("holding", number(4), number(5)).unwrap_or_else(other));
            }
            17 => say(Kind::Identifies, other()),
            43 if number(6) == Some(14) => say(Kind::Identifies, other()),
            _ => say(Kind::Polls, other()),
        }
    }

    fn publish(&mut self, event: &Event) {
        let copy = event.fields.get(2).and_then(OwnedValue::bool) == Some(true);
        let (Some(topic), false) = (text(event, 0), copy) else { return };
        let (actor, target) = (client(event, 1), End::ip(event.receiver.ip, event.network));
        let pair = self.ends.find(&actor).zip(self.ends.find(&target));
        let topics = pair.and_then(|(actor, target)| self.counts.get(&(Kind::Publishes, actor, target)));
        let known = |(actor, target): (u32, u32)| {
            let detail = self.details.find(clipped(topic))?;
            Some(self.rows.contains_key(&(Kind::Publishes, actor, target, detail)))
        };
        let as_it_is = topics.is_none_or(|topics| *topics < TOPICS) || pair.and_then(known) == Some(true);
        let detail = if as_it_is { Cow::Borrowed(topic) } else { Cow::Owned(shape(topic)) };
        self.tell(Kind::Publishes, actor, target, &detail, event.seen);
    }

    fn subscribe(&mut self, event: &Event) {
        let Some(filters) = event.fields.first() else { return };
        for filter in filters.texts() {
            self.tell(Kind::Subscribes, client(event, 1), End::ip(event.receiver.ip, event.network), filter, event.seen);
        }
    }

    /// The broker's copy for the node says nothing of who commands.
    fn command(&mut self, event: &Event) {
        let (Some(node), Some(group), Direction::ToServer) = (text(event, 0), text(event, 1), event.direction) else { return };
        let name = IdentityKey {
            kind: &sparkplug::EDGE_NODE,
            network: event.network,
            at: Some(ServerKey::Address(event.receiver.ip)),
            value: ValueKey::Text(format!("{group}/{node}").into()),
        };
        let what = text(event, 2).map_or_else(|| "node".to_owned(), |device| format!("device {device}"));
        let actor = End::ip(event.sender.ip, event.network);
        self.tell(Kind::Commands, actor, End { name, address: None }, &what, event.seen);
    }

    fn coap(&mut self, event: &Event) {
        let protected = event.fields.get(2).and_then(OwnedValue::bool) == Some(true);
        let (Some(method), Some(path), false) = (text(event, 0), text(event, 1), protected) else { return };
        if registers(path) {
            return;
        }
        let (kind, detail) = match method {
            "GET" | "FETCH" => (Kind::Reads, path.to_owned()),
            _ => (Kind::Changes, format!("{method} {path}")),
        };
        self.tell(kind, End::ip(event.sender.ip, event.network), End::ip(event.receiver.ip, event.network), &detail, event.seen);
    }

    fn operation(&mut self, event: &Event) {
        let (Some(operation), Some(path), Some("request")) = (text(event, 0), text(event, 1), text(event, 2)) else { return };
        if matches!(operation, "write" | "write_partial" | "write_composite" | "execute" | "create" | "delete") {
            let (actor, target) = (End::ip(event.sender.ip, event.network), End::ip(event.receiver.ip, event.network));
            self.tell(Kind::Manages, actor, target, &format!("{operation} {path}"), event.seen);
        }
    }

    fn tell(&mut self, kind: Kind, actor: End, target: End, detail: &str, seen: Seen) {
        let Some(key) = self.key(kind, actor, target, clipped(detail)) else {
            self.shed += 1;
            return;
        };
        let day = day_of(seen.time);
        let row = self.rows.entry(key).or_insert(Row { first: seen, last: seen, days: Days::one(day), minutes: 0 });
        // Flows are told of every second, the rest once a minute.
        if row.minutes == 0 || seen.time.seconds() / 60 != row.last.time.seconds() / 60 {
            row.minutes += 1;
        }
        let order = |seen: &Seen| (seen.time, seen.place);
        if order(&seen) < order(&row.first) {
            row.first = seen;
        }
        if order(&seen) > order(&row.last) {
            row.last = seen;
        }
        row.days.add(day);
    }

    /// The key of a row, whether it is there or not; `None` where there is no room for another.
    fn key(&mut self, kind: Kind, actor: End, target: End, detail: &str) -> Option<(Kind, u32, u32, u32)> {
        let pair = self.ends.find(&actor).zip(self.ends.find(&target));
        let known = pair.zip(self.details.find(detail)).map(|((actor, target), detail)| (kind, actor, target, detail));
        if let Some(key) = known.filter(|key| self.rows.contains_key(key)) {
            return Some(key);
        }
        if self.rows.len() >= ROWS {
            return None;
        }
        let (actor, target) = (self.ends.enter(actor), self.ends.enter(target));
        let count = self.counts.entry((kind, actor, target)).or_insert(0);
        if *count < DETAILS {
            *count += 1;
            return Some((kind, actor, target, self.details.enter(detail.into())));
        }
        self.shed += 1;
        Some((kind, actor, target, self.details.enter(MANY.into())))
    }
}

/// A run of registers, inputs or coils, as a detail writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// `coils`, `inputs`, `holding` or `input`.
    pub table: &'a str,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl std::fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}-{}", self.table, self.first, self.last)
    }
}

impl<'a> Block<'a> {
    /// Reads a detail; `None` for one that names no registers.
    pub fn parse(detail: &'a str) -> Option<Self> {
        let (table, range) = detail.split_once(' ')?;
        let (first, last) = range.split_once('-')?;
        Some(Self { table, first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

/// Whether a path is where devices register at a server and send what they measured by themselves (RFC 9176 §5, LwM2M Transport 1.1 §6.4): what
/// every new device does changes nothing that acts.
fn registers(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    matches!(first, Some("rd" | "bs" | "bspack" | "dp"))
}

/// Whether a name is a radio gateway's.
pub fn is_gateway(name: &IdentityKey) -> bool {
    name.kind.name == "gateway_eui"
}

/// A unit at a server; what answers under any name is the server itself.
pub fn unit_at(server: IpAddr, unit: u64, network: NetworkId) -> End {
    let name = IdentityKey { kind: &modbus::UNIT, network, at: Some(ServerKey::Address(server)), value: ValueKey::Number(unit) };
    End { name, address: Some(server) }
}

/// Who publishes or subscribes: by client identifier where the connection's beginning was seen.
fn client(event: &Event, at: usize) -> End {
    let Some(id) = text(event, at) else { return End::ip(event.sender.ip, event.network) };
    let name = IdentityKey {
        kind: &mqtt::CLIENT,
        network: event.network,
        at: Some(ServerKey::Address(event.receiver.ip)),
        value: ValueKey::Text(id.into()),
    };
    End { name, address: Some(event.sender.ip) }
}

fn text(event: &Event, at: usize) -> Option<&str> {
    event.fields.get(at).and_then(OwnedValue::text)
}

fn clipped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(DETAIL_BYTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::flow::Endpoint;
    use citytap_sensor::observation::Place;
    use citytap_sensor::time::Timestamp;

    fn event(kind: KindId, fields: Vec<OwnedValue>) -> Event {
        let end = |last| Endpoint { ip: [10, 0, 0, last].into(), port: 1 };
        let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp::from_parts(1_000_000, 0) };
        Event { stages: 1, seen, network: 0, sender: end(1), receiver: end(2), direction: Direction::ToServer, kind, fields }
    }

    fn number(number: usize) -> OwnedValue {
        OwnedValue::Unsigned(number as u64)
    }

    fn details(rows: &Rows) -> Vec<&str> {
        rows.sorted().into_iter().map(|(key, _)| &**key.detail).collect()
    }

    #[test]
    fn a_client_that_reads_everything_has_one_detail_for_the_rest() {
        let mut rows = Rows::default();
        let beyond = usize::from(DETAILS) + 10;
        for first in 0..beyond {
            let rest = [OwnedValue::Absent, OwnedValue::Absent, OwnedValue::Absent];
            rows.event(&event(MODBUS, [number(1), number(3), number(first * 10), number(5)].into_iter().chain(rest).collect()));
        }
        let details = details(&rows);
        assert_eq!(details.len(), usize::from(DETAILS) + 1);
        assert!(details.contains(&MANY) && details.contains(&"holding 0-4"));
        assert_eq!(rows.shed(), 10);
    }

    #[test]
    fn a_publisher_of_many_topics_is_known_by_their_shape() {
        let mut rows = Rows::default();
        for number in 0..1_000 {
            let topic = OwnedValue::Text(format!("application/1/device/{number:016x}/event/up").into());
            rows.event(&event(PUBLISH, vec![topic, OwnedValue::Text("server".into()), OwnedValue::Bool(false)]));
        }
        let details = details(&rows);
        assert_eq!(details.len(), usize::from(TOPICS) + 1);
        assert!(details.contains(&"application/+/device/+/event/up"));
        assert_eq!(rows.shed(), 0);
    }

    #[test]
    fn rows_are_bounded() {
        let mut rows = Rows::default();
        let end = |at: u32| End::ip(std::net::Ipv4Addr::from(at).into(), 0);
        let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp(0) };
        (0..ROWS as u32 + 3).for_each(|at| rows.tell(Kind::Talks, end(at), end(u32::MAX), "x", seen));
        assert_eq!((rows.sorted().len(), rows.shed()), (ROWS, 3));
    }
}
