//! The kept totals of one window, in its words: set, add, take, look for extremes.
//!
//! history -> **kept** -> sliding

use super::{EVENTS, SlidingWindow, WINDOW_FIXED};
use crate::window::history::{Chunk, History, Position};
use crate::window::layout::Layout;
use crate::window::totals::{ColumnTotals, Totals};
use crate::window::write::Entry;

/// Sets a window's totals; whether one is saturated. So the functions below.
pub(super) fn store_totals(window: &SlidingWindow, words: &mut [u64], totals: &Totals) -> bool {
    let mut saturated = false;
    words[EVENTS] = totals.count;
    let mut rest = &mut words[WINDOW_FIXED..];
    for &(column, usage) in &window.columns {
        saturated |= totals.columns[column].is_saturated();
        usage.store(&totals.columns[column], rest);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        *word = totals.conditions[condition];
    }
    saturated
}

pub(super) fn add_entry(window: &SlidingWindow, words: &mut [u64], entry: &Entry) -> bool {
    add_events(
        window,
        words,
        1,
        |column| ColumnTotals::of(entry.columns[column]),
        |condition| entry.conditions >> condition & 1,
    )
}

pub(super) fn add_row(
    window: &SlidingWindow,
    words: &mut [u64],
    chunk: &Chunk<'_>,
    layout: &Layout,
    row: usize,
) -> bool {
    add_events(
        window,
        words,
        chunk.events(row),
        |column| chunk.column(column, row),
        |condition| chunk.condition_events(layout, row, condition),
    )
}

#[inline]
fn add_events(
    window: &SlidingWindow,
    words: &mut [u64],
    events: u64,
    column_totals: impl Fn(usize) -> ColumnTotals,
    condition_events: impl Fn(usize) -> u64,
) -> bool {
    let mut saturated = false;
    let before = words[EVENTS];
    words[EVENTS] += events;
    let mut rest = &mut words[WINDOW_FIXED..];
    for &(column, usage) in &window.columns {
        let mut totals = usage.load(rest, before);
        totals.merge(&column_totals(column));
        saturated |= totals.is_saturated();
        usage.store(&totals, rest);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        *word += condition_events(condition);
    }
    saturated
}

/// Takes rows `from..to` of a chunk from the totals, but for the extremes; one bit a column of the window that may have lost one.
pub(super) fn take_rows(
    window: &SlidingWindow,
    words: &mut [u64],
    chunk: &Chunk<'_>,
    layout: &Layout,
    from: usize,
    to: usize,
) -> u64 {
    let mut lost = 0;
    let events = words[EVENTS];
    for row in from..to {
        words[EVENTS] -= chunk.events(row);
    }
    let mut rest = &mut words[WINDOW_FIXED..];
    for (bit, &(column, usage)) in window.columns.iter().enumerate() {
        let mut totals = usage.load(rest, events);
        for row in from..to {
            let gone = chunk.column(column, row);
            if gone.n == 0 {
                continue;
            }
            totals.n -= gone.n;
            totals.sum -= gone.sum;
            totals.squares -= gone.squares;
            let is_extreme =
                usage.minimum && gone.min <= totals.min || usage.maximum && gone.max >= totals.max;
            lost |= u64::from(is_extreme) << bit.min(63);
        }
        usage.store(&totals, rest);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        for row in from..to {
            *word -= chunk.condition_events(layout, row, condition);
        }
    }
    lost
}

/// Looks for the extremes of the columns that may have lost theirs.
pub(super) fn find_extremes(
    history: &History<'_>,
    window: &SlidingWindow,
    words: &mut [u64],
    lost: u64,
    from: Position,
    near: Position,
) {
    let events = words[EVENTS];
    let mut rest = &mut words[WINDOW_FIXED..];
    for (bit, &(column, usage)) in window.columns.iter().enumerate() {
        if lost >> bit.min(63) & 1 == 1 {
            let mut totals = usage.load(rest, events);
            (totals.min, totals.max) = history.extremes(column, usage, from, near, (totals.min, totals.max));
            usage.store(&totals, rest);
        }
        rest = &mut rest[usage.words()..];
    }
}
