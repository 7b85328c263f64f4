//! The broker's log as a witness: `New client connected from ADDRESS as ID (p2, c1, k60, u'NAME').` -> which user logged in when.
//!
//! Used where each generation has a user name or an identity of its own. Where debug messages are logged too, `Received PUBLISH from ID` shows that data flows.
//! Times are the broker's default (seconds since the epoch) or `log_timestamp_format %Y-%m-%dT%H:%M:%S` in UTC.

use crate::backends::Refusal;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// When, to the second.
    pub at: Timestamp,
    /// Its number among those with the same second, so that two reconnects differ.
    pub ordinal: u64,
    /// When it published last, where the log says so.
    pub data: Option<Timestamp>,
}

/// The logins in a log by these users that were made, or whose data flowed, at or after `since`.
///
/// # Errors
/// The log cannot be read.
pub fn logins(path: &Path, since: Timestamp, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Login>, Refusal> {
    let file = File::open(path).map_err(|error| {
        let remedy = "give mosquitto.conf log_dest file PATH and log_type all, and let the user of citytap-rekey read it";
        Refusal::new(format!("the broker's log {} cannot be read: {error}", path.display()), remedy)
    })?;
    let mut found = Vec::new();
    let mut live: BTreeMap<String, usize> = BTreeMap::new();
    let mut same_second = (0, 0);
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        let Some((at, text)) = std::str::from_utf8(&line).ok().and_then(split) else { continue };
        if let Some((id, user)) = connected(text) {
            live.remove(id);
            same_second = if same_second.0 == at.0 { (at.0, same_second.1 + 1) } else { (at.0, 0) };
            if is_wanted(user) {
                live.insert(id.to_owned(), found.len());
                found.push(Login { user: user.to_owned(), at, ordinal: same_second.1, data: None });
            }
        } else if let Some(id) = published(text)
            && let Some(login) = live.get(id).and_then(|at| found.get_mut(*at))
        {
            login.data = Some(at);
        }
    }
    found.retain(|login| login.at >= since || login.data.is_some_and(|at| at >= since));
    Ok(found)
}

fn split(line: &str) -> Option<(Timestamp, &str)> {
    let (stamp, text) = line.split_once(": ")?;
    let seconds = stamp.parse().ok().or_else(|| utc_seconds(stamp))?;
    Some((Timestamp(i64::checked_mul(seconds, 1_000_000_000)?), text))
}

/// `2026-11-28T12:06:18` as seconds since the epoch; days by Howard Hinnant's days_from_civil.
fn utc_seconds(stamp: &str) -> Option<i64> {
    let (date, time) = stamp.split_once('T')?;
    let part = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (part(date.next())?, part(date.next())?, part(date.next())?);
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) = (part(time.next())?, part(time.next())?, part(time.next())?);
    if !((1970..2262).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The client identifier and the user name of a login. Both may hold any text: the user is what stands last.
fn connected(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("New client connected from ")?.strip_suffix("').")?;
    let (rest, user) = rest.rsplit_once(", u'")?;
    let (_, rest) = rest.split_once(" as ")?;
    Some((rest.rsplit_once(" (p")?.0, user))
}

fn published(text: &str) -> Option<&str> {
    Some(text.strip_prefix("Received PUBLISH from ")?.rsplit_once(" (d")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn logins_and_data_are_read_from_what_mosquitto_2_0_11_writes() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let text = "1679312310: mosquitto version 2.0.11 running\n\
            1679312312: New client connected from 127.0.0.1:40000 as c1 (p2, c1, k60, u'dev1').\n\
            1679312312: New client connected from 127.0.0.1:40002 as c 2 (p4, c1, k60, u'dev1.g2').\n\
            1679312313: Received PUBLISH from c 2 (d0, q1, r0, m1, 'city/x', ... (5 bytes))\n\
            1679312314: New client connected from 127.0.0.1:40003 as c3 (p2, c1, k60).\n\
            2023-03-20T11:38:35: New client connected from 127.0.0.1:40004 as c1 (p2, c1, k60, u'dev1').\n";
        file.write_all(text.as_bytes()).expect("written");
        let found = logins(file.path(), Timestamp(0), |user| user.starts_with("dev1")).expect("read");
        let second = 1_000_000_000;
        let told: Vec<_> =
            found.iter().map(|login| (login.user.as_str(), login.at.0 / second, login.ordinal, login.data.is_some())).collect();
        assert_eq!(
            told,
            [("dev1", 1_679_312_312, 0, false), ("dev1.g2", 1_679_312_312, 1, true), ("dev1", 1_679_312_315, 0, false)]
        );
        let later = logins(file.path(), Timestamp(1_679_312_313 * second), |_| true).expect("read");
        assert_eq!(later.len(), 2, "one logged in later, one published later");
    }
}
