//! What a source tells of its shards, readable from any thread.

use cartguard_io::PartitionFigures;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How a shard is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `GetRecords`: shared limits, some 200 ms of delay.
    Polling,
    /// `SubscribeToShard`: limits of its own, some 70 ms.
    FanOut,
}

/// One shard. Counters only grow; they count from the start of the process.
#[derive(Debug, Default)]
pub struct ShardMetrics {
    lag_ms: AtomicI64,
    records: AtomicU64,
    bytes: AtomicU64,
    throttles: AtomicU64,
    reconnects: AtomicU64,
    outside: AtomicU64,
    is_fan_out: AtomicBool,
    is_ended: AtomicBool,
}

/// One shard at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStatus {
    pub shard: String,
    /// How far it is behind the newest record, as the service says.
    pub lag_ms: i64,
    /// Raw records received; an aggregate is one.
    pub records: u64,
    pub bytes: u64,
    pub throttles: u64,
    /// Iterators got anew, subscriptions made anew.
    pub reconnects: u64,
    /// Parts of aggregates whose key is another shard's.
    pub outside: u64,
    pub mode: Mode,
    pub is_ended: bool,
}

/// In the order opened.
type Named = Vec<(String, Arc<ShardMetrics>)>;

/// All shards of a source.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Guards the list alone; the figures are their own.
    shards: Arc<Mutex<Named>>,
}

// Figures for people: no other data is published by them, so the weakest ordering does.
const ORDER: Ordering = Ordering::Relaxed;

impl ShardMetrics {
    pub fn took(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, ORDER);
        self.bytes.fetch_add(bytes, ORDER);
    }

    pub fn lag(&self, ms: i64) {
        self.lag_ms.store(ms, ORDER);
    }

    pub fn throttled(&self) {
        self.throttles.fetch_add(1, ORDER);
    }

    pub fn reconnected(&self) {
        self.reconnects.fetch_add(1, ORDER);
    }

    pub fn strangers(&self, parts: u64) {
        self.outside.fetch_add(parts, ORDER);
    }

    pub fn reads_by(&self, mode: Mode) {
        self.is_fan_out.store(mode == Mode::FanOut, ORDER);
    }

    pub fn ended(&self) {
        self.lag_ms.store(0, ORDER);
        self.is_ended.store(true, ORDER);
    }

    fn status(&self, shard: &str) -> ShardStatus {
        ShardStatus {
            shard: shard.to_owned(),
            lag_ms: self.lag_ms.load(ORDER),
            records: self.records.load(ORDER),
            bytes: self.bytes.load(ORDER),
            throttles: self.throttles.load(ORDER),
            reconnects: self.reconnects.load(ORDER),
            outside: self.outside.load(ORDER),
            mode: if self.is_fan_out.load(ORDER) { Mode::FanOut } else { Mode::Polling },
            is_ended: self.is_ended.load(ORDER),
        }
    }
}

impl ShardStatus {
    /// The same in the words of every source.
    pub(crate) fn into_figures(self) -> PartitionFigures {
        PartitionFigures {
            name: self.shard,
            lag_ms: self.lag_ms,
            records: self.records,
            bytes: self.bytes,
            throttles: self.throttles,
            reconnects: self.reconnects,
            outside: self.outside,
            mode: self.mode.name(),
            is_ended: self.is_ended,
        }
    }
}

impl Mode {
    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::FanOut => "fan-out",
        }
    }
}

impl Metrics {
    /// The figures of a shard, made where it is new.
    pub fn of(&self, shard: &str) -> Arc<ShardMetrics> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, metrics)) = shards.iter().find(|(name, _)| name == shard) {
            return metrics.clone();
        }
        let metrics = Arc::new(ShardMetrics::default());
        shards.push((shard.to_owned(), metrics.clone()));
        metrics
    }

    /// Every shard that was read, in the order opened.
    pub fn shards(&self) -> Vec<ShardStatus> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|(name, metrics)| metrics.status(name)).collect()
    }
}
