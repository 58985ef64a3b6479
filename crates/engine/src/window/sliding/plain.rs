//! One window of a plain entity, in its words: rows leave, the event enters.
//!
//! history -> **plain** -> read
//!
//! Only where amounts are the only column and no window is delayed (`EntityPlan::is_one_pass`), and of a history without spans.
//! Holds: the words are then those that [`super::SlidingMut::advance`] and [`super::SlidingMut::add`] would leave.

use super::{Cursor, EMPTY, EVENTS, NEVER, NOTHING, SlidingMut, SlidingWindow, WINDOW_FIXED};
use crate::window::history::{History, Position};
use crate::window::layout::ColumnUse;
use crate::window::totals::ColumnTotals;

/// The words of one window, to change.
pub(crate) struct PlainWindow<'a> {
    words: &'a mut [u64],
    /// What is kept of the amounts, if anything.
    usage: Option<ColumnUse>,
}

impl PlainWindow<'_> {
    #[inline]
    pub(crate) fn events(&self) -> u64 {
        self.words[EVENTS]
    }

    /// The first row; nothing of an empty window.
    #[inline]
    pub(crate) fn first(&self) -> Option<Position> {
        (self.events() > 0).then(|| Cursor::load(self.words).at)
    }

    /// The totals that are kept; what is not kept is nothing, but for the number of amounts.
    #[inline]
    pub(crate) fn totals(&self) -> ColumnTotals {
        let events = self.events();
        match self.usage {
            Some(usage) => usage.load(&self.words[WINDOW_FIXED..], events),
            None => ColumnTotals { n: events, ..ColumnTotals::NOTHING },
        }
    }

    /// Takes out the rows of or before the edge.
    #[inline]
    pub(crate) fn move_on(&mut self, history: &History<'_>, edge_ms: i64) {
        if self.words[1] as i64 <= edge_ms {
            self.leave(history, edge_ms);
        }
    }

    #[inline(never)]
    fn leave(&mut self, history: &History<'_>, edge_ms: i64) {
        let near = history.tail();
        if history.last_ms(near.chunk) <= edge_ms {
            self.store(EMPTY, &ColumnTotals::NOTHING);
            return;
        }
        let usage = self.usage.unwrap_or_default();
        let mut totals = self.totals();
        let (minimum, maximum) = (totals.min, totals.max);
        let mut has_lost_extreme = false;
        let mut at = Cursor::load(self.words).at;
        // Some row is behind the edge: the walk ends there.
        let first = 'walk: loop {
            let chunk = history.chunk(at.chunk);
            let amounts = chunk.values(0, 0..chunk.rows);
            for (&time, &amount) in chunk.times().iter().zip(amounts).skip(at.row) {
                if time as i64 > edge_ms {
                    break 'walk Cursor { at, time_ms: time as i64 };
                }
                let amount = amount as i64;
                totals.n -= 1;
                totals.sum -= i128::from(amount);
                totals.squares -= i128::from(amount) * i128::from(amount);
                has_lost_extreme |= usage.minimum && amount <= minimum || usage.maximum && amount >= maximum;
                at.row += 1;
            }
            at = Position { chunk: at.chunk + 1, row: 0 };
        };
        if has_lost_extreme {
            (totals.min, totals.max) = history.extremes(0, usage, at, near, (minimum, maximum));
        }
        self.store(first, &totals);
    }

    fn store(&mut self, first: Cursor, totals: &ColumnTotals) {
        first.store(self.words);
        self.words[EVENTS] = totals.n;
        if let Some(usage) = self.usage {
            usage.store(totals, &mut self.words[WINDOW_FIXED..]);
        }
    }

    /// Takes in the event of that amount, which will lie at a row behind all others; whether the sum of squares met its bound.
    #[inline]
    pub(crate) fn enter(&mut self, amount: i64, at: Position, time_ms: i64) -> bool {
        if self.words[1] as i64 == NOTHING {
            Cursor { at, time_ms }.store(self.words);
        }
        self.words[EVENTS] += 1;
        self.usage.is_some_and(|usage| usage.add_value(amount, &mut self.words[WINDOW_FIXED..]))
    }
}

impl SlidingMut<'_> {
    #[inline]
    pub(crate) fn plain(&mut self, window: &SlidingWindow) -> PlainWindow<'_> {
        PlainWindow {
            words: &mut self.words[window.start..window.start + window.words],
            usage: window.columns.first().map(|&(_, usage)| usage),
        }
    }

    /// The windows stand as of an event that entered; or not, where a sum of squares met its bound.
    #[inline]
    pub(crate) fn set_as_of(&mut self, time_ms: i64, is_saturated: bool) {
        self.words[super::AS_OF] = if is_saturated { NEVER } else { time_ms } as u64;
    }
}
