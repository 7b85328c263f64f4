//! The decoder contract, over all decoders at once: what `sensor/src/protocols/mod.rs` promises holds for each of them, on the bytes of every
//! capture in `pcaps/`, on those bytes with gaps and changes, and on noise.

use citytap_sensor::flow::{Direction, Transport};
use citytap_sensor::observation::{FieldSpec, FieldType};
use citytap_sensor::protocols::DECODERS;
use citytap_tests::noise::Noise;
use citytap_tests::streams::{Conversation, Cut, Event, play, record};
use citytap_tests::{cases, contract, fuzzing};
use std::collections::{BTreeMap, BTreeSet};

/// The conversations of all cases, with the case's name.
fn conversations() -> Vec<(String, Conversation)> {
    let recorded = cases::cases().into_iter().flat_map(|case| {
        let name = case.name;
        record(&case.capture).into_iter().map(move |conversation| (name.clone(), conversation))
    });
    recorded.collect()
}

/// Enough of a long conversation to vary, so that a capture of hours does not make a test of minutes.
fn some(conversation: &Conversation, most: usize) -> Conversation {
    let mut length = 0;
    let events = conversation.events.iter().take_while(|event| {
        length += event.bytes().len();
        length <= most
    });
    Conversation { events: events.cloned().collect(), ..conversation.clone() }
}

/// Decoders that no capture in `pcaps/` speaks to yet. This list may only shrink.
const UNHEARD: &[&str] = &[];

#[test]
fn every_decoder_is_heard() {
    let heard: BTreeSet<&str> = conversations().iter().map(|(_, conversation)| conversation.protocol).collect();
    let unheard = DECODERS.iter().map(|spec| spec.name).filter(|name| !heard.contains(name));
    let unheard: Vec<&str> = unheard.collect();
    assert_eq!(unheard, UNHEARD, "decoders without a conversation in pcaps/");
}

#[test]
fn split_anywhere() {
    for (case, conversation) in conversations() {
        let conversation = some(&conversation, 1 << 16);
        let expected = conversation.show(Cut::AsRecorded);
        let compare = |cut: Cut| {
            let how = format!("{cut:?}");
            if let Err(difference) = expected.same_while_in_sync(&conversation.show(cut)) {
                panic!("{case}: {} {} cut {how} differs {difference}", conversation.protocol, conversation.flow.server);
            }
        };
        compare(Cut::AtOnce);
        compare(Cut::Bytes);
        (1..5).for_each(|seed| compare(Cut::Random(Noise::new(seed))));
    }
}

#[test]
fn split_anywhere_in_damaged_streams() {
    for (number, (case, conversation)) in conversations().into_iter().enumerate() {
        if conversation.flow.transport != Transport::Tcp {
            continue;
        }
        for round in 0..6 {
            let mut noise = Noise::new((number * 100 + round) as u64);
            let damaged = damage(&some(&conversation, 4096), &mut noise);
            if let Err(difference) = damaged.show(Cut::AsRecorded).same_while_in_sync(&damaged.show(Cut::Random(noise))) {
                panic!("{case}: {} round {round} differs {difference}\n{:x?}", damaged.protocol, damaged.events);
            }
        }
    }
}

fn damage(conversation: &Conversation, noise: &mut Noise) -> Conversation {
    let mut damaged = conversation.clone();
    for event in &mut damaged.events {
        if noise.below(3) == 0
            && let Some(bytes) = event.bytes_mut()
        {
            noise.mutate(bytes);
        }
    }
    damaged
}

#[test]
fn gap_anywhere() {
    for (number, (_, conversation)) in conversations().into_iter().enumerate() {
        let conversation = some(&conversation, 1 << 15);
        if conversation.flow.transport != Transport::Tcp {
            continue;
        }
        let mut noise = Noise::new(number as u64);
        for _ in 0..12 {
            let lost = noise.below(conversation.length());
            let missing = noise.pick(&[1, 3, 60, 1460]);
            let mut bench = conversation.bench();
            for event in with_gap(&conversation, lost, missing) {
                if !play(&mut bench, &event) {
                    break;
                }
            }
            bench.close();
        }
    }
}

/// The conversation without `missing` bytes from position `lost` on (counted over both directions), with the gap told.
fn with_gap(conversation: &Conversation, lost: usize, missing: usize) -> Vec<Event> {
    let (mut at, mut left) = (0, missing);
    let mut events = Vec::new();
    for event in &conversation.events {
        let Event::Bytes(direction, bytes) = event else {
            events.push(event.clone());
            continue;
        };
        let start = lost.saturating_sub(at).min(bytes.len());
        at += bytes.len();
        if start == bytes.len() || left == 0 {
            events.push(event.clone());
            continue;
        }
        let gone = left.min(bytes.len() - start);
        left = 0;
        let (before, rest) = bytes.split_at(start);
        if !before.is_empty() {
            events.push(Event::Bytes(*direction, before.to_vec()));
        }
        events.push(Event::Gap(*direction, Some(gone as u64)));
        if gone < rest.len() {
            events.push(Event::Bytes(*direction, rest[gone..].to_vec()));
        }
    }
    events
}

#[test]
fn a_lost_segment_is_gap_and_resume() {
    let mut told: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (case, conversation) in conversations() {
        let segments = conversation.events.len();
        if conversation.flow.transport != Transport::Tcp || !(24..=4000).contains(&segments) {
            continue;
        }
        for lost in [segments / 4, segments / 3] {
            let Event::Bytes(direction, bytes) = &conversation.events[lost] else { continue };
            let mut events = conversation.events.clone();
            events[lost] = Event::Gap(*direction, Some(bytes.len() as u64));
            let mut bench = conversation.bench();
            let goes_on = events[..=lost].iter().all(|event| play(&mut bench, event));
            let before = bench.lines.0.len();
            let goes_on = goes_on && events[lost + 1..].iter().all(|event| play(&mut bench, event));
            if goes_on {
                bench.close();
            }
            let expected = conversation.show(Cut::AsRecorded).lines.len().saturating_sub(before);
            let after = bench.lines.0.len() - before;
            let count = told.entry(conversation.protocol).or_default();
            count[usize::from(!goes_on)] += 1;
            assert!(
                !goes_on || after * 2 >= expected,
                "{case}: {} went on after a gap, and told {after} of {expected} observations",
                conversation.protocol
            );
        }
    }
    eprintln!("resumed and gave up: {told:?}");
}

#[test]
fn noise() {
    for (number, spec) in contract::decoders().iter().enumerate() {
        let mut noise = Noise::new(number as u64);
        for _ in 0..2000 {
            let length = noise.pick(&[1, 4, 12, 40, 200]);
            fuzzing::decoder(spec, &noise.bytes(length));
        }
    }
}

#[test]
fn real_bytes_changed() {
    for (number, (_, conversation)) in conversations().into_iter().enumerate() {
        let spec = contract::decoder(conversation.protocol);
        let mut noise = Noise::new(number as u64);
        let original = some(&conversation, 8192);
        for _ in 0..20 {
            fuzzing::decoder(spec, &fuzzing::seed(&damage(&original, &mut noise)));
        }
        let schedule = fuzzing::seed(&original);
        for _ in 0..10 {
            let mut changed = schedule.clone();
            noise.mutate(&mut changed);
            fuzzing::decoder(spec, &changed);
        }
    }
}

#[test]
fn cut_datagrams() {
    for (_, conversation) in conversations() {
        let conversation = some(&conversation, 4096);
        if conversation.flow.transport == Transport::Tcp {
            continue;
        }
        for event in &conversation.events {
            for end in 1..event.bytes().len().min(80) {
                let mut cut = event.clone();
                cut.bytes_mut().into_iter().for_each(|bytes| bytes.truncate(end));
                let mut bench = conversation.bench();
                play(&mut bench, &cut);
                bench.close();
            }
        }
    }
}

/// What one decoder speaks, another must survive: recognition can be wrong.
#[test]
fn bytes_of_another_protocol() {
    let mut kept: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for (_, conversation) in conversations() {
        let schedules = kept.entry(conversation.protocol).or_default();
        if schedules.len() < 12 {
            schedules.push(fuzzing::seed(&some(&conversation, 2048)));
        }
    }
    for spec in contract::decoders() {
        kept.values().flatten().for_each(|schedule| fuzzing::decoder(spec, schedule));
    }
}

/// Seeds of the other fuzz targets run here too, with the same body as in the fuzzer.
#[test]
fn captures_as_noise() {
    for case in cases::cases() {
        let mut bytes = std::fs::read(&case.capture).expect("a readable capture");
        bytes.truncate(1 << 16);
        let mut noise = Noise::new(7);
        for (_, body) in fuzzing::OTHERS {
            body(&bytes);
            let mut changed = bytes.clone();
            noise.mutate(&mut changed);
            body(&changed);
        }
    }
}

#[test]
fn names() {
    let mut kinds = BTreeMap::new();
    let mut codes = BTreeSet::new();
    let mut names = BTreeSet::new();
    for spec in DECODERS {
        let name = spec.name;
        assert!(is_name(name), "{name}: lower case letters, digits and _");
        assert!(names.insert(name), "two decoders are called {name}");
        assert!(!spec.title.is_empty() && !spec.documents.is_empty(), "{name} has no title or names no document");
        assert!(!spec.records.is_empty(), "{name} makes no record");
        for kind in spec.records {
            let inner = kind.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            assert!(inner.is_some_and(is_name), "{name}: the record {} does not carry the protocol's name", kind.name);
            let other = kinds.insert(kind.id, kind.name);
            assert!(other.is_none(), "{} and {other:?} have one id", kind.name);
            assert!(!kind.doc.is_empty(), "{} has no doc", kind.name);
            fields(kind.name, kind.fields);
        }
        for code in spec.anomalies {
            let inner = code.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            assert!(inner.is_some_and(is_name), "{name}: the anomaly {} does not carry the protocol's name", code.name);
            assert!(codes.insert(code.name), "two anomalies are called {}", code.name);
            assert!(!code.doc.is_empty(), "{} has no doc", code.name);
        }
    }
}

fn fields(kind: &str, fields: &[FieldSpec]) {
    let mut names = BTreeSet::new();
    assert!(fields.len() <= usize::from(u8::MAX), "{kind} has more fields than a FieldId counts");
    for field in fields {
        assert!(is_name(field.name) && names.insert(field.name), "{kind}: the field {} is no name or stands twice", field.name);
        assert!(!field.doc.is_empty(), "{kind}: the field {} has no doc", field.name);
        if let FieldType::Parts(parts) = field.ty {
            self::fields(&format!("{kind}.{}", field.name), parts);
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn identities_of_one_name_are_one_kind() {
    let mut known = BTreeMap::new();
    for spec in DECODERS {
        for kind in spec.identities {
            let said = format!("{kind:?}");
            let other = known.insert(kind.name, said.clone());
            assert!(is_name(kind.name) && other.is_none_or(|other| other == said), "{}: {} differs", spec.name, kind.name);
        }
    }
}

#[test]
fn hooks_lead_somewhere() {
    for spec in DECODERS {
        let (name, hooks) = (spec.name, spec.hooks);
        let below = hooks.icmpv6 || hooks.loratap || !hooks.ethertypes.is_empty();
        assert!(hooks.tcp || hooks.udp || below || !hooks.carried.is_empty(), "{name} is never shown anything");
        assert!(hooks.ports.is_empty() || hooks.tcp || hooks.udp, "{name} hints at ports and has no transport");
        assert!((1..=1 << 20).contains(&spec.max_message), "{name}: max_message is {}", spec.max_message);
        for carried in hooks.carried {
            assert!(!carried.is_empty(), "{name} takes a carried payload without a name");
        }
    }
    for ethertype in DECODERS.iter().flat_map(|spec| spec.hooks.ethertypes) {
        let takers = DECODERS.iter().filter(|spec| spec.hooks.ethertypes.contains(ethertype)).count();
        assert_eq!(takers, 1, "EtherType {ethertype:#06x} has several decoders, and the first takes all");
    }
}

#[test]
fn bounds_have_reasons() {
    for spec in DECODERS {
        let mut names = BTreeSet::new();
        for bound in spec.bounds {
            assert!(names.insert(bound.name), "{}: two bounds are called {}", spec.name, bound.name);
            assert!(bound.value > 0 && bound.reason.len() > 12, "{}: the bound {} has no value or reason", spec.name, bound.name);
        }
    }
}

/// The direction is the bytes' own: a probe that tells one is asked with either and answers the same.
#[test]
fn probes_do_not_depend_on_the_direction() {
    use citytap_sensor::protocols::{Channel, Probe, ProbeInput};
    for (case, conversation) in conversations() {
        let spec = contract::decoder(conversation.protocol);
        let Some(Event::Bytes(_, bytes)) = conversation.events.first() else { continue };
        let channel = if conversation.flow.transport == Transport::Tcp { Channel::Stream(0) } else { Channel::Datagram };
        let ask = |direction| (spec.probe)(&ProbeInput { bytes, direction, channel, port_hint: true, hint: "" });
        let (one, other) = (ask(Direction::ToServer), ask(Direction::ToClient));
        let sure = |probe| if let Probe::Strong(said) | Probe::Weak(said) = probe { said } else { None };
        if let (Some(one), Some(other)) = (sure(one), sure(other)) {
            assert_eq!(one, other, "{case}: {} is of two minds", spec.name);
        }
    }
}
