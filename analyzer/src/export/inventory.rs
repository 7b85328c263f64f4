//! The inventory as CSV or JSON: one row a device, in the order of ids.
//!
//! Columns follow the order of CISA's list of inventory fields (August 2025, Appendix A) as far as traffic shows them. A cell that begins
//! like a formula gets an apostrophe before it, so that a spreadsheet shows it as text (CWE-1236).

use crate::findings::risk::Risk;
use crate::inventory::Device;
use crate::register::entered;
use serde::Serialize;
use std::borrow::Cow;

/// The columns, with how each is read from a device.
type Column = (&'static str, fn(&Device) -> String);

/// What of its risk stands behind a device's columns.
type RiskColumn = (&'static str, fn(&Risk) -> String);

const RISK_COLUMNS: &[RiskColumn] = &[
    ("risk", |risk| risk.score().to_string()),
    ("verdict", |risk| risk.verdict().name().to_owned()),
    ("risk_terms", |risk| {
        let terms = risk.terms();
        terms.iter().map(|term| format!("{} {:+} ({})", term.term, term.points, term.because)).collect::<Vec<_>>().join("; ")
    }),
];

const COLUMNS: &[Column] = &[
    ("id", |device| device.id.to_string()),
    ("class", |device| device.class.as_ref().map(|class| class.name.clone()).unwrap_or_default()),
    ("name", |device| device.name.clone().unwrap_or_default()),
    ("protocols", |device| join(device.services.iter().map(|service| service.protocol.clone()))),
    ("roles", |device| join(device.roles.iter().map(|role| role.role.clone()))),
    ("ip_addresses", |device| named(device, "ip")),
    ("mac_addresses", |device| named(device, "mac")),
    ("manufacturer", |device| device.vendor.clone().unwrap_or_default()),
    ("product", |device| device.product.clone().unwrap_or_default()),
    ("model", |device| device.model.clone().unwrap_or_default()),
    ("firmware", |device| device.firmware.clone().unwrap_or_default()),
    ("software", |device| device.software.clone().unwrap_or_default()),
    ("hardware", |device| device.hardware.clone().unwrap_or_default()),
    ("serial", |device| device.serial.clone().unwrap_or_default()),
    ("identities", |device| join(device.identities.iter().map(|name| format!("{}:{}", name.kind, name.value)))),
    ("via", |device| join(device.via.iter().map(|via| via.via.clone()))),
    ("vlans", |device| join(device.vlans.iter().map(u16::to_string))),
    ("security", |device| join(device.security.iter().map(|security| format!("{}={}", security.aspect, security.value)))),
    ("first_seen", |device| device.first_seen.to_string()),
    ("last_seen", |device| device.last_seen.to_string()),
    ("packets", |device| device.packets.to_string()),
    ("messages", |device| device.messages.to_string()),
    ("provisional", |device| device.provisional.to_string()),
    ("site", |device| device.site.clone()),
    ("criticality", |device| by_person(device, "criticality")),
    ("asset_number", |device| by_person(device, "asset_number")),
    ("owner", |device| by_person(device, "owner")),
    ("place", |device| by_person(device, "place")),
];

fn join(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    items.sort();
    items.dedup();
    items.join("; ")
}

fn by_person(device: &Device, attribute: &str) -> String {
    entered(device, attribute).unwrap_or_default().to_owned()
}

fn named(device: &Device, kind: &str) -> String {
    join(device.identities.iter().filter(|name| name.kind == kind).map(|name| name.value.clone()))
}

/// As CSV (RFC 4180) with a header.
///
/// # Errors
/// What writing answers.
pub fn csv(devices: &[(Cow<'_, Device>, Risk)], out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    let heads = COLUMNS.iter().map(|(name, _)| *name).chain(RISK_COLUMNS.iter().map(|(name, _)| *name));
    writer.write_record(heads)?;
    for (device, risk) in devices {
        let cells = COLUMNS.iter().map(|(_, read)| read(device)).chain(RISK_COLUMNS.iter().map(|(_, read)| read(risk)));
        writer.write_record(cells.map(harmless))?;
    }
    writer.flush()?;
    Ok(())
}

/// As a JSON array.
///
/// # Errors
/// What writing answers.
pub fn json(devices: &[(Cow<'_, Device>, Risk)], mut out: impl std::io::Write) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        device: &'a Device,
        risk: Risk,
    }
    let rows: Vec<Row<'_>> = devices.iter().map(|(device, risk)| Row { device, risk: *risk }).collect();
    serde_json::to_writer_pretty(&mut out, &rows)?;
    out.write_all(b"\n")
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn harmless(cell: String) -> String {
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_like_a_formula_is_shown_as_text() {
        assert_eq!(harmless("=cmd()".into()), "'=cmd()");
        assert_eq!(harmless("pump 1".into()), "pump 1");
    }
}
