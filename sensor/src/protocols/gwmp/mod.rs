//! GWMP: the Gateway Message Protocol between packet forwarders and network servers, known as Semtech UDP, versions 1 and 2.
//!
//! Every received radio packet becomes a `gwmp.rx_packet` (several in one datagram are several records), every status report a `gwmp.stat`,
//! every packet to be sent a `gwmp.pull_resp`; acknowledgements and keep-alives have records of their own, with the time they took. LoRa
//! payloads go on as `lorawan.phy_payload`, unless the gateway says that their checksum failed: such packets are noise, and stay a record
//! here. The gateway is the client.
//!
//! The JSON is read in one borrowed pass. What real forwarders send is taken: `ncrc` and `imme` as strings, a `time` beside `rxpk`,
//! nanosecond time stamps, base64 without padding or with escaped slashes, a NUL at the end.
//!
//! Recognised by content, not by port: other protocols use 1700 (RADIUS dynamic authorization), and gateways use other ports.
//!
//! Not decoded: the encrypted fine time stamps of version 2 gateways, and the mail address in status reports, which names a person.
//!
//! Documents: PROTOCOL.TXT of Lora-net packet_forwarder 4.0.1 and of sx1302_hal 2.1.0; the rsig extension of Semtech's version 2 gateways.

mod json;
mod record;
mod session;
mod wire;

#[cfg(test)]
mod tests;

pub use record::{PullAck, PullData, PullResp, PushAck, PushData, RadioSignal, RxPacket, Stat, TxAck};

use super::{Bound, DecoderSpec, Hooks, lorawan};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "gwmp",
    title: "Semtech UDP packet forwarder",
    documents: &["Lora-net packet_forwarder PROTOCOL.TXT", "sx1302_hal PROTOCOL.md"],
    hooks: Hooks { udp: true, ports: &[1700], ..Hooks::NONE },
    max_message: 65_535,
    probe: wire::probe,
    create: || Box::new(session::Session::default()),
    records: &[
        &RxPacket::KIND,
        &Stat::KIND,
        &PushData::KIND,
        &PushAck::KIND,
        &PullData::KIND,
        &PullResp::KIND,
        &PullAck::KIND,
        &TxAck::KIND,
    ],
    anomalies: session::anomalies::ALL,
    identities: &[&lorawan::GATEWAY_EUI],
    bounds: &[
        Bound {
            name: "pending",
            value: session::PENDING,
            reason: "requests without an answer: a forwarder has a few under way, and an answer later than that pairs with nothing",
        },
        Bound {
            name: "packets",
            value: session::PACKETS,
            reason: "radio packets in one datagram: a concentrator's buffer holds 16 (255 in later ones), and 65,535 bytes hold some 2,000 empty ones",
        },
    ],
};
