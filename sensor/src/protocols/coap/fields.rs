//! What the options of one message say, gathered in one walk, with what departs from their definitions.

use super::anomalies as odd;
use super::option::{self, BlockValue, Format, OptionFault, RawOption};
use super::wire::{Message, OscoreValue};
use crate::observation::Anomalies;
use smallvec::SmallVec;

/// The options of one message by meaning. Text that is not UTF-8 stays bytes in the paths and queries and is left out elsewhere.
#[derive(Default)]
pub struct Fields<'a> {
    /// Uri-Host.
    pub uri_host: Option<&'a str>,
    /// Uri-Port.
    pub uri_port: Option<u16>,
    /// Uri-Path segments.
    pub uri_path: SmallVec<[&'a [u8]; 6]>,
    /// Uri-Query arguments.
    pub uri_query: SmallVec<[&'a [u8]; 6]>,
    /// Location-Path segments.
    pub location_path: SmallVec<[&'a [u8]; 2]>,
    /// Content-Format.
    pub content_format: Option<u16>,
    /// Accept.
    pub accept: Option<u16>,
    /// Observe.
    pub observe: Option<u32>,
    /// Max-Age, seconds.
    pub max_age: Option<u32>,
    /// First ETag.
    pub etag: Option<&'a [u8]>,
    /// Number of If-Match options.
    pub if_match: u8,
    /// Whether If-None-Match is there.
    pub if_none_match: bool,
    /// Block options with their numbers.
    pub blocks: SmallVec<[(u16, BlockValue); 2]>,
    /// Size1, bytes.
    pub size1: Option<u32>,
    /// Size2, bytes.
    pub size2: Option<u32>,
    /// Proxy-Uri.
    pub proxy_uri: Option<&'a str>,
    /// Proxy-Scheme.
    pub proxy_scheme: Option<&'a str>,
    /// Hop-Limit.
    pub hop_limit: Option<u8>,
    /// Echo.
    pub echo: Option<&'a [u8]>,
    /// First Request-Tag.
    pub request_tag: Option<&'a [u8]>,
    /// No-Response.
    pub no_response: Option<u8>,
    /// OSCORE, as far as it could be read.
    pub oscore: Option<OscoreValue<'a>>,
    /// Whether EDHOC is there.
    pub edhoc: bool,
    /// Numbers of the options that are not in the table.
    pub unknown: SmallVec<[u32; 4]>,
    /// The payload; empty where there is none.
    pub payload: &'a [u8],
    /// Offset of the payload in the message.
    pub payload_offset: usize,
    /// Whether the walk reached the payload or the end.
    pub complete: bool,
}

impl<'a> Fields<'a> {
    /// Walks the options of `message` and adds what is odd about them to `anomalies`.
    pub fn gather(message: &Message<'a>, anomalies: &mut Anomalies) -> Self {
        let mut fields = Self { complete: true, ..Self::default() };
        let mut walk = message.options();
        let mut previous = None;
        for item in walk.by_ref() {
            match item {
                Ok(found) => {
                    fields.add(found, previous == Some(found.number), message.body_offset + found.offset, anomalies);
                    previous = Some(found.number);
                }
                Err((fault, offset)) => {
                    fields.complete = false;
                    let code = match fault {
                        OptionFault::Cut => &odd::TRUNCATED,
                        OptionFault::Reserved => &odd::OPTION_NIBBLE_RESERVED,
                        OptionFault::NumberOverflow => &odd::OPTION_NUMBER_OVERFLOW,
                    };
                    anomalies.push_at(code, message.body_offset + offset);
                }
            }
        }
        let (payload, marker) = walk.payload();
        if fields.complete {
            fields.payload = payload;
            fields.payload_offset = message.body_offset + message.body.len() - payload.len();
            if marker && payload.is_empty() {
                anomalies.push_at(&odd::PAYLOAD_MISSING, fields.payload_offset);
            }
        }
        fields
    }

    fn add(&mut self, found: RawOption<'a>, repeated: bool, offset: usize, anomalies: &mut Anomalies) {
        let Some(spec) = option::option_spec(found.number) else {
            self.unknown.push(u32::from(found.number));
            if option::is_critical(found.number) {
                anomalies.push_at(&odd::UNKNOWN_CRITICAL_OPTION, offset);
            }
            return;
        };
        if found.value.len() < spec.min || found.value.len() > spec.max {
            anomalies.push_at(&odd::OPTION_LENGTH, offset);
        }
        if repeated && !spec.repeatable {
            // Further occurrences of an option that may stand once count as unrecognised (RFC 7252 §5.4.5).
            anomalies.push_at(&odd::OPTION_REPEATED, offset);
            return;
        }
        let text = match spec.format {
            Format::Text => {
                let text = std::str::from_utf8(found.value).ok();
                if text.is_none() {
                    anomalies.push_at(&odd::TEXT_NOT_UTF8, offset);
                }
                text
            }
            _ => None,
        };
        let number = option::uint(found.value);
        let short = || number.and_then(|number| u16::try_from(number).ok());
        match found.number {
            option::IF_MATCH => self.if_match = self.if_match.saturating_add(1),
            option::URI_HOST => self.uri_host = text,
            option::ETAG => self.etag = self.etag.or(Some(found.value)),
            option::IF_NONE_MATCH => self.if_none_match = true,
            option::OBSERVE => self.observe = number,
            option::URI_PORT => self.uri_port = short(),
            option::LOCATION_PATH => self.location_path.push(found.value),
            option::OSCORE => {
                let value = OscoreValue::read(found.value);
                if value.is_none() {
                    anomalies.push_at(&odd::OSCORE_MALFORMED, offset);
                }
                self.oscore = Some(value.unwrap_or_default());
            }
            option::URI_PATH => self.uri_path.push(found.value),
            option::CONTENT_FORMAT => self.content_format = short(),
            option::MAX_AGE => self.max_age = number,
            option::URI_QUERY => self.uri_query.push(found.value),
            option::HOP_LIMIT => self.hop_limit = number.and_then(|number| u8::try_from(number).ok()),
            option::ACCEPT => self.accept = short(),
            option::EDHOC => self.edhoc = true,
            option::BLOCK1 | option::BLOCK2 | option::Q_BLOCK1 | option::Q_BLOCK2 => {
                if let Some(block) = BlockValue::read(found.value) {
                    self.blocks.push((found.number, block));
                }
            }
            option::SIZE1 => self.size1 = number,
            option::SIZE2 => self.size2 = number,
            option::PROXY_URI => self.proxy_uri = text,
            option::PROXY_SCHEME => self.proxy_scheme = text,
            option::ECHO => self.echo = Some(found.value),
            option::NO_RESPONSE => self.no_response = number.and_then(|number| u8::try_from(number).ok()),
            option::REQUEST_TAG => self.request_tag = self.request_tag.or(Some(found.value)),
            _ => {}
        }
    }

    /// The block option of this number.
    pub fn block(&self, numbers: [u16; 2]) -> Option<BlockValue> {
        self.blocks.iter().find(|(number, _)| numbers.contains(number)).map(|(_, block)| *block)
    }
}

/// Joins path segments to `/a/b` in `out`. Bytes that would change the path's meaning or do not print are written as `%2f` (RFC 7252 §6.5).
pub fn join_path(segments: &[&[u8]], out: &mut String) {
    for segment in segments {
        out.push('/');
        for chunk in segment.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character == '/' || character == '%' || character.is_control() {
                    let mut utf8 = [0; 4];
                    character.encode_utf8(&mut utf8).bytes().for_each(|byte| escape(byte, out));
                } else {
                    out.push(character);
                }
            }
            chunk.invalid().iter().for_each(|&byte| escape(byte, out));
        }
    }
}

fn escape(byte: u8, out: &mut String) {
    out.push('%');
    crate::observation::record::push_hex(&[byte], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_meaning() {
        let mut path = String::new();
        join_path(&[b"a", b"b/c", b"\xff\n", "é".as_bytes(), b""], &mut path);
        assert_eq!(path, "/a/b%2fc/%ff%0a/é/");
    }
}
