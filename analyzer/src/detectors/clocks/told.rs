//! Times as devices write them.

/// Seconds since the Unix epoch of a time in UTC: `2013-03-31T16:21:17.528002Z`, `2014-01-12 08:59:28 GMT`, with an offset from UTC instead, or
/// without any. A time of another zone that is told by its name alone is `None`: what its letters stand for is not agreed upon.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_once(['T', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let clock = rest.get(..8)?;
    let [hour, minute, second] = numbers(clock, ':')?;
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
        || !(1900..=2600).contains(&year)
    {
        return None;
    }
    let after = rest.get(8..)?;
    let fraction = after.strip_prefix('.').map_or(0, |digits| 1 + digits.bytes().take_while(u8::is_ascii_digit).count());
    let offset = offset(after.get(fraction..)?.trim())?;
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse::<u16>().ok().map(i64::from));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Seconds ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone {
        "" | "Z" | "z" | "UTC" | "GMT" => return Some(0),
        _ if zone.starts_with('+') => 1,
        _ if zone.starts_with('-') => -1,
        _ => return None,
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    let (hours, minutes) = (digits.get(..2)?.parse::<u16>().ok()?, digits.get(2..).unwrap_or_default());
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<u16>().ok()? };
    Some(sign * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (the era method of Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_as_gateways_write_them() {
        for (text, wanted) in [
            ("2014-01-12 08:59:28 GMT", 1_389_517_168),
            ("2013-03-31T16:21:17.528002Z", 1_364_746_877),
            ("2026-05-04T06:00:00Z", 1_777_874_400),
            ("2026-05-04 08:00:00+02:00", 1_777_874_400),
            ("2026-05-04T08:00:00.000 +0200", 1_777_874_400),
            ("2026-05-04 06:00:00", 1_777_874_400),
            ("1970-01-01 00:00:41 UTC", 41),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "2026-05-04",
            "2026-05-04 08:00:00 CEST",
            "2026-13-04 08:00:00 GMT",
            "now",
            "2026-05-04T25:00:00Z",
            "2026-05-04Täöü",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
