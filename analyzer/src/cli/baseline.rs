//! `citytap baseline`: what is normal at a site, and what a person decides about what is not.

use super::out::{Asked, nearest, print, print_json};
use super::{DONE, Failure, USAGE};
use crate::detectors::baseline::days::date;
use crate::detectors::baseline::devices::{date_of, span};
use crate::detectors::baseline::learned::{
    self, Accepted, BASELINE_VERSION, Deviation, Kind, Known, Party, RegisterKey, RelationKey, Standing,
};
use crate::detectors::baseline::values::Register;
use crate::screen::counted;
use crate::screen::text::{Columns, wrapped};
use crate::store::Contents;
use citytap_sensor::time::{SECOND, Timestamp};
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Show what is normal at a site, freeze it, and decide about what deviates.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap baseline show --store city --device 10.20.2.11\n  citytap baseline freeze --store city --reason 'after commissioning'\n  \
    citytap baseline diff --store city\n  citytap baseline accept 3f9a01c2d4e5 --store city --reason 'new control room'\n  \
    citytap baseline export --store city > normal.json && citytap replay tuesday.pcap --baseline normal.json\n\n\
    What is normal is learned by replay --store from seven days with activity on (see [[check]] of the configuration); a frozen version\n\
    needs no days: what is not in it is told at once."
)]
pub struct Baseline {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    asked: Asked,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show what is known: who does what with whom, how often devices speak, what registers hold.
    Show {
        /// Only this kind: device, value, or what is done, as in polls, writes, publishes, talks.
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only what has to do with this device: an id or its beginning, an address, or any of its names.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
    },
    /// Show what is new against the frozen version, or waits for a decision, and what of it is gone.
    Diff {
        /// Against this version; without it, the last.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        /// Days without a sighting after which something of the version counts as gone.
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        gone_days: u32,
    },
    /// Make what is learned now the reference, as a new version. What waits for a decision is not in it.
    Freeze {
        /// Why, for whoever reads it later.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Take deviations in: from now on they are normal. Of a relation, all that the two do with each other is taken in.
    Accept {
        #[command(flatten)]
        which: Which,
        /// Why, for whoever reads it later.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Forget deviations that were dealt with: should they come again, they are told again.
    Dismiss {
        #[command(flatten)]
        which: Which,
    },
    /// Write all of it to standard output: JSON for replay --baseline, CSV for a spreadsheet.
    Export {
        /// json or csv.
        #[arg(long = "as", value_name = "FORM", default_value = "json", value_parser = ["json", "csv"])]
        form: String,
    },
}

/// Which deviations.
#[derive(clap::Args)]
struct Which {
    /// Their ids, as diff tells them.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All that wait.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: only this kind: device, value, or what is done.
    #[arg(long, value_name = "KIND", requires = "all")]
    kind: Option<String>,
}

/// Reads an exported baseline. One that was never frozen is taken as frozen: what it does not know is told at once.
///
/// # Errors
/// Why not, and what to do.
pub fn read(path: &Path) -> Result<learned::Baseline, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut baseline: learned::Baseline = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; a baseline is what citytap baseline export writes", path.display()))?;
    if baseline.baseline_version > BASELINE_VERSION {
        let version = baseline.baseline_version;
        return Err(format!(
            "{} has version {version}, and this citytap reads up to version {BASELINE_VERSION}: use the newer program, or export it again",
            path.display()
        )
        .into());
    }
    if baseline.frozen.is_empty() {
        baseline.freeze(Timestamp(0), "given as a file");
    }
    Ok(baseline)
}

impl Baseline {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let kind = match &self.what {
            What::Show { kind, .. } => kind.as_deref(),
            What::Accept { which, .. } | What::Dismiss { which } => which.kind.as_deref(),
            _ => None,
        };
        if let Some(code) = kind.and_then(unknown_kind) {
            return Ok(code);
        }
        match &self.what {
            What::Show { kind, device } => self.show(kind.as_deref(), device.as_deref()),
            What::Diff { version, gone_days } => self.diff(*version, *gone_days),
            What::Freeze { reason } => self.freeze(reason),
            What::Accept { which, reason } => self.decide(which, Some(Accepted { at: now(), reason: reason.clone() })),
            What::Dismiss { which } => self.decide(which, None),
            What::Export { form } => self.export(form == "csv"),
        }
    }

    fn show(&self, kind: Option<&str>, device: Option<&str>) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let contents = city.contents();
        let names = Names::new(contents);
        let device = match device {
            Some(typed) => match names.parties_of(typed) {
                keys if keys.is_empty() => {
                    eprintln!(
                        "citytap: the baseline knows no device by '{typed}'; citytap baseline show --kind device lists them"
                    );
                    return Ok(USAGE);
                }
                keys => Some(keys),
            },
            None => None,
        };
        let fits = |party: &str| device.as_ref().is_none_or(|keys| keys.iter().any(|key| key == party));
        let wanted = |name: &str| kind.is_none_or(|kind| kind == name);
        let baseline = &contents.baseline;
        let relations =
            baseline.relations.iter().filter(|(key, _)| wanted(key.kind.name()) && (fits(&key.actor) || fits(&key.target)));
        let parties = baseline.parties.iter().filter(|(key, _)| wanted("device") && fits(key));
        let registers = baseline.registers.iter().filter(|(key, _)| wanted("value") && fits(&key.party));
        if self.asked.json() {
            print_json(&json!({
                "days": baseline.days.count(),
                "frozen": baseline.frozen,
                "waiting": baseline.deviations().count(),
                "devices": parties.map(|(key, party)| shown(&**key, &Party::id(key), party)).collect::<Vec<_>>(),
                "relations": relations.map(|(key, known)| shown(key, &key.id(), known)).collect::<Vec<_>>(),
                "registers": registers.map(|(key, register)| shown(key, &key.id(), register)).collect::<Vec<_>>(),
            }))?;
            return Ok(DONE);
        }
        let mut text = summary(baseline);
        let mut section = |title: &str, heads: &[&str], rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                let mut columns = Columns::new(heads);
                rows.into_iter().for_each(|row| columns.row(row));
                text.push_str(&format!("\n{title}\n{}", columns.to_text()));
            }
        };
        let heads = ["DEVICE", "SPEAKS EVERY", "LONGEST SILENCE", "SINCE", "LAST", "DAYS", ""];
        section("devices", &heads, parties.map(|(key, party)| names.party(key, party)).collect());
        let heads = ["WHO", "DOES", "WITH WHOM", "WHAT", "SINCE", "LAST", "DAYS", "A DAY", ""];
        section("who does what with whom", &heads, relations.map(|(key, known)| names.relation(key, known)).collect());
        let heads = ["DEVICE", "REGISTER", "FROM", "TO", "READINGS", "DAYS", ""];
        section("what registers hold", &heads, registers.map(|(key, register)| names.register(key, register)).collect());
        print(&text)?;
        Ok(DONE)
    }

    fn diff(&self, version: Option<u32>, gone_days: u32) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let baseline = &city.contents().baseline;
        let names = Names::new(city.contents());
        if let Some(wanted) = version.filter(|wanted| !baseline.frozen.iter().any(|frozen| frozen.version == *wanted)) {
            let there: Vec<String> = baseline.frozen.iter().map(|frozen| frozen.version.to_string()).collect();
            let there = if there.is_empty() { "none yet; citytap baseline freeze makes one".into() } else { there.join(", ") };
            eprintln!("citytap: there is no frozen version {wanted}. Versions are: {there}.");
            return Ok(USAGE);
        }
        let version = version.or(baseline.version());
        let waiting: Vec<Deviation<'_>> = baseline.deviations().collect();
        let since = |known: &Known| {
            known.standing == Standing::Learned && version.is_some() && known.frozen.is_none_or(|frozen| Some(frozen) > version)
        };
        let new: Vec<_> = baseline.relations.iter().filter(|(_, known)| since(known)).collect();
        let latest = baseline.days.last().unwrap_or_default();
        let gone = |known: &Known| {
            let last = known.days.last().unwrap_or_default();
            known.frozen.is_some_and(|frozen| Some(frozen) <= version) && latest.saturating_sub(last) >= gone_days
        };
        let gone: Vec<_> = baseline.relations.iter().filter(|(_, known)| gone(known)).collect();
        if self.asked.json() {
            let listed = |list: &[(&RelationKey, &Known)]| {
                list.iter().map(|(key, known)| shown(key, &key.id(), known)).collect::<Vec<_>>()
            };
            print_json(&json!({
                "version": version,
                "waiting": waiting.iter().map(waits).collect::<Vec<_>>(),
                "new": listed(&new),
                "gone": listed(&gone),
            }))?;
            return Ok(DONE);
        }
        let mut text = summary(baseline);
        if !waiting.is_empty() {
            text.push_str("\nnew, and waiting for a decision: citytap baseline accept ID, or dismiss ID\n");
            let mut columns = Columns::new(&["ID", "WHO", "DOES", "WITH WHOM", "WHAT", "SINCE", "LAST"]);
            waiting.iter().for_each(|deviation| columns.row(names.waiting(deviation)));
            text.push_str(&columns.to_text());
        }
        for (title, list) in [("learned since", new), ("not seen for days", gone)] {
            if !list.is_empty() {
                let mut columns = Columns::new(&["WHO", "DOES", "WITH WHOM", "WHAT", "SINCE", "LAST", "DAYS", "A DAY", ""]);
                list.into_iter().for_each(|(key, known)| columns.row(names.relation(key, known)));
                text.push_str(&format!("\n{title}\n{}", columns.to_text()));
            }
        }
        print(&text)?;
        Ok(DONE)
    }

    fn freeze(&self, reason: &str) -> Result<u8, Failure> {
        let mut city = self.asked.open()?;
        let mut baseline = (*city.contents().baseline).clone();
        if baseline.parties.is_empty() {
            eprintln!(
                "citytap: nothing was learned yet; replay captures into the store first: citytap replay CAPTURE --store DIR"
            );
            return Ok(USAGE);
        }
        let version = baseline.freeze(now(), reason);
        let waiting = baseline.deviations().count();
        let relations = baseline.relations.values().filter(|known| known.frozen.is_some()).count();
        city.set_baseline(baseline)?;
        let mut text = format!("version {version} is frozen: {}\n", counted(relations, "relation", "relations"));
        if waiting > 0 {
            let wait = counted(waiting, "deviation waits", "deviations wait");
            text.push_str(&wrapped("", &format!("{wait} for a decision and are not in it: citytap baseline diff")));
        }
        print(&text)?;
        Ok(DONE)
    }

    /// Accepts with a decision, dismisses without.
    fn decide(&self, which: &Which, decision: Option<Accepted>) -> Result<u8, Failure> {
        let mut city = self.asked.open()?;
        let mut baseline = (*city.contents().baseline).clone();
        let waiting: Vec<(String, &'static str)> =
            baseline.deviations().map(|deviation| (deviation.id(), deviation.kind())).collect();
        let of_kind = |kind: &str| which.kind.as_ref().is_none_or(|wanted| wanted == kind);
        let ids: Vec<String> = match which.all {
            true => waiting.iter().filter(|(_, kind)| of_kind(kind)).map(|(id, _)| id.clone()).collect(),
            false => which.ids.clone(),
        };
        if let Some(id) = ids.iter().find(|id| !waiting.iter().any(|(known, _)| known == *id)) {
            let meant = nearest(id, waiting.iter().map(|(known, _)| known.as_str()));
            let meant = meant.map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
            eprintln!("citytap: no deviation has the id '{id}'.{meant} citytap baseline diff lists them.");
            return Ok(USAGE);
        }
        let before = waiting.len();
        for id in &ids {
            match &decision {
                Some(decision) => baseline.accept(id, decision),
                None => baseline.dismiss(id),
            };
        }
        let left = baseline.deviations().count();
        city.set_baseline(baseline)?;
        let done = if decision.is_some() { "taken in" } else { "forgotten" };
        print(&format!("{} {done}, {left} left\n", counted(before - left, "deviation", "deviations")))?;
        Ok(DONE)
    }

    fn export(&self, csv: bool) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let baseline = &city.contents().baseline;
        if !csv {
            print_json(&**baseline)?;
            return Ok(DONE);
        }
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record([
            "id",
            "who",
            "does",
            "with_whom",
            "what",
            "first_seen",
            "last_seen",
            "days",
            "minutes",
            "standing",
            "frozen",
            "reason",
        ])?;
        for (key, known) in &baseline.relations {
            let standing = if known.standing == Standing::Learned { "learned" } else { "deviation" };
            writer.write_record([
                key.id(),
                crate::export::inventory::harmless(key.actor.to_string()),
                key.kind.name().into(),
                crate::export::inventory::harmless(key.target.to_string()),
                crate::export::inventory::harmless(key.detail.to_string()),
                known.first_seen.to_string(),
                known.last_seen.to_string(),
                known.days.count().to_string(),
                known.minutes.to_string(),
                standing.into(),
                known.frozen.map(|version| version.to_string()).unwrap_or_default(),
                crate::export::inventory::harmless(
                    known.accepted.as_ref().map(|accepted| accepted.reason.clone()).unwrap_or_default(),
                ),
            ])?;
        }
        super::out::print_bytes(&writer.into_inner().map_err(|error| error.to_string())?)?;
        Ok(DONE)
    }
}

/// The time of a decision: a person's, by the clock of this machine.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_secs().saturating_mul(SECOND))
}

fn unknown_kind(kind: &str) -> Option<u8> {
    let known: Vec<&str> = ["device", "value"].into_iter().chain(Kind::ALL.iter().map(|kind| kind.name())).collect();
    if known.contains(&kind) {
        return None;
    }
    let meant = nearest(kind, known.iter().copied()).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
    eprintln!("citytap: no kind is called '{kind}'.{meant} Kinds are: {}.", known.join(", "));
    Some(USAGE)
}

fn summary(baseline: &learned::Baseline) -> String {
    let days = counted(baseline.days.count(), "day", "days");
    let until = baseline.days.last().map_or_else(String::new, |last| format!(" up to {}", date(last)));
    let mut parts = vec![
        format!("learned on {days}{until}"),
        counted(baseline.parties.len(), "device", "devices"),
        counted(baseline.relations.len(), "relation", "relations"),
        counted(baseline.registers.len(), "register", "registers"),
    ];
    parts.push(match baseline.frozen.last() {
        Some(frozen) => format!("version {} frozen on {}", frozen.version, date_of(frozen.at)),
        None => "never frozen".into(),
    });
    let waiting = baseline.deviations().count();
    if waiting > 0 {
        parts.push(counted(waiting, "deviation waits", "deviations wait") + " for a decision");
    }
    if baseline.shed > 0 {
        parts.push(counted(baseline.shed, "entry", "entries") + " dropped for want of room");
    }
    wrapped("baseline  ", &parts.join("; "))
}

/// An entry with its key and id, as JSON.
fn shown(key: &(impl Serialize + ?Sized), id: &str, value: &impl Serialize) -> serde_json::Value {
    let mut object = json!({ "id": id });
    for part in [serde_json::to_value(key), serde_json::to_value(value)] {
        match part.unwrap_or_default() {
            serde_json::Value::Object(fields) => fields.into_iter().for_each(|(name, value)| object[name] = value),
            key => object["key"] = key,
        }
    }
    object
}

fn waits(deviation: &Deviation<'_>) -> serde_json::Value {
    let mut object = match deviation {
        Deviation::Party(key, party) => shown(key, &deviation.id(), party),
        Deviation::Relation(key, known) => shown(key, &deviation.id(), known),
        Deviation::Register(key, register) => shown(key, &deviation.id(), register),
    };
    object["kind"] = deviation.kind().into();
    object
}

/// Parties as people read them: by the names that the store's devices have.
struct Names<'c> {
    contents: &'c Contents,
    called: HashMap<String, String>,
}

impl<'c> Names<'c> {
    fn new(contents: &'c Contents) -> Self {
        let mut called = HashMap::new();
        for device in contents.devices.values() {
            let address = device.identities.iter().find(|name| name.kind == "ip").map(|name| name.value.clone());
            let founding = device.identities.first().map(|name| name.value.clone());
            let Some(call) = device.name.clone().or(address).or(founding) else { continue };
            called.extend(device.identities.iter().map(|name| (name.to_string(), call.clone())));
        }
        Self { contents, called }
    }

    fn of(&self, key: &str) -> String {
        let names = self.contents.baseline.parties.get(key).into_iter().flat_map(|party| party.names.iter());
        let called = names.chain([key]).find_map(|name| self.called.get(name));
        called.cloned().unwrap_or_else(|| key.split_once(':').map_or(key, |(_, value)| value).to_owned())
    }

    /// The keys of the parties that a person means.
    fn parties_of(&self, typed: &str) -> Vec<String> {
        let devices = super::devices::find(typed, self.contents);
        let names: Vec<String> = devices.iter().flat_map(|device| device.identities.iter().map(ToString::to_string)).collect();
        let fits = |key: &str, party: &Party| {
            key == typed
                || party.names.iter().any(|name| {
                    names.iter().any(|known| known == name) || name.split_once(':').is_some_and(|(_, value)| value == typed)
                })
        };
        self.contents.baseline.parties.iter().filter(|(key, party)| fits(key, party)).map(|(key, _)| key.to_string()).collect()
    }

    fn relation(&self, key: &RelationKey, known: &Known) -> Vec<String> {
        vec![
            self.of(&key.actor),
            key.kind.name().into(),
            self.of(&key.target),
            key.detail.to_string(),
            date_of(known.first_seen),
            date_of(known.last_seen),
            known.days.count().to_string(),
            (known.minutes / u64::from(known.days.count().max(1))).to_string(),
            standing(known),
        ]
    }

    fn party(&self, key: &str, party: &Party) -> Vec<String> {
        let speaks = |milliseconds| if party.rhythm.gaps == 0 { String::new() } else { span(milliseconds) };
        vec![
            self.of(key),
            speaks(party.rhythm.period_ms),
            speaks(party.rhythm.longest_ms),
            date_of(party.known.first_seen),
            date_of(party.known.last_seen),
            party.known.days.count().to_string(),
            standing(&party.known),
        ]
    }

    fn register(&self, key: &RegisterKey, register: &Register) -> Vec<String> {
        let waits = register.outside.map_or_else(String::new, |value| format!("{value} waits"));
        vec![
            self.of(&key.party),
            format!("{} {} of unit {}", key.table, key.address, key.unit),
            register.unsigned.least.to_string(),
            register.unsigned.greatest.to_string(),
            register.samples.to_string(),
            register.days.count().to_string(),
            if waits.is_empty() && !register.is_quantity() { "not judged".into() } else { waits },
        ]
    }

    fn waiting(&self, deviation: &Deviation<'_>) -> Vec<String> {
        let id = deviation.id();
        match deviation {
            Deviation::Party(key, party) => {
                vec![
                    id,
                    self.of(key),
                    "is new".into(),
                    String::new(),
                    String::new(),
                    date_of(party.known.first_seen),
                    date_of(party.known.last_seen),
                ]
            }
            Deviation::Relation(key, known) => vec![
                id,
                self.of(&key.actor),
                key.kind.name().into(),
                self.of(&key.target),
                key.detail.to_string(),
                date_of(known.first_seen),
                date_of(known.last_seen),
            ],
            Deviation::Register(key, register) => {
                let holds = format!("{} {} = {}", key.table, key.address, register.outside.unwrap_or_default());
                let range = format!("not {} to {}", register.unsigned.least, register.unsigned.greatest);
                vec![id, self.of(&key.party), "holds".into(), holds, range, String::new(), String::new()]
            }
        }
    }
}

fn standing(known: &Known) -> String {
    match (known.standing, known.frozen) {
        (Standing::Deviation, _) => "new".into(),
        (_, Some(version)) => format!("v{version}"),
        _ => String::new(),
    }
}
