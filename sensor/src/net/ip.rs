//! IPv4 and IPv6 headers in general: options, extension headers, fragments, lengths that offloading left at zero, cut packets.
//!
//! A header's length field decides where its payload ends, so padding and trailers never become data; where it announces more than was captured,
//! the difference is told as missing. Checksums are not checked.
//!
//! Documents: RFC 791, RFC 8200, RFC 2675 (jumbograms), RFC 4302 (AH), RFC 6946 (atomic fragments).

use crate::counters::Counter;
use crate::link::peeling::{Next, Peeler};
use crate::link::{Content, Fragment};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol number of IPv4 in IP (RFC 2003).
pub(crate) const IN_IPV4: u8 = 4;
/// Protocol number of IPv6 in IP (RFC 4213).
pub(crate) const IN_IPV6: u8 = 41;
/// Extension headers (RFC 8200 §4): hop-by-hop options, routing, fragment, destination options; mobility (RFC 6275), host identity (RFC 7401),
/// shim6 (RFC 5533), which are laid out in the same way.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;
/// Option of the hop-by-hop header that holds the length of a jumbogram (RFC 2675 §2).
const JUMBO_PAYLOAD: u8 = 0xc2;

/// A header of either version.
pub(crate) fn either(peeler: &mut Peeler<'_>) -> Option<Next> {
    match peeler.reader.peek_u8()? >> 4 {
        4 => Some(Next::Ipv4),
        6 => Some(Next::Ipv6),
        _ => None,
    }
}

/// An IPv4 header (RFC 791 §3.1).
pub(crate) fn v4(peeler: &mut Peeler<'_>) -> Option<Next> {
    let header: [u8; 20] = peeler.reader.array()?;
    let [version_and_length, _, l0, l1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let options = usize::from(version_and_length & 15).checked_sub(5)? * 4;
    if version_and_length >> 4 != 4 {
        return None;
    }
    begin(peeler, IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)), IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)));
    match usize::from(u16::from_be_bytes([l0, l1])) {
        // Segmentation offload: the card was to fill in the length.
        0 => peeler.layers.missing = 0,
        total => peeler.layers.missing = count(peeler.trim(total.checked_sub(20)?)),
    }
    peeler.reader.skip(options)?;
    let fragment = u16::from_be_bytes([f0, f1]);
    let (more, offset) = (fragment & 0x2000 != 0, (fragment & 0x1fff) << 3);
    if !more && offset == 0 {
        return Some(Next::Protocol(protocol));
    }
    let identification = u32::from(u16::from_be_bytes([i0, i1]));
    Some(peeler.done(Content::Fragment(Fragment { identification, offset, more, protocol })))
}

/// An IPv6 header (RFC 8200 §3).
pub(crate) fn v6(peeler: &mut Peeler<'_>) -> Option<Next> {
    let [first, _, _, _, l0, l1, next_header, _]: [u8; 8] = peeler.reader.array()?;
    if first >> 4 != 6 {
        return None;
    }
    let source = Ipv6Addr::from(peeler.reader.array::<16>()?);
    let destination = Ipv6Addr::from(peeler.reader.array::<16>()?);
    begin(peeler, IpAddr::V6(source), IpAddr::V6(destination));
    let length = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => jumbogram(peeler, next_header),
        length => Some(length),
    };
    // Without a length, the card was to fill it in: the rest is taken.
    peeler.layers.missing = length.map_or(0, |length| count(peeler.trim(length)));
    Some(Next::Protocol(next_header))
}

/// Notes an IP header. Where another went before it without a link header between them, the MAC addresses belong to the tunnel's ends.
fn begin(peeler: &mut Peeler<'_>, source: IpAddr, destination: IpAddr) {
    if std::mem::replace(&mut peeler.inside_ip, true) {
        peeler.layers.source_mac = None;
        peeler.layers.destination_mac = None;
    }
    peeler.layers.source = source;
    peeler.layers.destination = destination;
}

/// The length of a jumbogram (RFC 2675 §2): an option of the hop-by-hop header, which stands first.
fn jumbogram(peeler: &Peeler<'_>, next_header: u8) -> Option<usize> {
    if next_header != HOP_BY_HOP {
        return None;
    }
    let mut reader = peeler.reader;
    let [_, words] = reader.array()?;
    let mut options = reader.sub(usize::from(words) * 8 + 6)?;
    loop {
        match options.u8()? {
            // Pad1 alone has no length.
            0 => {}
            JUMBO_PAYLOAD => return (options.u8()? == 4).then(|| options.u32()).flatten().map(|length| length as usize),
            _ => {
                let length = options.u8()?;
                options.skip(usize::from(length))?;
            }
        }
    }
}

/// An extension header, or what is carried beside TCP, UDP and tunnels.
pub(crate) fn extension(peeler: &mut Peeler<'_>, protocol: u8) -> Option<Next> {
    let v6 = peeler.layers.source.is_ipv6();
    let reader = &mut peeler.reader;
    match protocol {
        HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 if v6 => {
            let [next_header, words] = reader.array()?;
            reader.skip(usize::from(words) * 8 + 6)?;
            Some(Next::Protocol(next_header))
        }
        AUTHENTICATION => {
            // Its length counts in words of four bytes, less two (RFC 4302 §2.2).
            let [next_header, words] = reader.array()?;
            reader.skip(usize::from(words) * 4 + 6)?;
            Some(Next::Protocol(next_header))
        }
        FRAGMENT if v6 => {
            let [protocol, _, f0, f1] = reader.array()?;
            let identification = reader.u32()?;
            let field = u16::from_be_bytes([f0, f1]);
            let (more, offset) = (field & 1 != 0, field & 0xfff8);
            // An atomic fragment is a whole datagram (RFC 6946 §4).
            Some(match (more, offset) {
                (false, 0) => Next::Protocol(protocol),
                _ => peeler.done(Content::Fragment(Fragment { identification, offset, more, protocol })),
            })
        }
        _ => Some(peeler.stop(Counter::IpOtherProtocol)),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
