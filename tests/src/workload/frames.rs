//! Ethernet frames with right checksums, and the addresses in frames exchanged for others.

use std::net::Ipv4Addr;

/// One end of a made conversation.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) ip: Ipv4Addr,
    pub(super) port: u16,
}

impl End {
    /// Each address has a MAC address of its own, under a prefix that belongs to nobody.
    fn mac(self) -> [u8; 6] {
        let [a, b, c, d] = self.ip.octets();
        [0x02, 0x00, a, b, c, d]
    }
}

/// TCP flags.
pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const PSH_ACK: u8 = 0x18;

/// A UDP datagram in a frame.
pub(super) fn udp(frame: &mut Vec<u8>, from: End, to: End, payload: &[u8]) {
    ip(frame, from, to, 17, 8 + payload.len());
    frame.extend_from_slice(&from.port.to_be_bytes());
    frame.extend_from_slice(&to.port.to_be_bytes());
    frame.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    check(frame);
}

/// A TCP segment in a frame.
pub(super) fn tcp(frame: &mut Vec<u8>, from: End, to: End, flags: u8, [seq, ack]: [u32; 2], payload: &[u8]) {
    ip(frame, from, to, 6, 20 + payload.len());
    frame.extend_from_slice(&from.port.to_be_bytes());
    frame.extend_from_slice(&to.port.to_be_bytes());
    frame.extend_from_slice(&seq.to_be_bytes());
    frame.extend_from_slice(&ack.to_be_bytes());
    frame.extend_from_slice(&[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    frame.extend_from_slice(payload);
    check(frame);
}

fn ip(frame: &mut Vec<u8>, from: End, to: End, protocol: u8, length: usize) {
    frame.clear();
    frame.extend_from_slice(&to.mac());
    frame.extend_from_slice(&from.mac());
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
    frame.extend_from_slice(&(20 + length as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
    frame.extend_from_slice(&from.ip.octets());
    frame.extend_from_slice(&to.ip.octets());
}

/// Where the addresses and checksums of a frame are.
#[derive(Clone, Copy, Debug)]
struct Layout {
    ip: usize,
    version: u8,
    transport: usize,
    /// Of the transport's checksum.
    checksum: usize,
    protocol: u8,
    end: usize,
}

fn layout(frame: &[u8]) -> Option<Layout> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let mut ip = 14;
    while matches!(word(ip - 2)?, 0x8100 | 0x88a8) {
        ip += 4;
    }
    let (version, transport, protocol, end) = match word(ip - 2)? {
        0x0800 if word(ip + 6)? & 0x3fff == 0 => {
            (4, ip + usize::from(frame.get(ip)? & 15) * 4, *frame.get(ip + 9)?, ip + usize::from(word(ip + 2)?))
        }
        0x86dd => (6, ip + 40, *frame.get(ip + 6)?, ip + 40 + usize::from(word(ip + 4)?)),
        _ => return None,
    };
    let checksum = transport + if protocol == 6 { 16 } else { 6 };
    let known = matches!(protocol, 6 | 17) && end <= frame.len() && checksum + 2 <= end;
    known.then_some(Layout { ip, version, transport, checksum, protocol, end })
}

/// Whether a frame is one that [`readdress`] can give other addresses: TCP or UDP over IP, whole, no fragment, no tunnel.
pub(super) fn is_plain(frame: &[u8]) -> bool {
    layout(frame).is_some()
}

/// Exchanges the unicast addresses of a frame for those of another copy of its network, and mends the checksums.
pub(super) fn readdress(frame: &mut [u8], copy: u64) {
    let Some(at) = layout(frame) else { return };
    let (from, width) = if at.version == 4 { (at.ip + 12, 4) } else { (at.ip + 8, 16) };
    for (address, mac) in [(from, 6), (from + width, 0)] {
        let hash = exchange(&mut frame[address..address + width], copy);
        if let Some(hash) = hash.filter(|_| frame[mac] & 1 == 0) {
            frame[mac + 3..mac + 6].copy_from_slice(&hash.to_be_bytes()[5..]);
        }
    }
    check(frame);
}

/// Puts another address there, the same for the same address and copy; `None` where it is none of a host.
fn exchange(address: &mut [u8], copy: u64) -> Option<u64> {
    let mut hash = copy.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x51_7cc1_b727_220a;
    for byte in &*address {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    if address.len() == 4 {
        let group = address[0] >= 224 || address[0] == 0 || address[3] == 255;
        if group {
            return None;
        }
        let [.., a, b, c] = hash.to_be_bytes();
        address.copy_from_slice(&[10, a, b, c % 253 + 1]);
    } else {
        if address[0] == 0xff || address.iter().all(|byte| *byte == 0) {
            return None;
        }
        address[8..].copy_from_slice(&hash.to_be_bytes());
    }
    Some(hash)
}

/// Computes the checksums of the IP header and of the transport.
fn check(frame: &mut [u8]) {
    let Some(at) = layout(frame) else { return };
    if at.version == 4 {
        frame[at.ip + 10..at.ip + 12].fill(0);
        let sum = fold(words(&frame[at.ip..at.transport]));
        frame[at.ip + 10..at.ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    let addresses = if at.version == 4 { at.ip + 12..at.ip + 20 } else { at.ip + 8..at.ip + 40 };
    frame[at.checksum..at.checksum + 2].fill(0);
    let pseudo = words(&frame[addresses]) + u64::from(at.protocol) + (at.end - at.transport) as u64;
    let sum = match fold(pseudo + words(&frame[at.transport..at.end])) {
        0 if at.protocol == 17 => 0xffff,
        sum => sum,
    };
    frame[at.checksum..at.checksum + 2].copy_from_slice(&sum.to_be_bytes());
}

fn words(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)));
    pairs.sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(last: u8, port: u16) -> End {
        End { ip: Ipv4Addr::new(10, 0, 0, last), port }
    }

    fn is_right(frame: &[u8]) -> bool {
        let mut again = frame.to_vec();
        check(&mut again);
        again == frame
    }

    /// RFC 1071's example, and that a computed checksum sums up to nothing.
    #[test]
    fn checksums() {
        assert_eq!(fold(words(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), !0xddf2);
        let mut frame = Vec::new();
        udp(&mut frame, end(1, 4000), end(2, 5683), b"odd");
        assert_eq!(fold(words(&frame[14..34])), 0);
        tcp(&mut frame, end(1, 4000), end(2, 502), PSH_ACK, [7, 9], b"even");
        let pseudo = words(&frame[26..34]) + 6 + 24;
        assert_eq!(fold(pseudo + words(&frame[34..])), 0);
    }

    #[test]
    fn readdressed_frames_stay_right() {
        let mut frame = Vec::new();
        tcp(&mut frame, end(1, 4000), end(2, 502), PSH_ACK, [7, 9], b"payload");
        let (mut one, mut other) = (frame.clone(), frame.clone());
        readdress(&mut one, 1);
        readdress(&mut other, 2);
        assert!(is_right(&one) && is_right(&other) && one != other && one[26..34] != frame[26..34]);
        assert_eq!(one[34..50], frame[34..50], "ports and sequence numbers stay");
    }
}
