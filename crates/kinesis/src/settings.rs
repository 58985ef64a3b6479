//! What a deployment chooses of the source.

use crate::client::ClientSettings;
use crate::limits;
use cartguard_shards::Mode;
use std::sync::Arc;
use std::time::Duration;

/// Hears what a person should know; one line, without a line end.
pub type Voice = Arc<dyn Fn(&str) + Send + Sync>;

/// Where a stream that was never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// `TRIM_HORIZON`: with the oldest record there is.
    Oldest,
    /// `LATEST`: with what arrives from now on.
    Latest,
    /// `AT_TIMESTAMP`: with what arrived at this time or later, ms UTC.
    At(i64),
}

/// How fast and how far ahead is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Reads a second of a shard.
    pub calls_per_second: f64,
    /// Bytes a second of a shard.
    pub bytes_per_second: u64,
    /// Records that a read asks for.
    pub records_per_call: i32,
    /// What waits for the engine, each shard.
    pub buffer_bytes: u64,
    pub buffer_records: usize,
    /// How long a subscription lasts.
    pub subscription: Duration,
    /// Silence after which a subscription is dead.
    pub heartbeat: Duration,
    /// The longest a call may take.
    pub call_timeout: Duration,
    /// The longest pause between two tries.
    pub backoff_max: Duration,
}

/// A Kinesis source.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub access: ClientSettings,
    /// Name or ARN of the stream.
    pub stream: String,
    pub mode: Mode,
    /// Name of the fan-out consumer; registered where it is absent.
    pub consumer: String,
    pub begin: Begin,
    /// Whether to go on without records that retention took.
    pub accept_gap: bool,
    pub limits: Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: limits::CALLS_PER_SECOND,
            bytes_per_second: limits::BYTES_PER_SECOND,
            records_per_call: limits::RECORDS_PER_CALL,
            buffer_bytes: limits::BUFFER_BYTES,
            buffer_records: limits::BUFFER_RECORDS,
            subscription: limits::SUBSCRIPTION,
            heartbeat: limits::HEARTBEAT,
            call_timeout: limits::CALL_TIMEOUT,
            backoff_max: limits::BACKOFF_MAX,
        }
    }
}
