use super::*;
use proptest::prelude::*;

fn v4(id: u32, offset: u16, more: bool, payload: &[u8]) -> Fragment<'_> {
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    Fragment { network: 0, source: address(1), destination: address(2), id, protocol: 17, offset, more, payload }
}

fn v6(id: u32, offset: u16, more: bool, payload: &[u8]) -> Fragment<'_> {
    let address = |last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
    Fragment { source: address(1), destination: address(2), ..v4(id, offset, more, payload) }
}

/// A name, what is added, and the datagram and counters that come out.
type Situation<'a> = (&'a str, &'a [Fragment<'a>], (Option<&'a str>, &'a str));

const NOW: Timestamp = Timestamp(SECOND);

/// Adds fragments at one moment; answers what came out last, and the counters that are not zero.
fn run(fragments: &[Fragment<'_>]) -> (Option<String>, String) {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    let mut out = None;
    for fragment in fragments {
        if let Some(whole) = table.add(NOW, *fragment, &mut counters) {
            out = Some(String::from_utf8(whole.payload).unwrap());
        }
    }
    let counted = counters.iter().filter(|&(counter, n)| n > 0 && counter != Counter::Fragments);
    (out, counted.map(|(counter, n)| format!("{}={n} ", counter.name())).collect::<String>().trim_end().to_owned())
}

#[test]
fn named_situations() {
    let whole = "aaaaaaaabbbbbbbbcc";
    let (a, b, c) = (v4(7, 0, true, b"aaaaaaaa"), v4(7, 8, true, b"bbbbbbbb"), v4(7, 16, false, b"cc"));
    let complete = (Some(whole), "fragments_reassembled=1");
    let situations: &[Situation<'_>] = &[
        ("in order", &[a, b, c], complete),
        ("in reverse", &[c, b, a], complete),
        ("each twice, as a SPAN port shows them", &[a, a, b, b, c, c], complete),
        ("the first is missing", &[b, c], (None, "")),
        ("the middle is missing", &[a, c], (None, "")),
        ("the last is missing", &[a, b], (None, "")),
        ("another identification", &[a, v4(8, 8, true, b"bbbbbbbb"), c], (None, "")),
        ("another protocol", &[a, Fragment { protocol: 6, ..b }, c], (None, "")),
        ("another network", &[a, Fragment { network: 1, ..b }, c], (None, "")),
        (
            "an overlap with other bytes: the first win",
            &[a, v4(7, 4, true, b"XXXXbbbbbbbbX"), c],
            (Some("aaaaaaaabbbbbbbbXc"), "fragments_reassembled=1 fragment_overlaps=2"),
        ),
        (
            "an overlap around what is there",
            &[b, v4(7, 0, true, b"aaaaaaaaXXXXXXXXc"), v4(7, 17, false, b"c")],
            (Some(whole), "fragments_reassembled=1 fragment_overlaps=1"),
        ),
        (
            "a copy with other bytes",
            &[a, v4(7, 0, true, b"XXXXXXXX"), b, c],
            (Some(whole), "fragments_reassembled=1 fragment_overlaps=1"),
        ),
        (
            "two last fragments that disagree",
            &[a, c, v4(7, 24, false, b"dd"), b],
            (Some(whole), "fragments_reassembled=1 fragments_dropped=1 fragment_overlaps=1"),
        ),
        (
            "data beyond the end",
            &[a, c, v4(7, 16, true, b"XXXXXXXX"), b],
            (Some(whole), "fragments_reassembled=1 fragments_dropped=1 fragment_overlaps=1"),
        ),
        (
            "an end before data that is there",
            &[a, b, v4(7, 8, false, b"b"), c],
            (Some(whole), "fragments_reassembled=1 fragments_dropped=1 fragment_overlaps=1"),
        ),
        ("an empty last fragment", &[a, v4(7, 8, false, b"")], (Some("aaaaaaaa"), "fragments_reassembled=1")),
        (
            "an empty fragment before others",
            &[v4(7, 0, true, b""), a, b, c],
            (Some(whole), "fragments_reassembled=1 fragments_dropped=1"),
        ),
        ("beyond 65,535 bytes", &[v4(7, 65_528, false, b"12345678")], (None, "fragments_dropped=1")),
        (
            "single bytes",
            &[v4(7, 0, true, b"a"), v4(7, 2, false, b"c"), v4(7, 1, true, b"b")],
            (Some("abc"), "fragments_reassembled=1"),
        ),
        ("IPv6", &[v6(7, 8, false, b"b"), v6(7, 0, true, b"aaaaaaaa")], (Some("aaaaaaaab"), "fragments_reassembled=1")),
        (
            "an atomic fragment amid others of its name",
            &[v6(7, 0, true, b"aaaaaaaa"), v6(7, 0, false, b"alone")],
            (Some("alone"), "fragments_reassembled=1"),
        ),
    ];
    for (name, fragments, (out, counted)) in situations {
        assert_eq!(run(fragments), (out.map(str::to_owned), (*counted).to_owned()), "{name}");
    }
}

#[test]
fn the_protocol_is_that_of_the_fragment_at_offset_0() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    assert_eq!(table.add(NOW, Fragment { protocol: 60, ..v6(7, 8, false, b"b") }, &mut counters), None);
    let whole = table.add(NOW, v6(7, 0, true, b"aaaaaaaa"), &mut counters).unwrap();
    assert_eq!(whole.protocol, 17);
}

#[test]
fn the_largest_datagram() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    let large = vec![1; 65_528];
    assert_eq!(table.add(NOW, v4(1, 0, true, &large), &mut counters), None);
    assert_eq!(table.add(NOW, v4(1, 65_528, false, &[2; 7]), &mut counters).unwrap().payload.len(), 65_535);
    assert_eq!((table.waiting(), table.held()), (0, 0));
}

#[test]
fn what_stays_incomplete_expires_by_packet_time() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    table.add(NOW, v4(1, 0, true, b"aaaaaaaa"), &mut counters);
    table.add(NOW, v4(1, 16, true, b"cccccccc"), &mut counters);
    table.expire(NOW.plus(limits::FRAGMENT_AGE - 1), &mut counters);
    assert_eq!((table.waiting(), table.held()), (1, 16));
    table.expire(NOW.plus(limits::FRAGMENT_AGE), &mut counters);
    assert_eq!((table.waiting(), table.held()), (0, 0));
    assert_eq!(counters.get(Counter::FragmentsDropped), 2);
}

#[test]
fn an_identification_used_again_after_a_moment_is_another_datagram() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    for now in [NOW, NOW.plus(limits::FRAGMENT_LINGER)] {
        assert_eq!(table.add(now, v4(1, 0, true, b"aaaaaaaa"), &mut counters), None);
        assert!(table.add(now, v4(1, 8, false, b"b"), &mut counters).is_some());
    }
}

#[test]
fn a_full_table_gives_up_the_oldest() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    for id in 0..=limits::FRAGMENT_DATAGRAMS as u32 {
        table.add(NOW, v4(id, 0, true, b"aaaaaaaa"), &mut counters);
    }
    assert_eq!(table.waiting(), limits::FRAGMENT_DATAGRAMS);
    assert_eq!(counters.get(Counter::FragmentsDropped), 1);
    assert_eq!(table.add(NOW, v4(0, 8, false, b"b"), &mut counters), None);
    assert!(table.add(NOW, v4(2, 8, false, b"b"), &mut counters).is_some());
}

#[test]
fn a_full_buffer_gives_up_the_oldest_but_not_the_datagram_at_hand() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    let large = vec![1; 65_528];
    for id in 0..16 {
        table.add(NOW, v4(id, 0, true, &large), &mut counters);
    }
    assert!(table.add(NOW, v4(0, 65_528, false, &[2; 7]), &mut counters).is_some());
    for id in 16..40 {
        table.add(NOW, v4(id, 0, true, &large), &mut counters);
        assert!(table.held() <= limits::FRAGMENT_BYTES);
    }
    assert_eq!(counters.get(Counter::FragmentsDropped), 23);
}

#[test]
fn tiny_fragments_beyond_the_bound_are_dropped() {
    let (mut table, mut counters) = (Fragments::default(), Counters::default());
    for i in 0..limits::FRAGMENTS as u16 + 3 {
        table.add(NOW, v4(1, 2 * i, true, b"a"), &mut counters);
    }
    assert_eq!(counters.get(Counter::FragmentsDropped), 3);
    table.expire(NOW.plus(limits::FRAGMENT_AGE), &mut counters);
    assert_eq!(counters.get(Counter::FragmentsDropped), 3 + limits::FRAGMENTS as u64);
}

/// The same rules over single bytes, for one datagram.
#[derive(Default)]
struct Model {
    bytes: Vec<Option<u8>>,
    total: Option<usize>,
}

impl Model {
    fn add(&mut self, offset: usize, more: bool, payload: &[u8]) -> Option<Vec<u8>> {
        let end = offset + payload.len();
        let refused = match self.total {
            Some(total) => end > total || (!more && end != total),
            None => !more && end < self.bytes.len(),
        };
        if refused || (more && payload.is_empty()) {
            return None;
        }
        if !more {
            self.total = Some(end);
        }
        self.bytes.resize(self.bytes.len().max(end), None);
        for (place, &byte) in self.bytes[offset..].iter_mut().zip(payload) {
            place.get_or_insert(byte);
        }
        let whole: Option<Vec<u8>> = self.bytes.iter().copied().collect();
        whole.filter(|whole| self.total == Some(whole.len()))
    }
}

proptest! {
    #[test]
    fn any_fragments_give_what_the_model_gives(
        fragments in prop::collection::vec((0u16..12, prop::bool::weighted(0.85), prop::collection::vec(any::<u8>(), 0..40)), 1..40),
    ) {
        let (mut table, mut counters, mut model) = (Fragments::default(), Counters::default(), Model::default());
        for (units, more, payload) in &fragments {
            let offset = units * 8;
            if offset == 0 && !more {
                continue;
            }
            let out = table.add(NOW, v4(1, offset, *more, payload), &mut counters).map(|whole| whole.payload);
            let expected = model.add(usize::from(offset), *more, payload);
            prop_assert_eq!(&out, &expected);
            if out.is_some() {
                break;
            }
        }
    }

    #[test]
    fn any_order_with_copies_gives_every_datagram(
        lengths in prop::collection::vec(9usize..900, 1..6),
        unit in 1usize..8,
        seed in prop::collection::vec(any::<prop::sample::Index>(), 600),
    ) {
        let datagrams: Vec<Vec<u8>> = lengths.iter().map(|&n| (0..n).map(|i| (i * 31 + n) as u8).collect()).collect();
        let mut fragments = Vec::new();
        for (id, datagram) in datagrams.iter().enumerate() {
            for (i, payload) in datagram.chunks(unit * 8).enumerate() {
                let more = (i + 1) * unit * 8 < datagram.len();
                fragments.push(v4(id as u32, (i * unit * 8) as u16, more, payload));
            }
        }
        fragments.retain(|fragment| fragment.offset > 0 || fragment.more);
        fragments.extend(fragments.clone().iter().step_by(3));
        for (i, index) in seed.iter().enumerate().take(fragments.len()) {
            let other = index.index(fragments.len());
            fragments.swap(i, other);
        }
        let (mut table, mut counters) = (Fragments::default(), Counters::default());
        let mut out = vec![None; datagrams.len()];
        for fragment in fragments {
            if let Some(whole) = table.add(NOW, fragment, &mut counters) {
                prop_assert!(out[fragment.id as usize].replace(whole.payload).is_none());
            }
        }
        for (out, datagram) in out.iter().zip(&datagrams) {
            let is_fragmented = datagram.len() > unit * 8 && datagram.len().div_ceil(unit * 8) <= limits::FRAGMENTS;
            prop_assert_eq!(out.as_ref(), is_fragmented.then_some(datagram));
        }
    }

    #[test]
    fn garbage_stays_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        fuzz_fragments(&bytes);
    }
}
