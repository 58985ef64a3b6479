//! Kinesis Data Streams in and out.
//!
//! stream -> **source** -> engine -> **sink** -> streams
//!
//! Not here: what a record means (engine), which shard waits for which (`cartguard_history::lineage`).

pub mod client;
pub mod sink;

pub use client::{ClientSettings, connect};
pub use sink::{KinesisSink, SinkSettings};
