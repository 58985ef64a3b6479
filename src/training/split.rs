//! Which events are trained on, calibrated on, and judged on: cut by time, with a gap.
//!
//! times -> **split** -> `fit`
//!
//! ```text
//! from          cut       until    + gap                 end
//!  |---- fit ----|- calibrate -|    .    |------ test ------|
//! ```
//!
//! Labels of the training come late, and windows of neighbours overlap: a gap lies before the test. The training counts only
//! labels that were known when the test begins (without a test: when the training ends), as on the day on which the model would have been put in. The map and the thresholds
//! come of the last part of the training, by a model of the part before; then the model is fitted again on all of it.
//!
//! Holds: no event is on two sides of the gap.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// ms.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Of the time that is covered, what is judged on where nothing else is said.
const TEST_SHARE: f64 = 0.2;
/// Of the time of the training, what is calibrated on.
const CALIBRATE_SHARE: f64 = 0.2;

/// Times between which events lie, from the first on and before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) fit: (i64, i64),
    pub(crate) calibrate: (i64, i64),
    /// Empty, and at the end of the training, where nothing is judged.
    pub(crate) test: (i64, i64),
}

/// What a user said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) from: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) test_until: Option<i64>,
    pub(crate) gap_ms: i64,
    /// Train on all there is and judge nothing.
    pub(crate) no_test: bool,
}

impl Split {
    /// Cuts the time of a history, `first` and `last` included.
    pub(crate) fn of(first: i64, last: i64, said: Said) -> Result<Self, String> {
        let from = said.from.unwrap_or(first).max(first);
        let end = said.test_until.unwrap_or(last + 1).min(last + 1);
        let until = match (said.until, said.no_test) {
            (Some(until), _) => until,
            (None, true) => end,
            (None, false) => {
                let test_from = end - ((end - from) as f64 * TEST_SHARE) as i64;
                // From a midnight on, where that leaves most of it: days are judged whole.
                let midnight = test_from.div_euclid(DAY_MS) * DAY_MS;
                let test_from = if end - from >= 10 * DAY_MS { midnight } else { test_from };
                test_from - said.gap_ms
            }
        };
        if until <= from {
            return Err(format!(
                "nothing is left to train on: from {} until {}, with a gap of {} before what is judged; take more \
                 history, or a shorter --gap",
                shown(from),
                shown(until),
                cartguard_engine::document::duration_text(said.gap_ms)
            ));
        }
        let test_from = (until + said.gap_ms).min(end);
        let test = if said.no_test { (until, until) } else { (test_from, end.max(test_from)) };
        let span = until - from;
        let cut = until - (span as f64 * CALIBRATE_SHARE) as i64;
        let cut = if span >= 10 * DAY_MS { cut.div_euclid(DAY_MS) * DAY_MS } else { cut };
        // A gap within the training only where it is short beside it: a week of training has no room for a week's gap.
        let gap = if said.gap_ms * 10 <= span { said.gap_ms } else { 0 };
        Ok(Self { fit: (from, cut - gap), calibrate: (cut, until), test })
    }

    /// All of the training.
    pub(crate) fn training(&self) -> (i64, i64) {
        (self.fit.0, self.calibrate.1)
    }

    /// From when on labels were not known yet when the model was made.
    pub(crate) fn known_until(&self) -> i64 {
        self.test.0.max(self.calibrate.1)
    }
}

/// A time, or a day's begin, in UTC; ms.
pub(crate) fn time(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let date_time: Option<DateTime> = text.parse().ok();
    let date_time = date_time.or_else(|| text.parse::<civil::Date>().ok().map(|date| date.at(0, 0, 0, 0)))?;
    Some(TimeZone::UTC.to_timestamp(date_time).ok()?.as_millisecond())
}

/// A duration such as `7d`; ms.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let ms = cartguard_engine::document::duration(text);
    ms.ok_or_else(|| format!("{text:?} is no duration; a whole number and ms, s, m, h or d, such as 7d"))
}

/// A time as in files: RFC 3339, UTC.
pub(crate) fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// For people: a day where it is one's begin.
pub(crate) fn shown(ms: i64) -> String {
    let text = instant(ms);
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said = Said { from: None, until: None, test_until: None, gap_ms: 7 * DAY_MS, no_test: false };

    #[test]
    fn the_last_fifth_is_judged_and_the_gap_lies_before_it() {
        let split = Split::of(5, 100 * DAY_MS - 1, SAID).expect("a split");
        assert_eq!(split.test, (80 * DAY_MS, 100 * DAY_MS));
        assert_eq!(split.training(), (5, 73 * DAY_MS));
        assert_eq!(split.calibrate, (58 * DAY_MS, 73 * DAY_MS));
        assert_eq!(split.fit, (5, 51 * DAY_MS));
        assert_eq!(split.known_until(), 80 * DAY_MS);
    }

    #[test]
    fn a_week_has_no_room_for_a_gap_within() {
        let said = Said {
            from: Some(115 * DAY_MS),
            until: Some(122 * DAY_MS),
            test_until: Some(136 * DAY_MS),
            ..SAID
        };
        let split = Split::of(0, 183 * DAY_MS, said).expect("a split");
        assert_eq!(split.test, (129 * DAY_MS, 136 * DAY_MS));
        assert_eq!(split.fit.1, split.calibrate.0);
        assert_eq!(split.training(), (115 * DAY_MS, 122 * DAY_MS));
    }

    #[test]
    fn without_a_test_everything_is_trained_on() {
        let split = Split::of(0, 100 * DAY_MS - 1, Said { no_test: true, ..SAID }).expect("a split");
        assert_eq!(split.training(), (0, 100 * DAY_MS));
        assert_eq!(split.test, (100 * DAY_MS, 100 * DAY_MS));
        let said = Said { no_test: true, until: Some(60 * DAY_MS), ..SAID };
        let split = Split::of(0, 100 * DAY_MS - 1, said).expect("a split");
        assert_eq!(split.known_until(), 60 * DAY_MS, "what is found out later is not known");
    }

    #[test]
    fn a_history_that_is_shorter_than_its_gap_is_refused() {
        let what = Split::of(0, 5 * DAY_MS, SAID).expect_err("too short");
        assert!(what.contains("nothing is left to train on") && what.contains("a gap of 7d"), "{what}");
    }

    #[test]
    fn times_are_read_with_and_without_a_time_of_day() {
        assert_eq!(time("1970-01-02"), Some(DAY_MS));
        assert_eq!(time("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(time("1970-01-01 00:00:01"), Some(1_000));
        assert_eq!(time("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(time("yesterday"), None);
        assert_eq!(shown(DAY_MS), "1970-01-02");
        assert_eq!(shown(1_500), "1970-01-01T00:00:01.5Z");
    }
}
