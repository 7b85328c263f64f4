//! Which slot a device of citytap's findings is: by a table of single devices first, then by rules for kinds of identity.

use crate::slot::Slot;
use std::collections::BTreeMap;

/// Devices in the table; a city's, with room.
pub const MAX_DEVICES: usize = 2_000_000;

/// Which identity is which slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Single devices: `mqtt_client:lamp-17` to a slot.
    pub devices: BTreeMap<String, Slot>,
    /// Kinds of identity: `dev_eui` to `join_server/{}`.
    pub rules: Vec<(String, String)>,
}

impl Table {
    /// The slot of a device that has these identities, each its kind and value; the first that is in the table counts, then the first
    /// that a rule fits.
    pub fn slot<'i>(&self, identities: impl Iterator<Item = (&'i str, &'i str)> + Clone) -> Option<Slot> {
        let named = identities.clone().find_map(|(kind, value)| self.devices.get(&format!("{kind}:{value}")).cloned());
        named.or_else(|| {
            identities.into_iter().find_map(|(kind, value)| {
                let (_, slot) = self.rules.iter().find(|(of, _)| of == kind)?;
                slot.replace("{}", value).parse().ok()
            })
        })
    }

    /// Reads a CSV file of single devices: a header `identity,slot`, then `mqtt_client:lamp-17,mosquitto/lamp17`.
    ///
    /// # Errors
    /// Line and text of all that is wrong.
    pub fn read_devices(text: &str) -> Result<BTreeMap<String, Slot>, Vec<(usize, String)>> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let (mut devices, mut wrong) = (BTreeMap::new(), Vec::new());
        let header: Vec<String> = reader.headers().map(|header| header.iter().map(str::to_owned).collect()).unwrap_or_default();
        if header != ["identity", "slot"] {
            return Err(vec![(1, "the first line is: identity,slot".into())]);
        }
        for row in reader.records() {
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    let line = error.position().map_or(1, |position| position.line() as usize);
                    wrong.push((
                        line,
                        "each line is an identity, a comma and a slot: mqtt_client:lamp-17,mosquitto/lamp17".into(),
                    ));
                    continue;
                }
            };
            let line = row.position().map_or(0, |position| position.line() as usize);
            let (identity, slot) = (row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default());
            let Some(_) = identity.split_once(':').filter(|(kind, value)| !kind.is_empty() && !value.is_empty()) else {
                wrong.push((
                    line,
                    format!(
                        "'{}' is no identity; write its kind, a colon and its value: mqtt_client:lamp-17",
                        identity.escape_debug()
                    ),
                ));
                continue;
            };
            match slot.parse::<Slot>() {
                Ok(_) if devices.len() >= MAX_DEVICES => {
                    wrong.push((line, format!("there are more than {MAX_DEVICES} devices; use a rule [[map]] instead")));
                    break;
                }
                Ok(slot) => match devices.insert(identity.to_owned(), slot.clone()) {
                    Some(before) if before != slot => {
                        wrong.push((line, format!("{identity} is {before} in a line before; keep one of the two")))
                    }
                    _ => {}
                },
                Err(error) => wrong.push((line, error.to_string())),
            }
        }
        if wrong.is_empty() { Ok(devices) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_the_table_before_a_rule() {
        let devices = Table::read_devices("identity,slot\n# the lamps\nmqtt_client:lamp-17, mosquitto/lamp17\n").unwrap();
        let table = Table {
            devices,
            rules: vec![("mqtt_client".into(), "mosquitto/{}".into()), ("dev_eui".into(), "join_server/{}".into())],
        };
        let slot =
            |identities: &[(&'static str, &'static str)]| table.slot(identities.iter().copied()).map(|slot| slot.to_string());
        assert_eq!(slot(&[("ip", "10.0.0.1"), ("mqtt_client", "lamp-17")]).as_deref(), Some("mosquitto/lamp17"));
        assert_eq!(slot(&[("mqtt_client", "lamp-18")]).as_deref(), Some("mosquitto/lamp-18"));
        assert_eq!(slot(&[("dev_eui", "0102030405060708")]).as_deref(), Some("join_server/0102030405060708"));
        assert_eq!(slot(&[("mac", "020000000001")]), None);
    }

    #[test]
    fn what_is_wrong_in_the_table_is_told_by_line() {
        let wrong = Table::read_devices("identity,slot\nlamp,mosquitto/a\nmqtt_client:x,Mosquitto\nmqtt_client:y\n").unwrap_err();
        assert_eq!(wrong.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(Table::read_devices("device,slot\n").unwrap_err(), [(1, "the first line is: identity,slot".to_owned())]);
    }
}
