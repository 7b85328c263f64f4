//! The export for the day on which nothing of ours runs: every secret in use, encrypted with age (age-encryption.org/v1) to two people or more.
//! Each of them alone opens it with any implementation of age; whoever wants both to be needed encrypts what one of them gets to the other.

use super::Secret;
use super::sealing::hex;
use crate::slot::{Generation, Slot};
use serde_json::json;
use std::io::Write;
use std::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// Fewest recipients: one may be ill, lose the key, or leave.
pub const FEWEST: usize = 2;

/// Why there is no export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakGlassError {
    /// Too few, or one of them twice.
    #[error("the export is for at least {FEWEST} different recipients, and {0} given; add --recipient age1...")]
    TooFew(String),
    /// No recipient of age.
    #[error("'{typed}' is no recipient of age ({why}); a recipient begins with age1, and `age-keygen -y KEYFILE` shows it")]
    NoRecipient {
        /// What was typed.
        typed: String,
        /// Why not.
        why: String,
    },
    /// The encryption failed.
    #[error("the export could not be encrypted ({0}); nothing was written")]
    Encryption(String),
}

/// One secret of the export.
pub struct Entry {
    /// The slot.
    pub slot: Slot,
    /// Which generation.
    pub generation: Generation,
    /// Where it stands, in words.
    pub state: String,
    /// The secret.
    pub secret: Secret,
}

/// Encrypts the entries, one JSON line each (slot, generation, state, and the secret as `text` or `hex`), as age's ASCII armor.
///
/// # Errors
/// Where recipients are too few or none, or the encryption fails.
pub fn export(recipients: &[String], entries: &[Entry]) -> Result<Vec<u8>, BreakGlassError> {
    let recipients = read(recipients)?;
    let failed = |error: &dyn std::error::Error| BreakGlassError::Encryption(error.to_string());
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
        .map_err(|error| failed(&error))?;
    let mut out = Vec::new();
    let armor =
        age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor).map_err(|error| failed(&error))?;
    let mut writer = encryptor.wrap_output(armor).map_err(|error| failed(&error))?;
    for entry in entries {
        writer.write_all(line(entry).as_bytes()).map_err(|error| failed(&error))?;
    }
    writer.finish().and_then(|armor| armor.finish()).map_err(|error| failed(&error))?;
    Ok(out)
}

fn read(typed: &[String]) -> Result<Vec<age::x25519::Recipient>, BreakGlassError> {
    let mut distinct: Vec<&str> = typed.iter().map(|one| one.trim()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < FEWEST {
        let given = if typed.len() > distinct.len() {
            "one was twice"
        } else if typed.len() == 1 {
            "one was"
        } else {
            "none was"
        };
        return Err(BreakGlassError::TooFew(given.into()));
    }
    let one = |typed: &&str| {
        let no = |why: &str| BreakGlassError::NoRecipient { typed: typed.chars().take(80).collect(), why: why.to_owned() };
        // Who gives the secret key by mistake must not see it repeated.
        if typed.to_ascii_uppercase().starts_with("AGE-SECRET-KEY") {
            return Err(BreakGlassError::NoRecipient { typed: "AGE-SECRET-KEY-...".into(), why: "it is a secret key".into() });
        }
        age::x25519::Recipient::from_str(typed).map_err(no)
    };
    distinct.iter().map(one).collect()
}

fn line(entry: &Entry) -> Zeroizing<String> {
    let mut hexed = hex(entry.secret.expose());
    let head = json!({ "slot": entry.slot.to_string(), "generation": entry.generation.0, "state": entry.state }).to_string();
    let head = head.trim_end_matches('}');
    // In one allocation that is overwritten: serialising would leave copies where a buffer grew.
    let mut line = Zeroizing::new(String::with_capacity(head.len() + 8 * entry.secret.len() + 64));
    line.push_str(head);
    match entry.secret.expose_text().filter(|text| !text.chars().any(char::is_control)) {
        Some(text) => {
            line.push_str(",\"text\":\"");
            text.chars().for_each(|c| {
                if matches!(c, '"' | '\\') {
                    line.push('\\');
                }
                line.push(c);
            });
            line.push('"');
        }
        None => {
            line.push_str(",\"hex\":\"");
            line.push_str(&hexed);
            line.push('"');
        }
    }
    hexed.zeroize();
    line.push_str("}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::x25519::Identity;
    use std::io::Read;

    fn open(export: &[u8], identity: &Identity) -> Option<String> {
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(export)).ok()?;
        let mut text = String::new();
        decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, secret: &[u8]| Entry {
            slot: Slot::new("mosquitto", name).unwrap(),
            generation: Generation(2),
            state: "in use".into(),
            secret: Secret::new(secret.to_vec()),
        };
        vec![entry("dev1", br#"pass"word\"#), entry("dev2", &[0, 255])]
    }

    #[test]
    fn each_of_two_people_opens_the_export_and_nobody_else() {
        let people = [Identity::generate(), Identity::generate()];
        let recipients: Vec<String> = people.iter().map(|one| one.to_public().to_string()).collect();
        let export = export(&recipients, &entries()).unwrap();
        assert!(export.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        for one in &people {
            let text = open(&export, one).unwrap();
            let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines[0]["text"], r#"pass"word\"#);
            assert_eq!((&lines[1]["hex"], &lines[1]["slot"]), (&json!("00ff"), &json!("mosquitto/dev2")));
        }
        assert!(open(&export, &Identity::generate()).is_none());
    }

    #[test]
    fn one_person_alone_is_refused_and_a_secret_key_is_not_repeated() {
        let one = Identity::generate().to_public().to_string();
        for few in [vec![], vec![one.clone()], vec![one.clone(), one.clone()]] {
            assert!(matches!(export(&few, &[]), Err(BreakGlassError::TooFew(_))));
        }
        let secret = Identity::generate();
        let typed = age::secrecy::ExposeSecret::expose_secret(&secret.to_string()).to_owned();
        let error = export(&[one.clone(), typed.clone()], &[]).unwrap_err().to_string();
        assert!(error.contains("it is a secret key") && !error.contains(&typed), "{error}");
        assert!(export(&[one, "age1nonsense".into()], &[]).is_err());
    }
}
