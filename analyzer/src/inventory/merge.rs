//! One device as two runs saw it: which devices are the same one, and what is known of it then.
//!
//! Within a run the links between names decide (`groups`); of an earlier run only the assembled view is left. Two views are one device if
//!
//! 1. they have the same id, that is, the same founding name;
//! 2. or they share a name that lasts: any but an address, a MAC address and what is assigned for a session;
//! 3. or one was founded by a name of the other (its id is among the other's aliases). Where that name lasts for a session only,
//!    no more than [`SESSION_GAP`] may lie between the sightings of the two,
//!
//! and, save for the first, no kind of name of which a device has one is different on both sides. What one run told apart stays apart:
//! a view takes at most one view of another run.
//!
//! What is left out: a MAC address that carried one address in one run and another address in the next founds one device, since each run
//! alone cannot tell a router from a device that got a new address. And where a later run shows that a server answers under any name, the
//! devices that an earlier run took its names for stay as they were. Captures that are replayed together are judged together.

use super::device::{
    AttributeSeen, CertificateSeen, Device, DeviceId, Name, ObjectSeen, PeerSeen, RefusedLink, RoleSeen, SecuritySeen,
    ServiceSeen, Sighting, ViaSeen,
};
use super::{attribute_name, confidence_name, rank};
use crate::signatures::conclusions::{self, Said};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{Attribute, Confidence, IdentityKind, IdentityScope, Lifetime, Strength};
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Two sightings of an address or a session's name further apart than this may be of two devices: the usual lease is a day.
pub const SESSION_GAP: Nanos = 24 * 3600 * SECOND;

/// Entries of each list that a device keeps over all runs, the longest not seen dropped first: twice what one name has of objects, the
/// longest list, so that a device of several names keeps what a run told.
pub const ENTRIES: usize = 256;

/// How counts come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// The runs read different packets.
    Sum,
    /// The run read packets that were counted before.
    Greatest,
}

impl Counting {
    /// Two counts as one.
    pub fn add(self, a: u64, b: u64) -> u64 {
        match self {
            Counting::Sum => a.saturating_add(b),
            Counting::Greatest => a.max(b),
        }
    }
}

/// How well two views fit, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// One was founded by a name of the other.
    Alias,
    /// They share a name that lasts.
    Name,
    /// They have one id.
    Id,
}

/// The devices of a store by what they can be found by.
#[derive(Default)]
pub struct Index {
    ids: HashMap<DeviceId, Vec<DeviceId>>,
    names: HashMap<NameKey, Vec<DeviceId>>,
}

type NameKey = (String, String, Option<String>);

impl Index {
    /// Of all devices.
    pub fn new(devices: &BTreeMap<DeviceId, Device>) -> Self {
        let mut index = Self::default();
        for device in devices.values() {
            for id in device.aliases.iter().chain([&device.id]) {
                index.ids.entry(*id).or_default().push(device.id);
            }
            for name in device.identities.iter().filter(|name| lasts(name)) {
                index.names.entry(key(name)).or_default().push(device.id);
            }
        }
        index
    }

    /// Devices that may be this one; [`fit`] says whether they are.
    fn near(&self, device: &Device) -> Vec<DeviceId> {
        let ids = device.aliases.iter().chain([&device.id]).filter_map(|id| self.ids.get(id));
        let names = device.identities.iter().filter(|name| lasts(name)).filter_map(|name| self.names.get(&key(name)));
        let mut near: Vec<DeviceId> = ids.chain(names).flatten().copied().collect();
        near.sort_unstable();
        near.dedup();
        near
    }
}

/// Says of each new device which known devices are the same one. Known devices that belong together come together here, unless
/// `told_apart` says that a run saw both of them: a run that sees less may take for one what another run knows to be two.
pub fn assign(
    known: &BTreeMap<DeviceId, Device>,
    new: &BTreeMap<DeviceId, Device>,
    told_apart: impl Fn(&Device, &Device) -> bool,
) -> BTreeMap<DeviceId, Vec<DeviceId>> {
    let index = Index::new(known);
    let mut pairs: Vec<(Reverse<Fit>, DeviceId, DeviceId)> = Vec::new();
    for device in new.values() {
        let near = index.near(device).into_iter().filter_map(|id| known.get(&id));
        pairs.extend(near.filter_map(|other| Some((Reverse(fit(other, device)?), other.id, device.id))));
    }
    pairs.sort_unstable();
    let mut taken: HashMap<DeviceId, DeviceId> = HashMap::new();
    let mut assigned: BTreeMap<DeviceId, Vec<DeviceId>> = BTreeMap::new();
    for (_, old, id) in pairs {
        if taken.contains_key(&old) {
            continue;
        }
        let others = assigned.entry(id).or_default();
        let agrees = |other: &DeviceId| match (known.get(other), known.get(&old)) {
            (Some(other), Some(old)) => !contradict(other, old) && !told_apart(other, old),
            _ => false,
        };
        if others.iter().all(agrees) {
            others.push(old);
            taken.insert(old, id);
        }
    }
    assigned
}

/// Whether two views of different runs are one device, and how well they fit.
pub fn fit(a: &Device, b: &Device) -> Option<Fit> {
    if a.site != b.site {
        return None;
    }
    if a.id == b.id {
        return Some(Fit::Id);
    }
    if contradict(a, b) {
        return None;
    }
    let shared = |name: &&Name| {
        let everywhere = kind(&name.kind).is_some_and(|kind| kind.scope == IdentityScope::Global);
        (everywhere || a.network == b.network) && b.identities.iter().any(|other| key(other) == key(name))
    };
    if a.identities.iter().filter(|name| lasts(name)).any(|name| shared(&name)) {
        return Some(Fit::Name);
    }
    let founded = |founded: &Device, other: &Device| {
        let Some(founding) = founded.identities.first().filter(|_| other.aliases.contains(&founded.id)) else { return false };
        if kind(&founding.kind).is_some_and(|kind| kind.lifetime != Lifetime::Session) {
            return true;
        }
        let Some(there) = other.identities.iter().find(|name| key(name) == key(founding)) else { return false };
        let apart =
            there.seen.first_seen.since(founding.seen.last_seen).max(founding.seen.first_seen.since(there.seen.last_seen));
        apart <= SESSION_GAP
    };
    (founded(a, b) || founded(b, a)).then_some(Fit::Alias)
}

/// Whether the two have different names of a kind of which a device has one.
fn contradict(a: &Device, b: &Device) -> bool {
    let exclusive = |name: &&Name| {
        kind(&name.kind).is_some_and(|kind| kind.strength == Strength::Made || kind.lifetime == Lifetime::Permanent)
    };
    let mine = a.identities.iter().filter(exclusive);
    mine.map(|name| &name.kind).any(|kind| {
        let of = |device: &Device| device.identities.iter().filter(|name| name.kind == *kind).map(key).collect::<Vec<_>>();
        let (mine, theirs) = (of(a), of(b));
        !theirs.is_empty() && !mine.iter().any(|name| theirs.contains(name))
    })
}

/// Adds what another run knows of the same device. The id is that of the stronger founding name, as it is within a run; the other
/// becomes an alias. Attributes and class are concluded anew from all that was said. Answers how many entries found no room.
pub fn merge(known: &mut Device, new: &Device, counting: Counting) -> usize {
    let stronger = match (known.identities.first(), new.identities.first()) {
        (Some(mine), Some(theirs)) => order(theirs) < order(mine),
        (mine, _) => mine.is_none(),
    };
    let (id, network, other) = if stronger { (new.id, new.network, known.id) } else { (known.id, known.network, new.id) };
    known.aliases.extend(new.aliases.iter().copied().chain([other]));
    known.aliases.sort_unstable();
    known.aliases.dedup();
    known.aliases.retain(|alias| *alias != id);
    known.aliases.truncate(ENTRIES);
    (known.id, known.network) = (id, network);
    let mut dropped = join(&mut known.identities, &new.identities, counting);
    known.identities.sort_by_key(order);
    dropped += join(&mut known.roles, &new.roles, counting);
    dropped += join(&mut known.services, &new.services, counting);
    dropped += join(&mut known.peers, &new.peers, counting);
    dropped += join(&mut known.via, &new.via, counting);
    dropped += join(&mut known.objects, &new.objects, counting);
    dropped += join(&mut known.security, &new.security, counting);
    dropped += join(&mut known.certificates, &new.certificates, counting);
    dropped += join_refused(&mut known.refused_links, &new.refused_links);
    known.vlans.extend(&new.vlans);
    known.vlans.sort_unstable();
    known.vlans.dedup();
    known.vlans.truncate(ENTRIES);
    known.first_seen = known.first_seen.min(new.first_seen);
    known.last_seen = known.last_seen.max(new.last_seen);
    known.messages = counting.add(known.messages, new.messages);
    known.packets = counting.add(known.packets, new.packets);
    known.bytes = counting.add(known.bytes, new.bytes);
    known.provisional &= new.provisional;
    dropped += join(&mut known.attributes, &new.attributes, counting);
    conclude(known);
    dropped
}

/// Says where references to other devices lead now; answers whether any did.
pub fn refer(device: &mut Device, now: &HashMap<DeviceId, DeviceId>) -> bool {
    let rename = |id: &mut Option<DeviceId>| match id.and_then(|old| now.get(&old)) {
        Some(new) if Some(*new) != *id => {
            *id = Some(*new);
            true
        }
        _ => false,
    };
    let peers = device.peers.iter_mut().filter_map(|peer| rename(&mut peer.device).then_some(())).count() > 0;
    let vias = device.via.iter_mut().filter_map(|via| rename(&mut via.device).then_some(())).count() > 0;
    if peers {
        join(&mut device.peers, &[], Counting::Sum);
    }
    if vias {
        join(&mut device.via, &[], Counting::Sum);
    }
    peers || vias
}

/// Concludes attributes, vendor and class anew from what the wire said.
pub fn conclude(device: &mut Device) {
    let mut others = Vec::new();
    let mut said = Vec::new();
    for attribute in std::mem::take(&mut device.attributes) {
        let wire = attribute.by.is_none() && attribute.origin == "observed";
        match (attribute_named(&attribute.name), confidence_named(&attribute.confidence)) {
            (Some(name), Some(confidence)) if wire => {
                said.push(Said {
                    name,
                    field: attribute.source.into(),
                    value: attribute.value,
                    confidence,
                    seen: attribute.seen,
                });
            }
            (Some(_), Some(_)) if attribute.origin == "observed" => {}
            // Of a newer version, or entered by a person: not ours to judge.
            _ => others.push(attribute),
        }
    }
    said.sort_by(|a, b| (a.name, &a.field, &a.value).cmp(&(b.name, &b.field, &b.value)));
    conclusions::conclude(device, said);
    device.attributes.append(&mut others);
    device.attributes.sort_by(|a, b| a.name.cmp(&b.name));
}

/// An entry of a device's lists.
trait Entry: Clone {
    type Key: Ord;
    /// What makes two entries the same, and their order.
    fn key(&self) -> Self::Key;
    fn seen(&mut self) -> &mut Sighting;
    /// What else two entries of one key can differ in.
    fn take(&mut self, _other: &Self) {}
}

fn join<T: Entry>(known: &mut Vec<T>, new: &[T], counting: Counting) -> usize {
    known.extend_from_slice(new);
    known.sort_by_cached_key(T::key);
    known.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            kept.take(later);
            widen(kept.seen(), *later.seen(), counting);
        }
        same
    });
    let dropped = known.len().saturating_sub(ENTRIES);
    if dropped > 0 {
        known.sort_by_cached_key(|entry| Reverse(entry.clone().seen().last_seen));
        known.truncate(ENTRIES);
        known.sort_by_cached_key(T::key);
    }
    dropped
}

/// Keeps what a device was called last; of two names of one time the one that sorts last, whichever run came first.
fn latest_text(kept: (&mut String, &Sighting), other: (&String, &Sighting)) {
    let when = |seen: &Sighting| (seen.last_seen, seen.last_frame);
    if (when(other.1), other.0) > (when(kept.1), &*kept.0) {
        kept.0.clone_from(other.0);
    }
}

pub(super) fn widen(kept: &mut Sighting, other: Sighting, counting: Counting) {
    let first = (kept.first_seen, kept.first_frame).min((other.first_seen, other.first_frame));
    let last = (kept.last_seen, kept.last_frame).max((other.last_seen, other.last_frame));
    let count = counting.add(kept.count, other.count);
    *kept = Sighting { first_seen: first.0, first_frame: first.1, last_seen: last.0, last_frame: last.1, count };
}

fn join_refused(known: &mut Vec<RefusedLink>, new: &[RefusedLink]) -> usize {
    let key = |link: &RefusedLink| (link.name.clone(), link.other.clone(), link.basis.clone(), link.reason.clone());
    known.extend_from_slice(new);
    known.sort_by_cached_key(key);
    known.dedup_by(|later, kept| {
        let same = key(later) == key(kept);
        if same {
            kept.first_seen = kept.first_seen.min(later.first_seen);
            kept.last_seen = kept.last_seen.max(later.last_seen);
            if confidence_named(&later.confidence) > confidence_named(&kept.confidence) {
                kept.confidence.clone_from(&later.confidence);
            }
        }
        same
    });
    let dropped = known.len().saturating_sub(ENTRIES);
    known.truncate(ENTRIES);
    dropped
}

macro_rules! entries {
    ($($entry:ident($this:ident) { $key:expr => $type:ty } $(+ $other:ident $take:block)?)*) => {$(
        impl Entry for $entry {
            type Key = $type;
            fn key(&self) -> $type {
                let $this = self;
                $key
            }
            fn seen(&mut self) -> &mut Sighting {
                &mut self.seen
            }
            $(fn take(&mut self, $other: &Self) {
                let $this = self;
                $take
            })?
        }
    )*};
}

entries! {
    Name(name) { key(name) => NameKey }
        + other { if presence(&other.presence) > presence(&name.presence) { name.presence.clone_from(&other.presence) } }
    RoleSeen(role) { role.role.clone() => String }
    ServiceSeen(service) { (service.protocol.clone(), service.port, service.protected) => (String, Option<u16>, bool) }
    PeerSeen(peer) { (peer.protocol.clone(), peer.side.clone(), peer.device, peer.device.map_or(peer.peer.clone(), |_| String::new()))
        => (String, String, Option<DeviceId>, String) }
        + other { latest_text((&mut peer.peer, &peer.seen), (&other.peer, &other.seen)) }
    ViaSeen(via) { (via.device, via.device.map_or(via.via.clone(), |_| String::new())) => (Option<DeviceId>, String) }
        + other { latest_text((&mut via.via, &via.seen), (&other.via, &other.seen)) }
    ObjectSeen(object) { (object.kind.clone(), object.name.parse().unwrap_or(u64::MAX), object.name.clone()) => (String, u64, String) }
    SecuritySeen(security) { (security.aspect.clone(), security.value.clone()) => (String, String) }
    CertificateSeen(certificate) { (certificate.spki_sha256.clone(), certificate.subject.clone(), certificate.not_before, certificate.issuer.clone(), certificate.not_after)
        => (String, String, i64, String, i64) }
    AttributeSeen(attribute) { (attribute.name.clone(), attribute.source.clone(), attribute.value.clone(), attribute.by.clone())
        => (String, String, String, Option<String>) }
        + other {
            if confidence_named(&other.confidence) > confidence_named(&attribute.confidence) {
                attribute.confidence.clone_from(&other.confidence);
            }
        }
}

fn key(name: &Name) -> NameKey {
    (name.kind.clone(), name.value.clone(), name.at.clone())
}

/// The order of names, the founding one first: the strongest, then the earliest, then the least.
fn order(name: &Name) -> (Reverse<Option<u8>>, Timestamp, NameKey) {
    (Reverse(kind(&name.kind).map(rank)), name.seen.first_seen, key(name))
}

/// Whether a name stays with its device beyond a session, and says which device it is.
pub fn lasts(name: &Name) -> bool {
    kind(&name.kind).is_some_and(|kind| kind.lifetime != Lifetime::Session && kind.strength != Strength::Path)
}

/// A kind of name; `None` for one that no decoder of this version knows.
fn kind(name: &str) -> Option<&'static IdentityKind> {
    let declared = DECODERS.iter().flat_map(|spec| spec.identities.iter().copied());
    [&IP, &MAC].into_iter().chain(declared).find(|kind| kind.name == name)
}

fn presence(name: &str) -> u8 {
    ["mentioned", "sent", "proved"].iter().position(|known| *known == name).map_or(0, |at| at as u8 + 1)
}

/// A confidence by its stable name.
pub fn confidence_named(name: &str) -> Option<Confidence> {
    use Confidence::{Likely, Possible, Proved, Seen};
    [Possible, Likely, Seen, Proved].into_iter().find(|confidence| confidence_name(*confidence) == name)
}

/// An attribute by its stable name.
pub fn attribute_named(name: &str) -> Option<Attribute> {
    use Attribute::*;
    [
        Vendor,
        Product,
        Model,
        Firmware,
        Software,
        Hardware,
        Serial,
        Name,
        Hostname,
        DeviceType,
        Position,
        ProtocolVersion,
        Region,
        OperatingSystem,
        Application,
        AuthenticationEnabled,
        JoinEui,
        CodecHint,
        Url,
    ]
    .into_iter()
    .find(|attribute| attribute_name(*attribute) == name)
}

#[cfg(test)]
mod tests;
