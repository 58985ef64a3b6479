//! Windows that slide over a big history: where each begins, and the totals of what lies in it.
//!
//! layout, history -> **sliding** -> read, write
//!
//! Totalling a window anew costs the chunks that it spans, and a busy key has hundreds. Here an event in order moves each
//! window's beginning over the rows that leave, and adds itself: a row is paid for once a window.
//!
//! The words lie in the directory, behind the heads: time as of which the windows stand, oldest time in store, then for each
//! group its near edge (where it is delayed) and for each window its beginning and its totals.
//!
//! Holds: while the time as of which the windows stand is the key's newest, their totals are those of [`History::total`] over the
//! same rows. An event before the newest time is read from the chunks, not from here. A history that is rebuilt sets the time to
//! [`NEVER`]; the next event in order totals its windows anew.

mod kept;
mod plain;

use self::kept::{add_entry, add_row, find_extremes, store_totals, take_rows};
use crate::window::history::{History, Position};
use crate::window::layout::{ColumnUse, Layout};
use crate::window::totals::{ColumnTotals, Totals};
use crate::window::write::Entry;

/// The windows do not stand: total them anew.
pub(crate) const NEVER: i64 = i64::MIN;
/// The window is empty, or the near edge is behind all rows.
const NOTHING: i64 = i64::MAX;

/// Words before those of the groups.
const AS_OF: usize = 0;
const OLDEST: usize = 1;
const FIXED_WORDS: usize = 2;

/// Words of a cursor: its row (`chunk << 32 | row`) and that row's time, or [`NOTHING`] where it stands behind all rows.
const CURSOR_WORDS: usize = 2;
/// Words of a window before its columns: cursor, events.
const WINDOW_FIXED: usize = CURSOR_WORDS + 1;
const EVENTS: usize = CURSOR_WORDS;

/// More words than this would leave a directory too little room; windows are then totalled anew for each event.
const WORDS_MAX: usize = 8_192;

/// Which windows slide, and where their words lie. Empty where they would not fit.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlidingLayout {
    pub(crate) groups: Vec<SlidingGroup>,
    /// All words, from the directory's heads to its first summary.
    pub(crate) words: usize,
}

/// Windows with the same near edge.
#[derive(Clone, Debug)]
pub(crate) struct SlidingGroup {
    pub(crate) delay_ms: i64,
    /// Word of the near edge's cursor; without a delay the edge is the end.
    near: Option<usize>,
    pub(crate) windows: Vec<SlidingWindow>,
}

/// One window: what of it is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlidingWindow {
    pub(crate) window_ms: i64,
    /// Numeric columns that are read over it, by their place in the layout.
    pub(crate) columns: Vec<(usize, ColumnUse)>,
    /// Conditions that are counted over it.
    pub(crate) conditions: Vec<usize>,
    start: usize,
    words: usize,
}

impl SlidingWindow {
    /// A window of which nothing but the events is kept yet.
    pub(crate) fn new(window_ms: i64) -> Self {
        Self { window_ms, ..Self::default() }
    }
}

impl SlidingLayout {
    /// Gives every window its words; `groups` are delays and their windows.
    pub(crate) fn new(groups: impl Iterator<Item = (i64, Vec<SlidingWindow>)>) -> Self {
        let mut words = FIXED_WORDS;
        let mut place = |count: usize| {
            words += count;
            words - count
        };
        let groups = groups
            .map(|(delay_ms, mut windows)| {
                let near = (delay_ms > 0).then(|| place(CURSOR_WORDS));
                for window in &mut windows {
                    let columns: usize = window.columns.iter().map(|(_, usage)| usage.words()).sum();
                    window.words = WINDOW_FIXED + columns + window.conditions.len();
                    window.start = place(window.words);
                }
                SlidingGroup { delay_ms, near, windows }
            })
            .collect();
        if words > WORDS_MAX { Self::default() } else { Self { groups, words } }
    }
}

/// A cursor as it is kept.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    at: Position,
    /// Time of the row there, or [`NOTHING`]; `at` then means nothing.
    time_ms: i64,
}

impl Cursor {
    fn load(words: &[u64]) -> Self {
        let at = Position { chunk: (words[0] >> 32) as usize, row: words[0] as u32 as usize };
        Self { at, time_ms: words[1] as i64 }
    }

    fn store(self, words: &mut [u64]) {
        words[0] = (self.at.chunk as u64) << 32 | self.at.row as u64;
        words[1] = self.time_ms as u64;
    }

    /// At the row of a history, or behind all.
    fn at_row(history: &History<'_>, at: Position) -> Self {
        let time_ms = if at >= history.end() { NOTHING } else { history.chunk(at.chunk).time_ms(at.row) };
        Self { at, time_ms }
    }
}

/// The windows of one history, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sliding<'a> {
    layout: &'a SlidingLayout,
    words: &'a [u64],
}

impl<'a> Sliding<'a> {
    /// The windows of a history if they stand as of `time_ms`.
    #[inline]
    pub(crate) fn as_of(layout: &'a Layout, root: &'a [u64], time_ms: i64) -> Option<Self> {
        let layout_of = &layout.sliding;
        let words = &root[layout.sizes.heads..layout.sizes.directory_fixed];
        (layout_of.words > 0 && words[AS_OF] as i64 == time_ms).then_some(Self { layout: layout_of, words })
    }

    /// Whether the windows of a history stand as of `time_ms` or an earlier time.
    #[inline]
    pub(crate) fn stand_at_or_before(layout: &Layout, root: &[u64], time_ms: i64) -> bool {
        let as_of_ms = root[layout.sizes.heads + AS_OF] as i64;
        as_of_ms != NEVER && as_of_ms <= time_ms
    }

    /// Tells the first row of each window that an event at `time_ms` would make leave.
    #[inline]
    pub(crate) fn each_leaving(layout: &Layout, root: &[u64], time_ms: i64, mut tell: impl FnMut(Position)) {
        let words = &root[layout.sizes.heads..layout.sizes.directory_fixed];
        if words.first().is_none_or(|&word| word as i64 == NEVER) {
            return;
        }
        for group in &layout.sliding.groups {
            for window in &group.windows {
                let cursor = Cursor::load(&words[window.start..]);
                if cursor.time_ms <= time_ms - group.delay_ms - window.window_ms {
                    tell(cursor.at);
                }
            }
        }
    }

    /// The first row behind a group's near edge.
    #[inline]
    pub(crate) fn near(&self, group: usize, history: &History<'_>) -> Position {
        match self.layout.groups[group].near {
            None => history.end(),
            Some(at) => {
                let cursor = Cursor::load(&self.words[at..]);
                if cursor.time_ms == NOTHING { history.end() } else { cursor.at }
            }
        }
    }

    /// The first row of a window and its events; nothing where it is empty.
    #[inline]
    pub(crate) fn first(&self, group: usize, window: usize) -> Option<(Position, u64)> {
        let words = &self.words[self.layout.groups[group].windows[window].start..][..WINDOW_FIXED];
        (words[EVENTS] > 0).then(|| (Cursor::load(words).at, words[EVENTS]))
    }

    /// Sets those totals that are kept of a window, with one more event where it counts.
    #[inline]
    pub(crate) fn totals(&self, group: usize, window: usize, present: Option<&Entry>, totals: &mut Totals) {
        let window = &self.layout.groups[group].windows[window];
        let words = &self.words[window.start..window.start + window.words];
        let events = words[EVENTS];
        totals.count = events + u64::from(present.is_some());
        let mut rest = &words[WINDOW_FIXED..];
        for &(column, usage) in &window.columns {
            let kept = &mut totals.columns[column];
            *kept = usage.load(rest, events);
            if let Some(entry) = present {
                kept.add(entry.columns[column]);
            }
            rest = &rest[usage.words()..];
        }
        for (&condition, &count) in window.conditions.iter().zip(rest) {
            totals.conditions[condition] =
                count + present.map_or(0, |entry| entry.conditions >> condition & 1);
        }
    }
}

/// The sliding words of a directory, to change.
pub(crate) struct SlidingMut<'a> {
    layout: &'a SlidingLayout,
    words: &'a mut [u64],
    /// A sum of squares met its bound: what leaves could not be taken from it.
    saturated: bool,
}

impl<'a> SlidingMut<'a> {
    pub(crate) fn new(layout: &'a SlidingLayout, words: &'a mut [u64]) -> Self {
        Self { layout, words, saturated: false }
    }

    /// The windows do not stand any more, nor is the oldest time known.
    pub(crate) fn forget(&mut self) {
        if let Some(words) = self.words.get_mut(..FIXED_WORDS) {
            words.fill(NEVER as u64);
        }
    }

    /// Time of the oldest row in store, or [`NEVER`] where it is not known.
    pub(crate) fn oldest_ms(&self) -> i64 {
        self.words.get(OLDEST).map_or(NEVER, |&word| word as i64)
    }

    pub(crate) fn set_oldest_ms(&mut self, time_ms: i64) {
        if let Some(word) = self.words.get_mut(OLDEST) {
            *word = time_ms as u64;
        }
    }

    /// Whether the windows stand as of a later time than this.
    pub(crate) fn stand_after(&self, time_ms: i64) -> bool {
        self.words.first().is_some_and(|&word| word as i64 > time_ms)
    }

    fn stand(&self) -> bool {
        self.words.first().is_some_and(|&word| word as i64 != NEVER)
    }

    /// Moves the windows on to an event at the key's newest time or later. `spare` is room for totals.
    pub(crate) fn advance(&mut self, history: &History<'_>, time_ms: i64, spare: &mut Totals) {
        let stood = self.stand();
        let layout = self.layout;
        for group in &layout.groups {
            let near_ms = time_ms - group.delay_ms;
            if stood {
                let near = match group.near {
                    None => history.tail(),
                    Some(at) => self.enter(history, group, at, near_ms),
                };
                for window in &group.windows {
                    let words = &mut self.words[window.start..window.start + window.words];
                    let cursor = Cursor::load(words);
                    if cursor.time_ms <= near_ms - window.window_ms {
                        leave(history, window, words, near, near_ms - window.window_ms);
                    }
                }
            } else {
                self.total_anew(history, group, near_ms, spare);
            }
        }
        if let Some(word) = self.words.first_mut() {
            *word = time_ms as u64;
        }
        if self.saturated {
            self.words[AS_OF] = NEVER as u64;
        }
    }

    fn total_anew(&mut self, history: &History<'_>, group: &SlidingGroup, near_ms: i64, spare: &mut Totals) {
        let near = history.after(near_ms, history.end());
        if let Some(at) = group.near {
            Cursor::at_row(history, near).store(&mut self.words[at..]);
        }
        let mut from = near;
        spare.reset();
        for window in &group.windows {
            let earlier = history.after(near_ms - window.window_ms, from);
            history.total(earlier, from, spare);
            from = earlier;
            let words = &mut self.words[window.start..window.start + window.words];
            let cursor = if from < near { Cursor::at_row(history, from) } else { EMPTY };
            cursor.store(words);
            self.saturated |= store_totals(window, words, spare);
        }
    }

    /// Moves a delayed near edge on, adding the rows that enter; the edge.
    fn enter(&mut self, history: &History<'_>, group: &SlidingGroup, at: usize, near_ms: i64) -> Position {
        let mut cursor = Cursor::load(&self.words[at..]);
        while cursor.time_ms <= near_ms {
            let chunk = history.chunk(cursor.at.chunk);
            for window in &group.windows {
                let words = &mut self.words[window.start..window.start + window.words];
                if words[EVENTS] == 0 {
                    cursor.store(words);
                }
                self.saturated |= add_row(window, words, &chunk, history.layout, cursor.at.row);
            }
            let next = if cursor.at.row + 1 < chunk.rows {
                Position { row: cursor.at.row + 1, ..cursor.at }
            } else {
                Position { chunk: cursor.at.chunk + 1, row: 0 }
            };
            cursor = Cursor::at_row(history, next);
        }
        cursor.store(&mut self.words[at..]);
        if cursor.time_ms == NOTHING { history.tail() } else { cursor.at }
    }

    /// Adds an event that was stored at a row; `is_last` where it is behind all others.
    pub(crate) fn add(&mut self, entry: &Entry, at: Position, is_last: bool) {
        if !self.stand() {
            return;
        }
        let as_of_ms = self.words[AS_OF] as i64;
        let here = Cursor { at, time_ms: entry.time_ms };
        let layout = self.layout;
        for group in &layout.groups {
            let near_ms = as_of_ms - group.delay_ms;
            if let Some(word) = group.near {
                let near = Cursor::load(&self.words[word..]);
                if entry.time_ms > near_ms {
                    if entry.time_ms < near.time_ms {
                        here.store(&mut self.words[word..]);
                    }
                    // Not in any window yet.
                    continue;
                }
                shift(&mut self.words[word..], at);
            }
            for window in &group.windows {
                let words = &mut self.words[window.start..window.start + window.words];
                if entry.time_ms <= near_ms - window.window_ms {
                    shift(words, at);
                    continue;
                }
                if entry.time_ms < words[1] as i64 {
                    here.store(words);
                }
                self.saturated |= add_entry(window, words, entry);
            }
        }
        if self.saturated {
            self.words[AS_OF] = NEVER as u64;
        }
        if !is_last && entry.time_ms < self.oldest_ms() {
            self.set_oldest_ms(entry.time_ms);
        }
    }

    /// The first `gone` chunks were removed.
    pub(crate) fn chunks_removed(&mut self, gone: usize) {
        self.each_cursor(|at| at.chunk = at.chunk.saturating_sub(gone));
    }

    /// The first `gone` rows of the first chunk were removed.
    pub(crate) fn rows_removed(&mut self, gone: usize) {
        self.each_cursor(|at| {
            if at.chunk == 0 {
                at.row = at.row.saturating_sub(gone);
            }
        });
    }

    /// The rows of a chunk from `row` on became a chunk of their own behind it.
    pub(crate) fn chunk_split(&mut self, chunk: usize, row: usize) {
        self.each_cursor(|at| {
            if at.chunk > chunk {
                at.chunk += 1;
            } else if at.chunk == chunk && at.row >= row {
                (at.chunk, at.row) = (chunk + 1, at.row - row);
            }
        });
    }

    fn each_cursor(&mut self, change: impl Fn(&mut Position)) {
        if !self.stand() {
            return;
        }
        let layout = self.layout;
        for group in &layout.groups {
            for start in group.near.into_iter().chain(group.windows.iter().map(|window| window.start)) {
                let mut cursor = Cursor::load(&self.words[start..]);
                change(&mut cursor.at);
                cursor.store(&mut self.words[start..]);
            }
        }
    }
}

const EMPTY: Cursor = Cursor { at: Position { chunk: 0, row: 0 }, time_ms: NOTHING };

/// A row came before the cursor's, or took its place: the cursor follows its row.
fn shift(words: &mut [u64], inserted: Position) {
    let mut cursor = Cursor::load(words);
    if cursor.at.chunk == inserted.chunk && cursor.at.row >= inserted.row {
        cursor.at.row += 1;
        cursor.store(words);
    }
}

/// Takes from a window the rows that its edge has passed.
fn leave(history: &History<'_>, window: &SlidingWindow, words: &mut [u64], near: Position, edge_ms: i64) {
    let mut from = Cursor::load(words).at;
    let mut next = EMPTY;
    // One bit a column that may have lost its smallest or largest value.
    let mut lost = 0u64;
    if history.time_before(near).is_none_or(|time_ms| time_ms <= edge_ms) {
        from = near;
    }
    while from < near {
        let chunk = history.chunk(from.chunk);
        let end = if from.chunk == near.chunk { near.row } else { chunk.rows };
        if from.row >= end {
            from = Position { chunk: from.chunk + 1, row: 0 };
            continue;
        }
        let times = &chunk.times()[from.row..end];
        let gone = from.row + times.iter().take_while(|&&time| time as i64 <= edge_ms).count();
        lost |= take_rows(window, words, &chunk, history.layout, from.row, gone);
        from.row = gone;
        if gone < end {
            next = Cursor { at: from, time_ms: chunk.time_ms(gone) };
            break;
        }
    }
    if next.time_ms == NOTHING {
        words[EVENTS] = 0;
        let mut rest = &mut words[WINDOW_FIXED..];
        for (_, usage) in &window.columns {
            usage.store(&ColumnTotals::NOTHING, rest);
            rest = &mut rest[usage.words()..];
        }
        rest.fill(0);
    } else if lost > 0 {
        find_extremes(history, window, words, lost, from, near);
    }
    next.store(words);
}

#[cfg(test)]
mod tests;
