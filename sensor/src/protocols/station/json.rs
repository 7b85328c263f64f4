//! The messages: which it is, and the radio frames taken apart in them (`lora.c` of Basics Station).

use super::eui;
use crate::json::{Json, Scalar};
use crate::protocols::lorawan::wire::PHY_PAYLOAD_MAX;
use smallvec::SmallVec;

/// Uplink channels told of a router configuration.
pub(super) const CHANNELS: usize = 96;

/// A radio frame put together.
pub(super) type Frame = SmallVec<[u8; PHY_PAYLOAD_MAX + 1]>;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageType {
    /// `{"router": ..}` and its answer, which have no `msgtype`.
    Discovery,
    Version,
    RouterConfig,
    Uplink(&'static str),
    Downlink(&'static str),
    Transmitted,
    TimeSync,
    RemoteCommand(&'static str),
    Other,
    /// A `msgtype` that the protocol does not have.
    Unknown,
}

/// The type of a message; `None` where it is no message of a station.
pub(super) fn message_type(bytes: &[u8], hint: &str) -> Option<MessageType> {
    let mut found = None;
    let mut has_router = false;
    let mut json = Json::new(bytes);
    json.members(|key, json| match key {
        b"msgtype" if found.is_none() => found = json.scalar().plain().map(known),
        b"router" => has_router = true,
        _ => {}
    });
    found.or((has_router && hint.contains("router-info")).then_some(MessageType::Discovery))
}

fn known(msgtype: &str) -> MessageType {
    match msgtype {
        "version" => MessageType::Version,
        "router_config" => MessageType::RouterConfig,
        "jreq" => MessageType::Uplink("jreq"),
        "updf" => MessageType::Uplink("updf"),
        "propdf" => MessageType::Uplink("propdf"),
        "rejoin" => MessageType::Uplink("rejoin"),
        "jacc" => MessageType::Uplink("jacc"),
        "dndf" => MessageType::Uplink("dndf"),
        "dnmsg" => MessageType::Downlink("dnmsg"),
        "dnframe" => MessageType::Downlink("dnframe"),
        "dnsched" => MessageType::Downlink("dnsched"),
        "dntxed" => MessageType::Transmitted,
        "timesync" => MessageType::TimeSync,
        "runcmd" => MessageType::RemoteCommand("runcmd"),
        "rmtsh" => MessageType::RemoteCommand("rmtsh"),
        "getxtime" | "error" | "alarm" | "event" => MessageType::Other,
        _ => MessageType::Unknown,
    }
}

/// Fields of a frame as they arrive, in any order.
#[derive(Default)]
pub(super) struct Parts<'a> {
    m_hdr: Option<u8>,
    join_eui: Option<u64>,
    dev_eui: Option<u64>,
    dev_nonce: Option<u16>,
    dev_addr: Option<i64>,
    f_ctrl: Option<u8>,
    f_cnt: Option<u16>,
    f_opts: Option<&'a str>,
    f_port: Option<i64>,
    frm_payload: Option<&'a str>,
    mic: Option<i64>,
}

impl<'a> Parts<'a> {
    /// Takes a field; answers whether it is one of a frame's.
    pub(super) fn take(&mut self, key: &[u8], json: &mut Json<'a>) -> bool {
        match key {
            b"MHdr" => self.m_hdr = json.scalar().unsigned(),
            b"JoinEui" | b"JoinEUI" | b"joineui" => self.join_eui = eui::of(json.scalar()).map(|eui| eui.0),
            b"DevEui" | b"DevEUI" | b"deveui" => self.dev_eui = eui::of(json.scalar()).map(|eui| eui.0),
            b"DevNonce" => self.dev_nonce = json.scalar().unsigned(),
            b"DevAddr" => self.dev_addr = json.scalar().i64(),
            b"FCtrl" => self.f_ctrl = json.scalar().unsigned(),
            b"FCnt" => self.f_cnt = json.scalar().unsigned(),
            b"FOpts" => self.f_opts = json.scalar().plain(),
            b"FPort" => self.f_port = json.scalar().i64(),
            b"FRMPayload" => self.frm_payload = json.scalar().plain(),
            b"MIC" => self.mic = json.scalar().i64(),
            _ => return false,
        }
        true
    }

    /// The frame; `None` where a field is missing or cannot be.
    pub(super) fn frame(&self, msgtype: &str) -> Option<Frame> {
        let mut frame = Frame::new();
        match msgtype {
            "jreq" | "rejoin" => {
                frame.push(self.m_hdr?);
                frame.extend_from_slice(&self.join_eui?.to_le_bytes());
                frame.extend_from_slice(&self.dev_eui?.to_le_bytes());
                frame.extend_from_slice(&self.dev_nonce?.to_le_bytes());
                frame.extend_from_slice(&(self.mic? as u32).to_le_bytes());
            }
            "updf" | "dndf" => {
                frame.push(self.m_hdr?);
                frame.extend_from_slice(&(self.dev_addr? as u32).to_le_bytes());
                frame.push(self.f_ctrl?);
                frame.extend_from_slice(&self.f_cnt?.to_le_bytes());
                push_hex(self.f_opts.unwrap_or_default(), &mut frame)?;
                if let Some(f_port) = self.f_port.filter(|port| *port >= 0) {
                    frame.push(u8::try_from(f_port).ok()?);
                    push_hex(self.frm_payload.unwrap_or_default(), &mut frame)?;
                }
                frame.extend_from_slice(&(self.mic? as u32).to_le_bytes());
            }
            // These come whole.
            _ => push_hex(self.frm_payload?, &mut frame)?,
        }
        (frame.len() <= PHY_PAYLOAD_MAX).then_some(frame)
    }
}

/// Appends bytes written as hex digits; `None` where they are no hex or more than a frame can hold.
pub(super) fn push_hex(text: &str, frame: &mut Frame) -> Option<()> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) || frame.len() + text.len() / 2 > PHY_PAYLOAD_MAX {
        return None;
    }
    let mut digits = text.bytes();
    while let (Some(high), Some(low)) = (digits.next(), digits.next()) {
        frame.push(digit(high)? << 4 | digit(low)?);
    }
    Some(())
}

/// The data rates of a router configuration: triples of spreading factor, bandwidth in kHz and whether for downlinks only.
pub(super) fn data_rates(json: &mut Json<'_>, mut each: impl FnMut(usize, u32, u32)) {
    let mut index = 0;
    json.items(|json| {
        let mut numbers = [0_i64; 3];
        let mut slots = numbers.iter_mut();
        json.items(|json| {
            let number = json.scalar().i64();
            if let (Some(slot), Some(number)) = (slots.next(), number) {
                *slot = number;
            }
        });
        let [spreading_factor, bandwidth_khz, _] = numbers;
        if let (Ok(spreading_factor), Ok(bandwidth_khz)) = (u32::try_from(spreading_factor), u32::try_from(bandwidth_khz)) {
            each(index, spreading_factor, bandwidth_khz.saturating_mul(1_000));
        }
        index += 1;
    });
}

/// Numbers of an array, at most so many.
pub(super) fn numbers<const N: usize>(json: &mut Json<'_>, most: usize) -> SmallVec<[u32; N]> {
    let mut list = SmallVec::new();
    json.items(|json| {
        if let Some(number) = json.scalar().unsigned()
            && list.len() < most
        {
            list.push(number);
        }
    });
    list
}

/// The first number of each item that is an array: the frequencies of channels.
pub(super) fn first_numbers(json: &mut Json<'_>) -> SmallVec<[u32; 16]> {
    let mut list = SmallVec::new();
    json.items(|json| {
        let mut first = None;
        json.items(|json| {
            let number = json.scalar().unsigned::<u32>();
            first = first.or(number);
        });
        if list.len() < CHANNELS {
            list.extend(first);
        }
    });
    list
}

/// How many items an array has.
pub(super) fn count(json: &mut Json<'_>) -> u32 {
    let mut count = 0_u32;
    json.items(|_| count = count.saturating_add(1));
    count
}

/// A data rate index, 0 to 15.
pub(super) fn data_rate_index(scalar: Scalar<'_>) -> Option<u8> {
    scalar.unsigned::<u8>().filter(|index| *index < 16)
}
