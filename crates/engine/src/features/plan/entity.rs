//! What is kept for, and read from, the keys of one entity in one layer.
//!
//! plan -> **entity** -> window, batch

use super::{is_of_labels, missing_cell};
use crate::event::{EventRef, MISSING, NO_KEY};
use crate::features::cell::{Cell, Shape};
use crate::features::reads::{Group, Part, Ratio, Read, What, WindowPlan};
use crate::features::spec::{
    Aggregate, Column, Definition, FeatureSet, LabelIs, RatioOf, Value, WindowFeature,
};
use crate::schema::Schema;
use crate::window::layout::{ColumnUse, Layout};
use crate::window::sliding::SlidingLayout;
use crate::window::write::Entry;

/// What is kept for, and read from, the keys of one entity.
#[derive(Debug)]
pub(crate) struct EntityPlan {
    /// Index in the schema.
    pub(crate) entity: usize,
    pub(crate) layer: usize,
    /// Of windows of labels: what each of the conditions that they count wants of the label and of the event. The numbers of conditions in
    /// this plan are then those of this list.
    pub(crate) label_truths: Vec<(LabelIs, Option<usize>)>,
    pub(crate) layout: Layout,
    /// Source and condition of each numeric column.
    columns: Vec<(Column, Option<usize>)>,
    /// Decimal digits of each numeric column.
    pub(crate) digits: Vec<u32>,
    /// 10 to the power of them.
    pub(crate) units: Vec<i64>,
    /// Source and condition of each distinct column.
    distincts: Vec<(Value, Option<usize>)>,
    /// The feature set's conditions, by bit.
    conditions: Vec<usize>,
    pub(crate) groups: Vec<Group>,
    pub(crate) lifetimes: Vec<Read>,
    pub(crate) ratios: Vec<Ratio>,
    /// Distinct columns, each with the cell of the number of its values in the longest window that counts the event itself: whoever stores an
    /// event in order goes through these values anyway.
    pub(crate) counted: Vec<(usize, usize)>,
    /// Features by cell.
    pub(crate) features: Vec<usize>,
    /// The same as stretches: first cell, first feature, how many follow one another.
    pub(crate) stretches: Vec<(usize, usize, usize)>,
    /// The cells of an event without a key.
    pub(crate) missing: Vec<Cell>,
    /// L: longest window + delay, ms.
    pub(crate) length_ms: i64,
    /// H: L + lateness, ms.
    pub(crate) horizon_ms: i64,
    /// Windows of a big history are moved, read and added to in one pass: the entity is plain, and no window is delayed.
    pub(crate) is_one_pass: bool,
}

impl EntityPlan {
    /// Of an entity in a layer, of the windows that `is_own` takes.
    pub(super) fn new(
        (entity, layer): (usize, usize),
        schema: &Schema,
        set: &FeatureSet,
        is_own: impl Fn(usize) -> bool,
        shapes: &[Shape],
        lateness_ms: i64,
    ) -> Self {
        let mut plan = Self {
            entity,
            layer,
            label_truths: Vec::new(),
            layout: Layout::default(),
            columns: Vec::new(),
            digits: Vec::new(),
            units: Vec::new(),
            distincts: Vec::new(),
            conditions: Vec::new(),
            groups: Vec::new(),
            lifetimes: Vec::new(),
            ratios: Vec::new(),
            counted: Vec::new(),
            features: Vec::new(),
            stretches: Vec::new(),
            missing: Vec::new(),
            length_ms: 0,
            horizon_ms: 0,
            is_one_pass: false,
        };
        let windows = || {
            set.features.iter().enumerate().filter_map(|(index, feature)| match &feature.definition {
                Definition::Window(window) if window.entity == entity && is_own(index) => {
                    Some((index, window))
                }
                _ => None,
            })
        };
        plan.length_ms = windows().map(|(_, window)| longest(window) + window.delay_ms).max().unwrap_or(0);
        plan.horizon_ms = plan.length_ms + lateness_ms;
        for (index, window) in windows() {
            let cell = plan.features.len();
            plan.features.push(index);
            plan.missing.push(missing_cell(shapes[index]));
            if window.label.is_some() {
                let window = plan.of_label(window);
                plan.add(cell, &window, schema);
            } else {
                plan.add(cell, window, schema);
            }
        }
        // What is known of an event may change, and its entry with it.
        plan.layout.has_event =
            schema.has_label_input() && plan.features.iter().any(|&feature| is_of_labels(set, feature));
        plan.layout.distincts = plan.distincts.len();
        plan.layout.conditions = plan.conditions.len();
        plan.finish();
        plan
    }

    /// The window with the number of its own condition in the place of the feature set's and the label.
    fn of_label(&mut self, window: &WindowFeature) -> WindowFeature {
        let label = window.label.unwrap_or(LabelIs::Known);
        WindowFeature { condition: self.label_truth(label, window.condition), ..window.clone() }
    }

    /// The number of a condition on labels; none where every entry meets it.
    fn label_truth(&mut self, label: LabelIs, condition: Option<usize>) -> Option<usize> {
        let truth = (label, condition);
        if truth == (LabelIs::Known, None) {
            return None;
        }
        let found = self.label_truths.iter().position(|held| *held == truth);
        Some(found.unwrap_or_else(|| {
            self.label_truths.push(truth);
            self.label_truths.len() - 1
        }))
    }

    /// The bit of the entries among which `last` looks; none where those are all.
    fn label_truth_of(&mut self, window: &WindowFeature, among: Option<usize>) -> Option<usize> {
        window.label?;
        let among = self.label_truth(LabelIs::Known, among)?;
        Some(self.condition(among))
    }

    /// One bit for each of the conditions on labels that an event with these fields and this label meets.
    pub(crate) fn labels_met(&self, met: u64, is_fraud: bool) -> u64 {
        let meets = |&(label, condition): &(LabelIs, Option<usize>)| {
            let fits = match label {
                LabelIs::Known => true,
                LabelIs::Fraud => is_fraud,
                LabelIs::Genuine => !is_fraud,
            };
            fits && condition.is_none_or(|condition| met >> condition & 1 == 1)
        };
        self.label_truths
            .iter()
            .enumerate()
            .fold(0, |bits, (bit, truth)| bits | u64::from(meets(truth)) << bit)
    }

    fn add(&mut self, cell: usize, window: &WindowFeature, schema: &Schema) {
        let inclusive = window.inclusive;
        let condition = window.condition;
        match window.aggregate {
            Aggregate::Ratio { of, over_ms } => {
                let of = match of {
                    RatioOf::Count => {
                        condition.map_or(Part::Count, |condition| Part::CountIf(self.condition(condition)))
                    }
                    RatioOf::Sum(column) => Part::Sum(self.column(column, condition, schema, |_| ())),
                    RatioOf::Mean(column) => Part::Mean(self.column(column, condition, schema, |_| ())),
                };
                let index = 2 * self.ratios.len();
                self.ratios.push(Ratio { cell, of });
                self.place(
                    window,
                    window.window_ms,
                    Read { cell, what: What::Part { index, of }, inclusive },
                );
                self.place(
                    window,
                    Some(over_ms),
                    Read { cell, what: What::Part { index: index + 1, of }, inclusive },
                );
            }
            // The share of a label is that of two conditions.
            Aggregate::Share if window.label.is_some() => {
                let among = condition.and_then(|condition| self.label_truths[condition].1);
                let among = self.label_truth(LabelIs::Known, among);
                let mut part = |condition: Option<usize>| {
                    condition.map_or(Part::Count, |condition| Part::CountIf(self.condition(condition)))
                };
                let (top, bottom) = (part(condition), part(among));
                let index = 2 * self.ratios.len();
                self.ratios.push(Ratio { cell, of: Part::Count });
                let read = |index, of| Read { cell, what: What::Part { index, of }, inclusive };
                self.place(window, window.window_ms, read(index, top));
                self.place(window, window.window_ms, read(index + 1, bottom));
            }
            Aggregate::SecondsSinceFirst if window.window_ms.is_none() => {
                self.lifetimes.push(Read { cell, what: What::SecondsSinceFirst, inclusive });
            }
            Aggregate::Run => {
                let condition = self.condition(condition.unwrap_or_default());
                self.lifetimes.push(Read { cell, what: What::Run(condition), inclusive });
            }
            Aggregate::SecondsSinceLast if window.window_ms.is_none() && condition.is_none() => {
                self.lifetimes.push(Read { cell, what: What::SecondsSinceLast(None), inclusive });
            }
            _ => {
                let what = self.what(window, schema);
                // A condition without a window: everything that is kept for windows.
                let span = window.window_ms.or(Some(self.length_ms));
                self.place(window, span, Read { cell, what, inclusive });
            }
        }
    }

    fn what(&mut self, window: &WindowFeature, schema: &Schema) -> What {
        let condition = window.condition;
        let is_money = |column| column == Column::Amount;
        match window.aggregate {
            Aggregate::Count => {
                condition.map_or(What::Count, |condition| What::CountIf(self.condition(condition)))
            }
            Aggregate::Sum(column) => {
                let index = self.column(column, condition, schema, |_| ());
                if is_money(column) { What::SumDecimal(index) } else { What::SumReal(index) }
            }
            Aggregate::Mean(column) => What::Mean(self.column(column, condition, schema, |_| ())),
            Aggregate::Min(column) => {
                let index = self.column(column, condition, schema, |usage| usage.minimum = true);
                if is_money(column) { What::MinDecimal(index) } else { What::MinReal(index) }
            }
            Aggregate::Max(column) => {
                let index = self.column(column, condition, schema, |usage| usage.maximum = true);
                if is_money(column) { What::MaxDecimal(index) } else { What::MaxReal(index) }
            }
            Aggregate::Std(column) => {
                What::Std(self.column(column, condition, schema, |usage| usage.squares = true))
            }
            Aggregate::ZScore(column) => {
                What::ZScore(self.column(column, condition, schema, |usage| usage.squares = true))
            }
            Aggregate::Share => What::Share(self.condition(condition.unwrap_or_default())),
            Aggregate::Distinct(value) => {
                let found = self.distincts.iter().position(|held| *held == (value, condition));
                let index = found.unwrap_or_else(|| {
                    self.distincts.push((value, condition));
                    self.layout.value_horizons_ms.push(0);
                    self.layout.value_windows_ms.push(0);
                    self.distincts.len() - 1
                });
                // Lateness is what H has beyond L.
                let horizon_ms = longest(window) + window.delay_ms + self.horizon_ms - self.length_ms;
                let horizons = &mut self.layout.value_horizons_ms;
                horizons[index] = horizons[index].max(horizon_ms);
                What::Distinct(index)
            }
            Aggregate::SecondsSinceLast => {
                What::SecondsSinceLast(condition.map(|condition| self.condition(condition)))
            }
            Aggregate::SecondsSinceFirst => {
                What::SecondsSinceOldest(condition.map(|condition| self.condition(condition)))
            }
            Aggregate::Last => {
                let among = window.label.and(condition).and_then(|condition| self.label_truths[condition].1);
                let among = self.label_truth_of(window, among);
                What::Last { of: self.condition(condition.unwrap_or_default()), among }
            }
            Aggregate::Run => What::Run(self.condition(condition.unwrap_or_default())),
            Aggregate::Ratio { .. } => What::Count,
        }
    }

    fn column(
        &mut self,
        column: Column,
        condition: Option<usize>,
        schema: &Schema,
        mark: impl FnOnce(&mut ColumnUse),
    ) -> usize {
        let found = self.columns.iter().position(|held| *held == (column, condition));
        let index = found.unwrap_or_else(|| {
            self.columns.push((column, condition));
            self.digits.push(if column == Column::Amount { schema.scale_digits() } else { 6 });
            let nullable = condition.is_some() || column != Column::Amount;
            self.layout.columns.push(ColumnUse { nullable, ..ColumnUse::default() });
            self.columns.len() - 1
        });
        mark(&mut self.layout.columns[index]);
        index
    }

    fn condition(&mut self, condition: usize) -> usize {
        let found = self.conditions.iter().position(|&held| held == condition);
        found.unwrap_or_else(|| {
            self.conditions.push(condition);
            self.conditions.len() - 1
        })
    }

    fn place(&mut self, window: &WindowFeature, span: Option<i64>, read: Read) {
        let window_ms = span.unwrap_or(self.length_ms);
        let (delay_ms, inclusive) = (window.delay_ms, window.inclusive);
        let group =
            self.groups.iter().position(|group| group.delay_ms == delay_ms && group.inclusive == inclusive);
        let group = group.unwrap_or_else(|| {
            self.groups.push(Group { delay_ms, inclusive, windows: Vec::new() });
            self.groups.len() - 1
        });
        let windows = &mut self.groups[group].windows;
        match windows.iter().position(|window| window.window_ms >= window_ms) {
            Some(at) if windows[at].window_ms == window_ms => windows[at].reads.push(read),
            at => windows.insert(
                at.unwrap_or(windows.len()),
                WindowPlan { window_ms, reads: vec![read], ..WindowPlan::default() },
            ),
        }
    }

    fn finish(&mut self) {
        self.units = self.digits.iter().map(|&digits| 10i64.pow(digits)).collect();
        for (cell, &feature) in self.features.iter().enumerate() {
            match self.stretches.last_mut() {
                Some((first_cell, first, count))
                    if *first_cell + *count == cell && *first + *count == feature =>
                {
                    *count += 1;
                }
                _ => self.stretches.push((cell, feature, 1)),
            }
        }
        let layout = &self.layout;
        let sliding = SlidingLayout::new(self.groups.iter().map(|group| {
            (group.delay_ms, group.windows.iter().map(|window| window.sliding(layout)).collect())
        }));
        self.layout.finish(sliding);
        self.is_one_pass = self.layout.is_plain
            && self.layout.sliding.words > 0
            && self.groups.iter().all(|group| group.delay_ms == 0);
        self.find_counted();
        let counted: Vec<usize> = self.counted.iter().map(|&(_, cell)| cell).collect();
        for group in &mut self.groups {
            group.arrange(&self.units, &counted);
        }
    }

    fn find_counted(&mut self) {
        for distinct in 0..self.distincts.len() {
            let groups = self.groups.iter().filter(|group| group.inclusive && group.delay_ms == 0);
            let of_this = groups.flat_map(|group| &group.windows).filter_map(|window| {
                let read = window.reads.iter().find(|read| read.what == What::Distinct(distinct))?;
                Some((window.window_ms, read.cell))
            });
            if let Some((window_ms, cell)) = of_this.max() {
                self.layout.value_windows_ms[distinct] = window_ms;
                self.counted.push((distinct, cell));
            }
        }
    }

    /// Takes from an event what this entity stores. `met` has one bit a condition of the feature set.
    #[inline]
    pub(crate) fn fill(&self, event: &EventRef<'_>, met: u64, entry: &mut Entry) {
        entry.fit(self.columns.len(), self.distincts.len());
        entry.time_ms = event.head.time_ms;
        if self.layout.is_plain {
            (entry.columns[0], entry.present[0]) = (event.head.amount_scaled, event.head.amount_scaled);
            if self.distincts.is_empty() {
                return;
            }
        } else {
            self.fill_columns(event, met, entry);
        }
        self.fill_values(event, met, entry);
    }

    #[inline(never)]
    fn fill_values(&self, event: &EventRef<'_>, met: u64, entry: &mut Entry) {
        for (&(from, condition), value) in self.distincts.iter().zip(&mut entry.values) {
            let found = match from {
                Value::Entity(entity) => Some(event.keys[entity as usize]).filter(|&key| key != NO_KEY),
                Value::Slot(slot) => {
                    Some(event.slots[slot as usize]).filter(|&slot| slot != MISSING).map(|slot| slot as u64)
                }
                Value::Amount => Some(event.head.amount_scaled as u64),
            };
            *value = found.filter(|_| !is_out(met, condition));
        }
        entry.conditions = 0;
        for (bit, &condition) in self.conditions.iter().enumerate() {
            entry.conditions |= (met >> condition & 1) << bit;
        }
    }

    #[inline(never)]
    fn fill_columns(&self, event: &EventRef<'_>, met: u64, entry: &mut Entry) {
        let columns = entry.columns.iter_mut().zip(&mut entry.present);
        for (&(column, condition), (value, present)) in self.columns.iter().zip(columns) {
            *present = match column {
                Column::Amount => event.head.amount_scaled,
                Column::Slot(slot) => event.slots[slot as usize],
            };
            *value = if is_out(met, condition) { MISSING } else { *present };
        }
    }
}

/// The longest window of a feature, without its delay.
fn longest(window: &WindowFeature) -> i64 {
    let own = window.window_ms.unwrap_or(0);
    match window.aggregate {
        Aggregate::Ratio { over_ms, .. } => own.max(over_ms),
        _ => own,
    }
}

/// Whether a condition, where there is one, is not met.
#[inline]
fn is_out(met: u64, condition: Option<usize>) -> bool {
    condition.is_some_and(|condition| met >> condition & 1 == 0)
}
