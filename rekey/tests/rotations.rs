//! Ten thousand rotations in the simulated world, and the stories that once went wrong.

use citytap_rekey::rotation::{Class, State};
use citytap_rekey::simulation::tell;
use std::collections::BTreeMap;

#[test]
fn ten_thousand_rotations_lock_nobody_out() {
    let (mut rotations, mut ends, mut restores) = (0, BTreeMap::<(Class, State), u32>::new(), 0);
    for seed in 0.. {
        let story = tell(seed, false);
        assert_eq!(story.violation, None, "seed {seed}: see it with `cargo run -p citytap-rekey --example soak -- trace {seed}`");
        rotations += story.ends.len();
        restores += story.restores;
        story.ends.iter().for_each(|end| *ends.entry(*end).or_default() += 1);
        if rotations >= 10_000 {
            break;
        }
    }
    // The world is not so kind that nothing happens, nor so hard that nothing ends well.
    let ended = |class, state| ends.get(&(class, state)).copied().unwrap_or(0);
    for class in [Class::Overlap, Class::SelfReverting, Class::CutOver, Class::SiteVisit] {
        assert!(ended(class, State::Retired) > 100, "{class:?} rotations that end well: {ends:?}");
    }
    assert!(
        ended(Class::Overlap, State::Kept) > 50 && ended(Class::Overlap, State::Reverted) > 10 && restores > 1000,
        "{ends:?}, {restores} restores"
    );
}
