//! Messages of the LoRaWAN Backend Interfaces 1.0 and 1.1 (TS002) between network servers, application servers and the Join Server: JSON bytes to
//! requests, answers to JSON bytes.
//!
//! Read: JoinReq, RejoinReq, HomeNSReq, AppSKeyReq (TS002-1.1.0 §23.2). All other messages are between network servers. Hexadecimal text may be of either
//! case and begin with `0x` (§23.1); identifiers go back as they came. VSExtension is passed over. A value that cannot be read is answered by its
//! result code (§23.5); text whose header cannot be read has no answer but HTTP 400.

use super::accept::{CF_LIST, Settings};
use super::keys::{Key, WRAPPED, wrap};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Longest body read: a JoinReq with all its fields is under 700 bytes; tokens and vendor extensions have room.
pub const BODY_MAX: usize = 16 * 1024;

/// Longest identifier or token that goes back: an AS-ID is a name.
const ECHO_MAX: usize = 256;

/// Result codes of answers (TS002-1.0.0 and 1.1.0 §23.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultCode {
    /// The request was granted.
    Success,
    /// The code of the frame fits no key that is accepted.
    MicFailed,
    /// The frame was seen before (1.1 alone; 1.0 says JoinReqFailed).
    FrameReplayed,
    /// The join cannot be granted.
    JoinReqFailed,
    /// The device may not join now.
    ActivationDisallowed,
    /// No such device here.
    UnknownDevEui,
    /// The sender is not one of ours.
    UnknownSender,
    /// The JoinEUI is not one of ours; on the wire `UnkownReceiver`, as the documents spell it.
    UnknownReceiver,
    /// Neither 1.0 nor 1.1.
    InvalidProtocolVersion,
    /// A field is missing or cannot be read (1.1: MalformedMessage).
    Malformed,
    /// The frame has another length than its type.
    FrameSizeError,
    /// We could not do it: our fault, not the device's.
    Other,
}

impl ResultCode {
    /// As it stands on the wire of this version.
    pub fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (ResultCode::Success, _) => "Success",
            (ResultCode::MicFailed, _) => "MICFailed",
            (ResultCode::FrameReplayed, Version::V1_1) => "FrameReplayed",
            (ResultCode::FrameReplayed, Version::V1_0) | (ResultCode::JoinReqFailed, _) => "JoinReqFailed",
            (ResultCode::ActivationDisallowed, _) => "ActivationDisallowed",
            (ResultCode::UnknownDevEui, _) => "UnknownDevEUI",
            (ResultCode::UnknownSender, _) => "UnknownSender",
            (ResultCode::UnknownReceiver, _) => "UnkownReceiver",
            (ResultCode::InvalidProtocolVersion, _) => "InvalidProtocolVersion",
            (ResultCode::Malformed, Version::V1_0) => "MalformedRequest",
            (ResultCode::Malformed, Version::V1_1) => "MalformedMessage",
            (ResultCode::FrameSizeError, _) => "FrameSizeError",
            (ResultCode::Other, _) => "Other",
        }
    }
}

/// Why a request is not granted: a code for the peer and words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the peer is told.
    pub code: ResultCode,
    /// Why, in words that may be shown to the peer.
    pub why: Cow<'static, str>,
}

impl Refused {
    /// A refusal.
    pub fn new(code: ResultCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, why: why.into() }
    }
}

/// ProtocolVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0.
    V1_0,
    /// 1.1.
    V1_1,
}

/// LoRaWAN versions as MACVersion tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MacVersion {
    /// 1.0 to 1.0.3: DevNonce is random.
    Before1_0_4,
    /// 1.0.4: DevNonce counts.
    V1_0_4,
    /// 1.1: DevNonce counts; two root keys.
    V1_1,
}

impl MacVersion {
    /// From `1.0`, `1.0.2`, `1.0.4`, `1.1`, `1.1.0`, or ChirpStack's `Latest`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1.0" | "1.0.0" | "1.0.1" | "1.0.2" | "1.0.3" => Some(MacVersion::Before1_0_4),
            "1.0.4" => Some(MacVersion::V1_0_4),
            "1.1" | "1.1.0" | "1.1.1" | "Latest" => Some(MacVersion::V1_1),
            _ => None,
        }
    }
}

/// The head of a request, kept for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// ProtocolVersion; 1.0 where it cannot be read, so that something can be answered.
    pub version: Version,
    /// SenderID as it came.
    pub sender_id: String,
    /// ReceiverID as it came.
    pub receiver_id: String,
    sender_ns_id: Option<String>,
    sender_token: Option<String>,
    transaction_id: u32,
    answer_type: &'static str,
}

/// A request that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// JoinReq.
    Join(JoinReq),
    /// RejoinReq.
    Rejoin(JoinReq),
    /// HomeNSReq of this DevEUI.
    HomeNs(u64),
    /// AppSKeyReq.
    AppSKey {
        /// DevEUI.
        dev_eui: u64,
        /// SessionKeyID.
        session_key_id: Vec<u8>,
    },
}

/// JoinReq or RejoinReq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReq {
    /// NetID: SenderID read as hexadecimal.
    pub net_id: u32,
    /// JoinEUI: ReceiverID read as hexadecimal.
    pub join_eui: u64,
    /// DevEUI.
    pub dev_eui: u64,
    /// MACVersion.
    pub mac_version: MacVersion,
    /// PHYPayload.
    pub phy_payload: Vec<u8>,
    /// What the join-accept shall say.
    pub settings: Settings,
}

/// The fields of all requests, as JSON has them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow, rename = "SenderID")]
    sender_id: Cow<'a, str>,
    #[serde(borrow, rename = "ReceiverID")]
    receiver_id: Cow<'a, str>,
    #[serde(borrow, rename = "SenderNSID", default)]
    sender_ns_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sender_token: Option<Cow<'a, str>>,
    #[serde(rename = "TransactionID")]
    transaction_id: u32,
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow, rename = "MACVersion", default)]
    mac_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "PHYPayload", default)]
    phy_payload: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "DevEUI", default)]
    dev_eui: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    dev_addr: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "DLSettings", default)]
    dl_settings: Option<Cow<'a, str>>,
    #[serde(default)]
    rx_delay: Option<u32>,
    #[serde(borrow, rename = "CFList", default)]
    cf_list: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "SessionKeyID", default)]
    session_key_id: Option<Cow<'a, str>>,
}

/// Reads a body. `None`: there is no header to answer to. Else the header, and the request or why it is none.
pub fn parse(body: &[u8]) -> Option<(Header, Result<Request, Refused>)> {
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let answer_type = match wire.message_type.as_ref() {
        "JoinReq" => "JoinAns",
        "RejoinReq" => "RejoinAns",
        "HomeNSReq" => "HomeNSAns",
        "AppSKeyReq" => "AppSKeyAns",
        _ => "ErrorNotif",
    };
    let version = match wire.protocol_version.as_ref() {
        "1.0" => Some(Version::V1_0),
        "1.1" => Some(Version::V1_1),
        _ => None,
    };
    let echoed = [Some(&wire.sender_id), Some(&wire.receiver_id), wire.sender_ns_id.as_ref(), wire.sender_token.as_ref()];
    if echoed.iter().flatten().any(|text| text.len() > ECHO_MAX) {
        return None;
    }
    let header = Header {
        version: version.unwrap_or(Version::V1_0),
        sender_id: wire.sender_id.clone().into_owned(),
        receiver_id: wire.receiver_id.clone().into_owned(),
        sender_ns_id: wire.sender_ns_id.clone().map(Cow::into_owned),
        sender_token: wire.sender_token.clone().map(Cow::into_owned),
        transaction_id: wire.transaction_id,
        answer_type,
    };
    let request = match version {
        Some(_) => request(&wire),
        None => Err(Refused::new(ResultCode::InvalidProtocolVersion, "ProtocolVersion is neither 1.0 nor 1.1")),
    };
    Some((header, request))
}

fn request(wire: &Wire<'_>) -> Result<Request, Refused> {
    match wire.message_type.as_ref() {
        "JoinReq" => join(wire).map(Request::Join),
        "RejoinReq" => join(wire).map(Request::Rejoin),
        "HomeNSReq" => Ok(Request::HomeNs(number::<8>(&wire.dev_eui, "DevEUI")?)),
        "AppSKeyReq" => Ok(Request::AppSKey {
            dev_eui: number::<8>(&wire.dev_eui, "DevEUI")?,
            session_key_id: wire.session_key_id.as_deref().and_then(hex).ok_or_else(|| unreadable("SessionKeyID"))?,
        }),
        _ => Err(Refused::new(ResultCode::Malformed, "a Join Server answers JoinReq, RejoinReq, HomeNSReq and AppSKeyReq")),
    }
}

fn join(wire: &Wire<'_>) -> Result<JoinReq, Refused> {
    let mac_version = wire.mac_version.as_deref().and_then(MacVersion::parse).ok_or_else(|| unreadable("MACVersion"))?;
    let dl_settings = number::<1>(&wire.dl_settings, "DLSettings")? as u8;
    let rx_delay = wire.rx_delay.and_then(|delay| u8::try_from(delay).ok()).filter(|delay| *delay < 16);
    let cf_list = match wire.cf_list.as_deref() {
        None | Some("") => None,
        Some(text) => {
            let bytes = hex(text).and_then(|bytes| <[u8; CF_LIST]>::try_from(bytes).ok());
            Some(bytes.ok_or_else(|| unreadable("CFList"))?)
        }
    };
    Ok(JoinReq {
        net_id: number::<3>(&Some(wire.sender_id.clone()), "SenderID")? as u32,
        join_eui: number::<8>(&Some(wire.receiver_id.clone()), "ReceiverID")?,
        dev_eui: number::<8>(&wire.dev_eui, "DevEUI")?,
        mac_version,
        phy_payload: wire.phy_payload.as_deref().and_then(hex).ok_or_else(|| unreadable("PHYPayload"))?,
        settings: Settings {
            dev_addr: number::<4>(&wire.dev_addr, "DevAddr")? as u32,
            dl_settings,
            rx_delay: rx_delay.ok_or_else(|| unreadable("RxDelay"))?,
            cf_list,
        },
    })
}

fn unreadable(field: &str) -> Refused {
    Refused::new(ResultCode::Malformed, format!("{field} is missing or cannot be read"))
}

/// A number of so many bytes, most significant first, as hexadecimal text.
fn number<const BYTES: usize>(text: &Option<Cow<'_, str>>, field: &str) -> Result<u64, Refused> {
    let digits = text.as_deref().map(unprefixed).filter(|digits| digits.len() == 2 * BYTES);
    let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| unreadable(field))
}

fn unprefixed(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// Bytes from hexadecimal text of either case, with or without `0x`.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = unprefixed(text).as_bytes();
    let pairs = digits.chunks_exact(2);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.clone().map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?));
    pairs.remainder().is_empty().then(|| bytes.collect())?
}

/// Lowercase hexadecimal text.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)));
    }
    text
}

/// A key as it goes to a peer: in clear, or wrapped under the peer's KEK.
#[derive(Clone, Serialize)]
pub struct KeyEnvelope {
    #[serde(rename = "KEKLabel")]
    kek_label: String,
    #[serde(rename = "AESKey")]
    aes_key: String,
}

/// Key encryption key of a peer, by the name under which both know it (TS002-1.1.0 §22).
#[derive(Clone)]
pub struct Kek {
    /// KEKLabel.
    pub label: String,
    /// The key.
    pub key: Key,
}

impl KeyEnvelope {
    /// Wraps the key, or shows it where the peer has no KEK.
    pub fn new(key: &Key, kek: Option<&Kek>) -> Self {
        match kek {
            Some(kek) => {
                let wrapped: [u8; WRAPPED] = wrap(&kek.key, key);
                Self { kek_label: kek.label.clone(), aes_key: to_hex(&wrapped) }
            }
            None => Self { kek_label: String::new(), aes_key: to_hex(key.bytes()) },
        }
    }
}

/// What an answer says beyond its head.
#[derive(Default, Serialize)]
pub struct Answer {
    /// PHYPayload of the join-accept.
    #[serde(rename = "PHYPayload", skip_serializing_if = "Option::is_none")]
    pub phy_payload: Option<String>,
    /// Seconds; 0 is for ever.
    #[serde(rename = "Lifetime", skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
    /// SNwkSIntKey, 1.1.
    #[serde(rename = "SNwkSIntKey", skip_serializing_if = "Option::is_none")]
    pub s_nwk_s_int_key: Option<KeyEnvelope>,
    /// FNwkSIntKey, 1.1.
    #[serde(rename = "FNwkSIntKey", skip_serializing_if = "Option::is_none")]
    pub f_nwk_s_int_key: Option<KeyEnvelope>,
    /// NwkSEncKey, 1.1.
    #[serde(rename = "NwkSEncKey", skip_serializing_if = "Option::is_none")]
    pub nwk_s_enc_key: Option<KeyEnvelope>,
    /// NwkSKey, 1.0.x.
    #[serde(rename = "NwkSKey", skip_serializing_if = "Option::is_none")]
    pub nwk_s_key: Option<KeyEnvelope>,
    /// AppSKey.
    #[serde(rename = "AppSKey", skip_serializing_if = "Option::is_none")]
    pub app_s_key: Option<KeyEnvelope>,
    /// SessionKeyID.
    #[serde(rename = "SessionKeyID", skip_serializing_if = "Option::is_none")]
    pub session_key_id: Option<String>,
    /// DevEUI, in AppSKeyAns.
    #[serde(rename = "DevEUI", skip_serializing_if = "Option::is_none")]
    pub dev_eui: Option<String>,
    /// HNetID, in HomeNSAns.
    #[serde(rename = "HNetID", skip_serializing_if = "Option::is_none")]
    pub h_net_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outgoing<'a> {
    protocol_version: &'static str,
    #[serde(rename = "SenderID")]
    sender_id: &'a str,
    #[serde(rename = "ReceiverID")]
    receiver_id: &'a str,
    #[serde(rename = "ReceiverNSID", skip_serializing_if = "Option::is_none")]
    receiver_ns_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver_token: Option<&'a str>,
    #[serde(rename = "TransactionID")]
    transaction_id: u32,
    message_type: &'static str,
    result: OutgoingResult<'a>,
    #[serde(flatten)]
    answer: &'a Answer,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OutgoingResult<'a> {
    result_code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
}

/// The body of the answer.
pub fn answer(header: &Header, outcome: &Result<Answer, Refused>) -> Vec<u8> {
    let empty = Answer::default();
    let (answer, code, description) = match outcome {
        Ok(answer) => (answer, ResultCode::Success, ""),
        Err(refused) => (&empty, refused.code, refused.why.as_ref()),
    };
    let outgoing = Outgoing {
        protocol_version: if header.version == Version::V1_1 { "1.1" } else { "1.0" },
        sender_id: &header.receiver_id,
        receiver_id: &header.sender_id,
        receiver_ns_id: header.sender_ns_id.as_deref(),
        receiver_token: header.sender_token.as_deref(),
        transaction_id: header.transaction_id,
        message_type: header.answer_type,
        result: OutgoingResult { result_code: code.name(header.version), description },
        answer,
    };
    serde_json::to_vec(&outgoing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The request that ChirpStack 4 sends, field by field (backend/src/lib.rs and uplink/join.rs of its source).
    const CHIRPSTACK: &str = r#"{"ProtocolVersion":"1.0","SenderID":"000000","ReceiverID":"0807060504030201","TransactionID":1234,"MessageType":"JoinReq",
        "MACVersion":"1.0.3","PHYPayload":"000102030405060708090a0b0c0d0e0f10111213141516","DevEUI":"0102030405060708","DevAddr":"01020304",
        "DLSettings":"80","RxDelay":1,"CFList":"184f84e85684b85e8488668458ce8400"}"#;

    /// As The Things Stack 3 sends it: upper case, SenderNSID, an empty list.
    const THE_THINGS_STACK: &str = r#"{"ProtocolVersion":"1.1","TransactionID":0,"MessageType":"JoinReq","SenderID":"000013","ReceiverID":"0807060504030201",
        "SenderNSID":"000013","MACVersion":"1.0.4","PHYPayload":"0x0001020304050607","DevEUI":"01020304050607FF","DevAddr":"26013FFF","DLSettings":"00","RxDelay":5,
        "CFList":""}"#;

    #[test]
    fn requests_of_the_servers_in_use() {
        let (header, request) = parse(CHIRPSTACK.as_bytes()).unwrap();
        let Ok(Request::Join(join)) = request else { panic!("{request:?}") };
        assert_eq!((join.net_id, join.join_eui, join.dev_eui), (0, 0x0807060504030201, 0x0102030405060708));
        assert_eq!((join.mac_version, join.phy_payload.len(), join.settings.dl_settings), (MacVersion::Before1_0_4, 23, 0x80));
        assert_eq!((join.settings.dev_addr, join.settings.cf_list.unwrap()[0]), (0x01020304, 0x18));
        let body = answer(&header, &Err(Refused::new(ResultCode::MicFailed, "no key fits")));
        assert_eq!(
            String::from_utf8(body).unwrap(),
            concat!(
                r#"{"ProtocolVersion":"1.0","SenderID":"0807060504030201","ReceiverID":"000000","TransactionID":1234,"MessageType":"JoinAns","#,
                r#""Result":{"ResultCode":"MICFailed","Description":"no key fits"}}"#
            )
        );

        let (header, request) = parse(THE_THINGS_STACK.as_bytes()).unwrap();
        let Ok(Request::Join(join)) = request else { panic!("{request:?}") };
        assert_eq!((join.net_id, join.dev_eui & 0xff, join.settings.cf_list), (0x13, 0xff, None));
        let body = String::from_utf8(answer(&header, &Err(Refused::new(ResultCode::FrameReplayed, "")))).unwrap();
        assert!(body.contains(r#""ReceiverNSID":"000013""#) && body.contains(r#"{"ResultCode":"FrameReplayed"}"#), "{body}");
    }

    #[test]
    fn codes_have_the_words_of_each_version() {
        assert_eq!(ResultCode::FrameReplayed.name(Version::V1_0), "JoinReqFailed");
        assert_eq!(ResultCode::Malformed.name(Version::V1_1), "MalformedMessage");
        assert_eq!(ResultCode::UnknownReceiver.name(Version::V1_0), "UnkownReceiver");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (from, to, field) in [
            (r#""DevAddr":"01020304""#, r#""DevAddr":"0102030""#, "DevAddr"),
            (r#""DevEUI":"0102030405060708""#, r#""DevEUI":"+102030405060708""#, "DevEUI"),
            (r#""MACVersion":"1.0.3""#, r#""MACVersion":"2.0""#, "MACVersion"),
            (r#""RxDelay":1"#, r#""RxDelay":16"#, "RxDelay"),
            (r#""DLSettings":"80""#, r#""DLSettings":"8000""#, "DLSettings"),
            (r#""SenderID":"000000""#, r#""SenderID":"a server""#, "SenderID"),
            ("184f84e85684b85e8488668458ce8400", "184f", "CFList"),
            ("101112131415", "10111213141é", "PHYPayload"),
        ] {
            let (_, request) = parse(CHIRPSTACK.replace(from, to).as_bytes()).unwrap();
            let refused = request.unwrap_err();
            assert_eq!(refused.code, ResultCode::Malformed);
            assert!(refused.why.starts_with(field), "{}", refused.why);
        }
        let (_, request) = parse(CHIRPSTACK.replace(r#""1.0""#, r#""3.0""#).as_bytes()).unwrap();
        assert_eq!(request.unwrap_err().code, ResultCode::InvalidProtocolVersion);
        let (header, request) = parse(CHIRPSTACK.replace("JoinReq", "XmitDataReq").as_bytes()).unwrap();
        assert_eq!((header.answer_type, request.unwrap_err().code), ("ErrorNotif", ResultCode::Malformed));
        for nothing in ["", "{}", "[]", "null", "{\"ProtocolVersion\":1}", &CHIRPSTACK.replace("1234", "-1"), &CHIRPSTACK[..100]]
        {
            assert!(parse(nothing.as_bytes()).is_none(), "{nothing}");
        }
        assert!(parse(CHIRPSTACK.replace("000000", &"0".repeat(300)).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_changed_request_is_read_or_refused(at in 0..CHIRPSTACK.len(), byte in any::<u8>(), cut in 0..CHIRPSTACK.len()) {
            let mut bytes = CHIRPSTACK.as_bytes().to_vec();
            bytes[at] = byte;
            if let Some((header, request)) = parse(&bytes) {
                let body = answer(&header, &request.map(|_| Answer::default()));
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            }
            let _ = parse(&bytes[..cut]);
        }

        #[test]
        fn hexadecimal_text_goes_both_ways(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(hex(&to_hex(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(hex(&format!("0x{}", to_hex(&bytes).to_uppercase())), Some(bytes));
        }
    }
}
