//! The kept totals of one window, in its words: set, add, take, look for extremes.
//!
//! history -> **kept** -> sliding

use super::{EVENTS, SlidingWindow, WINDOW_FIXED};
use crate::window::history::{Chunk, History, Position};
use crate::window::layout::{ColumnUse, Layout};
use crate::window::totals::Totals;
use crate::window::write::Entry;
use std::ops::Range;

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
    let mut saturated = false;
    words[EVENTS] += 1;
    let mut rest = &mut words[WINDOW_FIXED..];
    for &(column, usage) in &window.columns {
        saturated |= usage.add_value(entry.columns[column], rest);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        *word += entry.conditions >> condition & 1;
    }
    saturated
}

pub(super) fn add_row(
    window: &SlidingWindow,
    words: &mut [u64],
    chunk: &Chunk<'_>,
    layout: &Layout,
    row: usize,
) -> bool {
    let mut saturated = false;
    let before = words[EVENTS];
    words[EVENTS] += chunk.events(row);
    let mut rest = &mut words[WINDOW_FIXED..];
    for &(column, usage) in &window.columns {
        let mut totals = usage.load(rest, before);
        totals.merge(&chunk.column(column, row));
        saturated |= totals.is_saturated();
        usage.store(&totals, rest);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        *word += chunk.condition_events(layout, row, condition);
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
        let may_be_lost = if chunk.spans {
            take_spans(usage, rest, events, chunk, column, from..to)
        } else {
            let values = chunk.values(column, from..to);
            values.iter().fold(false, |lost, &value| lost | usage.take_value(value as i64, rest))
        };
        lost |= u64::from(may_be_lost) << bit.min(63);
        rest = &mut rest[usage.words()..];
    }
    for (&condition, word) in window.conditions.iter().zip(rest) {
        for row in from..to {
            *word -= chunk.condition_events(layout, row, condition);
        }
    }
    lost
}

/// As [`ColumnUse::take_value`], of spans.
fn take_spans(
    usage: ColumnUse,
    words: &mut [u64],
    events: u64,
    chunk: &Chunk<'_>,
    column: usize,
    rows: Range<usize>,
) -> bool {
    let mut lost = false;
    let mut totals = usage.load(words, events);
    for row in rows {
        let gone = chunk.column(column, row);
        if gone.n == 0 {
            continue;
        }
        totals.n -= gone.n;
        totals.sum -= gone.sum;
        totals.squares -= gone.squares;
        lost |= usage.minimum && gone.min <= totals.min || usage.maximum && gone.max >= totals.max;
    }
    usage.store(&totals, words);
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
