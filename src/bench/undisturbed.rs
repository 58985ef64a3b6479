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
    /// A snapshot was being taken at some time of it.
    is_taking_snapshot: bool,
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

    fn without_processor(&self) -> Duration {
        self.started.elapsed().saturating_sub(thread_time().saturating_sub(self.ran))
    }

    pub(super) fn end(self, latency: Latency) -> Slice {
        Slice { latency, without_processor: self.without_processor(), is_taking_snapshot: false }
    }
}

/// A run in slices, one behind the other. Only what each event took is noted while it lasts: to make a histogram for a slice takes some ms.
pub(super) struct Slices {
    delays_ns: Vec<u64>,
    cuts: Vec<Cut>,
    clock: Clock,
    /// Whether a snapshot was being taken at some time since the last cut.
    has_snapshot: bool,
}

/// The end of a slice.
struct Cut {
    /// Events before it.
    events: usize,
    without_processor: Duration,
    is_taking_snapshot: bool,
}

impl Slices {
    /// Of a run of so many events.
    pub(super) fn start(events: u64) -> Self {
        // Written to and emptied: its memory is there before the first event.
        let mut delays_ns = vec![1; events as usize];
        delays_ns.clear();
        Self { delays_ns, cuts: Vec::new(), clock: Clock::start(), has_snapshot: false }
    }

    /// As [`Latency::record`].
    pub(super) fn record(&mut self, intended_ns: u64, done_ns: u64) {
        self.delays_ns.push(done_ns.saturating_sub(intended_ns));
    }

    /// A snapshot is being taken, or none is.
    pub(super) fn see_snapshot(&mut self, is_taking: bool) {
        self.has_snapshot |= is_taking;
    }

    pub(super) fn cut_if_due(&mut self, is_taking_snapshot: impl FnOnce() -> bool) {
        if self.clock.elapsed().as_secs_f64() >= SLICE_SECONDS {
            self.cut(is_taking_snapshot());
        }
    }

    fn cut(&mut self, is_taking_snapshot: bool) {
        let without_processor = self.clock.without_processor();
        let is_taking_snapshot =
            std::mem::replace(&mut self.has_snapshot, is_taking_snapshot) || is_taking_snapshot;
        self.cuts.push(Cut { events: self.delays_ns.len(), without_processor, is_taking_snapshot });
        self.clock = Clock::start();
    }

    /// The last one may be shorter.
    pub(super) fn end(mut self, is_taking_snapshot: bool) -> Vec<Slice> {
        self.cut(is_taking_snapshot);
        let mut from = 0;
        let of_slice = |Cut { events, without_processor, is_taking_snapshot }| {
            let mut latency = Latency::new();
            for delay in &self.delays_ns[from..events] {
                latency.record_ns(*delay);
            }
            from = events;
            Slice { latency, without_processor, is_taking_snapshot }
        };
        self.cuts.into_iter().map(of_slice).collect()
    }
}

/// The latency of a run in its undisturbed slices, in lines; those in which a snapshot was taken besides, where there are both.
pub(super) fn told(slices: &[Slice]) -> String {
    // What waited for the processor before a slice is done late within it.
    let follows = |at: usize| at == 0 || slices[at - 1].is_undisturbed();
    let is_undisturbed = |at: &usize| slices[*at].is_undisturbed() && follows(*at);
    let undisturbed: Vec<_> = (0..slices.len()).filter(is_undisturbed).map(|at| &slices[at]).collect();
    let mut text = format!(
        "of {} slices of {SLICE_SECONDS} s, the {} in which, and before which, the thread was without a processor for at most {DISTURBED:?}\n",
        slices.len(),
        undisturbed.len()
    );
    if !undisturbed.is_empty() {
        text += &format!("  {}\n", of_all(undisturbed.iter().copied()));
    }
    let (with, without): (Vec<_>, Vec<_>) = undisturbed.iter().partition(|slice| slice.is_taking_snapshot);
    if !with.is_empty() && !without.is_empty() {
        for (name, slices) in [("no snapshot", without), ("a snapshot", with)] {
            text += &format!("  {name}, {} slices: {}\n", slices.len(), of_all(slices.into_iter()));
        }
    }
    text
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
        let mut slices = Slices::start(10);
        for event in 0..10 {
            slices.record(event, event + 1_000);
            slices.cut_if_due(|| false);
        }
        let slices = slices.end(false);
        assert_eq!(together(slices.iter()).count(), 10);
    }
}
