//! The records, and the facts that each frame implies.

use super::address::NetId;
use super::commands::Command;
use super::packages::PackageCommand;
use super::{dev_addr, dev_eui, gateway_eui};
use crate::observation::{Attribute, Confidence, DevAddr, Eui, Fact, Hex, Presence, Role, SecurityAspect, Text};
use crate::record;
use smallvec::SmallVec;

/// Facts of one frame.
pub(super) type Facts<'a> = SmallVec<[Fact<'a>; 6]>;

/// Declares a record of a frame: its own fields, then those of its reception, alike for all.
macro_rules! frame {
    ($(#[doc = $doc:literal])+ pub struct $type:ident = $name:literal { $($body:tt)* }) => {
        record! {
            $(#[doc = $doc])+
            pub struct $type<'a> = $name {
                $($body)*
                /// The whole PHYPayload as it was on the air, encrypted parts included.
                pub phy_payload: Hex<'a>,
                /// EUI of the radio gateway that heard or was to send the frame, where the carrier tells it.
                pub gateway: Option<Eui>,
                /// Centre frequency in Hz.
                pub frequency_hz: Option<u32>,
                /// Data rate as the carrier tells it, as in `SF7BW125`; bits a second for FSK.
                pub data_rate: Option<&'a str>,
                /// Received signal strength in dBm.
                pub rssi_dbm: Option<f32>,
                /// Signal to noise ratio in dB.
                pub snr_db: Option<f32>,
                /// The gateway's own clock in microseconds, wrapping at 2^32: when the frame was received or is to be sent.
                pub tmst_us: Option<u32>,
                /// Whether the radio checksum was right; false where the frame had none. As the carrier tells it: most pass on only what was right.
                pub checksum_right: Option<bool>,
                /// How the carrier says when to send: `at_tmst`, `after_uplink` (`tmst_us` is the uplink's), `at_gps_time`, `immediately`.
                pub timing: Option<&'static str>,
                /// After an uplink: microseconds from it to the transmission, to RX1 where both windows are offered.
                pub delay_us: Option<u32>,
            }
        }
    };
}

frame! {
    /// A device asks to join (TS001-1.0.4 §6.2.4).
    pub struct JoinRequest = "lorawan.join_request" {
        /// JoinEUI: whom it asks (AppEUI before 1.0.4).
        pub join_eui: Eui,
        /// DevEUI.
        pub dev_eui: Eui,
        /// DevNonce: random before 1.0.4, counting up since.
        pub dev_nonce: u16,
        /// Message integrity code as it is on the wire.
        pub mic: Hex<'a>,
    }
}

frame! {
    /// The network lets a device join (TS001-1.0.4 §6.2.5). Encrypted, the MIC included.
    pub struct JoinAccept = "lorawan.join_accept" {
        /// Whether its length has room for a list of channels.
        pub has_cf_list: bool,
    }
}

frame! {
    /// A device asks for a new session (LoRaWAN 1.1 §6.2.4).
    pub struct RejoinRequest = "lorawan.rejoin_request" {
        /// 0 or 1: resets everything; 2: new keys alone. Type 1 goes to the join server.
        pub rejoin_type: u8,
        /// The home network (types 0 and 2).
        pub net_id: Option<NetId>,
        /// JoinEUI (type 1).
        pub join_eui: Option<Eui>,
        /// DevEUI.
        pub dev_eui: Eui,
        /// RJcount0 (types 0 and 2) or RJcount1 (type 1): counts up.
        pub rj_count: u16,
        /// Message integrity code as it is on the wire.
        pub mic: Hex<'a>,
    }
}

frame! {
    /// A data frame (TS001-1.0.4 §4.3).
    pub struct DataFrame = "lorawan.data" {
        /// `uplink` or `downlink`.
        pub direction: &'static str,
        /// Whether an acknowledgement is wanted.
        pub confirmed: bool,
        /// DevAddr.
        pub dev_addr: DevAddr,
        /// The network that the address's prefix names (TS002-1.1.0 §11).
        pub net_id: Option<NetId>,
        /// The FCtrl octet.
        pub f_ctrl: u8,
        /// The network controls the data rate.
        pub adr: bool,
        /// Uplink: the device asks whether the network still hears it.
        pub adr_ack_req: Option<bool>,
        /// The last confirmed frame is acknowledged.
        pub ack: bool,
        /// Downlink: more data waits.
        pub f_pending: Option<bool>,
        /// Uplink: the device is in class B.
        pub class_b: Option<bool>,
        /// The 16 low bits of the frame counter.
        pub f_cnt_lsb: u16,
        /// FOpts as it is on the wire.
        pub f_opts: Option<Hex<'a>>,
        /// MAC commands in FOpts, read as in 1.0.x.
        pub commands: &'a [Command],
        /// Whether FOpts was commands to its end. If not, the commands told can be wrong: 1.1 encrypts FOpts.
        pub commands_complete: Option<bool>,
        /// FPort: 0 MAC commands, 1 to 223 the application, 224 certification, 200 to 203 by custom the application packages.
        pub f_port: Option<u8>,
        /// Length of FRMPayload in bytes, 0 to 242.
        pub payload_length: u16,
        /// Message integrity code as it is on the wire.
        pub mic: Hex<'a>,
    }
}

frame! {
    /// A proprietary frame (FType 7).
    pub struct Proprietary = "lorawan.proprietary" {
        /// Length of what follows the MHDR, in bytes.
        pub payload_length: u16,
    }
}

frame! {
    /// A frame with a LoRaWAN header that breaks the frame format; its anomaly says how.
    pub struct Unreadable = "lorawan.unreadable" {
        /// Frame type, 0 to 7.
        pub f_type: u8,
    }
}

record! {
    /// What a join-accept says once it is decrypted (TS001-1.0.4 §6.2.5). Derived, by whoever proved the key.
    pub struct JoinAcceptDecrypted<'a> = "lorawan.join_accept_decrypted" {
        /// The device that joined, where it is known.
        pub dev_eui: Option<Eui>,
        /// JoinNonce (AppNonce before 1.0.4), 24 bits.
        pub join_nonce: u32,
        /// The network joined.
        pub net_id: NetId,
        /// The address given.
        pub dev_addr: DevAddr,
        /// The network speaks LoRaWAN 1.1.
        pub opt_neg: bool,
        /// RX1DROffset.
        pub rx1_data_rate_offset: u8,
        /// RX2DataRate.
        pub rx2_data_rate: u8,
        /// Seconds from an uplink to RX1.
        pub rx_delay_s: u8,
        /// Frequencies of additional channels in Hz (CFList type 0).
        pub frequencies_hz: &'a [u32],
        /// Channel masks (CFList type 1).
        pub channel_masks: &'a [u16],
    }
}

record! {
    /// MAC commands that were readable once decrypted: port 0, or FOpts of a 1.1 session. Derived, by whoever proved the key.
    pub struct MacCommands<'a> = "lorawan.mac_commands" {
        /// `uplink` or `downlink`.
        pub direction: &'static str,
        /// DevEUI, where it is known.
        pub dev_eui: Option<Eui>,
        /// DevAddr.
        pub dev_addr: DevAddr,
        /// The whole frame counter.
        pub f_cnt: u32,
        /// The commands.
        pub commands: &'a [Command],
        /// Whether all bytes were commands.
        pub commands_complete: bool,
        /// The commands as bytes.
        pub bytes: Hex<'a>,
    }
}

record! {
    /// A message of an application package on ports 200 to 203, decrypted (TS003 to TS006). Derived, by whoever proved the key.
    pub struct PackageMessage<'a> = "lorawan.package_message" {
        /// `uplink` or `downlink`.
        pub direction: &'static str,
        /// DevEUI, where it is known.
        pub dev_eui: Option<Eui>,
        /// DevAddr.
        pub dev_addr: DevAddr,
        /// FPort.
        pub f_port: u8,
        /// Name of the package, as in `firmware_management`.
        pub package: &'static str,
        /// The commands.
        pub commands: &'a [PackageCommand],
        /// Whether all bytes were commands.
        pub commands_complete: bool,
    }
}

record! {
    /// What an application sent, decrypted; its own format is not read. Derived, by whoever proved the key.
    pub struct ApplicationPayload<'a> = "lorawan.application_payload" {
        /// `uplink` or `downlink`.
        pub direction: &'static str,
        /// DevEUI, where it is known.
        pub dev_eui: Option<Eui>,
        /// DevAddr.
        pub dev_addr: DevAddr,
        /// The whole frame counter.
        pub f_cnt: u32,
        /// FPort.
        pub f_port: u8,
        /// FRMPayload, at most 242 bytes.
        pub payload: Hex<'a>,
    }
}

impl JoinRequest<'_> {
    pub(super) fn facts(&self) -> Facts<'static> {
        let id = dev_eui(self.dev_eui.0);
        let mut facts = Facts::new();
        facts.push(Fact::Identity { id, presence: Presence::Proved });
        facts.push(Fact::Role { id, role: Role::EndDevice });
        facts.push(Fact::Attribute {
            id,
            name: Attribute::JoinEui,
            value: Text::Hex(self.join_eui.0, 16),
            confidence: Confidence::Seen,
            field: "lorawan.join_eui",
        });
        facts.push(Fact::Security { id, aspect: SecurityAspect::Activation, value: Text::Str("otaa") });
        facts.extend(self.gateway.map(|gateway| Fact::Via { id, via: gateway_eui(gateway.0) }));
        facts
    }
}

impl RejoinRequest<'_> {
    pub(super) fn facts(&self) -> Facts<'static> {
        let id = dev_eui(self.dev_eui.0);
        let mut facts = Facts::new();
        facts.push(Fact::Identity { id, presence: Presence::Proved });
        facts.push(Fact::Role { id, role: Role::EndDevice });
        // Rejoin-requests came with 1.1.
        facts.push(Fact::Attribute {
            id,
            name: Attribute::ProtocolVersion,
            value: Text::Version(1, 1),
            confidence: Confidence::Seen,
            field: "lorawan.rejoin_type",
        });
        facts.push(Fact::Security { id, aspect: SecurityAspect::Activation, value: Text::Str("otaa") });
        facts.extend(self.gateway.map(|gateway| Fact::Via { id, via: gateway_eui(gateway.0) }));
        facts
    }
}

impl DataFrame<'_> {
    pub(super) fn facts(&self, uplink: bool) -> Facts<'static> {
        let id = dev_addr(self.dev_addr.0);
        let mut facts = Facts::new();
        if !uplink {
            facts.push(Fact::Identity { id, presence: Presence::Mentioned });
            return facts;
        }
        facts.push(Fact::Identity { id, presence: Presence::Sent });
        facts.push(Fact::Role { id, role: Role::EndDevice });
        facts.extend(self.gateway.map(|gateway| Fact::Via { id, via: gateway_eui(gateway.0) }));
        facts.extend(self.f_port.filter(|port| (1..=223).contains(port)).map(|port| Fact::Attribute {
            id,
            name: Attribute::CodecHint,
            value: Text::Number(u64::from(port)),
            confidence: Confidence::Seen,
            field: "lorawan.f_port",
        }));
        facts
    }
}
