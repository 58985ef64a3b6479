//! The history of one key, to read: find the edge of a window, total a range.
//!
//! shard -> **history** -> totals, read
//!
//! Holds: rows are ordered by time, equal times by sequence; spans come before entries. A position names a row, or the
//! end; a range of positions is half open.
//! Not here: what a feature makes of the totals (`read`), how a history changes (`write`, `merge`).

use crate::event::MISSING;
use crate::window::arena::Arena;
use crate::window::dictionary::Dictionary;
use crate::window::layout::{
    CHUNK_ROWS, ColumnUse, HEAD_WORDS, Layout, SPAN_COLUMN, SPAN_FIXED, SUMMARY_FIXED,
};
use crate::window::prefetch;
use crate::window::sliding::Sliding;
use crate::window::slot::Slot;
use crate::window::totals::{ColumnTotals, Totals};
use std::ops::Range;

/// A row, or the end: `(chunks, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) chunk: usize,
    pub(crate) row: usize,
}

/// Rows that lie together, by column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) words: &'a [u64],
    /// Rows that a column has room for.
    pub(crate) room: usize,
    pub(crate) rows: usize,
    pub(crate) spans: bool,
}

impl<'a> Chunk<'a> {
    /// Times (of spans: last times) in order.
    pub(crate) fn times(&self) -> &'a [u64] {
        &self.words[..self.rows]
    }

    pub(crate) fn time_ms(&self, row: usize) -> i64 {
        self.words[row] as i64
    }

    /// First time of a span; an entry's only time.
    pub(crate) fn first_ms(&self, row: usize) -> i64 {
        if self.spans { self.words[self.room + row] as i64 } else { self.time_ms(row) }
    }

    /// Rows whose time is at or before `edge_ms`.
    #[inline]
    pub(crate) fn rows_until(&self, edge_ms: i64) -> usize {
        self.times().partition_point(|&time| time as i64 <= edge_ms)
    }

    /// An entry's extra word.
    pub(crate) fn extra(&self, layout: &Layout, row: usize, word: usize) -> u64 {
        self.words[(1 + layout.columns.len() + word) * self.room + row]
    }

    /// Whether an entry met a condition.
    pub(crate) fn met(&self, layout: &Layout, row: usize, condition: usize) -> bool {
        let (word, shift) = layout.condition_place(condition);
        self.extra(layout, row, word) >> shift & 1 == 1
    }

    /// Events of a row.
    #[inline]
    pub(crate) fn events(&self, row: usize) -> u64 {
        if self.spans { self.words[2 * self.room + row] } else { 1 }
    }

    /// Events of a row that met a condition.
    #[inline]
    pub(crate) fn condition_events(&self, layout: &Layout, row: usize, condition: usize) -> u64 {
        if self.spans {
            let at = SPAN_FIXED + layout.columns.len() * SPAN_COLUMN + condition;
            self.words[at * self.room + row]
        } else {
            u64::from(self.met(layout, row, condition))
        }
    }

    /// Totals of a row's column.
    #[inline]
    pub(crate) fn column(&self, column: usize, row: usize) -> ColumnTotals {
        if self.spans {
            let start = (SPAN_FIXED + column * SPAN_COLUMN) * self.room + row;
            ColumnTotals::load(&self.words[start..], self.room)
        } else {
            ColumnTotals::of(self.words[(1 + column) * self.room + row] as i64)
        }
    }

    /// Values of entries' column.
    #[inline]
    pub(crate) fn values(&self, column: usize, rows: Range<usize>) -> &'a [u64] {
        &self.words[(1 + column) * self.room..][rows]
    }

    /// Adds rows `from..to` to the totals.
    #[inline]
    pub(crate) fn total(&self, layout: &Layout, from: usize, to: usize, totals: &mut Totals) {
        if self.spans {
            self.total_spans(layout, from, to, totals);
            return;
        }
        totals.count += (to - from) as u64;
        for (index, (usage, column)) in layout.columns.iter().zip(&mut totals.columns).enumerate() {
            let values = self.values(index, from..to);
            if usage.nullable {
                for &value in values {
                    column.add(value as i64);
                }
                continue;
            }
            // A chunk's sum stays within 64 bits, and its squares' within 128: 32 values of at most 10^15.
            let (mut sum, mut min, mut max) = (0i64, column.min, column.max);
            for &value in values {
                let value = value as i64;
                sum += value;
                (min, max) = (min.min(value), max.max(value));
            }
            (column.min, column.max) = (min, max);
            column.n += values.len() as u64;
            column.sum += i128::from(sum);
            if usage.squares {
                let square = |&value: &u64| i128::from(value as i64) * i128::from(value as i64);
                column.squares = column.squares.saturating_add(values.iter().map(square).sum());
            }
        }
        for (condition, count) in totals.conditions.iter_mut().enumerate() {
            let (word, shift) = layout.condition_place(condition);
            let start = (1 + layout.columns.len() + word) * self.room;
            *count += self.words[start + from..start + to].iter().map(|bits| bits >> shift & 1).sum::<u64>();
        }
    }

    fn total_spans(&self, layout: &Layout, from: usize, to: usize, totals: &mut Totals) {
        for row in from..to {
            totals.count += self.words[2 * self.room + row];
            for (index, column) in totals.columns.iter_mut().enumerate() {
                column.merge(&self.column(index, row));
            }
            for (condition, count) in totals.conditions.iter_mut().enumerate() {
                *count += self.condition_events(layout, row, condition);
            }
        }
    }
}

/// A summary's first word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkHead {
    pub(crate) handle: crate::window::arena::Handle,
    pub(crate) rows: usize,
    pub(crate) spans: bool,
}

impl ChunkHead {
    pub(crate) fn load(word: u64) -> Self {
        Self {
            handle: crate::window::arena::Handle(word as u32),
            rows: (word >> 32) as usize & 0xffff,
            spans: word >> 48 != 0,
        }
    }

    pub(crate) fn word(self) -> u64 {
        u64::from(self.handle.0) | (self.rows as u64) << 32 | u64::from(self.spans) << 48
    }

    /// Words of the chunk's block.
    pub(crate) fn block_words(self, layout: &Layout) -> usize {
        CHUNK_ROWS * if self.spans { layout.sizes.span } else { layout.sizes.entry }
    }
}

/// A key's history, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) arena: &'a Arena,
    pub(crate) slot: &'a Slot,
    root: &'a [u64],
}

impl<'a> History<'a> {
    pub(crate) fn new(layout: &'a Layout, arena: &'a Arena, slot: &'a Slot) -> Self {
        let words = if slot.chunks == 0 {
            layout.small_words(slot.room as usize)
        } else {
            layout.directory_words(slot.chunks as usize)
        };
        Self { layout, arena, slot, root: arena.words(slot.root, words) }
    }

    /// Prefetches what of the root an update needs.
    #[inline]
    pub(crate) fn prefetch_root(&self) {
        if self.slot.chunks == 0 {
            prefetch::lines(self.root);
        } else {
            prefetch::lines(&self.root[..self.layout.directory_words(1)]);
            prefetch::lines(self.summary(self.slot.chunks as usize - 1));
        }
    }

    /// The same for what lies elsewhere: dictionaries, and of a big history the newest row and the rows that leave a window.
    #[inline]
    pub(crate) fn prefetch_rows(&self, time_ms: i64) {
        for distinct in 0..self.layout.distincts {
            let (values, lasts) = self.dictionary(distinct).parts(self.arena);
            prefetch::lines(values);
            prefetch::lines(lasts);
        }
        if self.slot.chunks > 0 {
            self.prefetch_row(Position { row: self.tail().row - 1, ..self.tail() });
            Sliding::each_leaving(self.layout, self.root, time_ms, |at| self.prefetch_row(at));
        }
    }

    fn prefetch_row(&self, at: Position) {
        let chunk = self.chunk(at.chunk);
        chunk.words.chunks(chunk.room).for_each(|column| prefetch::line(&column[at.row]));
    }

    /// Chunks; a small history is one, or none where it is empty.
    #[inline]
    pub(crate) fn chunks(&self) -> usize {
        if self.slot.chunks == 0 { usize::from(self.slot.entries > 0) } else { self.slot.chunks as usize }
    }

    /// The first row that is kept.
    #[inline]
    pub(crate) fn start(&self) -> Position {
        Position { chunk: 0, row: self.slot.head_row as usize }
    }

    #[inline]
    pub(crate) fn end(&self) -> Position {
        Position { chunk: self.chunks(), row: 0 }
    }

    /// The end of a big history as a place in its last chunk, behind its last row.
    #[inline]
    pub(crate) fn tail(&self) -> Position {
        let chunk = self.chunks() - 1;
        Position { chunk, row: ChunkHead::load(self.summary(chunk)[0]).rows }
    }

    /// Where the next entry behind all rows of a big history without spans will lie.
    #[inline]
    pub(crate) fn next(&self) -> Position {
        let tail = self.tail();
        if tail.row < CHUNK_ROWS { tail } else { Position { chunk: tail.chunk + 1, row: 0 } }
    }

    /// Whether the windows of a big history stand as of this time or an earlier one.
    #[inline]
    pub(crate) fn windows_stand_at_or_before(&self, time_ms: i64) -> bool {
        Sliding::stand_at_or_before(self.layout, self.root, time_ms)
    }

    /// The sliding windows, if it is big and they stand as of this time.
    #[inline]
    pub(crate) fn sliding(&self, time_ms: i64) -> Option<Sliding<'a>> {
        if self.slot.chunks == 0 { None } else { Sliding::as_of(self.layout, self.root, time_ms) }
    }

    /// The rows of a small history.
    #[inline]
    pub(crate) fn small(&self) -> Chunk<'a> {
        Chunk {
            words: &self.root[self.layout.sizes.heads..],
            room: self.slot.room as usize,
            rows: self.slot.entries as usize,
            spans: false,
        }
    }

    #[inline]
    pub(crate) fn chunk(&self, index: usize) -> Chunk<'a> {
        if self.slot.chunks == 0 {
            return self.small();
        }
        let head = ChunkHead::load(self.summary(index)[0]);
        let words = self.arena.words(head.handle, head.block_words(self.layout));
        Chunk { words, room: CHUNK_ROWS, rows: head.rows, spans: head.spans }
    }

    /// A chunk's summary; only of a big history.
    fn summary(&self, index: usize) -> &'a [u64] {
        let words = self.layout.sizes.summary;
        let start = self.layout.sizes.directory_fixed + index * words;
        &self.root[start..start + words]
    }

    /// Last time in a chunk.
    #[inline]
    pub(crate) fn last_ms(&self, index: usize) -> i64 {
        if self.slot.chunks == 0 {
            self.root[self.layout.sizes.heads + self.slot.entries as usize - 1] as i64
        } else {
            self.summary(index)[1] as i64
        }
    }

    /// The first kept row, before `limit` or `limit` itself, whose (last) time is after `edge_ms`.
    #[inline]
    pub(crate) fn after(&self, edge_ms: i64, limit: Position) -> Position {
        // The row that `limit` names is later than the edge or is the end; look at chunks before it.
        if let Some(before) = self.time_before(limit)
            && before <= edge_ms
        {
            return limit;
        }
        let mut chunk = limit.chunk;
        let mut steps = 0;
        while chunk > 0 && self.last_ms(chunk - 1) > edge_ms {
            chunk -= 1;
            steps += 1;
            if steps == 4 {
                chunk = self.first_chunk_after(edge_ms, chunk);
                break;
            }
        }
        if chunk == limit.chunk && limit.row == 0 {
            return limit;
        }
        let rows = self.chunk(chunk);
        let row = rows.rows_until(edge_ms);
        let found =
            if row == rows.rows { Position { chunk: chunk + 1, row: 0 } } else { Position { chunk, row } };
        found.max(self.start()).min(limit)
    }

    /// Last time before a position, kept or not; nothing at the very start.
    #[inline]
    pub(crate) fn time_before(&self, position: Position) -> Option<i64> {
        match (position.chunk, position.row) {
            (0, 0) => None,
            (chunk, 0) => Some(self.last_ms(chunk - 1)),
            (chunk, row) => Some(self.chunk(chunk).time_ms(row - 1)),
        }
    }

    /// The first of chunks `0..below` whose last time is after the edge, or `below`.
    fn first_chunk_after(&self, edge_ms: i64, below: usize) -> usize {
        let (mut low, mut high) = (0, below);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.last_ms(middle) > edge_ms {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Adds the rows `from..to` to the totals.
    #[inline]
    pub(crate) fn total(&self, from: Position, to: Position, totals: &mut Totals) {
        if from >= to {
            return;
        }
        if from.chunk == to.chunk {
            self.chunk(from.chunk).total(self.layout, from.row, to.row, totals);
            return;
        }
        let mut chunk = from.chunk;
        if from.row > 0 || self.slot.chunks == 0 {
            let rows = self.chunk(chunk);
            rows.total(self.layout, from.row, rows.rows, totals);
            chunk += 1;
        }
        for whole in chunk..to.chunk {
            self.total_summary(whole, totals);
        }
        if to.row > 0 {
            self.chunk(to.chunk).total(self.layout, 0, to.row, totals);
        }
    }

    #[inline]
    fn total_summary(&self, index: usize, totals: &mut Totals) {
        let summary = self.summary(index);
        totals.count += summary[2];
        let mut rest = &summary[SUMMARY_FIXED..];
        for (usage, column) in self.layout.columns.iter().zip(&mut totals.columns) {
            column.merge(&usage.load(rest, summary[2]));
            rest = &rest[usage.words()..];
        }
        for (count, &word) in totals.conditions.iter_mut().zip(rest) {
            *count += word;
        }
    }

    /// Smallest and largest value of a column in a range, of which it is known that none lies outside `bounds`: done as soon as both
    /// bounds are met. Newest first.
    pub(crate) fn extremes(
        &self,
        column: usize,
        usage: ColumnUse,
        from: Position,
        to: Position,
        bounds: (i64, i64),
    ) -> (i64, i64) {
        let before: usize = self.layout.columns[..column].iter().map(|usage| usage.words()).sum();
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        for index in (from.chunk..=to.chunk.min(self.chunks() - 1)).rev() {
            let chunk = self.chunk(index);
            let first = if index == from.chunk { from.row } else { 0 };
            let end = if index == to.chunk { to.row } else { chunk.rows };
            if first == 0 && end == chunk.rows {
                let summary = self.summary(index);
                let totals = self.layout.columns[column].load(&summary[SUMMARY_FIXED + before..], summary[2]);
                (min, max) = (min.min(totals.min), max.max(totals.max));
            } else {
                for row in first..end {
                    let totals = chunk.column(column, row);
                    (min, max) = (min.min(totals.min), max.max(totals.max));
                }
            }
            if (!usage.minimum || min == bounds.0) && (!usage.maximum || max == bounds.1) {
                break;
            }
        }
        (min, max)
    }

    /// The row before a position, if it is kept.
    pub(crate) fn before(&self, position: Position) -> Option<Position> {
        if position <= self.start() {
            return None;
        }
        if position.row > 0 {
            return Some(Position { row: position.row - 1, ..position });
        }
        let chunk = position.chunk - 1;
        Some(Position { chunk, row: self.chunk(chunk).rows - 1 })
    }

    /// Whether a span lies across the edge: it begins at or before it and ends after it. `position` is the first row after the edge.
    pub(crate) fn is_across(&self, edge_ms: i64, position: Position) -> bool {
        self.slot.spans > 0 && position.chunk < self.chunks() && {
            let chunk = self.chunk(position.chunk);
            chunk.spans && chunk.first_ms(position.row) <= edge_ms
        }
    }

    /// Whether any row of the range is a span.
    pub(crate) fn has_spans(&self, from: Position, to: Position) -> bool {
        self.slot.spans > 0 && from < to && self.chunk(from.chunk).spans
    }

    /// The dictionary of a distinct column.
    pub(crate) fn dictionary(&self, distinct: usize) -> Dictionary {
        Dictionary::load(&self.root[distinct * HEAD_WORDS..])
    }
}

/// A value of an entry's column, for tests and merging.
pub(crate) fn column_value(chunk: &Chunk<'_>, column: usize, row: usize) -> Option<i64> {
    let value = chunk.words[(1 + column) * chunk.room + row] as i64;
    (value != MISSING).then_some(value)
}
