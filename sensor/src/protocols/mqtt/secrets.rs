//! Where MQTT carries secrets besides the password: tokens as user name, in client identifiers and in topics. They are told as credentials
//! and never shown.

use crate::observation::CredentialKind;
use std::borrow::Cow;

/// What stands for a secret in a shown topic.
const HIDDEN: &str = "***";

/// Marks of signed or bearer access in text: Azure shared access signatures, AWS custom authorizers, query parameters of many brokers, API
/// keys of The Things Stack (`NNSXS.<id>.<secret>`).
const MARKS: [&str; 9] =
    ["nnsxs.", SHARED_ACCESS_SIGNATURE, "sig=", "token=", "apikey=", "api_key=", "password=", "secret=", "signature="];

/// The one mark with neither `=` nor a dot.
const SHARED_ACCESS_SIGNATURE: &str = "sharedaccesssignature";

/// Whether the text says itself that it is or holds a token: a JSON Web Token, a shared access signature, a named key.
pub(super) fn holds_token(text: &str) -> bool {
    // Nearly no name has any of these, and a look for them costs a few nanoseconds.
    if text.len() < SHARED_ACCESS_SIGNATURE.len() && memchr::memchr2(b'=', b'.', text.as_bytes()).is_none() {
        return false;
    }
    is_json_web_token(text)
        || MARKS.iter().any(|mark| text.as_bytes().windows(mark.len()).any(|part| part.eq_ignore_ascii_case(mark.as_bytes())))
}

/// `eyJ` is base64 for `{"`, with which the header of every JSON Web Token begins (RFC 7519).
fn is_json_web_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.len() > 20 && text.contains('.')
}

/// Whether a user name that comes without a password is an access token (ThingsBoard and others): long, one word, letters and digits mixed.
fn is_access_token(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        holds_token(text)
            || (text.len() >= 16
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                && text.bytes().any(|byte| byte.is_ascii_digit())
                && text.bytes().any(|byte| byte.is_ascii_alphabetic()))
    })
}

/// What kind of credential a CONNECT presents, and whether its user name is the secret.
pub(super) fn kind(user_name: Option<&[u8]>, password: Option<&[u8]>) -> (CredentialKind, bool) {
    let Some(password) = password.filter(|password| !password.is_empty()) else {
        return match user_name {
            None => (CredentialKind::Anonymous, false),
            Some(name) if is_access_token(name) => (CredentialKind::Token, true),
            Some(_) => (CredentialKind::Password, false),
        };
    };
    let token = std::str::from_utf8(password).is_ok_and(holds_token);
    (if token { CredentialKind::Token } else { CredentialKind::Password }, false)
}

/// The part of a client identifier that may be shown: all of it, what stands before a query with a token, or nothing.
pub(super) fn shown_client_id(id: &str) -> Option<&str> {
    if !holds_token(id) {
        return Some(id);
    }
    id.split_once('?').map(|(name, _)| name).filter(|name| !name.is_empty() && !holds_token(name))
}

/// Names of a level after which the next level is a secret, if it looks like one.
const BEFORE_SECRET: [&str; 6] = ["key", "apikey", "api_key", "token", "secret", "password"];

/// The token in a topic: a level that says so itself or stands after one that does, or ThingSpeak's key of 16 capitals and digits after
/// `channels/<id>/`.
pub(super) fn topic_token(topic: &str) -> Option<&str> {
    // Nearly no topic has any of these, and a look for them costs a few nanoseconds.
    let thing_speak = topic.starts_with("channels/");
    if thing_speak || memchr::memchr3(b'=', b'J', b'X', topic.as_bytes()).is_some() {
        let token = topic.split('/').find(|level| holds_token(level) || (thing_speak && is_thing_speak_key(level)));
        if token.is_some() {
            return token;
        }
    }
    let mut levels = topic.split('/');
    let mut before = levels.next()?;
    levels.find(|level| {
        let named = BEFORE_SECRET.iter().any(|name| before.eq_ignore_ascii_case(name));
        before = level;
        named && looks_secret(level)
    })
}

/// Long, one word, letters and digits mixed: not `state` or `pressed`.
fn looks_secret(level: &str) -> bool {
    level.len() >= 8
        && level.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && level.bytes().any(|byte| byte.is_ascii_digit())
        && level.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_thing_speak_key(level: &str) -> bool {
    level.len() == 16 && level.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A topic or topic filter as it may be shown.
pub(in crate::protocols) fn shown_topic(topic: Cow<'_, str>) -> Cow<'_, str> {
    match topic_token(&topic) {
        None => topic,
        Some(token) => Cow::Owned(topic.replace(token, HIDDEN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_topics_are_hidden() {
        assert_eq!(shown_topic("v1/devices/me/telemetry".into()), "v1/devices/me/telemetry");
        assert_eq!(shown_topic("channels/1417/publish/Q1W2E3R4T5Y6U7I8".into()), "channels/1417/publish/***");
        assert_eq!(shown_topic("a/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln/b".into()), "a/***/b");
        assert_eq!(shown_topic("a/x?token=abc/b".into()), "a/***/b");
        assert_eq!(shown_topic("hall/Junction=7".into()), "hall/Junction=7");
        assert_eq!(shown_topic("v3/NNSXS.AB12.CD34/up".into()), "v3/***/up");
        assert_eq!(shown_topic("devices/key/q7W2e3R4t5/state".into()), "devices/key/***/state");
        assert_eq!(shown_topic("home/key/pressed".into()), "home/key/pressed");
    }

    #[test]
    fn tokens_in_client_identifiers_are_hidden() {
        assert_eq!(shown_client_id("pump-7"), Some("pump-7"));
        assert_eq!(shown_client_id("pump-7?SharedAccessSignature sr=x"), Some("pump-7"));
        assert_eq!(shown_client_id("NNSXS.AB12.CD34"), None);
        assert_eq!(shown_client_id("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), None);
    }

    #[test]
    fn what_a_connect_presents() {
        let of = |user: Option<&str>, password: Option<&str>| kind(user.map(str::as_bytes), password.map(str::as_bytes));
        assert_eq!(of(None, None), (CredentialKind::Anonymous, false));
        assert_eq!(of(Some("admin"), Some("public")), (CredentialKind::Password, false));
        assert_eq!(of(Some("admin"), None), (CredentialKind::Password, false));
        assert_eq!(of(Some("A1B2C3D4E5F6G7H8I9J0"), None), (CredentialKind::Token, true));
        assert_eq!(of(Some("A1B2C3D4E5F6G7H8I9J0"), Some("")), (CredentialKind::Token, true));
        assert_eq!(of(Some("hub/dev"), Some("SharedAccessSignature sr=h&sig=x&se=1")), (CredentialKind::Token, false));
    }
}
