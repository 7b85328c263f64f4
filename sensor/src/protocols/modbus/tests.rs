//! Tests of recognition, framing and pairing; each message is built from its fields.

use super::SPEC;
use super::wire::crc16;
use crate::flow::Direction::{ToClient, ToServer};
use crate::flow::Transport;
use crate::protocols::{Channel, Probe, ProbeInput};
use crate::testing::Bench;

/// An ADU of transaction `id` for `unit`.
fn adu(id: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &[0, 0], &(pdu.len() as u16 + 1).to_be_bytes(), &[unit], pdu].concat()
}

/// A request for holding registers, and its answer with that many zeros.
fn read(id: u16, unit: u8, quantity: u8) -> Vec<u8> {
    adu(id, unit, &[3, 0, 16, 0, quantity])
}

fn answer(id: u16, unit: u8, quantity: u8) -> Vec<u8> {
    adu(id, unit, &[&[3, quantity * 2][..], &vec![0; usize::from(quantity) * 2]].concat())
}

fn rtu(frame: &[u8]) -> Vec<u8> {
    [frame, &crc16(frame).to_le_bytes()].concat()
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Tcp, 502)
}

/// Lines that tell a message of this kind.
fn count(bench: &Bench, kind: &str) -> usize {
    bench.lines.0.iter().filter(|line| line.contains(kind)).count()
}

fn ask(bytes: &[u8], port_hint: bool) -> Probe {
    (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Stream(0), port_hint, hint: "" })
}

#[test]
fn recognised_on_any_port() {
    assert_eq!(ask(&read(1, 1, 2), false), Probe::Strong(Some(ToServer)));
    assert_eq!(ask(&answer(1, 1, 2), false), Probe::Strong(Some(ToClient)));
    assert_eq!(ask(&[read(1, 1, 2), read(2, 9, 2), read(3, 1, 2)].concat(), false), Probe::Strong(Some(ToServer)));
    let two = [answer(1, 1, 2), answer(2, 1, 2)].concat();
    (answer(1, 1, 2).len()..two.len())
        .for_each(|end| assert_eq!(ask(&two[..end], false), Probe::Strong(Some(ToClient)), "{end}"));
    assert_eq!(ask(&answer(1, 1, 40)[..30], false), Probe::Incomplete);
    assert_eq!(ask(&adu(1, 1, &[90, 0, 2]), false), Probe::Weak(None));
    assert_eq!(ask(&rtu(&[1, 3, 0, 0, 0, 6]), false), Probe::Strong(Some(ToServer)));
}

#[test]
fn pieces_of_downloads_are_not_modbus() {
    let zeros = [0; 32];
    let behind = |bytes: Vec<u8>| [&bytes[..], b"and so on, as the middle of a file does"].concat();
    for foreign in [
        adu(26_631, 112, &[112, 1, 2, 3]),
        adu(4, 38, &[38; 18]),
        adu(5, 0, &[0, 0]),
        behind(answer(7, 1, 2)),
        behind(read(7, 1, 2)),
        [answer(7, 1, 2), adu(8, 1, &[0, 0, 0])].concat(),
        [&answer(7, 1, 2)[..], &[0x12, 0x34, 0x56]].concat(),
        [&[0, 118, 0, 0, 0, 6, 30][..], &zeros].concat(),
    ] {
        assert_eq!(ask(&foreign, false), Probe::No, "{foreign:02x?}");
    }
    // Diagnostics has some fifteen subfunctions; a number beyond them says little.
    assert_eq!(ask(&adu(118, 30, &[8, 0, 119, 1, 2]), false), Probe::Weak(None));
    // On the port such things are Modbus that departs from its specification.
    assert_eq!(ask(&adu(4, 38, &[38; 18]), true), Probe::Weak(None));
    assert_eq!(ask(&behind(answer(7, 1, 2)), true), Probe::Weak(None));
}

#[test]
fn a_flow_that_was_running_when_the_capture_began() {
    let mut bench = bench();
    bench.lose(ToServer, None);
    bench.show(ToServer, &read(1, 1, 40));
    bench.lose(ToClient, None);
    for byte in answer(1, 1, 40) {
        bench.show(ToClient, &[byte]);
    }
    assert_eq!((count(&bench, "modbus.request"), count(&bench, "modbus.response")), (1, 1), "{:?}", bench.lines.0);
    assert!(!bench.lines.0.iter().any(|line| line.contains('!')), "{:?}", bench.lines.0);

    // Joined in the middle of a message: the next one is found, and nobody is blamed.
    let mut middle = self::bench();
    middle.lose(ToClient, None);
    middle.show(ToClient, &answer(1, 1, 40)[30..]);
    middle.show(ToClient, &answer(2, 1, 40));
    assert_eq!(middle.lines.0.len(), 1, "{:?}", middle.lines.0);
    assert!(!middle.lines.0[0].contains('!'), "{:?}", middle.lines.0);
}

#[test]
fn a_datagram_that_the_mirror_port_copied_is_answered_once() {
    let duplicates = |transport, tick| {
        let mut bench = Bench::new(&SPEC, transport, 502);
        bench.show(ToServer, &read(1, 1, 2));
        bench.show(ToClient, &answer(1, 1, 2));
        bench.tick = tick;
        bench.show(ToClient, &answer(1, 1, 2));
        count(&bench, "!modbus.duplicate_response")
    };
    let (soon, late) = (1_000_000, crate::time::SECOND);
    assert_eq!((duplicates(Transport::Udp, soon), duplicates(Transport::Udp, late)), (0, 1));
    assert_eq!(duplicates(Transport::Tcp, soon), 1, "in a stream a copy never gets here");
}

#[test]
fn after_a_loss_an_answer_that_is_waited_for_is_found_though_it_is_cut() {
    let mut bench = bench();
    bench.show(ToServer, &read(1, 1, 2));
    bench.show(ToClient, &answer(1, 1, 2));
    bench.show(ToServer, &read(2, 1, 40));
    bench.lose(ToClient, Some(20));
    let (first, rest) = (&answer(2, 1, 40)[..30], &answer(2, 1, 40)[30..]);
    bench.show(ToClient, first);
    bench.show(ToClient, rest);
    assert_eq!(count(&bench, "modbus.response"), 2, "{:?}", bench.lines.0);
    // Nobody waits for transaction 7: its cut answer is not trusted.
    bench.lose(ToClient, Some(20));
    bench.show(ToClient, &answer(7, 1, 40)[..30]);
    assert_eq!(bench.held(), [0, 0]);
}

#[test]
fn a_unit_that_a_gateway_misses_is_told_once_a_flow_and_not_as_one_that_is_there() {
    let mut bench = bench();
    for unit in [1, 2, 3, 0] {
        bench.show(ToServer, &read(unit.into(), unit, 2));
        let pdu: &[u8] = if unit == 1 { &[3, 2, 0, 7] } else { &[0x83, 11] };
        bench.show(ToClient, &adu(unit.into(), unit, pdu));
    }
    let told = |what: &str| bench.lines.0.iter().filter(|line| line.contains(what)).count();
    assert_eq!((told("modbus_unit:1@10.0.0.2 Proved"), told("modbus_unit:2@10.0.0.2 Mentioned")), (1, 1), "{:?}", bench.lines.0);
    assert_eq!(told("modbus_unit:3") + told("modbus_unit:0"), 0, "{:?}", bench.lines.0);
}

#[test]
fn a_makers_own_function_that_is_answered_is_told_once_and_bounded() {
    let mut bench = bench();
    let mut ask = |unit: u8, request: &[u8], answer: &[u8]| {
        bench.show(ToServer, &adu(unit.into(), unit, request));
        bench.show(ToClient, &adu(unit.into(), unit, answer));
    };
    // UMAS, twice; one that is refused; one of the standard.
    ask(1, &[90, 0, 2], &[90, 0, 0xfe, 1]);
    ask(1, &[90, 0, 2], &[90, 0, 0xfe, 1]);
    ask(1, &[100, 0], &[0x80 | 100, 1]);
    ask(1, &[3, 0, 0, 0, 1], &[3, 2, 0, 7]);
    for unit in 2..=60 {
        ask(unit, &[90, 0, 2], &[90, 0, 0xfe, 1]);
    }
    let told: Vec<&str> =
        bench.lines.0.iter().flat_map(|line| line.split(" +")).filter(|fact| fact.contains("modbus.function ")).collect();
    assert_eq!(told[0], "object(modbus_unit:1@10.0.0.2 modbus.function 90)");
    assert_eq!(told.len(), super::session::FUNCTIONS, "{told:?}");
}

#[test]
fn answers_to_requests_that_were_lost_blame_nobody() {
    let mut bench = bench();
    bench.show(ToServer, &read(1, 1, 2));
    bench.show(ToClient, &answer(1, 1, 2));
    // One request was lost; this client gives all of them the same number.
    bench.lose(ToServer, Some(12));
    bench.show(ToServer, &read(3, 1, 2));
    bench.show(ToClient, &answer(2, 1, 2));
    bench.show(ToClient, &answer(3, 1, 2));
    assert!(!bench.lines.0.iter().any(|line| line.contains('!')), "{:?}", bench.lines.0);
    // Twelve bytes hold two requests of eight at most: the third answer too many is one.
    bench.show(ToClient, &answer(3, 1, 2));
    bench.show(ToClient, &answer(9, 1, 2));
    assert_eq!(count(&bench, "!modbus.response_without_request"), 1, "{:?}", bench.lines.0);

    // A lost answer: the number is free, whatever it is used for next.
    let mut unanswered = self::bench();
    unanswered.show(ToServer, &read(1, 1, 2));
    unanswered.lose(ToClient, Some(13));
    unanswered.show(ToServer, &adu(1, 1, &[1, 0, 0, 0, 8]));
    unanswered.show(ToClient, &adu(1, 1, &[1, 1, 7]));
    assert!(!unanswered.lines.0.iter().any(|line| line.contains('!')), "{:?}", unanswered.lines.0);
}

#[test]
fn requests_with_one_number_are_answered_as_often_as_they_were_asked() {
    let mut bench = bench();
    bench.show(ToServer, &read(0, 1, 2));
    bench.show(ToServer, &read(0, 1, 2));
    (0..3).for_each(|_| assert!(bench.show(ToClient, &answer(0, 1, 2))));
    assert_eq!(count(&bench, "!modbus.duplicate_response"), 1, "{:?}", bench.lines.0);
    assert_eq!(count(&bench, "!"), 1, "{:?}", bench.lines.0);

    // Another function under a number in use is the client's fault, and its answers are nobody's.
    let mut reused = self::bench();
    reused.show(ToServer, &read(7, 1, 2));
    reused.show(ToServer, &adu(7, 1, &[1, 0, 0, 0, 8]));
    reused.show(ToClient, &answer(7, 1, 2));
    reused.show(ToClient, &adu(7, 1, &[1, 1, 7]));
    assert_eq!((count(&reused, "!modbus.transaction_reused"), count(&reused, "!")), (1, 1), "{:?}", reused.lines.0);
}
