//! What MQTT clients leave behind at their server: deliveries at QoS 2 that are not ended, and messages of others that they delete.
//!
//! It turns acknowledgements and retained messages into answers about clients. A delivery at QoS 2 is open from PUBREC to PUBREL; it is counted
//! where the server got the message, for the client owes the PUBREL (MQTT 5.0 §4.3.3). Who left a retained message is known from its PUBLISH alone, so
//! that of messages from before the capture nobody is the owner. A client is another where both its name and its address are. Topics with
//! tokens in them were told without.

mod checks;

use super::{Detector, DetectorSpec, SUBJECTS, Watched};
use crate::findings::{Answer, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use checks::{CLEARED, OPEN, UNFINISHED};
use citytap_sensor::flow::{Direction, Endpoint, NetworkId};
use citytap_sensor::observation::{Confidence, Identity};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "mqtt_state",
    checks: &[&UNFINISHED, &CLEARED],
    interests: INTERESTS,
    parameters: &[&OPEN],
    make: |making| Box::new(MqttState::new(making.number(&OPEN))),
};

const CONNECT: Interest = Interest::messages("mqtt.connect", &["protocol_level"]);
const PUBREC: Interest = Interest::messages("mqtt.pubrec", &["packet_id", "reason_code"]);
const PUBREL: Interest = Interest::messages("mqtt.pubrel", &["packet_id"]);
const RETAINED: Interest =
    Interest::novelties("mqtt.publish", &["topic", "payload_length", "delivered", "client_id"]).when("retain");

const INTERESTS: &[Interest] = &[CONNECT, PUBREC, PUBREL, RETAINED];

/// Topics with a retained message whose owner is remembered. Each takes some 150 bytes and its name.
const TOPICS: usize = 1 << 16;

/// Messages deleted of which a client's finding tells: the first says enough, the others are counted.
const DELETED: usize = 8;

/// A connection by both ends.
type Connection = (NetworkId, Endpoint, Endpoint);

#[derive(Default)]
struct Deliveries {
    open: BTreeSet<u16>,
    /// Deliveries that were ended.
    ended: u64,
    /// Where there were too many.
    evidence: Evidence,
}

/// Who left a message with a server.
#[derive(Clone, Default, PartialEq)]
struct Owner {
    address: Option<IpAddr>,
    client: Option<Box<str>>,
}

#[derive(Default)]
struct Deleter {
    deleted: Vec<(Box<str>, Owner, IpAddr, Evidence)>,
    /// Messages of its own that it deleted, or that nobody is known to have left.
    own: u64,
}

struct MqttState {
    most: usize,
    connections: Watched<Connection, Deliveries>,
    owners: Watched<(NetworkId, IpAddr, Box<str>), Owner>,
    deleters: Watched<IdentityKey, Deleter>,
}

impl MqttState {
    fn new(most: u64) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            connections: Watched::new(SUBJECTS),
            owners: Watched::new(TOPICS),
            deleters: Watched::new(SUBJECTS),
        }
    }

    fn pubrec(&mut self, event: &Event) {
        // A reason from 0x80 refuses the message, and nothing stays open (§3.5.2.1).
        let refused = event.fields.get(1).and_then(OwnedValue::unsigned).is_some_and(|reason| reason >= 0x80);
        let (Some(packet), Direction::ToClient, false) = (packet(event), event.direction, refused) else { return };
        let most = self.most;
        let Some(deliveries) = self.connections.entry(&(event.network, event.receiver, event.sender)) else { return };
        deliveries.open.insert(packet);
        if deliveries.open.len() > most {
            deliveries.evidence.add(event.seen, "mqtt.pubrec.packet_id");
        }
    }

    fn pubrel(&mut self, event: &Event) {
        let (Some(packet), Direction::ToServer) = (packet(event), event.direction) else { return };
        if let Some(deliveries) = self.connections.get_mut(&(event.network, event.sender, event.receiver)) {
            deliveries.ended += u64::from(deliveries.open.remove(&packet));
        }
    }

    fn retained(&mut self, event: &Event) {
        let [OwnedValue::Text(topic), length, OwnedValue::Bool(false), client] = event.fields.as_slice() else { return };
        let server = event.receiver.ip;
        let key = (event.network, server, topic.clone());
        let by = Owner { address: Some(event.sender.ip), client: client.text().map(Into::into) };
        if length.unsigned() != Some(0) {
            if let Some(owner) = self.owners.entry(&key) {
                *owner = by;
            }
            return;
        }
        let owner = self.owners.remove(&key);
        let Some(deleter) = self.deleters.entry(&IdentityKey::new(&Identity::ip(event.sender.ip), event.network)) else { return };
        match owner.filter(|owner| owner.is_another(&by)) {
            Some(owner) => deleter.note(topic, owner, server, event.seen),
            None => deleter.own += 1,
        }
    }
}

fn packet(event: &Event) -> Option<u16> {
    event.fields.first().and_then(OwnedValue::unsigned).and_then(|packet| u16::try_from(packet).ok())
}

impl Detector for MqttState {
    fn event(&mut self, event: &Event) {
        match event.kind {
            kind if kind == PUBREC.kind_id() => self.pubrec(event),
            kind if kind == PUBREL.kind_id() => self.pubrel(event),
            kind if kind == RETAINED.kind_id() => self.retained(event),
            // Another connection from the same port: what was open there is another's business.
            _ => {
                let connection = (event.network, event.sender, event.receiver);
                self.connections.get_mut(&connection).into_iter().for_each(|deliveries| deliveries.open.clear());
            }
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for ((network, client, server), deliveries) in self.connections.iter() {
            let subject = IdentityKey::new(&Identity::ip(client.ip), *network);
            take(Verdict { check: &UNFINISHED, subject, answer: deliveries.answer(self.most, server.ip) });
        }
        for (id, deleter) in self.deleters.iter() {
            let mut say = |answer| take(Verdict { check: &CLEARED, subject: id.clone(), answer });
            for (topic, owner, server, evidence) in &deleter.deleted {
                say(Answer::Found(found(topic, owner, *server, evidence)));
            }
            if deleter.deleted.is_empty() {
                say(Answer::Clear("it deleted no message that somebody else was seen to leave".into()));
            }
        }
    }

    fn shed(&self) -> u64 {
        self.connections.shed() + self.owners.shed() + self.deleters.shed()
    }
}

impl Deliveries {
    fn answer(&self, most: usize, server: IpAddr) -> Answer {
        if self.evidence.count == 0 {
            return Answer::Clear(format!("never more than {most} deliveries at QoS 2 were open at a time").into());
        }
        Answer::Found(Found {
            severity: Severity::Medium,
            confidence: Confidence::Seen,
            arguments: vec![("_limit", most.to_string().into()), ("server", server.to_string().into())],
            evidence: self.evidence.clone(),
        })
    }
}

impl Owner {
    fn is_another(&self, other: &Owner) -> bool {
        self.address != other.address && self.client != other.client
    }

    fn called(&self) -> String {
        match (&self.client, self.address) {
            (Some(client), Some(address)) => format!("{client} at {address}"),
            (_, Some(address)) => address.to_string(),
            _ => "another client".into(),
        }
    }
}

impl Deleter {
    fn note(&mut self, topic: &str, owner: Owner, server: IpAddr, seen: Seen) {
        const FIELD: &str = "mqtt.publish.payload_length";
        let known = self.deleted.iter().position(|(known, _, at, _)| **known == *topic && *at == server);
        if known.is_none() && self.deleted.len() < DELETED {
            return self.deleted.push((topic.into(), owner, server, Evidence::one(seen, FIELD)));
        }
        // The last speaks for those that there is no room for: its count tells how many there were.
        let at = known.unwrap_or(DELETED - 1);
        self.deleted.get_mut(at).into_iter().for_each(|(.., evidence)| evidence.add(seen, FIELD));
    }
}

fn found(topic: &str, owner: &Owner, server: IpAddr, evidence: &Evidence) -> Found {
    Found {
        severity: Severity::Low,
        confidence: Confidence::Seen,
        arguments: vec![
            ("_owner", owner.called().into()),
            ("_topic", topic.to_owned().into()),
            ("server", server.to_string().into()),
        ],
        evidence: evidence.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::observation::{KindId, Place};
    use citytap_sensor::time::Timestamp;

    const BROKER: u8 = 5;

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint { ip: [10, 0, 0, last].into(), port }
    }

    fn event(kind: KindId, client: u8, direction: Direction, fields: Vec<OwnedValue>) -> Event {
        let (client, broker) = (end(client, 40_000), end(BROKER, 1883));
        let (sender, receiver) = match direction {
            Direction::ToServer => (client, broker),
            Direction::ToClient => (broker, client),
        };
        let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp(1) };
        Event { stages: 1, seen, network: 0, sender, receiver, direction, kind, fields }
    }

    fn retained(client: u8, name: &str, topic: &str, length: u64) -> Event {
        let fields = vec![
            OwnedValue::Text(topic.into()),
            OwnedValue::Unsigned(length),
            OwnedValue::Bool(false),
            OwnedValue::Text(name.into()),
        ];
        event(RETAINED.kind_id(), client, Direction::ToServer, fields)
    }

    /// Findings and sightings in them about one client.
    fn deleted(state: &MqttState, client: u8) -> (usize, u64) {
        let id = IdentityKey::new(&Identity::ip([10, 0, 0, client].into()), 0);
        let all = state.deleters.get(&id).map(|deleter| deleter.deleted.as_slice()).unwrap_or_default();
        (all.len(), all.iter().map(|(.., evidence)| evidence.count).sum())
    }

    #[test]
    fn another_is_who_has_another_name_and_another_address() {
        let mut state = MqttState::new(100);
        state.event(&retained(1, "a", "t", 9));
        state.event(&retained(1, "random-2", "t", 0));
        state.event(&retained(1, "a", "t", 9));
        state.event(&retained(2, "a", "t", 0));
        state.event(&retained(3, "b", "never left", 0));
        assert_eq!((deleted(&state, 1), deleted(&state, 2), deleted(&state, 3)), ((0, 0), (0, 0), (0, 0)));
        state.event(&retained(1, "a", "t", 9));
        state.event(&retained(3, "b", "t", 0));
        assert_eq!(deleted(&state, 3), (1, 1));
    }

    #[test]
    fn of_many_messages_deleted_the_first_are_told_and_all_are_counted() {
        let mut state = MqttState::new(100);
        for topic in 0..20 {
            state.event(&retained(1, "a", &format!("t/{topic}"), 9));
            state.event(&retained(2, "b", &format!("t/{topic}"), 0));
        }
        assert_eq!(deleted(&state, 2), (DELETED, 20));
    }

    #[test]
    fn what_is_refused_ended_or_of_a_connection_before_is_not_open() {
        let mut state = MqttState::new(2);
        let pubrec = |id, reason| {
            let reason = if reason == 0 { OwnedValue::Absent } else { OwnedValue::Unsigned(reason) };
            event(PUBREC.kind_id(), 1, Direction::ToClient, vec![OwnedValue::Unsigned(id), reason])
        };
        let pubrel = |id| event(PUBREL.kind_id(), 1, Direction::ToServer, vec![OwnedValue::Unsigned(id)]);
        let connect = || event(CONNECT.kind_id(), 1, Direction::ToServer, vec![OwnedValue::Unsigned(4)]);
        let told = |state: &MqttState| state.connections.iter().map(|(_, deliveries)| deliveries.evidence.count).sum::<u64>();
        for id in 1..=9 {
            state.event(&pubrec(id, 0x97));
            state.event(&pubrec(id, 0));
            state.event(&pubrel(id));
        }
        state.event(&pubrec(1, 0));
        state.event(&pubrec(2, 0));
        state.event(&connect());
        state.event(&pubrec(1, 0));
        state.event(&pubrec(2, 0));
        assert_eq!(told(&state), 0);
        state.event(&pubrec(3, 0));
        assert_eq!(told(&state), 1);
    }
}
