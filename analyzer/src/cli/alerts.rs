//! `citytap alerts`: what a person is told, and what the person decides.

use super::out::{Asked, nearest, print, print_json};
use super::{DONE, Failure, USAGE};
use crate::checks;
use crate::findings::alerts::{Alert, Decision, Delivery, Told};
use crate::inventory::when;
use crate::screen::text::{Columns, wrapped};
use crate::screen::{counted, moment};
use crate::signatures::clauses;
use crate::store::{City, Contents};
use citytap_sensor::time::Timestamp;

/// Devices shown of an alert; JSON has them all.
const SHOWN: usize = 12;

/// List the alerts of a store, show one, or decide about one.
///
/// An alert is one incident: all findings of one cause, on however many devices. Decisions are kept in the store and survive further runs. A
/// finding that comes back reopens its alert, and so does an acceptance whose time is over.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap alerts --store demo\n  citytap alerts show 41ab --store demo\n  citytap alerts ack 41ab --store demo\n  \
    citytap alerts accept 41ab --reason 'meters are replaced in spring' --until 2027-04-01 --store demo\n  \
    citytap alerts resolve 41ab --reason 'password changed' --store demo\n  citytap alerts reopen 41ab --store demo"
)]
pub struct Alerts {
    #[command(subcommand)]
    what: Option<Do>,
    #[command(flatten)]
    asked: Asked,
    /// List also what is accepted, what is resolved and what waits for a digest.
    #[arg(long, global = true)]
    all: bool,
}

#[derive(clap::Subcommand)]
enum Do {
    /// List the alerts; the default.
    List,
    /// Show one with its devices and how it came to stand where it stands.
    Show {
        /// Its id, or the beginning of it.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Say that you see to it.
    Ack {
        /// Its id, or the beginning of it.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Accept it for a reason and a time; then it is open again.
    Accept {
        /// Its id, or the beginning of it.
        #[arg(value_name = "ID")]
        id: String,
        /// Why it may stay so, for whoever reads it later.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Until when, as 2027-04-01 (midnight UTC). It is compared with the time of the last packet, not with today.
        #[arg(long, value_name = "DATE", value_parser = date)]
        until: Timestamp,
    },
    /// Say that it is done with. If it is seen again, it is open again.
    Resolve {
        /// Its id, or the beginning of it.
        #[arg(value_name = "ID")]
        id: String,
        /// What was done.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Open it again.
    Reopen {
        /// Its id, or the beginning of it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A day, or a whole time as outputs write it.
fn date(text: &str) -> Result<Timestamp, String> {
    when::parse(&format!("{text}T00:00:00.0Z")).or_else(|| when::parse(text)).ok_or_else(|| "write a day as 2027-04-01".into())
}

impl Alerts {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut city = self.asked.open()?;
        let (id, decision) = match &self.what {
            None | Some(Do::List) => return self.list(city.contents()),
            Some(Do::Show { id }) => (id, None),
            Some(Do::Ack { id }) => (id, Some(Decision::Acknowledge)),
            Some(Do::Accept { id, reason, until }) => {
                (id, Some(Decision::Accept { reason: reason.trim().to_owned(), until: *until }))
            }
            Some(Do::Resolve { id, reason }) => (id, Some(Decision::Resolve { reason: reason.clone() })),
            Some(Do::Reopen { id }) => (id, Some(Decision::Reopen)),
        };
        let found = match find(id, city.contents()) {
            Ok(alert) => alert.id,
            Err(text) => {
                eprintln!("citytap: {text}");
                return Ok(USAGE);
            }
        };
        if let Some(decision) = decision
            && let Err(error) = City::decide(&mut city, found, decision)?
        {
            eprintln!("citytap: {error}");
            return Ok(USAGE);
        }
        let contents = city.contents();
        let Some(alert) = contents.alerts.get(found) else { return Ok(DONE) };
        if self.asked.json() {
            print_json(&Told { alert, devices: &contents.devices })?;
        } else {
            print(&page(alert, contents))?;
        }
        Ok(DONE)
    }

    fn list(&self, contents: &Contents) -> Result<u8, Failure> {
        let (shown, left): (Vec<&Alert>, Vec<&Alert>) = contents
            .alerts
            .ranked()
            .into_iter()
            .partition(|alert| self.all || (alert.state.is_pending() && alert.delivery == Delivery::Alert));
        let devices = &contents.devices;
        if self.asked.json() {
            print_json(&shown.iter().map(|alert| Told { alert, devices }).collect::<Vec<_>>())?;
            return Ok(DONE);
        }
        let mut columns = Columns::new(&["ID", "STATE", "SEVERITY", "LAST SEEN", "TIMES", "WHAT"]);
        for alert in &shown {
            let state = match alert.delivery {
                Delivery::Digest => "digest".to_owned(),
                Delivery::Alert => alert.state.name().to_owned(),
            };
            columns.row([
                alert.id.to_string(),
                state,
                alert.severity.name().to_owned(),
                moment(alert.last_seen),
                alert.count.to_string(),
                alert.title(devices),
            ]);
        }
        let mut text = if shown.is_empty() { String::new() } else { columns.to_text() };
        text.push_str(&counted(shown.len(), "alert", "alerts"));
        if !left.is_empty() {
            text.push_str(&format!(", and {} accepted, resolved or in a digest (--all lists them)", left.len()));
        }
        text.push('\n');
        print(&text)?;
        Ok(DONE)
    }
}

/// The alert that something typed means.
fn find<'c>(typed: &str, contents: &'c Contents) -> Result<&'c Alert, String> {
    let lower = typed.to_lowercase();
    let fits: Vec<&Alert> = contents.alerts.iter().filter(|alert| alert.id.to_string().starts_with(&lower)).collect();
    match fits.as_slice() {
        [alert] => Ok(alert),
        _ if lower.is_empty() => Err("say which alert by its id; `citytap alerts` lists them".into()),
        [] => {
            let ids: Vec<String> = contents.alerts.iter().map(|alert| alert.id.to_string()).collect();
            let meant = nearest(typed, ids.iter().map(String::as_str)).map(|id| format!(" Did you mean '{id}'?"));
            let help = " `citytap alerts list --all` lists them.".to_owned();
            Err(format!("no alert has the id '{}'.{}", crate::screen::text::plain(typed), meant.unwrap_or(help)))
        }
        many => {
            let ids: Vec<String> = many.iter().take(SHOWN).map(|alert| alert.id.to_string()).collect();
            Err(format!("'{typed}' fits {} alerts; say more of the id: {}", many.len(), ids.join(", ")))
        }
    }
}

fn page(alert: &Alert, contents: &Contents) -> String {
    let mut text = wrapped("", &alert.title(&contents.devices));
    let mut line = |first: &str, words: &str| text.push_str(&wrapped(first, words));
    line("  id        ", &alert.id.to_string());
    let until = alert.until.map(|until| format!(" until {}", moment(until))).unwrap_or_default();
    line("  state     ", &format!("{}{until}", alert.state.name()));
    line("  told      ", if alert.delivery == Delivery::Digest { "in the digest of its day" } else { "at once" });
    line("  severity  ", &format!("{}, {}", alert.severity.name(), alert.confidence));
    line("  check     ", &alert.check);
    let seen = format!("{} to {}, {}", moment(alert.first_seen), moment(alert.last_seen), counted(alert.count, "time", "times"));
    line("  seen      ", &seen);
    line("  do        ", &alert.remedy);
    if let Some(spec) = checks::by_id(&alert.check) {
        line("  why       ", spec.why);
    }
    clauses::of(&alert.check).lines().iter().for_each(|clause| line("  clause    ", clause));
    let devices = alert.devices();
    for id in devices.iter().take(SHOWN) {
        let name = contents.devices.get(id).map_or_else(String::new, crate::findings::actions::name_device);
        line("  device    ", &format!("{id}  {name}"));
    }
    if devices.len() > SHOWN {
        line("            ", &format!("and {} more; --format json has them all", devices.len() - SHOWN));
    }
    for turn in &alert.history {
        let reason = turn.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let until = turn.until.map(|until| format!(" until {}", moment(until))).unwrap_or_default();
        line("  history   ", &format!("{}  {}{until}{reason}", moment(turn.at), turn.state.name()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_its_midnight() {
        assert_eq!(date("1970-01-02"), Ok(Timestamp(86_400_000_000_000)));
        assert!(date("02.01.1970").is_err() && date("1970-13-01").is_err());
    }
}
