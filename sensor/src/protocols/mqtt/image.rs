//! Firmware and programs by their first bytes, as published with each format. A format without a mark of four bytes is not told: chance would be.

/// Marks at the beginning of a file: ELF specification §1; U-Boot `image.h` (IH_MAGIC) and the flattened device tree of the Devicetree
/// Specification §5.2 (FIT images are one); squashfs `squashfs_fs.h`; the header of Broadcom firmware (`HDR0`); MCUboot `image.h` (IMAGE_MAGIC); Zigbee
/// Cluster Library §11.4.2.1; Matter Core §11.21.2.1; UF2 file format.
const MARKS: [(&str, [u8; 4]); 9] = [
    ("elf", [0x7f, b'E', b'L', b'F']),
    ("uimage", [0x27, 0x05, 0x19, 0x56]),
    ("flattened_tree", [0xd0, 0x0d, 0xfe, 0xed]),
    ("squashfs", *b"hsqs"),
    ("trx", *b"HDR0"),
    ("mcuboot", [0x3d, 0xb8, 0xf3, 0x96]),
    ("zigbee_ota", [0x1e, 0xf1, 0xee, 0x0b]),
    ("matter_ota", [0x1e, 0xf1, 0xee, 0x1b]),
    ("uf2", *b"UF2\n"),
];

/// An application of the ESP32 begins so, and has this 32 bytes on (ESP-IDF `esp_app_format.h`, `esp_app_desc.h`).
const ESP32: (u8, usize, [u8; 4]) = (0xe9, 32, [0x32, 0x54, 0xcd, 0xab]);

/// What a payload is by its first bytes.
#[inline]
pub(super) fn kind(payload: &[u8]) -> Option<&'static str> {
    let first: &[u8; 4] = payload.first_chunk()?;
    if let Some((name, _)) = MARKS.iter().find(|(_, mark)| mark == first) {
        return Some(name);
    }
    let (begin, at, mark) = ESP32;
    (first.first() == Some(&begin) && payload.get(at..at + 4) == Some(&mark)).then_some("esp32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_by_their_marks_and_other_payloads_are_none() {
        assert_eq!(kind(b"\x7fELF\x02\x01\x01"), Some("elf"));
        assert_eq!(kind(b"hsqs"), Some("squashfs"));
        let mut esp = vec![0xe9; 36];
        assert_eq!(kind(&esp), None);
        esp[32..].copy_from_slice(&[0x32, 0x54, 0xcd, 0xab]);
        assert_eq!(kind(&esp), Some("esp32"));
        for other in [&b""[..], b"hsq", b"{\"t\":21.5}", b"\xe9\x01"] {
            assert_eq!(kind(other), None);
        }
    }
}
