//! A history that is one block: expire, insert, change its size and its kind.
//!
//! write -> **small** -> arena

use super::{HistoryMut, Row};
use crate::window::history::ChunkHead;
use crate::window::layout::{CHUNK_ROWS, directory_room, small_room};

impl HistoryMut<'_> {
    /// A history that has entries.
    #[inline]
    pub(super) fn expire_small(&mut self, bound_ms: i64) {
        let rows = self.slot.entries as usize;
        let chunk = self.read().small();
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

    pub(super) fn insert_small(&mut self, row: Row<'_>) {
        let rows = self.slot.entries as usize;
        if rows == self.slot.room as usize {
            self.move_small(small_room(rows + 1));
        }
        let (heads, room) = (self.layout.sizes.heads, self.slot.room as usize);
        let block = &mut self.arena.words_mut(self.slot.root, self.layout.small_words(room))[heads..];
        row.insert(block, room, rows);
    }

    pub(super) fn become_big(&mut self) {
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

    pub(super) fn become_small(&mut self) {
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
}
