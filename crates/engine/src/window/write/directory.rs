//! The directory of a history of chunks: a summary a chunk, in order.
//!
//! write, merge -> **directory** -> arena

use super::HistoryMut;
use crate::window::arena::Handle;
use crate::window::history::ChunkHead;
use crate::window::layout::{CHUNK_ROWS, SUMMARY_FIXED, directory_room, small_room};
use crate::window::totals::ColumnTotals;

impl HistoryMut<'_> {
    pub(crate) fn head(&self, chunk: usize) -> ChunkHead {
        let at = self.layout.directory_words(chunk);
        ChunkHead::load(self.arena.words(self.slot.root, at + 1)[at])
    }

    pub(super) fn summary_mut(&mut self, chunk: usize) -> &mut [u64] {
        let words = self.layout.sizes.summary;
        let at = self.layout.directory_words(chunk);
        &mut self.arena.words_mut(self.slot.root, at + words)[at..]
    }

    pub(super) fn set_head(&mut self, chunk: usize, head: ChunkHead) {
        self.summary_mut(chunk)[0] = head.word();
    }

    /// Makes a chunk's summary anew from its rows.
    pub(crate) fn summarise(&mut self, chunk: usize) {
        let mut totals = self.take_totals();
        totals.reset();
        let rows = self.read().chunk(chunk);
        rows.total(self.layout, 0, rows.rows, &mut totals);
        let last = rows.times().last().copied().unwrap_or(i64::MIN as u64);
        let layout = self.layout;
        let summary = self.summary_mut(chunk);
        summary[1] = last;
        summary[2] = totals.count;
        let mut rest = &mut summary[SUMMARY_FIXED..];
        for (usage, column) in layout.columns.iter().zip(&totals.columns) {
            usage.store(column, rest);
            rest = &mut rest[usage.words()..];
        }
        rest.copy_from_slice(&totals.conditions);
        self.scratch.totals = Some(totals);
    }

    /// Makes place for a summary of an empty chunk.
    pub(super) fn insert_summary(&mut self, at: usize, head: ChunkHead) {
        let chunks = self.slot.chunks as usize;
        if chunks == self.slot.room as usize {
            self.move_directory(directory_room(chunks + 1, self.layout));
        }
        let layout = self.layout;
        let width = layout.sizes.summary;
        let words = self.arena.words_mut(self.slot.root, layout.directory_words(self.slot.room as usize));
        let (from, end) = (layout.directory_words(at), layout.directory_words(chunks));
        words.copy_within(from..end, from + width);
        let summary = &mut words[from..from + width];
        summary.fill(0);
        summary[0] = head.word();
        summary[1] = i64::MIN as u64;
        let mut rest = &mut summary[SUMMARY_FIXED..];
        for usage in &layout.columns {
            usage.store(&ColumnTotals::NOTHING, rest);
            rest = &mut rest[usage.words()..];
        }
        self.slot.chunks += 1;
    }

    pub(super) fn remove_summaries(&mut self, at: usize, count: usize) {
        let chunks = self.slot.chunks as usize;
        let layout = self.layout;
        let words = self.arena.words_mut(self.slot.root, layout.directory_words(chunks));
        words.copy_within(
            layout.directory_words(at + count)..layout.directory_words(chunks),
            layout.directory_words(at),
        );
        self.slot.chunks -= count as u16;
        if self.slot.chunks == 0 {
            // Everything expired: an empty small history.
            let old = (self.slot.root, self.layout.directory_words(self.slot.room as usize));
            let room = small_room(1);
            let root = self.arena.allocate(self.layout.small_words(room));
            self.arena.copy(old.0, root, layout.sizes.heads);
            self.arena.release(old.0, old.1);
            (self.slot.root, self.slot.room, self.slot.head_row) = (root, room as u16, 0);
        }
    }

    pub(super) fn move_directory(&mut self, room: usize) {
        let old = self.slot.root;
        let old_words = self.layout.directory_words(self.slot.room as usize);
        let used = self.layout.directory_words(self.slot.chunks as usize);
        let new = self.arena.allocate(self.layout.directory_words(room));
        self.arena.copy(old, new, used);
        self.arena.release(old, old_words);
        self.slot.root = new;
        self.slot.room = room as u16;
    }

    pub(super) fn release_chunk(&mut self, chunk: usize) {
        let head = self.head(chunk);
        self.arena.release(head.handle, head.block_words(self.layout));
    }

    /// Makes the root a directory with room for `chunks` summaries.
    pub(crate) fn make_big_for(&mut self, chunks: usize) {
        let room = directory_room(chunks, self.layout);
        if self.slot.chunks == 0 {
            let (old, old_words) = (self.slot.root, self.layout.small_words(self.slot.room as usize));
            let root = self.arena.allocate(self.layout.directory_words(room));
            self.arena.copy(old, root, self.layout.sizes.heads);
            self.arena.release(old, old_words);
            (self.slot.root, self.slot.room) = (root, room as u16);
        } else if room > self.slot.room as usize {
            self.move_directory(room);
        }
        self.sliding().forget();
    }

    /// Replaces all chunks by the given ones.
    pub(crate) fn replace_chunks(&mut self, heads: &[ChunkHead]) {
        for chunk in 0..self.slot.chunks as usize {
            self.release_chunk(chunk);
        }
        self.slot.chunks = 0;
        self.slot.head_row = 0;
        for (at, &head) in heads.iter().enumerate() {
            self.insert_summary(at, head);
            self.summarise(at);
        }
    }

    /// A block for a chunk.
    pub(crate) fn allocate_chunk(&mut self, spans: bool) -> Handle {
        let width = if spans { self.layout.sizes.span } else { self.layout.sizes.entry };
        self.arena.allocate(CHUNK_ROWS * width)
    }
}
