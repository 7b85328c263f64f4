use super::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

const MILLI: Nanos = 1_000_000;

/// When the wire can be read, the packet's stamp and its byte; the time alone where the wire fails.
type Coming = (Nanos, Option<(Nanos, u8)>);

/// A wire on which packets become readable at a time, each one byte long.
#[derive(Clone, Default)]
struct Scripted {
    coming: Rc<RefCell<VecDeque<Coming>>>,
    clock: Rc<Cell<Nanos>>,
}

impl Wire for Scripted {
    fn read(&mut self, into: &mut Vec<u8>) -> Result<Option<(Timestamp, u32)>, String> {
        let mut coming = self.coming.borrow_mut();
        let Some(&(when, what)) = coming.front().filter(|(when, _)| *when <= self.clock.get()) else { return Ok(None) };
        let Some((stamp, byte)) = what else { return Err(format!("gone at {when}")) };
        coming.pop_front();
        *into = vec![byte];
        Ok(Some((Timestamp(stamp), 60)))
    }

    fn link_type(&self) -> LinkType {
        LinkType(1)
    }

    fn lost(&mut self) -> Lost {
        Lost { by_kernel: 2, by_interface: 1 }
    }
}

/// Sleeping moves the clock on to the next packet, or by as much as was asked.
fn sleep(wires: &mut dyn Iterator<Item = &Scripted>, most: Nanos) {
    let wires: Vec<&Scripted> = wires.collect();
    let Some(clock) = wires.first().map(|wire| wire.clock.clone()) else { return };
    let next = wires.iter().filter_map(|wire| wire.coming.borrow().front().map(|(when, _)| *when)).min();
    let until = clock.get() + most;
    clock.set(next.map_or(until, |next| next.clamp(clock.get(), until)));
}

type Script<'s> = &'s [(Nanos, Option<(Nanos, u8)>)];

/// What the joined wires hand out, as bytes, and the times that they told in between, in milliseconds.
fn told(scripts: &[Script<'_>], turns: usize) -> (Vec<u8>, Vec<Nanos>, Option<String>, Vec<String>) {
    let clock = Rc::new(Cell::new(10_000 * MILLI));
    let wire = |script: &Script<'_>| {
        let coming = script.iter().map(|(when, what)| (when * MILLI, what.map(|(stamp, byte)| (stamp * MILLI, byte))));
        Scripted { coming: Rc::new(RefCell::new(coming.collect())), clock: clock.clone() }
    };
    let wires = scripts.iter().zip(0..).map(|(script, at)| (format!("eth{at}"), wire(script))).collect();
    let now = clock.clone();
    let mut joined = Joined::new(wires, move || Timestamp(now.get()), sleep);
    let (mut bytes, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        match joined.next().map(|packet| packet.map(|packet| packet.bytes[0])) {
            Ok(Some(byte)) => bytes.push(byte),
            Ok(None) => match joined.idle() {
                Some(time) => idle.push(time.0 / MILLI),
                None => break,
            },
            Err(error) => return (bytes, idle, Some(error.to_string()), joined.news),
        }
    }
    (bytes, idle, None, joined.news)
}

#[test]
fn a_silent_wire_tells_the_time_and_never_overtakes_a_packet() {
    let (bytes, idle, ..) = told(&[&[(11_000, Some((10_750, 1)))]], 12);
    assert_eq!(bytes, [1]);
    assert!(idle.windows(2).all(|pair| pair[0] <= pair[1]), "{idle:?}");
    assert!(*idle.last().unwrap() > 11_500, "time goes on: {idle:?}");
    let before: Vec<_> = idle.iter().filter(|time| **time <= 10_750).collect();
    assert!(before.len() >= 3, "{idle:?}");
}

#[test]
fn packets_of_two_interfaces_come_in_the_order_of_time() {
    // The second hands its packets over in blocks, late.
    let one: Script<'_> = &[(10_010, Some((10_010, 1))), (10_050, Some((10_050, 3))), (10_090, Some((10_090, 5)))];
    let two: Script<'_> = &[(10_120, Some((10_020, 2))), (10_120, Some((10_060, 4))), (10_120, Some((10_100, 6)))];
    let (bytes, idle, ..) = told(&[one, two], 12);
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6]);
    assert!(idle.iter().all(|time| *time > 9_000));
}

#[test]
fn a_busy_interface_does_not_wait_long_for_a_silent_one() {
    let busy: Vec<_> = (0..100u64).map(|at| (10_000 + at, Some((10_000 + at, at as u8)))).collect();
    let (bytes, idle, ..) = told(&[&busy, &[]], 100 + 8);
    assert_eq!(bytes.len(), 100);
    assert!(idle.first().is_none_or(|time| *time < 10_099), "{idle:?}");
}

#[test]
fn packets_from_after_the_clock_was_set_back_do_not_wait_for_their_time() {
    let (bytes, ..) = told(&[&[(10_000, Some((4_000_000, 1)))], &[]], 2);
    assert_eq!(bytes, [1]);
}

#[test]
fn an_interface_that_goes_away_is_told_and_the_last_ends_the_source() {
    let one: Script<'_> = &[(10_000, Some((9_000, 1))), (10_100, None)];
    let two: Script<'_> = &[(10_200, Some((10_200, 2))), (10_900, None)];
    let (bytes, _, error, news) = told(&[one, two], 50);
    assert_eq!(bytes, [1, 2]);
    assert!(matches!(news.as_slice(), [only] if only.starts_with("eth0: cannot be listened to any more")), "{news:?}");
    assert!(error.is_some_and(|error| error.starts_with("eth1: ")));
}

#[test]
fn what_was_lost_is_summed() {
    let wires = (0..3).map(|at| (format!("eth{at}"), Scripted::default())).collect();
    let mut joined = Joined::new(wires, || Timestamp(0), sleep);
    assert_eq!(joined.lost(), Lost { by_kernel: 6, by_interface: 3 });
    assert_eq!(joined.describe().iter().filter_map(|info| info.interfaces[0].dropped).sum::<u64>(), 6);
}
