//! The features of one key, as of one event.
//!
//! history, totals -> **read** -> cells
//!
//! For each group of windows with the same near edge the windows are walked from the shortest to the longest. Those of a big
//! history are totalled already, if the event is in order (`sliding`); else each adds the rows that the one before did
//! not have. A window that has no more rows than the one before has its values, unless a span lies across the edge of either: what
//! happened within a span is known by last times alone (distinct), which the edges part.
//!
//! Most entities have amounts and counts only; `plain` reads these with less work, to the same values.

mod plain;

use crate::event::marks;
use crate::features::cell::Cell;
use crate::features::plan::EntityPlan;
use crate::features::reads::{Group, MoneyReads, Part, Read, Same, What, WindowPlan};
use crate::features::rounding;
use crate::window::distinct;
use crate::window::history::{History, Position};
use crate::window::sliding::Sliding;
use crate::window::slot::NOTHING_LOST;
use crate::window::totals::{ColumnTotals, Totals};
use crate::window::value::{self, PartTotals};
use crate::window::walk::{self, Range};
use crate::window::write::Entry;

/// Buffers of reading, one an entity kind.
#[derive(Debug)]
pub(crate) struct Scratch {
    totals: Totals,
    /// Halves of ratios.
    parts: Vec<PartTotals>,
}

impl Scratch {
    pub(crate) fn new(plan: &EntityPlan) -> Self {
        Self { totals: Totals::new(&plan.layout), parts: vec![PartTotals::default(); plan.ratios.len() * 2] }
    }
}

/// One key as of one event: what its features are read from and written to.
pub(crate) struct Reader<'a> {
    pub(crate) plan: &'a EntityPlan,
    /// Distinct values that a key keeps.
    pub(crate) values_max: usize,
    /// `None` for a key that is not in store.
    pub(crate) history: Option<&'a History<'a>>,
    /// The key's own; of a key that is not in store the shard's.
    pub(crate) lost_before_ms: i64,
    pub(crate) event: &'a Entry,
    pub(crate) scratch: &'a mut Scratch,
    /// By place in the entity.
    pub(crate) cells: &'a mut [Cell],
    /// The event is stored next, in order, which tells what is `counted`.
    pub(crate) is_stored_next: bool,
}

impl Reader<'_> {
    /// Reads all features of the key and returns the marks.
    pub(crate) fn read(&mut self) -> u8 {
        let plan = self.plan;
        let mut marks = 0;
        for (index, group) in plan.groups.iter().enumerate() {
            let near_ms = self.event.time_ms - group.delay_ms;
            marks |= self.degraded(group, near_ms);
            let is_plain = plan.layout.is_plain;
            marks |= match self.history {
                None if is_plain => self.plain_of_new_key(group, near_ms),
                None => self.of_new_key(group, near_ms),
                Some(history) if history.slot.chunks == 0 => {
                    if is_plain {
                        self.plain_of_small(group, history, near_ms)
                    } else {
                        self.of_small(group, history, near_ms)
                    }
                }
                Some(history) => match history.sliding(self.event.time_ms) {
                    Some(sliding) => self.of_sliding(index, group, history, sliding, near_ms),
                    None => self.of_chunks(group, history, near_ms),
                },
            };
        }
        marks | self.without_window()
    }

    /// [`marks::DEGRADED`] where the longest window reaches back to before what is known of the key.
    #[inline]
    fn degraded(&self, group: &Group, near_ms: i64) -> u8 {
        let longest = group.windows.last();
        let reaches = longest.is_some_and(|window| near_ms - window.window_ms < self.lost_before_ms);
        if reaches { marks::DEGRADED } else { 0 }
    }

    /// What is not read over a window, and the ratios of what was.
    #[inline]
    fn without_window(&mut self) -> u8 {
        let plan = self.plan;
        let marks = plan.lifetimes.iter().fold(0, |marks, read| marks | self.lifetime(read));
        for (ratio, halves) in plan.ratios.iter().zip(self.scratch.parts.chunks(2)) {
            self.cells[ratio.cell] = value::ratio_of(ratio.of, halves[0], halves[1]);
        }
        marks
    }

    /// The totals of no row, or of the event alone where it counts.
    fn begin(&mut self, group: &Group) {
        if group.inclusive {
            self.scratch.totals.set(&self.event.columns, self.event.conditions);
        } else {
            self.scratch.totals.reset();
        }
    }

    fn of_new_key(&mut self, group: &Group, near_ms: i64) -> u8 {
        self.begin(group);
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            if index == 0 || !copy_same(window, self.cells) {
                let range = Range::nothing(near_ms - window.window_ms, near_ms);
                marks |= self.window(group, window, &range);
            }
        }
        marks
    }

    fn of_small(&mut self, group: &Group, history: &History<'_>, near_ms: i64) -> u8 {
        self.begin(group);
        let chunk = history.small();
        let mut row = if near_ms >= history.slot.newest_ms { chunk.rows } else { chunk.rows_until(near_ms) };
        let to = Position { chunk: 0, row };
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            let edge_ms = near_ms - window.window_ms;
            let times = &chunk.times()[..row];
            if times.last().is_some_and(|&time| time as i64 > edge_ms) {
                // A search without branches: where a window ends is for the processor to foresee as little as for us.
                let first = times.partition_point(|&time| time as i64 <= edge_ms);
                chunk.total(history.layout, first, row, &mut self.scratch.totals);
                row = first;
            } else if index > 0 && copy_same(window, self.cells) {
                marks |= distinct::dropped_within(window, history, edge_ms);
                continue;
            }
            let from = Position { chunk: 0, row };
            let range = Range { edge_ms, near_ms, from, to, across_edge: false, across_near: false };
            marks |= self.window(group, window, &range);
        }
        marks
    }

    fn of_sliding(
        &mut self,
        at: usize,
        group: &Group,
        history: &History<'_>,
        sliding: Sliding<'_>,
        near_ms: i64,
    ) -> u8 {
        let to = sliding.near(at, history);
        let across_near = history.is_across(near_ms, to);
        let present = group.inclusive.then_some(self.event);
        let (mut events_before, mut was_across) = (0, false);
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            let edge_ms = near_ms - window.window_ms;
            let (from, events) = sliding.first(at, index).unwrap_or((to, 0));
            let across_edge = from < to && history.is_across(edge_ms, from);
            if index > 0
                && events == events_before
                && !(across_edge || was_across || across_near)
                && copy_same(window, self.cells)
            {
                marks |= distinct::dropped_within(window, history, edge_ms);
                continue;
            }
            (events_before, was_across) = (events, across_edge);
            sliding.totals(at, index, present, &mut self.scratch.totals);
            let range = Range { edge_ms, near_ms, from, to, across_edge, across_near };
            marks |= self.window(group, window, &range);
        }
        marks
    }

    fn of_chunks(&mut self, group: &Group, history: &History<'_>, near_ms: i64) -> u8 {
        self.begin(group);
        let to = history.after(near_ms, history.end());
        let across_near = history.is_across(near_ms, to);
        let (mut from, mut was_across) = (to, false);
        let mut marks = 0;
        for (index, window) in group.windows.iter().enumerate() {
            let edge_ms = near_ms - window.window_ms;
            let earlier = history.after(edge_ms, from);
            history.total(earlier, from, &mut self.scratch.totals);
            let is_same = earlier == from;
            from = earlier;
            let across_edge = from < to && history.is_across(edge_ms, from);
            if index > 0
                && is_same
                && !(across_edge || was_across || across_near)
                && copy_same(window, self.cells)
            {
                marks |= distinct::dropped_within(window, history, edge_ms);
                continue;
            }
            was_across = across_edge;
            let range = Range { edge_ms, near_ms, from, to, across_edge, across_near };
            marks |= self.window(group, window, &range);
        }
        marks
    }

    /// Reads one window, whose totals are in the scratch.
    #[inline]
    fn window(&mut self, group: &Group, window: &WindowPlan, range: &Range) -> u8 {
        let totals = &self.scratch.totals;
        let mut marks = 0;
        if (range.across_edge || range.across_near) && window.has_totals {
            marks |= marks::SATURATED;
        }
        if let Some(cell) = window.count {
            self.cells[cell] = Cell(totals.count as i64);
        }
        for money in &window.money {
            marks |= read_money(money, &totals.columns[money.column], self.cells);
        }
        marks | self.others(group, window, range)
    }

    /// Whether anything is read one by one.
    #[inline]
    fn has_others(&self, window: &WindowPlan) -> bool {
        !window.others.is_empty() || !(self.is_stored_next || window.counted.is_empty())
    }

    /// Reads these.
    #[inline]
    fn others(&mut self, group: &Group, window: &WindowPlan, range: &Range) -> u8 {
        let counted = if self.is_stored_next { &[] } else { &window.counted[..] };
        window.others.iter().chain(counted).fold(0, |marks, read| marks | self.one(group, read, range))
    }

    fn one(&mut self, group: &Group, read: &Read, range: &Range) -> u8 {
        let (plan, history, event) = (self.plan, self.history, self.event);
        let totals = &self.scratch.totals;
        let mut marks = 0;
        self.cells[read.cell] = match read.what {
            What::Count => Cell(totals.count as i64),
            What::CountIf(condition) => Cell(totals.conditions[condition] as i64),
            What::SumDecimal(column) => {
                let (sum, fits) = value::narrow(totals.columns[column].sum);
                marks |= if fits { 0 } else { marks::SATURATED };
                Cell(sum)
            }
            What::SumReal(column) => {
                Cell::real(rounding::ratio_to_f32(totals.columns[column].sum, i128::from(plan.units[column])))
            }
            What::Mean(column) => value::mean(&totals.columns[column], plan.units[column]),
            What::MinDecimal(column) => value::extreme(&totals.columns[column], totals.columns[column].min),
            What::MaxDecimal(column) => value::extreme(&totals.columns[column], totals.columns[column].max),
            What::MinReal(column) => {
                value::real_extreme(&totals.columns[column], totals.columns[column].min, plan.digits[column])
            }
            What::MaxReal(column) => {
                value::real_extreme(&totals.columns[column], totals.columns[column].max, plan.digits[column])
            }
            What::Std(column) => {
                let column_totals = &totals.columns[column];
                if column_totals.n == 0 {
                    Cell::real(f32::NAN)
                } else {
                    Cell::real(rounding::std_to_f32(
                        column_totals.n,
                        column_totals.sum,
                        column_totals.squares as u128,
                        plan.digits[column],
                    ))
                }
            }
            What::ZScore(column) => {
                let column_totals = &totals.columns[column];
                let present = event.present[column];
                if column_totals.n == 0 || present == crate::event::MISSING {
                    Cell::real(f32::NAN)
                } else {
                    Cell::real(rounding::zscore_to_f32(
                        present,
                        column_totals.n,
                        column_totals.sum,
                        column_totals.squares as u128,
                    ))
                }
            }
            What::Share(condition) => {
                if totals.count == 0 {
                    Cell::real(f32::NAN)
                } else {
                    Cell::real(rounding::ratio_to_f32(
                        i128::from(totals.conditions[condition]),
                        i128::from(totals.count),
                    ))
                }
            }
            What::Distinct(distinct) => {
                let (count, saturated) = distinct::count(
                    &plan.layout,
                    group.inclusive,
                    distinct,
                    self.values_max,
                    history,
                    range,
                    event,
                );
                marks |= if saturated { marks::SATURATED } else { 0 };
                Cell(count as i64)
            }
            What::SecondsSinceLast(condition) => {
                let found = history.and_then(|history| walk::newest(history, range, condition));
                if let Some((_, true)) = found {
                    marks |= marks::SATURATED;
                }
                value::seconds_since(event.time_ms, found.map(|(time, _)| time))
            }
            What::SecondsSinceOldest(condition) => {
                let found = history.and_then(|history| walk::oldest(history, range, condition));
                marks |= found.map_or(0, |(_, uncertain)| if uncertain { marks::SATURATED } else { 0 });
                value::seconds_since(event.time_ms, found.map(|(time, _)| time))
            }
            What::Last { of, among } => {
                let found = history.and_then(|history| walk::last(history, range, of, among));
                marks |= found.map_or(0, |(_, uncertain)| if uncertain { marks::SATURATED } else { 0 });
                found.map_or(Cell::MISSING, |(met, _)| Cell(met.into()))
            }
            What::Part { index, of } => {
                self.scratch.parts[index] = match of {
                    Part::Count => PartTotals { n: totals.count, sum: 0 },
                    Part::CountIf(condition) => PartTotals { n: totals.conditions[condition], sum: 0 },
                    Part::Sum(column) | Part::Mean(column) => {
                        PartTotals { n: totals.columns[column].n, sum: totals.columns[column].sum }
                    }
                };
                return 0;
            }
            What::SecondsSinceFirst | What::Run(_) => return 0,
        };
        marks
    }

    /// A feature without a window.
    fn lifetime(&mut self, read: &Read) -> u8 {
        let Self { plan, history, event, lost_before_ms, .. } = *self;
        let was_lost = lost_before_ms > NOTHING_LOST;
        match read.what {
            What::SecondsSinceFirst => {
                let mut first =
                    history.map(|history| history.slot.first_ms).filter(|&first| first <= event.time_ms);
                if read.inclusive {
                    first = first.or(Some(event.time_ms));
                }
                self.cells[read.cell] = value::seconds_since(event.time_ms, first);
                if was_lost { marks::DEGRADED } else { 0 }
            }
            What::SecondsSinceLast(_) => {
                let mut marks = 0;
                let mut found = None;
                if let Some(history) = history {
                    let slot = history.slot;
                    if slot.newest_ms <= event.time_ms {
                        found = Some(slot.newest_ms);
                    } else {
                        let range = walk::whole(history, event.time_ms, i64::MIN / 4);
                        let stored = walk::newest(history, &range, None);
                        if range.across_near {
                            marks |= marks::SATURATED;
                        }
                        found = stored.map(|(time, _)| time);
                        if found.is_none() && slot.first_ms <= event.time_ms {
                            // Entries that expired may have lain between.
                            found = Some(slot.first_ms);
                            marks |= marks::SATURATED;
                        }
                    }
                }
                self.cells[read.cell] = value::seconds_since(event.time_ms, found);
                if was_lost && found.is_none_or(|found| found < lost_before_ms) {
                    marks |= marks::DEGRADED;
                }
                marks
            }
            What::Run(condition) => {
                let edge_ms = event.time_ms - plan.length_ms;
                let (mut run, saturated) = history.map_or((0, false), |history| {
                    walk::run_of(history, &walk::whole(history, event.time_ms, edge_ms), condition)
                });
                let mut saturated = saturated;
                if read.inclusive && plan.length_ms > 0 {
                    if event.conditions >> condition & 1 == 1 {
                        run += 1;
                    } else {
                        (run, saturated) = (0, false);
                    }
                }
                self.cells[read.cell] = Cell(run as i64);
                let degraded = if edge_ms < lost_before_ms { marks::DEGRADED } else { 0 };
                degraded | if saturated { marks::SATURATED } else { 0 }
            }
            _ => 0,
        }
    }
}

/// Copies the cells of a window that holds the events of the one before it; false where they must be read.
#[expect(clippy::inline_always, reason = "four words")]
#[inline(always)]
fn copy_same(window: &WindowPlan, cells: &mut [Cell]) -> bool {
    let Same::Four { from, to } = window.same else { return copy_others(window, cells) };
    let four: [Cell; 4] = std::array::from_fn(|cell| cells[from..from + 4][cell]);
    cells[to..to + 4].copy_from_slice(&four);
    true
}

#[inline(never)]
fn copy_others(window: &WindowPlan, cells: &mut [Cell]) -> bool {
    match window.same {
        Same::No => return false,
        Same::Four { from, to } => cells.copy_within(from..from + 4, to),
        Same::Range { from, to, cells: count } => cells.copy_within(from..from + count, to),
        Same::Cells(ref places) => {
            for &(from, to) in places {
                cells[to] = cells[from];
            }
        }
    }
    true
}

/// The aggregates of a column of amounts.
#[inline]
fn read_money(money: &MoneyReads, totals: &ColumnTotals, cells: &mut [Cell]) -> u8 {
    let mut marks = 0;
    if let Some(cell) = money.sum {
        let (sum, fits) = value::narrow(totals.sum);
        marks |= if fits { 0 } else { marks::SATURATED };
        cells[usize::from(cell)] = Cell(sum);
    }
    if let Some(cell) = money.mean {
        cells[usize::from(cell)] = value::mean(totals, money.unit);
    }
    if let Some(cell) = money.minimum {
        cells[usize::from(cell)] = value::extreme(totals, totals.min);
    }
    if let Some(cell) = money.maximum {
        cells[usize::from(cell)] = value::extreme(totals, totals.max);
    }
    marks
}
