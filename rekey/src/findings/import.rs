//! A file of findings about keys: `citytap export rekey --sign KEY`.

use crate::policy::{Policy, Trigger};
use crate::slot::Slot;
use crate::time::{Span, Timestamp};
use crate::words::{moment, parse_moment, span};
use citytap_signing::Verifier;
use citytap_signing::file::{self, FileError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the file says that it is.
pub const KIND: &str = "citytap.key-findings";
/// Version of the form that is read.
pub const VERSION: u32 = 1;

/// How far citytap's clock may be ahead of ours.
const AHEAD: Span = Span::seconds(600);

#[derive(Deserialize)]
struct Header {
    version: u32,
    site: String,
    made: String,
    as_of: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Finding(Box<Finding>),
    Presented(Presented),
}

/// A name of a device, as citytap tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its kind, as in `dev_eui`.
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// A finding about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// citytap's id of it.
    pub id: String,
    /// The check.
    pub check: String,
    /// Why the key should be replaced.
    pub matter: Trigger,
    /// How bad, in citytap's word.
    pub severity: String,
    /// How sure, in citytap's word.
    pub confidence: String,
    /// What was found, as a sentence.
    pub message: String,
    /// citytap's id of the device.
    pub device: String,
    /// The device's names.
    pub identities: Vec<Identity>,
    /// When it was last seen, in UTC.
    #[serde(default)]
    pub last_seen: Option<String>,
}

/// What a device presented, as a digest under the key that the two programs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// The device's names.
    pub identities: Vec<Identity>,
    /// What kind of credential it was.
    pub kind: String,
    /// Its digest, in hex.
    pub digest: String,
    /// When it was last presented, in UTC.
    pub last_seen: String,
    /// When it was last accepted, where that was seen.
    #[serde(default)]
    pub last_accepted: Option<String>,
    /// When it was last refused, where that was seen.
    #[serde(default)]
    pub last_refused: Option<String>,
}

/// A file that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The site that it is about.
    pub site: String,
    /// When it was made.
    pub made: Timestamp,
    /// Findings whose device is a slot.
    pub found: Vec<(Finding, Slot)>,
    /// Findings whose device is none that is known here.
    pub unmapped: Vec<Finding>,
    /// What devices presented.
    pub presented: Vec<(Presented, Slot)>,
}

/// Why a file of findings is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not what citytap signed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another version wrote it.
    #[error(
        "{place}: the findings have version {version}, and this citytap-rekey reads version {VERSION}; update the older of the two programs"
    )]
    Version {
        /// The file.
        place: String,
        /// Its version.
        version: u32,
    },
    /// It is too old.
    #[error("{place} was made at {made}, and findings hold for {holds}; export them anew with `citytap export rekey`")]
    Old {
        /// The file.
        place: String,
        /// When it was made.
        made: String,
        /// How long findings hold.
        holds: String,
    },
    /// It is from the future.
    #[error("{place} was made at {made}, which is still to come by this machine's clock; set both clocks")]
    Future {
        /// The file.
        place: String,
        /// When it was made.
        made: String,
    },
    /// A newer one was used already.
    #[error(
        "{place} was made at {made}, and newer findings of this site ({newer}) were used already: it is an old file, or somebody plays it again"
    )]
    Replayed {
        /// The file.
        place: String,
        /// When it was made.
        made: String,
        /// When the newer one was.
        newer: String,
    },
    /// A time in it is none.
    #[error("{place}: '{text}' is no time in UTC; the file was made by another version")]
    Time {
        /// The file.
        place: String,
        /// What stands there.
        text: String,
    },
}

/// What is asked of a file beside its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How long findings hold.
    pub holds: Span,
    /// By site, when the newest findings that were used were made.
    pub used: BTreeMap<String, Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// Reads a file of findings.
///
/// # Errors
/// Why nothing of it is used.
pub fn read(place: &str, text: &str, key: &Verifier, fresh: &Freshness, policy: &Policy) -> Result<Imported, ImportError> {
    let (header, lines): (Header, Vec<Line>) = file::open(place, text, KIND, key)?;
    let place = place.to_owned();
    if header.version != VERSION {
        return Err(ImportError::Version { place, version: header.version });
    }
    let time = |text: &str| {
        let text_shown = text.chars().take(40).collect();
        parse_moment(text).ok_or(ImportError::Time { place: place.clone(), text: text_shown })
    };
    let made = time(&header.made)?;
    time(&header.as_of)?;
    if made > fresh.now.plus(AHEAD) {
        return Err(ImportError::Future { place, made: moment(made) });
    }
    if fresh.now.since(made) > fresh.holds {
        return Err(ImportError::Old { place, made: moment(made), holds: span(fresh.holds) });
    }
    if let Some(newer) = fresh.used.get(&header.site).filter(|used| made < **used) {
        return Err(ImportError::Replayed { place, made: moment(made), newer: moment(*newer) });
    }
    let slot = |identities: &[Identity]| {
        policy.slots.slot(identities.iter().map(|identity| (identity.kind.as_str(), identity.value.as_str())))
    };
    let mut imported = Imported { site: header.site, made, found: Vec::new(), unmapped: Vec::new(), presented: Vec::new() };
    for line in lines {
        match line {
            Line::Finding(finding) => match slot(&finding.identities) {
                Some(slot) => imported.found.push((*finding, slot)),
                None => imported.unmapped.push(*finding),
            },
            Line::Presented(presented) => {
                time(&presented.last_seen)?;
                imported.presented.extend(slot(&presented.identities).map(|slot| (presented, slot)));
            }
        }
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_signing::Signer;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_795_800_000_000_000_000);

    fn file(signer: &Signer, made: Timestamp, version: u32) -> String {
        let header = json!({"kind": KIND, "version": version, "site": "town", "made": moment(made), "as_of": "2026-11-01T00:00:00.000000Z"});
        let finding = |id: &str, identity: &str| {
            json!({"finding": {
                "id": id, "check": "default-password-used", "matter": "default_credential", "severity": "high", "confidence": "seen", "message": "m",
                "device": "0000000000000001", "identities": [{"kind": "mqtt_client", "value": identity}], "last_seen": null, "count": 1, "evidence": [],
            }})
        };
        let presented = json!({"presented": {
            "device": "0000000000000001", "identities": [{"kind": "mqtt_client", "value": "lamp-1"}], "kind": "password", "digest": "00", "count": 1,
            "last_seen": "2026-11-01T00:00:00.000000Z", "last_accepted": null, "last_refused": null,
        }});
        let bytes = file::signed(signer, &header, &[finding("a", "lamp-1"), finding("b", "x\u{7}"), presented]);
        String::from_utf8(bytes).unwrap()
    }

    fn fresh(used: &[(&str, Timestamp)]) -> Freshness {
        let used = used.iter().map(|(site, at)| ((*site).to_owned(), *at)).collect();
        Freshness { holds: Span::hours(24), used, now: NOW }
    }

    fn policy() -> Policy {
        let mut policy = Policy::shipped();
        policy.slots.rules.push(("mqtt_client".into(), "mosquitto/{}".into()));
        policy
    }

    #[test]
    fn findings_are_mapped_to_slots_and_those_without_one_are_told() {
        let signer = Signer::make().unwrap();
        let imported = read("f", &file(&signer, NOW, 1), &signer.verifier(), &fresh(&[]), &policy()).unwrap();
        assert_eq!(
            imported.found.iter().map(|(finding, slot)| (finding.id.as_str(), slot.to_string())).collect::<Vec<_>>(),
            [("a", "mosquitto/lamp-1".into())]
        );
        assert_eq!((imported.unmapped.len(), imported.presented.len(), imported.site.as_str()), (1, 1, "town"));
        assert_eq!(imported.found[0].0.matter, Trigger::DefaultCredential);
    }

    #[test]
    fn findings_that_are_old_early_replayed_forged_or_of_another_version_are_refused() {
        let signer = Signer::make().unwrap();
        let hour = Span::hours(1);
        let refused = |made: Timestamp, used: &[(&str, Timestamp)], version: u32, key: &Signer| {
            read("f", &file(&signer, made, version), &key.verifier(), &fresh(used), &policy()).unwrap_err()
        };
        assert!(matches!(refused(Timestamp(NOW.0 - Span::hours(25).0), &[], 1, &signer), ImportError::Old { .. }));
        assert!(matches!(refused(NOW.plus(hour), &[], 1, &signer), ImportError::Future { .. }));
        assert!(matches!(refused(NOW, &[("town", NOW.plus(hour))], 1, &signer), ImportError::Replayed { .. }));
        assert!(matches!(refused(NOW, &[], 2, &signer), ImportError::Version { .. }));
        assert!(matches!(refused(NOW, &[], 1, &Signer::make().unwrap()), ImportError::File(FileError::OtherKey { .. })));
        assert!(read("f", &file(&signer, NOW, 1), &signer.verifier(), &fresh(&[("other", NOW.plus(hour))]), &policy()).is_ok());
    }
}
