//! Times in JSON: RFC 3339 in UTC with nanoseconds where there are any, so that what is read back is what was written.

use citytap_sensor::time::{SECOND, Timestamp};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a time.
pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time.to_string();
    match (time.0 % 1000, text.strip_suffix('Z')) {
        (nanos @ 1.., Some(text)) => serializer.collect_str(&format_args!("{text}{nanos:03}Z")),
        _ => serializer.serialize_str(&text),
    }
}

/// Reads a time.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is no time in UTC as in 2026-11-20T06:00:00.000000Z")))
}

/// Times that may be absent.
pub(crate) mod maybe {
    use super::{Deserialize, Deserializer, Error, Serializer, Timestamp};

    /// Writes a time or nothing.
    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or nothing.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        super::parse(&text).map(Some).ok_or_else(|| D::Error::custom(format_args!("`{text}` is no time in UTC")))
    }
}

/// A time as [`serialize`] writes it.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<u64>().ok()?, time.next()?.parse::<u64>().ok()?);
    let (second, fraction) = time.next()?.split_once('.')?;
    let second = second.parse::<u64>().ok()?;
    let nanos = format!("{fraction:0<9}").parse::<u64>().ok().filter(|_| fraction.len() <= 9)?;
    if !(1970..=2600).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    Some(Timestamp(
        ((days * 24 + hour) * 60 + minute).checked_mul(60)?.checked_add(second)?.checked_mul(SECOND)?.checked_add(nanos)?,
    ))
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (the era method of Howard Hinnant's "chrono-Compatible Low-Level
/// Date Algorithms").
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for nanos in [0, 1, 1_000, 951_782_400_000_001_500, 1_795_132_799_999_999_999, 4_102_444_800 * SECOND] {
            let mut json = Vec::new();
            serialize(&Timestamp(nanos), &mut serde_json::Serializer::new(&mut json)).expect("writes");
            let text: String = serde_json::from_slice(&json).expect("is a text");
            assert_eq!(parse(&text), Some(Timestamp(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Z",
            "2026-11-20",
            "2026-11-20T06:00:00Z",
            "2026-13-20T06:00:00.0Z",
            "2026-11-20T06:00:00.0+01:00",
            "0000-01-01T00:00:00.0Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
