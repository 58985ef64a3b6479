//! The feature set compiled for the batch: what each key keeps, and what is read from it.
//!
//! spec -> **plan** -> window, batch
//!
//! Holds: no names, no look-ups. Every read has the number of its cell, its column and its condition.

mod entity;
mod stage;

pub(crate) use self::entity::EntityPlan;
pub(crate) use self::stage::{Stage, WindowOperand};
use crate::event::EventRef;
use crate::features::cell::{Cell, Shape};
use crate::features::expression::{Context, Program};
use crate::features::graph::Graph;
use crate::features::spec::{Aggregate, Column, Definition, FeatureSet};
use crate::limits::{KEPT_EVENT_BYTES, KEPT_LABEL_BYTES, LABEL_BYTES};
use crate::schema::Schema;
use crate::window::layout::Layout;
use std::ops::Range;
use std::sync::Arc;

/// A compiled feature set.
#[derive(Debug)]
pub struct Plan {
    pub schema: Arc<Schema>,
    pub set: Arc<FeatureSet>,
    /// How each feature is kept and written.
    pub shapes: Vec<Shape>,
    /// Entities that have features, layer by layer, in configuration order.
    pub(crate) entities: Vec<EntityPlan>,
    /// Those of each layer (docs/semantics.md, 6), and the conditions that their windows count.
    pub(crate) layers: Vec<LayerPlan>,
    /// Windows of labels, behind those of layer 0: range of [`Plan::entities`].
    pub(crate) labels: Range<usize>,
    /// Expressions, and the flags that they read, in an order in which each reads only what stands before it.
    pub(crate) expressions: Vec<StepPlan>,
    /// Features of windows that expressions and those flags read.
    pub(crate) operands: Vec<usize>,
    /// Cells that replace missing ones of windows.
    pub(crate) defaults: Vec<(usize, Cell)>,
}

/// One layer of windows.
#[derive(Debug)]
pub(crate) struct LayerPlan {
    /// Range of [`Plan::entities`].
    pub(crate) entities: Range<usize>,
    /// What is evaluated before the windows are read.
    pub(crate) stage: Stage,
}

/// A feature that is calculated from the event and from other features, or a flag.
#[derive(Clone, Debug)]
pub(crate) struct StepPlan {
    /// The feature, or a flag behind all features.
    pub(crate) operand: usize,
    program: Program,
    pub(crate) shape: Shape,
    /// What replaces a missing value.
    default: Option<Cell>,
    /// Whether another expression or a flag reads it.
    pub(crate) is_operand: bool,
}

impl StepPlan {
    /// The value, of an event and the operands that were worked out before.
    #[inline]
    pub(crate) fn cell(&self, event: EventRef<'_>, operands: &[f64]) -> Cell {
        let cell = self.program.cell(&Context { event, operands });
        self.default.filter(|_| cell.is_missing(self.shape)).unwrap_or(cell)
    }
}

/// The published value that expressions read.
#[inline]
pub(crate) fn published(cell: Cell, shape: Shape) -> f64 {
    match shape {
        Shape::Real => f64::from(cell.as_real()),
        _ if cell == Cell::MISSING => f64::NAN,
        Shape::Integer => cell.0 as f64,
        Shape::Decimal { digits } => cell.0 as f64 / 10f64.powi(digits as i32),
    }
}

impl Plan {
    /// Compiles a checked feature set.
    pub fn new(schema: Arc<Schema>, set: Arc<FeatureSet>, lateness_ms: i64) -> Self {
        let shapes: Vec<Shape> =
            set.features.iter().map(|feature| shape_of(&feature.definition, &schema)).collect();
        let graph = Graph::of(&set);
        let layer_of = graph.layers();
        let windows = (0..set.features.len()).filter(|&feature| graph.is_window(feature));
        let layer_count = windows.map(|feature| layer_of[feature] + 1).max().unwrap_or(1);
        let order = graph.order(0..set.features.len());
        let mut operands: Vec<usize> =
            order.iter().flat_map(|&operand| graph.reads(operand)).copied().collect();
        operands.sort_unstable();
        operands.dedup();
        let default_of = |index: usize| Some(cell_of(set.features[index].or?, shapes[index]));
        let step = |operand: usize| {
            let (program, shape, default) = match operand.checked_sub(set.features.len()) {
                None => {
                    let program = program_of(&set.features[operand].definition).cloned().unwrap_or_default();
                    (program, shapes[operand], default_of(operand))
                }
                Some(flag) => (set.flags[flag].program.clone(), Shape::Integer, None),
            };
            let is_operand = operands.binary_search(&operand).is_ok();
            StepPlan { operand, program, shape, default, is_operand }
        };
        let mut entities: Vec<EntityPlan> = Vec::new();
        let mut layers = Vec::new();
        let mut labels = 0..0;
        for layer in 0..layer_count {
            let window = |feature: usize| (shapes[feature], default_of(feature));
            let stage = Stage::new(layer, &set, &graph, &layer_of, &entities, step, window);
            let start = entities.len();
            for entity in 0..schema.entities.len() {
                let is_own = |feature: usize| layer_of[feature] == layer && !is_of_labels(&set, feature);
                let plan = EntityPlan::new((entity, layer), &schema, &set, is_own, &shapes, lateness_ms);
                entities.extend(Some(plan).filter(|plan| !plan.features.is_empty()));
            }
            layers.push(LayerPlan { entities: start..entities.len(), stage });
            if layer > 0 {
                continue;
            }
            labels = entities.len()..entities.len();
            for entity in 0..schema.entities.len() {
                let is_own = |feature: usize| is_of_labels(&set, feature);
                let plan =
                    EntityPlan::new((entity, layer_count), &schema, &set, is_own, &shapes, lateness_ms);
                entities.extend(Some(plan).filter(|plan| !plan.features.is_empty()));
            }
            labels.end = entities.len();
        }
        let expressions = order.into_iter().map(step).collect();
        let defaults = (0..set.features.len())
            .filter(|&index| graph.is_window(index))
            .filter_map(|index| Some((index, default_of(index)?)))
            .collect();
        operands.retain(|&operand| graph.is_window(operand));
        Self { schema, set, shapes, entities, layers, labels, expressions, operands, defaults }
    }

    /// Whether a feature looks at labels.
    pub fn reads_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// Bytes that an event which waits for its label, or is kept for labels, counts for, and a label that does not count yet
    /// (docs/semantics.md, 7).
    pub fn waiting_bytes(&self) -> (u64, u64) {
        let own = 8 * (self.schema.entities.len() + self.schema.slots()) as u64;
        if self.schema.has_label_input() {
            (KEPT_EVENT_BYTES + own, KEPT_LABEL_BYTES)
        } else {
            (LABEL_BYTES + own, 0)
        }
    }

    /// Layers of windows.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Parts of the state: the layers, and the windows of labels, with `state.shards` shards each.
    pub(crate) fn tiers(&self) -> usize {
        self.layers.len() + usize::from(!self.labels.is_empty())
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.shapes.len()
    }

    /// Features, and behind them flags.
    pub(crate) fn operand_count(&self) -> usize {
        self.features() + self.set.flags.len()
    }

    /// Bytes that a key, an entry, a span and a distinct value of an entity in a layer count for, with the entity's index and the layer;
    /// the windows of labels are behind the last layer.
    pub fn memory_formula(&self) -> impl Iterator<Item = ((usize, usize), [u64; 4])> + '_ {
        self.entities.iter().map(|plan| {
            let layout = &plan.layout;
            (
                (plan.entity, plan.layer),
                [
                    layout.sizes.key_bytes,
                    layout.sizes.entry_bytes,
                    layout.sizes.span_bytes,
                    Layout::VALUE_BYTES,
                ],
            )
        })
    }

    /// Most entries a key of every entity can keep, for the bound that a configuration may set.
    pub fn entries_per_key_max(&self) -> usize {
        self.entities
            .iter()
            .map(|plan| plan.layout.chunks_max() * crate::window::layout::CHUNK_ROWS / 2)
            .min()
            .unwrap_or(usize::MAX)
    }

    /// For each feature an earlier one of the same shape that often has the same value: the same aggregate over the next shorter
    /// window.
    pub(crate) fn similar(&self) -> Vec<Option<u16>> {
        let mut similar = vec![None; self.features()];
        for entity in &self.entities {
            for group in &entity.groups {
                for (at, window) in group.windows.iter().enumerate().skip(1) {
                    for read in &window.reads {
                        let feature = entity.features[read.cell];
                        let same = group.windows[..at]
                            .iter()
                            .rev()
                            .flat_map(|window| &window.reads)
                            .find(|other| other.what == read.what);
                        let same =
                            same.map(|other| entity.features[other.cell]).filter(|&other| other < feature);
                        similar[feature] = same.map(|other| other as u16);
                    }
                }
            }
        }
        similar
    }
}

fn is_of_labels(set: &FeatureSet, feature: usize) -> bool {
    matches!(&set.features[feature].definition, Definition::Window(window) if window.label.is_some())
}

fn program_of(definition: &Definition) -> Option<&Program> {
    match definition {
        Definition::Expression(program) => Some(program),
        Definition::Window(_) => None,
    }
}

/// How a feature is kept: counts and money as integers.
pub(super) fn shape_of(definition: &Definition, schema: &Schema) -> Shape {
    let window = match definition {
        Definition::Expression(program) => return program.shape(),
        Definition::Window(window) => window,
    };
    match window.aggregate {
        Aggregate::Count | Aggregate::Distinct(_) | Aggregate::Run | Aggregate::Last => Shape::Integer,
        Aggregate::Sum(Column::Amount) | Aggregate::Min(Column::Amount) | Aggregate::Max(Column::Amount) => {
            Shape::Decimal { digits: schema.scale_digits() }
        }
        Aggregate::Sum(Column::Slot(_))
        | Aggregate::Min(Column::Slot(_))
        | Aggregate::Max(Column::Slot(_))
        | Aggregate::Mean(_)
        | Aggregate::Std(_)
        | Aggregate::ZScore(_)
        | Aggregate::Share
        | Aggregate::SecondsSinceLast
        | Aggregate::SecondsSinceFirst
        | Aggregate::Ratio { .. } => Shape::Real,
    }
}

/// The cell of a constant.
fn cell_of(value: f64, shape: Shape) -> Cell {
    match shape {
        Shape::Integer => Cell(value.round() as i64),
        Shape::Decimal { digits } => Cell((value * 10f64.powi(digits as i32)).round() as i64),
        Shape::Real => Cell::real(value as f32),
    }
}

fn missing_cell(shape: Shape) -> Cell {
    match shape {
        Shape::Integer | Shape::Decimal { .. } => Cell::MISSING,
        Shape::Real => Cell::real(f32::NAN),
    }
}

#[cfg(test)]
mod fixture;
