//! The results of the module that replaces keys: a signed file in which each line says of one finding what became of its key. Only a line that
//! says that the new key is proven in use and the old one refused closes a finding.

use super::kept::Closed;
use crate::inventory::{DeviceId, when};
use crate::store::Proof;
use citytap_sensor::time::Timestamp;
use citytap_signing::Verifier;
use citytap_signing::file::{self, FileError};
use serde::Deserialize;

/// What the file says that it is.
pub const KIND: &str = "citytap-rekey.results";

/// Version of the form that is read.
pub const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Deserialize)]
struct Line {
    finding: String,
    check: String,
    device: DeviceId,
    slot: String,
    rotation: u64,
    from: u32,
    to: u32,
    state: String,
    #[serde(default, with = "when::maybe")]
    proven: Option<Timestamp>,
    #[serde(default, with = "when::maybe")]
    retired: Option<Timestamp>,
    #[serde(default)]
    witnesses: Vec<String>,
}

/// Why a line closes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// The rotation is not at its end.
    #[error("its rotation is {0}, and only one that is retired proves that the old key is refused")]
    State(String),
    /// Nothing was replaced.
    #[error("the key itself stayed as it was (generation {0})")]
    Same(u32),
    /// What a proof says is missing.
    #[error("the line does not say {0}")]
    Missing(&'static str),
}

/// The finding of a line, and its proof or why it is none.
pub type Told = (String, Result<Proof, NoProof>);

/// Reads results: for each line the finding and its proof, or why it is none.
///
/// # Errors
/// Where the file is not signed by this key, or of another form.
pub fn read(place: &str, text: &str, key: &Verifier) -> Result<Vec<Told>, FileError> {
    let (header, lines): (Header, Vec<Line>) = file::open(place, text, KIND, key)?;
    if header.version != VERSION {
        let why = format!("the results have version {}, and this citytap reads version {VERSION}", header.version);
        return Err(FileError::Line { place: place.to_owned(), line: 1, why });
    }
    let signed_by = key.id().0;
    Ok(lines.into_iter().map(|line| (line.finding.clone(), proof(line, &signed_by))).collect())
}

fn proof(line: Line, key: &str) -> Result<Proof, NoProof> {
    if line.state != "retired" {
        return Err(NoProof::State(line.state.chars().take(20).collect()));
    }
    if line.from == line.to {
        return Err(NoProof::Same(line.from));
    }
    if !line.witnesses.iter().any(|witness| witness == "verifier") {
        return Err(NoProof::Missing("that the verifier saw the new key in use"));
    }
    let closed = Closed {
        at: line.retired.ok_or(NoProof::Missing("since when the old key is refused"))?,
        proven: line.proven.ok_or(NoProof::Missing("when the new key was seen in use"))?,
        slot: line.slot,
        rotation: line.rotation,
        from: line.from,
        to: line.to,
        witnesses: line.witnesses,
        key: key.to_owned(),
    };
    Ok(Proof { finding: line.finding, check: line.check, device: line.device, closed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_signing::Signer;
    use serde_json::{Value, json};

    fn read_line(change: &[(&str, Value)]) -> Result<Proof, NoProof> {
        let signer = Signer::make().unwrap();
        let mut line = json!({
            "finding": "f", "check": "c", "device": "0000000000000001", "slot": "mosquitto/dev1", "rotation": 7, "from": 1, "to": 2, "state": "retired",
            "proven": "2026-11-28T03:00:00.000000Z", "retired": "2026-11-29T03:00:00.000000Z", "witnesses": ["verifier", "sensor"],
        });
        change.iter().for_each(|(name, value)| line[*name] = value.clone());
        let bytes = file::signed(&signer, &json!({"kind": KIND, "version": 1}), &[line]);
        let mut read = read("results", std::str::from_utf8(&bytes).unwrap(), &signer.verifier()).unwrap();
        read.remove(0).1
    }

    #[test]
    fn only_a_retired_old_key_and_a_proven_new_one_close_a_finding() {
        let proof = read_line(&[]).unwrap();
        assert_eq!((proof.closed.rotation, proof.closed.to, proof.device), (7, 2, DeviceId(1)));
        assert_eq!(read_line(&[("state", json!("grace"))]), Err(NoProof::State("grace".into())));
        assert_eq!(read_line(&[("state", json!("kept"))]), Err(NoProof::State("kept".into())));
        assert_eq!(read_line(&[("to", json!(1))]), Err(NoProof::Same(1)));
        for change in [("proven", Value::Null), ("retired", Value::Null), ("witnesses", json!(["sensor"]))] {
            assert!(matches!(read_line(&[change]), Err(NoProof::Missing(_))));
        }
    }
}
