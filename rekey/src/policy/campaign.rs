//! Who comes next. Pure: how a campaign stands goes in, what may begin comes out.
//!
//! A campaign is the devices of one plan, in the plan's order. It grows in stages; a stage begins when all of the one before are proven and
//! have been for the soaking time. It halts, and says why, when more devices fell silent than the policy bears, when one of a stage came
//! to be held or went back, or when the window is shut. Nothing that halts undoes anything: old and new stay accepted.

use super::Policy;
use crate::slot::Slot;
use crate::time::{Span, Timestamp};
use crate::words::{counted, moment, span};
use std::collections::BTreeMap;

/// How one device of the campaign stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub slot: Slot,
    /// Behind which gateway, where that is known.
    pub behind: Option<Slot>,
    /// Where it is.
    pub stage: Where,
    /// When its rotation began.
    pub begun: Option<Timestamp>,
    /// Whether it was silent before its rotation.
    pub was_silent: bool,
    /// Whether it is silent now.
    pub is_silent: bool,
}

/// How far a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Not begun.
    Waiting,
    /// Between the first effect and proof.
    UnderWay,
    /// The new key is proven, since then.
    Proven(Timestamp),
    /// Held, or gone back: a person looks at it.
    Stopped,
}

/// What may happen now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These may begin.
    Begin(Vec<Slot>),
    /// Nothing may begin yet, for this reason; it comes by itself.
    Wait(String),
    /// Nothing may begin until a person decides.
    Halt(String),
    /// All of them are proven.
    Finished,
}

/// Who comes next.
pub fn next(devices: &[Standing], policy: &Policy, now: Timestamp) -> Next {
    if policy.hold_all {
        return Next::Halt("everything is on hold ([run] hold_all = true)".into());
    }
    if let Some(why) = silence(devices, policy) {
        return Next::Halt(why);
    }
    let stopped = devices.iter().filter(|device| device.stage == Where::Stopped);
    if let Some(first) = stopped.clone().next() {
        let count = counted(stopped.count(), "device", "devices");
        return Next::Halt(format!("{count} of this campaign stopped, the first is {}: see `citytap-rekey status`", first.slot));
    }
    match stage(devices, policy, now) {
        Ok(reach) => within_rate(devices, reach, policy, now),
        Err(next) => next,
    }
}

/// Whether more fell silent than were silent before, beyond what the policy bears. One device is always borne when thousands are under way,
/// and never in a stage of one.
fn silence(devices: &[Standing], policy: &Policy) -> Option<String> {
    let touched = || devices.iter().filter(|device| device.stage != Where::Waiting);
    let fell = touched().filter(|device| device.is_silent && !device.was_silent).count();
    let borne = touched().count() * policy.canary.silent_permille as usize / 1000;
    (fell > borne).then(|| {
        format!(
            "{} of {} fell silent since their rotation began, and the policy bears {borne} ([canary] silent_permille)",
            counted(fell, "device", "devices"),
            touched().count()
        )
    })
}

/// How many of the campaign, from its beginning, may be begun.
fn stage(devices: &[Standing], policy: &Policy, now: Timestamp) -> Result<usize, Next> {
    let mut before = 0;
    for stage in &policy.canary.stages {
        let reach = stage.of(devices.len()).max(before);
        let all = devices.get(..reach).unwrap_or(devices);
        if all.iter().any(|device| !matches!(device.stage, Where::Proven(_))) {
            return soaked(devices.get(..before).unwrap_or(devices), policy, now).map(|()| reach);
        }
        before = reach;
    }
    Err(Next::Finished)
}

/// Whether the stage before has been proven for long enough.
fn soaked(before: &[Standing], policy: &Policy, now: Timestamp) -> Result<(), Next> {
    let proven = before.iter().filter_map(|device| if let Where::Proven(at) = device.stage { Some(at) } else { None });
    match proven.max().map(|last| last.plus(policy.canary.soak)) {
        Some(until) if now < until => {
            let text = format!(
                "the {} of the stage before soak for {}, until {}",
                counted(before.len(), "device", "devices"),
                span(policy.canary.soak),
                moment(until)
            );
            Err(Next::Wait(text))
        }
        _ => Ok(()),
    }
}

fn within_rate(devices: &[Standing], reach: usize, policy: &Policy, now: Timestamp) -> Next {
    let hour = Span::hours(1);
    let lately = devices.iter().filter(|device| device.begun.is_some_and(|begun| now.since(begun) < hour)).count();
    let under_way = || devices.iter().filter(|device| device.stage == Where::UnderWay);
    let room = (policy.rate.per_hour as usize)
        .saturating_sub(lately)
        .min((policy.rate.at_once as usize).saturating_sub(under_way().count()));
    let mut behind: BTreeMap<&Slot, usize> = BTreeMap::new();
    under_way().filter_map(|device| device.behind.as_ref()).for_each(|gateway| *behind.entry(gateway).or_insert(0) += 1);
    let waiting = devices.iter().take(reach).filter(|device| device.stage == Where::Waiting);
    if waiting.clone().next().is_none() {
        return Next::Wait(format!("{} not yet proven", counted(under_way().count(), "rotation is", "rotations are")));
    }
    if !policy.is_window_open(now) {
        return Next::Wait("the window is shut ([[window]])".into());
    }
    let mut begin = Vec::new();
    for device in waiting {
        if begin.len() >= room {
            break;
        }
        if let Some(gateway) = &device.behind {
            let count = behind.entry(gateway).or_insert(0);
            if *count >= policy.rate.per_gateway as usize {
                continue;
            }
            *count += 1;
        }
        begin.push(device.slot.clone());
    }
    if begin.is_empty() { Next::Wait("as many are under way as [rate] allows".into()) } else { Next::Begin(begin) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Window;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_800_000_000_000_000);

    fn devices(count: usize) -> Vec<Standing> {
        let device = |at: usize| Standing {
            slot: Slot::new("mosquitto", &format!("dev{at}")).unwrap(),
            behind: None,
            stage: Where::Waiting,
            begun: None,
            was_silent: false,
            is_silent: false,
        };
        (0..count).map(device).collect()
    }

    fn begun(next: Next) -> usize {
        match next {
            Next::Begin(slots) => slots.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_campaign_grows_from_one_to_all_and_soaks_between() {
        let policy = Policy::shipped();
        let mut all = devices(1000);
        assert_eq!(begun(next(&all, &policy, NOW)), 1);
        all[0].stage = Where::UnderWay;
        assert!(matches!(next(&all, &policy, NOW), Next::Wait(_)));
        all[0].stage = Where::Proven(NOW);
        assert!(matches!(next(&all, &policy, NOW), Next::Wait(why) if why.contains("soak")));
        let later = NOW.plus(Span::hours(25));
        assert_eq!(begun(next(&all, &policy, later)), 8, "1 % is ten, of which one is done and eight may be under way");
        all.iter_mut().take(10).for_each(|device| device.stage = Where::Proven(NOW));
        let mut wide = policy.clone();
        (wide.rate.at_once, wide.rate.per_hour) = (10_000, 10_000);
        assert_eq!(begun(next(&all, &wide, later)), 90);
        all.iter_mut().take(100).for_each(|device| device.stage = Where::Proven(NOW));
        assert_eq!(begun(next(&all, &wide, later)), 900);
        all.iter_mut().for_each(|device| device.stage = Where::Proven(NOW));
        assert_eq!(next(&all, &wide, NOW), Next::Finished);
        assert_eq!(next(&[], &wide, NOW), Next::Finished);
    }

    #[test]
    fn a_device_that_falls_silent_halts_the_campaign_and_one_that_was_silent_before_does_not() {
        let policy = Policy::shipped();
        let mut all = devices(50);
        all[0].stage = Where::UnderWay;
        (all[0].is_silent, all[0].was_silent) = (true, true);
        assert!(matches!(next(&all, &policy, NOW), Next::Wait(_)));
        all[0].was_silent = false;
        assert!(matches!(next(&all, &policy, NOW), Next::Halt(why) if why.contains("fell silent")));
        all[0] = Standing { stage: Where::Stopped, is_silent: false, ..all[0].clone() };
        assert!(matches!(next(&all, &policy, NOW), Next::Halt(why) if why.contains("mosquitto/dev0")));
        let held = Policy { hold_all: true, ..Policy::shipped() };
        assert!(matches!(next(&devices(1), &held, NOW), Next::Halt(_)));
    }

    #[test]
    fn a_gateway_carries_one_at_a_time_and_a_shut_window_none() {
        let mut policy = Policy::shipped();
        policy.canary.stages = vec![crate::policy::Stage::All];
        let mut all = devices(6);
        let gateway = |name: &str| Some(Slot::new("cups", name).unwrap());
        for (at, device) in all.iter_mut().enumerate() {
            device.behind = gateway(if at < 4 { "a" } else { "b" });
        }
        let Next::Begin(slots) = next(&all, &policy, NOW) else { panic!("nothing begins") };
        assert_eq!(slots.iter().map(Slot::name).collect::<Vec<_>>(), ["dev0", "dev4"]);
        policy.windows = vec![Window { days: [false, false, false, false, false, false, true], from: 60, to: 120, offset: 0 }];
        assert!(matches!(next(&all, &policy, NOW), Next::Wait(why) if why.contains("window")));
    }

    proptest! {
        /// However a campaign stands, it never has more under way than the policy allows, and never leaves its stage.
        #[test]
        fn no_campaign_goes_beyond_its_bounds(stages in prop::collection::vec(0..4_u8, 1..200), at_once in 1..20_u32, hours in 0..100_i64) {
            let mut policy = Policy::shipped();
            policy.rate.at_once = at_once;
            let mut all = devices(stages.len());
            for (device, stage) in all.iter_mut().zip(&stages) {
                device.stage = match stage { 0 => Where::Proven(NOW), 1 => Where::UnderWay, _ => Where::Waiting };
            }
            let under_way = all.iter().filter(|device| device.stage == Where::UnderWay).count();
            if let Next::Begin(slots) = next(&all, &policy, NOW.plus(Span::hours(hours))) {
                prop_assert!(slots.len() + under_way <= at_once as usize);
                let furthest = slots.iter().filter_map(|slot| all.iter().position(|device| device.slot == *slot)).max().unwrap();
                let proven = all.iter().take_while(|device| matches!(device.stage, Where::Proven(_))).count();
                let reach = policy.canary.stages.iter().map(|stage| stage.of(all.len())).find(|reach| *reach > proven).unwrap();
                prop_assert!(furthest < reach, "{furthest} {reach}");
            }
        }
    }
}
