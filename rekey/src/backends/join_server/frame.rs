//! The frames that reach a Join Server: join-request (TS001-1.0.4 §6.2.4) and rejoin-request (LoRaWAN 1.1 §6.2.4). Integers are least significant byte first.
//!
//! ```text
//! join-request       MHDR(1) = 0x00  JoinEUI(8) DevEUI(8) DevNonce(2)              MIC(4)
//! rejoin-request 0,2 MHDR(1) = 0xc0  type(1) NetID(3) DevEUI(8) RJcount0(2)        MIC(4)
//! rejoin-request 1   MHDR(1) = 0xc0  type(1) JoinEUI(8) DevEUI(8) RJcount1(2)      MIC(4)
//! ```

use super::accept::JOIN;
use super::keys::Key;
use super::message::{Refused, ResultCode};

/// A join-request or rejoin-request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// [`JOIN`], or the type of the rejoin-request.
    pub kind: u8,
    /// JoinEUI, where the frame has one.
    pub join_eui: Option<u64>,
    /// NetID, where the frame has one.
    pub net_id: Option<u32>,
    /// DevEUI.
    pub dev_eui: u64,
    /// DevNonce or RJcount.
    pub nonce: u16,
    message: &'a [u8],
    mic: [u8; 4],
}

impl<'a> Frame<'a> {
    /// Reads a PHYPayload.
    ///
    /// # Errors
    /// Another frame type, or not its length.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let malformed = |why: &'static str| Refused::new(ResultCode::Malformed, why);
        let wrong_size = || Refused::new(ResultCode::FrameSizeError, "PHYPayload has another length than its frame type");
        let (message, mic) = bytes.split_last_chunk::<4>().ok_or_else(wrong_size)?;
        let (mhdr, body) = message.split_first().ok_or_else(wrong_size)?;
        let (kind, body) = match (mhdr, body.split_first()) {
            (0x00, _) => (JOIN, body),
            (0xc0, Some((kind @ 0..=2, body))) => (*kind, body),
            (0xc0, _) => return Err(malformed("the rejoin type is none of 0, 1 and 2")),
            _ => return Err(malformed("PHYPayload is no join-request and no rejoin-request of LoRaWAN R1")),
        };
        let (network, device) = match (kind, body.len()) {
            (JOIN | 1, 18) => body.split_at_checked(8).ok_or_else(wrong_size)?,
            (0 | 2, 13) => body.split_at_checked(3).ok_or_else(wrong_size)?,
            _ => return Err(wrong_size()),
        };
        let (dev_eui, nonce) = device.split_first_chunk::<8>().ok_or_else(wrong_size)?;
        let nonce = <[u8; 2]>::try_from(nonce).map_err(|_| wrong_size())?;
        let number = network.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self {
            kind,
            join_eui: (network.len() == 8).then_some(number),
            net_id: (network.len() == 3).then_some(number as u32),
            dev_eui: u64::from_le_bytes(*dev_eui),
            nonce: u16::from_le_bytes(nonce),
            message,
            mic: *mic,
        })
    }

    /// Whether the key makes the code that the frame carries.
    pub fn fits(&self, key: &Key) -> bool {
        key.mic(&[self.message]) == self.mic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_frame_has_its_length() {
        for length in 0..64 {
            for (head, lengths) in [(&[0x00][..], &[23][..]), (&[0xc0, 0], &[19]), (&[0xc0, 1], &[24]), (&[0xc0, 2], &[19])] {
                let mut bytes = head.to_vec();
                bytes.resize(length.max(head.len()), 7);
                let read = Frame::parse(&bytes);
                assert_eq!(read.is_ok(), lengths.contains(&bytes.len()), "{head:?} {length}");
            }
        }
        assert_eq!(Frame::parse(&[0xc0, 3, 0, 0, 0, 0]).unwrap_err().code, ResultCode::Malformed);
        assert_eq!(Frame::parse(&[0x40; 23]).unwrap_err().code, ResultCode::Malformed);
        assert_eq!(Frame::parse(&[]).unwrap_err().code, ResultCode::FrameSizeError);
    }

    #[test]
    fn fields_are_least_significant_first() {
        let mut bytes = vec![0x00];
        bytes.extend(1..=18);
        bytes.extend([0; 4]);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.join_eui, frame.dev_eui, frame.nonce), (Some(0x0807060504030201), 0x100f0e0d0c0b0a09, 0x1211));
        let mut bytes = vec![0xc0, 2];
        bytes.extend(1..=13);
        bytes.extend([0; 4]);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(
            (frame.net_id, frame.join_eui, frame.dev_eui, frame.nonce),
            (Some(0x030201), None, 0x0b0a090807060504, 0x0d0c)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Frame::parse(&bytes);
        }
    }
}
