//! What a lane counts, readable while it runs.
//!
//! Holds: counts only grow; what waits and its age are of the last change.

use cartguard_io::StreamFigures;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Written by the lane, read by anybody.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) calls: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) throttles: AtomicU64,
    pub(super) failed_calls: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) refused: AtomicU64,
    waiting_records: AtomicU64,
    waiting_bytes: AtomicU64,
    /// Microseconds since the beginning, and one; 0: nothing waits.
    oldest: AtomicU64,
}

/// A look at one stream of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Acknowledged.
    pub records: u64,
    pub bytes: u64,
    pub calls: u64,
    /// Records sent again.
    pub retries: u64,
    /// Entries and calls that were refused because the stream takes no more at once.
    pub throttles: u64,
    /// Calls refused as a whole or not answered.
    pub failed_calls: u64,
    /// Records that no stream takes; they are rejects.
    pub too_large: u64,
    /// Records that the stream called invalid while it took others; they are rejects.
    pub refused: u64,
    /// Not acknowledged.
    pub waiting_records: u64,
    pub waiting_bytes: u64,
    /// Of the oldest of them.
    pub oldest: Duration,
}

impl Metrics {
    /// The same in the words of every sink.
    pub(super) fn figures(&self, output: &'static str) -> StreamFigures {
        StreamFigures {
            output,
            records: self.records,
            bytes: self.bytes,
            calls: self.calls,
            retries: self.retries,
            throttles: self.throttles,
            failed_calls: self.failed_calls,
            refused: self.too_large + self.refused,
            waiting_records: self.waiting_records,
            waiting_bytes: self.waiting_bytes,
            oldest_ms: self.oldest.as_millis() as u64,
        }
    }
}

impl Meter {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            records: zero(),
            bytes: zero(),
            calls: zero(),
            retries: zero(),
            throttles: zero(),
            failed_calls: zero(),
            too_large: zero(),
            refused: zero(),
            waiting_records: zero(),
            waiting_bytes: zero(),
            oldest: zero(),
        }
    }

    pub(super) fn add(to: &AtomicU64, count: usize) {
        to.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, (records, bytes): (usize, usize), oldest_us: Option<u64>) {
        self.waiting_records.store(records as u64, Ordering::Relaxed);
        self.waiting_bytes.store(bytes as u64, Ordering::Relaxed);
        self.oldest.store(oldest_us.map_or(0, |us| us + 1), Ordering::Relaxed);
    }

    pub(super) fn look(&self, began: Instant) -> Metrics {
        let get = |from: &AtomicU64| from.load(Ordering::Relaxed);
        let now_us = began.elapsed().as_micros() as u64;
        let oldest = match get(&self.oldest) {
            0 => Duration::ZERO,
            since => Duration::from_micros(now_us.saturating_sub(since - 1)),
        };
        Metrics {
            records: get(&self.records),
            bytes: get(&self.bytes),
            calls: get(&self.calls),
            retries: get(&self.retries),
            throttles: get(&self.throttles),
            failed_calls: get(&self.failed_calls),
            too_large: get(&self.too_large),
            refused: get(&self.refused),
            waiting_records: get(&self.waiting_records),
            waiting_bytes: get(&self.waiting_bytes),
            oldest,
        }
    }
}
