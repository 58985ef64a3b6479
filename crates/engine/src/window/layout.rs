//! What the words of a history mean, for one entity kind.
//!
//! plan -> **layout** -> history
//!
//! A small history (up to [`SMALL_MAX`] entries) is one block: heads of the distinct columns, then the entries by column.
//! A big one is a directory block (heads, the windows that slide over it, then one summary a chunk) and chunks of up to
//! [`CHUNK_ROWS`] rows. Chunks of spans come before chunks of entries. All columns of a block have room for the same number of
//! rows: `[time × rows][column 0 × rows] … [extra × rows]`.
//!
//! An entry's extra words hold, 16 bits each, its place in the dictionary of each distinct column, then one bit a condition; the last of
//! them, where entries are found again, the sequence number of its event.

use crate::event::MISSING;
use crate::limits;
use crate::window::arena::BLOCK_WORDS_MAX;
use crate::window::sliding::SlidingLayout;
use crate::window::totals::ColumnTotals;

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

/// What of a numeric column is asked for, and so is kept of a range of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four totals, each kept or not")]
pub(crate) struct ColumnUse {
    /// Its value can be missing, so that values are counted apart from events.
    pub(crate) nullable: bool,
    pub(crate) squares: bool,
    pub(crate) minimum: bool,
    pub(crate) maximum: bool,
}

impl ColumnUse {
    /// What either asks for.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            nullable: self.nullable || other.nullable,
            squares: self.squares || other.squares,
            minimum: self.minimum || other.minimum,
            maximum: self.maximum || other.maximum,
        }
    }

    /// Words of the kept totals: n where nullable, sum (2), squares (2), min, max where used.
    #[inline]
    pub(crate) fn words(self) -> usize {
        2 + usize::from(self.nullable)
            + 2 * usize::from(self.squares)
            + usize::from(self.minimum)
            + usize::from(self.maximum)
    }

    /// The totals of a range of `events`; what is not kept stays as [`ColumnTotals::NOTHING`] has it.
    #[inline]
    pub(crate) fn load(self, words: &[u64], events: u64) -> ColumnTotals {
        let mut at = usize::from(self.nullable);
        let n = if self.nullable { words[0] } else { events };
        let mut totals = ColumnTotals { n, sum: wide(words, at), ..ColumnTotals::NOTHING };
        at += 2;
        if self.squares {
            totals.squares = wide(words, at);
            at += 2;
        }
        if self.minimum {
            totals.min = words[at] as i64;
            at += 1;
        }
        if self.maximum {
            totals.max = words[at] as i64;
        }
        totals
    }

    /// Writes what is kept of the totals.
    #[inline]
    pub(crate) fn store(self, totals: &ColumnTotals, words: &mut [u64]) {
        let mut at = usize::from(self.nullable);
        if self.nullable {
            words[0] = totals.n;
        }
        set_wide(words, at, totals.sum);
        at += 2;
        if self.squares {
            set_wide(words, at, totals.squares);
            at += 2;
        }
        if self.minimum {
            words[at] = totals.min as u64;
            at += 1;
        }
        if self.maximum {
            words[at] = totals.max as u64;
        }
    }

    /// Adds one value to the kept totals; whether the sum of squares met its bound.
    #[inline]
    pub(crate) fn add_value(self, value: i64, words: &mut [u64]) -> bool {
        if value == MISSING {
            return false;
        }
        let mut at = usize::from(self.nullable);
        if self.nullable {
            words[0] += 1;
        }
        set_wide(words, at, wide(words, at) + i128::from(value));
        at += 2;
        let mut is_saturated = false;
        if self.squares {
            let squares = wide(words, at).saturating_add(i128::from(value) * i128::from(value));
            is_saturated = squares == i128::MAX;
            set_wide(words, at, squares);
            at += 2;
        }
        if self.minimum {
            words[at] = value.min(words[at] as i64) as u64;
            at += 1;
        }
        if self.maximum {
            words[at] = value.max(words[at] as i64) as u64;
        }
        is_saturated
    }

    /// Takes one value from the kept totals, but for the extremes; whether it may have been one.
    #[inline]
    pub(crate) fn take_value(self, value: i64, words: &mut [u64]) -> bool {
        if value == MISSING {
            return false;
        }
        let mut at = usize::from(self.nullable);
        if self.nullable {
            words[0] -= 1;
        }
        set_wide(words, at, wide(words, at) - i128::from(value));
        at += 2;
        if self.squares {
            set_wide(words, at, wide(words, at) - i128::from(value) * i128::from(value));
            at += 2;
        }
        let mut is_extreme = false;
        if self.minimum {
            is_extreme = value <= words[at] as i64;
            at += 1;
        }
        is_extreme || self.maximum && value >= words[at] as i64
    }
}

/// A 128-bit integer of two words.
#[inline]
fn wide(words: &[u64], at: usize) -> i128 {
    (u128::from(words[at]) | u128::from(words[at + 1]) << 64) as i128
}

#[inline]
fn set_wide(words: &mut [u64], at: usize, value: i128) {
    words[at] = value as u64;
    words[at + 1] = (value >> 64) as u64;
}

/// The layout of an entity kind's histories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<ColumnUse>,
    pub(crate) distincts: usize,
    pub(crate) conditions: usize,
    /// Entries have the sequence number of their event, as the last of their extra words.
    pub(crate) has_event: bool,
    /// H of each distinct column, ms.
    pub(crate) value_horizons_ms: Vec<i64>,
    /// Of each distinct column the window over which its values are counted while one is noted, ms; 0 where none is.
    pub(crate) value_windows_ms: Vec<i64>,
    /// Its only numeric column always has a value, and there are no conditions.
    pub(crate) is_plain: bool,
    /// The windows that slide over a big history.
    pub(crate) sliding: SlidingLayout,
    pub(crate) sizes: Sizes,
}

/// What follows from a layout's columns, worked out once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// Words of all distinct heads.
    pub(crate) heads: usize,
    /// Extra words of an entry.
    pub(crate) extras: usize,
    /// Words of an entry.
    pub(crate) entry: usize,
    /// Words of a span.
    pub(crate) span: usize,
    /// Words of a chunk's summary in the directory.
    pub(crate) summary: usize,
    /// Words of a directory before its summaries: heads, sliding windows.
    pub(crate) directory_fixed: usize,
    /// Bytes that a key counts for in the memory formula: slot, table place, block and heads.
    pub(crate) key_bytes: u64,
    /// Bytes that an entry counts for: its words and a fifth for room to grow.
    pub(crate) entry_bytes: u64,
    /// Bytes that a span counts for.
    pub(crate) span_bytes: u64,
}

impl Layout {
    /// Takes the windows that slide over a big history and works out all sizes; columns and conditions are then final.
    pub(crate) fn finish(&mut self, sliding: SlidingLayout) {
        let columns = self.columns.len();
        let heads = self.distincts * HEAD_WORDS;
        let extras = (self.distincts * 16 + self.conditions).div_ceil(64) + usize::from(self.has_event);
        let entry = 1 + columns + extras;
        let span = SPAN_FIXED + columns * SPAN_COLUMN + self.conditions;
        let totals: usize = self.columns.iter().map(|usage| usage.words()).sum();
        self.sizes = Sizes {
            heads,
            extras,
            entry,
            span,
            summary: SUMMARY_FIXED + totals + self.conditions,
            directory_fixed: heads + sliding.words,
            key_bytes: 96 + 8 * heads as u64,
            entry_bytes: (entry as u64 * 8 * 6).div_ceil(5),
            span_bytes: (span as u64 * 8 * 6).div_ceil(5),
        };
        self.is_plain =
            matches!(self.columns[..], [ColumnUse { nullable: false, .. }]) && self.conditions == 0;
        self.sliding = sliding;
    }

    /// Words of a small block with room for `rows` entries.
    #[inline]
    pub(crate) fn small_words(&self, rows: usize) -> usize {
        (self.sizes.heads + rows * self.sizes.entry).max(1)
    }

    /// Words of a directory with room for `chunks` summaries.
    #[inline]
    pub(crate) fn directory_words(&self, chunks: usize) -> usize {
        self.sizes.directory_fixed + chunks * self.sizes.summary
    }

    /// Chunks that a directory can hold.
    pub(crate) fn chunks_max(&self) -> usize {
        (BLOCK_WORDS_MAX - self.sizes.directory_fixed) / self.sizes.summary
    }

    /// Word and shift of a distinct column's place in an entry's extras.
    #[inline]
    pub(crate) fn value_place(distinct: usize) -> (usize, usize) {
        (distinct * 16 / 64, distinct * 16 % 64)
    }

    /// Word and shift of a condition's bit in an entry's extras.
    #[inline]
    pub(crate) fn condition_place(&self, condition: usize) -> (usize, usize) {
        let bit = self.distincts * 16 + condition;
        (bit / 64, bit % 64)
    }

    /// Bytes that a distinct value counts for.
    pub(crate) const VALUE_BYTES: u64 = 24;
}

/// Room for `rows` entries in a small block: the power of two that holds them, at least 2. Finer steps save a tenth of the
/// state and cost a move in every third update.
pub(crate) fn small_room(rows: usize) -> usize {
    rows.next_power_of_two().clamp(2, SMALL_MAX)
}

/// Room for `chunks` summaries in a directory.
pub(crate) fn directory_room(chunks: usize, layout: &Layout) -> usize {
    let room = chunks.next_power_of_two().max(4);
    // Past 64 chunks, grow by a quarter: a directory is copied once in many chunks anyway.
    let room = if room > 64 { chunks + chunks.div_ceil(4) } else { room };
    room.min(layout.chunks_max()).max(chunks)
}

const _: () = assert!(limits::DISTINCT_VALUES_MAX < NO_VALUE as usize);
