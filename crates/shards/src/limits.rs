//! Bounds on what a stream may hold, each with its reason.

use std::time::Duration;

/// Records in one KPL aggregate. The library's own bound is far below; one record of 10 MiB could hold two million empty ones.
pub(crate) const AGGREGATE_RECORDS_MAX: usize = 1 << 20;
/// How many times its size a compressed payload may have: JSON compresses to a tenth, seldom to a fiftieth.
pub(crate) const COMPRESSION_RATIO_MAX: usize = 1_000;
/// Compressed payloads may become this large whatever their ratio: a short text of one letter is no attack.
pub(crate) const COMPRESSION_FREE_BYTES: usize = 64 * 1024;
/// How long a read waits where nothing is there: soon enough for a signal.
pub(crate) const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How often at most it is written down that a shard has nothing more: a small part of the shortest retention, 24 h.
pub(crate) const QUIET_TOLD_EVERY_MS: i64 = 3_600_000;
/// How far the clock here may be from the service's. Arbitrary: more than machines with a time service differ.
pub(crate) const CLOCKS_DIFFER_MS: i64 = 60_000;
