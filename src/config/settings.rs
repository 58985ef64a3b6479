//! The sections that are plain numbers and words.

use super::Relative;
use cartguard_engine::batch::{
    BATCH_RECORDS_MAX, DedupeSettings, OutputFeatures, OutputSettings, ReasonSettings, StateSettings,
};
use cartguard_engine::document::Reader;
use cartguard_engine::limits::{DISTINCT_VALUES_MAX, REASONS_MAX, WORKERS_MAX};
use cartguard_io::Level;
use cartguard_recovery as recovery;
use std::path::PathBuf;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Shards at most: a shard index has 16 bits, and more bring nothing.
const SHARDS_MAX: i64 = 4_096;
/// Entries that a key keeps at most; the plan may allow fewer (`cartguard check`).
const ENTRIES_MAX: i64 = 1 << 24;
/// Batches in a queue at most. Arbitrary: a queue that is longer hides that its reader is too slow.
const QUEUE_MAX: i64 = 4_096;

/// `[time]`
pub(super) struct Time {
    pub(super) skew_ms: i64,
    pub(super) lateness_ms: i64,
}

/// `[engine]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    /// Threads of the engine; 0: one a core, found out by who starts them.
    pub(crate) workers: usize,
    /// Records taken at once at most.
    pub(crate) batch_max: usize,
    pub(crate) idle: Idle,
}

/// What a thread does that has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Sleeps.
    Park,
    /// Stays awake, on a core of its own.
    Spin,
}

/// `[queue]`, in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

/// `[history]`: nothing without a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) folder: PathBuf,
    pub(crate) pipeline: String,
    pub(crate) level: Level,
}

#[expect(clippy::option_option, reason = "faulty, none, or a history")]
pub(super) fn history(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Option<History>> {
    let folder = at.path(table, "folder");
    let pipeline = table.text("pipeline");
    let level = table.one_of("level", &["process", "host"]);
    if pipeline.as_deref() == Some("") {
        table.fault("pipeline", "is empty; a name such as \"checkout\"");
    }
    let (pipeline, level) = (pipeline?, [Level::Process, Level::Host][level?]);
    Some(folder?.map(|folder| History { folder, pipeline, level }))
}

/// `[admin]`, `[log]` and `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operations {
    /// None: beside the history, if there is one.
    pub(crate) socket: Option<PathBuf>,
    /// None: no lines.
    pub(crate) log_every: Option<Duration>,
    pub(crate) stall: Duration,
    pub(crate) abort: bool,
}

pub(super) fn log(table: &mut Reader<'_>) -> Option<u64> {
    table.duration("every", 0..=DAY_MS).map(|ms| ms as u64)
}

pub(super) fn watchdog(table: &mut Reader<'_>) -> Option<(Duration, bool)> {
    let after_ms = table.duration("after", 1_000..=DAY_MS);
    let abort = table.truth("abort");
    Some((Duration::from_millis(after_ms? as u64), abort?))
}

/// `[snapshot]`
pub(super) fn snapshot(table: &mut Reader<'_>) -> Option<recovery::Settings> {
    let every_ms = table.duration("every", 1..=7 * DAY_MS);
    let every_records = table.integer("every_records", 0..=i64::MAX);
    let keep = table.integer("keep", 1..=1_000);
    Some(recovery::Settings {
        every: Duration::from_millis(every_ms? as u64),
        every_records: every_records.map(|records| (records > 0).then_some(records as u64))?,
        keep: keep? as usize,
        by: recovery::By::Threads,
        no_room_pause: recovery::Settings::NO_ROOM_PAUSE,
    })
}

pub(super) fn time(table: &mut Reader<'_>) -> Option<Time> {
    let skew_ms = table.duration("skew", 0..=DAY_MS);
    let lateness_ms = table.duration("lateness", 0..=90 * DAY_MS);
    Some(Time { skew_ms: skew_ms?, lateness_ms: lateness_ms? })
}

pub(super) fn dedupe(table: &mut Reader<'_>) -> Option<DedupeSettings> {
    let span_ms = table.duration("span", 0..=400 * DAY_MS);
    // 64 KiB: 32 ids a shard.
    let memory_bytes = table.size("memory", 1 << 16..=1 << 44);
    Some(DedupeSettings { span_ms: span_ms?, memory_bytes: memory_bytes? })
}

/// `lateness_ms` is filled in from `[time]`.
pub(super) fn state(table: &mut Reader<'_>) -> Option<StateSettings> {
    let shards = table.integer("shards", 1..=SHARDS_MAX);
    let memory_bytes = table.size("memory", 1 << 20..=1 << 44);
    let entries_per_key = table.integer("entries_per_key", 16..=ENTRIES_MAX);
    let forget_after_ms = table.duration("forget_after", MINUTE_MS..=36_500 * DAY_MS);
    let sweep_every = table.integer("sweep_every", 1..=i64::MAX);
    table.integer("hash_seed", 0..=i64::MAX)?;
    Some(StateSettings {
        shards: shards? as usize,
        memory_bytes: memory_bytes?,
        entries_per_key: entries_per_key? as usize,
        values_per_key: DISTINCT_VALUES_MAX,
        forget_after_ms: forget_after_ms?,
        sweep_every: sweep_every? as u64,
        lateness_ms: 0,
    })
}

pub(super) fn engine(table: &mut Reader<'_>) -> Option<Engine> {
    let workers = table.integer("workers", 0..=WORKERS_MAX as i64);
    let batch_max = table.integer("batch_max", 1..=BATCH_RECORDS_MAX as i64);
    let idle = table.one_of("idle", &["park", "spin"]);
    let idle = if idle? == 0 { Idle::Park } else { Idle::Spin };
    Some(Engine { workers: workers? as usize, batch_max: batch_max? as usize, idle })
}

pub(super) fn output(table: &mut Reader<'_>) -> Option<OutputSettings> {
    let features = table.one_of("features", &["all", "model", "none"]);
    let features_as = table.one_of("features_as", &["object", "array"]);
    let features = [OutputFeatures::All, OutputFeatures::Model, OutputFeatures::None][features?];
    Some(OutputSettings { features, as_array: features_as? == 1, event: true })
}

pub(super) fn reasons(table: &mut Reader<'_>) -> Option<ReasonSettings> {
    let top = table.integer("top", 0..=REASONS_MAX as i64);
    let max_share = table.number("max_share", 0.0..=1.0);
    Some(ReasonSettings { top: top? as usize, max_share: max_share? })
}

pub(super) fn queue(table: &mut Reader<'_>) -> Option<Queue> {
    let input = table.integer("input", 1..=QUEUE_MAX);
    let output = table.integer("output", 1..=QUEUE_MAX);
    Some(Queue { input: input? as usize, output: output? as usize })
}
