//! The service's limits and our own patience, each with its reason. Those that a deployment chooses are settings.

use std::time::Duration;

/// Reads a second of one shard, shared by all polling consumers of the stream.
pub const CALLS_PER_SECOND: f64 = 5.0;
/// Bytes a second of one shard, shared the same way.
pub const BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;
/// Records that one read may ask for.
pub const RECORDS_PER_CALL: i32 = 10_000;
/// Bytes of raw records that wait for the engine, each shard. One answer (10 MiB) may come on top of it.
pub const BUFFER_BYTES: u64 = 16 * 1024 * 1024;
/// Records that wait for the engine, each shard.
pub const BUFFER_RECORDS: usize = 20_000;
/// How long a subscription lasts: the service ends it after 5 minutes, and we ask anew before that.
pub const SUBSCRIPTION: Duration = Duration::from_secs(290);
/// Silence after which a subscription is held to be dead: the service sends an event about every 5 s even where nothing is put.
pub const HEARTBEAT: Duration = Duration::from_secs(20);
/// The longest a call may take, its answer of up to 10 MiB included. The SDK alone would wait for ever.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest pause between two tries, and the longest first one.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two reads of a shard that gives nothing. A quiet shard is still read this often.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(1);
/// Subscriptions that fail one after the other before a shard is polled instead.
pub(crate) const FAN_OUT_FAILURES_MAX: u32 = 6;
/// How long a shard is polled before a subscription is tried again. Arbitrary.
pub(crate) const POLLED_INSTEAD: Duration = Duration::from_mins(1);
/// How often trouble of one shard that lasts is told. Arbitrary: seen by whoever looks, and no flood.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(10);
/// How long the service may stay away before the source is opened at all; afterwards it is waited for without end.
pub(crate) const OPEN_PATIENCE: Duration = Duration::from_mins(1);
/// How often a reader tells that it is not behind. Arbitrary: far more often than it is written down.
pub(crate) const QUIET_EVERY_MS: i64 = 60_000;
/// How far the clock here may be from the service's. Arbitrary: more than machines with a time service differ.
pub(crate) const CLOCKS_DIFFER_MS: i64 = 60_000;
