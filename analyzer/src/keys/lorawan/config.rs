//! Keys that the owner gives in a file of their own, so that MICs are checked, sessions are known to the device, and payloads are read where
//! the configuration allows it.
//!
//! ```toml
//! [device.0102030405060708]             # by DevEUI
//! app_key = "..."                       # 32 hexadecimal digits
//! nwk_key = "..."                       # LoRaWAN 1.1
//! [session.26011bda]                    # by DevAddr: activation by personalisation
//! nwk_s_key = "..."
//! app_s_key = "..."
//! [join_eui.70b3d57ed0000000]           # for devices of a JoinEUI without an entry
//! app_key = "..."
//! ```

use super::derive::SessionKeys;
use super::key::Key;
use crate::nearest::nearest;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Root keys of a device. In 1.0.x there is the AppKey alone.
#[derive(Clone, Default)]
pub struct RootKeys {
    /// AppKey.
    pub app_key: Option<Key>,
    /// NwkKey (1.1).
    pub nwk_key: Option<Key>,
}

/// What the owner configured. It has no `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub struct KeyConfig {
    /// By DevEUI.
    pub devices: BTreeMap<u64, RootKeys>,
    /// By DevAddr.
    pub sessions: BTreeMap<u32, SessionKeys>,
    /// By JoinEUI.
    pub join_euis: BTreeMap<u64, RootKeys>,
    /// Whether payloads may be decrypted. The key file does not say it: the configuration does.
    pub decrypt: bool,
}

/// Something wrong in a key file. It is made of fixed words, and never quotes the file: that holds keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileError {
    /// 1-based.
    pub line: usize,
    /// What is wrong, and what it should be.
    what: &'static str,
    /// The known name that is most like the one that stands there.
    meant: Option<&'static str>,
    /// The line of the entry that it repeats.
    first: Option<usize>,
}

impl std::error::Error for KeyFileError {}

/// What is wrong, without the line.
impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(word) = self.meant {
            write!(f, "; did you mean '{word}'?")?;
        }
        match self.first {
            Some(line) => write!(f, " (the first is in line {line})"),
            None => Ok(()),
        }
    }
}

impl KeyConfig {
    /// Reads the TOML text of a key file.
    ///
    /// # Errors
    /// All that is wrong, in the order of lines. Nothing of such a file is used.
    pub fn from_toml(text: &str) -> Result<Self, Vec<KeyFileError>> {
        let mut reader = Reader { text, errors: Vec::new() };
        let config = reader.read();
        reader.errors.sort_by_key(|error| error.line);
        if reader.errors.is_empty() { Ok(config) } else { Err(reader.errors) }
    }

    /// The root keys of a device: its own, or those of its JoinEUI.
    pub fn root_keys(&self, dev_eui: u64, join_eui: u64) -> Option<&RootKeys> {
        self.devices.get(&dev_eui).or_else(|| self.join_euis.get(&join_eui))
    }

    /// Whether it has no key at all.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.sessions.is_empty() && self.join_euis.is_empty()
    }

    /// Whose keys it has, and which: one line each, without a value.
    pub fn outline(&self) -> Vec<String> {
        let roots = |kind: &str, eui: u64, keys: &RootKeys| {
            let names = [("app_key", &keys.app_key), ("nwk_key", &keys.nwk_key)];
            let names = names.iter().filter(|(_, key)| key.is_some()).map(|(name, _)| *name);
            format!("{kind}.{eui:016x}: {}", names.collect::<Vec<_>>().join(" "))
        };
        let devices = self.devices.iter().map(|(eui, keys)| roots("device", *eui, keys));
        let join_euis = self.join_euis.iter().map(|(eui, keys)| roots("join_eui", *eui, keys));
        let sessions = self.sessions.iter().map(|(address, keys)| {
            let network = if keys.v1_1 { "f_nwk_s_int_key s_nwk_s_int_key nwk_s_enc_key" } else { "nwk_s_key" };
            format!("session.{address:08x}: {network}{}", if keys.app_s.is_some() { " app_s_key" } else { "" })
        });
        devices.chain(join_euis).chain(sessions).collect()
    }
}

const SECTIONS: [&str; 3] = ["device", "session", "join_eui"];
const ROOT_KEYS: [&str; 2] = ["app_key", "nwk_key"];
const SESSION_KEYS: [&str; 5] = ["nwk_s_key", "app_s_key", "f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key"];

const NOT_TOML: &str =
    "this is not TOML; write sections as [device.0102030405060708] and keys as app_key = \"32 hexadecimal digits\"";
const TWICE: &str = "this stands here for the second time; keep one of the two";
const SECTION: &str = "unknown section; known are device, session and join_eui, as in [device.0102030405060708]";
const DECRYPT: &str = "decrypt stands in the configuration, not beside the keys: [payloads] decrypt = true";
const TABLE: &str = "this is a section, as in [device.0102030405060708] with app_key = \"32 hexadecimal digits\" below it";
const EUI: &str = "an EUI is 16 hexadecimal digits without separators";
const DEV_ADDR: &str = "a DevAddr is 8 hexadecimal digits without separators";
const KEY: &str = "a key is 32 hexadecimal digits in quotes, without separators";
const ROOT: &str = "unknown name; known are app_key and nwk_key";
const NO_ROOT: &str = "no key stands here; give app_key, and for LoRaWAN 1.1 nwk_key too";
const SESSION: &str = "unknown name; known are nwk_s_key and app_s_key, and for LoRaWAN 1.1 f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key and app_s_key";
const NO_SESSION: &str = "a session has nwk_s_key, or in LoRaWAN 1.1 f_nwk_s_int_key, s_nwk_s_int_key and nwk_s_enc_key together";

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Field<'i> = Spanned<DeValue<'i>>;

struct Reader<'t> {
    text: &'t str,
    errors: Vec<KeyFileError>,
}

impl Reader<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        self.text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
    }

    fn wrong(&mut self, span: Range<usize>, what: &'static str, meant: Option<&'static str>) {
        let line = self.line(span);
        self.errors.push(KeyFileError { line, what, meant, first: None });
    }

    fn read(&mut self) -> KeyConfig {
        let mut config = KeyConfig::default();
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(error) => {
                let what = if error.message().starts_with("duplicate key") { TWICE } else { NOT_TOML };
                self.wrong(error.span().unwrap_or_default(), what, None);
                return config;
            }
        };
        for (name, value) in document.get_ref() {
            match name.get_ref().as_ref() {
                "device" => config.devices = self.entries(value, 16, EUI, Self::root_keys),
                "join_eui" => config.join_euis = self.entries(value, 16, EUI, Self::root_keys),
                "session" => {
                    let sessions = self.entries(value, 8, DEV_ADDR, Self::session_keys);
                    config.sessions =
                        sessions.into_iter().filter_map(|(at, keys)| Some((u32::try_from(at).ok()?, keys))).collect();
                }
                "decrypt" => self.wrong(name.span(), DECRYPT, None),
                other => self.wrong(name.span(), SECTION, nearest(other, SECTIONS)),
            }
        }
        config
    }

    /// Entries by a number of so many hexadecimal digits.
    fn entries<T>(
        &mut self,
        section: &Field<'_>,
        digits: usize,
        rule: &'static str,
        read: fn(&mut Self, &Name<'_>, &DeTable<'_>) -> Option<T>,
    ) -> BTreeMap<u64, T> {
        let mut entries = BTreeMap::new();
        let mut places: BTreeMap<u64, Range<usize>> = BTreeMap::new();
        let Some(table) = section.get_ref().as_table() else {
            self.wrong(section.span(), TABLE, None);
            return entries;
        };
        for (name, value) in table {
            let Some(keys) = value.get_ref().as_table() else {
                self.wrong(name.span(), TABLE, None);
                continue;
            };
            let keys = read(self, name, keys);
            let Some(number) = number(name.get_ref(), digits) else {
                self.wrong(name.span(), rule, None);
                continue;
            };
            // TOML itself refuses equal names; upper and lower case are two names for it.
            if let Some(place) = places.insert(number, name.span()) {
                let (a, b) = (self.line(place), self.line(name.span()));
                self.errors.push(KeyFileError { line: a.max(b), what: TWICE, meant: None, first: Some(a.min(b)) });
            }
            if let Some(keys) = keys {
                entries.insert(number, keys);
            }
        }
        entries
    }

    fn key(&mut self, value: &Field<'_>) -> Option<Key> {
        let key = value.get_ref().as_str().and_then(Key::from_hex);
        if key.is_none() {
            self.wrong(value.span(), KEY, None);
        }
        key
    }

    fn root_keys(&mut self, name: &Name<'_>, table: &DeTable<'_>) -> Option<RootKeys> {
        let mut keys = RootKeys::default();
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "app_key" => keys.app_key = self.key(value),
                "nwk_key" => keys.nwk_key = self.key(value),
                other => self.wrong(name.span(), ROOT, nearest(other, ROOT_KEYS)),
            }
        }
        if table.is_empty() {
            self.wrong(name.span(), NO_ROOT, None);
        }
        Some(keys)
    }

    fn session_keys(&mut self, name: &Name<'_>, table: &DeTable<'_>) -> Option<SessionKeys> {
        let mut keys: [Option<Key>; 5] = Default::default();
        let before = self.errors.len();
        for (name, value) in table {
            match keys.iter_mut().zip(SESSION_KEYS).find(|(_, known)| *known == name.get_ref().as_ref()) {
                Some((key, _)) => *key = self.key(value),
                None => self.wrong(name.span(), SESSION, nearest(name.get_ref(), SESSION_KEYS)),
            }
        }
        if self.errors.len() > before {
            return None;
        }
        match keys {
            [Some(nwk), app_s, None, None, None] => Some(SessionKeys::v1_0(nwk, app_s)),
            [None, app_s, Some(f_nwk_s_int), Some(s_nwk_s_int), Some(nwk_s_enc)] => {
                Some(SessionKeys { v1_1: true, f_nwk_s_int, s_nwk_s_int, nwk_s_enc, app_s })
            }
            _ => {
                self.wrong(name.span(), NO_SESSION, None);
                None
            }
        }
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddee01";

    #[test]
    fn a_whole_file() {
        let text = format!(
            "[device.0102030405060708]\napp_key = \"{KEY}\"\nnwk_key = \"{KEY}\"\n[session.26011BDA]\nnwk_s_key = \"{KEY}\"\n\
             [join_eui.70b3d57ed0000000]\napp_key = \"{KEY}\"\n"
        );
        let Ok(config) = KeyConfig::from_toml(&text) else { panic!("it reads") };
        assert!(!config.decrypt && config.sessions.contains_key(&0x2601_1bda));
        assert!(config.root_keys(0x0102_0304_0506_0708, 0).is_some_and(|keys| keys.nwk_key.is_some()));
        assert!(config.root_keys(9, 0x70b3_d57e_d000_0000).is_some_and(|keys| keys.app_key.is_some()));
        assert!(config.root_keys(9, 9).is_none());
        let outline =
            ["device.0102030405060708: app_key nwk_key", "join_eui.70b3d57ed0000000: app_key", "session.26011bda: nwk_s_key"];
        assert_eq!(config.outline(), outline);
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_never_quoted() {
        for (text, line, part) in [
            ("decrypt = true".to_owned(), 1, "[payloads] decrypt"),
            (format!("\n[device.0102]\napp_key = \"{KEY}\""), 2, "16 hexadecimal"),
            (format!("[device.0102030405060708]\n\napp_key = \"{KEY}0\""), 3, "32 hexadecimal"),
            (format!("[device.0102030405060708]\n{KEY} = \"app_key\""), 2, "known are app_key and nwk_key"),
            (format!("[device.0102030405060708]\nappkey = \"{KEY}\""), 2, "did you mean 'app_key'?"),
            ("[device.0102030405060708]".to_owned(), 1, "no key stands here"),
            (format!("[session.26011bda]\napp_s_key = \"{KEY}\""), 1, "a session has nwk_s_key"),
            (format!("[session.26011bda]\nnwks_key = \"{KEY}\""), 2, "did you mean 'nwk_s_key'?"),
            (format!("[session.26011bdaff]\nnwk_s_key = \"{KEY}\""), 1, "8 hexadecimal"),
            (format!("{KEY} = 1"), 1, "unknown section"),
            (format!("[devices.0102030405060708]\napp_key = \"{KEY}\""), 1, "did you mean 'device'?"),
            (format!("device = \"{KEY}\""), 1, "a section"),
            (format!("[device]\n{KEY} = \"{KEY}\""), 2, "a section"),
            (format!("[device.0102030405060708]\napp_key = {KEY}zz"), 2, "not TOML"),
            (format!("[session.26011bda]\nnwk_s_key = \"{KEY}\"\n[session.26011bda]"), 3, "second time"),
            (
                format!("[device.aa02030405060708]\napp_key = \"{KEY}\"\n[device.AA02030405060708]\napp_key = \"{KEY}\""),
                3,
                "second time; keep one of the two (the first is in line 1)",
            ),
        ] {
            let Err(errors) = KeyConfig::from_toml(&text) else { panic!("{text} reads") };
            let [error] = errors.as_slice() else { panic!("{text}: {errors:?}") };
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(!format!("{error:?} {error}").contains(KEY), "{text}: {error}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = format!("[device.01]\napp_kei = \"{KEY}\"\n[session.26011bda]\nnwk_s_key = \"short\"\n[devise.02]\n");
        let lines: Vec<usize> = KeyConfig::from_toml(&text).err().unwrap().iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }
}
