//! Fragmented data block transport, TS004-1.0.0 and 2.0.0 §3. Version 2 adds a session counter and a MIC to the setup; the two are told apart
//! by the length that is left, since a setup stands alone in its frame.

use super::{PackageCommand, none};
use crate::protocols::lorawan::wire::Link;
use crate::reader::Reader;

pub(super) fn command(link: Link, cid: u8, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let named = |name| PackageCommand { name, ..none(cid) };
    Some(match (cid, link) {
        (1, Link::Down) => PackageCommand { frag_index: Some((reader.u8()? >> 1) & 3), ..named("FragSessionStatusReq") },
        (1, Link::Up) => {
            let (frag_index, fragments) = index_and_number(reader)?;
            let missing = Some(reader.u8()?);
            PackageCommand { frag_index, fragments, missing, status: Some(reader.u8()?), ..named("FragSessionStatusAns") }
        }
        (2, Link::Down) => session_setup(named("FragSessionSetupReq"), reader)?,
        (2, Link::Up) => {
            let status = reader.u8()?;
            PackageCommand { frag_index: Some(status >> 6), status: Some(status), ..named("FragSessionSetupAns") }
        }
        (3, Link::Down) => PackageCommand { frag_index: Some(reader.u8()? & 3), ..named("FragSessionDeleteReq") },
        (3, Link::Up) => {
            let status = reader.u8()?;
            PackageCommand { frag_index: Some(status & 3), status: Some(status), ..named("FragSessionDeleteAns") }
        }
        (4, Link::Up) => {
            let status = reader.u8()?;
            PackageCommand { frag_index: Some(status & 3), status: Some(status), ..named("FragDataBlockReceivedReq") }
        }
        (4, Link::Down) => PackageCommand { frag_index: Some(reader.u8()? & 3), ..named("FragDataBlockReceivedAns") },
        (8, Link::Down) => {
            let (frag_index, fragments) = index_and_number(reader)?;
            let fragment_size = u8::try_from(reader.take_rest().len()).ok();
            PackageCommand { frag_index, fragments, fragment_size, ..named("DataFragment") }
        }
        _ => return None,
    })
}

fn session_setup(command: PackageCommand, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let session = reader.u8()?;
    let fragments = Some(reader.u16_le()?);
    let fragment_size = Some(reader.u8()?);
    let _control = reader.u8()?;
    let padding = Some(reader.u8()?);
    let descriptor = Some(reader.u32_le()?);
    if reader.remaining() == 6 {
        reader.skip(6)?;
    }
    let (frag_index, mc_group_mask) = (Some((session >> 4) & 3), Some(session & 0x0f));
    Some(PackageCommand { frag_index, mc_group_mask, fragments, fragment_size, padding, descriptor, ..command })
}

/// FragIndex in bits 15 and 14, a number in the others.
fn index_and_number(reader: &mut Reader<'_>) -> Option<(Option<u8>, Option<u16>)> {
    let both = reader.u16_le()?;
    Some((u8::try_from(both >> 14).ok(), Some(both & 0x3fff)))
}
