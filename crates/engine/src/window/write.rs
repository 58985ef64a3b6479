//! Change the history of one key: expire, insert, change an entry.
//!
//! shard -> **write** (`small`, `big`, `directory`, `change`) -> arena
//!
//! Holds: after every call the rows are in order and each summary equals the totals of its chunk (but for the first chunk while
//! it has expired rows at its head: its summary is then not used).

mod big;
mod change;
mod directory;
mod small;

use crate::event::MISSING;
use crate::window::arena::Arena;
use crate::window::dictionary::Dictionary;
use crate::window::history::History;
use crate::window::layout::{HEAD_WORDS, Layout, SMALL_MAX, small_room};
use crate::window::merge;
use crate::window::slot::Slot;
use crate::window::totals::Totals;

pub(crate) use change::Changed;

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
    /// Sequence number, where entries are found again by it.
    pub(crate) event: u64,
}

impl Entry {
    /// Gives it this many columns, whose values are set next.
    #[inline]
    pub(crate) fn fit(&mut self, columns: usize, distincts: usize) {
        if self.columns.len() != columns || self.values.len() != distincts {
            self.columns.resize(columns, MISSING);
            self.present.resize(columns, MISSING);
            self.values.resize(distincts, None);
        }
    }
}

/// What an entry becomes: a word in each column of a block.
#[derive(Clone, Copy)]
struct Row<'a> {
    entry: &'a Entry,
    /// Places of distinct values and bits of conditions.
    extras: &'a [u64],
}

/// One key's history, to write.
pub(crate) struct HistoryMut<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) arena: &'a mut Arena,
    pub(crate) slot: &'a mut Slot,
    /// Reused between calls.
    pub(crate) scratch: &'a mut Scratch,
}

/// Buffers of a shard's writes.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    extras: Vec<u64>,
    /// Of the last event that was inserted, by distinct column: the values in the column's window, and whether some may be missing.
    pub(crate) counted: Vec<(u64, bool)>,
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

    /// Totals fit for this layout, whatever they hold.
    fn take_totals(&mut self) -> Totals {
        let layout = self.layout;
        let held = self.scratch.totals.take().filter(|totals| {
            totals.columns.len() == layout.columns.len() && totals.conditions.len() == layout.conditions
        });
        held.unwrap_or_else(|| Totals::new(layout))
    }

    /// Forgets every entry and span of or before `bound_ms`.
    #[inline]
    pub(crate) fn expire(&mut self, bound_ms: i64) {
        if self.slot.chunks > 0 {
            self.expire_big(bound_ms);
        } else if self.slot.entries > 0 {
            self.expire_small(bound_ms);
        }
    }

    /// Adds an entry after all entries of its time or before, then merges where the key holds more than `rows_max` rows. `has_entered`: the
    /// windows of a big history have it already.
    pub(crate) fn insert(&mut self, entry: &Entry, rows_max: usize, values_max: usize, has_entered: bool) {
        if self.layout.sizes.extras == 0 {
            self.insert_row(Row { entry, extras: &[] }, has_entered);
        } else {
            let mut extras = std::mem::take(&mut self.scratch.extras);
            self.fill_extras(entry, values_max, &mut extras);
            self.insert_row(Row { entry, extras: &extras }, has_entered);
            self.scratch.extras = extras;
        }
        if (self.slot.entries + self.slot.spans) as usize > rows_max {
            merge::merge_neighbours(self);
        } else if self.slot.chunks > 0 && self.slot.chunks as usize == self.layout.chunks_max() {
            merge::repack(self);
        }
    }

    /// Notes the entry's distinct values, and writes their places and the truth of its conditions.
    fn fill_extras(&mut self, entry: &Entry, values_max: usize, extras: &mut Vec<u64>) {
        let layout = self.layout;
        extras.clear();
        extras.resize(layout.sizes.extras, 0);
        self.scratch.counted.resize(layout.distincts, (0, false));
        let spans_ms = layout.value_horizons_ms.iter().zip(&layout.value_windows_ms);
        for ((distinct, &value), (horizon_ms, window_ms)) in entry.values.iter().enumerate().zip(spans_ms) {
            // A value expires by its own column's horizon.
            let (bound_ms, edge_ms) = (self.slot.newest_ms - horizon_ms, entry.time_ms - window_ms);
            let (noted, dropped_ms) = self.with_dictionary(distinct, |dictionary, arena| {
                let noted = dictionary.note(arena, value, entry.time_ms, (bound_ms, edge_ms), values_max);
                (noted, dictionary.dropped_ms)
            });
            self.scratch.counted[distinct] = (noted.within, dropped_ms > edge_ms);
            let (word, shift) = Layout::value_place(distinct);
            extras[word] |= u64::from(noted.place) << shift;
        }
        for condition in 0..layout.conditions {
            let (word, shift) = layout.condition_place(condition);
            extras[word] |= (entry.conditions >> condition & 1) << shift;
        }
        if layout.has_event
            && let Some(last) = extras.last_mut()
        {
            *last = entry.event;
        }
    }

    #[inline]
    fn insert_row(&mut self, row: Row<'_>, has_entered: bool) {
        if self.slot.spans > 0 && merge::insert_into_spans(self, row.entry) {
            return;
        }
        if self.slot.chunks == 0 && self.slot.entries as usize == SMALL_MAX {
            self.become_big();
        }
        if self.slot.chunks == 0 {
            self.insert_small(row);
        } else {
            self.insert_big(row, has_entered);
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
        let before = Dictionary::load(&self.arena.words(self.slot.root, heads)[range.clone()]);
        let mut dictionary = before;
        let result = change(&mut dictionary, self.arena);
        if dictionary != before {
            self.slot.values = self.slot.values + dictionary.values as u32 - before.values as u32;
            dictionary.store(&mut self.arena.words_mut(self.slot.root, heads)[range]);
        }
        result
    }
}

impl Row<'_> {
    /// Inserts it into a block behind the rows of its time or before.
    #[inline]
    fn insert(self, block: &mut [u64], room: usize, rows: usize) {
        let time_ms = self.entry.time_ms;
        let times = &block[..rows];
        let is_last = times.last().is_none_or(|&time| time as i64 <= time_ms);
        let at = if is_last { rows } else { times.partition_point(|&time| time as i64 <= time_ms) };
        self.insert_at(block, room, rows, at);
    }

    /// Inserts it at a place.
    #[inline]
    fn insert_at(self, block: &mut [u64], room: usize, rows: usize, at: usize) {
        if at < rows {
            self.make_place(block, room, rows, at);
        }
        self.write_at(block, room, at);
    }

    #[cold]
    fn make_place(self, block: &mut [u64], room: usize, rows: usize, at: usize) {
        for column in 0..=self.entry.columns.len() + self.extras.len() {
            let start = column * room;
            block.copy_within(start + at..start + rows, start + at + 1);
        }
    }

    #[inline]
    fn write_at(self, block: &mut [u64], room: usize, at: usize) {
        block[at] = self.entry.time_ms as u64;
        let mut place = at;
        for &value in &self.entry.columns {
            place += room;
            block[place] = value as u64;
        }
        for &word in self.extras {
            place += room;
            block[place] = word;
        }
    }
}
