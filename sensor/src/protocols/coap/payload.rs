//! Where payloads go: to other decoders, into bodies that came in blocks, into the list of a server's resources.

use super::anomalies as odd;
use super::blockwise::{Assembly, BodyKey, Ended};
use super::code::{Class, Code};
use super::link_format;
use super::record::{Body, Resource, Resources};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::{Anomalies, Fact, Hex, Identity, Record, Text};
use crate::protocols::{Carried, Channel, Cx};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Links of a resource description that are told.
pub const LINKS: usize = 128;

/// Where a server describes its resources (RFC 6690 §4).
const WELL_KNOWN_CORE: &str = "/.well-known/core";

/// Bodies shorter than this get no digest: it would let them be guessed.
const DIGESTED: usize = 1_024;

/// Content format of a resource description.
const LINK_FORMAT: u16 = 40;

/// What is said to those that take payloads: `<content format, or -> <method, or code> <path>`.
pub struct Hint<'a> {
    /// Content format of the payload.
    pub format: Option<u16>,
    /// Method or response code.
    pub code: Code,
    /// The path; empty where it is not known.
    pub path: &'a str,
}

impl Hint<'_> {
    /// Hands a payload on, an empty one too: a path and a method can say enough.
    pub fn forward(&self, bytes: &[u8], direction: Direction, carrier: &dyn Record, hint: &mut String, cx: &mut Cx<'_>) {
        hint.clear();
        let _ = match self.format {
            Some(number) => write!(hint, "{number} "),
            None => write!(hint, "- "),
        };
        match (self.code.class(), self.code.name()) {
            (Class::Request, Some(name)) => hint.push_str(name),
            _ => hint.push_str(self.code.dotted().as_str()),
        }
        hint.push(' ');
        hint.push_str(self.path);
        cx.forward(Carried { kind: "coap.payload", hint, channel: Channel::Datagram, direction, bytes, carrier });
    }
}

/// Tells of bodies that ended, and hands on the one that `key` names where it is whole.
pub fn finish(ended: Ended, key: BodyKey, hint_of: &Hint<'_>, hint: &mut String, carrier: &dyn Record, cx: &mut Cx<'_>) {
    for assembly in &ended {
        tell_body(assembly, key.direction, cx);
        if assembly.complete() {
            let hint_of = Hint { format: assembly.content_format.or(hint_of.format), ..*hint_of };
            if !key.in_requests {
                tell_resources(&hint_of, &assembly.bytes, key.direction, cx);
            }
            hint_of.forward(&assembly.bytes, key.direction, carrier, hint, cx);
        }
    }
}

pub fn tell_body(assembly: &Assembly, direction: Direction, cx: &mut Cx<'_>) {
    let mut anomalies = Anomalies::default();
    let complete = assembly.complete();
    if assembly.dropped {
        cx.count(Counter::SessionEntriesDropped, 1);
    } else if !complete {
        anomalies.push(&odd::BODY_INCOMPLETE);
    }
    if complete && assembly.declared.is_some_and(|declared| declared as usize != assembly.size()) {
        anomalies.push(&odd::BODY_SIZE);
    }
    let digest = (complete && assembly.bytes.len() >= DIGESTED).then(|| Sha256::digest(&assembly.bytes));
    let record = Body {
        carried_by: if assembly.in_requests() { "request" } else { "response" },
        uri_path: Some(assembly.path.as_str()).filter(|path| !path.is_empty()),
        content_format: assembly.content_format,
        complete,
        size: assembly.size() as u64,
        received: assembly.received() as u64,
        declared_size: assembly.declared,
        blocks: assembly.blocks,
        first_frame: assembly.first_frame,
        sha256: digest.as_deref().map(Hex),
    };
    cx.emit(direction, &record, &[], &anomalies);
}

/// Tells the links of `/.well-known/core`.
pub fn tell_resources(hint: &Hint<'_>, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
    let described = hint.path == WELL_KNOWN_CORE && hint.code.is_success() && matches!(hint.format, None | Some(LINK_FORMAT));
    if !described || payload.is_empty() {
        return;
    }
    let mut anomalies = Anomalies::default();
    let document = link_format::text(payload);
    let server = Identity::ip(cx.flow().sender(direction).ip);
    let mut links = Vec::new();
    let mut total = 0;
    for link in link_format::links(&document) {
        let Ok(link) = link else {
            if anomalies.is_empty() {
                anomalies.push(&odd::LINK_FORMAT);
            }
            continue;
        };
        total += 1;
        if links.len() < LINKS {
            links.push(Resource {
                path: link.target.split('?').next().unwrap_or_default(),
                rt: link.attribute("rt"),
                interface: link.attribute("if"),
                ct: link.attribute("ct"),
                sz: link.attribute("sz"),
                obs: link.has("obs").then_some(true),
                title: link.attribute("title"),
                ep: link.attribute("ep"),
            });
        } else {
            cx.count(Counter::SessionEntriesDropped, 1);
        }
    }
    let paths = links.iter().map(|link| Fact::Object { id: server, kind: "coap.resource", name: Text::Str(link.path) });
    let types = link_format::resource_types(&document).into_iter();
    let types = types.map(|name| Fact::Object { id: server, kind: "coap.resource_type", name: Text::Str(name) });
    // Of a long list the inventory keeps the first: the types are few and say what the server is.
    let facts: Vec<Fact<'_>> = types.chain(paths).collect();
    cx.emit(direction, &Resources { links: &links, total }, &facts, &anomalies);
}
