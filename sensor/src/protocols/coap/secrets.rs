//! What may be told of arguments and paths. Devices put tokens and passwords into Uri-Query and Uri-Path: arguments show their value only where the
//! name says that it is harmless, and a path that carries a token shows a star in its place.

use super::record::Query;
use smallvec::SmallVec;

/// Arguments whose values are shown: registration (RFC 9176 §5, LwM2M Core §6.2), observation attributes (LwM2M Core §5.1), link filters (RFC 6690 §4.1).
const HARMLESS: &[&str] = &[
    "ep", "lt", "lwm2m", "b", "sms", "d", "et", "rt", "if", "ct", "sz", "obs", "href", "anchor", "base", "con", "gp", "page",
    "count", "pmin", "pmax", "gt", "st", "epmin", "epmax", "edge", "hqmax", "ins", "exp", "title", "Q", "pct", "ver", "format",
    "limit", "offset", "dim", "ssid", "uri",
];

/// Arguments that are credentials by their whole name.
const CREDENTIALS: &[&str] = &[
    "token",
    "key",
    "auth",
    "pw",
    "pwd",
    "pass",
    "password",
    "passwd",
    "secret",
    "psk",
    "pin",
    "bearer",
    "jwt",
    "sig",
    "signature",
    "credential",
    "credentials",
    "session",
    "sid",
    "apikey",
    "api_key",
    "api-key",
    "k",
];

/// Arguments that are credentials because their name says so somewhere.
const CREDENTIAL_PARTS: &[&str] = &["token", "passw", "secret", "apikey", "api_key", "authkey", "auth_key", "psk"];

/// An argument taken apart.
pub struct Argument<'a> {
    /// What the record shows.
    pub shown: Query<'a>,
    /// The value of a credential.
    pub credential: Option<&'a [u8]>,
}

/// Takes an argument apart.
pub fn argument(bytes: &[u8]) -> Argument<'_> {
    let equals = memchr::memchr(b'=', bytes);
    let (name, value) = match equals.and_then(|at| bytes.split_at_checked(at)) {
        Some((name, value)) => (name, value.split_first().map(|(_, value)| value)),
        None => (bytes, None),
    };
    let name = std::str::from_utf8(name).ok().filter(|name| !name.chars().any(char::is_control));
    let harmless = name.is_some_and(|name| HARMLESS.contains(&name));
    match (name, value) {
        (Some(name), Some(value)) if harmless => {
            let shown = std::str::from_utf8(value).ok();
            Argument { shown: Query { name, value: shown, length: length(shown.is_none(), value) }, credential: None }
        }
        (Some(name), Some(value)) => {
            let credential = is_credential(name).then_some(value);
            Argument { shown: Query { name, value: None, length: length(true, value) }, credential }
        }
        (Some(name), None) if harmless => Argument { shown: Query { name, value: None, length: None }, credential: None },
        // A bare argument can be a flag or a token: neither shown nor accused.
        _ => Argument { shown: Query { name: "", value: None, length: length(true, bytes) }, credential: None },
    }
}

fn length(withheld: bool, value: &[u8]) -> Option<u32> {
    if withheld { u32::try_from(value.len()).ok() } else { None }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.contains(&name.as_str()) || CREDENTIAL_PARTS.iter().any(|part| name.contains(part))
}

/// Shows a star instead of a token in a path and answers the token: ThingsBoard devices post to `/api/v1/<access token>/telemetry`.
pub fn withhold_token<'a>(segments: &mut SmallVec<[&'a [u8]; 6]>) -> Option<&'a [u8]> {
    match segments.as_mut_slice() {
        [b"api", b"v1", token, b"telemetry" | b"attributes" | b"rpc" | b"claim" | b"firmware" | b"software", ..] => {
            let value = *token;
            *token = b"*";
            Some(value)
        }
        _ => None,
    }
}

/// A URI without what can be secret in it: user information, query and fragment (RFC 3986 §3). A star stands in for the first.
pub fn harmless_uri<'o>(uri: &str, out: &'o mut String) -> &'o str {
    out.clear();
    let without = uri.split(['?', '#']).next().unwrap_or_default();
    match without.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
            out.push_str(scheme);
            out.push_str("://");
            match authority.rsplit_once('@') {
                Some((_, host)) => {
                    out.push_str("*@");
                    out.push_str(host);
                }
                None => out.push_str(authority),
            }
            out.push_str(path);
        }
        None => out.push_str(without),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> (&str, Option<&str>, Option<u32>, Option<usize>) {
        let Argument { shown, credential } = argument(bytes);
        (shown.name, shown.value, shown.length, credential.map(<[u8]>::len))
    }

    #[test]
    fn only_harmless_values_are_shown() {
        assert_eq!(shown(b"ep=urn:imei:1"), ("ep", Some("urn:imei:1"), None, None));
        assert_eq!(shown(b"Access_Token=abcdef"), ("Access_Token", None, Some(6), Some(6)));
        assert_eq!(shown(b"pw="), ("pw", None, Some(0), Some(0)));
        assert_eq!(shown(b"temperature=21"), ("temperature", None, Some(2), None));
        assert_eq!(shown(b"Q"), ("Q", None, None, None));
        assert_eq!(shown(b"c0ffee"), ("", None, Some(6), None));
        assert_eq!(shown(b"\xff=1"), ("", None, Some(3), None));
    }

    #[test]
    fn a_token_in_the_path() {
        let mut segments: SmallVec<[&[u8]; 6]> = SmallVec::from_slice(&[&b"api"[..], b"v1", b"A1_TEST_TOKEN", b"telemetry"]);
        assert_eq!(withhold_token(&mut segments), Some(&b"A1_TEST_TOKEN"[..]));
        assert_eq!(segments[2], b"*");
    }

    #[test]
    fn a_uri_without_its_secrets() {
        let mut out = String::new();
        assert_eq!(harmless_uri("http://u:p@h:80/a/b?token=1#x", &mut out), "http://*@h:80/a/b");
        assert_eq!(harmless_uri("coap://[::1]/a", &mut out), "coap://[::1]/a");
        assert_eq!(harmless_uri("nonsense?x", &mut out), "nonsense");
    }
}
