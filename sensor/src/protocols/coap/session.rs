//! One flow: pairs requests and responses, tells what is sent again, puts bodies together and says what devices are.

use super::anomalies as odd;
use super::blockwise::{Bodies, BodyKey, Piece};
use super::code::{Class, Code, MessageType, content_format_name};
use super::exchange::{self, Asked, Exchanges, MessageIds, Observation, Seen};
use super::fields::{Fields, join_path};
use super::option::{self, BlockValue};
use super::payload::{Hint, finish, tell_body, tell_resources};
use super::record::{Block, Empty, Query, Request, Response};
use super::secrets;
use super::signal::signal;
use super::wire::Message;
use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::{
    Anomalies, Credential, CredentialKind, Fact, Hex, Identity, Outcome, Presence, Role, Secret, SecurityAspect, Text,
};
use crate::protocols::Cx;
use smallvec::SmallVec;
use std::net::IpAddr;

/// Longest path of a request that is remembered, bytes: a path can be as long as a message, and each open request keeps its own.
pub const PATH_BYTES: usize = 1_024;

/// Longest identifier in an OSCORE option that is remembered, bytes (RFC 8613 §3.3: the nonce leaves room for 7 or 13).
const OSCORE_BYTES: usize = 32;

/// What one flow remembers.
#[derive(Default)]
pub struct Session {
    exchanges: Exchanges,
    message_ids: MessageIds,
    bodies: Bodies,
    said: u16,
    credential: u64,
    scratch: Scratch,
}

/// Text that is written for each message, kept for its room.
#[derive(Default)]
struct Scratch {
    path: String,
    uri: String,
    hint: String,
}

/// What was already said of this flow. Each is a bit for each direction.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Said {
    Client = 0,
    Server = 2,
    Plain = 4,
    Oscore = 6,
}

type Facts<'a> = SmallVec<[Fact<'a>; 6]>;

impl Session {
    /// Takes a message; `bytes` is all of it.
    pub fn message(&mut self, message: &Message<'_>, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        match (message.code.class(), message.exchange) {
            (Class::Empty, Some((ty, message_id))) => self.empty(message, ty, message_id, bytes, direction, cx),
            (Class::Request, _) => self.request(message, bytes, direction, cx),
            (Class::Response, _) => self.response(message, bytes, direction, cx),
            (Class::Signal, None) => signal(message, direction, cx),
            // Empty messages are ignored over reliable transports (RFC 8323 §3.4).
            (Class::Empty, None) => {}
            (Class::Reserved, _) | (Class::Signal, Some(_)) => cx.anomaly(direction, &odd::CODE_RESERVED),
        }
    }

    /// Gives up the bodies that are not whole.
    pub fn close(&mut self, cx: &mut Cx<'_>) {
        for assembly in self.bodies.close() {
            let direction = assembly.direction().unwrap_or(Direction::ToServer);
            tell_body(&assembly, direction, cx);
        }
    }

    fn first(&mut self, said: Said, direction: Direction) -> bool {
        let bit = 1 << (said as u16 + direction.index() as u16);
        let first = self.said & bit == 0;
        self.said |= bit;
        first
    }

    fn note(
        &mut self,
        message: &Message<'_>,
        bytes: &[u8],
        direction: Direction,
        anomalies: &mut Anomalies,
        cx: &Cx<'_>,
    ) -> Option<u64> {
        let (ty, message_id) = message.exchange?;
        match self.message_ids.note(direction, ty, message_id, bytes, cx.frame(), cx.now()) {
            Seen::New => None,
            Seen::Again(frame) => Some(frame),
            Seen::Reused => {
                anomalies.push(&odd::MESSAGE_ID_REUSED);
                None
            }
        }
    }

    fn empty(
        &mut self,
        message: &Message<'_>,
        ty: MessageType,
        message_id: u16,
        bytes: &[u8],
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let mut anomalies = Anomalies::default();
        if !message.token.is_empty() || !message.body.is_empty() {
            anomalies.push(&odd::EMPTY_WITH_CONTENT);
        }
        let again = self.note(message, bytes, direction, &mut anomalies, cx);
        let mut ends_observation = false;
        if ty == MessageType::Reset
            && let Some(observed) = self.exchanges.notified_by(direction, message_id)
        {
            observed.open = false;
            observed.observation = Observation::None;
            ends_observation = true;
        }
        if ty == MessageType::Reset
            && let Some(refused) = self.exchanges.by_message_id(direction, message_id)
        {
            refused.open = false;
        }
        let answered_frame = if ty.is_original() { None } else { self.message_ids.answered(direction, message_id) };
        let record = Empty {
            message_type: ty.name(),
            message_id,
            retransmission: flag(again.is_some()),
            answered_frame,
            ends_observation: flag(ends_observation),
        };
        cx.emit(direction, &record, &[], &anomalies);
    }

    fn request(&mut self, message: &Message<'_>, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut anomalies = Anomalies::default();
        let mut fields = Fields::gather(message, &mut anomalies);
        let again = self.note(message, bytes, direction, &mut anomalies, cx);
        let to = cx.flow().receiver(direction);
        let multicast = is_multicast(to.ip);
        match message.exchange {
            Some((MessageType::Acknowledgement | MessageType::Reset, _)) => anomalies.push(&odd::TYPE_AND_CODE),
            Some((MessageType::Confirmable, _)) if multicast => anomalies.push(&odd::MULTICAST_CONFIRMABLE),
            _ => {}
        }
        check_blocks(&fields, message, [option::BLOCK1, option::Q_BLOCK1], &mut anomalies);

        let path_token = secrets::withhold_token(&mut fields.uri_path);
        let Scratch { mut path, mut uri, mut hint } = std::mem::take(&mut self.scratch);
        path.clear();
        join_path(&fields.uri_path, &mut path);
        if path.is_empty() {
            path.push('/');
        }
        if again.is_none() && !multicast && fields.complete {
            self.remember(message, &fields, &path, direction, cx);
        }

        let mut credential = path_token;
        let query: SmallVec<[Query<'_>; 6]> = fields
            .uri_query
            .iter()
            .map(|argument| {
                let argument = secrets::argument(argument);
                credential = credential.or(argument.credential);
                argument.shown
            })
            .collect();
        let blocks = blocks(&fields);
        let ciphertext = ciphertext(&fields);
        let (from, to) = (Identity::ip(cx.flow().sender(direction).ip), Identity::ip(to.ip));
        let mut facts = Facts::new();
        self.say_request(&mut facts, from, to, multicast, direction);
        if let Some(secret) = credential
            && again.is_none()
            && self.credential != exchange::hash(secret)
        {
            self.credential = exchange::hash(secret);
            facts.push(Fact::Credential(Credential {
                by: from,
                to,
                kind: CredentialKind::Token,
                user: None,
                secret: Some(Secret::new(secret)),
                outcome: Outcome::Unknown,
                cleartext: true,
            }));
        }
        let oscore = fields.oscore;
        let record = Request {
            message_type: message.exchange.map(|(ty, _)| ty.name()),
            code: message.code.dotted(),
            method: message.code.name(),
            message_id: message.exchange.map(|(_, id)| id),
            token: Hex(message.token),
            multicast: flag(multicast),
            retransmission: flag(again.is_some()),
            first_frame: again,
            uri_host: fields.uri_host,
            uri_port: fields.uri_port,
            uri_path: &path,
            uri_query: &query,
            content_format: fields.content_format,
            content_format_name: fields.content_format.and_then(content_format_name),
            accept: fields.accept,
            observe: fields.observe,
            blocks: &blocks,
            etag: fields.etag.map(Hex),
            if_match: Some(fields.if_match).filter(|&count| count > 0),
            if_none_match: flag(fields.if_none_match),
            size1: fields.size1,
            size2: fields.size2,
            proxy_uri: fields.proxy_uri.map(|proxy| secrets::harmless_uri(proxy, &mut uri)),
            proxy_scheme: fields.proxy_scheme,
            hop_limit: fields.hop_limit,
            echo: fields.echo.map(Hex),
            request_tag: fields.request_tag.map(Hex),
            no_response: fields.no_response,
            edhoc: flag(fields.edhoc),
            oscore: flag(oscore.is_some()),
            oscore_kid: oscore.and_then(|value| value.kid).map(Hex),
            oscore_kid_context: oscore.and_then(|value| value.kid_context).map(Hex),
            oscore_partial_iv: oscore.and_then(|value| value.partial_iv).map(Hex),
            oscore_ciphertext: ciphertext.map(Hex),
            unknown_options: &fields.unknown,
            payload_length: length(fields.payload),
        };
        cx.emit(direction, &record, &facts, &anomalies);

        if again.is_none() && oscore.is_none() && fields.complete {
            let hint_of = Hint { format: fields.content_format, code: message.code, path: &path };
            let wanted = fields.block([option::BLOCK1, option::Q_BLOCK1]).filter(|block| block.more || block.num > 0);
            let asks_on = fields.block([option::BLOCK2, option::Q_BLOCK2]).is_some_and(|block| block.num > 0);
            match wanted {
                Some(block) => {
                    let key = BodyKey {
                        direction,
                        in_requests: true,
                        of: exchange::hash(path.as_bytes()),
                        tag: fields.request_tag.map_or(0, exchange::hash),
                    };
                    let ordered = fields.block([option::BLOCK1; 2]).is_some();
                    let piece = piece(key, block, ordered, &fields, fields.size1, &path, cx.frame());
                    let ended = self.bodies.add(piece);
                    finish(ended, key, &hint_of, &mut hint, &record, cx);
                }
                None if !asks_on => hint_of.forward(fields.payload, direction, &record, &mut hint, cx),
                None => {}
            }
        }
        self.scratch = Scratch { path, uri, hint };
    }

    fn remember(&mut self, message: &Message<'_>, fields: &Fields<'_>, path: &str, direction: Direction, cx: &mut Cx<'_>) {
        if fields.observe == Some(1) {
            self.exchanges.deregister(direction, message.token);
        }
        let short = |bytes: Option<&[u8]>| bytes.filter(|bytes| bytes.len() <= OSCORE_BYTES).unwrap_or_default().to_vec();
        let oscore = fields.oscore.map(|value| Box::new((short(value.kid), short(value.partial_iv))));
        let kept = Some(path).filter(|path| path.len() <= PATH_BYTES);
        let dropped = self.exchanges.ask(Asked {
            direction,
            token: message.token,
            message_id: message.exchange.map(|(_, id)| id),
            frame: cx.frame(),
            time: cx.time(),
            method: message.code,
            accept: fields.accept,
            observe: fields.observe,
            path: kept.unwrap_or_default(),
            oscore,
        });
        cx.count(Counter::SessionEntriesDropped, u64::from(kept.is_none()));
        cx.count(Counter::SessionEntriesDropped, u64::from(dropped));
    }

    fn response(&mut self, message: &Message<'_>, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut anomalies = Anomalies::default();
        let fields = Fields::gather(message, &mut anomalies);
        let again = self.note(message, bytes, direction, &mut anomalies, cx);
        if let Some((MessageType::Reset, _)) = message.exchange {
            anomalies.push(&odd::TYPE_AND_CODE);
        }
        check_blocks(&fields, message, [option::BLOCK2, option::Q_BLOCK2], &mut anomalies);
        let answer = self.pair(message, &fields, again.is_some(), direction, &mut anomalies, cx);
        let Scratch { path, mut uri, mut hint } = std::mem::take(&mut self.scratch);
        uri.clear();
        join_path(&fields.location_path, &mut uri);
        let known = answer.is_some().then_some(path.as_str());
        let blocks = blocks(&fields);
        let oscore = fields.oscore;
        let ciphertext = ciphertext(&fields);
        let sender = cx.flow().sender(direction);
        let mut facts = Facts::new();
        self.say_response(&mut facts, Identity::ip(sender.ip), sender.port, oscore.is_some(), direction);
        let asked_by = answer.as_ref().and_then(|answer| answer.oscore.as_deref());
        let record = Response {
            message_type: message.exchange.map(|(ty, _)| ty.name()),
            code: message.code.dotted(),
            code_name: message.code.name(),
            message_id: message.exchange.map(|(_, id)| id),
            token: Hex(message.token),
            retransmission: flag(again.is_some()),
            first_frame: again,
            request_frame: answer.as_ref().map(|answer| answer.frame),
            request_method: answer.as_ref().and_then(|answer| answer.method.name()),
            uri_path: known,
            request_accept: answer.as_ref().and_then(|answer| answer.accept),
            request_observe: answer.as_ref().and_then(|answer| answer.observe),
            latency_us: answer.as_ref().and_then(|answer| answer.latency_us),
            notification: flag(answer.as_ref().map_or(fields.observe.is_some(), |answer| answer.notification)),
            location_path: Some(uri.as_str()).filter(|path| !path.is_empty()),
            content_format: fields.content_format,
            content_format_name: fields.content_format.and_then(content_format_name),
            observe: fields.observe,
            max_age: fields.max_age,
            blocks: &blocks,
            etag: fields.etag.map(Hex),
            size1: fields.size1,
            size2: fields.size2,
            echo: fields.echo.map(Hex),
            oscore: flag(oscore.is_some()),
            oscore_kid: oscore.and_then(|value| value.kid).map(Hex),
            oscore_partial_iv: oscore.and_then(|value| value.partial_iv).map(Hex),
            oscore_request_kid: asked_by.map(|(kid, _)| Hex(kid)),
            oscore_request_partial_iv: asked_by.map(|(_, iv)| Hex(iv)),
            oscore_ciphertext: ciphertext.map(Hex),
            unknown_options: &fields.unknown,
            payload_length: length(fields.payload),
        };
        cx.emit(direction, &record, &facts, &anomalies);

        if again.is_none() && oscore.is_none() && fields.complete {
            let hint_of = Hint { format: fields.content_format, code: message.code, path: known.unwrap_or_default() };
            let partial = fields.block([option::BLOCK2, option::Q_BLOCK2]).filter(|block| block.more || block.num > 0);
            match partial {
                Some(block) => {
                    let key = BodyKey {
                        direction,
                        in_requests: false,
                        of: exchange::hash(known.map_or(message.token, str::as_bytes)),
                        tag: fields.etag.map_or(0, exchange::hash),
                    };
                    let ordered = fields.block([option::BLOCK2; 2]).is_some();
                    let piece = piece(key, block, ordered, &fields, fields.size2, known.unwrap_or_default(), cx.frame());
                    let ended = self.bodies.add(piece);
                    finish(ended, key, &hint_of, &mut hint, &record, cx);
                }
                None => {
                    tell_resources(&hint_of, fields.payload, direction, cx);
                    hint_of.forward(fields.payload, direction, &record, &mut hint, cx);
                }
            }
        }
        self.scratch = Scratch { path, uri, hint };
    }

    /// Finds the request that a response answers; its path is left in the scratch.
    fn pair(
        &mut self,
        message: &Message<'_>,
        fields: &Fields<'_>,
        again: bool,
        direction: Direction,
        anomalies: &mut Anomalies,
        cx: &Cx<'_>,
    ) -> Option<Answer> {
        let piggybacked = matches!(message.exchange, Some((MessageType::Acknowledgement, _)));
        let message_id = message.exchange.map(|(_, id)| id);
        let exchange = match self.exchanges.by_token(direction, message.token) {
            // The borrow checker does not see that the other arm drops the first borrow, so the table is asked again.
            Some(_) => self.exchanges.by_token(direction, message.token),
            None if piggybacked => {
                let by_id = message_id.and_then(|id| self.exchanges.by_message_id(direction, id));
                if by_id.is_some() {
                    anomalies.push(&odd::TOKEN_MISMATCH);
                }
                by_id
            }
            None => None,
        }?;
        self.scratch.path.clear();
        self.scratch.path.push_str(&exchange.path);
        let notification = exchange.answered && exchange.observation == Observation::Active;
        let answer = Answer {
            frame: exchange.frame,
            method: exchange.code(),
            accept: exchange.accept,
            observe: exchange.observe,
            latency_us: (!exchange.answered && !again).then(|| cx.time().since(exchange.time) / 1_000),
            notification: notification && fields.observe.is_some(),
            oscore: exchange.oscore.clone(),
        };
        if !again {
            exchange.answered = true;
            let observing = exchange.observation != Observation::None && fields.observe.is_some() && message.code.is_success();
            if observing {
                exchange.observation = Observation::Active;
                exchange.notified_by = message_id.filter(|_| !piggybacked);
            } else {
                // A response without Observe, or an error, ends the observation (RFC 7641 §3.2).
                exchange.open = false;
                exchange.observation = Observation::None;
            }
        }
        Some(answer)
    }

    fn say_request<'a>(
        &mut self,
        facts: &mut Facts<'a>,
        from: Identity<'a>,
        to: Identity<'a>,
        multicast: bool,
        direction: Direction,
    ) {
        if self.first(Said::Client, direction) {
            facts.push(Fact::Identity { id: from, presence: Presence::Sent });
            facts.push(Fact::Role { id: from, role: Role::Client });
            if !multicast {
                facts.push(Fact::Peer { client: from, server: to, protocol: "coap" });
            }
        }
    }

    fn say_response<'a>(&mut self, facts: &mut Facts<'a>, id: Identity<'a>, port: u16, oscore: bool, direction: Direction) {
        if self.first(Said::Server, direction) {
            facts.push(Fact::Identity { id, presence: Presence::Proved });
            facts.push(Fact::Role { id, role: Role::Server });
            facts.push(Fact::Service { id, protocol: "coap", port: Some(port), protected: oscore });
        }
        let (said, value) = if oscore { (Said::Oscore, "oscore") } else { (Said::Plain, "none") };
        if self.first(said, direction) {
            facts.push(Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str(value) });
        }
    }
}

/// What is known of the request that a response answers.
struct Answer {
    frame: u64,
    method: Code,
    accept: Option<u16>,
    observe: Option<u32>,
    latency_us: Option<u64>,
    notification: bool,
    oscore: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

fn check_blocks(fields: &Fields<'_>, message: &Message<'_>, describing: [u16; 2], anomalies: &mut Anomalies) {
    let datagram = message.exchange.is_some();
    for (number, block) in &fields.blocks {
        if datagram && block.szx == 7 {
            anomalies.push(&odd::BLOCK_SIZE_RESERVED);
        } else if describing.contains(number) && block.more && fields.complete {
            let size = block.size() as usize;
            let whole = if block.szx == 7 { fields.payload.len().is_multiple_of(size) } else { fields.payload.len() == size };
            if !whole || fields.payload.is_empty() {
                anomalies.push(&odd::BLOCK_LENGTH);
            }
        }
    }
}

fn piece<'a>(
    key: BodyKey,
    block: BlockValue,
    ordered: bool,
    fields: &'a Fields<'_>,
    declared: Option<u32>,
    path: &'a str,
    frame: u64,
) -> Piece<'a> {
    Piece { key, block, ordered, bytes: fields.payload, declared, content_format: fields.content_format, path, frame }
}

/// What OSCORE protects, where it is whole: blocks outside of the protection cut it in pieces (RFC 8613 §4.1.3.4.2).
fn ciphertext<'a>(fields: &Fields<'a>) -> Option<&'a [u8]> {
    let partial = fields.blocks.iter().any(|(_, block)| block.more || block.num > 0);
    fields.oscore.is_some().then_some(fields.payload).filter(|bytes| !partial && !bytes.is_empty())
}

fn blocks(fields: &Fields<'_>) -> SmallVec<[Block; 2]> {
    fields.blocks.iter().map(|&(number, value)| Block::new(number, value)).collect()
}

fn is_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

fn flag(value: bool) -> Option<bool> {
    value.then_some(true)
}

fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}
