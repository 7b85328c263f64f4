//! The opening handshake (RFC 6455 §4, HTTP/1.1) and frames (§5.2).
//!
//! | bits | field |
//! |---|---|
//! | 1, 3, 4 | FIN, RSV1–3, opcode |
//! | 1, 7 | MASK, payload length: 0–125, or 126: 16 bits follow, or 127: 64 bits follow |
//! | 32 | masking key, if MASK |

use super::HEADERS;
use crate::reader::Reader;

/// The request of an opening handshake (§4.1).
#[derive(Default)]
pub(super) struct Request<'a> {
    /// Bytes of the head.
    pub(super) length: usize,
    /// Path without its query.
    pub(super) path: &'a str,
    /// The query, which may hold a token.
    pub(super) query: Option<&'a str>,
    pub(super) head: Head<'a>,
}

/// The answer (§4.2.2).
#[derive(Default)]
pub(super) struct Response<'a> {
    /// Bytes of the head.
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) head: Head<'a>,
}

/// Header fields that matter here.
#[derive(Default)]
pub(super) struct Head<'a> {
    /// `Upgrade: websocket` stands there.
    pub(super) upgrade: bool,
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) server: Option<&'a str>,
    /// `Sec-WebSocket-Protocol`: offers in a request, the choice in an answer.
    pub(super) subprotocol: Option<&'a str>,
    /// `Sec-WebSocket-Extensions`.
    pub(super) extensions: Option<&'a str>,
    pub(super) key: bool,
    pub(super) version: Option<&'a str>,
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) cookie: bool,
}

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    /// More bytes are needed.
    Incomplete,
    /// It is not HTTP, or has more header fields than are read.
    Other,
}

/// Reads a request.
pub(super) fn request(bytes: &[u8]) -> Result<Request<'_>, NoHead> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(NoHead::Incomplete),
        Err(_) => return Err(NoHead::Other),
    };
    if parsed.method != Some("GET") {
        return Err(NoHead::Other);
    }
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Ok(Request { length, path, query, head: head(parsed.headers) })
}

/// Reads an answer.
pub(super) fn response(bytes: &[u8]) -> Result<Response<'_>, NoHead> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(NoHead::Incomplete),
        Err(_) => return Err(NoHead::Other),
    };
    Ok(Response { length, status: parsed.code.unwrap_or(0), head: head(parsed.headers) })
}

fn head<'a>(fields: &[httparse::Header<'a>]) -> Head<'a> {
    let mut head = Head::default();
    for field in fields {
        let text = std::str::from_utf8(field.value).ok().map(str::trim);
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match text {
            Some(text) if is("upgrade") => {
                head.upgrade |= text.split(',').any(|part| part.trim().eq_ignore_ascii_case("websocket"))
            }
            _ if is("host") => head.host = text,
            _ if is("origin") => head.origin = text,
            _ if is("user-agent") => head.user_agent = text,
            _ if is("server") => head.server = text,
            _ if is("sec-websocket-protocol") => head.subprotocol = head.subprotocol.or(text),
            _ if is("sec-websocket-extensions") => head.extensions = head.extensions.or(text),
            _ if is("sec-websocket-key") => head.key = true,
            _ if is("sec-websocket-version") => head.version = text,
            _ if is("authorization") => head.authorization = Some(field.value),
            _ if is("cookie") => head.cookie = true,
            _ => {}
        }
    }
    head
}

/// The parameters of permessage-deflate (RFC 7692 §7.1) in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deflate {
    /// The server forgets between messages (§7.1.1.1).
    pub(super) server_no_context_takeover: bool,
    /// The client forgets between messages (§7.1.1.2).
    pub(super) client_no_context_takeover: bool,
}

/// Finds permessage-deflate among extensions. The window bits are not needed: a full window can hold any smaller one's references.
pub(super) fn deflate(extensions: &str) -> Option<Deflate> {
    let chosen = extensions.split(',').find(|extension| name_of(extension) == "permessage-deflate")?;
    let has = |name| chosen.split(';').skip(1).any(|parameter| name_of(parameter) == name);
    Some(Deflate {
        server_no_context_takeover: has("server_no_context_takeover"),
        client_no_context_takeover: has("client_no_context_takeover"),
    })
}

fn name_of(item: &str) -> &str {
    item.split([';', '=']).next().unwrap_or_default().trim()
}

/// The kinds of frames (§11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    /// 3–7 and 11–15.
    Reserved,
}

/// A frame's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) fin: bool,
    /// RSV1: compressed, in the first frame of a message (RFC 7692 §6).
    pub(super) rsv1: bool,
    /// RSV2 or RSV3.
    pub(super) rsv23: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes of the header.
    pub(super) header: usize,
    /// Bytes of the payload.
    pub(super) payload: u64,
    /// Whether the length took the fewest bytes possible.
    pub(super) minimal: bool,
}

impl Frame {
    /// Bytes of the whole frame.
    pub(super) fn total(&self) -> u64 {
        self.payload.saturating_add(self.header as u64)
    }

    /// Whether it is a control frame (§5.5).
    pub(super) fn is_control(&self) -> bool {
        matches!(self.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Reads a frame's header; `None`: more bytes are needed.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    let second = reader.u8()?;
    let (payload, minimal) = match second & 127 {
        126 => reader.u16().map(|length| (u64::from(length), length > 125))?,
        127 => reader.u64().map(|length| (length, length > 65_535))?,
        length => (u64::from(length), true),
    };
    let mask = if second & 128 != 0 { Some(reader.array()?) } else { None };
    let opcode = match first & 15 {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => Opcode::Reserved,
    };
    Some(Frame {
        fin: first & 128 != 0,
        rsv1: first & 64 != 0,
        rsv23: first & 48 != 0,
        opcode,
        mask,
        header: reader.offset(),
        payload,
        minimal,
    })
}

/// Appends a payload without its mask (§5.3).
pub(super) fn unmask(payload: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    match mask {
        None => out.extend_from_slice(payload),
        Some(mask) => out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key)),
    }
}
