//! Where records come from.
//!
//! **source** -> engine
//!
//! Holds for every source (`contract` proves it): records come in the order of their partition, each exactly
//! once, whatever the limits of a read; `End` is final and brings no record; after trouble no record is
//! yielded that was not whole. Not here: what a record means.

pub(crate) mod block;
mod columns;
pub(crate) mod csv;
pub mod files;
pub(crate) mod format;
mod lines;
mod meter;
pub(crate) mod parquet;
pub mod stdin;

pub use columns::{Mapped, MappedPath};
pub use meter::Meter;

use crate::Trouble;
use cartguard_engine::record::Records;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At least one record was taken; there may be more.
    More,
    /// Nothing is there now; it was waited for a moment. Ask again.
    Idle,
    /// Nothing is there and nothing will come. No record was taken.
    End,
}

/// How far a source was taken: everything before this place was yielded, nothing at or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Index into [`Source::partitions`].
    pub partition: u32,
    /// Line or row number (from 1) of the next record.
    pub line: u64,
    /// Byte offset of the next record in its (decompressed) file, 0 where there is none.
    pub offset: u64,
}

/// Yields records in batches.
pub trait Source: Send {
    /// The names of the partitions (files, shards), which a record's `partition` points into.
    fn partitions(&self) -> &[String];

    /// Empties `into` and fills it with what is there: at least one record, at most `max_records`, at most
    /// `max_bytes` bytes of records (one longer record may come alone). Does not wait to fill it.
    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble>;

    /// How far it was taken.
    fn position(&self) -> Position;
}
