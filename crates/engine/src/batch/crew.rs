//! The workers of the engine, and the barrier at which they meet.
//!
//! **crew** -> batch
//!
//! Between the phases of a batch the workers spin: dividing a batch costs 0.14 us this way, 50 us with a parked thread.
//! The spin is bounded, for on an oversubscribed machine endless ones collapse; then a worker parks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Rounds of spinning before a worker parks: about 100 us. Measured: 200 rounds cost p99 73 us, 20,000 cost 2 us.
const SPINS: u32 = 20_000;

/// Where the workers wait for each other.
#[derive(Debug)]
pub(crate) struct Barrier {
    workers: usize,
    arrived: AtomicUsize,
    /// Counts the meetings. Publishes, with Release, what each worker wrote before it arrived.
    meeting: AtomicUsize,
    /// Guards nothing but the decision to sleep.
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            arrived: AtomicUsize::new(0),
            meeting: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Waits until all workers are here.
    pub(crate) fn wait(&self) {
        if self.workers == 1 {
            return;
        }
        let meeting = self.meeting.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.arrived.store(0, Ordering::Relaxed);
            // Under the lock, so that nobody decides to sleep between this and the wake-up.
            let _guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            self.meeting.store(meeting.wrapping_add(1), Ordering::Release);
            self.wake.notify_all();
            return;
        }
        for _ in 0..SPINS {
            if self.meeting.load(Ordering::Acquire) != meeting {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        while self.meeting.load(Ordering::Acquire) == meeting {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Aborts the process when a worker unwinds: the others would wait for it for ever, over a state that is half changed.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_all_are_there() {
        let barrier = Barrier::new(3);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=200 {
                        count.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(count.load(Ordering::Relaxed), 3 * round);
                        barrier.wait();
                    }
                });
            }
        });
    }
}
