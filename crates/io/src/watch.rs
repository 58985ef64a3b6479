//! What sources and sinks tell of themselves while they run.
//!
//! source, sink -> **watch** -> whoever asks, on any thread
//!
//! Holds: to ask waits for nobody; counts only grow, from the start of the process.

use std::sync::Arc;

/// One partition of a source, such as a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionFigures {
    pub name: String,
    /// How far it is behind its newest record, as the upstream says.
    pub lag_ms: i64,
    /// Received of the upstream.
    pub records: u64,
    pub bytes: u64,
    /// Reads that were refused because too much is read.
    pub throttles: u64,
    /// Connections made anew.
    pub reconnects: u64,
    /// Records that belong to another partition, and were kept.
    pub outside: u64,
    /// How it is read, in a word.
    pub mode: &'static str,
    pub is_ended: bool,
}

/// One list of lines of a sink, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFigures {
    /// "decision", "alert" or "reject".
    pub output: &'static str,
    /// Acknowledged.
    pub records: u64,
    pub bytes: u64,
    pub calls: u64,
    /// Records sent again.
    pub retries: u64,
    pub throttles: u64,
    /// Calls refused as a whole or not answered.
    pub failed_calls: u64,
    /// Records that became rejects: too large, or refused alone.
    pub refused: u64,
    /// Not acknowledged.
    pub waiting_records: u64,
    pub waiting_bytes: u64,
    /// Age of the oldest of them.
    pub oldest_ms: u64,
}

/// Asks a source.
pub type WatchPartitions = Arc<dyn Fn() -> Vec<PartitionFigures> + Send + Sync>;
/// Asks a sink.
pub type WatchStreams = Arc<dyn Fn() -> Vec<StreamFigures> + Send + Sync>;
