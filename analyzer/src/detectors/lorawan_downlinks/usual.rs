//! What a network usually sets its devices to, learned from the orders themselves: a setting that one device alone has, where all others of its network
//! have a common one, is not of the network's making.
//!
//! Ordinary are values that several devices have, and channels on which the network was heard. Where few devices were ordered anything of a kind,
//! nothing is usual yet.

use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::DevAddr;
use citytap_sensor::protocols::lorawan::address::NetId;
use citytap_sensor::protocols::lorawan::commands::Command;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

/// Devices that have a value in common from which on it is one of the network's.
const COMMON: u32 = 3;

/// So many in a hundred of what devices were set to must be common values: a network that sets each device differently has no usual ones.
const MOSTLY: u32 = 90;

/// Frequencies remembered on which networks were heard: 96 channels in the largest regional plan, for some ten networks.
const FREQUENCIES: usize = 1_024;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Setting {
    /// Frequency and data rate of the second window.
    Rx2,
    /// Seconds to the first window.
    Delay,
    /// A channel to send on.
    Channel,
    /// A channel to listen on.
    DownChannel,
    /// The share of time in which it may send.
    DutyCycle,
}

/// A setting and its value.
pub(super) type Given = (Setting, u64);

/// Whose devices: the network that an address names, within one of ours.
pub(super) type Operator = (NetworkId, Option<NetId>);

/// The operator of an address.
pub(super) fn operator(network: NetworkId, address: u32) -> Operator {
    (network, NetId::of(DevAddr(address)))
}

/// What a frame's commands set.
pub(super) fn given(commands: &[Command]) -> impl Iterator<Item = Given> {
    commands.iter().filter_map(|command| {
        let frequency = command.frequency_hz.map(u64::from).filter(|frequency| *frequency > 0);
        Some(match command.name {
            "RXParamSetupReq" => (Setting::Rx2, frequency? << 8 | u64::from(command.data_rate?)),
            "RXTimingSetupReq" => (Setting::Delay, u64::from(command.delay_s?)),
            "NewChannelReq" => (Setting::Channel, frequency?),
            "DlChannelReq" => (Setting::DownChannel, frequency?),
            "DutyCycleReq" => (Setting::DutyCycle, u64::from(command.max_duty_cycle?)),
            _ => return None,
        })
    })
}

/// A value as the end of the sentence "It was ordered over the air ...".
pub(super) fn words((setting, value): Given) -> String {
    let mhz = |hz: u64| format!("{}.{:03} MHz", hz / 1_000_000, hz / 1_000 % 1_000);
    match setting {
        Setting::Rx2 => format!("to listen on {} at data rate {} in its second window", mhz(value >> 8), value & 0xff),
        Setting::Delay => format!("to listen {value} s after it sent"),
        Setting::Channel => format!("to send on {} too", mhz(value)),
        Setting::DownChannel => format!("to listen on {} for answers", mhz(value)),
        Setting::DutyCycle => format!("to send at most 1/{} of the time", 1u64 << value.min(15)),
    }
}

/// Frequencies on which devices were heard.
#[derive(Default)]
pub(super) struct Heard(HashSet<(Operator, u64), FixedState>);

impl Heard {
    /// A device of the operator was heard on a frequency, Hz.
    pub(super) fn on(&mut self, operator: Operator, frequency_hz: u64) {
        if self.0.len() < FREQUENCIES {
            self.0.insert((operator, frequency_hz));
        }
    }
}

/// What the devices of each operator were set to, counted over devices.
pub(super) struct Usual<'h> {
    values: HashMap<(Operator, Given), u32, FixedState>,
    settings: HashMap<(Operator, Setting), Counts, FixedState>,
    heard: &'h Heard,
    least: u64,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    /// Values given, each counted for each device that has it, and how many of them are common.
    all: u32,
    common: u32,
}

impl<'h> Usual<'h> {
    /// Of these devices; `least` others must have been set for anything to be usual.
    pub(super) fn new(devices: impl Iterator<Item = (Operator, Given)>, heard: &'h Heard, least: u64) -> Self {
        let mut values: HashMap<(Operator, Given), u32, FixedState> = HashMap::default();
        devices.for_each(|of| *values.entry(of).or_default() += 1);
        let mut settings: HashMap<(Operator, Setting), Counts, FixedState> = HashMap::default();
        for ((operator, (setting, _)), count) in &values {
            let counts = settings.entry((*operator, *setting)).or_default();
            counts.all += count;
            counts.common += if *count >= COMMON { *count } else { 0 };
        }
        Self { values, settings, heard, least }
    }

    /// Whether a device alone has this value where others have common ones; `None` where too little is known of what is usual.
    pub(super) fn is_odd(&self, operator: Operator, given: Given) -> Option<bool> {
        let counts = self.settings.get(&(operator, given.0)).copied().unwrap_or_default();
        if u64::from(counts.all) <= self.least {
            return None;
        }
        let alone = self.values.get(&(operator, given)) == Some(&1);
        let heard = given.0 == Setting::Channel && self.heard.0.contains(&(operator, given.1));
        Some(alone && !heard && u64::from(counts.common) * 100 >= u64::from(counts.all) * u64::from(MOSTLY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: Operator = (0, None);

    fn odd(others: &[(u64, u32)], value: u64) -> Option<bool> {
        let heard = Heard::default();
        let all = others.iter().flat_map(|(value, count)| (0..*count).map(move |_| (OPERATOR, (Setting::Delay, *value))));
        Usual::new(all.chain([(OPERATOR, (Setting::Delay, value))]), &heard, 10).is_odd(OPERATOR, (Setting::Delay, value))
    }

    #[test]
    fn one_value_beside_a_common_one_is_odd() {
        assert_eq!(odd(&[(1, 20)], 7), Some(true));
        assert_eq!(odd(&[(1, 20), (5, 8)], 7), Some(true), "two profiles");
    }

    #[test]
    fn common_values_few_devices_and_networks_without_a_custom_are_none() {
        assert_eq!(odd(&[(1, 20)], 1), Some(false));
        assert_eq!(odd(&[(1, 20), (7, 1)], 7), Some(false), "another has it too");
        assert_eq!(odd(&[(1, 9)], 7), None);
        assert_eq!(odd(&[(1, 5), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2)], 7), Some(false));
    }

    #[test]
    fn a_channel_on_which_others_are_heard_is_none() {
        let mut heard = Heard::default();
        let given = |value| (OPERATOR, (Setting::Channel, value));
        let all = || (0..20).map(|_| given(867_100_000)).chain([given(864_000_000)]);
        assert_eq!(Usual::new(all(), &heard, 10).is_odd(OPERATOR, (Setting::Channel, 864_000_000)), Some(true));
        heard.on(OPERATOR, 864_000_000);
        assert_eq!(Usual::new(all(), &heard, 10).is_odd(OPERATOR, (Setting::Channel, 864_000_000)), Some(false));
    }

    #[test]
    fn values_are_said_as_people_say_them() {
        assert_eq!(words((Setting::Rx2, 869_525_000 << 8 | 3)), "to listen on 869.525 MHz at data rate 3 in its second window");
        assert_eq!(words((Setting::DutyCycle, 15)), "to send at most 1/32768 of the time");
    }
}
