//! One connection: follows both directions, reads each packet in its dialect, checks it against what came before, and tells what it implies.

mod packets;

use super::exchange::{Aliases, Both, Exchanges, WaitingFilters};
use super::facts::{self, Client, Facts, Presented, Told, Topics};
use super::wire::{self, Body, Dialect, FixedHeader, Home, LengthError, PacketType};
use super::{ANSWER_WAIT, HEAD_BYTES, MAX_PACKET, MISREADS, anomaly, probe};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::{AnomalyCode, Outcome};
use crate::protocols::heard::{Heard, Unnamed};
use crate::protocols::{AfterGap, Cx, Decoder, Input, JOINED, Step};
use crate::time::Timestamp;

/// How far the connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No CONNECT was seen.
    #[default]
    Start,
    /// CONNECT was sent.
    Asked,
    /// The server accepted, or the connection was running when the capture began.
    Open,
    /// The server refused.
    Refused,
}

/// What one direction went through.
#[derive(Default)]
struct Way {
    /// Something was read.
    seen: bool,
    /// The next packet must be looked for.
    astray: bool,
    /// The connection was running when the capture began, and nothing was shown yet.
    joined: bool,
    /// DISCONNECT was sent.
    ended: bool,
    /// Packets in a row that could not be read whole.
    misread: u8,
    /// Largest packet that the receiver takes, bytes; 0: it did not say.
    maximum_packet_size: u32,
    /// A PUBLISH that is not whole yet.
    begun: Option<Box<Begun>>,
    /// Highest topic alias that the receiver takes; `None`: not known.
    topic_alias_maximum: Option<u16>,
    aliases: Aliases,
    /// Exchanges begun in this direction.
    exchanges: Exchanges,
}

/// What is known of a PUBLISH before it is whole: if it never is, that much can be told.
struct Begun {
    header: FixedHeader,
    /// The bytes between fixed header and payload.
    head: Box<[u8]>,
}

/// Why the payload of a PUBLISH is not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It is larger than what is kept.
    TooLarge(usize),
    /// Bytes of it were lost.
    Lost(usize),
}

/// The decoder of one connection.
pub(super) struct Session {
    dialect: Dialect,
    /// Protocol level; 0: not known.
    level: u8,
    phase: Phase,
    told: Told,
    /// Every byte since the connection began was seen, as far as is known.
    unbroken: bool,
    client: Option<Client>,
    presented: Option<Box<Presented>>,
    filters: WaitingFilters,
    topics: Topics,
    connect_at: Option<Timestamp>,
    ping_at: Option<Timestamp>,
    heard: Heard,
    ways: Both<Way>,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            dialect: Dialect::Unknown,
            level: 0,
            phase: Phase::Start,
            told: Told::default(),
            unbroken: true,
            client: None,
            presented: None,
            filters: WaitingFilters::default(),
            topics: Topics::default(),
            connect_at: None,
            ping_at: None,
            heard: Heard::default(),
            ways: Both::new(Way::default(), Way::default()),
        }
    }
}

/// A packet with what is known before its body is read.
struct Packet<'a> {
    packet_type: PacketType,
    header: FixedHeader,
    direction: Direction,
    dialect: Dialect,
    body: Body<'a>,
    /// The bytes after the fixed header, as far as they are shown.
    bytes: &'a [u8],
    /// Length of the payload of a PUBLISH, bytes, where it is not shown.
    missing: Option<Missing>,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        self.unbroken &= self.phase != Phase::Start || !cx.hint().ends_with(JOINED);
        if self.ways.of(input.direction).astray && !self.found(&input) {
            cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
            return Step::Consumed(input.bytes.len());
        }
        let header = match wire::fixed_header(input.bytes) {
            Ok(header) => header,
            Err(LengthError::Incomplete) => return Step::Need(input.bytes.len() + 1),
            Err(LengthError::Malformed) => return self.go_astray(&input, &anomaly::REMAINING_LENGTH, cx),
        };
        let Some(packet_type) = header.packet_type else {
            return self.go_astray(&input, &anomaly::UNASSIGNED_PACKET_TYPE, cx);
        };
        if header.total() > MAX_PACKET {
            return self.over_long(packet_type, header, &input, cx);
        }
        let Some(packet) = input.bytes.get(..header.total()) else { return self.incomplete(packet_type, header, &input) };
        self.ways.of_mut(input.direction).begun = None;
        let bytes = packet.get(header.length..).unwrap_or_default();
        self.packet(packet_type, header, bytes, None, input.direction, cx);
        if self.ways.of(input.direction).misread > MISREADS {
            return Step::GiveUp;
        }
        Step::Consumed(header.total())
    }

    fn gap(&mut self, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> AfterGap {
        self.tell_begun(direction, cx);
        let way = self.ways.of_mut(direction);
        way.astray = true;
        way.joined = missing.is_none() && !way.seen;
        // After the CONNECT the server's first bytes are its answer, though its SYN was not seen.
        self.unbroken &= way.joined && direction == Direction::ToClient && self.phase == Phase::Asked;
        // Aliases set in the lost bytes may have replaced those known; exchanges in them may have ended.
        if missing.is_some() {
            way.aliases = Aliases::default();
            way.exchanges.lossy = true;
            self.ways.of_mut(direction.opposite()).exchanges.lossy = true;
        }
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.tell_begun(Direction::ToServer, cx);
        self.tell_begun(Direction::ToClient, cx);
        let flow = *cx.flow();
        if let Some(rest) = self.heard.rest(facts::identity(self.client.as_ref(), &flow)) {
            cx.facts(Direction::ToServer, &[rest]);
        }
        if let Some(presented) = self.presented.take() {
            let mut facts = Facts::new();
            presented.tell(facts::identity(self.client.as_ref(), &flow), &flow, Outcome::Unknown, &mut facts);
            cx.facts(Direction::ToServer, &facts);
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            if self.complete() && self.ways.of(direction).exchanges.stuck(cx.now(), ANSWER_WAIT) {
                cx.anomaly(direction, &anomaly::QOS_2_INCOMPLETE);
            }
        }
    }
}

impl Session {
    /// Whether the stream, having lost its shape, has it again here.
    fn found(&mut self, input: &Input<'_>) -> bool {
        let way = self.ways.of_mut(input.direction);
        // The first bytes of a connection that is joined may be too few to tell: they are waited for.
        let short = || matches!(wire::fixed_header(input.bytes), Err(LengthError::Incomplete));
        let joined = std::mem::replace(&mut way.joined, false);
        let found = input.segment_start && (probe::begins_packet(input.bytes, self.dialect) || (joined && short()));
        way.astray = !found;
        found
    }

    /// A packet that is not whole. Of a PUBLISH what stands before the payload is kept, in case the rest never comes.
    #[cold]
    fn incomplete(&mut self, packet_type: PacketType, header: FixedHeader, input: &Input<'_>) -> Step {
        let way = self.ways.of_mut(input.direction);
        if packet_type == PacketType::Publish && way.begun.is_none() {
            let dialect = if self.dialect == Dialect::V5 { Dialect::V5 } else { Dialect::V3 };
            match wire::publish_head(&header, input.bytes, dialect) {
                Ok(head) if head <= HEAD_BYTES => {
                    let head = input.bytes.get(header.length..head).unwrap_or_default().into();
                    way.begun = Some(Box::new(Begun { header, head }));
                }
                Err(need) if need > input.bytes.len() && need < header.total() => return Step::Need(need),
                _ => {}
            }
        }
        Step::Need(header.total())
    }

    /// Tells a PUBLISH of which the rest will not come.
    fn tell_begun(&mut self, direction: Direction, cx: &mut Cx<'_>) {
        let Some(begun) = self.ways.of_mut(direction).begun.take() else { return };
        let missing = begun.header.remaining.saturating_sub(begun.head.len());
        self.packet(PacketType::Publish, begun.header, &begun.head, Some(Missing::Lost(missing)), direction, cx);
    }

    fn go_astray(&mut self, input: &Input<'_>, code: &'static AnomalyCode, cx: &mut Cx<'_>) -> Step {
        cx.anomaly(input.direction, code);
        cx.count(Counter::Desynchronised, 1);
        cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
        self.unbroken = false;
        let way = self.ways.of_mut(input.direction);
        way.astray = true;
        way.misread += 1;
        if way.misread > MISREADS { Step::GiveUp } else { Step::Consumed(input.bytes.len()) }
    }

    /// A packet that is larger than what is kept: of a PUBLISH everything but the payload is read, others are passed over.
    fn over_long(&mut self, packet_type: PacketType, header: FixedHeader, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        let total = header.total();
        let head = match packet_type {
            PacketType::Publish => self.over_long_head(&header, input.bytes),
            _ => Err(usize::MAX),
        };
        match head {
            Ok(head) => {
                cx.count(Counter::MessagesTooLarge, 1);
                let bytes = input.bytes.get(header.length..head).unwrap_or_default();
                self.packet(packet_type, header, bytes, Some(Missing::TooLarge(total - head)), input.direction, cx);
            }
            Err(need) if need <= MAX_PACKET && need > input.bytes.len() => return Step::Need(need),
            Err(_) => {
                cx.count(Counter::MessagesTooLarge, 1);
                cx.anomaly(input.direction, &anomaly::OVER_LONG);
                self.ways.of_mut(input.direction).seen = true;
                self.unbroken = false;
            }
        }
        Step::Skip(total as u64)
    }

    /// Bytes of an over-long PUBLISH up to its payload, or how many must be seen to tell.
    fn over_long_head(&mut self, header: &FixedHeader, bytes: &[u8]) -> Result<usize, usize> {
        /// Enough of the payload to see whether it begins with properties; a will to be sure is not worth a large buffer.
        const LOOK: usize = 256;
        if self.dialect == Dialect::Unknown {
            let head = wire::publish_head(header, bytes, Dialect::V3)?;
            let look = head + LOOK;
            let Some(seen) = bytes.get(header.length..look) else { return Err(look) };
            let (dialect, _) = probe::dialect_of(PacketType::Publish, header, seen, Direction::ToServer);
            if dialect == Dialect::V3 {
                return Ok(head);
            }
        }
        wire::publish_head(header, bytes, if self.dialect == Dialect::V3 { Dialect::V3 } else { Dialect::V5 })
    }

    fn packet(
        &mut self,
        packet_type: PacketType,
        header: FixedHeader,
        bytes: &[u8],
        missing: Option<Missing>,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let mut dialect = self.dialect;
        if dialect == Dialect::Unknown && packet_type != PacketType::Connect {
            let (read_as, sure) = probe::dialect_of(packet_type, &header, bytes, direction);
            dialect = read_as;
            if sure {
                self.dialect = read_as;
            }
        }
        let mut packet = Packet { packet_type, header, direction, dialect, body: Body::new(&header, bytes), bytes, missing };
        self.check(&mut packet, cx);
        let malformed = match packet_type {
            PacketType::Connect => self.connect(packet, cx),
            PacketType::Connack => self.connack(packet, cx),
            PacketType::Publish => self.publish(packet, cx),
            PacketType::Puback => self.acknowledgement(packet, Home::Puback, cx),
            PacketType::Pubrec => self.acknowledgement(packet, Home::Pubrec, cx),
            PacketType::Pubrel => self.acknowledgement(packet, Home::Pubrel, cx),
            PacketType::Pubcomp => self.acknowledgement(packet, Home::Pubcomp, cx),
            PacketType::Subscribe => self.subscribe(packet, cx),
            PacketType::Suback => self.answer(packet, Home::Suback, cx),
            PacketType::Unsubscribe => self.unsubscribe(packet, cx),
            PacketType::Unsuback => self.answer(packet, Home::Unsuback, cx),
            PacketType::Pingreq | PacketType::Pingresp => self.ping(packet, cx),
            PacketType::Disconnect => self.disconnect(packet, cx),
            PacketType::Auth => self.auth(packet, cx),
        };
        let way = self.ways.of_mut(direction);
        way.seen = true;
        way.misread = if malformed { way.misread + 1 } else { 0 };
    }

    /// Whether both directions were seen from the beginning without a hole: only then does a missing packet mean that it was not sent.
    fn complete(&self) -> bool {
        self.unbroken && self.ways.of(Direction::ToServer).seen && self.ways.of(Direction::ToClient).seen
    }

    /// What is odd about a packet before its body is read.
    #[inline]
    fn check(&mut self, packet: &mut Packet<'_>, cx: &Cx<'_>) {
        let anomalies = &mut packet.body.anomalies;
        if packet.packet_type.required_flags().is_some_and(|flags| flags != packet.header.flags) {
            anomalies.push_at(&anomaly::RESERVED_FLAGS, 0);
        }
        if !packet.header.minimal {
            anomalies.push_at(&anomaly::LENGTH_NOT_MINIMAL, 1);
        }
        if packet.packet_type == PacketType::Auth && packet.dialect == Dialect::V3 {
            anomalies.push_at(&anomaly::UNASSIGNED_PACKET_TYPE, 0);
        }
        let way = self.ways.of(packet.direction);
        if way.maximum_packet_size > 0 && packet.header.total() as u64 > u64::from(way.maximum_packet_size) {
            anomalies.push(&anomaly::ABOVE_MAXIMUM_PACKET_SIZE);
        }
        if way.ended && packet.packet_type != PacketType::Connect {
            anomalies.push(&anomaly::AFTER_DISCONNECT);
        }
        if cx.flow().oriented && !may_go(packet.packet_type, packet.direction) {
            anomalies.push_at(&anomaly::WRONG_DIRECTION, 0);
        }
        if packet.direction == Direction::ToServer {
            self.check_order(packet);
        }
    }

    /// Whether the client may send this packet now.
    #[inline]
    fn check_order(&mut self, packet: &mut Packet<'_>) {
        let connect = packet.packet_type == PacketType::Connect;
        match self.phase {
            Phase::Start if connect && self.complete_before_connect() => packet.body.anomalies.push(&anomaly::UNINTRODUCED),
            Phase::Start if connect => {}
            Phase::Start => {
                if self.unbroken {
                    packet.body.anomalies.push(&anomaly::MISSING_CONNECT);
                }
                self.phase = Phase::Open;
            }
            Phase::Asked | Phase::Open if connect => packet.body.anomalies.push(&anomaly::DOUBLE_CONNECT),
            Phase::Refused if self.told.first(Told::AFTER_REFUSAL) => packet.body.anomalies.push(&anomaly::AFTER_REFUSAL),
            _ => {}
        }
    }

    /// The server spoke before the client's first packet.
    fn complete_before_connect(&self) -> bool {
        self.unbroken && self.ways.of(Direction::ToClient).seen
    }

    /// Marks what is to be told with a packet of this direction, besides what the packet itself implies.
    #[inline]
    fn due(&mut self, direction: Direction, cx: &Cx<'_>) -> Due {
        let mut due = Due::default();
        match direction {
            Direction::ToServer => {
                due.client = self.told.first(Told::CLIENT);
                match due.client {
                    true => self.heard = Heard::told(cx),
                    false => due.active = self.heard.due(cx),
                }
                if self.presented.as_ref().is_some_and(|presented| cx.now().since(presented.at) > ANSWER_WAIT) {
                    due.presented = self.presented.take();
                }
            }
            // Without a handshake it is a guess who is the server, and a broker is not made on a guess.
            Direction::ToClient => due.broker = cx.flow().oriented && self.told.first(Told::BROKER),
        }
        due
    }

    /// Checks the alias of a PUBLISH and gives it its topic.
    fn alias(&mut self, topic: &str, alias: u16, packet: &mut Packet<'_>, cx: &mut Cx<'_>) {
        let way = self.ways.of_mut(packet.direction);
        if alias == 0 || way.topic_alias_maximum.is_some_and(|maximum| alias > maximum) {
            packet.body.anomalies.push(&anomaly::TOPIC_ALIAS_INVALID);
        }
        if !topic.is_empty() {
            way.aliases.set(alias, topic, cx);
        } else if self.unbroken && way.aliases.get(alias).is_none() && !way.exchanges.lossy {
            packet.body.anomalies.push(&anomaly::TOPIC_ALIAS_UNKNOWN);
        }
    }
}

/// What is to be told with the next packet.
#[derive(Default)]
struct Due {
    broker: bool,
    client: bool,
    active: Option<Unnamed>,
    /// A credential whose answer did not come.
    presented: Option<Box<Presented>>,
}

impl Due {
    #[inline]
    fn tell<'a>(&'a self, client: Option<&'a Client>, level: u8, cx: &Cx<'_>, facts: &mut Facts<'a>) {
        if self.broker || self.client || self.active.is_some() || self.presented.is_some() {
            self.tell_some(client, level, cx, facts);
        }
    }

    #[cold]
    fn tell_some<'a>(&'a self, client: Option<&'a Client>, level: u8, cx: &Cx<'_>, facts: &mut Facts<'a>) {
        let flow = cx.flow();
        if self.broker {
            facts::broker(flow, facts);
        }
        if self.client {
            facts::client(client, level, flow, facts);
        }
        facts.extend(self.active.map(|active| active.of(facts::identity(client, flow))));
        if let Some(presented) = &self.presented {
            presented.tell(facts::identity(client, flow), flow, Outcome::Unknown, facts);
        }
    }
}

/// Whether a packet type is sent in a direction (table 2-1). DISCONNECT of a server exists since version 5.
fn may_go(packet_type: PacketType, direction: Direction) -> bool {
    use PacketType::*;
    match packet_type {
        Connect | Subscribe | Unsubscribe | Pingreq => direction == Direction::ToServer,
        Connack | Suback | Unsuback | Pingresp => direction == Direction::ToClient,
        _ => true,
    }
}
