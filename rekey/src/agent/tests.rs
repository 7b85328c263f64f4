use super::*;
use std::sync::atomic::AtomicI64;

struct Hands {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl Clock for Hands {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Span {
        Span(self.monotonic.load(Ordering::SeqCst))
    }
}

const DAY: i64 = 86_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn hands(wall: i64) -> Arc<Hands> {
    Arc::new(Hands { wall: AtomicI64::new(wall), monotonic: AtomicI64::new(0) })
}

fn passes(hands: &Hands, by: i64) {
    hands.wall.fetch_add(by, Ordering::SeqCst);
    hands.monotonic.fetch_add(by, Ordering::SeqCst);
}

#[test]
fn a_clock_that_jumps_forward_ends_no_grace() {
    let hands = hands(100 * DAY);
    let mut clock = Guarded::new(hands.clone(), None);
    passes(&hands, 30 * SECOND);
    clock.look();
    assert!(clock.is_trusted());
    hands.wall.fetch_add(40 * DAY, Ordering::SeqCst);
    passes(&hands, 10 * SECOND);
    clock.look();
    assert!(!clock.is_trusted());
    assert_eq!(clock.now(), Timestamp(100 * DAY + 40 * SECOND));
    clock.confirm();
    assert!(clock.is_trusted() && clock.now() == Timestamp(140 * DAY + 40 * SECOND));
}

#[test]
fn a_clock_that_jumps_back_and_returns_is_believed_again() {
    let hands = hands(100 * DAY);
    let mut clock = Guarded::new(hands.clone(), None);
    hands.wall.fetch_sub(DAY, Ordering::SeqCst);
    clock.look();
    assert!(!clock.is_trusted() && clock.now() == Timestamp(100 * DAY));
    hands.wall.fetch_add(DAY, Ordering::SeqCst);
    clock.look();
    assert!(clock.is_trusted());
}

#[test]
fn a_host_that_wakes_in_the_past_goes_on_from_its_journal() {
    let clock = Guarded::new(hands(0), Some(Timestamp(100 * DAY)));
    assert!(!clock.is_trusted());
    assert_eq!(clock.now(), Timestamp(100 * DAY));
    assert!(!Guarded::new(hands(200 * DAY), Some(Timestamp(100 * DAY))).is_trusted(), "months ahead");
    assert!(Guarded::new(hands(101 * DAY), Some(Timestamp(100 * DAY))).is_trusted());
}
