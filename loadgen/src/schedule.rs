//! When each event should be sent: the n-th event's intended offset from the start.
//!
//! `--rate`, `--ramp`, `--burst` -> **schedule** -> whoever paces (loadgen, demo, bench)
//!
//! Holds: pure; offsets never fall with n; the n-th offset is where the integral of the rate reaches
//! n. A slow receiver moves nothing: that is what makes a latency from the intended time honest.
//! Not here: the clock and the waiting.

use crate::error::{Error, check};

/// A ramp with bursts is cut into this many pieces at most.
const PIECES_MAX: f64 = 1_000_000.0;

/// A rate over time: constant or a ramp that then stays, with bursts laid over it if wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    from: f64,
    to: f64,
    ramp_s: f64,
    burst: Option<Burst>,
    /// The ramp in pieces of linear rate, in time order, up to where the tail begins.
    pieces: Vec<Piece>,
    /// Where the repeating tail begins, s and events.
    tail_s: f64,
    tail_events: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Burst {
    every_s: f64,
    length_s: f64,
    factor: f64,
}

/// From `start_s` on: `events` before it, then `rate` growing by `slope` a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    start_s: f64,
    events: f64,
    rate: f64,
    slope: f64,
}

impl Schedule {
    /// The same rate for good, events a second.
    pub fn constant(rate: f64) -> Result<Self, Error> {
        Self::ramp(rate, rate, 0.0)
    }

    /// From one rate to another in `seconds`, linearly, and then on at the second.
    pub fn ramp(from: f64, to: f64, seconds: f64) -> Result<Self, Error> {
        let rate = |value: f64| (1e-3..=1e9).contains(&value);
        check(rate(to), "rate", to, "events a second, 0.001 to 1,000,000,000")?;
        check(
            from == 0.0 && seconds > 0.0 || rate(from),
            "ramp from",
            from,
            "events a second, 0 to 1,000,000,000",
        )?;
        check((0.0..=1e7).contains(&seconds), "ramp seconds", seconds, "seconds, 0 to 10,000,000")?;
        let mut new = Self {
            from,
            to,
            ramp_s: seconds,
            burst: None,
            pieces: Vec::new(),
            tail_s: 0.0,
            tail_events: 0.0,
        };
        new.cut();
        Ok(new)
    }

    /// The rate times `factor` in the last `length_s` seconds of every `every_s`.
    pub fn with_burst(mut self, every_s: f64, length_s: f64, factor: f64) -> Result<Self, Error> {
        check((1e-3..=1e7).contains(&every_s), "burst every", every_s, "seconds, 0.001 to 10,000,000")?;
        check(
            length_s > 0.0 && length_s < every_s,
            "burst length",
            length_s,
            "seconds, less than its period",
        )?;
        check((1e-3..=1e6).contains(&factor), "burst factor", factor, "a factor from 0.001 to 1,000,000")?;
        check(
            self.ramp_s / every_s < PIECES_MAX,
            "burst every",
            every_s,
            "at most 1,000,000 bursts in a ramp",
        )?;
        self.burst = Some(Burst { every_s, length_s, factor });
        self.cut();
        Ok(self)
    }

    /// When the n-th event (from 0) is due, ns after the start.
    pub fn offset_ns(&self, n: u64) -> u64 {
        (self.offset_s(n as f64) * 1e9).round() as u64
    }

    /// How many events are due `seconds` after the start, the first being due at the start itself.
    pub fn due(&self, seconds: f64) -> u64 {
        // The n-th is due when the integral of the rate reaches n.
        self.events_within(seconds) as u64 + 1
    }

    /// The integral of the rate over the first `seconds`: how many events they are worth.
    pub fn events_within(&self, seconds: f64) -> f64 {
        if seconds >= self.tail_s {
            let since = seconds - self.tail_s;
            let Some(burst) = self.burst else { return self.tail_events + since * self.to };
            let periods = (since / burst.every_s).floor();
            let within = since - periods * burst.every_s;
            let quiet = within.min(burst.every_s - burst.length_s);
            return self.tail_events
                + periods * self.period_events(burst)
                + self.to * (quiet + (within - quiet) * burst.factor);
        }
        let piece = self.pieces[self.pieces.partition_point(|piece| piece.start_s <= seconds) - 1];
        let since = seconds - piece.start_s;
        piece.events + since * (piece.rate + piece.slope * since / 2.0)
    }

    /// The rate intended at `seconds` after the start, events a second.
    pub fn rate_at(&self, seconds: f64) -> f64 {
        self.plain_rate(seconds) * self.factor_at(seconds)
    }

    fn offset_s(&self, n: f64) -> f64 {
        if n >= self.tail_events {
            let rest = n - self.tail_events;
            let Some(burst) = self.burst else { return self.tail_s + rest / self.to };
            let period = self.period_events(burst);
            let periods = (rest / period).floor();
            let within = rest - periods * period;
            let quiet_s = burst.every_s - burst.length_s;
            let quiet = quiet_s * self.to;
            let into = if within <= quiet {
                within / self.to
            } else {
                quiet_s + (within - quiet) / (self.to * burst.factor)
            };
            return self.tail_s + periods * burst.every_s + into;
        }
        let piece = self.pieces[self.pieces.partition_point(|piece| piece.events <= n) - 1];
        let rest = n - piece.events;
        // Root of slope/2 t^2 + rate t = rest, in the form without cancellation.
        let root = (piece.rate * piece.rate + 2.0 * piece.slope * rest).max(0.0).sqrt();
        if rest == 0.0 { piece.start_s } else { piece.start_s + 2.0 * rest / (piece.rate + root) }
    }

    fn period_events(&self, burst: Burst) -> f64 {
        self.to * (burst.every_s - burst.length_s + burst.length_s * burst.factor)
    }

    fn plain_rate(&self, seconds: f64) -> f64 {
        if seconds >= self.ramp_s {
            self.to
        } else {
            self.from + (self.to - self.from) * seconds / self.ramp_s
        }
    }

    fn factor_at(&self, seconds: f64) -> f64 {
        match self.burst {
            Some(burst) if seconds.rem_euclid(burst.every_s) >= burst.every_s - burst.length_s => {
                burst.factor
            }
            Some(_) | None => 1.0,
        }
    }

    /// Cuts the ramp at its end and at the edges of bursts; the tail begins with a whole period.
    fn cut(&mut self) {
        let mut edges = vec![0.0, self.ramp_s];
        if let Some(burst) = self.burst {
            let periods = (self.ramp_s / burst.every_s).ceil() as u64;
            for period in 1..=periods {
                let end = period as f64 * burst.every_s;
                edges.extend([end - burst.length_s, end]);
            }
        }
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        self.pieces.clear();
        self.tail_events = 0.0;
        self.tail_s = edges[edges.len() - 1];
        for pair in edges.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            let middle = f64::midpoint(start, end);
            let factor = self.factor_at(middle);
            let slope = if middle < self.ramp_s { (self.to - self.from) / self.ramp_s * factor } else { 0.0 };
            let rate = self.plain_rate(start) * factor;
            self.pieces.push(Piece { start_s: start, events: self.tail_events, rate, slope });
            self.tail_events += (end - start) * (rate + slope * (end - start) / 2.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-6 * (1.0 + right.abs()), "{left} is not {right}");
    }

    #[test]
    fn a_constant_rate_is_even() {
        let schedule = Schedule::constant(20_000.0).unwrap();
        assert_eq!(schedule.offset_ns(0), 0);
        assert_eq!(schedule.offset_ns(1), 50_000);
        assert_eq!(schedule.offset_ns(20_000), 1_000_000_000);
        close(schedule.events_within(2.5), 50_000.0);
    }

    /// A replay that let the n-th event go only when n + 1 periods were over would find each a period late.
    #[test]
    fn an_event_is_due_at_its_offset() {
        let schedule = Schedule::constant(100.0).unwrap();
        for n in [0, 1, 2, 57, 12_345] {
            let offset_s = schedule.offset_ns(n) as f64 / 1e9;
            assert_eq!(schedule.due(offset_s + 1e-6), n + 1, "the {n}-th is due");
            assert!(n == 0 || schedule.due(offset_s - 1e-6) == n, "and not before");
        }
    }

    #[test]
    fn a_ramp_covers_its_triangle() {
        let schedule = Schedule::ramp(0.0, 1_000.0, 10.0).unwrap();
        close(schedule.events_within(10.0), 5_000.0);
        close(schedule.events_within(5.0), 1_250.0);
        assert_eq!(schedule.offset_ns(1_250), 5_000_000_000);
        assert_eq!(schedule.offset_ns(6_000), 11_000_000_000);
        let down = Schedule::ramp(1_000.0, 100.0, 10.0).unwrap();
        close(down.events_within(10.0), 5_500.0);
        close(down.rate_at(5.0), 550.0);
    }

    #[test]
    fn a_burst_multiplies_the_end_of_its_period() {
        let schedule = Schedule::constant(100.0).unwrap().with_burst(10.0, 1.0, 5.0).unwrap();
        close(schedule.events_within(9.0), 900.0);
        close(schedule.events_within(10.0), 1_400.0);
        close(schedule.events_within(29.5), 2.0 * 1_400.0 + 900.0 + 250.0);
        assert_eq!(schedule.offset_ns(1_400 + 1_150), 19_500_000_000);
    }

    #[test]
    fn offsets_invert_the_integral_and_never_fall() {
        let plans = [
            Schedule::constant(333.0).unwrap(),
            Schedule::ramp(10.0, 4_000.0, 7.0).unwrap(),
            Schedule::ramp(4_000.0, 10.0, 7.0).unwrap().with_burst(2.0, 0.25, 8.0).unwrap(),
            Schedule::ramp(0.0, 500.0, 3.0).unwrap().with_burst(5.0, 1.0, 0.5).unwrap(),
        ];
        for plan in plans {
            let mut before = 0;
            for n in 0..40_000 {
                let offset = plan.offset_ns(n);
                assert!(offset >= before, "{plan:?} at {n}");
                before = offset;
                let back = plan.events_within(offset as f64 / 1e9);
                // Rounding to 1 ns is at most rate x 1 ns events.
                assert!((back - n as f64).abs() < 1e-3, "{plan:?} at {n}: {back}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(Schedule::constant(0.0).unwrap_err().name, "rate");
        assert_eq!(Schedule::constant(f64::NAN).unwrap_err().name, "rate");
        assert_eq!(Schedule::ramp(1.0, 2.0, -1.0).unwrap_err().name, "ramp seconds");
        let plan = Schedule::constant(1.0).unwrap();
        assert_eq!(plan.with_burst(1.0, 2.0, 2.0).unwrap_err().name, "burst length");
    }
}
