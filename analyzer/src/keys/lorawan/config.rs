//! Keys that the owner gives, so that MICs are checked, sessions are known to the device, and payloads are read where that is allowed.
//!
//! ```toml
//! decrypt = false                       # read payloads and MAC commands on port 0
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
use std::collections::BTreeMap;
use std::ops::Range;
use thiserror::Error;
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
    /// Whether payloads may be decrypted.
    pub decrypt: bool,
}

/// What is wrong in a key file. The text never quotes the file: it holds keys.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct ConfigError {
    /// 1-based.
    pub line: usize,
    /// What is wrong, and what it should be.
    pub what: &'static str,
}

impl KeyConfig {
    /// Reads the TOML text of a key file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let line = |span: Range<usize>| text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1;
        read(text).map_err(|(span, what)| ConfigError { line: line(span), what })
    }

    /// The root keys of a device: its own, or those of its JoinEUI.
    pub fn root_keys(&self, dev_eui: u64, join_eui: u64) -> Option<&RootKeys> {
        self.devices.get(&dev_eui).or_else(|| self.join_euis.get(&join_eui))
    }
}

type Wrong = (Range<usize>, &'static str);

fn read(text: &str) -> Result<KeyConfig, Wrong> {
    let mut config = KeyConfig::default();
    let document = DeTable::parse(text).map_err(|error| (error.span().unwrap_or_default(), "this is not TOML"))?;
    for (name, value) in document.get_ref() {
        match name.get_ref().as_ref() {
            "decrypt" => config.decrypt = value.get_ref().as_bool().ok_or((value.span(), "decrypt is true or false"))?,
            "device" => {
                for (eui, keys) in entries(value)? {
                    config.devices.insert(eui_of(eui)?, root_keys(keys)?);
                }
            }
            "join_eui" => {
                for (eui, keys) in entries(value)? {
                    config.join_euis.insert(eui_of(eui)?, root_keys(keys)?);
                }
            }
            "session" => {
                for (address, keys) in entries(value)? {
                    let address = number(address, 8).ok_or((address.span(), "a DevAddr is 8 hexadecimal digits"))?;
                    config.sessions.insert(address as u32, session_keys(keys)?);
                }
            }
            _ => return Err((name.span(), "unknown name; known are decrypt, device, join_eui and session")),
        }
    }
    Ok(config)
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Field<'i> = Spanned<DeValue<'i>>;

fn entries<'a, 'i>(value: &'a Field<'i>) -> Result<impl Iterator<Item = (&'a Name<'i>, &'a Field<'i>)>, Wrong> {
    let table = value.get_ref().as_table().ok_or((value.span(), "this is a table, as in [device.0102030405060708]"))?;
    Ok(table.iter())
}

fn number(name: &Name<'_>, digits: usize) -> Option<u64> {
    let text = name.get_ref();
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right { u64::from_str_radix(text, 16).ok() } else { None }
}

fn eui_of(name: &Name<'_>) -> Result<u64, Wrong> {
    number(name, 16).ok_or((name.span(), "an EUI is 16 hexadecimal digits"))
}

fn key(value: &Field<'_>) -> Result<Key, Wrong> {
    value.get_ref().as_str().and_then(Key::from_hex).ok_or((value.span(), "a key is 32 hexadecimal digits in quotes"))
}

fn root_keys(value: &Field<'_>) -> Result<RootKeys, Wrong> {
    let mut keys = RootKeys::default();
    for (name, value) in entries(value)? {
        match name.get_ref().as_ref() {
            "app_key" => keys.app_key = Some(key(value)?),
            "nwk_key" => keys.nwk_key = Some(key(value)?),
            _ => return Err((name.span(), "unknown name; known are app_key and nwk_key")),
        }
    }
    Ok(keys)
}

fn session_keys(value: &Field<'_>) -> Result<SessionKeys, Wrong> {
    let (mut nwk, mut app, mut f_int, mut s_int, mut enc) = (None, None, None, None, None);
    for (name, value) in entries(value)? {
        match name.get_ref().as_ref() {
            "nwk_s_key" => nwk = Some(key(value)?),
            "app_s_key" => app = Some(key(value)?),
            "f_nwk_s_int_key" => f_int = Some(key(value)?),
            "s_nwk_s_int_key" => s_int = Some(key(value)?),
            "nwk_s_enc_key" => enc = Some(key(value)?),
            _ => {
                let known = "unknown name; known are nwk_s_key and app_s_key, and for 1.1 f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key and app_s_key";
                return Err((name.span(), known));
            }
        }
    }
    match (nwk, f_int, s_int, enc) {
        (Some(nwk), None, None, None) => Ok(SessionKeys::v1_0(nwk, app)),
        (None, Some(f_nwk_s_int), Some(s_nwk_s_int), Some(nwk_s_enc)) => {
            Ok(SessionKeys { v1_1: true, f_nwk_s_int, s_nwk_s_int, nwk_s_enc, app_s: app })
        }
        _ => Err((value.span(), "a session has nwk_s_key, or in 1.1 f_nwk_s_int_key, s_nwk_s_int_key and nwk_s_enc_key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddee01";

    #[test]
    fn a_whole_file() {
        let text = format!(
            "decrypt = true\n[device.0102030405060708]\napp_key = \"{KEY}\"\nnwk_key = \"{KEY}\"\n[session.26011BDA]\nnwk_s_key = \"{KEY}\"\n\
             [join_eui.70b3d57ed0000000]\napp_key = \"{KEY}\"\n"
        );
        let Ok(config) = KeyConfig::from_toml(&text) else { panic!("it reads") };
        assert!(config.decrypt && config.sessions.contains_key(&0x2601_1bda));
        assert!(config.root_keys(0x0102_0304_0506_0708, 0).is_some_and(|keys| keys.nwk_key.is_some()));
        assert!(config.root_keys(9, 0x70b3_d57e_d000_0000).is_some_and(|keys| keys.app_key.is_some()));
        assert!(config.root_keys(9, 9).is_none());
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_never_quoted() {
        for (text, line, part) in [
            (format!("decrypt = \"{KEY}\""), 1, "true or false"),
            (format!("\n[device.0102]\napp_key = \"{KEY}\""), 2, "16 hexadecimal"),
            (format!("[device.0102030405060708]\n\napp_key = \"{KEY}0\""), 3, "32 hexadecimal"),
            (format!("[device.0102030405060708]\n{KEY} = \"app_key\""), 2, "app_key"),
            (format!("[session.26011bda]\napp_s_key = \"{KEY}\""), 1, "nwk_s_key"),
            (format!("[session.26011bdaff]\nnwk_s_key = \"{KEY}\""), 1, "8 hexadecimal"),
            (format!("{KEY} = 1"), 1, "unknown name"),
            (format!("device = \"{KEY}\""), 1, "table"),
            (format!("[device.0102030405060708]\napp_key = {KEY}zz"), 2, "not TOML"),
        ] {
            let Err(error) = KeyConfig::from_toml(&text) else { panic!("{text} reads") };
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.to_string().contains(part) && !format!("{error:?} {error}").contains(KEY), "{text}: {error}");
        }
    }
}
