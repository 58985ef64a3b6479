//! What is evaluated of an event before the windows of a layer are read: the flags that they count.
//!
//! plan -> **stage** -> batch (between two layers)

use super::{EntityPlan, StepPlan, published};
use crate::event::EventRef;
use crate::features::cell::{Cell, Shape};
use crate::features::expression::Context;
use crate::features::graph::Graph;
use crate::features::spec::FeatureSet;

/// The conditions of one layer.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// Conditions over fields alone, by bit.
    plain: Vec<usize>,
    /// Conditions that are flags: bit and operand.
    flags: Vec<(usize, usize)>,
    /// The windows that the flags read, and what they read of the event, in order.
    pub(crate) windows: Vec<WindowOperand>,
    steps: Vec<StepPlan>,
}

/// A feature of windows that a flag reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowOperand {
    feature: usize,
    /// Index in the plan's entities, and the place among the entity's cells.
    pub(crate) entity: usize,
    pub(crate) cell: usize,
    shape: Shape,
    /// What replaces a missing value.
    default: Option<Cell>,
}

impl Stage {
    /// The conditions that windows of this layer count.
    pub(super) fn new(
        layer: usize,
        set: &FeatureSet,
        graph: &Graph,
        layers: &[usize],
        entities: &[EntityPlan],
        step: impl Fn(usize) -> StepPlan,
        window: impl Fn(usize) -> (Shape, Option<Cell>),
    ) -> Self {
        let mut stage = Self::default();
        for (bit, condition) in set.conditions.iter().enumerate() {
            match condition.flag.map(|flag| set.features.len() + flag) {
                None if layer == 0 => stage.plain.push(bit),
                Some(operand) if layers[operand] == layer => stage.flags.push((bit, operand)),
                None | Some(_) => {}
            }
        }
        let order = graph.order(stage.flags.iter().map(|&(_, operand)| operand));
        for (index, entity) in entities.iter().enumerate() {
            for (cell, &feature) in entity.features.iter().enumerate() {
                if order.iter().any(|&operand| graph.reads(operand).contains(&feature)) {
                    let (shape, default) = window(feature);
                    stage.windows.push(WindowOperand { feature, entity: index, cell, shape, default });
                }
            }
        }
        stage.steps = order.into_iter().map(step).collect();
        stage
    }

    /// One bit for each of the stage's conditions that the event meets. `cell_of` gives the cells of windows; `operands` is room for
    /// all of them.
    pub(crate) fn met(
        &self,
        set: &FeatureSet,
        event: EventRef<'_>,
        cell_of: impl Fn(&WindowOperand) -> Cell,
        operands: &mut [f64],
    ) -> u64 {
        let mut met = 0;
        for &bit in &self.plain {
            let context = Context { event, operands: &[] };
            met |= u64::from(set.conditions[bit].program.truth(&context)) << bit;
        }
        for window in &self.windows {
            let cell = cell_of(window);
            let cell = window.default.filter(|_| cell.is_missing(window.shape)).unwrap_or(cell);
            operands[window.feature] = published(cell, window.shape);
        }
        for step in &self.steps {
            operands[step.operand] = published(step.cell(event, operands), step.shape);
        }
        for &(bit, operand) in &self.flags {
            met |= u64::from(operands[operand].to_bits() == 1f64.to_bits()) << bit;
        }
        met
    }
}
