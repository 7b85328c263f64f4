//! The records of WebSocket. Clauses are those of RFC 6455.

use std::borrow::Cow;

crate::record! {
    /// An opening handshake (§4): the request, and the answer where it was seen.
    pub struct Upgrade<'a> = "websocket.upgrade" {
        /// Path of the request, without its query, which may hold secrets.
        pub path: Option<&'a str>,
        /// The request has a query.
        pub has_query: Option<bool>,
        /// Host that the client asked for.
        pub host: Option<&'a str>,
        /// Origin of the page that asked (§10.2).
        pub origin: Option<&'a str>,
        /// Subprotocols that the client offered (§1.9).
        pub offered_subprotocols: Option<&'a str>,
        /// Subprotocol that the server chose.
        pub subprotocol: Option<&'a str>,
        /// Extensions that the server chose (§9).
        pub extensions: Option<&'a str>,
        /// Status of the answer: 101 is agreement.
        pub status: Option<u16>,
        /// User agent of the client.
        pub user_agent: Option<&'a str>,
        /// Server software.
        pub server: Option<&'a str>,
        /// The request has an Authorization field.
        pub has_authorization: Option<bool>,
        /// The request has a Cookie field.
        pub has_cookie: Option<bool>,
    }
}

crate::record! {
    /// A data message (§5.6). It is never observed alone: it is the carrier of what the message holds.
    pub struct Message<'a> = "websocket.message" {
        /// Subprotocol of the connection.
        pub subprotocol: &'a str,
        /// Path of the connection.
        pub path: &'a str,
        /// It is text; else binary.
        pub text: bool,
        /// It was compressed (RFC 7692).
        pub compressed: bool,
        /// Length of the message, bytes, decompressed.
        pub length: u32,
    }
}

crate::record! {
    /// A close frame (§5.5.1).
    pub struct Close<'a> = "websocket.close" {
        /// Status code (§7.4); 1000: normal.
        pub code: Option<u16>,
        /// Reason, as text.
        pub reason: Option<Cow<'a, str>>,
    }
}
