//! PHYPayload: TS001-1.0.4 §4 and §6, LoRaWAN 1.1 §4 and §6. All integers are least significant byte first.
//!
//! ```text
//! PHYPayload   MHDR(1) MACPayload | JoinRequest | RejoinRequest | JoinAccept  MIC(4; inside the encryption of a join-accept)
//! MHDR         FType(7..5) RFU(4..2) Major(1..0)
//! MACPayload   DevAddr(4) FCtrl(1) FCnt(2) FOpts(0..15) [FPort(1) FRMPayload(n)]
//! JoinRequest  JoinEUI(8) DevEUI(8) DevNonce(2)
//! Rejoin 0, 2  type(1) NetID(3) DevEUI(8) RJcount0(2)
//! Rejoin 1     type(1) JoinEUI(8) DevEUI(8) RJcount1(2)
//! JoinAccept   16 or 32 encrypted bytes, see [`super::join`]
//! ```

use super::address::NetId;
use crate::observation::{DevAddr, Eui};
use crate::reader::Reader;

/// Longest PHYPayload: the length field of the LoRa physical layer has 8 bits.
pub const PHY_PAYLOAD_MAX: usize = 255;

/// Length of the message integrity code.
pub const MIC_LENGTH: usize = 4;

/// Which way a frame goes over the air. Everywhere else in this crate direction means client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// From the end device.
    Up,
    /// To the end device.
    Down,
}

impl Link {
    /// `uplink` or `downlink`.
    pub fn name(self) -> &'static str {
        match self {
            Link::Up => "uplink",
            Link::Down => "downlink",
        }
    }

    /// The Dir field of the cryptographic blocks: 0 for uplinks, 1 for downlinks (§4.4).
    pub fn dir(self) -> u8 {
        match self {
            Link::Up => 0,
            Link::Down => 1,
        }
    }
}

/// Frame type: bits 7 to 5 of the MHDR (TS001-1.0.4 table 2; MType in 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FType {
    /// 0: the device asks to join.
    JoinRequest,
    /// 1: the network's answer.
    JoinAccept,
    /// 2: data from the device.
    UnconfirmedDataUp,
    /// 3: data to the device.
    UnconfirmedDataDown,
    /// 4: data from the device that wants an acknowledgement.
    ConfirmedDataUp,
    /// 5: data to the device that wants an acknowledgement.
    ConfirmedDataDown,
    /// 6: rejoin-request (1.1; reserved in 1.0).
    RejoinRequest,
    /// 7: anything a maker likes.
    Proprietary,
}

impl FType {
    /// The value on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Which way such frames go; unknown for proprietary ones.
    pub fn link(self) -> Option<Link> {
        match self {
            FType::JoinRequest | FType::UnconfirmedDataUp | FType::ConfirmedDataUp | FType::RejoinRequest => Some(Link::Up),
            FType::JoinAccept | FType::UnconfirmedDataDown | FType::ConfirmedDataDown => Some(Link::Down),
            FType::Proprietary => None,
        }
    }
}

/// MAC header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacHeader {
    /// Frame type.
    pub f_type: FType,
    /// Bits 4 to 2: reserved, 0.
    pub rfu: u8,
    /// Bits 1 to 0: 0 is LoRaWAN R1, the only one there is.
    pub major: u8,
}

impl MacHeader {
    /// Splits the octet.
    pub fn of(octet: u8) -> Self {
        let f_type = match octet >> 5 {
            0 => FType::JoinRequest,
            1 => FType::JoinAccept,
            2 => FType::UnconfirmedDataUp,
            3 => FType::UnconfirmedDataDown,
            4 => FType::ConfirmedDataUp,
            5 => FType::ConfirmedDataDown,
            6 => FType::RejoinRequest,
            _ => FType::Proprietary,
        };
        Self { f_type, rfu: (octet >> 2) & 7, major: octet & 3 }
    }

    /// Whether it can head a LoRaWAN R1 frame: other radio protocols share the band and the sync word.
    pub fn is_lorawan(self) -> bool {
        self.rfu == 0 && self.major == 0
    }
}

/// A PHYPayload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhyPayload<'a> {
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Its first byte.
    pub mhdr: MacHeader,
    /// What the frame type says.
    pub frame: Frame<'a>,
}

/// What follows the MHDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// FType 0.
    JoinRequest(JoinRequest),
    /// FType 1: encrypted bytes, the MIC among them.
    JoinAccept(&'a [u8]),
    /// FTypes 2 to 5.
    Data(DataFrame<'a>),
    /// FType 6.
    RejoinRequest(RejoinRequest),
    /// FType 7.
    Proprietary(&'a [u8]),
}

/// Why bytes are no PHYPayload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAFrame {
    /// There is no byte.
    Empty,
    /// The MHDR's reserved bits or major version say that this is no LoRaWAN R1.
    OtherVersion(MacHeader),
    /// The frame type cannot have this length.
    Length(MacHeader),
    /// FCtrl announces more FOpts bytes than there are.
    FOptsLength(MacHeader),
    /// The rejoin type is none of 0, 1 and 2.
    RejoinType(u8),
}

/// Join-request, TS001-1.0.4 §6.2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// JoinEUI (AppEUI before 1.0.4).
    pub join_eui: Eui,
    /// DevEUI.
    pub dev_eui: Eui,
    /// DevNonce.
    pub dev_nonce: u16,
}

/// Rejoin-request, LoRaWAN 1.1 §6.2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejoinRequest {
    /// 0, 1 or 2.
    pub rejoin_type: u8,
    /// Types 0 and 2: the home network.
    pub net_id: Option<NetId>,
    /// Type 1.
    pub join_eui: Option<Eui>,
    /// DevEUI.
    pub dev_eui: Eui,
    /// RJcount0 or RJcount1.
    pub rj_count: u16,
}

/// Data frame: FHDR, FPort and FRMPayload (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFrame<'a> {
    /// Which way.
    pub link: Link,
    /// Whether an acknowledgement is wanted.
    pub confirmed: bool,
    /// DevAddr.
    pub dev_addr: DevAddr,
    /// FCtrl.
    pub f_ctrl: FCtrl,
    /// The 16 low bits of the frame counter; the wire has no more.
    pub f_cnt_lsb: u16,
    /// MAC commands in the header: readable in 1.0.x, encrypted in 1.1.
    pub f_opts: &'a [u8],
    /// FPort; absent where the frame ends after FOpts. 0: FRMPayload holds MAC commands.
    pub f_port: Option<u8>,
    /// FRMPayload, encrypted.
    pub frm_payload: &'a [u8],
}

/// Frame control (§4.3.1.1 to §4.3.1.5): what the bits mean depends on the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FCtrl {
    /// The octet.
    pub octet: u8,
    /// Which way the frame goes.
    pub link: Link,
}

impl FCtrl {
    /// The network controls the data rate.
    pub fn adr(self) -> bool {
        self.octet & 0x80 != 0
    }

    /// Uplink: the device asks whether the network still hears it.
    pub fn adr_ack_req(self) -> Option<bool> {
        (self.link == Link::Up).then_some(self.octet & 0x40 != 0)
    }

    /// The last confirmed frame is acknowledged.
    pub fn ack(self) -> bool {
        self.octet & 0x20 != 0
    }

    /// Downlink: more data waits.
    pub fn f_pending(self) -> Option<bool> {
        (self.link == Link::Down).then_some(self.octet & 0x10 != 0)
    }

    /// Uplink: the device has switched to class B.
    pub fn class_b(self) -> Option<bool> {
        (self.link == Link::Up).then_some(self.octet & 0x10 != 0)
    }

    /// Length of FOpts.
    pub fn f_opts_length(self) -> usize {
        usize::from(self.octet & 0x0f)
    }
}

impl<'a> PhyPayload<'a> {
    /// Reads a whole frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotAFrame> {
        let mut reader = Reader::new(bytes);
        let mhdr = MacHeader::of(reader.u8().ok_or(NotAFrame::Empty)?);
        if !mhdr.is_lorawan() {
            return Err(NotAFrame::OtherVersion(mhdr));
        }
        let frame = match mhdr.f_type {
            FType::JoinRequest => Frame::JoinRequest(join_request(&mut reader).ok_or(NotAFrame::Length(mhdr))?),
            FType::JoinAccept if matches!(reader.remaining(), 16 | 32) => Frame::JoinAccept(reader.take_rest()),
            FType::JoinAccept => return Err(NotAFrame::Length(mhdr)),
            FType::RejoinRequest => Frame::RejoinRequest(rejoin_request(&mut reader, mhdr)?),
            FType::Proprietary => Frame::Proprietary(reader.take_rest()),
            FType::UnconfirmedDataUp => Frame::Data(data(&mut reader, mhdr, Link::Up, false)?),
            FType::UnconfirmedDataDown => Frame::Data(data(&mut reader, mhdr, Link::Down, false)?),
            FType::ConfirmedDataUp => Frame::Data(data(&mut reader, mhdr, Link::Up, true)?),
            FType::ConfirmedDataDown => Frame::Data(data(&mut reader, mhdr, Link::Down, true)?),
        };
        Ok(Self { bytes, mhdr, frame })
    }

    /// The MIC as it stands on the wire; `None` where it is encrypted (join-accept) or not defined (proprietary).
    pub fn mic(&self) -> Option<&'a [u8]> {
        self.split_mic().map(|(_, mic)| mic)
    }

    /// What the MIC covers, without the block B0 or B1 that goes before it for data frames (see [`super::blocks`]).
    pub fn mic_message(&self) -> Option<&'a [u8]> {
        self.split_mic().map(|(message, _)| message)
    }

    fn split_mic(&self) -> Option<(&'a [u8], &'a [u8])> {
        if matches!(self.frame, Frame::JoinAccept(_) | Frame::Proprietary(_)) {
            return None;
        }
        self.bytes.split_at_checked(self.bytes.len().checked_sub(MIC_LENGTH)?)
    }
}

fn join_request(reader: &mut Reader<'_>) -> Option<JoinRequest> {
    let request = JoinRequest { join_eui: Eui(reader.u64_le()?), dev_eui: Eui(reader.u64_le()?), dev_nonce: reader.u16_le()? };
    (reader.remaining() == MIC_LENGTH).then_some(request)
}

fn rejoin_request(reader: &mut Reader<'_>, mhdr: MacHeader) -> Result<RejoinRequest, NotAFrame> {
    let short = NotAFrame::Length(mhdr);
    let rejoin_type = reader.u8().ok_or(short)?;
    let (mut net_id, mut join_eui) = (None, None);
    match rejoin_type {
        0 | 2 => net_id = Some(NetId(reader.u24_le().ok_or(short)?)),
        1 => join_eui = Some(Eui(reader.u64_le().ok_or(short)?)),
        other => return Err(NotAFrame::RejoinType(other)),
    }
    let dev_eui = Eui(reader.u64_le().ok_or(short)?);
    let rj_count = reader.u16_le().ok_or(short)?;
    if reader.remaining() != MIC_LENGTH {
        return Err(short);
    }
    Ok(RejoinRequest { rejoin_type, net_id, join_eui, dev_eui, rj_count })
}

fn data<'a>(reader: &mut Reader<'a>, mhdr: MacHeader, link: Link, confirmed: bool) -> Result<DataFrame<'a>, NotAFrame> {
    let short = NotAFrame::Length(mhdr);
    let mut body = reader.remaining().checked_sub(MIC_LENGTH).and_then(|length| reader.sub(length)).ok_or(short)?;
    let dev_addr = DevAddr(body.u32_le().ok_or(short)?);
    let f_ctrl = FCtrl { octet: body.u8().ok_or(short)?, link };
    let f_cnt_lsb = body.u16_le().ok_or(short)?;
    let f_opts = body.take(f_ctrl.f_opts_length()).ok_or(NotAFrame::FOptsLength(mhdr))?;
    Ok(DataFrame { link, confirmed, dev_addr, f_ctrl, f_cnt_lsb, f_opts, f_port: body.u8(), frm_payload: body.take_rest() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mhdr: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = mhdr;
        bytes
    }

    #[test]
    fn each_frame_type_has_its_lengths() {
        for (mhdr, lengths) in [(0x00, vec![23]), (0x20, vec![17, 33]), (0xc0, vec![19])] {
            for length in 1..64 {
                assert_eq!(PhyPayload::parse(&frame(mhdr, length)).is_ok(), lengths.contains(&length), "{mhdr:02x} {length}");
            }
        }
        for mhdr in [0x40, 0x60, 0x80, 0xa0] {
            for length in 1..64 {
                assert_eq!(PhyPayload::parse(&frame(mhdr, length)).is_ok(), length >= 12, "{mhdr:02x} {length}");
            }
        }
        assert_eq!(PhyPayload::parse(&[]), Err(NotAFrame::Empty));
        assert!(matches!(PhyPayload::parse(&[0xe0]).unwrap().frame, Frame::Proprietary([])));
    }

    #[test]
    fn f_opts_longer_than_the_frame() {
        let mut bytes = frame(0x40, 13);
        bytes[5] = 0x01;
        let PhyPayload { frame: Frame::Data(data), .. } = PhyPayload::parse(&bytes).unwrap() else { panic!("not data") };
        assert_eq!((data.f_opts.len(), data.f_port), (1, None));
        bytes[5] = 0x02;
        assert!(matches!(PhyPayload::parse(&bytes), Err(NotAFrame::FOptsLength(_))));
    }

    #[test]
    fn rejoin_requests() {
        let mut bytes = frame(0xc0, 24);
        bytes[1] = 1;
        bytes[2] = 7;
        let PhyPayload { frame: Frame::RejoinRequest(rejoin), .. } = PhyPayload::parse(&bytes).unwrap() else {
            panic!("not rejoin")
        };
        assert_eq!((rejoin.join_eui, rejoin.net_id), (Some(Eui(7)), None));
        bytes[1] = 3;
        assert_eq!(PhyPayload::parse(&bytes), Err(NotAFrame::RejoinType(3)));
    }

    #[test]
    fn other_protocols_on_the_same_band() {
        assert!(matches!(PhyPayload::parse(b"hello world"), Err(NotAFrame::OtherVersion(_))));
    }
}
