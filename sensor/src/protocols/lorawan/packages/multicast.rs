//! Remote multicast setup, TS005-1.0.0 and 2.0.0 §3. The group's key travels encrypted; it is stepped over.

use super::{PackageCommand, none};
use crate::protocols::lorawan::commands::frequency;
use crate::protocols::lorawan::wire::Link;
use crate::reader::Reader;

/// Length of McKey_encrypted.
const MC_KEY: usize = 16;

pub(super) fn command(link: Link, cid: u8, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let named = |name| PackageCommand { name, ..none(cid) };
    Some(match (cid, link) {
        (1, Link::Down) => PackageCommand { mc_group_mask: Some(reader.u8()? & 0x0f), ..named("McGroupStatusReq") },
        (1, Link::Up) => group_status(named("McGroupStatusAns"), reader)?,
        (2, Link::Down) => {
            let mc_group = Some(reader.u8()? & 3);
            let mc_addr = Some(reader.u32_le()?);
            reader.skip(MC_KEY)?;
            let (min_f_count, max_f_count) = (Some(reader.u32_le()?), Some(reader.u32_le()?));
            PackageCommand { mc_group, mc_addr, min_f_count, max_f_count, ..named("McGroupSetupReq") }
        }
        (2, Link::Up) => status_and_group(named("McGroupSetupAns"), reader)?,
        (3, Link::Down) => PackageCommand { mc_group: Some(reader.u8()? & 3), ..named("McGroupDeleteReq") },
        (3, Link::Up) => status_and_group(named("McGroupDeleteAns"), reader)?,
        (4, Link::Down) => {
            let (mc_group, session_time_s) = (Some(reader.u8()? & 3), Some(reader.u32_le()?));
            let session_timeout = Some(reader.u8()? & 0x0f);
            radio(PackageCommand { mc_group, session_time_s, session_timeout, ..named("McClassCSessionReq") }, reader)?
        }
        (4, Link::Up) => session_answer(named("McClassCSessionAns"), reader)?,
        (5, Link::Down) => {
            let (mc_group, session_time_s) = (Some(reader.u8()? & 3), Some(reader.u32_le()?));
            let octet = reader.u8()?;
            let (session_timeout, periodicity) = (Some(octet & 0x0f), Some((octet >> 4) & 7));
            let command =
                PackageCommand { mc_group, session_time_s, session_timeout, periodicity, ..named("McClassBSessionReq") };
            radio(command, reader)?
        }
        (5, Link::Up) => session_answer(named("McClassBSessionAns"), reader)?,
        _ => return None,
    })
}

fn radio(command: PackageCommand, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let frequency_hz = Some(frequency(reader)?);
    Some(PackageCommand { frequency_hz, data_rate: Some(reader.u8()?), ..command })
}

fn status_and_group(command: PackageCommand, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let status = reader.u8()?;
    Some(PackageCommand { mc_group: Some(status & 3), status: Some(status), ..command })
}

/// The time to start is left out where one of the error bits above the group is set.
fn session_answer(command: PackageCommand, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let command = status_and_group(command, reader)?;
    let failed = command.status.is_some_and(|status| status & 0x3c != 0);
    Some(PackageCommand { time_to_start_s: if failed { None } else { Some(reader.u24_le()?) }, ..command })
}

/// One identifier and address for each bit of the mask; the first address is told.
fn group_status(command: PackageCommand, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let status = reader.u8()?;
    let mask = status & 0x0f;
    let mut mc_addr = None;
    for _ in 0..mask.count_ones() {
        reader.skip(1)?;
        let address = reader.u32_le()?;
        mc_addr.get_or_insert(address);
    }
    Some(PackageCommand { status: Some(status), mc_group_mask: Some(mask), mc_addr, ..command })
}
