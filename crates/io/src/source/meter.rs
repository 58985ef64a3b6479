//! How much of the input is done, for a progress bar on another thread.
//!
//! files -> **meter** -> the terminal
//!
//! Holds: both numbers count bytes as they lie on disk (compressed); done never falls. Not here: drawing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes done and bytes in all; clones show the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// Bytes read so far.
    pub fn done(&self) -> u64 {
        // Relaxed here and below: a number to look at publishes nothing.
        self.0.done.load(Relaxed)
    }

    /// Bytes to read in all; a pipe counts as what was read of it.
    pub fn total(&self) -> u64 {
        self.0.total.load(Relaxed).max(self.done())
    }

    pub(crate) fn expect(&self, bytes: u64) {
        self.0.total.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Relaxed);
    }
}
