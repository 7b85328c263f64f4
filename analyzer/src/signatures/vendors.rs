//! Who made it: IEEE prefixes, LoRaWAN EUIs, the names that vendors go by; and what LwM2M objects are called.

use super::{LORAWAN_VENDORS, LWM2M_OBJECTS, OUI, PackError, VENDOR_NAMES, tsv};
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::LazyLock;

/// The prefix table: unpacked when the first prefix is looked up.
static PREFIXES: LazyLock<Prefixes> = LazyLock::new(|| unpack().unwrap_or_default());

/// Vendors by EUI prefix and JoinEUI.
static LORAWAN: LazyLock<Lorawan> = LazyLock::new(|| lorawan().unwrap_or_default());

/// The name that is shown, by a name as devices write it.
static NAMES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| names().unwrap_or_default());

/// Names of LwM2M objects and resources.
static OBJECTS: LazyLock<HashMap<(u32, Option<u32>), &str>> = LazyLock::new(|| objects().unwrap_or_default());

/// Bits of the prefixes that are assigned (MA-S, MA-M, MA-L), the longest first.
const LENGTHS: [u32; 3] = [36, 28, 24];

/// Registered prefixes.
#[derive(Default)]
struct Prefixes {
    text: String,
    /// For each length in bits, the longest first: its rows, sorted.
    lengths: Vec<(u32, Vec<Row>)>,
}

/// A prefix, and where its vendor stands in the text.
type Row = (u64, Range<usize>);

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
    let table: &'static Prefixes = &PREFIXES;
    table.lengths.iter().find_map(|(length, rows)| {
        let at = rows.binary_search_by_key(&(eui >> (64 - length)), |row| row.0).ok()?;
        table.text.get(rows.get(at)?.1.clone())
    })
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

fn unpack() -> Result<Prefixes, PackError> {
    let mut text = String::new();
    GzDecoder::new(OUI.bytes).read_to_string(&mut text).map_err(|error| OUI.error(1, error.to_string()))?;
    const COLUMNS: &str = "prefix\tvendor\n";
    let start = text.find(COLUMNS).ok_or_else(|| OUI.error(1, "the columns are not prefix, vendor"))? + COLUMNS.len();
    let mut lengths: Vec<(u32, Vec<Row>)> = LENGTHS.map(|length| (length, Vec::new())).into();
    let mut at = start;
    for (row, line) in text.get(start..).unwrap_or_default().split_inclusive('\n').enumerate() {
        let wrong = || OUI.error(row + 1, "a row is a prefix of 6, 7 or 9 hex digits and a vendor");
        let (prefix, vendor) = line.trim_end_matches('\n').split_once('\t').ok_or_else(wrong)?;
        let value = u64::from_str_radix(prefix, 16).map_err(|_| wrong())?;
        let rows = lengths.iter_mut().find(|(length, _)| *length as usize == 4 * prefix.len()).ok_or_else(wrong)?;
        let from = at + prefix.len() + 1;
        rows.1.push((value, from..from + vendor.len()));
        at += line.len();
    }
    lengths.iter_mut().for_each(|(_, rows)| rows.sort_unstable_by_key(|row| row.0));
    Ok(Prefixes { text, lengths })
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
    if let Some((length, _)) = table.lengths.iter().find(|(_, rows)| !rows.is_sorted_by(|a, b| a.0 < b.0)) {
        return Err(OUI.error(1, format!("a prefix of {length} bits stands there twice")));
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
        let (length, rows) = &PREFIXES.lengths[0];
        for (prefix, vendor) in rows.iter().step_by(97).chain(rows.last()) {
            assert_eq!(by_mac(prefix << (48 - length)), PREFIXES.text.get(vendor.clone()), "{prefix:x}");
        }
        assert_eq!(by_mac(0xfcff_ffff_ffff), None);
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
