//! Whose an address is: ours, somebody else's, or nobody's.

use super::address;
use crate::hot::owned::{IdentityKey, ValueKey};
use citytap_sensor::observation::identity::MAC;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network of addresses: `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A prefix that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network; write it as 10.0.0.0/8 or fd00::/8")]
pub struct PrefixError(String);

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || PrefixError(text.into());
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), |length| length.trim().parse().map_err(|_| wrong()))?;
        if length <= most { Ok(Self { address, length }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Prefix {
    /// How many leading bits its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The same network, written with the bits beyond its length zero.
    pub fn network(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        };
        Self { address, length: self.length }
    }

    /// Whether all of the other lies in it.
    pub fn covers(&self, other: &Prefix) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Whether an address lies in both.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let different = u32::from(mine) ^ u32::from(other);
                different.checked_shr(32 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                let different = u128::from(mine) ^ u128::from(other);
                different.checked_shr(128 - u32::from(self.length)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whose an address is, by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It lies in a network of ours.
    Ours,
    /// Nothing is configured, and the address is public: what was seen of it decides.
    Unknown,
    /// Networks are configured, and it lies in none of them.
    Foreign,
}

/// The networks that are ours. Without any, private addresses are.
#[derive(Clone, Debug, Default)]
pub struct Ours(Vec<Prefix>);

impl Ours {
    /// Of these.
    pub fn new(prefixes: &[Prefix]) -> Self {
        Self(prefixes.to_vec())
    }

    /// Whether it is known whose an address is, and then whether it is ours. Groups and broadcast are nobody's.
    pub fn is_own(&self, address: IpAddr) -> Option<bool> {
        match self.whose(address) {
            _ if is_nobody(address) => None,
            Whose::Ours => Some(true),
            Whose::Foreign => Some(false),
            Whose::Unknown => None,
        }
    }

    /// Whose an address is.
    pub fn whose(&self, address: IpAddr) -> Whose {
        if is_link_local(address) || self.0.iter().any(|prefix| prefix.contains(address)) {
            return Whose::Ours;
        }
        match self.0.is_empty() {
            true if is_private(address) => Whose::Ours,
            true => Whose::Unknown,
            false => Whose::Foreign,
        }
    }
}

/// Addresses of sites: RFC 1918, RFC 6598 (carrier's), RFC 4193, loopback.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || (u32::from(v4) & 0xffc0_0000 == u32::from(Ipv4Addr::new(100, 64, 0, 0)))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}

/// Addresses that no router passes on (RFC 3927 §2.7, RFC 4291 §2.5.6).
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Addresses that name no device: groups, broadcast, the unspecified one, empty texts.
pub(super) fn nobody(key: &IdentityKey) -> bool {
    if let Some(address) = address(key) {
        return is_nobody(address);
    }
    match &key.value {
        // The group bit of a MAC address (IEEE 802 §8.2), and the address of all zeros.
        ValueKey::Hex(value, _) if *key.kind == MAC => *value == 0 || value & 0x0100_0000_0000 != 0,
        ValueKey::Text(text) => text.is_empty(),
        _ => false,
    }
}

fn is_nobody(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.octets()[0] >= 224,
        IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_an_address_is_is_known_by_prefixes_or_where_it_is_private() {
        let own = |ours: &Ours, address: &str| ours.is_own(address.parse().unwrap());
        let said = Ours::new(&["198.51.100.0/24".parse().unwrap()]);
        assert_eq!(
            (own(&said, "198.51.100.7"), own(&said, "10.0.0.1"), own(&said, "2001:db8::1")),
            (Some(true), Some(false), Some(false))
        );
        assert_eq!((own(&said, "169.254.1.1"), own(&said, "224.0.1.187"), own(&said, "ff02::1")), (Some(true), None, None));
        let unsaid = Ours::default();
        assert_eq!(
            (own(&unsaid, "10.0.0.1"), own(&unsaid, "198.51.100.7"), own(&unsaid, "255.255.255.255")),
            (Some(true), None, None)
        );
    }
}
