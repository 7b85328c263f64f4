//! Whose network a DevAddr belongs to: LoRaWAN Backend Interfaces TS002-1.1.0 §11 and the NetID chapter of the 1.1 specification (§6.1.1).
//!
//! ```text
//! type  prefix of DevAddr  NwkID bits  NetID
//!  0    0                  6           0x00 | ID
//!  1    10                 6           0x20 | ID
//!  2    110                9           0x40 | ID
//!  3    1110               11          0x60 | low bits of ID
//!  4    11110              12          0x80 | low bits of ID
//!  5    111110             13          0xa0 | low bits of ID
//!  6    1111110            15          0xc0 | low bits of ID
//!  7    11111110           17          0xe0 | low bits of ID
//! ```

use crate::observation::{Bounds, DevAddr, FieldType, FieldValue, Value};
use serde::{Serialize, Serializer};

/// A NetID: 24 bits, 6 lowercase hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetId(pub u32);

impl NetId {
    /// The network that a DevAddr's prefix names. For types 3 to 7 the address holds only the low bits of the NetID's ID field, taken as the
    /// whole here: no identifier beyond them has been given out. `None` for the reserved prefix 0xff.
    pub fn of(dev_addr: DevAddr) -> Option<Self> {
        let kind = dev_addr.0.leading_ones();
        let id_bits = *[6, 6, 9, 11, 12, 13, 15, 17].get(kind as usize)?;
        let id = (dev_addr.0 << (kind + 1)) >> (32 - id_bits);
        Some(Self((kind << 21) | id))
    }

    /// How many addresses a network of the prefix of this one can give to its devices.
    pub fn addresses(dev_addr: DevAddr) -> u32 {
        let bits = [25, 24, 20, 17, 15, 13, 10, 7].get(dev_addr.0.leading_ones() as usize).copied();
        bits.map_or(1, |bits: u32| 1 << bits)
    }
}

impl FieldValue for NetId {
    const TYPE: FieldType = FieldType::Hex;
    const BOUNDS: Bounds = Bounds::Digits(6);
    fn value(&self) -> Value<'_> {
        Value::Id { value: u64::from(self.0), digits: 6 }
    }
}

impl Serialize for NetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:06x}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_real_networks() {
        for (dev_addr, net_id) in [
            (0x0000_0000, 0x00_0000), // experimental
            (0x0345_6789, 0x00_0001), // experimental
            (0x260b_1234, 0x00_0013), // The Things Network
            (0x4812_3456, 0x00_0024), // Helium
            (0xe005_0000, 0x60_0002),
            (0xfc00_0800, 0xc0_0002),
            (0xfe00_0100, 0xe0_0002),
        ] {
            assert_eq!(NetId::of(DevAddr(dev_addr)), Some(NetId(net_id)), "{dev_addr:08x}");
        }
        assert_eq!(NetId::of(DevAddr(0xff00_0000)), None);
        let room =
            [0x0000_0000, 0x260b_1234, 0xfc00_0800, 0xfe00_0100, 0xff00_0000].map(|address| NetId::addresses(DevAddr(address)));
        assert_eq!(room, [1 << 25, 1 << 25, 1 << 10, 1 << 7, 1]);
    }
}
