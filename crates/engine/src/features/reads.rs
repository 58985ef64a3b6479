//! What is read over the windows of one entity, arranged so that the batch decides little.
//!
//! plan -> **reads** -> window
//!
//! Most events change few windows: the longer ones of a key that was quiet hold what the shorter hold. Such a window's cells are
//! copied. Of the others the amounts' aggregates are read column by column, everything else one by one.

use crate::window::layout::{ColumnUse, Layout};
use crate::window::sliding::SlidingWindow;

/// Windows with the same near edge, shortest first.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) delay_ms: i64,
    pub(crate) inclusive: bool,
    pub(crate) windows: Vec<WindowPlan>,
}

/// One window and what is read over it.
#[derive(Debug, Default)]
pub(crate) struct WindowPlan {
    pub(crate) window_ms: i64,
    /// Everything that is read.
    pub(crate) reads: Vec<Read>,
    /// Of these: the cell of the number of events,
    pub(crate) count: Option<usize>,
    /// the aggregates of amounts,
    pub(crate) money: Vec<MoneyReads>,
    /// the numbers of distinct values that storing the event tells as well ([`crate::features::plan::EntityPlan::counted`]),
    pub(crate) counted: Vec<Read>,
    /// and the others.
    pub(crate) others: Vec<Read>,
    /// The first of four cells in a row and the amounts' unit, where all that is read besides the others is number, sum, mean and maximum,
    /// in this order.
    pub(crate) usual: Option<(usize, i64)>,
    /// How the cells are had from those of the window before, where it holds the same events.
    pub(crate) same: Same,
    pub(crate) has_distinct: bool,
    /// It has reads besides distinct values.
    pub(crate) has_totals: bool,
}

/// What is read of a column whose sum, minimum and maximum are decimals: their cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MoneyReads {
    pub(crate) column: usize,
    /// 10 to the power of its digits.
    pub(crate) unit: i64,
    pub(crate) sum: Option<u16>,
    pub(crate) mean: Option<u16>,
    pub(crate) minimum: Option<u16>,
    pub(crate) maximum: Option<u16>,
}

/// How a window's cells are had from those of the window before.
#[derive(Clone, Debug, Default)]
pub(crate) enum Same {
    /// They are read: other things are asked for.
    #[default]
    No,
    /// Four cells in a row, the usual number.
    Four { from: usize, to: usize },
    /// So many cells, from and to.
    Range { from: usize, to: usize, cells: usize },
    /// Cell by cell, from and to.
    Cells(Vec<(usize, usize)>),
}

/// One value to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// Its place among the entity's cells.
    pub(crate) cell: usize,
    pub(crate) what: What,
    pub(crate) inclusive: bool,
}

/// What to read; columns and conditions by their place in the entity's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Count,
    CountIf(usize),
    SumDecimal(usize),
    SumReal(usize),
    Mean(usize),
    MinDecimal(usize),
    MaxDecimal(usize),
    MinReal(usize),
    MaxReal(usize),
    Std(usize),
    ZScore(usize),
    Share(usize),
    Distinct(usize),
    SecondsSinceLast(Option<usize>),
    SecondsSinceFirst,
    /// Over a window, under a condition where there is one.
    SecondsSinceOldest(Option<usize>),
    /// Whether the newest entry, among those that meet a condition, meets another.
    Last {
        of: usize,
        among: Option<usize>,
    },
    Run(usize),
    Part {
        index: usize,
        of: Part,
    },
}

/// What a ratio divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Count,
    CountIf(usize),
    Sum(usize),
    Mean(usize),
}

/// A ratio of two windows; its halves are parts `2 × index` and `2 × index + 1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    pub(crate) cell: usize,
    pub(crate) of: Part,
}

impl Group {
    /// Arranges the reads of all windows; `units` are those of the columns, `counted` the cells of what storing tells.
    pub(crate) fn arrange(&mut self, units: &[i64], counted: &[usize]) {
        for index in 0..self.windows.len() {
            let (before, rest) = self.windows.split_at_mut(index);
            rest[0].arrange(before.last(), units, counted);
        }
    }
}

impl WindowPlan {
    fn arrange(&mut self, before: Option<&Self>, units: &[i64], counted: &[usize]) {
        for &read in &self.reads {
            if read.what == What::Count && self.count.is_none() {
                self.count = Some(read.cell);
            } else if counted.contains(&read.cell) {
                self.counted.push(read);
            } else if !add_to_money(&mut self.money, read, units) {
                self.others.push(read);
            }
        }
        self.usual = self.find_usual();
        let is_distinct = |read: &Read| matches!(read.what, What::Distinct(_));
        self.has_distinct = self.reads.iter().any(is_distinct);
        self.has_totals = self.reads.iter().any(|read| !is_distinct(read));
        self.same = before.map_or(Same::No, |before| Same::of(&before.reads, &self.reads));
    }

    fn find_usual(&self) -> Option<(usize, i64)> {
        let (first, [money]) = (self.count?, &self.money[..]) else { return None };
        let in_a_row = [(money.sum, 1), (money.mean, 2), (money.maximum, 3)]
            .iter()
            .all(|&(cell, step)| cell.map(usize::from) == Some(first + step));
        (in_a_row && money.minimum.is_none()).then_some((first, money.unit))
    }

    /// What of the window is kept while it slides: no more than its reads ask for.
    pub(crate) fn sliding(&self, layout: &Layout) -> SlidingWindow {
        let mut kept = SlidingWindow::new(self.window_ms);
        for read in &self.reads {
            if let Some(column) = read.what.column() {
                let usage = ColumnUse { nullable: layout.columns[column].nullable, ..read.what.column_use() };
                match kept.columns.iter_mut().find(|(held, _)| *held == column) {
                    Some((_, held)) => *held = held.and(usage),
                    None => kept.columns.push((column, usage)),
                }
            }
            if let Some(condition) = read.what.condition()
                && !kept.conditions.contains(&condition)
            {
                kept.conditions.push(condition);
            }
        }
        kept
    }
}

/// Notes a read among those of its column; false where it is none of theirs or the second of its kind.
fn add_to_money(money: &mut Vec<MoneyReads>, read: Read, units: &[i64]) -> bool {
    let is_decimal =
        matches!(read.what, What::SumDecimal(_) | What::Mean(_) | What::MinDecimal(_) | What::MaxDecimal(_));
    let (Some(column), true, Ok(cell)) = (read.what.column(), is_decimal, u16::try_from(read.cell)) else {
        return false;
    };
    let at = money.iter().position(|held| held.column == column).unwrap_or_else(|| {
        money.push(MoneyReads { column, unit: units[column], ..MoneyReads::default() });
        money.len() - 1
    });
    let place = match read.what {
        What::SumDecimal(_) => &mut money[at].sum,
        What::Mean(_) => &mut money[at].mean,
        What::MinDecimal(_) => &mut money[at].minimum,
        _ => &mut money[at].maximum,
    };
    let is_first = place.is_none();
    place.get_or_insert(cell);
    is_first
}

impl Same {
    fn of(before: &[Read], now: &[Read]) -> Self {
        let has_parts = now.iter().any(|read| matches!(read.what, What::Part { .. }));
        let is_same = now.len() == before.len() && now.iter().zip(before).all(|(a, b)| a.what == b.what);
        if has_parts || !is_same || now.is_empty() {
            return Self::No;
        }
        let (from, to) = (before[0].cell, now[0].cell);
        let in_rows = now
            .iter()
            .zip(before)
            .enumerate()
            .all(|(index, (now, before))| now.cell == to + index && before.cell == from + index);
        if in_rows && now.len() == 4 {
            Self::Four { from, to }
        } else if in_rows {
            Self::Range { from, to, cells: now.len() }
        } else {
            Self::Cells(before.iter().zip(now).map(|(before, now)| (before.cell, now.cell)).collect())
        }
    }
}

impl What {
    /// The numeric column that is read.
    fn column(self) -> Option<usize> {
        match self {
            Self::SumDecimal(column)
            | Self::SumReal(column)
            | Self::Mean(column)
            | Self::MinDecimal(column)
            | Self::MaxDecimal(column)
            | Self::MinReal(column)
            | Self::MaxReal(column)
            | Self::Std(column)
            | Self::ZScore(column)
            | Self::Part { of: Part::Sum(column) | Part::Mean(column), .. } => Some(column),
            _ => None,
        }
    }

    /// What of its column is asked for besides the sum.
    fn column_use(self) -> ColumnUse {
        ColumnUse {
            nullable: false,
            squares: matches!(self, Self::Std(_) | Self::ZScore(_)),
            minimum: matches!(self, Self::MinDecimal(_) | Self::MinReal(_)),
            maximum: matches!(self, Self::MaxDecimal(_) | Self::MaxReal(_)),
        }
    }

    /// The condition whose events are counted over a window.
    fn condition(self) -> Option<usize> {
        match self {
            Self::CountIf(condition)
            | Self::Share(condition)
            | Self::Part { of: Part::CountIf(condition), .. } => Some(condition),
            _ => None,
        }
    }
}
