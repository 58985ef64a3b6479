//! An entry that was stored before becomes another: its event is known as something else.
//!
//! write -> **change** -> arena
//!
//! Holds: the entry stays where it is; a summary is made anew, and windows that slide over the history are totalled anew with the next event.

use super::{Entry, HistoryMut};
use crate::window::history::Position;
use crate::window::layout::CHUNK_ROWS;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Entry,
    /// It lies in a span by its time, and what a span holds cannot be taken apart.
    InSpan,
    /// It is not kept any more.
    Nothing,
}

impl HistoryMut<'_> {
    /// Gives the entry of the same event other columns and conditions.
    pub(crate) fn change(&mut self, entry: &Entry) -> Changed {
        let Some(at) = self.entry_of(entry) else {
            return if self.is_in_span(entry.time_ms) { Changed::InSpan } else { Changed::Nothing };
        };
        let mut extras = std::mem::take(&mut self.scratch.extras);
        extras.clear();
        self.fill_extras(entry, 0, &mut extras);
        let width = self.layout.sizes.entry;
        let is_small = self.slot.chunks == 0;
        let (block, room) = if is_small {
            let (heads, room) = (self.layout.sizes.heads, self.slot.room as usize);
            let words = self.layout.small_words(room);
            (&mut self.arena.words_mut(self.slot.root, words)[heads..], room)
        } else {
            let head = self.head(at.chunk);
            (self.arena.words_mut(head.handle, CHUNK_ROWS * width), CHUNK_ROWS)
        };
        let words = entry.columns.iter().map(|&value| value as u64).chain(extras.iter().copied());
        for (column, word) in (1..).zip(words) {
            block[column * room + at.row] = word;
        }
        self.scratch.extras = extras;
        if !is_small {
            self.summarise(at.chunk);
            self.sliding().forget();
        }
        Changed::Entry
    }

    /// Where the entry of the same event is.
    fn entry_of(&self, entry: &Entry) -> Option<Position> {
        let history = self.read();
        let event_word = self.layout.sizes.extras.checked_sub(1)?;
        let mut at = history.after(entry.time_ms, history.end());
        while let Some(before) = history.before(at) {
            let chunk = history.chunk(before.chunk);
            if chunk.spans || chunk.time_ms(before.row) != entry.time_ms {
                return None;
            }
            if chunk.extra(self.layout, before.row, event_word) == entry.event {
                return Some(before);
            }
            at = before;
        }
        None
    }

    fn is_in_span(&self, time_ms: i64) -> bool {
        let history = self.read();
        let at = history.after(time_ms - 1, history.end());
        self.slot.spans > 0 && at < history.end() && {
            let chunk = history.chunk(at.chunk);
            chunk.spans && chunk.first_ms(at.row) <= time_ms
        }
    }
}
