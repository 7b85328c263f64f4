//! The brokers' questions and the answers that each understands.
//!
//! Only POST is served: with GET a password would stand in the broker's and every proxy's log.

use super::judge::Decision;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A broker's manner of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// EMQX HTTP authenticator: JSON `username`, `password`; answers `{"result": "allow" | "deny" | "ignore"}`.
    Emqx,
    /// RabbitMQ `user_path`: form `username`, `password`, `vhost`, `client_id`; answers `allow` or `deny`.
    RabbitMq,
    /// VerneMQ `auth_on_register`: JSON `username`, `password`; answers `{"result": "ok" | "next" | {"error": ..}}`.
    VerneMq,
    /// rmqtt-auth-http: form or JSON `username`, `password`; answers `allow`, `deny` or `ignore`.
    Rmqtt,
}

/// A login as asked for.
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password, wiped when dropped.
    pub password: Zeroizing<Vec<u8>>,
}

/// A question that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request holds no {0}; configure the broker to send username and password in the body")]
pub struct Unreadable(pub &'static str);

/// Reads a login from a body: JSON where it begins so, else a form.
///
/// # Errors
/// It holds no user name or no password.
pub fn login(body: &[u8]) -> Result<Login, Unreadable> {
    let (user, password) = if body.trim_ascii_start().starts_with(b"{") {
        let fields: Fields = serde_json::from_slice(body).map_err(|_| Unreadable("readable JSON"))?;
        (fields.username, fields.password.map(|text| Zeroizing::new(text.into_bytes())))
    } else {
        let user = field(body, "username").map(|value| String::from_utf8_lossy(&value).into_owned());
        (user, field(body, "password"))
    };
    let user = user.filter(|user| !user.is_empty()).ok_or(Unreadable("username"))?;
    Ok(Login { user, password: password.ok_or(Unreadable("password"))? })
}

#[derive(serde::Deserialize)]
struct Fields {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

/// A field of an application/x-www-form-urlencoded body.
pub fn field(body: &[u8], name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let pairs = body.split(|byte| *byte == b'&').filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        pair.split_at_checked(at)
    });
    let mut values = pairs.filter(|(key, _)| decode(key)[..] == *name.as_bytes());
    values.next().map(|(_, value)| decode(value.get(1..).unwrap_or_default()))
}

/// `%XX` and `+` (WHATWG URL standard, application/x-www-form-urlencoded).
fn decode(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match escaped {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The answer in a broker's words: content type and body.
pub fn answer(manner: Manner, decision: Decision) -> (&'static str, String) {
    const TEXT: &str = "text/plain";
    const JSON: &str = "application/json";
    match manner {
        Manner::Emqx => (JSON, json!({"result": word(decision), "is_superuser": false}).to_string()),
        // "deny" makes RabbitMQ ask its next backend.
        Manner::RabbitMq if decision == Decision::Allow => (TEXT, "allow".to_owned()),
        Manner::RabbitMq => (TEXT, "deny".to_owned()),
        Manner::VerneMq => (JSON, json!({"result": vernemq(decision)}).to_string()),
        Manner::Rmqtt => (TEXT, word(decision).to_owned()),
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Pass => "ignore",
    }
}

fn vernemq(decision: Decision) -> Value {
    match decision {
        Decision::Allow => json!("ok"),
        Decision::Deny => json!({"error": "not_allowed"}),
        Decision::Pass => json!("next"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(String, String)> {
        login(body.as_bytes()).ok().map(|login| (login.user, String::from_utf8_lossy(&login.password).into_owned()))
    }

    #[test]
    fn the_documented_requests_are_read() {
        let wanted = Some(("dev1".to_owned(), "a&b c%".to_owned()));
        assert_eq!(read("username=dev1&password=a%26b+c%25&vhost=%2F&client_id=c1"), wanted, "RabbitMQ, rmqtt");
        assert_eq!(read(r#"{"username":"dev1","password":"a&b c%","clientid":"c1"}"#), wanted, "EMQX");
        let vernemq = r#"{"peer_addr":"127.0.0.1","peer_port":8888,"username":"dev1","password":"a&b c%","mountpoint":"","client_id":"c1","clean_session":false}"#;
        assert_eq!(read(vernemq), wanted, "VerneMQ");
    }

    #[test]
    fn what_is_no_login_is_told_without_its_content() {
        for body in ["", "username=dev1", "{\"username\":\"dev1\"}", "{", "username=&password=x", "password=x"] {
            assert!(login(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(&decode(b"%zz%4")[..], b"%zz%4");
    }

    #[test]
    fn answers_are_in_each_brokers_words() {
        let say = |manner| [Decision::Allow, Decision::Deny, Decision::Pass].map(|decision| answer(manner, decision).1);
        assert_eq!(say(Manner::RabbitMq), ["allow", "deny", "deny"]);
        assert_eq!(say(Manner::Rmqtt), ["allow", "deny", "ignore"]);
        assert_eq!(say(Manner::VerneMq), [r#"{"result":"ok"}"#, r#"{"result":{"error":"not_allowed"}}"#, r#"{"result":"next"}"#]);
        assert_eq!(say(Manner::Emqx)[2], r#"{"is_superuser":false,"result":"ignore"}"#);
    }
}
