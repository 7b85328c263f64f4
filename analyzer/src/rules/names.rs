//! The names that rules use, against what the decoders declare: `<protocol>.<field>` of the rule's service, `carrier.<protocol>.<field>` of the
//! message that carried it, and what is known around a message ([`CONTEXT`]).

use super::findings;
use crate::findings::Severity;
use crate::nearest::nearest;
use citytap_sensor::flow::Transport;
use citytap_sensor::observation::{Bounds, FieldId, FieldSpec, FieldType, KindId, RecordKind};
use citytap_sensor::protocols::DecoderSpec;

/// What is known around a message, beside its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The kind of record.
    Record,
    /// Which way it went.
    Direction,
    /// Codes of its anomalies.
    Anomaly,
    /// Number of its network.
    Network,
    /// Address of who asks.
    ClientIp,
    /// Port of who asks.
    ClientPort,
    /// Address of who answers.
    ServerIp,
    /// Port of who answers.
    ServerPort,
    /// Address of who sent it.
    SenderIp,
    /// Address of who was to receive it.
    ReceiverIp,
    /// Its transport.
    Transport,
    /// Its VLAN.
    Vlan,
    /// Whether who asks has an address of the site.
    ClientIsOwn,
    /// Whether who answers has an address of the site.
    ServerIsOwn,
}

/// The context's fields as the schema tells them, in the order of [`Context`].
pub static CONTEXT: &[(Context, FieldSpec)] = &[
    (Context::Record, field("record", FieldType::Text, "Kind of the record, as in `modbus.request`.")),
    (Context::Direction, field("direction", FieldType::Text, "`to_server` or `to_client`.")),
    (
        Context::Anomaly,
        field("anomaly", FieldType::Texts, "Codes of what departs from the specification, as in `modbus.length`."),
    ),
    (Context::Network, whole("network", u16::MAX, "Number of the address space; 0 where none are configured.")),
    (Context::ClientIp, field("flow.client_ip", FieldType::Address, "Address of the side that asks.")),
    (Context::ClientPort, whole("flow.client_port", u16::MAX, "Port of the side that asks.")),
    (Context::ServerIp, field("flow.server_ip", FieldType::Address, "Address of the side that answers.")),
    (Context::ServerPort, whole("flow.server_port", u16::MAX, "Port of the side that answers.")),
    (Context::SenderIp, field("flow.sender_ip", FieldType::Address, "Address that the message came from.")),
    (Context::ReceiverIp, field("flow.receiver_ip", FieldType::Address, "Address that the message went to.")),
    (Context::Transport, field("flow.transport", FieldType::Text, "`tcp`, `udp`, `icmpv6`, `link` or `lora_tap`.")),
    (Context::Vlan, whole("flow.vlan", 4_095, "Outermost VLAN identifier.")),
    (Context::ClientIsOwn, field("flow.client_is_own", FieldType::Bool, OWN_CLIENT)),
    (Context::ServerIsOwn, field("flow.server_is_own", FieldType::Bool, OWN_SERVER)),
];

const OWN_CLIENT: &str = "Whether the side that asks has an address of the site: one of its prefixes, or where none are configured a private one. Left \
                          out for groups, and for public addresses where none are configured.";

const OWN_SERVER: &str = "Whether the side that answers has an address of the site, as flow.client_is_own.";

const fn field(name: &'static str, ty: FieldType, doc: &'static str) -> FieldSpec {
    FieldSpec { name, doc, ty, bounds: Bounds::None }
}

/// A whole number from 0.
const fn whole(name: &'static str, most: u16, doc: &'static str) -> FieldSpec {
    FieldSpec { name, doc, ty: FieldType::Integer, bounds: Bounds::Whole(0, most as u64) }
}

/// Where the value of a name comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A field of the record.
    Field(FieldId),
    /// A field of the record that carried it, by that record's kind.
    Carrier(&'static [(KindId, FieldId)]),
    /// What is known around it.
    Context(Context),
    /// The kind of the record, which is known when the rule is read.
    Kind(&'static str),
    /// Nothing: records of this kind do not have the field.
    Absent,
}

/// The names that rules of one service can use.
pub(super) struct Names {
    decoders: &'static [&'static DecoderSpec],
    /// The service's kinds of records; of none where rules look at what is around a message alone.
    pub(super) kinds: Vec<&'static RecordKind>,
    service: String,
}

impl Names {
    /// Those of a service; none where no decoder is called so.
    pub(super) fn of(decoders: &'static [&'static DecoderSpec], service: &str) -> Option<Self> {
        let kinds = all_kinds(decoders).filter(|kind| kind.protocol() == service).collect::<Vec<_>>();
        (!kinds.is_empty()).then(|| Self { decoders, kinds, service: service.to_owned() })
    }

    /// The services that there are.
    pub(super) fn services(decoders: &'static [&'static DecoderSpec]) -> Vec<&'static str> {
        let mut services: Vec<_> = all_kinds(decoders).map(RecordKind::protocol).collect();
        services.sort_unstable();
        services.dedup();
        services
    }

    /// Where a kind of record has the value of a name, and its type.
    ///
    /// # Errors
    /// What is wrong with the name, with the nearest right one.
    pub(super) fn resolve(&self, kind: &'static RecordKind, name: &str) -> Result<(Source, FieldType), String> {
        if let Some((context, spec)) = CONTEXT.iter().find(|(_, spec)| spec.name == name) {
            if self.service == findings::SERVICE && *context != Context::Record {
                return Err(self.unknown(name));
            }
            return Ok((Source::Context(*context), spec.ty));
        }
        if let Some(rest) = name.strip_prefix("carrier.").filter(|_| self.service != findings::SERVICE) {
            let found: Vec<_> = all_kinds(self.decoders).filter_map(|kind| Some((kind.id, in_kind(kind, rest)?))).collect();
            let Some((_, (_, spec))) = found.first() else { return Err(self.unknown(name)) };
            let fields: Vec<(KindId, FieldId)> = found.iter().map(|(kind, (field, _))| (*kind, *field)).collect();
            // As rules are: read once in a process.
            return Ok((Source::Carrier(fields.leak()), spec.ty));
        }
        if let Some((field, spec)) = in_kind(kind, name) {
            return Ok((Source::Field(field), spec.ty));
        }
        match self.kinds.iter().find_map(|kind| in_kind(kind, name)) {
            Some((_, spec)) => Ok((Source::Absent, spec.ty)),
            None => Err(self.unknown(name)),
        }
    }

    /// The type of a name, of the first kind of record that has it.
    pub(super) fn type_of(&self, name: &str) -> Result<FieldType, String> {
        self.types_of(name).map(|types| types[0])
    }

    /// The types that a name has, one for each kind of record that has it; never none.
    pub(super) fn types_of(&self, name: &str) -> Result<Vec<FieldType>, String> {
        let types = self.kinds.iter().filter_map(|kind| match self.resolve(kind, name) {
            Ok((Source::Absent, _)) | Err(_) => None,
            Ok((_, ty)) => Some(ty),
        });
        let types: Vec<FieldType> = types.collect();
        if types.is_empty() { Err(self.unknown(name)) } else { Ok(types) }
    }

    /// What the values of a name keep to, for each kind of record that has it.
    pub(super) fn bounds_of(&self, name: &str) -> Vec<Bounds> {
        if let Some((_, spec)) = CONTEXT.iter().find(|(_, spec)| spec.name == name) {
            return vec![spec.bounds];
        }
        let of = |kind: &&'static RecordKind, name: &str| in_kind(kind, name).map(|(_, spec)| spec.bounds);
        match name.strip_prefix("carrier.") {
            Some(rest) => all_kinds(self.decoders).filter_map(|kind| of(&kind, rest)).collect(),
            None => self.kinds.iter().filter_map(|kind| of(kind, name)).collect(),
        }
    }

    /// The values that a name can have, where there are but a few.
    pub(super) fn values_of(&self, name: &str) -> Option<Vec<&'static str>> {
        if name == "citytap.severity" {
            return Some(Severity::ALL.into_iter().map(Severity::name).collect());
        }
        Some(match CONTEXT.iter().find(|(_, spec)| spec.name == name)?.0 {
            Context::Record => self.kinds.iter().map(|kind| kind.name).collect(),
            Context::Direction => vec!["to_server", "to_client"],
            Context::Transport => Transport::ALL.into_iter().map(transport).collect(),
            Context::Anomaly => self.decoders.iter().flat_map(|spec| spec.anomalies.iter().map(|code| code.name)).collect(),
            _ => return None,
        })
    }

    fn unknown(&self, name: &str) -> String {
        let around = name.starts_with("carrier.") || CONTEXT.iter().any(|(_, spec)| spec.name == name);
        if around && self.service == findings::SERVICE {
            return format!("a finding is no message and has no {name}. `citytap schema` lists the fields of findings.");
        }
        let mut known: Vec<String> = CONTEXT.iter().map(|(_, spec)| spec.name.to_owned()).collect();
        self.kinds.iter().for_each(|kind| names_of(kind, &mut known));
        if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
            return format!("{} records have no field {name}. Did you mean {near}?", self.service);
        }
        let bare = name.rsplit('.').next().unwrap_or(name);
        let with_service = format!("{}.{bare}", self.service);
        if known.contains(&with_service) {
            return format!("{} records have no field {name}. Did you mean {with_service}?", self.service);
        }
        match all_kinds(self.decoders).find(|kind| in_kind(kind, name).is_some()) {
            Some(kind) => format!(
                "{name} is a field of {0}, and this rule's logsource is {1}. Set service: {0}, or say carrier.{name} where {0} carries {1}.",
                kind.protocol(),
                self.service
            ),
            None => format!("{} records have no field {name}. `citytap schema` lists them.", self.service),
        }
    }
}

fn all_kinds(decoders: &'static [&'static DecoderSpec]) -> impl Iterator<Item = &'static RecordKind> {
    decoders.iter().flat_map(|spec| spec.records.iter().copied()).chain([&findings::KIND])
}

/// A name with its protocol before it, in a kind of record.
fn in_kind(kind: &'static RecordKind, name: &str) -> Option<(FieldId, &'static FieldSpec)> {
    let bare = name.strip_prefix(kind.protocol())?.strip_prefix('.')?;
    kind.field(bare)
}

fn names_of(kind: &'static RecordKind, names: &mut Vec<String>) {
    for field in kind.fields {
        names.push(format!("{}.{}", kind.protocol(), field.name));
        if let FieldType::Parts(parts) = field.ty {
            names.extend(parts.iter().map(|part| format!("{}.{}.{}", kind.protocol(), field.name, part.name)));
        }
    }
}

/// How rules call a transport.
pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Icmpv6 => "icmpv6",
        Transport::Link => "link",
        Transport::LoraTap => "lora_tap",
    }
}
