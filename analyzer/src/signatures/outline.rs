//! What of a device decides its class, in a few numbers: devices with the same outline have the same class, so that a city's devices are
//! counted by class without concluding everything about each of them.
//!
//! An outline holds what `conclusions` looks at: roles, services, and of each text what the rules make of it. Of a serial number that no rule
//! reads only that one was told stands there, with its field and how sure it is; a name that a rule takes something out of stands there
//! itself. Where two statements compete, the later one counts, so they stand in the order of time.

use super::conclusions::{NAMES, OBJECTS, TOPIC, TOPICS, Word, word_of, word_of_object};
use super::fingerprints::{Touch, touch};
use super::{classes, vendors};
use crate::inventory::attribute_name;
use citytap_sensor::observation::{Attribute, Confidence, Role};
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::BuildHasher;

/// Texts of which it is remembered what rules make of them.
const TEXTS: usize = 1 << 16;

/// Outlines of which the class is remembered.
const OUTLINES: usize = 1 << 16;

/// Classes by outline.
#[derive(Default)]
pub struct Outlines {
    classes: HashMap<Box<[u64]>, Option<&'static str>, FixedState>,
    texts: HashMap<(u64, u64), u64, FixedState>,
    draft: Draft,
}

/// The outline of one device, while it is drawn.
#[derive(Default)]
struct Draft {
    marks: Vec<Mark>,
    topics: usize,
    /// Something that an outline does not hold decides.
    incomplete: bool,
    numbers: Vec<u64>,
}

/// One thing that the device shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    what: u64,
    last: Last,
    /// What rules make of its text; 0: nothing.
    weight: u64,
    /// Whether it can stand in another's place, or another in its: then the later one counts.
    competes: bool,
}

/// When something was seen last: time and packet.
pub type Last = (Timestamp, u64);

const TIMELESS: Last = (Timestamp(0), 0);

impl Outlines {
    /// Begins with a device.
    pub fn begin(&mut self) {
        self.draft.marks.clear();
        self.draft.topics = 0;
        self.draft.incomplete = false;
    }

    /// It has something that outlines do not hold.
    pub fn give_up(&mut self) {
        self.draft.incomplete = true;
    }

    /// It has this role.
    pub fn role(&mut self, role: Role) {
        self.mark(Family::Role, role as u64, TIMELESS, 0, false);
    }

    /// It serves this protocol.
    pub fn serves(&mut self, protocol: &'static str) {
        self.mark(Family::Serves, label(protocol), TIMELESS, 0, false);
    }

    /// It asks others in this protocol.
    pub fn asks(&mut self, protocol: &'static str) {
        self.mark(Family::Asks, label(protocol), TIMELESS, 0, false);
    }

    /// It has a name of this kind.
    pub fn name(&mut self, kind: &'static str, value: &str, last: Last) {
        self.mark(Family::Kind, label(kind), TIMELESS, 0, false);
        if let Some((_, attribute)) = NAMES.iter().find(|(known, _)| *known == kind) {
            let mut weight = self.weight(attribute, value);
            if kind == "lwm2m_endpoint" {
                weight = both(weight, self.rows("endpoint", value));
            }
            self.mark(Family::Name, label(attribute), last, weight, weight != 0);
        }
    }

    /// It has a name of this kind whose number tells who made it.
    pub fn number(&mut self, kind: &'static str, value: u64, digits: u8, last: Last) {
        let vendor = match digits {
            12 if kind == "mac" => vendors::by_mac(value),
            16 => vendors::by_eui(value),
            _ => None,
        };
        if let Some(vendor) = vendor {
            self.mark(Family::Vendor, label(kind), last, label(vendor), true);
        }
    }

    /// Something is said about it.
    pub fn said(&mut self, name: Attribute, field: &'static str, value: &str, confidence: Confidence, last: Last) {
        let read = self.weight(field, value);
        let word = word_of(field, attribute_name(name));
        let mut weight = both(
            read,
            match word {
                Some(Word::Value(kind)) => both(hash(kind), hash(value)),
                Some(Word::Text("vendor")) => hash(&vendors::normalise(value)),
                Some(Word::Text(kind)) => self.rows(kind, value),
                None => 0,
            },
        );
        if name == Attribute::JoinEui {
            let vendor = u64::from_str_radix(value, 16).ok().and_then(vendors::by_join_eui);
            weight = both(weight, vendor.map_or(0, hash));
        }
        let statement = (name as u64) << 8 | confidence as u64;
        self.mark(Family::Said, statement ^ label(field).rotate_left(16), last, weight, word.is_some() || weight != 0);
    }

    /// It has this object.
    pub fn object(&mut self, kind: &'static str, name: &str, last: Last) {
        let read = match OBJECTS.iter().find(|(known, _)| *known == kind) {
            Some((_, attribute)) => self.weight(attribute, name),
            None => 0,
        };
        let word = match word_of_object(kind) {
            Some(Word::Value(kind)) => both(hash(kind), hash(name)),
            Some(Word::Text(kind)) => self.rows(kind, name),
            None => 0,
        };
        let weight = both(read, word);
        if kind == TOPIC {
            self.draft.topics += 1;
            // Of many topics the first count, in an order that outlines do not hold.
            self.draft.incomplete |= self.draft.topics > TOPICS;
        }
        if weight != 0 {
            // What fingerprints make of two objects can compete; points for a class add up in any order.
            self.mark(Family::Object, label(kind), last, weight, read != 0);
        }
    }

    /// The class of the device drawn; `conclude` says it where the outline is new.
    pub fn class(&mut self, conclude: impl FnOnce() -> Option<&'static str>) -> Option<&'static str> {
        let draft = &mut self.draft;
        draft.marks.sort_unstable();
        draft.marks.dedup();
        // Of two texts of one field at one time the lesser counts, which their weights do not tell.
        draft.incomplete |=
            draft.marks.windows(2).any(|two| matches!(two, [a, b] if (a.what, a.last) == (b.what, b.last) && a.competes));
        draft.numbers.clear();
        draft.numbers.extend(draft.marks.iter().flat_map(|mark| [mark.what, mark.weight]));
        draft.marks.retain(|mark| mark.competes);
        draft.marks.sort_unstable_by_key(|mark| (mark.last, mark.what));
        for same_time in draft.marks.chunk_by(|a, b| a.last == b.last) {
            draft.numbers.extend(same_time.iter().map(|mark| mark.what));
            draft.numbers.push(0);
        }
        if draft.incomplete {
            return conclude();
        }
        if let Some(class) = self.classes.get(draft.numbers.as_slice()) {
            return *class;
        }
        let class = conclude();
        if self.classes.len() < OUTLINES {
            self.classes.insert(draft.numbers.as_slice().into(), class);
        }
        class
    }

    fn mark(&mut self, family: Family, what: u64, last: Last, weight: u64, competes: bool) {
        self.draft.marks.push(Mark { what: what.rotate_left(8) ^ family as u64, last, weight, competes });
    }

    /// What fingerprints make of a text.
    fn weight(&mut self, attribute: &'static str, text: &str) -> u64 {
        let incomplete = &mut self.draft.incomplete;
        let weight = remembered(&mut self.texts, label(attribute), text, |text| match touch(attribute, text) {
            Touch::None => 0,
            Touch::Conditions(conditions) => hash_numbers(&conditions),
            Touch::Itself => hash(text),
            Touch::WithPacket => WITH_PACKET,
        });
        *incomplete |= weight == WITH_PACKET;
        weight
    }

    /// What class patterns make of a text.
    fn rows(&mut self, attribute: &'static str, text: &str) -> u64 {
        remembered(&mut self.texts, !label(attribute), text, |text| {
            let rows = classes::rows_matching(attribute, text);
            if rows.is_empty() { 0 } else { both(hash_numbers(&rows), hash(attribute)) }
        })
    }
}

/// What an outline tells apart.
#[derive(Clone, Copy)]
enum Family {
    Role = 1,
    Serves,
    Asks,
    Kind,
    Name,
    Vendor,
    Said,
    Object,
}

/// Stands for a text that says something only beside others of its packet.
const WITH_PACKET: u64 = u64::MAX;

fn remembered(
    texts: &mut HashMap<(u64, u64), u64, FixedState>,
    attribute: u64,
    text: &str,
    read: impl FnOnce(&str) -> u64,
) -> u64 {
    let key = (attribute, hash(text));
    if let Some(&weight) = texts.get(&key) {
        return weight;
    }
    let weight = read(text);
    if texts.len() < TEXTS {
        texts.insert(key, weight);
    }
    weight
}

/// Tells texts of the program apart by where they stand, which is quicker than by what they say: two that say the same are but taken for two.
fn label(text: &'static str) -> u64 {
    (text.as_ptr() as u64).rotate_left(16) ^ text.len() as u64
}

/// Two weights as one; nothing and nothing stays nothing. Not the same for the same two in the other order, so that equal ones do not
/// cancel each other.
fn both(a: u64, b: u64) -> u64 {
    if (a, b) == (0, 0) { 0 } else { FixedState::with_seed(2).hash_one((a, b)) }
}

fn hash(text: &str) -> u64 {
    FixedState::with_seed(0).hash_one(text)
}

fn hash_numbers(numbers: &[u32]) -> u64 {
    FixedState::with_seed(1).hash_one(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(outlines: &mut Outlines, vendor: &str, class: &'static str) -> Option<&'static str> {
        outlines.begin();
        outlines.said(Attribute::Vendor, "modbus.vendor_name", vendor, Confidence::Seen, (Timestamp(1), 1));
        outlines.class(|| Some(class))
    }

    #[test]
    fn of_a_text_that_no_rule_reads_only_that_it_was_told_counts() {
        let mut outlines = Outlines::default();
        let mut class_of = |serial: Option<&str>, class| {
            outlines.begin();
            outlines.serves("lwm2m");
            if let Some(serial) = serial {
                outlines.said(Attribute::Serial, "lwm2m.serial_number", serial, Confidence::Seen, (Timestamp(1), 1));
            }
            outlines.class(|| Some(class))
        };
        assert_eq!(class_of(Some("8A-1520-0417"), "concluded"), Some("concluded"));
        assert_eq!(class_of(Some("8A-1520-0418"), "remembered"), Some("concluded"));
        assert_eq!(class_of(None, "another outline"), Some("another outline"));
    }

    #[test]
    fn a_text_that_a_rule_takes_and_a_word_reads_is_not_lost() {
        let mut outlines = Outlines::default();
        assert_eq!(class_of(&mut outlines, "Wingpath Ltd", "test_tool"), Some("test_tool"));
        assert_eq!(class_of(&mut outlines, "Acme GmbH", "plc"), Some("plc"));
        assert_eq!(class_of(&mut outlines, "Acme GmbH", "remembered"), Some("plc"));
    }
}
