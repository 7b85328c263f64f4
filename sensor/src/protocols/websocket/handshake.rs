//! What an opening handshake says of client and server, and which credentials it carries.

use super::{record, wire};
use crate::flow::Direction;
use crate::observation::{
    Anomalies, Attribute, Confidence, Credential, CredentialKind, Fact, Identity, Outcome, Presence, Role, Secret, Text,
};
use crate::protocols::Cx;
use base64::Engine;
use smallvec::SmallVec;

/// The request, kept until the answer.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) subprotocols: Option<String>,
    pub(super) extensions: Option<String>,
    has_query: bool,
    query_token: Option<String>,
    host: Option<String>,
    origin: Option<String>,
    user_agent: Option<String>,
    authorization: Option<Vec<u8>>,
    has_cookie: bool,
}

impl Asked {
    pub(super) fn new(request: &wire::Request<'_>) -> Self {
        let head = &request.head;
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            path: request.path.to_owned(),
            subprotocols: own(head.subprotocol),
            extensions: own(head.extensions),
            has_query: request.query.is_some(),
            query_token: own(request.query.and_then(query_token)),
            host: own(head.host),
            origin: own(head.origin),
            user_agent: own(head.user_agent),
            authorization: head.authorization.map(<[u8]>::to_vec),
            has_cookie: head.cookie,
        }
    }
}

/// The value of a parameter whose name says that it is a token.
fn query_token(query: &str) -> Option<&str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let is_token = ["token", "key", "sig", "signature", "password", "secret", "auth"].iter().any(|mark| name.ends_with(mark));
        (is_token && !value.is_empty()).then_some(value)
    })
}

/// What an Authorization field presents: user and password (RFC 7617), or a token.
enum Authorization {
    Basic(Vec<u8>, Vec<u8>),
    Token(Vec<u8>),
}

fn authorization(value: &[u8]) -> Authorization {
    let token = || Authorization::Token(value.to_vec());
    let Some((scheme, rest)) = std::str::from_utf8(value).ok().and_then(|text| text.trim().split_once(' ')) else {
        return token();
    };
    let rest = rest.trim();
    if !scheme.eq_ignore_ascii_case("basic") {
        return Authorization::Token(rest.as_bytes().to_vec());
    }
    let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(rest) else { return token() };
    let colon = plain.iter().position(|&byte| byte == b':').unwrap_or(plain.len());
    let (user, password) = plain.split_at_checked(colon).unwrap_or_default();
    Authorization::Basic(user.to_vec(), password.get(1..).unwrap_or_default().to_vec())
}

/// Tells the handshake.
pub(super) fn tell(
    asked: Option<&Asked>,
    response: Option<&wire::Response<'_>>,
    direction: Direction,
    anomalies: &Anomalies,
    cx: &mut Cx<'_>,
) {
    let flow = *cx.flow();
    let (client, server) = (Identity::ip(flow.client.ip), Identity::ip(flow.server.ip));
    let status = response.map(|response| response.status);
    let head = response.map(|response| &response.head);
    let user_agent = asked.and_then(|asked| asked.user_agent.as_deref());
    let server_software = head.and_then(|head| head.server);
    let presented = asked.and_then(|asked| asked.authorization.as_deref()).map(authorization);
    let mut facts: SmallVec<[Fact<'_>; 8]> = SmallVec::new();
    let presence = if status.is_some() { Presence::Proved } else { Presence::Mentioned };
    facts.push(Fact::Identity { id: server, presence });
    facts.push(Fact::Peer { client, server, protocol: "websocket" });
    if status == Some(101) {
        facts.push(Fact::Role { id: server, role: Role::Server });
        facts.push(Fact::Service { id: server, protocol: "websocket", port: Some(flow.server.port), protected: false });
    }
    if let Some(value) = server_software {
        let (name, field) = (Attribute::Software, "websocket.server");
        facts.push(Fact::Attribute { id: server, name, value: Text::Str(value), confidence: Confidence::Seen, field });
    }
    if let Some(value) = user_agent {
        let (name, field) = (Attribute::Application, "websocket.user_agent");
        facts.push(Fact::Attribute { id: client, name, value: Text::Str(value), confidence: Confidence::Likely, field });
    }
    let outcome = match status {
        Some(101) => Outcome::Accepted,
        Some(401 | 403) => Outcome::Refused,
        _ => Outcome::Unknown,
    };
    let (by, to, cleartext) = (client, server, true);
    match &presented {
        Some(Authorization::Basic(user, password)) => facts.push(Fact::Credential(Credential {
            by,
            to,
            kind: CredentialKind::Password,
            user: Some(Secret::new(user)),
            secret: Some(Secret::new(password)),
            outcome,
            cleartext,
        })),
        Some(Authorization::Token(token)) => facts.push(token_fact(by, to, token, outcome)),
        None => {}
    }
    if let Some(token) = asked.and_then(|asked| asked.query_token.as_deref()) {
        facts.push(token_fact(by, to, token.as_bytes(), outcome));
    }
    let record = record::Upgrade {
        path: asked.map(|asked| asked.path.as_str()),
        has_query: asked.map(|asked| asked.has_query),
        host: asked.and_then(|asked| asked.host.as_deref()),
        origin: asked.and_then(|asked| asked.origin.as_deref()),
        offered_subprotocols: asked.and_then(|asked| asked.subprotocols.as_deref()),
        subprotocol: head.and_then(|head| head.subprotocol),
        extensions: head.and_then(|head| head.extensions),
        status,
        user_agent,
        server: server_software,
        has_authorization: asked.map(|asked| asked.authorization.is_some()),
        has_cookie: asked.map(|asked| asked.has_cookie),
    };
    cx.emit(direction, &record, &facts, anomalies);
}

fn token_fact<'a>(by: Identity<'a>, to: Identity<'a>, token: &'a [u8], outcome: Outcome) -> Fact<'a> {
    let (kind, secret) = (CredentialKind::Token, Some(Secret::new(token)));
    Fact::Credential(Credential { by, to, kind, user: None, secret, outcome, cleartext: true })
}
