//! How devices are set up: activation and version of LoRaWAN, protocols that ask nobody who they are, gateways on open links, Telnet and FTP.
//!
//! It turns security, version and service facts, and flows by their ports, into answers about devices. What is set up badly is so on
//! thousands of devices at once, so no argument parts the findings of one kind. Telnet and FTP are told by port and traffic both ways, for
//! no decoder reads them. Passwords in clear, anonymous clients and LwM2M without security are the room of `credentials`.

mod checks;

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{FlowSummary, IdentityKey, OwnedFact, Seen};
use crate::inventory::Inventory;
use checks::{CLEARTEXT_MANAGEMENT, FIXED_SESSION_KEYS, GATEWAY_LINK, NO_AUTHENTICATION, OLD_LORAWAN};
use citytap_sensor::flow::Transport;
use citytap_sensor::observation::{Attribute, Confidence, Identity, Presence, SecurityAspect};
use citytap_sensor::protocols::lorawan::{DEV_ADDR, DEV_EUI, GATEWAY_EUI};

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "configuration",
    checks: checks::ALL,
    interests: &[],
    parameters: &[],
    make: |_| Box::new(Configuration::new()),
};

/// Protocols in which a server can ask nobody who they are, by the names of services, with their names for people.
const OPEN: &[(&str, &str)] = &[("modbus", "Modbus"), ("coap", "CoAP without DTLS or OSCORE"), ("mqtt_sn", "MQTT-SN")];

/// Ports of management in clear text (RFC 854, RFC 959).
const CLEAR: &[(u16, &str)] = &[(23, "Telnet"), (21, "FTP")];

/// Answers to one check about one name.
#[derive(Default)]
struct Said {
    found: Vec<(&'static str, Evidence)>,
    clear: Option<&'static str>,
    otherwise: bool,
}

/// How devices are set up.
struct Configuration {
    said: Watched<(usize, IdentityKey), Said>,
}

impl Configuration {
    fn new() -> Self {
        Self { said: Watched::new(SUBJECTS) }
    }

    fn said(&mut self, check: &CheckSpec, id: &IdentityKey) -> Option<&mut Said> {
        let at = checks::ALL.iter().position(|known| *known == check)?;
        self.said.entry(&(at, id.clone()))
    }

    fn found(&mut self, check: &CheckSpec, id: &IdentityKey, what: &'static str, seen: Seen, field: &'static str) {
        let Some(said) = self.said(check, id) else { return };
        match said.found.iter_mut().find(|(known, _)| *known == what) {
            Some((_, evidence)) => evidence.add(seen, field),
            None => {
                said.found.reserve_exact(1);
                said.found.push((what, Evidence::one(seen, field)));
            }
        }
    }

    fn clear(&mut self, check: &CheckSpec, id: &IdentityKey, why: &'static str) {
        self.said(check, id).into_iter().for_each(|said| said.clear = Some(why));
    }

    fn otherwise(&mut self, check: &CheckSpec, id: &IdentityKey) {
        self.said(check, id).into_iter().for_each(|said| said.otherwise = true);
    }

    fn security(&mut self, id: &IdentityKey, aspect: SecurityAspect, value: &str, seen: Seen) {
        match (aspect, value) {
            (SecurityAspect::Activation, "abp") => {
                self.found(&FIXED_SESSION_KEYS, id, "", seen, "security.activation");
            }
            (SecurityAspect::Activation, "otaa") => {
                self.clear(&FIXED_SESSION_KEYS, id, "it joins, and gets new session keys each time")
            }
            (SecurityAspect::Transport, "none") if *id.kind == GATEWAY_EUI => {
                self.found(&GATEWAY_LINK, id, "", seen, "security.transport");
            }
            (SecurityAspect::Transport, _) if *id.kind == GATEWAY_EUI => self.clear(&GATEWAY_LINK, id, "its link is encrypted"),
            _ => {}
        }
    }
}

impl Detector for Configuration {
    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        match fact {
            OwnedFact::Security { id, aspect, value } => self.security(id, *aspect, value, seen),
            OwnedFact::Identity { id, presence }
                if *presence >= Presence::Sent && (*id.kind == DEV_EUI || *id.kind == DEV_ADDR) =>
            {
                self.otherwise(&FIXED_SESSION_KEYS, id);
                self.otherwise(&OLD_LORAWAN, id);
            }
            OwnedFact::Attribute { id, name: Attribute::ProtocolVersion, value, .. }
                if *id.kind == DEV_EUI || *id.kind == DEV_ADDR =>
            {
                if value.starts_with("1.0") {
                    self.found(&OLD_LORAWAN, id, "", seen, "attribute.protocol_version");
                } else {
                    self.clear(&OLD_LORAWAN, id, "its session goes by LoRaWAN 1.1 or later");
                }
            }
            OwnedFact::Service { id, protocol, protected, .. } => {
                let Some((_, name)) = OPEN.iter().find(|(service, _)| service == protocol) else { return };
                match protected {
                    true => self.clear(&NO_AUTHENTICATION, id, "what it was seen to answer is protected"),
                    false => self.found(&NO_AUTHENTICATION, id, name, seen, "service.protocol"),
                }
            }
            _ => {}
        }
    }

    fn flow(&mut self, flow: &FlowSummary) {
        let service = CLEAR.iter().find(|(port, _)| *port == flow.server.port);
        let both = flow.bytes.iter().all(|bytes| *bytes > 0);
        if let (Some((_, name)), Transport::Tcp, None, true) = (service, flow.transport, flow.protocol, flow.answered && both) {
            let id = IdentityKey::new(&Identity::ip(flow.server.ip), flow.network);
            self.found(&CLEARTEXT_MANAGEMENT, &id, name, Seen { place: flow.place, time: flow.first }, "flow.server_port");
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for ((at, id), said) in self.said.iter() {
            let Some(check) = checks::ALL.get(*at).copied() else { continue };
            let mut say = |answer| take(Verdict { check, subject: id.clone(), answer });
            for (what, evidence) in &said.found {
                say(Answer::Found(found(check, what, evidence)));
            }
            match said.clear {
                Some(why) if said.found.is_empty() => say(Answer::Clear(why.into())),
                None if said.found.is_empty() && said.otherwise => say(Answer::Otherwise(unknown(check))),
                _ => {}
            }
        }
    }

    fn shed(&self) -> u64 {
        self.said.shed()
    }
}

fn found(check: &'static CheckSpec, what: &'static str, evidence: &Evidence) -> Found {
    let name = if *check == NO_AUTHENTICATION { "protocol" } else { "service" };
    let arguments = if what.is_empty() { Vec::new() } else { vec![(name, what.into())] };
    let (severity, confidence) = match check.id {
        id if id == CLEARTEXT_MANAGEMENT.id => (Severity::Medium, Confidence::Likely),
        _ => (Severity::Info, Confidence::Seen),
    };
    Found { severity, confidence, arguments, evidence: evidence.clone() }
}

/// Why it is not known of a LoRaWAN device.
fn unknown(check: &CheckSpec) -> &'static str {
    if *check == FIXED_SESSION_KEYS {
        "no join of it was seen: it may have joined before, or never join"
    } else {
        "nothing that it said tells its version; the answer to a join does, where its key is known"
    }
}
