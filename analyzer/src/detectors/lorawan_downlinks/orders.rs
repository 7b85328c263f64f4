//! MAC commands that do harm, told from those with which networks set up and tune their devices every day.
//!
//! Ordinary are: data rates and powers that follow the signal, channel plans, receive windows: the same for all devices of a network. Not ordinary
//! are orders that no device can follow without harm, whatever the network.

use citytap_sensor::protocols::lorawan::commands::Command;

/// What is wrong with an order, as the end of the sentence "It was ordered over the air ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// Slowest and loudest for no reason.
    Slow,
    /// To listen or send in a band that is not its own.
    OtherBand,
    /// To join again and again.
    Rejoin,
}

impl Harm {
    pub(super) const ALL: [Harm; 3] = [Harm::Slow, Harm::OtherBand, Harm::Rejoin];

    pub(super) fn words(self) -> &'static str {
        match self {
            Harm::Slow => {
                "to send at the slowest data rate and full power although its signal is good, which empties its battery; or the network's settings ask for it"
            }
            Harm::OtherBand => "to use a frequency of another radio band, where nobody hears it and it hears nobody",
            Harm::Rejoin => "to ask to join again at short intervals, which empties its battery",
        }
    }
}

/// How the device was last heard.
#[derive(Clone, Copy)]
pub(super) struct Signal {
    pub(super) frequency_hz: Option<u64>,
    pub(super) spreading_factor: Option<u8>,
    pub(super) snr_db: Option<i32>,
}

/// Spreading factor up to which a data rate is fast, and the SNR in dB from which it is received with much to spare: SF9 needs -12.5 dB.
const FAST: u8 = 9;
const GOOD_DB: i32 = 0;

/// No regional band is wider: CN470 has 40 MHz.
const BAND_HZ: u64 = 45_000_000;

/// Highest exponents of RejoinParamSetupReq that are harmful: 2^(n + 10) s, 2^(n + 4) uplinks.
const OFTEN: u8 = 1;

/// The harm of a frame's commands, the last of a kind deciding: LinkADRReqs in one frame are one order.
pub(super) fn harm(commands: &[Command], signal: Signal) -> Option<Harm> {
    let named = |name: &str| commands.iter().rev().find(|command| command.name == name);
    let rate = named("LinkADRReq");
    // Data rate 0 with power index 0; 15 leaves things as they are.
    let slowest = rate.is_some_and(|command| command.data_rate == Some(0) && command.tx_power == Some(0));
    let good = signal.spreading_factor.is_some_and(|sf| sf <= FAST) && signal.snr_db.is_some_and(|snr| snr >= GOOD_DB);
    let foreign = |command: &Command| {
        let told = command.frequency_hz.map(u64::from).filter(|frequency| *frequency > 0);
        told.zip(signal.frequency_hz).is_some_and(|(told, own)| told.abs_diff(own) > BAND_HZ)
    };
    let often = |command: &Command| match command.name {
        "RejoinParamSetupReq" => command.max_time.is_some_and(|n| n <= OFTEN) || command.max_count.is_some_and(|n| n <= OFTEN),
        "ForceRejoinReq" => command.max_retries == Some(7) && command.period.is_some_and(|n| n <= OFTEN),
        _ => false,
    };
    if commands.iter().any(foreign) {
        Some(Harm::OtherBand)
    } else if slowest && good {
        Some(Harm::Slow)
    } else {
        commands.iter().any(often).then_some(Harm::Rejoin)
    }
}

/// The spreading factor of a data rate such as `SF7BW125`.
pub(super) fn spreading_factor(data_rate: &str) -> Option<u8> {
    data_rate.strip_prefix("SF")?.split("BW").next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::protocols::lorawan::commands::parse;
    use citytap_sensor::protocols::lorawan::wire::Link;

    fn told(bytes: &[u8], frequency_hz: u64, spreading_factor: u8, snr_db: i32) -> Option<Harm> {
        let walk = parse(Link::Down, bytes);
        assert!(walk.complete);
        let signal = Signal { frequency_hz: Some(frequency_hz), spreading_factor: Some(spreading_factor), snr_db: Some(snr_db) };
        harm(&walk.commands, signal)
    }

    #[test]
    fn what_networks_do_every_day_is_no_harm() {
        for bytes in [
            // ADR up and down, channel masks, at the edge of coverage too.
            &[0x03, 0x50, 0xff, 0x00, 0x01][..],
            &[0x03, 0x02, 0xff, 0x00, 0x03],
            &[0x03, 0xff, 0xff, 0x00, 0x01],
            // US915: all channels off, then one block on, at the data rate of before.
            &[0x03, 0x30, 0x00, 0x00, 0x70, 0x03, 0x30, 0x00, 0xff, 0x00],
            // RX2 at 869.525 MHz SF9, a channel at 867.1 MHz, RX1 after 5 s.
            &[0x05, 0x03, 0xd2, 0xad, 0x84],
            &[0x07, 3, 0x18, 0x4f, 0x84, 0x50],
            &[0x08, 0x05],
            // A channel taken away; yearly rejoins.
            &[0x07, 9, 0, 0, 0, 0x50],
            &[0x0f, 0xf9],
        ] {
            assert_eq!(told(bytes, 868_100_000, 7, 9), None, "{bytes:02x?}");
        }
        assert_eq!(told(&[0x03, 0x00, 0xff, 0x00, 0x01], 868_100_000, 12, -17), None);
        assert_eq!(told(&[0x03, 0x00, 0xff, 0x00, 0x01], 868_100_000, 9, -9), None);
        // US915: RX2 at 923.3 MHz.
        assert_eq!(told(&[0x05, 0x08, 0x68, 0xe2, 0x8c], 902_300_000, 7, 9), None);
    }

    #[test]
    fn what_harms_is_told() {
        assert_eq!(told(&[0x03, 0x00, 0xff, 0x00, 0x01], 868_100_000, 7, 9), Some(Harm::Slow));
        assert_eq!(told(&[0x05, 0x03, 0xa8, 0xe6, 0x41], 868_100_000, 7, 9), Some(Harm::OtherBand));
        assert_eq!(told(&[0x07, 0, 0xa8, 0xe6, 0x41, 0x50], 868_100_000, 7, 9), Some(Harm::OtherBand));
        assert_eq!(told(&[0x0f, 0x00], 868_100_000, 7, 9), Some(Harm::Rejoin));
        assert_eq!(told(&[0x0e, 0x03, 0x07], 868_100_000, 7, 9), Some(Harm::Rejoin));
    }
}
