//! Where things are: `rekey.toml`. What may be done stands apart, in `policy.toml`.
//!
//! ```toml
//! [state]
//! folder = "/var/lib/citytap-rekey"
//! copies = "/var/lib/citytap-rekey/copies"    # optional
//! [sealing]
//! key = "systemd:sealing-key"
//! [signing]
//! key = "/etc/citytap-rekey/rekey.pem"
//! [policy]
//! file = "policy.toml"
//! [findings]
//! key = "citytap.pem.pub"
//! holds = "24h"
//! [mosquitto]        # a part for each backend, by its name: the backend reads it
//! broker = "127.0.0.1:1883"
//! ```
//!
//! Files are looked for beside the configuration.

use crate::backends::{self, BACKENDS, Refusal};
use crate::policy::{Policy, Problem, Problems};
use crate::secrets::key_source::KeySource;
use crate::time::Span;
use crate::words::{meant, parse_span};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Where the configuration lies where none is named.
pub const DEFAULT: &str = "/etc/citytap-rekey/rekey.toml";

/// Names of ours, with what each takes.
const OWN: &[(&str, &str, &str)] = &[
    ("state", "folder", "\"/var/lib/citytap-rekey\""),
    ("state", "copies", "\"/var/lib/citytap-rekey/copies\""),
    ("sealing", "key", "\"file:/etc/citytap-rekey/sealing.key\""),
    ("signing", "key", "\"/etc/citytap-rekey/rekey.pem\""),
    ("policy", "file", "\"policy.toml\""),
    ("findings", "key", "\"citytap.pem.pub\""),
    ("findings", "holds", "\"24h\""),
];

/// Where things are.
#[derive(Clone)]
pub struct Config {
    /// Journal, audit log, findings.
    pub folder: PathBuf,
    /// Where copies of the journal go to be carried off this host, if they are: then deliveries and retirements wait until they were.
    pub copies: Option<PathBuf>,
    /// Where the sealing key comes from.
    pub sealing: KeySource,
    /// The key that signs the audit log and results.
    pub signing: PathBuf,
    /// The policy.
    pub policy: PathBuf,
    /// The key that citytap signs findings with, where findings are taken.
    pub findings_key: Option<PathBuf>,
    /// How long findings hold.
    pub findings_hold: Span,
    /// Each backend's own part.
    pub backends: BTreeMap<String, toml::Table>,
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let one = |line, text: String| Problems(vec![Problem { file: file.clone(), line, text }]);
        let text = std::fs::read_to_string(path)
            .map_err(|error| one(None, format!("the configuration cannot be read: {error}. Name it with --config FILE")))?;
        let line_of = |at: usize| Some(1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count());
        let parsed = DeTable::parse(&text).map_err(|error| {
            one(error.span().and_then(|span| line_of(span.start)), format!("this is not TOML ({})", error.message()))
        })?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| one(None, error.message().to_owned()))?;
        let mut wrong = Vec::new();
        for (name, value) in parsed.get_ref() {
            let typed = name.get_ref().as_ref();
            let mut tell = |span: std::ops::Range<usize>, text: String| {
                wrong.push(Problem { file: file.clone(), line: line_of(span.start), text });
            };
            if backends::named(typed).is_some() {
                continue;
            }
            let own: Vec<&(&str, &str, &str)> = OWN.iter().filter(|(section, ..)| *section == typed).collect();
            if own.is_empty() {
                let known: Vec<&str> = sections();
                tell(
                    name.span(),
                    format!(
                        "there is no part '{}'.{} Parts are {}",
                        typed.escape_debug(),
                        meant(typed, known.iter().copied()),
                        known.join(", ")
                    ),
                );
                continue;
            }
            let Some(options) = value.get_ref().as_table() else {
                tell(name.span(), format!("'{typed}' is a part; write [{typed}] on a line of its own"));
                continue;
            };
            for (name, value) in options {
                let option = name.get_ref().as_ref();
                match own.iter().find(|(_, known, _)| *known == option) {
                    None => {
                        let known = own.iter().map(|(_, name, _)| *name);
                        let text = format!(
                            "there is no '{}' below [{typed}].{} Names are {}",
                            option.escape_debug(),
                            meant(option, known.clone()),
                            known.collect::<Vec<_>>().join(", ")
                        );
                        tell(name.span(), text);
                    }
                    Some((_, known, example)) if value.get_ref().as_str().is_none_or(str::is_empty) => {
                        tell(value.span(), format!("{known} is a text in quotes, as in {known} = {example}"));
                    }
                    Some(_) => {}
                }
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let said =
            |section: &str, name: &str| table.get(section).and_then(|part| part.get(name)).and_then(|value| value.as_str());
        let beside = |name: &str| folder.join(name);
        let mut needed = |section: &str, name: &str| {
            let value = said(section, name);
            if value.is_none() {
                let example =
                    OWN.iter().find(|(of, known, _)| (*of, *known) == (section, name)).map_or("", |(.., example)| *example);
                wrong.push(Problem {
                    file: file.clone(),
                    line: None,
                    text: format!("[{section}] {name} is missing; write {name} = {example} below [{section}]"),
                });
            }
            value.unwrap_or_default().to_owned()
        };
        let (state, sealing, signing, policy) =
            (needed("state", "folder"), needed("sealing", "key"), needed("signing", "key"), needed("policy", "file"));
        let sealing = sealing.parse::<KeySource>().map(|source| match source {
            KeySource::File(path) => KeySource::File(folder.join(path)),
            source => source,
        });
        let holds = said("findings", "holds").map_or(Some(Span::hours(24)), parse_span);
        if holds.is_none() {
            wrong.push(Problem {
                file: file.clone(),
                line: None,
                text: "holds is a length of time, as in holds = \"24h\"".into(),
            });
        }
        let sealing = sealing.map_err(|error| wrong.push(Problem { file: file.clone(), line: None, text: error.to_string() }));
        let (true, Ok(sealing), Some(findings_hold)) = (wrong.is_empty(), sealing, holds) else {
            wrong.sort();
            wrong.dedup();
            return Err(Problems(wrong));
        };
        let backends = table.iter().filter(|(name, _)| backends::named(name).is_some());
        let backends = backends.filter_map(|(name, value)| Some((name.clone(), value.as_table()?.clone()))).collect();
        Ok(Self {
            folder: beside(&state),
            copies: said("state", "copies").map(beside),
            sealing,
            signing: beside(&signing),
            policy: beside(&policy),
            findings_key: said("findings", "key").map(beside),
            findings_hold,
            backends,
        })
    }

    /// A backend's part as the policy bounds it: what the policy does not allow is not allowed there either.
    ///
    /// # Errors
    /// Where the part asks for what the policy forbids.
    pub fn bounded(&self, name: &str, policy: &Policy) -> Result<toml::Table, Refusal> {
        let part = self.backends.get(name).cloned().unwrap_or_default();
        let asks = |key: &str, table: &toml::Table| table.get(key).and_then(|value| value.as_bool()).unwrap_or(false);
        if !policy.allow_mosquitto_before_2_0_16 && asks("accept_unsafe_saving", &part) {
            let remedy = "install 2.0.16 or newer, or write allow_before_2_0_16 = true below [mosquitto] of the policy";
            return Err(Refusal::new(
                format!("[{name}] asks for a broker that saves unsafely, and the policy forbids it"),
                remedy,
            ));
        }
        let devices = part.get("devices").and_then(|value| value.as_table()).into_iter().flatten().map(|(_, device)| device);
        let in_clear = part
            .get("default")
            .into_iter()
            .chain(devices)
            .filter_map(|value| value.as_table())
            .any(|table| asks("in_clear", table));
        if !policy.deliver_in_clear && (in_clear || asks("in_clear", &part)) {
            let remedy = "encrypt the devices' connections, or write in_clear = true below [delivery] of the policy";
            return Err(Refusal::new(format!("[{name}] asks to deliver secrets in clear, and the policy forbids it"), remedy));
        }
        Ok(part)
    }
}

fn sections() -> Vec<&'static str> {
    let mut names: Vec<&str> = OWN.iter().map(|(section, ..)| *section).chain(BACKENDS.iter().map(|spec| spec.name)).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rekey.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path).map_err(|problems| problems.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    const GOOD: &str = "[state]\nfolder = \"/s\"\n[sealing]\nkey = \"systemd:k\"\n[signing]\nkey = \"rekey.pem\"\n[policy]\nfile = \"policy.toml\"\n";

    #[test]
    fn files_are_looked_for_beside_the_configuration() {
        let config = read(GOOD).unwrap();
        assert_eq!((config.folder.as_path(), config.sealing), (Path::new("/s"), KeySource::Systemd("k".into())));
        assert!(config.policy.ends_with("policy.toml") && config.policy.is_absolute());
        assert_eq!((config.findings_key, config.findings_hold), (None, Span::hours(24)));
    }

    #[test]
    fn what_is_wrong_or_missing_is_told_with_line_and_nearest_word() {
        let error = read(&format!("{GOOD}[finding]\nkey = \"x\"\n")).err().unwrap();
        assert!(error.contains("rekey.toml:9: there is no part 'finding'. Did you mean 'findings'?"), "{error}");
        let error = read(&GOOD.replace("folder", "foldr")).err().unwrap();
        assert!(
            error.contains("rekey.toml:2: there is no 'foldr' below [state]. Did you mean 'folder'?")
                && error.contains("[state] folder is missing"),
            "{error}"
        );
        let error = read(&GOOD.replace("systemd:k", "vault:k")).err().unwrap();
        assert!(error.contains("'vault:k' says no source of the sealing key"), "{error}");
        assert!(read("[state\n").err().unwrap().contains("not TOML"));
    }

    #[test]
    fn a_part_that_asks_for_what_the_policy_forbids_is_refused() {
        let mut config = read(GOOD).unwrap();
        for (text, word) in [
            ("accept_unsafe_saving = true", "unsafely"),
            ("[default]\nin_clear = true", "in clear"),
            ("[devices.a]\nin_clear = true", "in clear"),
        ] {
            config.backends.insert("mosquitto".into(), text.parse().unwrap());
            assert!(config.bounded("mosquitto", &Policy::shipped()).unwrap_err().cause.contains(word));
            let allowing = Policy { deliver_in_clear: true, allow_mosquitto_before_2_0_16: true, ..Policy::shipped() };
            assert!(config.bounded("mosquitto", &allowing).is_ok());
        }
    }
}
