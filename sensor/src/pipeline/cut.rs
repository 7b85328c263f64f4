//! Datagrams of which the capture holds only the beginning (snap length).

use crate::counters::{Counter, Counters};
use crate::observation::{Anomalies, Observation, Observer};

/// Passes on what is read in such a datagram without its anomalies: a decoder that comes to the end too early cannot tell whether the sender stopped
/// there or the capture, and the capture's limits are not the network's fault.
pub(super) struct Unjudged<'o> {
    observer: &'o mut dyn Observer,
    withheld: u64,
}

impl<'o> Unjudged<'o> {
    pub(super) fn new(observer: &'o mut dyn Observer) -> Self {
        Self { observer, withheld: 0 }
    }

    /// Counts what was not passed on.
    pub(super) fn count(self, counters: &mut Counters) {
        counters.add(Counter::AnomaliesOfCutPackets, self.withheld);
    }
}

impl Observer for Unjudged<'_> {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.withheld += observation.anomalies.len() as u64;
        if observation.record.is_some() || !observation.facts.is_empty() {
            self.observer.observe(&Observation { anomalies: &Anomalies::default(), ..*observation });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::counters::{Counter, Counters};
    use crate::link::{self, NetworkMap};
    use crate::pipeline::{PacketInfo, SensorConfig, Shard};
    use crate::protocols::{DECODERS, Decoders};
    use crate::testing::Lines;
    use crate::time::Timestamp;
    use std::sync::Arc;

    /// The options of a DHCPDISCOVER.
    const OPTIONS: &[u8] = b"\x35\x01\x01\x0c\x05meter\xff";

    /// A DHCPDISCOVER whose headers announce so many bytes of options; those after the first `there` are not captured.
    fn discover(announced: usize, there: usize) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..8].copy_from_slice(&[1, 1, 6, 0, 0, 0, 0, 9]);
        message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        message[236..].copy_from_slice(&[99, 130, 83, 99]);
        let [udp, ip] = [248, 268].map(|length: usize| ((length + announced) as u16).to_be_bytes());
        let ports = [0, 68, 0, 67, udp[0], udp[1], 0, 0];
        let header = [0x45, 0, ip[0], ip[1], 0, 1, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
        let frame = [[255; 6], [2, 0, 0, 0, 0, 7]].concat();
        [&frame[..], &[8, 0], &header, &ports, &message, &OPTIONS[..there]].concat()
    }

    fn seen(packet: &[u8]) -> (Vec<String>, u64) {
        let (networks, mut counters) = (NetworkMap::default(), Counters::default());
        let layers = link::peel(link::ETHERNET, packet, &mut counters, &networks).unwrap();
        let decoders = Arc::new(Decoders::new(DECODERS));
        let mut shard = Shard::new(0, SensorConfig::default(), decoders, Arc::new(networks), Lines::default());
        let (time, now) = (Timestamp(0), Timestamp(0));
        shard.packet(&PacketInfo { frame: 1, time, now, layers, map: 0 }, packet);
        (shard.observer.0, shard.counters.get(Counter::AnomaliesOfCutPackets))
    }

    #[test]
    fn the_capture_is_not_held_against_the_network() {
        let all = OPTIONS.len();
        let (whole, withheld) = seen(&discover(all, all));
        assert!(whole.len() == 1 && whole[0].contains("dhcp.message") && withheld == 0, "{whole:?}");
        assert!(!whole[0].contains('!'), "{whole:?}");

        let (cut, withheld) = seen(&discover(all, 6));
        assert!(cut.len() == 1 && cut[0].contains("dhcp.message"), "{cut:?}");
        assert!(!cut[0].contains('!') && withheld == 1, "{cut:?}, {withheld} withheld");

        let (short, withheld) = seen(&discover(6, 6));
        assert!(short.len() == 1 && short[0].contains("!dhcp.options_truncated") && withheld == 0, "{short:?}");
    }
}
