//! When the n-th arrival happens in event time.
//!
//! settings -> **clock** -> generator
//!
//! Holds: arrivals never go back; one falls into each 1/rate of rhythm time, at a random place in it,
//! so the count over any span is exact to one; over a week the mean rate is the one asked for.
//! Not here: disorder and repeats (`generator`).

const HOUR_MS: f64 = 3_600_000.0;
const WEEK_HOURS: usize = 168;
/// Monday, Thursday was 1970-01-01: hours to add so that hour 0 of a week is Monday 00:00.
const EPOCH_HOUR_OF_WEEK: f64 = 72.0;

/// Orders by hour of the day, UTC: quiet at night, a lunch bump, the evening peak.
const DAY: [f64; 24] = [
    0.42, 0.26, 0.17, 0.13, 0.13, 0.20, 0.40, 0.65, 0.88, 1.05, 1.18, 1.27, 1.32, 1.28, 1.22, 1.22, 1.28,
    1.40, 1.58, 1.80, 1.92, 1.80, 1.38, 0.86,
];
/// Orders by day, Monday first.
const WEEK: [f64; 7] = [1.03, 0.98, 0.96, 0.97, 0.93, 0.98, 1.15];

pub(crate) struct Clock {
    start_ms: f64,
    per_second: f64,
    rhythm: Option<Rhythm>,
}

impl Clock {
    pub(crate) fn even(start_ms: i64, per_second: f64) -> Self {
        Self { start_ms: start_ms as f64, per_second, rhythm: None }
    }

    pub(crate) fn rhythmic(start_ms: i64, per_second: f64) -> Self {
        let rhythm = Rhythm::new(start_ms as f64 / HOUR_MS + EPOCH_HOUR_OF_WEEK);
        Self { start_ms: start_ms as f64, per_second, rhythm: Some(rhythm) }
    }

    /// Time of arrival `n`, ms; `place` in [0, 1) is where in its slot it falls.
    pub(crate) fn at(&mut self, n: u64, place: f64) -> i64 {
        let mean_ms = (n as f64 + place) * 1_000.0 / self.per_second;
        match &mut self.rhythm {
            None => (self.start_ms + mean_ms) as i64,
            Some(rhythm) => (self.start_ms + rhythm.real_hours(mean_ms / HOUR_MS) * HOUR_MS) as i64,
        }
    }
}

/// Mean hours ("rhythm time") to real hours since the start, by the week's cumulative shares.
struct Rhythm {
    /// Rhythm hours from Monday 00:00 to the beginning of each hour of the week; the last is 168.
    sums: [f64; WEEK_HOURS + 1],
    /// Where in the week the start lies, real and rhythm hours.
    start: f64,
    start_sum: f64,
    /// The hour of the last answer: the next is nearly always in it or the one after.
    hour: usize,
}

impl Rhythm {
    fn new(start_hours: f64) -> Self {
        let mean = WEEK.iter().sum::<f64>() * DAY.iter().sum::<f64>() / WEEK_HOURS as f64;
        let mut sums = [0.0; WEEK_HOURS + 1];
        for hour in 0..WEEK_HOURS {
            sums[hour + 1] = sums[hour] + WEEK[hour / 24] * DAY[hour % 24] / mean;
        }
        sums[WEEK_HOURS] = WEEK_HOURS as f64;
        let start = start_hours.rem_euclid(WEEK_HOURS as f64);
        let hour = start as usize;
        let start_sum = sums[hour] + (start - hour as f64) * (sums[hour + 1] - sums[hour]);
        Self { sums, start, start_sum, hour }
    }

    fn real_hours(&mut self, mean_hours: f64) -> f64 {
        let total = self.start_sum + mean_hours;
        let weeks = (total / WEEK_HOURS as f64).floor();
        let within = total - weeks * WEEK_HOURS as f64;
        while self.sums[self.hour] > within {
            self.hour -= 1;
        }
        while self.sums[self.hour + 1] <= within && self.hour + 1 < WEEK_HOURS {
            self.hour += 1;
        }
        let (low, high) = (self.sums[self.hour], self.sums[self.hour + 1]);
        weeks * WEEK_HOURS as f64 + self.hour as f64 + (within - low) / (high - low) - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::DEFAULT_START_MS;

    #[test]
    fn arrivals_never_go_back_and_keep_the_mean() {
        for mut clock in [Clock::even(DEFAULT_START_MS, 0.5), Clock::rhythmic(DEFAULT_START_MS, 0.5)] {
            let mut before = DEFAULT_START_MS;
            let weeks = 3;
            let n = weeks * 7 * 86_400 / 2;
            for index in 0..n {
                let time = clock.at(index, 0.5);
                assert!(time >= before, "{index}");
                before = time;
            }
            let end = DEFAULT_START_MS + weeks as i64 * 7 * 86_400_000;
            assert!((end - before).abs() < 60_000, "{}", end - before);
        }
    }

    #[test]
    fn evenings_are_busier_than_nights() {
        let mut clock = Clock::rhythmic(DEFAULT_START_MS, 1.0);
        let mut hours = [0_u32; 24];
        for index in 0..7 * 86_400 {
            let time = clock.at(index, 0.0);
            hours[(time.rem_euclid(86_400_000) / 3_600_000) as usize] += 1;
        }
        assert!(hours[20] > 10 * hours[3], "{hours:?}");
    }
}
