//! Application layer clock synchronization, TS003-2.0.0 §3.

use super::{PackageCommand, none};
use crate::protocols::lorawan::wire::Link;
use crate::reader::Reader;

pub(super) fn command(link: Link, cid: u8, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let named = |name| PackageCommand { name, ..none(cid) };
    Some(match (cid, link) {
        (1, Link::Up) => {
            let device_time_s = Some(reader.u32_le()?);
            let param = reader.u8()?;
            let (token, answer_required) = (Some(param & 0x0f), Some(param & 0x10 != 0));
            PackageCommand { device_time_s, token, answer_required, ..named("AppTimeReq") }
        }
        (1, Link::Down) => {
            let time_correction_s = Some(i32::from_le_bytes(reader.array()?));
            PackageCommand { time_correction_s, token: Some(reader.u8()? & 0x0f), ..named("AppTimeAns") }
        }
        (2, Link::Down) => PackageCommand { period: Some(reader.u8()? & 0x0f), ..named("DeviceAppTimePeriodicityReq") },
        (2, Link::Up) => {
            let status = Some(reader.u8()?);
            PackageCommand { status, device_time_s: Some(reader.u32_le()?), ..named("DeviceAppTimePeriodicityAns") }
        }
        (3, Link::Down) => PackageCommand { transmissions: Some(reader.u8()? & 7), ..named("ForceDeviceResyncReq") },
        _ => return None,
    })
}
