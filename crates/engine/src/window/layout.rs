//! What the words of a history mean, for one entity kind.
//!
//! plan -> **layout** -> history
//!
//! A small history (up to [`SMALL_MAX`] entries) is one block: heads of the distinct columns, then the entries by column.
//! A big one is a directory block (heads, then one summary a chunk) and chunks of up to [`CHUNK_ROWS`] rows. Chunks of
//! spans come before chunks of entries. All columns of a block have room for the same number of rows:
//! `[time × rows][column 0 × rows] … [extra × rows]`.
//!
//! An entry's extra words hold, 16 bits each, its place in the dictionary of each distinct column, then one bit a condition.

use crate::limits;
use crate::window::arena::BLOCK_WORDS_MAX;

/// Entries of a history that is one block.
pub(crate) const SMALL_MAX: usize = 32;
/// Rows of a chunk.
pub(crate) const CHUNK_ROWS: usize = 32;
/// An entry without a value in a distinct column.
pub(crate) const NO_VALUE: u16 = u16::MAX;

/// Words of a distinct column's head: its dictionary, and the newest time that found no place in it.
pub(crate) const HEAD_WORDS: usize = 2;

/// Words of a span before its columns: last time, first time, number of events.
pub(crate) const SPAN_FIXED: usize = 3;
/// Words of a span's column: n, sum (2), sum of squares (2), min, max.
pub(crate) const SPAN_COLUMN: usize = 7;

/// Words of a chunk's summary before its columns: handle and rows, last time, events.
pub(crate) const SUMMARY_FIXED: usize = 3;
/// Words of a summary's column: as a span's.
pub(crate) const SUMMARY_COLUMN: usize = SPAN_COLUMN;

/// What of a numeric column is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct ColumnUse {
    /// Its value can be missing.
    pub(crate) nullable: bool,
    pub(crate) squares: bool,
    pub(crate) extremes: bool,
}

/// The layout of an entity kind's histories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<ColumnUse>,
    pub(crate) distincts: usize,
    pub(crate) conditions: usize,
    /// H of each distinct column, ms.
    pub(crate) value_horizons_ms: Vec<i64>,
}

impl Layout {
    /// Words of all distinct heads.
    pub(crate) fn heads(&self) -> usize {
        self.distincts * HEAD_WORDS
    }

    /// Extra words of an entry.
    pub(crate) fn extras(&self) -> usize {
        (self.distincts * 16 + self.conditions).div_ceil(64)
    }

    /// Words of an entry.
    pub(crate) fn entry_words(&self) -> usize {
        1 + self.columns.len() + self.extras()
    }

    /// Words of a span.
    pub(crate) fn span_words(&self) -> usize {
        SPAN_FIXED + self.columns.len() * SPAN_COLUMN + self.conditions
    }

    /// Words of a chunk's summary in the directory.
    pub(crate) fn summary_words(&self) -> usize {
        SUMMARY_FIXED + self.columns.len() * SUMMARY_COLUMN + self.conditions
    }

    /// Words of a small block with room for `rows` entries.
    pub(crate) fn small_words(&self, rows: usize) -> usize {
        (self.heads() + rows * self.entry_words()).max(1)
    }

    /// Words of a directory with room for `chunks` summaries.
    pub(crate) fn directory_words(&self, chunks: usize) -> usize {
        self.heads() + chunks * self.summary_words()
    }

    /// Chunks that a directory can hold.
    pub(crate) fn chunks_max(&self) -> usize {
        (BLOCK_WORDS_MAX - self.heads()) / self.summary_words()
    }

    /// Word and shift of a distinct column's place in an entry's extras.
    pub(crate) fn value_place(distinct: usize) -> (usize, usize) {
        (distinct * 16 / 64, distinct * 16 % 64)
    }

    /// Word and shift of a condition's bit in an entry's extras.
    pub(crate) fn condition_place(&self, condition: usize) -> (usize, usize) {
        let bit = self.distincts * 16 + condition;
        (bit / 64, bit % 64)
    }

    /// Bytes that a key counts for in the memory formula: slot, table place, block and heads.
    pub(crate) fn key_bytes(&self) -> u64 {
        96 + 8 * self.heads() as u64
    }

    /// Bytes that an entry counts for: its words and a fifth for room to grow.
    pub(crate) fn entry_bytes(&self) -> u64 {
        (self.entry_words() as u64 * 8 * 6).div_ceil(5)
    }

    /// Bytes that a span counts for.
    pub(crate) fn span_bytes(&self) -> u64 {
        (self.span_words() as u64 * 8 * 6).div_ceil(5)
    }

    /// Bytes that a distinct value counts for.
    pub(crate) const VALUE_BYTES: u64 = 24;
}

/// Room for `rows` entries in a small block: the next step that holds them.
pub(crate) fn small_room(rows: usize) -> usize {
    const STEPS: [usize; 9] = [1, 2, 4, 6, 8, 12, 16, 24, SMALL_MAX];
    STEPS.into_iter().find(|&step| step >= rows).unwrap_or(SMALL_MAX)
}

/// Room for `chunks` summaries in a directory.
pub(crate) fn directory_room(chunks: usize, layout: &Layout) -> usize {
    let room = chunks.next_power_of_two().max(4);
    // Past 64 chunks, grow by a quarter: a directory is copied once in many chunks anyway.
    let room = if room > 64 { chunks + chunks.div_ceil(4) } else { room };
    room.min(layout.chunks_max()).max(chunks)
}

const _: () = assert!(limits::DISTINCT_VALUES_MAX < NO_VALUE as usize);
