//! Who made it: IEEE prefixes, LoRaWAN EUIs, the names that vendors go by; and what LwM2M objects are called.

use super::{LORAWAN_VENDORS, LWM2M_OBJECTS, OUI, PackError, VENDOR_NAMES, tsv};
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

/// The prefix table: unpacked when the first prefix is looked up, and searched as text, without an index.
static PREFIXES: LazyLock<String> = LazyLock::new(|| unpack().unwrap_or_default());

/// Vendors by EUI prefix and JoinEUI.
static LORAWAN: LazyLock<Lorawan> = LazyLock::new(|| lorawan().unwrap_or_default());

/// The name that is shown, by a name as devices write it.
static NAMES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| names().unwrap_or_default());

/// Names of LwM2M objects and resources.
static OBJECTS: LazyLock<HashMap<(u32, Option<u32>), &str>> = LazyLock::new(|| objects().unwrap_or_default());

/// Bits of the prefixes that are assigned (MA-S, MA-M, MA-L), the longest first.
const LENGTHS: [u32; 3] = [36, 28, 24];

#[derive(Default)]
struct Lorawan {
    /// Prefix with its length in bits; `None` where the block is shared by many vendors.
    prefixes: HashMap<(u64, u32), Option<&'static str>>,
    join_euis: HashMap<u64, &'static str>,
}

/// The vendor of a MAC address, by its prefix. A locally administered address has none (IEEE 802 §8.2.2).
pub fn by_mac(mac: u64) -> Option<&'static str> {
    (mac & 0x0200_0000_0000 == 0).then(|| by_prefix(mac << 16)).flatten()
}

/// The vendor of an EUI-64, by its prefix: the name that a city knows where there is one, else the registered one. A module maker's
/// prefix names the module.
pub fn by_eui(eui: u64) -> Option<&'static str> {
    let known = LENGTHS.iter().find_map(|&length| LORAWAN.prefixes.get(&(eui >> (64 - length), length)));
    known.copied().unwrap_or_else(|| by_prefix(eui))
}

/// The vendor of the devices that use a JoinEUI, where the whole JoinEUI is known to be a vendor's.
pub fn by_join_eui(eui: u64) -> Option<&'static str> {
    LORAWAN.join_euis.get(&eui).copied()
}

fn by_prefix(eui: u64) -> Option<&'static str> {
    LENGTHS
        .iter()
        .find_map(|&length| find(&PREFIXES, &format!("{:0digits$x}", eui >> (64 - length), digits = (length / 4) as usize)))
}

/// The row of a sorted table whose first cell is the prefix: a binary search for lines in the text.
fn find(table: &'static str, prefix: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = table.floor_char_boundary(low + (high - low) / 2);
        let start = table.get(..middle)?.rfind('\n').map_or(0, |end| end + 1).max(low);
        let (cell, rest) = table.get(start..)?.split_once('\t')?;
        let line_end = rest.find('\n')?;
        match cell.cmp(prefix) {
            std::cmp::Ordering::Equal => return rest.get(..line_end),
            std::cmp::Ordering::Less => low = start + cell.len() + 1 + line_end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// The one name for a vendor that devices write in several ways; what has no other name stays as it is.
pub fn normalise(name: &str) -> Cow<'_, str> {
    match NAMES.get(plain(name).as_str()) {
        Some(&vendor) => Cow::Borrowed(vendor),
        None => Cow::Borrowed(name.trim_matches(|c: char| c.is_whitespace() || c == '\0')),
    }
}

/// Lower case, spaces collapsed, without nul bytes and trailing dots and commas.
fn plain(name: &str) -> String {
    let words = name.replace('\0', "").to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', ',']).into()
}

/// The name of an LwM2M object.
pub fn lwm2m_object(object: u32) -> Option<&'static str> {
    OBJECTS.get(&(object, None)).copied()
}

/// The name of a resource of an LwM2M object.
pub fn lwm2m_resource(object: u32, resource: u32) -> Option<&'static str> {
    OBJECTS.get(&(object, Some(resource))).copied()
}

fn unpack() -> Result<String, PackError> {
    let mut text = String::new();
    GzDecoder::new(OUI.bytes).read_to_string(&mut text).map_err(|error| OUI.error(1, error.to_string()))?;
    // Only the rows are kept: the head is not sorted among them.
    let rows = text.find("prefix\tvendor\n").ok_or_else(|| OUI.error(1, "the columns are not prefix, vendor"))?;
    Ok(text.split_off(rows + "prefix\tvendor\n".len()))
}

fn lorawan() -> Result<Lorawan, PackError> {
    let file = LORAWAN_VENDORS;
    let mut found = Lorawan::default();
    for row in tsv::rows(file, ["kind", "prefix", "vendor", "registered", "note"])? {
        let [kind, prefix, vendor, _, _] = row.cells;
        let value = u64::from_str_radix(prefix, 16).map_err(|_| file.error(row.line, format!("`{prefix}` is not hex")))?;
        let length = 4 * prefix.len() as u32;
        match (kind, length) {
            ("eui-prefix", 24 | 28 | 36) => drop(found.prefixes.insert((value, length), Some(vendor))),
            ("block", 24 | 28 | 36) => drop(found.prefixes.insert((value, length), None)),
            ("join-eui", 64) => drop(found.join_euis.insert(value, vendor)),
            _ => return Err(file.error(row.line, format!("`{kind}` is no kind for a prefix of {length} bits"))),
        }
    }
    Ok(found)
}

fn names() -> Result<HashMap<&'static str, &'static str>, PackError> {
    Ok(tsv::rows(VENDOR_NAMES, ["alias", "vendor"])?.into_iter().map(|row| row.cells.into()).collect())
}

fn objects() -> Result<HashMap<(u32, Option<u32>), &'static str>, PackError> {
    let file = LWM2M_OBJECTS;
    let number = |text: &str, line| text.parse::<u32>().map_err(|_| file.error(line, format!("`{text}` is no number")));
    let mut found = HashMap::new();
    for row in tsv::rows(file, ["object", "resource", "name", "operations", "type"])? {
        let [object, resource, name, _, _] = row.cells;
        let resource = if resource.is_empty() { None } else { Some(number(resource, row.line)?) };
        found.insert((number(object, row.line)?, resource), name);
    }
    Ok(found)
}

pub(super) fn check() -> Result<(), PackError> {
    let table = unpack()?;
    let mut before = "";
    for (row, line) in table.lines().zip(1..) {
        let prefix = row.split_once('\t').map_or("", |(prefix, _)| prefix);
        if prefix <= before || !matches!(prefix.len(), 6 | 7 | 9) {
            return Err(OUI.error(line, format!("row {line} is not in order, or its prefix has a length that is not assigned")));
        }
        before = prefix;
    }
    lorawan()?;
    names()?;
    objects()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_tells_its_vendor_by_the_longest_prefix() {
        assert_eq!(by_mac(0x0000_0012_3456), Some("XEROX"));
        let table: Vec<(&str, &str)> = PREFIXES.lines().filter_map(|row| row.split_once('\t')).collect();
        let (first, last) = (table[0], table[table.len() - 1]);
        assert_eq!((find(&PREFIXES, first.0), find(&PREFIXES, last.0)), (Some(first.1), Some(last.1)));
        for (prefix, vendor) in table.iter().step_by(997) {
            assert_eq!(find(&PREFIXES, prefix), Some(*vendor), "{prefix}");
        }
        assert_eq!(find(&PREFIXES, "ffffff"), None);
        assert_eq!(find(&PREFIXES, ""), None);
        let (long, vendor) = table.iter().find(|(prefix, _)| prefix.len() == 9).expect("is there");
        let mac = u64::from_str_radix(long, 16).expect("is hex") << 12;
        assert_eq!(by_mac(mac), Some(*vendor));
    }

    #[test]
    fn a_locally_administered_address_has_no_vendor() {
        assert_eq!(by_mac(0x0242_ac11_0002), None);
    }

    #[test]
    fn a_dev_eui_tells_the_vendor_that_a_city_knows() {
        assert_eq!(by_eui(0x24e1_2413_6b50_2217), Some("Milesight"));
        assert_eq!(by_eui(0x0007_8100_0000_0001), Some("Itron"));
        assert_eq!(by_join_eui(0x24e1_24c0_002a_0001), Some("Milesight"));
    }

    #[test]
    fn a_vendor_that_writes_itself_in_many_ways_has_one_name() {
        assert_eq!(normalise("Schneider  Electric\0"), "Schneider Electric");
        assert_eq!(normalise("allterco"), "Shelly");
        assert_eq!(normalise(" Unknown Maker "), "Unknown Maker");
    }

    #[test]
    fn objects_and_resources_have_names() {
        assert_eq!(lwm2m_object(3), Some("Device"));
        assert_eq!(lwm2m_resource(0, 5), Some("Secret Key"));
        assert_eq!(lwm2m_object(4_000_000), None);
    }
}
