//! Firmware management protocol, TS006-1.0.0 §3.

use super::{PackageCommand, none};
use crate::protocols::lorawan::wire::Link;
use crate::reader::Reader;

/// UpgradeImageStatus: a valid image is there, and its version follows.
const IMAGE_VALID: u8 = 3;

pub(super) fn command(link: Link, cid: u8, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let named = |name| PackageCommand { name, ..none(cid) };
    Some(match (cid, link) {
        (1, Link::Down) => named("DevVersionReq"),
        (1, Link::Up) => {
            let firmware_version = Some(reader.u32_le()?);
            PackageCommand { firmware_version, hardware_version: Some(reader.u32_le()?), ..named("DevVersionAns") }
        }
        (2, Link::Down) => PackageCommand { reboot_time_s: Some(reader.u32_le()?), ..named("DevRebootTimeReq") },
        (2, Link::Up) => PackageCommand { reboot_time_s: Some(reader.u32_le()?), ..named("DevRebootTimeAns") },
        (3, Link::Down) => PackageCommand { countdown_s: Some(reader.u24_le()?), ..named("DevRebootCountdownReq") },
        (3, Link::Up) => PackageCommand { countdown_s: Some(reader.u24_le()?), ..named("DevRebootCountdownAns") },
        (4, Link::Down) => named("DevUpgradeImageReq"),
        (4, Link::Up) => {
            let status = reader.u8()?;
            let firmware_version = if status & 3 == IMAGE_VALID { Some(reader.u32_le()?) } else { None };
            PackageCommand { status: Some(status), firmware_version, ..named("DevUpgradeImageAns") }
        }
        (5, Link::Down) => PackageCommand { firmware_version: Some(reader.u32_le()?), ..named("DevDeleteImageReq") },
        (5, Link::Up) => PackageCommand { status: Some(reader.u8()?), ..named("DevDeleteImageAns") },
        _ => return None,
    })
}
