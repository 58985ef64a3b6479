//! What a source and a sink of a sharded stream decide, without the service that has the stream.
//!
//! service -> `queue` (`aggregate`, `payload`) -> **source** -> engine -> **lane** -> service
//!
//! Kinesis with its SDK is one [`Service`] (`crates/kinesis`), a simulated stream another (`crates/sim`), so that what decides about
//! lineage, places, gaps, order and acknowledgements is the same code under both.
//!
//! Not here: calls, clocks, threads; which shard waits for which (`cartguard_history::lineage`).

pub mod aggregate;
pub mod lane;
mod limits;
mod metrics;
pub mod payload;
mod queue;
mod service;
mod source;

pub use metrics::{Metrics, Mode, ShardMetrics, ShardStatus};
pub use service::{Event, From, Kept, Order, Raw, Room, Service};
pub use source::{Settings, ShardSource};
