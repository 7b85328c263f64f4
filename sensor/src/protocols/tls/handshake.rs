//! The grammar of handshake messages that TLS and DTLS share (RFC 5246 §7.4, RFC 8446 §4, RFC 6347 §4.2, RFC 9147 §5).

use crate::reader::Reader;

/// ClientHello.
pub const CLIENT_HELLO: u8 = 1;
/// ServerHello.
pub const SERVER_HELLO: u8 = 2;
/// HelloVerifyRequest (RFC 6347 §4.2.1).
pub const HELLO_VERIFY_REQUEST: u8 = 3;
/// Certificate.
pub const CERTIFICATE: u8 = 11;
/// ServerKeyExchange.
pub const SERVER_KEY_EXCHANGE: u8 = 12;
/// ClientKeyExchange.
pub const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Whether a number is a message type of versions 1.2 and 1.3 or an earlier one (IANA registry "TLS HandshakeType").
pub fn is_kind(number: u8) -> bool {
    matches!(number, 0..=6 | 8 | 11..=16 | 20..=25)
}

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The name of a version of TLS or DTLS on the wire.
pub fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        0x0100 => "DTLS 1.0 (OpenSSL, before RFC 4347)",
        0xfeff => "DTLS 1.0",
        0xfefd => "DTLS 1.2",
        0xfefc => "DTLS 1.3",
        _ => return None,
    })
}

/// The registered name of an extension (IANA registry "TLS ExtensionType Values").
pub fn extension_name(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "server_name",
        1 => "max_fragment_length",
        3 => "trusted_ca_keys",
        4 => "truncated_hmac",
        5 => "status_request",
        9 => "cert_type",
        10 => "supported_groups",
        11 => "ec_point_formats",
        12 => "srp",
        13 => "signature_algorithms",
        14 => "use_srtp",
        15 => "heartbeat",
        16 => "application_layer_protocol_negotiation",
        17 => "status_request_v2",
        18 => "signed_certificate_timestamp",
        19 => "client_certificate_type",
        20 => "server_certificate_type",
        21 => "padding",
        22 => "encrypt_then_mac",
        23 => "extended_master_secret",
        24 => "token_binding",
        25 => "cached_info",
        27 => "compress_certificate",
        28 => "record_size_limit",
        34 => "delegated_credential",
        35 => "session_ticket",
        41 => "pre_shared_key",
        42 => "early_data",
        43 => "supported_versions",
        44 => "cookie",
        45 => "psk_key_exchange_modes",
        47 => "certificate_authorities",
        48 => "oid_filters",
        49 => "post_handshake_auth",
        50 => "signature_algorithms_cert",
        51 => "key_share",
        53 => "connection_id (deprecated)",
        54 => "connection_id",
        57 => "quic_transport_parameters",
        13_172 => "next_protocol_negotiation",
        17_513 => "application_settings",
        65_037 => "encrypted_client_hello",
        65_281 => "renegotiation_info",
        _ => return None,
    })
}

/// The registered name of an alert (IANA registry "TLS Alerts").
pub fn alert_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return None,
    })
}

/// What both hellos have.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// Version in the fixed field.
    pub legacy_version: u16,
    /// Random: 32 bytes.
    pub random: &'a [u8],
    /// Length of the session identifier, bytes.
    pub session_id_length: u8,
    /// DTLS cookie; empty elsewhere.
    pub cookie: &'a [u8],
    /// Cipher suites: those offered, or the chosen one; 2 bytes each.
    cipher_suites: &'a [u8],
    /// Extensions, from the first.
    extensions: &'a [u8],
    /// Whether the extensions could be framed.
    pub complete: bool,
}

impl<'a> Hello<'a> {
    /// Reads a ClientHello (RFC 5246 §7.4.1.2, with the cookie of RFC 6347 §4.2.1).
    pub fn client(body: &'a [u8], datagram: bool) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (legacy_version, random, session_id_length) = Self::start(&mut reader)?;
        let cookie = if datagram { vector8(&mut reader)? } else { &[] };
        let cipher_suites = vector16(&mut reader)?;
        vector8(&mut reader)?;
        let (extensions, complete) = Self::extensions(&mut reader);
        Some(Self { legacy_version, random, session_id_length, cookie, cipher_suites, extensions, complete })
    }

    /// Reads a ServerHello (RFC 5246 §7.4.1.3).
    pub fn server(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (legacy_version, random, session_id_length) = Self::start(&mut reader)?;
        let cipher_suites = reader.take(2)?;
        reader.skip(1)?;
        let (extensions, complete) = Self::extensions(&mut reader);
        Some(Self { legacy_version, random, session_id_length, cookie: &[], cipher_suites, extensions, complete })
    }

    fn start(reader: &mut Reader<'a>) -> Option<(u16, &'a [u8], u8)> {
        let legacy_version = reader.u16()?;
        let random = reader.take(32)?;
        let session_id = vector8(reader)?;
        Some((legacy_version, random, session_id.len() as u8))
    }

    fn extensions(reader: &mut Reader<'a>) -> (&'a [u8], bool) {
        if reader.is_empty() {
            return (&[], true);
        }
        match vector16(reader) {
            Some(extensions) => (extensions, reader.is_empty()),
            None => (&[], false),
        }
    }

    /// Cipher suites in the order of preference.
    pub fn cipher_suites(&self) -> impl Iterator<Item = u16> + use<'a> {
        let mut reader = Reader::new(self.cipher_suites);
        std::iter::from_fn(move || reader.u16())
    }

    /// Extensions: number and content.
    pub fn each_extension(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.extensions);
        std::iter::from_fn(move || {
            let number = reader.u16()?;
            Some((number, vector16(&mut reader)?))
        })
    }

    /// The content of the first extension of this number.
    pub fn extension(&self, number: u16) -> Option<&'a [u8]> {
        self.each_extension().find(|(found, _)| *found == number).map(|(_, content)| content)
    }

    /// Host name of a ClientHello's server_name (RFC 6066 §3).
    pub fn server_name(&self) -> Option<&'a str> {
        let mut reader = Reader::new(self.extension(0)?);
        let mut list = Reader::new(vector16(&mut reader)?);
        loop {
            let kind = list.u8()?;
            let name = vector16(&mut list)?;
            if kind == 0 {
                return std::str::from_utf8(name).ok().filter(|name| !name.chars().any(char::is_control));
            }
        }
    }

    /// Protocol names of application_layer_protocol_negotiation (RFC 7301 §3.1).
    pub fn alpn(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.extension(16).and_then(|content| vector16(&mut Reader::new(content))).unwrap_or_default();
        let mut reader = Reader::new(list);
        std::iter::from_fn(move || vector8(&mut reader)).filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// Versions that a ClientHello offers (RFC 8446 §4.2.1): the extension's, or the fixed field's.
    pub fn offered_versions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let list = self.extension(43).and_then(|content| vector8(&mut Reader::new(content)));
        let mut reader = Reader::new(list.unwrap_or_default());
        let legacy = list.is_none().then_some(self.legacy_version);
        legacy.into_iter().chain(std::iter::from_fn(move || reader.u16()))
    }

    /// The version that a ServerHello chooses.
    pub fn chosen_version(&self) -> u16 {
        self.extension(43).and_then(|content| Reader::new(content).u16()).unwrap_or(self.legacy_version)
    }

    /// The connection identifier that the sender wants to be addressed by (RFC 9146 §3).
    pub fn connection_id(&self) -> Option<&'a [u8]> {
        vector8(&mut Reader::new(self.extension(54)?))
    }

    /// Identities in a ClientHello's pre_shared_key (RFC 8446 §4.2.11).
    pub fn psk_identities(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.extension(41).and_then(|content| vector16(&mut Reader::new(content))).unwrap_or_default();
        let mut reader = Reader::new(list);
        std::iter::from_fn(move || {
            let identity = vector16(&mut reader)?;
            reader.skip(4)?;
            Some(identity)
        })
    }

    /// Whether a ServerHello is a HelloRetryRequest.
    pub fn is_retry(&self) -> bool {
        self.random == HELLO_RETRY_REQUEST
    }

    /// The certificate type that a ServerHello chooses for the server (20) or the client (19); 2 is a raw public key (RFC 7250 §3).
    pub fn certificate_type(&self, extension: u16) -> u8 {
        self.extension(extension).and_then(|content| Reader::new(content).u8()).unwrap_or_default()
    }
}

/// The certificates of a Certificate message up to version 1.2, leaf first (RFC 5246 §7.4.2).
pub fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut outer = Reader::new(body);
    let list = outer.u24().map(|length| outer.take_up_to(length as usize)).unwrap_or_default();
    let mut reader = Reader::new(list);
    std::iter::from_fn(move || {
        let length = reader.u24()?;
        reader.take(length as usize)
    })
}

/// The raw public key of a Certificate message (RFC 7250 §3).
pub fn raw_public_key(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    let length = reader.u24()?;
    reader.take(length as usize)
}

/// The hint at the start of a ServerKeyExchange, or the identity at the start of a ClientKeyExchange, with a pre-shared key (RFC 4279 §2). Tells also
/// whether anything follows.
pub fn psk_name(body: &[u8]) -> Option<(&[u8], bool)> {
    let mut reader = Reader::new(body);
    let name = vector16(&mut reader)?;
    Some((name, !reader.is_empty()))
}

/// The cookie of a HelloVerifyRequest (RFC 6347 §4.2.1).
pub fn verify_cookie(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    reader.skip(2)?;
    vector8(&mut reader)
}

fn vector8<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.u8()?;
    reader.take(usize::from(length))
}

fn vector16<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.u16()?;
    reader.take(usize::from(length))
}
