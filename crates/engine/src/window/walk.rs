//! What is found by walking a history backwards: the newest event, the oldest of a window, and how many in a row.
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

/// Time of the oldest row of the range (that met the condition), and whether a span leaves it uncertain. A span counts by its first
/// time, or, across the edge, by its last.
pub(crate) fn oldest(history: &History<'_>, range: &Range, condition: Option<usize>) -> Option<(i64, bool)> {
    let mut found = None;
    let mut position = range.to;
    let met_all = |at: Position| {
        condition.map_or((true, true), |condition| {
            let (met, events) = span_met(history, at, condition);
            (met > 0, met == events)
        })
    };
    if range.across_near && range.to < history.end() {
        let first = history.chunk(range.to.chunk).first_ms(range.to.row);
        if met_all(range.to).0 && first > range.edge_ms {
            found = Some((first, true));
        }
    }
    while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
        let chunk = history.chunk(before.chunk);
        if chunk.spans {
            let (met, all) = met_all(before);
            let first = chunk.first_ms(before.row);
            if met && first > range.edge_ms {
                found = Some((first, !all));
            } else if met {
                found = Some((chunk.time_ms(before.row), true));
            }
        } else if condition.is_none_or(|condition| chunk.met(history.layout, before.row, condition)) {
            found = Some((chunk.time_ms(before.row), false));
        }
        position = before;
    }
    found
}

/// Whether the newest row of the range among those that met a condition met another, and whether a span leaves it uncertain: of a span,
/// whether any of its events did.
pub(crate) fn last(
    history: &History<'_>,
    range: &Range,
    of: usize,
    among: Option<usize>,
) -> Option<(bool, bool)> {
    let of_span = |at: Position| {
        let (met, events) = span_met(history, at, of);
        let looked_at = among.map_or(events, |among| span_met(history, at, among).0);
        (looked_at > 0).then_some((met > 0, met > 0 && met < looked_at))
    };
    if range.across_near && range.to < history.end() {
        let first = history.chunk(range.to.chunk).first_ms(range.to.row);
        if first > range.edge_ms
            && let Some((met, _)) = of_span(range.to)
        {
            return Some((met, true));
        }
    }
    let mut position = range.to;
    while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
        let chunk = history.chunk(before.chunk);
        if chunk.spans {
            if let Some(found) = of_span(before) {
                return Some(found);
            }
        } else if among.is_none_or(|among| chunk.met(history.layout, before.row, among)) {
            return Some((chunk.met(history.layout, before.row, of), false));
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
