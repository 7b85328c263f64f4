//! The records of DTLS: those of TLS under its own name.

use crate::protocols::tls::record::{
    Alert, Certificate, ClientHello, Finished, KeyExchange, Kinds, ServerHello, Summary, renamed,
};

/// The kinds of DTLS.
pub static DTLS: Kinds = Kinds {
    protocol: "dtls",
    client_hello: renamed("dtls.client_hello", ClientHello::KIND),
    server_hello: renamed("dtls.server_hello", ServerHello::KIND),
    certificate: renamed("dtls.certificate", Certificate::KIND),
    key_exchange: renamed("dtls.key_exchange", KeyExchange::KIND),
    finished: renamed("dtls.finished", Finished::KIND),
    alert: renamed("dtls.alert", Alert::KIND),
    summary: renamed("dtls.summary", Summary::KIND),
};
