//! One interface, read through libpcap. Without blocking: where the kernel's buffer has blocks (TPACKET_V3), a read with a timeout would wait for the
//! first packet for ever, and the time must go on.

use super::{LiveError, LiveOptions, Wire};
use crate::capture::{LinkType, Lost};
use crate::time::{Nanos, Timestamp};
use pcap::{Active, Capture, Device, Error, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;

/// After this long the kernel hands over a block of packets that is not full.
pub(super) const BLOCK_MILLIS: i32 = 100;

/// Bytes captured of a packet: what libpcap and tcpdump take at most.
const SNAP_LENGTH: i32 = 262_144;

/// The interface that stands for all; it cannot be promiscuous.
const ANY: &str = "any";

/// An open interface.
pub(super) struct Tap {
    capture: Capture<Active>,
    link_type: LinkType,
    /// What libpcap told last: it counts in 32 bits.
    told: (u32, u32),
    lost: Lost,
}

impl Tap {
    pub(super) fn open(name: &str, options: LiveOptions) -> Result<Self, LiveError> {
        let open = || {
            let capture = Capture::from_device(name)?
                .snaplen(SNAP_LENGTH)
                .buffer_size(i32::try_from(options.buffer).unwrap_or(i32::MAX))
                .timeout(BLOCK_MILLIS)
                .promisc(options.promiscuous && name != ANY)
                .precision(Precision::Nano)
                .open()?
                .setnonblock()?;
            Ok(Self { link_type: LinkType(link_type(capture.get_datalink().0)), capture, told: (0, 0), lost: Lost::default() })
        };
        open().map_err(|error| explain(name, &error))
    }
}

/// Why it cannot be opened. libpcap says it in words alone.
fn explain(name: &str, error: &Error) -> LiveError {
    let (name, what) = (name.to_owned(), error.to_string());
    let known: Vec<String> = Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
    if what.contains("ermission") || what.contains("not permitted") {
        return LiveError::NotPermitted { name, what };
    }
    let is_interface = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
        .and_then(|socket| rustix::net::netdevice::name_to_index(socket, &name));
    if is_interface.is_err() && name != ANY { LiveError::Missing { name, known } } else { LiveError::Failed { name, what } }
}

/// The link type that files use for what libpcap calls by another number within a process (pcap-linktype(7): DLT_RAW is 12 on Linux).
fn link_type(dlt: i32) -> u16 {
    match dlt {
        12 => 101,
        other => u16::try_from(other).unwrap_or(u16::MAX),
    }
}

impl Wire for Tap {
    fn read(&mut self, into: &mut Vec<u8>) -> Result<Option<(Timestamp, u32)>, String> {
        match self.capture.next_packet() {
            Ok(packet) => {
                into.clear();
                into.extend_from_slice(packet.data);
                let time = packet.header.ts;
                // Precision::Nano: the field of microseconds holds nanoseconds.
                let stamp =
                    Timestamp::from_parts(u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_usec).unwrap_or(0));
                Ok(Some((stamp, packet.header.len)))
            }
            Err(Error::TimeoutExpired | Error::NoMorePackets) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn lost(&mut self) -> Lost {
        if let Ok(stats) = self.capture.stats() {
            let (kernel, interface) = std::mem::replace(&mut self.told, (stats.dropped, stats.if_dropped));
            self.lost.by_kernel += u64::from(stats.dropped.wrapping_sub(kernel));
            self.lost.by_interface += u64::from(stats.if_dropped.wrapping_sub(interface));
        }
        self.lost
    }
}

/// Sleeps until one of the interfaces has a packet, at most so long. A signal ends it early.
pub(super) fn sleep(taps: &mut dyn Iterator<Item = &Tap>, most: Nanos) {
    let mut fds: Vec<PollFd<'_>> = taps.map(|tap| PollFd::from_borrowed_fd(tap.capture.as_fd(), PollFlags::IN)).collect();
    let most = Timespec { tv_sec: (most / 1_000_000_000) as _, tv_nsec: (most % 1_000_000_000) as _ };
    // What fails here shows when the interface is read.
    let _ = poll(&mut fds, Some(&most));
}
