//! Who talks across zones: conversations between parts of the site that are to be kept apart.
//!
//! It turns what flows did into answers about servers, by the zones that a person configured; without zones nothing is judged. Findings are of a
//! client's zone, a server's zone and a protocol. Answers need no permission, attempts that nobody answered are no conversation, and groups,
//! broadcast and addresses in no zone are not judged. Where no decoder told who is client, a conversation that may go either way is allowed.

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{FlowSummary, IdentityKey, Seen};
use crate::inventory::Inventory;
use crate::policy::zones::{Carried, Zone, Zones};
use citytap_sensor::flow::Transport;
use citytap_sensor::observation::{Confidence, Identity};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "zones",
    checks: &[&ACROSS],
    interests: &[],
    parameters: &[],
    make: |making| Box::new(Across::new(making.zones.clone())),
};

/// Somebody in a zone uses something in another, and may not.
pub static ACROSS: CheckSpec = CheckSpec {
    id: "talks-across-zones",
    title: "separation of zones",
    finding: "Clients in zone {from} use it by {protocol}, and it stands in zone {to}: {_examples}.",
    action: "{devices} in zone {to} are used from zone {from} by {protocol}",
    remedy: "Close the way with a firewall between the zones. If it is meant to be open, add it to talks_to of the zone that asks.",
    why: "Zones keep an intruder in one part of the city away from the others; each open way takes that from them.",
    references: &["IEC 62443-3-3 SR 5.1", "CWE-923", "ATT&CK for ICS T0886"],
};

/// Protocols by which devices are commanded.
const CONTROL: &[&str] = &["modbus", "coap", "dtls", "mqtt", "mqtt_sn", "gwmp", "station"];

/// Findings kept of one server: zones times protocols that use it. A scan of ports from another zone makes more.
const WAYS: usize = 32;

/// Clients named in a finding.
const EXAMPLES: usize = 3;

/// Clients counted of a finding.
const CLIENTS: usize = 1_024;

struct Across {
    zones: Arc<Zones>,
    servers: Watched<IdentityKey, Server>,
    /// Findings that a server had no room for.
    shed: u64,
}

#[derive(Default)]
struct Server {
    zone: Option<String>,
    /// Conversations that were judged and may be.
    allowed: u64,
    ways: Vec<Way>,
}

/// A way that may not be: who comes by what.
struct Way {
    from: String,
    to: String,
    protocol: String,
    control: bool,
    clients: BTreeSet<IpAddr>,
    evidence: Evidence,
}

impl Across {
    fn new(zones: Arc<Zones>) -> Self {
        Self { zones, servers: Watched::new(SUBJECTS), shed: 0 }
    }
}

impl Detector for Across {
    fn flow(&mut self, flow: &FlowSummary) {
        // A connection that was refused carried nothing.
        let carried = flow.transport != Transport::Tcp || flow.bytes.iter().any(|bytes| *bytes > 0);
        let is_conversation = flow.protocol.is_some() || flow.answered && carried;
        if !matches!(flow.transport, Transport::Tcp | Transport::Udp) || !is_conversation || is_group(flow.server.ip) {
            return;
        }
        let zones = self.zones.clone();
        let Some(server) = self.servers.entry(&IdentityKey::new(&Identity::ip(flow.server.ip), flow.network)) else { return };
        let (Some(from), Some(to)) = (zones.of(flow.client.ip, flow.vlan), zones.of(flow.server.ip, flow.vlan)) else { return };
        server.zone = Some(to.name.clone());
        if allowed(from, to, flow) {
            server.allowed += 1;
        } else if !server.note(from, to, flow) {
            self.shed += 1;
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (id, server) in self.servers.iter() {
            let mut say = |answer| take(Verdict { check: &ACROSS, subject: id.clone(), answer });
            server.ways.iter().for_each(|way| say(Answer::Found(way.found())));
            match &server.zone {
                _ if self.zones.is_empty() => say(Answer::Untested("no zones are configured".into())),
                None => say(Answer::Untested("it, or all who use it, stand in no zone that is configured".into())),
                Some(zone) if server.ways.is_empty() => {
                    say(Answer::Clear(format!("it stands in zone {zone}, and all who use it may").into()));
                }
                Some(_) => {}
            }
        }
    }

    fn shed(&self) -> u64 {
        self.servers.shed() + self.shed
    }
}

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    }
}

fn allowed(from: &Zone, to: &Zone, flow: &FlowSummary) -> bool {
    let by = |port| Carried { protocol: flow.protocol, transport: flow.transport, port };
    from.may_use(to, by(flow.server.port)) || flow.protocol.is_none() && to.may_use(from, by(flow.client.port))
}

/// How people call what a conversation is carried by. Of ports that are made up for a conversation none is named: each would be another finding.
fn called(flow: &FlowSummary) -> String {
    /// Where ports for one conversation begin (RFC 6335 §6).
    const DYNAMIC: u16 = 49_152;
    let transport = if flow.transport == Transport::Tcp { "TCP" } else { "UDP" };
    match flow.protocol {
        Some(protocol) => protocol.to_owned(),
        None if flow.server.port < DYNAMIC => format!("{transport} port {}", flow.server.port),
        None => transport.to_owned(),
    }
}

impl Server {
    /// Takes note of a conversation that may not be; `false` where there is no room.
    fn note(&mut self, from: &Zone, to: &Zone, flow: &FlowSummary) -> bool {
        let protocol = called(flow);
        let at = self.ways.iter().position(|way| way.from == from.name && way.to == to.name && way.protocol == protocol);
        let at = match at {
            Some(at) => at,
            None if self.ways.len() == WAYS => return false,
            None => {
                self.ways.push(Way {
                    from: from.name.clone(),
                    to: to.name.clone(),
                    control: flow.protocol.is_some_and(|name| CONTROL.contains(&name)),
                    protocol,
                    clients: BTreeSet::new(),
                    evidence: Evidence::default(),
                });
                self.ways.len() - 1
            }
        };
        let Some(way) = self.ways.get_mut(at) else { return false };
        if way.clients.len() < CLIENTS {
            way.clients.insert(flow.client.ip);
        }
        way.evidence.merge(&Evidence::one(Seen { place: flow.place, time: flow.first }, "flow.client_ip"));
        true
    }
}

impl Way {
    fn found(&self) -> Found {
        let named: Vec<String> = self.clients.iter().take(EXAMPLES).map(IpAddr::to_string).collect();
        let examples = match self.clients.len().saturating_sub(EXAMPLES) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        };
        Found {
            severity: if self.control { Severity::Medium } else { Severity::Low },
            confidence: Confidence::Seen,
            arguments: vec![
                ("_examples", examples.into()),
                ("from", self.from.clone().into()),
                ("protocol", self.protocol.clone().into()),
                ("to", self.to.clone().into()),
            ],
            evidence: self.evidence.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
