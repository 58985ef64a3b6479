//! The features of one key, as of one event.
//!
//! history, totals -> **read** -> cells
//!
//! For each group of windows with the same near edge the windows are walked from the shortest to the longest. Those of a big
//! history are totalled already, if the event is in order (`sliding`); else each adds the rows that the one before did
//! not have. A window that has no more rows than the one before has its values.

use crate::event::marks;
use crate::features::cell::Cell;
use crate::features::plan::EntityPlan;
use crate::features::reads::{Group, MoneyReads, Part, Read, Same, What, WindowPlan};
use crate::features::rounding;
use crate::limits::DISTINCT_VALUES_MAX;
use crate::window::history::{History, Position};
use crate::window::layout::Layout;
use crate::window::sliding::Sliding;
use crate::window::slot::NOTHING_LOST;
use crate::window::totals::{ColumnTotals, Totals};
use crate::window::write::NewEntry;

/// Buffers of reading, one an entity kind.
#[derive(Debug)]
pub(crate) struct Scratch {
    totals: Totals,
    /// Distinct values a key keeps.
    values_max: usize,
    /// Halves of ratios.
    parts: Vec<PartTotals>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartTotals {
    n: u64,
    sum: i128,
}

impl Scratch {
    pub(crate) fn new(plan: &EntityPlan) -> Self {
        Self {
            totals: Totals::new(&plan.layout),
            values_max: DISTINCT_VALUES_MAX,
            parts: vec![PartTotals::default(); plan.ratios.len() * 2],
        }
    }
}

/// A window's place in a history.
#[derive(Clone, Copy)]
struct Range {
    edge_ms: i64,
    near_ms: i64,
    from: Position,
    to: Position,
    /// A span lies across an edge.
    across_edge: bool,
    across_near: bool,
}

/// Reads all features of one key into `cells` (by place in the entity) and returns the marks. `history` is `None` for a key that is not in store;
/// `lost_before_ms` is then the shard's horizon.
pub(crate) fn read(
    plan: &EntityPlan,
    values_max: usize,
    history: Option<&History<'_>>,
    lost_before_ms: i64,
    event: &NewEntry<'_>,
    scratch: &mut Scratch,
    cells: &mut [Cell],
) -> u8 {
    scratch.values_max = values_max;
    let mut marks = 0;
    let sliding = history.and_then(|history| history.sliding(event.time_ms));
    for group in 0..plan.groups.len() {
        marks |= read_group(plan, group, history, sliding, lost_before_ms, event, scratch, cells);
    }
    for read in &plan.lifetimes {
        marks |= read_lifetime(plan, read, history, lost_before_ms, event, cells);
    }
    for (ratio, halves) in plan.ratios.iter().zip(scratch.parts.chunks(2)) {
        cells[ratio.cell] = ratio_of(ratio.of, halves[0], halves[1]);
    }
    marks
}

#[expect(clippy::too_many_arguments, reason = "the one place where a group meets all that it may need")]
fn read_group(
    plan: &EntityPlan,
    index: usize,
    history: Option<&History<'_>>,
    sliding: Option<Sliding<'_>>,
    lost_before_ms: i64,
    event: &NewEntry<'_>,
    scratch: &mut Scratch,
    cells: &mut [Cell],
) -> u8 {
    let group = &plan.groups[index];
    let mut marks = 0;
    let near_ms = event.time_ms - group.delay_ms;
    let start = Position { chunk: 0, row: 0 };
    let (to, across_near) = match (history, sliding) {
        (None, _) => (start, false),
        (Some(history), Some(sliding)) => {
            let to = sliding.near(index, history);
            (to, history.is_across(near_ms, to))
        }
        (Some(history), None) if near_ms >= history.slot.newest_ms => (history.end(), false),
        (Some(history), None) => {
            let to = history.after(near_ms, history.end());
            (to, history.is_across(near_ms, to))
        }
    };
    if sliding.is_none() {
        scratch.totals.reset();
        if group.inclusive {
            scratch.totals.add(event.columns, event.conditions);
        }
    }
    let mut from = to;
    let mut rows = 0;
    for (at, window) in group.windows.iter().enumerate() {
        let edge_ms = near_ms - window.window_ms;
        let mut across_edge = false;
        let mut added = false;
        if let Some(history) = history {
            match sliding {
                None => {
                    let earlier = history.extend(from, edge_ms, &mut scratch.totals);
                    added = earlier < from;
                    from = earlier;
                }
                Some(sliding) => {
                    let (first, events) = sliding.first(index, at).unwrap_or((to, 0));
                    added = events != rows;
                    (from, rows) = (first, events);
                }
            }
            across_edge = from < to && history.is_across(edge_ms, from);
        }
        if (across_edge || across_near) && window.has_totals {
            marks |= marks::SATURATED;
        }
        if edge_ms < lost_before_ms {
            marks |= marks::DEGRADED;
        }
        if !added && !across_edge && !across_near && copy_same(window, cells) {
            // A value that found no place may still lie within the longer window.
            if window.has_distinct {
                marks |= dropped_within(window, history, edge_ms);
            }
            continue;
        }
        if let Some(sliding) = sliding {
            sliding.totals(index, at, group.inclusive.then_some(event), &mut scratch.totals);
        }
        for &cell in &window.counts {
            cells[cell] = Cell(scratch.totals.count as i64);
        }
        for money in &window.money {
            marks |= read_money(money, &scratch.totals.columns[money.column], cells);
        }
        let range = Range { edge_ms, near_ms, from, to, across_edge, across_near };
        for read in &window.others {
            marks |= read_one(plan, group, read, history, &range, event, scratch, cells);
        }
    }
    marks
}

/// Copies the cells of a window that holds the events of the one before it; false where they must be read.
#[inline]
fn copy_same(window: &WindowPlan, cells: &mut [Cell]) -> bool {
    match window.same {
        Same::No => return false,
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
        let (sum, fits) = narrow(totals.sum);
        marks |= if fits { 0 } else { marks::SATURATED };
        cells[usize::from(cell)] = Cell(sum);
    }
    if let Some(cell) = money.mean {
        cells[usize::from(cell)] = mean(totals, money.unit);
    }
    if let Some(cell) = money.minimum {
        cells[usize::from(cell)] = extreme(totals, totals.min);
    }
    if let Some(cell) = money.maximum {
        cells[usize::from(cell)] = extreme(totals, totals.max);
    }
    marks
}

#[expect(clippy::too_many_arguments, reason = "the one place where a read meets all that it may need")]
#[inline]
fn read_one(
    plan: &EntityPlan,
    group: &Group,
    read: &Read,
    history: Option<&History<'_>>,
    range: &Range,
    event: &NewEntry<'_>,
    scratch: &mut Scratch,
    cells: &mut [Cell],
) -> u8 {
    let totals = &scratch.totals;
    let mut marks = 0;
    cells[read.cell] = match read.what {
        What::Count => Cell(totals.count as i64),
        What::CountIf(condition) => Cell(totals.conditions[condition] as i64),
        What::SumDecimal(column) => {
            let (sum, fits) = narrow(totals.columns[column].sum);
            marks |= if fits { 0 } else { marks::SATURATED };
            Cell(sum)
        }
        What::SumReal(column) => {
            Cell::real(rounding::ratio_to_f32(totals.columns[column].sum, i128::from(plan.units[column])))
        }
        What::Mean(column) => mean(&totals.columns[column], plan.units[column]),
        What::MinDecimal(column) => extreme(&totals.columns[column], totals.columns[column].min),
        What::MaxDecimal(column) => extreme(&totals.columns[column], totals.columns[column].max),
        What::MinReal(column) => {
            real_extreme(&totals.columns[column], totals.columns[column].min, plan.digits[column])
        }
        What::MaxReal(column) => {
            real_extreme(&totals.columns[column], totals.columns[column].max, plan.digits[column])
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
            let (count, saturated) =
                count_distinct(plan, group, distinct, scratch.values_max, history, range, event);
            marks |= if saturated { marks::SATURATED } else { 0 };
            Cell(count as i64)
        }
        What::SecondsSinceLast(condition) => {
            let found = history.and_then(|history| newest(history, range, condition));
            if let Some((_, true)) = found {
                marks |= marks::SATURATED;
            }
            seconds_since(event.time_ms, found.map(|(time, _)| time))
        }
        What::Part { index, of } => {
            scratch.parts[index] = match of {
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
fn read_lifetime(
    plan: &EntityPlan,
    read: &Read,
    history: Option<&History<'_>>,
    lost_before_ms: i64,
    event: &NewEntry<'_>,
    cells: &mut [Cell],
) -> u8 {
    let was_lost = lost_before_ms > NOTHING_LOST;
    match read.what {
        What::SecondsSinceFirst => {
            let mut first =
                history.map(|history| history.slot.first_ms).filter(|&first| first <= event.time_ms);
            if read.inclusive {
                first = first.or(Some(event.time_ms));
            }
            cells[read.cell] = seconds_since(event.time_ms, first);
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
                    let range = whole(history, event.time_ms, i64::MIN / 4);
                    let stored = newest(history, &range, None);
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
            cells[read.cell] = seconds_since(event.time_ms, found);
            if was_lost && found.is_none_or(|found| found < lost_before_ms) {
                marks |= marks::DEGRADED;
            }
            marks
        }
        What::Run(condition) => {
            let edge_ms = event.time_ms - plan.length_ms;
            let (mut run, saturated) = history.map_or((0, false), |history| {
                run_of(history, &whole(history, event.time_ms, edge_ms), condition)
            });
            let mut saturated = saturated;
            if read.inclusive && plan.length_ms > 0 {
                if event.conditions >> condition & 1 == 1 {
                    run += 1;
                } else {
                    (run, saturated) = (0, false);
                }
            }
            cells[read.cell] = Cell(run as i64);
            let degraded = if edge_ms < lost_before_ms { marks::DEGRADED } else { 0 };
            degraded | if saturated { marks::SATURATED } else { 0 }
        }
        _ => 0,
    }
}

/// The range `(edge, near]` of a history.
fn whole(history: &History<'_>, near_ms: i64, edge_ms: i64) -> Range {
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
fn newest(history: &History<'_>, range: &Range, condition: Option<usize>) -> Option<(i64, bool)> {
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
fn run_of(history: &History<'_>, range: &Range, condition: usize) -> (u64, bool) {
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

fn count_distinct(
    plan: &EntityPlan,
    group: &Group,
    distinct: usize,
    values_max: usize,
    history: Option<&History<'_>>,
    range: &Range,
    event: &NewEntry<'_>,
) -> (u64, bool) {
    let present = event.values[distinct].filter(|_| group.inclusive);
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
        let bound_ms = history.slot.newest_ms - plan.layout.value_horizons_ms[distinct];
        let mut position = range.to;
        while let Some(before) = history.before(position).filter(|&before| before >= range.from) {
            position = before;
            let chunk = history.chunk(before.chunk);
            // An older entry's place may have gone to another value.
            if chunk.spans || chunk.time_ms(before.row) <= bound_ms {
                break;
            }
            let place = (chunk.extra(&plan.layout, before.row, word) >> shift) as u16 as usize;
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
        if is_full(
            plan.layout.value_horizons_ms[distinct],
            values_max,
            history,
            &dictionary,
            value,
            event.time_ms,
        ) {
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
    dictionary: &crate::window::dictionary::Dictionary,
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

fn dropped_within(window: &WindowPlan, history: Option<&History<'_>>, edge_ms: i64) -> u8 {
    let dropped = history.is_some_and(|history| {
        window.reads.iter().any(|read| match read.what {
            What::Distinct(distinct) => history.dictionary(distinct).dropped_ms > edge_ms,
            _ => false,
        })
    });
    if dropped { marks::SATURATED } else { 0 }
}

fn ratio_of(of: Part, top: PartTotals, bottom: PartTotals) -> Cell {
    let (numerator, denominator) = match of {
        Part::Count | Part::CountIf(_) => (i128::from(top.n), i128::from(bottom.n)),
        Part::Sum(_) => (top.sum, bottom.sum),
        Part::Mean(_) => {
            // (Σa / n) / (Σb / m) = Σa·m / (Σb·n); n and m are at most the events of a key.
            let numerator = top.sum.checked_mul(i128::from(bottom.n));
            match (top.n, numerator, bottom.sum.checked_mul(i128::from(top.n))) {
                (0, _, _) => return Cell::real(f32::NAN),
                (_, Some(numerator), Some(denominator)) => (numerator, denominator),
                _ => {
                    return Cell::real(
                        (top.sum as f64 / top.n as f64 / (bottom.sum as f64 / bottom.n as f64)) as f32,
                    );
                }
            }
        }
    };
    match denominator {
        0 => Cell::real(f32::NAN),
        1.. => Cell::real(rounding::ratio_to_f32(numerator, denominator)),
        _ => Cell::real(rounding::ratio_to_f32(-numerator, -denominator)),
    }
}

fn mean(column: &ColumnTotals, unit: i64) -> Cell {
    if column.n == 0 {
        return Cell::real(f32::NAN);
    }
    let divisor = i64::try_from(column.n).ok().and_then(|n| n.checked_mul(unit));
    Cell::real(match (i64::try_from(column.sum), divisor) {
        (Ok(sum), Some(divisor)) => rounding::narrow_ratio_to_f32(sum, divisor),
        _ => rounding::ratio_to_f32(column.sum, i128::from(column.n) * i128::from(unit)),
    })
}

fn extreme(column: &ColumnTotals, value: i64) -> Cell {
    if column.n == 0 { Cell::MISSING } else { Cell(value) }
}

fn real_extreme(column: &ColumnTotals, value: i64, digits: u32) -> Cell {
    if column.n == 0 {
        return Cell::real(f32::NAN);
    }
    Cell::real(rounding::decimal_to_f32(value, digits))
}

fn seconds_since(time_ms: i64, earlier_ms: Option<i64>) -> Cell {
    match earlier_ms {
        Some(earlier) => Cell::real(rounding::narrow_ratio_to_f32(time_ms - earlier, 1_000)),
        None => Cell::real(f32::NAN),
    }
}

/// A sum within 64 bits, or the end of the range.
fn narrow(sum: i128) -> (i64, bool) {
    match i64::try_from(sum) {
        Ok(sum) if sum != i64::MIN => (sum, true),
        _ => (if sum > 0 { i64::MAX } else { i64::MIN + 1 }, false),
    }
}
