//! Write an event time: RFC 3339, milliseconds, Z.
//!
//! line -> **time** -> output bytes
//!
//! Holds: the date part is made once a day of event time and kept, for events come roughly in order.

use super::number::eight_digits;

/// Length of a time's text.
pub(super) const TIME_LEN: usize = 24;

const DAY_MS: i64 = 86_400_000;

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

/// Writes times of the years 0 to 9999; keeps the text of the last day's date.
#[derive(Clone, Debug)]
pub(super) struct TimeWriter {
    day: i64,
    /// `2018-04-01T00:00:00.000Z` of that day.
    text: [u8; TIME_LEN],
}

impl TimeWriter {
    pub(super) fn new() -> Self {
        Self { day: 0, text: *b"1970-01-01T00:00:00.000Z" }
    }

    /// The text of `ms` since 1970 UTC.
    pub(super) fn text(&mut self, ms: i64) -> [u8; TIME_LEN] {
        let day = ms.div_euclid(DAY_MS);
        if day != self.day {
            self.turn_to(day);
        }
        let in_day = (ms - day * DAY_MS) as u32;
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let mut text = self.text;
        for (at, number) in
            [(11, seconds / 3600), (14, seconds / 60 % 60), (17, seconds % 60), (20, millis / 10)]
        {
            text[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
        }
        text[22] = b'0' + (millis % 10) as u8;
        text
    }

    #[cold]
    fn turn_to(&mut self, day: i64) {
        self.day = day;
        let (year, month, date) = civil(day);
        let year = eight_digits(year).to_le_bytes();
        let rest = eight_digits(month * 100 + date).to_le_bytes();
        for (at, digit) in [0, 1, 2, 3].into_iter().zip(&year[4..]) {
            self.text[at] = b'0' | digit;
        }
        for (at, digit) in [5, 6, 8, 9].into_iter().zip(&rest[4..]) {
            self.text[at] = b'0' | digit;
        }
    }
}

/// Year, month and date of a day since 1970, by the proleptic Gregorian calendar: eras of 400 years, years
/// from March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: i64) -> (u32, u32, u32) {
    let from_era = day + 719_468;
    let era = from_era.div_euclid(146_097);
    let of_era = from_era.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, date as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ms: i64) -> String {
        String::from_utf8(TimeWriter::new().text(ms).to_vec()).expect("ASCII")
    }

    #[test]
    fn known_instants() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_522_540_831_000, "2018-04-01T00:00:31.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (crate::limits::TIME_MS_MIN, "2000-01-01T00:00:00.000Z"),
            (crate::limits::TIME_MS_MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(written(ms), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut writer = TimeWriter::new();
        let (mut year, mut month, mut date) = (2000, 1, 1);
        for day in crate::limits::TIME_MS_MIN / DAY_MS..=crate::limits::TIME_MS_MAX / DAY_MS {
            let text = writer.text(day * DAY_MS);
            assert_eq!(text, *format!("{year:04}-{month:02}-{date:02}T00:00:00.000Z").as_bytes());
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            date += 1;
            if date > last {
                (date, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!((year, month, date), (10_000, 1, 1));
    }
}
