//! The bound on what waits for the engine, one gate a shard.
//!
//! readers (async) -> **gate** -> source (blocking)

use cartguard_shards::Room;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Counts what is inside; one batch may go in while there is room, and be larger than it.
#[derive(Debug)]
pub(crate) struct Gate {
    bytes_max: u64,
    records_max: usize,
    /// Bytes and records inside.
    inside: Mutex<(u64, usize)>,
    /// Says that something left.
    left: Notify,
}

impl Gate {
    pub(crate) fn new(bytes_max: u64, records_max: usize) -> Self {
        Self { bytes_max, records_max, inside: Mutex::default(), left: Notify::new() }
    }

    /// Waits until there is room.
    pub(crate) async fn room(&self) {
        while !self.has_room() {
            // One waits at most, the shard's own reader; `notify_one` keeps a notice that comes before it waits.
            self.left.notified().await;
        }
    }

    pub(crate) fn enter(&self, bytes: u64, records: usize) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        *inside = (inside.0 + bytes, inside.1 + records);
    }

    fn has_room(&self) -> bool {
        let (bytes, records) = *self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        bytes < self.bytes_max && records < self.records_max
    }
}

impl Room for Gate {
    fn leave(&self, bytes: u64, records: usize) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        *inside = (inside.0 - bytes, inside.1 - records);
        drop(inside);
        self.left.notify_one();
    }
}
