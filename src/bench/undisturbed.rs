//! What a latency is while the machine leaves the measuring thread alone.
//!
//! The thread never rests, so the time for which it had no processor went to others: of this machine, or of the one that it is a guest of. A
//! virtual machine loses tens of milliseconds at a time so, and then its p99 tells of its neighbours and not of the engine.
//!
//! Holds: nothing is taken out of the figures over all; these stand beside them.

use crate::usage::thread_time;
use loadgen::Latency;
use std::time::{Duration, Instant};

/// A slice of a run: short, so that some of them are left alone.
pub(super) const SLICE_SECONDS: f64 = 0.25;
/// For how long a slice may be without a processor: less than one event in a hundred then waits for it, so that it moves no p99.
pub(super) const DISTURBED: Duration = Duration::from_millis(1);

/// What a slice came to.
pub(super) struct Slice {
    pub(super) latency: Latency,
    without_processor: Duration,
}

impl Slice {
    pub(super) fn is_undisturbed(&self) -> bool {
        self.without_processor <= DISTURBED
    }
}

/// A slice that is being measured, by the thread that made it.
pub(super) struct Clock {
    started: Instant,
    ran: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), ran: thread_time() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn end(self, latency: Latency) -> Slice {
        let ran = thread_time().saturating_sub(self.ran);
        Slice { latency, without_processor: self.started.elapsed().saturating_sub(ran) }
    }
}

/// A run in slices, one behind the other.
pub(super) struct Slices {
    done: Vec<Slice>,
    clock: Clock,
    latency: Latency,
}

impl Slices {
    pub(super) fn start() -> Self {
        Self { done: Vec::new(), clock: Clock::start(), latency: Latency::new() }
    }

    /// As [`Latency::record`].
    pub(super) fn record(&mut self, intended_ns: u64, done_ns: u64) {
        self.latency.record(intended_ns, done_ns);
    }

    pub(super) fn cut_if_due(&mut self) {
        if self.clock.elapsed().as_secs_f64() >= SLICE_SECONDS {
            let clock = std::mem::replace(&mut self.clock, Clock::start());
            self.done.push(clock.end(std::mem::replace(&mut self.latency, Latency::new())));
        }
    }

    /// The last one may be shorter.
    pub(super) fn end(mut self) -> Vec<Slice> {
        self.done.push(self.clock.end(self.latency));
        self.done
    }
}

/// The latency of some slices together.
pub(super) fn together<'a>(slices: impl Iterator<Item = &'a Slice>) -> Latency {
    let mut all = Latency::new();
    for slice in slices {
        all.merge(&slice.latency);
    }
    all
}

/// The same in words.
pub(super) fn of_all<'a>(slices: impl Iterator<Item = &'a Slice>) -> String {
    let all = together(slices).summary();
    format!("p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, max {:.1} us", all.p50, all.p99, all.p99_9, all.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_was_without_a_processor() {
        let clock = Clock::start();
        std::thread::sleep(2 * DISTURBED);
        assert!(!clock.end(Latency::new()).is_undisturbed());
    }

    #[test]
    fn slices_have_all_that_was_recorded() {
        let mut slices = Slices::start();
        for event in 0..10 {
            slices.record(event, event + 1_000);
            slices.cut_if_due();
        }
        let slices = slices.end();
        assert_eq!(together(slices.iter()).count(), 10);
    }
}
