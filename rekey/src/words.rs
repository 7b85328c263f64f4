//! Times, lengths of time and near misses as people read and write them.

use crate::time::{Span, Timestamp};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// A time in UTC to the second: `2026-11-28T03:10:00Z` (RFC 3339).
pub fn moment(time: Timestamp) -> String {
    let seconds = time.0.div_euclid(SECOND);
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// A time as [`moment`] writes it, with or without a fraction of a second.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let nanos = format!("{fraction:0<9}").parse::<i64>().ok().filter(|_| fraction.len() <= 9)?;
    let in_range =
        (1970..=2200).contains(&year) && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let days = days_from_civil(year, month, day);
    if !in_range || civil(days) != (year, month, day) {
        return None;
    }
    Some(Timestamp((days * DAY + hour * 3600 + minute * 60 + second) * SECOND + nanos))
}

/// A length of time in its largest whole units: `5 minutes`, `26 hours`, `90 seconds`.
pub fn span(span: Span) -> String {
    let seconds = span.0 / SECOND;
    let units = [(DAY, "day"), (3600, "hour"), (60, "minute")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size && seconds % size == 0).unwrap_or((1, "second"));
    match seconds / size {
        0 if span.0 > 0 => format!("{} milliseconds", span.0 / 1_000_000),
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

/// A length of time as a person writes it: `90s`, `15m`, `24h`, `365d`.
pub fn parse_span(text: &str) -> Option<Span> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let size = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY,
        _ => return None,
    };
    let number: i64 = number.parse().ok().filter(|number| (0..=1_000_000).contains(number))?;
    Some(Span(number.checked_mul(size)?.checked_mul(SECOND)?))
}

/// `1 device`, `2 devices`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Minutes of the week, Monday 00:00 UTC being 0.
pub fn minute_of_week(time: Timestamp) -> i64 {
    // 1970-01-01 was a Thursday.
    (time.0.div_euclid(60 * SECOND) + 3 * 24 * 60).rem_euclid(7 * 24 * 60)
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian; Hinnant's civil_from_days).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The known word that is most like the one typed, if any is like it.
pub fn nearest<'w>(typed: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let typed = typed.to_lowercase();
    let near = known.into_iter().map(|word| (distance(&typed, &word.to_lowercase()), word));
    let (far, word) = near.min()?;
    (far <= 1 + typed.chars().count() / 4).then_some(word)
}

/// ` Did you mean 'word'?` where a known word is like the one typed.
pub fn meant<'w>(typed: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    nearest(typed, known).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default()
}

/// Edits that make one word of the other: insert, remove, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    /// Longer words are no words that a person types.
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_rfc_3339_and_read_back() {
        // From `date -u -d @1795800000 --iso-8601=seconds`.
        assert_eq!(moment(Timestamp(1_795_800_000 * SECOND)), "2026-11-27T17:20:00Z");
        assert_eq!(moment(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(moment(Timestamp(951_782_400 * SECOND)), "2000-02-29T00:00:00Z");
        for wrong in ["2026-02-30T00:00:00Z", "2026-11-27 17:20:00", "2026-11-27T25:00:00Z", "yesterday"] {
            assert_eq!(parse_moment(wrong), None, "{wrong}");
        }
        // A Saturday.
        assert_eq!(minute_of_week(parse_moment("2026-11-28T01:30:00Z").unwrap()), 5 * 1440 + 90);
    }

    #[test]
    fn lengths_of_time_are_read_and_written() {
        assert_eq!(parse_span("24h"), Some(Span::hours(24)));
        assert_eq!(parse_span("24 h").or(parse_span("-1h")).or(parse_span("h")).or(parse_span("")).or(parse_span("5w")), None);
        assert_eq!(
            [90, 60, 7200, 86_400, 0].map(|seconds| span(Span::seconds(seconds))),
            ["90 seconds", "1 minute", "2 hours", "1 day", "0 seconds"]
        );
        assert_eq!(meant("grcae", ["grace", "hold"]), " Did you mean 'grace'?");
    }

    proptest! {
        #[test]
        fn any_second_comes_back(seconds in 0_i64..7_000_000_000) {
            let time = Timestamp(seconds * SECOND);
            prop_assert_eq!(parse_moment(&moment(time)), Some(time));
        }
    }
}
