//! Codes, message types and content formats by number (IANA registry "Constrained RESTful Environments (CoRE) Parameters").

use crate::observation::{FieldType, FieldValue, Value};
use serde::{Serialize, Serializer};

/// The code of a message: class in the upper three bits, detail in the lower five (RFC 7252 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

/// What a code's class makes of a message (RFC 7252 §12.1, RFC 8323 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 0.00.
    Empty,
    /// 0.01 to 0.31: a method.
    Request,
    /// 2.xx, 4.xx and 5.xx.
    Response,
    /// 7.xx: signalling over reliable transports.
    Signal,
    /// 1.xx, 3.xx and 6.xx: reserved.
    Reserved,
}

impl Code {
    /// GET (RFC 7252 §5.8.1).
    pub const GET: Code = Code(0x01);
    /// POST (RFC 7252 §5.8.2).
    pub const POST: Code = Code(0x02);
    /// PUT (RFC 7252 §5.8.3).
    pub const PUT: Code = Code(0x03);
    /// 2.31 Continue (RFC 7959 §2.9.1).
    pub const CONTINUE: Code = Code(0x5f);
    /// 7.01 CSM (RFC 8323 §5.3).
    pub const CSM: Code = Code(0xe1);

    /// Upper three bits.
    pub fn class_number(self) -> u8 {
        self.0 >> 5
    }

    /// Lower five bits.
    pub fn detail(self) -> u8 {
        self.0 & 31
    }

    /// What the class makes of the message.
    pub fn class(self) -> Class {
        match (self.class_number(), self.detail()) {
            (0, 0) => Class::Empty,
            (0, _) => Class::Request,
            (2 | 4 | 5, _) => Class::Response,
            (7, _) => Class::Signal,
            _ => Class::Reserved,
        }
    }

    /// Whether it tells a success.
    pub fn is_success(self) -> bool {
        self.class_number() == 2
    }

    /// The registered name.
    pub fn name(self) -> Option<&'static str> {
        Some(match (self.class_number(), self.detail()) {
            (0, 0) => "Empty",
            (0, 1) => "GET",
            (0, 2) => "POST",
            (0, 3) => "PUT",
            (0, 4) => "DELETE",
            (0, 5) => "FETCH",
            (0, 6) => "PATCH",
            (0, 7) => "iPATCH",
            (2, 1) => "Created",
            (2, 2) => "Deleted",
            (2, 3) => "Valid",
            (2, 4) => "Changed",
            (2, 5) => "Content",
            (2, 31) => "Continue",
            (4, 0) => "Bad Request",
            (4, 1) => "Unauthorized",
            (4, 2) => "Bad Option",
            (4, 3) => "Forbidden",
            (4, 4) => "Not Found",
            (4, 5) => "Method Not Allowed",
            (4, 6) => "Not Acceptable",
            (4, 8) => "Request Entity Incomplete",
            (4, 9) => "Conflict",
            (4, 12) => "Precondition Failed",
            (4, 13) => "Request Entity Too Large",
            (4, 15) => "Unsupported Content-Format",
            (4, 22) => "Unprocessable Entity",
            (4, 29) => "Too Many Requests",
            (5, 0) => "Internal Server Error",
            (5, 1) => "Not Implemented",
            (5, 2) => "Bad Gateway",
            (5, 3) => "Service Unavailable",
            (5, 4) => "Gateway Timeout",
            (5, 5) => "Proxying Not Supported",
            (5, 8) => "Hop Limit Reached",
            (7, 1) => "CSM",
            (7, 2) => "Ping",
            (7, 3) => "Pong",
            (7, 4) => "Release",
            (7, 5) => "Abort",
            _ => return None,
        })
    }

    /// `2.05`.
    pub fn dotted(self) -> CodeText {
        let (tens, ones) = (self.detail() / 10, self.detail() % 10);
        CodeText([b'0' + self.class_number(), b'.', b'0' + tens, b'0' + ones])
    }
}

/// A code as people write it: `0.01`, `2.05`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeText([u8; 4]);

impl CodeText {
    /// The four characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for CodeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FieldValue for CodeText {
    const TYPE: FieldType = FieldType::Text;
    fn value(&self) -> Value<'_> {
        Value::Text(self.as_str())
    }
}

/// How a message wants to be, or is, acknowledged (RFC 7252 §4.2, §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// CON: is sent again until acknowledged.
    Confirmable,
    /// NON: is not acknowledged.
    NonConfirmable,
    /// ACK.
    Acknowledgement,
    /// RST: the message lacked its context.
    Reset,
}

impl MessageType {
    /// From the two bits of the header.
    pub fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => MessageType::Confirmable,
            1 => MessageType::NonConfirmable,
            2 => MessageType::Acknowledgement,
            _ => MessageType::Reset,
        }
    }

    /// `CON`, `NON`, `ACK` or `RST`.
    pub fn name(self) -> &'static str {
        match self {
            MessageType::Confirmable => "CON",
            MessageType::NonConfirmable => "NON",
            MessageType::Acknowledgement => "ACK",
            MessageType::Reset => "RST",
        }
    }

    /// Whether its message ID is the sender's own (the others echo the peer's).
    pub fn is_original(self) -> bool {
        matches!(self, MessageType::Confirmable | MessageType::NonConfirmable)
    }
}

/// The media type of a registered content format, shortened where the registry's name has parameters.
pub fn content_format_name(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "text/plain",
        16 => "application/cose; cose-type=cose-encrypt0",
        17 => "application/cose; cose-type=cose-mac0",
        18 => "application/cose; cose-type=cose-sign1",
        19 => "application/ace+cbor",
        40 => "application/link-format",
        41 => "application/xml",
        42 => "application/octet-stream",
        47 => "application/exi",
        50 => "application/json",
        51 => "application/json-patch+json",
        52 => "application/merge-patch+json",
        60 => "application/cbor",
        61 => "application/cwt",
        62 => "application/multipart-core",
        63 => "application/cbor-seq",
        64 => "application/edhoc+cbor-seq",
        65 => "application/cid-edhoc+cbor-seq",
        96 => "application/cose; cose-type=cose-encrypt",
        97 => "application/cose; cose-type=cose-mac",
        98 => "application/cose; cose-type=cose-sign",
        101 => "application/cose-key",
        102 => "application/cose-key-set",
        110 => "application/senml+json",
        111 => "application/sensml+json",
        112 => "application/senml+cbor",
        113 => "application/sensml+cbor",
        114 => "application/senml-exi",
        115 => "application/sensml-exi",
        140 => "application/yang-data+cbor; id=sid",
        256 => "application/coap-group+json",
        257 => "application/concise-problem-details+cbor",
        260 => "application/swid+cbor",
        271 => "application/dots+cbor",
        272 => "application/missing-blocks+cbor-seq",
        280..=287 => "application/pkcs7-mime",
        310 => "application/senml+xml",
        311 => "application/sensml+xml",
        320 => "application/senml-etch+json",
        322 => "application/senml-etch+cbor",
        340 => "application/yang-data+cbor",
        341 => "application/yang-data+cbor; id=name",
        432 => "application/td+json",
        836 => "application/voucher+cose",
        1542 => "application/vnd.oma.lwm2m+tlv (before registration)",
        1543 => "application/vnd.oma.lwm2m+json (before registration)",
        10000 => "application/vnd.ocf+cbor",
        10001 => "application/oscore",
        11542 => "application/vnd.oma.lwm2m+tlv",
        11543 => "application/vnd.oma.lwm2m+json",
        11544 => "application/vnd.oma.lwm2m+cbor",
        20000 => "text/css",
        30000 => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_as_people_write_them() {
        assert_eq!(Code(0x45).dotted().as_str(), "2.05");
        assert_eq!(Code(0x01).dotted().as_str(), "0.01");
        assert_eq!(Code(0x9d).dotted().as_str(), "4.29");
        assert_eq!((Code(0xff).dotted().as_str(), Code(0xff).name()), ("7.31", None));
    }

    #[test]
    fn classes() {
        let classes = [
            (0x00, Class::Empty),
            (0x07, Class::Request),
            (0x5f, Class::Response),
            (0x20, Class::Reserved),
            (0xe1, Class::Signal),
        ];
        for (code, class) in classes {
            assert_eq!(Code(code).class(), class, "{code:#x}");
        }
    }
}
