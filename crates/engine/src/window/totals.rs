//! Sums, counts and extremes of a range of entries, as integers.
//!
//! history -> **totals** -> read

use crate::event::MISSING;
use crate::window::layout::{Layout, SPAN_COLUMN};

/// Totals of one numeric column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnTotals {
    /// Entries that have a value.
    pub(crate) n: u64,
    pub(crate) sum: i128,
    pub(crate) squares: i128,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl ColumnTotals {
    pub(crate) const NOTHING: Self = Self { n: 0, sum: 0, squares: 0, min: i64::MAX, max: i64::MIN };

    /// Adds one value.
    #[inline]
    pub(crate) fn add(&mut self, value: i64) {
        if value != MISSING {
            self.n += 1;
            self.sum += i128::from(value);
            self.squares = self.squares.saturating_add(i128::from(value) * i128::from(value));
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    /// Adds the totals of another range.
    #[inline]
    pub(crate) fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares = self.squares.saturating_add(other.squares);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Of a single value, or of none where it is missing.
    #[inline]
    pub(crate) fn of(value: i64) -> Self {
        if value == MISSING {
            return Self::NOTHING;
        }
        let wide = i128::from(value);
        Self { n: 1, sum: wide, squares: wide * wide, min: value, max: value }
    }

    /// Whether the sum of squares met its bound.
    #[inline]
    pub(crate) fn is_saturated(&self) -> bool {
        self.squares == i128::MAX
    }

    /// Reads them from words, one every `stride`.
    #[inline]
    pub(crate) fn load(words: &[u64], stride: usize) -> Self {
        let wide = |low: usize, high: usize| {
            (u128::from(words[low * stride]) | u128::from(words[high * stride]) << 64) as i128
        };
        Self {
            n: words[0],
            sum: wide(1, 2),
            squares: wide(3, 4),
            min: words[5 * stride] as i64,
            max: words[6 * stride] as i64,
        }
    }

    /// Writes them to words, one every `stride`.
    pub(crate) fn store(&self, words: &mut [u64], stride: usize) {
        let parts: [u64; SPAN_COLUMN] = [
            self.n,
            self.sum as u64,
            (self.sum >> 64) as u64,
            self.squares as u64,
            (self.squares >> 64) as u64,
            self.min as u64,
            self.max as u64,
        ];
        for (index, part) in parts.into_iter().enumerate() {
            words[index * stride] = part;
        }
    }
}

/// Totals of a range of a history.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    /// Events.
    pub(crate) count: u64,
    pub(crate) columns: Vec<ColumnTotals>,
    /// Events that met each condition.
    pub(crate) conditions: Vec<u64>,
}

impl Totals {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            count: 0,
            columns: vec![ColumnTotals::NOTHING; layout.columns.len()],
            conditions: vec![0; layout.conditions],
        }
    }

    pub(crate) fn reset(&mut self) {
        self.count = 0;
        self.columns.fill(ColumnTotals::NOTHING);
        // Not for none: memset of no bytes at an empty vector's address stores under an empty mask, and AVX-512 takes
        // hundreds of cycles to find out that the address is none. It was 5 % of all time.
        if !self.conditions.is_empty() {
            self.conditions.fill(0);
        }
    }

    /// Sets them to those of one event.
    #[inline]
    pub(crate) fn set(&mut self, columns: &[i64], conditions: u64) {
        self.count = 1;
        for (totals, &value) in self.columns.iter_mut().zip(columns) {
            *totals = ColumnTotals::of(value);
        }
        for (bit, count) in self.conditions.iter_mut().enumerate() {
            *count = conditions >> bit & 1;
        }
    }
}
