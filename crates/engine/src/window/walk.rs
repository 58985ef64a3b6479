//! What is found by walking a history backwards: the newest event, and how many in a row.
//!
//! history -> **walk** -> read

use crate::window::history::{History, Position};
use crate::window::totals::Totals;

/// A window's place in a history.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) edge_ms: i64,
    pub(crate) near_ms: i64,
    pub(crate) from: Position,
    pub(crate) to: Position,
    /// A span lies across an edge.
    pub(crate) across_edge: bool,
    pub(crate) across_near: bool,
}

impl Range {
    /// Nothing, for a key without a history.
    pub(crate) fn nothing(edge_ms: i64, near_ms: i64) -> Self {
        let start = Position { chunk: 0, row: 0 };
        Self { edge_ms, near_ms, from: start, to: start, across_edge: false, across_near: false }
    }
}

/// The range `(edge, near]` of a history.
pub(crate) fn whole(history: &History<'_>, near_ms: i64, edge_ms: i64) -> Range {
    let to = history.after(near_ms, history.end());
    let from = history.after(edge_ms, to);
    Range {
        edge_ms,
        near_ms,
        from,
        to,
        across_edge: from < to && history.is_across(edge_ms, from),
        across_near: history.is_across(near_ms, to),
    }
}

/// Time of the newest row of the range (that met the condition), and whether a span leaves it uncertain.
pub(crate) fn newest(history: &History<'_>, range: &Range, condition: Option<usize>) -> Option<(i64, bool)> {
    if range.across_near && range.to < history.end() {
        let chunk = history.chunk(range.to.chunk);
        let first = chunk.first_ms(range.to.row);
        let met = condition.is_none_or(|condition| span_met(history, range.to, condition).0 > 0);
        if met && first > range.edge_ms {
            return Some((first, true));
        }
    }
    let mut position = range.to;
    while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
        let chunk = history.chunk(before.chunk);
        let time = chunk.time_ms(before.row);
        match condition {
            None => return Some((time, false)),
            Some(condition) if chunk.spans => {
                let (met, events) = span_met(history, before, condition);
                if met > 0 {
                    return Some((time, met < events));
                }
            }
            Some(condition) => {
                if chunk.met(history.layout, before.row, condition) {
                    return Some((time, false));
                }
            }
        }
        position = before;
    }
    None
}

/// Events of a span that met a condition, and all its events.
fn span_met(history: &History<'_>, at: Position, condition: usize) -> (u64, u64) {
    let mut totals = Totals::new(history.layout);
    history.chunk(at.chunk).total(history.layout, at.row, at.row + 1, &mut totals);
    (totals.conditions[condition], totals.count)
}

/// Newest events in a row that met a condition, and whether a span leaves it uncertain.
pub(crate) fn run_of(history: &History<'_>, range: &Range, condition: usize) -> (u64, bool) {
    if range.across_near {
        return (0, true);
    }
    let mut run = 0;
    let mut position = range.to;
    while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
        let chunk = history.chunk(before.chunk);
        if chunk.spans {
            let (met, events) = span_met(history, before, condition);
            if met < events || chunk.first_ms(before.row) <= range.edge_ms {
                return (run, met > 0);
            }
            run += events;
        } else if chunk.met(history.layout, before.row, condition) {
            run += 1;
        } else {
            return (run, false);
        }
        position = before;
    }
    (run, false)
}
