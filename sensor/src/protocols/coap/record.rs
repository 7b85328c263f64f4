//! Records of CoAP.

use super::code::CodeText;
use super::option::{self, BlockValue};
use crate::observation::Hex;
use crate::{part, record};

part! {
    /// An argument of Uri-Query or Location-Query.
    pub struct Query<'a> {
        /// What stands before the equals sign, or the whole argument where it is a known flag; empty where it cannot be shown.
        pub name: &'a str,
        /// What stands after it; shown only for arguments that are known to be harmless.
        pub value: Option<&'a str>,
        /// Length of a value that is not shown, bytes.
        pub length: Option<u32>,
    }
}

part! {
    /// A block option (RFC 7959 §2.2, RFC 9177 §4.1).
    pub struct Block {
        /// `Block1`, `Block2`, `Q-Block1` or `Q-Block2`.
        pub option: &'static str,
        /// Number of the block, in blocks of this size.
        pub num: u32,
        /// Whether more blocks follow.
        pub more: bool,
        /// Size of a block, bytes: 16 to 1,024.
        pub size: u32,
    }
}

impl Block {
    /// From an option number and its value.
    pub fn new(number: u16, value: BlockValue) -> Self {
        let option = option::option_spec(number).map_or("", |spec| spec.name);
        Self { option, num: value.num, more: value.more, size: value.size() }
    }
}

part! {
    /// A resource that a server describes (RFC 6690 §2).
    pub struct Resource<'a> {
        /// Target of the link: a path, or a whole URI without its query.
        pub path: &'a str,
        /// `rt`: resource types, separated by spaces.
        pub rt: Option<&'a str>,
        /// `if`: interface descriptions.
        pub interface: Option<&'a str>,
        /// `ct`: content formats, separated by spaces.
        pub ct: Option<&'a str>,
        /// `sz`: estimated size, bytes, as it was written.
        pub sz: Option<&'a str>,
        /// `obs`: whether it can be observed (RFC 7641 §6).
        pub obs: Option<bool>,
        /// `title`: for people.
        pub title: Option<&'a str>,
        /// `ep`: endpoint that has the resource, in answers of a resource directory (RFC 9176 §6).
        pub ep: Option<&'a str>,
    }
}

record! {
    /// A request (RFC 7252 §5.1).
    pub struct Request<'a> = "coap.request" {
        /// `CON` or `NON` (RFC 7252 §4); absent over TCP and WebSocket. Other types are anomalies.
        pub message_type: Option<&'static str>,
        /// Code as class and detail: `0.01`.
        pub code: CodeText,
        /// The method's name; absent for unregistered codes (RFC 7252 §12.1.1, RFC 8132).
        pub method: Option<&'static str>,
        /// Message ID (RFC 7252 §4.4); absent over TCP and WebSocket.
        pub message_id: Option<u16>,
        /// Token (RFC 7252 §5.3.1).
        pub token: Hex<'a>,
        /// True where the destination is a multicast address (RFC 7252 §8). Responses come from other addresses, in flows of their own, and are not paired.
        pub multicast: Option<bool>,
        /// True where the same bytes were sent before (RFC 7252 §4.5).
        pub retransmission: Option<bool>,
        /// Frame of the first sending of a retransmission.
        pub first_frame: Option<u64>,
        /// Uri-Host (RFC 7252 §5.10.1).
        pub uri_host: Option<&'a str>,
        /// Uri-Port (RFC 7252 §5.10.1).
        pub uri_port: Option<u16>,
        /// Uri-Path segments joined to `/a/b`; `/` where there is none. A star stands for a token in the path.
        pub uri_path: &'a str,
        /// Uri-Query arguments.
        pub uri_query: &'a [Query<'a>],
        /// Content-Format of the payload, by number (RFC 7252 §12.3).
        pub content_format: Option<u16>,
        /// Its media type.
        pub content_format_name: Option<&'static str>,
        /// Accept: content format that is wanted (RFC 7252 §5.10.4).
        pub accept: Option<u16>,
        /// Observe: 0 registers, 1 deregisters (RFC 7641 §2).
        pub observe: Option<u32>,
        /// Block options.
        pub blocks: &'a [Block],
        /// First ETag (RFC 7252 §5.10.6).
        pub etag: Option<Hex<'a>>,
        /// Number of If-Match options (RFC 7252 §5.10.8.1).
        pub if_match: Option<u8>,
        /// True where If-None-Match is there (RFC 7252 §5.10.8.2).
        pub if_none_match: Option<bool>,
        /// Size1: size of the request's body, bytes (RFC 7959 §4).
        pub size1: Option<u32>,
        /// Size2: 0 asks for the size of the response's body (RFC 7959 §4).
        pub size2: Option<u32>,
        /// Proxy-Uri without user information and query (RFC 7252 §5.10.2).
        pub proxy_uri: Option<&'a str>,
        /// Proxy-Scheme (RFC 7252 §5.10.2).
        pub proxy_scheme: Option<&'a str>,
        /// Hop-Limit (RFC 8768 §3).
        pub hop_limit: Option<u8>,
        /// Echo: the server's freshness value, given back (RFC 9175 §2.2).
        pub echo: Option<Hex<'a>>,
        /// Request-Tag (RFC 9175 §3.2).
        pub request_tag: Option<Hex<'a>>,
        /// No-Response: bits of the response classes that are not wanted: 2, 8 and 16 for 2.xx, 4.xx and 5.xx (RFC 7967 §2.1).
        pub no_response: Option<u8>,
        /// True where the request also carries EDHOC message 3 (RFC 9668 §3.1).
        pub edhoc: Option<bool>,
        /// True where the message is protected by OSCORE: what is seen are the outer code and options (RFC 8613 §4).
        pub oscore: Option<bool>,
        /// Sender ID in the OSCORE option (RFC 8613 §6.1).
        pub oscore_kid: Option<Hex<'a>>,
        /// ID context in the OSCORE option (RFC 8613 §6.1).
        pub oscore_kid_context: Option<Hex<'a>>,
        /// Partial IV in the OSCORE option (RFC 8613 §6.1).
        pub oscore_partial_iv: Option<Hex<'a>>,
        /// Ciphertext of a message protected by OSCORE, with its tag (RFC 8613 §5): what a known key can be tried on. Only where it is whole.
        pub oscore_ciphertext: Option<Hex<'a>>,
        /// Numbers of options that are not in the table.
        pub unknown_options: &'a [u32],
        /// Length of the payload, bytes.
        pub payload_length: u32,
    }
}

record! {
    /// A response (RFC 7252 §5.2): piggybacked on an acknowledgement, separate, or a notification (RFC 7641 §4.2).
    pub struct Response<'a> = "coap.response" {
        /// `ACK` (piggybacked), `CON` or `NON`; absent over TCP and WebSocket.
        pub message_type: Option<&'static str>,
        /// Code as class and detail: `2.05`.
        pub code: CodeText,
        /// The code's name; absent for unregistered codes (RFC 7252 §12.1.2).
        pub code_name: Option<&'static str>,
        /// Message ID (RFC 7252 §4.4); absent over TCP and WebSocket.
        pub message_id: Option<u16>,
        /// Token (RFC 7252 §5.3.1).
        pub token: Hex<'a>,
        /// True where the same bytes were sent before (RFC 7252 §4.5).
        pub retransmission: Option<bool>,
        /// Frame of the first sending of a retransmission.
        pub first_frame: Option<u64>,
        /// Frame of the request that is answered, or of the registration of an observation; absent where it was not seen in this flow.
        pub request_frame: Option<u64>,
        /// The request's method.
        pub request_method: Option<&'static str>,
        /// The request's path.
        pub uri_path: Option<&'a str>,
        /// The request's Accept.
        pub request_accept: Option<u16>,
        /// The request's Observe.
        pub request_observe: Option<u32>,
        /// Time from the first sending of the request to this response, microseconds; absent for later notifications.
        pub latency_us: Option<u64>,
        /// True for a response that tells a change of an observed resource.
        pub notification: Option<bool>,
        /// Location-Path segments joined to `/a/b`: where a resource was made (RFC 7252 §5.10.7).
        pub location_path: Option<&'a str>,
        /// Content-Format of the payload, by number (RFC 7252 §12.3).
        pub content_format: Option<u16>,
        /// Its media type.
        pub content_format_name: Option<&'static str>,
        /// Observe: sequence number of a notification, 24 bits (RFC 7641 §3.4).
        pub observe: Option<u32>,
        /// Max-Age, seconds; 60 where it is absent (RFC 7252 §5.10.5).
        pub max_age: Option<u32>,
        /// Block options.
        pub blocks: &'a [Block],
        /// ETag (RFC 7252 §5.10.6).
        pub etag: Option<Hex<'a>>,
        /// Size1: largest request body that the server takes, bytes (RFC 7959 §4).
        pub size1: Option<u32>,
        /// Size2: size of the response's body, bytes (RFC 7959 §4).
        pub size2: Option<u32>,
        /// Echo: a freshness value that the client has to give back (RFC 9175 §2.2).
        pub echo: Option<Hex<'a>>,
        /// True where the message is protected by OSCORE (RFC 8613 §4).
        pub oscore: Option<bool>,
        /// Sender ID in the OSCORE option (RFC 8613 §6.1).
        pub oscore_kid: Option<Hex<'a>>,
        /// Partial IV in the OSCORE option; where absent, the request's serves (RFC 8613 §5.2).
        pub oscore_partial_iv: Option<Hex<'a>>,
        /// Sender ID of the request, which the response's tag covers (RFC 8613 §5.4).
        pub oscore_request_kid: Option<Hex<'a>>,
        /// Partial IV of the request, which the response's tag covers (RFC 8613 §5.4).
        pub oscore_request_partial_iv: Option<Hex<'a>>,
        /// Ciphertext of a message protected by OSCORE, with its tag (RFC 8613 §5). Only where it is whole.
        pub oscore_ciphertext: Option<Hex<'a>>,
        /// Numbers of options that are not in the table.
        pub unknown_options: &'a [u32],
        /// Length of the payload, bytes.
        pub payload_length: u32,
    }
}

record! {
    /// An Empty message (RFC 7252 §4.1): an acknowledgement, a reset, or a confirmable message that asks for a reset ("CoAP ping", §4.3).
    pub struct Empty = "coap.empty" {
        /// `ACK`, `RST`, `CON` or `NON`.
        pub message_type: &'static str,
        /// Message ID: the acknowledged or refused message's, or its own.
        pub message_id: u16,
        /// True where the same bytes were sent before (RFC 7252 §4.5).
        pub retransmission: Option<bool>,
        /// Frame of the message that is acknowledged or refused; absent where it was not seen.
        pub answered_frame: Option<u64>,
        /// True where a reset ends an observation (RFC 7641 §3.6).
        pub ends_observation: Option<bool>,
    }
}

record! {
    /// A signalling message of a reliable transport (RFC 8323 §5).
    pub struct Signal<'a> = "coap.signal" {
        /// Code as class and detail: `7.01`.
        pub code: CodeText,
        /// `CSM`, `Ping`, `Pong`, `Release` or `Abort`; absent for unregistered codes.
        pub code_name: Option<&'static str>,
        /// Token, which ties Pong to Ping.
        pub token: Hex<'a>,
        /// Max-Message-Size of a CSM, bytes; 1,152 where it is absent (RFC 8323 §5.3.1).
        pub max_message_size: Option<u32>,
        /// True where a CSM announces Block-Wise-Transfer (RFC 8323 §5.3.2).
        pub block_wise_transfer: Option<bool>,
        /// Extended-Token-Length of a CSM, bytes (RFC 8974 §2.2.1).
        pub extended_token_length: Option<u32>,
        /// True where Ping or Pong has Custody (RFC 8323 §5.4).
        pub custody: Option<bool>,
        /// Alternative-Address of a Release (RFC 8323 §5.5).
        pub alternative_address: Option<&'a str>,
        /// Hold-Off of a Release, seconds (RFC 8323 §5.5).
        pub hold_off: Option<u32>,
        /// Bad-CSM-Option of an Abort: number of the option (RFC 8323 §5.6).
        pub bad_csm_option: Option<u32>,
        /// Diagnostic text of a Release or Abort (RFC 8323 §5.5, §5.6).
        pub diagnostic: Option<&'a str>,
        /// Numbers of other options.
        pub unknown_options: &'a [u32],
    }
}

record! {
    /// A body that came in blocks (RFC 7959 §2), told when its last block came, or when it was given up.
    pub struct Body<'a> = "coap.body" {
        /// `request` or `response`: which of them carried it.
        pub carried_by: &'static str,
        /// The request's path; absent where the request was not seen.
        pub uri_path: Option<&'a str>,
        /// Content-Format, by number.
        pub content_format: Option<u16>,
        /// True where every byte from the first to the last block was seen.
        pub complete: bool,
        /// Bytes from the start of the body to the end of the furthest block seen.
        pub size: u64,
        /// Bytes that were seen.
        pub received: u64,
        /// Size that Size1 or Size2 declared, bytes.
        pub declared_size: Option<u32>,
        /// Blocks seen, those sent again left out.
        pub blocks: u32,
        /// Frame of the first block seen.
        pub first_frame: u64,
        /// SHA-256 of a complete body of at least 1,024 bytes: shorter ones could be guessed from it.
        pub sha256: Option<Hex<'a>>,
    }
}

record! {
    /// The resources that a server describes at `/.well-known/core` (RFC 6690 §4).
    pub struct Resources<'a> = "coap.resources" {
        /// The links, the first 128 of them.
        pub links: &'a [Resource<'a>],
        /// Number of links in the document.
        pub total: u32,
    }
}
