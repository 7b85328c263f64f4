//! What each packet changes in the connection, implies and says. Each answers whether the packet could not be read whole.

use super::{Missing, Packet, Phase, Session};
use crate::flow::Direction;
use crate::observation::{Anomalies, Credential, CredentialKind, Fact, Identity, Outcome, Role, Secret, Text};
use crate::protocols::mqtt::exchange::{Aliases, Exchanges, Waits};
use crate::protocols::mqtt::facts::{self, Client, Facts, Presented, Told};
use crate::protocols::mqtt::record::{self, length, listed, named, user_property_count};
use crate::protocols::mqtt::wire::{self, Dialect, Home, PacketType};
use crate::protocols::mqtt::{CREDENTIAL_BYTES, anomaly, image, secrets};
use crate::protocols::{Carried, Channel, Cx};
use std::borrow::Cow;

fn is_malformed(anomalies: &Anomalies) -> bool {
    anomalies.iter().any(|anomaly| std::ptr::eq(anomaly.code, &anomaly::MALFORMED))
}

impl Session {
    pub(super) fn connect(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let connect = wire::connect(&mut packet.body);
        let shown_id = connect.client_id.as_deref().and_then(secrets::shown_client_id).filter(|id| !id.is_empty());
        // A CONNECT from the server changes nothing: it is told with its anomaly.
        if packet.direction == Direction::ToServer {
            let rest = self.heard.turn(Some(facts::identity(self.client.as_ref(), cx.flow())), cx);
            rest.into_iter().for_each(|rest| cx.facts(Direction::ToServer, &[rest]));
            self.begin(&connect, shown_id);
        }
        // A CONNECT that breaks off does not tell whether it would have presented something.
        let presented = Presented::new(&connect, cx.now()).filter(|_| !is_malformed(&packet.body.anomalies));
        let size = connect.user_name.map_or(0, <[u8]>::len) + connect.password.map_or(0, <[u8]>::len);
        let flow = *cx.flow();
        let will_topic = connect.will.as_ref().map(|will| secrets::shown_topic(Cow::Borrowed(&*will.topic)));
        let mut facts = Facts::new();
        if packet.direction == Direction::ToServer {
            self.told.first(Told::CLIENT);
            self.connect_at = Some(cx.now());
            facts::client(self.client.as_ref(), self.level, &flow, &mut facts);
            let id = facts::identity(self.client.as_ref(), &flow);
            if connect.bridge {
                facts.push(Fact::Role { id, role: Role::Bridge });
            }
            if size > CREDENTIAL_BYTES
                && let Some(presented) = &presented
            {
                presented.tell(id, &flow, Outcome::Unknown, &mut facts);
            }
        }
        if let Some(topic) = &will_topic
            && packet.direction == Direction::ToServer
        {
            let id = facts::identity(self.client.as_ref(), &flow);
            facts.push(Fact::Object { id, kind: "mqtt.will_topic", name: Text::Str(topic) });
        }
        let will = connect.will.as_ref();
        let properties = &connect.properties;
        let holds_token = connect.client_id.as_deref().map(secrets::holds_token);
        let record = record::Connect {
            protocol_name: Cow::Borrowed(&*connect.protocol_name),
            protocol_level: connect.level,
            bridge: connect.bridge,
            client_id: shown_id.map(Cow::Borrowed),
            client_id_length: connect.client_id.as_deref().map(|id| length(id.as_bytes())),
            client_id_token: holds_token.filter(|&holds| holds),
            keep_alive_s: connect.keep_alive,
            clean_start: connect.clean_start(),
            will_topic: will_topic.as_deref().map(Cow::Borrowed),
            will_qos: will.map(|_| connect.will_qos()),
            will_retain: will.map(|_| connect.will_retain()),
            will_payload_length: will.map(|will| length(will.payload)),
            will_delay_s: will.and_then(|will| will.properties.will_delay),
            will_message_expiry_s: will.and_then(|will| will.properties.message_expiry),
            will_content_type: will.and_then(|will| will.properties.content_type.clone()),
            will_response_topic: will.and_then(|will| will.properties.response_topic.clone()).map(secrets::shown_topic),
            has_user_name: connect.flags & 0x80 != 0,
            user_name_length: connect.user_name.map(length),
            has_password: connect.flags & 0x40 != 0,
            password_length: connect.password.map(length),
            session_expiry_s: properties.session_expiry,
            receive_maximum: properties.receive_maximum,
            maximum_packet_size: properties.maximum_packet_size,
            topic_alias_maximum: properties.topic_alias_maximum,
            authentication_method: properties.authentication_method.clone(),
            authentication_data_length: properties.authentication_data.map(length),
            user_property_count: user_property_count(&properties.user),
            user_property_names: properties.user.names.clone(),
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        drop(facts);
        if packet.direction == Direction::ToServer && size <= CREDENTIAL_BYTES {
            self.presented = presented.map(Box::new);
        }
        is_malformed(&packet.body.anomalies)
    }

    /// A new connection: what was known of an earlier one in the same flow is forgotten.
    fn begin(&mut self, connect: &wire::Connect<'_>, shown_id: Option<&str>) {
        // Where nothing came before it, the connection was seen from its beginning, with or without its SYN.
        self.unbroken |= [Direction::ToServer, Direction::ToClient].iter().all(|direction| !self.ways.of(*direction).seen);
        self.dialect = connect.dialect();
        self.level = connect.level;
        self.phase = Phase::Asked;
        self.told = Told::default();
        self.client = shown_id.map(|id| Client::new(id, false));
        for direction in [Direction::ToServer, Direction::ToClient] {
            let way = self.ways.of_mut(direction);
            (way.ended, way.maximum_packet_size, way.topic_alias_maximum) = (false, 0, None);
            way.aliases = Aliases::default();
            way.exchanges = Exchanges::default();
        }
        let to_client = self.ways.of_mut(Direction::ToClient);
        to_client.maximum_packet_size = connect.properties.maximum_packet_size.unwrap_or(0);
        // Left out means that no alias is taken (§3.1.2.11.5).
        to_client.topic_alias_maximum = Some(connect.properties.topic_alias_maximum.unwrap_or(0));
    }

    pub(super) fn connack(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        // A server that does not know version 5 answers in its own: two bytes, no properties.
        let dialect = if packet.header.remaining == 2 { Dialect::V3 } else { packet.dialect };
        let connack = wire::connack(&mut packet.body, dialect);
        let properties = &connack.properties;
        let accepted = connack.reason_code.map(|code| code == 0);
        let mut presented = None;
        let mut adopted = false;
        let elapsed = self.connect_at.filter(|_| self.phase == Phase::Asked).map(|at| cx.now().since(at) / 1000);
        if packet.direction == Direction::ToClient {
            if self.phase == Phase::Asked {
                self.phase = if accepted == Some(false) { Phase::Refused } else { Phase::Open };
            }
            presented = self.presented.take();
            if let Some(id) = &properties.assigned_client_id {
                adopted = self.client.is_none();
                self.client = Some(Client::new(id, true));
            }
            let way = self.ways.of_mut(Direction::ToServer);
            way.maximum_packet_size = properties.maximum_packet_size.unwrap_or(0);
            way.topic_alias_maximum = Some(properties.topic_alias_maximum.unwrap_or(0));
            if connack.session_present {
                // Exchanges of the earlier connection may go on in this one.
                way.exchanges.lossy = true;
                self.ways.of_mut(Direction::ToClient).exchanges.lossy = true;
            }
        }
        let reason = named(PacketType::Connack, dialect, connack.reason_code, &mut packet.body.anomalies);
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        if adopted {
            facts::client(self.client.as_ref(), self.level, cx.flow(), &mut facts);
        }
        if let Some(presented) = &presented {
            let outcome = match accepted {
                Some(true) => Outcome::Accepted,
                Some(false) => Outcome::Refused,
                None => Outcome::Unknown,
            };
            presented.tell(facts::identity(self.client.as_ref(), cx.flow()), cx.flow(), outcome, &mut facts);
        }
        let record = record::Connack {
            client_id: self.client.as_ref().map(|client| &*client.id),
            protocol_level: (self.level > 0).then_some(self.level),
            session_present: connack.session_present,
            reason_code: connack.reason_code,
            reason,
            accepted,
            session_expiry_s: properties.session_expiry,
            receive_maximum: properties.receive_maximum,
            maximum_qos: properties.maximum_qos,
            retain_available: properties.retain_available,
            maximum_packet_size: properties.maximum_packet_size,
            assigned_client_id: properties.assigned_client_id.clone(),
            topic_alias_maximum: properties.topic_alias_maximum,
            reason_string: properties.reason_string.clone(),
            wildcard_subscription_available: properties.wildcard_subscription_available,
            subscription_identifiers_available: properties.subscription_ids_available,
            shared_subscription_available: properties.shared_subscription_available,
            server_keep_alive_s: properties.server_keep_alive,
            response_information: properties.response_information.clone(),
            server_reference: properties.server_reference.clone(),
            authentication_method: properties.authentication_method.clone(),
            authentication_data_length: properties.authentication_data.map(length),
            user_property_count: user_property_count(&properties.user),
            user_property_names: properties.user.names.clone(),
            elapsed_us: elapsed,
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn publish(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let publish = wire::publish(&packet.header, &mut packet.body, packet.dialect);
        let (header, direction) = (packet.header, packet.direction);
        let alias = publish.properties.topic_alias;
        if let Some(alias) = alias {
            self.alias(&publish.topic, alias, &mut packet, cx);
        } else if publish.topic.is_empty() && publish.whole {
            packet.body.anomalies.push(&anomaly::EMPTY_TOPIC);
        }
        if let Some(id) = publish.packet_id.filter(|&id| id > 0) {
            let waits = if header.qos() == 1 { Waits::Puback } else { Waits::Pubrec };
            let complete = self.complete();
            let free = self.ways.of_mut(direction).exchanges.begin(id, waits, cx);
            if !free && !header.dup() && complete {
                packet.body.anomalies.push(&anomaly::PACKET_ID_IN_USE);
            }
        }
        if matches!(packet.missing, Some(Missing::Lost(_))) {
            packet.body.anomalies.push(&anomaly::TRUNCATED);
        }
        let due = self.due(direction, cx);
        let topic = self.ways.of(direction).aliases.resolve(&publish.topic, alias);
        let token = topic.and_then(secrets::topic_token);
        let hidden = token.and(topic).map(|topic| secrets::shown_topic(Cow::Borrowed(topic)));
        let shown = hidden.as_deref().or(topic);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        match direction {
            Direction::ToServer => {
                if self.told.first(Told::PUBLISHER) {
                    facts.push(Fact::Role { id: facts::identity(self.client.as_ref(), cx.flow()), role: Role::Publisher });
                }
                if let Some(topic) = shown
                    && self.topics.first(topic, &mut self.told, cx)
                {
                    let id = facts::identity(self.client.as_ref(), cx.flow());
                    facts.push(Fact::Object { id, kind: "mqtt.topic", name: Text::Str(topic) });
                }
            }
            Direction::ToClient if self.told.first(Told::SUBSCRIBER) => {
                facts.push(Fact::Role { id: facts::identity(self.client.as_ref(), cx.flow()), role: Role::Subscriber });
            }
            Direction::ToClient => {}
        }
        if let Some(token) = token
            && self.told.first(Told::TOPIC_TOKEN)
        {
            let by = facts::identity(self.client.as_ref(), cx.flow());
            facts.push(token_in_topic(token, by, cx));
        }
        let payload = packet.bytes.get(publish.payload_at..).unwrap_or_default();
        let properties = publish.properties;
        let record = record::Publish {
            client_id: self.client.as_ref().map(|client| &*client.id),
            delivered: direction == Direction::ToClient,
            topic: shown,
            qos: header.qos(),
            retain: header.retain(),
            dup: header.dup(),
            packet_id: publish.packet_id,
            payload_length: u32::try_from(match packet.missing {
                Some(Missing::TooLarge(length) | Missing::Lost(length)) => length,
                None => payload.len(),
            })
            .unwrap_or(u32::MAX),
            payload_skipped: packet.missing.map(|_| true),
            topic_alias: alias,
            payload_format: properties.payload_format,
            message_expiry_s: properties.message_expiry,
            response_topic: properties.response_topic.map(secrets::shown_topic),
            correlation_data_length: properties.correlation_data.map(length),
            content_type: properties.content_type,
            subscription_ids: properties.subscription_ids,
            user_property_count: user_property_count(&properties.user),
            user_property_names: properties.user.names,
            payload_image: image::kind(payload),
        };
        cx.emit(direction, &record, &facts, &packet.body.anomalies);
        if publish.whole && !payload.is_empty() {
            // Copies for subscribers are handed on too: a tap may see only the subscriber's side of the broker, and a retained message may
            // be older than the capture. `delivered` and the direction tell them from what a publisher sent.
            let hint = shown.unwrap_or_default();
            cx.forward(Carried {
                kind: "mqtt.payload",
                hint,
                channel: Channel::Datagram,
                direction,
                bytes: payload,
                carrier: &record,
            });
        }
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn acknowledgement(&mut self, mut packet: Packet<'_>, home: Home, cx: &mut Cx<'_>) -> bool {
        let (header_type, dialect) = (packet.packet_type, packet.dialect);
        let read = wire::acknowledgement(&mut packet.body, dialect, home);
        let failed = read.reason_code.is_some_and(|code| code >= 0x80);
        // PUBREL goes the way of the PUBLISH, the others against it.
        let (begun, waited_for, next) = match home {
            Home::Puback => (packet.direction.opposite(), Waits::Puback, None),
            Home::Pubrec if failed => (packet.direction.opposite(), Waits::Pubrec, None),
            Home::Pubrec => (packet.direction.opposite(), Waits::Pubrec, Some(Waits::Pubrel)),
            Home::Pubrel => (packet.direction, Waits::Pubrel, Some(Waits::Pubcomp)),
            _ => (packet.direction.opposite(), Waits::Pubcomp, None),
        };
        let complete = self.complete();
        // A PUBLISH that is not whole here was whole for its receiver.
        let awaited = self.ways.of(begun).begun.is_some();
        let exchanges = &mut self.ways.of_mut(begun).exchanges;
        let waited = read.packet_id.and_then(|id| exchanges.answer(id, waited_for, next, cx.now()));
        if let Some(id) = read.packet_id
            && waited.is_none()
            && complete
            && !exchanges.lossy
            && !exchanges.has(id)
            && !awaited
        {
            packet.body.anomalies.push(&anomaly::MISSING_PUBLISH);
        }
        let reason = named(header_type, dialect, read.reason_code, &mut packet.body.anomalies);
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let client_id = self.client.as_ref().map(|client| &*client.id);
        let properties = read.properties;
        let elapsed_us = waited.map(|waited| waited / 1000);
        macro_rules! emit {
            ($kind:ident) => {
                cx.emit(
                    packet.direction,
                    &record::$kind {
                        client_id,
                        packet_id: read.packet_id,
                        reason_code: read.reason_code,
                        reason,
                        reason_string: properties.reason_string,
                        user_property_count: user_property_count(&properties.user),
                        user_property_names: properties.user.names,
                        elapsed_us,
                    },
                    &facts,
                    &packet.body.anomalies,
                )
            };
        }
        match home {
            Home::Puback => emit!(Puback),
            Home::Pubrec => emit!(Pubrec),
            Home::Pubrel => emit!(Pubrel),
            _ => emit!(Pubcomp),
        }
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn subscribe(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let dialect = packet.dialect;
        let read = wire::subscribe(&mut packet.body, dialect);
        let options: Vec<u8> = read.filters.iter().map(|&(_, options)| options).collect();
        let filters: Vec<Cow<'_, str>> = read.filters.into_iter().map(|(filter, _)| secrets::shown_topic(filter)).collect();
        if let Some(id) = read.packet_id {
            self.request(id, Waits::Suback, &filters, &mut packet, cx);
        }
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        if packet.direction == Direction::ToServer {
            if self.told.first(Told::SUBSCRIBER) {
                facts.push(Fact::Role { id: facts::identity(self.client.as_ref(), cx.flow()), role: Role::Subscriber });
            }
            for filter in &filters {
                if self.topics.first(filter, &mut self.told, cx) {
                    let id = facts::identity(self.client.as_ref(), cx.flow());
                    facts.push(Fact::Object { id, kind: "mqtt.topic_filter", name: Text::Str(filter) });
                }
            }
        }
        let version_5 = if dialect == Dialect::V5 { &options[..] } else { &[] };
        let record = record::Subscribe {
            client_id: self.client.as_ref().map(|client| &*client.id),
            packet_id: read.packet_id,
            topic_filter_count: u32::try_from(read.count).unwrap_or(u32::MAX),
            topic_filters: filters.iter().map(|filter| Cow::Borrowed(&**filter)).collect(),
            qos: options.iter().map(|options| options & 3).collect(),
            no_local: version_5.iter().map(|options| options & 4 != 0).collect(),
            retain_as_published: version_5.iter().map(|options| options & 8 != 0).collect(),
            retain_handling: version_5.iter().map(|options| (options >> 4) & 3).collect(),
            subscription_id: read.properties.subscription_ids.first().copied(),
            user_property_count: user_property_count(&read.properties.user),
            user_property_names: read.properties.user.names,
            wildcard_count: u32::try_from(filters.iter().filter(|filter| filter.contains(['+', '#'])).count())
                .unwrap_or(u32::MAX),
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn unsubscribe(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let dialect = packet.dialect;
        let read = wire::unsubscribe(&mut packet.body, dialect);
        let filters: Vec<Cow<'_, str>> = read.filters.into_iter().map(secrets::shown_topic).collect();
        if let Some(id) = read.packet_id {
            self.request(id, Waits::Unsuback, &filters, &mut packet, cx);
        }
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let record = record::Unsubscribe {
            client_id: self.client.as_ref().map(|client| &*client.id),
            packet_id: read.packet_id,
            topic_filter_count: u32::try_from(read.count).unwrap_or(u32::MAX),
            topic_filters: filters,
            user_property_count: user_property_count(&read.properties.user),
            user_property_names: read.properties.user.names,
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        is_malformed(&packet.body.anomalies)
    }

    /// Opens the exchange of a SUBSCRIBE or UNSUBSCRIBE.
    fn request(&mut self, id: u16, waits: Waits, filters: &[Cow<'_, str>], packet: &mut Packet<'_>, cx: &mut Cx<'_>) {
        let complete = self.complete();
        let free = self.ways.of_mut(packet.direction).exchanges.begin(id, waits, cx);
        if !free && complete {
            packet.body.anomalies.push(&anomaly::PACKET_ID_IN_USE);
        }
        self.filters.keep(id, filters.iter().map(|filter| &**filter), cx);
    }

    pub(super) fn answer(&mut self, mut packet: Packet<'_>, home: Home, cx: &mut Cx<'_>) -> bool {
        let dialect = packet.dialect;
        let read = wire::answer(&mut packet.body, dialect, home);
        let waited_for = if home == Home::Suback { Waits::Suback } else { Waits::Unsuback };
        let complete = self.complete();
        let exchanges = &mut self.ways.of_mut(packet.direction.opposite()).exchanges;
        let waited = read.packet_id.and_then(|id| exchanges.answer(id, waited_for, None, cx.now()));
        if waited.is_none() && complete && !exchanges.lossy && read.packet_id.is_some() {
            let code = if home == Home::Suback { &anomaly::MISSING_SUBSCRIBE } else { &anomaly::MISSING_UNSUBSCRIBE };
            packet.body.anomalies.push(code);
        }
        let filters = read.packet_id.map(|id| self.filters.take(id)).unwrap_or_default();
        let has_codes = home == Home::Suback || dialect == Dialect::V5;
        if waited.is_some() && has_codes && !filters.is_empty() && filters.len() != read.reason_codes.len() {
            packet.body.anomalies.push(&anomaly::REASON_CODE_COUNT);
        }
        let (reason_codes, reasons) = listed(packet.packet_type, dialect, read.reason_codes, &mut packet.body.anomalies);
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let client_id = self.client.as_ref().map(|client| &*client.id);
        let elapsed_us = waited.map(|waited| waited / 1000);
        macro_rules! emit {
            ($kind:ident) => {
                cx.emit(
                    packet.direction,
                    &record::$kind {
                        client_id,
                        packet_id: read.packet_id,
                        reason_codes,
                        reasons,
                        topic_filters: &filters,
                        reason_string: read.properties.reason_string,
                        user_property_count: user_property_count(&read.properties.user),
                        user_property_names: read.properties.user.names,
                        elapsed_us,
                    },
                    &facts,
                    &packet.body.anomalies,
                )
            };
        }
        if home == Home::Suback {
            emit!(Suback)
        } else {
            emit!(Unsuback)
        }
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn ping(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        if packet.header.remaining > 0 {
            packet.body.anomalies.push(&anomaly::TRAILING_BYTES);
        }
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let client_id = self.client.as_ref().map(|client| &*client.id);
        if packet.packet_type == PacketType::Pingreq {
            self.ping_at = Some(cx.now());
            cx.emit(packet.direction, &record::Pingreq { client_id }, &facts, &packet.body.anomalies);
        } else {
            let elapsed_us = self.ping_at.take().map(|at| cx.now().since(at) / 1000);
            cx.emit(packet.direction, &record::Pingresp { client_id, elapsed_us }, &facts, &packet.body.anomalies);
        }
        false
    }

    pub(super) fn disconnect(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let dialect = packet.dialect;
        let read = wire::farewell(&mut packet.body, dialect, Home::Disconnect);
        if cx.flow().oriented && packet.direction == Direction::ToClient && dialect == Dialect::V3 {
            packet.body.anomalies.push(&anomaly::WRONG_DIRECTION);
        }
        self.ways.of_mut(packet.direction).ended = true;
        let reason = named(packet.packet_type, dialect, read.reason_code, &mut packet.body.anomalies);
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let record = record::Disconnect {
            client_id: self.client.as_ref().map(|client| &*client.id),
            reason_code: read.reason_code,
            reason,
            session_expiry_s: read.properties.session_expiry,
            reason_string: read.properties.reason_string,
            server_reference: read.properties.server_reference,
            user_property_count: user_property_count(&read.properties.user),
            user_property_names: read.properties.user.names,
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        is_malformed(&packet.body.anomalies)
    }

    pub(super) fn auth(&mut self, mut packet: Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let read = wire::farewell(&mut packet.body, Dialect::V5, Home::Auth);
        let reason = named(PacketType::Auth, Dialect::V5, read.reason_code, &mut packet.body.anomalies);
        let due = self.due(packet.direction, cx);
        let mut facts = Facts::new();
        due.tell(self.client.as_ref(), self.level, cx, &mut facts);
        let record = record::Auth {
            client_id: self.client.as_ref().map(|client| &*client.id),
            reason_code: read.reason_code,
            reason,
            authentication_method: read.properties.authentication_method,
            authentication_data_length: read.properties.authentication_data.map(length),
            reason_string: read.properties.reason_string,
            user_property_count: user_property_count(&read.properties.user),
            user_property_names: read.properties.user.names,
        };
        cx.emit(packet.direction, &record, &facts, &packet.body.anomalies);
        is_malformed(&packet.body.anomalies)
    }
}

#[cold]
fn token_in_topic<'a>(token: &'a str, by: Identity<'a>, cx: &Cx<'_>) -> Fact<'a> {
    Fact::Credential(Credential {
        by,
        to: Identity::ip(cx.flow().server.ip),
        kind: CredentialKind::Token,
        user: None,
        secret: Some(Secret::new(token.as_bytes())),
        outcome: Outcome::Unknown,
        cleartext: true,
    })
}
