//! MAC commands: TS001-1.0.4 §5 and §11 to §15 (class B), LoRaWAN 1.1 §5 and §18.
//!
//! A command is its identifier (CID) and as many bytes as the identifier and the direction say. So an unknown identifier ends the walk:
//! what follows it cannot be cut into commands.

use super::wire::Link;
use crate::part;
use crate::reader::Reader;
use smallvec::SmallVec;

/// Commands of one frame. FOpts holds at most 15 bytes; port 0 rarely carries more than four commands.
pub type Commands = SmallVec<[Command; 4]>;

part! {
    /// One MAC command. A field is there where the command has it.
    pub struct Command {
        /// Name in the specification, as in `LinkADRReq`.
        pub name: &'static str,
        /// Command identifier.
        pub cid: u8,
        /// Acknowledgement bits of an answer as they stand on the wire; see `accepted`.
        pub status: Option<u8>,
        /// Whether every bit of `status` says yes.
        pub accepted: Option<bool>,
        /// Data rate index (LinkADRReq, PingSlotChannelReq, ForceRejoinReq; RXParamSetupReq: RX2DataRate).
        pub data_rate: Option<u8>,
        /// TX power index: 0 is the most that the region allows (LinkADRReq).
        pub tx_power: Option<u8>,
        /// Channel mask (LinkADRReq).
        pub channel_mask: Option<u16>,
        /// Which block of channels the mask is for (LinkADRReq: ChMaskCntl).
        pub channel_mask_control: Option<u8>,
        /// Transmissions of each uplink (LinkADRReq: NbTrans); 0 keeps the default.
        pub nb_trans: Option<u8>,
        /// Exponent of the duty cycle: 1 / 2^n (DutyCycleReq: MaxDutyCycle). 15 is the most restrictive; 255 switched devices off before 1.0.3.
        pub max_duty_cycle: Option<u8>,
        /// Offset between uplink and RX1 data rate (RXParamSetupReq: RX1DROffset).
        pub rx1_data_rate_offset: Option<u8>,
        /// Frequency in Hz (RXParamSetupReq, NewChannelReq, DlChannelReq, PingSlotChannelReq, BeaconFreqReq); 0 removes the channel or sets the default.
        pub frequency_hz: Option<u32>,
        /// Channel index (NewChannelReq, DlChannelReq, BeaconTimingAns).
        pub channel_index: Option<u8>,
        /// Lowest data rate of a channel (NewChannelReq).
        pub min_data_rate: Option<u8>,
        /// Highest data rate of a channel (NewChannelReq).
        pub max_data_rate: Option<u8>,
        /// Seconds from an uplink to RX1 (RXTimingSetupReq).
        pub delay_s: Option<u8>,
        /// Largest radiated power in dBm (TxParamSetupReq).
        pub max_eirp_dbm: Option<u8>,
        /// Downlink dwell time is limited (TxParamSetupReq).
        pub downlink_dwell_time: Option<bool>,
        /// Uplink dwell time is limited (TxParamSetupReq).
        pub uplink_dwell_time: Option<bool>,
        /// Battery: 0 external power, 1 to 254 level, 255 not known (DevStatusAns).
        pub battery: Option<u8>,
        /// Margin in dB: of the last uplink over the demodulation floor (LinkCheckAns, 0 to 254), or SNR of the last DevStatusReq (DevStatusAns, -32 to 31).
        pub margin_db: Option<i16>,
        /// Gateways that heard the last uplink (LinkCheckAns).
        pub gateway_count: Option<u8>,
        /// GPS time in whole seconds (DeviceTimeAns).
        pub gps_time_s: Option<u32>,
        /// 256ths of a second (DeviceTimeAns).
        pub gps_time_fraction: Option<u8>,
        /// Minor LoRaWAN version: 1 for 1.1 (ResetInd, ResetConf, RekeyInd, RekeyConf).
        pub minor_version: Option<u8>,
        /// Exponent of ADR_ACK_LIMIT (ADRParamSetupReq).
        pub limit_exponent: Option<u8>,
        /// Exponent of ADR_ACK_DELAY (ADRParamSetupReq).
        pub delay_exponent: Option<u8>,
        /// Rejoin-request type to send (ForceRejoinReq).
        pub rejoin_type: Option<u8>,
        /// Exponent of the time between retries: 32 s x 2^n (ForceRejoinReq).
        pub period: Option<u8>,
        /// Retries (ForceRejoinReq).
        pub max_retries: Option<u8>,
        /// Exponent of the longest time between rejoin-requests (RejoinParamSetupReq: MaxTimeN).
        pub max_time: Option<u8>,
        /// Exponent of the largest number of uplinks between rejoin-requests (RejoinParamSetupReq: MaxCountN).
        pub max_count: Option<u8>,
        /// Ping slot periodicity, exponent of seconds (PingSlotInfoReq).
        pub periodicity: Option<u8>,
        /// Units of 30 ms until the next beacon (BeaconTimingAns).
        pub beacon_delay: Option<u16>,
        /// Device class: 0 A, 1 reserved (B), 2 C (DeviceModeInd, DeviceModeConf).
        pub class: Option<u8>,
    }
}

/// What a walk over commands found.
#[derive(Clone)]
pub struct Walk {
    /// The commands read.
    pub commands: Commands,
    /// Whether all bytes were commands. If not, there is an unknown or proprietary identifier, a command is cut, or the bytes are encrypted (1.1).
    pub complete: bool,
}

/// Reads MAC commands that go in one direction: FOpts, or the decrypted payload of port 0.
pub fn parse(link: Link, bytes: &[u8]) -> Walk {
    let mut reader = Reader::new(bytes);
    let mut commands = Commands::new();
    while !reader.is_empty() {
        match command(link, &mut reader) {
            Some(command) => commands.push(command),
            None => return Walk { commands, complete: false },
        }
    }
    Walk { commands, complete: true }
}

fn command(link: Link, reader: &mut Reader<'_>) -> Option<Command> {
    let cid = reader.u8()?;
    match link {
        Link::Up => from_device(cid, reader),
        Link::Down => to_device(cid, reader),
    }
}

fn from_device(cid: u8, reader: &mut Reader<'_>) -> Option<Command> {
    let named = |name| Command { name, cid, ..NONE };
    Some(match cid {
        0x01 => Command { minor_version: Some(reader.u8()? & 0x0f), ..named("ResetInd") },
        0x02 => named("LinkCheckReq"),
        0x03 => answer(named("LinkADRAns"), reader, 0x07)?,
        0x04 => named("DutyCycleAns"),
        0x05 => answer(named("RXParamSetupAns"), reader, 0x07)?,
        0x06 => {
            let battery = reader.u8()?;
            // Six bits with a sign: the sign bit is moved to bit 7 and back.
            let margin = ((reader.u8()? << 2) as i8) >> 2;
            Command { battery: Some(battery), margin_db: Some(i16::from(margin)), ..named("DevStatusAns") }
        }
        0x07 => answer(named("NewChannelAns"), reader, 0x03)?,
        0x08 => named("RXTimingSetupAns"),
        0x09 => named("TxParamSetupAns"),
        0x0a => answer(named("DlChannelAns"), reader, 0x03)?,
        0x0b => Command { minor_version: Some(reader.u8()? & 0x0f), ..named("RekeyInd") },
        0x0c => named("ADRParamSetupAns"),
        0x0d => named("DeviceTimeReq"),
        0x0f => answer(named("RejoinParamSetupAns"), reader, 0x01)?,
        0x10 => Command { periodicity: Some(reader.u8()? & 7), ..named("PingSlotInfoReq") },
        0x11 => answer(named("PingSlotChannelAns"), reader, 0x03)?,
        0x12 => named("BeaconTimingReq"),
        0x13 => answer(named("BeaconFreqAns"), reader, 0x01)?,
        0x20 => Command { class: Some(reader.u8()?), ..named("DeviceModeInd") },
        _ => return None,
    })
}

fn to_device(cid: u8, reader: &mut Reader<'_>) -> Option<Command> {
    let named = |name| Command { name, cid, ..NONE };
    Some(match cid {
        0x01 => Command { minor_version: Some(reader.u8()? & 0x0f), ..named("ResetConf") },
        0x02 => {
            let margin_db = Some(i16::from(reader.u8()?));
            Command { margin_db, gateway_count: Some(reader.u8()?), ..named("LinkCheckAns") }
        }
        0x03 => link_adr_req(named("LinkADRReq"), reader)?,
        0x04 => Command { max_duty_cycle: Some(duty_cycle(reader.u8()?)), ..named("DutyCycleReq") },
        0x05 => {
            let settings = reader.u8()?;
            Command {
                rx1_data_rate_offset: Some((settings >> 4) & 7),
                data_rate: Some(settings & 0x0f),
                frequency_hz: Some(frequency(reader)?),
                ..named("RXParamSetupReq")
            }
        }
        0x06 => named("DevStatusReq"),
        0x07 => {
            let channel_index = Some(reader.u8()?);
            let frequency_hz = Some(frequency(reader)?);
            let range = reader.u8()?;
            let (min_data_rate, max_data_rate) = (Some(range & 0x0f), Some(range >> 4));
            Command { channel_index, frequency_hz, min_data_rate, max_data_rate, ..named("NewChannelReq") }
        }
        // Delay 0 means 1 second.
        0x08 => Command { delay_s: Some((reader.u8()? & 0x0f).max(1)), ..named("RXTimingSetupReq") },
        0x09 => {
            let octet = reader.u8()?;
            Command {
                max_eirp_dbm: MAX_EIRP_DBM.get(usize::from(octet & 0x0f)).copied(),
                uplink_dwell_time: Some(octet & 0x10 != 0),
                downlink_dwell_time: Some(octet & 0x20 != 0),
                ..named("TxParamSetupReq")
            }
        }
        0x0a => {
            let channel_index = Some(reader.u8()?);
            Command { channel_index, frequency_hz: Some(frequency(reader)?), ..named("DlChannelReq") }
        }
        0x0b => Command { minor_version: Some(reader.u8()? & 0x0f), ..named("RekeyConf") },
        0x0c => {
            let octet = reader.u8()?;
            Command { limit_exponent: Some(octet >> 4), delay_exponent: Some(octet & 0x0f), ..named("ADRParamSetupReq") }
        }
        0x0d => {
            let gps_time_s = Some(reader.u32_le()?);
            Command { gps_time_s, gps_time_fraction: Some(reader.u8()?), ..named("DeviceTimeAns") }
        }
        0x0e => force_rejoin_req(named("ForceRejoinReq"), reader)?,
        0x0f => {
            let octet = reader.u8()?;
            Command { max_time: Some(octet >> 4), max_count: Some(octet & 0x0f), ..named("RejoinParamSetupReq") }
        }
        0x10 => named("PingSlotInfoAns"),
        0x11 => {
            let frequency_hz = Some(frequency(reader)?);
            Command { frequency_hz, data_rate: Some(reader.u8()? & 0x0f), ..named("PingSlotChannelReq") }
        }
        0x12 => {
            let beacon_delay = Some(reader.u16_le()?);
            Command { beacon_delay, channel_index: Some(reader.u8()?), ..named("BeaconTimingAns") }
        }
        0x13 => Command { frequency_hz: Some(frequency(reader)?), ..named("BeaconFreqReq") },
        0x20 => Command { class: Some(reader.u8()?), ..named("DeviceModeConf") },
        _ => return None,
    })
}

fn answer(command: Command, reader: &mut Reader<'_>, all: u8) -> Option<Command> {
    let status = reader.u8()?;
    Some(Command { status: Some(status), accepted: Some(status & all == all), ..command })
}

fn link_adr_req(command: Command, reader: &mut Reader<'_>) -> Option<Command> {
    let rates = reader.u8()?;
    let channel_mask = Some(reader.u16_le()?);
    let redundancy = reader.u8()?;
    Some(Command {
        data_rate: Some(rates >> 4),
        tx_power: Some(rates & 0x0f),
        channel_mask,
        channel_mask_control: Some((redundancy >> 4) & 7),
        nb_trans: Some(redundancy & 0x0f),
        ..command
    })
}

fn force_rejoin_req(command: Command, reader: &mut Reader<'_>) -> Option<Command> {
    let bits = reader.u16_le()?;
    let bits_at = |shift: u32, mask: u16| u8::try_from((bits >> shift) & mask).ok();
    Some(Command {
        period: bits_at(11, 7),
        max_retries: bits_at(8, 7),
        rejoin_type: bits_at(4, 7),
        data_rate: bits_at(0, 15),
        ..command
    })
}

/// Bits 7 to 4 are reserved since 1.0.3; 255 was a value of its own before and is kept.
fn duty_cycle(octet: u8) -> u8 {
    if octet == 255 { octet } else { octet & 0x0f }
}

/// A frequency of 24 bits in units of 100 Hz, in Hz.
pub(super) fn frequency(reader: &mut Reader<'_>) -> Option<u32> {
    reader.u24_le()?.checked_mul(100)
}

/// The 16 values of MaxEIRP (TS001-1.0.4 §5.8).
const MAX_EIRP_DBM: [u8; 16] = [8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36];

const NONE: Command = Command {
    name: "",
    cid: 0,
    status: None,
    accepted: None,
    data_rate: None,
    tx_power: None,
    channel_mask: None,
    channel_mask_control: None,
    nb_trans: None,
    max_duty_cycle: None,
    rx1_data_rate_offset: None,
    frequency_hz: None,
    channel_index: None,
    min_data_rate: None,
    max_data_rate: None,
    delay_s: None,
    max_eirp_dbm: None,
    downlink_dwell_time: None,
    uplink_dwell_time: None,
    battery: None,
    margin_db: None,
    gateway_count: None,
    gps_time_s: None,
    gps_time_fraction: None,
    minor_version: None,
    limit_exponent: None,
    delay_exponent: None,
    rejoin_type: None,
    period: None,
    max_retries: None,
    max_time: None,
    max_count: None,
    periodicity: None,
    beacon_delay: None,
    class: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn json(link: Link, bytes: &[u8]) -> String {
        serde_json::to_string(parse(link, bytes).commands.as_slice()).unwrap()
    }

    fn check(link: Link, bytes: &[u8], expected: &str) {
        assert_eq!(json(link, bytes), expected);
        for length in 1..bytes.len() {
            assert!(!parse(link, &bytes[..length]).complete, "cut to {length}");
        }
        assert!(parse(link, bytes).complete);
    }

    #[test]
    fn commands_to_the_device() {
        let down = |bytes: &[u8], expected| check(Link::Down, bytes, expected);
        down(&[0x01, 0x01], r#"[{"name":"ResetConf","cid":1,"minor_version":1}]"#);
        down(&[0x02, 20, 3], r#"[{"name":"LinkCheckAns","cid":2,"margin_db":20,"gateway_count":3}]"#);
        down(
            &[0x03, 0x52, 0xff, 0x00, 0x01],
            r#"[{"name":"LinkADRReq","cid":3,"data_rate":5,"tx_power":2,"channel_mask":255,"channel_mask_control":0,"nb_trans":1}]"#,
        );
        down(&[0x04, 0x0f], r#"[{"name":"DutyCycleReq","cid":4,"max_duty_cycle":15}]"#);
        down(
            &[0x05, 0x23, 0xd2, 0xad, 0x84],
            r#"[{"name":"RXParamSetupReq","cid":5,"data_rate":3,"rx1_data_rate_offset":2,"frequency_hz":869525000}]"#,
        );
        down(
            &[0x07, 3, 0x18, 0x4f, 0x84, 0x50],
            r#"[{"name":"NewChannelReq","cid":7,"frequency_hz":867100000,"channel_index":3,"min_data_rate":0,"max_data_rate":5}]"#,
        );
        down(&[0x08, 0x00], r#"[{"name":"RXTimingSetupReq","cid":8,"delay_s":1}]"#);
        down(
            &[0x09, 0x35],
            r#"[{"name":"TxParamSetupReq","cid":9,"max_eirp_dbm":16,"downlink_dwell_time":true,"uplink_dwell_time":true}]"#,
        );
        down(&[0x0a, 0, 0x18, 0x4f, 0x84], r#"[{"name":"DlChannelReq","cid":10,"frequency_hz":867100000,"channel_index":0}]"#);
        down(&[0x0b, 0x01], r#"[{"name":"RekeyConf","cid":11,"minor_version":1}]"#);
        down(&[0x0c, 0x65], r#"[{"name":"ADRParamSetupReq","cid":12,"limit_exponent":6,"delay_exponent":5}]"#);
        down(&[0x0d, 4, 3, 2, 1, 128], r#"[{"name":"DeviceTimeAns","cid":13,"gps_time_s":16909060,"gps_time_fraction":128}]"#);
        down(
            &[0x0e, 0x25, 0x1b],
            r#"[{"name":"ForceRejoinReq","cid":14,"data_rate":5,"rejoin_type":2,"period":3,"max_retries":3}]"#,
        );
        down(&[0x0f, 0x12], r#"[{"name":"RejoinParamSetupReq","cid":15,"max_time":1,"max_count":2}]"#);
        down(&[0x11, 0x18, 0x4f, 0x84, 3], r#"[{"name":"PingSlotChannelReq","cid":17,"data_rate":3,"frequency_hz":867100000}]"#);
        down(&[0x12, 1, 1, 2], r#"[{"name":"BeaconTimingAns","cid":18,"channel_index":2,"beacon_delay":257}]"#);
        down(&[0x13, 0x18, 0x4f, 0x84], r#"[{"name":"BeaconFreqReq","cid":19,"frequency_hz":867100000}]"#);
        down(&[0x20, 2], r#"[{"name":"DeviceModeConf","cid":32,"class":2}]"#);
        assert_eq!(json(Link::Down, &[0x06, 0x10]), r#"[{"name":"DevStatusReq","cid":6},{"name":"PingSlotInfoAns","cid":16}]"#);
    }

    #[test]
    fn commands_from_the_device() {
        let up = |bytes: &[u8], expected| check(Link::Up, bytes, expected);
        up(&[0x01, 0x01], r#"[{"name":"ResetInd","cid":1,"minor_version":1}]"#);
        up(&[0x03, 0x07], r#"[{"name":"LinkADRAns","cid":3,"status":7,"accepted":true}]"#);
        up(&[0x05, 0x03], r#"[{"name":"RXParamSetupAns","cid":5,"status":3,"accepted":false}]"#);
        up(&[0x06, 0xfe, 0x20], r#"[{"name":"DevStatusAns","cid":6,"battery":254,"margin_db":-32}]"#);
        up(&[0x06, 0x00, 0x1f], r#"[{"name":"DevStatusAns","cid":6,"battery":0,"margin_db":31}]"#);
        up(&[0x07, 0x03], r#"[{"name":"NewChannelAns","cid":7,"status":3,"accepted":true}]"#);
        up(&[0x0a, 0x01], r#"[{"name":"DlChannelAns","cid":10,"status":1,"accepted":false}]"#);
        up(&[0x0b, 0x01], r#"[{"name":"RekeyInd","cid":11,"minor_version":1}]"#);
        up(&[0x0f, 0x01], r#"[{"name":"RejoinParamSetupAns","cid":15,"status":1,"accepted":true}]"#);
        up(&[0x10, 0x07], r#"[{"name":"PingSlotInfoReq","cid":16,"periodicity":7}]"#);
        up(&[0x11, 0x03], r#"[{"name":"PingSlotChannelAns","cid":17,"status":3,"accepted":true}]"#);
        up(&[0x13, 0x00], r#"[{"name":"BeaconFreqAns","cid":19,"status":0,"accepted":false}]"#);
        up(&[0x20, 0x00], r#"[{"name":"DeviceModeInd","cid":32,"class":0}]"#);
        let names: Vec<_> =
            parse(Link::Up, &[0x02, 0x04, 0x08, 0x09, 0x0c, 0x0d, 0x12]).commands.iter().map(|command| command.name).collect();
        assert_eq!(
            names,
            [
                "LinkCheckReq",
                "DutyCycleAns",
                "RXTimingSetupAns",
                "TxParamSetupAns",
                "ADRParamSetupAns",
                "DeviceTimeReq",
                "BeaconTimingReq"
            ]
        );
    }

    #[test]
    fn an_unknown_command_ends_the_walk() {
        let walk = parse(Link::Up, &[0x02, 0x80, 0x02]);
        assert_eq!((walk.commands.len(), walk.complete), (1, false));
    }
}
