//! Kinesis Data Streams in and out.
//!
//! stream -> **source** -> engine -> **sink** -> streams
//!
//! Not here: what a record means (engine), which shard waits for which (`cartguard_history::lineage`).

pub mod client;
pub mod fault;
pub mod limits;
pub mod metrics;
pub mod runtime;
pub mod settings;
pub mod stream;

pub mod source;

pub mod aggregate;
pub mod backoff;
pub mod payload;

mod fan_out;
mod gate;
mod kept;
mod polling;
mod queue;
mod reader;

pub mod sink;

pub use client::{ClientSettings, connect};
pub use settings::{Begin, Limits, Mode, Settings, Voice};
pub use sink::{KinesisSink, SinkSettings};
pub use source::KinesisSource;
