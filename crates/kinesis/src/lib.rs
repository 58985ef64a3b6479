//! Kinesis Data Streams in and out.
//!
//! stream -> **source** -> engine -> **sink** -> streams
//!
//! Not here: what a record means (engine), which shard waits for which (`cartguard_history::lineage`).

pub mod aggregate;
pub mod backoff;
pub mod client;
mod fan_out;
pub mod fault;
mod gate;
mod kept;
pub mod limits;
pub mod metrics;
pub mod payload;
mod polling;
mod queue;
mod reader;
pub mod runtime;
pub mod settings;
pub mod source;
pub mod stream;

pub use settings::{Access, Begin, Limits, Mode, Settings, Voice};
pub use source::KinesisSource;
