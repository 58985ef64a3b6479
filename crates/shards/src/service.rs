//! What a source asks of whoever has the stream.
//!
//! **service** -> source

use crate::metrics::ShardMetrics;
use cartguard_history::lineage::Shard;
use cartguard_history::{SequenceNumber, Start};
use cartguard_io::Trouble;
use prost::bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A stream, read on behalf of a source.
///
/// Holds: the records of a shard come once and in its order from where its reading began, whatever the service repeats; only the
/// service's own word ends a shard; what passes is waited out.
pub trait Service: Send {
    /// What makes it this stream: another one of the same name has another.
    fn identity(&self) -> String;

    /// Records that arrived before this time may be gone, ms UTC.
    fn kept_since_ms(&self) -> i64;

    /// Now, by the clock that also says that, ms UTC.
    fn now_ms(&self) -> i64;

    /// Begins to read a shard; what comes of it are events of this reading.
    fn read(&mut self, order: Order) -> Arc<dyn Room>;

    /// Ends that, if it is not over.
    fn close(&mut self, reading: u64);

    /// Lists all shards, after a pause that grows until it `is_first` again; comes as an event.
    fn list(&mut self, is_first: bool);

    /// What shards have from these places on, in the same order. Waited for until `is_over`, which is trouble with that advice.
    fn kept(&mut self, places: Vec<(String, From)>, is_over: &dyn Fn() -> bool)
    -> Result<Vec<Kept>, Trouble>;

    /// The next event; waited for as long as that if there is none.
    fn next(&mut self, patience: Duration) -> Option<Event>;

    /// Tells a person.
    fn say(&self, what: &str);
}

/// A shard to be read.
#[derive(Clone, Debug)]
pub struct Order {
    pub shard: String,
    /// Its number; a shard that is read anew has another, so that what was sent before is told from it.
    pub reading: u64,
    pub from: From,
    pub metrics: Arc<ShardMetrics>,
}

/// Where a shard is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    Oldest,
    /// What arrived at this time or later, ms UTC.
    Time(i64),
    At(SequenceNumber),
    After(SequenceNumber),
}

/// What a service tells.
#[derive(Debug)]
pub enum Event {
    /// Records of a shard, and their bytes as they take room.
    Records {
        reading: u64,
        records: Vec<Raw>,
        bytes: u64,
    },
    /// Everything of the shard was handed on that arrived before this time, ms UTC.
    Quiet {
        reading: u64,
        at_ms: i64,
    },
    /// Retention took records behind the last one that was handed on; the reading is over. The next record there is.
    Lost {
        reading: u64,
        next: Option<SequenceNumber>,
    },
    /// Everything of the shard was handed on, and nothing will come.
    End {
        reading: u64,
    },
    /// The stream is the same, and does not know the shard.
    Gone {
        reading: u64,
    },
    Listed(Vec<Shard>),
    Fatal(Trouble),
}

/// A record as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub number: SequenceNumber,
    /// ms UTC; the distant past where the service does not say.
    pub arrival_ms: i64,
    pub data: Bytes,
}

/// What a shard has at a place and behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The record itself.
    It,
    /// The next one.
    Next(SequenceNumber),
    /// Nothing, for now or for ever.
    Nothing,
}

/// Room for what was received and not taken.
pub trait Room: Send + Sync {
    /// Records were taken.
    fn leave(&self, bytes: u64, records: usize);
}

impl std::convert::From<Start> for From {
    fn from(start: Start) -> Self {
        match start {
            Start::Oldest => Self::Oldest,
            Start::At(ms) => Self::Time(ms),
        }
    }
}
