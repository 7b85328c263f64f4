//! Every discarded byte, packet, flow and observation has a counter here with a name that people can look up.
//!
//! Counters are plain sums, so those of shards and of the dispatcher add up to the same figures whatever the number of threads.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[doc = $doc])+ $variant,)* }

        impl Counter {
            /// All counters, in the order in which they are printed.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)*];

            /// The counter's stable name in outputs.
            pub fn name(self) -> &'static str {
                match self { $(Counter::$variant => $name,)* }
            }

            /// What it counts, in plain words.
            pub fn doc(self) -> &'static str {
                match self { $(Counter::$variant => concat!($($doc,)+).trim_ascii(),)* }
            }
        }

        const COUNT: usize = [$(Counter::$variant,)*].len();
    };
}

counters! {
    /// Packets read from the captures.
    Packets = "packets",
    /// Bytes of those packets as they were on the wire.
    WireBytes = "wire_bytes",
    /// Packets of which the capture holds only the beginning (snap length).
    PacketsCut = "packets_cut",
    /// Live: packets lost because the kernel's buffer was full.
    PacketsDroppedByKernel = "packets_dropped_by_kernel",
    /// Live: packets lost in the network interface or its driver.
    PacketsDroppedByInterface = "packets_dropped_by_interface",
    /// Live: packets dropped because the thread that reads them did not keep up.
    PacketsDroppedInQueue = "packets_dropped_in_queue",
    /// Packets whose time stamp lay before an earlier packet's.
    TimeBackward = "time_backward",
    /// Packets whose time stamp jumped ahead by more than an hour without a second packet to confirm it.
    TimeJumpsRefused = "time_jumps_refused",
    /// Packets with a link type that is not decoded.
    LinkTypeUnknown = "link_type_unknown",
    /// Frames whose link layer header is cut or malformed.
    LinkMalformed = "link_malformed",
    /// Frames with an EtherType or tunnel payload that is not decoded (LLDP, PROFINET, GOOSE and so on).
    NotIp = "not_ip",
    /// IP headers that are cut or malformed.
    IpMalformed = "ip_malformed",
    /// IP packets that carry neither TCP, UDP nor ICMPv6.
    IpOtherProtocol = "ip_other_protocol",
    /// Tunnels within tunnels beyond the depth limit.
    TunnelTooDeep = "tunnel_too_deep",
    /// IP fragments seen.
    Fragments = "fragments",
    /// Datagrams put together from fragments.
    FragmentsReassembled = "fragments_reassembled",
    /// Fragments given up: their datagram stayed incomplete or a bound was hit.
    FragmentsDropped = "fragments_dropped",
    /// IP fragments that overlap earlier ones of their datagram or disagree about its length; the earlier ones were kept.
    FragmentOverlaps = "fragment_overlaps",
    /// TCP or UDP headers that are cut or malformed.
    TransportMalformed = "transport_malformed",
    /// Flows opened.
    Flows = "flows",
    /// Flows dropped before their time because the flow table was full.
    FlowsEvicted = "flows_evicted",
    /// TCP segments that were sent again and brought nothing new.
    TcpRetransmissions = "tcp_retransmissions",
    /// TCP segments that arrived before an earlier one.
    TcpOutOfOrder = "tcp_out_of_order",
    /// TCP segments that overlap earlier data with other bytes.
    TcpOverlapConflicts = "tcp_overlap_conflicts",
    /// Holes in TCP streams that were given up.
    TcpGaps = "tcp_gaps",
    /// Bytes known to be missing in TCP streams.
    TcpGapBytes = "tcp_gap_bytes",
    /// TCP segments away from their stream's position that nothing confirmed.
    TcpAstray = "tcp_astray",
    /// Bytes of TCP streams not waited for, or discarded, because a buffer was full.
    TcpBufferDropped = "tcp_buffer_dropped",
    /// Bytes of flows in which no known protocol was recognised.
    UndecodedBytes = "undecoded_bytes",
    /// Flows in which no known protocol was recognised.
    UndecodedFlows = "undecoded_flows",
    /// Observations made.
    Observations = "observations",
    /// Anomalies in observations.
    Anomalies = "anomalies",
    /// Anomalies not told, as the capture holds only the beginning of their packet.
    AnomaliesOfCutPackets = "anomalies_of_cut_packets",
    /// Times a decoder lost its place in a stream.
    Desynchronised = "desynchronised",
    /// Bytes passed over while looking for the next message.
    ResynchronisationBytes = "resynchronisation_bytes",
    /// Messages larger than their decoder's bound, passed over.
    MessagesTooLarge = "messages_too_large",
    /// Carried payloads dropped because too many channels or too deep a nesting was open.
    CarriedDropped = "carried_dropped",
    /// Flows abandoned because a decoder failed: a bug of ours.
    DecoderFailures = "decoder_failures",
    /// Entries of a decoder's own tables (transactions, topics, blocks) dropped at their bound.
    SessionEntriesDropped = "session_entries_dropped",
}

/// A set of counters, one for each [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Counters {
    /// Adds one.
    #[inline]
    pub fn bump(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.0[counter as usize] += n;
    }

    /// The figure of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds all figures of `other`.
    pub fn merge(&mut self, other: &Counters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// All counters with their figures, in printing order.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self.get(counter)))
    }
}
