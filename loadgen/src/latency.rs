//! How late things were, counted from when they should have happened.
//!
//! intended time, done time -> **latency** -> table, JSON, `.hgrm`
//!
//! Holds: three significant digits from 1 ns to an hour; longer counts as an hour. Recording does not
//! allocate. Nothing is left out: a receiver that stops for a second makes every event that was due in
//! that second late, and each is recorded (no coordinated omission).
//! Not here: clocks.

use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

const HIGHEST_NS: u64 = 3_600_000_000_000;

/// A histogram of delays.
pub struct Latency {
    histogram: Histogram<u64>,
}

/// The figures of a report, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencySummary {
    /// How many delays were recorded.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// 9 of 10 are at most this.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// 9,999 of 10,000.
    pub p99_99: f64,
    /// The longest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// An empty recorder.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid");
        Self { histogram }
    }

    /// One delay in ns.
    pub fn record_ns(&mut self, delay_ns: u64) {
        self.histogram.saturating_record(delay_ns.max(1));
    }

    /// One event that was due at `intended_ns` and done at `done_ns`, on the same clock.
    pub fn record(&mut self, intended_ns: u64, done_ns: u64) {
        self.record_ns(done_ns.saturating_sub(intended_ns));
    }

    /// Adds what another recorder saw.
    pub fn merge(&mut self, other: &Latency) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// How many delays were recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The delay in ns that `quantile` (0 to 1) of all do not pass.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// The figures of a report; all 0 where nothing was recorded.
    pub fn summary(&self) -> LatencySummary {
        let us = |quantile: f64| self.quantile_ns(quantile) as f64 / 1e3;
        LatencySummary {
            count: self.count(),
            p50: us(0.5),
            p90: us(0.9),
            p99: us(0.99),
            p99_9: us(0.999),
            p99_99: us(0.9999),
            max: self.histogram.max() as f64 / 1e3,
            mean: self.histogram.mean() / 1e3,
        }
    }

    /// The summary as two lines for a terminal.
    pub fn write_table(&self, to: &mut impl Write) -> io::Result<()> {
        let s = self.summary();
        writeln!(
            to,
            "{:>12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "latency us", "p50", "p90", "p99", "p99.9", "p99.99", "max"
        )?;
        writeln!(
            to,
            "{:>12} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
            s.count, s.p50, s.p90, s.p99, s.p99_9, s.p99_99, s.max
        )
    }

    /// The whole distribution as the plotters of `HdrHistogram` read it; values in µs.
    pub fn write_hgrm(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(
            to,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        let mut total = 0;
        for step in self.histogram.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let value = step.value_iterated_to() as f64 / 1e3;
            let quantile = step.quantile_iterated_to();
            if quantile < 1.0 {
                writeln!(to, "{value:>12.3} {quantile:>14.12} {total:>10} {:>14.2}", 1.0 / (1.0 - quantile))?;
            } else {
                writeln!(to, "{value:>12.3} {quantile:>14.12} {total:>10}")?;
            }
        }
        let s = self.summary();
        writeln!(
            to,
            "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
            s.mean,
            self.histogram.stdev() / 1e3
        )?;
        writeln!(to, "#[Max     = {:>12.3}, Total count    = {:>12}]", s.max, s.count)?;
        writeln!(
            to,
            "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
            self.histogram.buckets(),
            // Three significant digits need 2,048 linear steps a bucket.
            2_048
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_known_distribution() {
        let mut latency = Latency::new();
        for us in 1..=10_000_u64 {
            latency.record(5_000, 5_000 + us * 1_000);
        }
        let s = latency.summary();
        assert_eq!(s.count, 10_000);
        for (got, exact) in [(s.p50, 5e3), (s.p90, 9e3), (s.p99, 9.9e3), (s.p99_9, 9.99e3), (s.max, 1e4)] {
            assert!((got / exact - 1.0).abs() < 2e-3, "{got} for {exact}");
        }
    }

    #[test]
    fn a_stall_is_seen_by_every_event_due_in_it() {
        // 1,000 events a second; the receiver stops from 1 s to 2 s and then takes all at once.
        let mut latency = Latency::new();
        for n in 0..10_000_u64 {
            let due = n * 1_000_000;
            let done =
                if (1_000_000_000..2_000_000_000).contains(&due) { 2_000_000_000 } else { due + 1_000 };
            latency.record(due, done);
        }
        let s = latency.summary();
        assert!(s.p50 < 2.0);
        // A tenth of all events were late, evenly up to a second.
        assert!((s.p99 / 9e5 - 1.0).abs() < 0.01, "{}", s.p99);
    }

    #[test]
    fn the_distribution_file_has_its_parts() {
        let mut latency = Latency::new();
        (1..=1_000).for_each(|n| latency.record_ns(n * 1_000));
        let mut text = Vec::new();
        latency.write_hgrm(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("Value") && text.contains("#[Max"), "{text}");
        let last = text.lines().filter(|line| line.contains("1.000000000000")).count();
        assert!(last >= 1, "{text}");
    }

    #[test]
    fn empty_is_zero() {
        assert!(Latency::new().summary().max.abs() < 1e-9);
    }
}
