//! Kinesis Data Streams in and out.
//!
//! stream -> **source** -> engine -> **sink** -> streams
//!
//! Not here: what a record means (engine), which shard waits for which (`cartguard_history::lineage`), what a source and a sink of
//! shards decide (`cartguard_shards`).

pub mod client;
pub mod fault;
pub mod limits;
pub mod runtime;
pub mod settings;
pub mod stream;

mod source;

pub mod backoff;

mod fan_out;
mod gate;
mod kept;
mod polling;
mod reader;

pub mod sink;

pub use cartguard_shards::Mode;
pub use client::{ClientSettings, connect};
pub use settings::{Begin, Limits, Settings, Voice};
pub use sink::{KinesisSink, SinkSettings};
pub use source::{KinesisService, KinesisSource, open, open_with};
