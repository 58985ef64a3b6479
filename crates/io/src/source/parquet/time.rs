//! Times of a column -> their text.
//!
//! cell -> **time**
//!
//! Holds: a time without a zone is UTC, one with a zone is stored as UTC, so all end in Z; as many digits as the
//! value needs, in threes, milliseconds at least. Years outside 0000 to 9999 carry a sign (ISO 8601, expanded),
//! which the engine rejects as a time. Days to dates as in Howard Hinnant, "chrono-compatible low-level date
//! algorithms" (`civil_from_days`). Not here: the calendar of the engine, which takes text.

/// Whole seconds and what is left of one, in billionths.
#[derive(Clone, Copy)]
pub(super) struct SecondsAnd {
    seconds: i64,
    nanos: u32,
}

impl SecondsAnd {
    pub(super) fn of(value: i64, per_second: i64) -> Self {
        let part = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Self { seconds: value.div_euclid(per_second), nanos: part as u32 }
    }
}

/// Appends `"2018-04-01T00:00:31.000Z"`.
pub(super) fn push_timestamp(at: SecondsAnd, out: &mut Vec<u8>) {
    out.push(b'"');
    push_day(at.seconds.div_euclid(86_400), out);
    out.push(b'T');
    push_time(at, out);
    out.extend_from_slice(b"Z\"");
}

/// Appends `"2018-04-01"`, of days since 1970.
pub(super) fn push_date(days: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    push_day(days, out);
    out.push(b'"');
}

/// Appends `"00:00:31.000"`.
pub(super) fn push_clock(at: SecondsAnd, out: &mut Vec<u8>) {
    out.push(b'"');
    push_time(at, out);
    out.push(b'"');
}

fn push_day(days: i64, out: &mut Vec<u8>) {
    // Days since 0000-03-01, in eras of 400 years.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    if (0..=9_999).contains(&year) {
        push_two(year as u32 / 100, out);
        push_two(year as u32 % 100, out);
    } else {
        out.extend_from_slice(format!("{year:+07}").as_bytes());
    }
    out.push(b'-');
    push_two(month as u32, out);
    out.push(b'-');
    push_two(date as u32, out);
}

fn push_time(at: SecondsAnd, out: &mut Vec<u8>) {
    let second = at.seconds.rem_euclid(86_400) as u32;
    push_two(second / 3_600, out);
    out.push(b':');
    push_two(second / 60 % 60, out);
    out.push(b':');
    push_two(second % 60, out);
    out.push(b'.');
    push_three(at.nanos / 1_000_000, out);
    if !at.nanos.is_multiple_of(1_000_000) {
        push_three(at.nanos / 1_000 % 1_000, out);
        if !at.nanos.is_multiple_of(1_000) {
            push_three(at.nanos % 1_000, out);
        }
    }
}

fn push_two(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}

fn push_three(value: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 100) as u8);
    push_two(value % 100, out);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]
mod tests {
    use super::*;

    fn text(value: i64, per_second: i64) -> String {
        let mut out = Vec::new();
        push_timestamp(SecondsAnd::of(value, per_second), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_show_the_digits_they_need() {
        let table = [
            (1_522_540_831, 1, "\"2018-04-01T00:00:31.000Z\""),
            (1_522_540_831_007, 1_000, "\"2018-04-01T00:00:31.007Z\""),
            (1_522_540_831_000_001, 1_000_000, "\"2018-04-01T00:00:31.000001Z\""),
            (1_522_540_831_120_000_000, 1_000_000_000, "\"2018-04-01T00:00:31.120Z\""),
            (-1, 1_000_000_000, "\"1969-12-31T23:59:59.999999999Z\""),
            (951_782_400, 1, "\"2000-02-29T00:00:00.000Z\""),
            (253_402_300_799, 1, "\"9999-12-31T23:59:59.000Z\""),
            (253_402_300_800, 1, "\"+010000-01-01T00:00:00.000Z\""),
            (-62_167_219_200, 1, "\"0000-01-01T00:00:00.000Z\""),
            (-62_167_219_201, 1, "\"-000001-12-31T23:59:59.000Z\""),
        ];
        for (value, per_second, expected) in table {
            assert_eq!(text(value, per_second), expected);
        }
        for value in [i64::MIN, i64::MAX] {
            assert!(text(value, 1).ends_with("Z\""));
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = (1899, 12, 31);
        for day in -25_567..100_000 {
            let (year, month, date) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, date == last) {
                (_, false) => (year, month, date + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
            let mut out = Vec::new();
            push_date(day, &mut out);
            let (year, month, date) = expected;
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{year:04}-{month:02}-{date:02}\""));
        }
    }
}
