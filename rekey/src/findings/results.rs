//! What became of the keys of findings, for `citytap findings close`: signed, without secrets.

use crate::rotation::State;
use crate::slot::{Generation, RotationId, Slot};
use crate::time::Timestamp;
use crate::words::moment;
use citytap_signing::Signer;
use citytap_signing::file;
use serde::Serialize;

/// What the file says that it is.
pub const KIND: &str = "citytap-rekey.results";
/// Version of the form that is written.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Header {
    kind: &'static str,
    version: u32,
    made: String,
}

/// What became of one finding's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    /// citytap's id of the finding.
    pub finding: String,
    /// Its check.
    pub check: String,
    /// citytap's id of the device.
    pub device: String,
    /// Whose credential.
    pub slot: Slot,
    /// The rotation.
    pub rotation: RotationId,
    /// What was replaced.
    pub from: Generation,
    /// What replaced it.
    pub to: Generation,
    /// Where the rotation is.
    pub state: State,
    /// When data first flowed under the new one.
    pub proven: Option<Timestamp>,
    /// Since when the old one is refused.
    pub retired: Option<Timestamp>,
    /// Who saw the new one in use: `verifier`, `sensor`.
    pub witnesses: Vec<&'static str>,
}

#[derive(Serialize)]
struct Line<'a> {
    finding: &'a str,
    check: &'a str,
    device: &'a str,
    slot: String,
    rotation: u64,
    from: u32,
    to: u32,
    state: String,
    proven: Option<String>,
    retired: Option<String>,
    witnesses: &'a [&'static str],
}

/// The signed file.
pub fn signed(results: &[Result], signer: &Signer, made: Timestamp) -> Vec<u8> {
    let header = Header { kind: KIND, version: VERSION, made: exact(made) };
    let line = |result: &'_ Result| -> serde_json::Value {
        let line = Line {
            finding: &result.finding,
            check: &result.check,
            device: &result.device,
            slot: result.slot.to_string(),
            rotation: result.rotation.0,
            from: result.from.0,
            to: result.to.0,
            state: result.state.to_string(),
            proven: result.proven.map(exact),
            retired: result.retired.map(exact),
            witnesses: &result.witnesses,
        };
        // Our own type has string keys alone: this cannot fail.
        serde_json::to_value(line).unwrap_or_default()
    };
    file::signed(signer, &header, &results.iter().map(line).collect::<Vec<_>>())
}

/// With the fraction of a second that citytap's times have.
fn exact(time: Timestamp) -> String {
    let text = moment(time);
    let micros = time.0.rem_euclid(1_000_000_000) / 1000;
    format!("{}.{micros:06}Z", text.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_signed_and_say_when_and_by_whom() {
        let signer = Signer::make().unwrap();
        let result = Result {
            finding: "f".into(),
            check: "c".into(),
            device: "0000000000000001".into(),
            slot: "mosquitto/dev1".parse().unwrap(),
            rotation: RotationId(7),
            from: Generation(1),
            to: Generation(2),
            state: State::Retired,
            proven: Some(Timestamp(1_795_800_000_000_001_000)),
            retired: None,
            witnesses: vec!["verifier"],
        };
        let text = String::from_utf8(signed(&[result], &signer, Timestamp(0))).unwrap();
        let (_, lines): (serde_json::Value, Vec<serde_json::Value>) = file::open("r", &text, KIND, &signer.verifier()).unwrap();
        assert_eq!(lines[0]["proven"], "2026-11-27T17:20:00.000001Z");
        assert_eq!((&lines[0]["state"], &lines[0]["rotation"]), (&serde_json::json!("retired"), &serde_json::json!(7)));
    }
}
