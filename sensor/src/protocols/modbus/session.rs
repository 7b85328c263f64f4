//! The state of one Modbus flow: framing, transactions that wait for their answer, and what was already told.

use super::record::{self, Asked, Request, Response, anomaly, code_of};
use super::wire::{self, MbapHeader};
use crate::counters::Counter;
use crate::flow::{Direction, Transport};
use crate::observation::{Anomalies, Fact, Identity, Presence, Role, Text};
use crate::protocols::heard::Heard;
use crate::protocols::{AfterGap, Channel, Cx, Decoder, Input, Step};
use crate::reader::Reader;
use crate::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Requests remembered for each flow.
pub(super) const TRANSACTIONS: usize = 32;

/// Makers' own functions, each of a unit, that are told of one flow.
pub(super) const FUNCTIONS: usize = 16;

/// Bytes of the smallest request: so many lost bytes hide one.
const SMALLEST_REQUEST: u64 = 8;

/// How long a request can wait for its answer: gateways to slow serial lines give up earlier.
const ANSWER_WAIT: Nanos = 10 * SECOND;

/// A mirror port that copies a datagram where it comes in and where it goes out does so within this time.
const COPY_WITHIN: Nanos = SECOND / 100;

/// State of a flow.
pub(super) struct Session {
    framing: Framing,
    /// Where each direction stands.
    places: [Place; 2],
    transactions: Vec<Transaction>,
    /// Where the next request goes when the table is full.
    oldest: usize,
    /// Whether requests are seen in this flow: without, responses cannot be blamed for having none.
    requests_seen: bool,
    /// Requests that lost bytes may have held: so many responses need none that was seen.
    requests_lost: u64,
    told: Told,
}

/// Where a direction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of its first message.
    Fresh,
    /// At the start of the first bytes that were seen of a flow that was running when the capture began.
    Joined,
    /// At the start of a message.
    Synchronised,
    /// Bytes were lost: the next message has to be found.
    Lost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Unknown,
    Mbap,
    Rtu,
}

#[derive(Clone, Copy)]
struct Transaction {
    id: Option<u16>,
    unit: u8,
    function: u8,
    /// Answers that are to come: more than one where the identifier was used again before.
    due: u8,
    /// Its answer may have been among lost bytes.
    doubted: bool,
    /// Hash of the answer's PDU, and when it came.
    answer: (u64, Timestamp),
    frame: u64,
    at: Timestamp,
    address: Option<u16>,
    quantity: Option<u16>,
}

/// What of the flow was told to the inventory.
#[derive(Default)]
struct Told {
    server: bool,
    client: bool,
    /// That a unit is missing: one tells that the server heeds the number, and a scan would make hundreds.
    missing: bool,
    units: SmallVec<[(u8, Heard); 1]>,
    /// Functions outside of the standard that units answered.
    functions: SmallVec<[(u8, u8); 1]>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            framing: Framing::Unknown,
            places: [Place::Fresh; 2],
            transactions: Vec::new(),
            oldest: 0,
            requests_seen: false,
            requests_lost: 0,
            told: Told::default(),
        }
    }
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if !self.is_placed(input) {
            cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
            return Step::Consumed(input.bytes.len());
        }
        if self.framing == Framing::Unknown {
            // An RTU request for few registers from address 0 reads as an MBAP header of a longer message: what is whole first decides,
            // however much more was shown with it.
            let header = MbapHeader::parse(&mut Reader::new(input.bytes));
            let plausible = header.filter(|header| header.protocol_id == 0 && header.is_plausible());
            let whole = plausible.map(|header| header.adu_length()).filter(|&length| input.bytes.len() >= length);
            let rtu = wire::begins_with_rtu_frame(input.bytes, input.direction);
            let rtu = rtu.filter(|&length| whole.is_none_or(|whole| length < whole)).is_some();
            let stream = input.channel != Channel::Datagram;
            self.framing = match (header, plausible) {
                _ if rtu => Framing::Rtu,
                (_, Some(_)) if whole.is_some() => Framing::Mbap,
                (None, _) | (_, Some(_)) if stream => return Step::Need(input.bytes.len() + 1),
                (_, Some(_)) => Framing::Mbap,
                _ => Framing::Rtu,
            };
        }
        match self.framing {
            Framing::Mbap | Framing::Unknown => self.mbap(input, cx),
            Framing::Rtu => self.rtu(input, cx),
        }
    }

    fn gap(&mut self, direction: Direction, missing: Option<u64>, _cx: &mut Cx<'_>) -> AfterGap {
        let fresh = matches!(self.places[direction.index()], Place::Fresh | Place::Joined);
        self.places[direction.index()] = if fresh && missing.is_none() { Place::Joined } else { Place::Lost };
        match direction {
            Direction::ToServer => {
                let held = missing.map_or(TRANSACTIONS as u64, |missing| missing.div_ceil(SMALLEST_REQUEST));
                self.requests_lost = self.requests_lost.saturating_add(held);
            }
            Direction::ToClient => self.transactions.iter_mut().for_each(|request| request.doubted = true),
        }
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        let server = cx.flow().server.ip;
        let units = self.told.units.iter_mut();
        let rest: SmallVec<[Fact<'_>; 4]> = units.filter_map(|(unit, heard)| heard.rest(record::unit(server, *unit))).collect();
        if !rest.is_empty() {
            cx.facts(Direction::ToClient, &rest);
        }
    }
}

impl Session {
    /// Whether a message begins with these bytes, as far as is known. After lost bytes it is looked for where a segment starts: nearly all
    /// senders put one ADU in a segment.
    fn is_placed(&mut self, input: Input<'_>) -> bool {
        let placed = match self.places[input.direction.index()] {
            Place::Fresh | Place::Synchronised => true,
            Place::Joined => input.segment_start && self.begins_like_message(input),
            Place::Lost => input.segment_start && (self.begins_with_message(input) || self.begins_awaited(input)),
        };
        self.places[input.direction.index()] = if placed { Place::Synchronised } else { Place::Lost };
        placed
    }

    /// Whether the bytes, whole or not, could be a message: nothing says that what was before them is missing.
    fn begins_like_message(&self, input: Input<'_>) -> bool {
        let known = |at: usize| input.bytes.get(at).is_none_or(|code| wire::function_name(code & 0x7f).is_some());
        match (self.framing, MbapHeader::parse(&mut Reader::new(input.bytes))) {
            (Framing::Rtu, _) => known(1),
            (_, None) => true,
            (framing, Some(header)) => {
                let mbap = header.protocol_id == 0 && header.is_plausible() && known(wire::MBAP_LENGTH);
                mbap || (framing == Framing::Unknown && wire::begins_with_rtu_frame(input.bytes, input.direction).is_some())
            }
        }
    }

    /// Whether a whole message stands there.
    fn begins_with_message(&self, input: Input<'_>) -> bool {
        match self.framing {
            Framing::Rtu => wire::rtu_frame(input.bytes, input.direction).is_some_and(|frame| frame.pdu.is_some()),
            Framing::Mbap | Framing::Unknown => MbapHeader::parse(&mut Reader::new(input.bytes)).is_some_and(|header| {
                header.protocol_id == 0 && header.is_plausible() && input.bytes.len() >= header.adu_length()
            }),
        }
    }

    /// Whether the header of a response stands there whose request is waiting: the message itself may go on in the next segment.
    fn begins_awaited(&self, input: Input<'_>) -> bool {
        let header = MbapHeader::parse(&mut Reader::new(input.bytes));
        input.direction == Direction::ToClient
            && self.framing == Framing::Mbap
            && header.is_some_and(|header| {
                let awaited = |request: &Transaction| {
                    request.due > 0 && request.id == Some(header.transaction_id) && request.unit == header.unit_id
                };
                header.protocol_id == 0 && header.is_plausible() && self.transactions.iter().any(awaited)
            })
    }

    fn mbap(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let mut anomalies = Anomalies::default();
        let Some(header) = MbapHeader::parse(&mut Reader::new(input.bytes)) else {
            return self.cut(input, wire::MBAP_LENGTH, cx);
        };
        if !header.is_plausible() {
            cx.anomaly(input.direction, &anomaly::LENGTH);
            self.places[input.direction.index()] = Place::Lost;
            cx.count(Counter::Desynchronised, 1);
            return Step::Consumed(input.bytes.len());
        }
        if header.protocol_id != 0 {
            anomalies.push_at(&anomaly::PROTOCOL_ID, 2);
        }
        let length = header.adu_length();
        let whole = input.bytes.len() >= length;
        if !whole && input.channel != Channel::Datagram {
            return Step::Need(length);
        }
        let adu = input.bytes.get(..length).unwrap_or(input.bytes);
        let pdu = adu.get(wire::MBAP_LENGTH..).unwrap_or_default();
        self.pdu(input.direction, Some(header.transaction_id), header.unit_id, pdu, anomalies, cx);
        Step::Consumed(adu.len())
    }

    fn rtu(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(frame) = wire::rtu_frame(input.bytes, input.direction) else {
            if input.bytes.len() >= wire::RTU_MAX {
                return self.lose_place(input, cx);
            }
            return self.cut(input, input.bytes.len() + 1, cx);
        };
        if input.bytes.len() < frame.length {
            return self.cut(input, frame.length, cx);
        }
        match (frame.pdu, input.bytes.first()) {
            (Some(pdu), Some(&unit)) => {
                self.pdu(input.direction, None, unit, pdu, Anomalies::default(), cx);
                Step::Consumed(frame.length)
            }
            _ => self.lose_place(input, cx),
        }
    }

    fn lose_place(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        cx.anomaly(input.direction, &anomaly::CRC);
        cx.count(Counter::Desynchronised, 1);
        self.places[input.direction.index()] = Place::Lost;
        Step::Consumed(input.bytes.len())
    }

    /// A stream goes on; a datagram that ends here is cut.
    fn cut(&self, input: Input<'_>, need: usize, cx: &mut Cx<'_>) -> Step {
        if input.channel == Channel::Datagram {
            cx.anomaly(input.direction, &anomaly::TRUNCATED);
            return Step::Consumed(input.bytes.len());
        }
        Step::Need(need)
    }

    fn pdu(&mut self, direction: Direction, id: Option<u16>, unit: u8, pdu: &[u8], anomalies: Anomalies, cx: &mut Cx<'_>) {
        match direction {
            Direction::ToServer => self.request(id, unit, pdu, anomalies, cx),
            Direction::ToClient => self.response(id, unit, pdu, anomalies, cx),
        }
    }

    fn framing_name(&self) -> &'static str {
        if self.framing == Framing::Rtu { "rtu" } else { "tcp" }
    }

    fn request(&mut self, id: Option<u16>, unit: u8, pdu: &[u8], mut anomalies: Anomalies, cx: &mut Cx<'_>) {
        let Some(parsed) = wire::parse_request(pdu) else { return };
        if let Some(flaw) = parsed.flaw {
            anomalies.push(code_of(flaw));
        }
        if wire::function_name(parsed.function_code).is_none() {
            anomalies.push(&anomaly::UNKNOWN_FUNCTION);
        }
        let transaction = Transaction {
            id,
            unit,
            function: parsed.function_code,
            due: 1,
            doubted: false,
            answer: (0, Timestamp(0)),
            frame: cx.frame(),
            at: cx.now(),
            address: parsed.address,
            quantity: parsed.quantity,
        };
        if self.remember(transaction, cx) {
            anomalies.push(&anomaly::TRANSACTION_REUSED);
        }
        let record = Request::new(self.framing_name(), id, unit, &parsed);
        let (client, server) = (Identity::ip(cx.flow().client.ip), Identity::ip(cx.flow().server.ip));
        let mut facts = SmallVec::<[Fact<'_>; 4]>::new();
        if !std::mem::replace(&mut self.told.client, true) {
            facts.push(Fact::Identity { id: client, presence: Presence::Sent });
            facts.push(Fact::Role { id: client, role: Role::Client });
            facts.push(Fact::Peer { client, server, protocol: "modbus" });
        }
        cx.emit(Direction::ToServer, &record, &facts, &anomalies);
    }

    /// Puts a request in the table. Answers whether its transaction identifier is still in use by another request.
    fn remember(&mut self, transaction: Transaction, cx: &mut Cx<'_>) -> bool {
        self.requests_seen = true;
        let same = |other: &&mut Transaction| other.id == transaction.id && other.unit == transaction.unit;
        if let Some(slot) = self.transactions.iter_mut().find(same) {
            let waits = slot.due > 0 && !slot.doubted && transaction.at.since(slot.at) <= ANSWER_WAIT;
            let reused = transaction.id.is_some() && waits && slot.function != transaction.function;
            let due = if waits { slot.due.saturating_add(1) } else { 1 };
            *slot = Transaction { due, ..transaction };
            return reused;
        }
        if let Some(slot) = self.transactions.iter_mut().find(|other| other.due == 0) {
            *slot = transaction;
        } else if self.transactions.len() < TRANSACTIONS {
            if self.transactions.is_empty() {
                // Most clients wait for each answer.
                self.transactions.reserve_exact(1);
            }
            self.transactions.push(transaction);
        } else {
            cx.count(Counter::SessionEntriesDropped, 1);
            if let Some(slot) = self.transactions.get_mut(self.oldest) {
                *slot = transaction;
            }
            self.oldest = (self.oldest + 1) % TRANSACTIONS;
        }
        false
    }

    fn response(&mut self, id: Option<u16>, unit: u8, pdu: &[u8], mut anomalies: Anomalies, cx: &mut Cx<'_>) {
        let Some(parsed) = wire::parse_response(pdu) else { return };
        if let Some(flaw) = parsed.flaw {
            anomalies.push(code_of(flaw));
        }
        if parsed.exception_code.is_some_and(|code| wire::exception_name(code).is_none()) {
            anomalies.push(&anomaly::UNKNOWN_EXCEPTION);
        }
        if wire::function_name(parsed.function_code).is_none() {
            anomalies.push(&anomaly::UNKNOWN_FUNCTION);
        }
        let asked = self.answer(id, unit, pdu, &parsed, &mut anomalies, cx);
        let works = asked.is_some() && parsed.exception_code.is_none();
        let record = Response::new(self.framing_name(), id, unit, &parsed, asked);
        let server = cx.flow().server;
        let mut facts = SmallVec::<[Fact<'_>; 4]>::new();
        // A gateway that reports a missing device proves itself alone (§7, exceptions 10 and 11).
        let from_gateway = matches!(parsed.exception_code, Some(10 | 11));
        if !std::mem::replace(&mut self.told.server, true) {
            let id = Identity::ip(server.ip);
            facts.push(Fact::Identity { id, presence: Presence::Proved });
            facts.push(Fact::Role { id, role: Role::Server });
            facts.push(Fact::Service { id, protocol: "modbus", port: Some(server.port), protected: false });
        }
        if !from_gateway && (1..=247).contains(&unit) {
            let id = record::unit(server.ip, unit);
            match self.told.unit(unit, cx) {
                Some(heard) => facts.extend(heard.message(id, cx)),
                None => {
                    facts.push(Fact::Identity { id, presence: Presence::Proved });
                    facts.push(Fact::Via { id, via: Identity::ip(server.ip) });
                }
            }
        } else if from_gateway && (1..=247).contains(&unit) && !std::mem::replace(&mut self.told.missing, true) {
            facts.push(Fact::Identity { id: record::unit(server.ip, unit), presence: Presence::Mentioned });
        }
        let id = if (1..=247).contains(&unit) { record::unit(server.ip, unit) } else { Identity::ip(server.ip) };
        if works && self.told.is_new_function(unit, parsed.function_code) {
            facts.push(Fact::Object { id, kind: "modbus.function", name: Text::Number(parsed.function_code.into()) });
        }
        if record.vendor_name.is_some() || record.server_id.is_some() || !parsed.objects.is_empty() {
            facts.extend(record.attributes(id));
        }
        cx.emit(Direction::ToClient, &record, &facts, &anomalies);
    }

    /// Finds the request that a response answers.
    fn answer(
        &mut self,
        id: Option<u16>,
        unit: u8,
        pdu: &[u8],
        response: &wire::ResponsePdu<'_>,
        anomalies: &mut Anomalies,
        cx: &Cx<'_>,
    ) -> Option<Asked> {
        let now = cx.now();
        // A response to a request that lost bytes held has none, or meets the request that had its identifier before.
        let lost = &mut self.requests_lost;
        let mut blame = |code| match lost.checked_sub(1) {
            Some(left) => *lost = left,
            None => anomalies.push(code),
        };
        let Some(request) = self.transactions.iter_mut().find(|other| other.id == id && other.unit == unit) else {
            if self.requests_seen {
                blame(&anomaly::RESPONSE_WITHOUT_REQUEST);
            }
            return None;
        };
        // In a stream copies never get here; of a datagram only time and content can tell.
        let is_datagram = cx.flow().transport == Transport::Udp;
        let answer = (if is_datagram { foldhash::fast::FixedState::default().hash_one(pdu) } else { 0 }, now);
        let is_copy = is_datagram && request.answer.0 == answer.0 && now.since(request.answer.1) <= COPY_WITHIN;
        request.answer = answer;
        let echoes = |echoed: Option<u16>, sent: Option<u16>| echoed.is_none() || echoed == sent;
        let fits = request.function == response.function_code
            && echoes(response.address, request.address)
            && (response.function_code == 24 || echoes(response.quantity, request.quantity));
        if request.due == 0 && !is_copy {
            blame(&anomaly::DUPLICATE_RESPONSE);
        } else if !fits && request.due <= 1 {
            // Of several requests with one identifier it may answer an earlier one.
            blame(&anomaly::RESPONSE_MISMATCH);
        }
        request.due = request.due.saturating_sub(1);
        Some(Asked {
            frame: request.frame,
            latency_us: now.since(request.at) / 1000,
            address: request.address.filter(|_| fits),
            quantity: request.quantity.filter(|_| fits),
        })
    }
}

impl Told {
    /// Whether a function is one of its maker's own (§5: 65 and above are not the standard's), and was not told of the unit yet.
    fn is_new_function(&mut self, unit: u8, function: u8) -> bool {
        let news = function >= 65 && self.functions.len() < FUNCTIONS && !self.functions.contains(&(unit, function));
        if news {
            self.functions.push((unit, function));
        }
        news
    }

    /// What was heard of a unit; `None` where it is told of now.
    fn unit(&mut self, unit: u8, cx: &Cx<'_>) -> Option<&mut Heard> {
        match self.units.iter().position(|(known, _)| *known == unit) {
            Some(at) => self.units.get_mut(at).map(|(_, heard)| heard),
            None => {
                self.units.push((unit, Heard::told(cx)));
                None
            }
        }
    }
}
