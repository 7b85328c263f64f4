//! The bytes of a file as stored: counted for progress, digested for evidence where asked for.

use super::error::{CaptureError, Fault};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// A SHA-256 digest; prints as lowercase hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// SHA-256 of a file as stored, in a pass of its own; a caller with a thread to spare runs it beside the replay.
pub fn digest_file(path: &Path) -> Result<Digest, CaptureError> {
    let failed = |offset, fault| CaptureError { file: path.display().to_string(), offset, unpacked: false, packets: 0, fault };
    let file = File::open(path).map_err(|error| failed(0, Fault::Open(error)))?;
    let mut raw = Raw::new(Box::new(file), true);
    match raw.finish() {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Err(failed(0, Fault::Empty)),
        Err(fault) => Err(failed(raw.count, fault)),
    }
}

/// Bytes read at once while only the digest wants them.
const DRAIN: usize = 1 << 18;

pub(super) struct Raw {
    input: Box<dyn Read + Send>,
    digest: Option<Sha256>,
    pub(super) count: u64,
}

impl Raw {
    pub(super) fn new(input: Box<dyn Read + Send>, digest: bool) -> Self {
        Self { input, digest: digest.then(Sha256::new), count: 0 }
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.input.read(out) {
                Ok(n) => {
                    self.count += n as u64;
                    if let Some(digest) = &mut self.digest {
                        digest.update(out.get(..n).unwrap_or_default());
                    }
                    return Ok(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        }
    }

    /// The digest of the whole file, reading what is left of it; `None` where it was not asked for.
    pub(super) fn finish(&mut self) -> Result<Option<Digest>, Fault> {
        if self.digest.is_none() {
            return Ok(None);
        }
        let mut block = vec![0; DRAIN];
        while self.read(&mut block)? > 0 {}
        Ok(self.digest.take().map(|digest| Digest(digest.finalize().into())))
    }
}
