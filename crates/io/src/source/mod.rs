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
mod ended;
pub mod files;
pub(crate) mod format;
mod growing;
mod labelled;
mod lines;
mod meter;
pub(crate) mod parquet;
pub mod stdin;

pub use columns::{Mapped, MappedPath};
pub use labelled::Labelled;
pub use meter::Meter;

use crate::{Trouble, WatchPartitions};
use cartguard_engine::record::Records;
use cartguard_history::{Change, Partitions, Run};

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

    /// What happened to the partitions, in order, before the records of the last read; taken by asking. A read may bring changes and
    /// no record: it is then [`Read::Idle`].
    fn changes(&mut self) -> Vec<Change> {
        Vec::new()
    }

    /// Figures of its partitions, for any thread; none where there is nothing to tell.
    fn watch(&self) -> Option<WatchPartitions> {
        None
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn partitions(&self) -> &[String] {
        (**self).partitions()
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        (**self).read(into, max_bytes, max_records)
    }

    fn position(&self) -> Position {
        (**self).position()
    }

    fn changes(&mut self) -> Vec<Change> {
        (**self).changes()
    }

    fn watch(&self) -> Option<WatchPartitions> {
        (**self).watch()
    }
}

impl<S: Replayable + ?Sized> Replayable for Box<S> {
    fn identity(&self) -> String {
        (**self).identity()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        (**self).resume(taken)
    }

    fn take(&mut self, run: &Run, into: &mut Records, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        (**self).take(run, into, is_over)
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        (**self).apply(change)
    }

    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        (**self).go_on(is_over)
    }
}

/// A source whose records can be read again: what recovery needs.
///
/// Its life: opened, then [`Replayable::resume`] once, then [`Replayable::take`] and [`Replayable::apply`] for everything that the
/// order log has behind the snapshot, then [`Replayable::go_on`] once, then [`Source::read`] for what is new.
pub trait Replayable: Source {
    /// What must be the same when it is opened again: the paths of files, a stream's ARN and its time of creation.
    fn identity(&self) -> String;

    /// Goes on behind what was taken, before anything is read. With no partitions it begins as configured, and its first reads tell of
    /// every partition by [`Source::changes`].
    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble>;

    /// Empties `into` and fills it with exactly the records of a run that was taken before; waits for them until `is_over`, which is
    /// trouble with that advice. Trouble where the partition has other records there than then.
    fn take(&mut self, run: &Run, into: &mut Records, is_over: &dyn Fn() -> bool) -> Result<(), Trouble>;

    /// A change as it was logged, at its place between the runs. The source does not tell of it again.
    fn apply(&mut self, change: &Change) -> Result<(), Trouble>;

    /// Everything that was taken before was taken again. Trouble where records behind a place are no longer there, naming partition and
    /// range, unless gaps are accepted; waits as `take` does.
    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble>;
}
