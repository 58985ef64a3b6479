//! Change the history of one key: expire, insert.
//!
//! shard -> **write** -> arena
//!
//! Holds: after every call the rows are in order and each summary equals the totals of its chunk (but for the first chunk while
//! it has expired rows at its head: its summary is then not used).

use crate::window::arena::{Arena, Handle};
use crate::window::dictionary::Dictionary;
use crate::window::history::{ChunkHead, History, Position};
use crate::window::layout::{
    CHUNK_ROWS, HEAD_WORDS, Layout, SMALL_MAX, SUMMARY_FIXED, directory_room, small_room,
};
use crate::window::merge;
use crate::window::sliding::SlidingMut;
use crate::window::slot::Slot;
use crate::window::totals::{ColumnTotals, Totals};

/// A big history that falls to this many entries becomes small again; below `SMALL_MAX`, so that it does not flip.
const SMALL_AGAIN: usize = 20;

/// An event as one entity's histories store it, in reused buffers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) time_ms: i64,
    /// Values of the numeric columns; `MISSING` where there is none.
    pub(crate) columns: Vec<i64>,
    /// The same whether or not the columns' conditions hold: what a z-score compares.
    pub(crate) present: Vec<i64>,
    /// Values of the distinct columns.
    pub(crate) values: Vec<Option<u64>>,
    /// One bit a condition.
    pub(crate) conditions: u64,
}

/// One key's history, to write.
pub(crate) struct HistoryMut<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) arena: &'a mut Arena,
    pub(crate) slot: &'a mut Slot,
    /// Reused between calls: the entry's row of words.
    pub(crate) scratch: &'a mut Scratch,
}

/// Buffers of a shard's writes.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    row: Vec<u64>,
    block: Vec<u64>,
    sliding: Vec<u64>,
    totals: Option<Totals>,
    pub(crate) merge: merge::Gathered,
}

impl HistoryMut<'_> {
    pub(crate) fn read(&self) -> History<'_> {
        History::new(self.layout, self.arena, self.slot)
    }

    /// Gives a new key its root.
    pub(crate) fn create(&mut self) {
        let room = small_room(1);
        self.slot.room = room as u16;
        self.slot.root = self.arena.allocate(self.layout.small_words(room));
        let heads = self.layout.sizes.heads;
        for head in self.arena.words_mut(self.slot.root, heads.max(1))[..heads].chunks_mut(HEAD_WORDS) {
            Dictionary::EMPTY.store(head);
        }
    }

    /// Gives back everything that the key holds.
    pub(crate) fn release(&mut self) {
        for distinct in 0..self.layout.distincts {
            self.with_dictionary(distinct, Dictionary::release);
        }
        if self.slot.chunks == 0 {
            self.arena.release(self.slot.root, self.layout.small_words(self.slot.room as usize));
            return;
        }
        for chunk in 0..self.slot.chunks as usize {
            self.release_chunk(chunk);
        }
        self.arena.release(self.slot.root, self.layout.directory_words(self.slot.room as usize));
    }

    /// Moves the windows of a big history on to an event at its newest time or later.
    pub(crate) fn advance(&mut self, time_ms: i64) {
        let layout = self.layout;
        if self.slot.chunks == 0 || layout.sliding.words == 0 {
            return;
        }
        // The rows lie in the same arena: the windows are changed apart.
        let mut words = std::mem::take(&mut self.scratch.sliding);
        words.clear();
        words.extend_from_slice(self.sliding_words());
        let mut totals = self.take_totals();
        SlidingMut::new(&layout.sliding, &mut words).advance(&self.read(), time_ms, &mut totals);
        self.scratch.totals = Some(totals);
        self.sliding_words().copy_from_slice(&words);
        self.scratch.sliding = words;
    }

    fn sliding_words(&mut self) -> &mut [u64] {
        let range = self.layout.sizes.heads..self.layout.sizes.directory_fixed;
        &mut self.arena.words_mut(self.slot.root, range.end)[range]
    }

    /// The sliding windows of a big history.
    fn sliding(&mut self) -> SlidingMut<'_> {
        SlidingMut::new(&self.layout.sliding, self.sliding_words())
    }

    /// Totals fit for this layout, whatever they hold.
    fn take_totals(&mut self) -> Totals {
        let layout = self.layout;
        let held = self.scratch.totals.take().filter(|totals| {
            totals.columns.len() == layout.columns.len() && totals.conditions.len() == layout.conditions
        });
        held.unwrap_or_else(|| Totals::new(layout))
    }

    /// Forgets every entry and span of or before `bound_ms`.
    pub(crate) fn expire(&mut self, bound_ms: i64) {
        if self.slot.chunks == 0 {
            self.expire_small(bound_ms);
        } else {
            self.expire_big(bound_ms);
        }
    }

    /// Adds an entry after all entries of its time or before, then merges where the key holds more than `rows_max` rows.
    pub(crate) fn insert(&mut self, entry: &Entry, rows_max: usize, values_max: usize) {
        let mut row = std::mem::take(&mut self.scratch.row);
        row.clear();
        row.push(entry.time_ms as u64);
        row.extend(entry.columns.iter().map(|&value| value as u64));
        let extras = row.len();
        row.resize(extras + self.layout.sizes.extras, 0);
        for (distinct, value) in entry.values.iter().enumerate() {
            // A value expires by its own column's horizon.
            let bound_ms = self.slot.newest_ms - self.layout.value_horizons_ms[distinct];
            let place = self.with_dictionary(distinct, |dictionary, arena| {
                dictionary.note(arena, *value, entry.time_ms, bound_ms, values_max)
            });
            let (word, shift) = Layout::value_place(distinct);
            row[extras + word] |= u64::from(place) << shift;
        }
        for condition in 0..self.layout.conditions {
            let (word, shift) = self.layout.condition_place(condition);
            row[extras + word] |= (entry.conditions >> condition & 1) << shift;
        }
        if !(self.slot.spans > 0 && merge::insert_into_spans(self, entry)) {
            self.insert_entry(entry, &row);
        }
        self.scratch.row = row;
        if (self.slot.entries + self.slot.spans) as usize > rows_max {
            merge::merge_neighbours(self);
        } else if self.slot.chunks > 0 && self.slot.chunks as usize == self.layout.chunks_max() {
            merge::repack(self);
        }
    }

    fn insert_entry(&mut self, entry: &Entry, row: &[u64]) {
        if self.slot.chunks == 0 && self.slot.entries as usize == SMALL_MAX {
            self.become_big();
        }
        if self.slot.chunks == 0 {
            self.insert_small(row);
        } else {
            self.insert_big(row, entry);
        }
        self.slot.entries += 1;
    }

    fn with_dictionary<T>(
        &mut self,
        distinct: usize,
        change: impl FnOnce(&mut Dictionary, &mut Arena) -> T,
    ) -> T {
        let heads = self.layout.sizes.heads;
        let range = distinct * HEAD_WORDS..(distinct + 1) * HEAD_WORDS;
        let mut dictionary = Dictionary::load(&self.arena.words(self.slot.root, heads)[range.clone()]);
        let values = dictionary.values;
        let result = change(&mut dictionary, self.arena);
        self.slot.values = self.slot.values + dictionary.values as u32 - values as u32;
        dictionary.store(&mut self.arena.words_mut(self.slot.root, heads)[range]);
        result
    }

    // ---- small ----

    fn expire_small(&mut self, bound_ms: i64) {
        let rows = self.slot.entries as usize;
        if rows == 0 {
            return;
        }
        let chunk = self.read().chunk(0);
        if chunk.time_ms(0) > bound_ms {
            return;
        }
        let gone = chunk.rows_until(bound_ms);
        let (heads, room) = (self.layout.sizes.heads, self.slot.room as usize);
        let columns = self.layout.sizes.entry;
        let block = &mut self.arena.words_mut(self.slot.root, self.layout.small_words(room))[heads..];
        for column in 0..columns {
            block.copy_within(column * room + gone..column * room + rows, column * room);
        }
        self.slot.entries -= gone as u32;
        // Half empty after the coming entry: move to a smaller block.
        let fitting = small_room(rows - gone + 1);
        if fitting * 2 <= room {
            self.move_small(fitting);
        }
    }

    fn move_small(&mut self, room: usize) {
        let (old, old_room) = (self.slot.root, self.slot.room as usize);
        let rows = self.slot.entries as usize;
        let heads = self.layout.sizes.heads;
        let new = self.arena.allocate(self.layout.small_words(room));
        let mut words = std::mem::take(&mut self.scratch.block);
        words.clear();
        words.extend_from_slice(self.arena.words(old, self.layout.small_words(old_room)));
        let target = self.arena.words_mut(new, self.layout.small_words(room));
        target[..heads].copy_from_slice(&words[..heads]);
        for column in 0..self.layout.sizes.entry {
            let from = heads + column * old_room;
            let to = heads + column * room;
            target[to..to + rows].copy_from_slice(&words[from..from + rows]);
        }
        self.scratch.block = words;
        self.arena.release(old, self.layout.small_words(old_room));
        self.slot.root = new;
        self.slot.room = room as u16;
    }

    fn insert_small(&mut self, row: &[u64]) {
        let rows = self.slot.entries as usize;
        if rows == self.slot.room as usize {
            self.move_small(small_room(rows + 1));
        }
        let (heads, room) = (self.layout.sizes.heads, self.slot.room as usize);
        let block = &mut self.arena.words_mut(self.slot.root, self.layout.small_words(room))[heads..];
        insert_row(block, room, rows, row);
    }

    fn become_big(&mut self) {
        let rows = self.slot.entries as usize;
        let (old, old_words) = (self.slot.root, self.layout.small_words(self.slot.room as usize));
        let room = directory_room(1, self.layout);
        let directory = self.arena.allocate(self.layout.directory_words(room));
        let heads = self.layout.sizes.heads;
        self.arena.copy(old, directory, heads);
        let block = self.arena.allocate(CHUNK_ROWS * self.layout.sizes.entry);
        for column in 0..self.layout.sizes.entry {
            for index in 0..rows {
                let from = heads + column * self.slot.room as usize + index;
                let word = self.arena.words(old, old_words)[from];
                self.arena.words_mut(block, CHUNK_ROWS * self.layout.sizes.entry)
                    [column * CHUNK_ROWS + index] = word;
            }
        }
        self.arena.release(old, old_words);
        self.slot.root = directory;
        self.slot.room = room as u16;
        self.slot.chunks = 1;
        self.slot.head_row = 0;
        self.sliding().forget();
        self.set_head(0, ChunkHead { handle: block, rows, spans: false });
        self.summarise(0);
    }

    // ---- big ----

    fn expire_big(&mut self, bound_ms: i64) {
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

    fn become_small(&mut self) {
        let rows = self.slot.entries as usize;
        let room = small_room(rows + 1);
        let width = self.layout.sizes.entry;
        let heads = self.layout.sizes.heads;
        let mut words = std::mem::take(&mut self.scratch.block);
        words.clear();
        words.resize(self.layout.small_words(room), 0);
        words[..heads].copy_from_slice(&self.arena.words(self.slot.root, heads.max(1))[..heads]);
        let history = self.read();
        let mut to = 0;
        for index in 0..history.chunks() {
            let chunk = history.chunk(index);
            for row in if index == 0 { self.slot.head_row as usize } else { 0 }..chunk.rows {
                for column in 0..width {
                    words[heads + column * room + to] = chunk.words[column * chunk.room + row];
                }
                to += 1;
            }
        }
        for chunk in 0..self.slot.chunks as usize {
            self.release_chunk(chunk);
        }
        self.arena.release(self.slot.root, self.layout.directory_words(self.slot.room as usize));
        let root = self.arena.allocate(words.len());
        self.arena.words_mut(root, words.len()).copy_from_slice(&words);
        self.scratch.block = words;
        self.slot.root = root;
        self.slot.room = room as u16;
        self.slot.chunks = 0;
        self.slot.head_row = 0;
    }

    fn insert_big(&mut self, row: &[u64], entry: &Entry) {
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
            self.insert_into(at, row, entry);
            self.sliding().add(entry, at, true);
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
        self.insert_into(at, row, entry);
        self.sliding().add(entry, at, false);
    }

    /// Inserts a row into a chunk with room and adds it to the summary.
    fn insert_into(&mut self, at: Position, row: &[u64], entry: &Entry) {
        let head = self.head(at.chunk);
        let layout = self.layout;
        let block = self.arena.words_mut(head.handle, CHUNK_ROWS * layout.sizes.entry);
        insert_row_at(block, CHUNK_ROWS, head.rows, at.row, row);
        let summary = self.summary_mut(at.chunk);
        summary[0] = ChunkHead { rows: head.rows + 1, ..head }.word();
        summary[1] = (summary[1] as i64).max(entry.time_ms) as u64;
        let events = summary[2];
        summary[2] += 1;
        let mut rest = &mut summary[SUMMARY_FIXED..];
        for (usage, &value) in layout.columns.iter().zip(&entry.columns) {
            let mut column = usage.load(rest, events);
            column.add(value);
            usage.store(&column, rest);
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

    // ---- directory ----

    pub(crate) fn head(&self, chunk: usize) -> ChunkHead {
        let at = self.layout.directory_words(chunk);
        ChunkHead::load(self.arena.words(self.slot.root, at + 1)[at])
    }

    fn summary_mut(&mut self, chunk: usize) -> &mut [u64] {
        let words = self.layout.sizes.summary;
        let at = self.layout.directory_words(chunk);
        &mut self.arena.words_mut(self.slot.root, at + words)[at..]
    }

    fn set_head(&mut self, chunk: usize, head: ChunkHead) {
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
    fn insert_summary(&mut self, at: usize, head: ChunkHead) {
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

    fn remove_summaries(&mut self, at: usize, count: usize) {
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

    fn move_directory(&mut self, room: usize) {
        let old = self.slot.root;
        let old_words = self.layout.directory_words(self.slot.room as usize);
        let used = self.layout.directory_words(self.slot.chunks as usize);
        let new = self.arena.allocate(self.layout.directory_words(room));
        self.arena.copy(old, new, used);
        self.arena.release(old, old_words);
        self.slot.root = new;
        self.slot.room = room as u16;
    }

    fn release_chunk(&mut self, chunk: usize) {
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

/// Inserts a row behind the rows of its time or before.
fn insert_row(block: &mut [u64], room: usize, rows: usize, row: &[u64]) {
    let times = &block[..rows];
    let is_last = times.last().is_none_or(|&time| time as i64 <= row[0] as i64);
    let at = if is_last { rows } else { times.partition_point(|&time| time as i64 <= row[0] as i64) };
    insert_row_at(block, room, rows, at, row);
}

fn insert_row_at(block: &mut [u64], room: usize, rows: usize, at: usize, row: &[u64]) {
    for (column, &word) in row.iter().enumerate() {
        let start = column * room;
        if at < rows {
            block.copy_within(start + at..start + rows, start + at + 1);
        }
        block[start + at] = word;
    }
}
