//! An HTTP endpoint that brokers ask at each login, and that so accepts several generations at once: EMQX (HTTP authenticator), RabbitMQ
//! (rabbitmq_auth_backend_http), VerneMQ (webhook auth_on_register) and rmqtt (rmqtt-auth-http).
//!
//! A slot is a user name: `http_verifier/dev1`. `asked` reads a request and words the answer, `judge` compares with the journal's secrets, `server` is the
//! endpoint: on loopback unless the configuration says otherwise, since whoever reaches it can try passwords. It authenticates; what a client may do is the
//! broker's to say, so RabbitMQ's questions about vhosts, resources and topics are allowed for users that are known here.
//!
//! A user, or a first generation, that was never entered here is passed on to the broker's next authenticator, so that nothing breaks on the day it is put in.
//!
//! Left out: TLS (a broker on another host needs a proxy with TLS before this), and the brokers' management interfaces.

pub mod asked;
pub mod judge;
mod server;

use super::mosquitto::settings::Settings as Broker;
use super::mosquitto::ways::{Fault, WayContext, keep_one, named};
use super::{Backend, BackendSpec, Capability, Refusal};
use crate::delivery;
use crate::evidence::Evidence;
use crate::journal::Ledger;
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::{Alphabet, Profile, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, Slot};
use crate::time::{Span, Timestamp};
use judge::Judge;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// The backend's name.
pub const NAME: &str = "http_verifier";

/// What it is.
pub const SPEC: BackendSpec = BackendSpec {
    name: NAME,
    verifies: "user names and passwords of MQTT clients at EMQX, RabbitMQ, VerneMQ and rmqtt",
    procedures: &[Procedure::SharedSecretReplacement],
    documents: &[
        "RabbitMQ 3.10: rabbitmq_auth_backend_http, README",
        "EMQX 5: HTTP authenticator, request and response",
        "VerneMQ: webhooks, auth_on_register",
        "rmqtt: rmqtt-auth-http",
    ],
    unproven: "documented, unproven on the real brokers: EMQX, VerneMQ, rmqtt",
    concurrency: 8,
    open,
};

/// The part `[http_verifier]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens: `127.0.0.1:8089`.
    pub listen: SocketAddr,
    /// Allows an address that is not loopback: who reaches it can try passwords.
    #[serde(default)]
    pub exposed: bool,
    /// The broker by which devices are told, with the devices; as in `[mosquitto]`.
    #[serde(default)]
    pub broker: Option<Broker>,
}

struct HttpVerifier {
    judge: Arc<Judge>,
    broker: Option<WayContext>,
    _server: server::Server,
}

/// Opens the backend: the endpoint answers from now on.
fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal> {
    let settings: Settings = table.clone().try_into().map_err(|error: toml::de::Error| {
        let cause = format!("the configuration: {}", error.to_string().trim().replace('\n', " "));
        Refusal::new(cause, "correct the part [http_verifier] of the configuration")
    })?;
    if !settings.listen.ip().is_loopback() && !settings.exposed {
        let cause = format!("http_verifier would listen on {}, where others could try passwords", settings.listen);
        return Err(Refusal::new(
            cause,
            "listen on 127.0.0.1, or write exposed = true if a firewall lets only the brokers through",
        ));
    }
    let judge = Arc::new(Judge::new(ledger.clone()));
    let server = server::Server::start(settings.listen, judge.clone())?;
    let broker = settings.broker.map(|broker| WayContext::new(broker, ledger));
    Ok(Arc::new(HttpVerifier { judge, broker, _server: server }))
}

impl HttpVerifier {
    fn delivery(&self, slot: &Slot) -> Option<&'static delivery::DeliverySpec> {
        self.broker.as_ref()?.settings.device(slot).delivery.as_deref().and_then(delivery::named)
    }

    fn settles(&self, slot: &Slot) -> Span {
        let parts = self.broker.as_ref().zip(self.delivery(slot));
        parts.map_or(Span::ZERO, |(broker, spec)| {
            super::mosquitto::settles(broker.settings.mqtt, spec, &broker.settings.device(slot))
        })
    }
}

impl Backend for HttpVerifier {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        self.judge.ready()
    }

    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal> {
        let delivery = self.delivery(slot);
        let reporting = self.broker.as_ref().map_or(Span::hours(1), |broker| broker.settings.device(slot).reporting());
        Ok(Capability {
            class: if delivery.is_some() { Class::Overlap } else { Class::SiteVisit },
            procedure: Procedure::SharedSecretReplacement,
            way: delivery.map_or("a person at the device", |spec| spec.way).to_owned(),
            way_back: delivery.map_or("the verifier goes on accepting the old one", |spec| spec.way_back).to_owned(),
            outage: delivery.map_or(Span::ZERO, |spec| spec.outage),
            reporting,
            polls: Span::ZERO,
            settles: self.settles(slot),
            holds_both: true,
            airtime: Span::ZERO,
            battery: 0,
            falls_back_to: Vec::new(),
            behind: None,
            unproven: delivery.map_or("", |spec| spec.unproven).to_owned(),
        })
    }

    fn profile(&self, slot: &Slot) -> Option<Profile> {
        let by_hand = Profile { length: 20..=24, alphabet: Alphabet::Alphanumeric };
        Some(self.delivery(slot).map_or(by_hand, |spec| spec.delivery.profile()))
    }

    /// The verifier is this module and serves what the journal says is accepted; so all that is needed is that the secret can be read there.
    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, _by: Effecting) -> Outcome {
        match (secret, self.judge.ready()) {
            (_, Err(refusal)) => Outcome::Rejected { why: refusal.to_string() },
            (None, _) => Outcome::Rejected { why: format!("{slot}: there is no secret of {generation} to accept") },
            (Some(_), Ok(())) => Outcome::Done,
        }
    }

    fn deliver(&self, slot: &Slot, from: Generation, to: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome {
        let (Some(secret), Some(broker), Some(spec)) = (secret, &self.broker, self.delivery(slot)) else {
            return Outcome::Rejected { why: format!("{slot}: no delivery is configured; a person must go to the device") };
        };
        let way = named(super::mosquitto::settings::WayName::Plugin); // One user name for all generations, as there.
        super::mosquitto::deliver(broker, slot, way, spec, (from, to), secret, by)
    }

    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        self.judge.accepted(slot)
    }

    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        self.judge.evidence(slot, since)
    }

    fn retire(&self, slot: &Slot, generation: Generation, _by: Effecting) -> Outcome {
        // The journal took it out before it asks, and the next login is judged by that. What is left to see to is that something remains.
        let kept = self.judge.accepted(slot).map_err(Fault::from).and_then(|accepted| keep_one(slot, &accepted, generation));
        Fault::outcome(kept)
    }

    fn quarantine(&self, slot: &Slot, _until: Option<Timestamp>, _by: Effecting) -> Outcome {
        let why = format!(
            "{slot}: most brokers ask here for logins alone, and without its login a device could not be given a new credential; use the backend quarantine"
        );
        Outcome::Rejected { why }
    }

    fn leave(&self, slot: &Slot, _by: Effecting) -> Outcome {
        let why = format!(
            "{slot}: this endpoint has no way into the broker's own users; enter the exported password there, then take the endpoint out of the broker's configuration"
        );
        Outcome::Rejected { why }
    }
}
