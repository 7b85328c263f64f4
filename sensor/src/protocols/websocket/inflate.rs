//! Decompression of messages (RFC 7692 §7.2.2), bounded.

use super::MAX_MESSAGE;
use flate2::{Decompress, FlushDecompress, Status};

/// The empty block that a sender cuts off and a receiver puts back.
const TAIL: &[u8] = &[0, 0, 0xFF, 0xFF];

/// The decompressor of one direction.
pub(super) struct Inflater {
    state: Decompress,
    /// The sender forgets between messages.
    forgets: bool,
}

/// Why a message could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The bytes are no DEFLATE, or refer to what was not seen.
    Corrupt,
    /// It becomes larger than [`MAX_MESSAGE`].
    TooLarge,
}

impl Inflater {
    pub(super) fn new(forgets: bool) -> Self {
        Self { state: Decompress::new(false), forgets }
    }

    /// Decompresses a whole message.
    pub(super) fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.part(payload, out)?;
        self.part(TAIL, out)?;
        if self.forgets {
            self.state.reset(false);
        }
        Ok(())
    }

    fn part(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            if out.len() > MAX_MESSAGE {
                return Err(Failure::TooLarge);
            }
            out.reserve(input.len().clamp(1_024, 16_384));
            let (taken, made) = (self.state.total_in(), out.len());
            let status = self.state.decompress_vec(input, out, FlushDecompress::Sync).map_err(|_| Failure::Corrupt)?;
            let taken = self.state.total_in().saturating_sub(taken);
            input = input.get(taken as usize..).unwrap_or_default();
            if status == Status::StreamEnd {
                // A final block ends the compressor's state, not the message (RFC 7692 §7.2.3.4).
                self.state.reset(false);
            } else if out.len() < out.capacity() && (input.is_empty() || (taken == 0 && out.len() == made)) {
                return if input.is_empty() { Ok(()) } else { Err(Failure::Corrupt) };
            }
            if input.is_empty() && status == Status::StreamEnd {
                return Ok(());
            }
        }
    }
}
