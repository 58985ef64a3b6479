//! A history of chunks: expire, insert, move its windows on.
//!
//! write -> **big** (`directory`) -> arena
//!
//! Holds: windows that stand follow every change of the rows (`sliding`).

use super::{HistoryMut, Row};
use crate::window::history::{ChunkHead, Position};
use crate::window::layout::{CHUNK_ROWS, SUMMARY_FIXED};
use crate::window::sliding::SlidingMut;

/// A big history that falls to this many entries becomes small again; below `SMALL_MAX`, so that it does not flip.
const SMALL_AGAIN: usize = 20;

impl HistoryMut<'_> {
    /// Moves the windows of a big history on to an event at its newest time or later.
    pub(crate) fn advance(&mut self, time_ms: i64) {
        let layout = self.layout;
        if layout.sliding.words == 0 {
            return;
        }
        let mut words = self.take_windows();
        // Windows that are read apart from what they store may stand as of a later event; they go one way only.
        if SlidingMut::new(&layout.sliding, &mut words).stand_after(time_ms) {
            self.scratch.sliding = words;
            return;
        }
        let mut totals = self.take_totals();
        SlidingMut::new(&layout.sliding, &mut words).advance(&self.read(), time_ms, &mut totals);
        self.scratch.totals = Some(totals);
        self.put_windows(words);
    }

    /// A copy of the windows' words, to change while rows are read, which lie in the same arena.
    #[inline]
    pub(crate) fn take_windows(&mut self) -> Vec<u64> {
        let mut words = std::mem::take(&mut self.scratch.sliding);
        words.clear();
        words.extend_from_slice(self.sliding_words());
        words
    }

    /// Writes the words of [`HistoryMut::take_windows`] back.
    #[inline]
    pub(crate) fn put_windows(&mut self, words: Vec<u64>) {
        self.sliding_words().copy_from_slice(&words);
        self.scratch.sliding = words;
    }

    fn sliding_words(&mut self) -> &mut [u64] {
        let range = self.layout.sizes.heads..self.layout.sizes.directory_fixed;
        &mut self.arena.words_mut(self.slot.root, range.end)[range]
    }

    /// The sliding windows of a big history.
    pub(super) fn sliding(&mut self) -> SlidingMut<'_> {
        SlidingMut::new(&self.layout.sliding, self.sliding_words())
    }

    pub(super) fn expire_big(&mut self, bound_ms: i64) {
        if self.sliding().oldest_ms() > bound_ms {
            return;
        }
        let mut whole = 0;
        let (mut entries, mut spans) = (0, 0);
        let history = self.read();
        while whole < history.chunks() && history.last_ms(whole) <= bound_ms {
            let chunk = history.chunk(whole);
            let rows = chunk.rows - if whole == 0 { self.slot.head_row as usize } else { 0 };
            *(if chunk.spans { &mut spans } else { &mut entries }) += rows;
            whole += 1;
        }
        let mut head_row = if whole == 0 { self.slot.head_row as usize } else { 0 };
        if whole < history.chunks() {
            let chunk = history.chunk(whole);
            let gone = chunk.times()[head_row..].iter().take_while(|&&time| time as i64 <= bound_ms).count();
            *(if chunk.spans { &mut spans } else { &mut entries }) += gone;
            head_row += gone;
        }
        let expired = entries + spans > 0;
        for chunk in 0..whole {
            self.release_chunk(chunk);
        }
        self.slot.entries -= entries as u32;
        self.slot.spans -= spans as u32;
        self.slot.head_row = head_row as u8;
        if whole > 0 {
            self.remove_summaries(0, whole);
        }
        if self.slot.chunks == 0 {
            return;
        }
        if expired && self.slot.spans == 0 && self.slot.entries as usize <= SMALL_AGAIN {
            self.become_small();
            return;
        }
        let history = self.read();
        let start = history.start();
        let oldest_ms = history.chunk(start.chunk).time_ms(start.row);
        let mut sliding = self.sliding();
        sliding.set_oldest_ms(oldest_ms);
        if whole > 0 {
            sliding.chunks_removed(whole);
        }
    }

    /// Adds a row; `has_entered` where the windows have the event already.
    pub(super) fn insert_big(&mut self, row: Row<'_>, has_entered: bool) {
        let entry = row.entry;
        let history = self.read();
        let at = history.after(entry.time_ms, history.end());
        let last = history.chunks() - 1;
        if at.chunk > last {
            // Behind everything: the usual case.
            let tail = self.head(last);
            let mut at = Position { chunk: last, row: tail.rows };
            if tail.rows == CHUNK_ROWS || tail.spans {
                let block = self.arena.allocate(CHUNK_ROWS * self.layout.sizes.entry);
                at = Position { chunk: last + 1, row: 0 };
                self.insert_summary(at.chunk, ChunkHead { handle: block, rows: 0, spans: false });
            }
            self.insert_into(at, row);
            if !has_entered {
                self.sliding().add(entry, at, true);
            }
            return;
        }
        let mut at = at;
        if at.chunk == 0 && self.slot.head_row > 0 {
            at.row -= self.slot.head_row as usize;
            self.drop_head();
        }
        let rows = self.read().chunk(at.chunk).rows;
        if rows == CHUNK_ROWS {
            self.split(at.chunk);
            if at.row > CHUNK_ROWS / 2 {
                at = Position { chunk: at.chunk + 1, row: at.row - CHUNK_ROWS / 2 };
            }
        }
        self.insert_into(at, row);
        self.sliding().add(entry, at, false);
    }

    /// Inserts a row into a chunk with room and adds it to the summary.
    fn insert_into(&mut self, at: Position, row: Row<'_>) {
        let head = self.head(at.chunk);
        let layout = self.layout;
        let block = self.arena.words_mut(head.handle, CHUNK_ROWS * layout.sizes.entry);
        row.insert_at(block, CHUNK_ROWS, head.rows, at.row);
        let entry = row.entry;
        let summary = self.summary_mut(at.chunk);
        summary[0] = ChunkHead { rows: head.rows + 1, ..head }.word();
        summary[1] = (summary[1] as i64).max(entry.time_ms) as u64;
        summary[2] += 1;
        let mut rest = &mut summary[SUMMARY_FIXED..];
        for (usage, &value) in layout.columns.iter().zip(&entry.columns) {
            usage.add_value(value, rest);
            rest = &mut rest[usage.words()..];
        }
        for (bit, word) in rest.iter_mut().enumerate() {
            *word += entry.conditions >> bit & 1;
        }
    }

    /// Moves the live rows of the first chunk to its start.
    fn drop_head(&mut self) {
        let head = self.head(0);
        let gone = self.slot.head_row as usize;
        let width = head.block_words(self.layout) / CHUNK_ROWS;
        let block = self.arena.words_mut(head.handle, CHUNK_ROWS * width);
        for column in 0..width {
            block.copy_within(
                column * CHUNK_ROWS + gone..column * CHUNK_ROWS + head.rows,
                column * CHUNK_ROWS,
            );
        }
        self.set_head(0, ChunkHead { rows: head.rows - gone, ..head });
        self.slot.head_row = 0;
        self.sliding().rows_removed(gone);
        self.summarise(0);
    }

    /// Moves the second half of a full chunk to a new one behind it.
    fn split(&mut self, chunk: usize) {
        const HALF: usize = CHUNK_ROWS / 2;
        let head = self.head(chunk);
        let words = CHUNK_ROWS * self.layout.sizes.entry;
        let block = self.arena.allocate(words);
        self.arena.copy(head.handle, block, words);
        let target = self.arena.words_mut(block, words);
        for column in 0..words / CHUNK_ROWS {
            target.copy_within(column * CHUNK_ROWS + HALF..(column + 1) * CHUNK_ROWS, column * CHUNK_ROWS);
        }
        self.sliding().chunk_split(chunk, HALF);
        self.set_head(chunk, ChunkHead { rows: HALF, ..head });
        self.insert_summary(chunk + 1, ChunkHead { handle: block, rows: HALF, spans: false });
        self.summarise(chunk);
        self.summarise(chunk + 1);
    }
}
