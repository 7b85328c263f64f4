//! Downlinks to LoRaWAN devices by way of a network server: what may be sent at all, who sends it, and what it costs on air.

use crate::backends::Refusal;
use crate::policy::deny;
use crate::rotation::Outcome;
use crate::slot::Effecting;
use crate::time::{Span, Timestamp};
use zeroize::Zeroizing;

/// Longest application payload at the slowest data rate (RP002-1.0.4, EU868 DR0 and others): 51 bytes.
pub const PAYLOAD_MAX: usize = 51;

/// A downlink that may be sent: it is none of those that destroy. Its payload may be a key, so it cannot be printed.
pub struct Downlink {
    port: u8,
    payload: Zeroizing<Vec<u8>>,
}

/// Why a downlink is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It resets, switches activation, or forces a change that the device cannot take back.
    #[error("this command {0}; it is never sent: go to the device if it is really wanted")]
    Destructive(&'static str),
    /// No room at the slowest data rate.
    #[error("it has more than {PAYLOAD_MAX} bytes, which do not fit at the slowest data rate")]
    TooLong,
    /// Port 0 is for MAC commands, 224 and above are reserved (TS001-1.0.4 §4.3.2).
    #[error("the port is none of 1 to 223")]
    Port,
}

impl Downlink {
    /// A downlink on a port.
    ///
    /// # Errors
    /// It is on the list of what destroys, too long, or on a port that is not the application's.
    pub fn new(port: u8, payload: Vec<u8>) -> Result<Self, Denied> {
        let payload = Zeroizing::new(payload);
        if !(1..=223).contains(&port) {
            return Err(Denied::Port);
        }
        if payload.len() > PAYLOAD_MAX {
            return Err(Denied::TooLong);
        }
        if let Some(what) = deny::destroys(&payload) {
            return Err(Denied::Destructive(what));
        }
        Ok(Self { port, payload })
    }

    /// FPort.
    pub fn port(&self) -> u8 {
        self.port
    }

    /// The payload in clear, for the one who encrypts it.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// How long it is on air at this spreading factor, 125 kHz wide.
    pub fn airtime(&self, spreading_factor: u8) -> Span {
        airtime(self.payload.len() + OVERHEAD, spreading_factor, false)
    }
}

/// MHDR, FHDR without options, FPort and MIC.
const OVERHEAD: usize = 13;

/// Time on air of so many bytes of PHYPayload at 125 kHz, coding rate 4/5, explicit header (Semtech SX1276 data sheet rev. 7 §4.1.1.6). Uplinks have a checksum.
pub fn airtime(length: usize, spreading_factor: u8, is_uplink: bool) -> Span {
    let factor = i64::from(spreading_factor.clamp(7, 12));
    let symbol = (1_000_000_000 << factor) / 125_000;
    let slow = if factor > 10 { 2 } else { 0 };
    let bits = 8 * length as i64 - 4 * factor + 28 + if is_uplink { 16 } else { 0 };
    let per_group = 4 * (factor - slow);
    let payload = 8 + (bits.max(0) + per_group - 1) / per_group * 5;
    Span(symbol * 49 / 4 + symbol * payload)
}

/// What a device sent.
pub struct Uplink {
    /// FPort.
    pub port: u8,
    /// The payload in clear; it may be a key.
    pub payload: Zeroizing<Vec<u8>>,
    /// When it was received.
    pub at: Timestamp,
}

/// A network server as the way to devices and back.
pub trait Route: Send + Sync {
    /// Queues downlinks in this order, each to be acknowledged by the device. Idempotent on `by`. [`Outcome::Sent`]: they wait for the device's next uplink.
    fn enqueue(&self, dev_eui: u64, downlinks: &[Downlink], by: Effecting) -> Outcome;

    /// What the device sent on this port at or after `since`, oldest first.
    ///
    /// # Errors
    /// It cannot be told.
    fn uplinks(&self, dev_eui: u64, port: u8, since: Timestamp) -> Result<Vec<Uplink>, Refusal>;

    /// When application data of the device was last decrypted, in its present session. `None`: never, or the network server does not tell; then the tap must.
    ///
    /// # Errors
    /// It cannot be told.
    fn last_data(&self, dev_eui: u64) -> Result<Option<Timestamp>, Refusal> {
        let _ = dev_eui;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_is_never_sent() {
        for (port, payload) in [
            (2, &[0x04, 0xfe][..]),
            (2, &[0x20, 0x00]),
            (2, &[0x20, 0x01, 0x05]),
            (128, b"wFORCE"),
            (128, b" wforce"),
            (128, b"sAppKey=00;wFORCE"),
        ] {
            assert!(matches!(Downlink::new(port, payload.to_vec()), Err(Denied::Destructive(_))), "{payload:02x?}");
        }
        assert!(Downlink::new(2, vec![0x04, 0xff]).is_ok() && Downlink::new(128, b"w".to_vec()).is_ok());
        assert_eq!(Downlink::new(0, vec![1]).err(), Some(Denied::Port));
        assert_eq!(Downlink::new(224, vec![1]).err(), Some(Denied::Port));
        assert_eq!(Downlink::new(1, vec![0; 52]).err(), Some(Denied::TooLong));
    }

    /// Figures of the LoRaWAN airtime calculator of The Things Network for 23 bytes of PHYPayload, 125 kHz, 4/5.
    #[test]
    fn time_on_air() {
        assert_eq!(airtime(23, 7, true), Span(61_696_000));
        assert_eq!(airtime(23, 12, true), Span(1_482_752_000));
        let key = Downlink::new(128, vec![b'a'; 40]).unwrap();
        assert!(key.airtime(12) > Span::seconds(2) && key.airtime(12) < Span::seconds(3));
    }
}
