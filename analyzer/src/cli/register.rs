//! `citytap register`: what the city says it has, compared with what was seen.

use super::out::{Asked, print, print_json};
use super::{DONE, Failure, UNREADABLE, USAGE};
use crate::findings::actions::name_device;
use crate::inventory::DeviceId;
use crate::register::compare::{Comparison, Torn};
use crate::register::{ENTRIES, Entry, read};
use crate::screen::text::{Columns, wrapped};
use crate::screen::{counted, moment};
use crate::store::Contents;
use serde::Serialize;
use std::path::PathBuf;

/// Take over the city's list of assets, and compare it with what was seen.
///
/// Owner, place and criticality of the list stand beside what was observed, go before it and are marked as entered. Criticality weighs in the risk.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap register import assets.csv --store demo\n  citytap register import devices.csv --map 'Device ID=dev_eui' --store demo\n  \
    citytap register status --store demo\n  citytap register show --only silent --store demo --format json"
)]
pub struct Register {
    #[command(subcommand)]
    what: Do,
    #[command(flatten)]
    asked: Asked,
}

#[derive(clap::Subcommand)]
enum Do {
    /// Take a list over, in place of the one of the same file name. A list with anything wrong in it is not taken at all.
    ///
    /// Columns are recognised by their names, as those of ChirpStack, The Things Stack and common asset lists. Columns that are not recognised
    /// are not read. Commas, semicolons or tabs part the cells.
    Import {
        /// The list, in CSV.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What a column holds, where its name does not say it: as 'Asset tag=asset_number'; COLUMN=- reads nothing. May be repeated.
        #[arg(long, value_name = "COLUMN=FIELD")]
        map: Vec<String>,
    },
    /// List the entries and what became of them, and the devices that no entry is about.
    Show {
        /// Only these: seen, silent or unlisted.
        #[arg(long, value_name = "WHICH", value_parser = ["seen", "silent", "unlisted"])]
        only: Option<String>,
    },
    /// Count what is listed and seen, listed and silent, speaking and unlisted.
    Status,
}

/// An entry or a device, and how they fit.
#[derive(Serialize)]
struct Row<'a> {
    /// `seen`, `silent` or `unlisted`.
    status: &'static str,
    device: Option<DeviceId>,
    entry: Option<&'a Entry>,
}

#[derive(Serialize)]
struct Status<'a> {
    lists: Vec<(&'a str, usize)>,
    listed_and_seen: usize,
    listed_and_silent: usize,
    speaking_and_unlisted: usize,
    torn: &'a [Torn<'a>],
}

impl Register {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        match &self.what {
            Do::Import { file, map } => self.import(file, map),
            Do::Show { only } => self.show(only.as_deref()),
            Do::Status => {
                let city = self.asked.open()?;
                self.status(city.contents(), String::new())
            }
        }
    }

    fn import(&self, file: &PathBuf, maps: &[String]) -> Result<u8, Failure> {
        let name = file.display().to_string();
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("citytap: cannot read {name}: {error}");
                return Ok(UNREADABLE);
            }
        };
        let list = file.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
        let read = match read::read(&bytes, &name, &list, maps) {
            Ok(read) => read,
            Err(problems) => {
                problems.named.iter().for_each(|problem| eprintln!("citytap: {problem}"));
                let more = problems.count.saturating_sub(problems.named.len());
                let more = if more > 0 { format!("and {more} more; ") } else { String::new() };
                eprintln!("citytap: {more}nothing was imported");
                return Ok(USAGE);
            }
        };
        let mut city = self.asked.open()?;
        let others = city.contents().register.keys().filter(|(of, _)| *of != list).count();
        if others + read.entries.len() > ENTRIES {
            eprintln!("citytap: the register holds {ENTRIES} entries at most; nothing was imported");
            return Ok(USAGE);
        }
        let count = read.entries.len();
        let gone = city.import(&list, read.entries)?;
        let mapped = read.mapped.iter().map(|(column, field)| format!("{column} as {field}")).collect::<Vec<_>>().join(", ");
        let mut text = wrapped("read      ", &format!("{} of {list}: {mapped}", counted(count, "entry", "entries")));
        if !read.unread.is_empty() {
            text.push_str(&wrapped(
                "not read  ",
                &format!("{}; --map COLUMN=FIELD says what a column holds", read.unread.join(", ")),
            ));
        }
        if gone > 0 {
            text.push_str(&wrapped(
                "gone      ",
                &counted(gone, "entry that the list had before", "entries that the list had before"),
            ));
        }
        self.status(city.contents(), text)
    }

    fn status(&self, contents: &Contents, mut text: String) -> Result<u8, Failure> {
        let comparison = contents.comparison();
        if self.asked.json() {
            let mut lists: Vec<(&str, usize)> = Vec::new();
            for (list, _) in contents.register.keys() {
                match lists.last_mut() {
                    Some((last, count)) if *last == list.as_str() => *count += 1,
                    _ => lists.push((list, 1)),
                }
            }
            print_json(&Status {
                lists,
                listed_and_seen: comparison.seen.len(),
                listed_and_silent: comparison.silent.len(),
                speaking_and_unlisted: comparison.unlisted.len(),
                torn: &comparison.torn,
            })?;
            return Ok(DONE);
        }
        if contents.register.is_empty() {
            text.push_str(&wrapped("", "the register is empty; `citytap register import FILE.csv` takes a list over"));
        }
        text.push_str(&wrapped("listed and seen        ", &counted(comparison.seen.len(), "entry", "entries")));
        text.push_str(&wrapped("listed and silent      ", &counted(comparison.silent.len(), "entry", "entries")));
        text.push_str(&wrapped("speaking and unlisted  ", &counted(comparison.unlisted.len(), "device", "devices")));
        for torn in &comparison.torn {
            let name = |id: DeviceId| contents.devices.get(&id).map_or_else(|| id.to_string(), name_device);
            let words = format!(
                "{} ({}) was taken for {}, and its {} belongs to {}; see which is right",
                torn.entry,
                torn.whole.called(),
                name(torn.device),
                torn.name,
                name(torn.of)
            );
            text.push_str(&wrapped("note  ", &words));
        }
        print(&text)?;
        Ok(DONE)
    }

    fn show(&self, only: Option<&str>) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let contents = city.contents();
        let Comparison { seen, silent, unlisted, .. } = contents.comparison();
        let seen = seen.into_iter().map(|(entry, device)| Row { status: "seen", device: Some(device), entry: Some(entry) });
        let silent = silent.into_iter().map(|entry| Row { status: "silent", device: None, entry: Some(entry) });
        let unlisted = unlisted.into_iter().map(|device| Row { status: "unlisted", device: Some(device), entry: None });
        let rows: Vec<Row<'_>> =
            seen.chain(silent).chain(unlisted).filter(|row| only.is_none_or(|only| row.status == only)).collect();
        if self.asked.json() {
            print_json(&rows)?;
            return Ok(DONE);
        }
        let mut columns = Columns::new(&["STATUS", "ENTRY", "LISTED AS", "DEVICE", "ID", "LAST SEEN"]);
        for row in &rows {
            let device = row.device.and_then(|id| contents.devices.get(&id));
            columns.row([
                row.status.to_owned(),
                row.entry.map(Entry::place).unwrap_or_default(),
                row.entry.map(Entry::called).unwrap_or_default(),
                device.map(name_device).unwrap_or_default(),
                device.map(|device| device.id.to_string()).unwrap_or_default(),
                device.map(|device| moment(device.last_seen)).unwrap_or_default(),
            ]);
        }
        let mut text = if rows.is_empty() { String::new() } else { columns.to_text() };
        text.push_str(&counted(rows.len(), "row", "rows"));
        text.push('\n');
        print(&text)?;
        Ok(DONE)
    }
}
