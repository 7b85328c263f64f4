//! Every secret sealed anew, when the sealing key is replaced.

use super::{Change, Journal, JournalError, sealed_value};
use crate::backends::Refusal;
use crate::secrets::{Bound, Sealed};
use crate::slot::{Generation, RotationId, Slot};

/// Seals one secret anew; `None` where the present key sealed it.
pub type Again<'a> = &'a dyn Fn(&Sealed, Bound<'_>) -> Result<Option<Sealed>, Refusal>;

impl Journal {
    /// Seals every secret anew, all of them or none. Answers how many were.
    ///
    /// # Errors
    /// One of them does not open, or the disk refuses: nothing was changed.
    pub fn reseal(&self, again: Again<'_>) -> Result<usize, JournalError> {
        let _changing = self.changing();
        let mut changes: Vec<Change> = Vec::new();
        for (key, value) in self.store.under(b"k")? {
            let damaged = || self.error("a secret's record is damaged", "restore the latest copy");
            let (name, generation) = place(&key).ok_or_else(damaged)?;
            let slot: Slot = name.parse().map_err(|_| damaged())?;
            let (Some(rotation), Some(version), Some(sealed)) = (number(&value, 0), number(&value, 8), value.get(16..)) else {
                return Err(damaged());
            };
            let rotation = RotationId(rotation);
            let bound = Bound { slot: &slot, generation, rotation };
            if let Some(sealed) = again(&Sealed(sealed.to_vec()), bound).map_err(|refusal| self.refused(&refusal))? {
                changes.push((key, Some(sealed_value(rotation, version, &sealed))));
            }
        }
        let count = changes.len();
        if count > 0 {
            changes.push(self.next_version().1);
            self.write(changes)?;
        }
        Ok(count)
    }
}

/// Slot and generation of a secret's key: `k`, the slot, a zero byte, four bytes.
fn place(key: &[u8]) -> Option<(String, Generation)> {
    let (rest, generation) = key.strip_prefix(b"k")?.split_last_chunk::<4>()?;
    let name = rest.strip_suffix(b"\0")?;
    Some((String::from_utf8(name.to_vec()).ok()?, Generation(u32::from_be_bytes(*generation))))
}

fn number(value: &[u8], at: usize) -> Option<u64> {
    value.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}
