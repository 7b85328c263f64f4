//! LwM2M, Lightweight Machine to Machine, on CoAP.
//!
//! What CoAP carries becomes `lwm2m.register`, `lwm2m.update`, `lwm2m.bootstrap`, `lwm2m.operation` and `lwm2m.notification`. The carrier's record gives
//! method, path, arguments and content format, for responses those of the request too; an empty payload says enough where path and method do.
//! A client is recognised by its registration, by a content format that LwM2M alone has, or by a path of at least three numbers.
//!
//! Values of Security objects, passwords and keys never stand in records: they leave as credentials. Text and bytes of vendors' own objects are told by
//! length, since nothing says which of them are secret.
//!
//! Not done here: names and types of all objects (the analyzer's registry has them; `untyped` values keep short bytes for it), data models below an
//! alternate path, registrations at other locations than `/rd/...`, transports other than CoAP.
//!
//! Followed: OMA LwM2M Core 1.0.2, 1.1.1, 1.2.1; LwM2M Transport Bindings 1.1.1; RFC 6690, RFC 8428, RFC 8949.

use super::{Bound, Cx, Decoder, DecoderSpec, Hooks, Input, Probe, ProbeInput, Step};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

pub mod path;
pub mod record;
pub mod resource;
pub mod wire;

mod anomalies;
mod request;
mod session;
mod value;

#[cfg(test)]
mod tests;

/// The name that a client registers with.
pub static ENDPOINT: IdentityKind = IdentityKind {
    name: "lwm2m_endpoint",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "Endpoint client name (LwM2M Core 1.1 §7.3): should be a URN that is unique everywhere, is often a name that only its server knows.",
};

/// The identity of a cellular modem, where the endpoint client name holds it.
pub static IMEI: IdentityKind = IdentityKind {
    name: "imei",
    scope: IdentityScope::Global,
    strength: Strength::Made,
    lifetime: Lifetime::Permanent,
    doc: "International Mobile Equipment Identity, 15 digits (3GPP TS 23.003 §6.2), from endpoint names `urn:imei:...` (LwM2M Core 1.1 §7.3.1).",
};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "lwm2m",
    title: "LwM2M",
    documents: &["OMA LwM2M Core 1.2.1", "OMA LwM2M Transport Bindings 1.1.1", "RFC 6690", "RFC 8428", "RFC 8949"],
    hooks: Hooks { carried: &["coap.payload"], ..Hooks::NONE },
    max_message: super::coap::MAX_MESSAGE,
    probe,
    create: || Box::<Lwm2m>::default(),
    records: &[
        &record::Register::KIND,
        &record::Update::KIND,
        &record::Bootstrap::KIND,
        &record::Operation::KIND,
        &record::Notification::KIND,
    ],
    anomalies: anomalies::ALL,
    identities: &[&ENDPOINT, &IMEI],
    bounds: &[
        Bound { name: "values", value: value::VALUES, reason: "a whole object instance has some dozens of resources" },
        Bound {
            name: "objects",
            value: session::OBJECTS,
            reason: "a street light controller announces some dozens of instances",
        },
        Bound { name: "document", value: wire::DOCUMENT, reason: "a device's whole data model in SenML JSON is a few kilobytes" },
        Bound { name: "endpoint", value: session::ENDPOINT_LENGTH, reason: "names are URNs; CoAP arguments hold 255 bytes" },
    ],
};

/// Looks at the carrier's hint alone: `<content format, or -> <method, or code> <path>`.
fn probe(input: &ProbeInput<'_>) -> Probe {
    let mut words = input.hint.splitn(3, ' ');
    let (Some(format), Some(code), Some(path)) = (words.next(), words.next(), words.next()) else { return Probe::No };
    let own = format
        .parse()
        .is_ok_and(|number| wire::Format::of(Some(number)).is_some_and(|format| format.is_own() || format.names_paths()));
    let interface = path == "/rd" || path == "/bs" || path == "/bspack" || path == "/dp" || path.starts_with("/rd/");
    let of_model = path != "/" && path::Path::parse(path).is_some();
    let composite = path == "/" && (own || matches!(code, "FETCH" | "iPATCH" | "DELETE"));
    let unknown = path.is_empty() && (own || format == "60");
    if interface || of_model || composite || unknown { Probe::Weak(None) } else { Probe::No }
}

#[derive(Default)]
struct Lwm2m {
    session: Box<session::Session>,
}

impl Decoder for Lwm2m {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let carrier = cx.carrier;
        if let Some(message) = carrier.and_then(request::Message::of) {
            self.session.message(&message, input.bytes, input.direction, cx);
        }
        Step::Consumed(input.bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.session.close(cx);
    }
}
