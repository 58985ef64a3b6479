//! Windows of an entity that is plain: its only numeric column, the amount, always has a value, and there are no conditions.
//!
//! history, sliding -> **plain** -> read, shard
//!
//! Totals are then four words, which stay in registers from window to window; sums of 64 bits are enough for all but huge
//! windows. The rest of the column's totals are made where something asks for them.
//!
//! Holds: the values are those that [`Reader::window`] gives.

use super::{Reader, copy_same};
use crate::features::cell::Cell;
use crate::features::reads::{Group, WindowPlan};
use crate::features::rounding;
use crate::window::distinct;
use crate::window::history::{History, Position};
use crate::window::sliding::SlidingMut;
use crate::window::totals::ColumnTotals;
use crate::window::walk::Range;

/// Sums up to here, of either sign, are totalled in 64 bits: one more amount does not leave them.
const SUM_MAX: i128 = 1 << 62;
/// Events up to here: their product with a unit does not leave 64 bits.
const EVENTS_MAX: u64 = 1 << 31;

/// Totals of the amounts of some events.
#[derive(Clone, Copy, Debug)]
struct Amounts {
    events: u64,
    sum: i64,
    min: i64,
    max: i64,
}

impl Amounts {
    const NONE: Self = Self { events: 0, sum: 0, min: i64::MAX, max: i64::MIN };

    #[inline]
    fn add(&mut self, amount: i64) {
        self.events += 1;
        self.sum += amount;
        self.min = self.min.min(amount);
        self.max = self.max.max(amount);
    }

    /// Of some event at least.
    #[inline]
    fn mean(&self, unit: i64) -> Cell {
        Cell::finite(rounding::narrow_ratio_to_f32(self.sum, self.events as i64 * unit))
    }

    /// Of totals that are small enough.
    #[inline]
    fn of(totals: &ColumnTotals) -> Option<Self> {
        let &ColumnTotals { n: events, sum, min, max, .. } = totals;
        let is_small = events < EVENTS_MAX && sum.abs() <= SUM_MAX;
        is_small.then_some(Self { events, sum: sum as i64, min, max })
    }
}

impl Reader<'_> {
    /// The event's own amount where it counts.
    #[inline]
    fn present_amount(&self, group: &Group) -> Option<i64> {
        if group.inclusive { Some(self.event.columns[0]) } else { None }
    }

    pub(super) fn plain_of_new_key(&mut self, group: &Group, near_ms: i64) -> u8 {
        let present = self.present_amount(group);
        let mut amounts = Amounts::NONE;
        if let Some(amount) = present {
            amounts.add(amount);
        }
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            if index == 0 || !copy_same(window, self.cells) {
                self.plain_window(window, &amounts);
                if self.has_others(window) {
                    let range = Range::nothing(near_ms - window.window_ms, near_ms);
                    marks |= self.plain_others(group, window, &range, &amounts, present.map_or(0, square));
                }
            }
        }
        marks
    }

    pub(super) fn plain_of_small(&mut self, group: &Group, history: &History<'_>, near_ms: i64) -> u8 {
        let present = self.present_amount(group);
        let mut amounts = Amounts::NONE;
        if let Some(amount) = present {
            amounts.add(amount);
        }
        let chunk = history.small();
        let end = if near_ms >= history.slot.newest_ms { chunk.rows } else { chunk.rows_until(near_ms) };
        let values = chunk.values(0, 0..end);
        let mut times = &chunk.times()[..end];
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            let edge_ms = near_ms - window.window_ms;
            let before = times.len();
            while let &[ref earlier @ .., time] = times
                && time as i64 > edge_ms
            {
                amounts.add(values[earlier.len()] as i64);
                times = earlier;
            }
            let row = times.len();
            if row == before && index > 0 && copy_same(window, self.cells) {
                marks |= distinct::dropped_within(window, history, edge_ms);
                continue;
            }
            self.plain_window(window, &amounts);
            if self.has_others(window) {
                let at = |row| Position { chunk: 0, row };
                let (from, to) = (at(row), at(end));
                let range = Range { edge_ms, near_ms, from, to, across_edge: false, across_near: false };
                let squares = values[row..].iter().map(|&amount| square(amount as i64));
                let squares = squares.sum::<i128>() + present.map_or(0, square);
                marks |= self.plain_others(group, window, &range, &amounts, squares);
            }
        }
        marks
    }

    /// Moves the windows of a big history without spans on to an event at its newest time or later, reads them, and takes the event in,
    /// which will be the next row. No window of the entity is delayed.
    pub(crate) fn pass(&mut self, history: &History<'_>, windows: &mut SlidingMut<'_>) -> u8 {
        let plan = self.plan;
        let (time_ms, amount) = (self.event.time_ms, self.event.columns[0]);
        let (end, next) = (history.end(), history.next());
        let (mut marks, mut is_saturated) = (0, false);
        for (group, kept) in plan.groups.iter().zip(&plan.layout.sliding.groups) {
            marks |= self.degraded(group, time_ms);
            let mut events_before = 0;
            for (index, (window, kept)) in group.windows.iter().zip(&kept.windows).enumerate() {
                let edge_ms = time_ms - window.window_ms;
                let mut kept = windows.plain(kept);
                kept.move_on(history, edge_ms);
                let events = kept.events();
                if index > 0 && events == events_before && copy_same(window, self.cells) {
                    marks |= distinct::dropped_within(window, history, edge_ms);
                } else {
                    events_before = events;
                    let (from, near_ms) = (kept.first().unwrap_or(end), time_ms);
                    let (across_edge, across_near) = (false, false);
                    let range = Range { edge_ms, near_ms, from, to: end, across_edge, across_near };
                    marks |= self.plain_kept(group, window, &range, &kept.totals());
                }
                is_saturated |= kept.enter(amount, next, time_ms);
            }
        }
        windows.set_as_of(time_ms, is_saturated);
        marks | self.without_window()
    }

    /// A window of which the totals are kept.
    #[inline]
    fn plain_kept(&mut self, group: &Group, window: &WindowPlan, range: &Range, kept: &ColumnTotals) -> u8 {
        let present = self.present_amount(group);
        let Some(mut amounts) = Amounts::of(kept) else {
            let totals = &mut self.scratch.totals;
            (totals.count, totals.columns[0]) = (kept.n + u64::from(present.is_some()), *kept);
            if let Some(amount) = present {
                totals.columns[0].add(amount);
            }
            return self.window(group, window, range);
        };
        if let Some(amount) = present {
            amounts.add(amount);
        }
        self.plain_window(window, &amounts);
        if !self.has_others(window) {
            return 0;
        }
        let squares = kept.squares.saturating_add(present.map_or(0, square));
        self.plain_others(group, window, range, &amounts, squares)
    }

    /// The number of events and the aggregates of amounts.
    #[expect(clippy::inline_always, reason = "a few stores, of which there are 12 an event")]
    #[inline(always)]
    fn plain_window(&mut self, window: &WindowPlan, amounts: &Amounts) {
        if let Some((first, unit)) = window.usual
            && amounts.events > 0
        {
            let cells = &mut self.cells[first..first + 4];
            cells[0] = Cell(amounts.events as i64);
            cells[1] = Cell(amounts.sum);
            cells[2] = amounts.mean(unit);
            cells[3] = Cell(amounts.max);
        } else {
            self.unusual_window(window, amounts);
        }
    }

    #[inline(never)]
    fn unusual_window(&mut self, window: &WindowPlan, amounts: &Amounts) {
        let is_empty = amounts.events == 0;
        if let Some(cell) = window.count {
            self.cells[cell] = Cell(amounts.events as i64);
        }
        for money in &window.money {
            if let Some(cell) = money.sum {
                self.cells[usize::from(cell)] = Cell(amounts.sum);
            }
            if let Some(cell) = money.mean {
                let mean = if is_empty { Cell::real(f32::NAN) } else { amounts.mean(money.unit) };
                self.cells[usize::from(cell)] = mean;
            }
            if let Some(cell) = money.minimum {
                self.cells[usize::from(cell)] = if is_empty { Cell::MISSING } else { Cell(amounts.min) };
            }
            if let Some(cell) = money.maximum {
                self.cells[usize::from(cell)] = if is_empty { Cell::MISSING } else { Cell(amounts.max) };
            }
        }
    }

    /// Everything else, from all totals of the column.
    fn plain_others(
        &mut self,
        group: &Group,
        window: &WindowPlan,
        range: &Range,
        amounts: &Amounts,
        squares: i128,
    ) -> u8 {
        let &Amounts { events, sum, min, max } = amounts;
        self.scratch.totals.count = events;
        self.scratch.totals.columns[0] = ColumnTotals { n: events, sum: sum.into(), squares, min, max };
        self.others(group, window, range)
    }
}

#[inline]
fn square(amount: i64) -> i128 {
    i128::from(amount) * i128::from(amount)
}
