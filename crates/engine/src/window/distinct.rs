//! How many values a distinct column had in a window.
//!
//! dictionary, history -> **distinct** -> read

use crate::event::marks;
use crate::features::reads::{What, WindowPlan};
use crate::limits::DISTINCT_VALUES_MAX;
use crate::window::dictionary::Dictionary;
use crate::window::history::History;
use crate::window::layout::Layout;
use crate::window::walk::Range;
use crate::window::write::Entry;

/// The number of values, and whether more may have found no place. `counts_present`: the event's own value counts.
pub(crate) fn count(
    layout: &Layout,
    counts_present: bool,
    distinct: usize,
    values_max: usize,
    history: Option<&History<'_>>,
    range: &Range,
    event: &Entry,
) -> (u64, bool) {
    let present = event.values[distinct].filter(|_| counts_present);
    let Some(history) = history else {
        return (u64::from(present.is_some()), false);
    };
    let dictionary = history.dictionary(distinct);
    let mut counted = dictionary.count_after(history.arena, range.edge_ms, range.near_ms, present);
    let mut saturated = dictionary.dropped_ms > range.edge_ms;
    if counted.newer {
        // Values seen again after the near edge: look for them entry by entry.
        let (values, lasts) = dictionary.parts(history.arena);
        let mut seen = [0u64; DISTINCT_VALUES_MAX / 64];
        let (word, shift) = Layout::value_place(distinct);
        let bound_ms = history.slot.newest_ms - layout.value_horizons_ms[distinct];
        let mut position = range.to;
        while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
            position = before;
            let chunk = history.chunk(before.chunk);
            // An older entry's place may have gone to another value.
            if chunk.spans || chunk.time_ms(before.row) <= bound_ms {
                break;
            }
            let place = (chunk.extra(layout, before.row, word) >> shift) as u16 as usize;
            if place < values.len()
                && lasts[place] as i64 > range.near_ms
                && seen[place / 64] >> (place % 64) & 1 == 0
            {
                seen[place / 64] |= 1 << (place % 64);
                counted.values += 1;
                counted.has_present |= Some(values[place]) == present;
            }
        }
        saturated |= range.across_edge || range.across_near || history.has_spans(range.from, range.to);
    }
    if let Some(value) = present
        && !counted.has_present
    {
        if is_full(layout.value_horizons_ms[distinct], values_max, history, &dictionary, value, event.time_ms)
        {
            saturated = true;
        } else {
            counted.values += 1;
        }
    }
    (counted.values, saturated)
}

/// Whether a value would find no place if the event were stored.
fn is_full(
    horizon_ms: i64,
    values_max: usize,
    history: &History<'_>,
    dictionary: &Dictionary,
    value: u64,
    time_ms: i64,
) -> bool {
    if dictionary.values < values_max {
        return false;
    }
    let bound_ms = history.slot.newest_ms.max(time_ms) - horizon_ms;
    let (values, lasts) = dictionary.parts(history.arena);
    let mut kept = 0;
    for (&held, &last) in values.iter().zip(lasts) {
        if last as i64 > bound_ms {
            kept += 1;
            if held == value {
                return false;
            }
        }
    }
    kept >= values_max
}

/// [`marks::SATURATED`] where a value of the window found no place.
#[inline]
pub(crate) fn dropped_within(window: &WindowPlan, history: &History<'_>, edge_ms: i64) -> u8 {
    let dropped = window.has_distinct
        && window.counted.iter().chain(&window.others).any(|read| match read.what {
            What::Distinct(distinct) => history.dictionary(distinct).dropped_ms > edge_ms,
            _ => false,
        });
    if dropped { marks::SATURATED } else { 0 }
}
